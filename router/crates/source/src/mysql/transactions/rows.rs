//! Rows: into the block at hand, or aside where the table is in quarantine; and rows that the source itself tells.

use std::sync::Arc;

use forebay_model::Fault;

use super::{Taken, Transactions};
use crate::mysql::binlog::{Event, RowsHead, table_of};
use crate::mysql::blocks::Resume;
use crate::mysql::cursor::Garbled;
use crate::mysql::decode::Plan;
use crate::mysql::schema::{insert, kept_image};

/// A table map's number that stands for none (the last event of a statement with no rows).
const NO_TABLE: u64 = 0xff_ffff;

impl Transactions {
    pub(super) fn rows(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let head = RowsHead::parse(event.header.kind, event.body).map_err(|Garbled| self.garbled(event))?;
        if head.table_id != self.last.0 {
            match self.by_id.get(&head.table_id) {
                Some(&at) => self.last = (head.table_id, at),
                None if head.table_id == NO_TABLE => return Ok(Taken::Whole),
                None => return Err(self.garbled(event)),
            }
        }
        let pos = self.start(&event.header);
        let Some(table) = self.tables.get_mut(self.last.1) else { return Err(self.garbled(event)) };
        let Some(plan) = &table.plan else { return Ok(Taken::Whole) };
        let (Some(open), true) = (&mut self.open, self.begun && head.columns == plan.width()) else {
            return Err(self.garbled(event));
        };
        if table.filling.0 != self.building.number {
            table.filling = (self.building.number, self.building.filling(plan));
        }
        open.server_id = event.header.server_id;
        self.rows += 1;
        let from = (pos, self.position.file.as_str(), &*open);
        let resume = std::mem::take(&mut self.resume);
        match self.building.rows(table.filling.1, &event.header, &head, from, resume) {
            Ok(None) => Ok(Taken::Whole),
            Ok(Some(resume)) => {
                self.resume = resume;
                Ok(Taken::Part)
            }
            Err(Garbled) => {
                let table = plan.table.full_name();
                Err(self.garbled(event).cause(format!("in a row of {table}")))
            }
        }
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
        self.rows += 1;
        let plan = self.history.quarantine_plan();
        self.tell(event, &plan, &image)
    }

    /// The transaction's time, microseconds since 1970.
    pub(super) fn time(&self, event: &Event<'_>) -> u64 {
        let seconds = u64::from(event.header.seconds) * 1_000_000;
        self.open.as_ref().map(|o| o.commit_us).filter(|&us| us > 0).unwrap_or(seconds)
    }

    /// Puts a row of a virtual table where the event stands.
    pub(super) fn tell(&mut self, event: &Event<'_>, plan: &Arc<Plan>, image: &[u8]) -> Result<(), Fault> {
        let (pos, time) = (self.start(&event.header), self.time(event));
        let open = self.open.get_or_insert_default();
        open.commit_us = time;
        open.server_id = event.header.server_id;
        let filling = self.building.filling(plan);
        let (header, head) = insert(&event.header, plan.table.columns.len(), image);
        let from = (pos, self.position.file.as_str(), &*open);
        match self.building.rows(filling, &header, &head, from, Resume::default()) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.garbled(event)),
        }
    }
}
