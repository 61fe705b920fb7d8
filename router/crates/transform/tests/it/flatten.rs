//! The flatten plugin: paths of a JSON column become columns.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::ColumnType;
use forebay_model::Kind::{After, Before, Insert};
use forebay_transform::Limits;

use crate::support::{batch, column, id_column, place, plugin, table, texts};

#[tokio::test]
async fn paths_become_columns() {
    let table = table(vec![id_column(), column("payload", ColumnType::Json, true, "json")]);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 2, 3]));
    let documents = StringArray::from(vec![
        Some(r#"{"customer": {"id": 9007199254740993, "name": "Ada"}, "total": 1.5, "tags": ["x"]}"#),
        None,
        Some(r#"{"customer": {"id": "many"}}"#),
        None,
    ]);
    let mut input = batch(&table, vec![Before, After, Insert, Insert], vec![ids, Arc::new(documents)]);
    input.absent = vec![None, Some(BooleanBuffer::collect_bool(4, |row| row == 1))];
    let config = |rest: &str| {
        format!(
            r#"{{"column": "payload", "paths": {{"customer_id": {{"path": "$.customer.id", "type": "bigint"}},
            "total": {{"path": "$.total", "type": "decimal(10,2)"}},
            "tag": {{"path": "$.tags[0]", "type": "varchar(5)"}},
            "customer": {{"path": "$.customer", "type": "json"}}}}, {rest}}}"#
        )
    };
    let limits = Limits::default();
    let nulls = config(r#""drop": true, "on_error": "null""#);
    let mut binding = plugin("flatten").bind("test", &table, &nulls, &limits).await.unwrap();
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let names: Vec<&str> = applied.batch.table.columns.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["id", "customer", "customer_id", "tag", "total"]);
    let columns = &applied.batch.columns;
    let ids: Vec<_> = columns[2].as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ids, [Some(9_007_199_254_740_993), None, None, None], "no float has touched it");
    assert_eq!(columns[4].as_primitive::<Decimal128Type>().iter().next(), Some(Some(150)));
    assert_eq!(texts(&columns[1])[0], Some(r#"{"id": 9007199254740993, "name": "Ada"}"#));
    assert_eq!(texts(&columns[3]), [Some("x"), None, None, None]);
    assert!((1..5).all(|at| columns[at].null_count() >= 2));
    assert!(
        (1..5).all(|at| (0..4).all(|row| applied.batch.is_absent(at, row) == (row == 1))),
        "absent stays absent"
    );

    let mut binding =
        plugin("flatten").bind("test", &table, &config(r#""on_error": "reject""#), &limits).await.unwrap();
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.kinds, [Before, After, Insert]);
    let said: Vec<_> = applied.rejects.iter().map(|reject| (reject.event, &*reject.reason)).collect();
    assert_eq!(said, [(1, "what stands at $.customer.id is no bigint")]);
}

#[tokio::test]
async fn what_is_made_of_a_value_that_is_not_known_is_not_known_either() {
    let table = table(vec![id_column(), column("payload", ColumnType::Json, true, "json")]);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 1, 1]));
    // before: absent; after: partial, then absent, absent
    let documents = StringArray::from(vec![None, Some("null"), None, None]);
    let mut input = batch(&table, vec![Before, After, Before, After], vec![ids, Arc::new(documents)]);
    input.absent = vec![None, Some(BooleanBuffer::new_set(4))];
    assert!(input.is_partial(1, 1) && !input.is_partial(1, 3));
    let paths = r#""n": {"path": "$.n", "type": "bigint"}, "d": {"path": "$.d", "type": "decimal(50,2)"},
        "t": {"path": "$.t", "type": "varchar(9)"}, "j": {"path": "$.j", "type": "json"}"#;
    let limits = Limits::default();
    for (name, config) in [
        ("flatten", format!(r#"{{"column": "payload", "on_error": "reject", "paths": {{{paths}}}}}"#)),
        (
            "flatten",
            format!(r#"{{"column": "payload", "on_error": "null", "drop": true, "paths": {{{paths}}}}}"#),
        ),
        ("columns", r#"{"rename": {"payload": "p"}}"#.to_owned()),
        ("mask", r#"{"columns": {"payload": {"text": "\"x\""}}}"#.to_owned()),
    ] {
        let mut binding = plugin(name).bind("test", &table, &config, &limits).await.unwrap();
        let applied = binding.apply(&input, &place()).await.unwrap();
        applied.batch.check();
        let columns = 1..applied.batch.columns.len();
        assert!(!columns.is_empty() && applied.rejects.is_empty(), "{config}");
        for column in columns {
            let partial: Vec<bool> = (0..4).map(|row| applied.batch.is_partial(column, row)).collect();
            assert_eq!(partial, [false, true, false, false], "{config}, column {column}");
            assert!((0..4).all(|row| applied.batch.is_absent(column, row)), "{config}");
        }
    }
}
