//! Columns that the host makes: constants, and what the router knows of each event.
//!
//! Promises: a stamp says what an event is as it leaves the plugin, after filters and after a change of key was split;
//! nothing is written for a cell but the cell.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, PrimitiveArray, StringArray, UInt64Array};
use arrow_buffer::BooleanBuffer;
use arrow_select::take::take;
use forebay_model::{Batch, Column, ColumnType, Kind, Offset, Run};

use crate::apply::Place;
use crate::bindings::{ColumnResult, Metadata};
use crate::plan::{Checked, From};
use crate::scatter::{Before, scatter};

/// The column that a stamp makes.
pub(crate) fn column(what: Metadata, name: &str) -> Column {
    let (ty, native) = match what {
        Metadata::Op => (ColumnType::Text, "char(1)"),
        Metadata::Deleted => (ColumnType::Integer { bits: 8, unsigned: false }, "tinyint(1)"),
        Metadata::CommitTime => (ColumnType::Timestamp { fsp: 6 }, "timestamp(6)"),
        Metadata::Gtid => (ColumnType::Text, "varchar(128)"),
        Metadata::Offset => (ColumnType::Integer { bits: 64, unsigned: true }, "bigint unsigned"),
        Metadata::Source | Metadata::Database | Metadata::Table => (ColumnType::Text, "varchar(64)"),
    };
    let nullable = what == Metadata::Gtid;
    Column { name: name.to_owned(), ty, nullable, native: native.to_owned() }
}

/// The one cell of a constant.
pub(crate) fn constant(value: &ColumnResult, column: &Column) -> Result<ArrayRef, String> {
    if value.states.contains(&2) {
        return Err("its cell is absent".to_owned());
    }
    let before = Before { rows: 1, cells: None, nullable: true, absent: None, read: false };
    Ok(scatter(value.clone(), column, &before)?.array)
}

/// A cell, `rows` times.
pub(crate) fn repeat(cell: &ArrayRef, rows: usize) -> ArrayRef {
    gathered(cell, &PrimitiveArray::from_value(0, rows))
}

fn gathered(cells: &dyn Array, rows: &PrimitiveArray<UInt32Type>) -> ArrayRef {
    take(cells, rows, None).expect("rows that the column has")
}

/// Adds the plan's stamps to a batch that has all other columns, and keeps deleted rows where the plan says so.
pub(crate) fn stamp(checked: &Checked, batch: &mut Batch, place: &Place<'_>) {
    let mut gone: Vec<bool> = batch.kinds.iter().map(|kind| *kind == Kind::Delete).collect();
    if checked.plan.keeps_deleted {
        gone = keep_deleted(batch, &gone);
    }
    for from in &checked.from {
        if let From::Stamp(what) = from {
            let cells = cells(*what, batch, &gone, place);
            batch.columns.push(cells);
            if !batch.absent.is_empty() {
                batch.absent.push(None);
            }
        }
    }
}

/// Makes each delete an update to the same cells; says which images are those of gone rows afterwards.
fn keep_deleted(batch: &mut Batch, gone: &[bool]) -> Vec<bool> {
    if !gone.contains(&true) {
        return gone.to_vec();
    }
    let images = gone.len() + gone.iter().filter(|&&gone| gone).count();
    let (mut rows, mut kinds, mut after) =
        (Vec::with_capacity(images), Vec::with_capacity(images), Vec::with_capacity(images));
    let mut runs: Vec<Run> = Vec::with_capacity(batch.runs.len());
    for (n, run) in batch.runs.iter().enumerate() {
        runs.push(Run { row: rows.len() as u32, ..*run });
        for row in batch.run_rows(n) {
            if gone[row] {
                rows.extend([row as u32; 2]);
                kinds.extend([Kind::Before, Kind::After]);
                after.extend([false, true]);
            } else {
                rows.push(row as u32);
                kinds.push(batch.kinds[row]);
                after.push(false);
            }
        }
    }
    let rows = PrimitiveArray::<UInt32Type>::from(rows);
    for column in &mut batch.columns {
        *column = gathered(column, &rows);
    }
    for absent in batch.absent.iter_mut().flatten() {
        let old = absent.clone();
        *absent = BooleanBuffer::collect_bool(rows.len(), |row| old.value(rows.value(row) as usize));
    }
    batch.routing = batch.routing.take().map(|routing| gathered(&routing, &rows));
    batch.kinds = kinds;
    batch.runs = runs;
    after
}

fn cells(what: Metadata, batch: &Batch, gone: &[bool], place: &Place<'_>) -> ArrayRef {
    let origin = place.origin;
    let same = |text: &str| repeat(&(Arc::new(StringArray::from(vec![text])) as ArrayRef), batch.rows());
    match what {
        Metadata::Op => {
            let ops = batch.kinds.iter().map(|kind| match kind {
                Kind::Snapshot => "r",
                Kind::Insert => "c",
                Kind::Before | Kind::After => "u",
                Kind::Delete => "d",
            });
            Arc::new(StringArray::from_iter_values(ops))
        }
        Metadata::Deleted => Arc::new(Int32Array::from_iter_values(gone.iter().map(|&gone| i32::from(gone)))),
        Metadata::CommitTime => {
            let mut times = Vec::with_capacity(batch.rows());
            for (n, run) in batch.runs.iter().enumerate() {
                let time = origin.txns[run.txn as usize].commit_us as i64;
                times.resize(batch.run_rows(n).end, time);
            }
            Arc::new(Int64Array::from(times))
        }
        Metadata::Gtid => {
            let mut gtids = StringBuilder::with_capacity(batch.rows(), 48 * batch.rows());
            // runs of one transaction follow each other
            let (mut of, mut gtid, mut known) = (u32::MAX, String::new(), false);
            for (n, run) in batch.runs.iter().enumerate() {
                if run.txn != of {
                    of = run.txn;
                    gtid.clear();
                    let named = origin.gtid(&origin.txns[of as usize]);
                    known = named.is_some_and(|named| write!(gtid, "{named}").is_ok());
                }
                for _ in batch.run_rows(n) {
                    gtids.append_option(known.then_some(&gtid));
                }
            }
            Arc::new(gtids.finish())
        }
        Metadata::Offset => {
            let mut offsets = Vec::with_capacity(batch.rows());
            for event in batch.events() {
                let images = usize::from(event.before.is_some()) + usize::from(event.after.is_some());
                offsets.resize(offsets.len() + images, place.first + Offset::from(event.event));
            }
            Arc::new(UInt64Array::from(offsets))
        }
        Metadata::Source => same(place.source),
        Metadata::Database => same(&batch.table.database),
        Metadata::Table => same(&batch.table.table),
    }
}
