//! What comes back from a plugin: good answers are carried out, bad ones are named.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::{ColumnType, Kind};
use forebay_transform::{Reject, codes};

use crate::support::{assert_same, batch, bind, id_column, inserts, notes, once, table, text_column, texts};

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
    let applied = bind("unchanged", &table).await.unwrap().apply(&input).await.unwrap();
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
    let applied = binding.apply(&input).await.unwrap();
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
    let applied = bind("kinds", &table).await.unwrap().apply(&input).await.unwrap();
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
    let applied = bind("echo", &table).await.unwrap().apply(&input).await.unwrap();
    assert_eq!(applied.batch.absent, input.absent);
    assert_eq!(texts(&applied.batch.columns[1]), [Some("x"), None, None]);
    let fault = bind("absent_becomes_value", &table).await.unwrap().apply(&input).await.unwrap_err();
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
            let applied = bind(does, &table).await.unwrap().apply(&input).await.unwrap();
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
    let applied = bind("echo", &table).await.unwrap().apply(&input).await.unwrap();
    assert_same(&applied.batch.columns[0], &input.columns[0]);
    assert_same(&applied.batch.columns[1], &input.columns[1]);
    let applied = bind("whole_updates", &table).await.unwrap().apply(&input).await.unwrap();
    assert_eq!(applied.batch.rows(), rows);
    let applied = bind("drop_poison", &table).await.unwrap().apply(&input).await.unwrap();
    applied.batch.check();
    assert_eq!(applied.batch.rows(), rows - 41);
    assert_eq!(applied.filtered_events, 1, "the insert; the others lost one image of two");
}

#[tokio::test]
async fn another_table_is_refused_and_an_empty_batch_passes() {
    let input = inserts(&table(vec![id_column(), text_column("other")]), &NOTES);
    let mut binding = bind("echo", &notes()).await.unwrap();
    assert_eq!(binding.apply(&input).await.unwrap_err().code(), codes::WRONG_TABLE);
    let none = inserts(&notes(), &[]);
    assert_eq!(binding.apply(&none).await.unwrap().batch.rows(), 0);
}
