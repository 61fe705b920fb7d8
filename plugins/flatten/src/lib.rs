//! Takes values out of a JSON column into columns of their own:
//!
//! ```json
//! {"column":   "payload",
//!  "paths":    {"customer_id": {"path": "$.customer.id", "type": "bigint"},
//!               "total":       {"path": "$.total", "type": "decimal(10,2)"},
//!               "first_tag":   {"path": "$.tags[0]", "type": "varchar(40)"},
//!               "address":     {"path": "$.customer.\"home address\"", "type": "json"}},
//!  "drop":     false,
//!  "on_error": "reject"}
//! ```
//!
//! A path that leads nowhere, and JSON's null, are NULL. Numbers are taken digit by digit, never through a float: what the
//! type does not hold exactly does not fit. Texts fit a number's type if they are one, true and false are 1 and 0 to an integer.
//! What does not fit, and a document that is no JSON, rejects the image's event (`on_error: reject`) or becomes NULL (`null`).
//! `drop` leaves the JSON column out. A `json` column takes whatever stands there, as it is written.
//!
//! Only what the paths name is read out of a document; the rest is skipped over.

mod path;
mod walk;

use std::collections::BTreeMap;

use forebay_plugin::{
    Batch, Cell, Error, LogicalType, NativeType, Output, Plan, Problems, Reject, TableSchema, Transform,
};
use serde::Deserialize;

use path::Tree;

/// The route's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    column: String,
    paths: BTreeMap<String, Path>,
    #[serde(default)]
    drop: bool,
    #[serde(default)]
    on_error: OnError,
}

/// Where a new column's values stand, and of what type it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    path: String,
    r#type: String,
}

/// What becomes of what does not fit.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnError {
    #[default]
    Reject,
    Null,
}

/// A new column.
struct Leaf {
    name: String,
    path: String,
    ty: NativeType,
}

struct Flatten {
    leaves: Vec<Leaf>,
    tree: Tree,
    plan: Plan,
    on_error: OnError,
}

impl Transform for Flatten {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let column = problems.at("column", json_column(table, &config.column));
        if config.paths.is_empty() {
            problems.config("paths", "no path is given");
        }
        let (mut leaves, mut tree): (Vec<Leaf>, _) = (Vec::new(), Tree::default());
        for (name, at) in config.paths {
            let path = format!("paths.{name}");
            let taken = table.columns.iter().any(|column| {
                column.name.to_lowercase() == name.to_lowercase()
                    && !(config.drop && column.name == config.column)
            });
            if taken || leaves.iter().any(|leaf| leaf.name.to_lowercase() == name.to_lowercase()) {
                problems.schema(&path, format!("there is a column `{name}` already"));
            }
            if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
                problems.config(&path, "a column cannot be called that");
            }
            let ty =
                NativeType::parse(&at.r#type).map_err(|words| Error::config(format!("{path}.type"), words));
            let ty = problems.at(&path, ty);
            let added = tree
                .add(&at.path, leaves.len())
                .map_err(|words| Error::config(format!("{path}.path"), words));
            problems.at(&path, added);
            leaves.extend(ty.map(|ty| Leaf { name, path: at.path, ty }));
        }
        problems.finish()?;
        let mut plan =
            leaves.iter().fold(Plan::default(), |plan, leaf| plan.append(leaf.ty.def(&leaf.name, true)));
        if let Some(column) = column {
            plan = plan.read(column);
            plan = if config.drop { plan.drop(column) } else { plan };
        }
        plan = if config.on_error == OnError::Reject { plan.filtering() } else { plan };
        Ok(Flatten { leaves, tree, plan, on_error: config.on_error })
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let documents = batch.columns[0].texts()?;
        let mut writers: Vec<_> = self.leaves.iter().map(|leaf| leaf.ty.writer(documents.len())).collect();
        let mut found: Vec<Option<&str>> = vec![None; self.leaves.len()];
        let mut scratch = String::new();
        let mut rejects = Vec::new();
        for (row, document) in documents.iter().enumerate() {
            let mut wrong = None;
            found.fill(None);
            if let Cell::Value(document) = document
                && walk::walk(&self.tree, document, &mut found).is_err()
            {
                found.fill(None);
                wrong = Some("the document is no JSON".to_owned());
            }
            for ((leaf, writer), found) in self.leaves.iter().zip(&mut writers).zip(&found) {
                let cell = match (document, found) {
                    (Cell::Absent, _) => Ok(Cell::Absent),
                    (_, None) => Ok(Cell::Null),
                    (_, Some(json)) => walk::text(json, leaf.ty.logical(), &mut scratch),
                };
                let fits = cell.is_ok_and(|cell| writer.push(cell).is_ok());
                if !fits {
                    let Leaf { path, ty, .. } = leaf;
                    wrong.get_or_insert_with(|| format!("what stands at {path} is no {}", ty.spelling()));
                    // NULL fits every type
                    let _ = writer.push(Cell::Null);
                }
            }
            if let (Some(reason), OnError::Reject) = (wrong, self.on_error) {
                rejects.push(Reject { row: row as u32, reason });
            }
        }
        let columns = writers.into_iter().map(|writer| Some(writer.finish())).collect();
        Ok(Output { columns, rejects, ..Output::default() })
    }
}

fn json_column(table: &TableSchema, name: &str) -> Result<u32, Error> {
    let column = table.column(name)?;
    let def = table.def(column);
    match def.logical {
        LogicalType::Json | LogicalType::Text => Ok(column),
        _ => Err(Error::schema("", format!("column `{name}` is {}, neither JSON nor text", def.native_type))),
    }
}

forebay_plugin::export!(Flatten);

#[cfg(test)]
mod tests;
