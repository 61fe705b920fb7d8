//! Which snapshots there are, what is read for them at the moment, and what comes next.
//!
//! Owns the tasks that read, at most so many, and dies with them. Everything that is decided here is decided between two
//! awaits; only [`Snapshots::progress`] waits, and may be dropped while it does.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use forebay_model::{Batch, Class, Fault, Note, Position};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::stream::Captured;
use super::super::wire::Conn;
use super::super::{Config, Limits, SnapshotSettings};
use super::Trouble;
use super::bound::Bound;
use super::notes::{self, RunNote, TableNote};
use super::read::{ChunkJob, Prepared, ReadChunk, Reading, WholePart, now_us};
use super::request::{SnapshotCommand, SnapshotFault, SnapshotRequest, SnapshotState};
use super::shape::Shape;
use super::status::Speed;
use super::window::{Hasher, Touched};
use crate::codes;

/// Snapshots that are over and still shown.
const REMEMBERED: usize = 20;
/// Parts of a table without a key that wait to be given.
const PARTS: usize = 2;
/// How often a quiet moment is looked for in a table without a key.
const QUIET_TRIES: u32 = 200;
/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// A snapshot.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u64,
    pub(super) note: RunNote,
    pub(super) tables: Vec<Table>,
    planning: bool,
    pub(super) fault: Option<SnapshotFault>,
    tries: u32,
    /// Nothing of it is read before.
    pub(super) not_before: Option<Instant>,
    pub(super) speed: Speed,
}

/// A table of a snapshot.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) note: TableNote,
    pub(super) shape: Option<Arc<Shape>>,
    preparing: bool,
    pub(super) ranges: Vec<Ahead>,
    /// Rows of the next chunk.
    chunk_rows: usize,
    pub(super) tries: u32,
    not_before: Option<Instant>,
}

/// How far a range has been read, ahead of what was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    after: Option<Bound>,
    reading: bool,
    ended: bool,
}

/// A chunk under way; see the [module](super).
#[derive(Debug)]
pub(super) struct Window {
    number: u64,
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
    pub(super) begun: Option<(super::mark::Mark, u64)>,
    /// The stream stands still for it.
    pub(super) giving: bool,
    /// Read and not given: the last one carries the position.
    pub(super) last: Option<Batch>,
    pub(super) rows: u64,
}

/// What a task has done, and the connection that it did it on.
#[derive(Debug)]
struct Finished {
    conn: Option<Conn>,
    what: What,
}

#[derive(Debug)]
enum What {
    Tables(u64, Result<Vec<(String, String)>, Fault>),
    Prepared(u64, usize, Result<Prepared, Trouble>),
    Chunk(u64, Result<ReadChunk, Trouble>),
    Whole,
}

/// Something that [`Snapshots::progress`] has waited for.
#[derive(Debug)]
pub(crate) struct Step(Happened);

#[derive(Debug)]
enum Happened {
    Job(Box<Finished>),
    Part(Option<Result<WholePart, Trouble>>),
    Time,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(super) reading: Arc<Reading>,
    pub(super) runs: Vec<Run>,
    jobs: JoinSet<Finished>,
    idle: Vec<Conn>,
    pub(super) windows: Vec<Window>,
    pub(super) whole: Option<Whole>,
    pub(super) hasher: Hasher,
    /// What the stream has given, as of its last whole transaction.
    pub(super) position: Position,
    /// Whether it has given no piece of another one since.
    pub(super) between: bool,
    numbers: u64,
    /// Notes to be given with the next position.
    dirty: BTreeMap<String, Option<Vec<u8>>>,
}

impl Snapshots {
    /// Goes on with what was noted, beside a stream that begins at `position`.
    ///
    /// # Errors
    /// If a note cannot be read.
    pub(crate) fn new(
        config: &Config,
        settings: SnapshotSettings,
        limits: Limits,
        position: Position,
        notes: &[Note],
    ) -> Result<Self, Fault> {
        let replica = settings.replica.as_ref().map(|(host, port)| Config {
            host: host.clone(),
            port: *port,
            ..config.clone()
        });
        let reading = Reading { source: config.clone(), replica, settings, limits };
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
            numbers: 0,
            dirty: BTreeMap::new(),
        };
        for (note, tables) in notes::read(notes)? {
            let tables = tables.into_iter().map(|t| snapshots.table(t)).collect();
            let number = snapshots.number();
            snapshots.runs.push(Run::new(number, note, tables));
        }
        Ok(snapshots)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn table(&self, note: TableNote) -> Table {
        let chunk_rows = self.reading.settings.chunk_rows;
        let mut table = Table {
            note,
            shape: None,
            preparing: false,
            ranges: Vec::new(),
            chunk_rows,
            tries: 0,
            not_before: None,
        };
        table.look_back();
        table
    }

    /// Does what is asked; the note of it goes with the next position.
    ///
    /// # Errors
    /// If there is no such snapshot, or one with that id, or the request makes no sense.
    pub(crate) fn command(&mut self, command: SnapshotCommand) -> Result<(), Fault> {
        use SnapshotState::*;
        match command {
            SnapshotCommand::Begin(request) => self.begin(request)?,
            SnapshotCommand::Pause(id) => {
                let run = self.run(&id)?;
                if run.note.state == Running {
                    run.note.state = Paused;
                }
                let number = run.number;
                self.let_go(number, None);
                self.note_run(number);
            }
            SnapshotCommand::Resume(id) => {
                let run = self.run(&id)?;
                if matches!(run.note.state, Paused | Failed) {
                    (run.note.state, run.note.ended_us) = (Running, 0);
                    (run.not_before, run.tries) = (None, 0);
                    for table in run.tables.iter_mut().filter(|t| t.note.state == Failed) {
                        (table.note.state, table.note.fault) = (Waiting, None);
                        (table.not_before, table.tries, table.shape) = (None, 0, None);
                    }
                }
                let (number, tables) = (run.number, run.tables.len());
                (0..tables).for_each(|table| self.note_table(number, table));
                self.note_run(number);
            }
            SnapshotCommand::Cancel(id) => {
                let run = self.run(&id)?;
                if !run.note.state.is_over() || run.note.state == Failed {
                    (run.note.state, run.note.ended_us) = (Cancelled, now_us());
                }
                let number = run.number;
                self.let_go(number, None);
                self.note_run(number);
            }
            SnapshotCommand::Forget(id) => {
                let run = self.run(&id)?;
                if !run.note.state.is_over() {
                    return Err(Fault::new(
                        codes::SNAPSHOT_REQUEST,
                        format!("the snapshot `{id}` is not over"),
                    )
                    .fix("cancel it first"));
                }
                self.forget(&id);
            }
        }
        Ok(())
    }

    fn begin(&mut self, request: SnapshotRequest) -> Result<(), Fault> {
        request.check()?;
        if self.runs.iter().any(|r| r.note.request.id == request.id) {
            let what = format!("there is a snapshot `{}` already", request.id);
            return Err(Fault::new(codes::SNAPSHOT_EXISTS, what).fix("choose another id, or forget that one"));
        }
        let over = self.runs.iter().filter(|r| r.note.state.is_over());
        if over.clone().count() >= REMEMBERED
            && let Some(id) = over.map(|r| r.note.request.id.clone()).next()
        {
            self.forget(&id);
        }
        let number = self.number();
        self.runs.push(Run::new(number, RunNote::new(request, now_us()), Vec::new()));
        self.note_run(number);
        Ok(())
    }

    fn forget(&mut self, id: &str) {
        if let Some(at) = self.runs.iter().position(|r| r.note.request.id == id) {
            let run = self.runs.remove(at);
            self.dirty.extend(run.tables.iter().map(|t| (t.note.key(id), None)));
            self.dirty.insert(run.note.key(), None);
        }
    }

    fn run(&mut self, id: &str) -> Result<&mut Run, Fault> {
        self.runs.iter_mut().find(|r| r.note.request.id == id).ok_or_else(|| {
            Fault::new(codes::SNAPSHOT_UNKNOWN, format!("there is no snapshot `{id}`"))
                .fix("look at the list of snapshots")
        })
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
        if self.windows.is_empty() && self.whole.is_none() {
            return;
        }
        for batch in captured.block.iter().flat_map(|b| &b.batches) {
            let same = |shape: &Shape| {
                shape.table.table == batch.table.table && shape.table.database == batch.table.database
            };
            for window in self.windows.iter_mut().filter(|w| same(&w.shape)) {
                let names = window.shape.key.as_ref().map_or(&[][..], |k| &k.names);
                window.touched.take(batch, names, &mut self.hasher);
            }
            if let Some(whole) = self.whole.as_mut().filter(|w| same(&w.shape)) {
                whole.touched.any = true;
            }
        }
    }

    /// The stream has passed a change of the table itself (a DDL statement, a TRUNCATE): what is under way of it is void,
    /// and the table is looked at again.
    pub(crate) fn table_changed(&mut self, database: &str, table: &str) {
        let meant: Vec<(u64, usize)> = self
            .runs
            .iter()
            .flat_map(|r| r.tables.iter().enumerate().map(|(at, t)| (r.number, at, t)))
            .filter(|(_, _, t)| t.note.database == database && t.note.table == table)
            .map(|(number, at, _)| (number, at))
            .collect();
        for (number, at) in meant {
            self.let_go(number, Some(at));
            if let Some(run) = self.run_mut(number) {
                run.tables[at].shape = None;
            }
        }
    }

    /// Waits for something to happen; for ever if there is nothing to wait for.
    pub(crate) async fn progress(&mut self) -> Step {
        let wake = self.wake();
        let whole = self.whole.as_mut().filter(|w| w.begun.is_none());
        let part = async {
            match whole {
                Some(whole) => whole.parts.recv().await,
                None => std::future::pending().await,
            }
        };
        let happened = tokio::select! {
            Some(job) = self.jobs.join_next() => match job {
                Ok(finished) => Happened::Job(Box::new(finished)),
                Err(e) => match e.try_into_panic() {
                    // a bug: not to be mistaken for a slow server
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Happened::Time,
                },
            },
            part = part => Happened::Part(part),
            () = async { sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => Happened::Time,
            else => std::future::pending().await,
        };
        Step(happened)
    }

    fn wake(&self) -> Option<Instant> {
        let running = self.runs.iter().filter(|r| r.note.state == SnapshotState::Running);
        let times = running.flat_map(|r| r.tables.iter().map(|t| t.not_before).chain([r.not_before]));
        let now = Instant::now();
        times.flatten().filter(|t| *t > now).min()
    }

    /// Takes in what has happened.
    pub(crate) fn handle(&mut self, Step(happened): Step) {
        match happened {
            Happened::Time => {}
            Happened::Part(Some(Ok(WholePart::Begun(mark, at)))) => {
                if let Some(whole) = &mut self.whole {
                    whole.begun = Some((mark, at));
                }
            }
            Happened::Part(part) => self.whole_broke(part.and_then(Result::err)),
            Happened::Job(finished) => {
                self.idle.extend(finished.conn);
                match finished.what {
                    What::Tables(number, result) => self.planned(number, result),
                    What::Prepared(number, table, result) => self.prepared(number, table, result),
                    What::Chunk(window, result) => self.chunk_read(window, result),
                    What::Whole => {}
                }
            }
        }
    }

    fn planned(&mut self, number: u64, result: Result<Vec<(String, String)>, Fault>) {
        let Some(at) = self.runs.iter().position(|r| r.number == number) else { return };
        self.runs[at].planning = false;
        match result {
            Ok(tables) => {
                let request = &self.runs[at].note.request;
                let wanted = tables.into_iter().filter(|(d, t)| request.wants(d, t));
                let notes: Vec<TableNote> = wanted.enumerate().map(|(i, t)| TableNote::new(i, t)).collect();
                let tables: Vec<Table> = notes.into_iter().map(|n| self.table(n)).collect();
                let run = &mut self.runs[at];
                (run.tables, run.note.planned, run.fault, run.tries) = (tables, true, None, 0);
                (0..self.runs[at].tables.len()).for_each(|t| self.note_table(number, t));
                self.note_run(number);
                self.settle(number);
            }
            Err(fault) => {
                let run = &mut self.runs[at];
                run.tries += 1;
                run.fault = Some((&fault).into());
                if fault.class() == Class::Retryable {
                    run.not_before = Some(Instant::now() + pause(run.tries));
                } else {
                    (run.note.state, run.note.ended_us) = (SnapshotState::Failed, now_us());
                    tracing::error!(snapshot = run.note.request.id, code = fault.code().name, "{fault}");
                    self.note_run(number);
                }
            }
        }
    }

    fn prepared(&mut self, number: u64, at: usize, result: Result<Prepared, Trouble>) {
        let settings = &self.reading.settings;
        let (most, bytes) = (settings.chunk_rows, settings.chunk_bytes);
        let Some(table) = self.run_mut(number).and_then(|r| r.tables.get_mut(at)) else { return };
        table.preparing = false;
        match result {
            Ok(Prepared { shape, cuts }) => {
                let key = shape.key.as_ref().map_or(Vec::new(), |k| k.identity.clone());
                if table.note.ranges.is_empty() || table.note.key != key {
                    table.note.restart(key, cuts);
                }
                table.note.estimate = shape.estimate;
                if table.note.state == SnapshotState::Waiting {
                    table.note.state = SnapshotState::Running;
                }
                table.chunk_rows = match shape.row_bytes {
                    0 => most,
                    n => (bytes / n.max(1) as usize).clamp(1, most),
                };
                table.shape = Some(shape);
                table.note.fault = None;
                table.look_back();
                self.note_table(number, at);
            }
            Err(trouble) => self.failed(number, at, trouble),
        }
    }

    fn chunk_read(&mut self, number: u64, result: Result<ReadChunk, Trouble>) {
        let Some(window) = self.windows.iter_mut().find(|w| w.number == number) else { return };
        let (run, at, range) = window.of;
        match result {
            Ok(chunk) => {
                let next = chunk.next.clone();
                let (rows, bytes) = (chunk.rows, chunk.bytes as u64);
                window.chunk = Some(chunk);
                let settings = &self.reading.settings;
                let (most, budget) = (settings.chunk_rows, settings.chunk_bytes);
                let Some(table) = self.run_mut(run).and_then(|r| r.tables.get_mut(at)) else { return };
                let ahead = &mut table.ranges[range];
                (ahead.reading, ahead.ended, ahead.after) = (false, next.is_none(), next);
                if rows > 0 {
                    // a little less than would just fit: rows differ
                    let fit = budget as u64 * rows / bytes.max(1) * 7 / 8;
                    table.chunk_rows = usize::try_from(fit).unwrap_or(most).clamp(1, most);
                }
                // the fault that stood in its way does not
                table.note.fault = None;
            }
            Err(trouble) => self.failed(run, at, trouble),
        }
    }

    /// What is under way of a table cannot go on.
    pub(super) fn failed(&mut self, number: u64, at: usize, trouble: Trouble) {
        self.let_go(number, Some(at));
        let Some(run) = self.run_mut(number) else { return };
        let id = run.note.request.id.clone();
        let Some(table) = run.tables.get_mut(at) else { return };
        // whatever it was, the next attempt looks at the table anew
        table.shape = None;
        table.tries += 1;
        table.not_before = Some(Instant::now() + pause(table.tries));
        let Trouble::Fault(fault) = trouble else { return };
        table.note.fault = Some((&fault).into());
        let name = table.note.name();
        if fault.class() == Class::Retryable {
            tracing::warn!(snapshot = id, table = name, code = fault.code().name, "{fault}");
            return;
        }
        tracing::error!(snapshot = id, table = name, code = fault.code().name, "{fault}");
        table.note.state = SnapshotState::Failed;
        self.note_table(number, at);
        self.settle(number);
    }

    /// A read of a table without a key ended before it was wanted.
    pub(super) fn whole_broke(&mut self, trouble: Option<Trouble>) {
        if let Some(whole) = self.whole.take() {
            let (number, at) = whole.of;
            self.failed(number, at, trouble.unwrap_or(Trouble::Changed));
        }
    }

    /// A table without a key was written while its read began.
    pub(super) fn whole_disturbed(&mut self) {
        let Some(whole) = self.whole.take() else { return };
        let (number, at) = whole.of;
        let Some(table) = self.run_mut(number).and_then(|r| r.tables.get_mut(at)) else { return };
        table.tries += 1;
        // the table is what it was: only the moment was wrong
        table.not_before = Some(Instant::now() + pause(1));
        if table.tries >= QUIET_TRIES {
            let what = format!(
                "{} has no key, and is written so often that no moment was found to read it",
                table.note.name()
            );
            let fault = Fault::new(codes::SNAPSHOT_NEVER_QUIET, what)
                .fix("give the table a primary key, or resume the snapshot when it is written less");
            self.failed(number, at, fault.into());
        }
    }

    /// Ends a run whose tables are all over.
    pub(super) fn settle(&mut self, number: u64) {
        let Some(run) = self.run_mut(number) else { return };
        if run.note.state.is_over() || !run.note.planned || !run.tables.iter().all(|t| t.note.state.is_over())
        {
            return;
        }
        let failed = run.tables.iter().any(|t| t.note.state == SnapshotState::Failed);
        run.note.state = if failed { SnapshotState::Failed } else { SnapshotState::Done };
        run.note.ended_us = now_us();
        tracing::info!(snapshot = run.note.request.id, state = ?run.note.state, "the snapshot is over");
        self.note_run(number);
    }

    /// Begins what can be begun.
    pub(crate) fn dispatch(&mut self) {
        let now = Instant::now();
        while self.between && self.jobs.len() < self.reading.settings.readers.max(1) && self.next_job(now) {}
    }

    fn next_job(&mut self, now: Instant) -> bool {
        let most_windows = 2 * self.reading.settings.readers.max(1);
        let ready = |t: Option<Instant>| t.is_none_or(|t| t <= now);
        let mut found = None;
        'runs: for run in &self.runs {
            if run.note.state != SnapshotState::Running || !ready(run.not_before) {
                continue;
            }
            if !run.note.planned {
                if !run.planning {
                    found = Some((run.number, None));
                    break;
                }
                continue;
            }
            for (at, table) in run.tables.iter().enumerate() {
                if table.note.state.is_over() || table.preparing || !ready(table.not_before) {
                    continue;
                }
                let range = match &table.shape {
                    None => None,
                    Some(shape) if shape.key.is_none() => {
                        if self.whole.is_some() {
                            continue;
                        }
                        None
                    }
                    Some(_) => {
                        let free = |(at, a): (usize, &Ahead)| {
                            !a.reading && !a.ended && !table.note.ranges.get(at).is_none_or(|r| r.done)
                        };
                        let range = (0..).zip(&table.ranges).find(|r| free(*r)).map(|(at, _)| at);
                        if range.is_none() || self.windows.len() >= most_windows {
                            continue;
                        }
                        range
                    }
                };
                found = Some((run.number, Some((at, range))));
                break 'runs;
            }
        }
        let Some((number, table)) = found else { return false };
        self.spawn(number, table);
        true
    }

    fn spawn(&mut self, number: u64, table: Option<(usize, Option<usize>)>) {
        let window = self.number();
        let (reading, mut conn) = (self.reading.clone(), self.idle.pop());
        let given = self.position.gtids.clone();
        let Some(run) = self.runs.iter_mut().find(|r| r.number == number) else { return };
        let rate = run.note.request.rows_per_second.map_or(usize::MAX, |r| r as usize);
        let Some((at, range)) = table else {
            run.planning = true;
            self.jobs.spawn(async move {
                let result = on(&reading, &mut conn, async |c| reading.tables(c).await).await;
                Finished { conn, what: What::Tables(number, result) }
            });
            return;
        };
        let filter = run.note.request.filters.get(&run.tables[at].note.name()).cloned();
        let table = &mut run.tables[at];
        let Some(shape) = table.shape.clone() else {
            table.preparing = true;
            let names = (table.note.database.clone(), table.note.table.clone());
            self.jobs.spawn(async move {
                let look =
                    async |c: &mut Conn| reading.prepare(c, (&names.0, &names.1), filter.as_deref()).await;
                let result = on(&reading, &mut conn, look).await;
                Finished { conn, what: What::Prepared(number, at, result) }
            });
            return;
        };
        let Some(range) = range else {
            let job = ChunkJob { shape: shape.clone(), after: None, until: None, rows: 0, filter, given };
            let (send, parts) = mpsc::channel(PARTS);
            self.whole = Some(Whole {
                of: (number, at),
                shape,
                touched: Touched::default(),
                parts,
                begun: None,
                giving: false,
                last: None,
                rows: 0,
            });
            self.jobs.spawn(async move {
                if let Err(trouble) = reading.whole(&job, &send).await {
                    // whoever let go of the table does not want to know
                    let _ = send.send(Err(trouble)).await;
                }
                Finished { conn, what: What::Whole }
            });
            return;
        };
        let rows = table.chunk_rows.min(rate).max(1);
        let ahead = &mut table.ranges[range];
        ahead.reading = true;
        let until = table.note.ranges[range].until.clone();
        let job = ChunkJob { shape: shape.clone(), after: ahead.after.clone(), until, rows, filter, given };
        let of = (number, at, range);
        self.windows.push(Window {
            number: window,
            of,
            shape,
            touched: Touched::default(),
            rows,
            chunk: None,
        });
        self.jobs.spawn(async move {
            let result = reading.chunk(&mut conn, &job).await;
            Finished { conn, what: What::Chunk(window, result) }
        });
    }
}

/// Does something on the connection at hand, or a new one; keeps it if all went well.
async fn on<T, E: From<Fault>>(
    reading: &Reading,
    conn: &mut Option<Conn>,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    let mut taken = match conn.take() {
        Some(conn) => conn,
        None => reading.open().await?,
    };
    let result = work(&mut taken).await?;
    *conn = Some(taken);
    Ok(result)
}

/// Before the next attempt: longer and longer, and never the same.
fn pause(tries: u32) -> Duration {
    let most = Duration::from_millis(100).saturating_mul(1 << tries.min(10)).min(PAUSE);
    most.mul_f64(0.5 + (RandomState::new().hash_one(tries) % 1000) as f64 / 2000.0)
}

impl Run {
    fn new(number: u64, note: RunNote, tables: Vec<Table>) -> Self {
        Run {
            number,
            note,
            tables,
            planning: false,
            fault: None,
            tries: 0,
            not_before: None,
            speed: Speed::default(),
        }
    }
}

impl Table {
    /// Forgets what was read ahead of what was given.
    fn look_back(&mut self) {
        let ahead = |r: &notes::Range| Ahead { after: r.after.clone(), ..Default::default() };
        self.ranges = self.note.ranges.iter().map(ahead).collect();
    }
}
