//! What the stream has touched while a chunk was read: rows that it already tells, and that the chunk must not.
//!
//! A row is known by a hash of 128 bits of its key's cells, with keys that are this process's own: a false match would need
//! some 2^64 rows. The cells are compared as the decoder gives them, bit by bit, though the server may hold `abc` and
//! `ABC` for one key; see the argument in the [module's](super) text.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use forebay_model::{Batch, Kind};

/// Keys that a window holds before its chunk is void.
const MOST: usize = 500_000;

/// The hash of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Hasher(RandomState, RandomState, Vec<u8>);

impl Hasher {
    /// Of a row's key columns; `None` if one of them is absent.
    fn key(&mut self, batch: &Batch, columns: &[usize], row: usize) -> Option<u128> {
        let Hasher(low, high, bytes) = self;
        bytes.clear();
        for &column in columns {
            if batch.is_absent(column, row) {
                return None;
            }
            push_cell(&batch.columns[column], row, bytes);
        }
        Some(u128::from(low.hash_one(&bytes)) | u128::from(high.hash_one(&bytes)) << 64)
    }

    /// Which of the batch's rows are not in `touched`.
    pub(super) fn untouched(&mut self, batch: &Batch, columns: &[usize], touched: &Touched) -> Vec<bool> {
        let keep = |row| self.key(batch, columns, row).is_none_or(|key| !touched.keys.contains(&key));
        (0..batch.rows()).map(keep).collect()
    }
}

/// The keys of a table that events have touched since a moment.
#[derive(Debug, Default)]
pub(super) struct Touched {
    keys: HashSet<u128>,
    /// There was an event whose key could not be told, or there were too many.
    pub(super) void: bool,
    /// There was an event at all.
    pub(super) any: bool,
}

impl Touched {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes the events of a batch of the table whose key has these columns.
    pub(super) fn take(&mut self, batch: &Batch, names: &[String], hasher: &mut Hasher) {
        self.any |= batch.rows() > 0;
        if self.void {
            return;
        }
        let columns: Option<Vec<usize>> = names.iter().map(|name| batch.table.column(name)).collect();
        let Some(columns) = columns else {
            self.void = true;
            return;
        };
        for row in 0..batch.rows() {
            match hasher.key(batch, &columns, row) {
                Some(key) => {
                    self.keys.insert(key);
                }
                // a minimal after image without the key: it is the before image's
                None if batch.kinds[row] == Kind::After => {}
                None => self.void = true,
            }
        }
        if self.keys.len() > MOST {
            self.void = true;
        }
        if self.void {
            self.keys = HashSet::new();
        }
    }
}

/// Appends a cell so that different ones differ, also beside other cells. Integers look the same in whatever layout.
fn push_cell(array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    use arrow_array::types::*;
    if array.is_null(row) {
        out.push(0);
        return;
    }
    out.push(1);
    macro_rules! fixed {
        ($kind:ty) => {
            out.extend_from_slice(&array.as_primitive::<$kind>().value(row).to_le_bytes())
        };
    }
    let mut counted = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match array.data_type() {
        DataType::Int32 => {
            out.extend_from_slice(&i64::from(array.as_primitive::<Int32Type>().value(row)).to_le_bytes())
        }
        DataType::Int64 => fixed!(Int64Type),
        DataType::UInt64 => fixed!(UInt64Type),
        DataType::Float32 => fixed!(Float32Type),
        DataType::Float64 => fixed!(Float64Type),
        DataType::Decimal128(..) => fixed!(Decimal128Type),
        DataType::Decimal256(..) => fixed!(Decimal256Type),
        DataType::Binary => counted(array.as_binary::<i32>().value(row)),
        _ => counted(array.as_string::<i32>().value(row).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, StringArray};
    use arrow_buffer::BooleanBuffer;
    use forebay_model::{Column, ColumnType, Run, TableSchema};

    use super::*;

    fn batch(rows: &[(Kind, i32, &str)]) -> Batch {
        let column =
            |name: &str, ty| Column { name: name.into(), ty, nullable: false, native: String::new() };
        let table = TableSchema {
            database: "d".into(),
            table: "t".into(),
            columns: vec![
                column("n", ColumnType::Integer { bits: 32, unsigned: false }),
                column("s", ColumnType::Text),
            ],
            key: vec![1, 0],
            lineage: Default::default(),
        };
        Batch {
            table: table.shared(),
            kinds: rows.iter().map(|r| r.0).collect(),
            runs: vec![Run { pos: 0, row: 0, event: 0, nth: 0, txn: 0, seconds: 0, part: 0 }],
            columns: vec![
                Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.1))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))),
            ],
            absent: Vec::new(),
            routing: None,
        }
    }

    fn kept(events: &Batch, chunk: &Batch) -> Vec<bool> {
        let (mut hasher, mut touched) = (Hasher::default(), Touched::default());
        touched.take(events, &["s".into(), "n".into()], &mut hasher);
        assert!(!touched.void && touched.any);
        hasher.untouched(chunk, &[1, 0], &touched)
    }

    #[test]
    fn rows_of_both_images_are_touched() {
        let chunk = batch(&[(Kind::Snapshot, 1, "a"), (Kind::Snapshot, 1, "A"), (Kind::Snapshot, 2, "a")]);
        let events = batch(&[(Kind::Before, 1, "a"), (Kind::After, 2, "a"), (Kind::Delete, 7, "")]);
        assert_eq!(kept(&events, &chunk), [false, true, false]);
        let events = batch(&[(Kind::Insert, 1, "A")]);
        assert_eq!(kept(&events, &chunk), [true, false, true]);
    }

    #[test]
    fn an_event_without_its_key_voids_the_chunk() {
        let (mut hasher, mut touched) = (Hasher::default(), Touched::default());
        let mut update = batch(&[(Kind::Before, 1, "a"), (Kind::After, 0, "")]);
        let absent = |bits: [bool; 2]| Some(BooleanBuffer::from_iter(bits));
        update.absent = vec![absent([false, true]), absent([false, true])];
        touched.take(&update, &["n".into()], &mut hasher);
        assert!(!touched.void && !touched.is_empty());
        update.absent = vec![absent([true, false]), None];
        touched.take(&update, &["n".into()], &mut hasher);
        assert!(touched.void);
        let mut touched = Touched::default();
        touched.take(&update, &["gone".into()], &mut hasher);
        assert!(touched.void);
    }
}
