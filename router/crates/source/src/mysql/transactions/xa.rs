//! XA transactions: rows are given at XA COMMIT, and never after XA ROLLBACK.
//!
//! A branch is written to the binlog at XA PREPARE, under a GTID of its own, and decided by a later transaction under
//! another. Until then its events wait here, undecoded. What waits need not survive a restart. On MySQL the position passes a
//! prepared branch but leaves its GTID out: the server sends that one transaction again. On MariaDB, whose GTIDs leave nothing
//! out, a note says how to ask for the branch again ([`Undecided`]), once it is committed. Branches that are larger than
//! what may wait are read again likewise; and those of before where reading began, once they were found in the binlog.

mod again;
mod search;

use std::collections::{BTreeMap, HashMap, HashSet};

use forebay_model::{Fault, Gtid, Note};

pub(crate) use again::{TakenAgain, not_again};

use super::undecided::{Decided, PASSED, Undecided, key};
use super::{Taken, Transactions};
use crate::codes;
use crate::mysql::binlog::{Event, Header, Query, Xid, kinds, table_of};
use crate::mysql::cursor::Garbled;
use crate::mysql::position::scan::Missed;

/// Bytes of events that may wait, of all branches together.
const HELD: usize = 16 << 20;

/// A branch.
#[derive(Debug)]
struct Held {
    gtid: Gtid,
    /// MariaDB's: the newest of its domain before it.
    before: Option<Gtid>,
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
    /// It has a note that was stored before this connection.
    stored: bool,
}

impl Held {
    /// One that must be read again.
    fn passed(gtid: Gtid, before: Option<Gtid>, (file, end): (String, u64), stored: bool) -> Self {
        let (events, bodies) = (Vec::new(), Vec::new());
        // what it changed shows when it is read
        Held { gtid, before, file, end, captured: true, events, bodies, whole: false, stored }
    }
}

/// A branch whose rows are being given.
#[derive(Debug)]
struct Giving {
    held: Held,
    /// Events that were given, and the bytes of their bodies.
    next: (usize, usize),
    /// Whether the server sends it again at this moment.
    sending: bool,
    /// Whether the server has sent all of it again.
    sent: bool,
}

impl Giving {
    fn of(held: Held) -> Self {
        Giving { held, next: (0, 0), sending: false, sent: false }
    }
}

/// The branches of a stream.
#[derive(Debug, Default)]
pub(super) struct Branches {
    open: Option<Held>,
    prepared: HashMap<Xid, Held>,
    /// Those without a GTID that are prepared and have no rows of captured tables.
    passed: HashSet<Xid>,
    giving: Option<Giving>,
    /// Bytes that wait.
    bytes: usize,
    /// A branch that was looked for in the binlog behind, and is not there.
    missing: Option<Xid>,
    /// The one that was looked for last, in vain, as noted.
    missed: Option<Missed>,
    /// To be noted with the next position.
    notes: BTreeMap<String, Option<Vec<u8>>>,
    pub(super) decided: Decided,
}

impl Branches {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the open branch has rows of a captured table.
    pub(super) fn has_rows(&self) -> bool {
        self.open.as_ref().is_some_and(|held| held.captured)
    }

    /// The branch is undecided; what waited under its name can not be any more.
    fn wait(&mut self, xid: Xid, mut held: Held) {
        match self.prepared.remove(&xid) {
            // a position before it was chosen
            Some(old) if old.gtid == held.gtid => {
                self.bytes -= old.bodies.len();
                held.stored = old.stored;
            }
            Some(old) => self.over(&old),
            None => {}
        }
        self.prepared.insert(xid, held);
    }

    /// A branch that has nothing to give is prepared, and its commit can name it by nothing else.
    fn pass(&mut self, xid: Xid) {
        self.notes.insert(format!("{PASSED}{xid}"), Some(Vec::new()));
        self.passed.insert(xid);
    }

    /// Such a branch is decided; false if there is none.
    fn was_passed(&mut self, xid: &Xid) -> bool {
        let was = self.passed.remove(xid);
        if was {
            self.notes.insert(format!("{PASSED}{xid}"), None);
        }
        was
    }

    /// The branch waits no more.
    fn over(&mut self, held: &Held) {
        self.bytes -= held.bodies.len();
        if held.captured && held.gtid.domain_and_server().is_some() {
            let key = key(&held.gtid);
            // what was never stored need not be forgotten
            if self.notes.remove(&key).is_none() || held.stored {
                self.notes.insert(key, None);
            }
        }
    }
}

impl Transactions {
    /// A branch begins: its rows wait.
    pub(super) fn xa_start(&mut self) {
        if let Some(gtid) = self.open.as_ref().and_then(|o| o.gtid.clone()) {
            let domain = gtid.domain_and_server().map(|(domain, _)| domain);
            self.xa.open = Some(Held {
                before: domain.and_then(|domain| self.position.gtids.newest(domain)),
                gtid,
                file: self.position.file.clone(),
                end: self.end,
                captured: false,
                events: Vec::new(),
                bodies: Vec::new(),
                whole: true,
                stored: false,
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
            Some(mut held) => {
                // MariaDB's GTIDs are numbers in a row: none can be left out
                let noted = held.gtid.domain_and_server().is_some();
                if !noted {
                    // as after a commit, but the GTID is not counted as read
                    self.open = None;
                }
                self.commit(event);
                if !held.captured {
                    self.xa.bytes -= held.bodies.len();
                    (held.events, held.bodies) = (Vec::new(), Vec::new());
                } else if noted {
                    let undecided = Undecided {
                        xid: xid.clone(),
                        gtid: held.gtid.clone(),
                        before: held.before.clone(),
                        file: self.position.file.clone(),
                        end: self.position.pos,
                    };
                    self.xa.notes.insert(key(&held.gtid), Some(undecided.value()));
                }
                self.xa.decided.remove(std::slice::from_ref(&xid));
                self.xa.wait(xid, held);
            }
            None if self.rows > 0 => {
                let what = format!(
                    "an XA transaction of two phases changed captured tables, prepared at {}, and the server gives it no GTID",
                    self.at(event)
                );
                return Err(Fault::new(codes::XA, what).fix(
                    "write captured tables without XA, or with XA COMMIT ... ONE PHASE; then start from a later position and \
                     take a new snapshot of them",
                ));
            }
            None => {
                if self.open.as_ref().is_some_and(|open| open.gtid.is_none()) {
                    self.xa.pass(xid);
                }
                self.commit(event);
            }
        }
        Ok(Taken::Whole)
    }

    /// Goes on with what was noted of branches without a GTID.
    pub(crate) fn remember_passed(&mut self, notes: &[Note]) {
        let names = notes.iter().filter(|n| n.value.is_some()).filter_map(|n| n.key.strip_prefix(PASSED));
        self.xa.passed.extend(names.filter_map(|name| Xid::parse(name.as_bytes())));
    }

    /// Goes on with what was noted of branches. What is behind the place of another start is not in the notes: it is looked
    /// for once it is committed.
    pub(crate) fn remember_undecided(&mut self, undecided: Vec<Undecided>) {
        for Undecided { xid, gtid, before, file, end } in undecided {
            self.xa.wait(xid, Held::passed(gtid, before, (file, end), true));
        }
    }

    /// What is to be noted of branches with the next position.
    pub(super) fn take_xa_notes(&mut self) -> impl Iterator<Item = Note> {
        std::mem::take(&mut self.xa.notes).into_iter().map(|(key, value)| Note { key, value })
    }

    pub(super) fn has_xa_notes(&self) -> bool {
        !self.xa.notes.is_empty()
    }

    /// Branches that were committed lately.
    pub(crate) fn decided(&self) -> &Decided {
        &self.xa.decided
    }

    /// The transaction at hand ends, and counts: what waits of it is given.
    pub(super) fn xa_in_one_phase(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        if let Some(held) = self.xa.open.take() {
            self.xa.giving = Some(Giving::of(held));
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
                if self.xa.was_passed(xid) {
                    self.begin(event, query)?;
                    return self.xa_give(event);
                }
                let named = self.open.as_ref().is_some_and(|open| open.gtid.is_some());
                if named && self.xa.missing.take_if(|missing| missing == xid).is_none() {
                    return Ok(Taken::FindBranch(Box::new(xid.clone())));
                }
                let why = match named {
                    true => {
                        "the binlog that the server still has does not hold it, as far back as is looked (8 GiB, ten minutes)"
                    }
                    false => "without GTIDs it cannot be read again",
                };
                let what = format!(
                    "the XA transaction that is committed at {} was prepared before where reading began, and {why}: its rows are \
                     not known",
                    self.at(event)
                );
                return Err(Fault::new(codes::XA, what).fix(
                    "start from a later position, and take a new snapshot of the captured tables that it may have changed",
                ));
            };
            if held.captured && held.gtid.domain_and_server().is_some() {
                self.xa.decided.add(xid);
            }
            self.xa.giving = Some(Giving::of(held));
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
        self.xa.was_passed(xid);
        if let Some(held) = self.xa.prepared.remove(xid) {
            self.xa.over(&held);
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
            self.xa.over(&giving.held);
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
}
