//! A column's type as a statement or `information_schema` writes it, and what a table map must say for it.
//!
//! Kept in one form for every way of writing it: aliases, display widths and ZEROFILL are gone, so that two equal types
//! are equal values.

use std::fmt;

use forebay_model::ColumnType;
use serde::{Deserialize, Serialize};

use super::charsets::widest;
use super::lex::{Lexer, Modes, Token};
use super::reader::{Reader, Unclear, unclear};
use crate::mysql::decode::GEOMETRIES;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SqlType {
    /// The server's own word, lower case.
    pub(crate) name: String,
    /// What stands in brackets, for the types that it means something for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unsigned: bool,
    /// Of ENUM and SET.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<String>,
}

/// What a type's words say about the column besides its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) charset: Option<String>,
    /// SERIAL.
    pub(super) not_null: bool,
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.is_listed() {
            let quoted: Vec<String> =
                self.members.iter().map(|m| format!("'{}'", m.replace('\'', "''"))).collect();
            write!(f, "({})", quoted.join(","))?;
        } else if !(self.args.is_empty() || self.is_temporal() && self.args == [0]) {
            let args: Vec<String> = self.args.iter().map(u32::to_string).collect();
            write!(f, "({})", args.join(","))?;
        }
        f.write_str(if self.unsigned { " unsigned" } else { "" })
    }
}

impl SqlType {
    pub(super) fn plain(name: &str) -> Self {
        SqlType { name: name.to_owned(), ..Default::default() }
    }

    /// From COLUMN_TYPE of `information_schema`.
    pub(crate) fn of_catalog(text: &str, modes: Modes) -> Result<Self, Unclear> {
        // whatever the session's mode, members are written with doubled quotes and with escapes
        let tokens: Vec<Token<'_>> = Lexer::new(text, Modes { sql_mode: 0, ..modes }).collect();
        let mut reader = Reader::new(&tokens);
        let (mut ty, _) = Self::read(&mut reader, modes)?;
        ty.unsigned |= reader.names_left().any(|w| matches!(w, "unsigned" | "zerofill"));
        Ok(ty)
    }

    /// From a statement; stops behind the type and its brackets.
    pub(super) fn read(at: &mut Reader<'_, '_>, modes: Modes) -> Result<(Self, Aside), Unclear> {
        let word = at.keyword();
        at.bump();
        let mut aside = Aside::default();
        let national = |aside: &mut Aside| aside.charset = Some("utf8mb3".into());
        let name = match word.as_str() {
            "tinyint" | "int1" | "bool" | "boolean" => "tinyint",
            "smallint" | "int2" => "smallint",
            "mediumint" | "int3" | "middleint" => "mediumint",
            "int" | "integer" | "int4" => "int",
            "bigint" | "int8" => "bigint",
            "serial" => {
                aside.not_null = true;
                return Ok((SqlType { unsigned: true, ..Self::plain("bigint") }, aside));
            }
            "float" | "float4" => "float",
            "real" if modes.real_is_float() => "float",
            "double" | "float8" | "real" => {
                at.eat("precision");
                "double"
            }
            "decimal" | "dec" | "numeric" | "fixed" => "decimal",
            "char" | "character" if at.eat("varying") => "varchar",
            "char" | "character" => "char",
            "nchar" => {
                national(&mut aside);
                if at.eat("varchar") || at.eat("varying") { "varchar" } else { "char" }
            }
            "national" => {
                national(&mut aside);
                let varchar = at.eat("varchar") || at.eat("varcharacter");
                let _ = varchar || at.eat("char") || at.eat("character");
                if varchar || at.eat("varying") { "varchar" } else { "char" }
            }
            "nvarchar" => {
                national(&mut aside);
                "varchar"
            }
            "varchar" | "varcharacter" => "varchar",
            "long" if at.eat("varbinary") => "mediumblob",
            "long" => {
                let _ = at.eat("varchar") || at.eat_all(&["char", "varying"]);
                "mediumtext"
            }
            "json" if modes.mariadb => {
                aside.charset = Some("utf8mb4".into());
                "longtext"
            }
            "geometrycollection" => "geomcollection",
            "bit" | "year" | "date" | "time" | "datetime" | "timestamp" | "binary" | "varbinary" => &word,
            "tinyblob" | "blob" | "mediumblob" | "longblob" => &word,
            "tinytext" | "text" | "mediumtext" | "longtext" => &word,
            "enum" | "set" | "json" | "vector" | "inet4" | "inet6" | "uuid" => &word,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geomcollection" => &word,
            _ => return unclear("a column's type is not known"),
        };
        let mut ty = Self::plain(name);
        if ty.is_listed() {
            ty.members = members(at)?;
            return Ok((ty, aside));
        }
        let args = if at.is_mark(b'(') { numbers(at)? } else { Vec::new() };
        let first = args.first().copied();
        ty.args = match name {
            "decimal" => vec![first.unwrap_or(10), args.get(1).copied().unwrap_or(0)],
            "char" | "binary" | "bit" => vec![first.unwrap_or(1)],
            "varchar" | "varbinary" => vec![first.unwrap_or(1)],
            "time" | "datetime" | "timestamp" => vec![first.unwrap_or(0)],
            // which of the four it is depends on the character set
            "text" | "blob" => first.into_iter().collect(),
            "float" if args.len() == 1 && first > Some(24) => {
                ty.name = "double".into();
                Vec::new()
            }
            _ => Vec::new(),
        };
        Ok((ty, aside))
    }

    /// What the decoder makes of a column of this type, once its character set is [settled](Self::settle).
    pub(super) fn column_type(&self) -> ColumnType {
        let arg = |n: usize| self.args.get(n).map_or(0, |&arg| u8::try_from(arg).unwrap_or(u8::MAX));
        let integer = |bits| ColumnType::Integer { bits, unsigned: self.unsigned };
        match self.name.as_str() {
            "tinyint" => integer(8),
            "smallint" => integer(16),
            "mediumint" => integer(24),
            "int" => integer(32),
            "bigint" => integer(64),
            "float" => ColumnType::Float,
            "double" => ColumnType::Double,
            "decimal" => ColumnType::Decimal { precision: arg(0), scale: arg(1) },
            "bit" => ColumnType::Bit { bits: arg(0) },
            "year" => ColumnType::Year,
            "date" => ColumnType::Date,
            "time" => ColumnType::Time { fsp: arg(0) },
            "datetime" => ColumnType::DateTime { fsp: arg(0) },
            "timestamp" => ColumnType::Timestamp { fsp: arg(0) },
            "enum" => ColumnType::Enum { members: self.members.clone() },
            "set" => ColumnType::Set { members: self.members.clone() },
            "json" => ColumnType::Json,
            "vector" => ColumnType::Vector,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnType::Binary,
            name if GEOMETRIES.contains(&name) => ColumnType::Geometry,
            // texts of all sizes, and what MariaDB writes as text: uuid, inet4, inet6
            _ => ColumnType::Text,
        }
    }

    fn is_listed(&self) -> bool {
        matches!(self.name.as_str(), "enum" | "set")
    }

    fn is_temporal(&self) -> bool {
        matches!(self.name.as_str(), "time" | "datetime" | "timestamp")
    }

    /// Whether values are text in some character set.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.name.as_str(), "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext")
    }

    /// Whether a character set belongs to the column.
    pub(super) fn has_charset(&self) -> bool {
        self.is_text() || self.is_listed()
    }

    /// The type in this character set: BINARY instead of CHAR for none, and TEXT(n) as large as it must be.
    pub(super) fn settle(&mut self, charset: Option<&str>) {
        if charset == Some("binary") && self.is_text() {
            self.name = match self.name.as_str() {
                "char" => "binary".into(),
                "varchar" => "varbinary".into(),
                other => other.replace("text", "blob"),
            };
        }
        let Some(&chars) = self.args.first() else { return };
        let (kind, wide) = match self.name.as_str() {
            "text" => ("text", widest(charset.unwrap_or("utf8mb4"))),
            "blob" => ("blob", 1),
            _ => return,
        };
        self.args.clear();
        self.name = sized(kind, u64::from(chars) * wide as u64);
    }

    /// Whether it is TEXT of some size.
    pub(super) fn is_large_text(&self) -> bool {
        matches!(self.name.as_str(), "tinytext" | "text" | "mediumtext" | "longtext")
    }

    /// The most characters that a text in this character set holds; `None` if it is no text.
    pub(super) fn most_chars(&self, charset: Option<&str>) -> Option<u64> {
        let bytes: u64 = match self.name.as_str() {
            "char" | "varchar" => return self.args.first().map(|&n| n.into()),
            "tinytext" => 0xff,
            "text" => 0xffff,
            "mediumtext" => 0xff_ffff,
            "longtext" | "json" => 0xffff_ffff,
            _ => return None,
        };
        Some(bytes / widest(charset.unwrap_or("utf8mb4")) as u64)
    }

    /// TEXT of the size that holds so many characters of this character set.
    pub(super) fn grow(&mut self, chars: u64, charset: &str) {
        self.name = sized("text", chars.saturating_mul(widest(charset) as u64));
        self.settle(Some(charset));
    }

    /// The type after CONVERT TO CHARACTER SET: as many characters must still fit.
    pub(super) fn convert(&mut self, from: Option<&str>, to: &str) {
        match self.most_chars(from) {
            // four times as much would be no more
            Some(chars) if self.is_large_text() && self.name != "longtext" => self.grow(chars, to),
            _ => self.settle(Some(to)),
        }
    }
}

/// The smallest of the four sizes of TEXT or BLOB that holds so many bytes.
fn sized(kind: &str, bytes: u64) -> String {
    let size = match bytes {
        0..=0xff => "tiny",
        0x100..=0xffff => "",
        0x1_0000..=0xff_ffff => "medium",
        _ => "long",
    };
    format!("{size}{kind}")
}

fn numbers(at: &mut Reader<'_, '_>) -> Result<Vec<u32>, Unclear> {
    let mut inside = at.brackets()?;
    let mut numbers = Vec::new();
    while let Some(token) = inside.bump() {
        match token {
            Token::Word(w) if numbers.len() < 2 => match w.parse() {
                Ok(n) => numbers.push(n),
                Err(_) => return unclear("a type's length is not a number"),
            },
            Token::Mark(b',') => {}
            _ => return unclear("a type's length is not a number"),
        }
    }
    Ok(numbers)
}

fn members(at: &mut Reader<'_, '_>) -> Result<Vec<String>, Unclear> {
    let mut inside = at.brackets()?;
    let mut members = Vec::new();
    while let Some(token) = inside.bump() {
        match token {
            // spaces at the end are not part of a member
            Token::Text(t) => members.push(t.trim_end_matches(' ').to_owned()),
            Token::Mark(b',') => {}
            _ => return unclear("a member of ENUM or SET is not a text"),
        }
    }
    Ok(members)
}
