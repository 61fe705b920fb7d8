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
        lineage: Default::default(),
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

fn nothing() -> wit::Plan {
    wit::Plan {
        reads: vec![],
        edits: vec![],
        filters: false,
        needs_kinds: false,
        routes: false,
        key: None,
        keeps_deleted: false,
    }
}

fn check(reads: &[u32], edits: Vec<Edit>) -> Result<Checked, String> {
    Checked::new(&wit::Plan { reads: reads.to_vec(), edits, ..nothing() }, &table())
}

fn names(checked: &Checked) -> Vec<&str> {
    checked.output.columns.iter().map(|c| &*c.name).collect()
}

#[test]
fn an_empty_plan_changes_nothing_and_calls_nobody() {
    let table = table();
    let checked = Checked::new(&nothing(), &table).unwrap();
    assert!(Arc::ptr_eq(&checked.output, &table));
    assert!(!checked.calls_guest());
    assert_eq!(checked.plan, Plan { key: vec!["id".to_owned()], ..Plan::default() });
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

#[test]
fn a_plan_may_name_the_key() {
    let keyed = |names: &[&str], edits| {
        let key = Some(names.iter().map(|name| (*name).to_owned()).collect());
        Checked::new(&wit::Plan { edits, key, ..nothing() }, &table())
    };
    let stamp = |what, name: &str| Edit::Stamp(wit::Stamp { what, name: name.to_owned() });
    let checked = keyed(&["sku"], vec![retype(1, "sku", false), stamp(Metadata::Offset, "at")]).unwrap();
    assert_eq!(
        (checked.output.key.as_slice(), checked.plan.key.as_slice()),
        (&[1][..], &["sku".to_owned()][..])
    );
    assert!(!checked.plan.loses_key && checked.stamps() && checked.plan.appends == ["at"]);
    let checked = keyed(&[], vec![]).unwrap();
    assert!(checked.output.key.is_empty() && checked.plan.loses_key);
    for (names, words) in [
        (&["gone"][..], "the result has not"),
        (&["email"][..], "can be NULL"),
        (&["at"][..], "tells no rows apart"),
        (&["id", "id"][..], "twice"),
    ] {
        let problem = keyed(names, vec![stamp(Metadata::Offset, "at")]).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
    let problem = Checked::new(&wit::Plan { keeps_deleted: true, ..nothing() }, &table()).unwrap_err();
    assert!(problem.contains("no stamp says"), "{problem}");
}

#[test]
fn a_constant_fits_its_column() {
    let constant = |states: &[u8], offsets: &[u32], nullable| {
        let cells =
            wit::CellsResult::Text(wit::VarCellsResult { offsets: offsets.to_vec(), data: b"AU".to_vec() });
        let value = wit::ColumnResult { states: states.to_vec(), cells };
        check(&[], vec![Edit::Constant(wit::Constant { def: def("country", nullable), value })])
    };
    let checked = constant(&[], &[0, 2], false).unwrap();
    assert_eq!(names(&checked), ["id", "email", "size", "country"]);
    assert!(!checked.calls_guest() && checked.plan.appends == ["country"]);
    for (states, offsets) in [(&[0_u8][..], &[0_u32, 2][..]), (&[2], &[0, 2]), (&[], &[0, 1, 2]), (&[], &[0])]
    {
        let problem = constant(states, offsets, false).unwrap_err();
        assert!(problem.starts_with("constant `country`: "), "{problem}");
    }
    assert!(constant(&[0], &[0, 2], true).is_ok());
}
