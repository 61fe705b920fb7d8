//! Tables that get another name, or go, before a snapshot has read all of them.
//!
//! What the stream tells of a statement is done name by name, and leaves the same whichever name comes first: each row says what
//! came of one name in all. A table that is called otherwise is read under its new name from its beginning, since that is the name that
//! its rows are looked for under; a name that another table has now is read anew; a name that no table has any more is over.
//!
//! A server is ahead of its stream. So a table may be missed by whoever reads it before the stream says why, and a list of
//! tables may lack one that was asked for by its old name. Neither is believed before the stream has come to the binlog's end of
//! then: a statement that explains it is told by that, and changes what is read.

use forebay_model::{Fault, Gtid};

use super::super::transactions::Asides;
use super::Trouble;
use super::came::pattern_of;
use super::mark::Mark;
use super::notes::TableNote;
use super::request::SnapshotState;
use super::run::{Run, Snapshots, Table};
use crate::codes;

/// A table's database and name.
pub(super) type Name<'a> = (&'a str, &'a str);

impl Snapshots {
    /// The table that was `from` is `to` now, a captured name too: snapshots that have not read all of it read it under that.
    /// `again` = another table is `from` now.
    pub(super) fn passes_on(&mut self, from: Name<'_>, to: Name<'_>, again: bool) {
        for number in self.unfinished() {
            let Some(run) = self.run_mut(number) else { continue };
            let (old, new) = (run.place(from), run.place(to));
            let wanted = run.note.request.wants(from.0, from.1);
            let unread = match old {
                Some(at) => run.tables[at].note.is_open(),
                None => wanted && (!run.note.planned || run.looked.is_some()),
            };
            if !unread {
                continue;
            }
            let request = &mut run.note.request;
            let names = [from, to].map(|(database, table)| format!("{database}.{table}"));
            // where both names are among the snapshot's tables, each has its own
            if (old.is_none() || new.is_none())
                && let Some(filter) = request.filters.get(&names[0]).cloned()
            {
                request.filters.entry(names[1].clone()).or_insert(filter);
            }
            tracing::info!(snapshot = request.id, from = names[0], to = names[1], "read under its new name");
            if !run.note.planned {
                if !request.wants(to.0, to.1) {
                    request.tables.extend(pattern_of(to.0, to.1));
                }
                self.note_run(number);
                continue;
            }
            let at = match (new, old) {
                (Some(at), _) => at,
                (None, Some(at)) if !again => {
                    let key = run.tables[at].note.key(&run.note.request.id);
                    let note = &mut run.tables[at].note;
                    (note.database, note.table) = (to.0.to_owned(), to.1.to_owned());
                    self.dirty.insert(key, None);
                    at
                }
                (None, _) => {
                    let count = run.tables.len();
                    let table = self.table(TableNote::new(count, (to.0.to_owned(), to.1.to_owned())));
                    if let Some(run) = self.run_mut(number) {
                        run.tables.push(table);
                    }
                    count
                }
            };
            self.read_anew(number, at);
        }
    }

    /// Another table has this name now: snapshots that have it among theirs read that.
    pub(super) fn comes(&mut self, name: Name<'_>) {
        for number in self.unfinished() {
            if let Some(at) = self.run_mut(number).and_then(|run| run.place(name)) {
                self.read_anew(number, at);
            }
        }
    }

    /// No table has this name any more; `to` = the one that it was given.
    pub(super) fn goes(&mut self, name: Name<'_>, to: Option<&str>) {
        let captured = to.and_then(|to| to.split_once('.')).is_some_and(|(d, t)| self.captures(d, t));
        for number in self.unfinished() {
            let Some(run) = self.run_mut(number) else { continue };
            let Some(at) = run.place(name).filter(|&at| run.tables[at].note.is_open()) else { continue };
            let note = &mut run.tables[at].note;
            let fault = gone(&note.name(), to, captured);
            note.fault = Some((&fault).into());
            note.estimate = note.passed;
            note.state = match to {
                // its rows are there, and somebody has to say what is to become of them
                Some(_) if !captured => SnapshotState::Failed,
                _ => SnapshotState::Cancelled,
            };
            tracing::warn!(snapshot = run.note.request.id, code = fault.code().name, "{fault}");
            self.let_go(number, Some(at));
            self.note_table(number, at);
            self.reopen(number);
            self.settle(number);
        }
    }

    /// What was found of the tables of snapshots whose tables are not known yet is of before.
    pub(super) fn plans_are_old(&mut self) {
        for run in self.runs.iter_mut().filter(|run| !run.note.planned) {
            (run.planning, run.looked) = (None, None);
        }
    }

    /// Reads a table from its beginning, whatever came of it before.
    fn read_anew(&mut self, number: u64, at: usize) {
        let Some(run) = self.run_mut(number) else { return };
        let table = &mut run.tables[at];
        table.note.forget_rows();
        (table.note.state, table.note.fault) = (SnapshotState::Waiting, None);
        (table.shape, table.preparing, table.missing) = (None, None, None);
        (table.not_before, table.tries) = (None, 0);
        self.let_go(number, Some(at));
        self.note_table(number, at);
        self.reopen(number);
        self.note_run(number);
    }

    /// A snapshot that failed may have come to another end.
    fn reopen(&mut self, number: u64) {
        if let Some(run) = self.run_mut(number)
            && run.note.planned
            && run.note.state == SnapshotState::Failed
        {
            (run.note.state, run.note.ended_us) = (SnapshotState::Running, 0);
        }
    }

    /// Believes what is missing, once the stream has come to where it must have told why.
    pub(super) fn look_for_missing(&mut self, asides: &Asides, prepared: &[Gtid]) {
        let reached = |mark: &Option<Mark>| {
            let mark = mark.as_ref().filter(|mark| mark.is_reached(&self.position, prepared));
            mark.map(|mark| mark.is_doubted(asides))
        };
        let (mut looked, mut missing) = (Vec::new(), Vec::new());
        for run in self.runs.iter().filter(|run| !run.note.state.is_over()) {
            looked.extend(reached(&run.looked).map(|doubted| (run.number, doubted)));
            let tables = (0..).zip(&run.tables);
            missing.extend(tables.filter_map(|(at, t)| Some((run.number, at, reached(&t.missing)?))));
        }
        for (number, at, doubted) in missing {
            let Some(table) = self.run_mut(number).and_then(|run| run.tables.get_mut(at)) else { continue };
            table.missing = None;
            let trouble = if doubted { Trouble::Changed } else { not_seen(&table.note.name()).into() };
            self.failed(number, at, trouble);
        }
        for (number, doubted) in looked {
            let Some(run) = self.run_mut(number) else { continue };
            run.looked = None;
            if doubted {
                self.let_go(number, None);
                let Some(run) = self.run_mut(number) else { continue };
                let old: Vec<_> = run.tables.drain(..).map(|t| t.note.key(&run.note.request.id)).collect();
                run.note.planned = false;
                self.dirty.extend(old.into_iter().map(|key| (key, None)));
                self.note_run(number);
            } else if !run.note.planned {
                run.note.planned = true;
                self.note_run(number);
                self.settle(number);
            }
        }
    }

    /// Snapshots that may read more, by themselves or when somebody resumes them.
    fn unfinished(&self) -> Vec<u64> {
        let may = |run: &&Run| !matches!(run.note.state, SnapshotState::Done | SnapshotState::Cancelled);
        self.runs.iter().filter(may).map(|run| run.number).collect()
    }

    pub(super) fn captures(&self, database: &str, table: &str) -> bool {
        self.reading.source.captures(database, table)
    }
}

impl Run {
    /// A table's place among the snapshot's.
    pub(super) fn place(&self, (database, table): Name<'_>) -> Option<usize> {
        self.tables.iter().position(|t: &Table| t.note.database == database && t.note.table == table)
    }
}

impl TableNote {
    /// Whether some of it is still to be read, by itself or when somebody resumes its snapshot.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, SnapshotState::Done | SnapshotState::Cancelled)
    }

    /// Whether it is open, and something of it was asked for.
    pub(super) fn is_begun(&self) -> bool {
        self.is_open() && !self.ranges.is_empty()
    }
}

/// What the stream says of a name that a snapshot was to read.
fn gone(name: &str, to: Option<&str>, captured: bool) -> Fault {
    let (what, fix) = match to {
        None => (
            format!("{name} was dropped before all of it was read"),
            "nothing is left to read; if it is made again, its rows come as changes".to_owned(),
        ),
        Some(to) if captured => (
            format!("{name} was renamed to {to} before all of it was read"),
            "nothing is to be done: it is read under its new name".to_owned(),
        ),
        Some(to) => (
            format!(
                "{name} was renamed to {to}, which the source does not capture, before all of it was read"
            ),
            format!(
                "rename it back, and it is read; or add {to} to the source's tables, and cancel the snapshot"
            ),
        ),
    };
    Fault::new(codes::SNAPSHOT_TABLE_GONE, what).fix(fix)
}

/// What is said of a table that is missing though no statement in the binlog says why.
fn not_seen(name: &str) -> Fault {
    Fault::new(codes::SNAPSHOT_TABLE_GONE, format!("{name} is not there, or the account may not see it"))
        .fix("grant SELECT on it and resume the snapshot; or cancel it, if the table was dropped where the binlog does not say so")
}
