//! Which transforms a route ran with, and from which offset on.
//!
//! An entry is durable before the first event that its transforms made reaches the sink. Setting a route's offset by hand begins a
//! new epoch: entries of an earlier one say what ran then. What a replay "as then" needs of them is [`first`]: who delivered each
//! offset for the first time. Components that entries name stay in the store until the changelog has forgotten the entry's events.

use forebay_model::{Fault, Offset};
use forebay_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::status::now_us;
use crate::definition::LimitsDef;

/// Entries that are kept of a route; those that no replay needs go first, then the oldest.
const ENTRIES: usize = 100;

/// From here on a route ran with these transforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransformsRun {
    /// See the route's status: it rises whenever the offset is set by hand.
    pub epoch: u64,
    /// The first offset.
    pub from: u64,
    /// One past the last; missing while they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether the changelog has forgotten these events: nobody can replay them, and the components may be gone.
    #[serde(default)]
    pub gone: bool,
    /// In their order.
    pub transforms: Vec<TransformRun>,
}

/// A transform as it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransformRun {
    /// The plugin's name here.
    pub plugin: String,
    /// The component's own version.
    pub version: String,
    /// The component's SHA-256.
    pub sha256: String,
    /// Its settings, with references where secrets are.
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// What it could use.
    pub limits: LimitsDef,
}

/// A route's entries, oldest first.
pub(super) fn read(store: &Store, route: &str) -> Result<Vec<TransformsRun>, Fault> {
    let notes = store.notes(&owner(route), PREFIX)?.into_values();
    let mut runs: Vec<TransformsRun> = notes.filter_map(|note| serde_json::from_value(note).ok()).collect();
    for i in 1..runs.len() {
        let next = (runs[i].epoch, runs[i].from);
        if runs[i - 1].epoch == next.0 {
            runs[i - 1].to = Some(next.1);
        }
    }
    Ok(runs)
}

/// Says that from `from` on the route runs with these transforms. What was said of later offsets of the same epoch did not come
/// to pass.
pub(super) async fn record(
    store: &Store,
    route: &str,
    (epoch, from): (u64, u64),
    transforms: Vec<TransformRun>,
) -> Result<(), Fault> {
    let known = read(store, route)?;
    let mut runs: Vec<TransformsRun> =
        known.iter().filter(|run| (run.epoch, run.from) < (epoch, from)).cloned().collect();
    match runs.last_mut().filter(|last| last.epoch == epoch) {
        Some(last) if last.transforms == transforms => last.to = None,
        last => {
            if let Some(last) = last {
                last.to = Some(from);
            }
            runs.push(TransformsRun {
                epoch,
                from,
                to: None,
                at_ms: now_us() / 1000,
                gone: false,
                transforms,
            });
        }
    }
    let lost = thin(&mut runs);
    write(store, route, &known, &runs, lost.map(|before| (epoch, before))).await
}

/// Says where an epoch ended: the route's offset is set by hand. `forgotten`: in another changelog.
pub(super) async fn close(store: &Store, route: &str, to: Offset, forgotten: bool) -> Result<(), Fault> {
    let known = read(store, route)?;
    let runs = closed(known.clone(), to).into_iter();
    let runs: Vec<_> = runs.map(|run| TransformsRun { gone: run.gone || forgotten, ..run }).collect();
    write(store, route, &known, &runs, None).await?;
    if forgotten { store.set_notes(&owner(route), vec![(LOST.to_owned(), None)]).await } else { Ok(()) }
}

/// The entries if the route's offset, which is `to`, were set by hand now.
pub(super) fn closed(mut runs: Vec<TransformsRun>, to: Offset) -> Vec<TransformsRun> {
    if let Some(last) = runs.last_mut().filter(|last| last.to.is_none()) {
        last.to = Some(to.max(last.from));
    }
    runs
}

/// Marks the entries whose events the changelog has forgotten. Whether any was.
pub(super) async fn forget(store: &Store, route: &str, first: Offset) -> Result<bool, Fault> {
    let known = read(store, route)?;
    let mut runs = known.clone();
    for run in &mut runs {
        run.gone |= run.to.is_some_and(|to| to <= first);
    }
    let any = runs != known;
    if any {
        write(store, route, &known, &runs, None).await?;
    }
    Ok(any)
}

/// Before which offset it is no longer known what ran.
pub(super) fn lost(store: &Store, route: &str) -> Result<Offset, Fault> {
    let note = store.notes(&owner(route), LOST)?.remove(LOST);
    Ok(note.and_then(|note| note["before"].as_u64()).unwrap_or(0))
}

/// Which entry delivered what first: offsets `from .. to` and the entry's index, in the order of the offsets. The entries are closed.
pub(super) fn first(runs: &[TransformsRun]) -> Vec<(Offset, Offset, usize)> {
    let mut told: Vec<(Offset, Offset, usize)> = Vec::new();
    for (i, run) in runs.iter().enumerate().filter(|(_, run)| !run.gone) {
        let end = run.to.unwrap_or(Offset::MAX);
        let (mut at, mut new) = (run.from, Vec::new());
        for &(from, to, _) in told.iter().filter(|(from, to, _)| *to > run.from && *from < end) {
            if from > at {
                new.push((at, from, i));
            }
            at = to;
        }
        if at < end {
            new.push((at, end, i));
        }
        told.extend(new);
        told.sort_unstable();
    }
    told
}

/// Takes entries out that are too many. Answers up to where it is no longer known what ran, if that was among them.
fn thin(runs: &mut Vec<TransformsRun>) -> Option<Offset> {
    let surplus = runs.len().saturating_sub(ENTRIES);
    let told = first(runs);
    let end_of = |i: &usize| told.iter().filter(|(_, _, of)| of == i).map(|(_, to, _)| *to).max();
    // the present one is never too old
    let mut order: Vec<usize> = (0..runs.len().saturating_sub(1)).collect();
    order.sort_by_key(|i| (end_of(i).is_some(), *i));
    order.truncate(surplus);
    let lost = order.iter().filter_map(end_of).max();
    order.sort_unstable_by(|a, b| b.cmp(a));
    for i in order {
        runs.remove(i);
    }
    lost
}

/// Writes what is different.
async fn write(
    store: &Store,
    route: &str,
    known: &[TransformsRun],
    runs: &[TransformsRun],
    lost: Option<(u64, Offset)>,
) -> Result<(), Fault> {
    let is = |a: &TransformsRun, b: &TransformsRun| (a.epoch, a.from) == (b.epoch, b.from);
    let dropped = known.iter().filter(|old| !runs.iter().any(|run| is(old, run)));
    let mut notes: Vec<(String, Option<Value>)> = dropped.map(|run| (key(run), None)).collect();
    let new = runs.iter().filter(|run| !known.contains(run));
    notes.extend(new.map(|run| (key(run), Some(serde_json::to_value(run).expect("plain data")))));
    if let Some((epoch, before)) = lost {
        notes.push((LOST.to_owned(), Some(json!({ "epoch": epoch, "before": before }))));
    }
    if notes.is_empty() { Ok(()) } else { store.set_notes(&owner(route), notes).await }
}

const PREFIX: &str = "transforms/";
const LOST: &str = "lost";

fn key(run: &TransformsRun) -> String {
    format!("{PREFIX}{:020}/{:020}", run.epoch, run.from)
}

/// Whose notes a route's are.
pub(super) fn owner(route: &str) -> String {
    format!("routes/{route}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(epoch: u64, from: u64, to: u64) -> TransformsRun {
        TransformsRun { epoch, from, to: Some(to), at_ms: 0, gone: false, transforms: Vec::new() }
    }

    #[test]
    fn each_offset_belongs_to_who_delivered_it_first() {
        let mut runs =
            vec![run(1, 0, 100), run(1, 100, 200), run(2, 50, 260), run(3, 300, 400), run(4, 0, 500)];
        let told = |runs: &[TransformsRun]| first(runs);
        let all = [(0, 100, 0), (100, 200, 1), (200, 260, 2), (260, 300, 4), (300, 400, 3), (400, 500, 4)];
        assert_eq!(told(&runs), all);
        // what the changelog has forgotten says nothing
        runs[0].gone = true;
        assert_eq!(told(&runs)[..3], [(0, 50, 4), (50, 100, 2), (100, 200, 1)]);
    }

    #[test]
    fn what_no_replay_needs_goes_first_and_a_loss_is_told() {
        let one = |i: u64| run(1, i * 10, i * 10 + 10);
        // the second epoch delivers what the first one did
        let mut runs: Vec<_> = (0..99).map(one).chain([run(2, 0, 500), run(3, 990, 1000)]).collect();
        assert_eq!(thin(&mut runs), None);
        assert!(runs.len() == ENTRIES && runs.iter().all(|run| run.epoch != 2), "{runs:?}");
        runs.push(run(3, 1000, 1010));
        assert_eq!(thin(&mut runs), Some(10), "the oldest went, and it was needed");
        assert_eq!((runs.len(), runs[0].from), (ENTRIES, 10));
    }
}
