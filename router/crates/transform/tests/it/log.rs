//! What plugins say, as it arrives in the router's log.

use std::sync::{Arc, Mutex};

use forebay_transform::{Config, Limits, Share};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{config, hostile, inserts, notes, place};

/// What arrived: target, level, and the fields as text.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, Level, String)>>>);

impl Subscriber for Seen {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        self.0.lock().expect("a plugin that works").push((
            metadata.target().to_owned(),
            *metadata.level(),
            text.0,
        ));
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

/// What is said while calls of the hostile guest go through several bindings of one route.
fn said(
    does: &str,
    bindings: usize,
    calls: usize,
    limits: &Limits,
) -> (Vec<(String, Level, String)>, Arc<Share>) {
    let (seen, share) = (Seen::default(), Arc::<Share>::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a plugin that works");
    tracing::subscriber::with_default(seen.clone(), || {
        runtime.block_on(async {
            let (table, config) = (notes(), Config::from(config(does).as_str()));
            for _ in 0..bindings {
                let binding = hostile().bind_hiding("test", &table, &config, limits, &[], &share).await;
                let mut binding = binding.expect("a plugin that works");
                for _ in 0..calls {
                    let _ = binding.apply(&inserts(&table, &[Some("a")]), &place()).await;
                }
            }
        });
    });
    let seen = std::mem::take(&mut *seen.0.lock().expect("a plugin that works"));
    (seen, share)
}

#[test]
fn a_flood_is_cut_and_what_is_left_out_is_told() {
    let limits = Limits { log_lines_per_second: 5, ..Limits::default() };
    let started = std::time::Instant::now();
    let (seen, share) = said("log_flood", 3, 1, &limits);
    let windows = 1 + started.elapsed().as_secs() as usize;
    let lines = seen.iter().filter(|(target, level, _)| target == "plugin" && *level == Level::INFO).count();
    // three instances have no more than one
    assert!((5..=5 * windows).contains(&lines), "{lines} lines in {windows} windows");
    assert_eq!(share.usage().log_lines_left_out, 30_000 - lines as u64);
    // and at the end of the first call somebody reads of it
    let (.., told) = seen.iter().find(|(_, level, _)| *level == Level::WARN).expect("a notice");
    assert!(told.contains("left_out=9995") && told.contains("plugin=\"hostile\""), "{told}");
    let notices = seen.iter().filter(|(_, level, _)| *level == Level::WARN).count();
    assert!(notices <= 1 + windows / 10, "{notices}");
}

#[test]
fn failures_are_not_told_each_time() {
    let (seen, share) = said("trap", 2, 10, &Limits::default());
    let told: Vec<&String> =
        seen.iter().filter(|(_, _, text)| text.contains("a plugin failed")).map(|(.., text)| text).collect();
    assert!((1..5).contains(&told.len()), "{told:?}");
    assert!(
        told[0].contains("code=\"transform.trap\"") && told[0].contains("table=\"shop.orders\""),
        "{told:?}"
    );
    let usage = share.usage();
    // each call is tried twice
    assert_eq!(usage.failures["transform.trap"], 40);
    let last = usage.last_failure.unwrap();
    assert!(last.code == "transform.trap" && last.message.contains("apply goes wrong"), "{last:?}");
}
