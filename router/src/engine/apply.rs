//! Definitions all at once: checked against themselves and the world, then written in one commit, then made to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_model::{Class, Fault, TablePattern, TableSchema};
use forebay_source::mysql;
use forebay_store::DocKind;
use serde_json::Value;

use super::assemble;
use super::{Engine, codes};
use crate::definition::{
    Action, Existing, Mode, Plan, Problem, RouteDef, SourceDef, Wanted, check, check_delete,
};

/// Why definitions were not taken.
#[derive(Debug)]
pub enum ApplyError {
    /// What is wrong with them; nothing was changed.
    Problems(Vec<Problem>),
    /// Something else failed.
    Fault(Fault),
}

impl From<Fault> for ApplyError {
    fn from(fault: Fault) -> Self {
        ApplyError::Fault(fault)
    }
}

impl Engine {
    /// Makes the definitions those of `value` (an object with `sources`, `plugins` and `routes`), all of them or none. With
    /// `dry_run` it only says what it would do.
    ///
    /// # Errors
    /// Every problem with its path, or what failed.
    pub async fn apply(&self, value: &Value, mode: Mode, dry_run: bool) -> Result<Plan, ApplyError> {
        let existing = Existing::read(self.store())?;
        let wanted = check(value, &existing, mode).map_err(ApplyError::Problems)?;
        let plan = Plan::new(&existing, &wanted);
        let problems = self.check_world(&existing, &wanted, &plan).await?;
        if !problems.is_empty() {
            return Err(ApplyError::Problems(problems));
        }
        if !dry_run && !plan.is_empty() {
            for bytes in wanted.components.into_values() {
                self.store().put_plugin(bytes).await?;
            }
            self.store().write(plan.changes()).await?;
            self.store().sweep_plugins().await?;
            for step in plan.steps.iter().filter(|s| s.action != Action::Unchanged) {
                let target = format!("{}/{}", step.kind, step.name);
                self.store().audit("api", &format!("{:?}", step.action).to_lowercase(), &target).await?;
            }
            self.reconcile().await?;
        }
        Ok(plan)
    }

    /// Removes one definition. With a source goes its changelog, with a route its offset.
    ///
    /// # Errors
    /// If it does not exist, something refers to it, or its revision is another.
    pub async fn delete(
        &self,
        kind: DocKind,
        name: &str,
        if_revision: Option<u64>,
    ) -> Result<(), ApplyError> {
        let existing = Existing::read(self.store())?;
        if existing.document(kind, name).is_none() {
            return Err(Fault::new(codes::UNKNOWN, format!("{kind}/{name} does not exist")).into());
        }
        let problems = check_delete(kind, name, &existing);
        if !problems.is_empty() {
            return Err(ApplyError::Problems(problems));
        }
        let change = forebay_store::Change::Delete { kind, name: name.to_owned(), if_revision };
        self.store().write(vec![change]).await?;
        self.store().sweep_plugins().await?;
        self.store().audit("api", "delete", &format!("{kind}/{name}")).await?;
        self.reconcile().await?;
        Ok(())
    }

    /// What only the world can tell: components that do not load, tables that are not there, configurations that a plugin
    /// refuses. A server that does not answer now is no problem of the definitions: the source will say so.
    async fn check_world(
        &self,
        existing: &Existing,
        wanted: &Wanted,
        plan: &Plan,
    ) -> Result<Vec<Problem>, Fault> {
        let changed = |kind: DocKind, name: &str| {
            let changes = |action| matches!(action, Action::Create | Action::Update);
            plan.steps.iter().any(|s| s.kind == kind && s.name == name && changes(s.action))
        };
        let mut problems = Vec::new();
        for (name, plugin) in &wanted.definitions.plugins {
            let bytes = plugin.sha256.as_ref().and_then(|sha256| wanted.components.get(sha256));
            if let Some(bytes) = bytes.cloned() {
                let host = self.host().clone();
                let inspected = tokio::task::spawn_blocking(move || host.inspect(&bytes)).await;
                if let Err(fault) = inspected.expect("inspecting a plugin does not panic") {
                    problems.push(Problem::of_fault(format!("plugins.{name}"), &fault));
                }
            }
        }
        let mut seen: BTreeMap<String, Option<Vec<Arc<TableSchema>>>> = BTreeMap::new();
        for (name, source) in &wanted.definitions.sources {
            if changed(DocKind::Sources, name) {
                let tables = look(name, source, &mut problems).await;
                if let Some(tables) = &tables {
                    missing(&format!("sources.{name}"), &source.tables, tables, &mut problems);
                }
                seen.insert(name.clone(), tables);
            }
        }
        if !problems.is_empty() {
            return Ok(problems);
        }
        for (name, route) in &wanted.definitions.routes {
            let stored = existing.document(DocKind::Routes, name).map(|d| &d.value["source"]);
            if let Some(stored) = stored.and_then(Value::as_str).filter(|stored| *stored != route.source) {
                let what = format!("the route reads {stored}, and its offset is an offset of that source");
                let problem = Problem::new(codes::SOURCE_CHANGED, format!("routes.{name}.source"), what);
                problems.push(problem.suggest("give the new route another name, or delete this one first"));
            }
            let plugin_changed = route.transforms.iter().any(|t| changed(DocKind::Plugins, &t.plugin));
            if !changed(DocKind::Routes, name) && !plugin_changed {
                continue;
            }
            if !seen.contains_key(&route.source) {
                let wanted_source = wanted.definitions.sources.get(&route.source).cloned();
                let stored = || {
                    serde_json::from_value(existing.document(DocKind::Sources, &route.source)?.value.clone())
                        .ok()
                };
                let tables = match wanted_source.or_else(stored) {
                    // its own problems are not this route's
                    Some(source) => look(&route.source, &source, &mut Vec::new()).await,
                    None => None,
                };
                seen.insert(route.source.clone(), tables);
            }
            if let Some(Some(tables)) = seen.get(&route.source) {
                missing(&format!("routes.{name}"), &route.tables, tables, &mut problems);
                self.check_transforms(wanted, name, route, tables, &mut problems).await;
            }
        }
        Ok(problems)
    }

    /// Binds a route's transforms to the tables that exist now.
    async fn check_transforms(
        &self,
        wanted: &Wanted,
        name: &str,
        route: &RouteDef,
        tables: &[Arc<TableSchema>],
        problems: &mut Vec<Problem>,
    ) {
        let mut steps = Vec::new();
        for (i, transform) in route.transforms.iter().enumerate() {
            match assemble::open_step_of(&self.inner.parts, transform, wanted).await {
                Ok(step) => steps.push(step),
                Err(fault) => {
                    problems.push(Problem::of_fault(format!("routes.{name}.transforms[{i}]"), &fault));
                    return;
                }
            }
        }
        let mut told = std::collections::BTreeSet::new();
        for table in tables.iter().filter(|t| route.tables.iter().any(|p| p.matches(&t.database, &t.table))) {
            let mut schema = table.clone();
            for (i, step) in steps.iter().enumerate() {
                match step.plugin.bind(&route.source, &schema, &step.config, &step.limits).await {
                    Ok(binding) => schema = binding.output().clone(),
                    Err(fault) => {
                        // a wrong configuration is wrong for every table: once is enough
                        if told.insert(fault.message()) {
                            problems.push(Problem::of_fault(
                                format!("routes.{name}.transforms[{i}].config"),
                                &fault,
                            ));
                        }
                        break;
                    }
                }
            }
        }
    }
}

/// The tables of a source as they are now; `None` if its server does not answer.
async fn look(name: &str, source: &SourceDef, problems: &mut Vec<Problem>) -> Option<Vec<Arc<TableSchema>>> {
    let config = match assemble::mysql_config(source) {
        Ok(config) => config,
        Err(fault) => {
            problems.push(Problem::of_fault(format!("sources.{name}.mysql.password"), &fault));
            return None;
        }
    };
    match mysql::catalog(&config).await {
        Ok(tables) => Some(tables),
        Err(fault) if fault.class() == Class::Retryable => {
            tracing::warn!(source = name, %fault, "the definitions were not compared with the server's tables");
            None
        }
        Err(fault) => {
            problems.push(Problem::of_fault(format!("sources.{name}.mysql"), &fault));
            None
        }
    }
}

/// A table that is named without wildcards must be there.
fn missing(path: &str, patterns: &[TablePattern], tables: &[Arc<TableSchema>], problems: &mut Vec<Problem>) {
    for (i, pattern) in patterns.iter().enumerate().filter(|(_, p)| p.is_exact()) {
        if !tables.iter().any(|t| pattern.matches(&t.database, &t.table)) {
            let problem = Problem::new(
                codes::NO_TABLE,
                format!("{path}.tables[{i}]"),
                format!("the server has no table {pattern}, or the source's user may not see it"),
            );
            problems
                .push(problem.suggest("check the spelling (names are compared exactly) and GRANT SELECT"));
        }
    }
}
