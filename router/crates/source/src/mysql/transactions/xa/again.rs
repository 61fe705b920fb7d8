//! Reading a branch again: what to ask the server for, and what of its answer is the branch.

use forebay_model::{Fault, Gtid, GtidSet};

use crate::codes;
use crate::mysql::binlog::{Event, GtidEvent, MariaDbGtid, Rotate, kinds};
use crate::mysql::cursor::Garbled;
use crate::mysql::gtids::minus;
use crate::mysql::transactions::undecided::Undecided;
use crate::mysql::transactions::{Taken, Transactions};

/// What became of an event that the server sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TakenAgain {
    Whole,
    /// The block became full in the middle of it: it must be offered again.
    Part,
    /// It was the last one.
    Last,
    /// As [`Taken::AskVersion`].
    AskVersion,
    /// As [`Taken::AskSpecials`].
    AskSpecials(Box<(String, String)>),
}

impl Transactions {
    /// What to ask the server for, so that the first transaction it sends is this branch.
    pub(crate) fn all_but(&self, gtid: &Gtid) -> GtidSet {
        let mut set = self.position.gtids.clone();
        if gtid.domain_and_server().is_some() {
            let held = self.xa.giving.as_ref().map(|giving| &giving.held).filter(|held| held.gtid == *gtid);
            Undecided::take_from(&mut set, gtid, held.and_then(|held| held.before.as_ref()));
            return set;
        }
        // a branch of before reading began counts as read
        if set.contains(gtid) {
            let mut this = GtidSet::default();
            this.add(gtid);
            set = minus(&set, &this);
        }
        self.xa.prepared.values().filter(|h| h.gtid != *gtid).for_each(|h| set.add(&h.gtid));
        set
    }

    /// The branch whose rows are being given.
    pub(crate) fn branch(&self) -> Option<&Gtid> {
        self.xa.giving.as_ref().map(|giving| &giving.held.gtid)
    }

    /// Takes an event of a branch that the server sends again.
    ///
    /// # Errors
    /// As [`take`](Self::take), and if the server sends another transaction.
    pub(crate) fn take_again(&mut self, event: &Event<'_>) -> Result<TakenAgain, Fault> {
        let Some(mut giving) = self.xa.giving.take() else { return Ok(TakenAgain::Last) };
        self.change_place(&mut giving.held);
        let taken = self.take_of(&giving.held.gtid, &mut giving.sending, event);
        self.change_place(&mut giving.held);
        giving.sent = taken.as_ref().is_ok_and(|t| *t == TakenAgain::Last);
        self.xa.giving = Some(giving);
        taken
    }

    fn take_of(&mut self, gtid: &Gtid, sending: &mut bool, event: &Event<'_>) -> Result<TakenAgain, Fault> {
        let garbled = |Garbled| self.garbled(event);
        match event.header.kind {
            kinds::GTID | kinds::GTID_TAGGED | kinds::MARIADB_GTID => {
                let sent = match event.header.kind {
                    kinds::GTID => GtidEvent::parse(event.body).map(|e| e.gtid),
                    kinds::GTID_TAGGED => GtidEvent::parse_tagged(event.body).map(|e| e.gtid),
                    _ => MariaDbGtid::parse(event.header.server_id, event.body).map(|e| e.gtid),
                };
                let sent = sent.map_err(garbled)?;
                *sending = sent == *gtid;
                let domain = |gtid: &Gtid| gtid.domain_and_server().map(|(domain, _)| domain);
                // another server may have another order among domains
                if !*sending && (domain(&sent).is_none() || domain(&sent) == domain(gtid)) {
                    return Err(not_again(gtid));
                }
            }
            kinds::ROTATE => {
                let rotate = Rotate::parse(event.body).map_err(garbled)?;
                (self.position.file, self.end) = (rotate.file.to_owned(), rotate.pos);
            }
            _ if !*sending => {}
            kinds::XA_PREPARE => return Ok(TakenAgain::Last),
            kinds::QUERY_COMPRESSED..=kinds::DELETE_ROWS_COMPRESSED => {
                return self.with_inflated(event, |of, event| of.take_of(gtid, sending, event));
            }
            kind if kinds::is_of_table(kind) => match self.of_table(event)? {
                Taken::Part => return Ok(TakenAgain::Part),
                Taken::AskVersion => return Ok(TakenAgain::AskVersion),
                Taken::AskSpecials(table) => return Ok(TakenAgain::AskSpecials(table)),
                Taken::Whole | Taken::Again(_) | Taken::FindBranch(_) => {}
            },
            _ => {}
        }
        if event.header.end != 0 && event.header.kind != kinds::ROTATE {
            self.end = self.full_end(&event.header);
        }
        Ok(TakenAgain::Whole)
    }
}

/// The server's binlog does not hold a prepared branch any more.
pub(crate) fn not_again(gtid: &Gtid) -> Fault {
    let what = format!("the server does not have the XA transaction {gtid} any more, which is committed now");
    Fault::new(codes::PURGED, what)
        .fix("start from a later position and take a new snapshot; and keep binlogs until what is prepared is decided")
}
