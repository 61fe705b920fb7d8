//! Columns on their way into a plugin.
//!
//! Promises: only the columns that the plan reads are touched. Where Arrow's layout is the contract's (64-bit numbers,
//! text, bytes) nothing is copied here; otherwise there is one buffer for a column and none for a cell.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_buffer::{ArrowNativeType, BooleanBuffer};
use arrow_schema::DataType;
use forebay_model::{Batch, ColumnType};

use crate::bindings::{self as wit, CellsParam, ColumnParam, VarCellsParam};
use crate::types::shape;
use crate::{canonical, decimal};

/// Some images of a batch, as a plugin is given them.
pub(crate) struct Gathered {
    columns: Vec<Gathering>,
    kinds: Vec<u8>,
    rows: u32,
}

struct Gathering {
    array: ArrayRef,
    states: Vec<u8>,
    cells: Cells,
}

/// Cells that differ from what lies in the array.
enum Cells {
    /// They do not differ.
    AsTheyLie,
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
    Float(Vec<f64>),
    Text {
        offsets: Vec<u32>,
        data: Vec<u8>,
    },
    /// The array is a slice: the same bytes, other offsets.
    Rebased {
        offsets: Vec<u32>,
        bytes: Range<usize>,
    },
}

/// The absent cells among some images, if there are any.
pub(crate) fn absent(batch: &Batch, column: usize, rows: &Range<usize>) -> Option<BooleanBuffer> {
    let bits = batch.absent.get(column)?.as_ref()?.slice(rows.start, rows.len());
    (bits.count_set_bits() > 0).then_some(bits)
}

/// The images among some with a cell of these columns that has changed to what is not known, if there are any.
pub(crate) fn partial(batch: &Batch, columns: &[usize], rows: &Range<usize>) -> Option<BooleanBuffer> {
    let of = |&column: &usize| Some(batch.partial(column)?.slice(rows.start, rows.len()));
    let all = columns.iter().filter_map(of).reduce(|all, bits| &all | &bits);
    all.filter(|bits| bits.count_set_bits() > 0)
}

impl Gathered {
    /// Takes the images `rows` of the columns `reads`.
    pub(crate) fn new(batch: &Batch, rows: &Range<usize>, reads: &[usize], kinds: bool) -> Gathered {
        let column = |&index: &usize| {
            let array = batch.columns[index].slice(rows.start, rows.len());
            let states = states(&array, absent(batch, index, rows).as_ref());
            let cells = cells(&array, &batch.table.columns[index].ty);
            Gathering { array, states, cells }
        };
        Gathered {
            columns: reads.iter().map(column).collect(),
            kinds: if kinds {
                batch.kinds[rows.clone()].iter().map(|&k| k as u8).collect()
            } else {
                Vec::new()
            },
            rows: rows.len() as u32,
        }
    }

    /// The columns; [`batch`](Self::batch) borrows them.
    pub(crate) fn columns(&self) -> Vec<ColumnParam<'_>> {
        self.columns.iter().map(|c| ColumnParam { states: &c.states, cells: c.cells() }).collect()
    }

    /// The batch of the columns that [`columns`](Self::columns) gave.
    pub(crate) fn batch<'a>(&'a self, columns: &'a [ColumnParam<'a>]) -> wit::Batch<'a> {
        wit::Batch { rows: self.rows, columns, kinds: &self.kinds }
    }
}

fn states(array: &ArrayRef, absent: Option<&BooleanBuffer>) -> Vec<u8> {
    let mut states: Vec<u8> = match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => nulls.iter().map(u8::from).collect(),
        None if absent.is_some() => vec![1; array.len()],
        None => return Vec::new(),
    };
    for row in absent.into_iter().flat_map(BooleanBuffer::set_indices) {
        states[row] = 2;
    }
    states
}

fn cells(array: &ArrayRef, ty: &ColumnType) -> Cells {
    let signed = shape(ty).1 == wit::Layout::Signed;
    let bytes = 12 * array.len();
    match (ty, array.data_type()) {
        (ColumnType::Date, _) => {
            let dates = array.as_primitive::<Int32Type>().values();
            text(array, bytes, |row, out| canonical::write_date(dates[row], out))
        }
        (ColumnType::Time { fsp }, _) => {
            let times = array.as_primitive::<Int64Type>().values();
            text(array, bytes, |row, out| canonical::write_time(times[row], *fsp, out))
        }
        (ColumnType::DateTime { fsp }, _) => {
            let times = array.as_primitive::<Int64Type>().values();
            text(array, 2 * bytes, |row, out| canonical::write_datetime(times[row], *fsp, out))
        }
        (ColumnType::Timestamp { fsp }, _) => {
            let times = array.as_primitive::<Int64Type>().values();
            text(array, 2 * bytes, |row, out| canonical::write_timestamp(times[row], *fsp, out))
        }
        (ColumnType::Decimal { scale, .. }, DataType::Decimal128(..)) => {
            let numbers = array.as_primitive::<Decimal128Type>().values();
            text(array, bytes, |row, out| decimal::write_128(numbers[row], usize::from(*scale), out))
        }
        (ColumnType::Decimal { scale, .. }, _) => {
            let numbers = array.as_primitive::<Decimal256Type>().values();
            text(array, bytes, |row, out| decimal::write_256(numbers[row], usize::from(*scale), out))
        }
        (_, DataType::Int32) if signed => {
            Cells::Signed(array.as_primitive::<Int32Type>().values().iter().map(|&n| n.into()).collect())
        }
        (_, DataType::Int32) => {
            // an unsigned type that lies in 32 signed bits is never negative
            Cells::Unsigned(array.as_primitive::<Int32Type>().values().iter().map(|&n| n as u64).collect())
        }
        (_, DataType::Int64) if !signed => {
            Cells::Unsigned(array.as_primitive::<Int64Type>().values().iter().map(|&n| n as u64).collect())
        }
        (_, DataType::Float32) => {
            Cells::Float(array.as_primitive::<Float32Type>().values().iter().map(|&n| n.into()).collect())
        }
        (_, DataType::Utf8 | DataType::Binary) => {
            let offsets = offsets(array);
            match offsets {
                [0, .., last] if *last as usize == value_bytes(array).len() => Cells::AsTheyLie,
                [first, .., last] => Cells::Rebased {
                    offsets: offsets.iter().map(|offset| (offset - first) as u32).collect(),
                    bytes: first.as_usize()..last.as_usize(),
                },
                _ => Cells::AsTheyLie,
            }
        }
        _ => Cells::AsTheyLie,
    }
}

/// The canonical text of each value; nothing where there is none.
fn text(array: &ArrayRef, bytes: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) -> Cells {
    let mut offsets = Vec::with_capacity(array.len() + 1);
    let mut data = Vec::with_capacity(bytes);
    offsets.push(0);
    for row in 0..array.len() {
        if array.is_valid(row) {
            write(row, &mut data);
        }
        offsets.push(data.len() as u32);
    }
    Cells::Text { offsets, data }
}

fn offsets(array: &ArrayRef) -> &[i32] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_offsets(),
        _ => array.as_binary::<i32>().value_offsets(),
    }
}

fn value_bytes(array: &ArrayRef) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_data(),
        _ => array.as_binary::<i32>().value_data(),
    }
}

impl Gathering {
    fn cells(&self) -> CellsParam<'_> {
        match &self.cells {
            Cells::Signed(cells) => CellsParam::Signed(cells),
            Cells::Unsigned(cells) => CellsParam::Unsigned(cells),
            Cells::Float(cells) => CellsParam::Float(cells),
            Cells::Text { offsets, data } => CellsParam::Text(VarCellsParam { offsets, data }),
            Cells::Rebased { offsets, bytes } => self.var(offsets, &value_bytes(&self.array)[bytes.clone()]),
            Cells::AsTheyLie => match self.array.data_type() {
                DataType::Int64 => CellsParam::Signed(self.array.as_primitive::<Int64Type>().values()),
                DataType::UInt64 => CellsParam::Unsigned(self.array.as_primitive::<UInt64Type>().values()),
                DataType::Float64 => CellsParam::Float(self.array.as_primitive::<Float64Type>().values()),
                // Arrow's offsets are never negative
                _ => self.var(bytemuck::cast_slice(offsets(&self.array)), value_bytes(&self.array)),
            },
        }
    }

    fn var<'a>(&self, offsets: &'a [u32], data: &'a [u8]) -> CellsParam<'a> {
        let cells = VarCellsParam { offsets, data };
        if *self.array.data_type() == DataType::Utf8 {
            CellsParam::Text(cells)
        } else {
            CellsParam::Bytes(cells)
        }
    }
}
