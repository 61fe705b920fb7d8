//! Damaged files: a clear fault, never a panic, never a wrong event.

use std::fs;
use std::path::Path;

use forebay_model::{Class, Fault};

use super::blocks::{Rng, numbered};
use super::{open, whole};
use crate::{Log, Options, codes};

fn on_disk() -> Options {
    Options { tail_bytes: 0, ..Options::default() }
}

/// Four blocks of ten events of 2 kB of text that LZ4 leaves as it is, closed cleanly.
async fn four(dir: &tempfile::TempDir) {
    let log = open(dir, on_disk());
    for n in 0..4 {
        log.append(whole(numbered("t", n * 10..n * 10 + 10, 2000, 0), n as u64 * 10 + 10)).await.unwrap();
    }
    log.close().await.unwrap();
}

/// Reads all that can be read; the faults met, and the ids of each block read.
async fn read(path: &Path) -> Result<(Vec<Fault>, Vec<Vec<i64>>), Fault> {
    let path = path.to_owned();
    let log = tokio::task::spawn_blocking(move || Log::open(&path, on_disk())).await.unwrap()?;
    let (mut faults, mut blocks) = (Vec::new(), Vec::new());
    for n in 0..4 {
        let mut reader = log.reader(n * 10)?;
        match reader.try_next().await {
            Ok(Some(block)) => blocks.push(super::blocks::ids(&block.slice(n * 10, n * 10 + 10))),
            Ok(None) => blocks.push(Vec::new()),
            Err(fault) => faults.push(fault),
        }
    }
    Ok((faults, blocks))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_block_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    four(&dir).await;
    let path = dir.path().join("log.redb");
    let mut bytes = fs::read(&path).unwrap();
    let text = Rng(20).text(2000, true);
    let at = bytes.windows(2000).rposition(|w| w == text.as_bytes()).expect("the text of event 20");
    bytes[at + 1000] ^= 4;
    fs::write(&path, bytes).unwrap();
    let (faults, blocks) = read(&path).await.unwrap();
    let ids = |n: i64| (n..n + 10).collect::<Vec<_>>();
    assert_eq!(blocks, [ids(0), ids(10), ids(30)], "the others are whole");
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((fault.code(), fault.class()), (codes::DAMAGED, Class::Fatal));
    let said = fault.to_string();
    assert!(said.contains("20 to 30") && said.contains("log.redb") && said.contains("checksum"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_damage_never_gives_a_wrong_event() {
    let dir = tempfile::tempdir().unwrap();
    four(&dir).await;
    let path = dir.path().join("log.redb");
    let whole = fs::read(&path).unwrap();
    // most of the file is free: aim at what is used
    let used: Vec<usize> =
        (0..whole.len()).step_by(512).filter(|&at| whole[at..at + 512] != [0; 512]).collect();
    let mut rng = Rng(7);
    let mut found = 0;
    for round in 0..150 {
        let mut bytes = whole.clone();
        let page = used[if round % 2 == 0 { rng.below(used.len()) } else { rng.below(used.len().min(24)) }];
        for _ in 0..1 + rng.below(3) {
            bytes[page + rng.below(512)] ^= 1 << rng.below(8);
        }
        fs::write(&path, bytes).unwrap();
        match read(&path).await {
            Ok((faults, blocks)) => {
                found += usize::from(!faults.is_empty());
                // a commit that is not whole may be taken back by redb; what is given is right
                for ids in blocks.iter().filter(|ids| !ids.is_empty()) {
                    assert!(ids[0] % 10 == 0 && *ids == (ids[0]..ids[0] + 10).collect::<Vec<_>>(), "{ids:?}");
                }
            }
            Err(fault) => {
                found += 1;
                assert_ne!(fault.code(), codes::STOPPED, "{fault}");
            }
        }
    }
    assert!(found > 20, "{found} of 150 were found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_cut_short_or_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    four(&dir).await;
    let path = dir.path().join("log.redb");
    let whole = fs::read(&path).unwrap();
    for len in [10, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..len]).unwrap();
        match read(&path).await {
            Err(fault) => assert_eq!(fault.code(), codes::DAMAGED, "{len}: {fault}"),
            Ok((faults, _)) => assert!(!faults.is_empty(), "{len}"),
        }
    }
    fs::write(&path, "<html>".repeat(1000)).unwrap();
    let fault = read(&path).await.unwrap_err();
    assert_eq!(fault.code(), codes::DAMAGED, "{fault}");
    assert!(fault.to_string().contains("log.redb"), "{fault}");
    let fault = Log::open(&dir.path().join("no/such/folder"), on_disk()).unwrap_err();
    assert_eq!(fault.code(), codes::IO, "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_format_is_refused() {
    use crate::file::META;
    let dir = tempfile::tempdir().unwrap();
    four(&dir).await;
    let path = dir.path().join("log.redb");
    let db = redb::Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("format", 2u32.to_le_bytes().as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    let fault = Log::open(&path, on_disk()).unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::NEWER_FORMAT, Class::Fatal));
    assert!(fault.to_string().contains("format 2"), "{fault}");
}
