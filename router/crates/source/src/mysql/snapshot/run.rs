//! Which snapshots there are, what is read for them at the moment, and what comes next.
//!
//! Owns the tasks that read, at most so many, and dies with them. Everything that is decided here is decided between two
//! awaits; only [`Snapshots::progress`] waits, and may be dropped while it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_model::{Batch, Fault, Note, Position, moves_in_part};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::schema::Place;
use super::super::stream::Captured;
use super::super::transactions::Decided;
use super::super::wire::Conn;
use super::super::{Config, Limits, SnapshotSettings};
use super::Trouble;
use super::bound::Bound;
use super::came::Known;
use super::mark::Mark;
use super::notes::{self, RunNote, TableNote};
use super::read::{Catalog, Prepared, ReadChunk, Reading, WholePart, now_us};
use super::request::{SnapshotFault, SnapshotState};
use super::shape::Shape;
use super::status::Speed;
use super::window::{Hasher, Touched};

/// A snapshot.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) note: RunNote,
    pub(super) tables: Vec<Table>,
    /// The look for its tables that is under way.
    pub(super) planning: Option<u64>,
    /// Until the stream has come here, a table that was wanted may have had another name when its tables were looked for.
    pub(super) looked: Option<Mark>,
    pub(super) fault: Option<SnapshotFault>,
    pub(super) tries: u32,
    /// Nothing of it is read before.
    pub(super) not_before: Option<Instant>,
    pub(super) speed: Speed,
}

/// A table of a snapshot.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) note: TableNote,
    pub(super) shape: Option<Arc<Shape>>,
    /// The look at it that is under way.
    pub(super) preparing: Option<u64>,
    /// It was not there: the stream says why before it has come here, or not at all.
    pub(super) missing: Option<Mark>,
    pub(super) ranges: Vec<Ahead>,
    /// Rows of the next chunk.
    pub(super) chunk_rows: usize,
    pub(super) tries: u32,
    /// How often it was begun again since rows had moved.
    pub(super) moves: u32,
    pub(super) not_before: Option<Instant>,
}

/// How far a range has been read, ahead of what was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    pub(super) after: Option<Bound>,
    pub(super) reading: bool,
    pub(super) ended: bool,
}

/// A chunk under way; see the [module](super).
#[derive(Debug)]
pub(super) struct Window {
    pub(super) number: u64,
    /// The run's number, the table's and the range's index.
    pub(super) of: (u64, usize, usize),
    pub(super) shape: Arc<Shape>,
    pub(super) touched: Touched,
    pub(super) rows: usize,
    pub(super) chunk: Option<ReadChunk>,
}

/// A table without a key under way.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) of: (u64, usize),
    pub(super) shape: Arc<Shape>,
    pub(super) touched: Touched,
    pub(super) parts: mpsc::Receiver<Result<WholePart, Trouble>>,
    pub(super) begun: Option<(Mark, u64)>,
    /// The stream stands still for it.
    pub(super) giving: bool,
    /// Read and not given: the last one carries the position.
    pub(super) last: Option<Batch>,
    pub(super) rows: u64,
}

/// What a task has done, and the connection that it did it on.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) conn: Option<Conn>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Of a run, by the look of this number.
    Tables(u64, u64, Result<Catalog, Trouble>),
    /// Of a run's table, by the look of this number.
    Prepared((u64, usize), u64, Result<Prepared, Trouble>),
    Chunk(u64, Result<ReadChunk, Trouble>),
    Whole,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(super) reading: Arc<Reading>,
    pub(super) runs: Vec<Run>,
    pub(super) jobs: JoinSet<Finished>,
    pub(super) idle: Vec<Conn>,
    pub(super) windows: Vec<Window>,
    pub(super) whole: Option<Whole>,
    pub(super) hasher: Hasher,
    /// What the stream has given, as of its last whole transaction.
    pub(super) position: Position,
    /// Whether it has given no piece of another one since.
    pub(super) between: bool,
    /// Where the binlog of the stream's server ended when it was connected.
    pub(super) began: Place,
    /// XA COMMITs that the stream has passed.
    pub(super) decided: Decided,
    numbers: u64,
    /// Notes to be given with the next position.
    pub(super) dirty: BTreeMap<String, Option<Vec<u8>>>,
    /// Tables whose rows were told, or need not be.
    pub(super) known: Known,
}

impl Snapshots {
    /// Goes on with what was noted, beside a stream that begins at `position`, on a server whose binlog ended at `began`, and
    /// that counts by file and offset or by GTIDs, and tells of XA COMMITs.
    ///
    /// # Errors
    /// If a note cannot be read.
    pub(crate) fn new(
        config: &Config,
        settings: SnapshotSettings,
        limits: Limits,
        position: Position,
        (began, by_file, decided): (Place, bool, Decided),
        notes: &[Note],
    ) -> Result<Self, Fault> {
        let replica = settings.replica.as_ref().map(|(host, port)| Config {
            host: host.clone(),
            port: *port,
            ..config.clone()
        });
        let reading = Reading { source: config.clone(), replica, by_file, settings, limits };
        let mut snapshots = Snapshots {
            reading: Arc::new(reading),
            runs: Vec::new(),
            jobs: JoinSet::new(),
            idle: Vec::new(),
            windows: Vec::new(),
            whole: None,
            hasher: Hasher::default(),
            position,
            between: true,
            began,
            decided,
            numbers: 0,
            dirty: BTreeMap::new(),
            known: Known::of(notes),
        };
        for (note, tables) in notes::read(notes)? {
            let tables = tables.into_iter().map(|t| snapshots.table(t)).collect();
            let number = snapshots.number();
            let mut run = Run::new(number, note, tables);
            // the statements that were under way when its tables were looked for
            run.looked = run.note.planned.then(|| Mark::at(snapshots.began.clone()));
            snapshots.runs.push(run);
        }
        snapshots.forget_strangers();
        snapshots.cancel_strangers();
        Ok(snapshots)
    }

    /// Ends the tables that the source has captured once and does not any more: nothing is told of their changes.
    fn cancel_strangers(&mut self) {
        let source = self.reading.clone();
        let mut ended = Vec::new();
        for run in &mut self.runs {
            for (at, table) in run.tables.iter_mut().enumerate() {
                let note = &mut table.note;
                let is_over = matches!(note.state, SnapshotState::Done | SnapshotState::Cancelled);
                if !is_over && !source.source.captures(&note.database, &note.table) {
                    tracing::warn!(
                        snapshot = run.note.request.id,
                        table = note.name(),
                        "not captured any more"
                    );
                    note.state = SnapshotState::Cancelled;
                    ended.push((run.number, at));
                }
            }
        }
        for (number, at) in ended {
            self.note_table(number, at);
            self.settle(number);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn table(&self, note: TableNote) -> Table {
        let chunk_rows = self.reading.settings.chunk_rows;
        let mut table = Table {
            note,
            shape: None,
            preparing: None,
            missing: None,
            ranges: Vec::new(),
            chunk_rows,
            tries: 0,
            moves: 0,
            not_before: None,
        };
        table.look_back();
        table
    }

    pub(super) fn run_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.runs.iter_mut().find(|r| r.number == number)
    }

    /// Voids what is under way of a run, or of one of its tables. What tasks still bring of it is ignored.
    pub(super) fn let_go(&mut self, number: u64, table: Option<usize>) {
        let meant = |run: u64, at: usize| run == number && table.is_none_or(|t| t == at);
        self.windows.retain(|w| !meant(w.of.0, w.of.1));
        if self.whole.as_ref().is_some_and(|w| !w.giving && meant(w.of.0, w.of.1)) {
            self.whole = None;
        }
        if let Some(run) = self.run_mut(number) {
            for (at, t) in run.tables.iter_mut().enumerate() {
                if meant(number, at) {
                    t.look_back();
                }
            }
        }
    }

    pub(super) fn note_run(&mut self, number: u64) {
        if let Some(run) = self.run_mut(number) {
            let note = run.note.note();
            self.dirty.insert(note.key, note.value);
        }
    }

    pub(super) fn note_table(&mut self, number: u64, table: usize) {
        if let Some(run) = self.run_mut(number)
            && let Some(table) = run.tables.get(table)
        {
            let note = table.note.note(&run.note.request.id);
            self.dirty.insert(note.key, note.value);
        }
    }

    /// Notes that have to be given with a position.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.dirty).into_iter().map(|(key, value)| Note { key, value }).collect()
    }

    /// Whether there are any.
    pub(crate) fn has_notes(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Takes note of what the stream gives, before anybody else sees it.
    pub(crate) fn observe(&mut self, captured: &Captured) {
        self.between = captured.position.is_some();
        if let Some(position) = &captured.position {
            self.position.clone_from(position);
        }
        for batch in captured.block.iter().flat_map(|b| &b.batches) {
            if !batch.absent.is_empty() {
                self.look_for_moves(batch);
            }
            let same = |shape: &Shape| {
                shape.table.table == batch.table.table && shape.table.database == batch.table.database
            };
            for window in self.windows.iter_mut().filter(|w| same(&w.shape)) {
                let names = window.shape.key.as_ref().map_or(&[][..], |k| &k.names);
                window.touched.take(batch, &window.shape.table, names, &mut self.hasher);
            }
            if let Some(whole) = self.whole.as_mut().filter(|w| same(&w.shape)) {
                whole.touched.any = true;
            }
        }
    }

    /// Rows of a table may have other keys now, by updates that lack the rest of them: they may have been ahead of what was read, and
    /// be behind it now, and then nobody has told the rest. A table that is being read is read from its beginning.
    #[cold]
    fn look_for_moves(&mut self, batch: &Batch) {
        for (number, at) in self.tables_of(&batch.table.database, &batch.table.table) {
            let Some(run) = self.run_mut(number) else { continue };
            let note = &run.tables[at].note;
            // before rows are compared: snapshots that are over stay in the list
            if !note.is_begun() {
                continue;
            }
            let names = note.key_columns();
            let key: Vec<usize> = names.filter_map(|name| batch.table.column(name)).collect();
            if moves_in_part(batch, &key) {
                self.begin_again(number, at);
            }
        }
    }

    /// The runs and places of a table's snapshots.
    fn tables_of(&self, database: &str, table: &str) -> Vec<(u64, usize)> {
        let is = |t: &Table| t.note.database == database && t.note.table == table;
        let of = |run: &Run| {
            let tables = run.tables.iter().enumerate().filter(|(_, t)| is(t));
            tables.map(|(at, _)| (run.number, at)).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(of).collect()
    }

    /// The stream has passed a change of the table itself (a DDL statement, a TRUNCATE): what is under way of it is void,
    /// and the table is looked at again.
    pub(crate) fn table_changed(&mut self, database: &str, table: &str) {
        for (number, at) in self.tables_of(database, table) {
            self.let_go(number, Some(at));
            if let Some(run) = self.run_mut(number) {
                let table = &mut run.tables[at];
                // what a look at it still brings is of before
                (table.shape, table.preparing, table.missing) = (None, None, None);
            }
        }
    }

    /// Ends a run whose tables are all over.
    pub(super) fn settle(&mut self, number: u64) {
        let Some(run) = self.run_mut(number) else { return };
        if run.note.state.is_over() || !run.note.planned || !run.tables.iter().all(|t| t.note.state.is_over())
        {
            return;
        }
        let any = |state| run.tables.iter().any(|t| t.note.state == state);
        run.note.state = if any(SnapshotState::Failed) {
            SnapshotState::Failed
        } else if any(SnapshotState::Cancelled) && !any(SnapshotState::Done) {
            SnapshotState::Cancelled
        } else {
            SnapshotState::Done
        };
        run.note.ended_us = now_us();
        tracing::info!(snapshot = run.note.request.id, state = ?run.note.state, "the snapshot is over");
        self.note_run(number);
    }
}

impl Run {
    pub(super) fn new(number: u64, note: RunNote, tables: Vec<Table>) -> Self {
        Run {
            number,
            note,
            tables,
            planning: None,
            looked: None,
            fault: None,
            tries: 0,
            not_before: None,
            speed: Speed::default(),
        }
    }
}

impl Table {
    /// Forgets what was read ahead of what was given.
    pub(super) fn look_back(&mut self) {
        let ahead = |r: &notes::Range| Ahead { after: r.after.clone(), ..Default::default() };
        self.ranges = self.note.ranges.iter().map(ahead).collect();
    }
}
