//! What transforms would make of a route's latest events, without delivering anything.
//!
//! Reads the changelog as the route does and leaves no trace: no checkpoint moves, no dead letter is kept. Values that the route may
//! not have are covered, and where the transforms would let one out no values are shown at all.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::Array as _;
use forebay_changelog::Log;
use forebay_model::{Batch, Block, ChangeEvent, Fault, Offset, TableSchema, split_key_changes};
use forebay_transform::{Binding, Plan};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::chain::{self, Bound, Step};
use super::cover::{self, Cover};
use super::deliver::block_events;
use super::later::Later;
use super::letters::{self, Rule};
use super::select::Selection;
use super::through::{self, Dead, Passed};
use super::{ApplyError, Engine, assemble};
use crate::definition::{Existing, Guard, Mode, RouteDef, SourceDef, TransformDef, check};

mod samples;

use samples::{Fate, Fates, Sample, Samples};

/// Reasons and failures that are told.
const REASONS: usize = 20;
/// Offsets that are looked at for the wanted number of events.
const SCANNED: u64 = 1_000_000;
/// Bytes of events that are held.
const BYTES: usize = 64 << 20;
/// What plugins and rendering may take for one preview.
const DEADLINE: Duration = Duration::from_secs(30);

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
    /// Why a running route would stop at these events, or why this preview ended before the last of them.
    pub stopped: Option<String>,
    /// Some of the events that do not come out as they are, the latest of each fate, the newest last. Empty where something is exposed.
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
        let mut guard = Guard::new(source, def);
        Later::new(log.clone()).teach(&mut guard).await?;
        let mut steps = Vec::with_capacity(def.transforms.len());
        for transform in &def.transforms {
            let mut step = assemble::open_step(&self.inner.parts, transform).await?;
            // one instance of each at a time: previews are not to need more memory than routes
            step.limits.pool_bytes = step.limits.memory_bytes;
            steps.push(step);
        }
        let blocks = latest(log, &Selection::new(Some(name), def.tables.clone()), last).await?;
        let mut trial = Trial::new(name, def, guard, steps);
        for block in &blocks {
            if trial.pass(block).await?.is_break() {
                break;
            }
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
    cover: Cover,
    steps: Vec<Step>,
    bound: Vec<(Arc<TableSchema>, Option<Bound>)>,
    rule: Rule,
    deadline: Instant,
    samples: Samples,
    preview: Preview,
}

impl<'a> Trial<'a> {
    fn new(name: &str, def: &'a RouteDef, guard: Guard, steps: Vec<Step>) -> Self {
        let mut cover = Cover::default();
        cover.by(&guard);
        Trial {
            def,
            guard,
            cover,
            steps,
            bound: Vec::new(),
            rule: Rule::new(name, &def.dead_letters),
            deadline: Instant::now() + DEADLINE,
            samples: Samples::default(),
            preview: Preview::default(),
        }
    }

    /// One block through the transforms; whether that was the last one.
    async fn pass(&mut self, block: &Block) -> Result<ControlFlow<()>, Fault> {
        if self.preview.to == 0 {
            self.preview.from = block.first;
        }
        self.preview.to = block.end();
        let (mut out, mut fates, mut flow) = (Vec::new(), Fates::default(), ControlFlow::Continue(()));
        for batch in &block.batches {
            let mut passed = Passed::default();
            let ended = match flow {
                ControlFlow::Continue(()) => {
                    match timeout_at(self.deadline, self.batch(block, batch, &mut passed)).await {
                        Ok(Ok(())) => None,
                        Ok(Err(fault)) if fault.code() == letters::TOO_MANY => Some(fault.message()),
                        Ok(Err(fault)) => return Err(fault),
                        Err(_) => {
                            let most = DEADLINE.as_secs();
                            Some(format!(
                                "the preview ended before the last event: it may take {most} s; try fewer"
                            ))
                        }
                    }
                }
                ControlFlow::Break(()) => {
                    passed.todo.push(batch.clone());
                    None
                }
            };
            if let Some(why) = ended {
                self.preview.stopped = Some(why);
                flow = ControlFlow::Break(());
            }
            // what was under way when the time was over
            let undone = passed.todo.iter().flat_map(Batch::events).map(|event| event.event);
            let before = fates.undone.len();
            fates.undone.extend(undone);
            let done = batch.events().filter(|event| event.part == 0).count();
            self.preview.read += done.saturating_sub(fates.undone.len() - before) as u64;
            self.count(batch, &mut passed, &mut fates);
            out.append(&mut passed.batches);
        }
        let out = Block { batches: out, ..block.clone() };
        self.preview.kept += block_events(&out);
        if self.preview.exposed.is_empty() {
            let (about, deadline) = ((self.def.source.as_str(), &mut self.cover), self.deadline);
            self.samples.look(about, block, &out, fates, deadline).await;
        }
        Ok(flow)
    }

    /// One batch through its table's transforms, under the rule that stops a route.
    async fn batch(&mut self, block: &Block, batch: &Batch, passed: &mut Passed) -> Result<(), Fault> {
        let at = self.bind(&batch.table).await?;
        let (rule, stopped) = (&mut self.rule, &mut self.preview.stopped);
        // only what costs time ends a preview: of all else one wants to know how much there is
        let admit = |code: &'static str, reason: &str| match rule.admit(code, reason) {
            Err(fault) if code == forebay_transform::codes::TIMEOUT.name => Err(fault),
            Err(fault) => {
                stopped.get_or_insert_with(|| fault.message());
                Ok(())
            }
            Ok(()) => Ok(()),
        };
        let Some(bound) = &mut self.bound[at].1 else {
            let reason = self.preview.tables[at].fault.clone().unwrap_or_default();
            let events = batch.events().filter(|event| event.part == 0);
            let code = forebay_transform::codes::BIND.name;
            let failed = |e: ChangeEvent| Dead { event: e.event, code, reason: reason.clone() };
            passed.dead.extend(events.map(failed));
            return Ok(());
        };
        let batch = cover::without_values(batch.clone(), &self.guard);
        through::pass(&mut bound.bindings, &self.def.source, block, batch, passed, admit).await
    }

    /// The index of the table's transforms.
    ///
    /// # Errors
    /// If a plugin refuses its configuration.
    async fn bind(&mut self, table: &Arc<TableSchema>) -> Result<usize, Fault> {
        if let Some(at) = self.bound.iter().position(|(known, _)| known == table) {
            return Ok(at);
        }
        let (mut plans, mut fault) = (Vec::new(), None);
        let bound = match chain::bind(&self.def.source, table, &self.steps, &self.guard).await {
            Ok(bound) => {
                plans.extend(bound.bindings.iter().map(|binding| binding.plan().clone()));
                self.preview.exposed.extend(bound.exposed.iter().cloned());
                Some(bound)
            }
            Err((_, refusal)) if refusal.fault.code() == forebay_transform::codes::CONFIG => {
                return Err(refusal.fault);
            }
            Err((_, refusal)) => {
                let message = refusal.fault.message();
                self.preview.stopped.get_or_insert_with(|| message.clone());
                fault = Some(message);
                None
            }
        };
        self.preview.tables.push(TablePreview { table: table.full_name(), plans, fault });
        self.bound.push((table.clone(), bound));
        Ok(self.bound.len() - 1)
    }

    /// Counts what became of a batch.
    fn count(&mut self, batch: &Batch, passed: &mut Passed, fates: &mut Fates) {
        let bound = self.bound.iter().find(|(table, _)| *table == batch.table);
        let bindings = bound.and_then(|(_, bound)| bound.as_ref()).map_or(&[][..], |bound| &bound.bindings);
        let is_rekeyed = bindings.iter().any(rekeys);
        for out in &mut passed.batches {
            let events: Vec<_> = out.events().filter(|event| event.part == 0).collect();
            if is_rekeyed {
                self.preview.rekeyed += events.len() as u64;
                fates.rekeyed.extend(events.iter().map(|event| event.event));
            }
            if let Some(routing) = &out.routing {
                let elsewhere = |row: Option<u32>| row.is_some_and(|row| routing.is_valid(row as usize));
                let routed = events.iter().filter(|e| elsewhere(e.after) || elsewhere(e.before));
                self.preview.routed += routed.count() as u64;
            }
            split_key_changes(out);
        }
        for Dead { event, code, reason } in passed.dead.drain(..) {
            let fate = if code == letters::REJECTED.name { Fate::Rejected } else { Fate::Failed };
            match fate {
                Fate::Rejected => self.preview.rejected += 1,
                _ => self.preview.failed += 1,
            }
            let reasons = &mut self.preview.reasons;
            if reasons.len() < REASONS || reasons.contains_key(&reason) {
                *reasons.entry(reason.clone()).or_default() += 1;
            }
            fates.dead.insert(event, (fate, reason));
        }
    }

    fn finish(mut self) -> Preview {
        // what plugins write into cells is the destination's, and not for those who look here
        self.steps.iter().for_each(|step| self.samples.veil(step.config.secrets()));
        let mut preview = self.preview;
        preview.dropped = preview.read.saturating_sub(preview.kept + preview.rejected + preview.failed);
        if preview.exposed.is_empty() {
            preview.samples = self.samples.finish();
        }
        preview
    }
}

/// Whether other columns or other values tell the rows apart behind a transform.
fn rekeys(binding: &Binding) -> bool {
    let (plan, input) = (binding.plan(), binding.input());
    let names = input.key.iter().map(|&k| input.columns[k as usize].name.as_str());
    let renamed = |name: &str| plan.renames.get(name).map_or_else(|| name.to_owned(), Clone::clone);
    let was: Vec<String> = names.clone().map(renamed).collect();
    was != plan.key || names.clone().any(|name| plan.hides(name))
}
