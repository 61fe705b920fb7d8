//! Keeps the rows whose column has one of some values: `{"column": "state", "in": ["NSW", "VIC", "QLD"]}`.
//!
//! A row that an update moves out of the values becomes a delete, one moved into them an insert. NULL is none of the
//! values; a cell that is absent (a minimal row image) is refused, since nobody can tell.

use forebay_plugin::{Batch, Cell, Error, Output, Plan, Reject, TableSchema, Transform};

/// The route's configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    column: String,
    r#in: Vec<String>,
}

struct Filter {
    column: u32,
    wanted: Vec<String>,
}

impl Transform for Filter {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        Ok(Filter { column: table.text_column(&config.column)?, wanted: config.r#in })
    }

    fn plan(&self) -> Plan {
        Plan::default().read(self.column).filtering()
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let mut output = Output::default();
        for (row, cell) in batch.columns[0].texts()?.iter().enumerate() {
            if cell == Cell::Absent {
                let reason =
                    "the filter's column is not in the row image: use binlog_row_image=FULL".to_owned();
                output.rejects.push(Reject { row: row as u32, reason });
            }
            output
                .keep
                .push(u8::from(cell.value().is_some_and(|value| self.wanted.iter().any(|w| w == value))));
        }
        Ok(output)
    }
}

forebay_plugin::export!(Filter);

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_plugin::LogicalType::{Integer, Text};
    use forebay_plugin::testing::{run, table, texts};

    #[test]
    fn keeps_the_wanted_values_only() {
        let table = table([("id", Integer), ("state", Text)]);
        let states = [Cell::Value("NSW"), Cell::Value("nsw"), Cell::Null, Cell::Value("VIC"), Cell::Absent];
        let config = r#"{"column": "state", "in": ["NSW", "VIC"]}"#;
        let (_, output) = run::<Filter>(&table, config, 5, vec![texts(states)]).unwrap();
        assert_eq!(output.keep, [1, 0, 0, 1, 0]);
        assert_eq!(output.rejects.len(), 1);
        assert_eq!(output.rejects[0].row, 4);
    }
}
