//! The handle of one source's changelog.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use forebay_model::{Fault, Offset, Position, TableSchema};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;

use crate::codec::weight;
use crate::codes;
use crate::file::{File, HEADS};
use crate::inbox::TrimRequest;
use crate::options::{Entry, Options, State, Trimmed};
use crate::reader::{self, Reader};
use crate::recent::{Paused, Recent, Tail, family};
use crate::schemas::Schemas;
use crate::shared::{Shared, queue_permits};
use crate::writer::Writer;

/// What a position without a block takes of the queue.
const POSITION_WEIGHT: usize = 1024;

/// One source's changelog: cheap to clone, and shared by the source and every route.
///
/// The last clone that goes stops the writer and closes the file (it blocks for the last commit; [`Log::close`] does the same without
/// blocking the runtime). Readers outlive it, but only to be told `changelog.closed`.
#[derive(Clone, Debug)]
pub struct Log {
    owner: Arc<Owner>,
}

/// Stops the writer when the last handle goes.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    id: u64,
}

impl Log {
    /// Opens the changelog in a file, or makes a new one. Blocks of a transaction that was not finished are forgotten. Blocking,
    /// for as long as reading the whole file takes if the last process was killed: call it under `spawn_blocking`.
    ///
    /// # Errors
    /// `changelog.in_use`, `changelog.damaged`, `changelog.newer_format`, `changelog.disk_full`, `changelog.io`.
    pub fn open(path: &Path, options: Options) -> Result<Log, Fault> {
        let (file, loaded) = File::open(path, options.cache_bytes)?;
        let counters = loaded.counters;
        let id = loaded.id;
        tracing::info!(
            path = %path.display(), first = counters.first, head = counters.head, bytes = counters.bytes,
            "opened the changelog"
        );
        let schemas = Schemas::load(loaded.schemas, counters.next_schema, counters.head);
        let (head_sender, head) = watch::channel(counters.head);
        let (durable_sender, durable) = watch::channel(0);
        let recent = Recent {
            next: counters.head,
            counters,
            position: loaded.position,
            noted: BTreeMap::new(),
            commits: 0,
            last_commit_us: 0,
            paused: None,
            tail: Tail::new(options.tail_bytes),
        };
        let shared = Arc::new(Shared::new(options, file, schemas, recent, head, durable));
        let writer = Writer::new(shared.clone(), head_sender, durable_sender);
        let thread = std::thread::Builder::new().name("changelog".into()).spawn(move || writer.run());
        let thread = thread.map_err(|e| {
            Fault::new(codes::IO, format!("no thread for the writer of changelog {}", path.display()))
                .cause(e)
        })?;
        Ok(Log { owner: Arc::new(Owner { shared, writer: Mutex::new(Some(thread)), id }) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Hands the next events or a new position to the writer; waits while the queue is full, and with it while the quota is
    /// reached or the disk refuses: what was accepted is kept and tried again ([`State::paused`] says why). `Ok` means accepted, not durable: see [`Log::flush`]. A dropped call has accepted all or nothing.
    ///
    /// # Errors
    /// The fault that ended the writer; what was accepted but not committed is then gone, and the source goes on from
    /// [`Log::position`] after opening again.
    pub async fn append(&self, entry: Entry) -> Result<(), Fault> {
        let shared = self.shared();
        let block = entry.block.filter(|block| block.events > 0);
        assert!(entry.notes.is_empty() || entry.position.is_some(), "notes go with a position");
        if block.is_none() && entry.position.is_none() {
            return Ok(());
        }
        if cfg!(debug_assertions) {
            block.iter().flat_map(|block| &block.batches).for_each(forebay_model::Batch::check);
        }
        let noted: usize =
            entry.notes.iter().map(|n| n.key.len() + n.value.as_ref().map_or(0, Vec::len)).sum();
        let weight = block.as_ref().map_or(POSITION_WEIGHT, weight) + noted;
        let permits = weight.min(queue_permits(&shared.options)) as u32;
        let Ok(permit) = shared.room.clone().acquire_many_owned(permits).await else {
            return Err(shared.ended());
        };
        shared.inbox.ask(|requests| match &requests.ended {
            Some(ended) => Err(ended.fault()),
            None => {
                requests.accept(Entry { block, ..entry }, weight, permit);
                Ok(())
            }
        })
    }

    /// Waits until everything accepted so far is durable.
    ///
    /// # Errors
    /// The fault that ended the writer.
    pub async fn flush(&self) -> Result<(), Fault> {
        let shared = self.shared();
        let mut durable = shared.durable.clone();
        let upto = shared.inbox.ask(|requests| {
            requests.flush = requests.accepted;
            requests.accepted
        });
        match durable.wait_for(|number| *number >= upto).await {
            Ok(_) => Ok(()),
            Err(_) => Err(shared.ended()),
        }
    }

    /// Forgets the blocks of the unfinished transaction, queued or stored: after a broken connection the source reads them
    /// again from [`Log::position`].
    ///
    /// # Errors
    /// The fault that ended the writer.
    pub async fn discard_open(&self) -> Result<(), Fault> {
        let (done, discarded) = oneshot::channel();
        let shared = self.shared();
        shared.inbox.ask(|requests| match &requests.ended {
            Some(ended) => Err(ended.fault()),
            None => {
                requests.discard(done);
                Ok(())
            }
        })?;
        discarded.await.map_err(|_| shared.ended())
    }

    /// Forgets all that was accepted and is not durable, without waiting for room: the source reads it again from
    /// [`Log::position`]. A [`flush`](Self::flush) that waits for any of it is answered as if it were stored.
    ///
    /// # Errors
    /// The fault that ended the writer.
    pub async fn discard_queued(&self) -> Result<(), Fault> {
        let (done, discarded) = oneshot::channel();
        let shared = self.shared();
        shared.inbox.ask(|requests| match &requests.ended {
            Some(ended) => Err(ended.fault()),
            None => {
                requests.discard_all(done);
                Ok(())
            }
        })?;
        discarded.await.map_err(|_| shared.ended())
    }

    /// Whether the source waits because the quota is reached.
    pub fn is_full(&self) -> bool {
        matches!(self.shared().recent().paused, Some(Paused::Quota(_)))
    }

    /// The position of the last durable commit of whole transactions.
    pub fn position(&self) -> Option<Position> {
        self.shared().recent().position.clone()
    }

    /// What the source noted with its positions (see [`Entry::notes`]), by key, as of [`Log::position`]. Blocking.
    ///
    /// # Errors
    /// `changelog.damaged`, `changelog.io`, `changelog.closed`.
    pub fn notes(&self) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        self.notes_under("")
    }

    /// Those of the [notes](Self::notes) whose key begins so. Blocking.
    ///
    /// # Errors
    /// `changelog.damaged`, `changelog.io`, `changelog.closed`.
    pub fn notes_under(&self, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let shared = self.shared();
        shared.read(|txn| shared.file.notes(txn, prefix))
    }

    /// How many commits since the log was opened held notes of the family that the key belongs to (all whose keys begin as it does, up to
    /// the first `/`).
    pub fn times_noted(&self, key: &str) -> u64 {
        self.shared().recent().noted.get(family(key)).copied().unwrap_or(0)
    }

    /// Every version of a table that stored events are of.
    pub fn tables(&self) -> Vec<Arc<TableSchema>> {
        self.shared().schemas.all()
    }

    /// How many versions of tables there were so far: [`tables`](Self::tables) has new ones once this has grown.
    pub fn tables_so_far(&self) -> u32 {
        self.shared().schemas.next()
    }

    /// A random number that the file got when it was made: a changelog that was made anew has another one, and its offsets are
    /// other events.
    pub fn id(&self) -> u64 {
        self.owner.id
    }

    /// The oldest event kept.
    pub fn first(&self) -> Offset {
        self.shared().recent().counters.first
    }

    /// One past the newest visible event.
    pub fn head(&self) -> Offset {
        self.shared().recent().counters.head
    }

    /// What the log says about itself.
    pub fn state(&self) -> State {
        let shared = self.shared();
        let file_bytes = shared.file.len();
        let queued_bytes = shared.inbox.lock().weight as u64;
        let recent = shared.recent();
        State {
            first: recent.counters.first,
            head: recent.counters.head,
            open_events: recent.next - recent.counters.head,
            bytes: recent.counters.bytes,
            file_bytes,
            blocks: recent.counters.blocks,
            tail_bytes: recent.tail.bytes() as u64,
            queued_bytes,
            commits: recent.commits,
            last_commit_us: recent.last_commit_us,
            paused: recent.paused.as_ref().map(|paused| paused.why().to_owned()),
        }
    }

    /// The head, to be told when it moves; it ends when the log is closed or its writer fails.
    pub fn watch(&self) -> watch::Receiver<Offset> {
        self.shared().head.clone()
    }

    /// Reads from an offset on.
    ///
    /// # Errors
    /// `changelog.trimmed` if the offset is older than the oldest event kept, `changelog.ahead` if it lies beyond the head.
    pub fn reader(&self, from: Offset) -> Result<Reader, Fault> {
        let shared = self.shared();
        let (first, head) = {
            let recent = shared.recent();
            (recent.counters.first, recent.counters.head)
        };
        if from < first {
            return Err(reader::trimmed(shared, from, first));
        }
        if from > head {
            let path = shared.file.path().display();
            let what = format!("offset {from} lies beyond the head {head} of changelog {path}");
            return Err(Fault::new(codes::AHEAD, what).fix(format!(
                "the changelog was made anew or put back from a copy; set the offset to one between {first} and {head}"
            )));
        }
        Ok(Reader::new(shared.clone(), from))
    }

    /// Deletes blocks that the retention lets go and that every claim is past. `claimed` is the slowest route's offset; `None`: no
    /// route claims anything. Large deletions make way for new events between slices.
    ///
    /// # Errors
    /// `changelog.disk_full` or `changelog.io`, at once, while the disk refuses: what was deleted stays deleted, call again. The
    /// fault that ended the writer.
    pub async fn trim(&self, claimed: Option<Offset>) -> Result<Trimmed, Fault> {
        let shared = self.shared();
        let (answer, trimmed) = oneshot::channel();
        shared.inbox.ask(|requests| match &requests.ended {
            Some(ended) => Err(ended.fault()),
            None => {
                requests.trims.push_back(TrimRequest { claimed, done: Trimmed::default(), answer });
                Ok(())
            }
        })?;
        trimmed.await.unwrap_or_else(|_| Err(shared.ended()))
    }

    /// The first event committed at or after a time (microseconds since 1970); the head if there is none. Commit times are the
    /// server's; where they do not rise, the offset may be an earlier one, never one that skips an event of that time.
    ///
    /// # Errors
    /// `changelog.damaged`, `changelog.io`, `changelog.closed`.
    pub async fn offset_at(&self, us: u64) -> Result<Offset, Fault> {
        let shared = self.shared().clone();
        let closed = self.shared().clone();
        match spawn_blocking(move || offset_at(&shared, us)).await {
            Ok(result) => result,
            Err(_) => Err(closed.file.closed()),
        }
    }

    /// Commits what was accepted (except what waits for room or for the disk), stops the writer and closes the file, whoever else still has a
    /// handle; when it returns the file can be opened again.
    ///
    /// # Errors
    /// The fault that ended the writer, if one did; the file is closed all the same.
    pub async fn close(self) -> Result<(), Fault> {
        let owner = self.owner.clone();
        // a panic inside is the writer's or redb's: the thread is gone in any case
        let _ = spawn_blocking(move || owner.stop()).await;
        let ended = self.shared().ended();
        if ended.code() == codes::CLOSED { Ok(()) } else { Err(ended) }
    }
}

impl Owner {
    fn stop(&self) {
        self.shared.inbox.ask(|requests| requests.closing = true);
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // it catches its own panics and tells them as faults
            let _ = thread.join();
        }
        // a damaged file can make redb panic while it closes; a drop must not
        let _ = catch_unwind(AssertUnwindSafe(|| self.shared.file.close()));
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binary search over the heads' last commit times, which never fall, then over the block's own transactions.
fn offset_at(shared: &Shared, us: u64) -> Result<Offset, Fault> {
    let (first, head) = {
        let recent = shared.recent();
        (recent.counters.first, recent.counters.head)
    };
    let found = shared.read(|txn| {
        let heads = txn.open_table(HEADS).map_err(|e| shared.file.fault("reading", e))?;
        let (mut low, mut high) = (first, head);
        while low < high {
            let middle = low + (high - low) / 2;
            match shared.file.head_at(&heads, middle)? {
                Some(block) if block.last_us >= us => high = block.first.max(first),
                Some(block) => low = block.end(),
                // trimmed meanwhile
                None => low = middle + 1,
            }
        }
        Ok(low.min(head))
    })?;
    if found >= head {
        return Ok(head);
    }
    let block = reader::read(shared, found, None)?;
    let runs = block.batches.iter().flat_map(|batch| &batch.runs);
    let late =
        runs.filter(|run| block.origin.txns[run.txn as usize].commit_us >= us).map(|run| run.event).min();
    Ok(block.first + Offset::from(late.unwrap_or(0)))
}
