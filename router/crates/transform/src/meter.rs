//! What a use of a plugin costs: counted where it is spent, read by whoever asks.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Counters of a plugin in a route, over all its instances. They only rise, but for the memory and the instances.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    calls: AtomicU64,
    images: AtomicU64,
    filtered: AtomicU64,
    rejected: AtomicU64,
    cpu_ns: AtomicU64,
    memory: AtomicU64,
    instances: AtomicU64,
    opened: AtomicU64,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    by_code: BTreeMap<&'static str, u64>,
    last: Option<Failure>,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The fault's code.
    pub code: &'static str,
    /// What happened, at most 500 bytes and without row values.
    pub message: String,
    /// When.
    pub at: SystemTime,
}

/// What a plugin has cost in a route, as far as it was counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls of `apply`.
    pub calls: u64,
    /// Row images that went into calls, each piece's once.
    pub images: u64,
    /// Events dropped.
    pub filtered: u64,
    /// Events rejected with a reason.
    pub rejected: u64,
    /// Thread CPU time in calls.
    pub cpu: Duration,
    /// Linear memory of the instances that there are, in bytes.
    pub memory_bytes: u64,
    /// Instances that there are.
    pub instances: u64,
    /// Instances that were opened.
    pub opened: u64,
    /// Log lines that were too many.
    pub log_lines_left_out: u64,
    /// Calls that ended in a trap, at a limit, or with what is not of the contract, by code.
    pub failures: BTreeMap<&'static str, u64>,
    /// The last of them.
    pub last_failure: Option<Failure>,
}

impl Meter {
    /// What was counted so far.
    pub(crate) fn read(&self) -> Usage {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        Usage {
            calls: self.calls.load(Relaxed),
            images: self.images.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            cpu: Duration::from_nanos(self.cpu_ns.load(Relaxed)),
            memory_bytes: self.memory.load(Relaxed),
            instances: self.instances.load(Relaxed),
            opened: self.opened.load(Relaxed),
            log_lines_left_out: 0,
            failures: failures.by_code.clone(),
            last_failure: failures.last.clone(),
        }
    }

    pub(crate) fn called(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    pub(crate) fn took(&self, images: usize) {
        self.images.fetch_add(images as u64, Relaxed);
    }

    pub(crate) fn left_out(&self, filtered: u64, rejected: u64) {
        self.filtered.fetch_add(filtered, Relaxed);
        self.rejected.fetch_add(rejected, Relaxed);
    }

    pub(crate) fn failed(&self, code: &'static str, message: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.by_code.entry(code).or_default() += 1;
        failures.last = Some(Failure { code, message: message.to_owned(), at: SystemTime::now() });
    }

    pub(crate) fn opened(&self) {
        self.instances.fetch_add(1, Relaxed);
        self.opened.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.instances.fetch_sub(1, Relaxed);
    }

    /// An instance that had `before` bytes has `now`.
    pub(crate) fn grew(&self, before: u64, now: u64) {
        if now >= before {
            self.memory.fetch_add(now - before, Relaxed);
        } else {
            self.memory.fetch_sub(before - now, Relaxed);
        }
    }

    /// Runs a call and counts the time for which it has the thread; its turns may be on several threads.
    pub(crate) async fn timed<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            let start = thread_ns();
            let polled = call.as_mut().poll(context);
            self.cpu_ns.fetch_add(thread_ns().saturating_sub(start), Relaxed);
            polled
        })
        .await
    }
}

/// CPU time of this thread.
fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}
