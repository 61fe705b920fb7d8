//! Breaks every promise of the contract, one at a time, for the tests of the host. The configuration names what
//! it does: [`Do`]. The table's first column is a signed integer, the second a text; a text "poison" is what
//! the `Poison..` behaviours wait for.

use forebay_plugin::{
    Batch, Cell, Cells, Column, ColumnDef, Edit, Error, Layout, Level, LogicalType, Metadata, Output, Plan,
    Reject, TableSchema, TextWriter, Transform, VarCells, log,
};

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Do {
    // crashes and limits
    TrapInOpen,
    LoopInOpen,
    TrapInPlan,
    ErrorConfig,
    ErrorSchema,
    Trap,
    TrapOnPoison,
    TrapOnce,
    Loop,
    Grow,
    GrowOnPoison,
    Recurse,
    GiantOutput,
    LogFlood,
    LoseMemory,
    // answers that are errors, drops or rejects
    DataError,
    RejectPoison,
    DropPoison,
    DropAndRejectPoison,
    // tells its secret to everybody
    TellKeyInOpen,
    TellKeyInPlan,
    TellKeyInError,
    TellKey,
    // answers that break the contract
    PlanOutOfRange,
    PlanTwice,
    NoColumns,
    WrongLayout,
    WrongCount,
    OffsetsFall,
    OffsetsBeyond,
    NotUtf8,
    CutCharacter,
    BadState,
    BecomesAbsent,
    NullInNotNull,
    AbsentBecomesValue,
    KeepWithoutFilter,
    ShortKeep,
    RejectOutOfRange,
    PlacesWithoutRouting,
    ShortPlaces,
    AbsentPlace,
    BadPlace,
    // answers that are fine
    Unchanged,
    Append,
    AppendAbsent,
    Retype,
    Everything,
    Kinds,
    WholeUpdates,
    Echo,
    RouteByNote,
    Stamps,
    KeepDeleted,
    KeyIsNote,
}

/// `{"do": "trap"}`; `key` is a secret for those that tell it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    r#do: Do,
    #[serde(default)]
    key: String,
}

const POISON: &str = "poison";

struct Hostile {
    does: Do,
    /// Read and returned as they came, by `Echo`.
    columns: u32,
    key: String,
}

/// How often this instance was called.
static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn calls() -> u32 {
    CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

impl Transform for Hostile {
    type Config = Config;

    const SECRETS: &'static [&'static str] = &["key"];

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let Config { r#do: does, key } = config;
        match does {
            Do::TellKeyInOpen => return Err(Error::config("key", format!("`{key}` is no key"))),
            Do::TrapInOpen => panic!("open goes wrong"),
            Do::LoopInOpen => spin(),
            Do::ErrorConfig => return Err(Error::config("do", "no such thing")),
            Do::ErrorSchema => return Err(Error::schema("", "not this table")),
            _ => {}
        }
        Ok(Hostile { does, columns: table.columns.len() as u32, key })
    }

    fn plan(&self) -> Plan {
        let text = |name| ColumnDef::text(name, 64, true);
        let plan = Plan::default();
        match self.does {
            Do::TrapInPlan => panic!("plan goes wrong"),
            Do::PlanOutOfRange => plan.read(99),
            Do::PlanTwice => plan.drop(1).replace(1),
            Do::RejectPoison
            | Do::DropPoison
            | Do::DropAndRejectPoison
            | Do::ShortKeep
            | Do::RejectOutOfRange => plan.read(1).filtering(),
            Do::TellKeyInPlan => plan.rename(1, &self.key),
            Do::TellKey => plan.read(1).replace(1).filtering(),
            Do::Append | Do::AppendAbsent => plan.read(1).append(text("copy")),
            Do::Retype => plan.read(0).retype(0, ColumnDef::text("id_text", 20, false)),
            Do::NullInNotNull => plan.read(0).replace(0),
            Do::AbsentBecomesValue => plan.read(1).replace(1),
            Do::Kinds => plan.append(text("kind")).with_kinds(),
            Do::WholeUpdates => plan.filtering().with_kinds(),
            Do::ShortPlaces | Do::AbsentPlace | Do::BadPlace | Do::RouteByNote => plan.read(1).routing(),
            Do::Stamps => {
                let places = [Metadata::Source, Metadata::Database, Metadata::Table];
                let plan = plan
                    .stamp(Metadata::Op, "op")
                    .constant(text("country"), Column::of_text("AU"))
                    .stamp(Metadata::CommitTime, "at")
                    .stamp(Metadata::Gtid, "gtid")
                    .stamp(Metadata::Offset, "offset");
                places
                    .iter()
                    .zip(["source", "db", "tbl"])
                    .fold(plan, |plan, (what, name)| plan.stamp(*what, name))
            }
            Do::KeepDeleted => plan.stamp(Metadata::Op, "op").keeping_deleted("gone"),
            Do::KeyIsNote => plan.read(1).retype(1, ColumnDef::text("note", 64, false)).key(["note"]),
            Do::Everything => plan.read(1).rename(0, "key").drop(2).nullify(3).replace(1).append(ColumnDef {
                name: "length".to_owned(),
                logical: LogicalType::Integer,
                layout: Layout::Unsigned,
                nullable: true,
                native_type: "int unsigned".to_owned(),
            }),
            Do::Echo => {
                let all = 0..self.columns;
                let mut plan = all.clone().fold(plan, Plan::read);
                plan.edits = all.map(Edit::Replace).collect();
                plan
            }
            _ => plan.read(1).replace(1),
        }
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let rows = batch.rows as usize;
        let poisoned = |batch: &Batch| -> Option<usize> {
            batch.columns[0].texts().ok()?.iter().position(|cell| cell == Cell::Value(POISON))
        };
        match self.does {
            Do::Trap => panic!("apply goes wrong"),
            Do::TrapOnPoison if poisoned(&batch).is_some() => panic!("poison met"),
            Do::TrapOnce if calls() == 1 => panic!("the second call goes wrong"),
            Do::Loop => spin(),
            Do::Grow => grow(),
            Do::GrowOnPoison if poisoned(&batch).is_some() => grow(),
            Do::LoseMemory => std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20])),
            Do::Recurse => {
                let depth = recurse(rows as u64);
                return Err(Error::Data(depth.to_string()));
            }
            Do::LogFlood => (0..10_000).for_each(|n| log(Level::Info, &format!("line {n}"))),
            Do::TellKeyInError => return Err(Error::Data(format!("not with {}", self.key))),
            Do::TellKey => {
                log(Level::Info, &format!("the key is {}", self.key));
                let rejected =
                    poisoned(&batch).map(|row| Reject { row: row as u32, reason: self.key.clone() });
                let mut output = batch.map_columns(|_, c| c.map_text(|_, out| out.push_str(&self.key)))?;
                output.rejects = rejected.into_iter().collect();
                return Ok(output);
            }
            Do::DataError => return Err(Error::Data("cannot do this".to_owned())),
            Do::NoColumns => return Ok(Output::default()),
            Do::KeepWithoutFilter => {
                let mut output = batch.map_columns(|_, column| Ok(column))?;
                output.keep = vec![1; rows];
                return Ok(output);
            }
            Do::ShortKeep => return Ok(Output { keep: vec![1], ..Output::default() }),
            Do::RejectOutOfRange => return Ok(reject(batch.rows)),
            Do::RejectPoison => {
                return Ok(poisoned(&batch).map_or_else(Output::default, |row| reject(row as u32)));
            }
            Do::DropPoison | Do::DropAndRejectPoison => {
                let texts = batch.columns[0].texts()?;
                let keep = texts.iter().map(|cell| u8::from(cell != Cell::Value(POISON))).collect();
                let rejected = poisoned(&batch).filter(|_| self.does == Do::DropAndRejectPoison);
                let rejects = rejected.map_or_else(Vec::new, |row| reject(row as u32).rejects);
                return Ok(Output { keep, rejects, ..Output::default() });
            }
            Do::WholeUpdates if batch.kinds.first() == Some(&3) || batch.kinds.last() == Some(&2) => {
                return Err(Error::Data("an update was cut in two".to_owned()));
            }
            Do::WholeUpdates => return Ok(Output::default()),
            Do::ShortPlaces => return Ok(route(Column::of_text("a"))),
            Do::AbsentPlace | Do::BadPlace | Do::RouteByNote => {
                let mut places = batch.columns.into_iter().next().expect("the note");
                if self.does == Do::AbsentPlace {
                    places.states = vec![2; rows];
                } else if self.does == Do::BadPlace {
                    places = places.map_text(|_, out| out.push_str("../up"))?;
                }
                return Ok(route(places));
            }
            Do::Unchanged => return Ok(Output { columns: vec![None], ..Output::default() }),
            Do::Kinds => {
                let mut kinds = TextWriter::with_capacity(rows, rows);
                for kind in &batch.kinds {
                    kinds.push(Cell::Value(kind), |kind, out| out.push((b'0' + kind) as char));
                }
                return Ok(Output { columns: vec![Some(kinds.finish())], ..Output::default() });
            }
            Do::Retype => {
                let column = &batch.columns[0];
                let mut out = TextWriter::with_capacity(rows, rows);
                for (row, id) in column.signed()?.iter().enumerate() {
                    out.push(column.cell(row, || id), |id, out| out.push_str(&id.to_string()));
                }
                return Ok(Output { columns: vec![Some(out.finish())], ..Output::default() });
            }
            Do::Everything => {
                let texts = batch.columns[0].texts()?;
                let lengths =
                    texts.iter().map(|cell| cell.value().map_or(0, |text| text.len() as u64)).collect();
                let length =
                    Column { states: batch.columns[0].states.clone(), cells: Cells::Unsigned(lengths) };
                let mut output =
                    batch.map_columns(|_, c| c.map_text(|text, out| out.extend(text.chars().rev())))?;
                output.columns.push(Some(length));
                return Ok(output);
            }
            Do::PlacesWithoutRouting => {
                let mut output = batch.map_columns(|_, column| Ok(column))?;
                output.routing = output.columns[0].clone();
                return Ok(output);
            }
            _ => {}
        }
        batch.map_columns(|_, column| Ok(self.spoil(column, rows)))
    }
}

impl Hostile {
    /// The column as it came, but for one thing.
    fn spoil(&self, mut column: Column, rows: usize) -> Column {
        let var = |offsets, data: &[u8]| Cells::Text(VarCells { offsets, data: data.to_vec() });
        match self.does {
            Do::GiantOutput => column.cells = var(vec![0; rows + 1], &vec![b'x'; 80 << 20]),
            Do::WrongLayout => column.cells = Cells::Signed(vec![0; rows]),
            Do::WrongCount => column.cells = var(vec![0; rows + 2], b""),
            Do::OffsetsFall => {
                let mut offsets = vec![3; rows + 1];
                offsets[0] = 0;
                offsets[1] = 4;
                column.cells = var(offsets, b"abc");
            }
            Do::OffsetsBeyond => column.cells = var((0..=rows as u32).collect(), b"a"),
            Do::NotUtf8 => column.cells = var((0..=rows as u32).collect(), &vec![0xff; rows]),
            Do::CutCharacter => {
                let mut offsets = vec![2; rows + 1];
                offsets[0] = 0;
                offsets[1] = 1;
                column.cells = var(offsets, "é".as_bytes());
            }
            Do::BadState => column.states = vec![7; rows],
            Do::BecomesAbsent => column.states = vec![2; rows],
            Do::NullInNotNull => column.states = vec![0; rows],
            Do::AbsentBecomesValue => column.states = vec![1; rows],
            Do::AppendAbsent => column.states = (0..rows).map(|row| 1 + (row % 2) as u8).collect(),
            _ => {}
        }
        column
    }
}

fn route(places: Column) -> Output {
    Output { routing: Some(places), ..Output::default() }
}

fn reject(row: u32) -> Output {
    Output { rejects: vec![Reject { row, reason: "not this one".to_owned() }], ..Output::default() }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn grow() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(n: u64) -> u64 {
    let deep = std::hint::black_box([n; 64]);
    if deep[63] == u64::MAX { 0 } else { recurse(std::hint::black_box(n + 1)) + deep[0] }
}

forebay_plugin::export!(Hostile);
