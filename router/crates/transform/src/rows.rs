//! Rows as JSON, in the contract's own words: for the cases that a plugin's author writes, and for showing people what a
//! plugin did.
//!
//! An image is a map from column to cell: `null` is NULL, and a column that is not named is absent. Numbers are
//! numbers, bytes are `0x` and hexadecimal, everything else is the text that plugins see (`wit/v0.1`): a decimal
//! `"9.90"`, a date `"2020-01-31"`, JSON as JSON text.
//!
//! Promises: what [`events`] says of a batch, [`batch`] makes again. Messages quote cells: they are for the author of a
//! case, never for a log.

use std::fmt::Write as _;
use std::sync::Arc;

use forebay_model::{Batch, ChangeEvent, Column, ColumnType, Kind, Op, Run, TableSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bindings::{CellsParam, CellsResult, ColumnParam, ColumnResult, Layout, VarCellsResult};
use crate::gather::Gathered;
use crate::scatter::{Before, Scattered, scatter};
use crate::types::shape;

/// A row image: cell by column.
pub type Row = Map<String, Value>;

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Read by a snapshot: `after` only.
    Snapshot,
    /// Inserted: `after` only.
    Insert,
    /// Updated: both images.
    Update,
    /// Deleted: `before` only.
    Delete,
}

/// A change event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What happened.
    pub op: What,
    /// The row before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Row>,
    /// The row after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Row>,
    /// Where it goes, if a plugin chose that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Event {
    /// Its images with their kinds and names, or which of them is missing or too many.
    fn images(&self) -> Result<Vec<(Kind, &'static str, &Row)>, String> {
        match (self.op, &self.before, &self.after) {
            (What::Snapshot, None, Some(after)) => Ok(vec![(Kind::Snapshot, "after", after)]),
            (What::Insert, None, Some(after)) => Ok(vec![(Kind::Insert, "after", after)]),
            (What::Update, Some(before), Some(after)) => {
                Ok(vec![(Kind::Before, "before", before), (Kind::After, "after", after)])
            }
            (What::Delete, Some(before), None) => Ok(vec![(Kind::Delete, "before", before)]),
            (What::Update, ..) => Err("an update has `before` and `after`".to_owned()),
            (What::Delete, ..) => Err("a delete has `before` and no `after`".to_owned()),
            (What::Snapshot | What::Insert, ..) => {
                Err("an insert or a snapshot's row has `after` and no `before`".to_owned())
            }
        }
    }
}

/// The batch of these events, as one run of one transaction. The error says which event's which cell is wrong.
///
/// # Errors
/// If an event has not its images, an image names a column that the table has not, or a cell is not of its column's type.
pub fn batch(table: &Arc<TableSchema>, events: &[Event]) -> Result<Batch, String> {
    let (mut kinds, mut images) = (Vec::new(), Vec::new());
    for (n, event) in events.iter().enumerate() {
        for (kind, name, row) in event.images().map_err(|problem| format!("event {n}: {problem}"))? {
            if let Some(unknown) = row.keys().find(|name| table.column(name).is_none()) {
                return Err(format!("event {n}, {name}: {} has no column `{unknown}`", table.full_name()));
            }
            kinds.push(kind);
            images.push((n, name, row));
        }
    }
    let (mut columns, mut absent) = (Vec::new(), Vec::new());
    for column in &table.columns {
        let cells = images.iter().map(|(_, _, row)| row.get(&column.name));
        let Scattered { array, absent: lacking } = scattered(column, cells).map_err(|(at, problem)| {
            let (n, name, _) = images[at];
            format!("event {n}, {name}.{}: {problem}", column.name)
        })?;
        columns.push(array);
        absent.push(lacking);
    }
    if absent.iter().all(Option::is_none) {
        absent.clear();
    }
    let run = Run { pos: 4, row: 0, event: 0, nth: 0, txn: 0, seconds: 0, part: 0 };
    let runs = if kinds.is_empty() { Vec::new() } else { vec![run] };
    Ok(Batch { table: table.clone(), kinds, runs, columns, absent, routing: None })
}

/// The column of these cells, or which of them is wrong and how.
fn scattered<'a>(
    column: &Column,
    cells: impl ExactSizeIterator<Item = Option<&'a Value>> + Clone,
) -> Result<Scattered, (usize, String)> {
    let fit = |cells: Vec<Option<&Value>>, first: usize| -> Result<Scattered, (usize, String)> {
        let rows = cells.len();
        let mut made = Made::new(shape(&column.ty).1, rows);
        for (row, cell) in cells.into_iter().enumerate() {
            if cell.is_some_and(Value::is_null) && !column.nullable {
                return Err((first + row, format!("NULL, and the column is {} NOT NULL", column.native)));
            }
            made.push(cell, column).map_err(|problem| (first + row, problem))?;
        }
        let before = Before { rows, cells: None, nullable: true, absent: None, read: false };
        scatter(made.column(), column, &before).map_err(|problem| (first, problem))
    };
    fit(cells.clone().collect(), 0).map_err(|problem| {
        // the check of a whole column does not say which cell; each alone does
        let alone =
            cells.clone().enumerate().find_map(|(row, cell)| Some((cell?, fit(vec![cell], row).err()?)));
        match alone {
            Some((cell, (row, told))) if told.starts_with("a ") => {
                (row, format!("{cell} is no {}", column.native))
            }
            Some((_, told)) => told,
            None => problem,
        }
    })
}

/// A column in the making.
struct Made {
    states: Vec<u8>,
    cells: CellsResult,
}

impl Made {
    fn new(layout: Layout, rows: usize) -> Made {
        let var = || VarCellsResult { offsets: vec![0], data: Vec::new() };
        let cells = match layout {
            Layout::Signed => CellsResult::Signed(Vec::with_capacity(rows)),
            Layout::Unsigned => CellsResult::Unsigned(Vec::with_capacity(rows)),
            Layout::Float => CellsResult::Float(Vec::with_capacity(rows)),
            Layout::Text => CellsResult::Text(var()),
            Layout::Bytes => CellsResult::Bytes(var()),
        };
        Made { states: Vec::with_capacity(rows), cells }
    }

    fn push(&mut self, cell: Option<&Value>, column: &Column) -> Result<(), String> {
        let value = cell.filter(|cell| !cell.is_null());
        self.states.push(match (cell, value) {
            (None, _) => 2,
            (Some(_), None) => 0,
            (Some(_), Some(_)) => 1,
        });
        let wants = |what: &str| {
            let told = value.map(ToString::to_string).unwrap_or_default();
            format!("{told} is not {what}, and the column is {}", column.native)
        };
        match &mut self.cells {
            CellsResult::Signed(cells) => cells.push(match value {
                None => 0,
                Some(Value::Bool(yes)) => i64::from(*yes),
                Some(value) => value.as_i64().ok_or_else(|| wants("an integer"))?,
            }),
            CellsResult::Unsigned(cells) => cells.push(match value {
                None => 0,
                Some(Value::Bool(yes)) => u64::from(*yes),
                Some(value) => value.as_u64().ok_or_else(|| wants("a positive integer"))?,
            }),
            CellsResult::Float(cells) => cells.push(match value {
                None => 0.0,
                Some(value) => value.as_f64().ok_or_else(|| wants("a number"))?,
            }),
            CellsResult::Text(cells) => {
                match (value, &column.ty) {
                    (None, _) => {}
                    (Some(Value::String(text)), _) => cells.data.extend_from_slice(text.as_bytes()),
                    (Some(value), ColumnType::Json) => cells.data.extend(value.to_string().into_bytes()),
                    (Some(value @ Value::Number(_)), ColumnType::Decimal { .. }) => {
                        cells.data.extend(value.to_string().into_bytes());
                    }
                    (Some(_), _) => return Err(wants("text (put it in quotes)")),
                }
                cells.offsets.push(cells.data.len() as u32);
            }
            CellsResult::Bytes(cells) => {
                if let Some(value) = value {
                    let bytes = value.as_str().and_then(|text| text.strip_prefix("0x")).and_then(unhex);
                    cells.data.extend(bytes.ok_or_else(|| wants("bytes such as \"0x00ff\""))?);
                }
                cells.offsets.push(cells.data.len() as u32);
            }
        }
        Ok(())
    }

    fn column(self) -> ColumnResult {
        ColumnResult { states: self.states, cells: self.cells }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// What a batch says happened, in its order.
pub fn events(batch: &Batch) -> Vec<Event> {
    let all: Vec<usize> = (0..batch.columns.len()).collect();
    let gathered = Gathered::new(batch, &(0..batch.rows()), &all, false);
    let columns = gathered.columns();
    let row = |row: u32| -> Row {
        let named = batch.table.columns.iter().zip(&columns);
        named.filter_map(|(def, column)| Some((def.name.clone(), cell(column, row as usize)?))).collect()
    };
    let event = |ChangeEvent { op, before, after, .. }: ChangeEvent| Event {
        op: match op {
            Op::Read => What::Snapshot,
            Op::Create => What::Insert,
            Op::Update => What::Update,
            Op::Delete => What::Delete,
        },
        before: before.map(row),
        after: after.map(row),
        to: after.or(before).and_then(|row| batch.routing(row as usize)).map(str::to_owned),
    };
    batch.events().map(event).collect()
}

/// One cell; none if it is absent.
fn cell(column: &ColumnParam<'_>, row: usize) -> Option<Value> {
    match column.states.get(row) {
        Some(0) => return Some(Value::Null),
        Some(2) => return None,
        _ => {}
    }
    let span = |offsets: &[u32]| offsets[row] as usize..offsets[row + 1] as usize;
    Some(match &column.cells {
        CellsParam::Signed(cells) => cells[row].into(),
        CellsParam::Unsigned(cells) => cells[row].into(),
        CellsParam::Float(cells) => cells[row].into(),
        CellsParam::Text(cells) => String::from_utf8_lossy(&cells.data[span(cells.offsets)]).into(),
        CellsParam::Bytes(cells) => {
            let mut hex = "0x".to_owned();
            for byte in &cells.data[span(cells.offsets)] {
                let _ = write!(hex, "{byte:02x}");
            }
            hex.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Arc<TableSchema> {
        use ColumnType as T;
        let column = |(name, ty, native): (&str, ColumnType, &str)| Column {
            name: name.to_owned(),
            ty,
            nullable: name != "id",
            native: native.to_owned(),
        };
        let columns = [
            ("id", T::Integer { bits: 32, unsigned: true }, "int unsigned"),
            ("n", T::Integer { bits: 8, unsigned: false }, "tinyint"),
            ("f", T::Double, "double"),
            ("d", T::Decimal { precision: 10, scale: 2 }, "decimal(10,2)"),
            ("t", T::Text, "varchar(9)"),
            ("j", T::Json, "json"),
            ("day", T::Date, "date"),
            ("at", T::DateTime { fsp: 3 }, "datetime(3)"),
            ("b", T::Binary, "varbinary(9)"),
        ];
        let columns = columns.map(column).into();
        TableSchema {
            database: "d".to_owned(),
            table: "t".to_owned(),
            columns,
            key: vec![0],
            lineage: Default::default(),
        }
        .shared()
    }

    fn read(json: &str) -> Vec<Event> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn events_come_back_as_they_went() {
        let told = read(
            r#"[{"op": "insert", "after": {"id": 1, "n": -3, "f": 0.5, "d": "-9.90", "t": "é", "j": "{\"a\": 1}",
                 "day": "2020-00-15", "at": "2020-01-31 12:34:56.789", "b": "0x00ff"}},
                {"op": "update", "before": {"id": 1, "t": null}, "after": {"id": 1, "n": null}},
                {"op": "delete", "before": {"id": 4294967295}},
                {"op": "snapshot", "after": {"id": 7, "b": "0x"}}]"#,
        );
        let batch = batch(&table(), &told).unwrap();
        batch.check();
        assert!(batch.is_absent(4, 2) && !batch.is_absent(4, 1), "what is not named is absent");
        assert_eq!(events(&batch), told);
    }

    #[test]
    fn what_is_meant_is_taken() {
        let told = read(r#"[{"op": "insert", "after": {"id": 1, "n": true, "d": 9.9, "j": {"a": [1]}}}]"#);
        let row = events(&batch(&table(), &told).unwrap())[0].after.clone().unwrap();
        assert_eq!(
            Value::Object(row),
            serde_json::json!({"id": 1, "n": 1, "d": "9.90", "j": r#"{"a":[1]}"#})
        );
    }

    #[test]
    fn a_wrong_cell_is_named() {
        let said = |events: &str| batch(&table(), &read(events)).unwrap_err();
        let second = |cell: &str| {
            let first = r#"{"op": "insert", "after": {"id": 1, "day": "2020-01-31", "n": 1, "j": "1"}}"#;
            said(&format!(r#"[{first}, {{"op": "delete", "before": {{"id": 2, {cell}}}}}]"#))
        };
        assert_eq!(
            second(r#""t": 5"#),
            "event 1, before.t: 5 is not text (put it in quotes), and the column is varchar(9)"
        );
        assert_eq!(
            second(r#""n": "x""#),
            "event 1, before.n: \"x\" is not an integer, and the column is tinyint"
        );
        assert_eq!(second(r#""n": 128"#), "event 1, before.n: 128 is no tinyint");
        assert_eq!(second(r#""day": "2020-13-01""#), "event 1, before.day: \"2020-13-01\" is no date");
        assert_eq!(second(r#""j": "{""#), "event 1, before.j: \"{\" is no json");
        assert_eq!(
            second(r#""b": "ff""#),
            "event 1, before.b: \"ff\" is not bytes such as \"0x00ff\", and the column is varbinary(9)"
        );
        assert_eq!(second(r#""nope": 1"#), "event 1, before: d.t has no column `nope`");
        assert_eq!(
            said(r#"[{"op": "insert", "after": {"id": null}}]"#),
            "event 0, after.id: NULL, and the column is int unsigned NOT NULL"
        );
        assert_eq!(
            said(r#"[{"op": "update", "after": {"id": 1}}]"#),
            "event 0: an update has `before` and `after`"
        );
        assert_eq!(
            said(r#"[{"op": "delete", "after": {"id": 1}}]"#),
            "event 0: a delete has `before` and no `after`"
        );
        assert!(said(r#"[{"op": "insert", "before": {"id": 1}}]"#).starts_with("event 0: an insert"));
    }
}
