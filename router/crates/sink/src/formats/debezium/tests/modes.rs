//! What each setting changes.

use forebay_model::ColumnType;

use super::*;

#[test]
fn every_mode_of_times() {
    let time = Cell::Int(3_723_050_000);
    let date = Cell::Int(packed_date(2017, 9, 15));
    let cases = [
        (TimeMode::AdaptiveTimeMicroseconds, ["17424", "3723050000", "1795259045123", "1795259045123456"]),
        (TimeMode::Adaptive, ["17424", "3723050", "1795259045123", "1795259045123456"]),
        (TimeMode::Connect, ["17424", "3723050", "1795259045123", "1795259045123"]),
        (TimeMode::Microseconds, ["17424", "3723050000", "1795259045123456", "1795259045123456"]),
        (TimeMode::Nanoseconds, ["17424", "3723050000000", "1795259045123456000", "1795259045123456000"]),
        (
            TimeMode::Isostring,
            [
                r#""2017-09-15Z""#,
                r#""01:02:03.05Z""#,
                r#""2026-11-21T11:04:05.123456Z""#,
                r#""2026-11-21T11:04:05.123456Z""#,
            ],
        ),
        (
            TimeMode::Sql,
            [
                r#""2017-09-15""#,
                r#""01:02:03.05""#,
                r#""2026-11-21 11:04:05.123""#,
                r#""2026-11-21 11:04:05.123456""#,
            ],
        ),
    ];
    for (mode, expected) in cases {
        let config = DebeziumConfig { time: Some(mode), ..DebeziumConfig::default() };
        let values = [
            value_of(&config, ColumnType::Date, true, date.clone()),
            value_of(&config, ColumnType::Time { fsp: 2 }, true, time.clone()),
            value_of(&config, ColumnType::DateTime { fsp: 3 }, true, datetime()),
            value_of(&config, ColumnType::DateTime { fsp: 6 }, true, datetime()),
        ];
        assert_eq!(values, expected, "{mode:?}");
    }
}

#[test]
fn other_modes() {
    let with = |change: fn(&mut DebeziumConfig)| {
        let mut config = DebeziumConfig::default();
        change(&mut config);
        config
    };
    let double = with(|c| c.decimal = Some(DecimalMode::Double));
    assert_eq!(value_of(&double, decimal(5, 2), true, Cell::Decimal("-12345".into())), "-123.45");
    let precise = with(|c| c.bigint_unsigned = Some(BigintUnsigned::Precise));
    assert_eq!(value_of(&precise, int(64, true), true, Cell::UInt(u64::MAX)), r#""AP//////////""#);
    let string = with(|c| c.bigint_unsigned = Some(BigintUnsigned::String));
    assert_eq!(value_of(&string, int(64, true), true, Cell::UInt(u64::MAX)), r#""18446744073709551615""#);
    let bytes = || Cell::Bytes(vec![0xfb, 0xff]);
    for (mode, expected) in [
        (BinaryMode::Bytes, r#""+/8=""#),
        (BinaryMode::Base64, r#""+/8=""#),
        (BinaryMode::Base64UrlSafe, r#""-_8=""#),
        (BinaryMode::Hex, r#""fbff""#),
    ] {
        let config = DebeziumConfig { binary: Some(mode), ..DebeziumConfig::default() };
        assert_eq!(value_of(&config, ColumnType::Binary, true, bytes()), expected);
    }
}

#[test]
fn dates_that_no_calendar_has() {
    let date = || (ColumnType::Date, Cell::Int(packed_date(2020, 0, 15)));
    let datetime = || (ColumnType::DateTime { fsp: 1 }, Cell::Int(packed_datetime((0, 0, 0), (0, 0, 0), 0)));
    let timestamp = || (ColumnType::Timestamp { fsp: 2 }, Cell::Int(0));
    let all = |config: &DebeziumConfig, nullable| {
        [date(), datetime(), timestamp()].map(|(ty, cell)| value_of(config, ty, nullable, cell))
    };
    let zero = |mode| DebeziumConfig { zero_dates: Some(mode), ..DebeziumConfig::default() };
    let epoch = ["0", "0", r#""1970-01-01T00:00:00Z""#];
    assert_eq!(all(&DebeziumConfig::default(), true), ["null"; 3]);
    assert_eq!(all(&DebeziumConfig::default(), false), epoch);
    assert_eq!(all(&zero(ZeroDates::Epoch), true), epoch);
    let strings = [r#""2020-00-15""#, r#""0000-00-00 00:00:00.0""#, r#""0000-00-00 00:00:00.00""#];
    assert_eq!(all(&zero(ZeroDates::String), false), strings);
    let sql = [r#""1970-01-01""#, r#""1970-01-01 00:00:00.0""#, r#""1970-01-01 00:00:00.00Z""#];
    assert_eq!(all(&flink(), false), sql);
}

#[test]
fn a_rejected_date_names_the_column_and_not_the_value() {
    let t = table("t", &[("id", int(32, false)), ("born", ColumnType::Date)]);
    let rows = [packed_date(2020, 1, 1), packed_date(2020, 2, 31)];
    let changes: Vec<Change> =
        rows.iter().zip(0..).map(|(&day, i)| insert(&t, i, vec![Cell::Int(1), Cell::Int(day)])).collect();
    let block = block(0, 2, &changes);
    let config = DebeziumConfig { zero_dates: Some(ZeroDates::Reject), ..DebeziumConfig::default() };
    let mut renderer = Renderer::new(&config, "shop");
    let mut records = renderer.records(&block, NOW);
    let mut out = Text::new();
    let first = records.next(&mut out).unwrap().unwrap();
    let fault = records.next(&mut out).unwrap_err();
    assert_eq!(fault.code(), codes::ZERO_DATE_REJECTED);
    assert!(fault.message().contains("db.t.born"), "{fault}");
    assert!(!fault.to_string().contains("31"), "{fault}");
    assert_eq!(out.len(), first.end, "nothing is appended");
}

#[test]
fn values_for_flink() {
    let cases: Vec<(ColumnType, Cell, &str)> = vec![
        (decimal(5, 2), Cell::Decimal("-5".into()), r#""-0.05""#),
        (decimal(65, 30), Cell::Decimal("1".into()), r#""0.000000000000000000000000000001""#),
        (decimal(20, 0), Cell::Decimal("7".into()), r#""7""#),
        (int(64, true), Cell::UInt(u64::MAX), "18446744073709551615"),
        (ColumnType::Date, Cell::Int(packed_date(2026, 11, 21)), r#""2026-11-21""#),
        (ColumnType::Time { fsp: 0 }, Cell::Int(3_723_000_000), r#""01:02:03""#),
        (ColumnType::Time { fsp: 3 }, Cell::Int(3_723_500_000), r#""01:02:03.500""#),
        (ColumnType::Time { fsp: 0 }, Cell::Int(-3_020_399_000_000), r#""-838:59:59""#),
        (ColumnType::DateTime { fsp: 0 }, datetime(), r#""2026-11-21 11:04:05""#),
        (ColumnType::DateTime { fsp: 6 }, datetime(), r#""2026-11-21 11:04:05.123456""#),
        (ColumnType::Timestamp { fsp: 0 }, Cell::Int(1_795_259_045_000_000), r#""2026-11-21 11:04:05Z""#),
        (ColumnType::Timestamp { fsp: 2 }, Cell::Int(1_795_259_045_120_000), r#""2026-11-21 11:04:05.12Z""#),
    ];
    for (ty, cell, expected) in cases {
        assert_eq!(value_of(&flink(), ty.clone(), true, cell), expected, "{ty:?}");
    }
}
