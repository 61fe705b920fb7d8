//! A batch as the envelope reads it: each column's cells beside how they are written.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, i256};
use arrow_schema::DataType;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use forebay_model::Batch;

use super::config::{BigintUnsigned, DecimalMode};
use super::plan::{How, Name, Plan};
use super::temporal::{Rejected, Temporal};
use crate::formats::json;

/// Cells of varying length: offsets into bytes.
#[derive(Clone, Copy)]
struct Spans<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Spans<'a> {
    #[inline(always)]
    fn get(self, row: usize) -> &'a [u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    #[inline(always)]
    fn len(self, row: usize) -> usize {
        (self.offsets[row + 1] - self.offsets[row]) as usize
    }

    /// All cells, without what a slice of the array leaves out.
    fn all(self) -> &'a [u8] {
        match (self.offsets.first(), self.offsets.last()) {
            (Some(&first), Some(&last)) => &self.bytes[first as usize..last as usize],
            _ => &[],
        }
    }
}

enum Cells<'a> {
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt64(&'a [u64]),
    /// BIGINT UNSIGNED as a decimal would be.
    UInt64As(&'a [u64], BigintUnsigned),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Decimal128(&'a [i128], DecimalMode, u8),
    Decimal256(&'a [i256], DecimalMode, u8),
    Boolean(&'a [u64]),
    Bits(&'a [u64], usize),
    Date(&'a [i32], Temporal),
    Time(&'a [i64], Temporal),
    DateTime(&'a [i64], Temporal),
    Timestamp(&'a [i64], Temporal),
    CleanText(Spans<'a>),
    Text(Spans<'a>),
    Base64(Spans<'a>, &'static GeneralPurpose),
    Hex(Spans<'a>),
    Geometry(Spans<'a>, bool),
    Vector(Spans<'a>),
}

struct Column<'a> {
    cells: Cells<'a>,
    valid: Option<&'a BooleanBuffer>,
    absent: Option<&'a BooleanBuffer>,
    name: Name<'a>,
}

/// A batch, ready to be written row by row.
pub(super) struct View<'a> {
    pub(super) batch: &'a Batch,
    pub(super) plan: &'a Plan,
    columns: Vec<Column<'a>>,
    /// Columns whose cells vary in length, with what a byte may become: room for them is made row by row.
    spans: Vec<(Spans<'a>, usize)>,
    /// Room for everything else of one image.
    fixed: usize,
    /// Columns with cells that have changed to what is not known.
    partial: Vec<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(batch: &'a Batch, plan: &'a Plan) -> Self {
        let mut view = View {
            batch,
            plan,
            columns: Vec::with_capacity(batch.columns.len()),
            spans: Vec::new(),
            fixed: 4,
            partial: (0..batch.columns.len()).filter(|&column| batch.partial(column).is_some()).collect(),
        };
        for (i, (array, &how)) in batch.columns.iter().zip(&plan.columns).enumerate() {
            let cells = cells(array, how);
            let (spans, factor, fixed) = match &cells {
                Cells::CleanText(spans) => (Some(*spans), 1, 2 + json::OVERRUN),
                Cells::Text(spans) => (Some(*spans), 6, 2),
                Cells::Base64(spans, _) | Cells::Hex(spans) => (Some(*spans), 2, json::bytes_room(0)),
                Cells::Geometry(spans, _) => (Some(*spans), 2, 3 * json::NUMBER + json::bytes_room(40)),
                // four bytes become a float and a comma
                Cells::Vector(spans) => (Some(*spans), 9, json::NUMBER),
                Cells::Decimal128(..) | Cells::Decimal256(..) => (None, 0, json::DECIMAL),
                Cells::Date(..) | Cells::Time(..) | Cells::DateTime(..) | Cells::Timestamp(..) => {
                    (None, 0, json::DATETIME)
                }
                _ => (None, 0, json::NUMBER),
            };
            view.spans.extend(spans.map(|spans| (spans, factor)));
            let name = plan.column_name(i);
            view.fixed += name.room() + fixed + 8;
            view.columns.push(Column {
                cells,
                valid: array.nulls().map(|nulls| nulls.inner()),
                absent: batch.absent.get(i).and_then(Option::as_ref),
                name,
            });
        }
        view
    }

    /// Room for one image.
    #[inline]
    pub(super) fn room(&self, row: usize) -> usize {
        self.spans.iter().fold(self.fixed, |sum, (spans, factor)| sum + spans.len(row) * factor)
    }

    /// One image as an object.
    ///
    /// # Errors
    /// The column whose value may not be written.
    #[inline]
    pub(super) fn image(&self, buf: &mut [u8], start: usize, row: usize) -> Result<usize, usize> {
        let mut at = start;
        for (i, column) in self.columns.iter().enumerate() {
            if column.absent.is_some_and(|absent| absent.value(row)) {
                continue;
            }
            at = column.name.put(buf, at);
            at = column.value(buf, at, row).map_err(|Rejected| i)?;
        }
        Ok(close(buf, start, at))
    }

    /// The columns whose value has changed to what is not known, as JSON; nothing if there are none.
    #[inline]
    pub(super) fn partial(&self, row: usize) -> Option<String> {
        if self.partial.is_empty() {
            return None;
        }
        let columns = self.partial.iter().filter(|&&column| self.batch.is_partial(column, row));
        let names: Vec<&str> = columns.map(|&c| self.batch.table.columns[c].name.as_str()).collect();
        (!names.is_empty()).then(|| serde_json::to_string(&names).expect("texts"))
    }

    /// The key's columns as an object, each from `row`, or from `other` where `row` lacks it. `None` if the table has no
    /// key or a date of it may not be written.
    pub(super) fn key(
        &self,
        buf: &mut [u8],
        start: usize,
        row: usize,
        other: Option<usize>,
    ) -> Option<usize> {
        let mut at = start;
        for &k in &self.plan.table.key {
            let column = &self.columns[k as usize];
            let is_absent = column.absent.is_some_and(|absent| absent.value(row));
            let row = if is_absent { other.unwrap_or(row) } else { row };
            at = column.name.put(buf, at);
            at = column.value(buf, at, row).ok()?;
        }
        (at > start).then(|| close(buf, start, at))
    }
}

/// Every name begins with a comma: the first one's place is the brace's.
fn close(buf: &mut [u8], start: usize, at: usize) -> usize {
    buf[start] = b'{';
    let at = at.max(start + 1);
    buf[at] = b'}';
    at + 1
}

impl Column<'_> {
    #[inline(always)]
    fn value(&self, buf: &mut [u8], at: usize, row: usize) -> Result<usize, Rejected> {
        if self.valid.is_some_and(|valid| !valid.value(row)) {
            return Ok(json::put(buf, at, b"null"));
        }
        match &self.cells {
            Cells::Int32(cells) => Ok(json::integer(buf, at, i64::from(cells[row]))),
            Cells::Int64(cells) => Ok(json::integer(buf, at, cells[row])),
            Cells::CleanText(spans) => {
                let (from, to) = (spans.offsets[row] as usize, spans.offsets[row + 1] as usize);
                Ok(json::clean_string(buf, at, spans.bytes, from, to))
            }
            Cells::DateTime(cells, how) => how.put_datetime(buf, at, cells[row]),
            Cells::Timestamp(cells, how) => how.put_timestamp(buf, at, cells[row]),
            Cells::Date(cells, how) => how.put_date(buf, at, cells[row]),
            other => Ok(other.put(buf, at, row)),
        }
    }
}

impl Cells<'_> {
    /// The rarer kinds, out of the way of the hot ones.
    #[inline(never)]
    fn put(&self, buf: &mut [u8], at: usize, row: usize) -> usize {
        match self {
            Cells::UInt64(cells) => json::unsigned(buf, at, cells[row]),
            Cells::UInt64As(cells, BigintUnsigned::Precise) => {
                json::decimal_bytes(buf, at, i128::from(cells[row]).to_be_bytes())
            }
            Cells::UInt64As(cells, _) => in_quotes(buf, at, |buf, at| json::unsigned(buf, at, cells[row])),
            Cells::Float(cells) => json::float(buf, at, cells[row], cells[row].is_finite()),
            Cells::Double(cells) => json::float(buf, at, cells[row], cells[row].is_finite()),
            Cells::Decimal128(cells, DecimalMode::Precise, _) => match i64::try_from(cells[row]) {
                Ok(short) => json::decimal_bytes(buf, at, short.to_be_bytes()),
                Err(_) => json::decimal_bytes(buf, at, cells[row].to_be_bytes()),
            },
            Cells::Decimal128(cells, DecimalMode::String, scale) => {
                in_quotes(buf, at, |buf, at| json::decimal_i128(buf, at, cells[row], *scale))
            }
            Cells::Decimal128(cells, _, scale) => json::decimal_i128(buf, at, cells[row], *scale),
            Cells::Decimal256(cells, DecimalMode::Precise, _) => {
                json::decimal_bytes(buf, at, cells[row].to_be_bytes())
            }
            Cells::Decimal256(cells, DecimalMode::String, scale) => {
                in_quotes(buf, at, |buf, at| json::decimal_i256(buf, at, cells[row], *scale))
            }
            Cells::Decimal256(cells, _, scale) => json::decimal_i256(buf, at, cells[row], *scale),
            Cells::Boolean(cells) => json::put(buf, at, if cells[row] & 1 == 1 { b"true" } else { b"false" }),
            Cells::Bits(cells, bytes) => {
                json::base64(buf, at, &STANDARD, &cells[row].to_le_bytes()[..*bytes])
            }
            Cells::Time(cells, how) => how.put_time(buf, at, cells[row]),
            Cells::Text(spans) => json::string(buf, at, spans.get(row)),
            Cells::Base64(spans, engine) => json::base64(buf, at, engine, spans.get(row)),
            Cells::Hex(spans) => in_quotes(buf, at, |buf, at| json::hex(buf, at, spans.get(row))),
            Cells::Geometry(spans, point) => geometry(buf, at, spans.get(row), *point),
            Cells::Vector(spans) => vector(buf, at, spans.get(row)),
            Cells::Int32(_) | Cells::Int64(_) | Cells::CleanText(_) => unreachable!("written by the caller"),
            Cells::Date(..) | Cells::DateTime(..) | Cells::Timestamp(..) => {
                unreachable!("written by the caller")
            }
        }
    }
}

fn in_quotes(buf: &mut [u8], at: usize, write: impl FnOnce(&mut [u8], usize) -> usize) -> usize {
    buf[at] = b'"';
    let at = write(buf, at + 1);
    json::put(buf, at, b"\"")
}

/// `{wkb, srid}`, with the coordinates before them for a column of points. SRID 0 is written as null.
fn geometry(buf: &mut [u8], at: usize, bytes: &[u8], point: bool) -> usize {
    let (srid, wkb) = bytes.split_at(bytes.len().min(4));
    let mut at = json::put(buf, at, b"{");
    // WKB of a point: byte order (1 = little-endian), type 1, x, y
    if point && wkb.len() == 21 && wkb[0] == 1 {
        let coordinate = |from: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&wkb[from..from + 8]);
            f64::from_le_bytes(eight)
        };
        for (name, value) in [(&b"\"x\":"[..], coordinate(5)), (b"\"y\":", coordinate(13))] {
            at = json::put(buf, at, name);
            at = json::float(buf, at, value, value.is_finite());
            at = json::put(buf, at, b",");
        }
    }
    at = json::put(buf, at, b"\"wkb\":");
    at = json::base64(buf, at, &STANDARD, wkb);
    at = json::put(buf, at, b",\"srid\":");
    at = match srid {
        [0, 0, 0, 0] => json::put(buf, at, b"null"),
        &[a, b, c, d] => json::integer(buf, at, i64::from(u32::from_le_bytes([a, b, c, d]))),
        _ => json::put(buf, at, b"null"),
    };
    json::put(buf, at, b"}")
}

/// An array of floats.
fn vector(buf: &mut [u8], start: usize, bytes: &[u8]) -> usize {
    let mut at = start;
    for float in bytes.as_chunks::<4>().0 {
        buf[at] = b',';
        let float = f32::from_le_bytes(*float);
        at = json::float(buf, at + 1, float, float.is_finite());
    }
    buf[start] = b'[';
    json::put(buf, at.max(start + 1), b"]")
}

/// # Panics
/// If the array is not laid out as its column's type says (see [`forebay_model::ColumnType::layout`]).
fn cells<'a>(array: &'a ArrayRef, how: How) -> Cells<'a> {
    let int64 = || &array.as_primitive::<Int64Type>().values()[..];
    let uint64 = || &array.as_primitive::<UInt64Type>().values()[..];
    let binary = || {
        let array = array.as_binary::<i32>();
        Spans { offsets: array.value_offsets(), bytes: array.value_data() }
    };
    match how {
        How::Integer if *array.data_type() == DataType::Int32 => {
            Cells::Int32(array.as_primitive::<Int32Type>().values())
        }
        How::Integer => Cells::Int64(int64()),
        How::Unsigned64(BigintUnsigned::Long) => Cells::UInt64(uint64()),
        How::Unsigned64(mode) => Cells::UInt64As(uint64(), mode),
        How::Float if *array.data_type() == DataType::Float32 => {
            Cells::Float(array.as_primitive::<Float32Type>().values())
        }
        How::Float => Cells::Double(array.as_primitive::<Float64Type>().values()),
        How::Decimal { mode, scale } if matches!(array.data_type(), DataType::Decimal128(..)) => {
            Cells::Decimal128(array.as_primitive::<Decimal128Type>().values(), mode, scale)
        }
        How::Decimal { mode, scale } => {
            Cells::Decimal256(array.as_primitive::<Decimal256Type>().values(), mode, scale)
        }
        How::Boolean => Cells::Boolean(uint64()),
        How::Bits { bytes } => Cells::Bits(uint64(), bytes),
        How::Date(how) => Cells::Date(array.as_primitive::<Int32Type>().values(), how),
        How::Time(how) => Cells::Time(int64(), how),
        How::DateTime(how) => Cells::DateTime(int64(), how),
        How::Timestamp(how) => Cells::Timestamp(int64(), how),
        How::Text => {
            let array = array.as_string::<i32>();
            let spans = Spans { offsets: array.value_offsets(), bytes: array.value_data() };
            // one look at the whole column saves one at every value
            if json::is_clean(spans.all()) { Cells::CleanText(spans) } else { Cells::Text(spans) }
        }
        How::Base64(engine) => Cells::Base64(binary(), engine),
        How::Hex => Cells::Hex(binary()),
        How::Geometry { point } => Cells::Geometry(binary(), point),
        How::Vector => Cells::Vector(binary()),
    }
}
