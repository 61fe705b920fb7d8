//! What MariaDB has otherwise in a transaction: its GTID opens it, and events come compressed.

use forebay_model::Fault;

use super::{Taken, Transactions};
use crate::mysql::binlog::{Event, Header, MariaDbGtid, inflate};
use crate::mysql::cursor::Garbled;

/// The most that a compressed event may become, and how much of that memory is kept for the next one.
const LARGEST_EVENT: usize = (1 << 30) + (1 << 20);
const KEPT: usize = 1 << 20;

impl Transactions {
    /// MariaDB's GTID: also what BEGIN is elsewhere.
    pub(super) fn open_mariadb(&mut self, event: &Event<'_>, begin: MariaDbGtid) -> Result<(), Fault> {
        self.is_mariadb = true;
        let commit_us = u64::from(event.header.seconds) * 1_000_000;
        self.open(Some(begin.gtid), commit_us)?;
        if let Some(open) = &mut self.open {
            open.server_id = event.header.server_id;
        }
        self.begun = !begin.standalone;
        self.undone = begin.undone;
        if begin.prepared {
            self.xa_start();
        }
        Ok(())
    }

    /// An event that MariaDB has compressed.
    #[cold]
    pub(super) fn inflated(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        self.with_inflated(event, |of, event| of.take(event))
    }

    pub(super) fn with_inflated<T>(
        &mut self,
        event: &Event<'_>,
        take: impl FnOnce(&mut Self, &Event<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut body = std::mem::take(&mut self.inflated);
        let kind = inflate(&event.header, event.body, LARGEST_EVENT, &mut body);
        let taken = match kind {
            Ok(kind) => take(self, &Event { header: Header { kind, ..event.header }, body: &body }),
            Err(Garbled) => Err(self.garbled(event)),
        };
        if body.capacity() <= KEPT {
            self.inflated = body;
        }
        taken
    }
}
