//! Reading: from memory and from the file, waiting at the head, filters, trimming, times.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forebay_model::Class;

use super::blocks::{Rng, arbitrary, assert_same, numbered};
use super::{drain, ids_from, open, piece, position, whole};
use crate::{Entry, Log, Options, Retention, codes};

/// Ten blocks of ten events, of the tables t0, t1, t0, ...; block n is committed at second n.
async fn ten(dir: &tempfile::TempDir, options: Options) -> Log {
    let log = open(dir, options);
    for n in 0..10 {
        let block = numbered(&format!("t{}", n % 2), n * 10..n * 10 + 10, 1000, n as u64 * 1_000_000);
        log.append(whole(block, n as u64 * 10 + 10)).await.unwrap();
    }
    log.flush().await.unwrap();
    log
}

fn on_disk() -> Options {
    Options { tail_bytes: 0, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_memory_and_from_the_file_it_is_the_same() {
    for options in [Options::default(), on_disk(), Options { tail_bytes: 25_000, ..Options::default() }] {
        let dir = tempfile::tempdir().unwrap();
        let (most, log) = (options.tail_bytes as u64, open(&dir, options));
        let mut rng = Rng(3);
        let mut blocks = Vec::new();
        let mut end = 0;
        for _ in 0..20 {
            let mut block = arbitrary(&mut rng, 20);
            block.first = end;
            end = block.end();
            blocks.push(block.clone());
            log.append(Entry { block: Some(block), position: Some(position(end)), ..Entry::default() })
                .await
                .unwrap();
        }
        log.flush().await.unwrap();
        assert!(log.state().tail_bytes <= most);
        let read = drain(&mut log.reader(0).unwrap()).await;
        assert_eq!(read.len(), blocks.len());
        blocks.iter().zip(&read).for_each(|(a, b)| assert_same(a, b));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_schemas_are_one_arc_wherever_a_block_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    // half of the blocks in memory; each was appended with an Arc of its own
    let log = ten(&dir, Options { tail_bytes: 60_000, ..Options::default() }).await;
    assert!(log.state().tail_bytes > 0);
    let arcs = |blocks: &[Arc<forebay_model::Block>]| -> HashSet<usize> {
        blocks.iter().map(|b| Arc::as_ptr(&b.batches[0].table) as usize).collect()
    };
    assert_eq!(arcs(&drain(&mut log.reader(0).unwrap()).await).len(), 2);
    log.close().await.unwrap();
    let log = open(&dir, on_disk());
    log.append(whole(numbered("t1", 100..101, 5, 0), 101)).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(arcs(&drain(&mut log.reader(0).unwrap()).await).len(), 2, "stored once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_start_inside_a_block() {
    for options in [Options::default(), on_disk()] {
        let dir = tempfile::tempdir().unwrap();
        let log = ten(&dir, options).await;
        for from in [0, 1, 9, 10, 55, 99, 100] {
            assert_eq!(ids_from(&log, from).await, (from as i64..100).collect::<Vec<_>>());
        }
        let fault = log.reader(101).unwrap_err();
        assert_eq!((fault.code(), fault.class()), (codes::AHEAD, Class::Fatal));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_waits_at_the_head_for_what_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let log = ten(&dir, Options::default()).await;
    let mut reader = log.reader(100).unwrap();
    assert!(reader.try_next().await.unwrap().is_none());
    // dropping a wait loses nothing
    assert!(tokio::time::timeout(Duration::from_millis(1), reader.next()).await.is_err());
    log.append(piece(numbered("t0", 100..105, 5, 0))).await.unwrap();
    log.flush().await.unwrap();
    assert!(reader.try_next().await.unwrap().is_none(), "the transaction is open");
    let next = async { reader.next().await.unwrap() };
    let append = log.append(whole(numbered("t0", 105..106, 5, 0), 106));
    let (block, appended) = tokio::join!(next, append);
    appended.unwrap();
    assert_eq!((block.first, block.end(), log.head()), (100, 105, 106));
    assert_eq!(reader.next().await.unwrap().end(), 106);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_without_a_wanted_table_are_passed_unread() {
    for options in [Options::default(), on_disk()] {
        let dir = tempfile::tempdir().unwrap();
        let log = ten(&dir, options).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let want = Arc::new(move |database: &str, table: &str| {
            count.fetch_add(1, Ordering::Relaxed);
            database == "shop" && table == "t1"
        });
        let blocks = drain(&mut log.reader(0).unwrap().wanting(want)).await;
        assert!(asked.load(Ordering::Relaxed) > 0);
        let mut next = 0;
        for block in &blocks {
            assert_eq!(block.first, next);
            next = block.end();
            assert_eq!(block.batches.is_empty(), (block.first / 10) % 2 == 0);
        }
        assert_eq!((next, blocks.len()), (100, 10));
        // nothing wanted: the blocks of the file are passed in one go
        let none = drain(&mut log.reader(0).unwrap().wanting(Arc::new(|_, _| false))).await;
        assert_eq!(none.iter().map(|b| u64::from(b.events)).sum::<u64>(), 100);
        assert!(log.state().tail_bytes > 0 || none.len() == 1, "{} blocks", none.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimming_keeps_what_a_claim_or_the_retention_wants() {
    let dir = tempfile::tempdir().unwrap();
    let log = ten(&dir, on_disk()).await;
    let full = log.state();
    let mut behind = log.reader(0).unwrap();
    behind.try_next().await.unwrap();
    assert_eq!(log.trim(Some(9)).await.unwrap().blocks, 0);
    let trimmed = log.trim(Some(35)).await.unwrap();
    assert_eq!((trimmed.first, trimmed.blocks, trimmed.events), (30, 3, 30));
    let state = log.state();
    assert_eq!((state.first, state.head, state.blocks), (30, 100, 7));
    assert_eq!(state.bytes, full.bytes - trimmed.bytes);
    assert_eq!(ids_from(&log, 30).await, (30..100).collect::<Vec<_>>());

    let fault = log.reader(29).unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::TRIMMED, Class::Fatal));
    assert!(fault.message().contains("29"), "{fault}");
    // one that is overtaken: its read-ahead may have block 1 already
    behind.try_next().await.ok();
    assert_eq!(behind.try_next().await.unwrap_err().code(), codes::TRIMMED);

    // no claim: all may go, but an open transaction stays
    log.append(piece(numbered("t0", 100..105, 5, 0))).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(log.trim(None).await.unwrap().first, 100);
    assert_eq!((log.state().blocks, log.state().open_events), (1, 5));
    log.append(Entry { position: Some(position(105)), ..Entry::default() }).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(ids_from(&log, 100).await, (100..105).collect::<Vec<_>>());
    assert_eq!(log.trim(None).await.unwrap().first, 105);
    assert_eq!((log.state().bytes, log.state().blocks), (0, 0));
    log.close().await.unwrap();
    let log = open(&dir, on_disk());
    assert_eq!((log.first(), log.head()), (105, 105));
    // schemas went with their blocks; a new one does not get an old id
    log.append(whole(numbered("t0", 105..106, 5, 0), 106)).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(ids_from(&log, 105).await, [105]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_by_bytes_and_age() {
    let dir = tempfile::tempdir().unwrap();
    let log = ten(&dir, on_disk()).await;
    let block = log.state().bytes / 10;
    log.close().await.unwrap();

    let retain = |age, bytes| Options { retain: Retention { age, bytes }, ..on_disk() };
    let log = open(&dir, retain(None, Some(block * 7)));
    assert_eq!(log.trim(None).await.unwrap().first, 30);
    log.close().await.unwrap();

    // block n was committed at second n of 1970
    let since = |second| std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - Duration::from_secs(second);
    let log = open(&dir, retain(Some(since(5) + Duration::from_millis(500)), None));
    assert_eq!(log.trim(None).await.unwrap().first, 50);
    log.close().await.unwrap();

    // either wants it
    let log = open(&dir, retain(Some(since(9)), Some(u64::MAX)));
    assert_eq!(log.trim(None).await.unwrap().blocks, 0);
    log.close().await.unwrap();
    let log = open(&dir, retain(Some(Duration::MAX), Some(0)));
    assert_eq!(log.trim(None).await.unwrap().blocks, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_trim_lets_new_events_pass() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, on_disk());
    for n in 0..500 {
        log.append(whole(numbered("t", n..n + 1, 5, 0), n as u64 + 1)).await.unwrap();
    }
    log.flush().await.unwrap();
    let append = async {
        for n in 500..600 {
            log.append(whole(numbered("t", n..n + 1, 5, 0), n as u64 + 1)).await.unwrap();
        }
        log.flush().await.unwrap();
    };
    let (trimmed, ()) = tokio::join!(log.trim(Some(450)), append);
    assert_eq!((trimmed.unwrap().blocks, log.first()), (450, 450));
    assert_eq!(ids_from(&log, 450).await, (450..600).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_for_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = ten(&dir, on_disk()).await;
    for (us, offset) in [(0, 0), (1, 10), (1_000_000, 10), (1_000_001, 20), (9_000_000, 90), (9_000_001, 100)]
    {
        assert_eq!(log.offset_at(us).await.unwrap(), offset, "{us}");
    }
    log.trim(Some(50)).await.unwrap();
    assert_eq!(log.offset_at(0).await.unwrap(), 50);
    assert_eq!(log.offset_at(7_000_000).await.unwrap(), 70);
    // within a block: the first event whose transaction is late enough
    let mut block = numbered("t0", 100..110, 5, 0);
    let origin = Arc::make_mut(&mut block.origin);
    origin.txns = vec![super::blocks::txn(20_000_000), super::blocks::txn(30_000_000)];
    let run = block.batches[0].runs[0];
    block.batches[0].runs.push(forebay_model::Run { row: 4, event: 4, nth: 4, txn: 1, ..run });
    log.append(whole(block, 110)).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(log.offset_at(20_000_000).await.unwrap(), 100);
    assert_eq!(log.offset_at(20_000_001).await.unwrap(), 104);
    assert_eq!(log.offset_at(30_000_001).await.unwrap(), 110);
    // a clock that runs ahead does not hide what comes after it
    log.append(whole(numbered("t0", 110..111, 5, u64::MAX), 111)).await.unwrap();
    log.append(whole(numbered("t0", 111..112, 5, 40_000_000), 112)).await.unwrap();
    log.flush().await.unwrap();
    assert!(log.offset_at(40_000_000).await.unwrap() <= 111);
}
