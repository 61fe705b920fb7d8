//! What the tasks bring, and what follows from it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use forebay_model::{Class, Fault};
use tokio::time::{Instant, sleep_until};

use super::Trouble;
use super::notes::TableNote;
use super::read::{Catalog, Prepared, ReadChunk, WholePart, now_us};
use super::request::SnapshotState;
use super::run::{Finished, Run, Snapshots, Table, What};
use crate::codes;

/// How often a quiet moment is looked for in a table without a key.
const QUIET_TRIES: u32 = 200;
/// How often a table is begun again since rows have moved.
const MOVES: u32 = 8;
/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(30);

/// Something that [`Snapshots::progress`] has waited for.
#[derive(Debug)]
pub(crate) struct Step(Happened);

#[derive(Debug)]
enum Happened {
    Job(Box<Finished>),
    Part(Option<Result<WholePart, Trouble>>),
    Time,
}

impl Snapshots {
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
                    What::Tables(number, look, result) => self.planned(number, look, result),
                    What::Prepared(of, look, result) => self.prepared(of, look, result),
                    What::Chunk(window, result) => self.chunk_read(window, result),
                    What::Whole => {}
                }
            }
        }
    }

    fn planned(&mut self, number: u64, look: u64, result: Result<Catalog, Trouble>) {
        let meant = |r: &Run| r.number == number && r.planning == Some(look);
        let Some(at) = self.runs.iter().position(meant) else { return };
        self.runs[at].planning = None;
        match result {
            Ok(Catalog { tables, mark }) => {
                let request = &self.runs[at].note.request;
                let wanted = tables.into_iter().filter(|(d, t)| request.wants(d, t));
                let notes: Vec<TableNote> = wanted.enumerate().map(|(i, t)| TableNote::new(i, t)).collect();
                let tables: Vec<Table> = notes.into_iter().map(|n| self.table(n)).collect();
                let run = &mut self.runs[at];
                (run.looked, run.fault, run.tries) = (Some(mark), None, 0);
                // that there are none is only believed when the stream has come there
                if tables.is_empty() {
                    return;
                }
                (run.tables, run.note.planned) = (tables, true);
                (0..self.runs[at].tables.len()).for_each(|t| self.note_table(number, t));
                self.note_run(number);
            }
            Err(trouble) => {
                let run = &mut self.runs[at];
                run.tries += 1;
                run.not_before = Some(Instant::now() + pause(run.tries));
                let Trouble::Fault(fault) = trouble else { return };
                run.fault = Some((&fault).into());
                if fault.class() != Class::Retryable {
                    (run.note.state, run.note.ended_us) = (SnapshotState::Failed, now_us());
                    tracing::error!(snapshot = run.note.request.id, code = fault.code().name, "{fault}");
                    self.note_run(number);
                }
            }
        }
    }

    fn prepared(&mut self, (number, at): (u64, usize), look: u64, result: Result<Prepared, Trouble>) {
        let settings = &self.reading.settings;
        let (most, bytes) = (settings.chunk_rows, settings.chunk_bytes);
        let Some(table) = self.run_mut(number).and_then(|r| r.tables.get_mut(at)) else { return };
        if table.preparing != Some(look) {
            return;
        }
        table.preparing = None;
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
        let fault = match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Missing(mark) => {
                table.missing = Some(mark);
                return;
            }
            Trouble::Changed | Trouble::Gone => return,
        };
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

    /// A table that [is begun](TableNote::is_begun) is read from its beginning.
    pub(super) fn begin_again(&mut self, number: u64, at: usize) {
        self.let_go(number, Some(at));
        let Some(run) = self.run_mut(number) else { return };
        let (id, table) = (run.note.request.id.clone(), &mut run.tables[at]);
        table.note.forget_rows();
        table.look_back();
        (table.shape, table.preparing) = (None, None);
        // it may be gone on with
        if table.note.state == SnapshotState::Failed {
            return self.note_table(number, at);
        }
        table.moves += 1;
        table.not_before = Some(Instant::now() + pause(1));
        tracing::info!(snapshot = id, table = table.note.name(), "rows have other keys: it is read again");
        if table.moves >= MOVES {
            let what = format!(
                "rows of {} change their key while it is read, and the updates in the binlog lack their other columns",
                table.note.name()
            );
            let fault = Fault::new(codes::SNAPSHOT_ROWS_MOVE, what).fix(
                "SET PERSIST binlog_row_image = 'FULL', let sessions reconnect, and resume the snapshot; or resume it when keys are \
                 changed less",
            );
            table.moves = 0;
            return self.failed(number, at, fault.into());
        }
        self.note_table(number, at);
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
}

/// Before the next attempt: longer and longer, and never the same.
fn pause(tries: u32) -> Duration {
    let most = Duration::from_millis(100).saturating_mul(1 << tries.min(10)).min(PAUSE);
    most.mul_f64(0.5 + (RandomState::new().hash_one(tries) % 1000) as f64 / 2000.0)
}
