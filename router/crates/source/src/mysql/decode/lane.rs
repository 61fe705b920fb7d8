//! Lanes: neighbouring columns of one type, decoded in one loop.
//!
//! A wide table is mostly runs of one type; a dispatch for each run instead of each value, and one look at 32 NULL bits
//! at a time, is what makes a value cost about a nanosecond.

use arrow_buffer::i256;

use super::bits::Bits;
use super::charset::Charset;
use super::decimal::Decimal;
use super::fixed::{Fixed, fixed, sized};
use super::{json, mariadb, time};
use crate::mysql::binlog::Special;
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
    /// A type of MariaDB's that is stored as bytes.
    Special(usize, Special),
    /// Compressed one by one, as MariaDB does.
    Compressed(usize, Charset),
    /// From before MySQL 5.6.4, without a fraction: decimal digits, or seconds.
    OldDateTime,
    OldTime,
    OldTimestamp,
}

impl Form {
    /// Takes a value that is not NULL, undecoded.
    pub(super) fn raw<'a>(&self, bytes: &mut &'a [u8]) -> Result<&'a [u8], Garbled> {
        let n = match self {
            Form::I8 | Form::U8 | Form::Year => 1,
            Form::I16 | Form::U16 => 2,
            Form::I24 | Form::U24 | Form::Date => 3,
            Form::I32 | Form::U32 | Form::F32 => 4,
            Form::I64 | Form::U64 | Form::F64 => 8,
            Form::Bit(n) | Form::Enum(n, _) | Form::Set(n, _) => *n,
            Form::Decimal(decimal) => usize::from(decimal.bytes),
            Form::Time(fraction) => 3 + fraction,
            Form::DateTime(fraction) => 5 + fraction,
            Form::Timestamp(fraction) => 4 + fraction,
            Form::OldDateTime => 8,
            Form::OldTimestamp => 4,
            Form::OldTime => 3,
            Form::Text(length, _)
            | Form::Padded(length, _)
            | Form::Json(length)
            | Form::Special(length, _)
            | Form::Compressed(length, _) => return counted(bytes, *length),
        };
        let (value, rest) = bytes.split_at_checked(n).ok_or(Garbled)?;
        *bytes = rest;
        Ok(value)
    }
}

/// Values of one column with no fixed width.
#[derive(Debug)]
pub(super) struct Var {
    pub(super) data: Vec<u8>,
    /// Where each row ends, after a zero.
    pub(super) ends: Vec<i32>,
    /// The first row with bytes that mean nothing in the column's character set, if such a row was seen.
    pub(super) wrong: Option<usize>,
}

/// What holds the values of a lane.
#[derive(Debug)]
pub(super) enum Cells {
    I32(Fixed<i32>),
    I64(Fixed<i64>),
    U64(Fixed<u64>),
    F32(Fixed<f32>),
    F64(Fixed<f64>),
    I128(Fixed<i128>),
    I256(Fixed<i256>),
    Var(Vec<Var>),
}

/// A place in an image, and which of its columns are NULL.
pub(super) struct Image<'a, 'b> {
    pub(super) bytes: &'b mut &'a [u8],
    pub(super) nulls: Bits<'a>,
    /// Whether any of them is.
    pub(super) some_null: bool,
    /// The row that the values go to.
    pub(super) row: usize,
}

impl Image<'_, '_> {
    #[inline(always)]
    pub(super) fn is_null(&self, column: usize) -> bool {
        self.some_null && self.nulls.window(column, 1) == 1
    }
}

impl Cells {
    pub(super) fn new(form: &Form, columns: usize, room: usize, var_bytes: impl Fn(usize) -> usize) -> Self {
        match form {
            Form::I8 | Form::U8 | Form::I16 | Form::U16 | Form::I24 | Form::U24 | Form::I32 => {
                Cells::I32(Fixed::new(columns, room))
            }
            Form::Year | Form::Date => Cells::I32(Fixed::new(columns, room)),
            Form::U32
            | Form::I64
            | Form::Time(_)
            | Form::DateTime(_)
            | Form::Timestamp(_)
            | Form::OldDateTime
            | Form::OldTime
            | Form::OldTimestamp => Cells::I64(Fixed::new(columns, room)),
            Form::U64 | Form::Bit(_) => Cells::U64(Fixed::new(columns, room)),
            Form::F32 => Cells::F32(Fixed::new(columns, room)),
            Form::F64 => Cells::F64(Fixed::new(columns, room)),
            Form::Decimal(d) if d.is_wide() => Cells::I256(Fixed::new(columns, room)),
            Form::Decimal(_) => Cells::I128(Fixed::new(columns, room)),
            Form::Enum(..)
            | Form::Set(..)
            | Form::Text(..)
            | Form::Padded(..)
            | Form::Json(_)
            | Form::Special(..)
            | Form::Compressed(..) => {
                let var = |c| {
                    let mut ends = Vec::with_capacity(room + 1);
                    ends.push(0);
                    Var { data: Vec::with_capacity(var_bytes(c)), ends, wrong: None }
                };
                Cells::Var((0..columns).map(var).collect())
            }
        }
    }

    /// Takes the first staged rows to their columns.
    pub(super) fn settle(&mut self, rows: usize) {
        match self {
            Cells::I32(c) => c.settle(rows),
            Cells::I64(c) => c.settle(rows),
            Cells::U64(c) => c.settle(rows),
            Cells::F32(c) => c.settle(rows),
            Cells::F64(c) => c.settle(rows),
            Cells::I128(c) => c.settle(rows),
            Cells::I256(c) => c.settle(rows),
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
                Form::OldDateTime => fixed(cells, first, image, time::old_datetime),
                Form::OldTime => fixed(cells, first, image, time::old_time),
                Form::OldTimestamp => {
                    fixed(cells, first, image, |b| i64::from(u32::from_le_bytes(b)) * 1_000_000)
                }
                Form::Time(0) => fixed(cells, first, image, time::time::<3>),
                Form::Time(1) => fixed(cells, first, image, time::time::<4>),
                Form::Time(2) => fixed(cells, first, image, time::time::<5>),
                _ => fixed(cells, first, image, time::time::<6>),
            },
            Cells::U64(cells) => match form {
                Form::Bit(n) => sized(cells, first, image, *n, |value, _| {
                    Ok(value.iter().fold(0, |all, &b| all << 8 | u64::from(b)))
                }),
                _ => fixed(cells, first, image, u64::from_le_bytes),
            },
            Cells::F32(cells) => fixed(cells, first, image, f32::from_le_bytes),
            Cells::F64(cells) => fixed(cells, first, image, f64::from_le_bytes),
            Cells::I128(cells) => {
                let Form::Decimal(decimal) = form else { return Err(Garbled) };
                let n = usize::from(decimal.bytes);
                let small = decimal.is_small();
                sized(cells, first, image, n, |value, behind| match behind.first_chunk::<8>() {
                    Some(word) if small => {
                        Ok(i128::from(decimal.small(u64::from_be_bytes(*word) >> (64 - 8 * n))))
                    }
                    _ => decimal.i128(value),
                })
            }
            Cells::I256(cells) => {
                let Form::Decimal(decimal) = form else { return Err(Garbled) };
                sized(cells, first, image, usize::from(decimal.bytes), |value, _| decimal.i256(value))
            }
            Cells::Var(vars) => read_vars(vars, form, first, image),
        }
    }
}

/// Reads values of no fixed width; a NULL appends nothing.
#[inline(always)]
fn each<'a>(
    vars: &mut [Var],
    first: usize,
    image: &mut Image<'a, '_>,
    mut read: impl FnMut(&mut Var, &mut &'a [u8]) -> Result<(), Garbled>,
) -> Result<(), Garbled> {
    let mut at = first;
    for vars in vars.chunks_mut(32) {
        let mut nulls = image.nulls.window(at, vars.len());
        at += vars.len();
        for var in vars {
            if nulls & 1 == 0 {
                read(var, image.bytes)?;
            }
            nulls >>= 1;
        }
    }
    Ok(())
}

#[inline(never)]
fn read_vars(vars: &mut [Var], form: &Form, first: usize, image: &mut Image<'_, '_>) -> Result<(), Garbled> {
    let row = image.row;
    match form {
        Form::Text(1, Charset::Utf8 | Charset::Binary) => each(vars, first, image, |var, bytes| {
            let (&[n], rest) = bytes.split_first_chunk().ok_or(Garbled)?;
            *bytes = rest;
            copy(bytes, usize::from(n), &mut var.data)
        })?,
        Form::Text(2, Charset::Utf8 | Charset::Binary) => each(vars, first, image, |var, bytes| {
            let (n, rest) = bytes.split_first_chunk().ok_or(Garbled)?;
            *bytes = rest;
            copy(bytes, usize::from(u16::from_le_bytes(*n)), &mut var.data)
        })?,
        _ => read_other_vars(vars, form, first, image)?,
    }
    end_row(vars, row)
}

/// The forms that are seldom many. Apart from the others because some need so much of the stack that only to enter the
/// function takes longer than to copy a text.
#[inline(never)]
fn read_other_vars(
    vars: &mut [Var],
    form: &Form,
    first: usize,
    image: &mut Image<'_, '_>,
) -> Result<(), Garbled> {
    let row = image.row;
    match form {
        Form::Text(length, charset) => each(vars, first, image, |var, bytes| {
            let value = counted(bytes, *length)?;
            if charset.append(value, &mut var.data) {
                var.wrong.get_or_insert(row);
            }
            Ok(())
        })?,
        Form::Padded(length, full) => each(vars, first, image, |var, bytes| {
            let value = counted(bytes, *length)?;
            var.data.extend_from_slice(value);
            var.data.resize(var.data.len() + full.checked_sub(value.len()).ok_or(Garbled)?, 0);
            Ok(())
        })?,
        Form::Json(length) => each(vars, first, image, |var, bytes| {
            let value = counted(bytes, *length)?;
            json::to_text(value, &mut var.data)
        })?,
        Form::Special(length, special) => each(vars, first, image, |var, bytes| {
            mariadb::special(*special, counted(bytes, *length)?, &mut var.data)
        })?,
        Form::Compressed(length, charset) => each(vars, first, image, |var, bytes| {
            let mut value = Vec::new();
            mariadb::inflate(counted(bytes, *length)?, &mut value)?;
            if charset.append(&value, &mut var.data) {
                var.wrong.get_or_insert(row);
            }
            Ok(())
        })?,
        Form::Enum(size, members) => each(vars, first, image, |var, bytes| {
            let index = number(bytes, *size)?;
            // 0 is what MySQL stores for a value that is no member: the empty text
            if let Some(at) = index.checked_sub(1) {
                let member = members.get(at as usize).ok_or(Garbled)?;
                var.data.extend_from_slice(member.as_bytes());
            }
            Ok(())
        })?,
        Form::Set(size, members) => each(vars, first, image, |var, bytes| {
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
    Ok(())
}

/// Notes where the values of a row end.
#[inline]
pub(super) fn end_row(vars: &mut [Var], row: usize) -> Result<(), Garbled> {
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
