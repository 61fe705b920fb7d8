//! The filter plugin against MySQL itself: random conditions over random rows keep the rows that `SELECT ... WHERE` keeps.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, UInt64Array,
};
use forebay_model::{Batch, Column, ColumnType, Kind, Origin, Run, TableSchema, Txn};
use forebay_transform::{Host, Limits, Place};
use mysql_async::prelude::Queryable as _;

use crate::rig::guest;

const ROWS: usize = 60;
const CONDITIONS: usize = 500;

/// A sequence of numbers that is the same in every run (Steele, Lea, Flood: SplitMix).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A column: its name, MySQL's type, and the literals that its values and what it is compared with are taken from.
struct Sort {
    names: [&'static str; 2],
    types: [&'static str; 2],
    values: &'static [&'static str],
    others: &'static [&'static str],
}

const INTEGERS: Sort = Sort {
    names: ["i", "u"],
    types: ["int", "bigint unsigned"],
    values: &["0", "1", "2", "3", "7", "1000"],
    others: &["-1", "2.5", "0.0", "7.00", "1e3", "TRUE", "18446744073709551615", "-0.5"],
};
const DECIMALS: Sort = Sort {
    names: ["a", "b"],
    types: ["decimal(10,2)", "decimal(25,5)"],
    values: &["0", "-0.01", "10.50", "1", "2.50", "99999999.99"],
    others: &["10.5", "2.5000", "0.001", "-5", "1e1", "99999999.991"],
};
const DOUBLES: Sort = Sort {
    names: ["r", "q"],
    types: ["double", "double"],
    values: &["0", "0.1", "-1.5", "2.5", "1e10", "10.5"],
    others: &["0.10", "1", "3e-1", "10000000000"],
};
const TEXTS: Sort = Sort {
    names: ["s", "t"],
    types: ["varchar(20) COLLATE utf8mb4_0900_bin", "varchar(20) COLLATE utf8mb4_0900_bin"],
    values: &["''", "'NSW'", "'nsw'", "'NSW '", "'N_W'", "'100%'", "'日本'", "'a\\\\b'"],
    others: &["'Z'", "'日'", "'N'"],
};
const DATES: Sort = Sort {
    names: ["d", "dt"],
    types: ["date", "datetime(3)"],
    values: &["'2020-01-31'", "'2020-00-15'", "'0000-00-00'", "'2019-12-31'", "'2020-02-29'"],
    others: &[
        "'2020-01-31 12:00:00'",
        "DATE '2020-01-31'",
        "TIMESTAMP '2019-12-31 23:59:59.5'",
        "'2020-01-31 00:00:00.000'",
    ],
};
const TIMES: Sort = Sort {
    names: ["tm", "tn"],
    // MySQL rounds a literal to the digits of the column that it meets, so it has no more than the two have
    types: ["time(2)", "time(1)"],
    values: &["'00:00:00'", "'-01:00:00'", "'838:59:59'", "'12:34:56'"],
    others: &["'12:34:56.5'", "TIME '-00:00:01'", "'100:00:00'"],
};
const KINDS: [Sort; 6] = [INTEGERS, DECIMALS, DOUBLES, TEXTS, DATES, TIMES];
const PATTERNS: [&str; 9] =
    ["'N%'", "'%W'", "'n__'", "'%'", "'N\\_W'", "'%!%' ESCAPE '!'", "'_本'", "'a\\\\\\\\b'", "'_'"];

const WITH_LITERALS: [&str; 4] = [" AND TRUE", " OR NULL", " AND NULL", " OR FALSE"];
const BETWEEN_TWO: [&str; 2] = [" AND ", " OR "];

/// A comparison within a kind.
fn leaf(random: &mut Random, out: &mut String) {
    let kind = &KINDS[random.below(KINDS.len())];
    // numbers of all kinds meet each other
    let other = if kind.names[0] != "s" && kind.names[0] != "d" && kind.names[0] != "tm" {
        &KINDS[random.below(3)]
    } else {
        kind
    };
    let name = random.of(&kind.names);
    let operand = |random: &mut Random| match random.below(10) {
        0 => "NULL",
        1 | 2 => random.of(&other.names),
        3..=6 => random.of(kind.values),
        _ => random.of(kind.others),
    };
    let not = random.of(&["", "NOT "]);
    match random.below(12) {
        0 => write!(out, "{name} IS {not}NULL"),
        1 if kind.names[0] == "s" => write!(out, "{name} {not}LIKE {}", random.of(&PATTERNS)),
        1 if other.names[0] != kind.names[0] || kind.names[0] == "i" => write!(out, "{name}"),
        2 => {
            // of times MySQL says that `a BETWEEN a AND NULL` is false, where it is unknown of all else
            let is_time = kind.names[0] == "tm";
            let mut bound = || if is_time { random.of(kind.values) } else { operand(random) };
            write!(out, "{name} {not}BETWEEN {} AND {}", bound(), bound())
        }
        3 | 4 => {
            let list: Vec<&str> = (0..=random.below(4))
                .map(|_| {
                    let all = if random.below(2) == 0 { kind.values } else { kind.others };
                    random.of(all)
                })
                .collect();
            let null = random.of(&["", "", ", NULL"]);
            write!(out, "{name} {not}IN ({}{null})", list.join(", "))
        }
        _ => {
            let op = random.of(&["=", "<>", "!=", "<", "<=", ">", ">=", "<=>"]);
            let value = operand(random);
            if random.below(4) == 0 {
                write!(out, "{value} {op} {name}")
            } else {
                write!(out, "{name} {op} {value}")
            }
        }
    }
    .expect("a String takes any text");
}

/// A condition.
fn condition(random: &mut Random, depth: usize, out: &mut String) {
    match random.below(if depth == 0 { 3 } else { 9 }) {
        0..=2 => leaf(random, out),
        3 | 4 => {
            out.push_str("NOT ");
            condition(random, 0, out);
        }
        5 => {
            out.push('(');
            condition(random, depth - 1, out);
            let is = random.of(&["TRUE", "FALSE", "UNKNOWN", "NOT TRUE", "NOT FALSE", "NULL"]);
            write!(out, ") IS {is}").expect("a String takes any text");
        }
        6 => {
            condition(random, depth - 1, out);
            out.push_str(random.of(&WITH_LITERALS));
        }
        _ => {
            // with and without parentheses, so that precedence is tried
            let open = random.below(2) == 0;
            out.push_str(if open { "(" } else { "" });
            condition(random, depth - 1, out);
            out.push_str(random.of(&BETWEEN_TWO));
            condition(random, depth - 1, out);
            out.push_str(if open { ")" } else { "" });
        }
    }
}

/// The rows as literals; none = NULL.
fn rows(random: &mut Random) -> Vec<[Option<&'static str>; 12]> {
    let mut row = || std::array::from_fn(|at| (random.below(5) > 0).then(|| random.of(KINDS[at / 2].values)));
    (0..ROWS).map(|_| row()).collect()
}

/// The same rows as the router has them.
fn images(rows: &[[Option<&'static str>; 12]]) -> Batch {
    let text = |at: usize| rows.iter().map(move |row| row[at].map(|text| text.trim_matches('\'')));
    let scaled = |at: usize, scale: i128| -> Vec<Option<i128>> {
        // exact for these few values
        text(at)
            .map(|text| text.map(|text| (text.parse::<f64>().unwrap() * scale as f64).round() as i128))
            .collect()
    };
    let date = |text: &str| {
        let part = |range| text.get(range).and_then(|digits: &str| digits.parse::<i64>().ok()).unwrap();
        (part(0..4), part(5..7), part(8..10))
    };
    let micros = |text: &str| {
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let parts: Vec<i64> = text.split(':').map(|part| part.parse().unwrap()).collect();
        sign * ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000
    };
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let types = [
        ColumnType::Integer { bits: 32, unsigned: false },
        ColumnType::Integer { bits: 64, unsigned: true },
        decimal(10, 2),
        decimal(25, 5),
        ColumnType::Double,
        ColumnType::Double,
        ColumnType::Text,
        ColumnType::Text,
        ColumnType::Date,
        ColumnType::DateTime { fsp: 3 },
        ColumnType::Time { fsp: 2 },
        ColumnType::Time { fsp: 1 },
    ];
    let doubles = |at: usize| {
        Float64Array::from_iter(text(at).map(|text| text.map(|text| text.parse::<f64>().unwrap())))
    };
    let texts =
        |at: usize| StringArray::from_iter(text(at).map(|text| text.map(|text| text.replace("\\\\", "\\"))));
    let times = |at: usize| Int64Array::from_iter(text(at).map(|text| text.map(micros)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(0..rows.len() as i32)),
        Arc::new(Int32Array::from_iter(text(0).map(|text| text.map(|text| text.parse::<i32>().unwrap())))),
        Arc::new(UInt64Array::from_iter(text(1).map(|text| text.map(|text| text.parse::<u64>().unwrap())))),
        Arc::new(Decimal128Array::from(scaled(2, 100)).with_data_type(types[2].layout())),
        Arc::new(Decimal128Array::from(scaled(3, 100_000)).with_data_type(types[3].layout())),
        Arc::new(doubles(4)),
        Arc::new(doubles(5)),
        Arc::new(texts(6)),
        Arc::new(texts(7)),
        Arc::new(Int32Array::from_iter(text(8).map(|text| {
            text.map(|text| {
                let (year, month, day) = date(text);
                (year << 9 | month << 5 | day) as i32
            })
        }))),
        Arc::new(Int64Array::from_iter(text(9).map(|text| {
            text.map(|text| {
                let (year, month, day) = date(text);
                ((year * 13 + month) << 5 | day) << 41
            })
        }))),
        Arc::new(times(10)),
        Arc::new(times(11)),
    ];
    let column = |name: &str, ty, native: &str| {
        let native = native.split(" COLLATE").next().unwrap().to_owned();
        Column { name: name.to_owned(), ty, nullable: name != "id", native }
    };
    let mut defs = vec![column("id", ColumnType::Integer { bits: 32, unsigned: false }, "int")];
    for (at, ty) in types.into_iter().enumerate() {
        let kind = &KINDS[at / 2];
        defs.push(column(kind.names[at % 2], ty, kind.types[at % 2]));
    }
    let table = TableSchema {
        database: "d".to_owned(),
        table: "t".to_owned(),
        columns: defs,
        key: vec![0],
        lineage: Default::default(),
    };
    let run = |n| Run { pos: 4, row: n, event: n, nth: n, txn: 0, seconds: 0, part: 0 };
    let kinds = vec![Kind::Insert; rows.len()];
    let runs = (0..rows.len() as u32).map(run).collect();
    let batch = Batch { table: table.shared(), kinds, runs, columns, absent: Vec::new(), routing: None };
    batch.check();
    batch
}

#[tokio::test]
async fn keeps_what_mysql_keeps() {
    let mut random = Random(20_261_121);
    let rows = rows(&mut random);
    let input = images(&rows);
    let database = forebay_kit::mysql().await.database("filter").await.unwrap();
    let mut server = database.connect().await.unwrap();
    server.query_drop("SET sql_mode = '', time_zone = '+00:00', NAMES utf8mb4").await.unwrap();
    let columns: Vec<String> = KINDS
        .iter()
        .flat_map(|kind| [0, 1].map(|n| format!("{} {}", kind.names[n], kind.types[n])))
        .collect();
    server.query_drop(format!("CREATE TABLE t (id int PRIMARY KEY, {})", columns.join(", "))).await.unwrap();
    for (id, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = row.iter().map(|cell| cell.unwrap_or("NULL")).collect();
        server.query_drop(format!("INSERT INTO t VALUES ({id}, {})", cells.join(", "))).await.unwrap();
    }
    let cache = tempfile::tempdir().unwrap();
    let filter = Host::new(cache.path()).unwrap().load(&guest("filter")).unwrap();
    let txn = Txn { uuid: [1; 16], number: 1, commit_us: 1, thread: 1, server_id: 1, file: 0, tag: 0 };
    let origin = Origin { txns: vec![txn], strings: vec!["binlog.000001".to_owned()] };
    let place = Place { source: "test", first: 0, origin: &origin };
    let (mut some, mut refused) = (0, 0);
    for n in 0..CONDITIONS {
        let mut text = String::new();
        condition(&mut random, 3, &mut text);
        let config = serde_json::json!({ "where": text }).to_string();
        let mut binding = match filter.bind("test", &input.table, &config, &Limits::default()).await {
            Ok(binding) => binding,
            // NULL <=> NULL and the like
            Err(refusal)
                if refusal.fault.message().contains("must be a column")
                    || refusal.fault.message().contains("names no column") =>
            {
                refused += 1;
                continue;
            }
            Err(refusal) => panic!("{n}: {text}: {}", refusal.fault),
        };
        let applied = binding.apply(&input, &place).await.unwrap();
        let kept: Vec<i32> = applied.batch.columns[0].as_primitive::<Int32Type>().values().to_vec();
        let want: Vec<i32> =
            server.query(format!("SELECT id FROM t WHERE {text} ORDER BY id")).await.unwrap();
        assert_eq!(kept, want, "{n}: {text}");
        some += usize::from(!kept.is_empty() && kept.len() < ROWS);
    }
    assert!(some > CONDITIONS / 2, "{some} of {CONDITIONS} conditions kept some rows and not all");
    assert!(refused < CONDITIONS / 20, "{refused}");
}
