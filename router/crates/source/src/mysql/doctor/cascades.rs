//! Foreign keys that change rows of captured tables by themselves, as far as the account can know.

use std::collections::BTreeSet;

use super::quoted;
use crate::mysql::Config;
use crate::mysql::schema::referential_actions;
use crate::mysql::wire::{Conn, WireError};

/// A foreign key that changes rows of a captured table.
#[derive(Clone, Debug)]
pub(super) struct Cascade {
    pub(super) database: String,
    pub(super) table: String,
    /// Such as `ON DELETE CASCADE`.
    pub(super) rules: String,
}

/// The table is gone meanwhile.
const NO_SUCH_TABLE: u16 = 1146;

/// Asks for the foreign keys of captured tables, and what each does. MariaDB shows REFERENTIAL_CONSTRAINTS to nobody who has SELECT
/// alone, but to them too which columns refer to others, and each table's statement.
pub(super) async fn ask(conn: &mut Conn, config: &Config) -> Result<Vec<Cascade>, WireError> {
    let rows = conn
        .query(
            "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE \
             WHERE REFERENCED_TABLE_NAME IS NOT NULL",
        )
        .await?;
    let mut tables = BTreeSet::new();
    for row in rows.rows {
        if let [Some(database), Some(table)] = &row[..]
            && config.captures(database, table)
        {
            tables.insert((database.clone(), table.clone()));
        }
    }
    let mut cascades = Vec::new();
    for (database, table) in tables {
        let shown = conn.query(&format!("SHOW CREATE TABLE {}.{}", quoted(&database), quoted(&table))).await;
        let rules = match shown {
            Ok(rows) => referential_actions(rows.first("Create Table").unwrap_or_default()),
            Err(WireError::Server { code: NO_SUCH_TABLE, .. }) => continue,
            // no privilege for it
            Err(WireError::Server { .. }) => {
                vec!["a foreign key whose rules the account may not see".to_owned()]
            }
            Err(e) => return Err(e),
        };
        for rules in rules {
            cascades.push(Cascade { database: database.clone(), table: table.clone(), rules });
        }
    }
    Ok(cascades)
}
