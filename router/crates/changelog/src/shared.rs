//! What the handles, the readers and the writer of one changelog share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_model::{Fault, Offset};
use redb::ReadTransaction;
use tokio::sync::{Semaphore, watch};

use crate::file::File;
use crate::inbox::Inbox;
use crate::options::Options;
use crate::recent::Recent;
use crate::schemas::Schemas;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) file: File,
    pub(crate) schemas: Schemas,
    pub(crate) inbox: Inbox,
    /// The queue's free bytes.
    pub(crate) room: Arc<Semaphore>,
    /// The head; its sender is the writer's, so that waiting ends when the writer does.
    pub(crate) head: watch::Receiver<Offset>,
    /// The number of the last accepted item that is durable.
    pub(crate) durable: watch::Receiver<u64>,
    recent: Mutex<Recent>,
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        file: File,
        schemas: Schemas,
        recent: Recent,
        head: watch::Receiver<Offset>,
        durable: watch::Receiver<u64>,
    ) -> Self {
        let room = Arc::new(Semaphore::new(queue_permits(&options)));
        let inbox = Inbox::default();
        Shared { options, file, schemas, inbox, room, head, durable, recent: Mutex::new(recent) }
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        // every change is whole before anything can panic
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file; if it breaks the writer, which may have nothing else to do, reopens it.
    pub(crate) fn read<R>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let result = self.file.read("reading", work);
        if result.is_err() && self.file.is_broken() {
            self.inbox.ask(|_| ());
        }
        result
    }

    /// Why the writer ended.
    pub(crate) fn ended(&self) -> Fault {
        self.inbox.lock().ended.as_ref().map_or_else(|| self.file.closed(), |ended| ended.fault())
    }
}

/// The queue's bound as a semaphore knows it: one permit a byte.
pub(crate) fn queue_permits(options: &Options) -> usize {
    options.queue_bytes.clamp(1, (u32::MAX as usize).min(Semaphore::MAX_PERMITS))
}
