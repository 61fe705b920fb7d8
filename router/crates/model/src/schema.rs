//! What a table looks like: its columns, their types, and how each is laid out in memory.

use std::sync::Arc;

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::Lineage;

/// A column's type: MySQL's meaning, exact, apart from how it is stored (see [`ColumnType::layout`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// TINYINT (8), SMALLINT (16), MEDIUMINT (24), INT (32), BIGINT (64).
    Integer {
        /// 8, 16, 24, 32 or 64.
        bits: u8,
        /// UNSIGNED.
        unsigned: bool,
    },
    /// YEAR: 0 is `0000`, else 1901 to 2155.
    Year,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL: the unscaled number.
    Decimal {
        /// All digits, 1 to 65.
        precision: u8,
        /// Digits after the point, 0 to 30 (38 of MariaDB).
        scale: u8,
    },
    /// BIT(1) to BIT(64).
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// DATE: packed `year << 9 | month << 5 | day`, so that zero and partial dates survive.
    Date,
    /// TIME: microseconds, signed, up to ±838:59:59.999999.
    Time {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// DATETIME: packed `(((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 24 |
    /// microseconds` (MySQL's own form), so that zero and partial dates survive. No time zone.
    DateTime {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// TIMESTAMP: microseconds since 1970-01-01T00:00:00Z; 0 is the zero date (MySQL cannot store the epoch).
    Timestamp {
        /// Digits of the fraction, 0 to 6.
        fsp: u8,
    },
    /// CHAR, VARCHAR, TEXT: UTF-8 whatever the column's character set.
    Text,
    /// ENUM, as its text.
    Enum {
        /// In definition order.
        members: Vec<String>,
    },
    /// SET, as its members' text with commas.
    Set {
        /// In definition order.
        members: Vec<String>,
    },
    /// JSON, as text.
    Json,
    /// BINARY, VARBINARY, BLOB.
    Binary,
    /// GEOMETRY and its subtypes: SRID (4 bytes, little-endian) and WKB.
    Geometry,
    /// VECTOR: little-endian 32-bit floats.
    Vector,
}

impl ColumnType {
    /// The Arrow type that holds the column's cells.
    pub fn layout(&self) -> DataType {
        match self {
            ColumnType::Integer { bits: 64, unsigned: true } | ColumnType::Bit { .. } => DataType::UInt64,
            ColumnType::Integer { bits: 64, .. } | ColumnType::Integer { bits: 32, unsigned: true } => {
                DataType::Int64
            }
            ColumnType::Integer { .. } | ColumnType::Year | ColumnType::Date => DataType::Int32,
            ColumnType::Float => DataType::Float32,
            ColumnType::Double => DataType::Float64,
            ColumnType::Decimal { precision, scale } if *precision <= 38 => {
                DataType::Decimal128(*precision, *scale as i8)
            }
            ColumnType::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale as i8),
            ColumnType::Time { .. } | ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => {
                DataType::Int64
            }
            ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => {
                DataType::Utf8
            }
            ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector => DataType::Binary,
        }
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// As the server spells it.
    pub name: String,
    /// What its values mean.
    pub ty: ColumnType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// The server's spelling of the type, such as `varchar(64)` or `int unsigned`.
    pub native: String,
}

/// One version of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableSchema {
    /// The database (MySQL's schema).
    pub database: String,
    /// The table.
    pub table: String,
    /// In table order.
    pub columns: Vec<Column>,
    /// Indexes of the primary key's columns, in key order; empty where there is none.
    pub key: Vec<u32>,
    /// What it and its columns were called before: two versions that look alike may have columns that came another way.
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub lineage: Lineage,
}

impl TableSchema {
    /// `database.table`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// The index of a column; names are compared exactly.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Shared, as batches hold it.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
