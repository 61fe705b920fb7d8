//! The main loop: events in, blocks out.
//!
//! Owns the dump, the transactions and the clock. Decides when a block is closed: when it is full; when the server has
//! nothing more to say; at the latest after `linger`, or, while catching up, after a while that makes full blocks
//! likely. Never reconnects and never drops: an error ends the stream with a classified fault.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_model::{Block, Fault, Note, Position};
use tokio::time::Instant;

use super::dump::Dump;
use super::transactions::{Taken, Transactions};
use super::wire::Conn;
use super::{Config, Limits, Start, faults, identity};

/// An event older than this was not written just now: the source is catching up.
const BEHIND: Duration = Duration::from_secs(2);
/// How long a block may be filled while catching up.
const FILL: Duration = Duration::from_millis(100);
/// How often a position without events is given.
const IDLE: Duration = Duration::from_secs(1);

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

/// A server's changes, from a position on.
#[derive(Debug)]
pub struct Stream {
    dump: Dump,
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
    /// Somebody waits for the next position.
    hurry: bool,
}

impl Stream {
    /// Connects and asks for the changes from `start` on.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the account, or does not have what `start` needs any more.
    pub async fn connect(config: &Config, start: Start, limits: Limits) -> Result<Stream, Fault> {
        let mut conn = Conn::open(config).await?;
        let server_id = identity::server_id(&mut conn, config).await?;
        let position = identity::resolve(&mut conn, config, start).await?;
        // whoever takes what is read may be busy or full for a while: the server must bear that
        conn.query("SET SESSION net_write_timeout = 3600")
            .await
            .map_err(|e| faults::wire(e, "cannot set up the connection"))?;
        let dump = Dump::start(conn, config, server_id, &position.gtids).await?;
        tracing::info!(
            server = config.address(),
            version = dump.server().version,
            tls = dump.server().tls,
            server_id,
            gtids = %position.gtids,
            "reading the binlog"
        );
        Ok(Stream {
            dump,
            transactions: Transactions::new(config.clone(), limits, position),
            limits,
            ready: VecDeque::with_capacity(2),
            opened: None,
            due: false,
            catching_up: false,
            // the first position is worth storing even if nothing ever happens
            given_moves: None,
            given: Instant::now(),
            pieces: false,
            hurry: false,
        })
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
            if self.read()? {
                self.close();
                continue;
            }
            if self.dump.fill_now()? {
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
            if self.dump.fill(until).await? {
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
            bytes,
            events,
            last_event_us: self.transactions.last_event_us,
            catching_up: self.catching_up,
            tls: server.tls,
            server_version: server.version.clone(),
            server_id: self.dump.server_id(),
        }
    }

    /// Takes the events at hand; true if the block is to be closed before more are.
    fn read(&mut self) -> Result<bool, Fault> {
        while self.dump.peek()? {
            let taken = self.transactions.take(&self.dump.event()?)?;
            if taken == Taken::Part {
                return Ok(true);
            }
            self.dump.done();
            let building = &self.transactions.building;
            let due = (self.due || building.is_nearly_full()) && building.is_whole() && !building.is_empty();
            if building.is_full() || due || self.pieces && self.transactions.is_between() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After new bytes came: is the block at hand old enough, is the source behind?
    fn look_at_clock(&mut self) {
        let now = Instant::now();
        let last = Duration::from_micros(self.transactions.last_event_us);
        let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(last);
        self.catching_up = age > BEHIND && self.transactions.last_event_us > 0;
        let most = if self.catching_up { FILL } else { self.limits.linger };
        if self.transactions.building.is_empty() {
            self.opened = None;
        } else if now >= *self.opened.get_or_insert(now) + most {
            self.due = true;
        }
    }

    /// The server has nothing more at the moment: until when to wait for it before the block at hand is closed.
    fn idle_until(&mut self, now: Instant) -> Option<Instant> {
        let building = &self.transactions.building;
        if building.is_empty() {
            self.catching_up = false;
            // inside a transaction the position would not cover the pieces that were given
            let moved = self.given_moves != Some(self.transactions.moves) && self.transactions.is_between();
            return moved.then(|| if self.hurry { now } else { self.given + IDLE });
        }
        let opened = *self.opened.get_or_insert(now);
        if building.is_whole() {
            // at the head, nothing more is coming; behind it, the server may only be slower than we are
            return Some(if self.catching_up { (opened + FILL).min(now + self.limits.linger) } else { now });
        }
        // the rest of the transaction is under way: only whole ones before it are worth closing for
        building.has_whole().then_some(opened + FILL)
    }

    /// Closes the block at hand; if there is none, gives the position.
    fn close(&mut self) {
        (self.opened, self.due) = (None, false);
        let building = &mut self.transactions.building;
        if building.is_empty() {
            let position = Some(self.transactions.position().clone());
            self.give(Captured { position, ..Captured::default() });
            return;
        }
        let (block, whole) = building.finish();
        let position = self.transactions.position().clone();
        match whole {
            0 => self.give(Captured { block: Some(block), ..Captured::default() }),
            n if n == block.events => {
                self.give(Captured { block: Some(block), position: Some(position), notes: Vec::new() })
            }
            n => {
                let n = u64::from(n);
                let mut piece = block.slice(n, block.end());
                piece.first = 0;
                self.give(Captured {
                    block: Some(block.slice(0, n)),
                    position: Some(position),
                    notes: Vec::new(),
                });
                self.give(Captured { block: Some(piece), ..Captured::default() });
            }
        }
    }

    fn give(&mut self, captured: Captured) {
        self.pieces = captured.position.is_none();
        if !self.pieces {
            self.given_moves = Some(self.transactions.moves);
            self.given = Instant::now();
        }
        self.ready.push_back(captured);
    }
}
