//! Plans that pass and plans that do not.

use forebay_model::ColumnType;

use super::*;
use crate::bindings::{ColumnDefResult, Layout, LogicalType, Rename, Retype};

fn table() -> Arc<TableSchema> {
    let column = |name: &str, ty, native: &str| Column {
        name: name.to_owned(),
        ty,
        nullable: name != "id",
        native: native.to_owned(),
    };
    Arc::new(TableSchema {
        database: "shop".to_owned(),
        table: "orders".to_owned(),
        columns: vec![
            column("id", ColumnType::Integer { bits: 32, unsigned: false }, "int"),
            column("email", ColumnType::Text, "varchar(64)"),
            column("size", ColumnType::Enum { members: vec!["s".into()] }, "enum('s')"),
        ],
        key: vec![0],
    })
}

fn rename(column: u32, name: &str) -> Edit {
    Edit::Rename(Rename { column, name: name.to_owned() })
}

fn def(name: &str, nullable: bool) -> ColumnDefResult {
    ColumnDefResult {
        name: name.to_owned(),
        logical: LogicalType::Text,
        layout: Layout::Text,
        nullable,
        native_type: String::new(),
    }
}

fn retype(column: u32, name: &str, nullable: bool) -> Edit {
    Edit::Retype(Retype { column, def: def(name, nullable) })
}

fn check(reads: &[u32], edits: Vec<Edit>) -> Result<Checked, String> {
    Checked::new(&wit::Plan { reads: reads.to_vec(), edits, filters: false, needs_kinds: false }, &table())
}

fn names(checked: &Checked) -> Vec<&str> {
    checked.output.columns.iter().map(|c| &*c.name).collect()
}

#[test]
fn an_empty_plan_changes_nothing_and_calls_nobody() {
    let table = table();
    let plan = wit::Plan { reads: vec![], edits: vec![], filters: false, needs_kinds: false };
    let checked = Checked::new(&plan, &table).unwrap();
    assert!(Arc::ptr_eq(&checked.output, &table));
    assert!(!checked.calls_guest());
    assert_eq!(checked.plan, Plan::default());
}

#[test]
fn edits_are_wired() {
    let edits = vec![
        Edit::Replace(2),
        rename(2, "groesse"),
        retype(1, "email_hash", true),
        Edit::Append(def("note", true)),
        Edit::Append(def("note2", false)),
    ];
    let checked = check(&[1], edits).unwrap();
    assert_eq!(names(&checked), ["id", "email_hash", "groesse", "note", "note2"]);
    let computed = |n| From::Computed(n);
    assert_eq!(checked.from, [From::Input(0), computed(1), computed(0), computed(2), computed(3)]);
    assert_eq!(checked.output.columns[2].ty, ColumnType::Text, "a replaced ENUM is text");
    assert_eq!(checked.output.key, [0]);
    assert_eq!(checked.plan.renames.len(), 2);
    assert!(checked.plan.hides("email") && checked.plan.hides("size") && !checked.plan.hides("id"));
    let optional: Vec<bool> = checked.computed.iter().map(|c| c.optional).collect();
    assert_eq!(optional, [false; 4], "the replaced column is not read");
    assert!(check(&[2], vec![Edit::Replace(2)]).unwrap().computed[0].optional);
}

#[test]
fn the_key_follows_its_columns() {
    let dropped = check(&[], vec![Edit::Drop(1)]).unwrap();
    assert_eq!((names(&dropped), &*dropped.output.key), (vec!["id", "size"], &[0][..]));
    assert!(!dropped.calls_guest() && !dropped.plan.loses_key);
    for (edit, keeps) in [
        (Edit::Drop(0), false),
        (Edit::Nullify(0), false),
        (retype(0, "id", true), false),
        (retype(0, "id", false), true),
        (Edit::Replace(0), true),
        (rename(0, "key"), true),
    ] {
        let checked = check(&[], vec![edit.clone()]).unwrap();
        assert_eq!(!checked.plan.loses_key, keeps, "{edit:?}");
        assert_eq!(checked.output.key.is_empty(), !keeps, "{edit:?}");
    }
    let nullified = check(&[], vec![Edit::Nullify(1), rename(1, "e")]).unwrap();
    assert_eq!(nullified.from[1], From::Nulls(1));
}

#[test]
fn names_may_be_swapped() {
    let swapped = check(&[], vec![rename(1, "size"), rename(2, "email")]).unwrap();
    assert_eq!(names(&swapped), ["id", "size", "email"]);
}

#[test]
fn contradictions_are_named() {
    let problem = |reads: &[u32], edits| check(reads, edits).unwrap_err();
    assert_eq!(problem(&[3], vec![]), "the table has no column number 3");
    assert_eq!(problem(&[1, 1], vec![]), "column `email` is read twice");
    let two = "column `email` has two edits that exclude each other";
    for edits in [
        vec![Edit::Drop(1), Edit::Drop(1)],
        vec![Edit::Drop(1), rename(1, "x")],
        vec![rename(1, "x"), Edit::Drop(1)],
        vec![rename(1, "x"), rename(1, "y")],
        vec![rename(1, "x"), retype(1, "y", true)],
        vec![Edit::Replace(1), retype(1, "y", true)],
        vec![Edit::Replace(1), Edit::Nullify(1)],
        vec![Edit::Nullify(1), Edit::Replace(1)],
        vec![Edit::Drop(1), Edit::Replace(1)],
    ] {
        assert_eq!(problem(&[], edits.clone()), two, "{edits:?}");
    }
    assert_eq!(problem(&[], vec![rename(1, "ID")]), "two columns would be called `ID`");
    assert_eq!(problem(&[], vec![Edit::Append(def("size", true))]), "two columns would be called `size`");
    assert_eq!(problem(&[], vec![rename(1, "")]), "a column cannot be called \"\"");
    assert_eq!(problem(&[], vec![rename(1, "a\nb")]), "a column cannot be called \"a\\nb\"");
    assert_eq!(problem(&[], vec![Edit::Drop(0), Edit::Drop(1), Edit::Drop(2)]), "no column is left");
    let many = (0..4096).map(|n| Edit::Append(def(&format!("c{n}"), true))).collect();
    assert_eq!(problem(&[], many), "there would be 4099 columns, 4096 are allowed");
    let wrong = ColumnDefResult { layout: Layout::Bytes, ..def("x", true) };
    assert_eq!(problem(&[], vec![Edit::Append(wrong)]), "a column of longtext cannot have that layout");
}
