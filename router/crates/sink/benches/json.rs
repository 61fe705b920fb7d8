//! The Debezium format's speed on the shapes of the project's loads: `narrow` (12 columns), `wide` (228) and single-row
//! transactions. Throughput is in row changes, time is the thread's own on the CPU (a busy machine says little by the wall
//! clock).

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Decimal128Array, Int32Array, Int64Array};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use forebay_model::{Batch, Block, Column, ColumnType, Kind, Origin, Run, TableSchema, Txn};
use forebay_sink::formats::{FormatConfig, Text};

/// Blocks in one iteration: the system counts a thread's time in steps of some milliseconds.
const ROUNDS: u64 = 10;

/// A table of integers, texts, decimals, datetimes and timestamps: so many of each.
struct Shape {
    name: &'static str,
    integers: usize,
    texts: usize,
    text_len: usize,
    decimals: usize,
    datetimes: usize,
    timestamps: usize,
    changes: usize,
    /// How many of ten changes are updates.
    updates: usize,
    /// Changes of one rows event.
    run: usize,
}

const NARROW: Shape = Shape {
    name: "narrow",
    integers: 3,
    texts: 3,
    text_len: 16,
    decimals: 1,
    datetimes: 1,
    timestamps: 2,
    changes: 4000,
    updates: 2,
    run: 20,
};
const WIDE: Shape = Shape {
    name: "wide",
    integers: 207,
    texts: 18,
    text_len: 12,
    decimals: 0,
    datetimes: 1,
    timestamps: 2,
    changes: 700,
    updates: 3,
    run: 6,
};
const OLTP: Shape = Shape { name: "oltp", run: 1, ..NARROW };

fn ty_of(shape: &Shape) -> Vec<ColumnType> {
    let mut types = vec![ColumnType::Integer { bits: 64, unsigned: false }];
    let mut push = |count: usize, ty: ColumnType| types.extend(std::iter::repeat_n(ty, count));
    push(shape.integers, ColumnType::Integer { bits: 32, unsigned: false });
    push(shape.texts, ColumnType::Text);
    push(shape.decimals, ColumnType::Decimal { precision: 12, scale: 2 });
    push(shape.datetimes, ColumnType::DateTime { fsp: 3 });
    push(shape.timestamps, ColumnType::Timestamp { fsp: 3 });
    types
}

fn block(shape: &Shape) -> Block {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut kinds, mut runs) = (Vec::new(), Vec::new());
    for change in 0..shape.changes {
        if change % shape.run == 0 {
            runs.push(Run {
                pos: 1000 + change as u64 * 97,
                row: kinds.len() as u32,
                event: change as u32,
                nth: 0,
                txn: (change / shape.run) as u32,
                seconds: 1_795_000_000,
                part: 0,
            });
        }
        match change % 10 < shape.updates {
            true => kinds.extend([Kind::Before, Kind::After]),
            false => kinds.push(Kind::Insert),
        }
    }
    let rows = kinds.len();
    let types = ty_of(shape);
    let columns: Vec<ArrayRef> = types
        .iter()
        .map(|ty| match ty {
            ColumnType::Integer { bits: 32, .. } => {
                // some columns are small numbers, some large, some with NULLs
                let shift = 32 + next() % 28;
                let nulls = next() % 4 == 0;
                let cells = (0..rows).map(|_| (!nulls || next() % 8 > 0).then(|| (next() >> shift) as i32));
                Arc::new(cells.collect::<Int32Array>()) as ArrayRef
            }
            ColumnType::Integer { .. } => Arc::new((0..rows as i64).map(Some).collect::<Int64Array>()),
            ColumnType::Decimal { precision, scale } => {
                let cells = (0..rows).map(|_| i128::from(next() % 100_000_000));
                let array = Decimal128Array::from_iter_values(cells);
                Arc::new(
                    array.with_precision_and_scale(*precision, *scale as i8).expect("a decimal of that size"),
                )
            }
            ColumnType::DateTime { .. } => {
                let cells = (0..rows).map(|_| {
                    let days = (2026_i64 * 13 + 11) << 5 | (next() % 28 + 1) as i64;
                    Some((days << 17 | 11 << 12 | (next() % 60) as i64) << 24 | 123_000)
                });
                Arc::new(cells.collect::<Int64Array>())
            }
            ColumnType::Timestamp { .. } => {
                let cells =
                    (0..rows).map(|_| Some(1_795_000_000_000_000 + (next() % 1_000_000_000) as i64 * 1000));
                Arc::new(cells.collect::<Int64Array>())
            }
            _ => {
                let mut builder = StringBuilder::new();
                for _ in 0..rows {
                    let len = 1 + next() as usize % (2 * shape.text_len);
                    builder.append_value(
                        &"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"[..len],
                    );
                }
                Arc::new(builder.finish())
            }
        })
        .collect();
    let names = ["id", "member_id", "left_foot_impedance_250k", "bmi", "right_hand_muscle", "created_at"];
    let table = TableSchema {
        database: "export".into(),
        table: "member_scans".into(),
        columns: types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| Column {
                name: format!("{}{i}", names[i % 6]),
                ty,
                nullable: true,
                native: String::new(),
            })
            .collect(),
        key: vec![0],
        lineage: Default::default(),
    };
    let txns = (0..shape.changes.div_ceil(shape.run))
        .map(|i| Txn {
            uuid: *b"0123456789abcdef",
            number: 5 + i as u64,
            commit_us: 1_795_000_000_123_456 + i as u64,
            thread: 12,
            server_id: 1,
            file: 0,
            tag: 0,
        })
        .collect();
    let batch = Batch { table: table.shared(), kinds, runs, columns, absent: vec![], routing: None };
    batch.check();
    let origin = Arc::new(Origin { txns, strings: vec!["binlog.000042".into()] });
    Block { first: 0, events: shape.changes as u32, origin, batches: vec![batch] }
}

/// The time that this thread spends on a CPU during the work; the wall clock's where the system does not tell.
fn on_cpu(work: impl FnOnce()) -> Duration {
    let spent = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    };
    let (wall, before) = (Instant::now(), spent());
    work();
    match (before, spent()) {
        (Some(before), Some(after)) => after - before,
        _ => wall.elapsed(),
    }
}

fn debezium(c: &mut Criterion) {
    let mut group = c.benchmark_group("debezium");
    group.sample_size(30);
    group.sampling_mode(SamplingMode::Flat);
    for shape in [NARROW, WIDE, OLTP] {
        let block = block(&shape);
        let mut renderer = FormatConfig::default().renderer("bench");
        let mut out = Text::new();
        let mut bytes = 0;
        group.throughput(Throughput::Elements(ROUNDS * shape.changes as u64));
        group.bench_function(shape.name, |b| {
            b.iter_custom(|iterations| {
                on_cpu(|| {
                    for _ in 0..iterations * ROUNDS {
                        bytes = 0;
                        let mut records = renderer.records(&block, 1_795_000_001_000_007);
                        while records.next(&mut out).expect("nothing is rejected").is_some() {
                            if out.len() > 256 << 10 {
                                bytes += out.len();
                                out.clear();
                            }
                        }
                        bytes += out.len();
                        out.clear();
                    }
                })
            });
        });
        eprintln!("{}: {} bytes a change", shape.name, bytes / shape.changes);
    }
    group.finish();
}

criterion_group!(benches, debezium);
criterion_main!(benches);
