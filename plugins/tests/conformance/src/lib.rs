//! Does what plugins do, one thing at a time, for the tests that hold the SDKs to the same results: the guest of the same
//! name in Go, `../conformance-go`, gives the same answers. Works on tables whose second column is a text.

use forebay_plugin::{
    Batch, Cell, Cells, Column, ColumnDef, Encoding, Error, FastHash, KeyedHash, Layout, LogicalType,
    Metadata, Output, Plan, Reject, TableSchema, TextWriter, Transform,
};

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Do {
    Identity,
    Columns,
    Drop,
    Mask,
    Append,
    Reject,
    Trap,
    FormattedTrap,
    DataError,
    Loop,
    Grow,
    Route,
    Stamps,
    Kinds,
    Hash,
    FastHash,
    NullInRetyped,
    ConfigError,
    SchemaError,
}

/// `{"do": "mask"}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    r#do: Do,
}

/// What the behaviours on single images wait for.
const POISON: &str = "poison";

struct Conformance {
    does: Do,
    /// The table's text columns.
    texts: Vec<u32>,
}

impl Transform for Conformance {
    type Config = Config;

    const SECRETS: &'static [&'static str] = &["key"];

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        match config.r#do {
            Do::ConfigError => return Err(Error::config("do", "no such thing")),
            Do::SchemaError => {
                return Err(table.text_column("id").map_or_else(|e| e.at("do"), |_| not_text()));
            }
            _ => {}
        }
        let texts = (0_u32..).zip(&table.columns).filter(|(_, def)| def.logical == LogicalType::Text);
        Ok(Conformance { does: config.r#do, texts: texts.map(|(index, _)| index).collect() })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::default();
        match self.does {
            Do::Columns => plan.rename(0, "key").nullify(1),
            Do::Drop | Do::Reject => plan.read(1).filtering(),
            Do::Mask => self.texts.iter().fold(plan, |plan, &column| plan.read(column).replace(column)),
            Do::Append => plan.read(1).append(ColumnDef {
                name: "length".to_owned(),
                logical: LogicalType::Integer,
                layout: Layout::Unsigned,
                nullable: true,
                native_type: "int unsigned".to_owned(),
            }),
            Do::Route => plan.read(1).routing(),
            Do::Stamps => plan
                .stamp(Metadata::Op, "op")
                .constant(ColumnDef::text("country", 2, false), Column::of_text("AU"))
                .stamp(Metadata::Offset, "offset")
                .keeping_deleted("gone"),
            Do::Kinds => plan.append(ColumnDef::text("kind", 1, false)).with_kinds(),
            Do::NullInRetyped => plan.read(1).retype(1, ColumnDef::text("note", 64, false)),
            Do::Hash | Do::FastHash => plan.read(1).retype(1, ColumnDef::text("note", 8, true)),
            _ => plan.read(1).replace(1),
        }
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let rows = batch.rows as usize;
        match self.does {
            Do::Drop => {
                let keep = batch.columns[0].texts()?.iter().map(|cell| u8::from(!is_poison(cell))).collect();
                Ok(Output { keep, ..Output::default() })
            }
            Do::Mask => batch.map_columns(|_, column| column.map_text(keep_first)),
            Do::Append => {
                let note = &batch.columns[0];
                let lengths = note.byte_cells()?.map(|bytes| bytes.len() as u64).collect();
                Ok(computed(Column { states: note.states.clone(), cells: Cells::Unsigned(lengths) }))
            }
            Do::Reject => {
                let cells = batch.columns[0].texts()?;
                let poisoned = (0_u32..).zip(cells.iter()).filter(|(_, cell)| is_poison(*cell));
                let reject = |row| Reject { row, reason: "not this one".to_owned() };
                let rejects = poisoned.map(|(row, _)| reject(row)).collect();
                Ok(Output { rejects, ..Output::default() })
            }
            Do::Trap => panic!("apply goes wrong"),
            Do::FormattedTrap => panic!("the note is {:?}", batch.columns[0].texts()?.get(0)),
            Do::DataError => Err(Error::Data("cannot do this".to_owned())),
            Do::Loop => {
                let mut n = 0_u64;
                loop {
                    n = std::hint::black_box(n.wrapping_add(1));
                }
            }
            Do::Grow => {
                let mut all = Vec::new();
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            Do::Route => {
                let mut places = TextWriter::with_capacity(rows, rows * 4);
                for cell in batch.columns[0].texts()?.iter() {
                    let is_long = cell.value().is_some_and(|text| text.len() > 2);
                    let place = if is_long { Cell::Value("long") } else { Cell::Null };
                    places.push(place, |place, out| out.push_str(place));
                }
                Ok(Output { routing: Some(places.finish()), ..Output::default() })
            }
            Do::Kinds => {
                let mut kinds = TextWriter::with_capacity(rows, rows);
                for kind in &batch.kinds {
                    kinds.push(Cell::Value(kind), |kind, out| out.push((b'0' + kind) as char));
                }
                Ok(computed(kinds.finish()))
            }
            Do::Hash => {
                let hash = KeyedHash::new(b"key", Encoding::Hex, 8);
                batch.map_columns(|_, column| column.map_text(|text, out| hash.write(text.as_bytes(), out)))
            }
            Do::FastHash => {
                let hash = FastHash::new(b"key", Encoding::Hex, 8);
                batch.map_columns(|_, column| column.map_text(|text, out| hash.write(text.as_bytes(), out)))
            }
            Do::NullInRetyped => batch.map_columns(|_, column| Ok(column)),
            _ => Ok(Output { columns: vec![None], ..Output::default() }),
        }
    }
}

fn not_text() -> Error {
    Error::schema("do", "column `id` is text")
}

fn computed(column: Column) -> Output {
    Output { columns: vec![Some(column)], ..Output::default() }
}

fn is_poison(cell: Cell<&str>) -> bool {
    cell == Cell::Value(POISON)
}

/// The first character stays, each of the others becomes a star.
fn keep_first(text: &str, out: &mut String) {
    let mut characters = text.chars();
    out.extend(characters.next());
    out.extend(characters.map(|_| '*'));
}

forebay_plugin::export!(Conformance);
