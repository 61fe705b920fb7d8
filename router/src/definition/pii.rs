//! Which columns of a source are tagged `pii`, and which of them a route may have all the same.

use std::sync::Arc;

use forebay_model::{ColumnPattern, TableSchema, Tie, quarantine};

use super::document::{RouteDef, SourceDef};
use super::later::LaterNames;

/// The tag whose columns are kept back.
pub(super) const PII: &str = "pii";

/// What a source's tags and a route's `allow_pii` say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    tagged: Vec<ColumnPattern>,
    allowed: Vec<ColumnPattern>,
    later: Arc<LaterNames>,
}

/// Why a column is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The name that is tagged, as `database.table.column`.
    pub name: String,
    /// How it is known that the column had it; `None` if it is its own.
    pub tie: Option<Tie>,
    /// Whether it got the name later, and not before.
    pub later: bool,
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
        Guard { tagged, ..Guard::default() }
    }

    /// For what a route delivers.
    pub fn new(source: &SourceDef, route: &RouteDef) -> Guard {
        let allowed = route.allow_pii.iter().filter_map(|pattern| allowed(pattern).ok()).collect();
        Guard { allowed, ..Guard::of_source(source) }
    }

    /// With what is known of tables now: columns of earlier versions are looked for in it. Whether that is other than before.
    pub fn learn(&mut self, later: &Arc<LaterNames>) -> bool {
        let is_new = !Arc::ptr_eq(&self.later, later) && self.later != *later;
        self.later = later.clone();
        is_new
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
    /// It is if one of its names is tagged, its own or one that it has, may have had before, or may have got later, unless just that
    /// name is allowed. A column whose own name is not tagged is also allowed by that.
    pub fn why(&self, table: &TableSchema, column: &str) -> Option<Why> {
        let own = (table.database.as_str(), table.table.as_str());
        let is_allowed = means(&self.allowed, own, column);
        if self.is_idle() || is_allowed && !means(&self.tagged, own, column) {
            return None;
        }
        let lost = || Why { name: "another column".to_owned(), tie: Some(Tie::Unknown), later: false };
        let before = self.named_before(table, column).or_else(|| self.named_later(own, column));
        let before = before.or_else(|| self.computed_later(table, column));
        before.or_else(|| (table.lineage.lost && !is_allowed).then(lost))
    }

    /// The tagged name that a column has or had.
    fn named_before(&self, table: &TableSchema, column: &str) -> Option<Why> {
        let lineage = &table.lineage;
        let own = (table.database.as_str(), table.table.as_str());
        let before = lineage.tables().map(|(database, table, tie)| ((database, table), Some(tie)));
        let mut names = Vec::new();
        for (at, tie) in [(own, None)].into_iter().chain(before) {
            names.push((at, column, tie));
            // known no better than the table is
            names.extend(lineage.of(column).map(|(name, by)| (at, name, tie.max(Some(by)))));
        }
        self.surest(names, false)
    }

    /// The tagged name that a column got later, in this table or in what became of it.
    ///
    /// Names are all that versions have in common: another column that has the name now is meant, too.
    fn named_later(&self, at: (&str, &str), column: &str) -> Option<Why> {
        self.surest(self.later.of(at, column).map(|(at, name, tie)| (at, name, Some(tie))), true)
    }

    /// The tagged name that a column got later which the server computes this one from.
    fn computed_later(&self, table: &TableSchema, column: &str) -> Option<Why> {
        let own = (table.database.as_str(), table.table.as_str());
        let from = table.lineage.of(column).filter(|(_, tie)| *tie == Tie::Computed);
        let held = from.filter_map(|(name, _)| self.named_later(own, name));
        // known no better than the name is
        let held = held.map(|why| Why { tie: why.tie.max(Some(Tie::Computed)), ..why });
        held.min_by_key(|why| why.tie)
    }

    /// Of these names, how each is known, the one that is tagged and not allowed that is known best.
    fn surest<'a>(
        &self,
        names: impl IntoIterator<Item = ((&'a str, &'a str), &'a str, Option<Tie>)>,
        later: bool,
    ) -> Option<Why> {
        let is_held = |at, name| means(&self.tagged, at, name) && !means(&self.allowed, at, name);
        let held = names.into_iter().filter(|(at, name, _)| is_held(*at, name));
        let ((database, table), name, tie) = held.min_by_key(|(_, _, tie)| *tie)?;
        Some(Why { name: format!("{database}.{table}.{name}"), tie, later })
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

fn means(patterns: &[ColumnPattern], (database, table): (&str, &str), column: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(database, table, column))
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
