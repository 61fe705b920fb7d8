//! Which batches of a block a route wants.

use std::sync::Arc;

use forebay_model::{Batch, Block, Offset, TablePattern};

/// A route's tables, and its name for what is meant for one route only.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// `None` = whoever it is meant for.
    route: Option<Arc<str>>,
    tables: Arc<Vec<TablePattern>>,
}

impl Selection {
    pub(super) fn new(route: Option<&str>, tables: Vec<TablePattern>) -> Self {
        Selection { route: route.map(Arc::from), tables: Arc::new(tables) }
    }

    pub(super) fn wants(&self, database: &str, table: &str) -> bool {
        self.tables.iter().any(|pattern| pattern.matches(database, table))
    }

    /// The block from `offset` on, with the wanted tables only. Columns are shared, not copied, unless the block
    /// starts before the offset.
    pub(super) fn cut(&self, block: &Block, offset: Offset) -> Block {
        let wanted = |batch: &&Batch| self.wants(&batch.table.database, &batch.table.table);
        // a snapshot's blocks hold nothing else, and are for one audience
        let is_ours = self.route.as_deref().is_none_or(|ours| {
            block.origin.txns.iter().all(|txn| block.origin.audience(txn).is_none_or(|route| route == ours))
        });
        let batches = block.batches.iter().filter(|batch| is_ours && wanted(batch)).cloned().collect();
        let cut = Block { first: block.first, events: block.events, origin: block.origin.clone(), batches };
        if block.first < offset { cut.slice(offset, block.end()) } else { cut }
    }
}
