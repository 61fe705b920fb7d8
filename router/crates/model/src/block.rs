//! A block: a short, ordered stretch of the changelog.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::{Batch, Gtid, Offset, Run, keep_images};

/// One source transaction, or the piece of it that a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Txn {
    /// The GTID's source UUID; all zero where the server has GTIDs off.
    pub uuid: [u8; 16],
    /// The GTID's number; 0 = no GTID.
    pub number: u64,
    /// When it was committed on the server that first ran it, microseconds since 1970.
    pub commit_us: u64,
    /// The server's thread, for people.
    pub thread: u32,
    /// The server's id.
    pub server_id: u32,
    /// Index of the binlog file's name in [`Origin::strings`].
    pub file: u32,
    /// 0, or one more than the index in [`Origin::strings`] of the GTID's tag; without a GTID, of the one route that a
    /// snapshot's rows are for.
    pub tag: u32,
}

/// Where a block's events come from; shared with what the transforms make of the block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// In commit order.
    pub txns: Vec<Txn>,
    /// File names and GTID tags.
    pub strings: Vec<String>,
}

impl Origin {
    /// The transaction's GTID, if the server gave it one.
    pub fn gtid(&self, txn: &Txn) -> Option<Gtid> {
        let tag = (txn.tag > 0).then(|| self.strings[txn.tag as usize - 1].clone());
        (txn.number > 0).then_some(Gtid { uuid: txn.uuid, tag, number: txn.number })
    }

    /// The one route that the transaction's rows are for, if they are not for everybody: they come from a snapshot that was
    /// asked for on behalf of a single route.
    pub fn audience(&self, txn: &Txn) -> Option<&str> {
        (txn.number == 0 && txn.tag > 0).then(|| self.strings[txn.tag as usize - 1].as_str())
    }

    /// The name of the transaction's binlog file.
    pub fn file(&self, txn: &Txn) -> &str {
        &self.strings[txn.file as usize]
    }
}

/// The events `first .. first + events` of a source, one batch for each version of each table.
///
/// As the changelog holds it, every offset of the range has its event. After selection and transforms, some have
/// none: the range says what was *read*.
///
/// Batches are not in time order among themselves: one transaction may have written several tables. Who needs commit
/// order over tables takes [`Block::runs_in_order`].
#[derive(Clone, Debug)]
pub struct Block {
    /// The first event's offset.
    pub first: Offset,
    /// How many offsets the block covers.
    pub events: u32,
    /// Where the events come from.
    pub origin: Arc<Origin>,
    /// No table version twice.
    pub batches: Vec<Batch>,
}

impl Block {
    /// One past the last offset that the block covers.
    pub fn end(&self) -> Offset {
        self.first + Offset::from(self.events)
    }

    /// Row images in all batches.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(Batch::rows).sum()
    }

    /// Bytes in memory, roughly; for bounds.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(Batch::bytes).sum::<usize>() + self.origin.txns.len() * size_of::<Txn>()
    }

    /// `(batch, run)` of every run of every batch, in offset order.
    pub fn runs_in_order(&self) -> Vec<(u32, u32)> {
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(self.batches.iter().map(|b| b.runs.len()).sum());
        for (b, batch) in self.batches.iter().enumerate() {
            order.extend((0..batch.runs.len()).map(|r| (b as u32, r as u32)));
        }
        if self.batches.len() > 1 {
            let key = |run: &Run| (run.event, run.part);
            order.sort_by_key(|&(b, r)| key(&self.batches[b as usize].runs[r as usize]));
        }
        order
    }

    /// The part of the block whose offsets lie in `from .. to` (bounds outside the block are cut to it). Cells are
    /// copied unless all of a batch is wanted.
    #[must_use]
    pub fn slice(&self, from: Offset, to: Offset) -> Block {
        let from = from.clamp(self.first, self.end());
        let to = to.clamp(from, self.end());
        let (low, high) = ((from - self.first) as u32, (to - self.first) as u32);
        let mut batches = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let mut keep = vec![false; batch.rows()];
            for event in batch.events().filter(|e| (low..high).contains(&e.event)) {
                for row in [event.before, event.after].into_iter().flatten() {
                    keep[row as usize] = true;
                }
            }
            let mut batch = keep_images(batch, &keep).batch;
            for run in &mut batch.runs {
                run.event -= low;
            }
            if batch.rows() > 0 {
                batches.push(batch);
            }
        }
        Block { first: from, events: high - low, origin: self.origin.clone(), batches }
    }
}
