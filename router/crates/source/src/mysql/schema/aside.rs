//! Tables that stand aside, since nobody knows enough of them: how that begins and ends.

use super::history::{History, Sight};
use super::note::{self, Key, Quarantined, full_name};
use super::place::Place;
use super::version::Version;
use crate::codes;

impl History {
    pub(super) fn quarantine(&mut self, key: Key, reason: String, place: &Place, seconds: u32) -> Sight {
        let since = place.to_string();
        tracing::error!(
            code = codes::QUARANTINED.name,
            table = full_name(&key),
            since,
            reason,
            "the table's events are kept undecoded from here on: say what the table looked like, and they are decoded"
        );
        let (database, table) = key.clone();
        let quarantined = Quarantined { database, table, reason, since, since_seconds: seconds, events: 0 };
        self.staged.insert(note::quarantine_key(&key), key.clone());
        self.quarantined.insert(key.clone(), quarantined);
        self.set(key, None);
        Sight::Quarantined
    }

    /// One more rows event of a quarantined table is kept.
    pub(crate) fn kept(&mut self, database: &str, table: &str) {
        let key = self.key(database, table);
        if let Some(quarantined) = self.quarantined.get_mut(&key) {
            quarantined.events += 1;
            self.staged.insert(note::quarantine_key(&key), key);
        }
    }

    /// The tables whose events are kept undecoded.
    pub(crate) fn quarantined(&self) -> impl Iterator<Item = &Quarantined> {
        self.quarantined.values()
    }

    /// The table is decoded again from here on, by this version; `None` = by what the server says, and what was kept is given up.
    /// False if it is in no quarantine.
    pub(crate) fn lift(&mut self, database: &str, table: &str, version: Option<Version>) -> bool {
        let key = self.key(database, table);
        let Some(quarantined) = self.quarantined.remove(&key) else { return false };
        let (table, events) = (full_name(&key), quarantined.events);
        if version.is_some() {
            tracing::info!(table, events, "the table's events are decoded again");
        } else {
            tracing::warn!(
                table,
                events,
                "the table's kept events are given up: a snapshot reads what is there now"
            );
        }
        self.staged.insert(note::quarantine_key(&key), key.clone());
        let version = version.map(|version| self.traced(&key, version));
        self.set(key, version);
        self.settle();
        true
    }

    /// Whether a table of the same database stands aside: this one may take its place, and whoever ends the quarantine must know
    /// what became of it.
    pub(super) fn is_beside_quarantined(&self, key: &Key) -> bool {
        self.quarantined.keys().any(|aside| aside.0 == key.0)
    }
}
