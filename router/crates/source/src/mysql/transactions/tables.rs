//! What tables look like while a transaction is read: asks the history, keeps what stands aside, tells what changed.

use std::sync::Arc;

use forebay_model::Fault;

use super::{Table, Taken, Transactions};
use crate::mysql::binlog::{Event, Query, RawColumn, RowsHead, Special, TableMap, table_of};
use crate::mysql::cursor::Garbled;
use crate::mysql::decode::Plan;
use crate::mysql::schema::{Place, Sight, Version, change_image, is_sequence};

/// Table maps that are kept; they are made anew where they are missed.
pub(super) const TABLES: usize = 4096;
/// More tables than a statement can have.
const STATEMENT: usize = 128;

/// What a captured table's map means.
enum Seen {
    Plan(Arc<Plan>),
    Quarantined,
    /// It is a sequence.
    NoTable,
    /// The server must be asked first.
    Ask(Taken),
}

impl Transactions {
    /// The table is in quarantine no more. False if it was in none.
    pub(crate) fn lift(&mut self, database: &str, table: &str, version: Option<Version>) -> bool {
        let lifted = self.history.lift(database, table, version);
        self.forget_changed_tables();
        lifted
    }

    pub(super) fn table_map(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let garbled = |Garbled| self.garbled(event);
        let id = RowsHead::table_id(event.body).map_err(garbled)?;
        if self.last.0 == id && self.tables.get(self.last.1).is_some_and(|t| t.raw == event.body) {
            return Ok(Taken::Whole);
        }
        if let Some(&at) = self.by_id.get(&id)
            && self.tables[at].raw == event.body
        {
            self.last = (id, at);
            return Ok(Taken::Whole);
        }
        let (database, table) = table_of(event.body).map_err(garbled)?;
        let (plan, kept) = if self.config.captures(database, table) {
            match self.sight(event)? {
                Seen::Plan(plan) => (Some(plan), false),
                Seen::Quarantined => (None, true),
                Seen::NoTable => (None, false),
                Seen::Ask(taken) => return Ok(taken),
            }
        } else {
            (None, false)
        };
        if self.tables.len() >= TABLES {
            self.make_room();
        }
        self.kept += usize::from(kept);
        self.tables.push(Table { raw: event.body.to_vec(), plan, kept, filling: (u64::MAX, 0) });
        self.last = (id, self.tables.len() - 1);
        self.by_id.insert(id, self.last.1);
        Ok(Taken::Whole)
    }

    /// The columns of the table that was asked about, as they are now.
    pub(crate) fn told(&mut self, specials: Vec<(String, Special)>) {
        self.specials = Some(specials);
    }

    /// What a captured table's map means.
    #[cold]
    fn sight(&mut self, event: &Event<'_>) -> Result<Seen, Fault> {
        // the first six bytes are the number, which changes with every FLUSH TABLES
        let known = self.tables.iter().rev().find(|t| t.raw.get(6..) == event.body.get(6..));
        if let Some(plan) = known.and_then(|t| t.plan.clone()) {
            return Ok(Seen::Plan(plan));
        }
        let mut map = TableMap::parse(event.body, self.is_mariadb).map_err(|Garbled| self.garbled(event))?;
        // without names the history has the types from statements and from the server
        if self.is_mariadb && map.full && map.columns.iter().any(RawColumn::may_be_special) {
            let Some(specials) = self.specials.take() else {
                return Ok(Seen::Ask(Taken::AskSpecials(Box::new((map.database, map.table)))));
            };
            for (name, special) in specials {
                if let Some(column) = map.columns.iter_mut().find(|c| c.name == name && c.may_be(special)) {
                    column.special = Some(special);
                }
            }
        }
        let place = Place { file: self.position.file.clone(), pos: self.start(&event.header) };
        match self.history.table_map(map, place, event.header.seconds) {
            Sight::Ask => Ok(Seen::Ask(Taken::AskVersion)),
            Sight::Quarantined => {
                self.forget_changed_table(event)?;
                Ok(Seen::Quarantined)
            }
            Sight::Known(map, _) if self.is_mariadb && is_sequence(&map) => {
                self.forget_changed_table(event)?;
                Ok(Seen::NoTable)
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
                Ok(Seen::Plan(same.unwrap_or_else(|| Arc::new(plan))))
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
    fn make_room(&mut self) {
        let gone = self.tables.len().saturating_sub(STATEMENT);
        self.tables.drain(..gone);
        self.by_id.retain(|_, at| *at >= gone);
        self.by_id.values_mut().for_each(|at| *at -= gone);
        self.last = (u64::MAX, usize::MAX);
        self.kept = self.tables.iter().filter(|t| t.kept).count();
    }

    fn forget_tables(&mut self) {
        self.tables.clear();
        self.by_id.clear();
        self.last = (u64::MAX, usize::MAX);
        self.kept = 0;
    }

    /// Carries the history on by a statement, and tells what changed of captured tables.
    pub(super) fn table_statement(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
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
