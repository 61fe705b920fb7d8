//! MySQL's binary JSON, into the text that the server itself prints for it: the same by snapshot and by stream
//! (invariant 11).
//!
//! Formats: `sql-common/json_binary.h` of MySQL for the bytes, `Json_wrapper::to_string` for the text, `my_gcvt` in
//! `strings/dtoa.cc` for doubles.

mod diff;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{decimal, time};
use crate::mysql::cursor::{Cursor, Garbled};

pub(super) use diff::apply;

/// MySQL's limit of nesting is 100.
const DEEPEST: u32 = 110;

/// Appends the text of a JSON value.
///
/// # Errors
/// If the bytes make no sense; then something may have been appended.
pub(super) fn to_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    // INSERT IGNORE stores an invalid value as nothing, which MySQL reads as null
    let Some((&kind, value)) = bytes.split_first() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    // values may point at one another: the text is bounded by what honest bytes can become
    let most = out.len() + bytes.len().saturating_mul(16) + 1024;
    Writer { out, most, depth: 0 }.value(kind, value)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    most: usize,
    depth: u32,
}

impl Writer<'_> {
    /// A value whose bytes begin at `at`.
    fn value(&mut self, kind: u8, at: &[u8]) -> Result<(), Garbled> {
        if self.out.len() > self.most {
            return Err(Garbled);
        }
        let mut value = Cursor::new(at);
        match kind {
            0..=3 => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(Garbled);
                }
                self.container(kind < 2, kind & 1 == 1, at)?;
                self.depth -= 1;
            }
            4 => self.out.extend_from_slice(match value.u8()? {
                0 => b"null",
                1 => b"true",
                2 => b"false",
                _ => return Err(Garbled),
            }),
            5 => self.integer(i16::from_le_bytes(value.array()?)),
            6 => self.integer(value.u16()?),
            7 => self.integer(i32::from_le_bytes(value.array()?)),
            8 => self.integer(value.u32()?),
            9 => self.integer(i64::from_le_bytes(value.array()?)),
            10 => self.integer(value.u64()?),
            11 => double(f64::from_le_bytes(value.array()?), self.out)?,
            12 => {
                let n = varlen(&mut value)?;
                self.string(value.take(n)?)?;
            }
            15 => {
                let kind = value.u8()?;
                let n = varlen(&mut value)?;
                self.opaque(kind, value.take(n)?)?;
            }
            _ => return Err(Garbled),
        }
        Ok(())
    }

    fn container(&mut self, object: bool, large: bool, at: &[u8]) -> Result<(), Garbled> {
        self.out.push(if object { b'{' } else { b'[' });
        let mut first = true;
        members(object, large, at, |key, kind, value| {
            if !std::mem::take(&mut first) {
                self.out.extend_from_slice(b", ");
            }
            if let Some(key) = key {
                self.string(key)?;
                self.out.extend_from_slice(b": ");
            }
            self.value(kind, value)
        })?;
        self.out.push(if object { b'}' } else { b']' });
        Ok(())
    }

    fn integer(&mut self, n: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Garbled> {
        if self.out.len() + text.len() > self.most {
            return Err(Garbled);
        }
        self.out.push(b'"');
        for &byte in std::str::from_utf8(text).map_err(|_| Garbled)?.as_bytes() {
            let short = match byte {
                b'"' | b'\\' => byte,
                8 => b'b',
                9 => b't',
                10 => b'n',
                12 => b'f',
                13 => b'r',
                0..0x20 => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    self.out.extend_from_slice(b"\\u00");
                    self.out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                    continue;
                }
                _ => {
                    self.out.push(byte);
                    continue;
                }
            };
            self.out.extend([b'\\', short]);
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A value of a type that JSON has not; `kind` is one of MySQL's column types.
    fn opaque(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Garbled> {
        let packed = || Ok(i64::from_le_bytes(bytes.try_into().map_err(|_| Garbled)?));
        let text = match kind {
            246 => {
                let (&[precision, scale], digits) = bytes.split_first_chunk().ok_or(Garbled)?;
                return decimal::to_text(precision, scale, digits, self.out);
            }
            // DATE, TIMESTAMP, DATETIME
            10 | 7 | 12 => {
                let (year, month, day, hour, minute, second, micros) = time::unpack(packed()?);
                let date = format!("{year:04}-{month:02}-{day:02}");
                match kind {
                    10 => date,
                    _ => format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}"),
                }
            }
            // TIME
            11 => {
                let packed: i64 = packed()?;
                let (sign, size) = (if packed < 0 { "-" } else { "" }, packed.unsigned_abs());
                let (time, micros) = (size >> 24, size & 0xff_ffff);
                let (hour, minute, second) = (time >> 12 & 0x3ff, time >> 6 & 63, time & 63);
                format!("{sign}{hour:02}:{minute:02}:{second:02}.{micros:06}")
            }
            _ => {
                // MySQL's base64 breaks its lines, and so does its JSON text
                let encoded = STANDARD.encode(bytes);
                let mut text = format!("base64:type{kind}:");
                for (i, c) in encoded.chars().enumerate() {
                    if i > 0 && i % 76 == 0 {
                        text.push('\n');
                    }
                    text.push(c);
                }
                text
            }
        };
        self.string(text.as_bytes())
    }
}

/// Gives the members of an object or array: the key, the value's type, and the bytes that begin with it. They are laid out
/// as a count, a size, the places of keys, the places of values (small ones stand there).
#[inline]
fn members<'a>(
    object: bool,
    large: bool,
    at: &'a [u8],
    mut each: impl FnMut(Option<&'a [u8]>, u8, &'a [u8]) -> Result<(), Garbled>,
) -> Result<(), Garbled> {
    let width = if large { 4 } else { 2 };
    let mut head = Cursor::new(at);
    let count = head.uint(width)? as usize;
    let size = head.uint(width)? as usize;
    let at = at.get(..size).ok_or(Garbled)?;
    let keys = head.take(if object { count.checked_mul(width + 2).ok_or(Garbled)? } else { 0 })?;
    let values = head.take(count.checked_mul(width + 1).ok_or(Garbled)?)?;
    for (i, place) in values.chunks_exact(width + 1).enumerate() {
        let mut name = None;
        if object {
            let mut key = Cursor::new(keys.get(i * (width + 2)..).ok_or(Garbled)?);
            let from = key.uint(width)? as usize;
            let n = usize::from(key.u16()?);
            name = Some(at.get(from..).and_then(|k| k.get(..n)).ok_or(Garbled)?);
        }
        let (&kind, place) = place.split_first().ok_or(Garbled)?;
        let inline = matches!(kind, 4..=6) || large && matches!(kind, 7 | 8);
        let value = match inline {
            true => place,
            false => at.get(Cursor::new(place).uint(width)? as usize..).ok_or(Garbled)?,
        };
        each(name, kind, value)?;
    }
    Ok(())
}

/// A length of up to five bytes, seven bits each, lowest first.
fn varlen(at: &mut Cursor<'_>) -> Result<usize, Garbled> {
    let mut n = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = at.u8()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(n).map_err(|_| Garbled);
        }
    }
    Err(Garbled)
}

/// A double as MySQL prints it: the fewest digits that mean it; an exponent below 1e-15 and from 1e15 on.
fn double(value: f64, out: &mut Vec<u8>) -> Result<(), Garbled> {
    if !value.is_finite() {
        return Err(Garbled);
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').ok_or(Garbled)?;
    let exponent: i32 = exponent.parse().map_err(|_| Garbled)?;
    let digits: Vec<u8> = mantissa.bytes().filter(|b| *b != b'.').collect();
    if value.is_sign_negative() {
        out.push(b'-');
    }
    // where the point stands, counted from before the first digit
    let point = exponent + 1;
    if !(-14..=15).contains(&point) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(&digits);
    } else {
        let point = point as usize;
        let (whole, fraction) = digits.split_at(point.min(digits.len()));
        out.extend_from_slice(whole);
        out.extend(std::iter::repeat_n(b'0', point - whole.len()));
        out.push(b'.');
        out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        to_text(bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        double(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_printed_as_the_server_does() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-1234.5678, "-1234.5678"),
            (1e14, "100000000000000.0"),
            (1e15, "1e15"),
            (1.5e-5, "0.000015"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (1.7976931348623157e308, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(printed(value), text);
        }
        assert!(double(f64::NAN, &mut Vec::new()).is_err());
    }

    #[test]
    fn bytes_written_by_hand() {
        // {"a": 1, "bc": [true, "x"]}, laid out by json_binary.h
        let array = [2, 0, 12, 0, 4, 1, 0, 12, 10, 0, 1, b'x'];
        let mut object = vec![0, 2, 0, 33, 0, 18, 0, 1, 0, 19, 0, 2, 0, 5, 1, 0, 2, 21, 0, b'a', b'b', b'c'];
        object[5] = 18;
        object.extend_from_slice(&array);
        assert_eq!(text(&object), r#"{"a": 1, "bc": [true, "x"]}"#);
        assert_eq!(text(&[]), "null");
        assert_eq!(text(&[12, 3, b'"', b'\\', 1]), r#""\"\\\u0001""#);
        assert_eq!(text(&[10, 255, 255, 255, 255, 255, 255, 255, 255]), "18446744073709551615");
        assert_eq!(text(&[15, 252, 2, 0xca, 0xfe]), r#""base64:type252:yv4=""#);
    }

    #[test]
    fn values_that_point_at_one_another_end() {
        // an array whose elements are all the array itself
        let mut bytes = vec![2, 100, 0, 48, 1];
        for _ in 0..100 {
            bytes.extend_from_slice(&[2, 0, 0]);
        }
        assert!(to_text(&bytes, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
            let mut all = vec![kind];
            all.extend(bytes);
            let mut out = Vec::new();
            if to_text(&all, &mut out).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
            }
        }

        #[test]
        fn doubles_keep_their_value(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(printed(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
