//! Small blocks, written by hand: for the conformance suite and for tests of sinks and formats.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Decimal128Builder, Decimal256Builder, Float32Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::i256;
use arrow_schema::DataType;
use forebay_model::{Batch, Block, Column, ColumnType, Kind, Offset, Origin, Run, TableSchema, Txn};

/// A value as its column's layout holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Not in the row image.
    Absent,
    /// Changed to what is not known; of texts.
    Partial,
    /// Whatever is laid out as a signed integer, dates and times included.
    Int(i64),
    /// BIGINT UNSIGNED and BIT.
    UInt(u64),
    /// FLOAT and DOUBLE.
    Float(f64),
    /// DECIMAL: the unscaled digits, with a sign.
    Decimal(String),
    /// Everything of text.
    Text(String),
    /// Everything of bytes.
    Bytes(Vec<u8>),
}

/// One event.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its table.
    pub table: Arc<TableSchema>,
    /// Its offset, less the block's first.
    pub event: u32,
    /// See [`Run::part`].
    pub part: u32,
    /// Its one or two images.
    pub images: Vec<(Kind, Vec<Cell>)>,
}

/// A table `db.name` with the given columns, all of them nullable; the first is the key.
pub fn table(name: &str, columns: &[(&str, ColumnType)]) -> Arc<TableSchema> {
    let columns = columns
        .iter()
        .map(|(name, ty)| Column {
            name: (*name).into(),
            ty: ty.clone(),
            nullable: true,
            native: String::new(),
        })
        .collect();
    TableSchema {
        database: "db".into(),
        table: name.into(),
        columns,
        key: vec![0],
        lineage: Default::default(),
    }
    .shared()
}

/// MySQL's packed DATE.
pub fn packed_date(year: i64, month: i64, day: i64) -> i64 {
    year << 9 | month << 5 | day
}

/// MySQL's packed DATETIME.
pub fn packed_datetime(date: (i64, i64, i64), time: (i64, i64, i64), micros: i64) -> i64 {
    let days = (date.0 * 13 + date.1) << 5 | date.2;
    (days << 17 | time.0 << 12 | time.1 << 6 | time.2) << 24 | micros
}

/// The origin of [`block`]: one transaction with a GTID in `binlog.000007`.
pub fn origin() -> Arc<Origin> {
    let uuid = *b"\x3e\x11\xfa\x47\x71\xca\x11\xe1\x9e\x33\xc8\x0a\xa9\x42\x95\x62";
    let txn =
        Txn { uuid, number: 23, commit_us: 1_795_000_000_123_456, thread: 42, server_id: 7, file: 0, tag: 0 };
    Arc::new(Origin { txns: vec![txn], strings: vec!["binlog.000007".into()] })
}

/// A block of `events` offsets with these changes, given in offset order: each a run of its own.
pub fn block(first: Offset, events: u32, changes: &[Change]) -> Block {
    let mut tables: Vec<Arc<TableSchema>> = Vec::new();
    for change in changes {
        if !tables.iter().any(|known| Arc::ptr_eq(known, &change.table)) {
            tables.push(change.table.clone());
        }
    }
    let batches = tables
        .iter()
        .map(|table| batch(table, changes.iter().filter(|change| Arc::ptr_eq(&change.table, table))))
        .collect();
    Block { first, events, origin: origin(), batches }
}

/// A batch of the changes.
pub fn batch<'a>(table: &Arc<TableSchema>, changes: impl Iterator<Item = &'a Change>) -> Batch {
    let (mut kinds, mut runs, mut rows) = (Vec::new(), Vec::new(), Vec::<&[Cell]>::new());
    for change in changes {
        runs.push(Run {
            pos: 1000 + u64::from(change.event),
            row: kinds.len() as u32,
            event: change.event,
            nth: change.event % 3,
            txn: 0,
            seconds: 1_795_000_000,
            part: change.part,
        });
        for (kind, cells) in &change.images {
            assert_eq!(cells.len(), table.columns.len(), "a cell for each column");
            kinds.push(*kind);
            rows.push(cells);
        }
    }
    let columns: Vec<ArrayRef> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| array(&column.ty, rows.iter().map(|row| &row[i])))
        .collect();
    let absent = (0..table.columns.len())
        .map(|i| {
            let bits: Vec<bool> =
                rows.iter().map(|row| matches!(row[i], Cell::Absent | Cell::Partial)).collect();
            bits.contains(&true).then(|| BooleanArray::from(bits).values().clone())
        })
        .collect();
    let batch = Batch { table: table.clone(), kinds, runs, columns, absent, routing: None };
    batch.check();
    batch
}

fn array<'a>(ty: &ColumnType, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    macro_rules! build {
        ($builder:expr, $($pattern:pat => $value:expr),+) => {{
            let mut builder = $builder;
            for cell in cells {
                match cell {
                    Cell::Null | Cell::Absent => builder.append_null(),
                    $($pattern => builder.append_value($value),)+
                    other => panic!("{other:?} in a column of {ty:?}"),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    let digits = |text: &str| i256::from_string(text).expect("digits");
    match ty.layout() {
        DataType::Int32 => build!(Int32Builder::new(), Cell::Int(n) => i32::try_from(*n).expect("32 bits")),
        DataType::Int64 => build!(Int64Builder::new(), Cell::Int(n) => *n),
        DataType::UInt64 => build!(UInt64Builder::new(), Cell::UInt(n) => *n),
        DataType::Float32 => build!(Float32Builder::new(), Cell::Float(n) => *n as f32),
        DataType::Float64 => build!(Float64Builder::new(), Cell::Float(n) => *n),
        DataType::Decimal128(..) => {
            let builder = Decimal128Builder::new().with_data_type(ty.layout());
            build!(builder, Cell::Decimal(text) => digits(text).to_i128().expect("38 digits"))
        }
        DataType::Decimal256(..) => {
            let builder = Decimal256Builder::new().with_data_type(ty.layout());
            build!(builder, Cell::Decimal(text) => digits(text))
        }
        DataType::Utf8 => build!(StringBuilder::new(), Cell::Text(text) => text, Cell::Partial => "null"),
        DataType::Binary => build!(BinaryBuilder::new(), Cell::Bytes(bytes) => bytes),
        other => panic!("no column is laid out as {other}"),
    }
}
