//! Closing blocks, and what is given with each: a position where one counts, and the notes as of it.

use forebay_model::{Block, Fault, Gtid, Note};
use tokio::time::Instant;

use super::{Captured, Stream};
use crate::mysql::blocks::Finished;

impl Stream {
    /// Closes the block at hand; if there is none, gives the position.
    pub(super) fn close(&mut self) {
        (self.opened, self.due) = (None, false);
        let building = &mut self.transactions.building;
        if building.is_empty() {
            let position = Some(self.transactions.position().clone());
            self.give(Captured { position, ..Captured::default() });
            return;
        }
        let Finished { block, whole, fault } = building.finish();
        if let Some(fault) = fault {
            self.give_before(block, fault);
            return;
        }
        let position = self.transactions.position().clone();
        match whole {
            0 => self.give(Captured { block: Some(block), ..Captured::default() }),
            n if n == block.events => {
                self.give(Captured { block: Some(block), position: Some(position), notes: Vec::new() })
            }
            n => {
                let n = u64::from(n);
                let mut piece = block.slice(n, block.end());
                piece.first = 0;
                self.give(Captured {
                    block: Some(block.slice(0, n)),
                    position: Some(position),
                    notes: Vec::new(),
                });
                self.give(Captured { block: Some(piece), ..Captured::default() });
            }
        }
    }

    /// Gives the whole transactions that were read before a fault. A position has passed it already, so theirs is put
    /// together from what they are; where the server names no transactions, they come again.
    fn give_before(&mut self, block: Block, fault: Fault) {
        let mut position = self.given_position.clone();
        let gtids = |block: &Block| -> Option<Vec<Gtid>> {
            if self.transactions.by_file {
                return None;
            }
            let last = block.batches.iter().flat_map(|b| &b.runs).map(|r| r.txn).max()?;
            block.origin.txns[..=last as usize].iter().map(|t| block.origin.gtid(t)).collect()
        };
        // notes are as of a position; what was noted is as of one behind the fault, and must not go with this one
        let noted = self.transactions.has_notes();
        if let Some(gtids) = gtids(&block).filter(|_| !noted) {
            gtids.iter().for_each(|gtid| position.gtids.add(gtid));
            self.transactions.withhold_last();
            self.give(Captured { block: Some(block), position: Some(position), notes: Vec::new() });
        }
        self.failed = Some(fault);
    }

    /// What goes with the first position that anybody gives.
    pub(crate) fn take_first_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.first_notes)
    }

    /// Whether a position is stored or given already.
    pub(crate) fn is_placed(&self) -> bool {
        self.goes_on || self.given_moves.is_some()
    }

    fn give(&mut self, mut captured: Captured) {
        self.pieces = captured.position.is_none();
        if let Some(position) = &captured.position {
            captured.notes.append(&mut self.first_notes);
            captured.notes.extend(self.transactions.take_notes());
            self.given_position.clone_from(position);
            self.given_moves = Some(self.transactions.moves);
            self.given = Instant::now();
        }
        self.ready.push_back(captured);
    }
}
