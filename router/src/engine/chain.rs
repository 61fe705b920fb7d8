//! A route's transforms, one after the other, bound to each version of each table as it comes.
//!
//! Promises: no batch comes out of a table whose version was not judged first ([`pii`]).

use std::sync::Arc;

use forebay_model::{Batch, Block, Fault, TableSchema};
use forebay_transform::{Binding, Config, Limits, Plugin, Refusal, Share};

use super::cover;
use super::history::TransformRun;
use super::later::Later;
use super::pii::{self, Held};
use super::through::{self, Passed};
use crate::definition::Guard;

/// One use of a plugin.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) plugin: Plugin,
    pub(super) config: Config,
    pub(super) limits: Limits,
    /// For the route's history: without secrets.
    pub(super) told: TransformRun,
    /// Its counters, instances and log, which it has together with other uses of the plugin in the route.
    pub(super) share: Arc<Share>,
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
        let (config, limits, hidden) = (&step.config, &step.limits, held.names());
        let binding = step.plugin.bind_hiding(source, &schema, config, limits, &hidden, &step.share).await;
        let binding = binding.map_err(|refusal| (i, refusal))?;
        held.pass(&step.plugin.info().name, binding.plan());
        schema = binding.output().clone();
        bindings.push(binding);
    }
    Ok(Bound { bindings, exposed: held.exposed(guard, table) })
}

/// Bindings are kept for as long as the route runs, since a table has few versions; their instances come and go.
pub(super) struct Chain {
    route: String,
    source: String,
    guard: Guard,
    later: Later,
    steps: Vec<Step>,
    bound: Vec<(Arc<TableSchema>, Vec<Binding>)>,
    /// Whether it was told that a plugin takes single events only.
    is_slow: bool,
}

impl Chain {
    pub(super) fn new(
        route: String,
        source: String,
        (guard, later): (Guard, Later),
        steps: Vec<Step>,
    ) -> Self {
        Chain { route, source, guard, later, steps, bound: Vec::new(), is_slow: false }
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

    /// A batch of the block through every step; see [`through::pass`].
    pub(super) async fn pass(
        &mut self,
        block: &Block,
        batch: Batch,
        passed: &mut Passed,
        admit: impl FnMut(&'static str, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let batch = cover::without_values(batch, &self.guard);
        let at = self.bindings(&batch.table).await?;
        let table = batch.table.clone();
        through::pass(&mut self.bound[at].1, &self.source, block, batch, passed, admit).await?;
        if passed.only_together && !std::mem::replace(&mut self.is_slow, true) {
            tracing::warn!(
                route = self.route,
                table = table.full_name(),
                "a plugin fails at batches and at none of their events, which now go through it one by one: slow; its last failure \
                 stands in the route's status"
            );
        }
        Ok(())
    }

    /// The index of the table's bindings, made now if this version was not met before.
    ///
    /// # Errors
    /// Fatal: a transform cannot be bound, or a column would come out that the route may not have ([`pii::EXPOSED`]).
    async fn bindings(&mut self, table: &Arc<TableSchema>) -> Result<usize, Fault> {
        if self.later.teach(&mut self.guard).await? {
            // each version is judged anew
            self.bound.clear();
        }
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
        // what the table was before seldom comes again: its plans stay, its instances go
        let is_before = |old: &&(Arc<TableSchema>, _)| old.0.full_name() == table.full_name();
        self.bound.iter().filter(is_before).flat_map(|(_, old)| old).for_each(Binding::rest);
        self.bound.push((table.clone(), bindings));
        Ok(self.bound.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use forebay_changelog::{Entry, Log, Options};
    use forebay_model::{Column, ColumnType, Note, Position};
    use serde_json::json;

    use super::*;
    use crate::definition::{RouteDef, SourceDef};

    #[tokio::test]
    async fn a_version_is_judged_again_when_a_later_one_tells_more() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("changelog.redb"), Options::default()).unwrap();
        let tags = json!({ "shop.t.email": ["pii"] });
        let source = json!({ "mysql": { "host": "h", "user": "u" }, "tables": ["shop.*"], "tags": tags });
        let source: SourceDef = serde_json::from_value(source).unwrap();
        let route = json!({ "source": "s", "tables": ["shop.*"], "sink": { "console": {} } });
        let route: RouteDef = serde_json::from_value(route).unwrap();
        let guard = (Guard::new(&source, &route), Later::new(log.clone()));
        let mut chain = Chain::new("r".into(), "s".into(), guard, Vec::new());
        let column =
            Column { name: "mail".into(), ty: ColumnType::Text, nullable: true, native: "text".into() };
        let (database, table) = ("shop".into(), "t".into());
        let lineage = forebay_model::Lineage::default();
        let table = TableSchema { database, table, columns: vec![column], key: vec![], lineage }.shared();
        assert_eq!(chain.bindings(&table).await.unwrap(), 0);

        // the statement that renames it is read while the route lags behind it
        let version = json!({
            "form": 1, "proved": true, "key": [],
            "columns": [{ "name": "email", "type": { "name": "text" }, "nullable": true }],
            "lineage": { "columns": [{ "now": ["email"], "before": ["mail"], "by": "renamed" }] },
        });
        let value = json!({ "database": "shop", "table": "t", "version": version }).to_string();
        let note = Note { key: "schema/shop.t".into(), value: Some(value.into_bytes()) };
        let position = Position { file: "binlog.000001".into(), pos: 4, ..Position::default() };
        log.append(Entry { position: Some(position), notes: vec![note], ..Entry::default() }).await.unwrap();
        log.flush().await.unwrap();
        let fault = chain.bindings(&table).await.unwrap_err();
        assert_eq!(fault.code(), pii::EXPOSED);
        assert!(fault.message().contains("`mail` of shop.t, which became shop.t.email"), "{fault}");
        log.close().await.unwrap();
    }
}
