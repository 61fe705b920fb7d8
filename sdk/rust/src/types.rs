//! Types by their MySQL spelling, and columns of them written from text, exactly.
//!
//! Promises: what is written fits the type, so that the router takes it; nothing is rounded, cut or guessed.

use std::fmt;

use crate::{Cell, Cells, Column, ColumnDef, Decimal, Layout, LogicalType, VarCells};

/// A type, by MySQL's spelling of it.
///
/// ```
/// use forebay_plugin::{Cell, NativeType};
///
/// let price = NativeType::parse("decimal(10,2)").unwrap();
/// assert_eq!(price.def("price", true).native_type, "decimal(10,2)");
/// let mut cells = price.writer(2);
/// cells.push(Cell::Value("1.5")).unwrap(); // becomes 1.50
/// assert!(cells.push(Cell::Value("1.005")).is_err());
/// cells.push(Cell::Null).unwrap();
/// let column = cells.finish();
/// assert_eq!(column.texts().unwrap().get(0), Cell::Value("1.50"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeType {
    spelling: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer {
        bits: u32,
        unsigned: bool,
    },
    Float,
    Double,
    Decimal {
        precision: usize,
        scale: usize,
    },
    /// The longest text, in characters or, of the TEXT types, in bytes.
    Text {
        characters: usize,
        bytes: usize,
    },
    Json,
    Date,
    Time {
        fsp: usize,
    },
    Datetime {
        fsp: usize,
    },
    Timestamp {
        fsp: usize,
    },
}

/// A text that is no value of the type, in words that do not hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is no {}", self.0)
    }
}

impl std::error::Error for Misfit {}

/// Fractions of seconds.
const FSP: usize = 6;

impl NativeType {
    /// Reads a spelling: `tinyint` to `bigint` (with `unsigned`), `boolean`, `float`, `double`, `decimal(p,s)`,
    /// `char(n)`, `varchar(n)`, `tinytext` to `longtext`, `json`, `date`, `time(n)`, `datetime(n)`, `timestamp(n)`.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn parse(spelling: &str) -> Result<NativeType, String> {
        let lower = spelling.trim().to_ascii_lowercase();
        let (before, rest) = lower.split_once('(').unwrap_or((&lower, ""));
        let (arguments, after) = rest.split_once(')').unwrap_or(("", rest));
        let mut words = before.split_ascii_whitespace().chain(after.split_ascii_whitespace());
        let word = words.next().unwrap_or_default();
        let attributes: Vec<&str> = words.collect();
        let numbers: Option<Vec<usize>> = match arguments {
            "" => Some(Vec::new()),
            arguments => arguments.split(',').map(|number| number.trim().parse().ok()).collect(),
        };
        let unknown = || {
            format!(
                "`{spelling}` is no type that can be made here; there are tinyint, smallint, mediumint, int, bigint (also \
                 unsigned), boolean, float, double, decimal(p,s), char(n), varchar(n), tinytext, text, mediumtext, \
                 longtext, json, date, time(n), datetime(n), timestamp(n)"
            )
        };
        let numbers = numbers.ok_or_else(unknown)?;
        let unsigned = attributes == ["unsigned"];
        let integer = |bits| Kind::Integer { bits, unsigned };
        let text = |bytes| Kind::Text { characters: usize::MAX, bytes };
        let kind = match (word, numbers.as_slice()) {
            ("tinyint", [] | [_]) => integer(8),
            ("smallint", [] | [_]) => integer(16),
            ("mediumint", [] | [_]) => integer(24),
            ("int" | "integer", [] | [_]) => integer(32),
            ("bigint", [] | [_]) => integer(64),
            ("boolean" | "bool", []) => integer(8),
            ("float", []) => Kind::Float,
            ("double", []) => Kind::Double,
            ("decimal", &[precision @ 1..=65]) => Kind::Decimal { precision, scale: 0 },
            ("decimal", &[precision @ 1..=65, scale @ 0..=30]) if scale <= precision => {
                Kind::Decimal { precision, scale }
            }
            ("char", &[characters @ 1..=255]) | ("varchar", &[characters @ 1..=65_535]) => {
                Kind::Text { characters, bytes: usize::MAX }
            }
            ("tinytext", []) => text(255),
            ("text", []) => text(65_535),
            ("mediumtext", []) => text((1 << 24) - 1),
            ("longtext", []) => text(u32::MAX as usize),
            ("json", []) => Kind::Json,
            ("date", []) => Kind::Date,
            ("time", []) => Kind::Time { fsp: 0 },
            ("time", &[fsp @ 0..=FSP]) => Kind::Time { fsp },
            ("datetime", []) => Kind::Datetime { fsp: 0 },
            ("datetime", &[fsp @ 0..=FSP]) => Kind::Datetime { fsp },
            ("timestamp", []) => Kind::Timestamp { fsp: 0 },
            ("timestamp", &[fsp @ 0..=FSP]) => Kind::Timestamp { fsp },
            _ => return Err(unknown()),
        };
        let of_integers = matches!(kind, Kind::Integer { .. }) && !word.starts_with("bool");
        if !(attributes.is_empty() || unsigned && of_integers) {
            return Err(unknown());
        }
        let spelling = if word.starts_with("bool") { "tinyint(1)".to_owned() } else { lower };
        Ok(NativeType { spelling, kind })
    }

    /// MySQL's spelling.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// What its values mean.
    pub fn logical(&self) -> LogicalType {
        match self.kind {
            Kind::Integer { .. } => LogicalType::Integer,
            Kind::Float | Kind::Double => LogicalType::Float,
            Kind::Decimal { .. } => LogicalType::Decimal,
            Kind::Text { .. } => LogicalType::Text,
            Kind::Json => LogicalType::Json,
            Kind::Date => LogicalType::Date,
            Kind::Time { .. } => LogicalType::Time,
            Kind::Datetime { .. } => LogicalType::Datetime,
            Kind::Timestamp { .. } => LogicalType::Timestamp,
        }
    }

    /// How its cells are laid out.
    pub fn layout(&self) -> Layout {
        match self.kind {
            Kind::Integer { unsigned: true, .. } => Layout::Unsigned,
            Kind::Integer { .. } => Layout::Signed,
            Kind::Float | Kind::Double => Layout::Float,
            _ => Layout::Text,
        }
    }

    /// A column of this type.
    pub fn def(&self, name: &str, nullable: bool) -> ColumnDef {
        ColumnDef {
            name: name.to_owned(),
            logical: self.logical(),
            layout: self.layout(),
            nullable,
            native_type: self.spelling.clone(),
        }
    }

    /// Writes a column of it, cell by cell.
    pub fn writer(&self, rows: usize) -> ColumnWriter {
        let var = || {
            let mut offsets = Vec::with_capacity(rows + 1);
            offsets.push(0);
            VarCells { offsets, data: Vec::new() }
        };
        let cells = match self.layout() {
            Layout::Signed => Cells::Signed(Vec::with_capacity(rows)),
            Layout::Unsigned => Cells::Unsigned(Vec::with_capacity(rows)),
            Layout::Float => Cells::Float(Vec::with_capacity(rows)),
            Layout::Text | Layout::Bytes => Cells::Text(var()),
        };
        ColumnWriter {
            kind: self.kind,
            spelling: self.spelling.clone(),
            states: Vec::with_capacity(rows),
            cells,
        }
    }

    /// A column of one cell, for a constant.
    ///
    /// # Errors
    /// The text is no value of the type.
    pub fn constant(&self, value: Option<&str>) -> Result<Column, Misfit> {
        let mut writer = self.writer(1);
        writer.push(value.map_or(Cell::Null, Cell::Value))?;
        Ok(writer.finish())
    }
}

/// Writes a column of a type; see [`NativeType::writer`].
#[derive(Debug)]
pub struct ColumnWriter {
    kind: Kind,
    spelling: String,
    states: Vec<u8>,
    cells: Cells,
}

impl ColumnWriter {
    /// Ends a cell. A value is given as text: numbers as digits, also with a point and an exponent; dates and times as
    /// the contract writes them; texts and JSON as they are.
    ///
    /// # Errors
    /// The text is no value of the type; then nothing is written.
    pub fn push(&mut self, cell: Cell<&str>) -> Result<(), Misfit> {
        let state = match cell {
            Cell::Null => 0,
            Cell::Value(_) => 1,
            Cell::Absent => 2,
        };
        if let Cell::Value(text) = cell {
            write(self.kind, text, &mut self.cells).ok_or_else(|| Misfit(self.spelling.clone()))?;
        } else {
            match &mut self.cells {
                Cells::Signed(cells) => cells.push(0),
                Cells::Unsigned(cells) => cells.push(0),
                Cells::Float(cells) => cells.push(0.0),
                Cells::Text(cells) | Cells::Bytes(cells) => cells.offsets.push(cells.data.len() as u32),
            }
        }
        self.states.push(state);
        Ok(())
    }

    /// The column.
    pub fn finish(self) -> Column {
        let all_values = self.states.iter().all(|&state| state == 1);
        Column { states: if all_values { Vec::new() } else { self.states }, cells: self.cells }
    }
}

/// Writes a value; `None`, and nothing is written, if it does not fit.
fn write(kind: Kind, text: &str, cells: &mut Cells) -> Option<()> {
    match (kind, cells) {
        (Kind::Integer { bits, .. }, Cells::Signed(cells)) => {
            let most = i128::from(i64::MAX >> (64 - bits));
            let number = Decimal::parse(text)?.integer().filter(|n| (-most - 1..=most).contains(n))?;
            cells.push(number as i64);
        }
        (Kind::Integer { bits, .. }, Cells::Unsigned(cells)) => {
            let most = i128::from(u64::MAX >> (64 - bits));
            cells.push(Decimal::parse(text)?.integer().filter(|n| (0..=most).contains(n))? as u64);
        }
        (_, Cells::Float(cells)) => {
            Decimal::parse(text)?;
            let number: f64 = text.parse().ok()?;
            let finite = if kind == Kind::Float { (number as f32).is_finite() } else { number.is_finite() };
            cells.push(finite.then_some(number)?);
        }
        (kind, Cells::Text(cells)) => {
            match kind {
                Kind::Decimal { precision, scale } => {
                    let mut digits = String::with_capacity(text.len() + scale);
                    Decimal::parse(text)?.write(precision, scale, &mut digits).then_some(())?;
                    cells.data.extend_from_slice(digits.as_bytes());
                }
                _ => {
                    is_of(kind, text).then_some(())?;
                    cells.data.extend_from_slice(text.as_bytes());
                }
            }
            cells.offsets.push(cells.data.len() as u32);
        }
        _ => return None,
    }
    Some(())
}

fn is_of(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Text { characters, bytes } => {
            text.len() <= bytes && (text.len() <= characters || text.chars().count() <= characters)
        }
        Kind::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        Kind::Date => is_date(text),
        Kind::Time { fsp } => is_time(text, fsp),
        Kind::Datetime { fsp } => is_datetime(text, fsp),
        Kind::Timestamp { fsp } => is_datetime(text, fsp) && is_instant(text),
        _ => false,
    }
}

/// `n` digits, as a number.
fn digits(text: &[u8], n: usize) -> Option<u32> {
    (text.len() == n && text.iter().all(u8::is_ascii_digit))
        .then(|| text.iter().fold(0, |sum, d| sum * 10 + u32::from(d - b'0')))
}

fn date(text: &[u8]) -> Option<(u32, u32, u32)> {
    let (year, month, day) =
        (digits(text.get(..4)?, 4)?, digits(text.get(5..7)?, 2)?, digits(text.get(8..10)?, 2)?);
    (text[4] == b'-' && text[7] == b'-' && month <= 12 && day <= 31).then_some((year, month, day))
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && date(text.as_bytes()).is_some()
}

/// `MM:SS[.ffffff]`, with at most `fsp` digits that matter.
fn is_minutes(text: &[u8], fsp: usize) -> bool {
    let two = |range| text.get(range).and_then(|part| digits(part, 2)).is_some_and(|n| n < 60);
    let fraction = match text.get(5..) {
        Some([]) => true,
        Some([b'.', rest @ ..]) => {
            (1..=FSP).contains(&rest.len())
                && rest.iter().all(u8::is_ascii_digit)
                && rest.iter().skip(fsp).all(|&d| d == b'0')
        }
        _ => false,
    };
    two(0..2) && text.get(2) == Some(&b':') && two(3..5) && fraction
}

fn is_time(text: &str, fsp: usize) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let Some((hours, rest)) = text.split_once(':') else { return false };
    let hours = digits(hours.as_bytes(), hours.len().clamp(2, 3));
    hours.is_some_and(|hours| hours <= 838) && is_minutes(rest.as_bytes(), fsp)
}

fn is_datetime(text: &str, fsp: usize) -> bool {
    let text = text.as_bytes();
    let hour = text.get(11..13).and_then(|part| digits(part, 2));
    date(text).is_some()
        && text.get(10) == Some(&b' ')
        && hour.is_some_and(|hour| hour < 24)
        && text.get(13) == Some(&b':')
        && is_minutes(&text[14..], fsp)
}

/// Whether a datetime is one that MySQL's TIMESTAMP has: after the epoch, a day of the calendar; or the zero date.
fn is_instant(text: &str) -> bool {
    let Some((year, month, day)) = date(text.as_bytes()) else { return false };
    if text.bytes().all(|b| !b.is_ascii_digit() || b == b'0') {
        return true;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    let epoch =
        text.get(..19) == Some("1970-01-01 00:00:00") && text[19..].bytes().all(|b| matches!(b, b'0' | b'.'));
    year >= 1970 && (1..=days).contains(&day) && !epoch
}

#[cfg(test)]
mod tests;
