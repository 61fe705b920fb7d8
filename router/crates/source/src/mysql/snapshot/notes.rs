//! What is remembered of a snapshot, in the same commit as the rows that it counts.
//!
//! `snapshot/ID` holds the request and how it stands, `snapshot/ID/DATABASE.TABLE` how far a table is: JSON, each with the
//! version of its form.

use forebay_model::{Fault, Note};
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::request::{SnapshotFault, SnapshotRequest, SnapshotState};
use crate::codes;

/// What the keys of snapshots' notes begin with.
pub const SNAPSHOT_NOTES: &str = "snapshot/";
const VERSION: u32 = 1;

/// How a snapshot stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunNote {
    pub(super) version: u32,
    pub(super) request: SnapshotRequest,
    pub(super) state: SnapshotState,
    /// Whether its tables are known: each has a note then.
    pub(super) planned: bool,
    pub(super) begun_us: u64,
    pub(super) ended_us: u64,
}

/// How far a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableNote {
    pub(super) version: u32,
    /// The table's place among the snapshot's.
    pub(super) place: usize,
    pub(super) database: String,
    pub(super) table: String,
    pub(super) state: SnapshotState,
    /// What the key is; empty until the table was looked at, or where it has none.
    pub(super) key: Vec<String>,
    pub(super) ranges: Vec<Range>,
    pub(super) rows: u64,
    pub(super) superseded: u64,
    /// Rows of the table that are behind us, given or not.
    pub(super) passed: u64,
    pub(super) estimate: u64,
    pub(super) chunks: u64,
    pub(super) fault: Option<SnapshotFault>,
}

/// A stretch of a table in its key's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    /// What was given last; `None` = nothing yet, from the very beginning.
    pub(super) after: Option<Bound>,
    /// Where it ends; `None` = at the end of the table.
    pub(super) until: Option<Bound>,
    pub(super) done: bool,
}

impl RunNote {
    pub(super) fn new(request: SnapshotRequest, begun_us: u64) -> Self {
        RunNote {
            version: VERSION,
            request,
            state: SnapshotState::Running,
            planned: false,
            begun_us,
            ended_us: 0,
        }
    }

    pub(super) fn key(&self) -> String {
        format!("{SNAPSHOT_NOTES}{}", self.request.id)
    }

    pub(super) fn note(&self) -> Note {
        Note { key: self.key(), value: serde_json::to_vec(self).ok() }
    }
}

impl TableNote {
    pub(super) fn new(place: usize, (database, table): (String, String)) -> Self {
        TableNote {
            version: VERSION,
            place,
            database,
            table,
            state: SnapshotState::Waiting,
            key: Vec::new(),
            ranges: Vec::new(),
            rows: 0,
            superseded: 0,
            passed: 0,
            estimate: 0,
            chunks: 0,
            fault: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// The names of the key's columns: each of `key` is a name, and what else the column is known by.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|column| {
            let type_at = column.rfind(" [").unwrap_or(column.len());
            column[..type_at].rsplit_once(' ').map_or(column.as_str(), |(name, _code)| name)
        })
    }

    pub(super) fn key(&self, id: &str) -> String {
        format!("{SNAPSHOT_NOTES}{id}/{}", self.name())
    }

    pub(super) fn note(&self, id: &str) -> Note {
        Note { key: self.key(id), value: serde_json::to_vec(self).ok() }
    }

    /// Forgets what was read: the table's rows are others now.
    pub(super) fn forget_rows(&mut self) {
        (self.key, self.ranges) = (Vec::new(), Vec::new());
        (self.rows, self.superseded, self.passed, self.chunks) = (0, 0, 0, 0);
        if matches!(self.state, SnapshotState::Running | SnapshotState::Done) {
            self.state = SnapshotState::Waiting;
        }
    }

    /// Begins it anew, with these cuts.
    pub(super) fn restart(&mut self, key: Vec<String>, cuts: Vec<Bound>) {
        self.key = key;
        let ends = cuts.iter().cloned().map(Some).chain([None]);
        let starts = [None].into_iter().chain(cuts.iter().cloned().map(Some));
        self.ranges = starts.zip(ends).map(|(after, until)| Range { after, until, done: false }).collect();
        (self.rows, self.superseded, self.passed, self.chunks) = (0, 0, 0, 0);
    }
}

/// Snapshots as they were noted, with their tables in order.
pub(super) fn read(notes: &[Note]) -> Result<Vec<(RunNote, Vec<TableNote>)>, Fault> {
    let damaged = |key: &str| {
        Fault::new(codes::SNAPSHOT_NOTE, format!("the note `{key}` of a snapshot cannot be read"))
            .fix("use the version of Forebay that wrote it")
    };
    let mut runs: Vec<(RunNote, Vec<TableNote>)> = Vec::new();
    let ours = || {
        let note = |n: &'_ Note| {
            Some((n.key.clone(), n.key.strip_prefix(SNAPSHOT_NOTES)?.to_owned(), n.value.clone()?))
        };
        notes.iter().filter_map(note)
    };
    for (key, id, value) in ours().filter(|(_, rest, _)| !rest.contains('/')) {
        let run: RunNote = serde_json::from_slice(&value).map_err(|e| damaged(&key).cause(e))?;
        if run.version != VERSION || run.request.id != id {
            return Err(damaged(&key));
        }
        runs.push((run, Vec::new()));
    }
    for (key, rest, value) in ours() {
        let Some((id, _)) = rest.split_once('/') else { continue };
        let table: TableNote = serde_json::from_slice(&value).map_err(|e| damaged(&key).cause(e))?;
        let run = runs.iter_mut().find(|(run, _)| run.request.id == id).ok_or_else(|| damaged(&key))?;
        if table.version != VERSION {
            return Err(damaged(&key));
        }
        run.1.push(table);
    }
    for (_, tables) in &mut runs {
        tables.sort_by_key(|t| t.place);
    }
    runs.sort_by_key(|(run, _)| run.begun_us);
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let run = RunNote::new(SnapshotRequest::all("first"), 7);
        let mut table = TableNote::new(0, ("d".into(), "a.b/c".into()));
        table.restart(vec!["id".into()], vec![vec!["5".into()], vec!["9".into()]]);
        assert_eq!(table.ranges.len(), 3);
        assert_eq!((&table.ranges[0].after, &table.ranges[2].until), (&None, &None));
        assert_eq!(table.ranges[0].until, table.ranges[1].after);
        let other = Note { key: "schema/d.t".into(), value: Some(b"x".to_vec()) };
        let notes = [table.note("first"), other, run.note()];
        assert_eq!(notes[0].key, "snapshot/first/d.a.b/c");
        assert_eq!(read(&notes).unwrap(), [(run.clone(), vec![table])]);

        assert_eq!(read(&notes[..1]).unwrap_err().code(), codes::SNAPSHOT_NOTE);
        let later = RunNote { version: 2, ..run }.note();
        assert_eq!(read(&[later]).unwrap_err().code(), codes::SNAPSHOT_NOTE);
    }
}
