//! Where a source has been read to, in the server's own terms.

use serde::{Deserialize, Serialize};

use crate::GtidSet;

/// A place between two transactions of a server's binlog. Stored only in the changelog, in the same commit as the
/// events that it covers (invariant 1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Every transaction that was read or is not wanted.
    pub gtids: GtidSet,
    /// The binlog file.
    pub file: String,
    /// The next event's offset in that file.
    pub pos: u64,
}

/// Something that a source has to remember besides its position, and as of it: how far a snapshot is, what a table
/// looked like. The changelog stores it in the same commit as the events and the position that it goes with, and
/// gives it back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about, such as `snapshot/shop.users`.
    pub key: String,
    /// In a form that the source chooses; `None` = forget it.
    pub value: Option<Vec<u8>>,
}
