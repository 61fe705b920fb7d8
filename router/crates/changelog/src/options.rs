//! What is set when a changelog is opened, and what it says about itself.

use std::time::Duration;

use forebay_model::{Block, Note, Offset, Position};
use serde::Serialize;

/// Bounds of one changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Recent blocks kept in memory for readers near the head: bytes of columns.
    pub tail_bytes: usize,
    /// redb's page cache: bytes.
    pub cache_bytes: usize,
    /// Room that blocks may take in the file ([`State::bytes`]); `None` = as much as the disk has. When the next block would
    /// pass it, the writer waits, and with it the source: nothing is dropped (invariant 6).
    pub quota_bytes: Option<u64>,
    /// What is kept although no route needs it.
    pub retain: Retention,
    /// Accepted but not yet committed: bytes of columns.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tail_bytes: 8 << 20,
            cache_bytes: 8 << 20,
            quota_bytes: None,
            retain: Retention::default(),
            queue_bytes: 4 << 20,
        }
    }
}

/// How much is kept behind the head even when every route is past it. A block stays while either bound wants it;
/// both `None` = only what routes need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Counted from the commit time of a block's last transaction.
    pub age: Option<Duration>,
    /// Room in the file, as [`State::bytes`].
    pub bytes: Option<u64>,
}

/// What the source hands over: a block, a position, or both.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The next events. `first` is assigned by the log; whatever stands there is overwritten.
    pub block: Option<Block>,
    /// Where the server's log goes on after the block. `None`: the block ends inside an open transaction; it stays invisible
    /// until an entry with a position comes.
    pub position: Option<Position>,
    /// What the source wants to remember as of that position; only with one.
    pub notes: Vec<Note>,
    /// Store the block although it passes [`Options::quota_bytes`]: what lets the log forget again must not wait for room.
    pub past_quota: bool,
}

/// What a changelog says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct State {
    /// The oldest event kept.
    pub first: Offset,
    /// One past the newest visible event.
    pub head: Offset,
    /// Stored events of a transaction whose end has not been read yet.
    pub open_events: u64,
    /// Room that blocks take in the file, in bytes: each stored piece counts with the pages that hold it.
    pub bytes: u64,
    /// The file's size in bytes: `bytes`, the index, and free pages.
    pub file_bytes: u64,
    /// How many blocks are stored.
    pub blocks: u64,
    /// Bytes of recent blocks kept in memory.
    pub tail_bytes: u64,
    /// Bytes accepted but not yet committed.
    pub queued_bytes: u64,
    /// Commits since the file was opened.
    pub commits: u64,
    /// When the last commit was made, microseconds since 1970; 0 = none since the file was opened.
    pub last_commit_us: u64,
    /// Why the source waits, if it does.
    pub paused: Option<String>,
}

/// What a trim deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trimmed {
    /// The oldest event kept now.
    pub first: Offset,
    /// Blocks deleted.
    pub blocks: u64,
    /// Events in them.
    pub events: u64,
    /// Room that they took in the file, in bytes. The file itself does not shrink; its pages are used again.
    pub bytes: u64,
}
