//! The way out of quarantine: the events that were kept undecoded are decoded with what somebody says the table looked like, and
//! appended in one commit with the end of the quarantine.

use std::sync::Arc;

use forebay_changelog::{Entry, Log, Want};
use forebay_model::{Fault, Note, VIRTUAL_DATABASE};
use forebay_source::mysql::{Capture, Definition, Quarantined, Recovery};

/// The quarantines as of the changelog's position.
///
/// # Errors
/// If the changelog cannot be read.
pub(super) async fn noted(log: &Log) -> Result<Vec<Quarantined>, Fault> {
    let log = log.clone();
    let notes = tokio::task::spawn_blocking(move || log.notes()).await.expect("notes are read")?;
    let notes: Vec<Note> = notes.into_iter().map(|(key, value)| Note { key, value: Some(value) }).collect();
    Ok(Quarantined::of_notes(&notes))
}

/// Tries once.
///
/// `false`: not now, nothing was changed; the stream has something to give first. The decoded events are an open transaction of the
/// changelog until the note that ends the quarantine commits them: a crash in between has changed nothing.
///
/// # Errors
/// If the definition does not fit the events, or the changelog fails.
pub(super) async fn release(
    log: &Log,
    capture: &mut Capture,
    definition: &Definition,
) -> Result<bool, Fault> {
    log.flush().await?;
    let released = decode(log, capture, definition).await;
    if !matches!(released, Ok(true)) {
        log.discard_open().await?;
    }
    released
}

async fn decode(log: &Log, capture: &mut Capture, definition: &Definition) -> Result<bool, Fault> {
    if definition.is_given_up() {
        return end(log, capture, definition).await;
    }
    let head = log.head();
    let want: Want = Arc::new(|database, _| database == VIRTUAL_DATABASE);
    let (database, table) = (definition.database(), definition.table());
    // the log may still hold what earlier quarantines of the table have kept, and what became of that
    let mut all = 0;
    let mut reader = log.reader(log.first())?.wanting(want.clone());
    while let Some(kept) = reader.try_next().await?.filter(|kept| kept.first < head) {
        all += Recovery::kept(&kept, database, table);
    }
    let quarantined = capture.quarantined();
    let this = quarantined.iter().find(|q| q.database == database && q.table == table);
    let others = all.saturating_sub(this.map_or(0, |q| q.events));
    let mut recovery = Recovery::new(definition.clone())?.behind(others);
    let mut reader = log.reader(log.first())?.wanting(want);
    while let Some(kept) = reader.try_next().await?.filter(|kept| kept.first < head) {
        let block = recovery.decode(&kept)?;
        log.append(Entry { block: Some(block), ..Entry::default() }).await?;
    }
    let last = recovery.definition().unwrap_or_else(|| definition.clone());
    end(log, capture, &last).await
}

async fn end(log: &Log, capture: &mut Capture, definition: &Definition) -> Result<bool, Fault> {
    let Some(end) = capture.lift(definition) else { return Ok(false) };
    log.append(Entry { block: end.block, position: end.position, notes: end.notes }).await?;
    log.flush().await?;
    Ok(true)
}
