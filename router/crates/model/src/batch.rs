//! Row images of one table, in columns.
//!
//! The rows of a [`Batch`] are row *images*: an insert, a snapshot read and a delete have one, an update has two
//! (before, then after, adjacent). A filter or a mask is thereby a function of one image. What the images
//! mean together is read back as [`ChangeEvent`]s.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use bytemuck::{Pod, Zeroable};

use crate::TableSchema;

/// What a row image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Read by a snapshot.
    Snapshot = 0,
    /// Inserted.
    Insert = 1,
    /// The row as it was before an update; an [`Kind::After`] follows.
    Before = 2,
    /// The row as it is after an update; a [`Kind::Before`] precedes.
    After = 3,
    /// The row as it was when deleted.
    Delete = 4,
}

impl Kind {
    /// The kind with this number, as stored and as plugins see it.
    pub fn from_u8(n: u8) -> Option<Kind> {
        Some(match n {
            0 => Kind::Snapshot,
            1 => Kind::Insert,
            2 => Kind::Before,
            3 => Kind::After,
            4 => Kind::Delete,
            _ => return None,
        })
    }
}

/// Events that follow each other in one batch with dense offsets, from one rows event of the binlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Run {
    /// Where the rows event starts in its file ([`Txn::file`](crate::Txn)), as Debezium's `source.pos`.
    pub pos: u64,
    /// The first row image in the batch.
    pub row: u32,
    /// The first event's offset, less the block's first offset.
    pub event: u32,
    /// The first event's index among the rows of its rows event (Debezium's `source.row`).
    pub nth: u32,
    /// Index into the block's transactions.
    pub txn: u32,
    /// The rows event's own time, in seconds since 1970.
    pub seconds: u32,
    /// 0, or 1 for the second of two events that share an offset (see [`split_key_changes`](crate::split_key_changes)).
    pub part: u32,
}

/// Row images of one version of one table.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the columns are.
    pub table: Arc<TableSchema>,
    /// One for each image.
    pub kinds: Vec<Kind>,
    /// In row order; the first starts at row 0, each ends where the next starts.
    pub runs: Vec<Run>,
    /// One for each column of `table`, laid out as its [`layout`](crate::ColumnType::layout) says. NULL is Arrow's
    /// null.
    pub columns: Vec<ArrayRef>,
    /// Empty, or one for each column: `Some` where some image lacks the column (a minimal row image), with a
    /// bit set for each cell that is absent. An absent cell is also an Arrow null, unless it is
    /// [partial](Batch::is_partial).
    pub absent: Vec<Option<BooleanBuffer>>,
    /// Where each image goes, if a transform chose that by the row's content: what the sink puts behind the name of its
    /// destination. Texts; NULL = the destination itself.
    pub routing: Option<ArrayRef>,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Read by a snapshot: `after` only.
    Read,
    /// Inserted: `after` only.
    Create,
    /// Updated: both images.
    Update,
    /// Deleted: `before` only.
    Delete,
}

/// One change event, as rows of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The event's offset, less the block's first offset.
    pub event: u32,
    /// See [`Run::part`].
    pub part: u32,
    /// What happened.
    pub op: Op,
    /// The row image before the change.
    pub before: Option<u32>,
    /// The row image after the change.
    pub after: Option<u32>,
    /// The run it belongs to.
    pub run: u32,
    /// Its index among the rows of its rows event.
    pub nth: u32,
}

impl Batch {
    /// How many row images.
    pub fn rows(&self) -> usize {
        self.kinds.len()
    }

    /// Whether the cell is absent from its image (a minimal row image): neither a value nor NULL.
    pub fn is_absent(&self, column: usize, row: usize) -> bool {
        matches!(self.absent.get(column), Some(Some(bits)) if bits.value(row))
    }

    /// Whether the cell has changed, and the binlog holds only what changed in it (a difference of JSON values, without the value
    /// before): to what is not known. Such a cell is absent, and what stands in its place, which is no Arrow null, means nothing.
    pub fn is_partial(&self, column: usize, row: usize) -> bool {
        self.is_absent(column, row) && self.columns[column].is_valid(row)
    }

    /// The cells of a column that are [partial](Self::is_partial), if there are any.
    pub fn partial(&self, column: usize) -> Option<BooleanBuffer> {
        let absent = self.absent.get(column)?.as_ref()?;
        let bits = match self.columns[column].nulls() {
            Some(nulls) => absent & nulls.inner(),
            None => absent.clone(),
        };
        (bits.count_set_bits() > 0).then_some(bits)
    }

    /// Where the image goes behind the name of the destination, if a transform chose that.
    pub fn routing(&self, row: usize) -> Option<&str> {
        let routing = self.routing.as_ref()?;
        routing.is_valid(row).then(|| routing.as_string::<i32>().value(row))
    }

    /// The rows of one run.
    pub fn run_rows(&self, run: usize) -> std::ops::Range<usize> {
        let end = self.runs.get(run + 1).map_or(self.rows(), |next| next.row as usize);
        self.runs[run].row as usize..end
    }

    /// All events, in offset order.
    pub fn events(&self) -> Events<'_> {
        self.events_of(0..self.runs.len())
    }

    /// The events of some runs, in offset order.
    pub fn events_of(&self, runs: std::ops::Range<usize>) -> Events<'_> {
        let row = self.runs.get(runs.start).map_or(self.rows(), |r| r.row as usize);
        Events { batch: self, run: runs.start, end: runs.end, row, done: 0 }
    }

    /// How many bytes the cells, kinds and runs are, whatever memory they share; for bounds, not for accounts.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(cell_bytes).sum::<usize>()
            + self.runs.len() * size_of::<Run>()
            + self.kinds.len()
    }

    /// Panics unless the parts fit together. For tests and `debug_assert!`.
    pub fn check(&self) {
        assert_eq!(self.columns.len(), self.table.columns.len(), "as many arrays as columns");
        for (array, column) in self.columns.iter().zip(&self.table.columns) {
            assert_eq!(array.len(), self.rows(), "{}: as many cells as images", column.name);
            assert_eq!(*array.data_type(), column.ty.layout(), "{}: the type's layout", column.name);
        }
        assert!(self.absent.is_empty() || self.absent.len() == self.columns.len(), "absent: all or none");
        if let Some(routing) = &self.routing {
            assert_eq!(routing.len(), self.rows(), "routing: one for each image");
            assert_eq!(*routing.data_type(), DataType::Utf8, "routing: texts");
        }
        assert_eq!(self.runs.is_empty(), self.rows() == 0, "rows belong to runs");
        assert!(self.runs.first().is_none_or(|r| r.row == 0), "the first run starts at row 0");
        assert!(self.runs.windows(2).all(|w| w[0].row < w[1].row), "runs rise");
        for (i, kind) in self.kinds.iter().enumerate() {
            match kind {
                Kind::Before => assert_eq!(self.kinds.get(i + 1), Some(&Kind::After), "row {i}"),
                Kind::After => assert!(i > 0 && self.kinds[i - 1] == Kind::Before, "row {i}"),
                _ => {}
            }
        }
    }
}

/// The cells themselves: columns of a block often share one buffer, whose size says nothing of theirs.
fn cell_bytes(column: &ArrayRef) -> usize {
    let text = |offsets: &[i32]| match offsets {
        [first, .., last] => (last - first) as usize + size_of_val(offsets),
        _ => 0,
    };
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value_offsets()),
        DataType::Binary => text(column.as_binary::<i32>().value_offsets()),
        other => other.primitive_width().unwrap_or_default() * column.len(),
    }
}

/// See [`Batch::events`].
#[derive(Clone, Debug)]
pub struct Events<'a> {
    batch: &'a Batch,
    run: usize,
    end: usize,
    row: usize,
    /// Events of this run that were given.
    done: u32,
}

impl Iterator for Events<'_> {
    type Item = ChangeEvent;

    #[inline]
    fn next(&mut self) -> Option<ChangeEvent> {
        if self.run >= self.end {
            return None;
        }
        let run = &self.batch.runs[self.run];
        let row = self.row as u32;
        let (op, before, after, images) = match self.batch.kinds[self.row] {
            Kind::Snapshot => (Op::Read, None, Some(row), 1),
            Kind::Insert => (Op::Create, None, Some(row), 1),
            Kind::Delete => (Op::Delete, Some(row), None, 1),
            Kind::Before | Kind::After => (Op::Update, Some(row), Some(row + 1), 2),
        };
        let event = ChangeEvent {
            event: run.event + self.done,
            part: run.part,
            op,
            before,
            after,
            run: self.run as u32,
            nth: run.nth + self.done,
        };
        self.row += images;
        self.done += 1;
        if self.row >= self.batch.run_rows(self.run).end {
            self.run += 1;
            self.done = 0;
        }
        Some(event)
    }
}
