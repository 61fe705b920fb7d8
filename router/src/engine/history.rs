//! Which transforms a route ran with, and from which offset on.
//!
//! An entry is durable before the first event that its transforms made reaches the sink. Setting a route's offset by hand begins a
//! new epoch: entries of an earlier one say what ran then.

use forebay_model::Fault;
use forebay_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::status::now_us;
use crate::definition::LimitsDef;

/// Entries that are kept of a route; the oldest go.
const ENTRIES: usize = 100;

/// From here on a route ran with these transforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransformsRun {
    /// See the route's status: it rises whenever the offset is set by hand.
    pub epoch: u64,
    /// The first offset; until that of the next entry of the same epoch.
    pub from: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
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
    let notes = store.notes(&owner(route), PREFIX)?;
    Ok(notes.into_values().filter_map(|note| serde_json::from_value(note).ok()).collect())
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
    let stays = |run: &&TransformsRun| run.epoch < epoch || (run.epoch == epoch && run.from < from);
    let keep: Vec<&TransformsRun> = known.iter().filter(stays).collect();
    let is_same = keep.last().is_some_and(|last| last.epoch == epoch && last.transforms == transforms);
    let drop = known.iter().filter(|run| !stays(run));
    let surplus = keep.len().saturating_sub(ENTRIES - 1);
    let mut notes: Vec<(String, Option<Value>)> =
        drop.chain(keep[..surplus].iter().copied()).map(|run| (key(run.epoch, run.from), None)).collect();
    if !is_same {
        let run = TransformsRun { epoch, from, at_ms: now_us() / 1000, transforms };
        notes.push((key(epoch, from), Some(serde_json::to_value(run).expect("plain data"))));
    }
    if notes.is_empty() { Ok(()) } else { store.set_notes(&owner(route), notes).await }
}

const PREFIX: &str = "transforms/";

fn key(epoch: u64, from: u64) -> String {
    format!("{PREFIX}{epoch:020}/{from:020}")
}

/// Whose notes a route's are.
pub(super) fn owner(route: &str) -> String {
    format!("routes/{route}")
}
