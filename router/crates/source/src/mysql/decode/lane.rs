//! Lanes: neighbouring columns of one type, decoded in one loop.
//!
//! A wide table is mostly runs of one type; a dispatch for each run instead of each value, and one look at 32 NULL bits
//! at a time, is what makes a value cost about a nanosecond.

use arrow_buffer::i256;

use super::bits::Bits;
use super::charset::Charset;
use super::decimal::Decimal;
use super::{json, time};
use crate::mysql::cursor::Garbled;

/// How the values of a lane are written in the binlog, and thereby what holds them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    I8,
    U8,
    I16,
    U16,
    I24,
    U24,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Year,
    Date,
    /// In so many bytes.
    Bit(usize),
    Decimal(Decimal),
    /// With a fraction of so many bytes; the same for the next two.
    Time(usize),
    DateTime(usize),
    Timestamp(usize),
    /// An index in so many bytes.
    Enum(usize, Vec<String>),
    /// A bit for each member, in so many bytes.
    Set(usize, Vec<String>),
    /// Behind a length of so many bytes; the same for the next three.
    Text(usize, Charset),
    /// Filled up with zero bytes to so many.
    Padded(usize, usize),
    Json(usize),
}

/// Values of one column with no fixed width.
#[derive(Debug)]
pub(super) struct Var {
    pub(super) data: Vec<u8>,
    /// Where each row ends, after a zero.
    pub(super) ends: Vec<i32>,
    /// Whether bytes were replaced that mean nothing in the column's character set.
    pub(super) wrong: bool,
}

/// What holds the values of a lane: a buffer for each column, each with room for the same number of rows.
#[derive(Debug)]
pub(super) enum Cells {
    I32(Vec<Vec<i32>>),
    I64(Vec<Vec<i64>>),
    U64(Vec<Vec<u64>>),
    F32(Vec<Vec<f32>>),
    F64(Vec<Vec<f64>>),
    I128(Vec<Vec<i128>>),
    I256(Vec<Vec<i256>>),
    Var(Vec<Var>),
}

/// A place in an image, and which of its columns are NULL.
pub(super) struct Image<'a, 'b> {
    pub(super) bytes: &'b mut &'a [u8],
    pub(super) nulls: Bits<'a>,
    /// The row that the values go to.
    pub(super) row: usize,
}

impl Cells {
    pub(super) fn new(form: &Form, columns: usize, room: usize, var_bytes: impl Fn(usize) -> usize) -> Self {
        fn zeros<T: Clone + Default>(columns: usize, room: usize) -> Vec<Vec<T>> {
            (0..columns).map(|_| vec![T::default(); room]).collect()
        }
        match form {
            Form::I8 | Form::U8 | Form::I16 | Form::U16 | Form::I24 | Form::U24 | Form::I32 => {
                Cells::I32(zeros(columns, room))
            }
            Form::Year | Form::Date => Cells::I32(zeros(columns, room)),
            Form::U32 | Form::I64 | Form::Time(_) | Form::DateTime(_) | Form::Timestamp(_) => {
                Cells::I64(zeros(columns, room))
            }
            Form::U64 | Form::Bit(_) => Cells::U64(zeros(columns, room)),
            Form::F32 => Cells::F32(zeros(columns, room)),
            Form::F64 => Cells::F64(zeros(columns, room)),
            Form::Decimal(d) if d.is_wide() => Cells::I256(zeros(columns, room)),
            Form::Decimal(_) => Cells::I128(zeros(columns, room)),
            Form::Enum(..) | Form::Set(..) | Form::Text(..) | Form::Padded(..) | Form::Json(_) => {
                let var = |c| {
                    let mut ends = Vec::with_capacity(room + 1);
                    ends.push(0);
                    Var { data: Vec::with_capacity(var_bytes(c)), ends, wrong: false }
                };
                Cells::Var((0..columns).map(var).collect())
            }
        }
    }

    /// Makes room for so many rows.
    pub(super) fn grow(&mut self, room: usize) {
        fn all<T: Clone + Default>(columns: &mut [Vec<T>], room: usize) {
            columns.iter_mut().for_each(|c| c.resize(room, T::default()));
        }
        match self {
            Cells::I32(c) => all(c, room),
            Cells::I64(c) => all(c, room),
            Cells::U64(c) => all(c, room),
            Cells::F32(c) => all(c, room),
            Cells::F64(c) => all(c, room),
            Cells::I128(c) => all(c, room),
            Cells::I256(c) => all(c, room),
            // offsets and data grow by themselves
            Cells::Var(_) => {}
        }
    }

    /// Reads the lane's values of one image; `first` is the lane's first column.
    #[inline]
    pub(super) fn read(
        &mut self,
        form: &Form,
        first: usize,
        image: &mut Image<'_, '_>,
    ) -> Result<(), Garbled> {
        match self {
            Cells::I32(cells) => match form {
                Form::I32 => fixed(cells, first, image, i32::from_le_bytes),
                Form::I8 => fixed(cells, first, image, |[b]: [u8; 1]| i32::from(b as i8)),
                Form::U8 => fixed(cells, first, image, |[b]: [u8; 1]| i32::from(b)),
                Form::I16 => fixed(cells, first, image, |b| i32::from(i16::from_le_bytes(b))),
                Form::U16 => fixed(cells, first, image, |b| i32::from(u16::from_le_bytes(b))),
                Form::I24 => {
                    fixed(cells, first, image, |[a, b, c]: [u8; 3]| i32::from_le_bytes([0, a, b, c]) >> 8)
                }
                Form::Year => {
                    fixed(cells, first, image, |[b]: [u8; 1]| if b == 0 { 0 } else { 1900 + i32::from(b) })
                }
                // U24 and DATE, which is packed as its column wants it
                _ => fixed(cells, first, image, |[a, b, c]: [u8; 3]| i32::from_le_bytes([a, b, c, 0])),
            },
            Cells::I64(cells) => match form {
                Form::I64 => fixed(cells, first, image, i64::from_le_bytes),
                Form::U32 => fixed(cells, first, image, |b| i64::from(u32::from_le_bytes(b))),
                Form::Timestamp(0) => fixed(cells, first, image, time::timestamp::<4>),
                Form::Timestamp(1) => fixed(cells, first, image, time::timestamp::<5>),
                Form::Timestamp(2) => fixed(cells, first, image, time::timestamp::<6>),
                Form::Timestamp(_) => fixed(cells, first, image, time::timestamp::<7>),
                Form::DateTime(0) => fixed(cells, first, image, time::datetime::<5>),
                Form::DateTime(1) => fixed(cells, first, image, time::datetime::<6>),
                Form::DateTime(2) => fixed(cells, first, image, time::datetime::<7>),
                Form::DateTime(_) => fixed(cells, first, image, time::datetime::<8>),
                Form::Time(0) => fixed(cells, first, image, time::time::<3>),
                Form::Time(1) => fixed(cells, first, image, time::time::<4>),
                Form::Time(2) => fixed(cells, first, image, time::time::<5>),
                _ => fixed(cells, first, image, time::time::<6>),
            },
            Cells::U64(cells) => match form {
                Form::Bit(n) => each(cells, first, image, |cell, row, bytes| {
                    let (value, rest) = bytes.split_at_checked(*n).ok_or(Garbled)?;
                    cell[row] = value.iter().fold(0, |all, &b| all << 8 | u64::from(b));
                    *bytes = rest;
                    Ok(())
                }),
                _ => fixed(cells, first, image, u64::from_le_bytes),
            },
            Cells::F32(cells) => fixed(cells, first, image, f32::from_le_bytes),
            Cells::F64(cells) => fixed(cells, first, image, f64::from_le_bytes),
            Cells::I128(cells) => {
                let Form::Decimal(decimal) = form else { return Err(Garbled) };
                let n = usize::from(decimal.bytes);
                let small = decimal.is_small();
                each(cells, first, image, |cell, row, bytes| {
                    let (value, rest) = bytes.split_at_checked(n).ok_or(Garbled)?;
                    cell[row] = match bytes.first_chunk::<8>() {
                        Some(word) if small => {
                            i128::from(decimal.small(u64::from_be_bytes(*word) >> (64 - 8 * n)))
                        }
                        _ => decimal.i128(value)?,
                    };
                    *bytes = rest;
                    Ok(())
                })
            }
            Cells::I256(cells) => {
                let Form::Decimal(decimal) = form else { return Err(Garbled) };
                each(cells, first, image, |cell, row, bytes| {
                    let (value, rest) = bytes.split_at_checked(usize::from(decimal.bytes)).ok_or(Garbled)?;
                    cell[row] = decimal.i256(value)?;
                    *bytes = rest;
                    Ok(())
                })
            }
            Cells::Var(vars) => read_vars(vars, form, first, image),
        }
    }
}

/// Reads values of `N` bytes each. NULL bits are looked at 32 at a time: without any, the values are one stretch of
/// bytes; with some, each value is read and then kept or not, without a branch on the bit.
#[inline(always)]
fn fixed<const N: usize, T: Copy + Default>(
    cells: &mut [Vec<T>],
    first: usize,
    image: &mut Image<'_, '_>,
    value: impl Fn([u8; N]) -> T,
) -> Result<(), Garbled> {
    let row = image.row;
    let mut at = first;
    for cells in cells.chunks_mut(32) {
        let mut nulls = image.nulls.window(at, cells.len());
        at += cells.len();
        match image.bytes.split_at_checked(N * cells.len()) {
            Some((bytes, rest)) if nulls == 0 => {
                for (cell, bytes) in cells.iter_mut().zip(bytes.as_chunks::<N>().0) {
                    cell[row] = value(*bytes);
                }
                *image.bytes = rest;
            }
            Some((bytes, _)) => {
                let mut from = 0;
                for cell in cells {
                    let null = nulls & 1 == 1;
                    nulls >>= 1;
                    let bytes = bytes.get(from..).and_then(|b| b.first_chunk::<N>()).unwrap_or(&[0; N]);
                    cell[row] = if null { T::default() } else { value(*bytes) };
                    from += N * usize::from(!null);
                }
                *image.bytes = image.bytes.get(from..).ok_or(Garbled)?;
            }
            // the image is shorter than the lane at its longest
            None => {
                for cell in cells {
                    let null = nulls & 1 == 1;
                    nulls >>= 1;
                    cell[row] = if null {
                        T::default()
                    } else {
                        let (bytes, rest) = image.bytes.split_first_chunk::<N>().ok_or(Garbled)?;
                        *image.bytes = rest;
                        value(*bytes)
                    };
                }
            }
        }
    }
    Ok(())
}

/// Reads values one by one; a NULL leaves its cell as it is (zero).
#[inline(always)]
fn each<'a, C>(
    cells: &mut [C],
    first: usize,
    image: &mut Image<'a, '_>,
    mut read: impl FnMut(&mut C, usize, &mut &'a [u8]) -> Result<(), Garbled>,
) -> Result<(), Garbled> {
    let mut at = first;
    for cells in cells.chunks_mut(32) {
        let mut nulls = image.nulls.window(at, cells.len());
        at += cells.len();
        for cell in cells {
            if nulls & 1 == 0 {
                read(cell, image.row, image.bytes)?;
            }
            nulls >>= 1;
        }
    }
    Ok(())
}

#[inline(always)]
fn read_vars(vars: &mut [Var], form: &Form, first: usize, image: &mut Image<'_, '_>) -> Result<(), Garbled> {
    let row = image.row;
    match form {
        Form::Text(1, Charset::Utf8 | Charset::Binary) => each(vars, first, image, |var, _, bytes| {
            let (&[n], rest) = bytes.split_first_chunk().ok_or(Garbled)?;
            *bytes = rest;
            copy(bytes, usize::from(n), &mut var.data)
        })?,
        Form::Text(2, Charset::Utf8 | Charset::Binary) => each(vars, first, image, |var, _, bytes| {
            let (n, rest) = bytes.split_first_chunk().ok_or(Garbled)?;
            *bytes = rest;
            copy(bytes, usize::from(u16::from_le_bytes(*n)), &mut var.data)
        })?,
        Form::Text(length, charset) => each(vars, first, image, |var, _, bytes| {
            let value = counted(bytes, *length)?;
            var.wrong |= charset.append(value, &mut var.data);
            Ok(())
        })?,
        Form::Padded(length, full) => each(vars, first, image, |var, _, bytes| {
            let value = counted(bytes, *length)?;
            var.data.extend_from_slice(value);
            var.data.resize(var.data.len() + full.checked_sub(value.len()).ok_or(Garbled)?, 0);
            Ok(())
        })?,
        Form::Json(length) => each(vars, first, image, |var, _, bytes| {
            let value = counted(bytes, *length)?;
            json::to_text(value, &mut var.data)
        })?,
        Form::Enum(size, members) => each(vars, first, image, |var, _, bytes| {
            let index = number(bytes, *size)?;
            // 0 is what MySQL stores for a value that is no member: the empty text
            if let Some(at) = index.checked_sub(1) {
                let member = members.get(at as usize).ok_or(Garbled)?;
                var.data.extend_from_slice(member.as_bytes());
            }
            Ok(())
        })?,
        Form::Set(size, members) => each(vars, first, image, |var, _, bytes| {
            let mut set = number(bytes, *size)?;
            let mut any = false;
            while set != 0 {
                let member = members.get(set.trailing_zeros() as usize).ok_or(Garbled)?;
                if any {
                    var.data.push(b',');
                }
                any = true;
                var.data.extend_from_slice(member.as_bytes());
                set &= set - 1;
            }
            Ok(())
        })?,
        _ => return Err(Garbled),
    }
    for var in vars {
        // more than an Arrow array can hold is refused, not wrapped
        let end = i32::try_from(var.data.len()).map_err(|_| Garbled)?;
        debug_assert_eq!(var.ends.len(), row + 1);
        var.ends.push(end);
    }
    Ok(())
}

/// Appends `n` bytes. Short ones are copied in whole pieces of 32 and cut back: a copy of fixed size is a few
/// instructions, a copy of any size is a call.
#[inline(always)]
fn copy(bytes: &mut &[u8], n: usize, out: &mut Vec<u8>) -> Result<(), Garbled> {
    let (value, rest) = bytes.split_at_checked(n).ok_or(Garbled)?;
    let end = out.len() + n;
    if n <= 128 && bytes.len() >= n.next_multiple_of(32) {
        for piece in bytes.as_chunks::<32>().0.iter().take(n.div_ceil(32)) {
            out.extend_from_slice(piece);
        }
        out.truncate(end);
    } else {
        out.extend_from_slice(value);
    }
    *bytes = rest;
    Ok(())
}

/// Bytes behind a little-endian length of `size` bytes.
#[inline]
fn counted<'a>(bytes: &mut &'a [u8], size: usize) -> Result<&'a [u8], Garbled> {
    let n = number(bytes, size)?;
    let (value, rest) = bytes.split_at_checked(usize::try_from(n).map_err(|_| Garbled)?).ok_or(Garbled)?;
    *bytes = rest;
    Ok(value)
}

/// A little-endian number of up to eight bytes.
#[inline]
fn number(bytes: &mut &[u8], size: usize) -> Result<u64, Garbled> {
    let (value, rest) = bytes.split_at_checked(size).ok_or(Garbled)?;
    *bytes = rest;
    Ok(value.iter().rev().fold(0, |all, &b| all << 8 | u64::from(b)))
}
