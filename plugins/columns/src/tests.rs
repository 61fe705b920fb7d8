//! Plans, natively; what becomes of rows is shown by the router's tests.

use forebay_plugin::LogicalType::{Decimal, Integer, Text};
use forebay_plugin::testing::{run, table};
use forebay_plugin::{ColumnDef, Metadata, NativeType};

use super::*;

/// `id` is the key and not NULL.
fn members() -> TableSchema {
    let mut table =
        table([("id", Integer), ("name", Text), ("pbf_rate", Decimal), ("pbf_max", Decimal), ("note", Text)]);
    table.columns[0].nullable = false;
    table
}

fn plan(config: &str) -> Plan {
    run::<Columns>(&members(), config, 1, Vec::new()).unwrap().0
}

/// `path: message` of each problem, and whether they are the configuration's.
fn problems(config: &str) -> (bool, Vec<String>) {
    let of = |all: Vec<forebay_plugin::Problem>| {
        all.iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    };
    match run::<Columns>(&members(), config, 1, Vec::new()) {
        Err(Error::Config(all)) => (true, of(all)),
        Err(Error::Schema(all)) => (false, of(all)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_said_changes_nothing() {
    assert_eq!(plan("{}"), Plan::default());
}

#[test]
fn chooses_and_renames() {
    let config = r#"{"include": ["id", "p*"], "exclude": ["*_max"], "rename": {"pbf_rate": "body_fat_pct"}}"#;
    assert_eq!(plan(config), Plan::default().drop(1).rename(2, "body_fat_pct").drop(3).drop(4));
    let swapped = r#"{"rename": {"name": "note", "note": "name"}}"#;
    assert_eq!(plan(swapped), Plan::default().rename(1, "note").rename(4, "name"));
}

#[test]
fn adds_what_is_the_same_everywhere() {
    let config = r#"{"constants": {"a": "AU", "b": -3, "c": true, "d": null, "e": 18446744073709551615,
        "f": {"value": "1.5", "type": "decimal(10,2)"}, "g": {"value": {"k": [1]}, "type": "json"},
        "h": {"value": null, "type": "int"}, "i": {"value": "2020-01-31", "type": "date"},
        "j": {"value": 2.5, "type": "double"}}}"#;
    let of = |name: &str, ty: &str, value: Option<&str>| {
        let ty = NativeType::parse(ty).unwrap();
        (ty.def(name, value.is_none()), ty.constant(value).unwrap())
    };
    let want = [
        of("a", "varchar(2)", Some("AU")),
        of("b", "bigint", Some("-3")),
        of("c", "boolean", Some("1")),
        of("d", "longtext", None),
        of("e", "bigint unsigned", Some("18446744073709551615")),
        of("f", "decimal(10,2)", Some("1.50")),
        of("g", "json", Some("{\"k\":[1]}")),
        of("h", "int", None),
        of("i", "date", Some("2020-01-31")),
        of("j", "double", Some("2.5")),
    ];
    let want =
        want.into_iter().fold(Plan::default(), |plan, (def, cell): (ColumnDef, _)| plan.constant(def, cell));
    assert_eq!(plan(config), want);
}

#[test]
fn adds_what_the_router_knows() {
    let config = r#"{"metadata": {"op": "__op", "commit_time": "at", "deleted": "gone"},
        "deleted": {"column": "__deleted"}, "key": ["id"]}"#;
    let want = Plan::default()
        .stamp(Metadata::Op, "__op")
        .stamp(Metadata::Deleted, "gone")
        .stamp(Metadata::CommitTime, "at")
        .keeping_deleted("__deleted")
        .key(["id"]);
    assert_eq!(plan(config), want);
}

#[test]
fn says_everything_that_does_not_fit_the_table() {
    let config = r#"{"include": ["id", "nam?", "x*"], "exclude": ["y"],
        "rename": {"z": "a", "note": "b", "name": "ID"}, "key": ["id", "ID", "nope", "__op"],
        "metadata": {"op": "__op", "table": "__OP"}}"#;
    let (is_config, said) = problems(config);
    assert!(!is_config);
    assert_eq!(
        said,
        [
            "include[2]: table shop.customers has no column like `x*`",
            "exclude[0]: table shop.customers has no column `y`",
            "rename.note: column `note` is left out by include or exclude",
            "rename.z: table shop.customers has no column `z`",
            "rename.name: two columns would be called `ID` (case does not tell them apart)",
            "metadata.table: two columns would be called `__OP` (case does not tell them apart)",
            "key[1]: `ID` can be NULL, so it cannot be of the key",
            "key[2]: `nope` is no column of the result",
            "key[3]: `__op` is the same for many rows, so it cannot be of the key",
        ]
    );
    assert_eq!(problems(r#"{"exclude": ["*"]}"#).1, [": no column is left"]);
}

#[test]
fn says_everything_that_is_wrong_with_the_configuration() {
    let config = r#"{"constants": {"a": 1.5, "b": [], "c": {"value": 300, "type": "tinyint"}, "d": {"value": 1},
        "e": {"value": 1, "type": "number"}, "": 1}, "rename": {"gone": "x"}}"#;
    let (is_config, said) = problems(config);
    assert!(is_config);
    let said: Vec<&str> = said.iter().map(|p| p.split([';', '(']).next().unwrap().trim()).collect();
    assert_eq!(
        said,
        [
            "rename.gone: table shop.customers has no column `gone`",
            "constants.: a column cannot be called that",
            "constants.a: say the type of a number with a fraction: `{ value: \"...\", type: \"decimal",
            "constants.b: text, a whole number, true, false, null or `{ value, type }` is needed",
            "constants.c.value: the value is no tinyint",
            "constants.d: missing field `type`",
            "constants.e.type: `number` is no type that can be made here",
        ]
    );
    assert_eq!(
        problems(r#"{"metadata": {"position": "p"}}"#).1[0].split(',').next(),
        Some("metadata.position: unknown field `position`")
    );
}

#[test]
fn names_that_are_not_there_can_be_ignored() {
    let config = r#"{"missing": "ignore", "include": ["id", "x*"], "exclude": ["y"], "rename": {"z": "a"}}"#;
    assert_eq!(plan(config), Plan::default().drop(1).drop(2).drop(3).drop(4));
}
