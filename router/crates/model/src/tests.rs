//! Properties of images, blocks, GTID sets and patterns, checked against slow, plain models.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use proptest::prelude::*;

use crate::{
    Batch, Block, Column, ColumnType, Gtid, GtidSet, Kind, Op, Origin, Run, TablePattern, TableSchema, Txn,
    keep_images, split_key_changes,
};

fn table() -> Arc<TableSchema> {
    let column = |name: &str, ty| Column { name: name.into(), ty, nullable: true, native: String::new() };
    let id = column("id", ColumnType::Integer { bits: 64, unsigned: false });
    TableSchema {
        database: "shop".into(),
        table: "t".into(),
        columns: vec![id, column("name", ColumnType::Text)],
        key: vec![0],
        lineage: Default::default(),
    }
    .shared()
}

/// What a batch is made from: runs of events, each an operation with a key before and a key after.
#[derive(Clone, Debug)]
struct Change {
    op: u8,
    old: i64,
    new: i64,
    starts_run: bool,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0..4u8, 0..3i64, 0..3i64, any::<bool>());
    prop::collection::vec(
        change.prop_map(|(op, old, new, starts_run)| Change { op, old, new, starts_run }),
        1..40,
    )
}

fn batch(changes: &[Change]) -> Batch {
    let (mut kinds, mut runs, mut ids) = (vec![], vec![], vec![]);
    for (event, change) in changes.iter().enumerate() {
        if change.starts_run || runs.is_empty() {
            runs.push(Run {
                pos: 100 + event as u64,
                row: kinds.len() as u32,
                event: event as u32,
                nth: 0,
                txn: 0,
                seconds: 0,
                part: 0,
            });
        }
        match change.op {
            0 => kinds.push(Kind::Snapshot),
            1 => kinds.push(Kind::Insert),
            2 => kinds.push(Kind::Delete),
            _ => {
                kinds.extend([Kind::Before, Kind::After]);
                ids.push(change.old);
            }
        }
        ids.push(change.new);
    }
    let names: Vec<Option<String>> =
        ids.iter().enumerate().map(|(row, id)| (*id > 0).then(|| format!("r{row}"))).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(names))];
    let batch = Batch { table: table(), kinds, runs, columns, absent: vec![], routing: None };
    batch.check();
    batch
}

/// `(event, part, op, key before, key after, nth)` of each event.
type Told = (u32, u32, Op, Option<i64>, Option<i64>, u32);

fn told(batch: &Batch) -> Vec<Told> {
    batch.check();
    let key = |row: Option<u32>| row.map(|r| batch.columns[0].as_primitive::<Int64Type>().value(r as usize));
    batch.events().map(|e| (e.event, e.part, e.op, key(e.before), key(e.after), e.nth)).collect()
}

fn block(batch: Batch, events: usize) -> Block {
    let txn = Txn { uuid: [1; 16], number: 7, commit_us: 1, thread: 1, server_id: 1, file: 0, tag: 0 };
    let origin = Arc::new(Origin { txns: vec![txn], strings: vec!["binlog.000001".into()] });
    Block { first: 1000, events: events as u32, origin, batches: vec![batch] }
}

proptest! {
    #[test]
    fn events_are_dense_and_say_what_happened(changes in changes()) {
        let told = told(&batch(&changes));
        prop_assert_eq!(told.len(), changes.len());
        for (i, (change, (event, part, op, before, after, _))) in changes.iter().zip(told).enumerate() {
            prop_assert_eq!((event, part), (i as u32, 0));
            let want = match change.op {
                0 => (Op::Read, None, Some(change.new)),
                1 => (Op::Create, None, Some(change.new)),
                2 => (Op::Delete, Some(change.new), None),
                _ => (Op::Update, Some(change.old), Some(change.new)),
            };
            prop_assert_eq!((op, before, after), want);
        }
    }

    #[test]
    fn kept_images_decide_the_event(changes in changes(), seed in prop::collection::vec(any::<bool>(), 80)) {
        let whole = batch(&changes);
        let keep = &seed[..whole.rows()];
        let mut want = vec![];
        for (event, (told, images)) in told(&whole).into_iter().zip(whole.events()).enumerate() {
            let kept = |row: Option<u32>| row.is_some_and(|r| keep[r as usize]);
            let (b, a) = (kept(images.before), kept(images.after));
            let op = match (told.2, b, a) {
                (_, false, false) => continue,
                (Op::Update, true, false) => Op::Delete,
                (Op::Update, false, true) => Op::Create,
                (op, ..) => op,
            };
            want.push((event as u32, 0, op, told.3.filter(|_| b), told.4.filter(|_| a), told.5));
        }
        let kept = keep_images(&whole, keep);
        prop_assert_eq!(kept.dropped_events as usize, changes.len() - want.len());
        prop_assert_eq!(told(&kept.batch), want);
    }

    #[test]
    fn a_changed_key_is_a_delete_and_an_insert(changes in changes()) {
        let mut split = batch(&changes);
        let whole = told(&split);
        let count = split_key_changes(&mut split);
        let mut want = vec![];
        for (event, part, op, before, after, nth) in whole {
            if op == Op::Update && before != after {
                want.push((event, 0, Op::Delete, before, None, nth));
                want.push((event, 1, Op::Create, None, after, nth));
            } else {
                want.push((event, part, op, before, after, nth));
            }
        }
        prop_assert_eq!(count as usize, want.len() - changes.len());
        prop_assert_eq!(told(&split), want.clone());
        // and once more changes nothing
        prop_assert_eq!(split_key_changes(&mut split), 0);
        prop_assert_eq!(told(&split), want);
    }

    #[test]
    fn slices_of_a_block_make_the_block(changes in changes(), cut in 0..45u64) {
        let mut batch = batch(&changes);
        split_key_changes(&mut batch);
        let whole = block(batch, changes.len());
        let (low, high) = (whole.slice(0, 1000 + cut), whole.slice(1000 + cut, u64::MAX));
        prop_assert_eq!(low.end(), high.first);
        prop_assert_eq!((low.first, high.end()), (whole.first, whole.end()));
        let list = |b: &Block| -> Vec<_> {
            let at = |t: Told| (b.first + u64::from(t.0), t.1, t.2, t.3, t.4, t.5);
            b.batches.iter().flat_map(told).map(at).collect()
        };
        let mut joined = list(&low);
        joined.extend(list(&high));
        prop_assert_eq!(joined, list(&whole));
    }

    #[test]
    fn gtid_sets_are_sets(numbers in prop::collection::vec((0..2u8, 1..30u64, 0..4u64), 0..40)) {
        let mut model = BTreeSet::new();
        let mut set = GtidSet::default();
        for (server, first, more) in numbers {
            set.add_range([server; 16], "", first, first + more);
            model.extend((first..=first + more).map(|n| (server, n)));
        }
        for server in 0..2u8 {
            for number in 1..40 {
                let gtid = Gtid { uuid: [server; 16], tag: None, number };
                prop_assert_eq!(set.contains(&gtid), model.contains(&(server, number)));
            }
        }
        let again: GtidSet = set.to_string().parse().unwrap();
        prop_assert_eq!(&again, &set);
        let mut more = set.clone();
        more.add_range([9; 16], "", 1, 1);
        prop_assert!(set.is_subset(&more) && !more.is_subset(&set));
    }

    #[test]
    fn any_text_is_a_gtid_set_or_an_error(text in "[0-9a-f:,\\- a-z]{0,80}") {
        let _ = text.parse::<GtidSet>();
    }
}

#[test]
fn a_changed_key_with_absent_cells_stays_an_update() {
    let change = |old, new| Change { op: 3, old, new, starts_run: true };
    let mut images = batch(&[change(1, 5), change(2, 6), change(3, 3)]);
    // the name is absent from the first after image, and the third's key
    images.absent = vec![
        Some(vec![false, false, false, false, false, true].into()),
        Some(vec![false, true, false, false, false, false].into()),
    ];
    assert_eq!(split_key_changes(&mut images), 1);
    let ops: Vec<(Op, Option<i64>, Option<i64>)> = told(&images).iter().map(|e| (e.2, e.3, e.4)).collect();
    let update = |old, new| (Op::Update, Some(old), Some(new));
    assert_eq!(ops, [update(1, 5), (Op::Delete, Some(2), None), (Op::Create, None, Some(6)), update(3, 3)]);
}

#[test]
fn absent_cells_follow_their_images() {
    let change = Change { op: 1, old: 0, new: 1, starts_run: true };
    let mut whole = batch(&[change.clone(), change.clone(), change]);
    whole.absent = vec![None, Some(vec![true, false, true].into())];
    let kept = keep_images(&whole, &[false, true, true]).batch;
    assert!(!kept.is_absent(1, 0) && kept.is_absent(1, 1) && !kept.is_absent(0, 1));
    assert_eq!(kept.columns[1].len(), 2);
}

#[test]
fn bytes_are_those_of_the_cells_and_not_of_shared_memory() {
    let change = Change { op: 1, old: 0, new: 1, starts_run: false };
    let mut whole = batch(&vec![change; 10]);
    let bytes = whole.bytes();
    // ten keys, ten names of two bytes with eleven offsets, ten kinds, one run
    assert_eq!(bytes, 80 + (20 + 44) + 10 + 32);
    whole.columns = whole.columns.iter().map(|c| c.slice(0, 1)).collect();
    assert_eq!(whole.bytes(), 8 + (2 + 8) + 10 + 32);
}

#[test]
fn runs_of_two_tables_come_in_offset_order() {
    let change = Change { op: 1, old: 0, new: 1, starts_run: true };
    let mut first = batch(&[change.clone(), change.clone()]);
    let mut second = batch(&[change.clone(), change]);
    first.runs[1].event = 3;
    second.runs[0].event = 1;
    second.runs[1].event = 2;
    let mut whole = block(first, 4);
    whole.batches.push(second);
    assert_eq!(whole.runs_in_order(), [(0, 0), (1, 0), (1, 1), (0, 1)]);
}

#[test]
fn gtid_sets_read_and_print_as_mysql_does() {
    let text =
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:mytag:1:zed:1-3,4e11fa47-71ca-11e1-9e33-c80aa9429562:9";
    let set: GtidSet = text.to_uppercase().replace("MYTAG", "mytag").replace("ZED", "zed").parse().unwrap();
    assert_eq!(set.to_string(), text);
    assert_eq!("".parse::<GtidSet>().unwrap(), GtidSet::default());
    for bad in
        ["x", "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429562:5-1", "3e11:1"]
    {
        assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
    }
}

#[test]
fn patterns_match_whole_names() {
    let wants = |pattern: &str, database: &str, table: &str| {
        TablePattern::new(pattern).unwrap().matches(database, table)
    };
    assert!(wants("active.*", "active", "tenants") && wants("*.t?", "x", "t1") && wants("a.b.c", "a", "b.c"));
    assert!(!wants("active.*", "actives", "t") && !wants("a.t", "a", "tt") && !wants("a.T", "a", "t"));
    for bad in ["tenants", ".t", "a."] {
        assert!(TablePattern::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_plain_secret_is_refused_without_being_repeated() {
    let error = serde_json::from_str::<crate::SecretRef>("\"hunter2\"").unwrap_err().to_string();
    assert!(error.contains("env: NAME") && !error.contains("hunter2"), "{error}");
    let found: crate::SecretRef = serde_json::from_str(r#"{"env":"KEY"}"#).unwrap();
    assert_eq!(found, crate::SecretRef::Env("KEY".into()));
    assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"env":"KEY"}"#);
    assert!(!format!("{:?}", crate::Secret::new("hunter2")).contains("hunter2"));
}

#[test]
fn mariadb_gtids_are_the_newest_of_each_domain() {
    let mut set: GtidSet = "0-1-5, 7-2-9".parse().unwrap();
    assert_eq!(set.to_string(), "0-1-5,7-2-9");
    set.add(&Gtid::mariadb(0, 3, 6));
    set.add(&Gtid::mariadb(0, 1, 4));
    assert_eq!(set.to_string(), "0-3-6,7-2-9");
    assert!(set.contains(&Gtid::mariadb(0, 1, 6)) && !set.contains(&Gtid::mariadb(0, 3, 7)));
    assert!(!set.contains(&Gtid::mariadb(1, 1, 1)));
    let older: GtidSet = "0-1-5".parse().unwrap();
    assert!(older.is_subset(&set) && !set.is_subset(&older) && !set.is_empty());
    assert!(GtidSet::default().is_subset(&older));
    let gtid = Gtid::mariadb(4_294_967_295, 1, 18_446_744_073_709_551_615);
    assert_eq!(gtid.to_string(), "4294967295-1-18446744073709551615");
    assert_eq!(gtid.domain_and_server(), Some((4_294_967_295, 1)));
    let uuid: GtidSet = "01020304-0506-0708-090a-0b0c0d0e0f10:1-5,0-1-5".parse().unwrap();
    assert_eq!(uuid.to_string(), "01020304-0506-0708-090a-0b0c0d0e0f10:1-5,0-1-5");
    for bad in ["0-1", "0-1-2-3", "0-1-x", "0-1-0", "-1-1", "4294967296-1-1"] {
        assert!(bad.parse::<GtidSet>().is_err(), "{bad}");
    }
}

#[test]
fn a_virtual_table_is_meant_by_who_names_its_database() {
    use crate::{VIRTUAL_DATABASE, quarantine, schema_changes};
    let means =
        |pattern: &str| TablePattern::new(pattern).unwrap().matches(VIRTUAL_DATABASE, "schema_changes");
    assert!(means("forebay.schema_changes") && means("forebay.*"));
    assert!(!means("*.*") && !means("*.schema_changes") && !means("fore?ay.*"));
    for table in [schema_changes(), quarantine()] {
        assert_eq!(table.database, VIRTUAL_DATABASE);
    }
}
