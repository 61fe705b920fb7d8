//! Puts events together to transactions: begin, table maps, rows, end.
//!
//! Owns the position: what has been read, as of the last whole transaction. Decides which tables are captured, and
//! keeps the plans of their versions. Rows go into the block at hand; what can not be read and concerns a captured
//! table is a fatal fault, never a guess.

mod asides;
mod cautions;
mod last;
mod mariadb;
mod queries;
mod rows;
mod savepoints;
mod tables;
mod undecided;
mod xa;

use std::collections::HashMap;
use std::sync::Arc;

use forebay_model::{Fault, Gtid, Note, Position};

use super::binlog::{Event, GtidEvent, Header, MariaDbGtid, Query, Rotate, Special, Xid, kinds};
use super::blocks::{Building, Opened, Resume};
use super::cursor::Garbled;
use super::decode::Plan;
use super::proof::Tracked;
use super::schema::History;
use super::{Config, Limits};
use crate::codes;

pub(crate) use asides::Asides;
pub use cautions::Caution;
pub(crate) use undecided::{Decided, Undecided};
pub(crate) use xa::{TakenAgain, not_again};

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was read to its end.
    Whole,
    /// The block became full in the middle of it: it must be offered again.
    Part,
    /// This transaction's events are needed again, by [`Transactions::take_again`]; then it must be offered again.
    Again(Box<Gtid>),
    /// The history has a question for the server (what the table looked like); it must be offered again with the answer.
    AskVersion,
    /// This XA transaction was prepared before reading began: it must be looked for, and
    /// [`Transactions::found_branch`] told; then the event must be offered again.
    FindBranch(Box<Xid>),
    /// MariaDB must be asked which types this database's table has that no table map shows, and
    /// [`Transactions::told`]; then it must be offered again.
    AskSpecials(Box<(String, String)>),
}

/// A table map that was seen, and what came of it.
#[derive(Debug)]
struct Table {
    /// The table map's bytes: as long as they are the same, so is all else here.
    raw: Vec<u8>,
    /// `None` = not captured, or in quarantine.
    plan: Option<Arc<Plan>>,
    /// Its rows are kept undecoded.
    kept: bool,
    /// The number of a block, and the index of the table's filling in it.
    filling: (u64, usize),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Transactions {
    config: Config,
    pub(crate) building: Building,
    position: Position,
    tables: Vec<Table>,
    by_id: HashMap<u64, usize>,
    /// The number and the index of the last table map.
    last: (u64, usize),
    /// How many of `tables` are in quarantine.
    kept: usize,
    /// The transaction at hand; `None` between two.
    open: Option<Opened>,
    /// Whether the transaction at hand has begun (a GTID alone may be followed by DDL).
    begun: bool,
    /// What its statement says has not happened.
    undone: bool,
    /// How many rows events of captured tables it holds.
    rows: u64,
    savepoints: savepoints::Savepoints,
    /// Where the event before ends, in full (the header has 32 bits of it).
    end: u64,
    resume: Resume,
    xa: xa::Branches,
    /// MariaDB's transactions were seen.
    is_mariadb: bool,
    /// What the server has told of the table whose table map comes next.
    specials: Option<Vec<(String, Special)>>,
    /// Where MariaDB's own events ended.
    pub(crate) asides: Asides,
    cautions: cautions::Cautions,
    tracked: Tracked,
    /// What tables look like, as of the position.
    pub(crate) history: History,
    /// Room for an event that was compressed.
    inflated: Vec<u8>,
    /// Transactions are counted by file and offset, whether they have GTIDs or not.
    pub(crate) by_file: bool,
    /// How often the position moved.
    pub(crate) moves: u64,
    /// The newest event's time, microseconds since 1970; 0 = none yet.
    pub(crate) last_event_us: u64,
}

impl Transactions {
    pub(crate) fn new(config: Config, limits: Limits, position: Position, history: History) -> Self {
        Transactions {
            config,
            building: Building::new(limits),
            end: position.pos,
            position,
            tables: Vec::new(),
            by_id: HashMap::new(),
            last: (u64::MAX, usize::MAX),
            kept: 0,
            open: None,
            begun: false,
            undone: false,
            rows: 0,
            savepoints: savepoints::Savepoints::default(),
            resume: Resume::default(),
            xa: xa::Branches::default(),
            is_mariadb: false,
            specials: None,
            asides: Asides::default(),
            cautions: cautions::Cautions::default(),
            tracked: Tracked::of(None),
            history,
            inflated: Vec::new(),
            by_file: false,
            moves: 0,
            last_event_us: 0,
        }
    }

    /// Everything up to here was given or is not wanted.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Whether anything is to be noted with the next position.
    pub(crate) fn has_notes(&self) -> bool {
        self.history.has_notes() || self.has_xa_notes()
    }

    /// What is to be noted with the next position.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.history.take_notes();
        notes.extend(self.take_xa_notes());
        notes.extend(self.cautions.take_note());
        notes.extend(self.tracked.take_note());
        notes
    }

    /// Where the event that is offered again begins. The position may know less: where it counts by GTIDs alone, it has a place
    /// only once a transaction has ended.
    pub(crate) fn at_hand(&self) -> (String, u64) {
        (self.position.file.clone(), self.end)
    }

    /// Whether no transaction is open.
    pub(crate) fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Takes an event.
    #[inline]
    pub(crate) fn take(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        if self.tracked.at_first {
            self.tracked.first(&event.header);
        }
        let taken = match event.header.kind {
            _ if self.xa.is_open() && self.xa_hold(event)? => Taken::Whole,
            kind if kinds::is_of_table(kind) => self.of_table(event)?,
            kinds::QUERY_COMPRESSED..=kinds::DELETE_ROWS_COMPRESSED => self.inflated(event)?,
            _ => self.other(event)?,
        };
        // a rotation's own end lies in the file before
        if taken == Taken::Whole && event.header.end != 0 && event.header.kind != kinds::ROTATE {
            self.end = self.full_end(&event.header);
        }
        Ok(taken)
    }

    /// Takes a table map or rows.
    #[inline]
    fn of_table(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        if event.header.kind == kinds::TABLE_MAP {
            return self.table_map(event);
        }
        if self.kept > 0 && self.keeps(event)? {
            return self.keep(event).map(|()| Taken::Whole);
        }
        self.rows(event)
    }

    fn other(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let body = event.body;
        let garbled = |Garbled| self.garbled(event);
        match event.header.kind {
            kinds::GTID => {
                let event = GtidEvent::parse(body).map_err(garbled)?;
                self.open(Some(event.gtid), event.commit_us)?;
            }
            kinds::GTID_TAGGED => {
                let event = GtidEvent::parse_tagged(body).map_err(garbled)?;
                self.open(Some(event.gtid), event.commit_us)?;
            }
            kinds::ANONYMOUS_GTID if self.by_file => {
                let commit_us = GtidEvent::parse_anonymous(body).map_err(garbled)?;
                self.open(None, commit_us)?;
            }
            kinds::MARIADB_GTID => {
                let gtid = MariaDbGtid::parse(event.header.server_id, body).map_err(garbled)?;
                self.open_mariadb(event, gtid)?;
            }
            kinds::ANONYMOUS_GTID => {
                let what = format!("the transaction at {} has no GTID", self.at(event));
                return Err(Fault::new(codes::GTID_OFF, what)
                    .fix("set gtid_mode to ON, then start from now: transactions without one have no safe position"));
            }
            kinds::QUERY => return self.query(event, &Query::parse(body).map_err(garbled)?),
            kinds::EXECUTE_LOAD_QUERY => {
                self.rows_as_text(event, &Query::parse_load(body).map_err(garbled)?)?
            }
            kinds::XID => return self.xa_in_one_phase(event),
            kinds::XA_PREPARE => return self.xa_prepare(event),
            kinds::ROTATE => {
                self.must_be_between(event)?;
                let rotate = Rotate::parse(body).map_err(garbled)?;
                if rotate.file != self.position.file || event.header.end != 0 {
                    self.position.file = rotate.file.to_owned();
                    self.position.pos = rotate.pos;
                    self.end = rotate.pos;
                    self.moves += 1;
                    self.building.end_file();
                }
            }
            kinds::FORMAT_DESCRIPTION | kinds::STOP => {
                self.must_be_between(event)?;
                self.aside(event);
                self.file_is_begun(event);
            }
            // what is sent is not encrypted
            kinds::GTID_LIST | kinds::BINLOG_CHECKPOINT | kinds::START_ENCRYPTION => {
                if self.aside(event) {
                    self.pass(event);
                }
            }
            // where a new file's transactions begin: an idle server writes no more, and its end of the binlog is here
            kinds::PREVIOUS_GTIDS if event.header.end != 0 => self.pass(event),
            kinds::PREVIOUS_GTIDS => {}
            // says where the server stands, past what it has skipped
            kinds::HEARTBEAT if self.open.is_none() => {
                let end = self.full_end(&event.header);
                if end > self.position.pos && body == self.position.file.as_bytes() {
                    self.position.pos = end;
                    self.moves += 1;
                }
                self.stand();
            }
            kinds::HEARTBEAT | kinds::HEARTBEAT_V2 => {}
            kinds::INCIDENT => {
                let what = format!("the server reports at {} that its binlog lacks changes", self.at(event));
                return Err(Fault::new(codes::INCIDENT, what)
                    .fix("read the server's error log, then start from now and take a new snapshot"));
            }
            kind if kinds::WITHOUT_ROWS.contains(&kind) || event.header.is_ignorable() => {}
            kind => {
                let what = format!("the event at {} is of type {kind}, which is not known", self.at(event));
                return Err(Fault::new(codes::UNSUPPORTED_EVENT, what).fix("use a later version of Forebay"));
            }
        }
        Ok(Taken::Whole)
    }

    fn open(&mut self, gtid: Option<Gtid>, commit_us: u64) -> Result<(), Fault> {
        if self.open.is_some() {
            return Err(self.cut());
        }
        self.last_event_us = commit_us;
        self.tracked.begin(gtid.as_ref(), commit_us);
        self.undone = false;
        self.open = Some(Opened { gtid, commit_us, ..Default::default() });
        Ok(())
    }

    /// The transaction at hand ends with this event.
    fn commit(&mut self, event: &Event<'_>) {
        if let Some(open) = self.open.take()
            && let Some(gtid) = open.gtid
            && !self.by_file
        {
            self.is_last(gtid);
        }
        self.position.pos = self.full_end(&event.header);
        self.moves += 1;
        (self.begun, self.rows) = (false, 0);
        self.savepoints.clear();
        self.building.end_transaction();
        self.stand();
    }

    /// Takes note of an event of the server's own; false if it is in no file.
    fn aside(&mut self, event: &Event<'_>) -> bool {
        if event.header.is_artificial() {
            return false;
        }
        let span = (self.start(&event.header), self.full_end(&event.header));
        self.asides.take(&event.header, event.body, &self.position.file, span);
        true
    }

    /// An event without rows that stands between two transactions: the binlog of an idle server may end with it.
    fn pass(&mut self, event: &Event<'_>) {
        let end = self.full_end(&event.header);
        if self.open.is_none() && end > self.position.pos {
            self.position.pos = end;
            self.moves += 1;
            self.stand();
        }
    }

    fn must_be_between(&self, event: &Event<'_>) -> Result<(), Fault> {
        // sent again whenever the server opens a file, also in the middle of nothing
        let artificial = event.header.end == 0;
        if self.open.is_some() && !artificial { Err(self.cut()) } else { Ok(()) }
    }

    fn cut(&self) -> Fault {
        Fault::new(
            codes::TRANSACTION_CUT,
            format!("the binlog breaks off inside a transaction in {}", self.position.file),
        )
    }

    /// Where an event ends, with the high half that the header lacks.
    fn full_end(&self, header: &Header) -> u64 {
        if header.end == 0 {
            return self.end;
        }
        let end = self.end & !0xffff_ffff | u64::from(header.end);
        // only a transaction can make a file grow past 4 GiB
        if self.begun && end < self.end && self.end - end > 1 << 31 { end + (1 << 32) } else { end }
    }

    /// Where an event starts: so many bytes before its end, or behind the one before.
    fn start(&self, header: &Header) -> u64 {
        if header.end == 0 { self.end } else { self.full_end(header).saturating_sub(header.size.into()) }
    }

    fn at(&self, event: &Event<'_>) -> String {
        format!("{}:{}", self.position.file, self.start(&event.header))
    }

    fn garbled(&self, event: &Event<'_>) -> Fault {
        let what = format!("the event at {}, of type {}, makes no sense", self.at(event), event.header.kind);
        Fault::new(codes::GARBLED, what)
            .fix("check the file with mysqlbinlog -vv, and report this with its output")
    }
}

#[cfg(test)]
mod tests;
