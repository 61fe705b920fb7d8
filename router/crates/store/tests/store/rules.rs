//! One test for each promise.

use forebay_store::{Checkpoint, Counts, DocKind, LetterId, Store};
use serde_json::json;

use crate::{delete, letter, open, place, plugin, put};

fn at(epoch: u64, offset: u64) -> Checkpoint {
    Checkpoint { epoch, offset, ..Checkpoint::default() }
}

#[tokio::test]
async fn a_stale_revision_fails_the_whole_write() {
    let (_dir, path) = place();
    let store = open(&path);
    store.write(vec![put("a", json!({"x": 1}), Some(0))]).await.unwrap();
    let both = vec![put("b", json!({"x": 1}), Some(0)), put("a", json!({"x": 2}), Some(7))];
    let fault = store.write(both).await.unwrap_err();
    assert_eq!(fault.code().name, "store.conflict");
    assert_eq!(fault.message(), "routes.a is at revision 1; revision 7 was expected");
    assert_eq!(store.list(DocKind::Routes).unwrap().len(), 1, "b was not written either");
    let fault = store.write(vec![put("a", json!({}), Some(0))]).await.unwrap_err();
    assert_eq!(fault.message(), "routes.a exists already, at revision 1");
    let fault = store.write(vec![delete("c", Some(1))]).await.unwrap_err();
    assert_eq!(fault.message(), "routes.c does not exist (any more); revision 1 was expected");
}

#[tokio::test]
async fn an_equal_put_changes_nothing_and_a_deletion_counts() {
    let (_dir, path) = place();
    let store = open(&path);
    let first = store.write(vec![put("a", json!({"x": 1, "y": 2}), None)]).await.unwrap();
    let again = store.write(vec![put("a", json!({"y": 2, "x": 1}), Some(1))]).await.unwrap();
    assert_eq!(first, again, "the same document, revision and time");
    store.write(vec![delete("a", Some(1))]).await.unwrap();
    assert_eq!(store.get(DocKind::Routes, "a").unwrap(), None);
    assert_eq!(store.documents().unwrap(), []);
    let back = store.write(vec![put("a", json!({"x": 1, "y": 2}), Some(0))]).await.unwrap();
    assert_eq!(back[0].revision, 3, "an old If-Match never fits a new document");
}

#[tokio::test]
async fn a_checkpoint_never_goes_back() {
    let (_dir, path) = place();
    let store = open(&path);
    let save = |c| store.save_checkpoints(vec![("new".into(), at(0, 1)), ("r".into(), c)]);
    save(at(0, 10)).await.unwrap();
    let fault =
        store.save_checkpoints(vec![("s".into(), at(0, 1)), ("r".into(), at(0, 9))]).await.unwrap_err();
    assert_eq!(fault.code().name, "store.checkpoint_back");
    assert_eq!(store.checkpoint("r").unwrap().unwrap().offset, 10);
    assert_eq!(store.checkpoint("s").unwrap().unwrap().offset, 1, "one route's failure is its own");
    save(at(0, 10)).await.unwrap();
    save(at(1, 3)).await.unwrap();
    assert_eq!(save(at(0, 11)).await.unwrap_err().code().name, "store.checkpoint_back", "an old epoch");
    assert!(store.delete_checkpoint("r").await.unwrap());
    assert!(!store.delete_checkpoint("r").await.unwrap());
    save(at(0, 0)).await.unwrap();
    let all: Vec<_> = store.checkpoints().unwrap().into_iter().map(|(r, c)| (r, c.epoch, c.offset)).collect();
    assert_eq!(all, [("new".to_owned(), 0, 1), ("r".to_owned(), 0, 0), ("s".to_owned(), 0, 1)]);
}

#[tokio::test]
async fn plugins_are_kept_by_hash_while_a_definition_names_them() {
    let (_dir, path) = place();
    let store = open(&path);
    let fault = store.write(vec![plugin("mask", "00")]).await.unwrap_err();
    assert_eq!(fault.code().name, "store.plugin_missing");
    let stored = store.put_plugin(b"abc".to_vec()).await.unwrap();
    assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(store.put_plugin(b"abc".to_vec()).await.unwrap(), stored, "first seen stays");
    store.put_plugin(b"other".to_vec()).await.unwrap();
    store.write(vec![plugin("mask", &stored.sha256)]).await.unwrap();
    assert_eq!(store.delete_plugin(&stored.sha256).await.unwrap_err().code().name, "store.plugin_in_use");
    assert_eq!(store.sweep_plugins().await.unwrap(), 1, "the one that nobody names");
    assert_eq!(store.plugins().unwrap(), std::slice::from_ref(&stored));
    assert_eq!(store.plugin(&stored.sha256).unwrap().unwrap(), b"abc");
    let unname =
        forebay_store::Change::Delete { kind: DocKind::Plugins, name: "mask".into(), if_revision: None };
    store.write(vec![unname]).await.unwrap();
    assert!(store.delete_plugin(&stored.sha256).await.unwrap());
    assert_eq!(store.plugin(&stored.sha256).unwrap(), None);
}

#[tokio::test]
async fn dead_letters_are_bounded_by_refusal_and_counted_once() {
    let (_dir, path) = place();
    let store = open(&path);
    store.add_dead_letters("r", (0..4).map(letter).collect()).await.unwrap();
    let fault = store.add_dead_letters("r", vec![letter(4), letter(5)]).await.unwrap_err();
    assert_eq!(fault.code().name, "store.dead_letters_full");
    assert_eq!(store.count_dead_letters("r").unwrap(), 4, "none of the two");
    store.add_dead_letters("r", vec![letter(3), letter(4)]).await.unwrap();
    store.add_dead_letters("other", vec![letter(0)]).await.unwrap();
    assert_eq!(store.count_dead_letters("r").unwrap(), 5, "letter 3 again is the same letter");
    let page = |after, limit| -> Vec<u64> {
        store.dead_letters("r", after, limit).unwrap().iter().map(|l| l.id.offset).collect()
    };
    let id = |offset| LetterId { offset, part: 0 };
    assert_eq!(page(None, 2), [0, 1]);
    assert_eq!(page(Some(id(1)), 2), [2, 3]);
    assert_eq!(page(Some(id(3)), 9), [4]);
    assert_eq!(page(None, 0), [0; 0]);
    assert_eq!(store.dead_letter("r", id(2)).unwrap().unwrap().1, 2u64.to_be_bytes());
    assert_eq!(store.delete_dead_letters("r", vec![id(2), id(99)]).await.unwrap(), 1);
    assert_eq!(store.dead_letter("r", id(2)).unwrap(), None);
    assert_eq!(page(Some(id(1)), 9), [3, 4], "paging goes on after a letter that is gone");
    assert_eq!(store.clear_dead_letters("r").await.unwrap(), 4);
    assert_eq!((store.count_dead_letters("r").unwrap(), store.count_dead_letters("other").unwrap()), (0, 1));
}

#[tokio::test]
async fn a_long_reason_is_cut_at_a_character() {
    let (_dir, path) = place();
    let store = open(&path);
    let mut long = letter(0);
    long.reason = "é".repeat(1000);
    store.add_dead_letters("r", vec![long]).await.unwrap();
    assert_eq!(store.dead_letters("r", None, 1).unwrap()[0].reason, "é".repeat(512));
}

#[tokio::test]
async fn with_a_route_go_its_checkpoint_and_its_dead_letters() {
    let (_dir, path) = place();
    let store = open(&path);
    store.write(vec![put("r", json!({}), None), put("s", json!({}), None)]).await.unwrap();
    store.save_checkpoints(vec![("r".into(), at(0, 5)), ("s".into(), at(0, 5))]).await.unwrap();
    for route in ["r", "s"] {
        store.add_dead_letters(route, vec![letter(0)]).await.unwrap();
    }
    store.write(vec![delete("r", None)]).await.unwrap();
    assert_eq!((store.checkpoint("r").unwrap(), store.count_dead_letters("r").unwrap()), (None, 0));
    assert_eq!(
        (store.checkpoint("s").unwrap().unwrap().offset, store.count_dead_letters("s").unwrap()),
        (5, 1)
    );
}

#[tokio::test]
async fn the_audit_trail_is_a_ring() {
    let (_dir, path) = place();
    let store = open(&path);
    for i in 0..5 {
        store.audit("127.0.0.1", "put", &format!("routes.r{i}")).await.unwrap();
    }
    let targets = |n| store.audit_entries(n).unwrap().into_iter().map(|e| e.target).collect::<Vec<_>>();
    assert_eq!(targets(10), ["routes.r4", "routes.r3", "routes.r2"]);
    assert_eq!(targets(1), ["routes.r4"]);
}

#[test]
fn letter_ids_are_read_as_written() {
    for id in ["0-0", "18446744073709551615-1"] {
        assert_eq!(id.parse::<LetterId>().unwrap().to_string(), id);
    }
    for wrong in ["", "1", "1-2-3", "1-", "+1-2", "1-4294967296", "a-b"] {
        assert!(wrong.parse::<LetterId>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let (_dir, path) = place();
    let store = open(&path);
    let sha256 = store.put_plugin(b"abc".to_vec()).await.unwrap().sha256;
    store.write(vec![plugin("mask", &sha256), put("r", json!({"x": [1, null]}), None)]).await.unwrap();
    let counts = Counts { read: 6, delivered: 3, filtered: 2, dead: 1 };
    let checkpoint =
        Checkpoint { epoch: 2, offset: 9, paused: true, counts, updated_us: 0, lineage: 2, log: 3 };
    store.save_checkpoints(vec![("r".into(), checkpoint)]).await.unwrap();
    store.add_dead_letters("r", vec![letter(7)]).await.unwrap();
    store.audit("me", "put", "routes.r").await.unwrap();
    let look = |s: &Store| {
        let letters = s.dead_letters("r", None, 10).unwrap();
        let event = s.dead_letter("r", letters[0].id).unwrap();
        let state = (
            s.documents().unwrap(),
            s.checkpoints().unwrap(),
            s.plugins().unwrap(),
            s.plugin(&sha256).unwrap(),
        );
        (state, letters, event, s.count_dead_letters("r").unwrap(), s.audit_entries(10).unwrap())
    };
    let before = look(&store);
    assert_eq!(Checkpoint { updated_us: 0, ..before.0.1[0].1 }, checkpoint);
    assert!(before.0.1[0].1.updated_us > 1_700_000_000_000_000);
    drop(store);
    assert_eq!(look(&open(&path)), before);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, path) = place();
    let _store = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_a_note_names_is_kept_until_the_note_says_that_it_is_gone() {
    let (_dir, path) = place();
    let store = open(&path);
    let stored = store.put_plugin(b"abc".to_vec()).await.unwrap();
    let note = |gone: bool| serde_json::json!({ "gone": gone, "transforms": [{ "sha256": stored.sha256 }] });
    let says = |note| store.set_notes("routes/r", vec![("transforms/1".to_owned(), Some(note))]);
    says(note(false)).await.unwrap();
    assert_eq!(store.sweep_plugins().await.unwrap(), 0);
    says(note(true)).await.unwrap();
    assert_eq!(store.sweep_plugins().await.unwrap(), 1);
}
