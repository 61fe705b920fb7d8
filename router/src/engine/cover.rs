//! What people may see: values that are held back are covered.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, StringArray};
use forebay_model::{Batch, Block, Column, ColumnType, TableSchema, schema_changes};
use forebay_source::mysql;

use crate::definition::Guard;

/// What stands in the place of a value that is not shown.
const COVER: &str = "(pii)";

/// What people may see of blocks, with a memory of what is held of each version.
#[derive(Default)]
pub(super) struct Cover {
    guard: Guard,
    held: Vec<(Arc<TableSchema>, Vec<String>)>,
}

impl Cover {
    /// Versions that are remembered.
    const MOST: usize = 256;

    /// What the guard says counts from now on.
    pub(super) fn by(&mut self, guard: &Guard) {
        if self.guard != *guard {
            *self = Cover { guard: guard.clone(), held: Vec::new() };
        }
    }

    /// The block as people may see it: a word in the place of each value that is held back. NULL stays NULL.
    pub(super) fn block(&mut self, block: Block) -> Block {
        if self.guard.is_idle() {
            return block;
        }
        let batches = block.batches.into_iter().map(|batch| self.batch(batch)).collect();
        Block { batches, ..block }
    }

    fn batch(&mut self, batch: Batch) -> Batch {
        let batch = without_values(batch, &self.guard);
        let held = self.held(&batch.table);
        cover_columns(batch, held)
    }

    fn held(&mut self, table: &Arc<TableSchema>) -> &[String] {
        let known = self.held.iter().position(|(known, _)| Arc::ptr_eq(known, table));
        let at = known.unwrap_or_else(|| {
            if self.held.len() >= Self::MOST {
                self.held.clear();
            }
            self.held.push((table.clone(), self.guard.held(table)));
            self.held.len() - 1
        });
        &self.held[at].1
    }
}

/// As [`Cover::block`], once.
pub(super) fn cover(block: Block, guard: &Guard) -> Block {
    let mut cover = Cover::default();
    cover.by(guard);
    cover.block(block)
}

/// Rows of `forebay.schema_changes` without the values that stand in statements, where the source tags anything and the route is not
/// allowed `forebay.schema_changes.statement`. Other tables as they are.
pub(super) fn without_values(mut batch: Batch, guard: &Guard) -> Batch {
    let changes = schema_changes();
    let is_told = batch.table.database == changes.database && batch.table.table == changes.table;
    if !is_told || guard.is_idle() || guard.allows(changes, "statement") {
        return batch;
    }
    let (statements, told) = (batch.columns[2].as_string::<i32>(), batch.columns[3].as_string::<i32>());
    let bare = |row: usize| {
        let statement = statements.is_valid(row).then(|| statements.value(row));
        let (bare, change) = mysql::without_values(statement.unwrap_or_default(), told.value(row));
        (statement.map(|_| bare), change)
    };
    let (statements, told): (Vec<_>, Vec<_>) = (0..batch.rows()).map(bare).unzip();
    (batch.columns[2], batch.columns[3]) =
        (Arc::new(StringArray::from(statements)), Arc::new(StringArray::from(told)));
    batch
}

fn cover_columns(mut batch: Batch, held: &[String]) -> Batch {
    if held.is_empty() {
        return batch;
    }
    let mut table = TableSchema::clone(&batch.table);
    for (column, cells) in table.columns.iter_mut().zip(&mut batch.columns) {
        if held.contains(&column.name) {
            let native = "longtext".to_owned();
            *column = Column { ty: ColumnType::Text, native, ..column.clone() };
            *cells = covered(cells);
        }
    }
    batch.table = Arc::new(table);
    batch
}

fn covered(cells: &ArrayRef) -> ArrayRef {
    Arc::new((0..cells.len()).map(|row| cells.is_valid(row).then_some(COVER)).collect::<StringArray>())
}
