//! Reading from any offset: near the head from memory, further back from the file.
//!
//! A reader never sees past the last durable commit (invariant 2). It takes blocks from the file one at a time, one ahead, so that a
//! reader far behind neither pushes recent blocks out of memory nor keeps a read transaction open.

use std::fmt;
use std::sync::Arc;

use arrow_buffer::Buffer;
use forebay_model::{Block, Fault, Offset, Origin};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::codec::{self, Damage, Head};
use crate::codes;
use crate::file::{HEADS, PIECES};
use crate::pieces;
use crate::shared::Shared;

/// Whether a reader wants a table, by database and table.
pub type Want = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// Heads looked at in one go when no block is wanted.
const HEADS_AT_ONCE: usize = 512;

/// Reads blocks in offset order. See [`Log::reader`](crate::Log::reader).
pub struct Reader {
    shared: Arc<Shared>,
    head: watch::Receiver<Offset>,
    offset: Offset,
    want: Option<Want>,
    /// A block that is being read from the file, and its offset.
    ahead: Option<(Offset, Reading)>,
}

/// A read of the file under way.
type Reading = JoinHandle<Result<Arc<Block>, Fault>>;

/// What lies at an offset.
enum At {
    Head,
    Memory(Arc<Block>),
    File,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, offset: Offset) -> Self {
        let head = shared.head.clone();
        Reader { shared, head, offset, want: None, ahead: None }
    }

    /// Only blocks with a table for which `want(database, table)` is true are read whole. For others an empty [`Block`] (no
    /// batches) says which offsets were passed; it may stand for several blocks. A wanted block comes with all of its
    /// tables.
    #[must_use]
    pub fn wanting(mut self, want: Want) -> Self {
        self.want = Some(want);
        self.ahead = None;
        self
    }

    /// The offset that comes next.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The next block; waits at the head. The first one may start before the reader's offset: the caller cuts it with
    /// [`Block::slice`]. May be dropped at any time without losing a block.
    ///
    /// # Errors
    /// `changelog.trimmed` if retention deleted the offset meanwhile; `changelog.damaged`; the writer's fault or
    /// `changelog.closed` once the log has ended.
    pub async fn next(&mut self) -> Result<Arc<Block>, Fault> {
        loop {
            if let Some(block) = self.try_next().await? {
                return Ok(block);
            }
            if self.head.changed().await.is_err() {
                return Err(self.shared.ended());
            }
        }
    }

    /// The next block, or `None` at the head. It reads the file if it must, but does not wait for new events.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub async fn try_next(&mut self) -> Result<Option<Arc<Block>>, Fault> {
        let block = match self.at(self.offset)? {
            At::Head => return Ok(None),
            At::Memory(block) => {
                self.ahead = None;
                self.offset = block.end();
                return Ok(Some(block));
            }
            At::File => self.take_from_file().await?,
        };
        self.offset = block.end();
        if let Ok(At::File) = self.at(self.offset) {
            self.read_ahead();
        }
        Ok(Some(block))
    }

    fn at(&self, offset: Offset) -> Result<At, Fault> {
        let recent = self.shared.recent();
        if offset >= recent.counters.head {
            return Ok(At::Head);
        }
        if offset < recent.counters.first {
            return Err(trimmed(&self.shared, offset, recent.counters.first));
        }
        let Some(block) = recent.tail.get(offset).cloned() else { return Ok(At::File) };
        drop(recent);
        let wanted = |want: &Want| block.batches.iter().any(|b| want(&b.table.database, &b.table.table));
        let wanted = self.want.as_ref().is_none_or(wanted);
        Ok(At::Memory(if wanted { block } else { Arc::new(empty(block.first, block.events)) }))
    }

    fn read_ahead(&mut self) {
        let (shared, want, offset) = (self.shared.clone(), self.want.clone(), self.offset);
        self.ahead =
            Some((offset, spawn_blocking(move || read(&shared, offset, want.as_ref()).map(Arc::new))));
    }

    async fn take_from_file(&mut self) -> Result<Arc<Block>, Fault> {
        if self.ahead.as_ref().is_none_or(|(offset, _)| *offset != self.offset) {
            self.read_ahead();
        }
        let Some((_, reading)) = &mut self.ahead else { unreachable!("it was just started") };
        let result = reading.await;
        self.ahead = None;
        match result {
            Ok(result) => result,
            Err(e) if e.is_panic() => Err(self.shared.file.damage(
                self.offset,
                self.offset + 1,
                Damage("the file's own structure is wrong"),
            )),
            Err(_) => Err(self.shared.file.closed()),
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("offset", &self.offset)
            .field("filtered", &self.want.is_some())
            .finish()
    }
}

/// The fault of an offset that retention deleted.
pub(crate) fn trimmed(shared: &Shared, offset: Offset, first: Offset) -> Fault {
    let path = shared.file.path().display();
    Fault::new(
        codes::TRIMMED,
        format!(
            "the events {offset} to {} are no longer in changelog {path}: it starts at {first}",
            first - 1
        ),
    )
    .fix(format!("set the route's offset to {first} and accept the gap, or take a new snapshot"))
}

fn empty(first: Offset, events: u32) -> Block {
    Block { first, events, origin: Arc::new(Origin::default()), batches: Vec::new() }
}

/// Reads the visible block that covers `offset` from the file.
pub(crate) fn read(shared: &Shared, offset: Offset, want: Option<&Want>) -> Result<Block, Fault> {
    let result = try_read(shared, offset, want);
    // a trim may have come between
    let first = shared.recent().counters.first;
    if result.is_err() && offset < first {
        return Err(trimmed(shared, offset, first));
    }
    result
}

enum Found {
    Unwanted(Block),
    Wanted(Head, Buffer),
}

fn try_read(shared: &Shared, offset: Offset, want: Option<&Want>) -> Result<Block, Fault> {
    let file = &shared.file;
    let fault = |e: redb::Error| file.fault("reading", e);
    let upto = shared.recent().counters.head;
    let found = shared.read(|txn| {
        let heads = txn.open_table(HEADS).map_err(|e| fault(e.into()))?;
        let gone = || file.damage(offset, offset + 1, Damage("a block is missing"));
        let mut head = file.head_at(&heads, offset)?.ok_or_else(gone)?;
        if !wanted(shared, &head, want) {
            let (first, mut end) = (head.first, head.end());
            for _ in 1..HEADS_AT_ONCE {
                if end >= upto {
                    break;
                }
                head = file.head_at(&heads, end)?.ok_or_else(gone)?;
                if wanted(shared, &head, want) || u32::try_from(head.end() - first).is_err() {
                    break;
                }
                end = head.end();
            }
            return Ok(Found::Unwanted(empty(first, (end - first) as u32)));
        }
        let bodies = txn.open_table(PIECES).map_err(|e| fault(e.into()))?;
        let body = pieces::body(&bodies, head.first).map_err(|e| fault(e.into()))?;
        let parts: Vec<&[u8]> = body.iter().map(|part| part.value()).collect();
        let body =
            codec::unpack(&head, &parts).map_err(|damage| file.damage(head.first, head.end(), damage))?;
        Ok(Found::Wanted(head, body))
    })?;
    match found {
        Found::Unwanted(block) => Ok(block),
        Found::Wanted(head, body) => {
            let damaged = |damage| file.damage(head.first, head.end(), damage);
            let tables: Option<Vec<_>> = head.tables.iter().map(|t| shared.schemas.get(t.schema)).collect();
            let tables = tables.ok_or_else(|| damaged(Damage("the schema of a table is missing")))?;
            codec::decode(&head, body, &tables).map_err(damaged)
        }
    }
}

fn wanted(shared: &Shared, head: &Head, want: Option<&Want>) -> bool {
    let Some(want) = want else { return true };
    // one without a schema is damage: reading it says so
    head.tables
        .iter()
        .any(|t| shared.schemas.get(t.schema).is_none_or(|table| want(&table.database, &table.table)))
}
