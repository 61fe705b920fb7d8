//! Who changed what, newest kept: a ring.

use forebay_model::Fault;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::db::{Done, Failure, decode, encode, now_us};

/// Number of the entry, rising, to [`AuditEntry`].
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When: microseconds since 1970. Set by the store.
    pub at_us: u64,
    /// Who asked: a token's name, or an address.
    pub who: String,
    /// What was done, such as `put`, `delete`, `pause`.
    pub what: String,
    /// To what, such as `routes.tenants-to-crm`.
    pub target: String,
}

pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<(), Failure> {
    tx.open_table(AUDIT)?;
    Ok(())
}

impl Store {
    /// Notes what somebody did; the oldest entries go when there are too many.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn audit(&self, who: &str, what: &str, target: &str) -> Result<(), Fault> {
        let entry = AuditEntry {
            at_us: now_us(),
            who: who.to_owned(),
            what: what.to_owned(),
            target: target.to_owned(),
        };
        let bound = self.bounds().audit_entries;
        self.commit(move |tx| {
            let mut table = tx.open_table(AUDIT)?;
            let next = table.last()?.map_or(0, |(number, _)| number.value() + 1);
            table.insert(next, encode(&entry).as_slice())?;
            while table.len()? > bound {
                table.pop_first()?;
            }
            Ok(Done::Changed(()))
        })
        .await
    }

    /// The newest entries, newest first, at most `limit`.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn audit_entries(&self, limit: usize) -> Result<Vec<AuditEntry>, Fault> {
        self.read(|tx| {
            let table = tx.open_table(AUDIT)?;
            table.iter()?.rev().take(limit).map(|entry| decode(entry?.1.value())).collect()
        })
    }
}
