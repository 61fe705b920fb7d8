//! A batch while it is filled: images in, Arrow arrays out.
//!
//! Owns the buffers of one batch. They become arrays without a copy; the next batch's are made as large as this one's
//! turned out to be.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int32Array,
    Int64Array, StringArray, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use forebay_model::{Batch, Kind, Run};

use super::Plan;
use super::bits::{Bits, all_set, transpose};
use super::fixed::STAGED;
use super::lane::{Cells, Image, Var};
use crate::mysql::cursor::Garbled;

/// Rows that a batch has room for at first, where nothing is known of the table yet.
const FIRST_ROOM: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Filling {
    pub(crate) plan: Arc<Plan>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) runs: Vec<Run>,
    /// One for each lane of the plan.
    cells: Vec<Cells>,
    /// Each image's NULL bits, one image after the other.
    nulls: Vec<u8>,
    /// The same for absent cells; empty until some image lacks a column.
    absent: Vec<u8>,
}

/// How large a batch of a table turned out to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Size {
    rows: usize,
    runs: usize,
    /// Bytes of each column that has no fixed width, in column order.
    bytes: Vec<usize>,
}

/// A cell whose bytes mean nothing in its column's character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongText {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// The columns that the images of an event have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Present<'a> {
    All,
    /// A bit for each column.
    Some(&'a [u8]),
}

impl<'a> Present<'a> {
    pub(crate) fn of(bits: &'a [u8], columns: usize) -> Self {
        if all_set(bits, columns) { Present::All } else { Present::Some(bits) }
    }
}

impl Filling {
    pub(crate) fn new(plan: Arc<Plan>, like: &Size) -> Self {
        // a little more than last time, so that a block of much the same size does not grow at its end
        let room = (like.rows + like.rows / 8).max(FIRST_ROOM);
        let mut seen = 0;
        let cells = plan.lanes.iter().map(|lane| {
            let vars = like.bytes.get(seen..).unwrap_or_default();
            let cells =
                Cells::new(&lane.form, lane.count, room, |c| vars.get(c).map_or(0, |n| n + n / 8) + 64);
            if let Cells::Var(vars) = &cells {
                seen += vars.len();
            }
            cells
        });
        Filling {
            cells: cells.collect(),
            kinds: Vec::with_capacity(room),
            runs: Vec::with_capacity(like.runs + 1),
            nulls: Vec::with_capacity(room * plan.bitmap_bytes()),
            absent: Vec::new(),
            plan,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.kinds.len()
    }

    /// Takes the image that `bytes` begin with.
    #[inline]
    pub(crate) fn push(
        &mut self,
        kind: Kind,
        present: Present<'_>,
        bytes: &mut &[u8],
    ) -> Result<(), Garbled> {
        let row = self.kinds.len();
        let width = self.plan.bitmap_bytes();
        match present {
            Present::All => {
                let (bits, rest) = bytes.split_at_checked(width).ok_or(Garbled)?;
                *bytes = rest;
                self.nulls.extend_from_slice(bits);
                if !self.absent.is_empty() {
                    self.absent.resize((row + 1) * width, 0);
                }
                self.read(row, bits, bytes)?;
            }
            Present::Some(present) => {
                let bits = self.spread(row, present, bytes)?;
                self.read(row, &bits, bytes)?;
            }
        }
        self.end_image(kind);
        Ok(())
    }

    /// Notes that a cell of the image that is being taken, whose NULL bits [`null_bits`](Self::null_bits) read, is absent.
    pub(super) fn leave_out(&mut self, column: usize) {
        let row = self.kinds.len() * self.plan.bitmap_bytes();
        self.absent[row + column / 8] |= 1 << (column % 8);
    }

    #[inline(always)]
    pub(super) fn end_image(&mut self, kind: Kind) {
        let row = self.kinds.len();
        self.kinds.push(kind);
        if row % STAGED == STAGED - 1 {
            self.cells.iter_mut().for_each(|c| c.settle(STAGED));
        }
    }

    pub(super) fn cells_mut(&mut self) -> &mut [Cells] {
        &mut self.cells
    }

    /// Reads the NULL bits of an image, of whatever columns it has.
    pub(super) fn null_bits(&mut self, present: Present<'_>, bytes: &mut &[u8]) -> Result<Vec<u8>, Garbled> {
        let all = vec![0xff; self.plan.bitmap_bytes()];
        let present = match present {
            Present::All => &all,
            Present::Some(present) => present,
        };
        self.spread(self.kinds.len(), present, bytes)
    }

    #[inline(always)]
    fn read(&mut self, row: usize, nulls: &[u8], bytes: &mut &[u8]) -> Result<(), Garbled> {
        let mut at = &bytes[..];
        let some_null = nulls.iter().any(|&b| b != 0);
        let mut image = Image { bytes: &mut at, nulls: Bits::new(nulls), some_null, row };
        for (lane, cells) in self.plan.lanes.iter().zip(&mut self.cells) {
            cells.read(&lane.form, lane.first, &mut image)?;
        }
        let left = at.len();
        *bytes = &bytes[bytes.len() - left..];
        Ok(())
    }

    /// Reads the NULL bits of an image that lacks columns (it has bits only for those it has), notes what is absent, and
    /// answers bits for all columns: an absent cell is a NULL too.
    #[cold]
    fn spread(&mut self, row: usize, present: &[u8], bytes: &mut &[u8]) -> Result<Vec<u8>, Garbled> {
        let (width, columns) = (self.plan.bitmap_bytes(), self.plan.width());
        let bit = |bits: &[u8], at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
        let here = (0..columns).filter(|&c| bit(present, c)).count();
        let (compact, rest) = bytes.split_at_checked(here.div_ceil(8)).ok_or(Garbled)?;
        *bytes = rest;
        self.absent.resize(row * width, 0);
        let (mut nulls, mut absent, mut seen) = (vec![0; width], vec![0; width], 0);
        for c in 0..columns {
            let here = bit(present, c);
            if !here {
                absent[c / 8] |= 1 << (c % 8);
            }
            if !here || bit(compact, seen) {
                nulls[c / 8] |= 1 << (c % 8);
            }
            seen += usize::from(here);
        }
        self.nulls.extend_from_slice(&nulls);
        self.absent.extend_from_slice(&absent);
        Ok(nulls)
    }

    /// The batch, how large it turned out, and the first row with a text that is none, if there is one: that row must
    /// go nowhere.
    pub(crate) fn finish(self) -> (Batch, Size, Option<WrongText>) {
        let (rows, columns) = (self.rows(), self.plan.table.columns.len());
        let width = self.plan.bitmap_bytes();
        let mut size = Size { rows, runs: self.runs.len(), bytes: Vec::new() };
        let nulls = ByColumn::new(&self.nulls, width, rows);
        let absent = if self.absent.is_empty() {
            Vec::new()
        } else {
            let absent = ByColumn::new(&self.absent, width, rows);
            (0..columns).map(|c| absent.bits(c)).collect()
        };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns);
        let mut wrong: Option<WrongText> = None;
        for mut cells in self.cells {
            cells.settle(rows % STAGED);
            let first = arrays.len();
            let valid = |i: usize| {
                let bits = nulls.bits(first + i)?;
                Some(NullBuffer::new(!&bits))
            };
            macro_rules! primitives {
                ($cells:expr, $array:ty) => {
                    arrays.extend(
                        $cells
                            .columns
                            .into_iter()
                            .enumerate()
                            .map(|(i, c)| -> ArrayRef { Arc::new(<$array>::new(values(c), valid(i))) }),
                    )
                };
            }
            match cells {
                Cells::I32(cells) => primitives!(cells, Int32Array),
                Cells::I64(cells) => primitives!(cells, Int64Array),
                Cells::U64(cells) => primitives!(cells, UInt64Array),
                Cells::F32(cells) => primitives!(cells, Float32Array),
                Cells::F64(cells) => primitives!(cells, Float64Array),
                Cells::I128(cells) => {
                    arrays.extend(cells.columns.into_iter().enumerate().map(|(i, c)| -> ArrayRef {
                        let layout = self.plan.table.columns[first + i].ty.layout();
                        Arc::new(Decimal128Array::new(values(c), valid(i)).with_data_type(layout))
                    }))
                }
                Cells::I256(cells) => {
                    arrays.extend(cells.columns.into_iter().enumerate().map(|(i, c)| -> ArrayRef {
                        let layout = self.plan.table.columns[first + i].ty.layout();
                        Arc::new(Decimal256Array::new(values(c), valid(i)).with_data_type(layout))
                    }))
                }
                Cells::Var(vars) => {
                    for (i, var) in vars.into_iter().enumerate() {
                        size.bytes.push(var.data.len());
                        let valid = valid(i);
                        let column = first + i;
                        let (array, row) = var_array(var, valid, self.plan.is_bytes[column]);
                        arrays.push(array);
                        if let Some(row) = row.filter(|&r| wrong.is_none_or(|w| r < w.row)) {
                            wrong = Some(WrongText { row, column });
                        }
                    }
                }
            }
        }
        arrays.truncate(columns);
        let batch = Batch {
            table: self.plan.table.clone(),
            kinds: tight(self.kinds),
            runs: tight(self.runs),
            columns: arrays,
            absent,
            routing: None,
        };
        (batch, size, wrong)
    }
}

/// Bits of images, turned into bits of columns.
struct ByColumn {
    bits: Vec<u8>,
    rows: usize,
}

impl ByColumn {
    fn new(by_row: &[u8], width: usize, rows: usize) -> Self {
        // the usual case: no bit is set
        let none = by_row.iter().all(|&b| b == 0);
        ByColumn { bits: if none { Vec::new() } else { transpose(by_row, width, rows) }, rows }
    }

    /// The bits of a column, if one is set.
    fn bits(&self, column: usize) -> Option<BooleanBuffer> {
        let height = self.rows.div_ceil(8);
        let bits = self.bits.get(column * height..(column + 1) * height)?;
        if bits.iter().all(|&b| b == 0) {
            return None;
        }
        Some(BooleanBuffer::new(Buffer::from_vec(bits.to_vec()), 0, self.rows))
    }
}

/// Gives back memory that is far more than is used: blocks stay in memory for a while.
fn tight<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() > values.len() + values.len() / 2 {
        values.shrink_to_fit();
    }
    values
}

fn values<T: arrow_buffer::ArrowNativeType>(cells: Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(tight(cells))
}

/// The array, and the first row whose text is none.
fn var_array(var: Var, valid: Option<NullBuffer>, bytes: bool) -> (ArrayRef, Option<usize>) {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(tight(var.ends)));
    let data = Buffer::from_vec(tight(var.data));
    if bytes {
        return (Arc::new(BinaryArray::new(offsets, data, valid)), None);
    }
    // checks the whole column's UTF-8 at once
    match StringArray::try_new(offsets.clone(), data.clone(), valid.clone()) {
        Ok(array) => (Arc::new(array), var.wrong),
        Err(_) => {
            let (array, row) = mended(offsets, &data, valid);
            (Arc::new(array), row.into_iter().chain(var.wrong).min())
        }
    }
}

/// An array that can be cut before its first wrong row, which is answered too.
#[cold]
fn mended(
    offsets: OffsetBuffer<i32>,
    data: &[u8],
    valid: Option<NullBuffer>,
) -> (StringArray, Option<usize>) {
    let text = |w: &[i32]| String::from_utf8_lossy(&data[w[0] as usize..w[1] as usize]);
    let row = offsets.windows(2).position(|w| matches!(text(w), std::borrow::Cow::Owned(_)));
    let mended: StringArray = offsets.windows(2).map(|w| Some(text(w))).collect();
    let (offsets, data, _) = mended.into_parts();
    (StringArray::new(offsets, data, valid), row)
}
