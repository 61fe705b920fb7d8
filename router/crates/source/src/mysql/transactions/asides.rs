//! MariaDB's own events between transactions: the head of a file, and its checkpoints.
//!
//! They matter for one thing. MariaDB tells up to where its binlog is committed and seen by readers
//! (`Binlog_snapshot_position`), but it moves that place also when it opens a file and when it writes a checkpoint, whether the
//! transactions before are committed or not (`MYSQL_BIN_LOG::open`, `write_binlog_checkpoint_event_already_locked` in
//! `sql/log.cc`). So a place is believed only if it is not the end of such an event. One exception: a checkpoint that says that
//! no file before its own is needed, in a file without a transaction yet; all that was written before it is committed.

use std::collections::VecDeque;

use crate::mysql::binlog::{Header, kinds};
use crate::mysql::schema::Place;

/// Ends that are remembered: there are two for each file of the binlog.
const MOST: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Asides {
    /// Where the newest file's stretch without a transaction ends.
    bare: Place,
    ends: VecDeque<Place>,
}

impl Asides {
    /// Takes an event that lies between two places of a file.
    pub(super) fn take(&mut self, header: &Header, body: &[u8], file: &str, (start, end): (u64, u64)) {
        let bare = start == 4 || (self.bare.file == file && self.bare.pos == start);
        let place = Place { file: file.to_owned(), pos: end };
        if bare {
            self.bare.clone_from(&place);
        }
        // four bytes are the name's length
        let clears = header.kind == kinds::BINLOG_CHECKPOINT && body.get(4..) == Some(file.as_bytes());
        if !(bare && clears) {
            if self.ends.len() == MOST {
                self.ends.pop_front();
            }
            self.ends.push_back(place);
        }
    }

    /// Whether an event ends there that says nothing of what is committed.
    pub(crate) fn end_at(&self, place: &Place) -> bool {
        self.ends.contains(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_believed_only_if_what_is_before_it_is_committed() {
        let mut asides = Asides::default();
        let mut take = |kind, name: &str, file: &str, span| {
            let body = [&(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat();
            asides.take(&Header { kind, ..Default::default() }, &body, file, span);
            let place = Place { file: file.into(), pos: span.1 };
            !asides.end_at(&place)
        };
        let (one, two) = ("binlog.000001", "binlog.000002");
        assert!(!take(kinds::FORMAT_DESCRIPTION, "", one, (4, 256)));
        assert!(!take(kinds::GTID_LIST, "", one, (256, 285)));
        assert!(take(kinds::BINLOG_CHECKPOINT, one, one, (285, 325)), "nothing is before it");
        assert!(!take(kinds::BINLOG_CHECKPOINT, one, one, (900, 940)), "a transaction is");
        assert!(!take(kinds::FORMAT_DESCRIPTION, "", two, (4, 256)));
        assert!(!take(kinds::BINLOG_CHECKPOINT, one, two, (256, 296)), "the file before is needed still");
        assert!(take(kinds::BINLOG_CHECKPOINT, two, two, (296, 336)));
        assert!(!asides.end_at(&Place { file: one.into(), pos: 900 }));
    }
}
