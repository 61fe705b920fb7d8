//! Events that cannot pass: isolated, kept, counted, and too many of them stop the route.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use forebay_model::{Block, Class, Code, Fault, Offset};
use forebay_sink::formats::Text;
use forebay_sink::formats::debezium::{DebeziumConfig, Renderer};
use forebay_store::{LetterId, NewDeadLetter, Stage, Store};

use super::status::now_us;
use crate::definition::DeadLettersDef;

/// Codes of this file.
pub const TOO_MANY: Code = Code {
    name: "route.too_many_dead_letters",
    class: Class::Fatal,
    meaning: "So many events of a route went to the dead letters in a short time that the route must be wrong, not the events.",
};

/// An event that a plugin refused.
pub const REJECTED: Code = Code {
    name: "route.rejected",
    class: Class::Poison,
    meaning: "A plugin would not let an event through and said why; the event went to the dead letters.",
};

/// A plugin's deadline costs its whole length each time: few of them are enough to know.
const TIMEOUTS: usize = 3;

/// One event that cannot pass.
pub(super) struct Letter {
    pub(super) offset: Offset,
    pub(super) table: String,
    pub(super) stage: Stage,
    pub(super) code: String,
    pub(super) reason: String,
    /// The event, as [`render`] writes it.
    pub(super) event: Vec<u8>,
}

/// How many events may fail, in which time: the rule that stops a route.
pub(super) struct Rule {
    route: String,
    limit: usize,
    window: Duration,
    recent: VecDeque<Instant>,
    timeouts: VecDeque<Instant>,
}

impl Rule {
    pub(super) fn new(route: &str, def: &DeadLettersDef) -> Self {
        Rule {
            route: route.to_owned(),
            limit: def.stop_after as usize,
            window: Duration::from_secs(u64::from(def.window_s)),
            recent: VecDeque::new(),
            timeouts: VecDeque::new(),
        }
    }

    /// Says that an event could not pass; an error if the route must stop.
    pub(super) fn admit(&mut self, code: &str, reason: &str) -> Result<(), Fault> {
        let now = Instant::now();
        let timed_out = code == forebay_transform::codes::TIMEOUT.name;
        for (times, limit, counts) in
            [(&mut self.recent, self.limit, true), (&mut self.timeouts, TIMEOUTS, timed_out)]
        {
            while times.front().is_some_and(|t| now - *t > self.window) {
                times.pop_front();
            }
            if counts {
                times.push_back(now);
            }
            if times.len() > limit {
                let what = format!(
                    "route {}: {} events within {} s could not pass; the last one: {reason} [{code}]",
                    self.route,
                    times.len(),
                    self.window.as_secs()
                );
                // a preview goes on behind it
                times.pop_front();
                return Err(Fault::new(TOO_MANY, what).fix(
                    "correct the transform or the destination, then resume the route; the events that were not \
                     dead-lettered come again",
                ));
            }
        }
        Ok(())
    }
}

/// The fault of a route that stopped in a replay with the transforms of then, which nothing that is applied replaces before it is over.
pub(super) fn in_past(fault: Fault) -> Fault {
    let fix = "the transforms of then do not change while the replay runs: correct the destination or the route's dead_letters and \
               resume it, or replay the route with the present transforms (forebay replay --transforms now)";
    if fault.code() == TOO_MANY { fault.fix(fix) } else { fault }
}

/// A route's dead letters.
pub(super) struct Letters {
    store: Store,
    source: String,
    route: String,
    rule: Rule,
}

impl Letters {
    pub(super) fn new(store: Store, source: String, route: String, def: &DeadLettersDef) -> Self {
        let rule = Rule::new(&route, def);
        Letters { store, source, route, rule }
    }

    /// The source that the route reads.
    pub(super) fn route(&self) -> &str {
        &self.route
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Says that an event could not pass, before it is kept; an error if the route must stop instead.
    pub(super) fn admit(&mut self, code: &str, reason: &str) -> Result<(), Fault> {
        self.rule.admit(code, reason)
    }

    /// Keeps letters, durably.
    pub(super) async fn keep(&self, letters: Vec<Letter>) -> Result<(), Fault> {
        for letter in &letters {
            tracing::warn!(route = self.route, offset = letter.offset, table = letter.table, code = letter.code,
                stage = ?letter.stage, "dead letter: {}", letter.reason);
        }
        let at_us = now_us();
        let records = letters.into_iter().map(|letter| NewDeadLetter {
            // an event of two parts (a changed key) makes one letter
            id: LetterId { offset: letter.offset, part: 0 },
            table: letter.table,
            stage: letter.stage,
            code: letter.code,
            reason: letter.reason,
            at_us,
            event: letter.event,
        });
        self.store.add_dead_letters(&self.route, records.collect()).await
    }
}

/// The event at `offset`, in Debezium's envelope, a line for each part. Only the store sees it: it may hold what a transform
/// would have masked, apart from the columns that the route may not have, which the caller covers.
pub(super) fn render(source: &str, block: &Block, offset: Offset) -> Vec<u8> {
    render_as(&DebeziumConfig::default(), source, block, offset)
}

/// As [`render`], as the format is set.
pub(super) fn render_as(format: &DebeziumConfig, source: &str, block: &Block, offset: Offset) -> Vec<u8> {
    let alone = block.slice(offset, offset + 1);
    let mut renderer = Renderer::new(format, source);
    let mut records = renderer.records(&alone, now_us());
    let mut text = Text::default();
    // a format that refuses the event is no reason to lose the letter
    while let Ok(Some(_)) = records.next(&mut text) {
        text.push(b"\n");
    }
    text.as_bytes().to_vec()
}
