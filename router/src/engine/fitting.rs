//! Whether a route's transforms suit the tables that exist now: each is bound to each of them, and what comes out is judged.
//!
//! Promises: ends, whatever plugins do. One that crashes or meets a limit at a table is not bound to further ones, and all plugins of
//! an apply together have [`TIME`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use forebay_model::{Fault, TableSchema};
use forebay_transform::{Refusal, codes};
use tokio::time::{Instant, timeout};

use super::advice::Names;
use super::chain::{self, Bound, Step};
use super::pii;
use crate::definition::{self, Guard, Problem, RouteDef, child};

/// What plugins may take to be bound in one apply. No other change is made meanwhile.
const TIME: Duration = Duration::from_secs(30);

/// What is left of [`TIME`].
pub(super) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Patience(TIME)
    }
}

impl Patience {
    /// As [`chain::bind`]; `None` if the time is over.
    async fn bind(
        &mut self,
        source: &str,
        table: &Arc<TableSchema>,
        steps: &[Step],
        guard: &Guard,
    ) -> Option<Result<Bound, (usize, Refusal)>> {
        let start = Instant::now();
        let bound = timeout(self.0, chain::bind(source, table, steps, guard)).await.ok();
        self.0 = self.0.saturating_sub(start.elapsed());
        bound
    }
}

/// Binds a route's transforms to the tables that exist now, and looks at what comes out. Answers the names that columns have on the
/// way; `None` if some transform could not be bound.
pub(super) async fn bind(
    name: &str,
    route: &RouteDef,
    guard: &Guard,
    opened: &[Option<Step>],
    tables: &[Arc<TableSchema>],
    patience: &mut Patience,
    problems: &mut Vec<Problem>,
) -> Option<Names> {
    let path = &child("routes", name);
    let mut told = BTreeSet::new();
    let mut names = Some(Names::new());
    // what a later transform would be given is not known
    let mut known: Vec<Step> = opened.iter().map_while(Clone::clone).collect();
    // tables that a source makes itself are there without the server
    let own = [forebay_model::schema_changes(), forebay_model::quarantine()];
    let tables = tables.iter().chain(own);
    for table in tables.filter(|t| route.tables.iter().any(|p| p.matches(&t.database, &t.table))) {
        let Some(bound) = patience.bind(&route.source, table, &known, guard).await else {
            problems.push(out_of_time(path, table));
            return None;
        };
        match bound {
            Ok(bound) if known.len() == opened.len() => {
                if let Some(names) = &mut names {
                    names.extend(names_of(table, &bound));
                }
                let allow = child(path, "allow_pii");
                problems.extend(bound.exposed.into_iter().map(|exposed| {
                    let message = format!("the route may not have what it would deliver: {exposed}");
                    Problem::new(pii::EXPOSED, &allow, message).suggest(pii::FIX)
                }));
            }
            Ok(_) => names = None,
            Err((i, refusal)) => {
                names = None;
                let left = left_references(route, &known, i);
                let each = refused(&format!("{path}.transforms[{i}].config"), &refusal, &left);
                // a wrong configuration is wrong for every table: once is enough
                problems
                    .extend(each.into_iter().filter(|p| told.insert((p.path.clone(), p.message.clone()))));
                if refusal.fault.code() == codes::BIND {
                    // it would take its time for each of them
                    known.truncate(i);
                }
            }
        }
    }
    names
}

/// What columns are called on the way through a route's transforms, and were called before.
fn names_of(table: &Arc<TableSchema>, bound: &Bound) -> Names {
    let on_the_way = bound.bindings.iter().map(|binding| binding.output());
    let columns = std::iter::once(table).chain(on_the_way).flat_map(|t| &t.columns);
    let all = columns.flat_map(|column| {
        let before = table.lineage.of(&column.name).map(|(before, _)| before);
        before.chain([column.name.as_str()])
    });
    all.map(|column| (table.database.clone(), table.table.clone(), column.to_owned())).collect()
}

/// What a plugin says of a configuration that stands here.
fn refused(config: &str, refusal: &Refusal, left: &[String]) -> Vec<Problem> {
    let fault = &refusal.fault;
    if refusal.problems.is_empty() {
        return vec![Problem::of_fault(config, fault)];
    }
    let each = refusal.problems.iter().map(|problem| {
        let at = match problem.path.as_str() {
            "" => config.to_owned(),
            below if below.starts_with('[') => format!("{config}{below}"),
            below => format!("{config}.{below}"),
        };
        let is_there = |left: &&String| left.starts_with(&problem.path) || problem.path.starts_with(*left);
        let fix = match left.iter().find(is_there) {
            Some(left) => format!(
                "{} (the plugin takes no secret at `{left}`: what stands there is no reference to one)",
                fault.remedy()
            ),
            None => fault.remedy().to_owned(),
        };
        Problem::new(fault.code(), at, &problem.message).suggest(fix)
    });
    each.collect()
}

/// Where a transform's configuration has what looks like a reference to a secret and is none.
fn left_references(route: &RouteDef, steps: &[Step], i: usize) -> Vec<String> {
    definition::left_references(&route.transforms[i].config, &steps[i].plugin.info().secrets)
}

fn out_of_time(path: &str, table: &TableSchema) -> Problem {
    let what = format!(
        "not bound to {}: the plugins of an apply have {} s together, and they are over",
        table.full_name(),
        TIME.as_secs()
    );
    let fault = Fault::new(codes::BIND, what).fix(
        "a plugin takes long in `open` or `plan`, in this route or in one before it: lower its `limits.batch_ms` to be told which, or \
         apply fewer routes at once",
    );
    Problem::of_fault(child(path, "transforms"), &fault)
}
