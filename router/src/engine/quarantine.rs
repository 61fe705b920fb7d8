//! The way out of quarantine: the events that were kept undecoded are decoded with what somebody says the table looked like, and
//! appended in one commit with the end of the quarantine.
//!
//! They are stored even where the disk limit has no room: nothing behind the first event kept can be deleted before, so to wait
//! would be for ever. The changelog passes its limit by no more than what the kept events become.

use std::sync::Arc;

use forebay_changelog::{Entry, Log, Want};
use forebay_model::{Fault, VIRTUAL_DATABASE};
use forebay_source::mysql::{Capture, Definition, Quarantined, Recovery};

use super::codes;
use super::ingest::flushed;
use super::kept::Kept;

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// The quarantine is over, durably.
    Done,
    /// Nothing was changed; the stream has something to give first.
    NotNow,
    /// Nothing was changed; what the changelog has accepted waits for room.
    Full,
}

/// Tries once.
///
/// The decoded events are an open transaction of the changelog until the note that ends the quarantine commits them: a crash in
/// between has changed nothing.
///
/// # Errors
/// If the table is in no quarantine, the definition does not fit the events, not all of them are there any more, or the changelog
/// fails.
pub(super) async fn release(
    log: &Log,
    capture: &mut Capture,
    definition: &Definition,
    kept: &mut Kept,
) -> Result<Released, Fault> {
    let (database, table) = (definition.database(), definition.table());
    let known = capture.quarantined();
    let Some(quarantined) = known.iter().find(|q| q.database == database && q.table == table) else {
        let what = format!("{database}.{table} is not in quarantine");
        return Err(Fault::new(codes::NOT_QUARANTINED, what));
    };
    if !flushed(log).await? {
        return Ok(Released::Full);
    }
    let released = decode(log, capture, definition, quarantined, kept).await;
    if !matches!(released, Ok(Released::Done)) {
        log.discard_open().await?;
    }
    released
}

async fn decode(
    log: &Log,
    capture: &mut Capture,
    definition: &Definition,
    quarantined: &Quarantined,
    kept: &mut Kept,
) -> Result<Released, Fault> {
    if definition.is_given_up() {
        return end(log, capture, definition, kept).await;
    }
    let (database, table) = (definition.database(), definition.table());
    let name = format!("{database}.{table}");
    // statements of before the first kept event may be about a table that takes this one's name later
    let (from, head) = (log.first(), log.head());
    let want: Want = Arc::new(|database, _| database == VIRTUAL_DATABASE);
    // the log may still hold what earlier quarantines of the table have kept
    let mut found = 0;
    let mut reader = log.reader(from)?.wanting(want.clone());
    while let Some(block) = reader.try_next().await?.filter(|block| block.first < head) {
        found += Recovery::kept(&block, database, table);
    }
    let counted = quarantined.events;
    let Some(others) = found.checked_sub(counted) else {
        let what =
            format!("of {counted} events kept of {name}, the changelog has {found}: nothing was released");
        return Err(Fault::new(codes::KEPT_MISSING, what)
            .fix("what is gone cannot be had as changes: give the table up, and read it by a snapshot"));
    };
    let mut recovery = Recovery::new(definition.clone())?.behind(others);
    let mut reader = log.reader(from)?.wanting(want);
    while let Some(block) = reader.try_next().await?.filter(|block| block.first < head) {
        let block = capture.with_past(recovery.decode(&block)?);
        log.append(Entry { block: Some(block), past_quota: true, ..Entry::default() }).await?;
    }
    let last = recovery.definition()?.unwrap_or_else(|| definition.clone());
    end(log, capture, &last, kept).await
}

async fn end(
    log: &Log,
    capture: &mut Capture,
    definition: &Definition,
    kept: &mut Kept,
) -> Result<Released, Fault> {
    let head = log.head();
    let Some(end) = capture.lift(definition) else { return Ok(Released::NotNow) };
    let mut notes = end.notes;
    kept.follow(&mut notes, head);
    log.append(Entry { block: end.block, position: end.position, notes, past_quota: true }).await?;
    log.flush().await?;
    Ok(Released::Done)
}
