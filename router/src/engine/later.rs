//! What columns of earlier versions came to be called: a tag of the present name is to hold for rows from before it, too.
//!
//! Told by the source's notes (what each table is now, or was last) and by the versions that stored events are of; looked at again
//! whenever the changelog has new ones, since a route may lag behind the statement that renamed a column.

use std::sync::Arc;

use forebay_changelog::Log;
use forebay_model::{Descendant, Fault, Note};
use forebay_source::mysql;

use crate::definition::{Guard, LaterNames};

/// Notes that tell of it.
const NOTES: [&str; 2] = [mysql::SCHEMA_NOTES, mysql::BEFORE_NOTES];

/// What one changelog knows of it, as of the last look.
pub(super) struct Later {
    log: Log,
    seen: Option<Mark>,
    known: Arc<LaterNames>,
}

/// Rises when there may be something new.
type Mark = ([u64; 2], u32);

impl Later {
    pub(super) fn new(log: Log) -> Self {
        Later { log, seen: None, known: Arc::default() }
    }

    /// Tells a guard what is known now, if it holds anything. Whether that is other than it knew.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) async fn teach(&mut self, guard: &mut Guard) -> Result<bool, Fault> {
        Ok(!guard.is_idle() && guard.learn(&self.look().await?))
    }

    /// What is known now. The same `Arc` as before if nothing is new; it reads the file only if something may be.
    ///
    /// # Errors
    /// If the changelog cannot be read.
    pub(super) async fn look(&mut self) -> Result<Arc<LaterNames>, Fault> {
        // before it is read: what comes meanwhile is looked at next time
        let mark = (NOTES.map(|key| self.log.times_noted(key)), self.log.tables_so_far());
        if self.seen != Some(mark) {
            let known = read(&self.log).await?;
            if *self.known != known {
                self.known = Arc::new(known);
            }
            self.seen = Some(mark);
        }
        Ok(self.known.clone())
    }
}

async fn read(log: &Log) -> Result<LaterNames, Fault> {
    let log = log.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let [tables, gone] = NOTES.map(|prefix| log.notes_under(prefix));
        let notes = tables?.into_iter().chain(gone?).map(|(key, value)| Note { key, value: Some(value) });
        let mut known = LaterNames::default();
        for Descendant { database, table, columns, lineage } in mysql::descendants(&notes.collect::<Vec<_>>())
        {
            known.add((&database, &table), columns.iter().map(String::as_str), &lineage);
        }
        // the last ones first
        for table in log.tables().iter().rev().filter(|table| !table.lineage.is_empty()) {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            known.add((&table.database, &table.table), columns, &table.lineage);
        }
        Ok(known)
    });
    reading.await.expect("reading notes does not panic")
}
