//! Rows of the binary protocol, into images of the binlog.
//!
//! The decoder knows one form of a row: the binlog's. A row that a SELECT gave is brought into that form, a value at a time
//! and mostly by copying its bytes, and then decoded by the very code that decodes the stream: that is why a value comes out
//! the same on both ways (invariant 11). What the server would do differently is avoided rather than imitated: texts come
//! in their own character set, ENUM and SET as numbers.
//!
//! Formats: MySQL source documentation, "Binary Protocol Resultset Row"; the images as in [`decode`](super::super::decode).

use super::super::binlog::{RawColumn, types};
use super::super::cursor::{Cursor, Garbled};

/// A collation of UTF-8: what JSON comes in.
const UTF8: u16 = 45;

/// How a column's values come, and what its images want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// The same bytes, so many.
    Same(usize),
    /// A number of so many bytes, of which the image has the low ones.
    Narrow(usize, usize),
    Year,
    /// Digits before and after the point.
    Decimal(u8, u8),
    Date,
    /// With so many digits of a fraction; the same for the next two.
    DateTime(u8),
    Timestamp(u8),
    Time(u8),
    /// So many bytes.
    Bit(usize),
    /// Any number of bytes.
    Bytes,
}

impl Wire {
    /// For a column, and the column as the plan for its images must see it. `None` = it cannot be read.
    pub(super) fn of(raw: &RawColumn) -> Option<(Wire, RawColumn)> {
        use types::*;
        let [a, b] = raw.meta;
        let wire = match raw.code {
            TINY => Wire::Same(1),
            SHORT => Wire::Same(2),
            INT24 => Wire::Narrow(4, 3),
            LONG | FLOAT => Wire::Same(4),
            LONGLONG | DOUBLE => Wire::Same(8),
            YEAR => Wire::Year,
            DECIMAL => Wire::Decimal(a.checked_sub(b)?, b),
            DATE => Wire::Date,
            DATETIME => Wire::DateTime(a),
            TIMESTAMP => Wire::Timestamp(a),
            TIME => Wire::Time(a),
            BIT => Wire::Bit(usize::from(b) + usize::from(a > 0)),
            ENUM | SET => Wire::Narrow(8, usize::from(b)),
            STRING | VARCHAR | TINY_BLOB..=BLOB | JSON | GEOMETRY | VECTOR => Wire::Bytes,
            _ => return None,
        };
        let mut image = raw.clone();
        if wire == Wire::Bytes {
            let collation = match raw.code {
                // rendered by the server, too
                _ if raw.special.is_some() => Some(UTF8),
                // as text: the server has rendered it already
                JSON => Some(UTF8),
                GEOMETRY | VECTOR => Some(63),
                _ => raw.collation,
            };
            image = RawColumn { code: BLOB, meta: [4, 0], collation, special: None, ..image };
        }
        Some((wire, image))
    }

    /// Whether a column of an answer with this type is what is expected.
    pub(super) fn fits(&self, ty: u8) -> bool {
        match self {
            Wire::Same(1) => ty == 1,
            Wire::Same(2) => ty == 2,
            Wire::Same(4) => matches!(ty, 3 | 4),
            Wire::Same(_) => matches!(ty, 5 | 8),
            Wire::Narrow(4, _) => matches!(ty, 3 | 9),
            Wire::Narrow(..) => ty == 8,
            Wire::Year => matches!(ty, 2 | 13),
            Wire::Decimal(..) => matches!(ty, 0 | 246),
            Wire::Date => matches!(ty, 10 | 14),
            Wire::DateTime(_) => ty == 12,
            Wire::Timestamp(_) => ty == 7,
            Wire::Time(_) => ty == 11,
            Wire::Bit(_) => ty == 16,
            Wire::Bytes => matches!(ty, 15 | 242 | 245 | 249..=255),
        }
    }

    /// Takes the column's value from a row, without its length.
    #[inline]
    pub(super) fn take<'a>(&self, at: &mut Cursor<'a>) -> Result<&'a [u8], Garbled> {
        match self {
            Wire::Same(n) | Wire::Narrow(n, _) => at.take(*n),
            Wire::Year => at.take(2),
            Wire::Date | Wire::DateTime(_) | Wire::Timestamp(_) | Wire::Time(_) => {
                let n = at.u8()?;
                at.take(usize::from(n))
            }
            Wire::Decimal(..) | Wire::Bit(_) | Wire::Bytes => at.packed_bytes(),
        }
    }

    /// Appends a value as an image has it.
    #[inline]
    pub(super) fn put(&self, value: &[u8], image: &mut Vec<u8>) -> Result<(), Garbled> {
        match *self {
            Wire::Same(_) => image.extend_from_slice(value),
            Wire::Narrow(_, n) => image.extend_from_slice(value.get(..n).ok_or(Garbled)?),
            Wire::Bytes => {
                let n = u32::try_from(value.len()).map_err(|_| Garbled)?;
                image.extend_from_slice(&n.to_le_bytes());
                image.extend_from_slice(value);
            }
            Wire::Year => {
                let year = Cursor::new(value).u16()?;
                let stored = if year == 0 { 0 } else { year.checked_sub(1900).ok_or(Garbled)? };
                image.push(u8::try_from(stored).map_err(|_| Garbled)?);
            }
            Wire::Bit(n) => {
                let missing = n.checked_sub(value.len()).ok_or(Garbled)?;
                image.resize(image.len() + missing, 0);
                image.extend_from_slice(value);
            }
            Wire::Decimal(whole, scale) => put_decimal(value, whole, scale, image)?,
            Wire::Date => {
                let d = DateTime::read(value)?;
                let packed = d.year << 9 | d.month << 5 | d.day;
                image.extend_from_slice(&packed.to_le_bytes()[..3]);
            }
            Wire::DateTime(digits) => {
                let d = DateTime::read(value)?;
                let date = (d.year * 13 + d.month) << 5 | d.day;
                let packed = i64::from(date) << 17 | d.packed_time();
                put_big_endian(packed + 0x80_0000_0000, 5, image);
                put_fraction(d.micros, digits, image);
            }
            Wire::Timestamp(digits) => {
                let d = DateTime::read(value)?;
                // the zero date is stored as zero
                let seconds = if d.year == 0 { 0 } else { d.seconds()? };
                put_big_endian(i64::from(seconds), 4, image);
                put_fraction(d.micros, digits, image);
            }
            Wire::Time(digits) => {
                let t = DateTime::read_time(value)?;
                let bytes = fraction_bytes(digits);
                let packed = t.packed_time() << (8 * bytes) | fraction(t.micros, bytes);
                let signed = if t.negative { -packed } else { packed };
                put_big_endian(signed + (0x80_0000 << (8 * bytes)), 3 + bytes, image);
            }
        }
        Ok(())
    }
}

/// What the binary protocol says of a date or a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DateTime {
    pub(super) negative: bool,
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
    /// Of a TIME: up to 838.
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) micros: u32,
}

impl DateTime {
    /// A date, with a time or without; what is left out is zero.
    pub(super) fn read(value: &[u8]) -> Result<Self, Garbled> {
        let (mut d, mut at) = (DateTime::default(), Cursor::new(value));
        if !at.is_empty() {
            d.year = u32::from(at.u16()?);
            (d.month, d.day) = (u32::from(at.u8()?), u32::from(at.u8()?));
        }
        d.read_clock(&mut at)?;
        Ok(d)
    }

    /// A TIME: sign, days, clock.
    pub(super) fn read_time(value: &[u8]) -> Result<Self, Garbled> {
        let (mut t, mut at) = (DateTime::default(), Cursor::new(value));
        let mut days = 0;
        if !at.is_empty() {
            t.negative = at.u8()? == 1;
            days = at.u32()?;
        }
        t.read_clock(&mut at)?;
        t.hour += days.checked_mul(24).filter(|h| *h < 1000).ok_or(Garbled)?;
        Ok(t)
    }

    fn read_clock(&mut self, at: &mut Cursor<'_>) -> Result<(), Garbled> {
        if !at.is_empty() {
            (self.hour, self.minute) = (u32::from(at.u8()?), u32::from(at.u8()?));
            self.second = u32::from(at.u8()?);
        }
        if !at.is_empty() {
            self.micros = at.u32()?;
        }
        Ok(())
    }

    fn packed_time(&self) -> i64 {
        i64::from(self.hour << 12 | self.minute << 6 | self.second)
    }

    /// Since 1970.
    fn seconds(&self) -> Result<u32, Garbled> {
        // days from civil: years begin in March, so that a leap day is a year's last
        let (y, m) =
            if self.month > 2 { (self.year, self.month - 3) } else { (self.year - 1, self.month + 9) };
        let days = (i64::from(y) * 1461).div_euclid(4) - i64::from(y / 100)
            + i64::from(y / 400)
            + i64::from((153 * m + 2) / 5)
            + i64::from(self.day)
            - 719_469;
        let clock = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        u32::try_from(days * 86_400 + clock).map_err(|_| Garbled)
    }
}

fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.div_ceil(2))
}

fn fraction(micros: u32, bytes: usize) -> i64 {
    let unit = match bytes {
        0 => return 0,
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    i64::from(micros / unit)
}

fn put_fraction(micros: u32, digits: u8, image: &mut Vec<u8>) {
    let bytes = fraction_bytes(digits);
    put_big_endian(fraction(micros, bytes), bytes, image);
}

fn put_big_endian(value: i64, bytes: usize, image: &mut Vec<u8>) {
    image.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
}

/// How many bytes 0 to 9 digits take.
const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Brings the digits of a DECIMAL into groups of nine; `decimal2bin` in `strings/decimal.cc` of MySQL.
fn put_decimal(text: &[u8], whole: u8, scale: u8, image: &mut Vec<u8>) -> Result<(), Garbled> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let point = text.iter().position(|&b| b == b'.');
    let (before, after) = text.split_at(point.unwrap_or(text.len()));
    let after = after.get(1..).unwrap_or_default();
    // a zero before the point, and zeros of ZEROFILL
    let before = &before[before.iter().take_while(|&&b| b == b'0').count()..];
    let (whole, scale) = (usize::from(whole), usize::from(scale));
    if before.len() > whole || after.len() > scale {
        return Err(Garbled);
    }
    let start = image.len();
    let mut missing = whole - before.len();
    let mut digits = before.iter().chain(after).copied();
    let mut group = |n: usize, missing: &mut usize| -> Result<(), Garbled> {
        let mut value = 0u32;
        for _ in 0..n {
            let digit = if *missing > 0 {
                *missing -= 1;
                b'0'
            } else {
                // what is left out behind the point is zero
                digits.next().unwrap_or(b'0')
            };
            value = value * 10 + u32::from(digit.checked_sub(b'0').filter(|d| *d < 10).ok_or(Garbled)?);
        }
        image.extend_from_slice(&value.to_be_bytes()[4 - BYTES[n]..]);
        Ok(())
    };
    group(whole % 9, &mut missing)?;
    for _ in 0..whole / 9 + scale / 9 {
        group(9, &mut missing)?;
    }
    group(scale % 9, &mut missing)?;
    let bytes = &mut image[start..];
    if negative {
        bytes.iter_mut().for_each(|b| *b = !*b);
    }
    *bytes.first_mut().ok_or(Garbled)? ^= 0x80;
    Ok(())
}

/// Brings the NULL bits of a row, which are two bits late, into the image's form.
#[inline]
pub(super) fn put_nulls(bits: &[u8], columns: usize, image: &mut Vec<u8>) {
    let next = |i: usize| bits.get(i).copied().unwrap_or(0);
    image.extend((0..columns.div_ceil(8)).map(|i| next(i) >> 2 | next(i + 1) << 6));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(wire: Wire, value: &[u8]) -> Vec<u8> {
        let mut image = Vec::new();
        wire.put(value, &mut image).unwrap();
        image
    }

    #[test]
    fn decimals_are_the_manuals() {
        // strings/decimal.cc: 1234567890.1234 and its negative as DECIMAL(14,4)
        assert_eq!(put(Wire::Decimal(10, 4), b"1234567890.1234"), [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2]);
        assert_eq!(
            put(Wire::Decimal(10, 4), b"-1234567890.1234"),
            [0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d]
        );
        assert_eq!(put(Wire::Decimal(3, 2), b"001.50"), [0x80, 0x01, 50]);
        assert_eq!(put(Wire::Decimal(0, 2), b"0.07"), [0x87]);
        assert_eq!(put(Wire::Decimal(1, 0), b"-9"), [0x76]);
        let mut image = Vec::new();
        assert!(Wire::Decimal(1, 0).put(b"10", &mut image).is_err());
        assert!(Wire::Decimal(2, 0).put(b"1x", &mut image).is_err());
    }

    #[test]
    fn times_are_the_binlogs() {
        assert_eq!(put(Wire::Time(0), &[1, 34, 0, 0, 0, 22, 59, 59]), [0x4b, 0x91, 0x05]);
        assert_eq!(put(Wire::Time(2), &[1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x27, 0, 0]), [0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(put(Wire::Time(0), &[]), [0x80, 0, 0]);
        assert_eq!(put(Wire::Date, &[0xe4, 7, 0, 15]), ((2020u32 << 9 | 15).to_le_bytes()[..3]));
        assert_eq!(put(Wire::DateTime(0), &[]), [0x80, 0, 0, 0, 0]);
        assert_eq!(put(Wire::Timestamp(0), &[]), [0, 0, 0, 0]);
        let last = [0xf6, 7, 1, 19, 3, 14, 7, 0x3f, 0x42, 0x0f, 0];
        assert_eq!(put(Wire::Timestamp(6), &last), [0x7f, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f]);
        assert_eq!(put(Wire::Timestamp(0), &[0xb2, 7, 1, 1, 0, 0, 1]), [0, 0, 0, 1]);
        assert_eq!(put(Wire::Timestamp(0), &[0xe4, 7, 2, 29, 0, 0, 0]), 1_582_934_400u32.to_be_bytes());
    }

    #[test]
    fn the_rest() {
        assert_eq!(put(Wire::Year, &[0, 0]), [0]);
        assert_eq!(put(Wire::Year, &2155u16.to_le_bytes()), [255]);
        assert_eq!(put(Wire::Narrow(4, 3), &[1, 2, 3, 0]), [1, 2, 3]);
        assert_eq!(put(Wire::Bit(2), &[7]), [0, 7]);
        assert_eq!(put(Wire::Bytes, b"ab"), [2, 0, 0, 0, b'a', b'b']);
        let mut image = Vec::new();
        put_nulls(&[0b0000_0100, 0b0000_0010], 9, &mut image);
        assert_eq!(image, [0b1000_0001, 0]);
    }
}
