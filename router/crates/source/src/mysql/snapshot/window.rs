//! What the stream has touched while a chunk was read: rows, or columns of them, that it already tells, and that the chunk must
//! not.
//!
//! A row is known by a hash of 128 bits of its key's cells, with keys that are this process's own: a false match would need
//! some 2^64 rows. The cells are compared as the decoder gives them, bit by bit, though the server may hold `abc` and
//! `ABC` for one key; see the argument in the [module's](super) text.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use forebay_model::{Batch, Kind, TableSchema, keep_images, leave_out};

/// Keys that a window holds before its chunk is void.
const MOST: usize = 500_000;

/// The hash of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Hasher(RandomState, RandomState, Vec<u8>);

impl Hasher {
    /// Of a row's key columns; those that it lacks are those of the row `before`. `None` if one is absent in both.
    fn key(&mut self, batch: &Batch, columns: &[usize], row: usize, before: Option<usize>) -> Option<u128> {
        let Hasher(low, high, bytes) = self;
        bytes.clear();
        for &column in columns {
            let rows = [Some(row), before].into_iter().flatten();
            let row = rows.into_iter().find(|&row| !batch.is_absent(column, row))?;
            push_cell(&batch.columns[column], row, bytes);
        }
        Some(u128::from(low.hash_one(&bytes)) | u128::from(high.hash_one(&bytes)) << 64)
    }

    /// What of a chunk's rows the stream has not told. `key` has the places of the key's columns.
    pub(super) fn untold(&mut self, mut batch: Batch, key: &[usize], touched: &Touched) -> Batch {
        if touched.is_empty() {
            return batch;
        }
        let others: Vec<usize> = (0..batch.columns.len()).filter(|c| !key.contains(c)).collect();
        let mut keep = vec![true; batch.rows()];
        let mut parts: Vec<(usize, &Columns)> = Vec::new();
        for (row, keep) in keep.iter_mut().enumerate() {
            let Some(hash) = self.key(&batch, key, row, None) else { continue };
            match touched.parts.get(&hash) {
                Some(told) if others.iter().all(|&c| told.has(c)) => *keep = false,
                Some(told) => parts.push((row, told)),
                None => *keep = !touched.keys.contains(&hash),
            }
        }
        for column in others {
            let told: HashSet<usize> =
                parts.iter().filter(|(_, told)| told.has(column)).map(|&(row, _)| row).collect();
            if !told.is_empty() {
                let cells = BooleanBuffer::collect_bool(keep.len(), |row| told.contains(&row));
                leave_out(&mut batch, column, cells);
            }
        }
        keep_images(&batch, &keep).batch
    }
}

/// Some columns of a table, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Columns(Box<[u64]>);

impl Columns {
    fn has(&self, column: usize) -> bool {
        self.0[column / 64] >> (column % 64) & 1 == 1
    }

    fn add(&mut self, other: &Columns) {
        self.0.iter_mut().zip(&other.0).for_each(|(bits, other)| *bits |= other);
    }
}

/// The rows of a table that events have touched since a moment.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Keys of rows that the events tell wholly: what they hold, or that they are gone.
    keys: HashSet<u128>,
    /// Of rows whose events lack columns (minimal row images): those that they have.
    parts: HashMap<u128, Columns>,
    /// There was an event whose key could not be told, or there were too many.
    pub(super) void: bool,
    /// There was an event at all.
    pub(super) any: bool,
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.parts.is_empty()
    }

    /// Takes the events of a batch of `table`, whose key has these columns.
    pub(super) fn take(&mut self, batch: &Batch, table: &TableSchema, key: &[String], hasher: &mut Hasher) {
        self.any |= batch.rows() > 0;
        if self.void {
            return;
        }
        if self.take_all(batch, table, key, hasher).is_none() || self.keys.len() + self.parts.len() > MOST {
            *self = Touched { void: true, any: self.any, ..Touched::default() };
        }
    }

    /// `None` if a row's key cannot be told.
    fn take_all(
        &mut self,
        batch: &Batch,
        table: &TableSchema,
        key: &[String],
        hasher: &mut Hasher,
    ) -> Option<()> {
        let key: Vec<usize> = key.iter().map(|name| batch.table.column(name)).collect::<Option<_>>()?;
        let of_table = |column: &forebay_model::Column| table.column(&column.name);
        // the places that the batch's columns have in `table`
        let places: Vec<Option<usize>> = match batch.absent.is_empty() {
            true => Vec::new(),
            false => batch.table.columns.iter().map(of_table).collect(),
        };
        let told = |row: usize| -> Option<Columns> {
            let lacks = |column: usize| batch.is_absent(column, row) && !batch.is_partial(column, row);
            if !(0..places.len()).any(|column| !key.contains(&column) && lacks(column)) {
                return None;
            }
            let mut bits = vec![0; table.columns.len().div_ceil(64)];
            let there = places.iter().enumerate().filter(|(column, _)| !lacks(*column));
            there.filter_map(|(_, place)| *place).for_each(|place| bits[place / 64] |= 1 << (place % 64));
            Some(Columns(bits.into()))
        };
        let mut was = 0;
        for row in 0..batch.rows() {
            let before = if batch.kinds[row] == Kind::After { row.checked_sub(1) } else { None };
            let is = hasher.key(batch, &key, row, before)?;
            match batch.kinds[row] {
                // what became of the row its after image says
                Kind::Before => was = is,
                Kind::After => {
                    if is != was {
                        self.whole(was);
                    }
                    self.tell(is, told(row));
                }
                Kind::Insert | Kind::Snapshot => self.tell(is, told(row)),
                Kind::Delete => self.whole(is),
            }
        }
        Some(())
    }

    fn whole(&mut self, key: u128) {
        self.parts.remove(&key);
        self.keys.insert(key);
    }

    /// An image tells these columns of a row, or all.
    fn tell(&mut self, key: u128, told: Option<Columns>) {
        match told {
            None => self.whole(key),
            // an event before has told the others
            Some(_) if self.keys.contains(&key) => {}
            Some(told) => {
                self.parts.entry(key).and_modify(|all| all.add(&told)).or_insert(told);
            }
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

    const KEY: [&str; 2] = ["s", "n"];

    fn touch(touched: &mut Touched, events: &Batch, key: &[&str], hasher: &mut Hasher) {
        let key: Vec<String> = key.iter().map(|&name| name.to_owned()).collect();
        touched.take(events, &events.table, &key, hasher);
    }

    fn kept(events: &Batch, chunk: &Batch) -> Vec<String> {
        let (mut hasher, mut touched) = (Hasher::default(), Touched::default());
        touch(&mut touched, events, &KEY, &mut hasher);
        assert!(!touched.void && touched.any);
        let left = hasher.untold(chunk.clone(), &[1, 0], &touched);
        left.check();
        let (numbers, texts) = (
            left.columns[0].as_primitive::<arrow_array::types::Int32Type>(),
            left.columns[1].as_string::<i32>(),
        );
        (0..left.rows()).map(|row| format!("{}{}", numbers.value(row), texts.value(row))).collect()
    }

    #[test]
    fn rows_of_both_images_are_touched() {
        let chunk = batch(&[(Kind::Snapshot, 1, "a"), (Kind::Snapshot, 1, "A"), (Kind::Snapshot, 2, "a")]);
        let events = batch(&[(Kind::Before, 1, "a"), (Kind::After, 2, "a"), (Kind::Delete, 7, "")]);
        assert_eq!(kept(&events, &chunk), ["1A"]);
        let events = batch(&[(Kind::Insert, 1, "A")]);
        assert_eq!(kept(&events, &chunk), ["1a", "2a"]);
    }

    #[test]
    fn a_key_of_which_an_update_has_a_part_is_whole_with_what_it_was() {
        let chunk = batch(&[(Kind::Snapshot, 1, "a"), (Kind::Snapshot, 1, "b"), (Kind::Snapshot, 2, "a")]);
        let mut events = batch(&[(Kind::Before, 1, "a"), (Kind::After, 0, "b")]);
        leave_out(&mut events, 0, BooleanBuffer::from_iter([false, true]));
        assert_eq!(kept(&events, &chunk), ["2a"]);
    }

    fn absent<const N: usize>(bits: [bool; N]) -> Option<BooleanBuffer> {
        Some(BooleanBuffer::from_iter(bits))
    }

    #[test]
    fn an_event_without_its_key_voids_the_chunk() {
        let (mut hasher, mut touched) = (Hasher::default(), Touched::default());
        let mut update = batch(&[(Kind::Before, 1, "a"), (Kind::After, 0, "")]);
        update.absent = vec![absent([false, true]), absent([false, true])];
        touch(&mut touched, &update, &["n"], &mut hasher);
        assert!(!touched.void && !touched.is_empty());
        update.absent = vec![absent([true, false]), None];
        touch(&mut touched, &update, &["n"], &mut hasher);
        assert!(touched.void);
        let mut touched = Touched::default();
        touch(&mut touched, &update, &["gone"], &mut hasher);
        assert!(touched.void);
    }

    /// What is left of rows 1, 2 and 3, whose key is `n`, behind these events. `.` = an event lacks the text, `?` = it is partial.
    fn left(events: &[(Kind, i32, &str)]) -> String {
        let (mut hasher, mut touched) = (Hasher::default(), Touched::default());
        let mut events = batch(events);
        let texts = events.columns[1].as_string::<i32>().clone();
        let is = |what: &'static str| texts.iter().map(move |text| text == Some(what));
        let lacking: BooleanBuffer =
            is(".").zip(is("?")).map(|(absent, partial)| absent || partial).collect();
        let lacks: BooleanBuffer = is(".").collect();
        leave_out(&mut events, 1, lacks);
        events.absent[1] = Some(lacking);
        touch(&mut touched, &events, &["n"], &mut hasher);
        let mut chunk =
            batch(&[(Kind::Snapshot, 1, "a"), (Kind::Snapshot, 2, "b"), (Kind::Snapshot, 3, "c")]);
        // a column that no event has
        let more = Column { name: "m".into(), ..chunk.table.columns[1].clone() };
        let mut table = (*chunk.table).clone();
        table.columns.push(more);
        chunk.table = table.shared();
        chunk.columns.push(chunk.columns[1].clone());
        let rows = hasher.untold(chunk, &[0], &touched);
        rows.check();
        let cell = |column: usize, row: usize| match rows.is_absent(column, row) {
            true => ".",
            false => rows.columns[column].as_string::<i32>().value(row),
        };
        let numbers = rows.columns[0].as_primitive::<arrow_array::types::Int32Type>();
        let row = |row| format!("{}{}", numbers.value(row), cell(1, row));
        (0..rows.rows()).map(row).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_chunk_tells_what_events_lack() {
        use Kind::*;
        assert_eq!(left(&[(Before, 2, "."), (After, 2, "x")]), "1a 3c", "told wholly");
        assert_eq!(left(&[(Before, 2, "."), (After, 2, ".")]), "1a 2b 3c", "nothing told");
        assert_eq!(left(&[(Before, 2, "."), (After, 2, "?")]), "1a 3c", "what it was it is not any more");
        assert_eq!(left(&[(Before, 2, "."), (After, 2, "."), (Delete, 2, ".")]), "1a 3c", "gone");
        assert_eq!(left(&[(Delete, 2, "."), (Insert, 2, ".")]), "1a 3c", "another row");
        assert_eq!(left(&[(Insert, 2, "x"), (Before, 2, "."), (After, 2, ".")]), "1a 3c", "told before");
        assert_eq!(left(&[(Before, 2, "."), (After, 9, ".")]), "1a 3c", "moved away");
        assert_eq!(left(&[(Before, 9, "."), (After, 2, ".")]), "1a 2b 3c", "moved here");
    }
}
