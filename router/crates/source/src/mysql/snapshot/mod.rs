//! Snapshots: the rows that tables have, read beside the stream, without a lock and without writing to the server.
//!
//! A table is read in chunks: a page of its key's order by one SELECT, which sees one consistent state S of the table. The
//! chunk's rows enter the log as [`Kind::Snapshot`](forebay_model::Kind) images somewhere among the stream's events, and
//! whoever folds the log by key must end with the table. That holds if a row of the chunk is given only where no event that
//! the log holds *before* it is newer than S, and where every change between S and that place has dropped the row.
//! Four steps see to it:
//!
//! 1. **A window opens.** From here on, each key that an event of the table touches, by either image, is remembered. The
//!    stream has given everything up to a position P.
//! 2. **The reader waits until the server's readers see P**, then sends the SELECT. A transaction reaches the binlog, and so this
//!    stream, *before* the engine commits it: without the wait, S could lack what the log has already, and an old row would
//!    come behind a newer event. How a server tells, by GTIDs, without them, or MariaDB, is [`seen`]'s matter. So S includes
//!    all that was given before the window opened, here or on earlier connections.
//! 3. **The SELECT's end is marked**: after its last row, the end of the binlog is read. What S saw was committed, so it was
//!    in the binlog before: S lies at or before the mark W. That holds on every server, with GTIDs or without. (`gtid_executed`
//!    would not do: it lags what can be seen. On a replica there is no such file; there, the transactions that are executed or
//!    being committed are the mark, so a snapshot's host needs GTIDs.)
//! 4. **When the stream has given everything up to W**, what of the rows the window's events have not told is given, with the stream's
//!    position of that moment and a note of how far the table is, in one commit. Killed at any moment, a snapshot goes on
//!    behind the last chunk that was committed.
//!
//! *Why dropping on any event of the window is right, old or new:* S lies between P and W, so every event of the window is
//! either in S or after it, and is in the log by itself. If it is after S, the chunk's row is outdated. If it is in S, the
//! row that the chunk has is told by that event or a later one of the window, all of which are in the log, in order. In
//! both cases the log is complete without the chunk's row. And a row that no event of the window touches is the same at P,
//! at S and at the place where it is given, so the log is right with it.
//!
//! *Where events lack columns* (`binlog_row_image` is MINIMAL or NOBLOB), the same is true of each column by itself: of a row that
//! was only updated, the columns that some event of the window has are dropped, and the others are given, as an image that lacks
//! the former. A row that was deleted, or told wholly, is dropped as a whole. And if such an update gives a row another key, the row may
//! jump over what is being read, with columns that nobody has told: then the table is read from its beginning, at most so many times.
//!
//! *Why comparing keys bit by bit is right although the server may hold `abc` and `ABC` for one key:* take a row of the
//! chunk as it was at S, with the key's bytes k. If an event of the window changed it after S, the first such event has the
//! row as it was at S for its before image: k. If one changed it before S, the last such event left it as it was at S: its
//! after image has k. So some image has exactly k. (An event that lacks its key, as minimal row images of strange tables
//! might, voids the chunk.)
//!
//! *Which way each doubt falls:* a low watermark that is older than S, and a high one that is newer, only drop more rows,
//! which the log tells anyhow. The opposite would be wrong, so both are taken on the side of S that is safe: the low one is
//! proved before the SELECT, the high one is read behind it. What is assumed: engines that commit with the binlog, as InnoDB
//! does, or under a table lock. (A MyISAM table takes an INSERT at its end beside readers, who see it a moment after it is in the
//! binlog; set `concurrent_insert = NEVER` to have its snapshots exact under such writes. And on MariaDB two things stay unproved about
//! the very moment of connecting: that the last event was no checkpoint, behind a transaction still being committed; and that no
//! engine was still committing what an XA COMMIT of a second phase, given by an earlier connection, had decided.)
//!
//! A table **without a usable key** is read by one SELECT under `START TRANSACTION WITH CONSISTENT SNAPSHOT`. Its rows have
//! no names, so nothing can be dropped: the window must see no event of the table at all between P and W, else the read is
//! begun again after a moment, so many times. Then the stream stands still while the rows are given, as pieces of one
//! transaction: all of them count, with the note that says so, or none. Nothing comes twice. The price is said openly: while
//! such a table is given, its source's other changes wait; the server keeps the connection for an hour
//! (`net_write_timeout`). Give large tables a key.

mod answer;
mod bound;
mod came;
mod commands;
mod filter;
mod give;
mod jobs;
mod mark;
mod moved;
mod notes;
mod outcome;
mod read;
mod request;
mod rows;
mod run;
mod seen;
mod shape;
mod status;
mod window;
mod wire;

use forebay_model::Fault;

pub(super) use came::Told;
pub use notes::SNAPSHOT_NOTES;
pub use request::{
    SnapshotCommand, SnapshotFault, SnapshotRequest, SnapshotState, SnapshotStatus, SnapshotTable,
    check_request,
};
pub(super) use run::Snapshots;

use super::faults;
use super::wire::WireError;
use crate::codes;

/// Why a job did not end well.
#[derive(Debug)]
enum Trouble {
    Fault(Fault),
    /// The table is not what it was when it was looked at.
    Changed,
    /// The table is not there, or may not be seen.
    Gone,
    /// The same, found by a look that saw all that the stream had given. Why is in the binlog before this place, or nowhere.
    Missing(mark::Mark),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}

/// What an error means while a table is read.
fn trouble(error: WireError, table: &str, what: &str) -> Trouble {
    let fault = match &error {
        // unknown column, unknown index, table changed
        WireError::Server { code: 1054 | 1176 | 1412 | 1615, .. } => return Trouble::Changed,
        WireError::Server { code: 1049 | 1146, .. } => return Trouble::Gone,
        // bytes that are no text of their character set
        WireError::Server { code: 1300, .. } => shape::no_bound(table).cause(error),
        WireError::Server { code: 1044 | 1142 | 1143, .. } => {
            Fault::new(codes::PRIVILEGE, format!("{table} may not be read"))
                .fix(format!("GRANT SELECT ON {table} to the source's account; then resume the snapshot"))
                .cause(error)
        }
        _ => faults::wire(error, &format!("{table}: {what}")),
    };
    Trouble::Fault(fault)
}
