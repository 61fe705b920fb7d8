//! Golden envelopes and values, and the same records by an independent, slow way.

use std::sync::Arc;

use forebay_model::{ColumnType, Kind, TableSchema};
use serde_json::{Value, json};

use super::{
    BigintUnsigned, BinaryMode, DebeziumConfig, DecimalMode, Profile, Renderer, TimeMode, ZeroDates,
};
use crate::codes;
use crate::formats::Text;
use crate::sample::{Cell, Change, block, packed_date, packed_datetime, table};

mod modes;
mod oracle;

const NOW: u64 = 1_795_000_001_000_007;

fn flink() -> DebeziumConfig {
    DebeziumConfig { profile: Profile::Flink, ..DebeziumConfig::default() }
}

fn render(config: &DebeziumConfig, block: &forebay_model::Block) -> Vec<String> {
    let mut renderer = Renderer::new(config, "shop");
    let mut records = renderer.records(block, NOW);
    let (mut out, mut lines, mut start) = (Text::new(), Vec::new(), 0);
    while let Some(record) = records.next(&mut out).unwrap() {
        assert_eq!(record.end, out.len());
        lines.push(String::from_utf8(out.as_bytes()[start..].to_vec()).unwrap());
        start = record.end;
    }
    lines
}

fn insert(table: &Arc<TableSchema>, event: u32, cells: Vec<Cell>) -> Change {
    Change { table: table.clone(), event, part: 0, images: vec![(Kind::Insert, cells)] }
}

/// The value, as text, that a cell of such a column gets.
fn value_of(config: &DebeziumConfig, ty: ColumnType, nullable: bool, cell: Cell) -> String {
    let mut schema = (*table("t", &[("v", ty)])).clone();
    schema.columns[0].nullable = nullable;
    let lines = render(config, &block(0, 1, &[insert(&schema.shared(), 0, vec![cell])]));
    let start = lines[0].find("\"after\":{\"v\":").expect("the column") + 13;
    let end = lines[0].find("},\"source\"").expect("the source");
    lines[0][start..end].to_owned()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

#[test]
fn the_envelope_of_each_kind_of_event() {
    let users = table("users", &[("id", int(32, true)), ("naïve \"name\"", ColumnType::Text)]);
    let row = |id, name: &str| vec![Cell::Int(id), text(name)];
    let change =
        |event, images: Vec<(Kind, Vec<Cell>)>| Change { table: users.clone(), event, part: 0, images };
    let lines = render(
        &DebeziumConfig::default(),
        &block(
            100,
            4,
            &[
                change(0, vec![(Kind::Snapshot, row(1, "a"))]),
                change(1, vec![(Kind::Insert, row(2, "😀\n"))]),
                change(
                    2,
                    vec![(Kind::Before, row(2, "😀\n")), (Kind::After, vec![Cell::Absent, Cell::Null])],
                ),
                change(3, vec![(Kind::Delete, vec![Cell::Int(4_294_967_295), Cell::Absent])]),
            ],
        ),
    );
    let source = |snapshot: &str, pos: u32, row: u32| {
        format!(
            concat!(
                r#""source":{{"version":"{version}","connector":"mysql","name":"shop","ts_ms":1795000000123,"#,
                r#""snapshot":"{snapshot}","db":"db","sequence":null,"ts_us":1795000000123456,"#,
                r#""ts_ns":1795000000123456000,"table":"users","server_id":7,"#,
                r#""gtid":"3e11fa47-71ca-11e1-9e33-c80aa9429562:23","file":"binlog.000007","pos":{pos},"row":{row},"#,
                r#""thread":42,"query":null}},"transaction":null"#
            ),
            version = env!("CARGO_PKG_VERSION"),
            snapshot = snapshot,
            pos = pos,
            row = row
        )
    };
    let times = r#""ts_ms":1795000001000,"ts_us":1795000001000007,"ts_ns":1795000001000007000}"#;
    let name = r#""naïve \"name\"""#;
    assert_eq!(
        lines,
        [
            format!(
                r#"{{"before":null,"after":{{"id":1,{name}:"a"}},{},"op":"r",{times}"#,
                source("true", 1000, 0)
            ),
            format!(
                r#"{{"before":null,"after":{{"id":2,{name}:"😀\n"}},{},"op":"c",{times}"#,
                source("false", 1001, 1)
            ),
            format!(
                r#"{{"before":{{"id":2,{name}:"😀\n"}},"after":{{{name}:null}},{},"op":"u",{times}"#,
                source("false", 1002, 2)
            ),
            format!(
                r#"{{"before":{{"id":4294967295}},"after":null,{},"op":"d",{times}"#,
                source("false", 1003, 0)
            ),
        ]
    );
}

#[test]
fn without_gtids_and_thread_and_commit_time() {
    let t = table("t", &[("id", int(32, false))]);
    let mut block = block(0, 1, &[insert(&t, 0, vec![Cell::Int(1)])]);
    let mut origin = (*block.origin).clone();
    origin.txns[0].number = 0;
    origin.txns[0].thread = 0;
    origin.txns[0].commit_us = 0;
    block.origin = Arc::new(origin);
    let record: Value = serde_json::from_str(&render(&DebeziumConfig::default(), &block)[0]).unwrap();
    assert_eq!(record["source"]["gtid"], Value::Null);
    assert_eq!(record["source"]["thread"], Value::Null);
    assert_eq!(record["source"]["ts_us"], json!(1_795_000_000_000_000_u64));
}

#[test]
fn tagged_gtids_and_file_names_with_quotes() {
    let t = table("t", &[("id", int(32, false))]);
    let mut block = block(0, 1, &[insert(&t, 0, vec![Cell::Int(1)])]);
    let mut origin = (*block.origin).clone();
    origin.strings = vec!["bin\"log.1".into(), "blue".into()];
    origin.txns[0].tag = 2;
    block.origin = Arc::new(origin);
    let record: Value = serde_json::from_str(&render(&DebeziumConfig::default(), &block)[0]).unwrap();
    assert_eq!(record["source"]["gtid"], "3e11fa47-71ca-11e1-9e33-c80aa9429562:blue:23");
    assert_eq!(record["source"]["file"], "bin\"log.1");
}

fn int(bits: u8, unsigned: bool) -> ColumnType {
    ColumnType::Integer { bits, unsigned }
}

fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

#[test]
fn values_as_debezium_writes_them() {
    let nines = "9".repeat(65);
    let zero_filled = Cell::Bytes([[0xe6, 0x10, 0, 0].to_vec(), point(1.5, -2.0)].concat());
    let cases: Vec<(ColumnType, Cell, &str)> = vec![
        (int(8, false), Cell::Int(-128), "-128"),
        (int(8, true), Cell::Int(255), "255"),
        (int(16, false), Cell::Int(-32_768), "-32768"),
        (int(24, true), Cell::Int(16_777_215), "16777215"),
        (int(32, false), Cell::Int(-2_147_483_648), "-2147483648"),
        (int(32, true), Cell::Int(4_294_967_295), "4294967295"),
        (int(64, false), Cell::Int(i64::MIN), "-9223372036854775808"),
        (int(64, false), Cell::Int(0), "0"),
        (int(64, true), Cell::UInt(u64::MAX), "18446744073709551615"),
        (int(64, true), Cell::Null, "null"),
        (ColumnType::Year, Cell::Int(2155), "2155"),
        (ColumnType::Year, Cell::Int(0), "0"),
        (ColumnType::Float, Cell::Float(0.1), "0.1"),
        (ColumnType::Float, Cell::Float(f64::from(f32::MAX)), "3.4028235e38"),
        (ColumnType::Double, Cell::Float(0.1), "0.1"),
        (ColumnType::Double, Cell::Float(-0.0), "-0.0"),
        (ColumnType::Double, Cell::Float(f64::MIN_POSITIVE), "2.2250738585072014e-308"),
        (decimal(5, 2), Cell::Decimal("0".into()), r#""AA==""#),
        (decimal(5, 2), Cell::Decimal("12345".into()), r#""MDk=""#),
        (decimal(5, 2), Cell::Decimal("-12345".into()), r#""z8c=""#),
        (decimal(5, 2), Cell::Decimal("128".into()), r#""AIA=""#),
        (decimal(38, 0), Cell::Decimal("9".repeat(38)), r#""SztMqFqGxHoJiiI//////w==""#),
        (decimal(65, 30), Cell::Decimal("-1".into()), r#""/w==""#),
        (decimal(65, 30), Cell::Decimal(nines), r#""APMWJxx/w5CKi+9GTjlF73olNgn//////////w==""#),
        (ColumnType::Bit { bits: 1 }, Cell::UInt(1), "true"),
        (ColumnType::Bit { bits: 1 }, Cell::UInt(0), "false"),
        (ColumnType::Bit { bits: 2 }, Cell::UInt(3), r#""Aw==""#),
        (ColumnType::Bit { bits: 9 }, Cell::UInt(1), r#""AQA=""#),
        (ColumnType::Bit { bits: 64 }, Cell::UInt(u64::MAX), r#""//////////8=""#),
        (ColumnType::Date, Cell::Int(packed_date(1970, 1, 1)), "0"),
        (ColumnType::Date, Cell::Int(packed_date(9999, 12, 31)), "2932896"),
        (ColumnType::Date, Cell::Int(packed_date(1, 1, 1)), "-719162"),
        (ColumnType::Time { fsp: 0 }, Cell::Int(3_020_399_000_000), "3020399000000"),
        (ColumnType::Time { fsp: 6 }, Cell::Int(-3_020_399_000_000), "-3020399000000"),
        (ColumnType::DateTime { fsp: 3 }, datetime(), "1795259045123"),
        (ColumnType::DateTime { fsp: 4 }, datetime(), "1795259045123456"),
        (
            ColumnType::DateTime { fsp: 0 },
            Cell::Int(packed_datetime((1969, 12, 31), (23, 59, 59), 0)),
            "-1000",
        ),
        (ColumnType::Timestamp { fsp: 0 }, Cell::Int(1_000_000), r#""1970-01-01T00:00:01Z""#),
        (
            ColumnType::Timestamp { fsp: 6 },
            Cell::Int(1_795_259_045_120_000),
            r#""2026-11-21T11:04:05.120000Z""#,
        ),
        (ColumnType::Timestamp { fsp: 3 }, Cell::Int(2_147_483_647_999_000), r#""2038-01-19T03:14:07.999Z""#),
        (ColumnType::Text, text(""), r#""""#),
        (ColumnType::Text, text("a\u{1}\"\\\u{7f}\u{2028}😀"), "\"a\\u0001\\\"\\\\\u{7f}\u{2028}😀\""),
        (ColumnType::Enum { members: vec!["x".into()] }, text("x"), r#""x""#),
        (ColumnType::Set { members: vec!["x".into(), "y".into()] }, text("x,y"), r#""x,y""#),
        (ColumnType::Json, text(r#"{"a": [1, null]}"#), r#""{\"a\": [1, null]}""#),
        (ColumnType::Binary, Cell::Bytes(vec![0, 255, 254]), r#""AP/+""#),
        (ColumnType::Binary, Cell::Bytes(vec![]), r#""""#),
        (ColumnType::Geometry, zero_filled, r#"{"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":4326}"#),
        (
            ColumnType::Geometry,
            Cell::Bytes([vec![0; 4], vec![1, 2]].concat()),
            r#"{"wkb":"AQI=","srid":null}"#,
        ),
        (
            ColumnType::Vector,
            Cell::Bytes([1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat()),
            "[1.5,-2.0]",
        ),
        (ColumnType::Vector, Cell::Bytes(vec![]), "[]"),
    ];
    for (ty, cell, expected) in cases {
        let told = format!("{ty:?} {cell:?}");
        assert_eq!(value_of(&DebeziumConfig::default(), ty.clone(), true, cell), expected, "{told}");
        assert_eq!(value_of(&DebeziumConfig::default(), ty.clone(), true, Cell::Null), "null", "{told}");
    }
}

fn point(x: f64, y: f64) -> Vec<u8> {
    [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

/// 2026-11-21 11:04:05.123456
fn datetime() -> Cell {
    Cell::Int(packed_datetime((2026, 11, 21), (11, 4, 5), 123_456))
}

#[test]
fn a_column_of_points_has_coordinates() {
    let mut schema = (*table("t", &[("v", ColumnType::Geometry)])).clone();
    schema.columns[0].native = "point".into();
    let cell = Cell::Bytes([vec![0; 4], point(1.5, -2.0)].concat());
    let lines = render(&DebeziumConfig::default(), &block(0, 1, &[insert(&schema.shared(), 0, vec![cell])]));
    let expected = r#""v":{"x":1.5,"y":-2.0,"wkb":"AQEAAAAAAAAAAAD4PwAAAAAAAADA","srid":null}"#;
    assert!(lines[0].contains(expected), "{}", lines[0]);
}

#[test]
fn several_tables_come_in_offset_order_with_their_parts() {
    let (a, b) = (table("a", &[("id", int(32, false))]), table("b", &[("id", int(32, false))]));
    let one = |table: &Arc<TableSchema>, event, part, kind| Change {
        table: table.clone(),
        event,
        part,
        images: vec![(kind, vec![Cell::Int(i64::from(event))])],
    };
    let block = block(
        50,
        9,
        &[
            one(&a, 0, 0, Kind::Insert),
            one(&b, 1, 0, Kind::Insert),
            one(&a, 3, 0, Kind::Delete),
            one(&a, 3, 1, Kind::Insert),
            one(&b, 4, 0, Kind::Insert),
            one(&a, 8, 0, Kind::Insert),
        ],
    );
    let mut renderer = Renderer::new(&DebeziumConfig::default(), "shop");
    let mut records = renderer.records(&block, NOW);
    let (mut out, mut seen, mut keys) = (Text::new(), Vec::new(), Text::new());
    while let Some(record) = records.next(&mut out).unwrap() {
        assert!(records.key(&record, &mut keys));
        seen.push((record.offset, record.part, block.batches[record.batch].table.table.clone()));
    }
    let expected = [(50, 0, "a"), (51, 0, "b"), (53, 0, "a"), (53, 1, "a"), (54, 0, "b"), (58, 0, "a")];
    assert_eq!(seen, expected.map(|(offset, part, table)| (offset, part, table.to_owned())));
    assert_eq!(keys.as_bytes(), br#"{"id":0}{"id":1}{"id":3}{"id":3}{"id":4}{"id":8}"#);
}

#[test]
fn keys_come_from_the_before_image_where_the_after_image_lacks_them() {
    let mut schema = (*table("t", &[("a", int(32, false)), ("b", ColumnType::Text)])).clone();
    schema.key = vec![1, 0];
    let (t, none) = (schema.clone().shared(), TableSchema { key: vec![], ..schema }.shared());
    let update =
        vec![(Kind::Before, vec![Cell::Int(1), text("x")]), (Kind::After, vec![Cell::Absent, text("y")])];
    let key = |table: &Arc<TableSchema>| {
        let block =
            block(0, 1, &[Change { table: table.clone(), event: 0, part: 0, images: update.clone() }]);
        let mut renderer = Renderer::new(&DebeziumConfig::default(), "shop");
        let mut records = renderer.records(&block, NOW);
        let record = records.next(&mut Text::new()).unwrap().unwrap();
        let mut key = Text::new();
        records.key(&record, &mut key).then(|| String::from_utf8(key.take()).unwrap())
    };
    assert_eq!(key(&t).as_deref(), Some(r#"{"b":"y","a":1}"#));
    assert_eq!(key(&none), None);
}

#[test]
fn a_value_that_is_not_known_is_left_out_and_named() {
    let t = table(
        "t",
        &[
            ("id", int(32, false)),
            ("do\"c", ColumnType::Json),
            ("n", ColumnType::Text),
            ("d", ColumnType::Json),
        ],
    );
    let before = vec![Cell::Int(1), Cell::Absent, Cell::Absent, Cell::Absent];
    let rendered = |after: Vec<Cell>| {
        let images = vec![(Kind::Before, before.clone()), (Kind::After, after)];
        let other = vec![(Kind::Before, before.clone()), (Kind::After, before.clone())];
        let changes = [(0, images), (1, other)].map(|(event, images)| Change {
            table: t.clone(),
            event,
            part: 0,
            images,
        });
        let block = block(0, 2, &changes);
        let mut renderer = Renderer::new(&DebeziumConfig::default(), "shop");
        let (mut records, mut out, mut lines) = (renderer.records(&block, NOW), Text::new(), Vec::new());
        while records.next(&mut out).unwrap().is_some() {
            lines.push(serde_json::from_slice::<serde_json::Value>(out.as_bytes()).unwrap());
            out.clear();
        }
        lines
    };
    let lines = rendered(vec![Cell::Int(1), Cell::Partial, text("x"), Cell::Partial]);
    assert_eq!(lines[0]["after"], serde_json::json!({"id": 1, "n": "x"}));
    assert_eq!(lines[0]["source"]["partial"], serde_json::json!(["do\"c", "d"]));
    assert_eq!(lines[1]["source"].get("partial"), None);
    let lines = rendered(vec![Cell::Int(1), text("{}"), text("x"), Cell::Absent]);
    assert_eq!(lines[0]["source"].get("partial"), None);
}

#[test]
fn there_is_room_for_long_values_that_grow() {
    let bytes = || Cell::Bytes(vec![0xff; 100_000]);
    let floats = || Cell::Bytes((-1.234_567_8e-38_f32).to_le_bytes().repeat(25_000));
    let hex = DebeziumConfig { binary: Some(BinaryMode::Hex), ..DebeziumConfig::default() };
    let default = DebeziumConfig::default();
    for (config, ty, cell, length) in [
        (&default, ColumnType::Text, text(&"\u{1}".repeat(100_000)), 600_002),
        (&default, ColumnType::Text, text(&"x".repeat(100_000)), 100_002),
        (&default, ColumnType::Binary, bytes(), 133_338),
        (&hex, ColumnType::Binary, bytes(), 200_002),
        (&default, ColumnType::Geometry, bytes(), 133_328 + 28),
        (&default, ColumnType::Vector, floats(), 25_000 * 15 + 1),
    ] {
        let told = format!("{ty:?}");
        assert_eq!(value_of(config, ty, true, cell).len(), length, "{told}");
    }
}

#[test]
fn a_place_chosen_by_a_transform_stands_in_the_source() {
    let schema = table("users", &[("name", ColumnType::Text)]);
    let mut block = block(0, 2, &[insert(&schema, 0, vec![text("a")]), insert(&schema, 1, vec![text("b")])]);
    let place = "p".repeat(200);
    block.batches[0].routing =
        Some(Arc::new(arrow_array::StringArray::from(vec![Some(place.as_str()), None])));
    let lines = render(&DebeziumConfig::default(), &block);
    let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed[0]["source"]["routing"], Value::from(place));
    assert_eq!(parsed[1]["source"].get("routing"), None);
}
