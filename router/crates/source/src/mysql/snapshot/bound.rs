//! Where in a key's order a chunk begins and ends, as SQL.
//!
//! A bound is kept as literals, not as parameters: a literal can say its character set (`_gbk x'...'`), so that a text goes
//! back to the server as the very bytes that came from it, without a conversion on the way; and literals can be noted and
//! read by people. The server parses one statement for each chunk, which is nothing beside the chunk.

use super::super::binlog::{RawColumn, types};
use super::super::catalog::{push_hex, quoted};
use super::super::cursor::{Cursor, Garbled};
use super::wire::DateTime;

/// A key's values, one literal for each of its columns.
pub(crate) type Bound = Vec<String>;

/// How a key column's values become literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Signed,
    Unsigned,
    Float,
    Double,
    Decimal,
    Year,
    Date,
    DateTime,
    Time,
    Bit,
    Bytes,
    /// MariaDB's addresses and UUIDs: bytes would mean the value itself, and not how it is written.
    Written,
    /// In this character set.
    Text(String),
}

impl Literal {
    /// For a column; `None` if its values cannot be bounds.
    pub(super) fn of(raw: &RawColumn, charset: Option<&str>) -> Option<Literal> {
        use types::*;
        Some(match raw.code {
            _ if raw.special.is_some() => Literal::Written,
            // ENUM and SET are ordered, compared and selected by their numbers
            ENUM | SET => Literal::Unsigned,
            TINY | SHORT | INT24 | LONG | LONGLONG if raw.unsigned => Literal::Unsigned,
            TINY | SHORT | INT24 | LONG | LONGLONG => Literal::Signed,
            FLOAT => Literal::Float,
            DOUBLE => Literal::Double,
            DECIMAL => Literal::Decimal,
            YEAR => Literal::Year,
            DATE => Literal::Date,
            DATETIME | TIMESTAMP => Literal::DateTime,
            TIME => Literal::Time,
            BIT => Literal::Bit,
            STRING | VARCHAR | TINY_BLOB..=BLOB => match charset {
                None | Some("binary") => Literal::Bytes,
                // a name of the server's own; anything else would be SQL
                Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                    Literal::Text(name.to_owned())
                }
                Some(_) => return None,
            },
            _ => return None,
        })
    }

    /// The literal of a value as the binary protocol has it, without its length.
    pub(super) fn write(&self, value: &[u8]) -> Result<String, Garbled> {
        let unsigned = || value.len() <= 8 && !value.is_empty();
        let number = || value.iter().rev().fold(0u64, |all, &b| all << 8 | u64::from(b));
        Ok(match self {
            Literal::Unsigned if unsigned() => number().to_string(),
            Literal::Signed if unsigned() => {
                let shift = 64 - 8 * value.len() as u32;
                (((number() << shift) as i64) >> shift).to_string()
            }
            // a FLOAT is compared as the DOUBLE that it is exactly
            Literal::Float => format!("{:e}", f64::from(f32::from_le_bytes(Cursor::new(value).array()?))),
            Literal::Double => format!("{:e}", f64::from_le_bytes(Cursor::new(value).array()?)),
            Literal::Decimal => {
                let text = std::str::from_utf8(value).map_err(|_| Garbled)?;
                let digits = text.strip_prefix('-').unwrap_or(text);
                if digits.is_empty() || digits.bytes().any(|b| !b.is_ascii_digit() && b != b'.') {
                    return Err(Garbled);
                }
                text.to_owned()
            }
            // a number below 100 would be a year of this century
            Literal::Year if unsigned() => format!("'{:04}'", number()),
            Literal::Date => {
                let d = DateTime::read(value)?;
                format!("'{:04}-{:02}-{:02}'", d.year, d.month, d.day)
            }
            Literal::DateTime => {
                let d = DateTime::read(value)?;
                let time = format!("{:02}:{:02}:{:02}.{:06}", d.hour, d.minute, d.second, d.micros);
                format!("'{:04}-{:02}-{:02} {time}'", d.year, d.month, d.day)
            }
            Literal::Time => {
                let t = DateTime::read_time(value)?;
                let sign = if t.negative { "-" } else { "" };
                format!("'{sign}{:02}:{:02}:{:02}.{:06}'", t.hour, t.minute, t.second, t.micros)
            }
            Literal::Bit if value.len() <= 8 => {
                value.iter().fold(0u64, |all, &b| all << 8 | u64::from(b)).to_string()
            }
            Literal::Written => {
                let text = std::str::from_utf8(value).map_err(|_| Garbled)?;
                if text.bytes().any(|b| !b.is_ascii_hexdigit() && !b"-:.".contains(&b)) {
                    return Err(Garbled);
                }
                format!("'{text}'")
            }
            Literal::Bytes => hex("", value),
            Literal::Text(charset) => hex(&format!("_{charset} "), value),
            _ => return Err(Garbled),
        })
    }
}

fn hex(prefix: &str, bytes: &[u8]) -> String {
    let mut out = format!("{prefix}x'");
    push_hex(bytes, &mut out);
    out.push('\'');
    out
}

/// `(a, b) > (x, y)`, in the form that MySQL reads as ranges of an index.
pub(super) fn after(columns: &[String], bound: &[String]) -> String {
    compare(columns, bound, '>', ">")
}

/// `(a, b) <= (x, y)`, in the same form.
pub(super) fn up_to(columns: &[String], bound: &[String]) -> String {
    compare(columns, bound, '<', "<=")
}

fn compare(columns: &[String], bound: &[String], strict: char, last: &str) -> String {
    let Some(((name, rest), (value, values))) = columns.split_first().zip(bound.split_first()) else {
        return "TRUE".into();
    };
    let name = quoted(name);
    if rest.is_empty() {
        return format!("{name} {last} {value}");
    }
    let inner = compare(rest, values, strict, last);
    format!("{name} {strict}= {value} AND ({name} {strict} {value} OR ({name} = {value} AND {inner}))")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tuples_are_compared_in_the_form_of_ranges() {
        let names = ["a".to_owned(), "b`".to_owned(), "c".to_owned()];
        let values = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
        assert_eq!(after(&names[..1], &values[..1]), "`a` > 1");
        assert_eq!(after(&names[..2], &values[..2]), "`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND `b``` > 2))");
        assert_eq!(
            up_to(&names[1..], &values[1..]),
            "`b``` <= 2 AND (`b``` < 2 OR (`b``` = 2 AND `c` <= 3))"
        );
        assert_eq!(after(&[], &[]), "TRUE");
    }

    #[test]
    fn literals_keep_every_bit() {
        let write = |literal: Literal, value: &[u8]| literal.write(value).unwrap();
        assert_eq!(write(Literal::Signed, &[0xff]), "-1");
        assert_eq!(write(Literal::Signed, &i64::MIN.to_le_bytes()), i64::MIN.to_string());
        assert_eq!(write(Literal::Unsigned, &[0xff; 8]), u64::MAX.to_string());
        assert_eq!(write(Literal::Float, &0.1f32.to_le_bytes()), "1.0000000149011612e-1");
        assert_eq!(write(Literal::Decimal, b"-12.50"), "-12.50");
        assert_eq!(write(Literal::Year, &[0, 0]), "'0000'");
        assert_eq!(write(Literal::Date, &[]), "'0000-00-00'");
        assert_eq!(
            write(Literal::DateTime, &[0xe4, 7, 0, 15, 1, 2, 3, 4, 0, 0, 0]),
            "'2020-00-15 01:02:03.000004'"
        );
        assert_eq!(write(Literal::Time, &[1, 34, 0, 0, 0, 22, 59, 59]), "'-838:59:59.000000'");
        assert_eq!(write(Literal::Bit, &[1, 2]), "258");
        assert_eq!(write(Literal::Bytes, b"\0'"), "x'0027'");
        assert_eq!(write(Literal::Text("gbk".into()), &[0xc4, 0xe3]), "_gbk x'c4e3'");
        assert_eq!(write(Literal::Written, b"::ffff:1.2.3.4"), "'::ffff:1.2.3.4'");
        assert!(Literal::Written.write(b"'").is_err());
        assert!(Literal::Decimal.write(b"1 OR 1").is_err());
        assert!(Literal::Float.write(b"1").is_err());
    }

    proptest! {
        #[test]
        fn doubles_come_back(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            let text = Literal::Double.write(&value.to_le_bytes()).unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
