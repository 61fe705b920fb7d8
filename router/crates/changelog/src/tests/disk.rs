//! A disk that refuses: a redb backend that fails from a chosen operation on, until it is mended. And what the log does then.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use forebay_model::{Class, Note};

use super::blocks::numbered;
use super::{ids_from, piece, position, until, whole};
use crate::{Entry, Log, Options, codes};

static DISKS: LazyLock<Mutex<HashMap<PathBuf, Arc<Disk>>>> = LazyLock::new(Mutex::default);

/// How a disk behaves.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Writing operations until it refuses.
    left: AtomicI64,
    /// What is refused is done all the same, as when only the answer is lost.
    does_it: AtomicBool,
    refuses_reads: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Backend {
    file: File,
    disk: Arc<Disk>,
}

/// The disk under a file, if a test put one there.
pub(crate) fn of(path: &Path) -> Option<Backend> {
    let disk = DISKS.lock().unwrap().get(path)?.clone();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    Some(Backend { file, disk })
}

impl Disk {
    fn under(path: &Path, works_for: i64, does_it: bool) -> Arc<Disk> {
        let left = AtomicI64::new(works_for);
        let disk = Arc::new(Disk { left, does_it: does_it.into(), refuses_reads: false.into() });
        DISKS.lock().unwrap().insert(path.to_owned(), disk.clone());
        disk
    }

    fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
        self.refuses_reads.store(false, Ordering::SeqCst);
    }

    fn refuses(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    fn change(&self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return act();
        }
        if self.does_it.load(Ordering::SeqCst) {
            act()?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.disk.refuses_reads.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk does not answer"));
        }
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(|| Ok(()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.change(|| self.file.write_all_at(data, offset))
    }
}

fn options() -> Options {
    // all reading is from the file, and the file's pages are few
    Options { tail_bytes: 0, cache_bytes: 100_000, ..Options::default() }
}

/// Everything that a log is asked to write. Afterwards it holds the events 20 to 100.
async fn work(log: &Log) {
    let block = |ids: std::ops::Range<i64>| numbered(&format!("t{}", ids.start), ids, 500, 0);
    let flush = || async { log.flush().await.unwrap() };
    for n in [0, 10, 20] {
        log.append(whole(block(n..n + 10), n as u64 + 10)).await.unwrap();
        flush().await;
    }
    // blocks of an open transaction, stored and queued, forgotten
    log.append(piece(block(900..910))).await.unwrap();
    flush().await;
    log.append(piece(block(910..920))).await.unwrap();
    log.discard_open().await.unwrap();
    let note = Note { key: "a".into(), value: Some(b"1".to_vec()) };
    log.append(Entry { position: Some(position(30)), notes: vec![note], ..Entry::default() }).await.unwrap();
    flush().await;
    while let Err(fault) = log.trim(Some(20)).await {
        assert_eq!(fault.class(), Class::Retryable, "{fault}");
        tokio::task::yield_now().await;
    }
    // a transaction of pieces, its end a position alone
    log.append(piece(block(30..40))).await.unwrap();
    flush().await;
    log.append(piece(block(40..60))).await.unwrap();
    log.append(Entry { position: Some(position(60)), ..Entry::default() }).await.unwrap();
    flush().await;
    log.append(whole(block(60..70), 70)).await.unwrap();
    log.append(whole(block(70..100), 100)).await.unwrap();
    flush().await;
}

fn assert_position_fits(log: &Log) {
    let head = log.head();
    assert_eq!(log.position(), (head > 0).then(|| position(head)), "the position fits the events");
}

/// Works on a disk that refuses from the operation `n` on; `false` if there are fewer.
async fn refused_from(n: i64, does_it: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("log.redb"), dir.path().join("copy.redb"));
    drop(Log::open(&path, options()).unwrap());
    let disk = Disk::under(&path, i64::MAX, does_it);
    let log = Log::open(&path, options()).unwrap();
    disk.left.store(n, Ordering::SeqCst);
    let done = AtomicBool::new(false);
    let worker = async {
        work(&log).await;
        done.store(true, Ordering::SeqCst);
    };
    let mender = async {
        until("refused or done", || log.state().paused.is_some() || done.load(Ordering::SeqCst)).await;
        if !disk.refuses() {
            return false;
        }
        if let Some(why) = log.state().paused {
            assert!(why.contains("[changelog.disk_full]"), "{why}");
        }
        // now and then it is tried again meanwhile
        let tried = disk.left.load(Ordering::SeqCst);
        until("tried again", || disk.left.load(Ordering::SeqCst) < tried || done.load(Ordering::SeqCst))
            .await;
        let first = log.first();
        match log.reader(first).unwrap().try_next().await {
            Ok(None) => assert_eq!(first, log.head()),
            Ok(Some(block)) => assert_eq!(super::blocks::ids(&block)[0], first as i64),
            Err(fault) => assert_eq!(fault.code(), codes::DISK_FULL, "{fault}"),
        }
        // what a crash now would leave; a copy during which the log tried again shows no moment
        let head = log.head();
        let left = std::iter::repeat_with(|| {
            let before = disk.left.load(Ordering::SeqCst);
            std::fs::copy(&path, &copy).unwrap();
            (before == disk.left.load(Ordering::SeqCst)).then(|| Log::open(&copy, options()).unwrap())
        });
        let left = left.take(1000).flatten().next().expect("a quiet moment");
        assert!(left.head() >= head, "{} of {head} are left", left.head());
        assert_position_fits(&left);
        drop(left);
        disk.mend();
        true
    };
    let ((), refused) = tokio::join!(worker, mender);
    until("told that it goes on", || log.state().paused.is_none()).await;
    assert_position_fits(&log);
    assert_eq!((log.first(), log.head()), (20, 100));
    assert_eq!(ids_from(&log, 20).await, (20..100).collect::<Vec<_>>());
    assert_eq!(log.notes().unwrap()["a"], b"1");
    let state = log.state();
    log.close().await.unwrap();

    DISKS.lock().unwrap().remove(&path);
    let log = Log::open(&path, options()).unwrap();
    assert_position_fits(&log);
    assert_eq!(ids_from(&log, 20).await, (20..100).collect::<Vec<_>>());
    assert_eq!((log.state().bytes, log.state().blocks), (state.bytes, state.blocks));
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_at_any_operation_it_goes_on_when_the_disk_does() {
    for does_it in [false, true] {
        let mut n = 0;
        while refused_from(n, does_it).await {
            n += 1;
        }
        assert!(n > 30, "{n} operations");
        println!("refused at each of {n} operations, done all the same: {does_it}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_fails_is_told_and_the_file_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let disk = Disk::under(&path, i64::MAX, false);
    let log = Log::open(&path, Options { cache_bytes: 0, ..options() }).unwrap();
    for n in 0..20 {
        log.append(whole(numbered("t", n * 10..n * 10 + 10, 500, 0), n as u64 * 10 + 10)).await.unwrap();
    }
    log.flush().await.unwrap();
    disk.refuses_reads.store(true, Ordering::SeqCst);
    let mut reader = log.reader(0).unwrap();
    let fault = reader.try_next().await.unwrap_err();
    assert_eq!(fault.code(), codes::IO, "{fault}");
    until("it cannot be opened", || log.state().paused.is_some()).await;
    let why = log.state().paused.unwrap();
    assert!(why.contains("the disk does not answer") && why.contains("[changelog.io]"), "{why}");
    disk.mend();
    until("opened anew", || log.state().paused.is_none()).await;
    assert_eq!(ids_from(&log, 0).await, (0..200).collect::<Vec<_>>());
    assert!(reader.try_next().await.unwrap().is_some(), "the same reader goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_refuses_a_log_can_be_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let disk = Disk::under(&path, i64::MAX, false);
    let log = Log::open(&path, options()).unwrap();
    log.append(whole(numbered("t", 0..10, 500, 0), 10)).await.unwrap();
    log.flush().await.unwrap();
    disk.left.store(0, Ordering::SeqCst);
    log.append(whole(numbered("t", 10..20, 500, 0), 20)).await.unwrap();
    until("paused", || log.state().paused.is_some()).await;
    log.close().await.unwrap();
    disk.mend();
    let log = Log::open(&path, options()).unwrap();
    assert_position_fits(&log);
    assert_eq!(ids_from(&log, 0).await, (0..10).collect::<Vec<_>>(), "the rest is read again");
}

/// The source gives up a transaction while it is not known whether its blocks are in the file; `false` if nothing was refused.
async fn forgotten_while_refused(n: i64, does_it: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let disk = Disk::under(&path, i64::MAX, does_it);
    let log = Log::open(&path, options()).unwrap();
    log.append(whole(numbered("t", 0..10, 500, 0), 10)).await.unwrap();
    log.flush().await.unwrap();
    disk.left.store(n, Ordering::SeqCst);
    for ids in [900..904, 904..920] {
        log.append(piece(numbered("u", ids, 500, 0))).await.unwrap();
    }
    until("stored or refused", || log.state().open_events == 20 || log.state().paused.is_some()).await;
    let refused = disk.refuses();
    let mender = async {
        until("tried again", || !refused || disk.left.load(Ordering::SeqCst) < -1).await;
        disk.mend();
    };
    let (discarded, ()) = tokio::join!(log.discard_open(), mender);
    discarded.unwrap();
    assert_eq!(log.state().open_events, 0);
    // other boundaries than those of the forgotten block
    for (ids, table) in [(10..17, "u"), (17..22, "v"), (22..40, "t")] {
        log.append(whole(numbered(table, ids.clone(), 500, 0), ids.end as u64)).await.unwrap();
    }
    log.flush().await.unwrap();
    assert_eq!(ids_from(&log, 0).await, (0..40).collect::<Vec<_>>());
    let (blocks, bytes) = (log.state().blocks, log.state().bytes);
    log.close().await.unwrap();
    DISKS.lock().unwrap().remove(&path);
    let log = Log::open(&path, options()).unwrap();
    assert_position_fits(&log);
    for from in 0..40 {
        assert_eq!(ids_from(&log, from).await, (from as i64..40).collect::<Vec<_>>());
    }
    assert_eq!((log.state().blocks, log.state().bytes), (blocks, bytes));
    log.trim(None).await.unwrap();
    assert_eq!((log.state().blocks, log.state().bytes), (0, 0), "no block is left that nobody counts");
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_forgotten_while_the_disk_refuses_leaves_nothing() {
    for does_it in [false, true] {
        let mut n = 0;
        while forgotten_while_refused(n, does_it).await {
            n += 1;
        }
        assert!(n > 3, "{n} operations");
        println!("refused at each of {n} operations, done all the same: {does_it}");
    }
}
