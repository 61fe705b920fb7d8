//! The store from outside: what holds over reopening, over a crash, and over a file that is not as it was left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod crash;
mod damage;
mod full;
mod model;
mod rules;

use std::path::PathBuf;

use forebay_store::{Bounds, Change, DocKind, LetterId, NewDeadLetter, Stage, Store};
use serde_json::{Value, json};

/// A directory that goes away, and the control file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.redb");
    (dir, path)
}

fn open(path: &std::path::Path) -> Store {
    Store::open_bounded(path, Bounds { dead_letters_per_route: 5, audit_entries: 3 }).unwrap()
}

fn put(name: &str, value: Value, if_revision: Option<u64>) -> Change {
    Change::Put { kind: DocKind::Routes, name: name.into(), value, if_revision }
}

fn delete(name: &str, if_revision: Option<u64>) -> Change {
    Change::Delete { kind: DocKind::Routes, name: name.into(), if_revision }
}

fn plugin(name: &str, sha256: &str) -> Change {
    let value = json!({ "sha256": sha256 });
    Change::Put { kind: DocKind::Plugins, name: name.into(), value, if_revision: None }
}

fn letter(offset: u64) -> NewDeadLetter {
    NewDeadLetter {
        id: LetterId { offset, part: 0 },
        table: "active.tenants".into(),
        stage: Stage::Sink,
        code: "webhook.refused".into(),
        reason: "the receiver answered 422".into(),
        at_us: 1_800_000_000_000_000,
        event: offset.to_be_bytes().to_vec(),
    }
}
