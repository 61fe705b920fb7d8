//! How a column's type and a table map's column meet.

use super::charsets::{of_number, widest};
use super::sqltype::SqlType;
use crate::mysql::binlog::{RawColumn, Special, types};
use crate::mysql::decode::{geometry_name, text_size};

impl SqlType {
    /// From a table map's column.
    pub(super) fn of_map(raw: &RawColumn) -> Self {
        use types::*;
        let [a, b] = raw.meta;
        let binary = raw.collation == Some(63);
        let chars = || {
            let wide = raw.collation.map_or(1, |c| widest(&of_number(c)));
            // with one more for how it is compressed
            let bytes = text_size(raw).0.saturating_sub(usize::from(raw.code == VARCHAR_COMPRESSED));
            vec![(bytes / wide) as u32]
        };
        if let Some(special) = raw.special {
            return Self::of_special(raw.code, special);
        }
        let (name, args): (&str, Vec<u32>) = match raw.code {
            TINY => ("tinyint", vec![]),
            SHORT => ("smallint", vec![]),
            INT24 => ("mediumint", vec![]),
            LONG => ("int", vec![]),
            LONGLONG => ("bigint", vec![]),
            FLOAT => ("float", vec![]),
            DOUBLE => ("double", vec![]),
            DECIMAL => ("decimal", vec![a.into(), b.into()]),
            YEAR => ("year", vec![]),
            DATE | NEWDATE => ("date", vec![]),
            TIME => ("time", vec![a.into()]),
            TIME_OLD => ("time", vec![0]),
            DATETIME_OLD => ("datetime", vec![0]),
            TIMESTAMP_OLD => ("timestamp", vec![0]),
            DATETIME => ("datetime", vec![a.into()]),
            TIMESTAMP => ("timestamp", vec![a.into()]),
            BIT => ("bit", vec![u32::from(b) * 8 + u32::from(a)]),
            ENUM => ("enum", vec![]),
            SET => ("set", vec![]),
            STRING => (if binary { "binary" } else { "char" }, chars()),
            VARCHAR | VARCHAR_COMPRESSED | VAR_STRING => {
                (if binary { "varbinary" } else { "varchar" }, chars())
            }
            TINY_BLOB..=BLOB | BLOB_COMPRESSED => {
                let names = if binary {
                    ["tinyblob", "blob", "mediumblob", "longblob"]
                } else {
                    ["tinytext", "text", "mediumtext", "longtext"]
                };
                (names[usize::from(a.saturating_sub(1).min(3))], vec![])
            }
            JSON => ("json", vec![]),
            VECTOR => ("vector", vec![]),
            GEOMETRY => (geometry_name(raw.geometry), vec![]),
            _ => ("unknown", vec![]),
        };
        let members = raw.members.iter().map(|m| String::from_utf8_lossy(m).into_owned()).collect();
        SqlType { name: name.to_owned(), args, unsigned: raw.unsigned, members }
    }

    /// With what decides whether rows of it fit: how long texts are in bytes, and by which character set.
    pub(super) fn said(&self, charset: Option<&str>) -> String {
        let bytes = |charset| self.args.first().map(|&chars| chars as usize * widest(charset));
        match (self.is_text(), charset) {
            (false, _) => self.to_string(),
            (true, None) => format!("{self} of an unknown character set"),
            (true, Some(charset)) => match bytes(charset) {
                Some(bytes) => format!("{self} of {charset}, {bytes} bytes,"),
                None => format!("{self} of {charset}"),
            },
        }
    }

    /// As [`said`](Self::said), of a table map's column.
    pub(super) fn said_of_map(raw: &RawColumn) -> String {
        let ty = Self::of_map(raw);
        match raw.collation {
            Some(collation) => ty.said(Some(&of_number(collation))),
            // bytes, and nothing says how many characters these are
            None if ty.is_text() && !ty.args.is_empty() => format!("{} of {} bytes", ty.name, ty.args[0]),
            None => ty.to_string(),
        }
    }

    fn of_special(code: u8, special: Special) -> Self {
        let (name, args) = match special {
            Special::Inet4 => ("inet4", vec![]),
            Special::Inet6 => ("inet6", vec![]),
            Special::Uuid => ("uuid", vec![]),
            Special::Old(digits) => match code {
                types::TIME_OLD => ("time", vec![digits.into()]),
                types::DATETIME_OLD => ("datetime", vec![digits.into()]),
                _ => ("timestamp", vec![digits.into()]),
            },
        };
        SqlType { args, ..Self::plain(name) }
    }

    /// What no table map shows of a column of this type, if its table map can be that of MariaDB's own types.
    pub(super) fn special(&self) -> Option<Special> {
        match self.name.as_str() {
            "inet4" => Some(Special::Inet4),
            "inet6" => Some(Special::Inet6),
            "uuid" => Some(Special::Uuid),
            "time" | "datetime" | "timestamp" => {
                Some(Special::Old(self.args.first().copied().unwrap_or(0).min(6) as u8))
            }
            _ => None,
        }
    }

    /// Whether rows of a column of this type, in this character set, are written as the table map says.
    pub(super) fn fits(&self, raw: &RawColumn, charset: Option<&str>, signedness: bool) -> bool {
        use types::*;
        let [a, b] = raw.meta;
        let arg = |n: usize| self.args.get(n).copied().unwrap_or(0);
        let number = |code: u8| raw.code == code && (!signedness || raw.unsigned == self.unsigned);
        let binary = raw.collation == Some(63);
        let text = |wanted: bool| raw.collation.is_none() || binary != wanted;
        let more = usize::from(raw.code == VARCHAR_COMPRESSED);
        let bytes = |wide: usize| text_size(raw).0 == arg(0) as usize * wide + more;
        // the table map leads about the character set: ours may be a guess
        let wide = || match (raw.collation, charset) {
            (Some(c), _) => widest(&of_number(c)),
            (None, Some(charset)) => widest(charset),
            (None, None) => 4,
        };
        let is_blob = (TINY_BLOB..=BLOB).contains(&raw.code) || raw.code == BLOB_COMPRESSED;
        let blob = |n: u8, wanted: bool| is_blob && a == n && text(wanted);
        // the old ones have no digits in the table map
        let time = |code: u8, old: u8| raw.code == code && u32::from(a) == arg(0) || raw.code == old;
        match self.name.as_str() {
            "tinyint" => number(TINY),
            "smallint" => number(SHORT),
            "mediumint" => number(INT24),
            "int" => number(LONG),
            "bigint" => number(LONGLONG),
            "float" => number(FLOAT),
            "double" => number(DOUBLE),
            "decimal" => number(DECIMAL) && [u32::from(a), u32::from(b)] == [arg(0), arg(1)],
            "year" => raw.code == YEAR,
            "date" => matches!(raw.code, DATE | NEWDATE),
            "time" => time(TIME, TIME_OLD),
            "datetime" => time(DATETIME, DATETIME_OLD),
            "timestamp" => time(TIMESTAMP, TIMESTAMP_OLD),
            "bit" => raw.code == BIT && u32::from(b) * 8 + u32::from(a) == arg(0),
            "enum" => raw.code == ENUM && usize::from(b) == if self.members.len() > 255 { 2 } else { 1 },
            "set" => {
                let size = self.members.len().div_ceil(8);
                raw.code == SET && usize::from(b) == if size > 4 { 8 } else { size }
            }
            "char" => raw.code == STRING && text(true) && bytes(wide()),
            "varchar" => {
                matches!(raw.code, VARCHAR | VARCHAR_COMPRESSED | VAR_STRING) && text(true) && bytes(wide())
            }
            "binary" => raw.code == STRING && text(false) && bytes(1),
            "varbinary" => {
                matches!(raw.code, VARCHAR | VARCHAR_COMPRESSED | VAR_STRING) && text(false) && bytes(1)
            }
            "inet4" => raw.code == STRING && text_size(raw).0 == 4,
            "inet6" | "uuid" => raw.code == STRING && text_size(raw).0 == 16,
            "tinyblob" => blob(1, false),
            "blob" => blob(2, false),
            "mediumblob" => blob(3, false),
            "longblob" => blob(4, false),
            "tinytext" => blob(1, true),
            "text" => blob(2, true),
            "mediumtext" => blob(3, true),
            "longtext" => blob(4, true),
            "json" => raw.code == JSON,
            "vector" => raw.code == VECTOR,
            _ => raw.code == GEOMETRY && raw.geometry.is_none_or(|_| Self::of_map(raw).name == self.name),
        }
    }
}
