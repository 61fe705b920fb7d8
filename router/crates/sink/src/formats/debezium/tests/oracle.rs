//! The same records made by `serde_json::Value`, slowly and from the definitions alone; random batches must agree.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_model::{Block, ColumnType, Kind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{DebeziumConfig, DecimalMode, TimeMode};
use super::{NOW, flink, render};
use crate::sample::{Cell, Change, block, packed_date, packed_datetime, table};

fn column_type() -> impl Strategy<Value = ColumnType> {
    let fsp = 0_u8..=6;
    prop_oneof![
        (prop::sample::select(vec![8_u8, 16, 24, 32, 64]), any::<bool>())
            .prop_map(|(bits, unsigned)| ColumnType::Integer { bits, unsigned }),
        Just(ColumnType::Year),
        Just(ColumnType::Double),
        (1_u8..=65, 0_u8..=30)
            .prop_map(|(precision, scale)| ColumnType::Decimal { precision, scale: scale.min(precision) }),
        (1_u8..=64).prop_map(|bits| ColumnType::Bit { bits }),
        Just(ColumnType::Date),
        fsp.clone().prop_map(|fsp| ColumnType::Time { fsp }),
        fsp.clone().prop_map(|fsp| ColumnType::DateTime { fsp }),
        fsp.prop_map(|fsp| ColumnType::Timestamp { fsp }),
        Just(ColumnType::Text),
        Just(ColumnType::Json),
        Just(ColumnType::Binary),
        Just(ColumnType::Geometry),
        Just(ColumnType::Vector),
    ]
}

fn micros(fsp: u8) -> impl Strategy<Value = i64> {
    let step = 10_i64.pow(6 - u32::from(fsp));
    (0..1_000_000 / step).prop_map(move |n| n * step)
}

fn value(ty: &ColumnType) -> BoxedStrategy<Cell> {
    match *ty {
        ColumnType::Integer { bits: 64, unsigned: true } => any::<u64>().prop_map(Cell::UInt).boxed(),
        ColumnType::Integer { bits, unsigned: true } => (0..1_i64 << bits).prop_map(Cell::Int).boxed(),
        ColumnType::Integer { bits, .. } => {
            (i64::MIN >> (64 - bits)..=i64::MAX >> (64 - bits)).prop_map(Cell::Int).boxed()
        }
        ColumnType::Year => prop_oneof![Just(0), 1901..=2155_i64].prop_map(Cell::Int).boxed(),
        ColumnType::Float | ColumnType::Double => {
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Cell::Float).boxed()
        }
        ColumnType::Decimal { precision, .. } => {
            (any::<bool>(), prop::collection::vec(0..10_u8, 1..=usize::from(precision)))
                .prop_map(|(minus, digits)| {
                    let digits: String = digits.into_iter().map(|d| char::from(b'0' + d)).collect();
                    let digits = digits.trim_start_matches('0');
                    match (digits, minus) {
                        ("", _) => Cell::Decimal("0".into()),
                        (_, true) => Cell::Decimal(format!("-{digits}")),
                        (_, false) => Cell::Decimal(digits.into()),
                    }
                })
                .boxed()
        }
        ColumnType::Bit { bits } => any::<u64>().prop_map(move |n| Cell::UInt(n >> (64 - bits))).boxed(),
        ColumnType::Date => (0..=9999_i64, 0..=12_i64, 0..=31_i64)
            .prop_map(|(y, m, d)| Cell::Int(packed_date(y, m, d)))
            .boxed(),
        ColumnType::Time { fsp } => (-3_020_398..=3_020_398_i64, micros(fsp))
            .prop_map(|(seconds, micros)| Cell::Int(seconds * 1_000_000 + micros))
            .boxed(),
        ColumnType::DateTime { fsp } => {
            let day = prop_oneof![Just((0, 0, 0)), (1..=9999_i64, 0..=12_i64, 0..=31_i64)];
            (day, (0..24_i64, 0..60_i64, 0..60_i64), micros(fsp))
                .prop_map(|(day, time, micros)| Cell::Int(packed_datetime(day, time, micros)))
                .boxed()
        }
        ColumnType::Timestamp { fsp } => {
            let seconds = prop_oneof![Just(0), 1..4_294_967_295_i64];
            (seconds, micros(fsp))
                .prop_map(|(seconds, micros)| Cell::Int(seconds * 1_000_000 + micros))
                .boxed()
        }
        ColumnType::Vector => prop::collection::vec(any::<i16>(), 0..5)
            // eighths: exact, so that there is one shortest text
            .prop_map(|n| Cell::Bytes(n.iter().flat_map(|&n| (f32::from(n) / 8.0).to_le_bytes()).collect()))
            .boxed(),
        ColumnType::Geometry => prop::collection::vec(any::<u8>(), 4..40).prop_map(Cell::Bytes).boxed(),
        ColumnType::Binary => prop::collection::vec(any::<u8>(), 0..40).prop_map(Cell::Bytes).boxed(),
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => {
            prop_oneof![any::<String>(), "[a-z ]{0,40}", "[\\x00-\\x1f\"\\\\]{0,8}"]
                .prop_map(Cell::Text)
                .boxed()
        }
    }
}

fn cell(ty: &ColumnType) -> BoxedStrategy<Cell> {
    prop_oneof![8 => value(ty), 1 => Just(Cell::Null), 1 => Just(Cell::Absent)].boxed()
}

/// Changes of one table: `(gap before it, kind of change, two images)`.
type Drawn = Vec<(u32, u8, Vec<Cell>, Vec<Cell>)>;

fn drawn() -> impl Strategy<Value = (Vec<ColumnType>, Vec<String>, Drawn)> {
    let columns = prop::collection::vec((column_type(), "[a-z\"é]{0,40}"), 1..8);
    columns.prop_flat_map(|columns| {
        let (types, names): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        // names must differ: the second of two equal ones would hide the first in a map
        let names = names
            .iter()
            .enumerate()
            .map(|(i, name): (usize, &String)| format!("{name}{i}"))
            .collect::<Vec<_>>();
        let image = types.iter().map(cell).collect::<Vec<_>>();
        let change = (0..3_u32, 0..4_u8, image.clone(), image);
        (Just(types), Just(names), prop::collection::vec(change, 1..12))
    })
}

fn two_digits(date: (u64, u64, u64), separator: char, time: (u64, u64, u64)) -> String {
    let ((y, m, d), (h, i, s)) = (date, time);
    format!("{y:04}-{m:02}-{d:02}{separator}{h:02}:{i:02}:{s:02}")
}

fn has(date: (u64, u64, u64)) -> bool {
    let leap = date.0.is_multiple_of(4) && !date.0.is_multiple_of(100) || date.0.is_multiple_of(400);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    date.2 > 0 && (1..=12).contains(&date.1) && date.2 <= days[date.1 as usize - 1]
}

/// Days since 1970-01-01, counted year by year and month by month.
fn days(date: (u64, u64, u64)) -> i64 {
    let year_days = |y: u64| if has((y, 2, 29)) { 366 } else { 365 };
    let years: i64 = (0..date.0).map(year_days).sum();
    let months: i64 =
        (1..date.1).map(|m| (28..=31).filter(|&d| has((date.0, m, d))).count() as i64 + 27).sum();
    years + months + date.2 as i64 - 1 - 719_528
}

fn fraction(micros: u64, digits: usize) -> String {
    if digits == 0 { String::new() } else { format!(".{:06}", micros)[..digits + 1].to_owned() }
}

fn expected(ty: &ColumnType, cell: &Cell, decimal: DecimalMode, time: TimeMode) -> Value {
    let sql = time == TimeMode::Sql;
    match (ty, cell) {
        (_, Cell::Null) => Value::Null,
        (ColumnType::Bit { bits: 1 }, Cell::UInt(n)) => json!(*n == 1),
        (ColumnType::Bit { bits }, Cell::UInt(n)) => {
            json!(STANDARD.encode(&n.to_le_bytes()[..usize::from(bits.div_ceil(8))]))
        }
        (_, Cell::UInt(n)) => json!(n),
        (ColumnType::Date, Cell::Int(packed)) => {
            let packed = *packed as u64;
            let date = (packed >> 9, packed >> 5 & 15, packed & 31);
            match has(date) {
                false => Value::Null,
                true if sql => json!(two_digits(date, 'T', (0, 0, 0))[..10]),
                true => json!(days(date)),
            }
        }
        (ColumnType::Time { fsp }, Cell::Int(micros)) if sql => {
            let all = micros.unsigned_abs();
            let (seconds, rest) = (all / 1_000_000, all % 1_000_000);
            let sign = if *micros < 0 { "-" } else { "" };
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            json!(format!("{sign}{h:02}:{m:02}:{s:02}{}", fraction(rest, usize::from(*fsp))))
        }
        (ColumnType::DateTime { fsp }, Cell::Int(packed)) => {
            let packed = *packed as u64;
            let (micros, time, day) = (packed & 0xff_ffff, packed >> 24 & 0x1_ffff, packed >> 41);
            let date = ((day >> 5) / 13, (day >> 5) % 13, day & 31);
            let time = (time >> 12, time >> 6 & 63, time & 63);
            let seconds = |d: i64| d * 86_400 + (time.0 * 3600 + time.1 * 60 + time.2) as i64;
            match has(date) {
                false => Value::Null,
                true if sql => json!(two_digits(date, ' ', time) + &fraction(micros, usize::from(*fsp))),
                true if *fsp <= 3 => json!(seconds(days(date)) * 1000 + micros as i64 / 1000),
                true => json!(seconds(days(date)) * 1_000_000 + micros as i64),
            }
        }
        (ColumnType::Timestamp { .. }, Cell::Int(0)) => Value::Null,
        (ColumnType::Timestamp { fsp }, Cell::Int(micros)) => {
            let (mut day, second, rest) =
                (micros / 86_400_000_000, micros / 1_000_000 % 86_400, (micros % 1_000_000) as u64);
            let mut year = 1970;
            while day >= days((year + 1, 1, 1)) - days((year, 1, 1)) {
                day -= days((year + 1, 1, 1)) - days((year, 1, 1));
                year += 1;
            }
            let date = (1..=12)
                .flat_map(|m| (1..=31).map(move |d| (year, m, d)))
                .filter(|&date| has(date))
                .nth(day as usize)
                .unwrap();
            let second = second as u64;
            let mut text =
                two_digits(date, if sql { ' ' } else { 'T' }, (second / 3600, second / 60 % 60, second % 60));
            write!(text, "{}Z", fraction(rest, usize::from(*fsp))).unwrap();
            json!(text)
        }
        (_, Cell::Int(n)) => json!(n),
        // by way of text, since serde_json reads some floats one unit off
        (_, Cell::Float(f)) => serde_json::from_str(&json!(f).to_string()).unwrap(),
        (ColumnType::Decimal { scale, .. }, Cell::Decimal(digits)) if decimal == DecimalMode::String => {
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |d| ("-", d));
            let digits = format!("{digits:0>width$}", width = usize::from(*scale) + 1);
            let (whole, rest) = digits.split_at(digits.len() - usize::from(*scale));
            json!(if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") })
        }
        (_, Cell::Decimal(digits)) => {
            let all = arrow_buffer::i256::from_string(digits).unwrap().to_be_bytes();
            let same = |skip: &usize| {
                let sign = if all[0] & 0x80 == 0 { 0 } else { 0xff };
                all[..*skip].iter().all(|&b| b == sign) && (all[*skip] ^ sign) & 0x80 == 0
            };
            json!(STANDARD.encode(&all[(0..32).rev().find(same).unwrap()..]))
        }
        (ColumnType::Geometry, Cell::Bytes(bytes)) => {
            let srid = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            json!({"wkb": STANDARD.encode(&bytes[4..]), "srid": (srid > 0).then_some(srid)})
        }
        (ColumnType::Vector, Cell::Bytes(bytes)) => {
            let floats = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            Value::Array(floats.map(|f| json!(f)).collect())
        }
        (_, Cell::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        (_, Cell::Text(text)) => json!(text),
        (_, Cell::Absent | Cell::Partial) => unreachable!("left out"),
    }
}

fn image(types: &[ColumnType], names: &[String], cells: &[Cell], flink: bool) -> Value {
    let (decimal, time) = match flink {
        true => (DecimalMode::String, TimeMode::Sql),
        false => (DecimalMode::Precise, TimeMode::AdaptiveTimeMicroseconds),
    };
    let mut object = Map::new();
    for ((ty, name), cell) in types.iter().zip(names).zip(cells) {
        if *cell != Cell::Absent {
            object.insert(name.clone(), expected(ty, cell, decimal, time));
        }
    }
    Value::Object(object)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_read_back_as_the_slow_way_says((types, names, drawn) in drawn(), for_flink: bool, cut: bool) {
        let columns: Vec<(&str, ColumnType)> =
            names.iter().map(String::as_str).zip(types.iter().cloned()).collect();
        let t = table("t", &columns);
        let (mut event, mut changes, mut wanted) = (0, Vec::new(), Vec::new());
        for (gap, kind, before, after) in drawn {
            event += gap + 1;
            let old = image(&types, &names, &before, for_flink);
            let new = image(&types, &names, &after, for_flink);
            let (images, op, old, new) = match kind {
                0 => (vec![(Kind::Snapshot, after)], "r", Value::Null, new),
                1 => (vec![(Kind::Insert, after)], "c", Value::Null, new),
                2 => (vec![(Kind::Delete, before)], "d", old, Value::Null),
                _ => (vec![(Kind::Before, before), (Kind::After, after)], "u", old, new),
            };
            changes.push(Change { table: t.clone(), event, part: 0, images });
            wanted.push((event, json!({
                "before": old, "after": new,
                "source": {
                    "version": env!("CARGO_PKG_VERSION"), "connector": "mysql", "name": "shop",
                    "ts_ms": 1_795_000_000_123_u64, "snapshot": if kind == 0 { "true" } else { "false" },
                    "db": "db", "sequence": null, "ts_us": 1_795_000_000_123_456_u64,
                    "ts_ns": 1_795_000_000_123_456_000_u64, "table": "t", "server_id": 7,
                    "gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", "file": "binlog.000007",
                    "pos": 1000 + event, "row": event % 3, "thread": 42, "query": null
                },
                "transaction": null, "op": op,
                "ts_ms": NOW / 1000, "ts_us": NOW, "ts_ns": NOW * 1000
            })));
        }
        let whole: Block = block(7, event + 1, &changes);
        // a cut block has arrays that begin inside their buffers
        let (block, from) = if cut { (whole.slice(7 + u64::from(event / 2), whole.end()), event / 2) } else { (whole, 0) };
        let config = if for_flink { flink() } else { DebeziumConfig::default() };
        let lines = render(&config, &block);
        let wanted: Vec<Value> = wanted.into_iter().filter(|(e, _)| *e >= from).map(|(_, v)| v).collect();
        prop_assert_eq!(lines.len(), wanted.len());
        for (line, wanted) in lines.iter().zip(wanted) {
            let record: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&record, &wanted);
            prop_assert_eq!(
                record.as_object().unwrap().keys().collect::<Vec<_>>(),
                wanted.as_object().unwrap().keys().collect::<Vec<_>>()
            );
        }
    }
}
