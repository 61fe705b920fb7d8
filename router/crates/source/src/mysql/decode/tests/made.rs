//! Random tables and rows, and the bytes that a server would write for them.
//!
//! Shares no line with the decoder, so that the two can be wrong only in different ways. Formats: as the decoder's
//! modules name them.

use std::fmt::Write as _;

use crate::mysql::binlog::types;
use crate::mysql::cursor::put_packed;
use crate::mysql::decode::decimal;

/// A column of a random table.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) code: u8,
    pub(super) meta: Vec<u8>,
    pub(super) unsigned: bool,
    pub(super) collation: u16,
    /// Writes a value made of a random number, and how it is shown.
    pub(super) value: fn(&Made, u64) -> (Vec<u8>, String),
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.code, self.meta)
    }
}

const MEMBERS: [&str; 5] = ["red", "green", "it's", "blau\u{fc}", ""];

pub(super) fn made(code: u8, meta: &[u8], value: fn(&Made, u64) -> (Vec<u8>, String)) -> Made {
    Made { code, meta: meta.to_vec(), unsigned: false, collation: 255, value }
}

pub(super) fn signed(column: &Made, random: u64) -> (Vec<u8>, String) {
    let bytes = [1, 2, 4, 0, 0, 0, 0, 8, 3][usize::from(column.code) - 1];
    let bits = 8 * bytes as u32;
    // corner values often
    let n = match random % 4 {
        0 => i64::MIN >> (64 - bits),
        1 => i64::MAX >> (64 - bits),
        2 => -1,
        _ => (random as i64) >> (64 - bits),
    };
    let shown =
        if column.unsigned { (n as u64 & (u64::MAX >> (64 - bits))).to_string() } else { n.to_string() };
    (n.to_le_bytes()[..bytes].to_vec(), shown)
}

fn words(random: u64, most: usize) -> String {
    let mut text = String::new();
    let mut n = random;
    while text.len() + 4 <= most && !n.is_multiple_of(23) {
        text.push(['a', 'Z', '\u{e9}', '\u{20ac}', '\u{1f600}', ' '][(n % 6) as usize]);
        n /= 2;
    }
    text
}

fn behind_length(bytes: &[u8], size: usize) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..size], bytes].concat()
}

/// Every kind of column that there is.
pub(super) fn kinds_of_columns() -> Vec<Made> {
    let mut all = Vec::new();
    for unsigned in [false, true] {
        for code in [types::TINY, types::SHORT, types::INT24, types::LONG, types::LONGLONG] {
            all.push(Made { unsigned, ..made(code, &[], signed) });
        }
    }
    all.push(made(types::FLOAT, &[4], |_, r| {
        let f = (r as i32 as f32) / 64.0;
        (f.to_le_bytes().to_vec(), f.to_string())
    }));
    all.push(made(types::DOUBLE, &[8], |_, r| {
        let f = r as i64 as f64 / 1024.0;
        (f.to_le_bytes().to_vec(), f.to_string())
    }));
    for meta in [[10, 2], [18, 9], [19, 10], [38, 0], [65, 30], [1, 1]] {
        all.push(made(types::DECIMAL, &meta, |column, r| {
            let (precision, scale) = (column.meta[0], column.meta[1]);
            let digits: String = (0..precision)
                .map(|i| char::from(b'0' + (r.rotate_left(u32::from(i) * 5) % 10) as u8))
                .collect();
            let mut value = arrow_buffer::i256::from_string(&digits).unwrap();
            let negative = r & 1 == 1;
            if negative {
                value = value.wrapping_neg();
            }
            let bare = value.wrapping_abs().to_string();
            let bare = format!("{bare:0>width$}", width = usize::from(scale) + 1);
            let (whole, fraction) = bare.split_at(bare.len() - usize::from(scale));
            let point = if scale > 0 { "." } else { "" };
            let sign = if value.is_negative() { "-" } else { "" };
            (decimal::encode(precision, scale, value), format!("{sign}{whole}{point}{fraction}"))
        }));
    }
    all.push(made(types::YEAR, &[], |_, r| {
        let b = r as u8;
        (vec![b], if b == 0 { "0000".into() } else { (1900 + u32::from(b)).to_string() })
    }));
    all.push(made(types::DATE, &[], |_, r| {
        let (y, m, d) = (r % 10_000, r / 7 % 13, r / 11 % 32);
        ((y << 9 | m << 5 | d).to_le_bytes()[..3].to_vec(), format!("{y:04}-{m:02}-{d:02}"))
    }));
    for digits in [0, 3, 6] {
        all.push(made(types::DATETIME, &[digits], |column, r| {
            let (y, mo, d, h, mi, s) =
                (r % 10_000, r / 7 % 13, r / 11 % 32, r / 3 % 24, r / 5 % 60, r / 13 % 60);
            let whole = (((y * 13 + mo) << 5 | d) << 17 | h << 12 | mi << 6 | s) + 0x80_0000_0000;
            let (part, shown) = fraction(column.meta[0], r);
            let bytes = [&whole.to_be_bytes()[3..], &part].concat();
            (bytes, format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}{shown}"))
        }));
        all.push(made(types::TIMESTAMP, &[digits], |column, r| {
            let (part, shown) = fraction(column.meta[0], r);
            ([&(r as u32).to_be_bytes()[..], &part].concat(), format!("{}{shown}", r as u32))
        }));
        all.push(made(types::TIME, &[digits], |column, r| {
            let (h, m, s) = (r % 839, r / 5 % 60, r / 13 % 60);
            let (part, shown) = fraction(column.meta[0], r);
            let n = part.iter().fold(h << 12 | m << 6 | s, |all, &b| all << 8 | u64::from(b)) as i64;
            let zero = 0x80_0000i64 << (8 * part.len());
            let negative = r & 1 == 1 && n > 0;
            let stored = if negative { zero - n } else { zero + n };
            let bytes = stored.to_be_bytes()[5 - part.len()..].to_vec();
            (bytes, format!("{}{h:02}:{m:02}:{s:02}{shown}", if negative { "-" } else { "" }))
        }));
    }
    // BIT(12)
    all.push(made(types::BIT, &[4, 1], |_, r| {
        let n = (r & 0xfff) as u16;
        (n.to_be_bytes().to_vec(), format!("{n:04X}"))
    }));
    for (meta, size) in [(40u16, 1), (1200, 2)] {
        let code = types::VARCHAR;
        all.push(made(code, &meta.to_le_bytes(), if size == 1 { text::<1> } else { text::<2> }));
    }
    all.push(Made {
        collation: 8,
        ..made(types::VARCHAR, &[40, 0], |_, r| {
            let bytes = [b'a', 0x80, 0xe9, 0xff][..(r % 5).min(4) as usize].to_vec();
            let shown: String = "a\u{20ac}\u{e9}\u{ff}".chars().take(bytes.len()).collect();
            (behind_length(&bytes, 1), shown)
        })
    });
    // CHAR(10) and CHAR(100) of utf8mb4: the length hides in the type
    all.push(made(types::STRING, &[types::STRING, 40], text::<1>));
    all.push(made(types::STRING, &[types::STRING ^ 0x10, 400u16 as u8], text::<2>));
    all.push(Made {
        collation: 63,
        ..made(types::STRING, &[types::STRING, 6], |_, r| {
            let n = (r % 7) as usize;
            let shown = [&r.to_be_bytes()[..n], &[0; 6][n..]].concat();
            (behind_length(&r.to_be_bytes()[..n], 1), hex(&shown))
        })
    });
    for (code, collation) in [(types::BLOB, 255), (types::BLOB, 63)] {
        for size in 1..=4 {
            let value = if collation == 255 {
                [text::<1>, text::<2>, text::<3>, text::<4>][size - 1]
            } else {
                [bytes::<1>, bytes::<2>, bytes::<3>, bytes::<4>][size - 1]
            };
            all.push(Made { collation, ..made(code, &[size as u8], value) });
        }
    }
    all.push(made(types::STRING, &[types::ENUM, 1], |_, r| {
        let n = (r % 6) as usize;
        (vec![n as u8], if n == 0 { String::new() } else { MEMBERS[n - 1].to_owned() })
    }));
    all.push(made(types::STRING, &[types::SET, 1], |_, r| {
        let n = (r % 16) as u8;
        let shown: Vec<&str> = (0..4).filter(|i| n >> i & 1 == 1).map(|i| MEMBERS[i]).collect();
        (vec![n], shown.join(","))
    }));
    all.push(made(types::JSON, &[4], |_, r| {
        let n = r as i16;
        let [a, b] = n.to_le_bytes();
        (behind_length(&[2, 1, 0, 7, 0, 5, a, b], 4), format!("[{n}]"))
    }));
    all.push(made(types::GEOMETRY, &[4], bytes::<4>));
    all.push(made(types::VECTOR, &[4], bytes::<4>));
    all
}

fn text<const SIZE: usize>(_: &Made, random: u64) -> (Vec<u8>, String) {
    let shown = words(random, 40);
    (behind_length(shown.as_bytes(), SIZE), shown)
}

fn bytes<const SIZE: usize>(_: &Made, random: u64) -> (Vec<u8>, String) {
    let bytes = random.to_be_bytes().repeat((random % 30) as usize);
    (behind_length(&bytes, SIZE), hex(&bytes))
}

fn fraction(digits: u8, random: u64) -> (Vec<u8>, String) {
    let n = usize::from(digits.div_ceil(2));
    let part = random % 10u64.pow(u32::from(digits));
    // an odd number of digits is stored as the next even one
    let stored = part * if digits.is_multiple_of(2) { 1 } else { 10 };
    let shown =
        if digits == 0 { String::new() } else { format!(".{part:0width$}", width = usize::from(digits)) };
    (stored.to_be_bytes()[8 - n..].to_vec(), shown)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut all, b| {
        write!(all, "{b:02X}").unwrap();
        all
    })
}

fn field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number);
    put_packed(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A table map's body, with full metadata.
pub(super) fn table_map(columns: &[Made]) -> Vec<u8> {
    let mut out = vec![77, 0, 0, 0, 0, 0, 1, 0];
    out.extend_from_slice(b"\x01d\0\x05table\0");
    put_packed(&mut out, columns.len() as u64);
    out.extend(columns.iter().map(|c| c.code));
    let meta: Vec<u8> = columns.iter().flat_map(|c| c.meta.clone()).collect();
    put_packed(&mut out, meta.len() as u64);
    out.extend_from_slice(&meta);
    out.extend(std::iter::repeat_n(0xff, columns.len().div_ceil(8)));
    let numeric = |c: &&Made| matches!(c.code, 1..=5 | 8 | 9 | 13 | 246);
    let mut signs = vec![0; columns.iter().filter(numeric).count().div_ceil(8)];
    for (i, column) in columns.iter().filter(numeric).enumerate() {
        signs[i / 8] |= u8::from(column.unsigned) << (7 - i % 8);
    }
    if !signs.is_empty() {
        field(&mut out, 1, &signs);
    }
    let listed = |c: &&Made| matches!(c.meta[..], [types::ENUM | types::SET, _]);
    let textual = |c: &&Made| matches!(c.code, 15 | 249..=254 | 242) && !listed(c);
    let mut collations = Vec::new();
    columns.iter().filter(textual).for_each(|c| put_packed(&mut collations, u64::from(c.collation)));
    field(&mut out, 3, &collations);
    let mut names = Vec::new();
    for i in 0..columns.len() {
        let name = format!("column {i}");
        put_packed(&mut names, name.len() as u64);
        names.extend_from_slice(name.as_bytes());
    }
    field(&mut out, 4, &names);
    for (number, code) in [(5, types::SET), (6, types::ENUM)] {
        let mut members = Vec::new();
        for _ in columns.iter().filter(|c| listed(c) && c.meta[0] == code) {
            put_packed(&mut members, MEMBERS.len() as u64);
            for member in MEMBERS {
                put_packed(&mut members, member.len() as u64);
                members.extend_from_slice(member.as_bytes());
            }
        }
        field(&mut out, number, &members);
    }
    let mut collations = Vec::new();
    columns.iter().filter(listed).for_each(|c| put_packed(&mut collations, u64::from(c.collation)));
    field(&mut out, 11, &collations);
    field(&mut out, 8, &[0]);
    out
}

/// The body of a rows event of inserts, and its rows as shown; `None` = NULL.
pub(super) fn rows(columns: &[Made], values: &[Vec<Option<u64>>]) -> (Vec<u8>, Vec<Vec<Option<String>>>) {
    let mut out = vec![77, 0, 0, 0, 0, 0, 1, 0, 2, 0];
    put_packed(&mut out, columns.len() as u64);
    out.extend(std::iter::repeat_n(0xff, columns.len().div_ceil(8)));
    let mut shown = Vec::new();
    for row in values {
        let mut nulls = vec![0u8; columns.len().div_ceil(8)];
        let (mut bytes, mut texts) = (Vec::new(), Vec::new());
        for (i, (column, value)) in columns.iter().zip(row).enumerate() {
            let made = value.map(|random| (column.value)(column, random));
            match made {
                None => nulls[i / 8] |= 1 << (i % 8),
                Some((value, _)) if value.is_empty() => unreachable!(),
                Some((ref value, _)) => bytes.extend_from_slice(value),
            }
            texts.push(made.map(|(_, text)| text));
        }
        out.extend_from_slice(&nulls);
        out.extend_from_slice(&bytes);
        shown.push(texts);
    }
    (out, shown)
}
