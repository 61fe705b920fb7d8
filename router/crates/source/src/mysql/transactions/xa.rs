//! XA transactions: rows are given at XA COMMIT, and never after XA ROLLBACK.
//!
//! A branch is written to the binlog at XA PREPARE, under a GTID of its own, and decided by a later transaction under
//! another. Until then its events wait here, undecoded. The position passes a prepared branch but leaves its GTID out:
//! after a restart the server sends that one transaction again, so what waits here need not survive. Branches that are
//! larger than what may wait are read again, from the server, when they are decided.

use std::collections::HashMap;

use forebay_model::{Fault, Gtid, GtidSet};

use super::{Taken, Transactions};
use crate::codes;
use crate::mysql::binlog::{Event, GtidEvent, Header, Query, Rotate, Xid, kinds, table_of};
use crate::mysql::cursor::Garbled;

/// Bytes of events that may wait, of all branches together.
const HELD: usize = 16 << 20;

/// A branch.
#[derive(Debug)]
struct Held {
    gtid: Gtid,
    /// Where its events stand.
    file: String,
    end: u64,
    /// Whether it has rows of a captured table.
    captured: bool,
    /// Its table maps and rows; each with the bytes of its body.
    events: Vec<(Header, usize)>,
    bodies: Vec<u8>,
    /// False once it was too large.
    whole: bool,
}

/// A branch whose rows are being given.
#[derive(Debug)]
struct Giving {
    held: Held,
    /// Events that were given, and the bytes of their bodies.
    next: (usize, usize),
    /// Whether the server has sent all of it again.
    sent: bool,
}

/// The branches of a stream.
#[derive(Debug, Default)]
pub(super) struct Branches {
    open: Option<Held>,
    prepared: HashMap<Xid, Held>,
    giving: Option<Giving>,
    /// Bytes that wait.
    bytes: usize,
}

impl Branches {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// What became of an event that the server sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakenAgain {
    Whole,
    /// The block became full in the middle of it: it must be offered again.
    Part,
    /// It was the last one.
    Last,
    /// As [`Taken::AskVersion`].
    AskVersion,
}

impl Transactions {
    /// A branch begins: its rows wait.
    pub(super) fn xa_start(&mut self) {
        if let Some(gtid) = self.open.as_ref().and_then(|o| o.gtid.clone()) {
            self.xa.open = Some(Held {
                gtid,
                file: self.position.file.clone(),
                end: self.end,
                captured: false,
                events: Vec::new(),
                bodies: Vec::new(),
                whole: true,
            });
        }
    }

    /// Keeps an event of the open branch; false for one that is of no table.
    #[cold]
    pub(super) fn xa_hold(&mut self, event: &Event<'_>) -> Result<bool, Fault> {
        if !kinds::is_of_table(event.header.kind) {
            return Ok(false);
        }
        let garbled = |Garbled| self.garbled(event);
        let captures = match event.header.kind {
            kinds::TABLE_MAP => {
                let (database, table) = table_of(event.body).map_err(garbled)?;
                self.config.captures(database, table)
            }
            _ => false,
        };
        let xa = &mut self.xa;
        let Some(held) = &mut xa.open else { return Ok(false) };
        held.captured |= captures;
        if held.whole && xa.bytes + event.body.len() > HELD {
            held.whole = false;
            xa.bytes -= held.bodies.len();
            (held.events, held.bodies) = (Vec::new(), Vec::new());
        }
        if held.whole {
            xa.bytes += event.body.len();
            held.events.push((event.header, event.body.len()));
            held.bodies.extend_from_slice(event.body);
        }
        Ok(true)
    }

    /// The branch is prepared, or committed in one phase.
    pub(super) fn xa_prepare(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let (one_phase, xid) = Xid::of_prepare(event.body).map_err(|Garbled| self.garbled(event))?;
        if one_phase {
            return self.xa_in_one_phase(event);
        }
        match self.xa.open.take() {
            // MariaDB's GTIDs are numbers in a row: none can be left out
            Some(held) if held.gtid.domain_and_server().is_some() => {
                self.xa.bytes -= held.bodies.len();
                if held.captured {
                    return Err(self.not_again(event, "and MariaDB would not send it again after a restart"));
                }
                self.commit(event);
            }
            Some(held) => {
                // as after a commit, but the GTID is not counted as read
                self.open = None;
                self.commit(event);
                self.xa.prepared.insert(xid, held);
            }
            None if self.rows => return Err(self.not_again(event, "and the server gives it no GTID")),
            None => self.commit(event),
        }
        Ok(Taken::Whole)
    }

    fn not_again(&self, event: &Event<'_>, why: &str) -> Fault {
        let what = format!(
            "an XA transaction of two phases changed captured tables, prepared at {}, {why}",
            self.at(event)
        );
        Fault::new(codes::XA, what).fix(
            "write captured tables without XA, or with XA COMMIT ... ONE PHASE; then start from a later position and take a \
             new snapshot of them",
        )
    }

    /// The transaction at hand ends, and counts: what waits of it is given.
    pub(super) fn xa_in_one_phase(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        if let Some(held) = self.xa.open.take() {
            self.xa.giving = Some(Giving { held, next: (0, 0), sent: false });
        }
        self.xa_give(event)
    }

    /// The transaction at hand ends, and does not count.
    pub(super) fn xa_drop(&mut self) {
        if let Some(held) = self.xa.open.take() {
            self.xa.bytes -= held.bodies.len();
        }
    }

    /// XA COMMIT.
    pub(super) fn xa_commit(
        &mut self,
        event: &Event<'_>,
        query: &Query<'_>,
        xid: &Xid,
    ) -> Result<Taken, Fault> {
        if self.xa.giving.is_none() {
            let Some(held) = self.xa.prepared.remove(xid) else {
                // of MariaDB's, those with captured tables were refused when they were prepared
                let gtid = self.open.as_ref().and_then(|o| o.gtid.as_ref());
                if gtid.is_some_and(|g| g.domain_and_server().is_some()) {
                    self.commit(event);
                    return Ok(Taken::Whole);
                }
                let what = format!(
                    "the XA transaction that is committed at {} was prepared before where reading began: its rows are not known",
                    self.at(event)
                );
                return Err(Fault::new(codes::XA, what).fix(
                    "start from an earlier position; or from a later one, and take a new snapshot of the captured tables that it \
                     may have changed",
                ));
            };
            self.xa.giving = Some(Giving { held, next: (0, 0), sent: false });
            self.begin(event, query)?;
        }
        self.xa_give(event)
    }

    /// Transactions that were read and that the position leaves out, since nobody has decided them yet.
    pub(crate) fn prepared(&self) -> impl Iterator<Item = &Gtid> {
        self.xa.prepared.values().map(|held| &held.gtid)
    }

    /// XA ROLLBACK of a prepared branch.
    pub(super) fn xa_rollback(&mut self, xid: &Xid) {
        if let Some(held) = self.xa.prepared.remove(xid) {
            self.xa.bytes -= held.bodies.len();
            self.position.gtids.add(&held.gtid);
        }
    }

    /// Gives the rows of a branch as those of the transaction at hand, which ends with the event.
    fn xa_give(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        if let Some(mut giving) = self.xa.giving.take() {
            if giving.held.captured && !giving.held.whole && !giving.sent {
                let gtid = giving.held.gtid.clone();
                self.xa.giving = Some(giving);
                return Ok(Taken::Again(Box::new(gtid)));
            }
            if giving.held.captured {
                self.change_place(&mut giving.held);
                let taken = self.give_held(&mut giving);
                self.change_place(&mut giving.held);
                let taken = taken?;
                if taken != Taken::Whole {
                    self.xa.giving = Some(giving);
                    return Ok(taken);
                }
            }
            self.xa.bytes -= giving.held.bodies.len();
            self.position.gtids.add(&giving.held.gtid);
        }
        self.commit(event);
        Ok(Taken::Whole)
    }

    fn give_held(&mut self, giving: &mut Giving) -> Result<Taken, Fault> {
        let (nth, at) = &mut giving.next;
        while let Some(&(header, n)) = giving.held.events.get(*nth) {
            let body = giving.held.bodies.get(*at..*at + n).unwrap_or_default();
            match self.of_table(&Event { header, body })? {
                Taken::Whole => {}
                taken => return Ok(taken),
            }
            (*nth, *at) = (*nth + 1, *at + n);
        }
        Ok(Taken::Whole)
    }

    /// Goes to where a branch stands, or back.
    fn change_place(&mut self, held: &mut Held) {
        std::mem::swap(&mut self.position.file, &mut held.file);
        std::mem::swap(&mut self.end, &mut held.end);
        self.building.end_file();
    }

    /// What to ask the server for, so that the first transaction it sends is this branch.
    pub(crate) fn all_but(&self, gtid: &Gtid) -> GtidSet {
        let mut set = self.position.gtids.clone();
        self.xa.prepared.values().filter(|h| h.gtid != *gtid).for_each(|h| set.add(&h.gtid));
        set
    }

    /// Takes an event of a branch that the server sends again.
    ///
    /// # Errors
    /// As [`take`](Self::take), and if the server sends another transaction.
    pub(crate) fn take_again(&mut self, event: &Event<'_>) -> Result<TakenAgain, Fault> {
        let Some(mut giving) = self.xa.giving.take() else { return Ok(TakenAgain::Last) };
        self.change_place(&mut giving.held);
        let taken = self.take_of(&giving.held.gtid, event);
        self.change_place(&mut giving.held);
        giving.sent = taken.as_ref().is_ok_and(|t| *t == TakenAgain::Last);
        self.xa.giving = Some(giving);
        taken
    }

    fn take_of(&mut self, gtid: &Gtid, event: &Event<'_>) -> Result<TakenAgain, Fault> {
        let garbled = |Garbled| self.garbled(event);
        match event.header.kind {
            kinds::GTID | kinds::GTID_TAGGED => {
                let sent = match event.header.kind {
                    kinds::GTID => GtidEvent::parse(event.body),
                    _ => GtidEvent::parse_tagged(event.body),
                };
                if sent.map_err(garbled)?.gtid != *gtid {
                    let what = format!("the server does not have the XA transaction {gtid} any more");
                    return Err(Fault::new(codes::PURGED, what).fix(
                        "start from a later position and take a new snapshot; and keep binlogs longer",
                    ));
                }
            }
            kinds::ROTATE => {
                let rotate = Rotate::parse(event.body).map_err(garbled)?;
                (self.position.file, self.end) = (rotate.file.to_owned(), rotate.pos);
            }
            kinds::XA_PREPARE => return Ok(TakenAgain::Last),
            kind if kinds::is_of_table(kind) => match self.of_table(event)? {
                Taken::Part => return Ok(TakenAgain::Part),
                Taken::AskVersion => return Ok(TakenAgain::AskVersion),
                // MariaDB sends no branch again
                Taken::Whole | Taken::Again(_) | Taken::AskSpecials(_) => {}
            },
            _ => {}
        }
        if event.header.end != 0 && event.header.kind != kinds::ROTATE {
            self.end = self.full_end(&event.header);
        }
        Ok(TakenAgain::Whole)
    }
}
