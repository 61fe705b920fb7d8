//! Some of a preview's events, cell by cell: the latest of each fate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use forebay_model::{Block, Offset};
use forebay_sink::formats::debezium::{DebeziumConfig, DecimalMode};
use forebay_transform::Secrets;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::super::cover::Cover;
use super::super::letters;

/// Events that are looked at in one block: those that come out as they are cost as much as others.
const LOOKED_AT: usize = 2000;

/// What became of an event that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It comes out with other cells.
    Changed,
    /// Other columns or values tell its row apart than before.
    Rekeyed,
    /// The transforms drop it.
    Dropped,
    /// A plugin refuses it.
    Rejected,
    /// A plugin fails at it.
    Failed,
}

impl Fate {
    /// So many of them are shown.
    fn most(self) -> usize {
        if self == Fate::Changed { 20 } else { 10 }
    }
}

/// An event that does not come out as it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Sample {
    /// Its offset.
    pub offset: u64,
    /// As `database.table`.
    pub table: String,
    /// What became of it.
    pub fate: Fate,
    /// Why it was refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The cells that differ; all of them where nothing comes out.
    pub changes: Vec<CellChange>,
}

/// A cell that comes out different. A value that is missing is one of a column that is not there.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CellChange {
    /// `before` or `after`: the row before the change, or after it.
    pub image: &'static str,
    /// The column.
    pub column: String,
    /// As it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// As it would be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What became of a block's events, by their offsets less the block's first.
#[derive(Default)]
pub(super) struct Fates {
    pub(super) dead: BTreeMap<u32, (Fate, String)>,
    pub(super) rekeyed: BTreeSet<u32>,
    /// They were not looked at.
    pub(super) undone: BTreeSet<u32>,
}

/// The latest of each fate.
#[derive(Default)]
pub(super) struct Samples(BTreeMap<Fate, VecDeque<Sample>>);

impl Samples {
    /// Shows some of a block's events, the latest first.
    pub(super) async fn look(
        &mut self,
        (source, cover): (&str, &mut Cover),
        block: &Block,
        out: &Block,
        mut fates: Fates,
        deadline: Instant,
    ) {
        let events = |block: &Block| -> BTreeMap<u32, String> {
            let of = |b: &forebay_model::Batch| {
                let table = b.table.full_name();
                b.events().map(move |e| (e.event, table.clone())).collect::<Vec<_>>()
            };
            block.batches.iter().flat_map(of).collect()
        };
        let kept = events(out);
        let mut found: BTreeMap<Fate, Vec<Sample>> = BTreeMap::new();
        for (event, table) in events(block).into_iter().rev().take(LOOKED_AT) {
            let (fate, reason) = match fates.dead.remove(&event) {
                Some((fate, reason)) => (fate, Some(reason)),
                None if fates.undone.contains(&event) => continue,
                None if fates.rekeyed.contains(&event) => (Fate::Rekeyed, None),
                None if kept.contains_key(&event) => (Fate::Changed, None),
                None => (Fate::Dropped, None),
            };
            let found = found.entry(fate).or_default();
            if found.len() >= fate.most() {
                continue;
            }
            let offset = block.first + Offset::from(event);
            let read = cover.block(block.slice(offset, offset + 1));
            let changes = differences(&rendered(source, &read, offset), &rendered(source, out, offset));
            if !(fate == Fate::Changed && changes.is_empty()) {
                found.push(Sample { offset, table, fate, reason, changes });
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::task::yield_now().await;
        }
        for (fate, found) in found {
            let all = self.0.entry(fate).or_default();
            all.extend(found.into_iter().rev());
            all.drain(..all.len().saturating_sub(fate.most()));
        }
    }

    /// Takes a plugin's secrets out of what would be delivered.
    pub(super) fn veil(&mut self, secrets: &Secrets) {
        let changes = self.0.values_mut().flatten().flat_map(|sample| &mut sample.changes);
        changes.filter_map(|change| change.to.as_mut()).for_each(|value| veil(secrets, value));
    }

    /// The samples, the newest last.
    pub(super) fn finish(self) -> Vec<Sample> {
        let mut all: Vec<Sample> = self.0.into_values().flatten().collect();
        all.sort_by_key(|sample| sample.offset);
        all
    }
}

/// The event in Debezium's words, decimals with their digits; null where it is not in the block.
fn rendered(source: &str, block: &Block, offset: Offset) -> Value {
    let format = DebeziumConfig { decimal: Some(DecimalMode::String), ..DebeziumConfig::default() };
    let text = letters::render_as(&format, source, block, offset);
    text.split(|&byte| byte == b'\n')
        .next()
        .and_then(|line| serde_json::from_slice(line).ok())
        .unwrap_or_default()
}

fn veil(secrets: &Secrets, value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| veil(secrets, value)),
        Value::Object(fields) => fields.values_mut().for_each(|value| veil(secrets, value)),
        Value::String(text) => *text = secrets.veil(text).into_owned(),
        Value::Number(number) if secrets.are_in(&number.to_string()) => {
            *value = Value::String(secrets.veil(&number.to_string()).into_owned());
        }
        _ => {}
    }
}

fn differences(was: &Value, is: &Value) -> Vec<CellChange> {
    let none = Map::new();
    let mut changes = Vec::new();
    for image in ["before", "after"] {
        let (old, new) = (was[image].as_object(), is[image].as_object());
        let (old, new) = (old.unwrap_or(&none), new.unwrap_or(&none));
        let added = new.keys().filter(|column| !old.contains_key(*column));
        for column in old.keys().chain(added) {
            let (from, to) = (old.get(column), new.get(column));
            if from != to {
                changes.push(CellChange {
                    image,
                    column: column.clone(),
                    from: from.cloned(),
                    to: to.cloned(),
                });
            }
        }
    }
    changes
}
