//! Changes that are not in the binlog, made while nobody listened: found before the rows are read that they may be about.
//!
//! What statements make of each table up to now is compared with what the server says of it now. Where the two differ, a change is
//! missing. Rows that fit only one of the two tell on which side of it they were written; a table whose rows fit both, or that
//! statements changed as well, stands aside from there on. Only table maps without names need that.
//!
//! Not found is what leaves no trace: a change that another one took back, or that ended with the table dropped. While the stream
//! is connected, a hidden change is found when rows do not fit it, else at the next connection.

use super::history::History;
use super::note::Key;
use super::place::Place;
use super::version::Version;
use crate::mysql::binlog::TableMap;

/// Why a suspect's rows are not read.
pub(super) const WHY: &str = "the server's definition is another than the one that the statements in the binlog make: the table was \
                              changed by a statement that is not in the binlog, and these rows may be of before or after it";

impl History {
    /// A copy that statements ahead can be tried on, and where they end: if some captured table is another by then, and rows
    /// before do not name their columns.
    pub(super) fn shadow(&self) -> Option<(History, Place)> {
        let catalog = self.catalog.as_ref().filter(|c| !c.names_in_binlog)?;
        if !self.captured(catalog).any(|(_, known, found)| !known.reads_as(found)) {
            return None;
        }
        let mut shadow = History::new(&self.config, &[], false).ok()?;
        (shadow.modes, shadow.fold) = (self.modes, self.fold);
        shadow.tables.clone_from(&self.tables);
        shadow.databases.clone_from(&self.databases);
        Some((shadow, catalog.after.clone()))
    }

    /// Compares what the statements ahead made of the copy with what the server says.
    pub(super) fn suspect(&mut self, shadow: &History) {
        let Some(catalog) = &self.catalog else { return };
        let differ = |known: &Version, found: &Version| {
            // types that statements made may be spelt otherwise; that they are others is seen in the rows
            if known.proved { !known.reads_as(found) } else { !known.names_as(found) }
        };
        let suspects = shadow.captured(catalog).filter(|(_, known, found)| differ(known, found));
        let suspect = |(key, known, found): (&Key, &Version, &Version)| {
            let untouched = self.tables.get(key).and_then(Option::as_ref) == Some(known);
            (key.clone(), untouched.then(|| found.clone()))
        };
        self.suspects = suspects.map(suspect).collect();
    }

    /// Whether nobody can say what the columns of these rows were called.
    pub(super) fn is_suspect(&self, key: &Key, map: &TableMap) -> bool {
        let fits = |found: &Option<Version>| found.as_ref().is_none_or(|found| found.fits(map).is_ok());
        self.suspects.get(key).is_some_and(fits)
    }
}
