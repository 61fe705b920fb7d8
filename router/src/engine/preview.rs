//! What transforms would make of a route's latest events, without delivering anything.
//!
//! Reads the changelog as the route does and leaves no trace: no checkpoint moves, no dead letter is kept. Values that the route may
//! not have are covered, and where the transforms would let one out no values are shown at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_changelog::Log;
use forebay_model::{Batch, Block, Class, Fault, Offset, TableSchema, split_key_changes};
use forebay_transform::{Place, Plan};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::chain::{self, Bound, Step};
use super::deliver::block_events;
use super::route::halves;
use super::select::Selection;
use super::{ApplyError, Engine, assemble, letters, pii};
use crate::definition::{Existing, Guard, Mode, RouteDef, SourceDef, TransformDef, check};

/// Events that are shown with their fields.
const SAMPLES: usize = 20;
/// Reasons and failures that are told.
const REASONS: usize = 20;
/// Offsets that are looked at for the wanted number of events.
const SCANNED: u64 = 1_000_000;
/// Bytes of events that are held.
const BYTES: usize = 64 << 20;

/// What transforms would make of a route's latest events.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Preview {
    /// Events of the route's tables that were looked at.
    pub read: u64,
    /// Events that would be delivered.
    pub kept: u64,
    /// Events that the transforms drop.
    pub dropped: u64,
    /// Events that a plugin refuses.
    pub rejected: u64,
    /// Events that a plugin fails at; they would be dead letters.
    pub failed: u64,
    /// Kept events that other columns or other values tell apart than before.
    pub rekeyed: u64,
    /// Kept events that go to another place than the sink's own destination.
    pub routed: u64,
    /// The first offset that was looked at.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// What is done to each version of each table.
    pub tables: Vec<TablePreview>,
    /// Columns that would come out and may not; a running route would stop there.
    pub exposed: Vec<String>,
    /// Why events were refused or failed, how often.
    pub reasons: BTreeMap<String, u64>,
    /// Some of the events that come out different, the newest last. Empty where something is exposed.
    pub samples: Vec<Sample>,
}

/// What is done to one version of a table.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TablePreview {
    /// As `database.table`.
    pub table: String,
    /// What each transform does, in order; up to the one that cannot be bound.
    pub plans: Vec<Plan>,
    /// Why it cannot be bound.
    pub fault: Option<String>,
}

/// An event that comes out different.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Sample {
    /// Its offset.
    pub offset: u64,
    /// As `database.table`.
    pub table: String,
    /// The cells that differ.
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

impl Engine {
    /// Runs transforms (a route's own, if none are given) over its latest events.
    ///
    /// # Errors
    /// If there is no such route, a plugin is not there, or the changelog cannot be read.
    pub async fn preview(
        &self,
        name: &str,
        transforms: Option<Vec<TransformDef>>,
        last: u64,
    ) -> Result<Preview, Fault> {
        let (log, mut def, source) = self.route_and_source(name).await?;
        if let Some(transforms) = transforms {
            def.transforms = transforms;
        }
        self.try_on(name, &log, &def, &source, last).await
    }

    /// Runs the transforms of a route that need not exist over the latest events that it would read.
    ///
    /// # Errors
    /// What is wrong with the route, as an apply would say it; if a plugin is not there, or the changelog cannot be read.
    pub async fn preview_of(&self, name: &str, route: &Value, last: u64) -> Result<Preview, ApplyError> {
        let existing = Existing::read(self.store(), &self.inner.parts.data_dir)?;
        let checked = check(&json!({ "routes": { name: route } }), &existing, Mode::Merge);
        let mut routes = checked.finish().map_err(ApplyError::Problems)?.definitions.routes;
        let def = routes.remove(name).expect("a route without problems is there");
        let (log, source) = self.source_and_log(&def.source).await?;
        Ok(self.try_on(name, &log, &def, &source, last).await?)
    }

    async fn try_on(
        &self,
        name: &str,
        log: &Log,
        def: &RouteDef,
        source: &SourceDef,
        last: u64,
    ) -> Result<Preview, Fault> {
        let guard = Guard::new(source, def);
        let mut steps = Vec::with_capacity(def.transforms.len());
        for transform in &def.transforms {
            steps.push(assemble::open_step(&self.inner.parts, transform).await?);
        }
        let blocks = latest(log, &Selection::new(Some(name), def.tables.clone()), last).await?;
        let mut trial = Trial::new(def, guard, steps);
        for block in &blocks {
            trial.pass(block).await?;
        }
        Ok(trial.finish())
    }
}

/// The route's last events, oldest first; fewer if the changelog holds fewer, or many others lie between them.
async fn latest(log: &Log, selection: &Selection, last: u64) -> Result<Vec<Block>, Fault> {
    let head = log.head();
    let mut back = last.max(1).saturating_mul(2);
    loop {
        let from = head.saturating_sub(back).max(log.first());
        let wanted = selection.clone();
        let mut reader =
            log.reader(from)?.wanting(Arc::new(move |database, table| wanted.wants(database, table)));
        let (mut blocks, mut bytes, mut events) = (Vec::new(), 0, 0);
        while reader.offset() < head {
            let Some(block) = reader.try_next().await? else { break };
            let block = selection.cut(&block, from).slice(from, head);
            bytes += block.bytes();
            events += block_events(&block);
            blocks.push(block);
            // the oldest go: the last events are wanted
            while bytes > BYTES && blocks.len() > 1 {
                let oldest = blocks.remove(0);
                bytes -= oldest.bytes();
                events -= block_events(&oldest);
            }
        }
        if events >= last || from == log.first() || back >= SCANNED {
            return Ok(newest(blocks, last));
        }
        back = back.saturating_mul(8).min(SCANNED);
    }
}

/// The last events of the blocks.
fn newest(mut blocks: Vec<Block>, last: u64) -> Vec<Block> {
    let mut offsets: Vec<Offset> = Vec::new();
    for block in &blocks {
        let events = block.batches.iter().flat_map(Batch::events);
        offsets.extend(events.map(|event| block.first + Offset::from(event.event)));
    }
    offsets.sort_unstable();
    offsets.dedup();
    let surplus = offsets.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
    if let Some(&from) = offsets.get(surplus) {
        blocks.retain(|block| block.end() > from);
        if let Some(first) = blocks.first_mut() {
            *first = first.slice(from, Offset::MAX);
        }
    }
    blocks
}

/// Transforms at work on events that nobody gets.
struct Trial<'a> {
    def: &'a RouteDef,
    guard: Guard,
    steps: Vec<Step>,
    bound: Vec<(Arc<TableSchema>, Option<Bound>)>,
    preview: Preview,
}

impl<'a> Trial<'a> {
    fn new(def: &'a RouteDef, guard: Guard, steps: Vec<Step>) -> Self {
        Trial { def, guard, steps, bound: Vec::new(), preview: Preview::default() }
    }

    /// One block through the transforms.
    async fn pass(&mut self, block: &Block) -> Result<(), Fault> {
        if self.preview.to == 0 {
            self.preview.from = block.first;
        }
        self.preview.to = block.end();
        self.preview.read += block_events(block);
        let mut out = Vec::new();
        for batch in &block.batches {
            let at = self.bind(&batch.table).await;
            let mut work = vec![pii::without_values(batch.clone(), &self.guard)];
            while let Some(batch) = work.pop() {
                match self.apply(at, block, batch.clone()).await {
                    Ok(Some(passed)) => out.push(passed),
                    Ok(None) => self.preview.failed += batch.events().filter(|e| e.part == 0).count() as u64,
                    Err(fault) if fault.class() == Class::Poison => match halves(&batch) {
                        Some((low, high)) => work.extend([high, low]),
                        None => {
                            self.preview.failed += 1;
                            self.reason(fault.message());
                        }
                    },
                    Err(fault) => return Err(fault),
                }
            }
        }
        let out = Block { batches: out, ..block.clone() };
        self.preview.kept += block_events(&out);
        self.sample(block, &out);
        Ok(())
    }

    async fn bind(&mut self, table: &Arc<TableSchema>) -> usize {
        if let Some(at) = self.bound.iter().position(|(known, _)| known == table) {
            return at;
        }
        let (mut plans, mut fault) = (Vec::new(), None);
        let bound = match chain::bind(&self.def.source, table, &self.steps, &self.guard).await {
            Ok(bound) => {
                plans.extend(bound.bindings.iter().map(|binding| binding.plan().clone()));
                self.preview.exposed.extend(bound.exposed.iter().cloned());
                Some(bound)
            }
            Err((_, refusal)) => {
                fault = Some(refusal.fault.message());
                None
            }
        };
        self.preview.tables.push(TablePreview { table: table.full_name(), plans, fault });
        self.bound.push((table.clone(), bound));
        self.bound.len() - 1
    }

    /// One batch; `None` if its table's transforms cannot be bound.
    async fn apply(&mut self, at: usize, block: &Block, batch: Batch) -> Result<Option<Batch>, Fault> {
        let Some(bound) = &mut self.bound[at].1 else { return Ok(None) };
        let place = Place { source: &self.def.source, first: block.first, origin: &block.origin };
        let (mut passed, mut reasons) = (batch, Vec::new());
        for binding in &mut bound.bindings {
            if passed.rows() == 0 {
                break;
            }
            let applied = binding.apply(&passed, &place).await?;
            passed = applied.batch;
            reasons.extend(applied.rejects.into_iter().map(|reject| reject.reason));
        }
        let is_rekeyed = {
            let mut bindings = bound.bindings.iter();
            bindings.any(|b| {
                let plan = b.plan();
                let names = b.input().key.iter().map(|&k| b.input().columns[k as usize].name.as_str());
                let renamed =
                    |name: &str| plan.renames.get(name).map_or_else(|| name.to_owned(), Clone::clone);
                let was: Vec<String> = names.clone().map(renamed).collect();
                was != plan.key || names.clone().any(|name| plan.hides(name))
            })
        };
        let events = passed.events().filter(|event| event.part == 0);
        let kept = events.clone().count() as u64;
        if is_rekeyed {
            self.preview.rekeyed += kept;
        }
        if let Some(routing) = &passed.routing {
            use arrow_array::Array as _;
            let elsewhere = |row: Option<u32>| row.is_some_and(|row| routing.is_valid(row as usize));
            self.preview.routed +=
                events.filter(|e| elsewhere(e.after) || elsewhere(e.before)).count() as u64;
        }
        self.preview.rejected += reasons.len() as u64;
        reasons.into_iter().for_each(|reason| self.reason(reason));
        split_key_changes(&mut passed);
        Ok(Some(passed))
    }

    fn reason(&mut self, reason: String) {
        if self.preview.reasons.len() < REASONS || self.preview.reasons.contains_key(&reason) {
            *self.preview.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Shows some events that come out different.
    fn sample(&mut self, block: &Block, out: &Block) {
        if !self.preview.exposed.is_empty() {
            self.preview.samples.clear();
            return;
        }
        for batch in &out.batches {
            // events that come out as they are cost as much to look at
            for event in batch.events().filter(|event| event.part == 0).take(SAMPLES) {
                if self.preview.samples.len() >= SAMPLES {
                    return;
                }
                let offset = block.first + Offset::from(event.event);
                let read = pii::cover(block.slice(offset, offset + 1), &self.guard);
                let was = rendered(&self.def.source, &read, offset);
                let is = rendered(&self.def.source, out, offset);
                let changes = differences(&was, &is);
                if !changes.is_empty() {
                    let table = batch.table.full_name();
                    self.preview.samples.push(Sample { offset, table, changes });
                }
            }
        }
    }

    fn finish(mut self) -> Preview {
        let p = &mut self.preview;
        p.dropped = p.read.saturating_sub(p.kept + p.rejected + p.failed);
        self.preview
    }
}

/// The event in Debezium's words; null where it is not in the block.
fn rendered(source: &str, block: &Block, offset: Offset) -> Value {
    let text = letters::render(source, block, offset);
    text.split(|&byte| byte == b'\n')
        .next()
        .and_then(|line| serde_json::from_slice(line).ok())
        .unwrap_or_default()
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
