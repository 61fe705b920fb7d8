//! The console's lines, literally.

use std::io::{self, Write};

use forebay_model::{Block, ColumnType, Kind};

use super::*;
use crate::sample::{Cell, Change, block, packed_date, packed_datetime, table};

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn shown(paint: Paint, deliveries: Vec<Vec<Block>>) -> String {
    let mut sink = ConsoleSink::new(Vec::new(), paint);
    for blocks in deliveries {
        sink.write(&Delivery { mark: Mark { epoch: 0, offset: blocks[0].first }, blocks }).unwrap();
    }
    String::from_utf8(sink.to).unwrap()
}

#[test]
fn the_four_lines_of_a_rows_life() {
    let int = ColumnType::Integer { bits: 32, unsigned: true };
    let tenants = table("tenants", &[("id", int), ("name", ColumnType::Text), ("suburb", ColumnType::Text)]);
    let row = |suburb: &str| vec![Cell::Int(101), text("Test Company"), text(suburb)];
    let change = |event, images| Change { table: tenants.clone(), event, part: 0, images };
    let changes = [
        change(0, vec![(Kind::Insert, row("Sydney"))]),
        change(1, vec![(Kind::Before, row("Sydney")), (Kind::After, row("Parramatta"))]),
        change(2, vec![(Kind::Delete, row("Parramatta"))]),
    ];
    assert_eq!(
        shown(Paint::Plain, vec![vec![block(0, 3, &changes)]]),
        "+I[101, Test Company, Sydney]\n\
         -U[101, Test Company, Sydney]\n\
         +U[101, Test Company, Parramatta]\n\
         -D[101, Test Company, Parramatta]\n"
    );
    assert_eq!(
        shown(Paint::Colour, vec![vec![block(0, 3, &changes[..1])]]),
        "\u{1b}[32m+I[101, Test Company, Sydney]\u{1b}[0m\n"
    );
}

#[test]
fn the_table_is_named_once_there_are_two() {
    let one = |name: &str| {
        let int = ColumnType::Integer { bits: 32, unsigned: false };
        Change {
            table: table(name, &[("id", int)]),
            event: 0,
            part: 0,
            images: vec![(Kind::Insert, vec![Cell::Int(1)])],
        }
    };
    let (a, b) = (one("a"), one("b"));
    let blocks = [&a, &b, &a].map(|change| vec![block(0, 1, std::slice::from_ref(change))]);
    assert_eq!(shown(Paint::Plain, blocks.into()), "+I[1]\ndb.b +I[1]\ndb.a +I[1]\n");
}

#[test]
fn values_look_as_mysql_prints_them() {
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let cases = vec![
        (ColumnType::Integer { bits: 64, unsigned: true }, Cell::UInt(u64::MAX), "18446744073709551615"),
        (ColumnType::Integer { bits: 64, unsigned: false }, Cell::Int(i64::MIN), "-9223372036854775808"),
        (ColumnType::Integer { bits: 8, unsigned: false }, Cell::Int(-1), "-1"),
        (ColumnType::Year, Cell::Int(2026), "2026"),
        (ColumnType::Float, Cell::Float(0.5), "0.5"),
        (ColumnType::Double, Cell::Float(-2.25), "-2.25"),
        (decimal(9, 2), Cell::Decimal("-12345".into()), "-123.45"),
        (decimal(65, 30), Cell::Decimal("1".into()), "0.000000000000000000000000000001"),
        (ColumnType::Bit { bits: 4 }, Cell::UInt(5), "b'0101'"),
        (ColumnType::Date, Cell::Int(packed_date(0, 0, 0)), "0000-00-00"),
        (ColumnType::Time { fsp: 3 }, Cell::Int(-3_020_399_000_000), "-838:59:59.000"),
        (
            ColumnType::DateTime { fsp: 0 },
            Cell::Int(packed_datetime((2020, 0, 15), (1, 2, 3), 0)),
            "2020-00-15 01:02:03",
        ),
        (ColumnType::Timestamp { fsp: 0 }, Cell::Int(0), "0000-00-00 00:00:00"),
        (ColumnType::Timestamp { fsp: 6 }, Cell::Int(1_500_000), "1970-01-01 00:00:01.500000"),
        (ColumnType::Text, text("plain, 😀"), "plain, 😀"),
        (ColumnType::Text, text("\u{1b}[2J\r\n\u{9b}"), "\\u{1b}[2J\\r\\n\\u{9b}"),
        (ColumnType::Binary, Cell::Bytes(vec![0, 255]), "0x00ff"),
        (ColumnType::Text, Cell::Null, "NULL"),
        (ColumnType::Text, Cell::Absent, "."),
        (ColumnType::Json, Cell::Partial, "?"),
    ];
    for (ty, cell, expected) in cases {
        let t = table("t", &[("v", ty.clone())]);
        let change = Change { table: t, event: 0, part: 0, images: vec![(Kind::Insert, vec![cell])] };
        assert_eq!(
            shown(Paint::Plain, vec![vec![block(0, 1, &[change])]]),
            format!("+I[{expected}]\n"),
            "{ty:?}"
        );
    }
    let long = Change {
        table: table("t", &[("v", ColumnType::Binary)]),
        event: 0,
        part: 0,
        images: vec![(Kind::Insert, vec![Cell::Bytes(vec![7; 65])])],
    };
    let line = shown(Paint::Plain, vec![vec![block(0, 1, &[long])]]);
    assert_eq!(line, format!("+I[0x{}... (65 bytes)]\n", "07".repeat(64)));
}

#[tokio::test]
async fn a_closed_output_stops_the_route() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let t = table("t", &[("v", ColumnType::Text)]);
    let change = Change { table: t, event: 0, part: 0, images: vec![(Kind::Insert, vec![Cell::Null])] };
    let mut sink = ConsoleSink::new(Closed, Paint::Plain);
    let delivery = Delivery { mark: Mark::default(), blocks: vec![block(0, 1, &[change])] };
    let fault = sink.deliver(&delivery).await.unwrap_err();
    assert_eq!(fault.code(), codes::CONSOLE_WRITE);
}
