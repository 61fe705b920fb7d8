//! A route's transforms, one after the other, bound to each version of each table as it comes.
//!
//! Promises: no batch comes out of a table whose version was not judged first ([`pii`]).

use std::sync::Arc;

use forebay_model::{Batch, Block, Fault, TableSchema};
use forebay_transform::{Binding, Limits, Meter, Place, Plugin, Refusal};

use super::history::TransformRun;
use super::pii::{self, Held};
use crate::definition::Guard;

/// One use of a plugin.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) plugin: Plugin,
    /// JSON text, secrets resolved; never logged.
    pub(super) config: String,
    pub(super) limits: Limits,
    /// For the route's history: without secrets.
    pub(super) told: TransformRun,
    /// Where its costs are counted.
    pub(super) meter: Arc<Meter>,
}

/// What became of a batch.
pub(super) struct Passed {
    pub(super) batch: Batch,
    /// Events that a plugin would not let through, with its reason.
    pub(super) rejected: Vec<(u32, String)>,
}

/// Transforms bound to one version of a table.
pub(super) struct Bound {
    pub(super) bindings: Vec<Binding>,
    /// What comes out and may not, in words.
    pub(super) exposed: Vec<String>,
}

/// Binds transforms to a table, each to what the one before it makes of it.
///
/// # Errors
/// The index of the transform that cannot be bound, and why.
pub(super) async fn bind(
    source: &str,
    table: &Arc<TableSchema>,
    steps: &[Step],
    guard: &Guard,
) -> Result<Bound, (usize, Refusal)> {
    let mut bindings = Vec::new();
    let mut schema = table.clone();
    let mut held = Held::new(guard, table);
    for (i, step) in steps.iter().enumerate() {
        let binding =
            step.plugin.bind_hiding(source, &schema, &step.config, &step.limits, &held.names()).await;
        let binding = binding.map_err(|refusal| (i, refusal))?;
        held.pass(&step.plugin.info().name, binding.plan());
        schema = binding.output().clone();
        bindings.push(binding.metered(step.meter.clone()));
    }
    Ok(Bound { bindings, exposed: held.exposed(guard, table) })
}

/// Bindings are kept for as long as the route runs; a table has few versions.
pub(super) struct Chain {
    route: String,
    source: String,
    guard: Guard,
    steps: Vec<Step>,
    bound: Vec<(Arc<TableSchema>, Vec<Binding>)>,
}

impl Chain {
    pub(super) fn new(route: String, source: String, guard: Guard, steps: Vec<Step>) -> Self {
        Chain { route, source, guard, steps, bound: Vec::new() }
    }

    /// Whether nothing is done to batches, and nothing is held back.
    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.guard.is_idle()
    }

    /// Whether batches come out as they are.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the route may not have.
    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What it is made of.
    pub(super) fn told(&self) -> Vec<TransformRun> {
        self.steps.iter().map(|step| step.told.clone()).collect()
    }

    /// Binds in advance what another chain has bound. A version that cannot be bound may never come again: if it does, that is told
    /// then.
    pub(super) async fn prepare(&mut self, like: &Chain) {
        for (table, _) in &like.bound {
            let _ = self.bindings(table).await;
        }
    }

    /// A batch of the block after every step.
    ///
    /// A poison fault leaves the chain usable: the caller may try again with less.
    pub(super) async fn apply(&mut self, block: &Block, batch: Batch) -> Result<Passed, Fault> {
        let mut passed = Passed { batch: pii::without_values(batch, &self.guard), rejected: Vec::new() };
        let at = self.bindings(&passed.batch.table).await?;
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
    ///
    /// # Errors
    /// Fatal: a transform cannot be bound, or a column would come out that the route may not have ([`pii::EXPOSED`]).
    async fn bindings(&mut self, table: &Arc<TableSchema>) -> Result<usize, Fault> {
        // the same version usually comes as the same Arc
        let known = |(t, _): &(Arc<TableSchema>, _)| Arc::ptr_eq(t, table) || t == table;
        if let Some(at) = self.bound.iter().position(known) {
            return Ok(at);
        }
        let bound = bind(&self.source, table, &self.steps, &self.guard).await;
        let Bound { bindings, exposed } = bound.map_err(|(_, refusal)| refusal.fault)?;
        if !exposed.is_empty() {
            return Err(pii::fault(&self.route, &exposed));
        }
        self.bound.push((table.clone(), bindings));
        Ok(self.bound.len() - 1)
    }
}
