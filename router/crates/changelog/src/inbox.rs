//! What the writer is asked to do: a bounded queue of entries, and requests that pass them by.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forebay_model::{Block, Fault, Note, Offset, Position};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Entry, Trimmed};

/// Something in the queue.
#[derive(Debug)]
pub(crate) enum Item {
    /// A block, a position, or both.
    Entry {
        block: Option<Block>,
        position: Option<Position>,
        notes: Vec<Note>,
        /// Store it although it passes the quota.
        past_quota: bool,
        /// Bytes, as [`weight`](crate::codec::weight) counts them.
        weight: usize,
        /// Its place among all that was ever accepted.
        number: u64,
        /// Its share of the queue; given back when it is durable.
        permit: OwnedSemaphorePermit,
    },
    /// Forget the blocks of the unfinished transaction; with `all`, also every entry before that is not stored.
    Discard { done: oneshot::Sender<()>, number: u64, all: bool },
}

impl Item {
    /// A position without a block or notes.
    pub(crate) fn is_position_only(&self) -> bool {
        matches!(self, Item::Entry { block: None, notes, .. } if notes.is_empty())
    }

    fn weight(&self) -> usize {
        match self {
            Item::Entry { weight, .. } => *weight,
            Item::Discard { .. } => 0,
        }
    }
}

/// A trim that somebody waits for.
#[derive(Debug)]
pub(crate) struct TrimRequest {
    pub(crate) claimed: Option<Offset>,
    /// What was deleted so far.
    pub(crate) done: Trimmed,
    pub(crate) answer: oneshot::Sender<Result<Trimmed, Fault>>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    inner: Mutex<Requests>,
    changed: Condvar,
}

/// What is asked for at the moment.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) items: VecDeque<Item>,
    /// Bytes of the items.
    pub(crate) weight: usize,
    pub(crate) trims: VecDeque<TrimRequest>,
    /// The number of the item accepted last.
    pub(crate) accepted: u64,
    /// Somebody waits for everything up to this number.
    pub(crate) flush: u64,
    pub(crate) closing: bool,
    /// The next item does not fit into the quota.
    pub(crate) blocked: bool,
    /// Why the writer ended.
    pub(crate) ended: Option<Told>,
}

/// A fault that several people are told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    code: forebay_model::Code,
    message: String,
    fix: String,
}

impl Told {
    pub(crate) fn new(fault: &Fault) -> Self {
        Told { code: fault.code(), message: fault.message(), fix: fault.remedy().to_owned() }
    }

    pub(crate) fn fault(&self) -> Fault {
        Fault::new(self.code, self.message.clone()).fix(self.fix.clone())
    }
}

impl Inbox {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Requests> {
        // every change is whole before anything can panic
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the requests and wakes the writer.
    pub(crate) fn ask<R>(&self, change: impl FnOnce(&mut Requests) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_one();
        result
    }

    /// The writer waits for a change, at most so long.
    pub(crate) fn wait<'a>(
        &self,
        guard: MutexGuard<'a, Requests>,
        most: Option<Duration>,
    ) -> MutexGuard<'a, Requests> {
        match most {
            None => self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                self.changed.wait_timeout(guard, most).map_or_else(|e| e.into_inner().0, |(guard, _)| guard)
            }
        }
    }
}

impl Requests {
    /// Accepts an entry. A mere position takes the place of the one before it, if that is also a mere position.
    pub(crate) fn accept(
        &mut self,
        Entry { block, position, notes, past_quota }: Entry,
        weight: usize,
        permit: OwnedSemaphorePermit,
    ) {
        self.accepted += 1;
        let number = self.accepted;
        if block.is_none()
            && notes.is_empty()
            && let Some(last) = self.items.back()
            && last.is_position_only()
        {
            self.items.pop_back();
        } else {
            self.weight += weight;
        }
        self.items.push_back(Item::Entry { block, position, notes, past_quota, weight, number, permit });
    }

    /// Forgets what is queued of an unfinished transaction, and asks for the rest of it to be forgotten.
    pub(crate) fn discard(&mut self, done: oneshot::Sender<()>) {
        let gone = drop_open(&mut self.items);
        self.weight -= gone;
        self.accepted += 1;
        self.items.push_back(Item::Discard { done, number: self.accepted, all: false });
    }

    /// Forgets all that is queued, and asks for the stored blocks of an unfinished transaction to be forgotten.
    pub(crate) fn discard_all(&mut self, done: oneshot::Sender<()>) {
        self.items.clear();
        self.weight = 0;
        self.blocked = false;
        self.accepted += 1;
        self.items.push_back(Item::Discard { done, number: self.accepted, all: true });
    }

    /// Takes the entries before the next discard, up to some bytes, at least one.
    pub(crate) fn take(&mut self, most: usize) -> VecDeque<Item> {
        let mut taken = VecDeque::new();
        let mut bytes = 0;
        while bytes < most
            && let Some(item) = self.items.pop_front_if(|item| matches!(item, Item::Entry { .. }))
        {
            bytes += item.weight();
            taken.push_back(item);
        }
        self.weight -= bytes;
        taken
    }

    /// Puts entries back that were not committed.
    pub(crate) fn put_back(&mut self, mut items: VecDeque<Item>) {
        match self.items.front() {
            Some(Item::Discard { all: true, .. }) => items.clear(),
            Some(Item::Discard { .. }) => drop(drop_open(&mut items)),
            _ => {}
        }
        self.weight += items.iter().map(Item::weight).sum::<usize>();
        while let Some(item) = items.pop_back() {
            self.items.push_front(item);
        }
    }
}

/// Drops the last entries down to one with a position or another kind of item; returns their bytes.
fn drop_open(items: &mut VecDeque<Item>) -> usize {
    let open = |item: &mut Item| matches!(item, Item::Entry { position: None, .. });
    std::iter::from_fn(|| items.pop_back_if(open)).map(|item| item.weight()).sum()
}
