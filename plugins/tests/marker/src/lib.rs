//! Adds the plugin's own version to every row, and drops the columns that it is told to; versions that end with 9 forget to.

use forebay_plugin::{Batch, Column, ColumnDef, Error, Output, Plan, TableSchema, Transform, export};

/// In the component as one text, so that a test can make another version of it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The configuration.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Columns that are left out, of those that the table has.
    hide: Vec<String>,
    /// Whether the version is computed for each row, rather than a constant.
    computes: bool,
}

/// Bound to a table.
#[derive(Debug)]
pub struct Marker {
    hidden: Vec<u32>,
    computes: bool,
}

/// What the rows are marked with: the version's last digit.
fn mark() -> &'static str {
    let version = std::hint::black_box(VERSION);
    &version[version.len() - 1..]
}

impl Transform for Marker {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let index = |name: &String| table.columns.iter().position(|column| column.name == *name);
        let hidden = config.hide.iter().filter(|_| mark() != "9").filter_map(index);
        Ok(Marker { hidden: hidden.map(|at| at as u32).collect(), computes: config.computes })
    }

    fn plan(&self) -> Plan {
        let def = ColumnDef::text("version", 8, false);
        let plan = self.hidden.iter().fold(Plan::default(), |plan, &column| plan.drop(column));
        if self.computes { plan.append(def) } else { plan.constant(def, Column::of_text(mark())) }
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let rows = batch.rows as usize;
        let offsets = (0..=batch.rows).collect();
        let cells = forebay_plugin::VarCells { offsets, data: mark().repeat(rows).into_bytes() };
        let column = Column { states: Vec::new(), cells: forebay_plugin::Cells::Text(cells) };
        Ok(Output { columns: vec![Some(column)], ..Output::default() })
    }
}

export!(Marker);
