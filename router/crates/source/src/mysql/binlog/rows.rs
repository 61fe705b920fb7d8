//! What a rows event says before its rows.

use forebay_model::Kind;

use super::kinds;
use crate::mysql::cursor::{Cursor, Garbled};

/// The head of a rows event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsHead<'a> {
    pub(crate) table_id: u64,
    pub(crate) columns: usize,
    /// A bit for each column that the images (the before images of an update) have.
    pub(crate) present: &'a [u8],
    /// The same for the after images of an update.
    pub(crate) present_after: &'a [u8],
    /// The images.
    pub(crate) images: &'a [u8],
}

impl<'a> RowsHead<'a> {
    /// Reads the head of an event of one of the types [`kind_of`](Self::kind_of) knows.
    #[inline]
    pub(crate) fn parse(kind: u8, body: &'a [u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        let table_id = at.uint(6)?;
        let _flags = at.u16()?;
        // the length of the extra data, which version 1 does not have, counts itself
        if kind > kinds::DELETE_ROWS_V1 {
            let extra = usize::from(at.u16()?).checked_sub(2).ok_or(Garbled)?;
            at.take(extra)?;
        }
        let columns = at.packed_len()?;
        if columns > 4096 {
            return Err(Garbled);
        }
        let present = at.take(columns.div_ceil(8))?;
        let update = matches!(kind, kinds::UPDATE_ROWS | kinds::PARTIAL_UPDATE_ROWS | kinds::UPDATE_ROWS_V1);
        let present_after = if update { at.take(columns.div_ceil(8))? } else { present };
        Ok(RowsHead { table_id, columns, present, present_after, images: at.rest() })
    }

    /// The number of the table that a rows event of any version is about.
    pub(crate) fn table_id(body: &[u8]) -> Result<u64, Garbled> {
        Cursor::new(body).uint(6)
    }

    /// The kinds of an event's images: one, or two in turn.
    pub(crate) fn kind_of(kind: u8) -> Option<(Kind, Option<Kind>)> {
        match kind {
            kinds::WRITE_ROWS | kinds::WRITE_ROWS_V1 => Some((Kind::Insert, None)),
            kinds::UPDATE_ROWS | kinds::PARTIAL_UPDATE_ROWS | kinds::UPDATE_ROWS_V1 => {
                Some((Kind::Before, Some(Kind::After)))
            }
            kinds::DELETE_ROWS | kinds::DELETE_ROWS_V1 => Some((Kind::Delete, None)),
            _ => None,
        }
    }
}
