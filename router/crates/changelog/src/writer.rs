//! The one thread that writes: group commit, the quota, and the order of all changes to the file.
//!
//! Promises: blocks and the position that covers them are in one commit (invariant 1); readers are told of a commit only after
//! it is durable (invariant 2); the blocks of an open transaction become visible together; at the quota it waits and drops nothing
//! (invariant 6). What the disk refuses it tries again for ever, over a file that it opens anew (`mend`); what was accepted stays
//! accepted. After any other fault it ends: what was not committed is gone, and the source reads it again from the position.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use forebay_model::{Fault, Offset, Position};
use tokio::sync::{oneshot, watch};

use crate::codec::Encoder;
use crate::file::Counters;
use crate::inbox::{Item, Requests, Told, TrimRequest};
use crate::recent::Paused;
use crate::shared::Shared;
use crate::{codes, retention};

mod mend;
mod stage;

use mend::{Attempt, Waiting};
use stage::Staged;

/// A commit costs some 155 us of CPU whatever is in it. A change after a pause is committed at once; under a stream of small
/// ones commits keep this distance.
const GAP: Duration = Duration::from_millis(2);
/// With so many bytes waiting the distance does not matter.
const SOON: usize = 256 << 10;
/// One commit takes at most this (and at least one block).
const GROUP: usize = 4 << 20;
/// How often a position that covers no event is worth a sync.
const IDLE: Duration = Duration::from_secs(1);

/// See the module's text.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    encoder: Encoder,
    counters: Counters,
    position: Option<Position>,
    /// One past the last stored event.
    next: Offset,
    last_commit: Option<Instant>,
    head: watch::Sender<Offset>,
    durable: watch::Sender<u64>,
    /// The last thing done was a slice of a trim: entries come first now.
    trimmed: bool,
    /// The write that failed, until it is known whether it is in the file.
    attempt: Option<Attempt>,
    /// The disk refuses.
    waiting: Option<Waiting>,
}

/// One thing to do.
enum Work {
    Commit(VecDeque<Item>),
    Discard(oneshot::Sender<()>, u64, bool),
    Trim(TrimRequest),
    /// See whether the disk takes writes again.
    Try,
    /// Only the file is to be opened anew.
    Mend,
    Close,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, head: watch::Sender<Offset>, durable: watch::Sender<u64>) -> Self {
        let (counters, position) = {
            let recent = shared.recent();
            (recent.counters.clone(), recent.position.clone())
        };
        let next = counters.head;
        let encoder = Encoder::new();
        Writer {
            shared,
            encoder,
            counters,
            position,
            next,
            last_commit: None,
            head,
            durable,
            trimmed: false,
            attempt: None,
            waiting: None,
        }
    }

    /// Works until closed, or until something fails; then everybody who waits is told.
    pub(crate) fn run(mut self) {
        let fault = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => self.shared.file.closed(),
            Ok(Err(fault)) => {
                tracing::error!(path = %self.shared.file.path().display(), %fault, "the changelog's writer stopped");
                fault
            }
            Err(panic) => {
                let why = panic.downcast_ref::<String>().map(String::as_str);
                let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                let path = self.shared.file.path().display();
                tracing::error!(%path, why, "the changelog's writer panicked");
                Fault::new(
                    codes::STOPPED,
                    format!("the writer of changelog {path} ended unexpectedly: {why}"),
                )
                .fix("please report it with the log lines before it")
            }
        };
        let ended = Told::new(&fault);
        let left = self.shared.inbox.ask(|requests| {
            requests.ended = Some(ended);
            requests.weight = 0;
            (std::mem::take(&mut requests.items), std::mem::take(&mut requests.trims))
        });
        self.shared.room.close();
        drop(left);
        // dropping self drops the senders of the watches: whoever waits on them wakes
    }

    fn work(&mut self) -> Result<(), Fault> {
        loop {
            let work = self.next_work();
            self.trimmed = matches!(work, Work::Trim(_));
            let result = match work {
                Work::Commit(group) => self.commit(group),
                Work::Discard(done, number, all) => self.discard(done, number, all),
                Work::Trim(request) => self.trim(request),
                Work::Try => self.try_disk(),
                Work::Mend => Ok(()),
                Work::Close => return Ok(()),
            };
            self.mend(result)?;
        }
    }

    fn next_work(&self) -> Work {
        let shared = self.shared.clone();
        let mut requests = shared.inbox.lock();
        loop {
            if let Some(waiting) = &self.waiting {
                if requests.closing {
                    return Work::Close;
                }
                if !waiting.no_trims
                    && !shared.file.is_broken()
                    && let Some(request) = requests.trims.pop_front()
                {
                    return Work::Trim(request);
                }
                waiting.refuse(&mut requests.trims);
                let left = waiting.until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    requests = shared.inbox.wait(requests, Some(left));
                    continue;
                }
            }
            if shared.file.is_broken() {
                return Work::Mend;
            }
            if self.waiting.is_some() && (requests.items.is_empty() || requests.blocked) {
                return Work::Try;
            }
            if !self.trimmed
                && let Some(request) = requests.trims.pop_front()
            {
                return Work::Trim(request);
            }
            let discard = requests.items.pop_front_if(|item| matches!(item, Item::Discard { .. }));
            if let Some(Item::Discard { done, number, all }) = discard {
                return Work::Discard(done, number, all);
            }
            let mut wait = None;
            if !requests.items.is_empty() && !requests.blocked {
                let left = self.due(&requests);
                if left.is_zero() {
                    return Work::Commit(requests.take(GROUP));
                }
                wait = Some(left);
            }
            if let Some(request) = requests.trims.pop_front() {
                return Work::Trim(request);
            }
            if requests.closing {
                return Work::Close;
            }
            requests = shared.inbox.wait(requests, wait);
        }
    }

    /// How long the queue may still wait for more to come.
    fn due(&self, requests: &Requests) -> Duration {
        if requests.closing || requests.flush > *self.durable.borrow() || requests.weight >= SOON {
            return Duration::ZERO;
        }
        let only = requests.items.len() == 1 && requests.items[0].is_position_only();
        let gap = if only && self.next == self.counters.head { IDLE } else { GAP };
        self.last_commit.map_or(Duration::ZERO, |last| gap.saturating_sub(last.elapsed()))
    }

    fn commit(&mut self, mut group: VecDeque<Item>) -> Result<(), Fault> {
        let shared = self.shared.clone();
        let mut staged = Staged::new(self.counters.clone(), self.next);
        let written = shared.file.write("writing", |txn| {
            self.stage(txn, &mut group, &mut staged)?;
            let moved = staged.position.is_some() && staged.position != self.position;
            let changed = moved || !staged.noted.is_empty() || staged.counters != self.counters;
            if changed {
                staged.counters.next_schema = shared.schemas.next();
                shared.file.put_counters(txn, &staged.counters)?;
            }
            if moved {
                shared.file.put_meta(txn, "position", &staged.position)?;
            }
            Ok((changed, changed))
        });
        let written = match written {
            Ok(written) => written,
            Err(fault) => {
                self.attempt = Some(Attempt::Commit(staged, group));
                return Err(fault);
            }
        };
        if written {
            self.disk_works();
        }
        let full = staged.full;
        if staged.number > 0 {
            self.publish(staged, &mut group, written);
        }
        if let Some(lacking) = full {
            self.pause(lacking);
            let mut requests = shared.inbox.lock();
            requests.put_back(group);
            requests.blocked = true;
        }
        Ok(())
    }

    /// Tells everybody of a commit; its entries leave the group.
    fn publish(&mut self, staged: Staged, group: &mut VecDeque<Item>, written: bool) {
        self.counters = staged.counters;
        self.next = staged.next;
        if staged.position.is_some() {
            self.position = staged.position;
        }
        if written {
            self.last_commit = Some(Instant::now());
        }
        let mut permits = Vec::with_capacity(staged.entries);
        {
            let mut recent = self.shared.recent();
            recent.counters = self.counters.clone();
            recent.next = self.next;
            if written {
                recent.commits += 1;
                recent.last_commit_us = now_us();
                recent.position = self.position.clone();
                staged.noted.into_iter().for_each(|family| *recent.noted.entry(family).or_default() += 1);
            }
            if staged.full.is_none() && self.waiting.is_none() {
                self.goes_on(&mut recent);
            }
            for item in group.drain(..staged.entries) {
                let Item::Entry { block, weight, permit, .. } = item else { continue };
                if let Some(block) = block {
                    recent.tail.push(Arc::new(block), weight);
                }
                permits.push(permit);
            }
        }
        self.head.send_if_modified(|head| std::mem::replace(head, self.counters.head) != self.counters.head);
        self.durable.send_replace(staged.number);
        drop(permits);
    }

    /// Says why nothing goes on.
    fn pause(&self, lacking: u64) {
        let quota = self.shared.options.quota_bytes.unwrap_or(u64::MAX);
        let stored = self.counters.bytes;
        let why = if self.counters.first == self.counters.head {
            "one transaction alone is larger than that; raise the quota"
        } else {
            "a route that lags or the retention holds the rest; let the route catch up, remove it, or raise the quota"
        };
        let words = format!(
            "the changelog holds {stored} of {quota} bytes and the next block takes {lacking}: {why}"
        );
        let mut recent = self.shared.recent();
        if recent.paused.is_none() {
            tracing::warn!(path = %self.shared.file.path().display(), "the source is paused: {words}");
        }
        recent.paused = Some(Paused::Quota(words));
    }

    fn discard(&mut self, done: oneshot::Sender<()>, number: u64, all: bool) -> Result<(), Fault> {
        let blocks_gone = self.next > self.counters.head;
        if blocks_gone {
            let file = &self.shared.file;
            let mut counters = self.counters.clone();
            let blocks = file.write("forgetting an unfinished transaction", |txn| {
                let blocks = file.delete_open(txn, &mut counters)?;
                file.put_counters(txn, &counters)?;
                Ok((true, blocks))
            });
            let blocks = match blocks {
                Ok(blocks) => blocks,
                Err(fault) => {
                    self.shared.inbox.lock().items.push_front(Item::Discard { done, number, all });
                    let next = counters.head;
                    self.attempt = Some(Attempt::Other { counters, next });
                    return Err(fault);
                }
            };
            tracing::info!(path = %file.path().display(), blocks, "forgot the blocks of an unfinished transaction");
            let next = counters.head;
            self.adopt(counters, next);
            self.disk_works();
        }
        if all || blocks_gone {
            // what waited for room is gone
            self.shared.recent().paused.take_if(|paused| matches!(paused, Paused::Quota(_)));
            self.shared.inbox.lock().blocked = false;
        }
        self.durable.send_replace(number);
        // whoever asked may be gone
        let _ = done.send(());
        Ok(())
    }

    /// One slice of a trim; if there is more to delete it queues again behind the entries.
    fn trim(&mut self, mut request: TrimRequest) -> Result<(), Fault> {
        let limit = request.claimed.unwrap_or(Offset::MAX).min(self.counters.head);
        let mut counters = self.counters.clone();
        let slice = match retention::delete_slice(&self.shared, &mut counters, limit, now_us()) {
            Ok(slice) => slice,
            Err(fault) => {
                self.attempt = Some(Attempt::Other { counters, next: self.next });
                // whoever asked may be gone
                let _ = request.answer.send(Err(Told::new(&fault).fault()));
                return Err(fault);
            }
        };
        request.done.blocks += slice.blocks;
        request.done.events += slice.events;
        request.done.bytes += slice.bytes;
        request.done.first = counters.first;
        if slice.blocks > 0 {
            self.adopt(counters, self.next);
            self.disk_works();
        }
        let mut requests = self.shared.inbox.lock();
        if slice.blocks > 0 {
            requests.blocked = false;
        }
        if slice.more {
            requests.trims.push_back(request);
        } else {
            let _ = request.answer.send(Ok(request.done));
        }
        Ok(())
    }
}

/// Microseconds since 1970.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
