//! The bundled plugin that is written in Go, with the examples of its documentation.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, StringArray};
use forebay_model::{Kind, TableSchema};
use forebay_transform::{Limits, codes};

use crate::support::{batch, id_column, place, plugin, table, text_column, texts};

fn people() -> Arc<TableSchema> {
    table(vec![
        id_column(),
        text_column("email"),
        text_column("name"),
        text_column("phone"),
        text_column("street"),
    ])
}

fn column(cells: [Option<&str>; 3]) -> ArrayRef {
    Arc::new(StringArray::from(cells.to_vec()))
}

#[tokio::test]
async fn every_rule_in_one_plan() {
    let table = people();
    let config = r#"{"columns": {
        "email":  {"trim": true, "case": "lower"},
        "name":   {"collapse": true, "case": "title"},
        "phone":  {"phone": {"country": "AU", "invalid": "null"}},
        "street": {"address": {"words": {"St": "Street", "Rd": "Road"}}}}}"#;
    let columns = vec![
        Arc::new(Int32Array::from(vec![1, 2, 2])) as ArrayRef,
        column([Some(" Jane@Example.COM "), None, Some("a@b.c")]),
        column([Some("ACME   corp"), Some("émile zola"), Some("")]),
        column([Some("(02) 9123 4567"), Some("+61 2 9123 4567"), Some("unknown")]),
        column([Some("100  Test ST. ,Sydney NSW 2000"), None, Some("1 Main Rd")]),
    ];
    let input = batch(&table, vec![Kind::Insert, Kind::Before, Kind::After], columns);
    let normalize = plugin("normalize");
    let mut binding = normalize.bind("test", &table, config, &Limits::default()).await.unwrap();
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.table.columns, table.columns, "types are as they were");
    let columns = &applied.batch.columns;
    assert_eq!(texts(&columns[1]), [Some("jane@example.com"), None, Some("a@b.c")]);
    assert_eq!(texts(&columns[2]), [Some("Acme Corp"), Some("Émile Zola"), Some("")]);
    assert_eq!(texts(&columns[3]), [Some("+61291234567"), Some("+61291234567"), None]);
    assert_eq!(texts(&columns[4]), [Some("100 Test Street, Sydney NSW 2000"), None, Some("1 Main Road")]);
}

#[tokio::test]
async fn an_event_with_an_invalid_number_can_be_rejected() {
    let table = people();
    let config = r#"{"columns": {"phone": {"phone": {"country": "AU", "invalid": "reject"}}}}"#;
    let cells = [Some("0412 345 678"), Some("0412 345 678"), Some("s3cret")];
    let mut columns = vec![Arc::new(Int32Array::from(vec![1, 2, 2])) as ArrayRef];
    columns.extend((0..4).map(|_| column(cells)));
    let input = batch(&table, vec![Kind::Insert, Kind::Before, Kind::After], columns);
    let mut binding = plugin("normalize").bind("test", &table, config, &Limits::default()).await.unwrap();
    let applied = binding.apply(&input, &place()).await.unwrap();
    assert_eq!(applied.batch.kinds, [Kind::Insert]);
    let rejects: Vec<_> = applied.rejects.iter().map(|reject| (reject.event, &*reject.reason)).collect();
    assert_eq!(rejects, [(1, "not a phone number")]);
}

#[tokio::test]
async fn every_problem_is_told_with_its_place() {
    let config = r#"{"columns": {"id": {"trim": true}, "nmae": {"trim": true}, "phone": {"phone": {"country": "XX"}}}}"#;
    let refusal = plugin("normalize").bind("test", &people(), config, &Limits::default()).await.unwrap_err();
    assert_eq!(refusal.fault.code(), codes::CONFIG);
    let paths: Vec<_> = refusal.problems.iter().map(|problem| &*problem.path).collect();
    assert_eq!(paths, ["columns.id", "columns.nmae", "columns.phone.phone.country"]);
}
