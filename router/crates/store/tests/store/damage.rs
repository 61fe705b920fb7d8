//! Files that are not as they were left: a clear fault, never a guess, never a panic at the door.

use std::fs;
use std::path::Path;

use forebay_model::Class;
use forebay_store::Store;
use redb::{Database, TableDefinition};
use serde_json::json;

use crate::{letter, open, place, put};

fn refusal(path: &Path) -> (&'static str, String) {
    let fault = Store::open(path).err().expect("it must not open");
    assert_eq!(fault.class(), Class::Fatal);
    assert!(!fault.remedy().is_empty());
    (fault.code().name, fault.message())
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let (_dir, path) = place();
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    assert_eq!(refusal(&path).0, "store.damaged");
    assert_eq!(fs::read(&path).unwrap(), vec![b'x'; 100_000]);
}

#[test]
fn another_redb_file_is_refused() {
    let (_dir, path) = place();
    let db = Database::create(&path).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(TableDefinition::<&str, u64>::new("blocks")).unwrap().insert("a", 1).unwrap();
    tx.commit().unwrap();
    drop(db);
    let (code, message) = refusal(&path);
    assert_eq!(code, "store.damaged");
    assert!(message.ends_with("it holds no format number, so it is no control file"), "{message}");
}

#[test]
fn a_newer_format_is_refused() {
    let (_dir, path) = place();
    drop(open(&path));
    let db = Database::create(&path).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 2).unwrap();
    tx.commit().unwrap();
    drop(db);
    let (code, message) = refusal(&path);
    assert_eq!(code, "store.newer_format");
    assert_eq!(message, "the control file has format 2, and this version reads format 1");
}

#[test]
fn a_second_process_is_refused() {
    let (_dir, path) = place();
    let _store = open(&path);
    assert_eq!(refusal(&path).0, "store.in_use");
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let (dir, _) = place();
    let fault = Store::open(&dir.path().join("no/control.redb")).err().unwrap();
    assert_eq!(fault.code().name, "store.io");
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_refused() {
    let (_dir, path) = place();
    let store = open(&path);
    store.add_dead_letters("r", vec![letter(0)]).await.unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    for keep in [1, 200, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..keep]).unwrap();
        assert_eq!(refusal(&path).0, "store.damaged", "{keep} of {} bytes", whole.len());
    }
}

#[tokio::test]
async fn a_record_that_rotted_is_found_when_it_is_read() {
    let (_dir, path) = place();
    let store = open(&path);
    store.write(vec![put("r", json!({"marker": "aaaaaaaaaaaaaaaa"}), None)]).await.unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let mut rotten = 0;
    for at in 0..bytes.len() - 16 {
        if &bytes[at..at + 16] == b"aaaaaaaaaaaaaaaa" {
            bytes[at] = b'b';
            rotten += 1;
        }
    }
    assert!(rotten > 0);
    fs::write(&path, bytes).unwrap();
    let fault = open(&path).documents().unwrap_err();
    assert_eq!(fault.code().name, "store.damaged");
    assert!(fault.message().ends_with("a record does not match its checksum"), "{fault}");
    assert!(!fault.message().contains("aaaa"), "nothing of the record is shown");
}
