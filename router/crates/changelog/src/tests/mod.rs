//! Tests of the whole log on real files.

pub(crate) mod blocks;
mod crash;
mod damage;
pub(crate) mod disk;
mod full;
mod model;
mod quota;
mod reading;
mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_model::{Block, Offset, Position};

use crate::{Entry, Log, Options, Reader};

/// A log in a folder of its own.
pub(crate) fn open(dir: &tempfile::TempDir, options: Options) -> Log {
    Log::open(&dir.path().join("log.redb"), options).unwrap()
}

/// The position after `events` events.
pub(crate) fn position(events: u64) -> Position {
    Position { file: "binlog.000001".into(), pos: events, ..Position::default() }
}

/// A whole transaction.
pub(crate) fn whole(block: Block, events: u64) -> Entry {
    Entry { block: Some(block), position: Some(position(events)), ..Entry::default() }
}

/// A piece of a transaction that goes on.
pub(crate) fn piece(block: Block) -> Entry {
    Entry { block: Some(block), ..Entry::default() }
}

/// Everything from the reader's offset to the head.
pub(crate) async fn drain(reader: &mut Reader) -> Vec<Arc<Block>> {
    let mut blocks = Vec::new();
    while let Some(block) = reader.try_next().await.unwrap() {
        blocks.push(block);
    }
    blocks
}

/// The ids (see [`blocks::numbered`]) of everything from an offset on, having checked that offsets are dense.
pub(crate) async fn ids_from(log: &Log, from: Offset) -> Vec<i64> {
    let mut reader = log.reader(from).unwrap();
    let mut next = from;
    let mut ids = Vec::new();
    for block in drain(&mut reader).await {
        assert!(block.first <= next && next < block.end(), "{next} in {} to {}", block.first, block.end());
        let cut = block.slice(next, block.end());
        next = block.end();
        ids.extend(blocks::ids(&cut));
    }
    assert_eq!(next, log.head());
    assert_eq!(reader.offset(), log.head());
    ids
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tick.tick().await;
    }
}
