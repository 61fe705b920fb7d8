//! For a plugin's own tests, natively and without WebAssembly: schemas, columns, and a run as the host does it.

use crate::{
    Batch, Cell, Column, ColumnDef, Edit, Error, Layout, LogicalType, Output, Plan, TableSchema, TextWriter,
    Transform, parse_config,
};

/// A table `shop.customers` of nullable columns; the first one is the key.
pub fn table<const N: usize>(columns: [(&str, LogicalType); N]) -> TableSchema {
    let column = |(name, logical): (&str, LogicalType)| {
        let (layout, native) = match logical {
            LogicalType::Integer => (Layout::Signed, "bigint"),
            LogicalType::Float => (Layout::Float, "double"),
            LogicalType::Binary => (Layout::Bytes, "blob"),
            LogicalType::Decimal => (Layout::Text, "decimal(10,2)"),
            LogicalType::Text => (Layout::Text, "varchar(64)"),
            LogicalType::Json => (Layout::Text, "json"),
            LogicalType::Date => (Layout::Text, "date"),
            LogicalType::Time => (Layout::Text, "time"),
            LogicalType::Datetime => (Layout::Text, "datetime"),
            LogicalType::Timestamp => (Layout::Text, "timestamp"),
        };
        ColumnDef { name: name.to_owned(), logical, layout, nullable: true, native_type: native.to_owned() }
    };
    TableSchema {
        source: "test".to_owned(),
        database: "shop".to_owned(),
        table: "customers".to_owned(),
        columns: columns.map(column).into(),
        primary_key: vec![0],
    }
}

/// A column of texts.
pub fn texts<'a>(cells: impl IntoIterator<Item = Cell<&'a str>>) -> Column {
    let mut writer = TextWriter::with_capacity(0, 0);
    for cell in cells {
        writer.push(cell, |text, out| out.push_str(text));
    }
    writer.finish()
}

/// Opens a transform with a configuration as JSON text, asks for its plan, and applies it to columns that stand for
/// those that the plan reads. Returns the plan and what became of the batch.
///
/// # Errors
/// Whatever the transform says; also if `columns` are not as many as the plan reads, or the output has not as many
/// columns as the plan computes.
pub fn run<T: Transform>(
    table: &TableSchema,
    config: &str,
    rows: u32,
    columns: Vec<Column>,
) -> Result<(Plan, Output), Error> {
    run_batch::<T>(table, config, Batch { rows, columns, kinds: Vec::new() })
}

/// As [`run`], with the images' kinds (see [`Batch::kinds`]), for plans that need them.
///
/// # Errors
/// As [`run`].
pub fn run_kinds<T: Transform>(
    table: &TableSchema,
    config: &str,
    kinds: Vec<u8>,
    columns: Vec<Column>,
) -> Result<(Plan, Output), Error> {
    run_batch::<T>(table, config, Batch { rows: kinds.len() as u32, columns, kinds })
}

fn run_batch<T: Transform>(table: &TableSchema, config: &str, batch: Batch) -> Result<(Plan, Output), Error> {
    let transform = T::open(table, parse_config(config)?)?;
    let plan = transform.plan();
    let computed = |edit: &&Edit| matches!(edit, Edit::Replace(_) | Edit::Retype(_) | Edit::Append(_));
    let want = plan.edits.iter().filter(computed).count();
    if batch.columns.len() != plan.reads.len() {
        return Err(Error::Data(format!("the plan reads {} columns", plan.reads.len())));
    }
    if want == 0 && !plan.filters && !plan.routes {
        return Ok((plan, Output::default()));
    }
    let output = transform.apply(batch)?;
    if output.columns.len() != want {
        return Err(Error::Data(format!(
            "{} columns came back, the plan computes {want}",
            output.columns.len()
        )));
    }
    Ok((plan, output))
}
