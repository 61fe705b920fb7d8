//! A route's transforms, one after the other, bound to each version of each table as it comes.

use std::sync::Arc;

use forebay_model::{Batch, Block, Fault, TableSchema};
use forebay_transform::{Binding, Limits, Place, Plugin};

/// One use of a plugin.
pub(super) struct Step {
    pub(super) plugin: Plugin,
    /// JSON text, secrets resolved; never logged.
    pub(super) config: String,
    pub(super) limits: Limits,
}

/// What became of a batch.
pub(super) struct Passed {
    pub(super) batch: Batch,
    /// Events that a plugin would not let through, with its reason.
    pub(super) rejected: Vec<(u32, String)>,
}

/// Bindings are kept for as long as the route runs; a table has few versions.
pub(super) struct Chain {
    source: String,
    steps: Vec<Step>,
    bound: Vec<(Arc<TableSchema>, Vec<Binding>)>,
}

impl Chain {
    pub(super) fn new(source: String, steps: Vec<Step>) -> Self {
        Chain { source, steps, bound: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// A batch of the block after every step.
    ///
    /// A poison fault leaves the chain usable: the caller may try again with less.
    pub(super) async fn apply(&mut self, block: &Block, batch: Batch) -> Result<Passed, Fault> {
        let at = self.bindings(&batch.table).await?;
        let mut passed = Passed { batch, rejected: Vec::new() };
        let place = Place { source: &self.source, first: block.first, origin: &block.origin };
        for binding in &mut self.bound[at].1 {
            if passed.batch.rows() == 0 {
                break;
            }
            let applied = binding.apply(&passed.batch, &place).await?;
            passed.batch = applied.batch;
            passed.rejected.extend(applied.rejects.into_iter().map(|r| (r.event, r.reason)));
        }
        Ok(passed)
    }

    /// The index of the table's bindings, made now if this version was not met before.
    async fn bindings(&mut self, table: &Arc<TableSchema>) -> Result<usize, Fault> {
        // the same version usually comes as the same Arc
        let known = |(t, _): &(Arc<TableSchema>, _)| Arc::ptr_eq(t, table) || t == table;
        if let Some(at) = self.bound.iter().position(known) {
            return Ok(at);
        }
        let mut bindings = Vec::with_capacity(self.steps.len());
        let mut schema = table.clone();
        for step in &self.steps {
            let binding = step.plugin.bind(&self.source, &schema, &step.config, &step.limits).await?;
            schema = binding.output().clone();
            bindings.push(binding);
        }
        self.bound.push((table.clone(), bindings));
        Ok(self.bound.len() - 1)
    }
}
