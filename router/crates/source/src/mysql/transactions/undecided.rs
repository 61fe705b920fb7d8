//! What is noted of MariaDB's XA transactions that are prepared and not decided, and which were decided last.
//!
//! MariaDB's GTIDs are numbers in a row, so a position that has passed a branch says nothing of it. The note says how to ask
//! for it again: behind the transaction that came before it in its domain. It goes with the position that passes the branch,
//! and is forgotten with the position that passes its decision.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use forebay_model::{Gtid, GtidSet, Note};
use serde::{Deserialize, Serialize};

use crate::mysql::binlog::Xid;

/// What the notes' keys begin with; the branch's GTID follows.
const XA: &str = "xa/";
/// What those of branches begin with that have no GTID and no rows of captured tables; the branch's name follows.
pub(super) const PASSED: &str = "xa-passed/";
/// The key of the note of the branch that was looked for last, in vain.
pub(super) const MISSED: &str = "xa-missed";
/// Decisions that are remembered: more than a server has on their way at once.
const MOST: usize = 1024;

/// A prepared branch that has rows of captured tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecided {
    pub(crate) xid: Xid,
    pub(crate) gtid: Gtid,
    /// The newest transaction of its domain when it was prepared.
    pub(crate) before: Option<Gtid>,
    /// Where it ends, on the server that it was read from.
    pub(crate) file: String,
    pub(crate) end: u64,
}

/// An [`Undecided`], as a note has it.
#[derive(Debug, Serialize, Deserialize)]
struct Form {
    /// As servers write it: `X'6162',X'',1`.
    xid: String,
    gtid: String,
    before: Option<String>,
    file: String,
    end: u64,
}

/// The note's key.
pub(crate) fn key(gtid: &Gtid) -> String {
    format!("{XA}{gtid}")
}

impl Undecided {
    /// Those that notes tell of.
    pub(crate) fn of_notes(notes: &[Note]) -> Vec<Undecided> {
        let read = |note: &Note| -> Option<Undecided> {
            let value = note.value.as_ref().filter(|_| note.key.starts_with(XA))?;
            let form: Form = serde_json::from_slice(value).ok()?;
            let before = match form.before {
                Some(text) => Some(gtid(&text)?),
                None => None,
            };
            let xid = Xid::parse(form.xid.as_bytes())?;
            Some(Undecided { xid, gtid: gtid(&form.gtid)?, before, file: form.file, end: form.end })
        };
        notes.iter().filter_map(read).collect()
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        let form = Form {
            xid: self.xid.to_string(),
            gtid: self.gtid.to_string(),
            before: self.before.as_ref().map(Gtid::to_string),
            file: self.file.clone(),
            end: self.end,
        };
        serde_json::to_vec(&form).expect("texts and a number can be written as JSON")
    }

    /// Takes a branch, and what is behind it in its domain, out of a set.
    pub(crate) fn take_from(gtids: &mut GtidSet, gtid: &Gtid, before: Option<&Gtid>) {
        let Some((domain, _)) = gtid.domain_and_server() else { return };
        let newest = gtids.newest(domain);
        if newest.is_some_and(|n| before.is_none_or(|b| n.number > b.number)) {
            gtids.set_newest(domain, before);
        }
    }
}

/// One of MariaDB's.
fn gtid(text: &str) -> Option<Gtid> {
    let set: GtidSet = text.parse().ok()?;
    set.newest(text.split('-').next()?.parse().ok()?)
}

/// The branches with rows of captured tables whose XA COMMIT the stream has passed lately, in that order. MariaDB writes that
/// statement to its binlog before engines commit, and does not order it with other commits: readers of the tables may see the
/// rows only later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided(Arc<Mutex<VecDeque<Xid>>>);

impl Decided {
    /// Those that may not have been committed yet.
    pub(crate) fn all(&self) -> Vec<Xid> {
        self.lock().iter().cloned().collect()
    }

    /// The stream has passed its XA COMMIT.
    pub(super) fn add(&self, xid: &Xid) {
        let mut all = self.lock();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(xid.clone());
    }

    /// These are committed, or their names are in use again.
    pub(crate) fn remove(&self, over: &[Xid]) {
        self.lock().retain(|xid| !over.contains(xid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Xid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_survives_and_counts_behind_it_only() {
        let set = |text: &str| text.parse::<GtidSet>().unwrap();
        for before in [None, Some(Gtid::mariadb(3, 7, 20))] {
            let undecided = Undecided {
                xid: Xid::parse(b"X'61ff',X'',7").unwrap(),
                gtid: Gtid::mariadb(3, 1, 21),
                before: before.clone(),
                file: "binlog.000002".into(),
                end: 5 << 30,
            };
            let note = Note { key: key(&undecided.gtid), value: Some(undecided.value()) };
            assert_eq!(note.key, "xa/3-1-21");
            let notes = [Note { key: "server".into(), value: Some(b"{}".to_vec()) }, note];
            assert_eq!(Undecided::of_notes(&notes), std::slice::from_ref(&undecided));
            let mut read = set("0-1-5,3-1-30");
            Undecided::take_from(&mut read, &undecided.gtid, before.as_ref());
            assert_eq!(read, set(if before.is_some() { "0-1-5,3-7-20" } else { "0-1-5" }));
            // never forward
            let mut read = set("0-1-5,3-1-4");
            Undecided::take_from(&mut read, &undecided.gtid, before.as_ref());
            assert_eq!(read, set(if before.is_some() { "0-1-5,3-1-4" } else { "0-1-5" }));
        }
        let broken = Note { key: "xa/0-1-2".into(), value: Some(b"{}".to_vec()) };
        assert_eq!(Undecided::of_notes(&[broken]), []);
    }

    #[test]
    fn decisions_are_remembered_until_they_are_over() {
        let decided = Decided::default();
        let xid = |n: usize| Xid::recovered(&format!("'{n}'")).unwrap();
        (0..MOST + 2).for_each(|n| decided.add(&xid(n)));
        decided.remove(&[xid(5), xid(9)]);
        let all = decided.all();
        assert_eq!((all.len(), &all[0]), (MOST - 2, &xid(2)));
        assert!(!all.contains(&xid(5)));
    }
}
