//! What can be settled once for a table: how each column is written, and its name as JSON.

use std::sync::Arc;

use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use forebay_model::{ColumnType, TableSchema};

use super::config::{BigintUnsigned, BinaryMode, DecimalMode, Settings};
use super::temporal::Temporal;

/// Names are copied in pieces of this size where they fit: a copy of known length is a few instructions.
const PIECE: usize = 16;

/// How one column's values are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// A JSON number of whatever integer the layout holds.
    Integer,
    Float,
    Decimal {
        mode: DecimalMode,
        scale: u8,
    },
    Unsigned64(BigintUnsigned),
    Boolean,
    /// Base64 of so many little-endian bytes.
    Bits {
        bytes: usize,
    },
    Date(Temporal),
    Time(Temporal),
    DateTime(Temporal),
    Timestamp(Temporal),
    Text,
    Base64(&'static GeneralPurpose),
    Hex,
    Geometry {
        point: bool,
    },
    Vector,
}

/// A table's part of the work.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: Arc<TableSchema>,
    pub(super) columns: Vec<How>,
    /// `,"name":` of every column one after another, then room for a piece.
    names: Vec<u8>,
    /// Where each name starts, and where the last one ends.
    starts: Vec<usize>,
    /// `"db"` and `"table"`, quotes included.
    pub(super) database: String,
    pub(super) name: String,
}

/// A column's name with its punctuation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    /// The name and at least one piece more.
    padded: &'a [u8],
    len: usize,
}

impl Plan {
    pub(super) fn new(table: &Arc<TableSchema>, settings: &Settings) -> Self {
        let mut names = Vec::new();
        let mut starts = vec![0];
        for column in &table.columns {
            names.push(b',');
            names.extend_from_slice(quoted(&column.name).as_bytes());
            names.push(b':');
            starts.push(names.len());
        }
        names.extend_from_slice(&[0; 2 * PIECE]);
        let columns = table.columns.iter().map(|c| how(&c.ty, &c.native, c.nullable, settings)).collect();
        let (database, name) = (quoted(&table.database), quoted(&table.table));
        Plan { table: table.clone(), columns, names, starts, database, name }
    }

    pub(super) fn column_name(&self, column: usize) -> Name<'_> {
        let (start, end) = (self.starts[column], self.starts[column + 1]);
        Name { padded: &self.names[start..], len: end - start }
    }
}

impl Name<'_> {
    /// The room that a name needs.
    pub(super) fn room(self) -> usize {
        self.len + 2 * PIECE
    }

    #[inline(always)]
    pub(super) fn put(self, buf: &mut [u8], at: usize) -> usize {
        if self.len <= PIECE {
            buf[at..at + PIECE].copy_from_slice(&self.padded[..PIECE]);
        } else if self.len <= 2 * PIECE {
            buf[at..at + 2 * PIECE].copy_from_slice(&self.padded[..2 * PIECE]);
        } else {
            buf[at..at + self.len].copy_from_slice(&self.padded[..self.len]);
        }
        at + self.len
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn how(ty: &ColumnType, native: &str, nullable: bool, settings: &Settings) -> How {
    match ty {
        ColumnType::Integer { bits: 64, unsigned: true } => How::Unsigned64(settings.bigint_unsigned),
        ColumnType::Integer { .. } | ColumnType::Year => How::Integer,
        ColumnType::Float | ColumnType::Double => How::Float,
        ColumnType::Decimal { scale, .. } => How::Decimal { mode: settings.decimal, scale: *scale },
        ColumnType::Bit { bits: 1 } => How::Boolean,
        ColumnType::Bit { bits } => How::Bits { bytes: usize::from(*bits).div_ceil(8).min(8) },
        ColumnType::Date => How::Date(Temporal::date(settings, nullable)),
        ColumnType::Time { fsp } => How::Time(Temporal::time(settings, (*fsp).min(6))),
        ColumnType::DateTime { fsp } => How::DateTime(Temporal::datetime(settings, (*fsp).min(6), nullable)),
        ColumnType::Timestamp { fsp } => {
            How::Timestamp(Temporal::timestamp(settings, (*fsp).min(6), nullable))
        }
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => How::Text,
        ColumnType::Binary => match settings.binary {
            BinaryMode::Bytes | BinaryMode::Base64 => How::Base64(&STANDARD),
            BinaryMode::Base64UrlSafe => How::Base64(&URL_SAFE),
            BinaryMode::Hex => How::Hex,
        },
        // Debezium adds the coordinates to the one type whose values are always points
        ColumnType::Geometry => How::Geometry { point: native.eq_ignore_ascii_case("point") },
        ColumnType::Vector => How::Vector,
    }
}
