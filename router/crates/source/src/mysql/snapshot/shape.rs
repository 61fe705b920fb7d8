//! What a snapshot must know of a table before it reads it: the columns to select, the key to page by, the plan to decode
//! by, and how to notice that any of it has changed.

use std::sync::Arc;

use forebay_model::{Fault, TableSchema};

use super::super::binlog::{RawColumn, TableMap, types};
use super::super::catalog::{Described, describe, literal, quoted};
use super::super::cursor::Garbled;
use super::super::decode::Plan;
use super::super::schema::VERSIONED;
use super::super::wire::{Conn, Rows, WireError};
use super::bound::Literal;
use super::wire::Wire;
use super::{Trouble, trouble};
use crate::codes;

/// The key that a table is paged by: its primary key, or else the unique key without NULLs that the server itself takes
/// for one.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The index.
    pub(super) index: String,
    /// Its columns' names, in its order.
    pub(super) names: Vec<String>,
    /// Their places in the table.
    pub(super) columns: Vec<usize>,
    pub(super) literals: Vec<Literal>,
    /// What is selected to have their values alone.
    pub(super) select: String,
    /// Name and type of each: a snapshot can go on as long as these are the same.
    pub(super) identity: Vec<String>,
}

impl Key {
    /// Whether it is one column of integers.
    pub(super) fn is_integer(&self, shape: &Shape) -> bool {
        matches!(self.columns[..], [at] if is_integer(&shape.map.columns[at]))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) table: Arc<TableSchema>,
    pub(super) map: TableMap,
    /// Decodes the images that [`Wire`] makes; its table is the one that the stream has.
    pub(super) plan: Arc<Plan>,
    pub(super) wires: Vec<Wire>,
    pub(super) key: Option<Key>,
    /// The columns, as they are selected.
    pub(super) select: String,
    /// The table, quoted.
    pub(super) from: String,
    /// Changes with every change of the table's columns.
    pub(super) fingerprint: String,
    /// Rows, as the server guesses.
    pub(super) estimate: u64,
    /// Bytes of a row, as the server guesses; 0 = it does not know.
    pub(super) row_bytes: u64,
}

impl Shape {
    /// Reads it.
    pub(super) async fn read(conn: &mut Conn, database: &str, table: &str) -> Result<Shape, Trouble> {
        let name = format!("{database}.{table}");
        let failed = |e| trouble(e, &name, "cannot read what the table looks like");
        // first: what changes while the rest is read is noticed at the first chunk
        let fingerprint = fingerprint(conn, database, table).await.map_err(failed)?;
        let described = describe(conn, Some((database, table))).await.map_err(failed)?;
        // names may be compared without case there
        let Some(described) =
            described.into_iter().find(|d| d.map.database == database && d.map.table == table)
        else {
            return Err(Trouble::Gone);
        };
        let from = format!("{}.{}", quoted(database), quoted(table));
        let keys =
            conn.query(&format!("SHOW KEYS FROM {from} WHERE Non_unique = 0")).await.map_err(failed)?;
        let sizes = conn
            .query(&format!(
                "SELECT TABLE_ROWS, AVG_ROW_LENGTH, TABLE_TYPE FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                literal(database),
                literal(table)
            ))
            .await
            .map_err(failed)?;
        if sizes.first("TABLE_TYPE") == Some("SYSTEM VERSIONED") {
            return Err(Fault::new(codes::SYSTEM_VERSIONED, format!("{name} cannot be read: {VERSIONED}"))
                .fix("ALTER TABLE ... DROP SYSTEM VERSIONING, or leave the table out of the source")
                .into());
        }
        let size = |name| sizes.first(name).and_then(|n| n.parse().ok()).unwrap_or(0);
        let key = key(&keys, &described);
        let Described { map, .. } = described;
        let table = Plan::new(&map)?.table.clone();
        let mut images = TableMap { columns: Vec::with_capacity(map.columns.len()), ..map.clone() };
        let mut wires = Vec::with_capacity(map.columns.len());
        for raw in &map.columns {
            let (wire, image) = Wire::of(raw).ok_or_else(|| {
                Fault::new(
                    codes::COLUMN_TYPE,
                    format!("{name}, column {}: its type cannot be read", raw.name),
                )
            })?;
            wires.push(wire);
            images.columns.push(image);
        }
        let mut plan = Plan::new(&images)?;
        plan.table = table.clone();
        let select = map.columns.iter().map(selected).collect::<Vec<_>>().join(", ");
        Ok(Shape {
            table,
            map,
            plan: Arc::new(plan),
            wires,
            key,
            select,
            from,
            fingerprint,
            estimate: size("TABLE_ROWS"),
            row_bytes: size("AVG_ROW_LENGTH"),
        })
    }

    /// Whether the table is still there, and what it was.
    pub(super) async fn is_current(&self, conn: &mut Conn) -> Result<bool, Trouble> {
        let name = self.table.full_name();
        let now = fingerprint(conn, &self.table.database, &self.table.table)
            .await
            .map_err(|e| trouble(e, &name, "cannot read what the table looks like"))?;
        Ok(now == self.fingerprint)
    }

    /// The bound that lies at the key values of a row.
    pub(super) fn bound(&self, key: &Key, values: &[Vec<u8>]) -> Result<Vec<String>, Trouble> {
        let bound: Result<Vec<String>, Garbled> =
            key.literals.iter().zip(values).map(|(literal, value)| literal.write(value)).collect();
        bound.map_err(|Garbled| no_bound(&self.table.full_name()).into())
    }
}

pub(super) fn no_bound(name: &str) -> Fault {
    Fault::new(codes::SNAPSHOT_BOUND, format!("{name}: a key's value cannot be said to the server again"))
        .fix("mend the key's text: it holds bytes that mean nothing in its character set")
}

async fn fingerprint(conn: &mut Conn, database: &str, table: &str) -> Result<String, WireError> {
    let rows = conn
        .query(&format!(
            "SELECT COUNT(*) n, COALESCE(BIT_XOR(CRC32(CONCAT_WS('/', ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, \
             IS_NULLABLE, COALESCE(COLLATION_NAME, '-'), COLUMN_KEY = 'PRI'))), 0) c \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            literal(database),
            literal(table)
        ))
        .await?;
    let part = |name| rows.first(name).unwrap_or("0");
    Ok(format!("{} {}", part("n"), part("c")))
}

fn is_integer(raw: &RawColumn) -> bool {
    matches!(raw.code, types::TINY | types::SHORT | types::INT24 | types::LONG | types::LONGLONG)
}

/// A column as it is selected: ENUM and SET by their numbers, as BIGINT (which MariaDB makes of a cast only if it must).
fn selected(raw: &RawColumn) -> String {
    let name = quoted(&raw.name);
    if matches!(raw.code, types::ENUM | types::SET) { format!("CAST({name} AS UNSIGNED) | 0") } else { name }
}

/// The first index that will do, in the server's own order: the primary key, then unique keys without NULLs.
fn key(keys: &Rows, table: &Described) -> Option<Key> {
    let place = |name: &str| keys.names.iter().position(|n| n.eq_ignore_ascii_case(name));
    let [index, column, part, null] = ["Key_name", "Column_name", "Sub_part", "Null"].map(place);
    let text = |row: &[Option<String>], at: Option<usize>| at.and_then(|at| row.get(at)?.clone());
    let hidden = |row: &[Option<String>]| {
        text(row, place("Visible")).as_deref() == Some("NO")
            || text(row, place("Ignored")).as_deref() == Some("YES")
            // MariaDB's, of texts of any length: it has no order
            || text(row, place("Index_type")).as_deref() == Some("HASH")
    };
    let mut names: Vec<String> = keys.rows.iter().filter_map(|r| text(r, index)).collect();
    names.dedup();
    names.into_iter().find_map(|name| {
        let parts: Vec<_> = keys.rows.iter().filter(|r| text(r, index).as_ref() == Some(&name)).collect();
        let primary = name == "PRIMARY";
        let fit = |r: &[Option<String>]| {
            let nullable = text(r, null).as_deref() == Some("YES");
            !nullable && !hidden(r) && (primary || text(r, part).is_none())
        };
        if !parts.iter().all(|r| fit(r)) {
            return None;
        }
        let columns: Option<Vec<usize>> = parts
            .iter()
            // a part that is an expression has no column
            .map(|r| table.map.columns.iter().position(|c| Some(&c.name) == text(r, column).as_ref()))
            .collect();
        let columns = columns?;
        let literals: Option<Vec<Literal>> = columns
            .iter()
            .map(|&at| Literal::of(&table.map.columns[at], table.charsets[at].as_deref()))
            .collect();
        let raws = || columns.iter().map(|&at| &table.map.columns[at]);
        let identity =
            // `TableNote::key_columns` takes the names out of it
            raws().map(|raw| format!("{} {} {:?} {:?}", raw.name, raw.code, raw.meta, raw.collation));
        Some(Key {
            index: name.clone(),
            names: raws().map(|raw| raw.name.clone()).collect(),
            literals: literals?,
            select: raws().map(selected).collect::<Vec<_>>().join(", "),
            identity: identity.collect(),
            columns,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[[&str; 5]]) -> Rows {
        let names = ["Key_name", "Column_name", "Sub_part", "Null", "Visible"].map(str::to_owned).to_vec();
        let cell = |c: &&str| (*c != "-").then(|| (*c).to_owned());
        Rows { names, rows: lines.iter().map(|l| l.iter().map(cell).collect()).collect() }
    }

    fn table() -> Described {
        let column = |name: &str, code| RawColumn { name: name.into(), code, ..Default::default() };
        let columns = vec![column("a", types::LONG), column("b", types::VARCHAR), column("e", types::ENUM)];
        let map =
            TableMap { database: "d".into(), table: "t".into(), columns, full: true, ..Default::default() };
        Described { map, charsets: vec![None, Some("latin1".into()), Some("latin1".into())] }
    }

    #[test]
    fn the_first_key_without_nulls_is_taken() {
        let chosen =
            |lines: &[[&str; 5]]| key(&rows(lines), &table()).map(|k| (k.index, k.columns, k.select));
        let primary = [["PRIMARY", "b", "3", "", "YES"], ["PRIMARY", "a", "-", "", "YES"]];
        assert_eq!(chosen(&primary), Some(("PRIMARY".into(), vec![1, 0], "`b`, `a`".into())));
        let unique = [
            ["null", "a", "-", "YES", "YES"],
            ["part", "b", "3", "", "YES"],
            ["hidden", "a", "-", "", "NO"],
            ["expression", "-", "-", "", "YES"],
            ["good", "e", "-", "", "YES"],
        ];
        assert_eq!(chosen(&unique), Some(("good".into(), vec![2], "CAST(`e` AS UNSIGNED) | 0".into())));
        assert_eq!(chosen(&unique[..4]), None);
        assert_eq!(chosen(&[]), None);
    }
}
