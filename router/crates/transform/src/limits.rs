//! What a plugin may use, and how that is held.

use std::time::Duration;

use wasmtime::{Error, ResourceLimiter, Result};

/// How often the epoch rises: the grain of [`Limits::batch_time`], and how long a guest runs before it lets other
/// tasks have the thread.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What an instance of a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all parts of an instance together, in bytes.
    pub memory_bytes: usize,
    /// Linear memory of all instances of the plugin in one route together, in bytes: those that were not used for longest go, and are
    /// opened again when they are needed. Never less than what one of them may have.
    pub pool_bytes: usize,
    /// How long one call may run, counted in ticks of 10 ms during which it had a thread: a busy or sleeping machine
    /// does not fail a plugin.
    pub batch_time: Duration,
    /// Bytes that one call may hand to the host.
    pub output_bytes: usize,
    /// Log lines of all instances of the plugin in one route; more are counted and left out.
    pub log_lines_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 64 << 20,
            pool_bytes: 256 << 20,
            batch_time: Duration::from_secs(1),
            output_bytes: 64 << 20,
            log_lines_per_second: 20,
        }
    }
}

impl Limits {
    /// How many ticks a call may see.
    pub(crate) fn ticks(&self) -> u32 {
        u32::try_from(self.batch_time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX).max(1)
    }
}

/// Holds an instance to its memory. A growth that is refused ends the call: the guest could do nothing better, and
/// the operator reads "memory" and not "unreachable".
#[derive(Debug)]
pub(crate) struct Memory {
    allowed: usize,
    pub(crate) used: usize,
    /// What a refused growth would have taken.
    pub(crate) refused: Option<usize>,
}

/// References that an instance's tables may hold together; a large Go program has some ten thousand.
const TABLE_ELEMENTS: usize = 1 << 20;

impl Memory {
    pub(crate) fn new(allowed: usize) -> Memory {
        Memory { allowed, used: 0, refused: None }
    }

    /// What it has, in bytes.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.allowed {
            self.refused = Some(used);
            return Err(Error::msg("more memory than is allowed"));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        32
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        8
    }
}
