//! The rules on every kind of value, natively.

use forebay_plugin::LogicalType::{Binary, Date, Float, Integer, Json, Text};
use forebay_plugin::testing::{run, table, texts};
use forebay_plugin::{Cell, Cells, Column, Edit, Error, Layout};

use super::*;

fn masked(config: &str, cells: &[Cell<&str>]) -> Vec<Cell<String>> {
    let table = table([("id", Integer), ("x", Text)]);
    let config = format!(r#"{{"columns": {{"x": {config}}}}}"#);
    let (_, output) =
        run::<Mask>(&table, &config, cells.len() as u32, vec![texts(cells.iter().copied())]).unwrap();
    let column = output.columns.into_iter().next().unwrap().unwrap();
    let owned = |cell| match cell {
        Cell::Value(text) => Cell::Value(str::to_owned(text)),
        Cell::Null => Cell::Null,
        Cell::Absent => Cell::Absent,
    };
    column.texts().unwrap().iter().map(owned).collect()
}

fn one(config: &str, text: &str) -> String {
    let cells = masked(config, &[Cell::Value(text), Cell::Null, Cell::Absent]);
    assert_eq!(cells[1..], [Cell::Null, Cell::Absent], "NULL stays NULL, absent stays absent");
    cells[0].clone().value().unwrap()
}

#[test]
fn keeps_characters_not_bytes() {
    assert_eq!(one(r#"{"keep_first": 1}"#, "Émile"), "É****");
    assert_eq!(one(r#"{"keep_first": 2}"#, "日本語"), "日本*");
    assert_eq!(one(r#"{"keep_first": 0}"#, "ab"), "**");
    assert_eq!(one(r#"{"keep_first": 9}"#, "ab"), "ab");
    assert_eq!(one(r#"{"keep_first": 1}"#, ""), "");
    assert_eq!(one(r#"{"keep_last": 4}"#, "+61 400 123 456"), "*********** 456");
    assert_eq!(one(r#"{"keep_last": 1}"#, "né"), "*é");
    assert_eq!(one(r#"{"keep_last": 3}"#, "né"), "né");
    assert_eq!(one(r#"{"keep_last": 0}"#, "né"), "**");
    let long = "x".repeat(1000);
    assert_eq!(one(r#"{"keep_first": 1}"#, &long), format!("x{}", "*".repeat(999)));
}

#[test]
fn keeps_the_domain() {
    let rule = r#"{"keep_domain": true}"#;
    assert_eq!(one(rule, "jane@example.com"), "j***@example.com");
    assert_eq!(one(rule, "\"a@b\"@example.com"), "\"****@example.com");
    assert_eq!(one(rule, "@example.com"), "@example.com");
    assert_eq!(one(rule, "no address"), "n*********");
    assert_eq!(one(rule, ""), "");
}

#[test]
fn text_and_hash_replace_the_value() {
    assert_eq!(one(r#"{"text": "REDACTED"}"#, "anything"), "REDACTED");
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let value = "what do ya want for nothing?";
    assert_eq!(one(r#"{"hash": {"key": "Jefe"}}"#, value), hex);
    assert_eq!(one(r#"{"hash": {"key": "Jefe", "length": 32}}"#, value), hex[..32]);
    let base64 = r#"{"hash": {"key": "Jefe", "encoding": "base64"}}"#;
    assert_eq!(one(base64, value), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
}

#[test]
fn other_types_become_text() {
    let table = table([("id", Integer), ("n", Integer), ("b", Binary), ("d", Date), ("f", Float)]);
    let key = r#"{"key": "k"}"#;
    let config =
        format!(r#"{{"columns": {{"b": {{"hash": {key}}}, "d": {{"text": "-"}}, "n": {{"hash": {key}}}}}}}"#);
    let numbers = Column { states: vec![1, 0], cells: Cells::Signed(vec![-12, 0]) };
    let mut bytes = texts([Cell::Value("-12"), Cell::Value("")]);
    if let Cells::Text(cells) = bytes.cells {
        bytes.cells = Cells::Bytes(cells);
    }
    let dates = texts([Cell::Value("2020-00-15"), Cell::Null]);
    let (plan, output) = run::<Mask>(&table, &config, 2, vec![bytes, dates, numbers]).unwrap();
    assert_eq!(plan.reads, [2, 3, 1], "in the order of the configuration");
    let Edit::Retype(retype) = &plan.edits[0] else { panic!("{:?}", plan.edits) };
    assert_eq!(
        (retype.column, retype.def.layout, &*retype.def.native_type),
        (2, Layout::Text, "varchar(64)")
    );
    let cells = |index: usize| output.columns[index].as_ref().unwrap().texts().unwrap();
    assert_eq!(cells(0).get(0), cells(2).get(0), "a number is hashed as its text");
    assert_eq!(cells(2).get(1), Cell::Null);
    assert_eq!(cells(1).iter().collect::<Vec<_>>(), [Cell::Value("-"), Cell::Null]);
}

#[test]
fn null_and_drop_cost_nothing() {
    let table = table([("id", Integer), ("a", Json), ("b", Float)]);
    let config = r#"{"columns": {"a": {"drop": true}, "b": {"null": true}}}"#;
    let (plan, _) = run::<Mask>(&table, config, 1, Vec::new()).unwrap();
    assert_eq!(plan, Plan::default().drop(1).nullify(2));
}

#[test]
fn says_everything_that_is_wrong_with_the_table() {
    let table = table([("id", Integer), ("f", Float), ("j", Json)]);
    let columns =
        r#""columns": {"f": {"hash": {"key": "k"}}, "gone": {"null": true}, "j": {"keep_first": 1}}"#;
    let problem = run::<Mask>(&table, &format!("{{{columns}}}"), 1, Vec::new()).unwrap_err();
    let Error::Schema(problems) = problem else { panic!("{problem:?}") };
    let said: Vec<_> =
        problems.iter().map(|p| (p.path.as_str(), p.message.split(" (").next().unwrap())).collect();
    assert_eq!(
        said,
        [
            ("columns.f", "column `f` is double: hash does not work on floating-point numbers"),
            ("columns.gone", "table shop.customers has no column `gone`"),
            ("columns.j", "column `j` is json: keep_first, keep_last and keep_domain work on text only"),
        ]
    );
    let ignoring = r#"{"missing": "ignore", "columns": {"gone": {"null": true}}}"#;
    let (plan, _) = run::<Mask>(&table, ignoring, 1, Vec::new()).unwrap();
    assert_eq!(plan, Plan::default());
}

#[test]
fn says_everything_that_is_wrong_with_the_rules() {
    let config =
        r#"{"columns": {"a": {"keep_first": -1}, "b": {"null": true}, "c": {}, "d": {"hash": {"key": 1}}}}"#;
    match run::<Mask>(&table([("x", Text)]), config, 1, Vec::new()) {
        Err(Error::Config(problems)) => {
            let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
            assert_eq!(paths, ["columns.a.keep_first", "columns.c", "columns.d.hash.key", "columns.b"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rule_is_one_rule() {
    let problem = |rule: &str| {
        let config = format!(r#"{{"columns": {{"x": {rule}}}}}"#);
        match run::<Mask>(&table([("x", Text)]), &config, 1, Vec::new()) {
            Err(Error::Config(problems)) => format!("{}: {}", problems[0].path, problems[0].message),
            other => panic!("{other:?}"),
        }
    };
    let one =
        "columns.x: exactly one of keep_first, keep_last, keep_domain, text, hash, null, drop is needed";
    assert_eq!(problem("{}"), one);
    assert_eq!(problem(r#"{"keep_first": 1, "keep_last": 1}"#), one);
    assert_eq!(problem(r#"{"keep_domain": false}"#), one);
    assert_eq!(problem(r#"{"hash": {"key": ""}}"#), "columns.x: hash.key is empty");
    assert_eq!(problem(r#"{"hash": {"key": "k", "length": 65}}"#), "columns.x: hash.length must be 1 to 64");
    assert!(
        problem(r#"{"hash": {"key": "k", "encoding": "rot13"}}"#).starts_with("columns.x.hash.encoding: ")
    );
    assert!(problem(r#"{"keep_first": -1}"#).starts_with("columns.x.keep_first: invalid value"));
    assert!(problem(r#"{"kep_first": 1}"#).starts_with("columns.x.kep_first: unknown field"));
}
