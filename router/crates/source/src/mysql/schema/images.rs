//! Rows of the virtual tables, in the form in which a rows event has them: from here on they are read like all others.

use std::sync::Arc;

use forebay_model::{Fault, TableSchema, quarantine, schema_changes};

use crate::mysql::binlog::{Header, RawColumn, RowsHead, TableMap, kinds, types};
use crate::mysql::decode::Plan;

/// The plans of the virtual tables.
#[derive(Debug)]
pub(crate) struct Plans {
    pub(super) changes: Arc<Plan>,
    pub(super) quarantine: Arc<Plan>,
}

impl Plans {
    pub(super) fn new() -> Result<Self, Fault> {
        const TEXT: (u8, [u8; 2], u16) = (types::BLOB, [4, 0], 45);
        const BYTES: (u8, [u8; 2], u16) = (types::BLOB, [4, 0], 63);
        const TIME: (u8, [u8; 2], u16) = (types::TIMESTAMP, [6, 0], 0);
        Ok(Plans {
            changes: plan(schema_changes(), &[TEXT, TEXT, TEXT, TEXT, TIME])?,
            quarantine: plan(
                quarantine(),
                &[TEXT, TEXT, (types::TINY, [0; 2], 0), BYTES, BYTES, (types::LONG, [0; 2], 0)],
            )?,
        })
    }
}

fn plan(table: &Arc<TableSchema>, columns: &[(u8, [u8; 2], u16)]) -> Result<Arc<Plan>, Fault> {
    let column = |&(code, meta, collation): &(u8, [u8; 2], u16)| RawColumn {
        code,
        meta,
        unsigned: true,
        collation: (collation > 0).then_some(collation),
        ..Default::default()
    };
    let columns = columns.iter().map(column).collect();
    let map = TableMap { columns, full: true, ..Default::default() };
    let mut plan = Plan::new(&map)?;
    // the same layouts; what they mean is the model's to say
    plan.table = table.clone();
    Ok(Arc::new(plan))
}

/// A cell of an image.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Null,
    /// Text or bytes.
    Bytes(&'a [u8]),
    U8(u8),
    U32(u32),
    /// Microseconds since 1970.
    Time(u64),
}

/// An image of these cells.
pub(super) fn image(cells: &[Cell<'_>]) -> Vec<u8> {
    let mut out = vec![0; cells.len().div_ceil(8)];
    for (i, cell) in cells.iter().enumerate() {
        match cell {
            Cell::Null => out[i / 8] |= 1 << (i % 8),
            Cell::Bytes(bytes) => {
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Cell::U8(n) => out.push(*n),
            Cell::U32(n) => out.extend_from_slice(&n.to_le_bytes()),
            Cell::Time(us) => {
                out.extend_from_slice(&((us / 1_000_000) as u32).to_be_bytes());
                out.extend_from_slice(&((us % 1_000_000) as u32).to_be_bytes()[1..]);
            }
        }
    }
    out
}

/// The head of a rows event that inserts an image of so many columns, and its header.
pub(crate) fn insert<'a>(event: &Header, columns: usize, images: &'a [u8]) -> (Header, RowsHead<'a>) {
    let present: &[u8] = &[0xff; 1];
    let head = RowsHead { table_id: 0, columns, present, present_after: present, images };
    (Header { kind: kinds::WRITE_ROWS, ..*event }, head)
}
