//! The way out of quarantine: the events that were kept undecoded are decoded with what somebody says the table looked like, and
//! appended in one commit with the end of the quarantine.

use std::sync::Arc;

use forebay_changelog::{Entry, Log, Want};
use forebay_model::{Fault, VIRTUAL_DATABASE};
use forebay_source::mysql::{Capture, Definition, Recovery};

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
    let mut recovery = Recovery::new(definition.clone())?;
    let head = log.head();
    let want: Want = Arc::new(|database, _| database == VIRTUAL_DATABASE);
    let mut reader = log.reader(log.first())?.wanting(want);
    while let Some(kept) = reader.try_next().await? {
        if kept.first >= head {
            break;
        }
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
