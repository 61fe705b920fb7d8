//! One delivery to one sink, until it is through: again after a pause, in halves, or not at all, as the policy says.

use std::collections::VecDeque;

use forebay_model::{Block, Fault, Offset};
use forebay_sink::policy::{self, Directive};
use forebay_sink::{Delivery, Mark, Sink};
use forebay_store::Stage;

use super::ingest::rand;
use super::letters::{self, Letter, Letters};
use super::route::Progress;
use super::status::RouteState;

/// What a delivery came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) delivered: u64,
    pub(super) dead: u64,
}

/// Delivers all of `delivery`; events that the sink will never take go to the dead letters.
///
/// # Errors
/// Only what must stop the route. What was delivered before that comes again when the route is resumed.
pub(super) async fn deliver(
    sink: &mut dyn Sink,
    delivery: Delivery,
    letters: &mut Letters,
    progress: &Progress,
) -> Result<Done, Fault> {
    let mut done = Done::default();
    let mut pending = VecDeque::from([delivery]);
    while let Some(delivery) = pending.pop_front() {
        let mut attempt = 0;
        loop {
            let Err(fault) = sink.deliver(&delivery).await else {
                done.delivered += events(&delivery);
                break;
            };
            attempt += 1;
            match policy::decide(fault.class(), attempt, fault.wait_asked(), rand()) {
                Directive::Retry { after } => {
                    // the first failure and then one a while: a destination may be away for days
                    if attempt.is_power_of_two() {
                        tracing::warn!(
                            route = letters.route(),
                            code = fault.code().name,
                            attempt,
                            ?after,
                            "{fault}"
                        );
                    }
                    progress.trouble(RouteState::Retrying, &fault, attempt, Some(after));
                    tokio::time::sleep(after).await;
                }
                Directive::Isolate => {
                    match halves(&delivery) {
                        Some((low, high)) => {
                            pending.push_front(high);
                            pending.push_front(low);
                        }
                        None => {
                            letters.admit(fault.code().name, &fault.message())?;
                            let dead = letter(letters.source(), &delivery, &fault);
                            done.dead += dead.len() as u64;
                            letters.keep(dead).await?;
                        }
                    }
                    break;
                }
                Directive::Stop => return Err(fault),
            }
        }
        progress.well();
    }
    Ok(done)
}

/// How many offsets have an event in it.
pub(super) fn events(delivery: &Delivery) -> u64 {
    delivery.blocks.iter().map(block_events).sum()
}

/// How many offsets of the block have an event (two parts of one count once).
pub(super) fn block_events(block: &Block) -> u64 {
    let first_parts = |e: &forebay_model::ChangeEvent| e.part == 0;
    block.batches.iter().map(|b| b.events().filter(first_parts).count() as u64).sum()
}

/// Two deliveries with half of the events each; `None` if there is at most one event.
fn halves(delivery: &Delivery) -> Option<(Delivery, Delivery)> {
    let mut offsets: Vec<Offset> = Vec::new();
    for block in &delivery.blocks {
        let at = |e: forebay_model::ChangeEvent| block.first + Offset::from(e.event);
        offsets.extend(block.batches.iter().flat_map(|b| b.events().map(at)));
    }
    offsets.sort_unstable();
    offsets.dedup();
    if offsets.len() < 2 {
        return None;
    }
    let cut = offsets[offsets.len() / 2];
    let part = |from: Offset, to: Offset| Delivery {
        mark: Mark { offset: from, ..delivery.mark },
        blocks: delivery
            .blocks
            .iter()
            .filter(|b| b.first < to && b.end() > from)
            .map(|b| if from <= b.first && b.end() <= to { b.clone() } else { b.slice(from, to) })
            .collect(),
    };
    Some((part(delivery.mark.offset, cut), part(cut, delivery.end().offset)))
}

/// The letter for the delivery's only event.
fn letter(source: &str, delivery: &Delivery, fault: &Fault) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(1);
    for block in &delivery.blocks {
        for batch in &block.batches {
            // an event of two parts makes one letter
            for event in batch.events().filter(|e| e.part == 0) {
                let offset = block.first + Offset::from(event.event);
                letters.push(Letter {
                    offset,
                    table: batch.table.full_name(),
                    stage: Stage::Sink,
                    code: fault.code().name.to_owned(),
                    reason: fault.message(),
                    event: letters::render(source, block, offset),
                });
            }
        }
    }
    letters
}
