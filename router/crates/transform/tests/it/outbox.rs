//! The outbox plugin: what becomes of each kind of change, and where it goes.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use forebay_model::Kind::{After, Before, Delete, Insert, Snapshot};
use forebay_model::{Batch, Column, ColumnType, split_key_changes};
use forebay_transform::Limits;

use crate::support::{batch, column, place, plugin, table, text_column, texts};

/// An order's life in an outbox table; the last insert says of no place.
fn outbox() -> Batch {
    let never_null = |name: &str| Column { nullable: false, ..text_column(name) };
    let table = table(vec![
        never_null("id"),
        never_null("aggregatetype"),
        never_null("aggregateid"),
        text_column("type"),
        column("payload", ColumnType::Json, true, "json"),
    ]);
    let kinds = vec![Snapshot, Insert, Before, After, Delete, Insert];
    let of = |cells: [&str; 6]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
    let ids = of(["a", "b", "b", "b", "b", "c"]);
    let types = of(["Order", "Order", "Order", "Order", "Order", ""]);
    let aggregates = of(["1", "2", "2", "2", "2", "3"]);
    let events = of(["Placed", "Placed", "Placed", "Paid", "Paid", "Placed"]);
    batch(
        &table,
        kinds,
        vec![ids, types, aggregates, events, of(["{}", "{\"n\": 1.50}", "{}", "{}", "{}", "{}"])],
    )
}

#[tokio::test]
async fn inserted_rows_become_events_at_their_place() {
    let input = outbox();
    for (on_update, updates_rejected) in [("warn", false), ("drop", false), ("reject", true)] {
        let config = format!(r#"{{"additional": {{"type": "eventType"}}, "on_update": "{on_update}"}}"#);
        let mut binding =
            plugin("outbox").bind("test", &input.table, &config, &Limits::default()).await.unwrap();
        assert_eq!(binding.plan().reads, ["aggregatetype"], "the payload never crosses");
        let mut applied = binding.apply(&input, &place()).await.unwrap();
        applied.batch.check();
        let names: Vec<&str> = applied.batch.table.columns.iter().map(|c| &*c.name).collect();
        assert_eq!(names, ["id", "aggregateid", "eventType", "payload"]);
        assert_eq!(applied.batch.table.key, [1]);
        assert_eq!(applied.batch.kinds, [Snapshot, Insert]);
        assert_eq!(texts(&applied.batch.columns[3]), [Some("{}"), Some("{\"n\": 1.50}")]);
        assert_eq!([0, 1].map(|row| applied.batch.routing(row)), [Some("Order"); 2]);
        let rejected: Vec<u32> = applied.rejects.iter().map(|reject| reject.event).collect();
        assert_eq!(rejected, if updates_rejected { vec![2, 4] } else { vec![4] });
        assert_eq!(applied.filtered_events, if updates_rejected { 1 } else { 2 });
        assert_eq!(split_key_changes(&mut applied.batch), 0);
    }
}
