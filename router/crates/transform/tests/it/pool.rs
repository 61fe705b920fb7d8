//! Instances over many tables: few are kept, whichever they are, and what comes out is the same.

use std::sync::Arc;
use std::time::Duration;

use forebay_model::TableSchema;
use forebay_transform::{Binding, Limits, Plugin, Share};

use crate::support::{config, hostile, id_column, inserts, place, plugin, text_column, texts};

/// As many instances are kept as the documents say.
const KEPT: u64 = 32;

fn numbered(n: usize) -> Arc<TableSchema> {
    let columns = vec![id_column(), text_column("note")];
    TableSchema {
        lineage: Default::default(),
        database: "shop".to_owned(),
        table: format!("t{n}"),
        columns,
        key: vec![0],
    }
    .shared()
}

async fn bound(plugin: &Plugin, tables: usize, config: &str, limits: &Limits) -> (Vec<Binding>, Arc<Share>) {
    let share = Arc::<Share>::default();
    let mut bindings = Vec::new();
    for n in 0..tables {
        let binding = plugin.bind_hiding("test", &numbered(n), &config.into(), limits, &[], &share).await;
        bindings.push(binding.expect("a plugin that works"));
    }
    (bindings, share)
}

async fn each_once(bindings: &mut [Binding], most: u64, share: &Share, want: &str) {
    for (n, binding) in bindings.iter_mut().enumerate() {
        let table = binding.input().clone();
        let note = format!("note {n}");
        let applied =
            binding.apply(&inserts(&table, &[Some(&note)]), &place()).await.expect("a plugin that works");
        assert_eq!(texts(&applied.batch.columns[1]), [Some(&*want.replace('#', &n.to_string()))]);
        assert!(share.usage().instances <= most, "{:?}", share.usage());
    }
}

#[tokio::test]
async fn two_hundred_tables_keep_a_few_instances() {
    let mask = r#"{ "columns": { "note": { "keep_first": 5 } } }"#;
    let go = r#"{ "do": "identity" }"#;
    for (name, config, want) in [("mask", mask, None), ("conformance-go", go, Some("note #"))] {
        let (mut bindings, share) = bound(&plugin(name), 200, config, &Limits::default()).await;
        assert_eq!((share.usage().instances, share.usage().opened), (KEPT, 200), "{name}");
        for _ in 0..2 {
            match want {
                Some(want) => each_once(&mut bindings, KEPT, &share, want).await,
                None => masked(&mut bindings, &share).await,
            }
        }
        // each batch of the second round needed a new one; nothing failed
        assert_eq!((share.usage().opened, share.usage().calls), (600, 400), "{name}");
        assert!(share.usage().failures.is_empty());
        drop(bindings);
        assert_eq!((share.usage().instances, share.usage().memory_bytes), (0, 0), "{name}");
    }
}

async fn masked(bindings: &mut [Binding], share: &Share) {
    for (n, binding) in bindings.iter_mut().enumerate() {
        let note = format!("note {n}");
        let stars = format!("note {}", "*".repeat(note.len() - 5));
        let table = binding.input().clone();
        let applied =
            binding.apply(&inserts(&table, &[Some(&note)]), &place()).await.expect("a plugin that works");
        assert_eq!(texts(&applied.batch.columns[1]), [Some(&*stars)]);
        assert!(share.usage().instances <= KEPT);
    }
}

#[tokio::test]
async fn a_few_tables_in_turn_keep_their_instances() {
    let (mut bindings, share) = bound(hostile(), 20, &config("unchanged"), &Limits::default()).await;
    for _ in 0..50 {
        each_once(&mut bindings, 20, &share, "note #").await;
    }
    assert_eq!((share.usage().opened, share.usage().calls), (20, 1000));
    // those of a table that goes away go with it
    bindings[3].rest();
    assert_eq!(share.usage().instances, 19);
    each_once(&mut bindings, 20, &share, "note #").await;
    assert_eq!(share.usage().opened, 21);
}

#[tokio::test]
async fn the_memory_of_all_instances_is_limited() {
    let limits = Limits { memory_bytes: 4 << 20, pool_bytes: 12 << 20, ..Limits::default() };
    let (mut bindings, share) = bound(hostile(), 24, &config("lose_memory"), &limits).await;
    for _ in 0..4 {
        for binding in &mut bindings {
            let table = binding.input().clone();
            binding.apply(&inserts(&table, &[Some("a")]), &place()).await.unwrap();
            let used = share.usage();
            assert!(used.memory_bytes <= 12 << 20 && used.instances >= 2, "{used:?}");
        }
    }
    // one that may have more than all together: it runs alone, and stays for its next batch
    let limits = Limits { pool_bytes: 1, ..limits };
    let (mut bindings, share) = bound(hostile(), 2, &config("unchanged"), &limits).await;
    for _ in 0..5 {
        each_once(&mut bindings[..1], 1, &share, "note #").await;
    }
    assert!(share.usage().opened <= 3, "{:?}", share.usage());
}

/// What a route does while another has its turn: a call that is given up takes its instance with it.
#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_instance() {
    let limits = Limits { batch_time: Duration::from_secs(3600), ..Limits::default() };
    let (mut bindings, share) = bound(hostile(), 1, &config("loop"), &limits).await;
    let batch = inserts(&bindings[0].input().clone(), &[Some("a")]);
    let place = place();
    let call = bindings[0].apply(&batch, &place);
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    assert_eq!((share.usage().instances, share.usage().memory_bytes), (0, 0));
}
