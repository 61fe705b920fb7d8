//! The quota: the source waits, says why, loses nothing, and goes on when there is room.

use std::time::Duration;

use forebay_model::Note;

use super::blocks::numbered;
use super::{ids_from, open, piece, position, until, whole};
use crate::{Entry, Log, Options};

const QUOTA: u64 = 300_000;

fn small() -> Options {
    Options { quota_bytes: Some(QUOTA), queue_bytes: 50_000, tail_bytes: 0, ..Options::default() }
}

async fn append(log: &Log, n: i64) {
    // a table of its own for each block: the first block of a table may be the one that does not fit
    let block = numbered(&format!("t{n}"), n * 10..n * 10 + 10, 1000, 0);
    log.append(whole(block, n as u64 * 10 + 10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_quota_the_source_waits_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, small());
    let source = async {
        for n in 0..100 {
            append(&log, n).await;
        }
        log.flush().await.unwrap();
    };
    let route = async {
        let mut read = Vec::new();
        let mut pauses = 0;
        while read.len() < 1000 {
            until("paused or done", || log.state().paused.is_some() || log.head() == 1000).await;
            if let Some(why) = log.state().paused {
                assert!(why.contains("quota") && why.contains(&QUOTA.to_string()), "{why}");
                pauses += 1;
            }
            read.extend(ids_from(&log, read.len() as u64).await);
            assert!(log.state().bytes <= QUOTA);
            log.trim(Some(read.len() as u64 - 20)).await.unwrap();
        }
        (read, pauses)
    };
    let ((), (read, pauses)) = tokio::join!(source, route);
    assert_eq!(read, (0..1000).collect::<Vec<_>>());
    assert!(pauses >= 3, "{pauses} pauses");
    assert_eq!(log.state().paused, None);
    assert!(log.state().file_bytes < 10 * QUOTA, "pages are used again: {}", log.state().file_bytes);
    log.close().await.unwrap();
    assert_eq!(ids_from(&open(&dir, small()), 980).await, (980..1000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_log_can_be_closed_and_opened_with_more_room() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, small());
    let source = async {
        for n in 0..100 {
            append(&log, n).await;
        }
    };
    tokio::select! {
        () = source => panic!("100 blocks do not fit"),
        () = until("paused", || log.state().paused.is_some()) => {}
    }
    let (head, position) = (log.head(), log.position());
    log.close().await.unwrap();
    let log = open(&dir, Options { quota_bytes: None, ..small() });
    assert_eq!((log.head(), log.position()), (head, position));
    for n in head as i64 / 10..100 {
        append(&log, n).await;
    }
    log.flush().await.unwrap();
    assert_eq!(ids_from(&log, 0).await, (0..1000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_larger_than_the_quota_pauses_and_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, small());
    append(&log, 0).await;
    log.flush().await.unwrap();
    log.trim(None).await.unwrap();
    let source = async {
        for n in 1..100 {
            log.append(piece(numbered("t", n * 10..n * 10 + 10, 1000, 0))).await.unwrap();
        }
    };
    tokio::select! {
        () = source => panic!("100 blocks do not fit"),
        () = until("paused", || log.state().paused.is_some()) => {}
    }
    let why = log.state().paused.unwrap();
    assert!(why.contains("one transaction"), "{why}");
    // the connection breaks: forgetting must not wait for room
    tokio::time::timeout(Duration::from_secs(20), log.discard_open())
        .await
        .expect("it does not wait")
        .unwrap();
    assert_eq!(log.state().open_events, 0);
    append(&log, 1).await;
    log.flush().await.unwrap();
    assert_eq!(log.state().paused, None);
    assert_eq!(ids_from(&log, 10).await, (10..20).collect::<Vec<_>>());
    log.append(Entry { position: Some(position(20)), ..Entry::default() }).await.unwrap();
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_room_can_be_forgotten_and_what_makes_room_need_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, small());
    let source = async {
        for n in 0..100 {
            append(&log, n).await;
        }
    };
    tokio::select! {
        () = source => panic!("100 blocks do not fit"),
        () = until("full", || log.is_full()) => {}
    }
    tokio::time::timeout(Duration::from_secs(20), log.discard_queued())
        .await
        .expect("it does not wait")
        .unwrap();
    assert_eq!((log.state().paused, log.state().queued_bytes), (None, 0));
    let head = log.head();
    assert_eq!(log.position(), Some(position(head)), "what is stored stays");

    let at = head as i64;
    let note = Note { key: "kept/d.t".into(), value: Some(b"1".to_vec()) };
    let entry = whole(numbered("t", at..at + 100, 1000, 0), head + 100);
    log.append(Entry { past_quota: true, notes: vec![note], ..entry }).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), log.flush()).await.expect("it does not wait").unwrap();
    assert!(log.state().bytes > QUOTA);
    assert_eq!(ids_from(&log, 0).await, (0..at + 100).collect::<Vec<_>>());
    assert_eq!(log.notes_under("kept/").unwrap().len(), 1);
    assert_eq!(log.notes_under("kept/e").unwrap().len(), 0);
    assert_eq!(log.notes_under("a").unwrap().len(), 0);
    log.close().await.unwrap();
}
