//! Masks text columns: of each value, only the last characters stay.

use forebay_plugin::{Batch, Error, Output, Plan, TableSchema, Transform};

/// What stands at `config` in a route's transform.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The columns to mask.
    columns: Vec<String>,
    /// How many characters stay.
    #[serde(default = "four")]
    keep: usize,
}

fn four() -> usize {
    4
}

/// The configuration, bound to one version of one table.
struct Mask {
    columns: Vec<u32>,
    keep: usize,
}

impl Transform for Mask {
    type Config = Config;

    /// Looks up what the configuration names. An error here stops the route before anything is delivered.
    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let mut columns = Vec::new();
        for (n, name) in config.columns.iter().enumerate() {
            let path = format!("columns[{n}]");
            let column = table.text_column(name).map_err(|error| error.at(&path))?;
            if columns.contains(&column) {
                return Err(Error::config(path, format!("`{name}` is named twice")));
            }
            columns.push(column);
        }
        Ok(Mask { columns, keep: config.keep })
    }

    /// Says once which columns are wanted and what becomes of them. Others never leave the router.
    fn plan(&self) -> Plan {
        self.columns.iter().fold(Plan::default(), |plan, &column| plan.read(column).replace(column))
    }

    /// Makes the new cells, a column at a time. NULL stays NULL.
    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        batch.map_columns(|_, column| column.map_text(|text, out| mask(text, self.keep, out)))
    }
}

/// Appends the text to `out`, its last `keep` characters as they are and a `*` for each of the others.
fn mask(text: &str, keep: usize, out: &mut String) {
    let masked = text.chars().count().saturating_sub(keep);
    out.extend(text.chars().enumerate().map(|(n, c)| if n < masked { '*' } else { c }));
}

forebay_plugin::export!(Mask);

#[cfg(test)]
mod tests {
    use forebay_plugin::testing::{run, table, texts};
    use forebay_plugin::{Cell, Error, LogicalType};

    use super::*;

    #[test]
    fn the_last_characters_stay() {
        let table = table([("id", LogicalType::Integer), ("phone", LogicalType::Text)]);
        let phones = texts([Cell::Value("+61 400 123 456"), Cell::Value("né"), Cell::Null]);
        let config = r#"{"columns": ["phone"], "keep": 3}"#;
        let (_, output) = run::<Mask>(&table, config, 3, vec![phones]).unwrap();
        let column = output.columns[0].as_ref().unwrap();
        let masked: Vec<_> = column.texts().unwrap().iter().collect();
        assert_eq!(masked, [Cell::Value("************456"), Cell::Value("né"), Cell::Null]);
    }

    #[test]
    fn a_column_that_is_not_there_is_told() {
        let table = table([("id", LogicalType::Integer)]);
        let error = run::<Mask>(&table, r#"{"columns": ["phone"]}"#, 1, vec![]).unwrap_err();
        assert!(matches!(error, Error::Schema(problems) if problems[0].path == "columns[0]"));
    }
}
