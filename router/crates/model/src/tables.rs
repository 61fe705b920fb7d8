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

/// Columns, as `database.table.column` with `*` (any characters) and `?` (one). As MySQL compares them, columns' names are the
/// same in capitals and in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnPattern(String);

impl ColumnPattern {
    /// A pattern, or what is wrong with it.
    ///
    /// # Errors
    /// If it has no three parts.
    pub fn new(pattern: &str) -> Result<Self, String> {
        match parts(pattern) {
            Some([database, table, column]) if ![database, table, column].iter().any(|p| p.is_empty()) => {
                Ok(ColumnPattern(pattern.to_owned()))
            }
            _ => Err(format!(
                "`{pattern}` is not of the form database.table.column (with * and ? as wildcards)"
            )),
        }
    }

    /// Whether it means this column. Columns of virtual tables are meant only by who names their database.
    pub fn matches(&self, database: &str, table: &str, column: &str) -> bool {
        let Some([_, _, want]) = parts(&self.0) else { return false };
        self.table().is_some_and(|pattern| pattern.matches(database, table))
            && WildMatchPattern::<'*', '?'>::new(&want.to_lowercase()).matches(&column.to_lowercase())
    }

    /// The tables that its columns are in.
    pub fn table(&self) -> Option<TablePattern> {
        parts(&self.0).map(|[database, table, _]| TablePattern(format!("{database}.{table}")))
    }

    /// Whether it has no wildcard: exactly one column.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ColumnPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn parts(pattern: &str) -> Option<[&str; 3]> {
    let mut parts = pattern.splitn(3, '.');
    Some([parts.next()?, parts.next()?, parts.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_meant_by_its_three_parts() {
        let means = |pattern: &str, database, table, column| {
            ColumnPattern::new(pattern).unwrap().matches(database, table, column)
        };
        assert!(means("shop.customers.email", "shop", "customers", "email"));
        assert!(means("shop.customers.email", "shop", "customers", "EMail"), "as MySQL compares them");
        assert!(!means("shop.customers.email", "shop", "Customers", "email"), "tables are told apart");
        assert!(means("*.*.e?ail*", "shop", "t", "email_2"));
        assert!(!means("*.*.*", "forebay", "quarantine", "rows"));
        assert!(means("forebay.*.rows", "forebay", "quarantine", "rows"));
        assert!(means("shop.t.a.b", "shop", "t", "a.b"));
        for wrong in ["shop.customers", "email", "shop..email", ".t.c", "shop.t."] {
            assert!(ColumnPattern::new(wrong).is_err(), "{wrong}");
        }
    }
}
