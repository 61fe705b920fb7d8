//! Which columns of a source are tagged `pii`, and which of them a route may have all the same.

use forebay_model::{ColumnPattern, TableSchema, Tie, quarantine};

use super::document::{RouteDef, SourceDef};

/// The tag whose columns are kept back.
pub(super) const PII: &str = "pii";

/// What a source's tags and a route's `allow_pii` say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    tagged: Vec<ColumnPattern>,
    allowed: Vec<ColumnPattern>,
}

/// Why a column is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The name that is tagged, as `database.table.column`.
    pub name: String,
    /// How it is known that the column had it; `None` if it is its own.
    pub tie: Option<Tie>,
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
        self.why(table, column).is_some()
    }

    /// Why the table's column is kept back; `None` if it is not.
    ///
    /// It is if one of its names is tagged, its own or one that it has or may have had before, unless just that name is allowed. A
    /// column whose own name is not tagged is also allowed by that.
    pub fn why(&self, table: &TableSchema, column: &str) -> Option<Why> {
        let means = |patterns: &[ColumnPattern], (database, table): (&str, &str), column: &str| {
            patterns.iter().any(|p| p.matches(database, table, column))
        };
        let (lineage, own) = (&table.lineage, (table.database.as_str(), table.table.as_str()));
        if !means(&self.tagged, own, column) && (lineage.is_empty() || means(&self.allowed, own, column)) {
            return None;
        }
        let before = lineage.tables.iter().map(|(database, table)| (database.as_str(), table.as_str()));
        let mut names = Vec::new();
        for (at, tie) in [(own, None)].into_iter().chain(before.map(|at| (at, Some(Tie::Renamed)))) {
            names.push((at, column, tie));
            names.extend(lineage.of(column).map(|(name, by)| (at, name, Some(by))));
        }
        let held = names
            .into_iter()
            .filter(|(at, name, _)| means(&self.tagged, *at, name) && !means(&self.allowed, *at, name));
        // what is surest is told
        let told = held.min_by_key(|(_, _, tie)| *tie);
        let told = told
            .map(|((database, table), name, tie)| Why { name: format!("{database}.{table}.{name}"), tie });
        let lost = || Why { name: "another column".to_owned(), tie: Some(Tie::Unknown) };
        told.or_else(|| (lineage.lost && !self.is_idle()).then(lost))
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
pub fn allowed(pattern: &str) -> Result<ColumnPattern, String> {
    if pattern.contains('.') || pattern.is_empty() {
        return ColumnPattern::new(pattern)
            .map_err(|_| format!("`{pattern}` is neither a column nor database.table.column"));
    }
    ColumnPattern::new(&format!("*.*.{pattern}"))
}
