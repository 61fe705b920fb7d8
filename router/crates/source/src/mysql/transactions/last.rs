//! Which transaction was read last: what a server is asked for at the next connect (`proof`).

use forebay_model::Gtid;

use super::Transactions;
use crate::mysql::binlog::{Event, kinds};
use crate::mysql::proof::{Last, Tracked};

impl Transactions {
    /// Goes on with what was noted.
    pub(crate) fn remember_last(&mut self, last: Option<Last>) {
        self.tracked = Tracked::of(last);
    }

    /// The last transaction is behind the position that is given next.
    pub(crate) fn withhold_last(&mut self) {
        self.tracked.withhold();
    }

    /// This transaction was read to its end: it counts as read.
    pub(super) fn is_last(&mut self, gtid: Gtid) {
        let domain = gtid.domain_and_server().map(|(domain, _)| domain);
        let before = domain.and_then(|domain| self.position.gtids.newest(domain));
        self.position.gtids.add(&gtid);
        self.tracked.end(gtid, before);
    }

    /// The head of a file: that it is noted which file this is, is worth a position.
    pub(super) fn file_is_begun(&mut self, event: &Event<'_>) {
        if event.header.kind == kinds::FORMAT_DESCRIPTION
            && self.tracked.file(&self.position.file, &event.header)
        {
            self.moves += 1;
        }
    }
}
