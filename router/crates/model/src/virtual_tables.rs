//! Tables that no server has: what a source tells of itself, in the form in which everything else travels.
//!
//! A row of such a table is an ordinary row image ([`Kind::Insert`](crate::Kind)), so the changelog, routes and sinks need
//! nothing new for it. A route gets one by naming it.

use std::sync::{Arc, LazyLock};

use crate::{Column, ColumnType, Lineage, TableSchema};

/// The database that the virtual tables are in. A database of this name on a server is a different one.
pub const VIRTUAL_DATABASE: &str = "forebay";

/// `forebay.schema_changes`: what changed about captured tables and when, where it lies in the order of changes; while one stands
/// aside, also about tables beside it, which may take its place.
///
/// `database`, `table`; `statement`, NULL where the change was seen in the rows' own table map and not as a statement;
/// `change`, what changed (`kind`: create, alter, rename, drop, truncate, and one each for partitions and tablespaces whose rows
/// come or go without events, such as drop_partition; columns added, dropped, renamed, retyped, moved; the key); `at`, when it
/// was committed.
pub fn schema_changes() -> &'static Arc<TableSchema> {
    static TABLE: LazyLock<Arc<TableSchema>> = LazyLock::new(|| {
        let text = ColumnType::Text;
        table(
            "schema_changes",
            vec![
                column("database", text.clone(), false, "longtext"),
                column("table", text.clone(), false, "longtext"),
                column("statement", text, true, "longtext"),
                column("change", ColumnType::Json, false, "json"),
                column("at", ColumnType::Timestamp { fsp: 6 }, false, "timestamp(6)"),
            ],
        )
    });
    &TABLE
}

/// `forebay.quarantine`: events of tables whose definition is not known, as the binlog has them.
///
/// `database`, `table`; `kind`, the rows event's type number; `table_map` and `rows`, the bodies of the table map and of the
/// rows event; `seconds`, the rows event's time, since 1970. The transaction is the one that the row is of.
pub fn quarantine() -> &'static Arc<TableSchema> {
    static TABLE: LazyLock<Arc<TableSchema>> = LazyLock::new(|| {
        table(
            "quarantine",
            vec![
                column("database", ColumnType::Text, false, "longtext"),
                column("table", ColumnType::Text, false, "longtext"),
                column("kind", ColumnType::Integer { bits: 8, unsigned: true }, false, "tinyint unsigned"),
                column("table_map", ColumnType::Binary, false, "longblob"),
                column("rows", ColumnType::Binary, false, "longblob"),
                column("seconds", ColumnType::Integer { bits: 32, unsigned: true }, false, "int unsigned"),
            ],
        )
    });
    &TABLE
}

fn table(name: &str, columns: Vec<Column>) -> Arc<TableSchema> {
    let (database, table) = (VIRTUAL_DATABASE.into(), name.into());
    TableSchema { database, table, columns, key: Vec::new(), lineage: Lineage::default() }.shared()
}

fn column(name: &str, ty: ColumnType, nullable: bool, native: &str) -> Column {
    Column { name: name.into(), ty, nullable, native: native.into() }
}
