//! Savepoints: what is taken back in the middle of a transaction.
//!
//! A server leaves out of its binlog what ROLLBACK TO takes back, unless the transaction also did what cannot be taken
//! back (on MariaDB a temporary table, on both a table of another engine): then the rows stand there, and ROLLBACK TO
//! behind them. Which of these rows stay (those of the other engine) is not written, so they are refused, never guessed.

use forebay_model::Fault;

use super::Transactions;
use crate::codes;
use crate::mysql::binlog::{Event, Query, Savepoint};

/// The savepoints of a transaction that are remembered; one that is not counts as its beginning.
const MOST: usize = 1000;

/// Names, each with how many rows events of captured tables stood before it.
#[derive(Debug, Default)]
pub(super) struct Savepoints(Vec<(Vec<u8>, u64)>);

impl Savepoints {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn set(&mut self, name: &[u8], rows: u64) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        if self.0.len() < MOST {
            self.0.push((name.to_owned(), rows));
        }
    }

    fn rows_before(&self, name: &[u8]) -> u64 {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(0, |(_, rows)| *rows)
    }
}

impl Transactions {
    /// Takes a statement inside a transaction that may be about a savepoint.
    pub(super) fn savepoint(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        match query.savepoint() {
            Some(Savepoint::Set(name)) => self.savepoints.set(name, self.rows),
            Some(Savepoint::BackTo(name))
                if self.rows > self.savepoints.rows_before(name) || self.xa.has_rows() =>
            {
                return Err(self.rolled_back(event));
            }
            Some(Savepoint::BackTo(_)) | None => {}
        }
        Ok(())
    }

    /// Rows of captured tables were taken back, and stand in the binlog.
    #[cold]
    pub(super) fn rolled_back(&self, event: &Event<'_>) -> Fault {
        let what = format!(
            "the transaction at {} takes back rows of captured tables that are in the binlog: it also wrote to a table of an \
             engine without transactions, or made a temporary table, and which rows stay is not known",
            self.at(event)
        );
        Fault::new(codes::UNSUPPORTED_EVENT, what).fix(
            "use one storage engine in a transaction, and make temporary tables before it; then start from a later position and \
             take a new snapshot of the tables that it wrote to",
        )
    }
}
