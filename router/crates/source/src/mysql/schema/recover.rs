//! The way out of quarantine: somebody says what the table looked like, and the events that were kept are decoded.
//!
//! Pure: blocks in, blocks out. Statements about the table that lie between the kept events (as rows of
//! `forebay.schema_changes`) carry the definition on, so that one definition serves for a span with changes in it; and so do those
//! about other tables, which may be swapped with it. Where a definition does not lead on, somebody may say the next one.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use forebay_model::{Batch, Block, Fault, TableSchema, Txn, quarantine, schema_changes};

use super::change::Session;
use super::definition::{Definition, unusable};
use super::follow::Said;
use super::history::History;
use super::note::{Key, full_name};
use super::version::{Misfit, Version};
use crate::codes;
use crate::mysql::Limits;
use crate::mysql::binlog::{Header, RowsHead, TableMap};
use crate::mysql::blocks::{Building, Finished, Opened, Resume};
use crate::mysql::decode::Plan;

/// Decodes the events of one table that a stretch of the changelog has kept, by one definition: see [`Recovery`].
///
/// # Errors
/// If the definition does not fit the events.
pub fn decode_quarantined(kept: &Block, table: &TableSchema) -> Result<Block, Fault> {
    Recovery::new(Definition::of_schema(table)?)?.decode(kept)
}

/// Decodes what was kept of one table, block after block, in the changelog's order.
#[derive(Debug)]
pub struct Recovery {
    key: Key,
    history: History,
    /// What the first kept event was written with, until that has come.
    first: Option<Definition>,
    /// What the events behind those that the present definition fits were written with.
    later: VecDeque<Version>,
    /// The present definition was somebody's, and no event has needed it yet.
    unused: bool,
    /// The place of the last statement: one about several tables is told of each.
    followed: (String, u64),
    events: u64,
    /// Kept events that are another quarantine's, and stand first.
    others: u64,
}

impl Recovery {
    /// Begins with the definition that the first kept event was written with.
    ///
    /// # Errors
    /// If the table's rows are versions, which are not read.
    pub fn new(definition: Definition) -> Result<Self, Fault> {
        definition.must_be_readable()?;
        let mut history = History::new(&crate::mysql::bench::everything(), &[], false)?;
        history.set(definition.key.clone(), definition.version.clone());
        let (key, later) = (definition.key.clone(), definition.later.clone().into());
        let first = Some(definition);
        Ok(Recovery {
            key,
            history,
            first,
            later,
            unused: true,
            followed: Default::default(),
            events: 0,
            others: 0,
        })
    }

    /// Leaves out the first so many kept events: they are of an earlier quarantine of the table, and were decoded then.
    #[must_use]
    pub fn behind(self, others: u64) -> Self {
        Recovery { others, ..self }
    }

    /// Events kept of a table in a block of the changelog, whichever quarantine's.
    pub fn kept(block: &Block, database: &str, table: &str) -> u64 {
        let virtual_table = quarantine();
        let batches = block
            .batches
            .iter()
            .filter(|b| b.table.database == virtual_table.database && b.table.table == virtual_table.table);
        let of_table = |batch: &Batch| {
            let text = |column: usize, row| batch.columns[column].as_string::<i32>().value(row);
            (0..batch.kinds.len()).filter(|&row| (text(0, row), text(1, row)) == (database, table)).count()
                as u64
        };
        batches.map(of_table).sum()
    }

    /// Events that were decoded.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The table as it is after the last block, for [`Stream::lift`](crate::mysql::Stream::lift); `None` if a statement
    /// was not understood, or dropped the table, and nothing was kept since.
    ///
    /// # Errors
    /// If definitions are left over: whoever gave them means other events than there are.
    pub fn definition(&self) -> Result<Option<Definition>, Fault> {
        let (known, left) = match (self.known(), self.later.len()) {
            (None, 1..) => (self.later.front(), self.later.len() - 1),
            (known, left) => (known, left),
        };
        if left > 0 {
            let why = format!(
                "the definition before fits all events that were kept: {left} of those given is of none of them"
            );
            return Err(unusable(&self.key.0, &self.key.1, &why));
        }
        Ok(known.map(|version| Definition::of(self.key.clone(), version.clone())))
    }

    /// Decodes the table's kept events in a block of the changelog. What comes out has the transactions of the kept
    /// events, and offsets from 0; other rows are left out.
    ///
    /// # Errors
    /// If the definition does not fit an event, which is then not decoded, as all behind it.
    pub fn decode(&mut self, block: &Block) -> Result<Block, Fault> {
        let limits = Limits { block_bytes: usize::MAX, block_rows: usize::MAX, ..Limits::default() };
        let mut building = Building::new(limits);
        let mut last_txn = None;
        for (b, r) in block.runs_in_order() {
            let batch = &block.batches[b as usize];
            let run = batch.runs[r as usize];
            let is = |table: &Arc<TableSchema>| {
                batch.table.database == table.database && batch.table.table == table.table
            };
            let (kept, changes) = (is(quarantine()), is(schema_changes()));
            if !kept && !changes {
                continue;
            }
            for row in batch.run_rows(r as usize) {
                let text = |column: usize| batch.columns[column].as_string::<i32>().value(row);
                let Some(txn) = block.origin.txns.get(run.txn as usize) else {
                    return Err(damaged(&self.key));
                };
                if changes {
                    if batch.columns[2].is_valid(row) {
                        let session = Session::of_change(text(3));
                        self.follow(text(0), text(2), session, (block.origin.file(txn), run.pos));
                    }
                    continue;
                }
                if (text(0), text(1)) != (self.key.0.as_str(), self.key.1.as_str()) {
                    continue;
                }
                if self.others > 0 {
                    self.others -= 1;
                    continue;
                }
                self.first = None;
                if last_txn.replace(run.txn).is_some_and(|last| last != run.txn) {
                    building.end_transaction();
                }
                let open = opened(block, txn);
                self.row(&mut building, batch, row, (run.pos, block.origin.file(txn), &open))?;
            }
        }
        building.end_transaction();
        let Finished { block, fault, .. } = building.finish();
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.events += u64::from(block.events);
        Ok(block)
    }

    /// Follows a statement, once for all the tables that it is told of. Rows that say nothing of its session are of an older
    /// changelog: the first table's database stands for the session's then.
    fn follow(
        &mut self,
        database: &str,
        statement: &str,
        session: Option<Session>,
        (file, pos): (&str, u64),
    ) {
        if self.followed.1 == pos && self.followed.0 == file {
            return;
        }
        self.followed = (file.to_owned(), pos);
        let said = match &session {
            Some(session) => {
                if session.fold {
                    self.history.fold_names();
                }
                if let Some(charset) = &session.charset {
                    let database = self.history.key(database, "").0;
                    self.history.databases.insert(database, charset.clone());
                }
                Said::again(statement, &session.database, session.modes())
            }
            None => Said::again(statement, database, self.history.modes),
        };
        self.history.follow(&said);
        // what the definition is of comes later, and has this in it
        if let Some(first) = &self.first {
            let key = self.history.key(&self.key.0, &self.key.1);
            self.history.set(key, first.version.clone());
        }
    }

    /// What the table is known to look like here.
    fn known(&self) -> Option<&Version> {
        self.history.tables.get(&self.history.key(&self.key.0, &self.key.1))?.as_ref()
    }

    /// A table map with what it lacks, by the present definition, or by the next one where that is over.
    fn meant(&mut self, map: &TableMap, (file, pos): (&str, u64)) -> Result<TableMap, Fault> {
        let fits = |known: Option<&Version>| {
            let known = known.ok_or_else(|| {
                "a statement between the kept events left unknown what it looks like from there on".to_owned()
            })?;
            if let Some(column) = known.lacks_charset(map) {
                return Err(format!(
                    "neither it nor the rows say which character set the column {column} has: say it as in SHOW CREATE TABLE, such as \
                     DEFAULT CHARSET=latin1"
                ));
            }
            known.fits(map).map_err(|Misfit(why)| why)?;
            Ok(known.complete(map))
        };
        let mut met = fits(self.known());
        if met.is_err()
            && !self.unused
            && let Some(next) = self.later.pop_front()
        {
            let key = self.history.key(&self.key.0, &self.key.1);
            self.history.set(key, Some(next));
            met = fits(self.known());
        }
        self.unused = false;
        met.map_err(|why| {
            unusable(&self.key.0, &self.key.1, &format!("at {file}:{pos}: {why}"))
                .fix("give what SHOW CREATE TABLE printed when the rows were written; where it changed among them, each in turn: the next \
                      one counts from the first event on that the one before does not fit")
        })
    }

    /// Decodes one kept rows event.
    fn row(
        &mut self,
        building: &mut Building,
        batch: &Batch,
        row: usize,
        from: (u64, &str, &Opened),
    ) -> Result<(), Fault> {
        let bytes = |column: usize| batch.columns[column].as_binary::<i32>().value(row);
        let kind = batch.columns[2].as_primitive::<Int32Type>().value(row) as u8;
        let seconds = batch.columns[5].as_primitive::<Int64Type>().value(row) as u32;
        let mariadb = from.2.gtid.as_ref().is_some_and(|g| g.domain_and_server().is_some());
        let map = TableMap::parse(bytes(3), mariadb).map_err(|_| damaged(&self.key))?;
        let whole = if map.full { map } else { self.meant(&map, (from.1, from.0))? };
        let plan = Arc::new(Plan::new(&whole)?);
        let body = bytes(4);
        let head = RowsHead::parse(kind, body).map_err(|_| damaged(&self.key))?;
        if head.columns != plan.width() {
            return Err(damaged(&self.key));
        }
        let header = Header { kind, seconds, server_id: from.2.server_id, ..Header::default() };
        let filling = building.filling(&plan);
        building.rows(filling, &header, &head, from, Resume::default()).map_err(|_| damaged(&self.key))?;
        Ok(())
    }
}

fn opened(block: &Block, txn: &Txn) -> Opened {
    Opened {
        gtid: block.origin.gtid(txn),
        commit_us: txn.commit_us,
        thread: txn.thread,
        server_id: txn.server_id,
    }
}

fn damaged(key: &Key) -> Fault {
    Fault::new(codes::DEFINITION, format!("an event kept of {} makes no sense", full_name(key)))
        .fix("report this; the table's other events can be had by a snapshot")
}

#[cfg(test)]
mod tests;
