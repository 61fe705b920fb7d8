//! Which events may be under way together.
//!
//! Events are spread over lanes by a hash of their table and key (of the table alone where there is no key). A lane sends
//! one message at a time, in order, so the events of one key arrive in order; lanes go on beside each other.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use forebay_model::{Fault, Offset};

use super::config::BatchConfig;
use super::message::Event;
use crate::formats::Text;
use crate::formats::debezium::Renderer;
use crate::{Delivery, clock};

/// An event that the receiver has acknowledged: its offset and part.
pub(super) type Acknowledged = BTreeSet<(Offset, u32)>;

/// The delivery's events that are not acknowledged yet, lane by lane, in offset order within each.
///
/// # Errors
/// If an event cannot be written as the format is set.
pub(super) fn fill(
    delivery: &Delivery,
    renderer: &mut Renderer,
    lanes: u32,
    acknowledged: &Acknowledged,
) -> Result<Vec<Vec<Event>>, Fault> {
    let now_us = clock::now_us();
    let (mut out, mut key) = (Text::new(), Text::new());
    // one text for all: the events are cut from it when it has stopped growing
    let mut found: Vec<(usize, Offset, u32, Range<usize>)> = Vec::new();
    for block in &delivery.blocks {
        let names: Vec<u32> =
            block.batches.iter().map(|batch| crc32fast::hash(batch.table.full_name().as_bytes())).collect();
        let mut records = renderer.records(block, now_us);
        let mut start = out.len();
        while let Some(record) = records.next(&mut out)? {
            if acknowledged.contains(&(record.offset, record.part)) {
                out.truncate(start);
                continue;
            }
            key.clear();
            records.key(&record, &mut key);
            let mut hash = crc32fast::Hasher::new_with_initial(names[record.batch]);
            hash.update(key.as_bytes());
            found.push(((hash.finalize() % lanes) as usize, record.offset, record.part, start..record.end));
            start = record.end;
        }
    }
    let text = Bytes::from(out.take());
    let mut filled = vec![Vec::new(); lanes as usize];
    for (lane, offset, part, range) in found {
        filled[lane].push(Event { offset, part, body: text.slice(range) });
    }
    filled.retain(|lane| !lane.is_empty());
    Ok(filled)
}

/// A lane's events, message by message: each as many as the bounds allow, and at least one.
pub(super) fn messages<'a>(
    mut events: &'a [Event],
    batch: &'a BatchConfig,
) -> impl Iterator<Item = &'a [Event]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |event: &&Event| {
            bytes += event.body.len() as u64;
            bytes <= batch.bytes
        };
        let count = events.iter().take(batch.events as usize).take_while(fits).count().max(1);
        let (message, rest) = events.split_at_checked(count)?;
        events = rest;
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use forebay_model::{ColumnType, Kind};

    use super::*;
    use crate::Mark;
    use crate::formats::FormatConfig;
    use crate::sample::{Cell, Change, block, table};

    fn delivery() -> Delivery {
        let int = ColumnType::Integer { bits: 32, unsigned: false };
        let (a, b) = (table("a", &[("id", int.clone())]), table("b", &[("id", int)]));
        let mut keyless = (*b).clone();
        keyless.key.clear();
        let keyless = keyless.shared();
        let changes: Vec<Change> = (0..90)
            .map(|event| Change {
                table: [&a, &b, &keyless][event as usize % 3].clone(),
                event,
                part: 0,
                images: vec![(Kind::Insert, vec![Cell::Int(i64::from(event / 3 % 10))])],
            })
            .collect();
        Delivery { mark: Mark { epoch: 0, offset: 500 }, blocks: vec![block(500, 90, &changes)] }
    }

    fn filled(lanes: u32, acknowledged: &Acknowledged) -> Vec<Vec<Event>> {
        let mut renderer = FormatConfig::default().renderer("shop");
        fill(&delivery(), &mut renderer, lanes, acknowledged).unwrap()
    }

    #[test]
    fn a_key_has_one_lane_and_a_lane_is_in_order() {
        let lanes = filled(8, &Acknowledged::new());
        assert!(lanes.len() > 4, "spread over the lanes");
        let mut lane_of = HashMap::new();
        for (i, lane) in lanes.iter().enumerate() {
            assert!(lane.windows(2).all(|pair| pair[0].offset < pair[1].offset));
            for event in lane {
                let n = event.offset - 500;
                // the third table has no key, so all of it is one lane
                let key = if n % 3 == 2 { (2, 0) } else { (n % 3, n / 3 % 10) };
                assert_eq!(*lane_of.entry(key).or_insert(i), i, "{key:?}");
                let text: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
                assert_eq!(text["after"]["id"], n / 3 % 10);
            }
        }
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 90);
    }

    #[test]
    fn what_was_acknowledged_is_left_out() {
        let acknowledged: Acknowledged = (500..550).map(|offset| (offset, 0)).collect();
        let mut offsets: Vec<_> =
            filled(3, &acknowledged).into_iter().flatten().map(|event| event.offset).collect();
        offsets.sort();
        assert_eq!(offsets, (550..590).collect::<Vec<_>>());
    }

    #[test]
    fn messages_keep_both_bounds() {
        let event = |len: usize| Event { offset: 0, part: 0, body: vec![b'x'; len].into() };
        let events = [10, 10, 10, 100, 10, 10].map(event);
        let cut = |count, bytes| -> Vec<usize> {
            let batch = BatchConfig { events: count, bytes, wait_ms: 0 };
            messages(&events, &batch).map(<[Event]>::len).collect()
        };
        assert_eq!(cut(1, 1000), [1; 6]);
        assert_eq!(cut(4, 1000), [4, 2]);
        assert_eq!(cut(100, 20), [2, 1, 1, 2]);
        assert_eq!(cut(100, 1), [1; 6]);
        assert_eq!(messages(&[], &BatchConfig::default()).count(), 0);
    }
}
