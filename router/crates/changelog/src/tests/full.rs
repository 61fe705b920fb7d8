//! A disk that is really full: the log tells that it waits, and goes on when there is room, or after a kill.
//!
//! Twice: with a limit on the size of files, which every user may set, so that the file cannot grow; and with a small file system in
//! memory, where it grows with holes that cannot be filled. Both need a process of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::blocks::numbered;
use super::{ids_from, position, until, whole};
use crate::{Entry, Log, Options};

/// Where the child finds its folder; unset when the tests run without a parent.
const DIR: &str = "FOREBAY_TEST_FULL_DIR";
/// How there is room again: `limit` or `tmpfs`; `never`: it is killed.
const ROOM: &str = "FOREBAY_TEST_FULL_ROOM";
/// Bytes that files may have, or that the file system has free.
const SMALL: u64 = 4 << 20;
/// Bytes of a file that fills the file system up to that.
const BALLAST: u64 = 60 << 20;
/// Events: with 4 KiB each, far more than fit.
const EVENTS: u64 = 4000;

fn options() -> Options {
    Options { tail_bytes: 100_000, queue_bytes: 200_000, cache_bytes: 1 << 20, ..Options::default() }
}

async fn fill(log: &Log) {
    for at in (log.head()..EVENTS).step_by(20) {
        let block = numbered("t", at as i64..at as i64 + 20, 4000, 0);
        log.append(whole(block, at + 20)).await.unwrap();
    }
    log.flush().await.unwrap();
}

async fn check(log: &Log, head: u64) {
    assert_eq!((log.head(), log.position()), (head, Some(position(head))), "the position fits the events");
    assert_eq!(ids_from(log, 0).await, (0..head as i64).collect::<Vec<_>>(), "each once, in order");
}

fn limit(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, ..getrlimit(Resource::Fsize) }).unwrap();
}

/// Not a test by itself: the process whose disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the others"]
async fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let room = std::env::var(ROOM).unwrap();
    let path = dir.join("log.redb");
    if room != "tmpfs" {
        limit(Some(SMALL));
    }
    let log = Log::open(&path, options()).unwrap();
    let mender = async {
        until("full", || log.state().paused.is_some()).await;
        let why = log.state().paused.unwrap();
        assert!(why.contains("[changelog.disk_full]"), "{why}");
        let head = log.head();
        assert!(head > 100 && head < EVENTS, "{head}");
        println!("full at {head}: {why}");
        std::io::stdout().flush().unwrap();
        // readers go on meanwhile; while the file is opened anew they are told to come again
        let mut reader = log.reader(0).unwrap();
        while reader.offset() < head {
            match reader.try_next().await {
                Ok(block) => assert!(block.is_some()),
                Err(fault) => assert_eq!(fault.code().name, "changelog.disk_full", "{fault}"),
            }
        }
        match room.as_str() {
            "limit" => limit(None),
            "tmpfs" => {
                std::fs::remove_file(dir.join("ballast")).unwrap();
            }
            _ => std::future::pending().await,
        }
        head
    };
    let ((), head) = tokio::join!(fill(&log), mender);
    assert_eq!(log.state().paused, None);
    check(&log, EVENTS).await;
    log.append(Entry { position: Some(position(EVENTS)), ..Entry::default() }).await.unwrap();
    log.close().await.unwrap();
    check(&Log::open(&path, options()).unwrap(), EVENTS).await;
    println!("went on from {head}");
}

/// The child under a shell, which must ignore the signal that otherwise ends a process at the limit.
fn child_after(script: &str, shell: &mut Command, dir: &Path, room: &str) -> Command {
    shell
        .arg(format!(r#"trap "" XFSZ; {script} exec "$0" --exact tests::full::child --ignored --nocapture"#))
        .arg(std::env::current_exe().unwrap())
        .env(DIR, dir)
        .env(ROOM, room);
    std::mem::replace(shell, Command::new("true"))
}

fn sh() -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c");
    shell
}

fn assert_went_on(mut child: Command) {
    let out = child.output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && text.contains("went on from"), "{text}{errors}");
    println!("{text}");
}

#[test]
fn a_file_that_may_not_grow_pauses_the_source_until_it_may() {
    let dir = tempfile::tempdir().unwrap();
    assert_went_on(child_after("", &mut sh(), dir.path(), "limit"));
}

#[test]
fn a_full_file_system_pauses_the_source_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    // a mount that nobody else sees and that goes with the process; not everybody may make one
    let unshare = |more: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).args(more);
        command
    };
    let mount = format!("mount -t tmpfs -o size={} none \"${DIR}\"", SMALL + BALLAST);
    let probe = unshare(&[mount.as_str()]).env(DIR, dir.path()).output();
    let may = probe.as_ref().is_ok_and(|out| out.status.success());
    let (mut shell, may) = if may {
        (unshare(&[]), true)
    } else {
        let mut root = Command::new("unshare");
        root.args(["--mount", "sh", "-c"]);
        let mut probe = Command::new("unshare");
        probe.args(["--mount", "sh", "-c", mount.as_str()]).env(DIR, dir.path());
        (root, probe.status().is_ok_and(|status| status.success()))
    };
    if !may {
        // past the harness, which hides what a test that passes prints
        let words =
            "NOT TESTED: a full tmpfs, because nothing may be mounted here; the limit on files was tested\n";
        std::io::stderr().write_all(words.as_bytes()).unwrap();
        return;
    }
    assert_went_on(child_after(
        &format!("{mount} && head -c {BALLAST} /dev/zero >\"${DIR}/ballast\" &&"),
        &mut shell,
        dir.path(),
        "tmpfs",
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_is_full_nothing_is_lost() {
    for wait in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let mut child =
            child_after("", &mut sh(), dir.path(), "never").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let full = |line: String| line.split("full at ").nth(1)?.split(':').next()?.parse::<u64>().ok();
        let told = lines.filter_map(full).next();
        // at another moment of its tries each time
        std::thread::sleep(std::time::Duration::from_millis(wait * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        let told = told.expect("it was full");
        let log = Log::open(&dir.path().join("log.redb"), options()).unwrap();
        let head = log.head();
        assert!(head >= told, "{told} were durable, {head} are there");
        check(&log, head).await;
        fill(&log).await;
        check(&log, EVENTS).await;
    }
}
