//! The main loop: events in, blocks out.
//!
//! Owns the dump, the transactions and the clock. Decides when a block is closed: when it is full; when the server has
//! nothing more to say; at the latest after `linger`, or, while catching up, after a while that makes full blocks
//! likely. Never reconnects and never drops: an error ends the stream with a classified fault.

mod clock;
mod giving;
mod questions;

use std::collections::VecDeque;

use forebay_model::{Block, Fault, Gtid, Note, Position};
use tokio::time::Instant;

use super::binlog::Xid;
use super::dump::{Dump, From};
use super::proof::Last;
use super::reach::{Reached, reach};
use super::relation::Way;
use super::schema::{self, Ahead, History, Lookup, Place};
use super::transactions::{Asides, Decided, Taken, TakenAgain, Transactions, Undecided, not_again};
use super::{Config, Limits, Start, faults, identity};
use crate::codes;

/// What [`Stream::next`] gives.
#[derive(Debug, Default)]
pub struct Captured {
    /// Events of captured tables; `first` is 0, the changelog assigns it. `None` where only the position moved.
    pub block: Option<Block>,
    /// Where to resume behind this block. `None` = the block ends inside a transaction that is larger than a block: it
    /// counts only once a later one brings a position, and is void if the stream ends before.
    pub position: Option<Position>,
    /// What to remember as of that position; only with one.
    pub notes: Vec<Note>,
}

/// What a stream has done so far.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The server's `host:port`.
    pub host: String,
    /// Received from the server.
    pub bytes: u64,
    /// Binlog events received.
    pub events: u64,
    /// The newest event's time, microseconds since 1970; 0 = none yet.
    pub last_event_us: u64,
    /// Whether that is more than two seconds ago, and more is coming.
    pub catching_up: bool,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// As the server spells it.
    pub server_version: String,
    /// What the stream calls itself among the server's replicas.
    pub server_id: u32,
}

/// What came of the events at hand.
#[derive(Debug)]
enum Read {
    /// All were taken.
    All,
    /// The block is to be closed before more are.
    Full,
    /// A transaction must be sent again before the next one can be taken.
    Again(Box<Gtid>),
    /// The history must ask what a table looked like before its rows can be taken.
    AskVersion,
    /// An XA transaction must be looked for that was prepared before reading began.
    FindBranch(Box<Xid>),
    /// MariaDB must be asked for types of a table that no table map shows.
    AskSpecials(Box<(String, String)>),
}

/// A server's changes, from a position on.
#[derive(Debug)]
pub struct Stream {
    /// Standing at the host that is read.
    config: Config,
    /// Where the server's binlog ended when it was connected.
    end: Place,
    /// Which server this is and what is known of its tables, as of where the stream began: to be given with the first position.
    first_notes: Vec<Note>,
    /// Whether it began at a position that was stored, with notes as of it.
    goes_on: bool,
    dump: Dump,
    /// A transaction that the server sends again: while it does, the other dump waits.
    again: Option<Dump>,
    transactions: Transactions,
    limits: Limits,
    /// Closed and not given yet: at most two.
    ready: VecDeque<Captured>,
    /// When the block at hand got its first event, about.
    opened: Option<Instant>,
    /// The block at hand is to be closed at the next end of a transaction.
    due: bool,
    catching_up: bool,
    /// The transactions' count of moves when the last position was given; `None` = none was.
    given_moves: Option<u64>,
    given: Instant,
    /// Pieces of a transaction were given, and not its end.
    pieces: bool,
    /// What was given last, as a position.
    given_position: Position,
    /// What ends the stream, once all that is ready was given.
    failed: Option<Fault>,
    /// The history's question to the server, under way.
    lookup: Option<Lookup>,
    /// The search for an XA transaction, under way.
    search: Option<questions::Search>,
    /// What was read ahead for earlier questions.
    ahead: Ahead,
    /// Somebody waits for the next position.
    hurry: bool,
}

impl Stream {
    /// Connects and asks for the changes from `start` on.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the account, or does not have what `start` needs any more.
    pub async fn connect(config: &Config, start: Start, limits: Limits) -> Result<Stream, Fault> {
        Stream::resume(config, start, limits, &[]).await
    }

    /// As [`connect`](Self::connect), with what was noted with the position of `start`: which server that is of, and what tables
    /// looked like there.
    ///
    /// The first of the config's hosts that can be reached, meets the demands and has what `start` needs is read.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); of several hosts, one fault that tells each one's.
    pub async fn resume(
        config: &Config,
        start: Start,
        limits: Limits,
        notes: &[Note],
    ) -> Result<Stream, Fault> {
        // another start is not where the notes are of
        let goes_on = matches!(start, Start::At(_));
        let mut history = History::new(config, notes, goes_on)?;
        let now = matches!(start, Start::Now);
        let Reached { mut conn, config, server_id, position, way, end, note } =
            reach(config, &start, notes).await?;
        // whoever takes what is read may be busy or full for a while, and an hour may go by before the binlog is asked for (`foresee`): the
        // server must bear that
        conn.query("SET SESSION net_write_timeout = 3600, wait_timeout = 7200")
            .await
            .map_err(|e| faults::wire(e, "cannot set up the connection"))?;
        history.learn(schema::catalog(&mut conn, &config, None).await?);
        let from = match way {
            Way::Gtids => From::Behind(&position.gtids),
            Way::File => {
                let pos = u32::try_from(position.pos).expect("it was made to lie within four bytes");
                From::At(&position.file, pos)
            }
        };
        schema::foresee(&mut history, &config, from).await?;
        let dump = Dump::start(conn, &config, server_id, from).await?;
        tracing::info!(
            server = config.address(),
            version = dump.server().version,
            tls = dump.server().tls,
            server_id,
            gtids = %position.gtids,
            file = position.file,
            pos = position.pos,
            "reading the binlog"
        );
        let given_position = position.clone();
        let mut transactions = Transactions::new(config.clone(), limits, position, history);
        if goes_on {
            transactions.remember_undecided(Undecided::of_notes(notes));
            transactions.remember_passed(notes);
            transactions.remember_missed(notes);
            transactions.remember_cautions(notes);
            transactions.remember_last(Last::find(notes));
        }
        transactions.by_file = way == Way::File;
        // the file of a position that was stored may be another server's
        if now {
            transactions.stand();
        }
        let mut first_notes = transactions.take_notes();
        first_notes.extend(note);
        Ok(Stream {
            config,
            end,
            first_notes,
            goes_on,
            dump,
            again: None,
            given_position,
            failed: None,
            transactions,
            limits,
            ready: VecDeque::with_capacity(2),
            opened: None,
            due: false,
            catching_up: false,
            // the first position is worth storing even if nothing ever happens
            given_moves: None,
            given: Instant::now(),
            pieces: false,
            lookup: None,
            search: None,
            ahead: Ahead::default(),
            hurry: false,
        })
    }

    /// The config, standing at the host that is read.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the position counts by file and offset, and not by GTIDs.
    pub(crate) fn is_by_file(&self) -> bool {
        self.transactions.by_file
    }

    /// Where the server's binlog ended when it was connected: what was read on earlier connections lies before it.
    pub(crate) fn began(&self) -> &Place {
        &self.end
    }

    /// Branches of XA transactions that were committed lately, on MariaDB.
    pub(crate) fn decided(&self) -> &Decided {
        self.transactions.decided()
    }

    /// Where events ended that say nothing of what the server has committed.
    pub(crate) fn asides(&self) -> &Asides {
        &self.transactions.asides
    }

    /// Of the prepared XA transactions that the position leaves out, their GTIDs.
    pub(crate) fn prepared(&self) -> Vec<Gtid> {
        self.transactions.prepared().cloned().collect()
    }

    /// What was read and decoded so far, if not yet given.
    pub(crate) fn position(&self) -> &Position {
        self.transactions.position()
    }

    /// Whether a position without events is to be given as soon as there is one.
    pub(crate) fn hurry(&mut self, hurry: bool) {
        self.hurry = hurry;
    }

    /// The next block or position. May be dropped while it waits; nothing is lost.
    ///
    /// # Errors
    /// Whatever ends the stream; call it no more after that.
    pub async fn next(&mut self) -> Result<Captured, Fault> {
        loop {
            if let Some(captured) = self.ready.pop_front() {
                return Ok(captured);
            }
            if let Some(fault) = self.failed.take() {
                return Err(fault);
            }
            match self.read() {
                Ok(Read::Full) => {
                    self.close();
                    continue;
                }
                Ok(Read::Again(gtid)) => {
                    self.again = Some(self.read_again(&gtid).await?);
                    continue;
                }
                Ok(Read::AskVersion) => {
                    // what stands before the question does not wait for the answer
                    let building = &self.transactions.building;
                    if building.is_whole() && !building.is_empty() {
                        self.close();
                    } else {
                        self.ask().await?;
                    }
                    continue;
                }
                Ok(Read::FindBranch(xid)) => {
                    self.find_branch(*xid).await?;
                    // that it is not there is stored before it is a fault
                    if self.transactions.has_notes() && self.transactions.building.is_whole() {
                        self.close();
                    }
                    continue;
                }
                Ok(Read::AskSpecials(table)) => {
                    let specials = identity::specials(&self.config, &table.0, &table.1).await?;
                    self.transactions.told(specials);
                    continue;
                }
                Ok(Read::All) => {}
                // the whole transactions before it are good
                Err(fault) if self.transactions.building.has_whole() => {
                    self.close();
                    self.failed.get_or_insert(fault);
                    continue;
                }
                Err(fault) => return Err(fault),
            }
            if self.at_work().fill_now()? {
                self.look_at_clock();
                continue;
            }
            let now = Instant::now();
            let until = match self.idle_until(now) {
                Some(until) if until <= now => {
                    self.close();
                    continue;
                }
                until => until,
            };
            if self.at_work().fill(until).await? {
                self.look_at_clock();
            } else if until.is_some() {
                self.close();
            }
        }
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        let (bytes, events) = self.dump.received();
        let server = self.dump.server();
        Stats {
            host: self.config.address(),
            bytes,
            events,
            last_event_us: self.transactions.last_event_us,
            catching_up: self.catching_up,
            tls: server.tls,
            server_version: server.version.clone(),
            server_id: self.dump.server_id(),
        }
    }

    /// Takes the events at hand.
    fn read(&mut self) -> Result<Read, Fault> {
        while let Some(dump) = &mut self.again {
            let branch = || self.transactions.branch();
            if !dump.peek().map_err(|fault| purged(fault, branch()))? {
                return Ok(Read::All);
            }
            match self.transactions.take_again(&dump.event()?)? {
                TakenAgain::Whole => dump.done(),
                TakenAgain::Part => return Ok(Read::Full),
                TakenAgain::Last => self.again = None,
                TakenAgain::AskVersion => return Ok(Read::AskVersion),
                TakenAgain::AskSpecials(table) => return Ok(Read::AskSpecials(table)),
            }
            if self.transactions.building.is_full() {
                return Ok(Read::Full);
            }
        }
        while self.dump.peek()? {
            match self.transactions.take(&self.dump.event()?)? {
                Taken::Whole => {}
                Taken::Part => return Ok(Read::Full),
                Taken::Again(gtid) => return Ok(Read::Again(gtid)),
                Taken::AskVersion => return Ok(Read::AskVersion),
                Taken::FindBranch(xid) => return Ok(Read::FindBranch(xid)),
                Taken::AskSpecials(table) => return Ok(Read::AskSpecials(table)),
            }
            self.dump.done();
            let building = &self.transactions.building;
            // what is noted goes with the position of its transaction, even if the next one holds a fault
            let noted = self.transactions.has_notes();
            let due = (self.due || noted || building.is_nearly_full())
                && building.is_whole()
                && !building.is_empty();
            if building.is_full() || due || self.pieces && self.transactions.is_between() {
                return Ok(Read::Full);
            }
        }
        Ok(Read::All)
    }
}

/// A dump of a branch that was asked for again says only that something was purged.
fn purged(fault: Fault, branch: Option<&Gtid>) -> Fault {
    match branch {
        Some(gtid) if fault.code() == codes::PURGED => not_again(gtid).cause(fault),
        _ => fault,
    }
}
