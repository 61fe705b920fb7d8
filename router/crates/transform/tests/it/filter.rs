//! Filters over updates: rows that move out of the wanted values, and into them.

use std::sync::Arc;

use arrow_array::{Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::Kind::{After, Before, Delete, Insert, Snapshot};
use forebay_transform::Limits;

use crate::support::{batch, id_column, place, plugin, table, text_column, texts};

#[tokio::test]
async fn moves_out_of_the_list_are_deletes_and_moves_into_it_are_inserts() {
    let table = table(vec![id_column(), text_column("state")]);
    let (kinds, states): (Vec<_>, Vec<_>) = [
        (Snapshot, "NSW"),
        (Insert, "WA"),
        (Before, "NSW"), // moves out
        (After, "TAS"),
        (Before, "WA"), // moves in
        (After, "QLD"),
        (Before, "VIC"), // stays
        (After, "QLD"),
        (Before, "WA"), // was never there
        (After, "TAS"),
        (Delete, "VIC"),
        (Delete, "WA"),
    ]
    .into_iter()
    .unzip();
    let ids: Int32Array = (0..kinds.len() as i32).collect();
    let mut input = batch(&table, kinds, vec![Arc::new(ids), Arc::new(StringArray::from(states))]);
    let config = r#"{"where": "state IN ('NSW', 'VIC', 'QLD')"}"#;
    let mut binding = plugin("filter").bind("test", &table, config, &Limits::default()).await.unwrap();
    assert!(binding.plan().filters);
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.kinds, [Snapshot, Delete, Insert, Before, After, Delete]);
    let left = ["NSW", "NSW", "QLD", "VIC", "QLD", "VIC"].map(Some);
    assert_eq!(texts(&applied.batch.columns[1]), left);
    let events: Vec<u32> = applied.batch.events().map(|event| event.event).collect();
    assert_eq!(events, [0, 2, 3, 4, 6], "every event keeps its offset");
    assert_eq!(applied.filtered_events, 3);

    // without the column nobody can tell: the event is rejected, not dropped in silence
    let absent = (0..input.rows()).map(|row| row == 3);
    input.absent = vec![None, Some(BooleanBuffer::from_iter(absent))];
    let mut column: Vec<Option<&str>> = texts(&input.columns[1]);
    column[3] = None;
    input.columns[1] = Arc::new(StringArray::from(column));
    let applied = binding.apply(&input, &place()).await.unwrap();
    assert_eq!(applied.rejects.len(), 1);
    assert_eq!(applied.rejects[0].event, 2);
    assert_eq!(applied.batch.kinds, [Snapshot, Insert, Before, After, Delete]);
    assert_eq!(applied.filtered_events, 3);
}
