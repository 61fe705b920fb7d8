//! Spellings, and what fits each type.

use super::*;

fn fits(ty: &str, text: &str) -> bool {
    NativeType::parse(ty).unwrap().constant(Some(text)).is_ok()
}

#[test]
fn spellings() {
    for (spelling, logical, layout) in [
        ("bigint", LogicalType::Integer, Layout::Signed),
        ("INT UNSIGNED", LogicalType::Integer, Layout::Unsigned),
        ("int(10) unsigned", LogicalType::Integer, Layout::Unsigned),
        ("decimal( 10 , 2 )", LogicalType::Decimal, Layout::Text),
        ("double", LogicalType::Float, Layout::Float),
        ("varchar(20)", LogicalType::Text, Layout::Text),
        ("datetime(3)", LogicalType::Datetime, Layout::Text),
        ("timestamp", LogicalType::Timestamp, Layout::Text),
        ("json", LogicalType::Json, Layout::Text),
    ] {
        let ty = NativeType::parse(spelling).unwrap();
        assert_eq!((ty.logical(), ty.layout()), (logical, layout), "{spelling}");
    }
    assert_eq!(NativeType::parse("boolean").unwrap().spelling(), "tinyint(1)");
    for bad in [
        "",
        "number",
        "varchar",
        "decimal(66)",
        "decimal(2,3)",
        "time(7)",
        "text unsigned",
        "int signed",
        "int(x)",
        "bool unsigned",
        "blob",
        "geometry",
        "float unsigned",
    ] {
        assert!(NativeType::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn values_fit_or_do_not() {
    for (ty, good, bad) in [
        ("tinyint", &["-128", "127", "1e2", "12.0"][..], &["128", "-129", "1.5", "", "x", "0x10"][..]),
        ("int unsigned", &["0", "4294967295"], &["-1", "4294967296"]),
        ("bigint unsigned", &["18446744073709551615"], &["18446744073709551616"]),
        ("bigint", &["-9223372036854775808"], &["9223372036854775808"]),
        ("float", &["1e38"], &["1e39", "inf", "NaN", "0x1"]),
        ("double", &["1e308", "-0.1"], &["1e309", "nan"]),
        ("decimal(4,2)", &["12.34", "-0.5"], &["123", "1.005"]),
        ("varchar(2)", &["", "é1"], &["abc"]),
        ("tinytext", &["x"], &[&*"é".repeat(128)]),
        ("json", &["{\"a\":1}", "null"], &["{", "a"]),
        ("date", &["2020-00-15", "0000-00-00"], &["2020-13-01", "2020-1-1", "2020-01-01 00:00:00"]),
        (
            "time(1)",
            &["-838:59:59", "01:01:01.5", "01:01:01.500"],
            &["1:00:00", "01:60:00", "01:00:00.55", "839:00:00"],
        ),
        (
            "datetime",
            &["2020-01-31 23:59:59"],
            &["2020-01-31", "2020-01-31 24:00:00", "2020-01-31T00:00:00", "2020-01-31 00:00:00.5"],
        ),
        (
            "timestamp",
            &["2020-02-29 00:00:00", "0000-00-00 00:00:00"],
            &["2021-02-29 00:00:00", "1970-01-01 00:00:00", "1969-12-31 00:00:00"],
        ),
    ] {
        for text in good {
            assert!(fits(ty, text), "{ty} {text}");
        }
        for text in bad {
            assert!(!fits(ty, text), "{ty} {text}");
        }
    }
}

#[test]
fn a_column_is_written_cell_by_cell() {
    let ty = NativeType::parse("smallint").unwrap();
    let mut writer = ty.writer(3);
    writer.push(Cell::Value("-5")).unwrap();
    assert_eq!(writer.push(Cell::Value("5,0")).unwrap_err().to_string(), "is no smallint");
    writer.push(Cell::Null).unwrap();
    writer.push(Cell::Absent).unwrap();
    let column = writer.finish();
    assert_eq!((column.states.as_slice(), column.signed().unwrap()), (&[1, 0, 2][..], &[-5, 0, 0][..]));
    let all = ty.constant(Some("1")).unwrap();
    assert!(all.states.is_empty());
    assert_eq!(ty.constant(None).unwrap().states, [0]);
}
