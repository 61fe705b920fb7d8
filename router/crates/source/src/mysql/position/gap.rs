//! What a source loses, and what it reads again, when its position is moved.

use forebay_model::{GtidSet, Position};
use serde::Serialize;

use crate::mysql::gtids::{both, count, minus};
use crate::mysql::server::ServerState;

/// The difference between two positions on a server; for somebody to confirm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Transactions that will not be read.
    pub skipped: GtidSet,
    /// How many those are.
    pub skipped_count: u64,
    /// Those of them that the server has no more: going back does not bring them.
    pub lost: GtidSet,
    /// Transactions that were read and come again.
    pub again: GtidSet,
    /// How many those are.
    pub again_count: u64,
    /// Where the position moves from and to, if no sets of transactions say it: `file:offset` without GTIDs, and MariaDB's
    /// GTIDs. What lies between is skipped, or comes again.
    pub places: Option<(String, String)>,
}

impl Gap {
    /// What moving from `present` to `new` does on this server. No present position: all before the new one is skipped.
    pub(crate) fn between(present: Option<&Position>, new: &Position, server: &ServerState) -> Gap {
        let nothing = Position::default();
        let present = present.unwrap_or(&nothing);
        if !server.gtids || server.is_mariadb() {
            let place = |p: &Position| match (server.gtids, p.gtids.is_empty(), p.file.is_empty()) {
                (true, false, _) => p.gtids.to_string(),
                (false, _, false) => format!("{}:{}", p.file, p.pos),
                _ => "the beginning".to_owned(),
            };
            let moves = (place(present), place(new));
            return Gap { places: (moves.0 != moves.1).then_some(moves), ..Gap::default() };
        }
        let skipped = minus(&new.gtids, &present.gtids);
        // what a server never had is not read again from it
        let again = both(&minus(&present.gtids, &new.gtids), &server.executed);
        Gap {
            skipped_count: count(&skipped),
            lost: both(&skipped, &server.purged),
            again_count: count(&again),
            skipped,
            again,
            places: None,
        }
    }

    /// Whether nothing is skipped and nothing comes again.
    pub fn is_none(&self) -> bool {
        self.skipped.is_empty() && self.again.is_empty() && self.places.is_none()
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_none() {
            return f.write_str("nothing is skipped, and nothing comes again");
        }
        let mut parts = Vec::new();
        if let Some((from, to)) = &self.places {
            parts.push(format!(
                "reading goes on at {to} instead of {from}: what lies between is skipped, or comes again"
            ));
        }
        if !self.skipped.is_empty() {
            parts.push(format!("{} transactions are skipped: {}", self.skipped_count, self.skipped));
        }
        if !self.lost.is_empty() {
            parts.push(format!("the server has purged {} of these: {}", count(&self.lost), self.lost));
        }
        if !self.again.is_empty() {
            parts.push(format!("{} transactions come again: {}", self.again_count, self.again));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000001";

    fn read(text: &str) -> Position {
        Position { gtids: text.replace('A', A).parse().unwrap(), ..Default::default() }
    }

    #[test]
    fn it_says_what_is_skipped_lost_and_read_again() {
        let server = ServerState {
            gtids: true,
            executed: read("A:1-100").gtids,
            purged: read("A:1-20").gtids,
            ..Default::default()
        };
        let gap = |present: &str, new: &str| Gap::between(Some(&read(present)), &read(new), &server);
        let forward = gap("A:1-10", "A:1-30");
        assert_eq!(forward.skipped, read("A:11-30").gtids);
        assert_eq!(forward.lost, read("A:11-20").gtids);
        assert_eq!((forward.skipped_count, forward.again_count), (20, 0));
        let text = forward.to_string();
        assert!(
            text.contains("20 transactions are skipped") && text.contains("purged 10 of these"),
            "{text}"
        );
        let back = gap("A:1-90", "A:1-30");
        assert_eq!((back.again, back.skipped.is_empty()), (read("A:31-90").gtids, true));
        // read from a server that was reset since: not to be had from this one
        assert_eq!(gap("A:1-200", "A:1-30").again_count, 70);
        assert!(gap("A:1-5", "A:1-5").is_none());
        assert_eq!(Gap::between(None, &read("A:1-100"), &server).skipped_count, 100);
    }

    #[test]
    fn without_gtids_it_says_the_files() {
        let at = |pos| Position { file: "binlog.000002".into(), pos, ..Default::default() };
        let gap = |a, b| Gap::between(Some(&at(a)), &at(b), &ServerState::default());
        assert!(gap(4, 4).is_none());
        let moved = gap(4, 900);
        assert_eq!(moved.places, Some(("binlog.000002:4".into(), "binlog.000002:900".into())));
        assert!(moved.to_string().contains("binlog.000002:900 instead of binlog.000002:4"), "{moved}");
    }
}
