//! Setting a route's offset by hand, and delivering again with the transforms that ran then.
//!
//! What ran then is planned once, from the route's history ([`history::first`]), and noted with the epoch that begins: a crash in the
//! middle of a replay changes nothing of it. Everything that the plan needs is opened, and shown a part of the events, before the route
//! moves. Tables, sink and what the route may have are those of today; so are the secrets, which no history holds.

use std::sync::Arc;

use forebay_changelog::Log;
use forebay_model::{Block, Fault, Offset, TableSchema};
use forebay_store::{Checkpoint, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::chain::{self, Chain, Step};
use super::history::{self, TransformRun, TransformsRun};
use super::later::Later;
use super::select::Selection;
use super::{Engine, OffsetTarget, assemble, codes, pii, route};
use crate::definition::{Guard, RouteDef};

/// Events of the past that are looked at for columns that the route may not have. Those behind are judged as they come.
const LOOKED_AT: u64 = 1_000_000;

/// Which transforms a replay runs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayWith {
    /// The route's present ones.
    #[default]
    Now,
    /// Those that ran when an event was delivered first, until the replay reaches what was not delivered yet.
    Then,
}

/// Offsets that ran with these transforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stretch {
    from: Offset,
    to: Offset,
    /// `None` = nobody delivered them: the present ones.
    transforms: Option<Vec<TransformRun>>,
}

/// The note of a replay.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Planned {
    epoch: u64,
    stretches: Vec<Stretch>,
}

const NOTE: &str = "replay";

fn planned(store: &Store, route: &str) -> Result<Option<Planned>, Fault> {
    let note = store.notes(&history::owner(route), NOTE)?.remove(NOTE);
    Ok(note.and_then(|note| serde_json::from_value(note).ok()))
}

async fn note(store: &Store, route: &str, planned: Option<&Planned>) -> Result<(), Fault> {
    let value: Option<Value> = planned.map(|planned| serde_json::to_value(planned).expect("plain data"));
    store.set_notes(&history::owner(route), vec![(NOTE.to_owned(), value)]).await
}

/// What ran from `from` on, without gaps, as far as anything ran.
fn plan(runs: &[TransformsRun], from: Offset) -> Vec<Stretch> {
    let (mut stretches, mut at) = (Vec::new(), from);
    for (begin, to, of) in history::first(runs) {
        if to <= at {
            continue;
        }
        if begin > at {
            stretches.push(Stretch { from: at, to: begin, transforms: None });
        }
        stretches.push(Stretch { from: begin.max(at), to, transforms: Some(runs[of].transforms.clone()) });
        at = to;
    }
    stretches
}

/// What is left of a replay with the transforms of then.
#[derive(Debug, Default)]
pub(super) struct Past {
    stretches: Vec<Stretch>,
    /// Where the stretch begins whose transforms run; `None` = the present ones do.
    pub(super) runs: Option<Offset>,
}

impl Past {
    /// As it was planned, if the route is still in that replay.
    pub(super) fn read(store: &Store, route: &str, epoch: u64) -> Result<Past, Fault> {
        let planned = planned(store, route)?.filter(|planned| planned.epoch == epoch).unwrap_or_default();
        Ok(Past { stretches: planned.stretches, runs: None })
    }

    /// Which transforms ran at an offset, and from where on; `None` = the present ones are to run.
    pub(super) fn at(&self, offset: Offset) -> Option<(Offset, &[TransformRun])> {
        let stretch = self.stretches.iter().find(|s| (s.from..s.to).contains(&offset))?;
        Some((stretch.from, stretch.transforms.as_deref()?))
    }

    /// The block, cut wherever other transforms ran.
    pub(super) fn cut(&self, block: Arc<Block>) -> Vec<Arc<Block>> {
        let inside = |at: &Offset| *at > block.first && *at < block.end();
        let ends = self.stretches.iter().flat_map(|s| [s.from, s.to]);
        let mut cuts: Vec<Offset> = ends.filter(inside).chain([block.first, block.end()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.len() <= 2 {
            return vec![block];
        }
        cuts.windows(2).map(|w| Arc::new(block.slice(w[0], w[1]))).collect()
    }
}

/// Up to which offset a route runs with the transforms of then; `None` = it does not.
pub(super) fn until(store: &Store, route: &str, at: &Checkpoint) -> Result<Option<Offset>, Fault> {
    let planned = planned(store, route)?.filter(|planned| planned.epoch == at.epoch);
    let end = planned.and_then(|planned| planned.stretches.last().map(|last| last.to));
    Ok(end.filter(|end| at.offset < *end))
}

/// Forgets what the changelog has forgotten. Whether components may go with it.
pub(super) async fn forget(store: &Store, route: &str, first: Offset) -> Result<bool, Fault> {
    let is_over = |planned: &Planned| planned.stretches.last().is_none_or(|last| last.to <= first);
    let is_over = planned(store, route)?.as_ref().is_some_and(is_over);
    if is_over {
        note(store, route, None).await?;
    }
    Ok(history::forget(store, route, first).await? || is_over)
}

impl route::Route {
    /// Makes the transforms of then run, if there were any, from this offset on. Answers whether they do.
    pub(super) async fn go_back(&mut self, offset: Offset) -> Result<bool, Fault> {
        let Some((from, transforms)) = self.past.at(offset) else { return Ok(false) };
        if self.past.runs == Some(from) {
            return Ok(true);
        }
        let setup = self.setup.borrow().clone();
        let steps = assemble::open_past(&self.parts, &self.name, transforms).await?;
        let guard = (setup.guard, Later::new(self.log.clone()));
        let chain = Chain::new(self.name.clone(), setup.def.source, guard, steps);
        let replaced = std::mem::replace(&mut self.chain, chain);
        if self.past.runs.replace(from).is_none() {
            // the present ones wait for their turn; those that were to replace them are newer
            self.next.get_or_insert(replaced);
        }
        tracing::info!(route = self.name, offset, "the transforms of then from here on");
        Ok(true)
    }
}

impl Engine {
    /// Moves a route's offset; counts begin anew, and so does its epoch. Returns the offset that it came to.
    ///
    /// # Errors
    /// If there is no such route, the changelog does not hold the offset, or what ran then cannot run; the route stays where it is.
    pub async fn set_offset(
        &self,
        name: &str,
        target: OffsetTarget,
        with: ReplayWith,
    ) -> Result<Offset, Fault> {
        let (log, def, source) = self.route_and_source(name).await?;
        let chosen = match target {
            OffsetTarget::Earliest => log.first(),
            OffsetTarget::Head => log.head(),
            OffsetTarget::Offset(offset) => offset,
            OffsetTarget::TimeMs(ms) => log.offset_at(ms.saturating_mul(1000)).await?,
        };
        if with == ReplayWith::Then {
            let at = self.inner.parts.checkpoints.get(name).unwrap_or_default();
            let stretches = self.plan_then(name, &log, at, chosen)?;
            let mut guard = Guard::new(&source, &def);
            Later::new(log.clone()).teach(&mut guard).await?;
            self.try_out(name, &log, &def, &guard, &stretches).await?;
        }
        self.change_route(name, async |at: Checkpoint| {
            let (first, head) = (log.first(), log.head());
            if !(first..=head).contains(&chosen) {
                let what = format!("offset {chosen} is not in the changelog, which holds {first} to {head}");
                return Err(
                    Fault::new(codes::BAD_OFFSET, what).fix("choose one that is, or earliest or head")
                );
            }
            let next = Checkpoint { paused: at.paused, ..route::begin(chosen, Some(at), &log) };
            let store = self.store();
            // in this order: a plan means nothing before its epoch has begun
            let stretches = match with {
                ReplayWith::Now => Vec::new(),
                ReplayWith::Then => self.plan_then(name, &log, at, chosen)?,
            };
            let planned = Planned { epoch: next.epoch, stretches };
            note(store, name, (!planned.stretches.is_empty()).then_some(&planned)).await?;
            history::close(store, name, at.offset, !is_same_log(&at, &log)).await?;
            Ok(next)
        })
        .await?;
        Ok(chosen)
    }

    /// What ran from `from` on, if the route's checkpoint is `at`.
    fn plan_then(&self, name: &str, log: &Log, at: Checkpoint, from: Offset) -> Result<Vec<Stretch>, Fault> {
        if !is_same_log(&at, log) {
            return Ok(Vec::new());
        }
        let lost = history::lost(self.store(), name)?;
        if from < lost {
            let what = format!("it is no longer known what route {name} ran with before offset {lost}");
            return Err(Fault::new(codes::HISTORY_LOST, what)
                .fix("replay from there on, or with the present transforms"));
        }
        Ok(plan(&history::closed(history::read(self.store(), name)?, at.offset), from))
    }

    /// Opens everything that ran then, and looks at what would come out.
    async fn try_out(
        &self,
        name: &str,
        log: &Log,
        def: &RouteDef,
        guard: &Guard,
        stretches: &[Stretch],
    ) -> Result<(), Fault> {
        for stretch in stretches {
            let Some(transforms) = &stretch.transforms else { continue };
            let steps = assemble::open_past(&self.inner.parts, name, transforms).await?;
            if !guard.is_idle() {
                judge(name, log, def, guard, stretch, &steps).await?;
            }
        }
        Ok(())
    }
}

/// Refuses transforms that would let a column out that the route may not have.
async fn judge(
    name: &str,
    log: &Log,
    def: &RouteDef,
    guard: &Guard,
    stretch: &Stretch,
    steps: &[Step],
) -> Result<(), Fault> {
    let selection = Selection::new(Some(name), def.tables.clone());
    let wanted = selection.clone();
    let from = stretch.from.max(log.first());
    let mut reader =
        log.reader(from)?.wanting(Arc::new(move |database, table| wanted.wants(database, table)));
    let end = stretch.to.min(log.head()).min(from.saturating_add(LOOKED_AT));
    let mut seen: Vec<Arc<TableSchema>> = Vec::new();
    while reader.offset() < end {
        let Some(block) = reader.try_next().await? else { break };
        for batch in selection.cut(&block, from).slice(from, end).batches {
            if seen.contains(&batch.table) {
                continue;
            }
            let bound = chain::bind(&def.source, &batch.table, steps, guard).await;
            let exposed = bound.map_err(|(_, refusal)| refusal.fault)?.exposed;
            if !exposed.is_empty() {
                let what = format!(
                    "route {name} cannot be replayed with the transforms that ran at offset {}: {}",
                    stretch.from,
                    exposed.join("; ")
                );
                return Err(Fault::new(pii::EXPOSED, what).fix(
                    "replay with the present transforms, or name what may come out in the route's allow_pii",
                ));
            }
            seen.push(batch.table);
        }
    }
    Ok(())
}

fn is_same_log(at: &Checkpoint, log: &Log) -> bool {
    // 0: from before changelogs had numbers
    at.log == 0 || at.log == log.id()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: u64, to: u64, plugin: &str) -> TransformsRun {
        let transform = TransformRun {
            plugin: plugin.to_owned(),
            version: String::new(),
            sha256: String::new(),
            config: Default::default(),
            limits: Default::default(),
        };
        TransformsRun { epoch: from, from, to: Some(to), at_ms: 0, gone: false, transforms: vec![transform] }
    }

    #[test]
    fn a_plan_has_no_gaps_and_begins_where_it_is_asked_to() {
        let runs = [run(0, 10, "a"), run(10, 20, "b"), run(30, 40, "c")];
        let told = |from| {
            let plan = plan(&runs, from).into_iter();
            plan.map(|s| (s.from, s.to, s.transforms.map(|t| t[0].plugin.clone()))).collect::<Vec<_>>()
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(told(5), [(5, 10, name("a")), (10, 20, name("b")), (20, 30, None), (30, 40, name("c"))]);
        assert_eq!(told(25), [(25, 30, None), (30, 40, name("c"))]);
        assert_eq!(told(40), []);
        let past = Past { stretches: plan(&runs, 5), runs: None };
        assert_eq!(past.at(12).map(|(from, t)| (from, t[0].plugin.as_str())), Some((10, "b")));
        assert!(past.at(20).is_none() && past.at(40).is_none());
    }
}
