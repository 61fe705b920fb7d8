//! What only the world can tell of definitions: components that do not load, tables that are not there, secrets that are
//! missing, configurations that a plugin refuses.
//!
//! Looks at whatever is sound in itself, so that its problems are told together with those of structure. A server that does
//! not answer now is no problem of the definitions: the source will say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_model::{Class, Note, TablePattern, TableSchema};
use forebay_source::mysql;
use forebay_store::DocKind;
use forebay_transform::Config;
use serde_json::Value;

use super::advice::{Names, allowed_nothing, tags_of_nothing, tags_taken_away};
use super::chain::Step;
use super::fitting::{self, Patience};
use super::later::Later;
use super::{Engine, How, assemble, codes, fitness, pii, versions};
use crate::definition::{
    self, Action, Checked, Existing, Guard, LaterNames, Plan, Problem, RouteDef, SourceDef, TransformDef,
    Warning, child, item,
};

/// A source's tables; `None` where they could not be looked at.
type Tables = Option<Vec<Arc<TableSchema>>>;

/// What a route is held against.
struct Against<'a> {
    guard: &'a Guard,
    tables: Option<&'a [Arc<TableSchema>]>,
    patience: &'a mut Patience,
}

/// What became of columns since, by source.
type AllLater = BTreeMap<String, Arc<LaterNames>>;

impl Engine {
    /// Adds what is found to `checked`; answers what is no problem and should be known. With `force` a server that is not fit to be
    /// a source is no problem.
    pub(super) async fn check_world(
        &self,
        existing: &Existing,
        checked: &mut Checked,
        plan: &Plan,
        how: How,
    ) -> Vec<Warning> {
        let force = how.force;
        let mut warnings = Vec::new();
        let changed = |kind: DocKind, name: &str| {
            let changes = |action| matches!(action, Action::Create | Action::Update);
            plan.steps.iter().any(|s| s.kind == kind && s.name == name && changes(s.action))
        };
        self.check_components(checked, plan).await;
        let mut seen: BTreeMap<String, Tables> = BTreeMap::new();
        let mut later = AllLater::new();
        let sources: Vec<_> = checked.wanted.definitions.sources.clone().into_iter().collect();
        for (name, source) in &sources {
            let path = child("sources", name);
            if !checked.is_sound(&path) {
                // a server whose address may be wrong is not asked
                seen.insert(name.clone(), None);
            } else if changed(DocKind::Sources, name) {
                let (mut problems, mut tables) = (Vec::new(), None);
                if let Some(config) = config_of(&path, source, &mut problems) {
                    let lenient = force || !is_moved(plan, name);
                    let found = fitness::examine(&path, &config, lenient).await;
                    problems.extend(found.problems);
                    warnings.extend(found.warnings);
                    if found.answers {
                        let found = look(&path, &config, &mut problems).await;
                        tables = self.with_lineages(name, found).await;
                    }
                }
                if let Some(tables) = &tables {
                    missing(&path, &source.tables, tables, &mut problems);
                    warnings.extend(tags_of_nothing(&path, source, tables));
                    if let Some(was) = source_of(existing, &[], name) {
                        warnings.extend(tags_taken_away(&path, &was, source, tables));
                    }
                }
                problems.into_iter().for_each(|problem| checked.note(problem));
                seen.insert(name.clone(), tables);
            }
        }
        let mut routes = checked.wanted.definitions.routes.clone();
        // a plugin that is replaced must suit the routes that use it already
        let stored = existing.documents.iter().filter(|d| d.kind == DocKind::Routes && stays(plan, &d.name));
        for document in stored {
            if let Ok(route) = serde_json::from_value(document.value.clone()) {
                routes.entry(document.name.clone()).or_insert(route);
            }
        }
        let patience = &mut Patience::default();
        for (name, route) in &routes {
            let plugin_changed = route.transforms.iter().any(|t| changed(DocKind::Plugins, &t.plugin));
            let is_changed = changed(DocKind::Routes, name) || plugin_changed;
            // tags that are new, and tables that are
            if !is_changed && !changed(DocKind::Sources, &route.source) {
                continue;
            }
            let source = source_of(existing, &sources, &route.source);
            if !seen.contains_key(&route.source) {
                let tables = match &source {
                    // its own problems are not this route's
                    Some(source) => match config_of("", source, &mut Vec::new()) {
                        Some(config) => {
                            let found = look("", &config, &mut Vec::new()).await;
                            self.with_lineages(&route.source, found).await
                        }
                        None => None,
                    },
                    None => None,
                };
                seen.insert(route.source.clone(), tables);
            }
            let now = self.guard_of(source.as_ref(), route, &mut later).await;
            let tables = seen[&route.source].as_deref();
            let against = Against { guard: &now, tables, patience };
            let (problems, names) = self.check_route(existing, checked, name, route, against).await;
            if let Some(names) = names {
                warnings.extend(allowed_nothing(&child("routes", name), route, &names));
            }
            if is_changed {
                problems.into_iter().for_each(|problem| checked.note(problem));
                continue;
            }
            // what else is wrong with a route is no matter of its source, nor what was already
            let exposed = problems.into_iter().filter(|problem| problem.code == pii::EXPOSED.name);
            let exposed: Vec<Problem> = exposed.collect();
            if exposed.is_empty() {
                continue;
            }
            let was = source_of(existing, &[], &route.source);
            let before = self.guard_of(was.as_ref(), route, &mut later).await;
            let read = |table: &&Arc<TableSchema>| {
                let tables = was.iter().flat_map(|source| &source.tables);
                tables.into_iter().any(|p| p.matches(&table.database, &table.table))
            };
            let tables: Option<Vec<_>> = tables.map(|tables| tables.iter().filter(read).cloned().collect());
            let against = Against { guard: &before, tables: tables.as_deref(), patience };
            let (known, _) = self.check_route(existing, checked, name, route, against).await;
            let is_new = |problem: &Problem| !known.iter().any(|known| known.message == problem.message);
            exposed.into_iter().filter(is_new).for_each(|problem| checked.note(problem));
        }
        warnings
    }

    /// The tables with what the source has noted of their columns' earlier names.
    async fn with_lineages(&self, source: &str, tables: Tables) -> Tables {
        let mut tables = tables?;
        if let Ok(log) = self.log_of_source(source).await {
            let read = tokio::task::spawn_blocking(move || log.notes_under(mysql::SCHEMA_NOTES)).await;
            // one that cannot be read is the running source's fault
            let notes = read.expect("reading notes does not panic").unwrap_or_default().into_iter();
            let notes: Vec<Note> = notes.map(|(key, value)| Note { key, value: Some(value) }).collect();
            mysql::lineages(&mut tables, &notes);
        }
        Some(tables)
    }

    /// What a route of a source may not have, with what is known of columns' later names, which is read once for a source, if it tags
    /// anything.
    async fn guard_of(&self, source: Option<&SourceDef>, route: &RouteDef, later: &mut AllLater) -> Guard {
        let mut guard = source.map(|source| Guard::new(source, route)).unwrap_or_default();
        if !guard.is_idle() {
            if !later.contains_key(&route.source) {
                later.insert(route.source.clone(), self.later_of(&route.source).await);
            }
            guard.learn(&later[&route.source]);
        }
        guard
    }

    /// What columns of a source came to be called.
    async fn later_of(&self, source: &str) -> Arc<LaterNames> {
        match self.log_of_source(source).await {
            // one that cannot be read is the running source's fault
            Ok(log) => Later::new(log).look().await.unwrap_or_default(),
            Err(_) => Arc::default(),
        }
    }

    async fn check_components(&self, checked: &mut Checked, plan: &Plan) {
        let is_new = |name: &str| {
            let same = |s: &&definition::Step| s.kind == DocKind::Plugins && s.name == name;
            plan.steps.iter().find(same).is_some_and(|s| s.action != Action::Unchanged)
        };
        let components = checked.wanted.definitions.plugins.iter().filter_map(|(name, plugin)| {
            let sha256 = plugin.sha256.as_ref()?;
            let along = checked.wanted.components.get(sha256).cloned();
            let stored = || self.store().plugin(sha256).ok().flatten().filter(|_| is_new(name));
            Some((name.clone(), along.or_else(stored)?))
        });
        for (name, bytes) in components.collect::<Vec<_>>() {
            let host = self.host().clone();
            let inspected = tokio::task::spawn_blocking(move || host.inspect(&bytes)).await;
            match inspected.expect("inspecting a plugin does not panic") {
                Ok(info) => {
                    checked.wanted.versions.insert(name, info.version);
                }
                Err(fault) => checked.note(Problem::of_fault(child("plugins", &name), &fault)),
            }
        }
    }

    async fn check_route(
        &self,
        existing: &Existing,
        checked: &Checked,
        name: &str,
        route: &RouteDef,
        against: Against<'_>,
    ) -> (Vec<Problem>, Option<Names>) {
        let path = child("routes", name);
        let (mut problems, mut names) = (Vec::new(), None);
        let stored = existing.document(DocKind::Routes, name).map(|d| &d.value["source"]);
        if let Some(stored) = stored.and_then(Value::as_str).filter(|stored| *stored != route.source) {
            let what = format!("the route reads {stored}, and its offset is an offset of that source");
            let problem = Problem::new(codes::SOURCE_CHANGED, child(&path, "source"), what);
            problems.push(problem.suggest("give the new route another name, or delete this one first"));
        }
        for (below, secret) in route.sink.secrets() {
            if let Err(fault) = definition::resolve_secret(secret) {
                problems.push(Problem::of_fault(format!("{path}.sink.{below}"), &fault));
            }
        }
        let mut opened = Vec::with_capacity(route.transforms.len());
        for (i, transform) in route.transforms.iter().enumerate() {
            let path = item(&child(&path, "transforms"), i);
            let sound = [child(&path, "plugin"), child(&path, "config"), child("plugins", &transform.plugin)];
            let sound = sound.iter().all(|path| checked.is_sound(path));
            opened.push(if sound { self.open(checked, &path, transform, &mut problems).await } else { None });
        }
        let Against { guard, tables, patience } = against;
        if let Some(tables) = tables {
            missing(&path, &route.tables, tables, &mut problems);
            names = fitting::bind(name, route, guard, &opened, tables, patience, &mut problems).await;
        }
        (problems, names)
    }

    /// Loads a transform's plugin and resolves its configuration.
    async fn open(
        &self,
        checked: &Checked,
        path: &str,
        transform: &TransformDef,
        problems: &mut Vec<Problem>,
    ) -> Option<Step> {
        let (plugin, limits) =
            match assemble::open_plugin_of(&self.inner.parts, transform, &checked.wanted).await {
                Ok(opened) => opened,
                Err(fault) => {
                    let field = if fault.code() == versions::UNKNOWN { "version" } else { "plugin" };
                    problems.push(Problem::of_fault(child(path, field), &fault));
                    return None;
                }
            };
        let config_path = child(path, "config");
        let below = |place: &str| format!("{config_path}.{place}");
        let plain = definition::plain_secrets(&transform.config, &plugin.info().secrets);
        for place in &plain {
            let problem = Problem::new(
                definition::codes::SECRET_IN_PLAIN,
                below(place),
                "a secret stands here in plain",
            );
            problems.push(problem.suggest("write where it is instead: { env: NAME } or { file: /path }"));
        }
        // the rest of the configuration is looked at all the same, with something in the place of what is missing
        let places = &plugin.info().secrets;
        let resolved = definition::resolve_config(&transform.config, places, &definition::resolve_secret);
        problems.extend(resolved.missing.iter().map(|(place, fault)| Problem::of_fault(below(place), fault)));
        Some(Step {
            told: assemble::told(transform, &plugin),
            share: Arc::default(),
            plugin,
            limits,
            config: Config::new(resolved.config.to_string(), &resolved.secrets),
        })
    }
}

/// Whether a stored route is not deleted.
fn stays(plan: &Plan, route: &str) -> bool {
    !plan.steps.iter().any(|s| s.kind == DocKind::Routes && s.name == route && s.action == Action::Delete)
}

/// A source as it is to be, or as it is.
fn source_of(existing: &Existing, wanted: &[(String, SourceDef)], name: &str) -> Option<SourceDef> {
    if let Some((_, source)) = wanted.iter().find(|(wanted, _)| wanted == name) {
        return Some(source.clone());
    }
    serde_json::from_value(existing.document(DocKind::Sources, name)?.value.clone()).ok()
}

/// Whether a source reads another server or other tables than before.
fn is_moved(plan: &Plan, source: &str) -> bool {
    let step = plan.steps.iter().find(|s| s.kind == DocKind::Sources && s.name == source);
    let moves = |path: &String| path.starts_with("mysql") || path.starts_with("tables");
    step.is_none_or(|s| s.action == Action::Create || s.changed.iter().any(moves))
}

/// How to reach a source's server; `None` if a secret is missing.
fn config_of(path: &str, source: &SourceDef, problems: &mut Vec<Problem>) -> Option<mysql::Config> {
    let config = assemble::mysql_config(source);
    config.map_err(|fault| problems.push(Problem::of_fault(format!("{path}.mysql.password"), &fault))).ok()
}

/// The tables of a source as they are now; `None` if its server does not answer.
async fn look(path: &str, config: &mysql::Config, problems: &mut Vec<Problem>) -> Tables {
    match mysql::catalog(config).await {
        Ok(tables) => Some(tables),
        Err(fault) if fault.class() == Class::Retryable => {
            tracing::warn!(source = path, %fault, "the definitions were not compared with the server's tables");
            None
        }
        Err(fault) => {
            problems.push(Problem::of_fault(format!("{path}.mysql"), &fault));
            None
        }
    }
}

/// A table that is named without wildcards must be there.
fn missing(path: &str, patterns: &[TablePattern], tables: &[Arc<TableSchema>], problems: &mut Vec<Problem>) {
    for (i, pattern) in patterns.iter().enumerate().filter(|(_, p)| p.is_exact() && !p.is_virtual()) {
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
