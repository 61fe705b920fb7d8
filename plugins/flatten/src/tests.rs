//! Documents and what is taken out of them, natively.

use forebay_plugin::Column;
use forebay_plugin::LogicalType::{Integer, Json, Text};
use forebay_plugin::testing::{run, table, texts};

use super::*;

fn shop() -> TableSchema {
    table([("id", Integer), ("payload", Json), ("note", Text)])
}

fn flat(paths: &str, on_error: &str, documents: &[Cell<&str>]) -> Output {
    let config = format!(r#"{{"column": "payload", "paths": {paths}, "on_error": "{on_error}"}}"#);
    run::<Flatten>(&shop(), &config, documents.len() as u32, vec![texts(documents.iter().copied())])
        .unwrap()
        .1
}

/// One path of one type, on one document: the cell, or why it was rejected.
fn one(path: &str, ty: &str, document: &str) -> Result<Option<String>, String> {
    let paths = serde_json::json!({ "x": { "path": path, "type": ty } }).to_string();
    let output = flat(&paths, "reject", &[Cell::Value(document)]);
    if let Some(reject) = output.rejects.first() {
        return Err(reject.reason.clone());
    }
    let column = output.columns[0].as_ref().unwrap();
    Ok(cell(column))
}

fn cell(column: &Column) -> Option<String> {
    let text = |row: usize| match &column.cells {
        forebay_plugin::Cells::Signed(cells) => cells[row].to_string(),
        forebay_plugin::Cells::Unsigned(cells) => cells[row].to_string(),
        forebay_plugin::Cells::Float(cells) => cells[row].to_string(),
        _ => column.texts().unwrap().text(row).to_owned(),
    };
    column.is_value(0).then(|| text(0))
}

#[test]
fn takes_values_exactly() {
    let document = r#" {"a": {"b": [1, {"c": "x\u00e9\n"}], "big": 12345678901234567890.123456789, "z": null}, "a b": "q",
        "t": true, "s": "12.50", "e": 1.5e3, "d": "2020-01-31", "none": {}} "#;
    for (path, ty, want) in [
        ("$.a.b[0]", "bigint", Some("1")),
        ("$.a.b[1].c", "text", Some("xé\n")),
        ("$.a.b[2]", "bigint", None),
        ("$.a.big", "decimal(40,10)", Some("12345678901234567890.1234567890")),
        ("$.a.big", "text", Some("12345678901234567890.123456789")),
        ("$.a.z", "int", None),
        ("$.a.z.y", "int", None),
        ("$.\"a b\"", "varchar(1)", Some("q")),
        ("$.t", "boolean", Some("1")),
        ("$.t", "text", Some("true")),
        ("$.s", "decimal(10,2)", Some("12.50")),
        ("$.s", "double", Some("12.5")),
        ("$.e", "int unsigned", Some("1500")),
        ("$.d", "date", Some("2020-01-31")),
        ("$.a.b", "json", Some(r#"[1, {"c": "x\u00e9\n"}]"#)),
        ("$.none", "json", Some("{}")),
        ("$.nowhere.at.all[7]", "json", None),
        ("$[0]", "int", None),
        ("$.s.x", "int", None),
    ] {
        assert_eq!(one(path, ty, document), Ok(want.map(str::to_owned)), "{path} {ty}");
    }
    assert_eq!(one("$", "bigint", " 7 "), Ok(Some("7".to_owned())));
    assert_eq!(one("$[1]", "bigint", "[1, 2]"), Ok(Some("2".to_owned())));
    assert_eq!(
        one("$.a", "int", r#"{"a": 1, "b": 1e999, "a": 2}"#),
        Ok(Some("2".to_owned())),
        "the last counts"
    );
    assert_eq!(one("$.a.b", "int", r#"{"a": {"b": 1}, "a": {}}"#), Ok(None), "as a whole");
}

#[test]
fn what_does_not_fit_is_rejected_without_its_value() {
    for (path, ty, document, why) in [
        ("$.a", "tinyint", r#"{"a": 300}"#, "what stands at $.a is no tinyint"),
        ("$.a", "int", r#"{"a": 1.5}"#, "what stands at $.a is no int"),
        ("$.a", "decimal(4,2)", r#"{"a": 1.005}"#, "what stands at $.a is no decimal(4,2)"),
        ("$.a", "int", r#"{"a": "x"}"#, "what stands at $.a is no int"),
        ("$.a", "varchar(2)", r#"{"a": "secret"}"#, "what stands at $.a is no varchar(2)"),
        ("$.a", "text", r#"{"a": [1]}"#, "what stands at $.a is no text"),
        ("$.a", "double", r#"{"a": true}"#, "what stands at $.a is no double"),
        ("$.a", "double", r#"{"a": 1e999}"#, "what stands at $.a is no double"),
        ("$.a", "text", r#"{"a": "\ud800"}"#, "what stands at $.a is no text"),
        ("$.a", "int", r#"{"a": 1"#, "the document is no JSON"),
        ("$.a", "int", "", "the document is no JSON"),
    ] {
        assert_eq!(one(path, ty, document), Err(why.to_owned()), "{document}");
    }
}

#[test]
fn null_instead_of_a_reject_costs_the_cell_alone() {
    let paths = r#"{"n": {"path": "$.n", "type": "int"}, "t": {"path": "$.t", "type": "text"}}"#;
    let documents = [
        Cell::Value(r#"{"n": "x", "t": "kept"}"#),
        Cell::Value("no JSON"),
        Cell::Null,
        Cell::Absent,
        Cell::Value(r#"{"t": "", "n": -1}"#),
    ];
    let output = flat(paths, "null", &documents);
    assert!(output.rejects.is_empty());
    let columns: Vec<_> = output.columns.into_iter().flatten().collect();
    assert_eq!(columns[0].states, [0, 0, 0, 2, 1]);
    assert_eq!(columns[0].signed().unwrap()[4], -1);
    let texts: Vec<_> = columns[1].texts().unwrap().iter().collect();
    assert_eq!(texts, [Cell::Value("kept"), Cell::Null, Cell::Null, Cell::Absent, Cell::Value("")]);
    let output = flat(paths, "reject", &documents);
    assert_eq!(output.rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn the_plan_and_its_problems() {
    let paths = r#"{"n": {"path": "$.n", "type": "INT"}, "payload": {"path": "$.p", "type": "text"}}"#;
    let config = format!(r#"{{"column": "payload", "paths": {paths}, "drop": true}}"#);
    let (plan, _) = run::<Flatten>(&shop(), &config, 1, vec![texts([Cell::Value("{}")])]).unwrap();
    let def = |name, ty| NativeType::parse(ty).unwrap().def(name, true);
    let want =
        Plan::default().append(def("n", "int")).append(def("payload", "text")).read(1).drop(1).filtering();
    assert_eq!(plan, want);
    let paths = r#"{"Note": {"path": "$.n", "type": "int"}, "a": {"path": "n", "type": "number"}}"#;
    let config = format!(r#"{{"column": "id", "paths": {paths}}}"#);
    let Err(Error::Config(problems)) = run::<Flatten>(&shop(), &config, 1, Vec::new()) else {
        panic!("it was taken")
    };
    let said: Vec<_> =
        problems.iter().map(|p| format!("{}: {}", p.path, p.message.split(';').next().unwrap())).collect();
    assert_eq!(
        said,
        [
            "column: column `id` is bigint, neither JSON nor text",
            "paths.Note: there is a column `Note` already",
            "paths.a.type: `number` is no type that can be made here",
            "paths.a.path: a path begins with `$`, as `$.customer.id`",
        ]
    );
}
