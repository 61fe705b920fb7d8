//! A process that is killed in the middle of its writes leaves whole commits only, and all that it was told were written.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use forebay_store::{Checkpoint, DocKind, Store};
use serde_json::json;

use crate::{letter, place, put};

/// Set for the child: where it writes.
const CHILD: &str = "FOREBAY_STORE_CRASH_CHILD";

/// Not a test by itself: writes until it is killed, and prints each number once it is committed.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Store::open(path.as_ref()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let first = store.checkpoint("a").unwrap().map_or(0, |c| c.offset);
    for n in first.. {
        runtime.block_on(async {
            let pair = vec![put("a", json!({ "n": n }), None), put("b", json!({ "n": n }), None)];
            store.write(pair).await.unwrap();
            store.add_dead_letters("a", vec![letter(n)]).await.unwrap();
            let checkpoint = Checkpoint { offset: n + 1, ..Checkpoint::default() };
            store.save_checkpoints(vec![("a".into(), checkpoint)]).await.unwrap();
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {n}").and_then(|()| out.flush()).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_whole_commits() {
    let (_dir, path) = place();
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after some commits, at a moment within a commit that differs from round to round.
        let mut told = None;
        let mut kill_at = None;
        for line in lines {
            let line = line.unwrap();
            // The test harness prints its own words, even on the same line.
            let Some((_, n)) = line.split_once("committed ") else { continue };
            told = Some(n.parse::<u64>().unwrap());
            let kill_at = *kill_at
                .get_or_insert_with(|| Instant::now() + Duration::from_micros(20_000 + round * 1_337));
            if Instant::now() > kill_at {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "it was killed");
        let told = told.expect("it committed something");

        let store = Store::open(&path).unwrap();
        let n = |name| store.get(DocKind::Routes, name).unwrap().unwrap().value["n"].as_u64().unwrap();
        assert_eq!(n("a"), n("b"), "both or neither");
        assert!((told..=told + 1).contains(&n("a")), "told {told}, found {}", n("a"));
        let letters = store.count_dead_letters("a").unwrap();
        let offset = store.checkpoint("a").unwrap().unwrap().offset;
        assert!(offset > told, "told {told}, checkpoint {offset}");
        assert!(
            offset <= letters && letters <= n("a") + 1,
            "checkpoint {offset} <= letters {letters} <= {}",
            n("a") + 1
        );
    }
}
