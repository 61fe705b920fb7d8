//! Columns on their way back from a plugin, checked cell by cell.
//!
//! Promises: an array leaves here only if it is what the plan says: as many cells as images, states that keep absent
//! what was absent, NULL only where the column can be NULL, as the plan has it, UTF-8 with cells that end between characters, JSON that
//! is JSON, numbers, dates and times within their type. What is wrong is said without a value.

use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, Scalar, StringArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::DataType;
use arrow_select::zip::zip;
use forebay_model::{Column, ColumnType};
use serde::de::IgnoredAny;

use crate::bindings::{CellsResult, ColumnResult, VarCellsResult};
use crate::{canonical, decimal};

/// What a computed column is made of, for some images.
pub(crate) struct Before<'a> {
    /// How many images.
    pub(crate) rows: usize,
    /// The cells that came from the table; none for an appended column.
    pub(crate) cells: Option<&'a ArrayRef>,
    /// Whether they may be NULL by the table's own word. If not, and one is all the same, that is not the plugin's doing.
    pub(crate) nullable: bool,
    /// Which of them are absent, if any.
    pub(crate) absent: Option<&'a BooleanBuffer>,
    /// Whether the plugin saw them.
    pub(crate) read: bool,
}

/// A computed column, fit to be passed on.
pub(crate) struct Scattered {
    pub(crate) array: ArrayRef,
    /// Which cells are absent, if any.
    pub(crate) absent: Option<BooleanBuffer>,
}

impl Scattered {
    /// The same where cells of these images that are absent have changed to what is not known.
    #[cold]
    pub(crate) fn partial(self, images: &BooleanBuffer, ty: &ColumnType) -> Result<Scattered, String> {
        let Some(absent) = self.absent.clone() else { return Ok(self) };
        let cells = BooleanArray::new(&absent & images, None);
        let array =
            zip(&cells, &Scalar::new(no_value(ty)), &self.array).map_err(|error| error.to_string())?;
        Ok(Scattered { array, absent: Some(absent) })
    }
}

/// What stands in the place of a value that is not known, one cell.
fn no_value(ty: &ColumnType) -> ArrayRef {
    let layout = ty.layout();
    match layout {
        DataType::Int32 => numbers::<Int32Type>(vec![0], None),
        DataType::Int64 => numbers::<Int64Type>(vec![0], None),
        DataType::UInt64 => numbers::<UInt64Type>(vec![0], None),
        DataType::Float32 => numbers::<Float32Type>(vec![0.0], None),
        DataType::Float64 => numbers::<Float64Type>(vec![0.0], None),
        DataType::Decimal128(..) => {
            Arc::new(PrimitiveArray::<Decimal128Type>::from(vec![0]).with_data_type(layout))
        }
        DataType::Decimal256(..) => {
            Arc::new(PrimitiveArray::<Decimal256Type>::from(vec![i256::ZERO]).with_data_type(layout))
        }
        DataType::Binary => Arc::new(BinaryArray::from(vec![&b""[..]])),
        _ => Arc::new(StringArray::from(vec![if *ty == ColumnType::Json { "null" } else { "" }])),
    }
}

/// Takes a column that came back for `want`.
pub(crate) fn scatter(came: ColumnResult, want: &Column, before: &Before<'_>) -> Result<Scattered, String> {
    check_states(&came.states, want, before)?;
    let absent = match (before.cells, came.states.contains(&2)) {
        (None, true) => Some(BooleanBuffer::collect_bool(before.rows, |row| came.states[row] == 2)),
        _ => before.absent.cloned(),
    };
    let nulls = nulls(&came.states, absent.as_ref(), before.rows);
    let array = cells(came.cells, &want.ty, nulls, before.rows)?;
    Ok(Scattered { array, absent })
}

fn check_states(states: &[u8], want: &Column, before: &Before<'_>) -> Result<(), String> {
    if states.is_empty() {
        return match before.absent {
            Some(_) if before.read => Err("absent cells came back with values".to_owned()),
            _ => Ok(()),
        };
    }
    if states.len() != before.rows {
        return Err(format!("{} states came back for {} images", states.len(), before.rows));
    }
    for (row, &state) in states.iter().enumerate() {
        let was_absent = before.absent.is_some_and(|absent| absent.value(row));
        match state {
            3.. => return Err(format!("{state} is not a state")),
            // of what the plugin did not see the host keeps the absence itself
            _ if was_absent && !before.read => {}
            2 if was_absent || before.cells.is_none() => {}
            2 => return Err("a cell that was in the image came back absent".to_owned()),
            _ if was_absent => return Err("a cell that was absent came back with a value or NULL".to_owned()),
            0 if !want.nullable => match before.cells.map(|cells| cells.is_null(row)) {
                Some(true) if !before.nullable => {}
                Some(true) => {
                    return Err(
                        "NULL came back as it came, and the plan says that the column cannot be NULL: \
                                let it be NULL there, or answer a value"
                            .to_owned(),
                    );
                }
                _ => return Err("NULL came back, and the column cannot be NULL".to_owned()),
            },
            0 | 1 => {}
        }
    }
    Ok(())
}

fn nulls(states: &[u8], absent: Option<&BooleanBuffer>, rows: usize) -> Option<NullBuffer> {
    if absent.is_none() && states.iter().all(|&state| state == 1) {
        return None;
    }
    let valid = |row: usize| {
        states.get(row).is_none_or(|&state| state == 1) && !absent.is_some_and(|absent| absent.value(row))
    };
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, valid)))
}

fn cells(
    cells: CellsResult,
    ty: &ColumnType,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<ArrayRef, String> {
    match (ty, cells) {
        (ColumnType::Integer { bits, unsigned: false }, CellsResult::Signed(cells)) => {
            let most = i64::MAX >> (64 - bits);
            check_numbers(&cells, nulls.as_ref(), rows, |&n| (-most - 1..=most).contains(&n))?;
            Ok(if ty.layout() == DataType::Int32 {
                numbers::<Int32Type>(cells.into_iter().map(|n| n as i32).collect(), nulls)
            } else {
                numbers::<Int64Type>(cells, nulls)
            })
        }
        (_, CellsResult::Unsigned(cells)) => unsigned(cells, ty, nulls, rows),
        (ColumnType::Float, CellsResult::Float(cells)) => {
            check_numbers(&cells, nulls.as_ref(), rows, |&n| (n as f32).is_finite())?;
            Ok(numbers::<Float32Type>(cells.into_iter().map(|n| n as f32).collect(), nulls))
        }
        (ColumnType::Double, CellsResult::Float(cells)) => {
            check_numbers(&cells, nulls.as_ref(), rows, |n| n.is_finite())?;
            Ok(numbers::<Float64Type>(cells, nulls))
        }
        (_, CellsResult::Text(cells)) => {
            let cells = Var::new(cells, rows)?;
            text(cells, ty, nulls)
        }
        (ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector, CellsResult::Bytes(cells)) => {
            let Var { offsets, data } = Var::new(cells, rows)?;
            let array = BinaryArray::try_new(offsets, Buffer::from_vec(data), nulls);
            array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| error.to_string())
        }
        _ => Err("cells of another layout came back".to_owned()),
    }
}

fn unsigned(
    cells: Vec<u64>,
    ty: &ColumnType,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<ArrayRef, String> {
    let bits = match ty {
        ColumnType::Integer { bits, unsigned: true } | ColumnType::Bit { bits } => *bits,
        ColumnType::Year => 12,
        _ => return Err("cells of another layout came back".to_owned()),
    };
    let most = u64::MAX >> (64 - bits);
    let year = |n: u64| n == 0 || (1901..=2155).contains(&n);
    check_numbers(&cells, nulls.as_ref(), rows, |&n| n <= most && (*ty != ColumnType::Year || year(n)))?;
    Ok(match ty.layout() {
        DataType::Int32 => numbers::<Int32Type>(cells.into_iter().map(|n| n as i32).collect(), nulls),
        DataType::Int64 => numbers::<Int64Type>(cells.into_iter().map(|n| n as i64).collect(), nulls),
        _ => numbers::<UInt64Type>(cells, nulls),
    })
}

/// As many as images, and each within its type where there is a value.
fn check_numbers<T>(
    cells: &[T],
    nulls: Option<&NullBuffer>,
    rows: usize,
    fits: impl Fn(&T) -> bool,
) -> Result<(), String> {
    if cells.len() != rows {
        return Err(format!("{} cells came back for {rows} images", cells.len()));
    }
    let bad = cells
        .iter()
        .enumerate()
        .any(|(row, cell)| !fits(cell) && nulls.is_none_or(|nulls| nulls.is_valid(row)));
    if bad { Err("a number came back that the column's type does not hold".to_owned()) } else { Ok(()) }
}

fn numbers<T: ArrowPrimitiveType>(cells: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(cells), nulls))
}

/// Cells of varying length whose offsets are sound.
struct Var {
    offsets: OffsetBuffer<i32>,
    data: Vec<u8>,
}

impl Var {
    fn new(cells: VarCellsResult, rows: usize) -> Result<Var, String> {
        let VarCellsResult { offsets, data } = cells;
        if offsets.len() != rows + 1 {
            return Err(format!("{} offsets came back for {rows} images", offsets.len()));
        }
        if offsets[0] != 0 || offsets[rows] as usize != data.len() {
            return Err("the offsets do not span the data".to_owned());
        }
        if data.len() > i32::MAX as usize || offsets.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err("the offsets fall".to_owned());
        }
        // none is above i32::MAX: they rise to the length of the data
        let offsets: Vec<i32> = bytemuck::cast_vec(offsets);
        Ok(Var { offsets: OffsetBuffer::new(offsets.into()), data })
    }

    /// Reads each value into a number.
    fn parse<T: ArrowPrimitiveType>(
        &self,
        nulls: Option<NullBuffer>,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> Result<PrimitiveArray<T>, String> {
        let mut cells = Vec::with_capacity(self.offsets.len() - 1);
        for (row, pair) in self.offsets.windows(2).enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                cells.push(T::Native::default());
                continue;
            }
            match parse(&self.data[pair[0] as usize..pair[1] as usize]) {
                Some(cell) => cells.push(cell),
                None => return Err("a text came back that is none of the column's type".to_owned()),
            }
        }
        Ok(PrimitiveArray::new(cells.into(), nulls))
    }
}

fn text(cells: Var, ty: &ColumnType, nulls: Option<NullBuffer>) -> Result<ArrayRef, String> {
    Ok(match ty {
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => {
            let array = StringArray::try_new(cells.offsets, Buffer::from_vec(cells.data), nulls)
                .map_err(|_| "text came back that is not UTF-8, or is cut within a character".to_owned())?;
            if *ty == ColumnType::Json {
                check_json(&array)?;
            }
            Arc::new(array)
        }
        ColumnType::Date => Arc::new(cells.parse::<Int32Type>(nulls, canonical::parse_date)?),
        ColumnType::Time { fsp } => {
            Arc::new(cells.parse::<Int64Type>(nulls, |text| canonical::parse_time(text, *fsp))?)
        }
        ColumnType::DateTime { fsp } => {
            Arc::new(cells.parse::<Int64Type>(nulls, |text| canonical::parse_datetime(text, *fsp))?)
        }
        ColumnType::Timestamp { fsp } => {
            Arc::new(cells.parse::<Int64Type>(nulls, |text| canonical::parse_timestamp(text, *fsp))?)
        }
        ColumnType::Decimal { precision, scale } => {
            let (precision, scale) = (usize::from(*precision), usize::from(*scale));
            if let ty @ DataType::Decimal128(..) = ty.layout() {
                let parse = |text: &[u8]| decimal::parse_128(text, precision, scale);
                Arc::new(cells.parse::<Decimal128Type>(nulls, parse)?.with_data_type(ty))
            } else {
                let parse = |text: &[u8]| decimal::parse_256(text, precision, scale);
                Arc::new(cells.parse::<Decimal256Type>(nulls, parse)?.with_data_type(ty.layout()))
            }
        }
        _ => return Err("cells of another layout came back".to_owned()),
    })
}

fn check_json(array: &StringArray) -> Result<(), String> {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if array.iter().flatten().all(is_json) {
        Ok(())
    } else {
        Err("a JSON column came back with other text".to_owned())
    }
}

#[cfg(test)]
mod tests;
