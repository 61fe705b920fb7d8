//! A door for fuzzing what comes back from a plugin: any bytes go in, as a table, a batch, a plan and answers, and nothing
//! panics. No part of the interface.
//!
//! What passes the host's checks is a sound batch whose cells the host would give to the next plugin, and take back from it,
//! as they are; and every event of the input is in it, counted as filtered, or rejected, and once only.

use std::collections::BTreeSet;

use arrow_array::{Array as _, ArrayRef, new_null_array};
use arrow_buffer::BooleanBuffer;
use forebay_model::{Batch, Column, ColumnType, Kind, Origin, Run, TableSchema, Txn};

use crate::apply::{Applied, Place};
use crate::assemble::{Piece, assemble};
use crate::bindings::{
    self as wit, CellsParam, CellsResult, ColumnDefResult, ColumnResult, Edit, Layout, LogicalType, Metadata,
    VarCellsResult,
};
use crate::gather::{Gathered, absent};
use crate::plan::Checked;
use crate::scatter::{Before, scatter};
use crate::types::shape;

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Came {
    /// The plan cannot be carried out.
    BadPlan,
    /// The answer breaks the contract.
    BadOutput,
    /// A batch, of which nothing was left out.
    Whole,
    /// A batch, of which some events were dropped or rejected.
    Part,
}

/// A plugin's answers, made of bytes; made of none, they are good ones.
///
/// # Panics
/// If a promise is broken.
pub fn output(bytes: &[u8]) -> Came {
    let mut bytes = Bytes(bytes);
    let batch = bytes.batch();
    let plan = bytes.plan(&batch.table);
    let Ok(checked) = Checked::new(&plan, &batch.table) else { return Came::BadPlan };
    let mut pieces = Vec::new();
    let mut start = 0;
    while checked.calls_guest() && start < batch.rows() {
        let mut end = start + 1 + bytes.below(batch.rows() - start);
        end += usize::from(batch.kinds.get(end) == Some(&Kind::After));
        let output = bytes.output(&checked, &batch, start..end);
        let rejects = output.rejects.len();
        let Ok(piece) = Piece::new(&checked, &batch, start..end, output) else { return Came::BadOutput };
        assert!(rejects <= end - start, "no more rejects than images");
        pieces.push(piece);
        start = end;
    }
    let origin = Origin { txns: vec![txn()], strings: vec!["binlog.000001".to_owned()] };
    let place = Place { source: "fuzz", first: 1 << 40, origin: &origin };
    let Ok(applied) = assemble(&checked, &batch, pieces, &place) else { return Came::BadOutput };
    all_accounted_for(&batch, &applied);
    assert_eq!(applied.batch.table, checked.output, "the batch is of the table that was promised");
    sound(&applied.batch);
    if applied.batch.rows() < batch.rows() { Came::Part } else { Came::Whole }
}

fn txn() -> Txn {
    let uuid = [0xab; 16];
    Txn { uuid, number: 7, commit_us: 1_700_000_000_123_456, thread: 1, server_id: 1, file: 0, tag: 0 }
}

fn all_accounted_for(input: &Batch, applied: &Applied) {
    let of = |batch: &Batch| batch.events().map(|event| event.event).collect::<BTreeSet<u32>>();
    let all = of(input);
    let there = of(&applied.batch);
    let rejected: BTreeSet<u32> = applied.rejects.iter().map(|reject| reject.event).collect();
    assert_eq!(rejected.len(), applied.rejects.len(), "each event is rejected once");
    assert!(there.is_disjoint(&rejected), "an event that is rejected does not go on");
    assert!(there.is_subset(&all) && rejected.is_subset(&all), "events come from the input");
    let counted = there.len() as u64 + rejected.len() as u64 + applied.filtered_events;
    assert_eq!(counted, all.len() as u64, "each event is passed on, filtered or rejected");
    let mut before = None;
    for event in applied.batch.events() {
        assert!(before < Some((event.event, event.part)), "events rise, and each is there once");
        before = Some((event.event, event.part));
    }
}

/// The parts fit together, and the next plugin could be given each column and return it.
fn sound(batch: &Batch) {
    batch.check();
    let rows = 0..batch.rows();
    for (index, column) in batch.table.columns.iter().enumerate() {
        let array = &batch.columns[index];
        array.to_data().validate_full().expect("sound arrays");
        let absent = absent(batch, index, &rows);
        for row in absent.iter().flat_map(BooleanBuffer::set_indices) {
            assert!(array.is_null(row), "{}: an absent cell is NULL, too", column.name);
        }
        let gathered = Gathered::new(batch, &rows, &[index], true);
        let came = returned(&gathered.columns()[0]);
        let nullable = column.nullable;
        let was = (0..batch.rows()).filter(|&row| array.is_null(row));
        let is_absent = |row: usize| absent.as_ref().is_some_and(|absent| absent.value(row));
        assert!(
            nullable || was.into_iter().all(is_absent),
            "{}: NULL in a column without NULLs",
            column.name
        );
        let before =
            Before { rows: batch.rows(), cells: Some(array), nullable, absent: absent.as_ref(), read: true };
        let again = scatter(came, column, &before).expect("what passed once passes again");
        assert!(
            again.array.as_ref() == array.as_ref() && again.absent == absent,
            "{}: cells stay as they are",
            column.name
        );
    }
}

/// A column as a plugin would return it that leaves it alone.
fn returned(column: &wit::ColumnParam<'_>) -> ColumnResult {
    let var = |cells: &wit::VarCellsParam<'_>| VarCellsResult {
        offsets: cells.offsets.to_vec(),
        data: cells.data.to_vec(),
    };
    let cells = match &column.cells {
        CellsParam::Signed(cells) => CellsResult::Signed(cells.to_vec()),
        CellsParam::Unsigned(cells) => CellsResult::Unsigned(cells.to_vec()),
        CellsParam::Float(cells) => CellsResult::Float(cells.to_vec()),
        CellsParam::Text(cells) => CellsResult::Text(var(cells)),
        CellsParam::Bytes(cells) => CellsResult::Bytes(var(cells)),
    };
    ColumnResult { states: column.states.to_vec(), cells }
}

/// Decisions. When they are used up, each further one is 0, and what 0 decides is good.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// Yes for a few of the bytes.
    fn rarely(&mut self) -> bool {
        self.byte() >= 250
    }

    fn yes(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_le_bytes(bytes)
    }

    fn ty(&mut self) -> ColumnType {
        let fsp = |n: &mut Self| n.below(7) as u8;
        match self.below(16) {
            0 => ColumnType::Text,
            1 => ColumnType::Integer { bits: [8, 16, 24, 32, 64][self.below(5)], unsigned: false },
            2 => ColumnType::Integer { bits: [8, 16, 24, 32, 64][self.below(5)], unsigned: true },
            3 => ColumnType::Year,
            4 => ColumnType::Float,
            5 => ColumnType::Double,
            6 => {
                let precision = 1 + self.below(65) as u8;
                ColumnType::Decimal { precision, scale: self.below(usize::from(precision.min(30)) + 1) as u8 }
            }
            7 => ColumnType::Bit { bits: 1 + self.below(64) as u8 },
            8 => ColumnType::Date,
            9 => ColumnType::Time { fsp: fsp(self) },
            10 => ColumnType::DateTime { fsp: fsp(self) },
            11 => ColumnType::Timestamp { fsp: fsp(self) },
            12 => ColumnType::Enum { members: vec!["a".to_owned(), "b".to_owned()] },
            13 => ColumnType::Json,
            14 => ColumnType::Binary,
            _ => ColumnType::Geometry,
        }
    }

    fn batch(&mut self) -> Batch {
        let mut kinds = Vec::new();
        let mut runs: Vec<Run> = Vec::new();
        for event in 0..=self.below(8) as u32 {
            // a run goes on, begins, or begins after events that are not here
            let event = 2 * event;
            let row = kinds.len() as u32;
            runs.push(Run { pos: 4, row, event, nth: event, txn: 0, seconds: 0, part: 0 });
            match self.below(4) {
                0 => kinds.extend([Kind::Before, Kind::After]),
                1 => kinds.push(Kind::Delete),
                2 => kinds.push(Kind::Insert),
                _ => kinds.push(Kind::Snapshot),
            }
            if self.yes() {
                kinds.push(Kind::Insert);
            }
        }
        let rows = kinds.len();
        let (mut columns, mut arrays, mut absences) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..=self.below(5) {
            let (ty, nullable) = (self.ty(), self.yes());
            let native = if ty == ColumnType::Text { "varchar(64)" } else { "" };
            let column = Column { name: format!("c{n}"), ty, nullable, native: native.to_owned() };
            let before = Before { rows, cells: None, nullable: true, absent: None, read: false };
            let came = self.column(&column.ty, rows, &before, nullable);
            let scattered = scatter(came, &column, &before).ok();
            let nothing = || (new_null_array(&column.ty.layout(), rows), Some(BooleanBuffer::new_set(rows)));
            let (array, absent) = scattered.map_or_else(nothing, |good| (good.array, good.absent));
            columns.push(column);
            arrays.push(array);
            absences.push(absent);
        }
        if absences.iter().all(Option::is_none) {
            absences.clear();
        }
        let key = if self.yes() { vec![] } else { vec![self.below(columns.len()) as u32] };
        let table = TableSchema {
            database: "d".to_owned(),
            table: "t".to_owned(),
            columns,
            key,
            lineage: Default::default(),
        }
        .shared();
        let batch = Batch { table, kinds, runs, columns: arrays, absent: absences, routing: None };
        batch.check();
        batch
    }

    /// A column of a table, or one past the end.
    fn index(&mut self, table: &TableSchema) -> u32 {
        if self.rarely() { self.byte().into() } else { self.below(table.columns.len()) as u32 }
    }

    fn name(&mut self) -> String {
        format!(
            "{}{}",
            ["n", "c", "N", "", "n\n"][self.below(3) + 2 * usize::from(self.rarely())],
            self.below(8)
        )
    }

    fn def(&mut self) -> ColumnDefResult {
        let (ty, name) = (self.ty(), self.name());
        let (logical, mut layout) = shape(&ty);
        let native_type = match &ty {
            ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            ColumnType::Integer { bits, unsigned } => {
                let word = match bits {
                    8 => "tinyint",
                    16 => "smallint",
                    24 => "mediumint",
                    32 => "int",
                    _ => "bigint",
                };
                format!("{word}{}", if *unsigned { " unsigned" } else { "" })
            }
            ColumnType::Bit { bits } => format!("bit({bits})"),
            ColumnType::Year => "year".to_owned(),
            ColumnType::Float => "float".to_owned(),
            ColumnType::Time { fsp } => format!("time({fsp})"),
            ColumnType::DateTime { fsp } => format!("datetime({fsp})"),
            _ => String::new(),
        };
        if self.rarely() {
            layout = [Layout::Signed, Layout::Unsigned, Layout::Float, Layout::Text][self.below(4)];
        }
        let logical = if self.rarely() { LogicalType::Decimal } else { logical };
        ColumnDefResult { name, logical, layout, nullable: !self.yes(), native_type }
    }

    fn plan(&mut self, table: &TableSchema) -> wit::Plan {
        let mut reads = BTreeSet::new();
        for _ in 0..self.below(table.columns.len() + 1) {
            reads.insert(self.index(table));
        }
        let edits = (0..self.below(6)).map(|_| self.edit(table)).collect();
        wit::Plan {
            reads: reads.into_iter().collect(),
            edits,
            filters: !self.yes(),
            needs_kinds: self.yes(),
            routes: !self.yes(),
            key: self.rarely().then(|| vec![self.name()]),
            keeps_deleted: self.byte() % 8 == 7,
        }
    }

    fn edit(&mut self, table: &TableSchema) -> Edit {
        match self.below(9) {
            0 | 1 => Edit::Replace(self.index(table)),
            2 => Edit::Retype(wit::Retype { column: self.index(table), def: self.def() }),
            3 => Edit::Append(self.def()),
            4 => Edit::Drop(self.index(table)),
            5 => Edit::Rename(wit::Rename { column: self.index(table), name: self.name() }),
            6 => Edit::Nullify(self.index(table)),
            7 => {
                let (def, before) =
                    (self.def(), Before { rows: 1, cells: None, nullable: true, absent: None, read: false });
                let ty = crate::types::defined(&def, None).map_or(ColumnType::Text, |column| column.ty);
                Edit::Constant(wit::Constant { value: self.column(&ty, 1, &before, def.nullable), def })
            }
            _ => {
                let what = [
                    Metadata::Deleted,
                    Metadata::Op,
                    Metadata::CommitTime,
                    Metadata::Gtid,
                    Metadata::Offset,
                    Metadata::Source,
                    Metadata::Database,
                    Metadata::Table,
                ];
                Edit::Stamp(wit::Stamp { what: what[self.below(8)], name: self.name() })
            }
        }
    }

    fn output(&mut self, checked: &Checked, batch: &Batch, rows: std::ops::Range<usize>) -> wit::Output {
        let images = rows.len();
        let columns = checked.computed.iter().map(|computed| {
            let cells: Option<ArrayRef> = computed.of.map(|of| batch.columns[of].slice(rows.start, images));
            let absent = computed.of.and_then(|of| absent(batch, of, &rows));
            let read = computed.of.is_some_and(|of| checked.reads.contains(&of));
            let before =
                Before { rows: images, cells: cells.as_ref(), nullable: true, absent: absent.as_ref(), read };
            let nullable = computed.column.nullable;
            let as_it_came = if computed.optional { self.byte() % 4 == 3 } else { self.rarely() };
            (!as_it_came).then(|| self.column(&computed.column.ty, images, &before, nullable))
        });
        let mut columns: Vec<_> = columns.collect();
        if self.rarely() {
            columns.pop();
        }
        let filters = checked.plan.filters != self.rarely();
        let mut keep = Vec::new();
        if filters && self.yes() {
            let length = if self.rarely() { self.below(images + 2) } else { images };
            keep.extend((0..length).map(|_| if self.rarely() { 2 } else { u8::from(!self.yes()) }));
        }
        let mut rejects = Vec::new();
        if filters && self.yes() {
            for _ in 0..self.below(4) {
                let row =
                    if self.rarely() { u32::from(self.byte()) << 24 } else { self.below(images) as u32 };
                rejects.push(wit::Reject { row, reason: self.name() });
            }
        }
        let routing = (checked.plan.routes != self.rarely() && self.yes()).then(|| self.routing(images));
        wit::Output { columns, keep, rejects, routing }
    }

    fn routing(&mut self, rows: usize) -> ColumnResult {
        if self.rarely() {
            let before = Before { rows, cells: None, nullable: true, absent: None, read: false };
            return self.column(&ColumnType::Text, rows, &before, true);
        }
        let cells = (0..rows).map(|_| [&b"a"[..], b"b.c", b"A-1_", b".a", b""][self.below(3)]);
        let cells = var(cells.collect::<Vec<_>>());
        ColumnResult {
            states: (0..rows).map(|_| u8::from(!self.rarely())).collect(),
            cells: CellsResult::Text(cells),
        }
    }

    /// Cells for a column: of its type and as its states have to be, or not.
    fn column(&mut self, ty: &ColumnType, rows: usize, before: &Before<'_>, nullable: bool) -> ColumnResult {
        let mut states = Vec::new();
        if before.absent.is_some() || self.yes() {
            states = (0..rows).map(|row| self.state(row, before, nullable)).collect();
        }
        let (mut layout, mut length) = (shape(ty).1, rows);
        if self.rarely() {
            layout =
                [Layout::Signed, Layout::Unsigned, Layout::Float, Layout::Text, Layout::Bytes][self.below(5)];
            length = self.below(rows + 2);
        }
        if self.rarely() {
            states.truncate(self.below(rows));
        }
        let cells = match layout {
            Layout::Signed => CellsResult::Signed((0..length).map(|_| self.integer() as i64).collect()),
            Layout::Unsigned => CellsResult::Unsigned((0..length).map(|_| self.integer()).collect()),
            Layout::Float => {
                CellsResult::Float((0..length).map(|_| f64::from_bits(self.integer())).collect())
            }
            Layout::Text => CellsResult::Text(self.cells(ty, length)),
            Layout::Bytes => CellsResult::Bytes(self.cells(ty, length)),
        };
        ColumnResult { states, cells }
    }

    fn state(&mut self, row: usize, before: &Before<'_>, nullable: bool) -> u8 {
        if self.rarely() {
            return self.byte();
        }
        if before.absent.is_some_and(|absent| absent.value(row)) {
            return 2;
        }
        match self.byte() % 8 {
            6 if nullable || before.cells.is_some_and(|cells| cells.is_null(row)) => 0,
            7 if before.cells.is_none() => 2,
            _ => 1,
        }
    }

    /// Mostly small.
    fn integer(&mut self) -> u64 {
        match self.byte() {
            // also the bits of a float
            byte @ 248.. => self.number() >> (8 * (byte - 248)),
            byte @ 240.. => (u64::MAX >> 1) << (byte - 240),
            byte => (byte / 4).into(),
        }
    }

    fn cells(&mut self, ty: &ColumnType, rows: usize) -> VarCellsResult {
        let mut cells: Vec<Vec<u8>> = Vec::new();
        for _ in 0..rows {
            let mut cell = self.text(ty);
            if self.rarely() {
                let at = self.below(cell.len() + 1);
                let byte = self.byte();
                if self.yes() || at == cell.len() {
                    cell.insert(at, byte);
                } else {
                    cell[at] = byte;
                }
            }
            cells.push(cell);
        }
        let mut var = var(cells);
        if self.rarely() {
            let at = self.below(var.offsets.len());
            var.offsets[at] = match self.below(3) {
                0 => self.byte().into(),
                1 => var.offsets[at].wrapping_sub(1),
                _ => self.number() as u32,
            };
        }
        if self.rarely() {
            var.data.push(self.byte());
        }
        var
    }

    /// A value's text, or nearly one.
    fn text(&mut self, ty: &ColumnType) -> Vec<u8> {
        let fraction = |fsp: u8, digits: &str| match fsp {
            0 => String::new(),
            fsp => format!(".{}", &digits[..usize::from(fsp.min(6))]),
        };
        let odd = self.below(8);
        let text = match ty {
            ColumnType::Date => ["2020-02-29", "0000-00-00", "2020-00-15", "9999-12-31"][odd % 4].to_owned(),
            ColumnType::Time { fsp } => {
                let time = ["12:34:56", "-838:59:59", "00:00:00", "838:59:59", "-00:00:00"][odd % 5];
                format!("{time}{}", fraction(*fsp, if odd == 7 { "123456" } else { "000000" }))
            }
            ColumnType::DateTime { fsp } => {
                let time = ["2020-02-29 12:34:56", "0000-00-00 00:00:00", "2020-00-15 23:59:59"][odd % 3];
                format!("{time}{}", fraction(*fsp, "987654"))
            }
            ColumnType::Timestamp { fsp } => {
                let time = ["2020-02-29 12:34:56", "1970-01-01 00:00:01", "2038-01-19 03:14:07"][odd % 3];
                format!("{time}{}", fraction(*fsp, "500000"))
            }
            ColumnType::Decimal { precision, scale } => {
                let (whole, scale) = (usize::from(precision - scale), usize::from(*scale));
                let sign = if odd % 2 == 1 { "-" } else { "" };
                let whole = if odd < 4 || whole == 0 { "0".to_owned() } else { "9".repeat(whole) };
                let fraction = if odd % 4 < 2 { "5".repeat(scale) } else { "0".repeat(scale) };
                if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
            }
            ColumnType::Json => ["{}", "[1, 2]", "\"é\"", "null", "1e3", "{\"a\": {}}"][odd % 6].to_owned(),
            _ => ["", "a", "é", "日本", "someone@example.com", "\0"][odd % 6].to_owned(),
        };
        text.into_bytes()
    }
}

/// Cells end to end.
fn var<T: AsRef<[u8]>>(cells: Vec<T>) -> VarCellsResult {
    let mut var = VarCellsResult { offsets: vec![0], data: Vec::new() };
    for cell in cells {
        var.data.extend_from_slice(cell.as_ref());
        var.offsets.push(var.data.len() as u32);
    }
    var
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_bytes_are_a_good_answer() {
        assert_eq!(output(&[]), Came::Whole);
    }

    /// `FOREBAY_FUZZ=1000000` tries as many answers.
    #[test]
    fn no_answer_breaks_a_promise() {
        let cases = std::env::var("FOREBAY_FUZZ").map_or(20_000, |n| n.parse().expect("a number"));
        let config = ProptestConfig {
            cases,
            max_shrink_iters: 20_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let came = RefCell::new(BTreeMap::new());
        // with fewer of the bytes that break something more of it is seen
        let byte = prop_oneof![30 => 0..250_u8, 1 => 250..=255_u8];
        proptest!(config, |(bytes in prop::collection::vec(byte, 0..400))| {
            *came.borrow_mut().entry(output(&bytes)).or_insert(0_u32) += 1;
        });
        let came = came.into_inner();
        for some in [Came::BadPlan, Came::BadOutput, Came::Whole, Came::Part] {
            assert!(came.get(&some).is_some_and(|&n| n > cases / 100), "hardly any {some:?}: {came:?}");
        }
        eprintln!("{came:?}");
    }
}
