//! What one plugin has in one route, over all its uses, tables and instances: its counters, its idle instances, its part of the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forebay_model::Code;

use crate::meter::{Meter, Usage};
use crate::plugin_log::LogRate;
use crate::pool::Pool;

/// See the module. Bindings that are given the same one share it.
#[derive(Default)]
pub struct Share {
    pub(crate) meter: Arc<Meter>,
    pub(crate) log: Arc<LogRate>,
    pub(crate) pool: Pool,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("usage", &self.usage()).finish_non_exhaustive()
    }
}

impl Share {
    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        Usage { log_lines_left_out: self.log.left_out(), ..self.meter.read() }
    }

    /// Counts a call that failed, and says so in the log, but not each time.
    pub(crate) fn failed(&self, plugin: &str, table: &str, code: Code, message: &str) {
        self.meter.failed(code.name, message);
        if let Some(untold) = self.log.may_complain() {
            tracing::warn!(plugin, table, code = code.name, untold, "a plugin failed at a batch: {message}");
        }
    }
}

/// A number for a binding that no other has.
pub(crate) fn next_binding() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}
