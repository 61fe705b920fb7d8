//! Statements in the binlog: where transactions begin and end, XA's, DDL, and such as changed rows without saying which.

use forebay_model::Fault;

use super::{Taken, Transactions};
use crate::codes;
use crate::mysql::binlog::{Event, Meaning, Query, Used, XaStatement};
use crate::mysql::cursor::Garbled;

impl Transactions {
    pub(super) fn query(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<Taken, Fault> {
        match query.xa().map_err(|Garbled| self.garbled(event))? {
            None if self.xa.is_open() => match query.meaning() {
                Meaning::Commit => return self.xa_in_one_phase(event),
                Meaning::Rollback => self.xa_drop(),
                _ => {}
            },
            None => {}
            Some(XaStatement::Start) => {
                self.plain(event, query)?;
                self.xa_start();
                return Ok(Taken::Whole);
            }
            Some(XaStatement::Commit(xid)) => return self.xa_commit(event, query, &xid),
            Some(XaStatement::Rollback(xid)) => self.xa_rollback(&xid),
        }
        self.plain(event, query)?;
        Ok(Taken::Whole)
    }

    /// What is no statement of XA's.
    fn plain(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        match (query.meaning(), self.begun) {
            (Meaning::Begin, false) => self.begin(event, query)?,
            (Meaning::Commit, true) => self.commit(event),
            (Meaning::Rollback, true) => {
                // row events of a transaction that is rolled back are not written; this one is of a mixed kind
                if self.rows > 0 {
                    return Err(self.rolled_back(event));
                }
                self.commit(event);
            }
            (meaning, begun) => {
                if meaning == Meaning::Rows {
                    self.rows_as_text(event, query)?;
                }
                if begun && meaning == Meaning::Other {
                    self.savepoint(event, query)?;
                }
                // CREATE TABLE ... SELECT is both
                if matches!(meaning, Meaning::Other | Meaning::Rows) && !self.undone {
                    self.table_statement(event, query)?;
                }
                // DDL and the like are transactions of their own
                if !begun {
                    self.commit(event);
                }
            }
        }
        Ok(())
    }

    /// The transaction at hand begins.
    pub(super) fn begin(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        self.begun = true;
        let Some(open) = &mut self.open else { return Err(self.garbled(event)) };
        open.thread = query.thread;
        open.server_id = event.header.server_id;
        if open.commit_us == 0 {
            open.commit_us = u64::from(event.header.seconds) * 1_000_000;
            self.last_event_us = open.commit_us;
        }
        Ok(())
    }

    /// A statement changed rows, and the binlog does not say which: a captured table may have lost them.
    #[cold]
    pub(super) fn rows_as_text(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        let (verb, at, database) = (query.verb(), self.at(event), String::from_utf8_lossy(query.database));
        let used = query.variables().used;
        let may_change = match &used {
            Used::Any => true,
            Used::These(databases) => databases.iter().any(|d| self.config.may_capture_in(d)),
            Used::Unsaid => self.config.may_change(query.database, query.text),
        };
        if may_change {
            let what = format!(
                "the {verb} at {at}, run in database `{database}`, is in the binlog as a statement: if it changed a \
                 captured table, the changed rows are not known"
            );
            return Err(Fault::new(codes::STATEMENT_EVENT, what).fix(
                "set binlog_format to ROW for the session that ran it (and globally: SET PERSIST binlog_format = 'ROW'); then \
                 start from a later position, and take a new snapshot of what the statement changed",
            ));
        }
        let concern = match used {
            Used::Unsaid => {
                self.cautions.statement((&verb, &database), at.clone(), event.header.seconds);
                "neither its text nor its default database names what is captured; views and triggers of other \
                             databases that lead there are not seen"
            }
            _ => "no captured table is concerned",
        };
        tracing::warn!(
            code = codes::STATEMENT_EVENT.name,
            %database,
            statement = verb,
            at,
            concern,
            "rows were changed by a statement that the binlog holds as text (a session has binlog_format = STATEMENT)"
        );
        Ok(())
    }
}
