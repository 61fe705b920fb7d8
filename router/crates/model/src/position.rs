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
