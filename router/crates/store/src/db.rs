//! The file: opening it, its format, transactions, and how records stand in it.
//!
//! After an I/O error redb refuses everything until its file is opened anew. That is done before the next read or write, so that a
//! full disk is over when there is room, without a restart.
//!
//! A record is a CRC-32 (4 bytes, little-endian) and JSON: redb's own checksums are only looked at after a crash, so a
//! byte that rots later is found here. Raw bytes (plugins, dead events) carry their own proof.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use forebay_model::Fault;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::codes;

/// The format that this version reads and writes.
const FORMAT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// redb's default is 1 GiB; control state is small and read seldom.
const CACHE_BYTES: usize = 4 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Dead letters of one route, after which more are refused. Default 100,000.
    pub dead_letters_per_route: u64,
    /// Audit entries, of which the oldest are dropped. Default 10,000.
    pub audit_entries: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { dead_letters_per_route: 100_000, audit_entries: 10_000 }
    }
}

/// The control file. Cheap to clone; the file closes with the last clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// One permit: writers wait here, in order, and not on a thread.
    writer: Arc<Semaphore>,
}

struct Shared {
    /// `None` while it cannot be opened anew. Whoever reads or writes holds the read lock meanwhile.
    db: RwLock<Option<Database>>,
    /// The disk refused something: to be opened anew.
    broken: AtomicBool,
    path: PathBuf,
    bounds: Bounds,
}

/// What a write transaction did.
pub(crate) enum Done<T> {
    /// To be committed.
    Changed(T),
    /// Nothing to commit.
    Same(T),
}

impl Store {
    /// Opens the control file, or makes it (readable by its owner only: dead letters hold rows).
    ///
    /// # Errors
    /// `store.in_use`, `store.damaged`, `store.newer_format` or `store.io`.
    pub fn open(path: &Path) -> Result<Store, Fault> {
        Store::open_bounded(path, Bounds::default())
    }

    /// As [`open`](Self::open), with other bounds.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_bounded(path: &Path, bounds: Bounds) -> Result<Store, Fault> {
        let file = open_file(path).map_err(|e| io_fault(path, e))?;
        let db = builder().create_file(file).map_err(|e| fault(path, e.into()))?;
        let (db, broken) = (RwLock::new(Some(db)), AtomicBool::new(false));
        let shared = Arc::new(Shared { db, broken, path: path.to_owned(), bounds });
        shared.write(prepare)?;
        Ok(Store { shared, writer: Arc::new(Semaphore::new(1)) })
    }

    /// The bounds it was opened with.
    pub fn bounds(&self) -> Bounds {
        self.shared.bounds
    }

    /// Reads in one consistent view.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&ReadTransaction) -> Result<T, Failure>) -> Result<T, Fault> {
        self.shared.with(|db| f(&db.begin_read()?))
    }

    /// Writes in one durable commit, off the async threads.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        f: impl FnOnce(&WriteTransaction) -> Result<Done<T>, Failure> + Send + 'static,
    ) -> Result<T, Fault> {
        let stopping = || Fault::new(codes::STOPPING, "the control file takes no more writes");
        let permit = self.writer.clone().acquire_owned().await.map_err(|e| stopping().cause(e))?;
        let shared = self.shared.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            shared.write(f)
        });
        match work.await {
            Ok(result) => result,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(e) => Err(stopping().cause(e)),
        }
    }
}

impl Shared {
    fn write<T>(&self, f: impl FnOnce(&WriteTransaction) -> Result<Done<T>, Failure>) -> Result<T, Fault> {
        self.with(|db| {
            let tx = db.begin_write()?;
            // A transaction that is dropped is undone.
            match f(&tx)? {
                Done::Changed(value) => tx.commit().map(|()| value).map_err(Failure::from),
                Done::Same(value) => tx.abort().map(|()| value).map_err(Failure::from),
            }
        })
    }

    /// Runs `f` on the open database, which is opened anew first if the disk refused something.
    fn with<T>(&self, f: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, Fault> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let guard = self.db.read().unwrap_or_else(PoisonError::into_inner);
        // another one found it broken, and it cannot be opened
        let db = guard.as_ref().ok_or_else(|| io_fault(&self.path, redb::Error::PreviousIo))?;
        f(db).map_err(|failure| {
            let fault = failure.into_fault(&self.path);
            if fault.code() == codes::IO {
                // nobody opens it anew before the guard is dropped
                self.broken.store(true, Ordering::Release);
            }
            fault
        })
    }

    /// Waits for whoever reads or writes. Costs as much as opening after a crash: reading the file once.
    fn reopen(&self) -> Result<(), Fault> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        *db = None;
        // never a new one in the place of one that was moved away
        let opened = builder().open(&self.path).map_err(|e| fault(&self.path, e.into()))?;
        *db = Some(opened);
        self.broken.store(false, Ordering::Release);
        tracing::info!("opened the control file anew after an I/O error");
        Ok(())
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_repair_callback(|_| tracing::info!("the control file was not closed; checking it"));
    builder
}

/// Checks the format of a file that was just opened; a new file gets its tables.
fn prepare(tx: &WriteTransaction) -> Result<Done<()>, Failure> {
    let is_new = tx.list_tables()?.next().is_none();
    let mut meta = tx.open_table(META)?;
    if is_new {
        meta.insert("format", FORMAT)?;
        crate::documents::create_tables(tx)?;
        crate::checkpoints::create_tables(tx)?;
        crate::plugins::create_tables(tx)?;
        crate::dead_letters::create_tables(tx)?;
        crate::audit::create_tables(tx)?;
        crate::notes::create_tables(tx)?;
        return Ok(Done::Changed(()));
    }
    let format = meta.get("format")?.map(|found| found.value());
    match format {
        Some(FORMAT) => match crate::notes::create_tables(tx)? {
            true => Ok(Done::Changed(())),
            false => Ok(Done::Same(())),
        },
        Some(newer) if newer > FORMAT => Err(Failure::Fault(
            Fault::new(
                codes::NEWER_FORMAT,
                format!("the control file has format {newer}, and this version reads format {FORMAT}"),
            )
            .fix("run the version that wrote it, or give another data directory"),
        )),
        _ => Err(Failure::Damaged("it holds no format number, so it is no control file")),
    }
}

fn open_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What goes wrong inside a transaction.
pub(crate) enum Failure {
    Redb(redb::Error),
    Fault(Fault),
    Damaged(&'static str),
}

impl Failure {
    fn into_fault(self, path: &Path) -> Fault {
        match self {
            Failure::Redb(e) => fault(path, e),
            Failure::Fault(fault) => fault,
            Failure::Damaged(how) => damaged(path).cause(how),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

macro_rules! failures_of_redb {
    ($($error:ident)*) => { $(
        impl From<redb::$error> for Failure {
            fn from(e: redb::$error) -> Self {
                Failure::Redb(e.into())
            }
        }
    )* };
}
failures_of_redb!(StorageError TableError TransactionError CommitError);

fn damaged(path: &Path) -> Fault {
    Fault::new(codes::DAMAGED, format!("control file {} cannot be trusted", path.display()))
        .fix("put a backup of it in its place, or move it away, start with an empty one and apply the definitions again")
}

fn io_fault(path: &Path, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::new(codes::IO, format!("control file {}", path.display()))
        .fix("check that the directory exists, its rights, and the free space")
        .cause(e)
}

fn fault(path: &Path, e: redb::Error) -> Fault {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match e {
        redb::Error::DatabaseAlreadyOpen => {
            Fault::new(codes::IN_USE, format!("control file {} is open in another process", path.display()))
                .fix("stop the other `forebay serve`, or give this one a data directory of its own")
        }
        redb::Error::UpgradeRequired(version) => Fault::new(
            codes::NEWER_FORMAT,
            format!(
                "control file {} has redb format {version}, which this version does not read",
                path.display()
            ),
        )
        .fix("run the version that wrote it, or give another data directory"),
        redb::Error::Io(e) if !matches!(e.kind(), InvalidData | UnexpectedEof) => io_fault(path, e),
        e @ redb::Error::PreviousIo => io_fault(path, e),
        e => damaged(path).cause(e),
    }
}

/// A record as it stands in the file.
pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, record).expect("records have string keys and write to memory");
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The record that [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let (crc, json) = bytes.split_first_chunk::<4>().ok_or(Failure::Damaged("a record is cut short"))?;
    if crc32fast::hash(json) != u32::from_le_bytes(*crc) {
        return Err(Failure::Damaged("a record does not match its checksum"));
    }
    serde_json::from_slice(json).map_err(|_| Failure::Damaged("a record does not have the shape it should"))
}

/// Microseconds since 1970; 0 for a clock before that.
pub(crate) fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
