//! What a SELECT that begins now is sure to see: the low watermark.
//!
//! A transaction is in the binlog, and so in the stream, before readers of the tables see it: for as long as its commit
//! takes, which a semi-synchronous replica can make long. How a server tells that it is over differs; each way asks only what
//! REPLICATION CLIENT (MariaDB: BINLOG MONITOR) may see.
//!
//! - **MySQL with GTIDs**: a GTID is counted as executed after the engines' commit.
//! - **MySQL without**: a transaction that is on its way from the binlog to the end of its commit is counted in
//!   `Ongoing_anonymous_transaction_count`, from before it is written to after the engines' commit (what tells MySQL itself when
//!   `gtid_mode` may go ON); if GTIDs are just being switched on or off, it may be among `gtid_owned` instead. Seen at zero,
//!   and then empty, both later than the stream's newest transaction was written: that one is over.
//! - **MariaDB**: `Binlog_snapshot_position` is moved to a group's end under the lock that its transactions' commits are made
//!   under, in the binlog's order. So all that lies before is seen, with two exceptions. When files change it may for a moment be
//!   an offset of the old file with the name of the new: an end of the binlog that is read *before* shows that, since it
//!   is behind the place then, or in another file. And it moves with events of the server's own, committed or not: the stream
//!   knows them when it comes by ([`Asides`](super::super::transactions::Asides)), and then the chunk is void.

use std::time::Duration;

use forebay_model::{Fault, GtidSet, Position};
use tokio::time::Instant;

use super::super::faults;
use super::super::schema::Place;
use super::super::server::binlog_status;
use super::super::wire::{Conn, Flavour, WireError};
use super::Trouble;
use crate::codes;

/// How long the server may lack what the stream has read.
const BEHIND: Duration = Duration::from_secs(10);
/// How often a server is asked that cannot be waited for: at first, and at last.
const PAUSES: [Duration; 2] = [Duration::from_micros(500), Duration::from_millis(20)];

/// All that the stream had given when a window was opened.
#[derive(Clone, Debug)]
pub(super) struct Given {
    gtids: GtidSet,
    /// No part of it lies behind this place in the binlog of the stream's server.
    place: Place,
}

impl Given {
    /// Of a stream that has come to `position`, on a server whose binlog ended at `began` when it was connected.
    pub(super) fn new(position: &Position, began: &Place) -> Self {
        let place = Place { file: position.file.clone(), pos: position.pos };
        Given { gtids: position.gtids.clone(), place: place.max(began.clone()) }
    }

    /// Waits until a SELECT sees it. Of MariaDB, the place that it took for that: void if the stream finds it to be one that
    /// says nothing.
    pub(super) async fn seen(&self, conn: &mut Conn, by_file: bool) -> Result<Option<Place>, Trouble> {
        let failed = |e| faults::wire(e, "cannot ask what the server's readers see");
        if conn.server.flavour == Flavour::MySql && !by_file {
            return match self.executed(conn).await.map_err(failed)? {
                true => Ok(None),
                false => Err(behind().into()),
            };
        }
        let until = Instant::now() + BEHIND;
        let mut pause = PAUSES[0];
        loop {
            let place = match conn.server.flavour {
                Flavour::MySql => quiet(conn).await.map_err(failed)?.then_some(None),
                Flavour::MariaDb => self.committed(conn).await.map_err(failed)?.map(Some),
            };
            if let Some(place) = place {
                return Ok(place);
            }
            if Instant::now() >= until {
                return Err(behind().into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    async fn executed(&self, conn: &mut Conn) -> Result<bool, WireError> {
        if self.gtids.is_empty() {
            return Ok(true);
        }
        let (gtids, seconds) = (&self.gtids, BEHIND.as_secs());
        let rows = conn.query(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', {seconds})")).await?;
        Ok(rows.firsts().next() == Some("0"))
    }

    async fn committed(&self, conn: &mut Conn) -> Result<Option<Place>, WireError> {
        let end = binlog_status(conn).await?;
        let end = Place {
            file: end.first("File").unwrap_or_default().to_owned(),
            pos: end.first("Position").and_then(|p| p.parse().ok()).unwrap_or(0),
        };
        let status = conn.query("SHOW STATUS LIKE 'Binlog\\_snapshot\\_%'").await?;
        let value = |name: &str| {
            let row = status
                .rows
                .iter()
                .find(|row| row[0].as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name)));
            row.and_then(|row| row.get(1)?.clone()).unwrap_or_default()
        };
        let place = Place {
            file: value("Binlog_snapshot_file"),
            pos: value("Binlog_snapshot_position").parse().unwrap_or(0),
        };
        Ok(self.is_before(&place, &end).then_some(place))
    }

    /// Whether a place that MariaDB calls committed can be believed, with the end of its binlog a moment earlier, and has all
    /// that was given before it.
    fn is_before(&self, committed: &Place, end: &Place) -> bool {
        committed.file == end.file && committed.pos <= end.pos && self.place <= *committed
    }
}

/// Whether no transaction was on its way from the binlog to the end of its commit, at one moment since this was called.
async fn quiet(conn: &mut Conn) -> Result<bool, WireError> {
    let status = conn.query("SHOW SESSION STATUS LIKE 'Ongoing\\_anonymous\\_transaction\\_count'").await?;
    if status.first("Value") != Some("0") {
        return Ok(false);
    }
    let owned = conn.query("SELECT @@GLOBAL.gtid_owned").await?;
    Ok(owned.firsts().all(str::is_empty))
}

fn behind() -> Fault {
    let what = format!(
        "for {} s the server that the snapshot reads did not say that its readers see what the stream has",
        BEHIND.as_secs()
    );
    Fault::new(codes::SNAPSHOT_BEHIND, what).fix(
        "of a snapshot's host, look at its replication: SHOW REPLICA STATUS; else at what holds up commits, such as a semi-synchronous \
         replica",
    )
}

/// A server that commits in no order cannot be asked what its readers see.
pub(super) async fn in_order(conn: &mut Conn) -> Result<(), Fault> {
    if conn.server.flavour == Flavour::MySql {
        return Ok(());
    }
    let rows = conn
        .query("SELECT @@GLOBAL.binlog_optimize_thread_scheduling")
        .await
        .map_err(|e| faults::wire(e, "cannot ask how the server commits"))?;
    if rows.firsts().next() == Some("0") {
        let what = "with binlog_optimize_thread_scheduling = OFF the server calls a group of transactions committed before it is";
        return Err(Fault::new(codes::SNAPSHOT_ORDER, what)
            .fix("start the server without that option, then resume the snapshot"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_place_must_have_all_before_it_and_be_in_the_file_that_is_written() {
        let place = |file: &str, pos| Place { file: file.into(), pos };
        let position = |file: &str, pos| Position { file: file.into(), pos, ..Default::default() };
        let (old, new) = ("binlog.000009", "binlog.000010");
        let given = Given::new(&position(new, 900), &place(new, 500));
        assert!(given.is_before(&place(new, 900), &place(new, 900)));
        assert!(given.is_before(&place(new, 950), &place(new, 1200)));
        assert!(!given.is_before(&place(new, 899), &place(new, 1200)), "some of it may not be seen");
        // an offset of the old file with the new one's name
        assert!(!given.is_before(&place(new, 70_000), &place(new, 940)));
        assert!(!given.is_before(&place("binlog.000011", 950), &place(new, 1200)));
        // what was given by earlier connections lies before the binlog's end at the last one
        let given = Given::new(&position("", 0), &place(old, 500));
        assert!(
            !given.is_before(&place(old, 499), &place(old, 600))
                && given.is_before(&place(old, 500), &place(old, 600))
        );
        assert!(given.is_before(&place(new, 4), &place(new, 400)));
    }
}
