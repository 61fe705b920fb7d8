//! What comes back from a plugin: good answers are carried out, bad ones are named.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, UInt64Type};
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::{ColumnType, Kind, split_key_changes};
use forebay_transform::{Limits, Reject, codes};

use crate::support::{
    assert_same, batch, bind, config, hostile, id_column, inserts, notes, once, place, table, text_column,
    texts,
};

const NOTES: [Option<&str>; 3] = [Some("a"), None, Some("poison")];

#[tokio::test]
async fn broken_answers_are_poison_and_named() {
    for (does, words) in [
        ("no_columns", "0 columns came back, the plan computes 1"),
        ("wrong_layout", "column `note`: cells of another layout"),
        ("wrong_count", "5 offsets came back for 3 images"),
        ("offsets_fall", "the offsets fall"),
        ("offsets_beyond", "the offsets do not span the data"),
        ("not_utf8", "not UTF-8"),
        ("cut_character", "cut within a character"),
        ("bad_state", "7 is not a state"),
        ("becomes_absent", "a cell that was in the image came back absent"),
        ("null_in_not_null", "column `id`: NULL came back, and the column cannot be NULL"),
        ("keep_without_filter", "the plan does not filter"),
        ("short_keep", "`keep` is not one 0 or 1 for each image"),
        ("reject_out_of_range", "images were rejected that are not in the batch"),
        ("places_without_routing", "the plan does not route"),
        ("short_places", "`routing`: 2 offsets came back for 3 images"),
        ("absent_place", "`routing`: a place is absent"),
        ("bad_place", "`routing`: a place is not 1 to 200 letters"),
    ] {
        let fault = once(does, NOTES).await.unwrap_err();
        assert_eq!(fault.code(), codes::BAD_OUTPUT, "{does}: {fault}");
        assert!(fault.message().contains(words), "{does}: {fault}");
    }
    let fault = once("data_error", NOTES).await.unwrap_err();
    assert_eq!(fault.code(), codes::DATA);
    assert!(fault.message().ends_with("cannot do this"), "{fault}");
}

#[tokio::test]
async fn a_plan_that_only_the_host_carries_out_shares_the_arrays() {
    let table = notes();
    let input = inserts(&table, &NOTES);
    let applied = bind("unchanged", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_same(&applied.batch.columns[1], &input.columns[1]);
    assert!(Arc::ptr_eq(&applied.batch.columns[0], &input.columns[0]));
    assert_eq!((applied.filtered_events, applied.rejects.len()), (0, 0));
}

#[tokio::test]
async fn every_kind_of_edit_in_one_plan() {
    let table = table(vec![id_column(), text_column("note"), text_column("gone"), text_column("nulled")]);
    let texts_of = |cells: [Option<&str>; 3]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
    let ids = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let columns = vec![ids, texts_of([Some("añb"), None, Some("")]), texts_of(NOTES), texts_of(NOTES)];
    let input = batch(&table, vec![Kind::Delete, Kind::Before, Kind::After], columns);
    let mut binding = bind("everything", &table).await.unwrap();
    let plan = binding.plan().clone();
    assert_eq!(plan.drops, ["gone"]);
    assert_eq!(plan.renames.iter().map(|(a, b)| (&**a, &**b)).collect::<Vec<_>>(), [("id", "key")]);
    assert!(!plan.loses_key && plan.hides("nulled") && plan.hides("note") && plan.hides("gone"));
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let names: Vec<&str> = applied.batch.table.columns.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["key", "note", "nulled", "length"]);
    assert_eq!(applied.batch.table.columns[3].ty, ColumnType::Integer { bits: 32, unsigned: true });
    assert!(Arc::ptr_eq(&applied.batch.columns[0], &input.columns[0]));
    assert_eq!(texts(&applied.batch.columns[1]), [Some("bña"), None, Some("")]);
    assert_eq!(applied.batch.columns[2].null_count(), 3);
    let lengths: Vec<_> = applied.batch.columns[3].as_primitive::<Int64Type>().iter().collect();
    assert_eq!(lengths, [Some(4), None, Some(0)]);
    assert_eq!(applied.batch.kinds, input.kinds);
    assert!(Arc::ptr_eq(&applied.batch.table, binding.output()));
}

#[tokio::test]
async fn retype_and_append() {
    let applied = once("retype", NOTES).await.unwrap();
    assert_eq!(applied.batch.table.columns[0].name, "id_text");
    assert_eq!(applied.batch.table.key, [0]);
    assert_eq!(texts(&applied.batch.columns[0]), [Some("0"), Some("1"), Some("2")]);
    let applied = once("append", NOTES).await.unwrap();
    assert_same(&applied.batch.columns[2], &applied.batch.columns[1]);
    let applied = once("append_absent", NOTES).await.unwrap();
    assert_eq!([0, 1, 2].map(|row| applied.batch.is_absent(2, row)), [false, true, false]);
    assert!(applied.batch.columns[2].is_null(1));
    assert_eq!([0, 1, 2].map(|row| applied.batch.is_absent(1, row)), [false; 3]);
}

#[tokio::test]
async fn kinds_are_given_where_the_plan_wants_them() {
    let table = notes();
    let kinds = vec![Kind::Snapshot, Kind::Insert, Kind::Before, Kind::After, Kind::Delete];
    let ids = Arc::new(Int32Array::from_iter_values(0..5));
    let input = batch(&table, kinds, vec![ids, Arc::new(StringArray::from(vec!["x"; 5]))]);
    let applied = bind("kinds", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_eq!(texts(&applied.batch.columns[2]), [Some("0"), Some("1"), Some("2"), Some("3"), Some("4")]);
}

/// An update whose images are in different states of absence: what was absent stays so.
#[tokio::test]
async fn absent_stays_absent() {
    let table = notes();
    let ids = Arc::new(Int32Array::from(vec![1, 1, 2]));
    let cells: StringArray = [Some("x"), None, None].into_iter().collect();
    let mut input = batch(&table, vec![Kind::Before, Kind::After, Kind::Insert], vec![ids, Arc::new(cells)]);
    input.absent = vec![None, Some(BooleanBuffer::from(vec![false, true, false]))];
    let applied = bind("echo", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_eq!(applied.batch.absent, input.absent);
    assert_eq!(texts(&applied.batch.columns[1]), [Some("x"), None, None]);
    let fault =
        bind("absent_becomes_value", &table).await.unwrap().apply(&input, &place()).await.unwrap_err();
    assert_eq!(fault.code(), codes::BAD_OUTPUT);
    assert!(fault.message().contains("absent"), "{fault}");
}

#[tokio::test]
async fn a_reject_takes_the_whole_event() {
    let table = notes();
    let kinds = vec![Kind::Insert, Kind::Before, Kind::After, Kind::Delete];
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 2, 3]));
    for (notes, event, left) in [
        (["a", "b", "poison", "d"], 1, vec![Kind::Insert, Kind::Delete]),
        (["a", "poison", "c", "d"], 1, vec![Kind::Insert, Kind::Delete]),
        (["a", "b", "c", "poison"], 2, vec![Kind::Insert, Kind::Before, Kind::After]),
    ] {
        let input =
            batch(&table, kinds.clone(), vec![ids.clone(), Arc::new(StringArray::from(notes.to_vec()))]);
        for does in ["reject_poison", "drop_and_reject_poison"] {
            let applied = bind(does, &table).await.unwrap().apply(&input, &place()).await.unwrap();
            let reason = "not this one".to_owned();
            assert_eq!(applied.rejects, [Reject { event, part: 0, reason }]);
            assert_eq!(applied.filtered_events, 0, "a reject is not counted as filtered, too");
            applied.batch.check();
            assert_eq!(applied.batch.kinds, left);
        }
    }
}

#[tokio::test]
async fn long_batches_are_cut_and_joined() {
    let table = notes();
    // updates only, so that an even cut would fall within one; every 1000th note is dropped
    let rows = 40_001;
    let kinds =
        [Kind::Insert].into_iter().chain([Kind::Before, Kind::After].into_iter().cycle().take(rows - 1));
    let ids: Int32Array = (0..rows as i32).collect();
    let notes: Vec<String> =
        (0..rows).map(|n| if n % 1000 == 0 { "poison".to_owned() } else { format!("note {n}") }).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(StringArray::from(notes))];
    let input = batch(&table, kinds.collect(), columns);
    let applied = bind("echo", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_same(&applied.batch.columns[0], &input.columns[0]);
    assert_same(&applied.batch.columns[1], &input.columns[1]);
    let applied = bind("whole_updates", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_eq!(applied.batch.rows(), rows);
    let applied = bind("drop_poison", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.rows(), rows - 41);
    assert_eq!(applied.filtered_events, 1, "the insert; the others lost one image of two");
}

#[tokio::test]
async fn another_table_is_refused_and_an_empty_batch_passes() {
    let input = inserts(&table(vec![id_column(), text_column("other")]), &NOTES);
    let mut binding = bind("echo", &notes()).await.unwrap();
    assert_eq!(binding.apply(&input, &place()).await.unwrap_err().code(), codes::WRONG_TABLE);
    let none = inserts(&notes(), &[]);
    assert_eq!(binding.apply(&none, &place()).await.unwrap().batch.rows(), 0);
}

/// Snapshot, insert, an update of the note, an update of the key, a delete; notes `a`, `a`, `a -> b`, `b`, `c`.
fn changes() -> forebay_model::Batch {
    use Kind::{After, Before, Delete, Insert, Snapshot};
    let kinds = vec![Snapshot, Insert, Before, After, Before, After, Delete];
    let ids = Arc::new(Int32Array::from(vec![1, 2, 2, 2, 3, 4, 5]));
    let notes_ =
        StringArray::from(vec![Some("a"), None, Some("a"), Some("b"), Some("b"), Some("b"), Some("c")]);
    batch(&notes(), kinds, vec![ids, Arc::new(notes_)])
}

#[tokio::test]
async fn images_go_where_the_plugin_says() {
    let input = changes();
    let mut applied =
        bind("route_by_note", &input.table).await.unwrap().apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let places = |batch: &forebay_model::Batch| -> Vec<Option<String>> {
        (0..batch.rows()).map(|row| batch.routing(row).map(str::to_owned)).collect()
    };
    let want = [Some("a"), None, Some("a"), Some("b"), Some("b"), Some("b"), Some("c")];
    assert_eq!(places(&applied.batch), want.map(|place| place.map(str::to_owned)));
    // the row leaves `a` and comes to `b`; the other update changes the key
    assert_eq!(split_key_changes(&mut applied.batch), 2);
    use Kind::{Delete, Insert, Snapshot};
    assert_eq!(applied.batch.kinds, [Snapshot, Insert, Delete, Insert, Delete, Insert, Delete]);
    let kept = forebay_model::keep_images(&applied.batch, &[false, false, true, true, false, false, false]);
    assert_eq!(places(&kept.batch), [Some("a".to_owned()), Some("b".to_owned())]);
}

#[tokio::test]
async fn stamps_and_constants_cost_no_call() {
    let input = changes();
    let mut binding = bind("stamps", &input.table).await.unwrap();
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let names: Vec<&str> = applied.batch.table.columns.iter().map(|c| &*c.name).collect();
    assert_eq!(names, ["id", "note", "country", "op", "at", "gtid", "offset", "source", "db", "tbl"]);
    let columns = &applied.batch.columns;
    assert_eq!(texts(&columns[2]), [Some("AU"); 7]);
    // an update of the key has become a delete and an insert
    assert_eq!(texts(&columns[3]), ["r", "c", "u", "u", "d", "c", "d"].map(Some));
    assert_eq!(columns[4].as_primitive::<Int64Type>().value(6), 1_700_000_000_123_456);
    assert_eq!(texts(&columns[5])[0], Some("abababab-abab-abab-abab-abababababab:7"));
    let offsets: Vec<_> = columns[6].as_primitive::<UInt64Type>().values().to_vec();
    assert_eq!(offsets, [1000, 1001, 1002, 1002, 1003, 1003, 1004]);
    assert_eq!(
        (texts(&columns[7])[0], texts(&columns[8])[0], texts(&columns[9])[0]),
        (Some("test"), Some("shop"), Some("orders"))
    );
    assert!(Arc::ptr_eq(&columns[0], &input.columns[0]));
}

#[tokio::test]
async fn deleted_rows_can_be_kept() {
    let mut input = changes();
    input.absent = vec![None, Some(BooleanBuffer::collect_bool(7, |row| row == 6))];
    let applied = bind("keep_deleted", &input.table).await.unwrap().apply(&input, &place()).await.unwrap();
    applied.batch.check();
    use Kind::{After, Before, Insert, Snapshot};
    let kinds = [Snapshot, Insert, Before, After, Before, After, Insert, Before, After];
    assert_eq!(applied.batch.kinds, kinds);
    let columns = &applied.batch.columns;
    assert_eq!(columns[0].as_primitive::<Int32Type>().values(), &[1, 2, 2, 2, 3, 3, 4, 5, 5]);
    assert_eq!(texts(&columns[2]), ["r", "c", "u", "u", "u", "u", "c", "u", "u"].map(Some));
    assert_eq!(columns[3].as_primitive::<Int32Type>().values(), &[0, 0, 0, 0, 0, 1, 0, 0, 1]);
    assert!((0..9).all(|row| applied.batch.is_absent(1, row) == (row >= 7)));
    let events: Vec<_> = applied.batch.events().map(|e| (e.event, e.part)).collect();
    assert_eq!(events, [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (4, 0)]);
}

#[tokio::test]
async fn the_plan_may_name_another_key() {
    let table = notes();
    let input = inserts(&table, &[Some("x"), Some("y")]);
    let applied = bind("key_is_note", &table).await.unwrap().apply(&input, &place()).await.unwrap();
    assert_eq!(applied.batch.table.key, [1]);
}

/// `note`, that can be NULL, is retyped to one that cannot, and its cells come back as they came.
#[tokio::test]
async fn null_does_not_stay_in_a_column_that_the_plan_says_cannot_be_null() {
    let table = notes();
    assert!(table.columns[1].nullable);
    let mut binding = bind("key_is_note", &table).await.unwrap();
    assert!(!binding.output().columns[1].nullable);
    let fault = binding.apply(&inserts(&table, &[Some("x"), None]), &place()).await.unwrap_err();
    assert_eq!(fault.code(), codes::BAD_OUTPUT, "{fault}");
    let words = "column `note`: NULL came back as it came, and the plan says that the column cannot be NULL";
    assert!(fault.message().contains(words), "{fault}");
    // the event without NULL passes
    binding.apply(&inserts(&table, &[Some("x")]), &place()).await.unwrap();
}

/// Where a column must not come through, "the cells as they came" is no answer to a replace.
#[tokio::test]
async fn what_must_be_hidden_is_answered_anew() {
    let table = notes();
    let input = inserts(&table, &NOTES);
    let hidden = ["note".to_owned()];
    let (config, limits) = (config("unchanged"), Limits::default());
    let mut binding = hostile()
        .bind_hiding("test", &table, &config.as_str().into(), &limits, &hidden, &Arc::default())
        .await
        .unwrap();
    let fault = binding.apply(&input, &place()).await.unwrap_err();
    assert_eq!(fault.code(), codes::BAD_OUTPUT, "{fault}");
    assert!(fault.message().contains("column `note`: no cells came back"), "{fault}");
}

#[tokio::test]
async fn an_instance_that_broke_the_contract_is_gone() {
    let table = notes();
    let mut binding = bind("bad_state", &table).await.unwrap();
    assert!(binding.memory_bytes() > 0);
    binding.apply(&inserts(&table, &NOTES), &place()).await.unwrap_err();
    assert_eq!(binding.memory_bytes(), 0);
}
