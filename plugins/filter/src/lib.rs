//! Keeps the rows for which a condition in SQL is true:
//!
//! ```json
//! {"where": "state IN ('NSW', 'VIC') AND NOT (amount < 10.50 OR note LIKE '%test%') AND `left` IS NULL"}
//! ```
//!
//! There are `=`, `<>`, `!=`, `<`, `<=`, `>`, `>=`, `<=>`; `[NOT] IN (...)`; `[NOT] LIKE '...' [ESCAPE '.']`; `[NOT] BETWEEN ...
//! AND ...`; `IS [NOT] NULL`, `TRUE`, `FALSE`, `UNKNOWN`; `AND`, `OR`, `NOT` and parentheses, over columns and literals: text,
//! numbers, `TRUE`, `FALSE`, `NULL`, `DATE '...'`, `TIME '...'`, `TIMESTAMP '...'`. NULLs follow SQL: a comparison with NULL is
//! unknown, and a row of which the condition is unknown does not pass.
//!
//! Numbers are compared exactly (with a FLOAT or DOUBLE, as doubles), texts byte by byte: upper and lower case differ. What
//! cannot be compared (a text with a number, JSON, binary columns) is refused when the route starts, not at a row.
//!
//! A row that an update moves out of the condition becomes a delete, one moved into it an insert. Where a column is absent
//! (a minimal row image) and the condition hangs on it, the event is rejected: nobody can tell.

mod bind;
mod evaluate;
mod like;
mod parse;
mod temporal;
mod token;

use forebay_plugin::{Batch, Error, Output, Plan, Reject, TableSchema, Transform};

use bind::{Condition, bind};
use evaluate::{TRUE, evaluate};

/// The route's configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The condition.
    r#where: String,
}

struct Filter {
    condition: Condition,
}

impl Transform for Filter {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let parsed = parse::parse(&config.r#where).map_err(|error| error.at("where"))?;
        Ok(Filter { condition: bind(table, &parsed).map_err(|error| error.at("where"))? })
    }

    fn plan(&self) -> Plan {
        self.condition.reads.iter().fold(Plan::default(), |plan, &column| plan.read(column)).filtering()
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let mut keep = evaluate(&self.condition.root, &batch.columns, batch.rows as usize)?;
        let mut rejects = Vec::new();
        for (row, possible) in keep.iter_mut().enumerate() {
            // what is true among other possibilities hangs on a cell that is not there
            if *possible & TRUE != 0 && *possible != TRUE {
                let reason =
                    "a column that the filter needs is not in the row image: set binlog_row_image = FULL";
                rejects.push(Reject { row: row as u32, reason: reason.to_owned() });
            }
            *possible = u8::from(*possible == TRUE);
        }
        Ok(Output { keep, rejects, ..Output::default() })
    }
}

forebay_plugin::export!(Filter);

#[cfg(test)]
mod tests;
