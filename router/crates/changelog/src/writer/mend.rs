//! The disk refuses: the file is opened anew and the work goes on, for ever, until the log is closed.
//!
//! A commit that failed may be in the file or not. Which of the two, the reopened file says: its counters are those from before or
//! those that the commit wrote, and each commit that adds, forgets or deletes a block changes them. Anything else is damage. What is
//! there is told like any commit; what is not there is written again. A position or notes alone may be there already and are written
//! once more, which changes nothing. So nothing is lost, and nothing is stored twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use forebay_model::{Fault, Offset};

use super::Writer;
use super::stage::Staged;
use crate::codec::Damage;
use crate::file::{Counters, Loaded};
use crate::inbox::{Item, Told, TrimRequest};
use crate::recent::{Paused, Recent};
use crate::{codes, trouble};

/// The first wait; each further one is twice as long.
const WAIT: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 100 });
/// No wait is longer, unless opening the file takes long.
const LONGEST: Duration = Duration::from_secs(15);
/// Opening reads the whole file: at most this share of the time goes into that.
const SHARE: u32 = 5;

/// A write that failed: what the file holds if it is there all the same.
pub(super) enum Attempt {
    /// Entries; they are kept.
    Commit(Staged, VecDeque<Item>),
    /// Blocks deleted or forgotten. Whoever asked asks again, or is queued.
    Other { counters: Counters, next: Offset },
}

/// The disk refused; the next write is tried at a time.
pub(super) struct Waiting {
    pub(super) until: Instant,
    /// A trim failed meanwhile. It may succeed where there is no room for a block, but is not tried at every call.
    pub(super) no_trims: bool,
    failures: u32,
    told: Told,
}

impl Waiting {
    /// A trim does not wait for the disk: whoever asked has other changelogs to see to.
    pub(super) fn refuse(&self, trims: &mut VecDeque<TrimRequest>) {
        for request in trims.drain(..) {
            // whoever asked may be gone
            let _ = request.answer.send(Err(self.told.fault()));
        }
    }
}

impl Writer {
    /// After each piece of work: opens a broken file anew, and waits after what the disk refused.
    ///
    /// # Errors
    /// What trying again does not mend.
    pub(super) fn mend(&mut self, result: Result<(), Fault>) -> Result<(), Fault> {
        let mut refused = None;
        if let Err(fault) = result {
            if !trouble::passes(&fault) {
                return Err(fault);
            }
            refused = Some(fault);
        }
        let started = Instant::now();
        if self.shared.file.is_broken() {
            match self.reopen() {
                Ok(()) => {}
                // another process may have taken the file while it was closed
                Err(fault) if trouble::passes(&fault) || fault.code() == codes::IN_USE => {
                    refused = Some(fault)
                }
                Err(fault) => return Err(fault),
            }
        }
        if let Some(fault) = refused {
            self.wait(&fault, started.elapsed());
        }
        Ok(())
    }

    fn wait(&mut self, fault: &Fault, opening: Duration) {
        let path = self.shared.file.path().display();
        let failures = self.waiting.as_ref().map_or(0, |waiting| waiting.failures) + 1;
        let wait = WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST).max(opening * SHARE);
        if failures == 1 {
            tracing::error!(%path, %fault, "the source is paused: the disk refuses");
        } else {
            tracing::warn!(%path, %fault, ?wait, "the disk still refuses");
        }
        let until = Instant::now() + wait;
        // a wait that is not over was cut short by a trim
        let no_trims =
            self.waiting.as_ref().is_some_and(|waiting| waiting.until > Instant::now()) || self.trimmed;
        self.waiting = Some(Waiting { until, no_trims, failures, told: Told::new(fault) });
        self.shared.recent().paused = Some(Paused::Disk(fault.to_string()));
    }

    /// A write succeeded.
    pub(super) fn disk_works(&mut self) {
        if self.waiting.take().is_some() {
            // if the quota is reached too, the next try says so
            self.shared.inbox.lock().blocked = false;
            self.goes_on(&mut self.shared.recent());
        }
    }

    /// Nothing keeps the source from going on.
    pub(super) fn goes_on(&self, recent: &mut Recent) {
        if recent.paused.take().is_some() {
            tracing::info!(path = %self.shared.file.path().display(), "there is room again: the source goes on");
        }
    }

    /// With nothing to write: writes what is there again.
    pub(super) fn try_disk(&mut self) -> Result<(), Fault> {
        let file = &self.shared.file;
        file.write("writing", |txn| Ok((true, file.put_counters(txn, &self.counters)?)))?;
        self.disk_works();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        let shared = self.shared.clone();
        shared.file.reopen(|loaded| self.settle(loaded))?;
        tracing::info!(path = %shared.file.path().display(), head = self.counters.head, "opened the changelog anew");
        Ok(())
    }

    /// Finds out whether the write that failed is in the file.
    fn settle(&mut self, loaded: Loaded) -> Result<(), Fault> {
        let found = (&loaded.counters, loaded.next);
        let as_before = found == (&self.counters, self.next);
        let as_tried = match &self.attempt {
            None => false,
            Some(Attempt::Commit(staged, _)) => found == (&staged.counters, staged.next),
            Some(Attempt::Other { counters, next }) => found == (counters, *next),
        };
        if !as_before && !as_tried {
            return Err(self.shared.file.damage(
                self.counters.first.min(loaded.counters.first),
                self.next.max(loaded.next),
                Damage(
                    "after an I/O error it holds neither what was there before nor what was being written",
                ),
            ));
        }
        // ids of a commit that is not there, or of blocks that were deleted
        self.shared.schemas.retain(&loaded.schemas.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        match self.attempt.take() {
            Some(Attempt::Commit(staged, mut group)) => {
                if !as_before {
                    self.publish(staged, &mut group, true);
                }
                self.shared.inbox.lock().put_back(group);
            }
            Some(Attempt::Other { counters, next }) if !as_before => self.adopt(counters, next),
            Some(Attempt::Other { .. }) | None => {}
        }
        Ok(())
    }

    /// Blocks were deleted at one of the ends.
    pub(super) fn adopt(&mut self, counters: Counters, next: Offset) {
        self.counters = counters;
        self.next = next;
        let mut recent = self.shared.recent();
        recent.counters = self.counters.clone();
        recent.next = next;
        recent.tail.drop_from(next);
        recent.tail.drop_before(self.counters.first);
    }
}
