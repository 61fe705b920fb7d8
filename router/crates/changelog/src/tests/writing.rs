//! Appending: what is durable when, what is visible when, and how many commits it takes.

use std::sync::Arc;

use forebay_model::{Fault, Note};

use super::blocks::numbered;
use super::{ids_from, open, piece, position, until, whole};
use crate::{Entry, Log, Options, codes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_flushed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    assert_eq!((log.first(), log.head(), log.position()), (0, 0, None));
    let id = log.id();
    log.append(whole(numbered("t", 0..10, 5, 0), 10)).await.unwrap();
    log.append(whole(numbered("u", 10..15, 5, 0), 15)).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!((log.head(), log.position()), (15, Some(position(15))));
    let before = log.state();
    assert_eq!((before.blocks, before.open_events), (2, 0));
    log.close().await.unwrap();

    let log = open(&dir, Options::default());
    assert_eq!((log.first(), log.head(), log.position()), (0, 15, Some(position(15))));
    assert_eq!((log.state().bytes, log.id()), (before.bytes, id));
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(&other, Options::default()).id(), id);
    assert_eq!(ids_from(&log, 0).await, (0..15).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_stored_with_their_position() {
    let dir = tempfile::tempdir().unwrap();
    let note = |key: &str, value: Option<&str>| Note { key: key.into(), value: value.map(|v| v.into()) };
    let noted = |at: u64, notes: Vec<Note>| Entry { position: Some(position(at)), notes, ..Entry::default() };
    let log = open(&dir, Options::default());
    assert!(log.notes().unwrap().is_empty());
    log.append(noted(1, vec![note("a", Some("1")), note("b", Some("2"))])).await.unwrap();
    // the same position again: only the notes are new; a mere position must not take the place of an entry with notes
    log.append(noted(1, vec![note("a", None), note("c", Some("3"))])).await.unwrap();
    log.append(Entry { position: Some(position(2)), ..Entry::default() }).await.unwrap();
    log.close().await.unwrap();

    let log = open(&dir, Options::default());
    let notes = log.notes().unwrap();
    assert_eq!(
        notes.iter().map(|(k, v)| (k.as_str(), v.as_slice())).collect::<Vec<_>>(),
        [("b", &b"2"[..]), ("c", b"3")]
    );
    assert_eq!(log.position(), Some(position(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_invisible_until_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    log.append(whole(numbered("t", 0..2, 5, 0), 2)).await.unwrap();
    log.append(piece(numbered("t", 2..5, 5, 0))).await.unwrap();
    log.append(piece(numbered("t", 5..6, 5, 0))).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!((log.head(), log.position()), (2, Some(position(2))));
    assert_eq!(log.state().open_events, 4);
    assert_eq!(ids_from(&log, 0).await, [0, 1]);
    assert_eq!(log.reader(3).unwrap_err().code(), codes::AHEAD);

    // the end comes as a mere position, and is not put off like an idle one
    let mut head = log.watch();
    log.append(Entry { position: Some(position(6)), ..Entry::default() }).await.unwrap();
    let seen = *head.wait_for(|&head| head > 2).await.unwrap();
    assert_eq!((seen, log.position(), log.state().open_events), (6, Some(position(6)), 0));
    assert_eq!(ids_from(&log, 0).await, (0..6).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_transaction_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    // once with the blocks stored, once with them still queued, once found at opening
    for flush in [true, false] {
        let log = open(&dir, Options::default());
        let at = log.head();
        let stored = log.state();
        log.append(piece(numbered("open", 90..99, 5, 0))).await.unwrap();
        if flush {
            log.flush().await.unwrap();
            assert!(log.state().bytes > stored.bytes);
        }
        log.discard_open().await.unwrap();
        log.flush().await.unwrap();
        assert_eq!((log.state().open_events, log.state().bytes), (0, stored.bytes));
        let ids = at as i64..at as i64 + 3;
        log.append(whole(numbered("t", ids, 5, 0), at + 3)).await.unwrap();
        log.append(piece(numbered("open", 90..99, 5, 0))).await.unwrap();
        log.close().await.unwrap();
    }
    let log = open(&dir, Options::default());
    assert_eq!((log.head(), log.state().blocks, log.position()), (6, 2, Some(position(6))));
    assert_eq!(ids_from(&log, 0).await, (0..6).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_keeps_whole_transactions_that_are_still_queued() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    for n in 0..200 {
        log.append(whole(numbered("t", n..n + 1, 5, 0), n as u64 + 1)).await.unwrap();
        log.append(piece(numbered("open", 900..901, 5, 0))).await.unwrap();
        log.discard_open().await.unwrap();
    }
    log.flush().await.unwrap();
    assert_eq!(ids_from(&log, 0).await, (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_grouped() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    let started = std::time::Instant::now();
    for n in 0..2000 {
        log.append(whole(numbered("t", n..n + 1, 5, 0), n as u64 + 1)).await.unwrap();
    }
    log.flush().await.unwrap();
    let most = started.elapsed().as_millis() as u64 / 2 + 3;
    let commits = log.state().commits;
    assert!(commits <= most, "{commits} commits in {most} gaps");
    assert_eq!(ids_from(&log, 0).await.len(), 2000);

    // one at a time, each as soon as the last is seen: they keep their distance even if the disk is faster
    let (started, before) = (std::time::Instant::now(), log.state().commits);
    let mut head = log.watch();
    for n in 2000..2100 {
        log.append(whole(numbered("t", n..n + 1, 5, 0), n as u64 + 1)).await.unwrap();
        head.wait_for(|&head| head > n as u64).await.unwrap();
    }
    let most = started.elapsed().as_millis() as u64 / 2 + 3;
    let commits = log.state().commits - before;
    assert!(commits <= most, "{commits} commits in {most} gaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_positions_are_not_worth_a_sync_each() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    let started = std::time::Instant::now();
    for n in 0..500 {
        log.append(Entry { position: Some(position(n)), ..Entry::default() }).await.unwrap();
        tokio::task::yield_now().await;
    }
    let most = started.elapsed().as_secs() + 2;
    assert!(log.state().commits <= most, "{} commits", log.state().commits);
    log.flush().await.unwrap();
    assert_eq!(log.position(), Some(position(499)));
    // the same again is worth none at all
    let commits = log.state().commits;
    log.append(Entry { position: Some(position(499)), ..Entry::default() }).await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(log.state().commits, commits);
    log.append(Entry { position: Some(position(500)), ..Entry::default() }).await.unwrap();
    log.close().await.unwrap();
    assert_eq!(open(&dir, Options::default()).position(), Some(position(500)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_larger_than_the_queue_passes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options { queue_bytes: 1000, tail_bytes: 0, ..Options::default() });
    for n in 0..4 {
        log.append(whole(numbered("t", n * 100..n * 100 + 100, 5000, 0), 1)).await.unwrap();
    }
    log.flush().await.unwrap();
    assert_eq!(log.state().queued_bytes, 0);
    assert_eq!(ids_from(&log, 0).await, (0..400).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_owner_and_the_file_is_free_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let log = open(&dir, Options::default());
    let fault = Log::open(&path, Options::default()).unwrap_err();
    assert_eq!(fault.code(), codes::IN_USE);
    let other = log.clone();
    let mut reader = log.reader(0).unwrap();
    log.close().await.unwrap();
    let again = Log::open(&path, Options::default()).unwrap();
    // whoever still has a handle is told
    let gone = |fault: Fault| assert_eq!(fault.code(), codes::CLOSED);
    gone(reader.next().await.unwrap_err());
    gone(other.append(whole(numbered("t", 0..1, 1, 0), 1)).await.unwrap_err());
    gone(other.discard_open().await.unwrap_err());
    gone(other.trim(None).await.unwrap_err());
    gone(other.offset_at(0).await.unwrap_err());
    drop(again);
    // dropping the last handle closes too
    drop(Log::open(&path, Options::default()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writers_fault_comes_out_at_the_next_call() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir, Options::default());
    log.append(whole(numbered("t", 0..3, 5, 0), 3)).await.unwrap();
    log.flush().await.unwrap();
    let mut reader = log.reader(3).unwrap();
    let mut bad = numbered("t", 3..6, 5, 0);
    // a block that must not be stored: an array of another layout (checked before the queue in debug builds, so past it)
    bad.batches[0].columns[0] = Arc::new(arrow_array::Int32Array::from(vec![1, 2, 3]));
    let permit = log.shared().room.clone().acquire_many_owned(1).await.unwrap();
    log.shared().inbox.ask(|r| r.accept(whole(bad, 6), 1, permit));
    assert_eq!(reader.next().await.unwrap_err().code(), codes::STOPPED);
    let until_ended = || log.shared().inbox.lock().ended.is_some();
    until("the writer ended", until_ended).await;
    let fault = log.append(whole(numbered("t", 3..6, 5, 0), 6)).await.unwrap_err();
    assert_eq!(fault.code(), codes::STOPPED);
    assert!(fault.message().contains("the type's layout"), "{fault}");
    // what was committed can still be read
    assert_eq!(ids_from(&log, 0).await, [0, 1, 2]);
    assert_eq!(log.close().await.unwrap_err().code(), codes::STOPPED);
    assert_eq!(ids_from(&open(&dir, Options::default()), 0).await, [0, 1, 2]);
}

#[test]
fn codes_are_the_crates_own_and_unique() {
    let mut names: Vec<&str> = codes::ALL.iter().map(|code| code.name).collect();
    assert!(names.iter().all(|name| name.starts_with("changelog.")));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), codes::ALL.len());
}
