//! Which blocks may go, and their deletion.
//!
//! A block goes only when every route that claims it is past it and neither bound of the retention wants it (invariant 6). At the
//! quota the retention gives way, a few blocks at a time: it keeps what nobody waits for, and the source waits.

use forebay_model::{Fault, Offset};
use redb::ReadableTable;

use crate::codec::Head;
use crate::file::{Counters, HEADS, PIECES, SCHEMAS};
use crate::options::Retention;
use crate::pieces;
use crate::recent::Paused;
use crate::shared::Shared;

/// Blocks deleted in one commit: the writer must come back to the source soon.
const SLICE: usize = 64;
/// As many at most against the retention's will.
const FOR_ROOM: usize = 4;

/// What one slice deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    pub(crate) blocks: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// There may be more to delete.
    pub(crate) more: bool,
}

/// Whether the retention lets a block go: `behind` bytes are stored after it.
fn allows(retain: &Retention, head: &Head, behind: u64, now_us: u64) -> bool {
    let old = |age: std::time::Duration| u128::from(now_us.saturating_sub(head.last_us)) > age.as_micros();
    retain.age.is_none_or(old) && retain.bytes.is_none_or(|bytes| behind >= bytes)
}

/// Deletes the oldest blocks that end at or before `limit` and that the retention lets go, up to a slice; `counters`
/// become what the file then holds. After a fault they may be that or what they were.
pub(crate) fn delete_slice(
    shared: &Shared,
    counters: &mut Counters,
    limit: Offset,
    now_us: u64,
) -> Result<Slice, Fault> {
    let file = &shared.file;
    let doing = "deleting old blocks";
    let fault = |e: redb::Error| file.fault(doing, e);
    if counters.first >= limit {
        return Ok(Slice::default());
    }
    let full = matches!(shared.recent().paused, Some(Paused::Quota(_)));
    let mut slice = Slice::default();
    let left = counters;
    let (from, stored) = (left.first, left.bytes);
    let mut unused = Vec::new();
    file.write(doing, |txn| {
        let mut heads = txn.open_table(HEADS).map_err(|e| fault(e.into()))?;
        let mut bodies = txn.open_table(PIECES).map_err(|e| fault(e.into()))?;
        let mut go: Vec<(Head, u64)> = Vec::new();
        let mut gone = 0;
        for record in heads.range(from..limit).map_err(|e| fault(e.into()))?.take(SLICE) {
            let (first, bytes) = record.map_err(|e| fault(e.into()))?;
            let head = Head::from_bytes(bytes.value(), first.value())
                .map_err(|damage| file.damage(first.value(), first.value() + 1, damage))?;
            let room =
                pieces::room_of(bytes.value().len(), usize::try_from(head.body_len).unwrap_or(usize::MAX));
            gone += room;
            let behind = stored.saturating_sub(gone);
            let for_room = full && go.len() < FOR_ROOM;
            if head.end() > limit || !(for_room || allows(&shared.options.retain, &head, behind, now_us)) {
                break;
            }
            go.push((head, room));
        }
        for (head, _) in &go {
            let room = pieces::delete(&mut heads, &mut bodies, head.first).map_err(|e| fault(e.into()))?;
            left.first = head.end();
            left.blocks = left.blocks.saturating_sub(1);
            left.bytes = left.bytes.saturating_sub(room);
            slice.blocks += 1;
            slice.events += u64::from(head.events);
            slice.bytes += room;
        }
        slice.more = go.len() == SLICE;
        if go.is_empty() {
            return Ok((false, ()));
        }
        unused = shared.schemas.unused(left.first);
        let mut schemas = txn.open_table(SCHEMAS).map_err(|e| fault(e.into()))?;
        for id in &unused {
            schemas.remove(id).map_err(|e| fault(e.into()))?;
        }
        file.put_counters(txn, left)?;
        Ok((true, ()))
    })?;
    shared.schemas.forget(&unused);
    Ok(slice)
}
