//! Work that blocks a thread (files, the terminal), done so that other tasks go on.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs the work here and now. Unlike a hand-over to another thread it cannot be left half done by dropping the future
/// around it. On a runtime with one thread, that thread waits.
pub(crate) fn run<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
