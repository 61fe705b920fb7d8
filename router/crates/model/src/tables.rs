//! Which tables a source captures and a route wants.

use serde::{Deserialize, Serialize};
use wildmatch::WildMatchPattern;

use crate::VIRTUAL_DATABASE;

/// `database.table` with `*` (any characters) and `?` (one); names are compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TablePattern(String);

impl TablePattern {
    /// A pattern, or what is wrong with it.
    ///
    /// # Errors
    /// If it has no dot, or nothing on either side of the first one.
    pub fn new(pattern: &str) -> Result<Self, String> {
        match pattern.split_once('.') {
            Some((database, table)) if !database.is_empty() && !table.is_empty() => {
                Ok(TablePattern(pattern.to_owned()))
            }
            _ => Err(format!("`{pattern}` is not of the form database.table (with * and ? as wildcards)")),
        }
    }

    /// Whether it means this table. A virtual table is meant only by who names its database.
    pub fn matches(&self, database: &str, table: &str) -> bool {
        let (want_database, want_table) = self.0.split_once('.').unwrap_or((&self.0, "*"));
        if database == VIRTUAL_DATABASE && want_database != VIRTUAL_DATABASE {
            return false;
        }
        let glob = |pattern: &str, name: &str| WildMatchPattern::<'*', '?'>::new(pattern).matches(name);
        glob(want_database, database) && glob(want_table, table)
    }

    /// Whether it means tables that a source makes itself, such as `forebay.schema_changes`, and none of a server's.
    pub fn is_virtual(&self) -> bool {
        self.0.split_once('.').is_some_and(|(database, _)| database == crate::VIRTUAL_DATABASE)
    }

    /// Whether it has no wildcard: exactly one table.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TablePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
