//! The suite that every sink passes: what [`contract`](crate::contract) promises in prose, tried on a real destination.
//!
//! A sink's tests implement [`Destination`] (open the sink, read back what arrived) and call [`run`] with a way to make
//! fresh ones. The suite panics at the first promise that is broken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::{ColumnType, Fault, Kind, Offset, TableSchema};
use futures_util::FutureExt as _;
use serde_json::Value;

use crate::sample::{Cell, Change, block, table};
use crate::{Delivery, Mark, Sink};

/// How often an event may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Once, in commit order; the destination keeps the mark.
    ExactlyOnce,
    /// Once or more, with the same id each time; in order by key.
    AtLeastOnce,
}

/// One event as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id, where the destination gets one.
    pub id: Option<String>,
    /// The Debezium envelope.
    pub record: Value,
}

/// A destination under test.
#[async_trait]
pub trait Destination: Send {
    /// What its sink promises.
    fn promise(&self) -> Promise;

    /// Opens the sink, as a route does that starts at this mark. Called again after the last one was dropped, as after a
    /// restart.
    ///
    /// # Errors
    /// The sink's own.
    async fn open(&mut self, start: Mark) -> Result<Box<dyn Sink>, Fault>;

    /// Everything that arrived so far, in order of arrival.
    async fn read(&mut self) -> Vec<Seen>;
}

/// Runs the suite; `make` gives a fresh destination for each case.
pub async fn run<D: Destination>(make: impl AsyncFn() -> D) {
    events_arrive_in_order(make().await).await;
    a_key_change_is_two_events(make().await).await;
    a_delivery_may_come_again(make().await).await;
    deliveries_may_overlap_after_a_restart(make().await).await;
    empty_deliveries_move_the_mark(make().await).await;
    a_delivery_may_be_dropped_half_way(make().await).await;
    a_replay_is_not_a_repeat(make().await).await;
    large_deliveries_arrive_whole(make().await).await;
}

const START: Mark = Mark { epoch: 3, offset: 100 };

/// Makes deliveries of events whose contents follow from their offsets.
struct Script {
    tables: [Arc<TableSchema>; 2],
    padding: String,
}

impl Script {
    fn new() -> Self {
        let int = ColumnType::Integer { bits: 64, unsigned: false };
        let columns = [("id", int.clone()), ("n", int), ("padding", ColumnType::Text)];
        Script { tables: [table("left", &columns), table("right", &columns)], padding: "x\n".into() }
    }

    fn image(&self, kind: Kind, id: i64, n: i64) -> (Kind, Vec<Cell>) {
        (kind, vec![Cell::Int(id), Cell::Int(n), Cell::Text(self.padding.clone())])
    }

    /// The event at an offset: its table, one of five keys, its kind, all by the offset; `n` tells it from all others.
    fn change(&self, offset: Offset, first: Offset) -> Change {
        let (id, n) = ((offset % 5) as i64, offset as i64 * 10);
        let images = match offset % 4 {
            0 => vec![self.image(Kind::Snapshot, id, n)],
            1 => vec![self.image(Kind::Insert, id, n)],
            2 => vec![self.image(Kind::Before, id, n - 1), self.image(Kind::After, id, n)],
            _ => vec![self.image(Kind::Delete, id, n)],
        };
        let table = self.tables[(offset / 2 % 2) as usize].clone();
        Change { table, event: (offset - first) as u32, part: 0, images }
    }

    /// The offsets `from .. to`, of which those that `keep` says have their event; in blocks of seven offsets.
    fn delivery(&self, epoch: u64, from: Offset, to: Offset, keep: impl Fn(Offset) -> bool) -> Delivery {
        let mut blocks = Vec::new();
        let mut first = from;
        while first < to {
            let end = (first + 7).min(to);
            let changes: Vec<Change> = (first..end)
                .filter(|&offset| keep(offset))
                .map(|offset| self.change(offset, first))
                .collect();
            blocks.push(block(first, (end - first) as u32, &changes));
            first = end;
        }
        Delivery { mark: Mark { epoch, offset: from }, blocks }
    }

    fn all(&self, from: Offset, to: Offset) -> Delivery {
        self.delivery(START.epoch, from, to, |_| true)
    }
}

fn numbers(offsets: impl IntoIterator<Item = Offset>) -> Vec<i64> {
    offsets.into_iter().map(|offset| offset as i64 * 10).collect()
}

/// `n` of the image that tells the event.
fn number(record: &Value) -> i64 {
    let image = if record["after"].is_null() { &record["before"] } else { &record["after"] };
    image["n"].as_i64().expect("the number")
}

/// Compares what arrived with what must have, as strictly as the promise allows.
async fn check(destination: &mut impl Destination, case: &str, mut wanted: Vec<i64>) {
    let seen = destination.read().await;
    let arrived: Vec<i64> = seen.iter().map(|seen| number(&seen.record)).collect();
    match destination.promise() {
        Promise::ExactlyOnce => assert_eq!(arrived, wanted, "{case}: exactly once and in order"),
        Promise::AtLeastOnce => {
            let mut once = arrived.clone();
            once.sort_unstable();
            once.dedup();
            wanted.sort_unstable();
            wanted.dedup();
            assert_eq!(once, wanted, "{case}: everything, and nothing else");
            check_ids(&seen, case);
        }
    }
    // in order by key, repeats set aside
    let mut latest: HashMap<(String, String), Vec<i64>> = HashMap::new();
    for seen in &seen {
        let image =
            if seen.record["after"].is_null() { &seen.record["before"] } else { &seen.record["after"] };
        let key = (seen.record["source"]["table"].to_string(), image["id"].to_string());
        let numbers = latest.entry(key).or_default();
        let n = number(&seen.record);
        if !numbers.contains(&n) {
            assert!(numbers.last().is_none_or(|&last| last < n), "{case}: {n} came after {numbers:?}");
            numbers.push(n);
        }
    }
}

/// The same event has the same id, and no other event has it.
fn check_ids(seen: &[Seen], case: &str) {
    let mut ids: BTreeMap<&str, i64> = BTreeMap::new();
    let mut events: BTreeMap<i64, &str> = BTreeMap::new();
    for seen in seen {
        let n = number(&seen.record);
        let id = seen.id.as_deref().expect("at least once needs ids");
        assert_eq!(*ids.entry(id).or_insert(n), n, "{case}: two events with the id {id}");
        assert_eq!(*events.entry(n).or_insert(id), id, "{case}: event {n} has two ids");
    }
}

/// What the destination says it holds must be where the deliveries have got to.
async fn check_mark(sink: &mut dyn Sink, case: &str, promise: Promise, wanted: Option<Mark>) {
    let mark = sink.committed().await.expect("the mark can be read");
    match promise {
        Promise::ExactlyOnce => assert_eq!(mark, wanted, "{case}"),
        Promise::AtLeastOnce => assert!(mark.is_none() || mark == wanted, "{case}: {mark:?}, not {wanted:?}"),
    }
}

async fn open(destination: &mut impl Destination, start: Mark) -> Box<dyn Sink> {
    destination.open(start).await.expect("the sink opens")
}

async fn deliver(sink: &mut dyn Sink, delivery: &Delivery) {
    sink.deliver(delivery).await.expect("the delivery is taken");
}

async fn events_arrive_in_order(mut to: impl Destination) {
    let case = "two tables interleaved, with gaps";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    check_mark(&mut *sink, case, to.promise(), None).await;
    let keep = |offset: Offset| !offset.is_multiple_of(3);
    deliver(&mut *sink, &script.delivery(START.epoch, 100, 130, keep)).await;
    deliver(&mut *sink, &script.delivery(START.epoch, 130, 131, |_| true)).await;
    deliver(&mut *sink, &script.delivery(START.epoch, 140, 150, keep)).await;
    let wanted = (100..130).filter(|&o| keep(o)).chain([130]).chain((140..150).filter(|&o| keep(o)));
    check(&mut to, case, numbers(wanted)).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 150, ..START })).await;
    drop(sink);
    let mut sink = open(&mut to, START).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 150, ..START })).await;
}

async fn a_key_change_is_two_events(mut to: impl Destination) {
    let case = "a key change";
    let script = Script::new();
    let half = |part, (kind, id, n)| Change {
        table: script.tables[0].clone(),
        event: 0,
        part,
        images: vec![script.image(kind, id, n)],
    };
    let changes = [half(0, (Kind::Delete, 1, 1000)), half(1, (Kind::Insert, 2, 1001))];
    let delivery = Delivery { mark: START, blocks: vec![block(100, 1, &changes)] };
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &delivery).await;
    check(&mut to, case, vec![1000, 1001]).await;
    drop(sink);
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &delivery).await;
    check(&mut to, case, vec![1000, 1001]).await;
}

async fn a_delivery_may_come_again(mut to: impl Destination) {
    let case = "the same delivery twice";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 120)).await;
    deliver(&mut *sink, &script.all(100, 120)).await;
    check(&mut to, case, numbers(100..120)).await;
    drop(sink);
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 120)).await;
    check(&mut to, case, numbers(100..120)).await;
    deliver(&mut *sink, &script.all(120, 125)).await;
    check(&mut to, case, numbers(100..125)).await;
}

async fn deliveries_may_overlap_after_a_restart(mut to: impl Destination) {
    let case = "deliveries cut in another way after a restart";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 110)).await;
    deliver(&mut *sink, &script.all(110, 120)).await;
    drop(sink);
    let mut sink = open(&mut to, Mark { offset: 105, ..START }).await;
    deliver(&mut *sink, &script.all(105, 113)).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 120, ..START })).await;
    deliver(&mut *sink, &script.all(113, 131)).await;
    check(&mut to, case, numbers(100..131)).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 131, ..START })).await;
}

async fn empty_deliveries_move_the_mark(mut to: impl Destination) {
    let case = "empty deliveries";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.delivery(START.epoch, 100, 200, |_| false)).await;
    check(&mut to, case, vec![]).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 200, ..START })).await;
    deliver(&mut *sink, &script.all(200, 203)).await;
    deliver(&mut *sink, &script.delivery(START.epoch, 203, 300, |_| false)).await;
    check(&mut to, case, numbers(200..203)).await;
    drop(sink);
    let mut sink = open(&mut to, START).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 300, ..START })).await;
}

async fn a_delivery_may_be_dropped_half_way(mut to: impl Destination) {
    let case = "a delivery dropped half-way";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 105)).await;
    for polls in 0..6 {
        let delivery = script.all(105, 140);
        let mut delivering = sink.deliver(&delivery);
        for _ in 0..polls {
            if (&mut delivering).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(delivering);
        if polls % 2 == 0 {
            drop(sink);
            sink = open(&mut to, START).await;
        }
    }
    deliver(&mut *sink, &script.all(105, 140)).await;
    deliver(&mut *sink, &script.all(140, 141)).await;
    check(&mut to, case, numbers(100..141)).await;
}

async fn a_replay_is_not_a_repeat(mut to: impl Destination) {
    let case = "a replay";
    let script = Script::new();
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 110)).await;
    drop(sink);
    let replay = Mark { epoch: START.epoch + 1, offset: 104 };
    let before = to.read().await.len();
    let mut sink = open(&mut to, replay).await;
    deliver(&mut *sink, &script.delivery(replay.epoch, 104, 112, |_| true)).await;
    check_mark(&mut *sink, case, to.promise(), Some(Mark { offset: 112, ..replay })).await;
    let seen = to.read().await;
    let mut arrived: Vec<i64> = seen[before..].iter().map(|seen| number(&seen.record)).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, numbers(104..112), "{case}: everything arrives again");
    if to.promise() == Promise::AtLeastOnce {
        check_ids(&seen, case);
    }
}

async fn large_deliveries_arrive_whole(mut to: impl Destination) {
    let case = "a large delivery";
    let script = Script { padding: "padding \"€\" ".repeat(2_000), ..Script::new() };
    let mut sink = open(&mut to, START).await;
    deliver(&mut *sink, &script.all(100, 220)).await;
    check(&mut to, case, numbers(100..220)).await;
    let whole = to.read().await.iter().all(|seen| {
        let image =
            if seen.record["after"].is_null() { &seen.record["before"] } else { &seen.record["after"] };
        image["padding"].as_str() == Some(&script.padding)
    });
    assert!(whole, "{case}: long texts arrive as they are");
}
