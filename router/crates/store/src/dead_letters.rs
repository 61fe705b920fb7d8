//! Events that a route could not deliver and nobody may lose.
//!
//! A dead letter is known by its event: route, offset and part. One that is added again (by a replay, or after a crash
//! between the letter and the checkpoint) takes the place of the first, so the count stays true.

use std::fmt;
use std::str::FromStr;

use forebay_model::{Fault, Offset};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::db::{Done, Failure, decode, encode};
use crate::{Store, codes};

/// Route, offset, part.
type Key = (&'static str, u64, u32);
/// To a [`Record`].
const LETTERS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("dead_letters");
/// To the event, apart, so that a listing reads no rows.
const EVENTS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("dead_events");
/// Route to how many it has.
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("dead_letter_counts");

/// Longer reasons are cut, bytes.
const REASON_BYTES: usize = 1024;

/// Which event of a route: written `offset-part`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// The event's offset.
    pub offset: Offset,
    /// 0, or 1 for the second of two events that share an offset.
    pub part: u32,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.offset, self.part)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let mut next = || parts.next().filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?.parse::<u64>().ok();
        let id = (|| Some(LetterId { offset: next()?, part: next()?.try_into().ok()? }))();
        id.filter(|_| parts.next().is_none())
            .ok_or_else(|| format!("`{text}` is not the id of a dead letter (offset-part, as in 184-0)"))
    }
}

/// Where an event failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// In a transform.
    Transform,
    /// At the sink.
    Sink,
}

/// A dead letter to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// The event.
    pub id: LetterId,
    /// `database.table`.
    pub table: String,
    /// Where it failed.
    pub stage: Stage,
    /// The fault's code.
    pub code: String,
    /// The fault's message, without row values; cut at 1 KiB.
    pub reason: String,
    /// When it failed: microseconds since 1970.
    pub at_us: u64,
    /// A block of this one event, encoded as the changelog does; opaque here.
    pub event: Vec<u8>,
}

/// A dead letter that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The route.
    pub route: String,
    /// The event.
    pub id: LetterId,
    /// `database.table`.
    pub table: String,
    /// Where it failed.
    pub stage: Stage,
    /// The fault's code.
    pub code: String,
    /// The fault's message, without row values.
    pub reason: String,
    /// When it failed: microseconds since 1970.
    pub at_us: u64,
}

#[derive(Serialize, Deserialize)]
struct Record {
    table: String,
    stage: Stage,
    code: String,
    reason: String,
    at_us: u64,
}

pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<(), Failure> {
    tx.open_table(LETTERS)?;
    tx.open_table(EVENTS)?;
    tx.open_table(COUNTS)?;
    Ok(())
}

/// With the route's document; answers how many there were.
pub(crate) fn forget_route(tx: &WriteTransaction, route: &str) -> Result<u64, Failure> {
    let all = (route, 0, 0)..=(route, u64::MAX, u32::MAX);
    tx.open_table(LETTERS)?.retain_in(all.clone(), |_, _| false)?;
    tx.open_table(EVENTS)?.retain_in(all, |_, _| false)?;
    let count = tx.open_table(COUNTS)?.remove(route)?.map_or(0, |n| n.value());
    Ok(count)
}

impl Store {
    /// Keeps a route's dead letters, all in one commit, before the checkpoint that passes them is saved.
    ///
    /// # Errors
    /// `store.dead_letters_full`, and none is kept, if the route would have more than its bound. `store.io` or
    /// `store.damaged`.
    pub async fn add_dead_letters(&self, route: &str, letters: Vec<NewDeadLetter>) -> Result<(), Fault> {
        if letters.is_empty() {
            return Ok(());
        }
        let bound = self.bounds().dead_letters_per_route;
        let route = route.to_owned();
        self.commit(move |tx| {
            let (mut kept, mut events) = (tx.open_table(LETTERS)?, tx.open_table(EVENTS)?);
            let mut counts = tx.open_table(COUNTS)?;
            let mut count = counts.get(route.as_str())?.map_or(0, |n| n.value());
            for letter in letters {
                let NewDeadLetter { id, table, stage, code, reason, at_us, event } = letter;
                let reason = cut(reason, REASON_BYTES);
                let record = encode(&Record { table, stage, code, reason, at_us });
                let key = (route.as_str(), id.offset, id.part);
                events.insert(key, event.as_slice())?;
                if kept.insert(key, record.as_slice())?.is_none() {
                    count += 1;
                }
            }
            if count > bound {
                return Err(full(&route, bound).into());
            }
            counts.insert(route.as_str(), count)?;
            Ok(Done::Changed(()))
        })
        .await
    }

    /// A route's dead letters in the order of their ids, at most `limit`, after a given one (which need not exist).
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn dead_letters(
        &self,
        route: &str,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Fault> {
        let from = after.unwrap_or(LetterId { offset: 0, part: 0 });
        self.read(|tx| {
            let table = tx.open_table(LETTERS)?;
            let range = (route, from.offset, from.part)..=(route, u64::MAX, u32::MAX);
            let mut page = Vec::new();
            for entry in table.range(range)? {
                let (key, bytes) = entry?;
                let letter = letter(key.value(), bytes.value())?;
                if Some(letter.id) != after && page.len() < limit {
                    page.push(letter);
                }
                if page.len() >= limit {
                    break;
                }
            }
            Ok(page)
        })
    }

    /// One dead letter with its event.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn dead_letter(&self, route: &str, id: LetterId) -> Result<Option<(DeadLetter, Vec<u8>)>, Fault> {
        self.read(|tx| {
            let key = (route, id.offset, id.part);
            let Some(bytes) = tx.open_table(LETTERS)?.get(key)? else { return Ok(None) };
            let letter = letter(key, bytes.value())?;
            let event = tx.open_table(EVENTS)?.get(key)?;
            let event = event.ok_or(Failure::Damaged("a dead letter has lost its event"))?;
            Ok(Some((letter, event.value().to_vec())))
        })
    }

    /// How many dead letters a route has.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn count_dead_letters(&self, route: &str) -> Result<u64, Fault> {
        self.read(|tx| Ok(tx.open_table(COUNTS)?.get(route)?.map_or(0, |n| n.value())))
    }

    /// Deletes dead letters, in one commit; answers how many of them were there.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn delete_dead_letters(&self, route: &str, ids: Vec<LetterId>) -> Result<u64, Fault> {
        let route = route.to_owned();
        self.commit(move |tx| {
            let (mut kept, mut events) = (tx.open_table(LETTERS)?, tx.open_table(EVENTS)?);
            let mut gone = 0;
            for id in ids {
                let key = (route.as_str(), id.offset, id.part);
                events.remove(key)?;
                gone += u64::from(kept.remove(key)?.is_some());
            }
            if gone == 0 {
                return Ok(Done::Same(0));
            }
            let mut counts = tx.open_table(COUNTS)?;
            let count = counts.get(route.as_str())?.map_or(0, |n| n.value());
            counts.insert(route.as_str(), count.saturating_sub(gone))?;
            Ok(Done::Changed(gone))
        })
        .await
    }

    /// Deletes all of a route's dead letters; answers how many there were.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn clear_dead_letters(&self, route: &str) -> Result<u64, Fault> {
        let route = route.to_owned();
        self.commit(move |tx| forget_route(tx, &route).map(Done::Changed)).await
    }
}

fn letter(key: (&str, u64, u32), bytes: &[u8]) -> Result<DeadLetter, Failure> {
    let Record { table, stage, code, reason, at_us } = decode(bytes)?;
    let (route, offset, part) = key;
    let id = LetterId { offset, part };
    Ok(DeadLetter { route: route.to_owned(), id, table, stage, code, reason, at_us })
}

/// At most `bytes` of the text, whole characters.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

fn full(route: &str, bound: u64) -> Fault {
    Fault::new(
        codes::DEAD_LETTERS_FULL,
        format!("route {route} has {bound} dead letters, and no more are kept"),
    )
    .fix("find why the events fail, then delete or replay the route's dead letters and start it again")
}
