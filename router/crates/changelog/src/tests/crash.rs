//! Killed at any moment, the log opens with whole transactions, dense offsets, a position that fits, and everything that was
//! said to be durable.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::blocks::{Rng, numbered};
use super::{ids_from, piece, position, whole};
use crate::{Log, Options};

/// Where the child finds its file; unset when the tests run without a parent.
const FILE: &str = "FOREBAY_TEST_CRASH_FILE";
const ROUNDS: u64 = 20;

/// Small enough that trims and the file's growth happen all the time.
fn options() -> Options {
    Options { tail_bytes: 100_000, queue_bytes: 200_000, ..Options::default() }
}

/// Not a test by itself: the process that is killed. It writes transactions of one to four blocks for ever, and prints after
/// each flush how many events are durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by killed_at_any_moment"]
async fn child() {
    let Some(path) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let log = Log::open(&path, options()).unwrap();
    let mut at = log.position().map_or(0, |p| p.pos);
    let mut rng = Rng(at);
    loop {
        for last in 1..=1 + rng.below(4) {
            let next = at + 1 + rng.below(50) as u64;
            let block = numbered("t", at as i64..next as i64, rng.below(2000), 0);
            at = next;
            let end = last == 4 || rng.below(2) == 0;
            log.append(if end { whole(block, at) } else { piece(block) }).await.unwrap();
            if end {
                break;
            }
        }
        match rng.below(4) {
            // the transaction may still be open: then this ends it
            0 => {
                log.append(crate::Entry { position: Some(position(at)), ..crate::Entry::default() })
                    .await
                    .unwrap();
                log.flush().await.unwrap();
                println!("durable {at}");
            }
            1 if at > 2000 => {
                log.trim(Some(log.head().saturating_sub(1000))).await.unwrap();
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.redb");
    let mut rng = Rng(std::process::id().into());
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::child", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        let until = 1 + rng.below(30);
        let durable = |line: String| line.split("durable ").nth(1).and_then(|n| n.parse::<u64>().ok());
        told = lines.by_ref().map_while(Result::ok).filter_map(durable).take(until).last().unwrap_or(told);
        child.kill().unwrap();
        // what it said between our decision and its end counts too
        told = lines.map_while(Result::ok).filter_map(durable).last().unwrap_or(told);
        child.wait().unwrap();
        assert!(told > 0, "it worked in round {round}");

        let log = Log::open(&path, options()).unwrap();
        let head = log.head();
        assert!(head >= told, "{told} were durable, {head} are there");
        assert_eq!(log.position(), Some(position(head)), "the position fits the events");
        let first = log.first();
        assert_eq!(ids_from(&log, first).await, (first as i64..head as i64).collect::<Vec<_>>());
        log.close().await.unwrap();
    }
}
