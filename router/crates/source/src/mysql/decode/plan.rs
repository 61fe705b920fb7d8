//! How the images of one version of a table are read: made once per table map, from what the table map says.

use std::sync::Arc;

use forebay_model::{Column, ColumnType, Fault, TableSchema};

use super::charset::{Charset, named};
use super::decimal::Decimal;
use super::lane::Form;
use super::native::native;
use super::time::fraction_bytes;
use crate::codes;
use crate::mysql::binlog::{RawColumn, Special, TableMap, types};

/// Neighbouring columns of one form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lane {
    pub(super) form: Form,
    pub(super) first: usize,
    pub(super) count: usize,
}

/// See the module.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) table: Arc<TableSchema>,
    pub(super) lanes: Vec<Lane>,
    /// For each column: bytes, where the layout is not text.
    pub(super) is_bytes: Vec<bool>,
    /// Columns behind those of the table, which are read and given to nobody.
    hidden: usize,
}

/// Why a column cannot be read.
enum Refusal {
    Type(String),
    Charset(&'static str),
}

impl Plan {
    /// Plans a table.
    ///
    /// # Errors
    /// If a column is of a type or in a character set that cannot be read exactly, or if the binlog does not name the
    /// columns; it says which table, column and type.
    pub(crate) fn new(map: &TableMap) -> Result<Plan, Fault> {
        if !map.full && !map.columns.is_empty() {
            let what = format!("the binlog does not name the columns of {}.{}", map.database, map.table);
            return Err(Fault::new(codes::ROW_METADATA, what).fix(
                "SET PERSIST binlog_row_metadata = 'FULL', then start from now: rows that were written before cannot be read",
            ));
        }
        let mut columns = Vec::with_capacity(map.columns.len());
        let mut lanes: Vec<Lane> = Vec::new();
        for (i, raw) in map.columns.iter().enumerate() {
            let (ty, form) = plan_column(raw).map_err(|refusal| refuse(map, raw, refusal))?;
            columns.push(Column { name: raw.name.clone(), ty, nullable: raw.nullable, native: native(raw) });
            match lanes.last_mut() {
                Some(lane) if lane.form == form => lane.count += 1,
                _ => lanes.push(Lane { form, first: i, count: 1 }),
            }
        }
        if map.hidden > 0 {
            // a lane of their own: it is the last one
            lanes.push(Lane { form: Form::U64, first: columns.len(), count: map.hidden });
        }
        let is_bytes = columns
            .iter()
            .map(|c| matches!(c.ty, ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector));
        let is_bytes = is_bytes.collect();
        let table = TableSchema {
            database: map.database.clone(),
            table: map.table.clone(),
            columns,
            key: map.key.clone(),
            lineage: map.lineage.clone(),
        };
        Ok(Plan { table: table.shared(), lanes, is_bytes, hidden: map.hidden })
    }

    /// Columns of a row in the binlog.
    #[inline]
    pub(crate) fn width(&self) -> usize {
        self.is_bytes.len() + self.hidden
    }

    /// Bytes of a bitmap with a bit for each of them.
    #[inline]
    pub(crate) fn bitmap_bytes(&self) -> usize {
        self.width().div_ceil(8)
    }
}

fn refuse(map: &TableMap, raw: &RawColumn, refusal: Refusal) -> Fault {
    let at = format!("{}.{}, column {}", map.database, map.table, raw.name);
    match refusal {
        Refusal::Type(name) => {
            Fault::new(codes::COLUMN_TYPE, format!("{at}: the type {name} cannot be read")).fix(format!(
                "leave {}.{} out of the source's tables, or change the column",
                map.database, map.table
            ))
        }
        Refusal::Charset(name) => {
            Fault::new(codes::CHARSET, format!("{at}: the character set {name} cannot be read exactly"))
                .fix("convert the column to utf8mb4, or leave the table out of the source's tables")
        }
    }
}

fn plan_column(raw: &RawColumn) -> Result<(ColumnType, Form), Refusal> {
    use types::*;
    let integer = |bits, signed, unsigned_form| {
        let form = if raw.unsigned { unsigned_form } else { signed };
        (ColumnType::Integer { bits, unsigned: raw.unsigned }, form)
    };
    let [a, b] = raw.meta;
    let digits = a;
    let bad = || Refusal::Type(format!("{} with metadata {a}, {b}", native(raw)));
    if matches!(raw.code, TIME | DATETIME | TIMESTAMP) && digits > 6 {
        return Err(bad());
    }
    Ok(match raw.code {
        TINY => integer(8, Form::I8, Form::U8),
        SHORT => integer(16, Form::I16, Form::U16),
        INT24 => integer(24, Form::I24, Form::U24),
        LONG => integer(32, Form::I32, Form::U32),
        LONGLONG => integer(64, Form::I64, Form::U64),
        FLOAT => (ColumnType::Float, Form::F32),
        DOUBLE => (ColumnType::Double, Form::F64),
        DECIMAL => {
            let form = Decimal::new(a, b).ok_or_else(bad)?;
            (ColumnType::Decimal { precision: a, scale: b }, Form::Decimal(form))
        }
        YEAR => (ColumnType::Year, Form::Year),
        DATE | NEWDATE => (ColumnType::Date, Form::Date),
        TIME => (ColumnType::Time { fsp: digits }, Form::Time(fraction_bytes(digits))),
        DATETIME => (ColumnType::DateTime { fsp: digits }, Form::DateTime(fraction_bytes(digits))),
        TIMESTAMP => (ColumnType::Timestamp { fsp: digits }, Form::Timestamp(fraction_bytes(digits))),
        BIT => {
            // odd bits, then whole bytes
            let bits = b.checked_mul(8).and_then(|n| n.checked_add(a)).filter(|n| (1..=64).contains(n));
            let bits = bits.ok_or_else(bad)?;
            (ColumnType::Bit { bits }, Form::Bit(usize::from(bits.div_ceil(8))))
        }
        ENUM | SET => {
            let charset = charset(raw)?;
            let member = |bytes: &Vec<u8>| {
                let mut text = Vec::new();
                charset.append(bytes, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            };
            let members: Vec<String> = raw.members.iter().map(member).collect();
            let size = usize::from(b);
            match raw.code {
                ENUM if (1..=2).contains(&size) => {
                    (ColumnType::Enum { members: members.clone() }, Form::Enum(size, members))
                }
                SET if (1..=8).contains(&size) => {
                    (ColumnType::Set { members: members.clone() }, Form::Set(size, members))
                }
                _ => return Err(bad()),
            }
        }
        STRING if raw.special.is_some() => {
            let special = raw.special.ok_or_else(bad)?;
            (ColumnType::Text, Form::Special(text_size(raw).1, special))
        }
        VARCHAR_COMPRESSED => compressed(text_size(raw).1, charset(raw)?),
        BLOB_COMPRESSED if (1..=4).contains(&a) => compressed(usize::from(a), charset(raw)?),
        // with a fraction they look alike and are written otherwise
        TIMESTAMP_OLD if is_plain(raw) => (ColumnType::Timestamp { fsp: 0 }, Form::OldTimestamp),
        TIME_OLD if is_plain(raw) => (ColumnType::Time { fsp: 0 }, Form::OldTime),
        DATETIME_OLD if is_plain(raw) => (ColumnType::DateTime { fsp: 0 }, Form::OldDateTime),
        VARCHAR | VAR_STRING | STRING => {
            let (most, length) = text_size(raw);
            match charset(raw)? {
                Charset::Binary if raw.code == STRING => (ColumnType::Binary, Form::Padded(length, most)),
                Charset::Binary => (ColumnType::Binary, Form::Text(length, Charset::Binary)),
                charset => (ColumnType::Text, Form::Text(length, charset)),
            }
        }
        TINY_BLOB..=BLOB if (1..=4).contains(&a) => match charset(raw)? {
            Charset::Binary => (ColumnType::Binary, Form::Text(usize::from(a), Charset::Binary)),
            charset => (ColumnType::Text, Form::Text(usize::from(a), charset)),
        },
        JSON if (1..=4).contains(&a) => (ColumnType::Json, Form::Json(usize::from(a))),
        GEOMETRY if (1..=4).contains(&a) => {
            (ColumnType::Geometry, Form::Text(usize::from(a), Charset::Binary))
        }
        VECTOR if (1..=4).contains(&a) => (ColumnType::Vector, Form::Text(usize::from(a), Charset::Binary)),
        _ => return Err(Refusal::Type(native(raw))),
    })
}

/// The most bytes of a CHAR, VARCHAR, BINARY or VARBINARY, and how many bytes its length takes.
pub(crate) fn text_size(raw: &RawColumn) -> (usize, usize) {
    let [a, b] = raw.meta;
    let most = if raw.code == types::STRING {
        // two bits of the length hide, turned, in the type
        usize::from(b) | usize::from((a & 0x30) ^ 0x30) << 4
    } else {
        usize::from(u16::from_le_bytes([a, b]))
    };
    (most, if most > 255 { 2 } else { 1 })
}

fn is_plain(raw: &RawColumn) -> bool {
    matches!(raw.special, None | Some(Special::Old(0)))
}

fn compressed(length: usize, charset: Charset) -> (ColumnType, Form) {
    let ty = if charset == Charset::Binary { ColumnType::Binary } else { ColumnType::Text };
    (ty, Form::Compressed(length, charset))
}

fn charset(raw: &RawColumn) -> Result<Charset, Refusal> {
    let name = raw.collation.map_or("unknown", |c| named(c).name);
    Charset::of(name).ok_or(Refusal::Charset(name))
}
