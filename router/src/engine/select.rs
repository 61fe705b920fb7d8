//! Which batches of a block a route wants.

use std::sync::Arc;

use forebay_model::{Batch, Block, Offset, TablePattern};

/// A route's tables.
#[derive(Clone, Debug)]
pub(super) struct Selection(Arc<Vec<TablePattern>>);

impl Selection {
    pub(super) fn new(tables: Vec<TablePattern>) -> Self {
        Selection(Arc::new(tables))
    }

    pub(super) fn wants(&self, database: &str, table: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(database, table))
    }

    /// The block from `offset` on, with the wanted tables only. Columns are shared, not copied, unless the block
    /// starts before the offset.
    pub(super) fn cut(&self, block: &Block, offset: Offset) -> Block {
        let wanted = |batch: &&Batch| self.wants(&batch.table.database, &batch.table.table);
        let batches = block.batches.iter().filter(wanted).cloned().collect();
        let cut = Block { first: block.first, events: block.events, origin: block.origin.clone(), batches };
        if block.first < offset { cut.slice(offset, block.end()) } else { cut }
    }
}
