//! Tables whose rows nobody has told: those that come into the capture under another name, those that the source's patterns mean only
//! now, and those that the account may see only now.
//!
//! Owns the notes `seen/DB.TABLE`: the captured tables that were there when a connection began, or were made since; a table that is
//! captured no more is not among them. What is there at a connect and is not among them has rows from before; it is looked for at each connect, and read once the stream has passed
//! the place where the binlog ended then, for a table that the stream has seen being made has no others.

use std::collections::BTreeSet;

use forebay_model::{Note, TablePattern};
use serde::Deserialize;

use super::super::schema::Place;
use super::moved::Name;
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
    /// Forgets the tables that the source has captured once and does not any more: what is changed meanwhile, nobody tells.
    pub(super) fn forget_strangers(&mut self) {
        let is_strange =
            |name: &String| name.split_once('.').is_some_and(|(d, t)| !self.reading.source.captures(d, t));
        let strange: Vec<String> = self.known.seen.iter().filter(|name| is_strange(name)).cloned().collect();
        strange.iter().for_each(|name| self.unsee(name));
    }

    /// The captured tables that there are, as the connection begins.
    pub(crate) fn there_are(&mut self, names: Vec<(String, String)>) {
        if !self.known.looked || !self.reading.settings.new_tables {
            self.known.looked = true;
            self.see("");
            names.iter().for_each(|(database, table)| self.see(&format!("{database}.{table}")));
        } else {
            let unseen = names.into_iter().filter(|(d, t)| !self.known.seen.contains(&format!("{d}.{t}")));
            self.known.unseen = unseen.collect();
        }
    }

    /// The stream has passed a statement; this is what came of each captured table that it is about.
    pub(crate) fn happened(&mut self, changes: &[(&str, &str, Told<'_>)]) {
        // as of before the statement, whatever name is looked at first
        let told = |from: &Option<String>| from.as_ref().is_some_and(|from| self.known.seen.contains(from));
        let were_told: Vec<bool> = changes.iter().map(|(_, _, change)| told(&change.renamed_from)).collect();
        for ((database, table, change), was_told) in changes.iter().zip(were_told) {
            self.happened_to((database, table), change, was_told);
        }
    }

    fn happened_to(&mut self, name: Name<'_>, change: &Told<'_>, was_told: bool) {
        let (database, table) = name;
        self.table_changed(database, table);
        let (from, to) = (change.renamed_from.as_deref(), change.renamed_to.as_deref());
        let key = || (database.to_owned(), table.to_owned());
        let full = format!("{database}.{table}");
        let is_drop = change.kind == "drop";
        if is_drop || from.is_some() || to.is_some() {
            self.plans_are_old();
        }
        if let Some(to) = to.and_then(|to| to.split_once('.')).filter(|to| self.captures(to.0, to.1)) {
            self.passes_on(name, to, from.is_some());
        }
        if from.is_some() {
            self.comes(name);
            let is_read = self.is_read(database, table);
            self.known.unseen.remove(&key());
            self.see(&full);
            if !was_told && !is_read && self.reading.settings.new_tables {
                self.begin_added(vec![key()]);
            }
        } else if change.kind == "create" {
            self.known.unseen.remove(&key());
            self.see(&full);
        } else if is_drop || to.is_some() {
            self.known.unseen.remove(&key());
            self.unsee(&full);
            self.goes(name, to);
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
        if self.known.seen.insert(name.to_owned()) {
            self.dirty.insert(format!("{SEEN}{name}"), Some(Vec::new()));
        }
    }

    fn unsee(&mut self, name: &str) {
        if self.known.seen.remove(name) {
            self.dirty.insert(format!("{SEEN}{name}"), None);
        }
    }

    /// Whether a snapshot reads all rows of a table, for everybody, or will if it is resumed.
    fn is_read(&self, database: &str, table: &str) -> bool {
        let name = format!("{database}.{table}");
        self.runs.iter().any(|run| {
            let (note, request) = (&run.note, &run.note.request);
            let reads = match note.planned {
                true => run.place((database, table)).is_some_and(|at| run.tables[at].note.is_open()),
                false => request.wants(database, table),
            };
            let is_over = matches!(note.state, SnapshotState::Done | SnapshotState::Cancelled);
            reads && !is_over && request.audience.is_none() && !request.filters.contains_key(&name)
        })
    }

    fn begin_added(&mut self, tables: Vec<(String, String)>) {
        let mut ms = now_us() / 1000;
        while self.runs.iter().any(|r| r.note.request.id == format!("added-{ms}")) {
            ms += 1;
        }
        let id = format!("added-{ms}");
        let patterns: Vec<TablePattern> =
            tables.iter().filter_map(|(database, table)| pattern_of(database, table)).collect();
        if patterns.is_empty() {
            return;
        }
        tracing::info!(id, ?tables, "a snapshot begins of tables whose rows were not told before");
        if let Err(fault) = self.begin(SnapshotRequest { tables: patterns, ..SnapshotRequest::all(id) }) {
            tracing::error!(code = fault.code().name, "{fault}");
        }
    }
}

/// A pattern that means this table. What is a sign of patterns in a name, or a dot in a database's, is written `?`: so a table whose name
/// differs there alone is meant too, and read once more than need be.
pub(super) fn pattern_of(database: &str, table: &str) -> Option<TablePattern> {
    let database = database.replace(['.', '*'], "?");
    TablePattern::new(&format!("{database}.{}", table.replace('*', "?"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_a_name_means_it() {
        for (database, table) in [("a", "t"), ("a.b", "t"), ("a", "b.t"), ("a*", "s*r"), ("a.b.c", "t?.*")] {
            let pattern = pattern_of(database, table).unwrap();
            assert!(pattern.matches(database, table), "{pattern}");
            assert!(!pattern.matches("a", "other") && !pattern.matches("other", table), "{pattern}");
        }
        assert!(!pattern_of("a.b", "t").unwrap().matches("a", "b.t"));
        assert!(!pattern_of("a", "s*r").unwrap().matches("a", "scooter"));
    }
}
