//! Places in a server's binlog, in its order.

use std::fmt;

/// A place in a server's binlog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) pos: u64,
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    /// File names end with a number that grows, also in length.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let files = self.file.len().cmp(&other.file.len()).then_with(|| self.file.cmp(&other.file));
        files.then(self.pos.cmp(&other.pos))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.pos)
    }
}
