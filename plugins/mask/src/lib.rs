//! Masks personal data, column by column:
//!
//! ```json
//! {"columns": {"email":  {"keep_domain": true},
//!              "phone":  {"keep_last": 4},
//!              "name":   {"keep_first": 1},
//!              "ssn":    {"text": "REDACTED"},
//!              "card":   {"hash": {"key": {"env": "PII_KEY"}, "encoding": "hex", "length": 32}},
//!              "note":   {"null": true},
//!              "secret": {"drop": true}},
//!  "missing": "error"}
//! ```
//!
//! NULL stays NULL, and what is not in a row image stays out of it. Before and after images are masked alike.

mod config;
mod rule;

use forebay_plugin::{
    Batch, ColumnDef, Error, Layout, LogicalType, Output, Plan, Problems, TableSchema, Transform,
};

use config::{Config, Missing, Rule};
use rule::{HashedCells, keep_domain, keep_first, keep_last};

/// The rules, bound to one table's columns.
struct Mask {
    /// Rules of columns whose cells are computed, in the order of the plan's reads.
    computed: Vec<Rule>,
    plan: Plan,
}

impl Transform for Mask {
    type Config = Config;

    const SECRETS: &'static [&'static str] = &["columns.*.hash.key"];

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let mut mask = Mask { computed: Vec::new(), plan: Plan::default() };
        let mut problems = Problems::default();
        let ignore = config.missing == Missing::Ignore;
        for (name, path, rule) in config.rules(&mut problems) {
            let added = match table.column(&name) {
                Ok(column) => mask.add(column, table.def(column), rule),
                Err(_) if ignore => Ok(()),
                Err(_) => Err(Error::schema("", missing(table, &name))),
            };
            problems.at(&path, added);
        }
        problems.finish()?;
        Ok(mask)
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let rows = batch.rows as usize;
        batch.map_columns(|index, column| match &self.computed[index] {
            Rule::KeepFirst(n) => column.map_text(|text, out| keep_first(text, *n, out)),
            Rule::KeepLast(n) => column.map_text(|text, out| keep_last(text, *n, out)),
            Rule::KeepDomain => column.map_text(keep_domain),
            Rule::Text(text) => Ok(column.fixed_text(rows, text)),
            Rule::Hash(hash) => column.hashed(hash),
            Rule::Null | Rule::Drop => {
                Err(Error::Data("a rule without cells has none to compute".to_owned()))
            }
        })
    }
}

/// A rule that finds no column stops the route, since a column may have a new name and go out unmasked.
fn missing(table: &TableSchema, name: &str) -> String {
    format!(
        "table {}.{} has no column `{name}` (if it was renamed, name the new one too; `missing: ignore` lets rules \
         rest on tables, and on versions of a table, that lack their column)",
        table.database, table.table
    )
}

impl Mask {
    /// Plans one rule.
    fn add(&mut self, column: u32, def: &ColumnDef, rule: Rule) -> Result<(), Error> {
        let plan = std::mem::take(&mut self.plan);
        let text = |characters| ColumnDef::text(&def.name, characters, def.nullable);
        self.plan = match &rule {
            Rule::Drop => plan.drop(column),
            Rule::Null => plan.nullify(column),
            Rule::KeepFirst(_) | Rule::KeepLast(_) | Rule::KeepDomain => {
                if def.logical != LogicalType::Text {
                    return Err(Error::schema(
                        "",
                        format!(
                            "column `{}` is {}: keep_first, keep_last and keep_domain work on text only",
                            def.name, def.native_type
                        ),
                    ));
                }
                plan.read(column).replace(column)
            }
            Rule::Text(fixed) => plan.read(column).retype(column, text(fixed.chars().count().max(1))),
            Rule::Hash(hash) => {
                if def.layout == Layout::Float {
                    return Err(Error::schema(
                        "",
                        format!(
                            "column `{}` is {}: hash does not work on floating-point numbers",
                            def.name, def.native_type
                        ),
                    ));
                }
                plan.read(column).retype(column, text(hash.length()))
            }
        };
        if !matches!(rule, Rule::Drop | Rule::Null) {
            self.computed.push(rule);
        }
        Ok(())
    }
}

forebay_plugin::export!(Mask);

#[cfg(test)]
mod tests;
