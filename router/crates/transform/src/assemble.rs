//! The batch after a plan: from the input's arrays, and the pieces that came back from the plugin.
//!
//! Promises: every event of the input is in the output batch, counted as filtered, or among the rejects
//! (invariant 4); what is not computed is shared with the input and not copied.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, StringArray, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_select::concat::concat;
use forebay_model::{Batch, Column, ColumnType, keep_images, split_key_changes};

use crate::apply::{Applied, Place, Reject};
use crate::bindings as wit;
use crate::gather::{absent, partial};
use crate::instance::MESSAGE;
use crate::plan::{Checked, From};
use crate::plugin_log::clean;
use crate::scatter::{Before, Scattered, scatter};
use crate::stamp;

/// What came back for some images, checked.
pub(crate) struct Piece {
    start: usize,
    columns: Vec<Scattered>,
    /// Empty = all.
    keep: Vec<u8>,
    rejects: Vec<wit::Reject>,
    routing: Option<ArrayRef>,
}

/// The longest place that a plugin may send an image to, bytes: destinations' names have 249 (Kafka) or less.
const ROUTING: usize = 200;

impl Piece {
    /// Checks what came back for the images `rows`; the error says what is wrong.
    pub(crate) fn new(
        checked: &Checked,
        batch: &Batch,
        rows: Range<usize>,
        output: wit::Output,
    ) -> Result<Piece, String> {
        let wit::Output { columns, keep, rejects, routing } = output;
        if columns.len() != checked.computed.len() {
            return Err(format!(
                "{} columns came back, the plan computes {}",
                columns.len(),
                checked.computed.len()
            ));
        }
        let filtered = !keep.is_empty() || !rejects.is_empty();
        if filtered && !checked.plan.filters {
            return Err("images were dropped or rejected, and the plan does not filter".to_owned());
        }
        if !keep.is_empty() && (keep.len() != rows.len() || keep.iter().any(|&k| k > 1)) {
            return Err("`keep` is not one 0 or 1 for each image".to_owned());
        }
        if rejects.len() > rows.len() || rejects.iter().any(|reject| reject.row as usize >= rows.len()) {
            return Err("images were rejected that are not in the batch".to_owned());
        }
        let routing = match routing {
            Some(_) if !checked.plan.routes => {
                return Err("places were chosen for images, and the plan does not route".to_owned());
            }
            Some(came) => Some(places(came, rows.len()).map_err(|problem| format!("`routing`: {problem}"))?),
            None => None,
        };
        let mut scattered = Vec::with_capacity(columns.len());
        for (came, computed) in columns.into_iter().zip(&checked.computed) {
            let cells = computed.of.map(|index| batch.columns[index].slice(rows.start, rows.len()));
            let absent = computed.of.and_then(|index| absent(batch, index, &rows));
            let named = |problem: String| format!("column `{}`: {problem}", computed.column.name);
            let made = match (came, cells) {
                (Some(came), cells) => {
                    let read = computed.of.is_some_and(|index| checked.reads.contains(&index));
                    let before = Before {
                        rows: rows.len(),
                        cells: cells.as_ref(),
                        nullable: computed.of.is_some_and(|index| batch.table.columns[index].nullable),
                        absent: absent.as_ref(),
                        read,
                    };
                    scatter(came, &computed.column, &before).map_err(named)?
                }
                (None, Some(array)) if computed.optional => Scattered { array, absent },
                (None, _) => return Err(named("no cells came back".to_owned())),
            };
            // what is made of a value that is not known is not known either
            let of = computed.of.as_ref().map_or(&checked.reads[..], std::slice::from_ref);
            scattered.push(match partial(batch, of, &rows) {
                Some(unknown) => made.partial(&unknown, &computed.column.ty).map_err(named)?,
                None => made,
            });
        }
        Ok(Piece { start: rows.start, columns: scattered, keep, rejects, routing })
    }

    /// How much memory its columns take.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.iter().map(|column| column.array.get_buffer_memory_size()).sum()
    }
}

/// Where images go, checked.
fn places(came: wit::ColumnResult, rows: usize) -> Result<ArrayRef, String> {
    let text = Column { name: String::new(), ty: ColumnType::Text, nullable: true, native: String::new() };
    if came.states.contains(&2) {
        return Err("a place is absent".to_owned());
    }
    let before = Before { rows, cells: None, nullable: true, absent: None, read: false };
    let array = scatter(came, &text, &before)?.array;
    let good = |place: &str| {
        (1..=ROUTING).contains(&place.len())
            && !place.starts_with('.')
            && place.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    if array.as_string::<i32>().iter().flatten().all(good) {
        Ok(array)
    } else {
        Err(format!("a place is not 1 to {ROUTING} letters, digits, `_`, `-` and `.`, or starts with `.`"))
    }
}

/// The batch after the plan. The error: the pieces of a column do not fit into one array.
pub(crate) fn assemble(
    checked: &Checked,
    batch: &Batch,
    pieces: Vec<Piece>,
    place: &Place<'_>,
) -> Result<Applied, String> {
    let mut applied = kept(checked, batch, pieces)?;
    if checked.plan.keeps_deleted || checked.stamps() {
        // what an event is must be settled before it is written into a column
        split_key_changes(&mut applied.batch);
        stamp::stamp(checked, &mut applied.batch, place);
    }
    debug_assert_eq!(applied.batch.columns.len(), applied.batch.table.columns.len());
    Ok(applied)
}

/// The images that are left, without stamps.
fn kept(checked: &Checked, batch: &Batch, pieces: Vec<Piece>) -> Result<Applied, String> {
    let mut columns = Vec::with_capacity(checked.from.len());
    let mut absences = Vec::with_capacity(checked.from.len());
    let input_absent = |index: usize| batch.absent.get(index).cloned().flatten();
    for (from, column) in checked.from.iter().zip(&checked.output.columns) {
        let (array, absent) = match *from {
            From::Input(index) => (batch.columns[index].clone(), input_absent(index)),
            From::Nulls(index) => (new_null_array(&column.ty.layout(), batch.rows()), input_absent(index)),
            From::Computed(_) if pieces.is_empty() => (new_null_array(&column.ty.layout(), 0), None),
            From::Computed(n) => join(&pieces, n, batch.rows())?,
            From::Constant(n) => (stamp::repeat(&checked.constants[n], batch.rows()), None),
            From::Stamp(_) => break,
        };
        columns.push(array);
        absences.push(absent);
    }
    if absences.iter().all(Option::is_none) {
        absences.clear();
    }
    let table = checked.output.clone();
    let (kinds, runs) = (batch.kinds.clone(), batch.runs.clone());
    let routing = join_routing(batch, &pieces)?;
    let whole = Batch { table, kinds, runs, columns, absent: absences, routing };
    if pieces.iter().all(|piece| piece.keep.is_empty() && piece.rejects.is_empty()) {
        return Ok(Applied { batch: whole, filtered_events: 0, rejects: Vec::new() });
    }
    let mut keep = vec![true; whole.rows()];
    let mut reasons: Vec<Option<String>> = Vec::new();
    for piece in pieces {
        for (keep, &kept) in keep[piece.start..].iter_mut().zip(&piece.keep) {
            *keep = kept == 1;
        }
        if !piece.rejects.is_empty() {
            reasons.resize(whole.rows(), None);
        }
        for reject in piece.rejects {
            reasons[piece.start + reject.row as usize] = Some(clean(&reject.reason, MESSAGE));
        }
    }
    let rejects = take_rejected(&whole, &mut keep, reasons);
    let kept = keep_images(&whole, &keep);
    Ok(Applied { batch: kept.batch, filtered_events: kept.dropped_events - rejects.len() as u64, rejects })
}

/// Takes rejected events out of `keep`, both images of each.
fn take_rejected(batch: &Batch, keep: &mut [bool], mut reasons: Vec<Option<String>>) -> Vec<Reject> {
    let mut rejects = Vec::new();
    if reasons.is_empty() {
        return rejects;
    }
    for event in batch.events() {
        let images = [event.before, event.after].into_iter().flatten().map(|row| row as usize);
        let Some(reason) = images.clone().find_map(|row| reasons[row].take()) else { continue };
        for row in images {
            keep[row] = false;
        }
        rejects.push(Reject { event: event.event, part: event.part, reason });
    }
    rejects
}

/// The n-th computed column of the whole batch.
fn join(pieces: &[Piece], n: usize, rows: usize) -> Result<(ArrayRef, Option<BooleanBuffer>), String> {
    if let [piece] = pieces {
        return Ok((piece.columns[n].array.clone(), piece.columns[n].absent.clone()));
    }
    let arrays: Vec<_> = pieces.iter().map(|piece| piece.columns[n].array.as_ref()).collect();
    let array = concat(&arrays).map_err(|error| error.to_string())?;
    if pieces.iter().all(|piece| piece.columns[n].absent.is_none()) {
        return Ok((array, None));
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    for piece in pieces {
        match &piece.columns[n].absent {
            Some(absent) => bits.append_buffer(absent),
            None => bits.append_n(piece.columns[n].array.len(), false),
        }
    }
    Ok((array, Some(bits.finish())))
}

/// Where the images of the whole batch go: as the pieces say, else as an earlier transform said.
fn join_routing(batch: &Batch, pieces: &[Piece]) -> Result<Option<ArrayRef>, String> {
    if pieces.iter().all(|piece| piece.routing.is_none()) {
        return Ok(batch.routing.clone());
    }
    let nulls =
        |piece: &Piece, next: usize| -> ArrayRef { Arc::new(StringArray::new_null(next - piece.start)) };
    let ends = pieces.iter().skip(1).map(|piece| piece.start).chain([batch.rows()]);
    let arrays: Vec<ArrayRef> = pieces
        .iter()
        .zip(ends)
        .map(|(piece, end)| piece.routing.clone().unwrap_or_else(|| nulls(piece, end)))
        .collect();
    let arrays: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
    concat(&arrays).map(Some).map_err(|error| error.to_string())
}
