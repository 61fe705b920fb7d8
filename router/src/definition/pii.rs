//! Which columns of a source are tagged `pii`, and which of them a route may have all the same.

use forebay_model::{ColumnPattern, TableSchema, quarantine};

use super::document::{RouteDef, SourceDef};

/// The tag whose columns are kept back.
pub(super) const PII: &str = "pii";

/// What a source's tags and a route's `allow_pii` say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    tagged: Vec<ColumnPattern>,
    allowed: Vec<ColumnPattern>,
}

impl Guard {
    /// For people who look at a source's changes: nothing is allowed.
    pub fn of_source(source: &SourceDef) -> Guard {
        let pii = source.tags.iter().filter(|(_, tags)| tags.iter().any(|tag| tag == PII));
        // their form was checked when the definition was taken
        let mut tagged: Vec<_> = pii.filter_map(|(column, _)| ColumnPattern::new(column).ok()).collect();
        if !tagged.is_empty() {
            // rows as the binlog has them, of tables whose columns nobody knows
            let table = quarantine();
            tagged.extend(ColumnPattern::new(&format!("{}.{}.rows", table.database, table.table)));
        }
        Guard { tagged, allowed: Vec::new() }
    }

    /// For what a route delivers.
    pub fn new(source: &SourceDef, route: &RouteDef) -> Guard {
        let allowed = route.allow_pii.iter().filter_map(|pattern| allowed(pattern).ok()).collect();
        Guard { allowed, ..Guard::of_source(source) }
    }

    /// Whether no column is tagged.
    pub fn is_idle(&self) -> bool {
        self.tagged.is_empty()
    }

    /// Whether the table's column is kept back.
    pub fn holds(&self, table: &TableSchema, column: &str) -> bool {
        let means = |p: &ColumnPattern| p.matches(&table.database, &table.table, column);
        self.tagged.iter().any(means) && !self.allows(table, column)
    }

    /// Whether the route may have a column of this name.
    pub fn allows(&self, table: &TableSchema, column: &str) -> bool {
        self.allowed.iter().any(|p| p.matches(&table.database, &table.table, column))
    }

    /// The table's columns that are kept back.
    pub fn held(&self, table: &TableSchema) -> Vec<String> {
        let names = table.columns.iter().map(|column| column.name.as_str());
        names.filter(|name| self.holds(table, name)).map(str::to_owned).collect()
    }
}

/// An entry of `allow_pii`: a column's name alone means that column of every table.
///
/// # Errors
/// What is wrong with it.
pub(super) fn allowed(pattern: &str) -> Result<ColumnPattern, String> {
    if pattern.contains('.') || pattern.is_empty() {
        return ColumnPattern::new(pattern)
            .map_err(|_| format!("`{pattern}` is neither a column nor database.table.column"));
    }
    ColumnPattern::new(&format!("*.*.{pattern}"))
}
