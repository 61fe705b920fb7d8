//! Rows of an answer, into batches.

use forebay_model::{Batch, Fault, Kind};

use super::super::Limits;
use super::super::cursor::{Cursor, Garbled};
use super::super::decode::{Filling, Present, Size};
use super::shape::Shape;
use super::wire::{Wire, put_nulls};
use crate::codes;

/// Takes rows and remembers the key of the last one.
#[derive(Debug)]
pub(super) struct Taking<'a> {
    shape: &'a Shape,
    limits: Limits,
    image: Vec<u8>,
    /// For each column of the table, its place in the key.
    slots: Vec<Option<usize>>,
    /// The last row's key, as the protocol has it.
    pub(super) key: Vec<Vec<u8>>,
    filling: Option<(Filling, usize)>,
    size: Size,
    /// A column with a text that is none.
    wrong: Option<usize>,
    /// Full ones; their runs are not there yet.
    pub(super) batches: Vec<Batch>,
    pub(super) rows: u64,
    pub(super) bytes: usize,
}

impl<'a> Taking<'a> {
    pub(super) fn new(shape: &'a Shape, limits: Limits) -> Self {
        let key = shape.key.as_ref().map_or(&[][..], |k| &k.columns);
        let slot = |column| key.iter().position(|&k| k == column);
        Taking {
            slots: (0..shape.wires.len()).map(slot).collect(),
            key: vec![Vec::new(); key.len()],
            shape,
            limits,
            image: Vec::new(),
            filling: None,
            size: Size::default(),
            wrong: None,
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Takes a row.
    pub(super) fn row(&mut self, row: &[u8]) -> Result<(), Garbled> {
        let columns = self.shape.wires.len();
        let (bits, values) = row.split_at_checked((columns + 9) / 8).ok_or(Garbled)?;
        self.image.clear();
        put_nulls(bits, columns, &mut self.image);
        let mut at = Cursor::new(values);
        for ((i, wire), slot) in self.shape.wires.iter().enumerate().zip(&self.slots) {
            if bits[(i + 2) / 8] >> ((i + 2) % 8) & 1 == 1 {
                continue;
            }
            let value = wire.take(&mut at)?;
            wire.put(value, &mut self.image)?;
            if let Some(slot) = slot {
                let key = &mut self.key[*slot];
                key.clear();
                key.extend_from_slice(value);
            }
        }
        if !at.is_empty() {
            return Err(Garbled);
        }
        let (filling, bytes) = match &mut self.filling {
            Some(filling) => filling,
            None => self.filling.insert((Filling::new(self.shape.plan.clone(), &self.size), 0)),
        };
        let mut image = &self.image[..];
        filling.push(Kind::Snapshot, Present::All, &mut image)?;
        *bytes += self.image.len();
        self.bytes += self.image.len();
        self.rows += 1;
        if filling.rows() >= self.limits.block_rows || *bytes >= self.limits.block_bytes {
            self.close();
        }
        Ok(())
    }

    /// Closes the batch at hand.
    pub(super) fn close(&mut self) {
        if let Some((filling, _)) = self.filling.take() {
            let (batch, size, wrong) = filling.finish();
            self.size = size;
            self.wrong = self.wrong.or(wrong.map(|w| w.column));
            self.batches.push(batch);
        }
    }

    /// Whether the batches that were closed may be given.
    ///
    /// # Errors
    /// If one of them has a text that is none.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let Some(column) = self.wrong else { return Ok(()) };
        let table = self.shape.table.full_name();
        let column = self.shape.table.columns.get(column).map_or("", |c| &c.name);
        let what = format!(
            "a text in {table}.{column} has bytes that mean nothing in the column's character set, and cannot be read"
        );
        Err(Fault::new(codes::INVALID_TEXT, what).fix(
            "mend the value at the server (or convert the column to VARBINARY), then resume the snapshot; or cancel it",
        ))
    }
}

/// The values of a row of key columns alone.
pub(super) fn key_values(row: &[u8], wires: &[&Wire]) -> Result<Vec<Vec<u8>>, Garbled> {
    let (bits, values) = row.split_at_checked((wires.len() + 9) / 8).ok_or(Garbled)?;
    if bits.iter().any(|&b| b != 0) {
        return Err(Garbled);
    }
    let mut at = Cursor::new(values);
    wires.iter().map(|wire| Ok(wire.take(&mut at)?.to_vec())).collect()
}
