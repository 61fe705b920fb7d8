//! What every reader looks at: how far the log reaches, and its recent blocks in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use forebay_model::{Block, Offset, Position};

use crate::file::Counters;

/// What was made durable last. Only the writer changes it, and only after a commit (invariant 2).
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) counters: Counters,
    pub(crate) position: Option<Position>,
    /// One past the last stored event, open transaction included.
    pub(crate) next: Offset,
    /// How many commits since the file was opened held notes of a [`family`].
    pub(crate) noted: BTreeMap<String, u64>,
    pub(crate) commits: u64,
    pub(crate) last_commit_us: u64,
    pub(crate) paused: Option<Paused>,
    pub(crate) tail: Tail,
}

/// The notes that a note belongs to: its key up to the first `/`.
pub(crate) fn family(key: &str) -> &str {
    key.split_inclusive('/').next().unwrap_or_default()
}

/// Why the source waits.
#[derive(Clone, Debug)]
pub(crate) enum Paused {
    /// The quota is reached.
    Quota(String),
    /// The disk refuses.
    Disk(String),
}

impl Paused {
    /// In an operator's words.
    pub(crate) fn why(&self) -> &str {
        let (Paused::Quota(why) | Paused::Disk(why)) = self;
        why
    }
}

/// The last blocks, without a gap, up to the end of what is stored: those of an open transaction too, which readers do
/// not reach because they stop at the head.
#[derive(Debug)]
pub(crate) struct Tail {
    blocks: VecDeque<(Arc<Block>, usize)>,
    bytes: usize,
    most: usize,
}

impl Tail {
    /// An empty one that holds at most so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Tail { blocks: VecDeque::new(), bytes: 0, most }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next block; the oldest make room for it.
    pub(crate) fn push(&mut self, block: Arc<Block>, bytes: usize) {
        debug_assert!(self.blocks.back().is_none_or(|(last, _)| last.end() == block.first), "no gap");
        self.blocks.push_back((block, bytes));
        self.bytes += bytes;
        while self.bytes > self.most {
            self.pop_front();
        }
    }

    /// The block that covers the offset, if it is here.
    pub(crate) fn get(&self, offset: Offset) -> Option<&Arc<Block>> {
        let at = self.blocks.partition_point(|(block, _)| block.end() <= offset);
        self.blocks.get(at).map(|(block, _)| block).filter(|block| block.first <= offset)
    }

    /// Forgets the blocks that end at or before the offset.
    pub(crate) fn drop_before(&mut self, first: Offset) {
        while self.blocks.front().is_some_and(|(block, _)| block.end() <= first) {
            self.pop_front();
        }
    }

    /// Forgets the blocks that start at or after the offset.
    pub(crate) fn drop_from(&mut self, next: Offset) {
        while let Some((_, bytes)) = self.blocks.pop_back_if(|(block, _)| block.first >= next) {
            self.bytes -= bytes;
        }
    }

    fn pop_front(&mut self) {
        if let Some((_, bytes)) = self.blocks.pop_front() {
            self.bytes -= bytes;
        }
    }
}
