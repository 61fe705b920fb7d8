//! Blocks for tests: numbered ones, whose events are known by an id, and arbitrary ones with every type.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Int32Array, Int64Array, PrimitiveArray, StringArray, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, i256};
use arrow_schema::DataType;
use forebay_model::{Batch, Block, Column, ColumnType, Kind, Origin, Run, TableSchema, Txn};

/// A small generator (splitmix64): the same seed gives the same blocks.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Text of `len` characters that LZ4 cannot shrink, or of one that it can.
    pub(crate) fn text(&mut self, len: usize, random: bool) -> String {
        (0..len).map(|_| if random { char::from(b' ' + (self.next() % 95) as u8) } else { 'a' }).collect()
    }
}

pub(crate) fn table(name: &str, columns: Vec<ColumnType>) -> Arc<TableSchema> {
    let columns = columns.into_iter().enumerate().map(|(i, ty)| Column {
        name: format!("c{i}"),
        ty,
        nullable: i > 0,
        native: "as in MySQL".into(),
    });
    let (database, columns) = ("shop".into(), columns.collect());
    TableSchema { database, table: name.into(), columns, key: vec![0], lineage: Default::default() }.shared()
}

/// The table of numbered blocks: an id and a text.
pub(crate) fn numbered_table(name: &str) -> Arc<TableSchema> {
    table(name, vec![ColumnType::Integer { bits: 64, unsigned: false }, ColumnType::Text])
}

pub(crate) fn txn(commit_us: u64) -> Txn {
    Txn { uuid: [7; 16], number: 1, commit_us, thread: 3, server_id: 1, file: 0, tag: 0 }
}

/// One insert for each id, in one transaction of one table, with about `bytes` of text each that LZ4 cannot shrink.
pub(crate) fn numbered(name: &str, ids: std::ops::Range<i64>, bytes: usize, commit_us: u64) -> Block {
    let rows = (ids.end - ids.start) as usize;
    let mut rng = Rng(ids.start as u64);
    let texts: Vec<String> = (0..rows).map(|_| rng.text(bytes, true)).collect();
    let batch = Batch {
        table: numbered_table(name),
        kinds: vec![Kind::Insert; rows],
        runs: vec![Run { pos: 4, row: 0, event: 0, nth: 0, txn: 0, seconds: 0, part: 0 }],
        columns: vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(StringArray::from_iter_values(texts)),
        ],
        absent: Vec::new(),
        routing: None,
    };
    let origin = Origin { txns: vec![txn(commit_us)], strings: vec!["binlog.000001".into()] };
    Block { first: 0, events: rows as u32, origin: Arc::new(origin), batches: vec![batch] }
}

/// The ids of a block of [`numbered`] rows, in offset order.
pub(crate) fn ids(block: &Block) -> Vec<i64> {
    block.batches.iter().flat_map(|b| b.columns[0].as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Every type of column.
pub(crate) fn every_type() -> Vec<ColumnType> {
    let mut types = Vec::new();
    for bits in [8, 16, 24, 32, 64] {
        types.extend([false, true].map(|unsigned| ColumnType::Integer { bits, unsigned }));
    }
    types.extend([ColumnType::Year, ColumnType::Float, ColumnType::Double, ColumnType::Bit { bits: 64 }]);
    types.extend(
        [(10, 2), (38, 0), (39, 5), (65, 30)].map(|(p, s)| ColumnType::Decimal { precision: p, scale: s }),
    );
    types.extend([ColumnType::Date, ColumnType::Time { fsp: 6 }, ColumnType::DateTime { fsp: 0 }]);
    types.extend([ColumnType::Timestamp { fsp: 3 }, ColumnType::Text, ColumnType::Json, ColumnType::Binary]);
    types.extend([ColumnType::Geometry, ColumnType::Vector]);
    let members: Vec<String> = vec!["a".into(), "ü".into()];
    types.extend([ColumnType::Enum { members: members.clone() }, ColumnType::Set { members }]);
    types
}

/// An array of a layout with arbitrary cells: with or without NULLs, sliced or not.
fn cells(rng: &mut Rng, layout: &DataType, rows: usize) -> ArrayRef {
    let (before, after) = if rng.below(2) == 0 { (0, 0) } else { (rng.below(20), rng.below(20)) };
    let len = before + rows + after;
    let nulls = rng.below(3);
    let some = |rng: &mut Rng| match nulls {
        0 => true,
        1 => rng.below(3) > 0,
        _ => false,
    };
    macro_rules! fixed {
        ($array:ty, $make:expr) => {{
            let values: Vec<_> = (0..len).map(|_| some(rng).then(|| $make(rng.next()))).collect();
            Arc::new(values.into_iter().collect::<$array>()) as ArrayRef
        }};
    }
    let array: ArrayRef = match *layout {
        DataType::Int32 => fixed!(Int32Array, |n| n as i32),
        DataType::Int64 => fixed!(Int64Array, |n| n as i64),
        DataType::UInt64 => fixed!(UInt64Array, |n| n),
        DataType::Float32 => fixed!(PrimitiveArray<Float32Type>, |n| n as f32 / 3.0),
        DataType::Float64 => fixed!(PrimitiveArray<Float64Type>, |n| n as f64 / 3.0),
        DataType::Decimal128(precision, scale) => {
            let values: Vec<_> = (0..len).map(|_| some(rng).then(|| i128::from(rng.next() as i64))).collect();
            let array: PrimitiveArray<Decimal128Type> = values.into_iter().collect();
            Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
        }
        DataType::Decimal256(precision, scale) => {
            let make = |rng: &mut Rng| i256::from_i128(i128::from(rng.next()) << 60);
            let values: Vec<_> = (0..len).map(|_| some(rng).then(|| make(rng))).collect();
            let array: PrimitiveArray<Decimal256Type> = values.into_iter().collect();
            Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
        }
        DataType::Utf8 => {
            let word = |rng: &mut Rng| ["", "x", "grüße", "東京", "longer than others"][rng.below(5)];
            Arc::new((0..len).map(|_| some(rng).then(|| word(rng))).collect::<StringArray>())
        }
        DataType::Binary => {
            let bytes = |rng: &mut Rng| vec![rng.next() as u8; rng.below(9)];
            Arc::new((0..len).map(|_| some(rng).then(|| bytes(rng))).collect::<BinaryArray>())
        }
        ref other => panic!("no type is laid out as {other}"),
    };
    array.slice(before, rows)
}

/// An arbitrary batch of a table whose events start at `event`; returns it with how many events it has.
fn batch(rng: &mut Rng, table: Arc<TableSchema>, event: u32, txns: usize, most: usize) -> (Batch, u32) {
    let mut kinds = Vec::new();
    let mut runs = Vec::new();
    let mut events = event;
    for _ in 0..1 + rng.below(3) {
        let run = Run {
            pos: rng.next(),
            row: kinds.len() as u32,
            event: events,
            nth: rng.below(5) as u32,
            txn: rng.below(txns) as u32,
            seconds: rng.next() as u32,
            part: 0,
        };
        runs.push(run);
        for _ in 0..1 + rng.below(most) {
            match rng.below(4) {
                0 => kinds.push(Kind::Snapshot),
                1 => kinds.push(Kind::Insert),
                2 => kinds.push(Kind::Delete),
                _ => kinds.extend([Kind::Before, Kind::After]),
            }
            events += 1;
        }
    }
    let rows = kinds.len();
    let columns: Vec<ArrayRef> = table.columns.iter().map(|c| cells(rng, &c.ty.layout(), rows)).collect();
    let absent = match rng.below(3) {
        0 => Vec::new(),
        _ => columns
            .iter()
            .map(|column| {
                // absent cells are NULL too
                let nulls = column.nulls().filter(|_| rng.below(2) == 0)?;
                Some(BooleanBuffer::collect_bool(rows, |row| nulls.is_null(row) && row % 2 == 0))
            })
            .collect(),
    };
    (Batch { table, kinds, runs, columns, absent, routing: None }, events - event)
}

/// An arbitrary block of several tables, with about `most` events a run.
pub(crate) fn arbitrary(rng: &mut Rng, most: usize) -> Block {
    let txns: Vec<Txn> =
        (0..1 + rng.below(3)).map(|i| Txn { tag: (i % 2) as u32, ..txn(rng.next()) }).collect();
    let mut batches = Vec::new();
    let mut events = 0;
    for n in 0..1 + rng.below(3) {
        let types = if n == 0 { every_type() } else { vec![every_type().swap_remove(rng.below(20))] };
        let (batch, more) = batch(rng, table(&format!("t{n}"), types), events, txns.len(), most);
        batch.check();
        events += more;
        batches.push(batch);
    }
    let strings = vec!["binlog.000001".into(), String::new()];
    Block { first: rng.next() >> 1, events, origin: Arc::new(Origin { txns, strings }), batches }
}

/// Panics unless the blocks are the same in everything.
pub(crate) fn assert_same(a: &Block, b: &Block) {
    assert_eq!((a.first, a.events, &a.origin), (b.first, b.events, &b.origin));
    assert_eq!(a.batches.len(), b.batches.len());
    for (a, b) in a.batches.iter().zip(&b.batches) {
        b.check();
        assert_eq!((&a.table, &a.kinds, &a.runs), (&b.table, &b.kinds, &b.runs));
        for (i, (a, b)) in a.columns.iter().zip(&b.columns).enumerate() {
            assert_eq!(a.as_ref(), b.as_ref(), "column {i}");
        }
        assert_eq!(a.absent, b.absent);
    }
}
