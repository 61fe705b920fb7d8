//! A full disk: a write is refused with a fault, and the next one works once there is room, in the same process or after a kill.
//!
//! The limit on the size of files, which every user may set, makes the disk full; it needs a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use forebay_model::Class;
use forebay_store::{Checkpoint, Store};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::place;

/// Set for the child: where it writes.
const CHILD: &str = "FOREBAY_STORE_FULL_CHILD";
/// Set for the child that is to be killed while the disk is full.
const STAY: &str = "FOREBAY_STORE_FULL_STAY";
/// Bytes of a component; some fit.
const SIZE: usize = 300_000;

fn limit(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, ..getrlimit(Resource::Fsize) }).unwrap();
}

fn component(n: u8) -> Vec<u8> {
    (0..SIZE).map(|i| (i as u8).wrapping_mul(n | 1) ^ n).collect()
}

async fn checkpoint(store: &Store, offset: u64) -> Result<(), forebay_model::Fault> {
    let checkpoint = Checkpoint { offset, ..Checkpoint::default() };
    store.save_checkpoints(vec![("r".into(), checkpoint)]).await
}

fn offset(store: &Store) -> u64 {
    store.checkpoint("r").unwrap().unwrap().offset
}

/// Not a test by itself: the process whose disk is full.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Store::open(path.as_ref()).unwrap();
    checkpoint(&store, 1).await.unwrap();
    limit(Some(3 << 20));
    let mut stored = Vec::new();
    let fault = loop {
        match store.put_plugin(component(stored.len() as u8)).await {
            Ok(plugin) => stored.push(plugin.sha256),
            Err(fault) => break fault,
        }
    };
    assert_eq!((fault.code().name, fault.class()), ("store.io", Class::Retryable));
    assert!(fault.message().contains("File too large"), "the disk's own words, each time: {fault}");
    let again = store.put_plugin(component(99)).await.unwrap_err();
    assert!(again.message().contains("File too large"), "{again}");
    assert!(stored.len() >= 2, "{} fitted", stored.len());
    // what was there is there, and what fits is written
    for (n, sha256) in stored.iter().enumerate() {
        assert_eq!(*store.plugin(sha256).unwrap().unwrap(), component(n as u8));
    }
    checkpoint(&store, 2).await.unwrap();
    println!("full after {}", stored.len());
    std::io::stdout().flush().unwrap();
    if std::env::var_os(STAY).is_some() {
        // larger than the limit: pages that opening anew sets free never make room for it
        loop {
            store.put_plugin(vec![99; 4 << 20]).await.unwrap_err();
        }
    }
    limit(None);
    store.put_plugin(component(99)).await.unwrap();
    checkpoint(&store, 3).await.unwrap();
    assert_eq!((store.plugins().unwrap().len(), offset(&store)), (stored.len() + 1, 3));
    drop(store);
    let store = Store::open(path.as_ref()).unwrap();
    assert_eq!((store.plugins().unwrap().len(), offset(&store)), (stored.len() + 1, 3));
    println!("went on");
}

/// Under a shell that ignores the signal which otherwise ends a process at the limit.
fn start(path: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"trap "" XFSZ; exec "$0" full::child --exact --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, path);
    command
}

#[test]
fn a_full_disk_is_over_when_there_is_room() {
    let (_dir, path) = place();
    let out = start(&path).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && text.contains("went on"), "{text}{errors}");
}

#[test]
fn killed_while_the_disk_is_full_it_opens_with_all_that_was_written() {
    let (_dir, path) = place();
    let mut child = start(&path).env(STAY, "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let full = |line: String| line.split("full after ").nth(1)?.parse::<usize>().ok();
    let stored = lines.filter_map(full).next();
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = stored.expect("it was full");
    let store = Store::open(&path).unwrap();
    assert_eq!((store.plugins().unwrap().len(), offset(&store)), (stored, 2));
}
