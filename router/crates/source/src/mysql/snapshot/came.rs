//! Tables whose rows nobody has told: those that come into the capture under another name, and those that the account may see
//! only now.
//!
//! Owns the notes `seen/DB.TABLE`: the captured tables that were there when a connection began, or were made since. What is there
//! at a connect and is not among them has rows from before; it is looked for at each connect, and read once the stream has passed
//! the place where the binlog ended then, for a table that the stream has seen being made has no others.

use std::collections::BTreeSet;

use forebay_model::{Note, TablePattern};
use serde::Deserialize;

use super::super::schema::Place;
use super::read::now_us;
use super::request::{SnapshotRequest, SnapshotState};
use super::run::Snapshots;

const SEEN: &str = "seen/";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    seen: BTreeSet<String>,
    /// There at the connect, and not seen before.
    unseen: BTreeSet<(String, String)>,
    /// Whether tables were looked for before; all that is there the first time counts as seen.
    looked: bool,
}

impl Known {
    pub(super) fn of(notes: &[Note]) -> Self {
        let names = notes.iter().filter(|n| n.value.is_some()).filter_map(|n| n.key.strip_prefix(SEEN));
        let mut known = Known::default();
        for name in names {
            known.looked = true;
            known.seen.insert(name.to_owned());
        }
        known
    }
}

/// What a row of `forebay.schema_changes` says of its table.
#[derive(Debug, Deserialize)]
pub(crate) struct Told<'a> {
    kind: &'a str,
    renamed_from: Option<String>,
    renamed_to: Option<String>,
}

impl Snapshots {
    /// The captured tables that there are, as the connection begins.
    pub(crate) fn there_are(&mut self, names: Vec<(String, String)>) {
        if !self.known.looked {
            self.known.looked = true;
            self.see("");
            names.iter().for_each(|(database, table)| self.see(&format!("{database}.{table}")));
        } else {
            let unseen = names.into_iter().filter(|(d, t)| !self.known.seen.contains(&format!("{d}.{t}")));
            self.known.unseen = unseen.collect();
        }
    }

    /// The stream has passed what happened to a table.
    pub(crate) fn happened(&mut self, database: &str, table: &str, told: &Told<'_>) {
        self.table_changed(database, table);
        let name = format!("{database}.{table}");
        if let Some(from) = &told.renamed_from {
            let was_told = from.split_once('.').is_some_and(|(d, t)| self.reading.source.captures(d, t));
            self.came(database, table, was_told);
        } else if told.kind == "create" {
            self.known.unseen.remove(&(database.to_owned(), table.to_owned()));
            self.see(&name);
        } else if told.kind == "drop" || told.renamed_to.is_some() {
            self.known.unseen.remove(&(database.to_owned(), table.to_owned()));
            if self.known.seen.remove(&name) {
                self.dirty.insert(format!("{SEEN}{name}"), None);
            }
        }
    }

    /// Another table has this name now, with its rows. Snapshots that are under way read it anew; where none is, and its rows were
    /// never told under any name, one begins.
    fn came(&mut self, database: &str, table: &str, was_told: bool) {
        let mut meant = Vec::new();
        for run in &self.runs {
            if matches!(run.note.state, SnapshotState::Done | SnapshotState::Cancelled) {
                continue;
            }
            let of_it = |(_, t): &(usize, &super::run::Table)| {
                t.note.database == database
                    && t.note.table == table
                    && t.note.state != SnapshotState::Cancelled
            };
            meant.extend(run.tables.iter().enumerate().find(of_it).map(|(at, _)| (run.number, at)));
        }
        let is_read = self.is_read(database, table);
        for (number, at) in meant {
            if let Some(run) = self.run_mut(number) {
                run.tables[at].note.forget_rows();
            }
            self.let_go(number, Some(at));
            self.note_table(number, at);
        }
        self.known.unseen.remove(&(database.to_owned(), table.to_owned()));
        self.see(&format!("{database}.{table}"));
        if !was_told && !is_read && self.reading.settings.new_tables {
            self.begin_added(vec![(database.to_owned(), table.to_owned())]);
        }
    }

    /// Begins to read the tables that were not seen before, once it is certain that the stream has not seen them being made.
    pub(crate) fn begin_unseen(&mut self) {
        let at = || Place { file: self.position.file.clone(), pos: self.position.pos };
        if self.known.unseen.is_empty() || !self.between || at() < self.began {
            return;
        }
        let unseen = std::mem::take(&mut self.known.unseen);
        unseen.iter().for_each(|(database, table)| self.see(&format!("{database}.{table}")));
        let unread: Vec<_> = unseen.into_iter().filter(|(d, t)| !self.is_read(d, t)).collect();
        if !unread.is_empty() {
            self.begin_added(unread);
        }
    }

    fn see(&mut self, name: &str) {
        if self.reading.settings.new_tables && self.known.seen.insert(name.to_owned()) {
            self.dirty.insert(format!("{SEEN}{name}"), Some(Vec::new()));
        }
    }

    /// Whether a snapshot that is not over reads all rows of a table, for everybody.
    fn is_read(&self, database: &str, table: &str) -> bool {
        let name = format!("{database}.{table}");
        self.runs.iter().any(|run| {
            let (note, request) = (&run.note, &run.note.request);
            let of_it = |t: &super::run::Table| t.note.database == database && t.note.table == table;
            let has =
                if note.planned { run.tables.iter().any(of_it) } else { request.wants(database, table) };
            let is_over = matches!(note.state, SnapshotState::Done | SnapshotState::Cancelled);
            has && !is_over && request.audience.is_none() && !request.filters.contains_key(&name)
        })
    }

    fn begin_added(&mut self, tables: Vec<(String, String)>) {
        let mut ms = now_us() / 1000;
        while self.runs.iter().any(|r| r.note.request.id == format!("added-{ms}")) {
            ms += 1;
        }
        let id = format!("added-{ms}");
        let patterns: Vec<TablePattern> = tables
            .iter()
            .filter_map(|(database, table)| TablePattern::new(&format!("{database}.{table}")).ok())
            .collect();
        if patterns.is_empty() {
            return;
        }
        tracing::info!(id, ?tables, "a snapshot begins of tables whose rows were not told before");
        if let Err(fault) = self.begin(SnapshotRequest { tables: patterns, ..SnapshotRequest::all(id) }) {
            tracing::error!(code = fault.code().name, "{fault}");
        }
    }
}
