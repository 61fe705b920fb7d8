//! The columns plugin: all of it is in the plan, and `apply` is never called.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, Decimal128Array, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::Kind::{After, Before, Delete, Insert, Snapshot};
use forebay_model::{Batch, ColumnType};
use forebay_transform::{Binding, Limits, codes};

use crate::support::{batch, column, id_column, place, plugin, table, text_column, texts};

/// Scans of members; the note is absent from the before image of the update.
fn scans() -> Batch {
    let decimal = ColumnType::Decimal { precision: 10, scale: 2 };
    let table = table(vec![
        id_column(),
        text_column("state"),
        column("pbf_rate", decimal.clone(), false, "decimal(10,2)"),
        text_column("note"),
    ]);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 3, 4]));
    let states = Arc::new(StringArray::from(vec!["NSW", "VIC", "WA", "QLD", "TAS"]));
    let rates = Decimal128Array::from(vec![1050, 2000, -50, 1, 0]).with_data_type(decimal.layout());
    let notes = Arc::new(StringArray::from(vec![Some("a"), None, None, Some("c"), Some("d")]));
    let kinds = vec![Snapshot, Insert, Before, After, Delete];
    let mut batch = batch(&table, kinds, vec![ids, states, Arc::new(rates), notes]);
    batch.absent = vec![None, None, None, Some(BooleanBuffer::collect_bool(5, |row| row == 2))];
    batch
}

async fn bind(input: &Batch, config: &str) -> Binding {
    plugin("columns")
        .bind("test", &input.table, config, &Limits::default())
        .await
        .expect("a good configuration")
}

#[tokio::test]
async fn chooses_renames_and_adds_without_a_call() {
    let input = scans();
    let config = r#"{"include": ["id", "pbf_*", "note"], "rename": {"pbf_rate": "body_fat_pct"},
        "constants": {"country": "AU", "fee": {"value": "1.5", "type": "decimal(4,2)"}, "none": null},
        "metadata": {"op": "__op", "gtid": "__gtid", "commit_time": "__at"}, "key": ["body_fat_pct"]}"#;
    let mut binding = bind(&input, config).await;
    let plan = binding.plan();
    assert!(plan.reads.is_empty() && !plan.filters && plan.replaces.is_empty(), "nothing to call it for");
    assert_eq!(
        (plan.drops.as_slice(), plan.key.as_slice()),
        (&["state".to_owned()][..], &["body_fat_pct".to_owned()][..])
    );
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let names: Vec<&str> = applied.batch.table.columns.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["id", "body_fat_pct", "note", "country", "fee", "none", "__op", "__at", "__gtid"]);
    let columns = &applied.batch.columns;
    assert!(Arc::ptr_eq(&columns[1], &input.columns[2]), "the same array, not a copy");
    // the update changes the key, so it is a delete and an insert
    assert_eq!(texts(&columns[6]), ["r", "c", "d", "c", "d"].map(Some));
    assert_eq!(texts(&columns[3]), [Some("AU"); 5]);
    assert_eq!(texts(&columns[5]), [None; 5]);
    assert_eq!(columns[4].as_primitive::<arrow_array::types::Decimal128Type>().value(4), 150);
    assert_eq!(columns[7].as_primitive::<Int64Type>().value(0), 1_700_000_000_123_456);
    assert!(applied.batch.is_absent(2, 2) && !applied.batch.is_absent(2, 3));
}

#[tokio::test]
async fn keeps_deleted_rows() {
    let input = scans();
    let config = r#"{"exclude": ["pbf_*"], "deleted": {"column": "__deleted"}}"#;
    let applied = bind(&input, config).await.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.kinds, [Snapshot, Insert, Before, After, Before, After]);
    let deleted = applied.batch.columns[3].as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(deleted, [0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn what_the_plugin_lets_through_the_router_carries_out() {
    let input = scans();
    for config in [
        "{}",
        r#"{"include": ["*"]}"#,
        r#"{"rename": {"state": "note", "note": "state"}}"#,
        r#"{"key": []}"#,
        r#"{"exclude": ["id"], "key": ["pbf_rate"]}"#,
        r#"{"constants": {"j": {"value": [1], "type": "json"}, "t": {"value": "00:00:01.5", "type": "time(1)"},
            "d": {"value": "2020-02-29 01:02:03", "type": "timestamp"}, "f": {"value": 0.1, "type": "float"},
            "n": {"value": 255, "type": "tinyint unsigned"}, "b": true, "v": ""}}"#,
        r#"{"metadata": {"op": "a", "deleted": "b", "commit_time": "c", "gtid": "d", "offset": "e", "source": "f",
            "database": "g", "table": "h"}, "deleted": {"column": "i"}}"#,
    ] {
        let applied = bind(&input, config).await.apply(&input, &place()).await.unwrap();
        applied.batch.check();
    }
    for (config, code, words) in [
        (r#"{"include": ["nope"]}"#, codes::SCHEMA, "include[0]: table shop.orders has no column `nope`"),
        (r#"{"rename": {"state": "id"}}"#, codes::SCHEMA, "rename.state: two columns would be called `id`"),
        (r#"{"key": ["state"]}"#, codes::SCHEMA, "key[0]: `state` can be NULL"),
        (
            r#"{"constants": {"x": {"value": 300, "type": "tinyint"}}}"#,
            codes::CONFIG,
            "constants.x.value: the value is no tinyint",
        ),
        (r#"{"colums": []}"#, codes::CONFIG, "colums: unknown field"),
    ] {
        let refusal =
            plugin("columns").bind("test", &input.table, config, &Limits::default()).await.unwrap_err();
        assert_eq!(refusal.fault.code(), code, "{config}");
        assert!(refusal.fault.message().contains(words), "{}", refusal.fault);
    }
}
