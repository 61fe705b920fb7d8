//! Any sequence of calls, against a plain list.

use forebay_model::Offset;
use proptest::prelude::*;

use super::blocks::{self, numbered};
use super::{ids_from, open, position};
use crate::{Entry, Log, Options};

#[derive(Clone, Debug)]
enum Step {
    /// Events, bytes of text in each; whether the block ends a transaction.
    Append(u8, u16, bool),
    Position,
    Flush,
    Discard,
    /// A claim, in 256ths of what is kept; `None` = no claim.
    Trim(Option<u8>),
    Reopen,
    Read(u8),
    Wanting(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..30, 0u16..3000, any::<bool>()).prop_map(|(n, bytes, end)| Step::Append(n, bytes, end)),
        2 => Just(Step::Position),
        2 => Just(Step::Flush),
        1 => Just(Step::Discard),
        2 => any::<Option<u8>>().prop_map(Step::Trim),
        1 => Just(Step::Reopen),
        3 => any::<u8>().prop_map(Step::Read),
        1 => any::<u8>().prop_map(Step::Wanting),
    ]
}

/// What the log should hold. An event's id is unlike its offset: forgotten events' ids are not used again.
#[derive(Default)]
struct Model {
    /// Of every visible event, with its table.
    events: Vec<(i64, &'static str)>,
    open: Vec<(i64, &'static str)>,
    first: Offset,
    /// One past the end of each visible block.
    ends: Vec<Offset>,
    open_ends: Vec<Offset>,
    position: Option<u64>,
    next_id: i64,
}

impl Model {
    fn end(&mut self, position: u64) {
        self.events.append(&mut self.open);
        self.ends.append(&mut self.open_ends);
        self.position = Some(position);
    }

    fn discard(&mut self) {
        self.open.clear();
        self.open_ends.clear();
    }

    fn offset(&self, part: u8) -> Offset {
        self.first + (self.events.len() as u64 - self.first) * u64::from(part) / 255
    }

    fn check(&self, log: &Log) {
        let state = log.state();
        assert_eq!((state.first, state.head), (self.first, self.events.len() as u64));
        assert_eq!(state.open_events, self.open.len() as u64);
        let kept = self.ends.iter().filter(|&&end| end > self.first).count() + self.open_ends.len();
        assert_eq!(state.blocks, kept as u64);
        assert_eq!(state.bytes == 0, kept == 0);
        assert_eq!(log.position(), self.position.map(position));
        assert_eq!(*log.watch().borrow(), state.head);
    }
}

async fn run(steps: Vec<Step>, options: Options) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir, options.clone());
    let mut model = Model::default();
    for (nth, step) in steps.into_iter().enumerate() {
        let place = nth as u64 + 1;
        match step {
            Step::Append(events, bytes, end) => {
                let ids = model.next_id..model.next_id + i64::from(events);
                model.next_id = ids.end;
                let table = ["t0", "t1", "t2"][nth % 3];
                model.open.extend(ids.clone().map(|id| (id, table)));
                if events > 0 {
                    model.open_ends.push((model.events.len() + model.open.len()) as u64);
                }
                let block = Some(numbered(table, ids, bytes.into(), 0));
                log.append(Entry { block, position: end.then(|| position(place)), ..Entry::default() })
                    .await
                    .unwrap();
                if end {
                    model.end(place);
                }
            }
            Step::Position => {
                log.append(Entry { position: Some(position(place)), ..Entry::default() }).await.unwrap();
                model.end(place);
            }
            Step::Flush => {
                log.flush().await.unwrap();
                model.check(&log);
            }
            Step::Discard => {
                log.discard_open().await.unwrap();
                model.discard();
            }
            Step::Trim(part) => {
                log.flush().await.unwrap();
                let claimed = part.map(|part| model.offset(part));
                let limit = claimed.unwrap_or(model.events.len() as u64);
                let old = model.first;
                model.first =
                    model.ends.iter().copied().filter(|&end| end <= limit).max().unwrap_or(0).max(old);
                let trimmed = log.trim(claimed).await.unwrap();
                assert_eq!((trimmed.first, trimmed.events), (model.first, model.first - old));
                model.check(&log);
            }
            Step::Reopen => {
                log.close().await.unwrap();
                log = open(&dir, options.clone());
                model.discard();
                model.check(&log);
            }
            Step::Read(part) => {
                log.flush().await.unwrap();
                let from = model.offset(part);
                let ids: Vec<i64> = model.events[from as usize..].iter().map(|(id, _)| *id).collect();
                assert_eq!(ids_from(&log, from).await, ids);
            }
            Step::Wanting(part) => {
                log.flush().await.unwrap();
                let from = model.offset(part);
                let events = &model.events[from as usize..];
                let ids: Vec<i64> = events.iter().filter(|(_, t)| *t == "t1").map(|(id, _)| *id).collect();
                let mut reader = log.reader(from).unwrap().wanting(std::sync::Arc::new(|_, t| t == "t1"));
                let mut found = Vec::new();
                while let Some(block) = reader.try_next().await.unwrap() {
                    found.extend(blocks::ids(&block.slice(from, block.end())));
                }
                assert_eq!((found, reader.offset()), (ids, model.events.len() as u64));
            }
        }
    }
    log.flush().await.unwrap();
    model.check(&log);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_a_list(steps in prop::collection::vec(step(), 1..60), tail in prop_oneof![Just(0usize), Just(20_000), Just(8 << 20)], queue in prop_oneof![Just(1usize), Just(20_000), Just(4 << 20)]) {
        let options = Options { tail_bytes: tail, queue_bytes: queue, ..Options::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(run(steps, options));
    }
}
