//! What tables look like while a transaction is read: asks the history, keeps what stands aside, tells what changed.

use std::sync::Arc;

use forebay_model::Fault;

use super::{STATEMENT, Transactions};
use crate::mysql::binlog::{Event, Query, RowsHead, TableMap, table_of};
use crate::mysql::blocks::Resume;
use crate::mysql::cursor::Garbled;
use crate::mysql::decode::Plan;
use crate::mysql::schema::{Place, Sight, Version, change_image, insert, kept_image};

impl Transactions {
    /// The table is in quarantine no more. False if it was in none.
    pub(crate) fn lift(&mut self, database: &str, table: &str, version: Version) -> bool {
        let lifted = self.history.lift(database, table, version);
        self.forget_changed_tables();
        lifted
    }

    /// What a captured table's map means: `Some(plan)`, `Some(None)` = the table is in quarantine; `None` = the server must
    /// be asked.
    #[cold]
    pub(super) fn sight(&mut self, event: &Event<'_>) -> Result<Option<Option<Arc<Plan>>>, Fault> {
        let map = TableMap::parse(event.body).map_err(|Garbled| self.garbled(event))?;
        let place = Place { file: self.position.file.clone(), pos: self.start(&event.header) };
        match self.history.table_map(map, place, event.header.seconds) {
            Sight::Ask => Ok(None),
            Sight::Quarantined => {
                self.forget_changed_table(event)?;
                Ok(Some(None))
            }
            Sight::Known(map, change) => {
                self.forget_changed_table(event)?;
                if let Some(change) = change {
                    let key = (map.database.clone(), map.table.clone());
                    let image = change_image(&key, None, &change, self.time(event));
                    let plan = self.history.changes_plan();
                    self.tell(event, &plan, &image)?;
                }
                let plan = Plan::new(&map)?;
                let mut plans = self.tables.iter().rev().filter_map(|t| t.plan.as_ref());
                let same = plans.find(|p| ***p == plan).cloned();
                Ok(Some(Some(same.unwrap_or_else(|| Arc::new(plan)))))
            }
        }
    }

    /// Table maps that were seen before say nothing any more if a table has changed: without names in them, the same bytes
    /// may mean another version.
    fn forget_changed_tables(&mut self) {
        if self.history.take_changed() {
            self.forget_tables();
        }
    }

    /// As [`forget_changed_tables`](Self::forget_changed_tables), in the middle of a statement: the other tables' rows are
    /// still to come.
    fn forget_changed_table(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        if self.history.take_changed() {
            let this = table_of(event.body).map_err(|Garbled| self.garbled(event))?;
            // bytes that no table map has
            let same = self.tables.iter_mut().filter(|t| table_of(&t.raw) == Ok(this));
            same.for_each(|t| t.raw.clear());
        }
        Ok(())
    }

    /// Forgets all but the newest table maps: those of a statement stand together before its rows.
    pub(super) fn make_room(&mut self) {
        let gone = self.tables.len().saturating_sub(STATEMENT);
        self.tables.drain(..gone);
        self.by_id.retain(|_, at| *at >= gone);
        self.by_id.values_mut().for_each(|at| *at -= gone);
        self.last = (u64::MAX, usize::MAX);
        self.kept = self.tables.iter().filter(|t| t.kept).count();
    }

    pub(super) fn forget_tables(&mut self) {
        self.tables.clear();
        self.by_id.clear();
        self.last = (u64::MAX, usize::MAX);
        self.kept = 0;
    }

    /// Whether a rows event's table is in quarantine.
    pub(super) fn keeps(&self, event: &Event<'_>) -> Result<bool, Fault> {
        let id = RowsHead::table_id(event.body).map_err(|Garbled| self.garbled(event))?;
        Ok(self.by_id.get(&id).and_then(|&at| self.tables.get(at)).is_some_and(|t| t.kept))
    }

    /// Keeps a rows event as it is, as a row of `forebay.quarantine`.
    pub(super) fn keep(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        let id = RowsHead::table_id(event.body).map_err(|Garbled| self.garbled(event))?;
        let Some(kept) = self.by_id.get(&id).and_then(|&at| self.tables.get(at)) else {
            return Err(self.garbled(event));
        };
        let (database, table) = table_of(&kept.raw).map_err(|Garbled| self.garbled(event))?;
        let image =
            kept_image((database, table), event.header.kind, &kept.raw, event.body, event.header.seconds);
        self.history.kept(database, table);
        let plan = self.history.quarantine_plan();
        self.tell(event, &plan, &image)
    }

    /// The transaction's time, microseconds since 1970.
    fn time(&self, event: &Event<'_>) -> u64 {
        let seconds = u64::from(event.header.seconds) * 1_000_000;
        self.open.as_ref().map(|o| o.commit_us).filter(|&us| us > 0).unwrap_or(seconds)
    }

    /// Puts a row of a virtual table where the event stands.
    fn tell(&mut self, event: &Event<'_>, plan: &Arc<Plan>, image: &[u8]) -> Result<(), Fault> {
        let (pos, time) = (self.start(&event.header), self.time(event));
        let open = self.open.get_or_insert_default();
        open.commit_us = time;
        open.server_id = event.header.server_id;
        let filling = self.building.filling(plan);
        let (header, head) = insert(&event.header, plan.table.columns.len(), image);
        let from = (pos, self.position.file.as_str(), &*open);
        match self.building.rows(filling, &header, &head, from, Resume::default()) {
            Ok(_) => Ok(()),
            Err(Garbled) => Err(self.garbled(event)),
        }
    }

    /// Carries the history on by a statement, and tells what changed of captured tables.
    pub(super) fn statement(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        let images = self.history.statement(query, self.time(event));
        self.forget_changed_tables();
        if images.is_empty() {
            return Ok(());
        }
        self.open.get_or_insert_default().thread = query.thread;
        let plan = self.history.changes_plan();
        images.iter().try_for_each(|image| self.tell(event, &plan, image))
    }

    /// Tells the history where the stream stands, between two transactions.
    #[inline]
    pub(crate) fn stand(&mut self) {
        let Transactions { history, position, .. } = self;
        if history.end_transaction(|| Place { file: position.file.clone(), pos: position.pos }) {
            self.moves += 1;
            self.forget_changed_tables();
        }
    }
}
