//! What is masked is masked in every image: random changes through random rules, and then through filters that make deletes and inserts
//! of updates, and columns that are retyped, copied, renamed and left out. No cell of the result holds what a rule hides, and what was absent stays absent.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use forebay_model::{Batch, Kind, TableSchema};
use forebay_transform::Limits;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{batch, config as config_of, hostile, id_column, place, plugin, table, text_column};

const COLUMNS: [&str; 4] = ["email", "phone", "name", "note"];

/// A rule of the mask, and what it makes of a value; the oracle knows nothing of the plugin.
#[derive(Clone, Debug)]
enum Rule {
    KeepFirst(usize),
    KeepLast(usize),
    KeepDomain,
    Text,
    Hash,
    Null,
    Drop,
    /// Not masked.
    Plain,
}

impl Rule {
    fn config(&self) -> Option<Value> {
        Some(match self {
            Rule::KeepFirst(n) => json!({ "keep_first": n }),
            Rule::KeepLast(n) => json!({ "keep_last": n }),
            Rule::KeepDomain => json!({ "keep_domain": true }),
            Rule::Text => json!({ "text": "REDACTED" }),
            Rule::Hash => json!({ "hash": { "key": "k", "length": 20 } }),
            Rule::Null => json!({ "null": true }),
            Rule::Drop => json!({ "drop": true }),
            Rule::Plain => return None,
        })
    }

    /// Whether this may stand where `value` stood.
    fn allows(&self, value: &str, masked: Option<&str>) -> bool {
        let stars = |text: &str| text.chars().map(|_| '*').collect::<String>();
        let characters: Vec<char> = value.chars().collect();
        let of = |range: &[char]| range.iter().collect::<String>();
        match self {
            Rule::KeepFirst(n) => {
                let n = (*n).min(characters.len());
                masked == Some(&*format!("{}{}", of(&characters[..n]), stars(&of(&characters[n..]))))
            }
            Rule::KeepLast(n) => {
                let n = characters.len() - (*n).min(characters.len());
                masked == Some(&*format!("{}{}", stars(&of(&characters[..n])), of(&characters[n..])))
            }
            Rule::KeepDomain => {
                let (local, domain) = value.split_at(value.rfind('@').unwrap_or(value.len()));
                let mut local = local.chars();
                let first: String = local.next().into_iter().collect();
                masked == Some(&*format!("{first}{}{domain}", stars(local.as_str())))
            }
            Rule::Text => masked == Some("REDACTED"),
            Rule::Hash => {
                masked.is_some_and(|hash| hash.len() == 20 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
            }
            Rule::Null | Rule::Drop => masked.is_none(),
            Rule::Plain => masked == Some(value),
        }
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (0usize..3).prop_map(Rule::KeepFirst),
        (0usize..3).prop_map(Rule::KeepLast),
        Just(Rule::KeepDomain),
        Just(Rule::Text),
        Just(Rule::Hash),
        Just(Rule::Null),
        Just(Rule::Drop),
        Just(Rule::Plain),
    ]
}

/// A value, NULL, or nothing. A value begins with letters that no rule and no other value makes.
#[derive(Clone, Debug)]
enum Cell {
    Value(String),
    Null,
    Absent,
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        6 => "[b-y]{6,10}[é@ ]{0,2}[b-y日]{4,8}".prop_map(Cell::Value),
        1 => Just(Cell::Null),
        2 => Just(Cell::Absent),
    ]
}

type Image = (Kind, [Cell; 4]);

fn changes() -> impl Strategy<Value = Vec<Image>> {
    let image = || [cell(), cell(), cell(), cell()];
    let event = (0..5u8, image(), image()).prop_map(|(op, a, b)| match op {
        0 => vec![(Kind::Snapshot, a)],
        1 => vec![(Kind::Insert, a)],
        2 => vec![(Kind::Delete, a)],
        _ => vec![(Kind::Before, a), (Kind::After, b)],
    });
    prop::collection::vec(event, 1..25).prop_map(|events| events.into_iter().flatten().collect())
}

fn images(table: &Arc<TableSchema>, images: &[Image]) -> Batch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..images.len() as i32));
    let mut columns = vec![ids];
    let mut absent = vec![None];
    for at in 0..COLUMNS.len() {
        let text = images.iter().map(|(_, cells)| match &cells[at] {
            Cell::Value(text) => Some(text.as_str()),
            Cell::Null | Cell::Absent => None,
        });
        columns.push(Arc::new(StringArray::from_iter(text)));
        absent.push(Some(BooleanBuffer::collect_bool(images.len(), |row| {
            matches!(images[row].1[at], Cell::Absent)
        })));
    }
    let mut batch = batch(table, images.iter().map(|(kind, _)| *kind).collect(), columns);
    batch.absent = absent;
    batch
}

/// Every text of a batch.
fn texts(batch: &Batch) -> impl Iterator<Item = &str> {
    let of_text = batch.columns.iter().filter(|column| *column.data_type() == DataType::Utf8);
    of_text.flat_map(|column| column.as_string::<i32>().iter().flatten())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_image_carries_what_a_rule_hides(
        changes in changes(), rules in [rule(), rule(), rule(), rule()], deleted: bool, renamed in 0usize..4,
        left_out in 0usize..8, every in 1usize..4, more in prop_oneof![Just("retype"), Just("append"), Just("")],
    ) {
        let mut defs = vec![id_column()];
        defs.extend(COLUMNS.map(text_column));
        let table = table(defs);
        let input = images(&table, &changes);
        let config: Map<String, Value> = COLUMNS
            .iter()
            .zip(&rules)
            .filter_map(|(name, rule)| Some(((*name).to_owned(), rule.config()?)))
            .collect();
        let config = json!({ "columns": config }).to_string();
        let mut then = json!({
            "rename": { COLUMNS[renamed]: "renamed" },
            "exclude": COLUMNS.get(left_out).filter(|_| left_out != renamed).into_iter().collect::<Vec<_>>(),
            "metadata": { "op": "__op" },
            "missing": "ignore",
        });
        if deleted {
            then["deleted"] = json!({ "column": "__deleted" });
        }
        // images pass or not, each by itself: an update becomes a delete, or an insert
        let passes = |row: &usize| row.is_multiple_of(every);
        let ids: Vec<String> = (0..changes.len()).filter(passes).map(|row| row.to_string()).collect();
        let filter = json!({ "where": format!("id IN ({})", ids.join(", ")) }).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (masked, left, last) = runtime.block_on(async {
            let limits = Limits::default();
            let mut mask = plugin("mask").bind("test", &table, &config, &limits).await.unwrap();
            let masked = mask.apply(&input, &place()).await.unwrap().batch;
            let then = then.to_string();
            let mut filter = plugin("filter").bind("test", mask.output(), &filter, &limits).await.unwrap();
            let left = filter.apply(&masked, &place()).await.unwrap().batch;
            let (mut table, mut last) = (filter.output().clone(), left.clone());
            // a retyped number or a copied text, where a text is left
            if !more.is_empty() && table.columns.len() > 1 {
                let mut more = hostile().bind("test", &table, &config_of(more), &limits).await.unwrap();
                last = more.apply(&last, &place()).await.unwrap().batch;
                table = more.output().clone();
            }
            let mut columns = plugin("columns").bind("test", &table, &then, &limits).await.unwrap();
            let last = columns.apply(&last, &place()).await.unwrap().batch;
            (masked, left, last)
        });
        masked.check();
        left.check();
        last.check();
        prop_assert_eq!(left.rows(), ids.len());
        let whole = |kind| left.kinds.iter().filter(|of| **of == kind).count();
        prop_assert_eq!(whole(Kind::Before), whole(Kind::After));
        if every > 1 {
            prop_assert_eq!(whole(Kind::Before), 0, "of two neighbours one passes at most");
        }
        prop_assert_eq!(&masked.kinds, &input.kinds);
        // cell by cell: an image of a delete, before and after an update, all alike
        for (at, (name, rule)) in COLUMNS.iter().zip(&rules).enumerate() {
            let Some(column) = masked.table.column(name) else {
                prop_assert!(matches!(rule, Rule::Drop), "{name} is gone");
                continue;
            };
            let cells = masked.columns[column].as_string::<i32>();
            for (row, (_, image)) in changes.iter().enumerate() {
                let cell = cells.is_valid(row).then(|| cells.value(row));
                prop_assert_eq!(masked.is_absent(column, row), matches!(image[at], Cell::Absent), "{} {}", name, row);
                match &image[at] {
                    Cell::Value(value) => prop_assert!(rule.allows(value, cell), "{rule:?} {row}"),
                    Cell::Null | Cell::Absent => prop_assert_eq!(cell, None),
                }
            }
        }
        // and whatever became of the columns, the beginning of a hidden value is nowhere
        for (at, rule) in rules.iter().enumerate() {
            if matches!(rule, Rule::Plain) {
                continue;
            }
            for (_, image) in &changes {
                if let Cell::Value(value) = &image[at] {
                    let start = &value[..6];
                    prop_assert!(!texts(&last).any(|text| text.contains(start)), "{rule:?}: {start}");
                }
            }
        }
    }
}
