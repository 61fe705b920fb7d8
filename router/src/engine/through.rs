//! Every event of a batch through bound transforms, for routes and previews alike: a batch that a plugin cannot take is halved until
//! the event is alone.

use forebay_model::{Batch, Block, Class, Fault, keep_images};
use forebay_transform::{Binding, Place};

use super::letters;

/// What became of a batch's events; whole at any moment, also when the work is given up.
#[derive(Default)]
pub(super) struct Passed {
    /// What came out.
    pub(super) batches: Vec<Batch>,
    /// Events that cannot pass.
    pub(super) dead: Vec<Dead>,
    /// What was not passed yet, the last one next.
    pub(super) todo: Vec<Batch>,
    /// Whether plugins failed at several events together and at none of them alone.
    pub(super) only_together: bool,
}

/// An event that cannot pass.
pub(super) struct Dead {
    /// Its offset, less the block's first.
    pub(super) event: u32,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// Passes a batch of a block. `admit` hears the code and the reason of each event that cannot pass, and may end all of it.
///
/// # Errors
/// What `admit` says; a fault that is not poison.
pub(super) async fn pass(
    bindings: &mut [Binding],
    source: &str,
    block: &Block,
    batch: Batch,
    passed: &mut Passed,
    mut admit: impl FnMut(&'static str, &str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let place = Place { source, first: block.first, origin: &block.origin };
    let (mut halved, mut failed) = (false, false);
    passed.todo.push(batch);
    while let Some(batch) = passed.todo.last() {
        match each(bindings, &place, batch.clone()).await {
            Ok((batch, rejected)) => {
                for (event, reason) in rejected {
                    let code = letters::REJECTED.name;
                    admit(code, &reason)?;
                    passed.dead.push(Dead { event, code, reason });
                }
                passed.batches.push(batch);
                passed.todo.pop();
            }
            Err(fault) if fault.class() == Class::Poison => match halves(batch) {
                Some((low, high)) => {
                    halved = true;
                    passed.todo.pop();
                    passed.todo.extend([high, low]);
                }
                None => {
                    failed = true;
                    let (code, reason) = (fault.code().name, fault.message());
                    admit(code, &reason)?;
                    let event = batch.events().next().expect("a batch of one event").event;
                    passed.dead.push(Dead { event, code, reason });
                    passed.todo.pop();
                }
            },
            Err(fault) => return Err(fault),
        }
    }
    passed.only_together = halved && !failed;
    Ok(())
}

/// A batch after every transform, and the events that plugins would not let through, with their reasons.
async fn each(
    bindings: &mut [Binding],
    place: &Place<'_>,
    mut batch: Batch,
) -> Result<(Batch, Vec<(u32, String)>), Fault> {
    let mut rejected = Vec::new();
    for binding in bindings {
        if batch.rows() == 0 {
            break;
        }
        let applied = binding.apply(&batch, place).await?;
        batch = applied.batch;
        rejected.extend(applied.rejects.into_iter().map(|r| (r.event, r.reason)));
    }
    Ok((batch, rejected))
}

/// The two halves of a batch's events; `None` if it has one.
fn halves(batch: &Batch) -> Option<(Batch, Batch)> {
    let events: Vec<_> = batch.events().collect();
    if events.len() < 2 {
        return None;
    }
    let cut = &events[events.len() / 2];
    let row = cut.before.or(cut.after).expect("an event has an image") as usize;
    let side = |low: bool| {
        let keep: Vec<bool> = (0..batch.rows()).map(|r| (r < row) == low).collect();
        keep_images(batch, &keep).batch
    };
    Some((side(true), side(false)))
}
