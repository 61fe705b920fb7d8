//! Which tables exist now, and what they look like: for checks before anything is read. The binlog's own table maps say
//! what a table was when its rows were written, and they lead.

use std::sync::Arc;

use forebay_model::{Column, ColumnType, Fault, TableSchema};

use super::wire::{Conn, WireError};
use super::{Config, faults};

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

pub(crate) async fn read(conn: &mut Conn, config: &Config) -> Result<Vec<TableSchema>, WireError> {
    let columns = conn
        .query(
            "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, \
             COALESCE(c.NUMERIC_PRECISION, c.DATETIME_PRECISION, 0), COALESCE(c.NUMERIC_SCALE, 0) \
             FROM information_schema.COLUMNS c \
             JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME) \
             WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_SCHEMA NOT IN \
             ('information_schema', 'mysql', 'performance_schema', 'sys') \
             ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION",
        )
        .await?;
    let mut tables: Vec<TableSchema> = Vec::new();
    for row in columns.rows {
        let [
            Some(database),
            Some(table),
            Some(name),
            Some(data_type),
            Some(native),
            Some(nullable),
            precision,
            scale,
        ] = &row[..]
        else {
            continue;
        };
        if !config.captures(database, table) {
            continue;
        }
        let digits = |n: &Option<String>| n.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0);
        let column = Column {
            name: name.clone(),
            ty: column_type(data_type, native, digits(precision), digits(scale)),
            nullable: nullable == "YES",
            native: native.clone(),
        };
        match tables.last_mut() {
            Some(last) if last.database == *database && last.table == *table => last.columns.push(column),
            _ => tables.push(TableSchema {
                database: database.clone(),
                table: table.clone(),
                columns: vec![column],
                key: Vec::new(),
            }),
        }
    }
    let keys = conn
        .query(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE INDEX_NAME = 'PRIMARY' AND TABLE_SCHEMA NOT IN \
             ('information_schema', 'mysql', 'performance_schema', 'sys') \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX",
        )
        .await?;
    for row in keys.rows {
        let [Some(database), Some(table), Some(name)] = &row[..] else { continue };
        if let Some(t) = tables.iter_mut().find(|t| t.database == *database && t.table == *table)
            && let Some(at) = t.column(name)
        {
            t.key.push(at as u32);
        }
    }
    Ok(tables)
}

/// The type that information_schema describes. One that it does not know counts as bytes: a check before the fact should not
/// fail where the decoder, which knows more, will say it exactly.
fn column_type(data_type: &str, native: &str, precision: u8, scale: u8) -> ColumnType {
    let unsigned = native.contains("unsigned");
    let integer = |bits| ColumnType::Integer { bits, unsigned };
    match data_type {
        "tinyint" => integer(8),
        "smallint" => integer(16),
        "mediumint" => integer(24),
        "int" => integer(32),
        "bigint" => integer(64),
        "year" => ColumnType::Year,
        "float" => ColumnType::Float,
        "double" => ColumnType::Double,
        "decimal" => ColumnType::Decimal { precision, scale },
        "bit" => ColumnType::Bit { bits: precision },
        "date" => ColumnType::Date,
        "time" => ColumnType::Time { fsp: precision },
        "datetime" => ColumnType::DateTime { fsp: precision },
        "timestamp" => ColumnType::Timestamp { fsp: precision },
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => ColumnType::Text,
        // of MariaDB
        "inet4" | "inet6" | "uuid" => ColumnType::Text,
        "enum" => ColumnType::Enum { members: members(native) },
        "set" => ColumnType::Set { members: members(native) },
        "json" => ColumnType::Json,
        "vector" => ColumnType::Vector,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geomcollection" | "geometrycollection" => ColumnType::Geometry,
        _ => ColumnType::Binary,
    }
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
            (Some(text), c) => text.push(c),
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_server_spells_them() {
        assert_eq!(
            column_type("int", "int unsigned", 10, 0),
            ColumnType::Integer { bits: 32, unsigned: true }
        );
        assert_eq!(
            column_type("decimal", "decimal(12,2)", 12, 2),
            ColumnType::Decimal { precision: 12, scale: 2 }
        );
        assert_eq!(column_type("datetime", "datetime(3)", 3, 0), ColumnType::DateTime { fsp: 3 });
        let members = ["a", "it's", "b,c"].map(str::to_owned).to_vec();
        assert_eq!(column_type("enum", "enum('a','it''s','b,c')", 0, 0), ColumnType::Enum { members });
    }
}
