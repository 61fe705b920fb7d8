//! What happens to events when row images are dropped, and when an update changes the key.

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::{FilterBuilder, filter};
use arrow_select::nullif::nullif;

use crate::{Batch, Kind, Op, Run};

/// What [`keep_images`] made of a batch.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The images that were kept.
    pub batch: Batch,
    /// Events of which no image was kept.
    pub dropped_events: u64,
}

/// Keeps the images whose `keep` is true and says what their events are now: both images of an update kept =
/// update, only the after image = insert, only the before image = delete, none = the event is gone.
///
/// # Panics
/// If `keep` has not one value for each image.
pub fn keep_images(batch: &Batch, keep: &[bool]) -> Kept {
    assert_eq!(keep.len(), batch.rows(), "one decision for each image");
    if keep.iter().all(|&k| k) {
        return Kept { batch: batch.clone(), dropped_events: 0 };
    }
    let mut kinds = Vec::with_capacity(batch.rows());
    let mut runs: Vec<Run> = Vec::new();
    let mut dropped_events = 0;
    // (run, event) that would continue the last run written, if it comes next
    let mut next = (u32::MAX, 0);
    for event in batch.events() {
        let before = event.before.is_some_and(|r| keep[r as usize]);
        let after = event.after.is_some_and(|r| keep[r as usize]);
        if !before && !after {
            dropped_events += 1;
            continue;
        }
        if next != (event.run, event.event) {
            let run = batch.runs[event.run as usize];
            runs.push(Run { row: kinds.len() as u32, event: event.event, nth: event.nth, ..run });
        }
        next = (event.run, event.event + 1);
        match (event.op, before, after) {
            (Op::Update, true, true) => kinds.extend([Kind::Before, Kind::After]),
            (Op::Update, true, false) | (Op::Delete, ..) => kinds.push(Kind::Delete),
            (Op::Update, ..) | (Op::Create, ..) => kinds.push(Kind::Insert),
            (Op::Read, ..) => kinds.push(Kind::Snapshot),
        }
    }
    let mask = BooleanArray::from(keep.to_vec());
    let plan = FilterBuilder::new(&mask).optimize().build();
    let cut = |c: &ArrayRef| plan.filter(c.as_ref()).expect("a mask of the column's length");
    let columns = batch.columns.iter().map(cut).collect();
    let cut_bits = |bits: &BooleanBuffer| -> BooleanBuffer {
        let bits = BooleanArray::new(bits.clone(), None);
        let kept = filter(&bits, &mask).expect("a mask of the column's length");
        BooleanArray::from(kept.to_data()).values().clone()
    };
    let absent = batch.absent.iter().map(|bits| bits.as_ref().map(cut_bits)).collect();
    let routing = batch.routing.as_ref().map(cut);
    let batch = Batch { table: batch.table.clone(), kinds, runs, columns, absent, routing };
    Kept { batch, dropped_events }
}

/// Makes cells of a column absent: those whose bit is set in `cells`, which has one for each image.
///
/// # Panics
/// If it has not.
pub fn leave_out(batch: &mut Batch, column: usize, cells: BooleanBuffer) {
    let mask = BooleanArray::new(cells, None);
    batch.columns[column] =
        nullif(batch.columns[column].as_ref(), &mask).expect("a mask of the column's length");
    batch.absent.resize(batch.columns.len(), None);
    let were = batch.absent[column].take();
    batch.absent[column] = Some(were.map_or_else(|| mask.values().clone(), |were| &were | mask.values()));
}

/// Turns each update whose images differ in their key, or in where they go, into a delete of the old one and an insert
/// of the new one: two events with one offset, `part` 0 and 1. Returns how many there were.
///
/// A key column that is absent from the after image did not change. Where the after image lacks other cells, an update that
/// changes the key stays one: its insert would lack what the row has, and the before image beside it says which row it was. One
/// that goes elsewhere is split all the same, since the old place must forget the row.
pub fn split_key_changes(batch: &mut Batch) -> u64 {
    let can_differ = !batch.table.key.is_empty() || batch.routing.is_some();
    if !can_differ || !batch.kinds.contains(&Kind::Before) {
        return 0;
    }
    let is_key = |column: usize| batch.table.key.contains(&(column as u32));
    let changed: Vec<(u32, u32)> = batch
        .events()
        .filter(|e| e.op == Op::Update && e.part == 0)
        .filter_map(|e| Some((e.before?, e.after?)))
        .map(|(before, after)| (before as usize, after as usize))
        .filter(|&(before, after)| {
            key_differs(batch, before, after) && !lacks_cells(batch, after, is_key)
                || batch.routing(before) != batch.routing(after)
        })
        .map(|(before, after)| (before as u32, after as u32))
        .collect();
    if changed.is_empty() {
        return 0;
    }
    for &(before, after) in &changed {
        batch.kinds[before as usize] = Kind::Delete;
        batch.kinds[after as usize] = Kind::Insert;
    }
    let mut runs = Vec::with_capacity(batch.runs.len() + 2 * changed.len());
    let mut changed = changed.into_iter().peekable();
    for r in 0..batch.runs.len() {
        let rows = batch.run_rows(r);
        let mut run = batch.runs[r];
        // walk the images with their old meaning: a changed pair counts as one event
        let (mut row, mut done) = (rows.start as u32, 0);
        while row < rows.end as u32 {
            let (event, nth) = (batch.runs[r].event + done, batch.runs[r].nth + done);
            if changed.next_if(|c| c.0 == row).is_some() {
                if run.row < row {
                    runs.push(run);
                }
                runs.push(Run { row, event, nth, part: 0, ..run });
                runs.push(Run { row: row + 1, event, nth, part: 1, ..run });
                run = Run { row: row + 2, event: event + 1, nth: nth + 1, ..run };
                row += 2;
            } else {
                row += if batch.kinds[row as usize] == Kind::Before { 2 } else { 1 };
            }
            done += 1;
        }
        if run.row < rows.end as u32 {
            runs.push(run);
        }
    }
    let split = runs.iter().filter(|r| r.part == 1).count() as u64;
    batch.runs = runs;
    split
}

/// Whether an update gives, or may give, a row another value in one of these columns, and its after image lacks cells of others:
/// whoever has not had the row before cannot know them.
pub fn moves_in_part(batch: &Batch, key: &[usize]) -> bool {
    let moves = |before: usize, after: usize| {
        // what the after image lacks has not changed
        let may_differ = |&k: &usize| {
            !batch.is_absent(k, after)
                && (batch.is_absent(k, before) || cell_differs(batch, k, before, after))
        };
        key.iter().any(may_differ) && lacks_cells(batch, after, |c| key.contains(&c))
    };
    let mut updates = batch.events().filter_map(|event| event.before.zip(event.after));
    !batch.absent.is_empty() && updates.any(|(before, after)| moves(before as usize, after as usize))
}

fn key_differs(batch: &Batch, before: usize, after: usize) -> bool {
    batch.table.key.iter().map(|&k| k as usize).any(|k| {
        !batch.is_absent(k, before) && !batch.is_absent(k, after) && cell_differs(batch, k, before, after)
    })
}

fn cell_differs(batch: &Batch, column: usize, before: usize, after: usize) -> bool {
    let column = &batch.columns[column];
    column.slice(before, 1).as_ref() != column.slice(after, 1).as_ref()
}

/// Whether a cell that is not of the key is absent from an image.
fn lacks_cells(batch: &Batch, row: usize, is_key: impl Fn(usize) -> bool) -> bool {
    (0..batch.columns.len()).any(|c| !is_key(c) && batch.is_absent(c, row))
}
