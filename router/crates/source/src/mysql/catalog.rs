//! Which tables exist now, and what they look like: for checks before anything is read, and for snapshots. The binlog's
//! own table maps say what a table was when its rows were written, and they lead.
//!
//! A table is described in the binlog's own words, as the table map that the server would write for it. Its schema is made
//! from that by the decoder's own plan, so that a table has the same schema here, by stream and by snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use forebay_model::{Column, ColumnType, Fault, TableSchema};

use super::binlog::{RawColumn, Special, TableMap, types};
use super::decode::{GEOMETRIES, Plan};
use super::wire::{Conn, Flavour, Rows, WireError};
use super::{Config, faults};

/// utf8mb4_general_ci: what information_schema's own texts are read in.
const UTF8: u16 = 45;
/// The collation of bytes.
const BINARY: u16 = 63;

/// A table as information_schema has it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The table map that the server would write now.
    pub(crate) map: TableMap,
    /// The character set of each column that has one.
    pub(crate) charsets: Vec<Option<String>>,
}

/// The captured tables that exist now and that the account may see.
///
/// # Errors
/// If the server cannot be reached or refuses.
pub async fn catalog(config: &Config) -> Result<Vec<Arc<TableSchema>>, Fault> {
    let mut conn = Conn::open(config).await?;
    let tables =
        read(&mut conn, config).await.map_err(|e| faults::wire(e, "cannot read information_schema"))?;
    conn.quit().await;
    Ok(tables.into_iter().map(Arc::new).collect())
}

/// The names of the captured tables that exist now and that the account may see.
pub(crate) async fn names(config: &Config) -> Result<Vec<(String, String)>, Fault> {
    let mut conn = Conn::open(config).await?;
    let sql = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
               WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
               AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";
    let rows = conn.query(sql).await.map_err(|e| faults::wire(e, "cannot read information_schema"))?;
    conn.quit().await;
    let names = rows.rows.into_iter().filter_map(|row| <[Option<String>; 2]>::try_from(row).ok());
    let names = names.filter_map(|[database, table]| Some((database?, table?)));
    Ok(names.filter(|(database, table)| config.captures(database, table)).collect())
}

/// As [`catalog`], on a connection.
pub(crate) async fn read(conn: &mut Conn, config: &Config) -> Result<Vec<TableSchema>, WireError> {
    let tables = describe(conn, None).await?;
    Ok(tables.iter().filter(|t| config.captures(&t.map.database, &t.map.table)).map(schema).collect())
}

/// Describes all tables that the account may see, or one.
pub(crate) async fn describe(
    conn: &mut Conn,
    only: Option<(&str, &str)>,
) -> Result<Vec<Described>, WireError> {
    // some of MariaDB's collations have a number only together with a character set
    let collations = conn
        .query(match conn.server.flavour {
            Flavour::MySql => "SELECT COLLATION_NAME, ID FROM information_schema.COLLATIONS",
            Flavour::MariaDb => {
                "SELECT FULL_COLLATION_NAME, ID FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
            }
        })
        .await?;
    let collations: HashMap<&str, u16> = collations
        .rows
        .iter()
        .filter_map(|row| match &row[..] {
            [Some(name), Some(id)] => Some((name.as_str(), id.parse().ok()?)),
            _ => None,
        })
        .collect();
    let wanted = match only {
        Some((database, table)) => {
            format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(database), literal(table))
        }
        None => "TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')".to_owned(),
    };
    // no join: MariaDB 10.11 may die of one of these two tables
    let views = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_TYPE NOT IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {wanted}"
        ))
        .await?;
    let views: HashSet<(&str, &str)> = (views.rows.iter())
        .filter_map(|row| match &row[..] {
            [Some(database), Some(table)] => Some((database.as_str(), table.as_str())),
            _ => None,
        })
        .collect();
    let columns = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, \
             NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_OCTET_LENGTH, \
             CHARACTER_SET_NAME, COLLATION_NAME, {EXPRESSION} \
             FROM information_schema.COLUMNS \
             WHERE {wanted} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    let mut tables: Vec<Described> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    let mut computed = Vec::new();
    for row in &columns.rows {
        let Some((expression, row)) = row.split_last() else { continue };
        let Some((database, table, column, charset)) = raw_column(row, &collations) else { continue };
        if views.contains(&(database, table)) {
            continue;
        }
        let at = *places.entry((database.to_owned(), table.to_owned())).or_insert_with(|| {
            let (database, table) = (database.to_owned(), table.to_owned());
            let map = TableMap { database, table, full: true, ..Default::default() };
            tables.push(Described { map, charsets: Vec::new() });
            tables.len() - 1
        });
        if let Some(expression) = expression.as_deref().filter(|expression| !expression.is_empty()) {
            computed.push((at, column.name.clone(), expression));
        }
        tables[at].map.columns.push(column);
        tables[at].charsets.push(charset);
    }
    for (at, column, expression) in computed {
        let map = &mut tables[at].map;
        let others = map.columns.iter().map(|c| c.name.as_str()).filter(|name| *name != column);
        let from = named_in(expression, others);
        map.lineage.compute(&column, &from);
    }
    let keys = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE INDEX_NAME = 'PRIMARY' AND {wanted} ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX"
        ))
        .await?;
    add_keys(keys, &mut tables, &places);
    Ok(tables)
}

fn add_keys(keys: Rows, tables: &mut [Described], places: &HashMap<(String, String), usize>) {
    for row in keys.rows {
        let [Some(database), Some(table), Some(name)] = &row[..] else { continue };
        if let Some(&at) = places.get(&(database.clone(), table.clone()))
            && let Some(column) = tables[at].map.columns.iter().position(|c| c.name == *name)
        {
            tables[at].map.key.push(column as u32);
        }
    }
}

/// The schema that rows of the table have.
pub(crate) fn schema(table: &Described) -> TableSchema {
    if let Ok(plan) = Plan::new(&table.map) {
        return TableSchema::clone(&plan.table);
    }
    // some column cannot be read: a check before the fact shows it as bytes, the decoder will say it exactly
    let column = |raw: &RawColumn| {
        let alone = TableMap { columns: vec![raw.clone()], key: Vec::new(), ..table.map.clone() };
        let read = Plan::new(&alone).ok().and_then(|plan| plan.table.columns.first().cloned());
        let unknown = || Column {
            ty: ColumnType::Binary,
            nullable: raw.nullable,
            name: raw.name.clone(),
            native: "unknown".into(),
        };
        read.unwrap_or_else(unknown)
    };
    TableSchema {
        database: table.map.database.clone(),
        table: table.map.table.clone(),
        columns: table.map.columns.iter().map(column).collect(),
        key: table.map.key.clone(),
        lineage: table.map.lineage.clone(),
    }
}

/// A text as a literal that means the same under any sql_mode.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::from("_utf8mb4 x'");
    push_hex(text.as_bytes(), &mut out);
    out.push('\'');
    out
}

/// A name as an identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Of information_schema.COLUMNS: what the server computes a column, or its default, from. MySQL tells plain defaults as they are, and
/// marks the others.
pub(crate) const EXPRESSION: &str = "CONCAT_WS(' ', NULLIF(GENERATION_EXPRESSION, ''), \
     IF(VERSION() LIKE '%MariaDB%' OR EXTRA LIKE '%DEFAULT_GENERATED%', COLUMN_DEFAULT, NULL))";

/// Whether an expression is one text in quotes: such are the plain defaults that MariaDB tells.
fn is_constant(expression: &str) -> bool {
    let Some(mut rest) = expression.strip_prefix('\'') else { return false };
    while let Some(at) = rest.find(['\'', '\\']) {
        let behind = &rest[at + 1..];
        let escapes = rest[at..].starts_with('\\') || behind.starts_with('\'');
        match behind.chars().next().filter(|_| escapes) {
            Some(taken) => rest = &behind[taken.len_utf8()..],
            None => return behind.is_empty() && rest[at..].starts_with('\''),
        }
    }
    false
}

/// Which of these columns an expression names that information_schema tells: it quotes them. A text may seem to name one, too.
pub(crate) fn named_in<'a>(expression: &str, columns: impl Iterator<Item = &'a str>) -> Vec<String> {
    if is_constant(expression) {
        return Vec::new();
    }
    let expression = expression.to_lowercase();
    let ansi = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let is_named = |name: &&str| {
        [quoted(name), ansi(name)].iter().any(|quoted| expression.contains(&quoted.to_lowercase()))
    };
    columns.filter(is_named).map(str::to_owned).collect()
}

/// Appends bytes in hexadecimal.
pub(crate) fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

/// Database, table, the column as a table map would have it, and its character set.
fn raw_column<'a>(
    row: &'a [Option<String>],
    collations: &HashMap<&str, u16>,
) -> Option<(&'a str, &'a str, RawColumn, Option<String>)> {
    let [
        Some(database),
        Some(table),
        Some(name),
        Some(data_type),
        Some(native),
        Some(nullable),
        precision,
        scale,
        fraction,
        bytes,
        charset,
        collation,
    ] = row
    else {
        return None;
    };
    let number = |n: &Option<String>| n.as_deref().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let small = |n: &Option<String>| u8::try_from(number(n)).unwrap_or(u8::MAX);
    let collation = collation.as_deref().map(|c| collations.get(c).copied().unwrap_or(UTF8));
    let mut column = RawColumn {
        name: name.clone(),
        nullable: nullable == "YES",
        unsigned: native.contains("unsigned") || data_type == "year",
        ..Default::default()
    };
    let text = |code: u8, [a, b]: [u8; 2]| (code, [a, b], Some(collation.unwrap_or(BINARY)));
    let [low, high, ..] = number(bytes).to_le_bytes();
    let (code, meta, collation) = match data_type.as_str() {
        "tinyint" => (types::TINY, [0, 0], None),
        "smallint" => (types::SHORT, [0, 0], None),
        "mediumint" => (types::INT24, [0, 0], None),
        "int" => (types::LONG, [0, 0], None),
        "bigint" => (types::LONGLONG, [0, 0], None),
        "year" => (types::YEAR, [0, 0], None),
        "float" => (types::FLOAT, [4, 0], None),
        "double" => (types::DOUBLE, [8, 0], None),
        "decimal" => (types::DECIMAL, [small(precision), small(scale)], None),
        "bit" => (types::BIT, [small(precision) % 8, small(precision) / 8], None),
        "date" => (types::DATE, [0, 0], None),
        "time" => (types::TIME, [small(fraction), 0], None),
        "datetime" => (types::DATETIME, [small(fraction), 0], None),
        "timestamp" => (types::TIMESTAMP, [small(fraction), 0], None),
        // two bits of the length hide, turned, in the type
        "char" | "binary" => text(types::STRING, [types::STRING ^ (high & 3) << 4, low]),
        "varchar" | "varbinary" => text(types::VARCHAR, [low, high]),
        "tinytext" | "tinyblob" => text(types::BLOB, [1, 0]),
        "text" | "blob" => text(types::BLOB, [2, 0]),
        "mediumtext" | "mediumblob" => text(types::BLOB, [3, 0]),
        "longtext" | "longblob" => text(types::BLOB, [4, 0]),
        "enum" | "set" => {
            column.members = members(native).into_iter().map(String::into_bytes).collect();
            let n = column.members.len();
            // the members are read as UTF-8 here, whatever the column's character set
            match data_type.as_str() {
                "enum" => (types::ENUM, [types::ENUM, if n > 255 { 2 } else { 1 }], Some(UTF8)),
                _ => {
                    let size = n.div_ceil(8);
                    (types::SET, [types::SET, if size > 4 { 8 } else { size as u8 }], Some(UTF8))
                }
            }
        }
        "json" => (types::JSON, [4, 0], None),
        "vector" => (types::VECTOR, [4, 0], Some(BINARY)),
        // of MariaDB: its table maps show bytes of fixed length
        "inet4" | "inet6" | "uuid" => {
            let (n, special) = match data_type.as_str() {
                "inet4" => (4, Special::Inet4),
                "inet6" => (16, Special::Inet6),
                _ => (16, Special::Uuid),
            };
            column.special = Some(special);
            (types::STRING, [types::STRING, n], Some(BINARY))
        }
        other => match GEOMETRIES.iter().position(|g| *g == other) {
            Some(subtype) => {
                column.geometry = Some(subtype.min(7) as u64);
                (types::GEOMETRY, [4, 0], None)
            }
            // a type that is not known: the plan refuses it
            None => (0, [0, 0], None),
        },
    };
    (column.code, column.meta, column.collation) = (code, meta, collation);
    Some((database, table, column, charset.clone()))
}

/// The members of `enum('a','it''s')`.
fn members(native: &str) -> Vec<String> {
    let inside = native.split_once('(').map_or("", |(_, rest)| rest);
    let mut members = Vec::new();
    let mut current: Option<String> = None;
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        match (&mut current, c) {
            (None, '\'') => current = Some(String::new()),
            (None, _) => {}
            (Some(text), '\'') if chars.peek() == Some(&'\'') => {
                chars.next();
                text.push('\'');
            }
            (Some(_), '\'') => members.extend(current.take()),
            // the server writes these four so, under any sql_mode
            (Some(text), '\\') => match chars.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                other => text.extend(other),
            },
            (Some(text), c) => text.push(c),
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str, native: &str, numbers: [&str; 4], collation: Option<&str>) -> Column {
        let some = |s: &str| Some(s.to_owned());
        let mut row = vec![some("d"), some("t"), some("c"), some(data_type), some(native), some("YES")];
        row.extend(numbers.iter().map(|n| if n.is_empty() { None } else { some(n) }));
        row.extend([None, collation.map(str::to_owned)]);
        let collations = HashMap::from([("latin1_swedish_ci", 8), ("utf8mb4_0900_ai_ci", 255)]);
        let (_, _, raw, charset) = raw_column(&row, &collations).unwrap();
        let map = TableMap {
            database: "d".into(),
            table: "t".into(),
            columns: vec![raw],
            full: true,
            ..Default::default()
        };
        schema(&Described { map, charsets: vec![charset] }).columns.remove(0)
    }

    #[test]
    fn types_are_read_as_the_server_spells_them() {
        let read = |data_type, native, numbers, collation| {
            let column = column(data_type, native, numbers, collation);
            (column.ty, column.native)
        };
        assert_eq!(
            read("int", "int unsigned", ["10", "0", "", ""], None),
            (ColumnType::Integer { bits: 32, unsigned: true }, "int unsigned".into())
        );
        assert_eq!(
            read("decimal", "decimal(12,2)", ["12", "2", "", ""], None),
            (ColumnType::Decimal { precision: 12, scale: 2 }, "decimal(12,2)".into())
        );
        assert_eq!(
            read("datetime", "datetime(3)", ["", "", "3", ""], None),
            (ColumnType::DateTime { fsp: 3 }, "datetime(3)".into())
        );
        assert_eq!(
            read("char", "char(255)", ["", "", "", "1020"], Some("utf8mb4_0900_ai_ci")),
            (ColumnType::Text, "char(255)".into())
        );
        assert_eq!(
            read("varchar", "varchar(300)", ["", "", "", "300"], Some("latin1_swedish_ci")),
            (ColumnType::Text, "varchar(300)".into())
        );
        assert_eq!(
            read("binary", "binary(4)", ["", "", "", "4"], None),
            (ColumnType::Binary, "binary(4)".into())
        );
        assert_eq!(
            read("bit", "bit(12)", ["12", "", "", ""], None),
            (ColumnType::Bit { bits: 12 }, "bit(12)".into())
        );
        assert_eq!(read("uuid", "uuid", ["", "", "", ""], None), (ColumnType::Text, "uuid".into()));
        assert_eq!(read("inet4", "inet4", ["", "", "", ""], None), (ColumnType::Text, "inet4".into()));
        assert_eq!(read("odd", "odd", ["", "", "", ""], None).0, ColumnType::Binary);
    }

    #[test]
    fn members_are_read_with_their_quotes_and_escapes() {
        assert_eq!(members("enum('a','it''s','b,c','d\\\\e\\n)')"), ["a", "it's", "b,c", "d\\e\n)"]);
        assert_eq!(members("set('')"), [""]);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(literal("a'é"), "_utf8mb4 x'6127c3a9'");
        assert_eq!(quoted("a`b"), "`a``b`");
        let named = |expression| named_in(expression, ["a`b", "Email", "mail"].into_iter());
        assert_eq!(named("concat(lower(`email`),_utf8mb4\\'-\\',`a``b`)"), ["a`b", "Email"]);
        assert_eq!(named("lcase(\"mail\")"), ["mail"]);
        assert!(named("mail").is_empty());
        for constant in ["''", "'{\"mail\": true}'", "'it''s `mail`'", r"'a\'`mail`\\'"] {
            assert!(is_constant(constant), "{constant}");
        }
        for other in
            ["", "`mail`", "'a' + `mail`", "'a''' + `mail` + 'b'", r"'\\' + `mail`", "'", r"'\'", r"'\"]
        {
            assert!(!is_constant(other), "{other}");
        }
    }
}
