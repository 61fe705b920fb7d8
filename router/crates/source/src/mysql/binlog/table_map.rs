//! Table maps: what the rows that follow look like.
//!
//! Everything that a table schema needs is here (with binlog_row_metadata=FULL), so that the schema is the one the rows
//! were written with, and not the one the table has by now.
//!
//! Format: `Table_map_event` of MySQL 9, with its optional metadata fields.

use forebay_model::Lineage;

use crate::mysql::cursor::{Cursor, Garbled};

/// Numbers of column types, `enum_field_types`.
pub(crate) mod types {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP_OLD: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME_OLD: u8 = 11;
    pub(crate) const DATETIME_OLD: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP: u8 = 17;
    pub(crate) const DATETIME: u8 = 18;
    pub(crate) const TIME: u8 = 19;
    /// MariaDB's compressed columns.
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const DECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// What MariaDB's table maps do not say of a column: they show these as bytes of fixed length, or as old times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Inet4,
    Inet6,
    Uuid,
    /// A time from before MySQL 5.6.4, with so many digits of a fraction.
    Old(u8),
}

/// A column as the table map describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawColumn {
    /// One of [`types`]; ENUM and SET are already told from STRING.
    pub(crate) code: u8,
    /// The type's own metadata, in the order of its bytes.
    pub(crate) meta: [u8; 2],
    pub(crate) nullable: bool,
    pub(crate) unsigned: bool,
    /// Collation of text, and of ENUM's and SET's members.
    pub(crate) collation: Option<u16>,
    pub(crate) name: String,
    /// Of ENUM and SET, in the collation's character set.
    pub(crate) members: Vec<Vec<u8>>,
    /// Of GEOMETRY: its subtype's number.
    pub(crate) geometry: Option<u64>,
    /// Told by the server, not by the table map.
    pub(crate) special: Option<Special>,
}

impl RawColumn {
    /// Whether it may be something else, of which the table map says nothing, if the server is MariaDB.
    pub(crate) fn may_be_special(&self) -> bool {
        [Special::Inet4, Special::Inet6, Special::Old(0)].into_iter().any(|s| self.may_be(s))
    }

    /// Whether it may be that.
    pub(crate) fn may_be(&self, special: Special) -> bool {
        let bytes = |n| self.code == types::STRING && self.collation == Some(63) && self.meta[1] == n;
        match special {
            Special::Inet4 => bytes(4),
            Special::Inet6 | Special::Uuid => bytes(16),
            Special::Old(_) => {
                matches!(self.code, types::TIMESTAMP_OLD | types::TIME_OLD | types::DATETIME_OLD)
            }
        }
    }
}

/// A table map, read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableMap {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<RawColumn>,
    /// Of the primary key, in its order.
    pub(crate) key: Vec<u32>,
    /// Whether columns have names: only with binlog_row_metadata=FULL.
    pub(crate) full: bool,
    /// Whether it says which numbers are unsigned (MariaDB may leave it out).
    pub(crate) signedness: bool,
    /// Columns behind the others that no SELECT shows, of 64 bits each: MariaDB keeps a hash in one for each UNIQUE key that is too long
    /// for an index. Where columns have no names, they are among [`columns`](Self::columns) until a version of the table
    /// tells them apart.
    pub(crate) hidden: usize,
    /// Whether MariaDB wrote it.
    pub(crate) mariadb: bool,
    /// What table and columns were called before; told by the history, not by the table map.
    pub(crate) lineage: Lineage,
}

/// Database and table, without reading the rest: most tables of a server may not be captured.
pub(crate) fn table_of(body: &[u8]) -> Result<(&str, &str), Garbled> {
    let mut at = Cursor::new(body);
    at.take(8)?;
    let database = name(&mut at)?;
    Ok((database, name(&mut at)?))
}

fn name<'a>(at: &mut Cursor<'a>) -> Result<&'a str, Garbled> {
    let n = at.u8()?;
    let name = std::str::from_utf8(at.take(usize::from(n))?).map_err(|_| Garbled)?;
    at.u8()?;
    Ok(name)
}

/// What the names of hidden columns begin with; a number follows.
const HASH: &str = "DB_ROW_HASH_";

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl RawColumn {
    /// Whether it may be a hidden one.
    pub(crate) fn may_be_hash(&self) -> bool {
        self.code == types::LONGLONG
    }
}

impl TableMap {
    /// Of MariaDB or of MySQL: they count differently which columns have a character set.
    pub(crate) fn parse(body: &[u8], mariadb: bool) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        at.take(8)?;
        let database = name(&mut at)?.to_owned();
        let table = name(&mut at)?.to_owned();
        let count = at.packed_len()?;
        // MySQL's limit of columns
        if count > 4096 {
            return Err(Garbled);
        }
        let codes = at.take(count)?;
        let mut meta = Cursor::new(at.packed_bytes()?);
        let nullable = at.take(count.div_ceil(8))?;
        let mut map = TableMap { database, table, mariadb, ..Default::default() };
        for (i, &code) in codes.iter().enumerate() {
            let nullable = nullable[i / 8] >> (i % 8) & 1 == 1;
            let mut column = RawColumn { code, nullable, ..Default::default() };
            column.meta = match meta_bytes(code) {
                0 => [0, 0],
                1 => [meta.u8()?, 0],
                _ => meta.array()?,
            };
            // ENUM and SET hide in STRING, whose other metadata byte is their size
            if code == types::STRING && matches!(column.meta[0], types::ENUM | types::SET) {
                column.code = column.meta[0];
            }
            map.columns.push(column);
        }
        map.optional(at, if mariadb { is_text_of_mariadb } else { is_text })?;
        if map.full && mariadb {
            let named = |column: &RawColumn| column.name.strip_prefix(HASH).is_some_and(is_number);
            let hashes = map.columns.iter().rev().take_while(|c| c.may_be_hash() && named(c)).count();
            map.hide(hashes);
        }
        Ok(map)
    }

    /// Takes the last columns for hidden ones.
    pub(crate) fn hide(&mut self, columns: usize) {
        self.columns.truncate(self.columns.len().saturating_sub(columns));
        self.hidden = columns;
    }

    /// The optional metadata: a type, a length and a value for each field.
    fn optional(&mut self, mut at: Cursor<'_>, is_text: fn(u8) -> bool) -> Result<(), Garbled> {
        while !at.is_empty() {
            let field = at.u8()?;
            let mut value = Cursor::new(at.packed_bytes()?);
            match field {
                1 => self.signedness(value)?,
                2 => self.default_charset(value, is_text)?,
                3 => self.column_charset(value, is_text)?,
                4 => {
                    for column in &mut self.columns {
                        column.name =
                            std::str::from_utf8(value.packed_bytes()?).map_err(|_| Garbled)?.to_owned();
                    }
                    self.full = true;
                }
                5 => self.members(value, types::SET)?,
                6 => self.members(value, types::ENUM)?,
                7 => {
                    for column in self.columns.iter_mut().filter(|c| c.code == types::GEOMETRY) {
                        column.geometry = Some(value.packed()?);
                    }
                }
                8 | 9 => {
                    while !value.is_empty() {
                        let column = value.packed_len()?;
                        if column >= self.columns.len() {
                            return Err(Garbled);
                        }
                        self.key.push(column as u32);
                        if field == 9 {
                            // how much of the column is in the key: the whole column identifies the row all the more
                            value.packed()?;
                        }
                    }
                }
                10 => self.default_charset(value, is_listed)?,
                11 => self.column_charset(value, is_listed)?,
                // visibility, vector dimensions, and what later versions add
                _ => {}
            }
        }
        Ok(())
    }

    fn signedness(&mut self, value: Cursor<'_>) -> Result<(), Garbled> {
        self.signedness = true;
        let bits = value.rest();
        let numeric = |c: &&mut RawColumn| is_numeric(c.code);
        for (i, column) in self.columns.iter_mut().filter(numeric).enumerate() {
            column.unsigned = bits.get(i / 8).ok_or(Garbled)? >> (7 - i % 8) & 1 == 1;
        }
        Ok(())
    }

    fn default_charset(&mut self, mut value: Cursor<'_>, of: fn(u8) -> bool) -> Result<(), Garbled> {
        let default = collation(&mut value)?;
        let mut columns: Vec<_> = self.columns.iter_mut().filter(|c| of(c.code)).collect();
        for column in &mut columns {
            column.collation = Some(default);
        }
        while !value.is_empty() {
            let at = value.packed_len()?;
            columns.get_mut(at).ok_or(Garbled)?.collation = Some(collation(&mut value)?);
        }
        Ok(())
    }

    fn column_charset(&mut self, mut value: Cursor<'_>, of: fn(u8) -> bool) -> Result<(), Garbled> {
        for column in self.columns.iter_mut().filter(|c| of(c.code)) {
            column.collation = Some(collation(&mut value)?);
        }
        Ok(())
    }

    fn members(&mut self, mut value: Cursor<'_>, code: u8) -> Result<(), Garbled> {
        for column in self.columns.iter_mut().filter(|c| c.code == code) {
            for _ in 0..value.packed_len()? {
                column.members.push(value.packed_bytes()?.to_vec());
            }
        }
        Ok(())
    }
}

fn collation(at: &mut Cursor<'_>) -> Result<u16, Garbled> {
    u16::try_from(at.packed()?).map_err(|_| Garbled)
}

/// How many bytes of metadata a type has.
fn meta_bytes(code: u8) -> usize {
    match code {
        types::BIT
        | types::VARCHAR
        | types::VARCHAR_COMPRESSED
        | types::DECIMAL
        | types::STRING
        | types::VAR_STRING => 2,
        types::ENUM | types::SET => 2,
        types::FLOAT | types::DOUBLE | types::TIME | types::DATETIME | types::TIMESTAMP => 1,
        types::BLOB_COMPRESSED => 1,
        types::TINY_BLOB..=types::BLOB | types::JSON | types::GEOMETRY | types::VECTOR => 1,
        _ => 0,
    }
}

/// Columns that the signedness field counts.
fn is_numeric(code: u8) -> bool {
    use types::*;
    matches!(code, TINY | SHORT | INT24 | LONG | LONGLONG | FLOAT | DOUBLE | DECIMAL | YEAR)
}

/// Columns that the charset fields count.
fn is_text(code: u8) -> bool {
    use types::*;
    matches!(
        code,
        VARCHAR | VAR_STRING | STRING | TINY_BLOB..=BLOB | VECTOR | BLOB_COMPRESSED | VARCHAR_COMPRESSED
    )
}

/// As [`is_text`], in MariaDB, where a geometry is a BLOB.
fn is_text_of_mariadb(code: u8) -> bool {
    is_text(code) || code == types::GEOMETRY
}

/// Columns that the fields about lists of members count.
fn is_listed(code: u8) -> bool {
    matches!(code, types::ENUM | types::SET)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL 9.7 writes it for `CREATE TABLE d.t (id INT UNSIGNED, c CHAR(4) CHARSET latin1, e ENUM('x','y'), v
    /// VARCHAR(9), y YEAR, s SET('p') CHARSET latin1, g POINT, n BIGINT, PRIMARY KEY (v(3), id))`, put together by hand.
    fn body() -> Vec<u8> {
        let mut body = b"\x63\0\0\0\0\0\x01\0\x01d\0\x01t\0".to_vec();
        body.extend_from_slice(&[8, 3, 254, 254, 15, 13, 254, 255, 8]);
        body.extend_from_slice(&[9, 254, 4, 247, 1, 36, 0, 248, 1, 4]);
        body.push(0b1111_0110);
        // signedness: id, y, n
        body.extend_from_slice(&[1, 1, 0b1100_0000]);
        // collations: 255 by default, the first text column has 8
        body.extend_from_slice(&[2, 5, 252, 255, 0, 0, 8]);
        body.extend_from_slice(b"\x04\x11\x02id\x01c\x01e\x01v\x01y\x01s\x01g\x01n");
        body.extend_from_slice(b"\x05\x03\x01\x01p");
        body.extend_from_slice(b"\x06\x05\x02\x01x\x01y");
        body.extend_from_slice(&[7, 1, 1]);
        body.extend_from_slice(&[9, 4, 3, 3, 0, 0]);
        // collations of members: 255, and 8
        body.extend_from_slice(&[11, 4, 252, 255, 0, 8]);
        // visibility, and a field of the future
        body.extend_from_slice(&[12, 1, 0xff, 99, 2, 1, 2]);
        body
    }

    #[test]
    fn everything_a_schema_needs() {
        let map = TableMap::parse(&body(), false).unwrap();
        assert_eq!((map.database.as_str(), map.table.as_str(), map.full), ("d", "t", true));
        let seen: Vec<_> =
            map.columns.iter().map(|c| (c.name.as_str(), c.code, c.unsigned, c.collation)).collect();
        assert_eq!(
            seen,
            [
                ("id", types::LONG, true, None),
                ("c", types::STRING, false, Some(8)),
                ("e", types::ENUM, false, Some(255)),
                ("v", types::VARCHAR, false, Some(255)),
                ("y", types::YEAR, true, None),
                ("s", types::SET, false, Some(8)),
                ("g", types::GEOMETRY, false, None),
                ("n", types::LONGLONG, false, None),
            ]
        );
        assert_eq!(map.columns[2].members, [b"x", b"y"]);
        assert_eq!(map.columns[5].members, [b"p"]);
        assert_eq!(map.columns[6].geometry, Some(1));
        assert_eq!(map.key, [3, 0]);
        let nullable: Vec<bool> = map.columns.iter().map(|c| c.nullable).collect();
        assert_eq!(nullable, [false, true, true, false, true, true, true, true]);
        assert_eq!(table_of(&body()), Ok(("d", "t")));
    }

    #[test]
    fn mariadb_counts_a_geometry_among_the_texts() {
        // as MariaDB 10.11 writes it for `CREATE TABLE x.m (a VARCHAR(4) CHARSET latin1, g POINT, u UUID, l VARCHAR(5))`
        let mut body =
            b"\x17\0\0\0\0\0\x01\0\x01x\0\x01m\0\x04\x0f\xff\xfe\x0f\x07\x04\0\x04\xfe\x10\x05\0\x0f"
                .to_vec();
        let plain = body.len();
        for charsets in
            [&[3, 4, 8, 63, 63, 45][..], &[2, 5, 45, 0, 8, 1, 63], &[2, 7, 45, 0, 8, 1, 63, 2, 63]]
        {
            body.truncate(plain);
            body.extend_from_slice(charsets);
            let map = TableMap::parse(&body, true).unwrap();
            let of = |at: usize| map.columns[at].collation;
            let third = if charsets.len() == 7 { Some(45) } else { Some(63) };
            assert_eq!([of(0), of(2), of(3)], [Some(8), third, Some(45)]);
        }
    }

    #[test]
    fn a_cut_table_map_is_an_error_or_shorter() {
        let body = body();
        for cut in 0..body.len() {
            if let Ok(map) = TableMap::parse(&body[..cut], false) {
                assert!(cut >= 32 && map.columns.len() == 8, "cut to {cut}");
            }
        }
    }

    #[test]
    fn keys_and_charsets_of_columns_that_are_not_there() {
        let mut body = b"\x63\0\0\0\0\0\x01\0\x01d\0\x01t\0\x01\x03\0\0".to_vec();
        let plain = body.len();
        assert!(TableMap::parse(&body, false).is_ok());
        for field in [&[8, 1, 1][..], &[2, 3, 8, 0, 9], &[4, 1, 5], &[1, 0]] {
            body.truncate(plain);
            body.extend_from_slice(field);
            assert_eq!(TableMap::parse(&body, false), Err(Garbled), "{field:?}");
        }
    }
}
