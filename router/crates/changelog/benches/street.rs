//! What the changelog costs: append to durable, and read back from the file, for three shapes of rows. `cargo bench -p
//! forebay-changelog`; prints rows per CPU second of the whole process (user + system), the way that the whole street is measured.
//!
//! The shapes: narrow (8 columns, 17 row images a run), wide (228 columns), oltp (narrow, one row a run).

#![allow(clippy::unwrap_used, reason = "a bench stops at the first thing that is not as it should be")]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, StringArray};
use forebay_changelog::{Entry, Log, Options};
use forebay_model::{Batch, Block, Column, ColumnType, Kind, Origin, Position, Run, TableSchema, Txn};

/// About 1 MiB of columns.
const BLOCK_BYTES: usize = 1 << 20;

/// A shape of rows.
struct Shape {
    name: &'static str,
    table: Arc<TableSchema>,
    /// Row changes to append.
    changes: usize,
    /// Row images that one rows event has.
    images_a_run: usize,
    /// Row images a hundred changes have: an update has two.
    images_a_hundred: usize,
    image_bytes: usize,
}

fn schema(name: &str, types: Vec<ColumnType>) -> Arc<TableSchema> {
    let column =
        |(i, ty)| Column { name: format!("c{i}"), ty, nullable: i > 0, native: "as in MySQL".into() };
    let columns = types.into_iter().enumerate().map(column).collect();
    TableSchema {
        database: "bench".into(),
        table: name.into(),
        columns,
        key: vec![0],
        lineage: Default::default(),
    }
    .shared()
}

fn shapes() -> [Shape; 3] {
    use ColumnType::{DateTime, Decimal, Integer, Text, Timestamp};
    let int = |bits| Integer { bits, unsigned: false };
    let narrow = schema(
        "sbtest",
        vec![
            int(64),
            int(32),
            Text,
            Text,
            Decimal { precision: 10, scale: 2 },
            Text,
            DateTime { fsp: 3 },
            Timestamp { fsp: 0 },
        ],
    );
    let mut types = vec![int(64)];
    types.extend(std::iter::repeat_n(int(32), 212));
    types.extend(std::iter::repeat_n(Text, 8));
    types.extend(std::iter::repeat_n(Decimal { precision: 10, scale: 2 }, 3));
    types.extend(std::iter::repeat_n(Timestamp { fsp: 0 }, 3));
    types.push(DateTime { fsp: 0 });
    let wide = schema("member_scans", types);
    let shape = |name, table: &Arc<TableSchema>, changes, images_a_run, images_a_hundred, image_bytes| {
        Shape { name, table: table.clone(), changes, images_a_run, images_a_hundred, image_bytes }
    };
    [
        shape("narrow", &narrow, 1_000_000, 20, 120, 258),
        shape("wide", &wide, 100_000, 13, 130, 1134),
        shape("oltp", &narrow, 300_000, 1, 120, 270),
    ]
}

/// splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of 4,096 texts, as in the reference loads: digits in groups, as sysbench fills `c` and `pad`.
fn text(seed: u64, len: usize) -> String {
    let mut state = seed % 4096 * 7919;
    (0..len)
        .map(|i| if i % 12 == 11 { '-' } else { char::from(b'0' + (random(&mut state) % 10) as u8) })
        .collect()
}

fn column(ty: &ColumnType, nth: usize, rows: usize, state: &mut u64) -> ArrayRef {
    let numbers =
        |state: &mut u64, most: u64| (0..rows).map(|_| (random(state) % most) as i64).collect::<Vec<_>>();
    match ty {
        ColumnType::Integer { bits: 64, .. } => Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        ColumnType::Integer { .. } => {
            let most = [1_000_000, 1 << 31, 200][nth % 3];
            Arc::new(Int32Array::from_iter_values(numbers(state, most).into_iter().map(|n| n as i32)))
        }
        ColumnType::Text => {
            let len = if nth > 100 { 12 } else { [120, 60, 0, 22][(nth + 2) % 4] };
            Arc::new(StringArray::from_iter_values((0..rows).map(|_| text(random(state), len))))
        }
        ColumnType::Decimal { precision, scale } => {
            let values = numbers(state, 1_000_000).into_iter().map(i128::from);
            let array = Decimal128Array::from_iter_values(values);
            Arc::new(array.with_precision_and_scale(*precision, *scale as i8).unwrap())
        }
        _ => Arc::new(Int64Array::from_iter_values(numbers(state, 1 << 40))),
    }
}

fn block(shape: &Shape, state: &mut u64) -> Block {
    let rows = BLOCK_BYTES / shape.image_bytes;
    let mut kinds = vec![Kind::Insert; rows];
    let updates = rows * (shape.images_a_hundred - 100) / shape.images_a_hundred;
    for pair in kinds[..updates * 2].chunks_exact_mut(2) {
        pair.copy_from_slice(&[Kind::Before, Kind::After]);
    }
    let mut runs: Vec<Run> = Vec::new();
    let (mut row, mut event) = (0, 0);
    while row < rows {
        let run = Run { pos: row as u64 * 300, row: row as u32, event, nth: 0, txn: 0, seconds: 1, part: 0 };
        runs.push(run);
        let mut images = 0;
        while images < shape.images_a_run && row < rows {
            let step = if kinds[row] == Kind::Before { 2 } else { 1 };
            (images, row, event) = (images + step, row + step, event + 1);
        }
    }
    let txn = Txn { uuid: [1; 16], number: 1, commit_us: 1, thread: 1, server_id: 1, file: 0, tag: 0 };
    let origin =
        Origin { txns: vec![txn; (event as usize).div_ceil(100)], strings: vec!["binlog.000001".into()] };
    let columns = shape.table.columns.iter().enumerate();
    let columns = columns.map(|(i, c)| column(&c.ty, i, rows, state)).collect();
    let batch = Batch { table: shape.table.clone(), kinds, runs, columns, absent: Vec::new(), routing: None };
    batch.check();
    Block { first: 0, events: event, origin: Arc::new(origin), batches: vec![batch] }
}

/// User and system CPU seconds of this process, and its peak RSS in MiB.
fn used() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |i: usize| fields[i].parse::<f64>().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    (
        (ticks(11) + ticks(12)) / 100.0,
        peak.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0,
    )
}

#[allow(clippy::print_stdout, reason = "the figures are the bench's output")]
fn report(shape: &Shape, what: &str, changes: u64, cpu: f64, wall: f64, note: &str) {
    let rate = changes as f64 / cpu / 1000.0;
    let ns = cpu * 1e9 / changes as f64;
    println!("{:7} {what:12} {rate:8.0} k/CPU s {ns:7.0} ns/row {wall:6.2} s wall  {note}", shape.name);
}

async fn run(shape: &Shape) {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let path = dir.path().join("log.redb");
    let mut state = 1;
    // a few blocks, appended over and over: making them is not what is measured
    let blocks: Vec<Block> = (0..8).map(|_| block(shape, &mut state)).collect();
    let options = Options { tail_bytes: 0, ..Options::default() };

    let log = Log::open(&path, options).unwrap();
    let (cpu, started) = (used().0, Instant::now());
    let mut changes = 0;
    for nth in 0.. {
        let block = blocks[nth % blocks.len()].clone();
        changes += u64::from(block.events);
        let position = Position { pos: changes, file: "binlog.000001".into(), ..Position::default() };
        log.append(Entry { block: Some(block), position: Some(position), ..Entry::default() }).await.unwrap();
        if changes >= shape.changes as u64 {
            break;
        }
    }
    log.flush().await.unwrap();
    let s = log.state();
    let raw = blocks[0].batches[0].rows() * shape.image_bytes;
    let note = format!(
        "{} blocks of {} kB, {} commits, stored {:.0} B/row, file {:.2}x",
        s.blocks,
        raw / 1000,
        s.commits,
        s.bytes as f64 / changes as f64,
        s.file_bytes as f64 / s.bytes as f64
    );
    report(shape, "append", changes, used().0 - cpu, started.elapsed().as_secs_f64(), &note);

    let (cpu, started) = (used().0, Instant::now());
    let mut reader = log.reader(0).unwrap();
    let mut read = 0;
    while let Some(block) = reader.try_next().await.unwrap() {
        read += u64::from(block.events);
    }
    assert_eq!(read, changes);
    let note = format!("peak RSS {:.0} MiB (with 8 blocks of input)", used().1);
    report(shape, "read (file)", changes, used().0 - cpu, started.elapsed().as_secs_f64(), &note);
    log.close().await.unwrap();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    for shape in shapes().iter().filter(|shape| only.as_ref().is_none_or(|only| only == shape.name)) {
        for _ in 0..3 {
            runtime.block_on(run(shape));
        }
    }
}
