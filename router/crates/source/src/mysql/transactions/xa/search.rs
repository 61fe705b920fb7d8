//! Branches of before where reading began: what came of looking for them in the binlog behind.

use forebay_model::{Gtid, Note};

use super::Held;
use crate::mysql::binlog::Xid;
use crate::mysql::position::scan::Missed;
use crate::mysql::transactions::Transactions;
use crate::mysql::transactions::undecided::MISSED;

impl Transactions {
    /// Goes on with what was looked for in vain.
    pub(crate) fn remember_missed(&mut self, notes: &[Note]) {
        let value = notes.iter().find(|n| n.key == MISSED).and_then(|n| n.value.as_deref());
        self.xa.missed = value.and_then(|value| serde_json::from_slice(value).ok());
    }

    /// The last search in vain, if it was for this branch.
    pub(crate) fn missed(&self, xid: &Xid) -> Option<Missed> {
        self.xa.missed.clone().filter(|missed| missed.xid == xid.to_string())
    }

    /// A branch was looked for in vain.
    pub(crate) fn note_missed(&mut self, missed: Missed) {
        if self.xa.missed.as_ref() != Some(&missed) {
            self.xa.notes.insert(MISSED.to_owned(), serde_json::to_vec(&missed).ok());
            self.xa.missed = Some(missed);
        }
    }

    /// What became of looking for a branch, after [`Taken::FindBranch`]: its GTID, and the newest of its domain before it.
    pub(crate) fn found_branch(&mut self, xid: Xid, found: Option<(Gtid, Option<Gtid>)>) {
        let Some((gtid, before)) = found else {
            self.xa.missing = Some(xid);
            return;
        };
        let place = (self.position.file.clone(), self.end);
        self.xa.wait(xid, Held::passed(gtid, before, place, false));
    }
}
