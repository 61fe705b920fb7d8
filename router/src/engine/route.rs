//! One route: read, select, transform, deliver, checkpoint. One task, at its own offset (invariant 5).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use forebay_changelog::{Log, Reader, Want};
use forebay_model::{Batch, Block, Fault, Gtid, Offset, Origin, Txn, split_key_changes};
use forebay_sink::{Appetite, Delivery, Mark, Sink};
use forebay_store::{Checkpoint, Counts, Stage};
use tokio::sync::watch;
use tokio::time::Instant;

use super::assemble::{self, Parts, Setup};
use super::chain::Chain;
use super::checkpoints::Checkpoints;
use super::codes;
use super::cover::cover;
use super::deliver::{block_events, deliver};
use super::history;
use super::letters::{self, Letter, Letters};
use super::pii;
use super::replay::Past;
use super::select::Selection;
use super::status::{FaultView, RouteState, now_us};
use super::through;

/// What a route tells of itself, apart from its checkpoint.
#[derive(Clone, Debug)]
pub(super) struct RouteHealth {
    pub(super) state: RouteState,
    pub(super) fault: Option<FaultView>,
}

/// Where a route's task says how it fares.
#[derive(Clone)]
pub(super) struct Progress(pub(super) Arc<watch::Sender<RouteHealth>>);

impl Progress {
    pub(super) fn new() -> Self {
        let starting = RouteHealth { state: RouteState::Starting, fault: None };
        Progress(Arc::new(watch::Sender::new(starting)))
    }

    pub(super) fn set(&self, state: RouteState) {
        self.0.send_replace(RouteHealth { state, fault: None });
    }

    pub(super) fn trouble(&self, state: RouteState, fault: &Fault, attempts: u32, next: Option<Duration>) {
        self.0.send_replace(RouteHealth { state, fault: Some(FaultView::new(fault, attempts, next)) });
    }

    /// All is well again.
    pub(super) fn well(&self) {
        self.0.send_if_modified(|health| {
            let changed = health.state != RouteState::Running;
            *health = RouteHealth { state: RouteState::Running, fault: None };
            changed
        });
    }
}

/// Everything that a running route holds.
pub(super) struct Route {
    pub(super) name: String,
    pub(super) log: Log,
    pub(super) selection: Selection,
    pub(super) chain: Chain,
    pub(super) sink: Box<dyn Sink>,
    pub(super) letters: Letters,
    pub(super) checkpoints: Checkpoints,
    pub(super) progress: Progress,
    pub(super) parts: Parts,
    /// What the route is to do; changes while it runs.
    pub(super) setup: watch::Receiver<Setup>,
    /// The transforms that take over with the next transaction.
    pub(super) next: Option<Chain>,
    /// What ran when the events that come were delivered first.
    pub(super) past: Past,
    /// The last transaction that went through the transforms.
    pub(super) last: Option<Told>,
}

/// A transaction, as far as two pieces of one are recognised. Two that cannot be told apart count as one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    gtid: Option<Gtid>,
    /// Without a GTID.
    commit: (u64, u32, u32),
}

impl Told {
    fn new(origin: &Origin, txn: &Txn) -> Told {
        Told { gtid: origin.gtid(txn), commit: (txn.commit_us, txn.thread, txn.server_id) }
    }
}

/// A block after selection and transforms, and what became of its events.
struct Passed {
    block: Block,
    read: u64,
    dead: u64,
}

impl Route {
    /// Runs until something must stop it. Dropping the future at any point leaves nothing worse than a repeat.
    pub(super) async fn run(mut self) -> Fault {
        let Err(fault) = self.turns().await;
        match self.past.runs {
            Some(_) => letters::in_past(pii::in_past(fault)),
            None => fault,
        }
    }

    async fn turns(&mut self) -> Result<Infallible, Fault> {
        let mut at = self.checkpoints.get(&self.name).unwrap_or_default();
        match at.log {
            // from before changelogs had numbers
            0 => at.log = self.log.id(),
            log if log == self.log.id() => {}
            _ => return Err(replaced(&self.name, at.offset)),
        }
        let mut held = self.sink.committed().await?.filter(|mark| mark.epoch == at.epoch);
        if let Some(mark) = held
            && mark.offset < at.offset
        {
            tracing::warn!(
                route = self.name,
                checkpoint = at.offset,
                destination = mark.offset,
                "the destination has less than the checkpoint says; delivering from the destination's mark"
            );
            at.offset = mark.offset;
        }
        let from = held.map_or(at.offset, |mark| mark.offset.max(at.offset));
        self.past = Past::read(&self.parts.store, &self.name, at.epoch)?;
        self.go_back(from).await?;
        history::record(&self.parts.store, &self.name, (at.epoch, from), self.chain.told()).await?;
        let mut reader = self.log.reader(at.offset)?.wanting(self.wanted());
        let appetite = self.sink.appetite();
        self.progress.well();
        loop {
            let first = loop {
                tokio::select! {
                    biased;
                    Ok(()) = self.setup.changed() => self.prepare().await?,
                    block = reader.next() => break block?,
                }
            };
            let blocks = gather(first, &mut reader, appetite, self.chain.is_empty()).await?;
            let mark = Mark { epoch: at.epoch, offset: at.offset };
            let mut delivery = Delivery { mark, blocks: Vec::with_capacity(blocks.len()) };
            let mut failed = None;
            for block in blocks.into_iter().flat_map(|block| self.past.cut(block)).collect::<Vec<_>>() {
                if let Err(fault) = self.take_over(&block, (at.epoch, at.offset.max(block.first))).await {
                    failed = Some(fault);
                    break;
                }
                let passed = match self.pass(self.selection.cut(&block, at.offset)).await {
                    Ok(passed) => passed,
                    Err(fault) if delivery.blocks.is_empty() => return Err(fault),
                    // what came before it is good and goes first
                    Err(fault) => {
                        failed = Some(fault);
                        break;
                    }
                };
                at.counts.read += passed.read;
                at.counts.dead += passed.dead;
                delivery.blocks.push(passed.block);
            }
            let end = delivery.end();
            // what the destination already has (a crash between its commit and our checkpoint) is only counted
            let known = held.take().map_or(0, |mark| mark.offset);
            let mut left = delivery;
            let mut had = 0;
            if known > left.mark.offset {
                let whole = left.blocks.iter().map(block_events).sum::<u64>();
                left.blocks = left.blocks.iter().map(|b| b.slice(known, Offset::MAX)).collect();
                left.mark.offset = known.min(end.offset);
                had = whole - left.blocks.iter().map(block_events).sum::<u64>();
                if known > end.offset {
                    held = Some(Mark { offset: known, ..mark });
                }
            }
            let mut done = super::deliver::Done { delivered: had, dead: 0 };
            if left.mark.offset < end.offset {
                let more = deliver(self.sink.as_mut(), left, &mut self.letters, &self.progress).await?;
                done.delivered += more.delivered;
                done.dead += more.dead;
            }
            at.counts.delivered += done.delivered;
            at.counts.dead += done.dead;
            at.counts.filtered = at.counts.read - at.counts.delivered - at.counts.dead;
            at.offset = end.offset;
            at.updated_us = now_us();
            self.checkpoints.set(&self.name, at);
            if let Some(fault) = failed {
                return Err(fault);
            }
        }
    }

    /// Makes the transforms ready that the route is to have from now on; those that it has go on until they take over.
    async fn prepare(&mut self) -> Result<(), Fault> {
        let setup = self.setup.borrow_and_update().clone();
        let mut next = assemble::open_chain(&self.parts, &self.log, &self.name, &setup).await?;
        next.prepare(&self.chain).await;
        self.next = Some(next);
        Ok(())
    }

    /// Lets the transforms of then take over where a replay has come to them; else the next ones, unless the block goes on with a
    /// transaction that those before have begun.
    async fn take_over(&mut self, block: &Block, at: (u64, Offset)) -> Result<(), Fault> {
        let told = |txn: Option<&Txn>| txn.map(|txn| Told::new(&block.origin, txn));
        let goes_on = self.last.is_some() && self.last == told(block.origin.txns.first());
        let before = self.past.runs;
        if self.go_back(at.1).await? {
            if self.past.runs != before {
                history::record(&self.parts.store, &self.name, at, self.chain.told()).await?;
            }
        } else if let Some(next) = self.next.take_if(|_| !goes_on) {
            self.past.runs = None;
            history::record(&self.parts.store, &self.name, at, next.told()).await?;
            self.chain = next;
            tracing::info!(route = self.name, offset = at.1, "other transforms from here on");
        }
        if let Some(last) = told(block.origin.txns.last()) {
            self.last = Some(last);
        }
        Ok(())
    }

    fn wanted(&self) -> Want {
        let selection = self.selection.clone();
        Arc::new(move |database, table| selection.wants(database, table))
    }

    /// Selected events through the transforms.
    async fn pass(&mut self, block: Block) -> Result<Passed, Fault> {
        let read = block_events(&block);
        let mut batches = Vec::with_capacity(block.batches.len());
        let mut dead = Vec::new();
        for batch in &block.batches {
            if self.chain.is_idle() {
                batches.push(batch.clone());
            } else {
                self.transform(&block, batch.clone(), &mut batches, &mut dead).await?;
            }
        }
        for batch in &mut batches {
            split_key_changes(batch);
        }
        batches.retain(|b| b.rows() > 0);
        let count = dead.len() as u64;
        if count > 0 {
            self.letters.keep(dead).await?;
        }
        Ok(Passed { block: Block { batches, ..block }, read, dead: count })
    }

    /// One batch through the chain.
    async fn transform(
        &mut self,
        block: &Block,
        batch: Batch,
        out: &mut Vec<Batch>,
        dead: &mut Vec<Letter>,
    ) -> Result<(), Fault> {
        let table = batch.table.full_name();
        let source = self.letters.source().to_owned();
        let mut passed = through::Passed::default();
        let admit = |code: &'static str, reason: &str| self.letters.admit(code, reason);
        self.chain.pass(block, batch, &mut passed, admit).await?;
        let guard = self.chain.guard();
        let letter = |event: u32, code: &str, reason: String| {
            let offset = block.first + Offset::from(event);
            let event = letters::render(&source, &cover(block.slice(offset, offset + 1), guard), offset);
            Letter {
                offset,
                table: table.clone(),
                stage: Stage::Transform,
                code: code.to_owned(),
                reason,
                event,
            }
        };
        dead.extend(passed.dead.into_iter().map(|dead| letter(dead.event, dead.code, dead.reason)));
        out.extend(passed.batches);
        Ok(())
    }
}

/// Blocks for one delivery: the first, more while the appetite and its patience last.
async fn gather(
    first: Arc<Block>,
    reader: &mut Reader,
    appetite: Appetite,
    plain: bool,
) -> Result<Vec<Arc<Block>>, Fault> {
    // a transform holds its input and its output: half as much at once
    let bytes_wanted = if plain { appetite.bytes } else { appetite.bytes / 2 };
    let mut blocks = vec![first];
    let (mut bytes, mut events) = (blocks[0].bytes(), u64::from(blocks[0].events));
    let deadline = Instant::now() + appetite.wait;
    while bytes < bytes_wanted && events < appetite.events {
        let more = match reader.try_next().await? {
            Some(block) => block,
            None => match tokio::time::timeout_at(deadline, reader.next()).await {
                Ok(block) => block?,
                Err(_) => break,
            },
        };
        bytes += more.bytes();
        events += u64::from(more.events);
        blocks.push(more);
    }
    Ok(blocks)
}

fn replaced(route: &str, offset: Offset) -> Fault {
    let what =
        format!("the changelog is another than the one in which route {route} had reached offset {offset}");
    Fault::new(codes::REPLACED_LOG, what).fix(
        "it was made anew or put back from a copy: see what the destination has, then set the route's offset (earliest, head, a \
         time)",
    )
}

/// A route's checkpoint where its offset is set: by hand, or as it is made.
pub(super) fn begin(offset: Offset, before: Option<Checkpoint>, log: &Log) -> Checkpoint {
    let now = now_us();
    let epoch = (now / 1000).max(before.map_or(0, |at| at.epoch + 1));
    let same_log = before.filter(|at| at.log == log.id());
    Checkpoint {
        epoch,
        lineage: same_log.map_or(epoch, |at| at.lineage),
        log: log.id(),
        offset,
        paused: false,
        counts: Counts::default(),
        updated_us: now,
    }
}
