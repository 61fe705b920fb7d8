//! What is no problem of definitions, and should be known all the same: rules about personal data that do nothing, or do no more what they
//! did.

use std::collections::BTreeSet;
use std::sync::Arc;

use forebay_model::{ColumnPattern, TableSchema};

use crate::definition::{self, Guard, RouteDef, SourceDef, Warning, child, item};

/// Columns: database, table and name.
pub(super) type Names = BTreeSet<(String, String, String)>;

/// Entries of `allow_pii` that no column has, or that every column has: neither may be meant.
pub(super) fn allowed_nothing(path: &str, route: &RouteDef, names: &Names) -> Vec<Warning> {
    let warning = |(i, pattern): (usize, ColumnPattern)| {
        let is_any = |part: &str| part.chars().all(|c| matches!(c, '*' | '?' | '.'));
        let (table, column) = pattern.as_str().rsplit_once('.').unwrap_or(("", pattern.as_str()));
        let (message, suggestion) =
            if !names.iter().any(|(database, table, column)| pattern.matches(database, table, column)) {
                let message = format!("no table of the route has a column {pattern}");
                (message, "check the spelling: a column's name, or database.table.column")
            } else if is_any(column) {
                let of = if is_any(table) { String::new() } else { format!(" of {table}") };
                let message =
                    format!("the route may have every column{of}, also those that are tagged later");
                (message, "name the columns that it may have")
            } else {
                return None;
            };
        let (check, path) = ("allow_pii".to_owned(), item(&child(path, "allow_pii"), i));
        Some(Warning { check, path, message, suggestion: suggestion.to_owned() })
    };
    let entries = route.allow_pii.iter().map(|entry| definition::allowed_pii(entry)).enumerate();
    entries.filter_map(|(i, pattern)| Some((i, pattern.ok()?))).filter_map(warning).collect()
}

/// Tags that no column has: a tag that was misspelt guards nothing.
pub(super) fn tags_of_nothing(path: &str, source: &SourceDef, tables: &[Arc<TableSchema>]) -> Vec<Warning> {
    let means_none = |pattern: &ColumnPattern| {
        !tables.iter().any(|table| names(table).any(|(at, name)| pattern.matches(&at.0, &at.1, name)))
    };
    let patterns = source.tags.keys().filter_map(|tag| ColumnPattern::new(tag).ok());
    let warning = |pattern: ColumnPattern| Warning {
        check: "tags".to_owned(),
        path: child(&child(path, "tags"), pattern.as_str()),
        message: format!("no table of the server has a column {pattern}"),
        suggestion:
            "check the spelling: a tag holds for columns of exactly this name, also for those to come"
                .to_owned(),
    };
    patterns.filter(means_none).map(warning).collect()
}

/// Tags that are gone though a column has, or had, the name, and no tag means it now: it is held no more.
pub(super) fn tags_taken_away(
    path: &str,
    was: &SourceDef,
    source: &SourceDef,
    tables: &[Arc<TableSchema>],
) -> Vec<Warning> {
    let (before, now) = (Guard::of_source(was), Guard::of_source(source));
    let columns =
        tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, &column.name)));
    let renamed = columns.filter_map(|(table, column)| {
        let why = before.why(table, column).filter(|why| why.tie.is_some())?;
        (!now.holds(table, column))
            .then(|| format!("{}.{column}, which was or may have been {}", table.full_name(), why.name))
    });
    let warning = |column: String| Warning {
        check: "tags".to_owned(),
        path: child(path, "tags"),
        message: format!("a tag is taken away, and {column}, is held no more"),
        suggestion:
            "keep the tag of the old name and tag the new one too, if the column still holds personal data"
                .to_owned(),
    };
    renamed.map(warning).collect()
}

/// Every name that the table's columns have or had, with the table's.
fn names(table: &TableSchema) -> impl Iterator<Item = ((String, String), &str)> {
    let own = (table.database.clone(), table.table.clone());
    let tables = std::iter::once(own).chain(table.lineage.tables.iter().cloned());
    tables.flat_map(|at| {
        let columns = table
            .columns
            .iter()
            .flat_map(|c| table.lineage.of(&c.name).map(|(name, _)| name).chain([c.name.as_str()]));
        columns.map(move |name| (at.clone(), name))
    })
}
