//! Writing a group of entries into a transaction, before its commit. Nothing of the writer's own changes here: the commit may fail.

use std::collections::{BTreeSet, VecDeque};

use forebay_model::{Block, Fault, Offset, Position};
use redb::WriteTransaction;

use super::{Writer, now_us};
use crate::codec::Head;
use crate::file::{Counters, HEADS, NOTES, PIECES, SCHEMAS};
use crate::inbox::Item;
use crate::pieces;
use crate::recent::family;

/// What is written but not yet committed.
pub(super) struct Staged {
    pub(super) counters: Counters,
    pub(super) position: Option<Position>,
    /// Of which families notes were written.
    pub(super) noted: BTreeSet<String>,
    pub(super) next: Offset,
    /// How many entries of the group.
    pub(super) entries: usize,
    /// The number of the last entry; 0 = none.
    pub(super) number: u64,
    /// The room that the next block lacked.
    pub(super) full: Option<u64>,
}

impl Staged {
    /// Nothing yet, on top of what the writer knows.
    pub(super) fn new(counters: Counters, next: Offset) -> Self {
        Staged { counters, position: None, noted: BTreeSet::new(), next, entries: 0, number: 0, full: None }
    }

    fn add(&mut self, head: &Head, room: u64) {
        self.next = head.end();
        self.counters.bytes += room;
        self.counters.blocks += 1;
        self.counters.last_us = head.last_us;
    }
}

impl Writer {
    /// Writes the group's entries, as far as the quota allows. They stay in the group until they are durable.
    pub(super) fn stage(
        &mut self,
        txn: &WriteTransaction,
        group: &mut VecDeque<Item>,
        staged: &mut Staged,
    ) -> Result<(), Fault> {
        let file = &self.shared.file;
        let fault = |e: redb::Error| file.fault("writing", e);
        let mut heads = txn.open_table(HEADS).map_err(|e| fault(e.into()))?;
        let mut bodies = txn.open_table(PIECES).map_err(|e| fault(e.into()))?;
        let now = now_us();
        for item in group {
            let Item::Entry { block, position, notes, number, past_quota, .. } = item else { break };
            if let Some(block) = block {
                block.first = staged.next;
                let mut ids = Vec::with_capacity(block.batches.len());
                let mut new = Vec::new();
                for batch in &mut block.batches {
                    let named = self.shared.schemas.name(&batch.table, block.first);
                    batch.table = named.table;
                    ids.push(named.id);
                    if named.new {
                        new.push((named.id, batch.table.clone()));
                    }
                }
                let last_us = last_us(block, now).max(staged.counters.last_us);
                let head = self.encoder.encode(block, &ids, last_us);
                let head_bytes = head.to_bytes();
                let room = pieces::room_of(head_bytes.len(), self.encoder.body().len());
                let quota = self.shared.options.quota_bytes.unwrap_or(u64::MAX);
                if staged.counters.bytes.saturating_add(room) > quota && !*past_quota {
                    self.shared.schemas.forget(&new.iter().map(|(id, _)| *id).collect::<Vec<_>>());
                    staged.full = Some(room);
                    return Ok(());
                }
                pieces::insert(&mut heads, &mut bodies, head.first, &head_bytes, self.encoder.body())
                    .map_err(|e| fault(e.into()))?;
                for (id, table) in new {
                    let json = serde_json::to_vec(&*table).expect("a schema has string keys only");
                    let mut schemas = txn.open_table(SCHEMAS).map_err(|e| fault(e.into()))?;
                    schemas.insert(id, json.as_slice()).map_err(|e| fault(e.into()))?;
                }
                staged.add(&head, room);
            }
            for note in notes {
                let mut stored = txn.open_table(NOTES).map_err(|e| fault(e.into()))?;
                let old = match &note.value {
                    Some(value) => stored.insert(note.key.as_str(), value.as_slice()),
                    None => stored.remove(note.key.as_str()),
                };
                old.map_err(|e| fault(e.into()))?;
                staged.noted.insert(family(&note.key).to_owned());
            }
            if position.is_some() {
                staged.position.clone_from(position);
                staged.counters.head = staged.next;
            }
            staged.number = *number;
            staged.entries += 1;
        }
        Ok(())
    }
}

/// When the block's last transaction was committed. A server's clock that runs ahead of ours is cut to ours: it would keep
/// later blocks from ever growing old.
fn last_us(block: &Block, now: u64) -> u64 {
    block.origin.txns.iter().map(|txn| txn.commit_us).max().unwrap_or(0).min(now)
}
