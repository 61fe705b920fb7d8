//! Every type: a value by stream is what the server itself prints for it.

use forebay_model::ColumnType;
use forebay_source::mysql::Start;

use super::{check, config, connect, next, text};

/// A type, an expression that prints it as [`text::cell`] does (`{}` = the column), and values to insert.
pub(crate) type Case = (&'static str, &'static str, &'static [&'static str]);

const PLAIN: &str = "{}";
const HEX: &str = "HEX({})";

pub(crate) const CASES: &[Case] = &[
    ("tinyint", PLAIN, &["-128", "-1", "0", "127"]),
    ("tinyint unsigned", PLAIN, &["0", "255"]),
    ("tinyint(1)", PLAIN, &["0", "1", "2"]),
    ("smallint", PLAIN, &["-32768", "-1", "32767"]),
    ("smallint unsigned", PLAIN, &["0", "65535"]),
    ("mediumint", PLAIN, &["-8388608", "-1", "8388607"]),
    ("mediumint unsigned", PLAIN, &["0", "8388608", "16777215"]),
    ("int", PLAIN, &["-2147483648", "-1", "2147483647"]),
    ("int unsigned", PLAIN, &["0", "2147483648", "4294967295"]),
    ("bigint", PLAIN, &["-9223372036854775808", "-1", "9223372036854775807"]),
    ("bigint unsigned", PLAIN, &["0", "9223372036854775808", "18446744073709551615"]),
    ("year", PLAIN, &["0", "1901", "2155"]),
    ("float", "{} + 0e0", &["0", "-1.5", "16777216", "0.0009765625"]),
    ("double", PLAIN, &["0", "-1.5", "123456.789", "0.1"]),
    ("decimal(1,0)", PLAIN, &["-9", "0", "9"]),
    ("decimal(10,2)", PLAIN, &["-99999999.99", "-0.01", "0", "1097.60", "99999999.99"]),
    ("decimal(9,9)", PLAIN, &["-0.999999999", "0.000000001"]),
    ("decimal(18,9)", PLAIN, &["-999999999.999999999", "123456789.000000001"]),
    ("decimal(19,10)", PLAIN, &["-999999999.9999999999", "1.0000000001"]),
    ("decimal(20,0)", PLAIN, &["-99999999999999999999", "12345678901234567890"]),
    ("decimal(38,10)", PLAIN, &["-9999999999999999999999999999.9999999999", "1.5"]),
    ("decimal(39,0)", PLAIN, &["-999999999999999999999999999999999999999", "7"]),
    (
        "decimal(65,30)",
        PLAIN,
        &[
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001",
        ],
    ),
    ("decimal(65,0)", PLAIN, &["99999999999999999999999999999999999999999999999999999999999999999"]),
    ("bit(1)", HEX_BIT, &["b'0'", "b'1'"]),
    ("bit(12)", HEX_BIT, &["b'0'", "b'101010101010'"]),
    ("bit(64)", HEX_BIT, &["0", "18446744073709551615"]),
    ("date", PLAIN, &["'0000-00-00'", "'2020-00-15'", "'2020-02-29'", "'9999-12-31'"]),
    ("time", PLAIN, &["'-838:59:59'", "'00:00:00'", "'838:59:59'"]),
    ("time(1)", PLAIN, &["'-838:59:58.9'", "'-00:00:00.1'", "'12:34:56.7'"]),
    ("time(3)", PLAIN, &["'-00:00:00.001'", "'-12:34:56.789'", "'12:34:56.789'"]),
    ("time(6)", PLAIN, &["'-838:59:58.999999'", "'-00:00:00.000001'", "'838:59:59.000000'"]),
    ("datetime", PLAIN, &["'0000-00-00 00:00:00'", "'2020-00-15 01:02:03'", "'9999-12-31 23:59:59'"]),
    ("datetime(1)", PLAIN, &["'1000-01-01 00:00:00.1'", "'2020-02-29 23:59:59.9'"]),
    ("datetime(3)", PLAIN, &["'2020-02-29 23:59:59.999'"]),
    ("datetime(5)", PLAIN, &["'2020-02-29 23:59:59.99999'"]),
    ("datetime(6)", PLAIN, &["'0000-00-00 00:00:00'", "'2020-02-29 23:59:59.999999'"]),
    ("timestamp", UNIX, &["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    ("timestamp(2)", UNIX, &["'2020-02-29 23:59:59.99'"]),
    ("timestamp(6)", UNIX, &["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.499999'"]),
    ("char(5)", PLAIN, &["''", "'a'", "'añ€😀z'"]),
    ("char(255)", PLAIN, &["'a'", "REPEAT('€', 255)"]),
    ("varchar(10)", PLAIN, &["''", "'  x  '", "'日本語'"]),
    ("varchar(300)", PLAIN, &["REPEAT('a', 300)", "REPEAT('😀', 300)"]),
    ("varchar(10) charset latin1", PLAIN, &["'€äöÿ'"]),
    ("char(4) charset ascii", PLAIN, &["'ab'"]),
    ("varchar(10) charset utf8mb3", PLAIN, &["'日本'"]),
    ("varchar(10) charset koi8r", PLAIN, &["'Привет'"]),
    ("varchar(10) charset gbk", PLAIN, &["'你好'"]),
    ("varchar(10) charset sjis", PLAIN, &["'日本語'"]),
    ("varchar(10) charset ucs2", PLAIN, &["'日本'"]),
    ("varchar(10) charset utf16", PLAIN, &["'😀a'"]),
    ("varchar(10) charset utf16le", PLAIN, &["'😀a'"]),
    ("varchar(10) charset utf32", PLAIN, &["'😀a'"]),
    ("tinytext", PLAIN, &["''", "'ñ'"]),
    ("text", PLAIN, &["REPEAT('ab', 30000)"]),
    ("mediumtext", PLAIN, &["REPEAT('ab', 40000)"]),
    ("longtext charset latin1", PLAIN, &["REPEAT('é', 70000)"]),
    ("binary(4)", HEX, &["''", "'a'", "x'00010000'", "x'ffffffff'"]),
    ("binary(255)", HEX, &["'a'"]),
    ("varbinary(4)", HEX, &["''", "x'0100'"]),
    ("varbinary(400)", HEX, &["REPEAT(x'00ff', 200)"]),
    ("tinyblob", HEX, &["x'00'"]),
    ("blob", HEX, &["REPEAT(x'00ff', 200)"]),
    ("longblob", HEX, &["REPEAT(x'00ff', 40000)"]),
    ("enum('a','it''s','ü')", PLAIN, &["'a'", "'it''s'", "'ü'", "0"]),
    ("enum('é','b') charset latin1", PLAIN, &["'é'"]),
    ("set('a','b','ü')", PLAIN, &["''", "'a'", "'a,b,ü'"]),
    ("json", PLAIN, JSON),
    ("geometry", HEX, &["ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('LINESTRING(0 0,1 1)')"]),
    ("point", HEX, &["ST_GeomFromText('POINT(1 2)')"]),
    ("vector(3)", HEX, &["TO_VECTOR('[1,2.5,-3]')"]),
];

/// A BIT's HEX loses its leading zeros.
const HEX_BIT: &str = "HEX({} + 0)";
/// As text in UTC.
const UNIX: &str = "UNIX_TIMESTAMP({})";

const JSON: &[&str] = &[
    "'null'",
    "'true'",
    "'[]'",
    "'{}'",
    "'-1'",
    "'32767'",
    "'32768'",
    "'4294967295'",
    "'9223372036854775807'",
    "'18446744073709551615'",
    "'-9223372036854775808'",
    "'1.0'",
    "'0.1'",
    "'1e14'",
    "'1e15'",
    "'123456789012345678'",
    "'1e-5'",
    "'1.25e-14'",
    "'1e-15'",
    "'1e-16'",
    "'-0.0'",
    "'1.7976931348623157e308'",
    "'2.2250738585072014e-308'",
    "'5e-324'",
    "'100000000000000000000'",
    r#"'"a\\"b\\\\c\\n\\t\\u0001\\u001f\\u007f/é😀"'"#,
    r#"'{"b": 1, "a": [1, 2, {"c": null}], "aa": "x", "": {}}'"#,
    r#"'[[[[[[1]]]]], true, false, "x"]'"#,
    "JSON_OBJECT('d', CAST('123.4500' AS DECIMAL(10,4)), 'n', CAST(-7 AS DECIMAL(5,0)))",
    "JSON_ARRAY(CAST('2020-02-29' AS DATE), CAST('-12:34:56.789' AS TIME(3)), CAST('2020-02-29 01:02:03' AS DATETIME))",
    "JSON_ARRAY(TIMESTAMP '2020-02-29 01:02:03.123456', NOW(6))",
    "JSON_ARRAY(CAST(x'00ff' AS BINARY), x'cafe', b'101')",
    "JSON_ARRAY(REPEAT(x'00ff', 100))",
    "JSON_ARRAY(REPEAT('a', 70000), 1, 70000, 3000000000)",
    "JSON_OBJECT('k', REPEAT('é', 40000), 'z', CAST(1 AS UNSIGNED), 'y', 70000)",
];

#[tokio::test]
async fn a_value_by_stream_is_the_value_by_select() {
    let server = forebay_kit::mysql().await;
    let database = server.database("types").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    use forebay_kit::mysql_async::prelude::Queryable as _;
    conn.query_drop("SET SESSION sql_mode = '', time_zone = '+00:00'").await.unwrap();
    for (i, (ty, shown, values)) in CASES.iter().enumerate() {
        conn.query_drop(format!("CREATE TABLE t{i} (id INT PRIMARY KEY, v {ty}, after_it INT)"))
            .await
            .unwrap();
        for (id, value) in values.iter().chain(&["NULL"]).enumerate() {
            conn.query_drop(format!("INSERT INTO t{i} VALUES ({id}, {value}, {id})"))
                .await
                .unwrap_or_else(|e| panic!("{ty} {value}: {e}"));
        }
        // every value as a before image too
        conn.query_drop(format!("UPDATE t{i} SET after_it = after_it + 1")).await.unwrap();

        let shown = shown.replace("{}", "v");
        let wanted: Vec<Option<String>> =
            conn.query(format!("SELECT {shown} FROM t{i} ORDER BY id")).await.unwrap();
        let mut images = 0;
        while images < 3 * wanted.len() {
            let Some(block) = next(&mut stream).await.unwrap().block else { continue };
            check(&block);
            for batch in &block.batches {
                assert_eq!(batch.table.table, format!("t{i}"));
                assert_eq!(batch.table.key, [0]);
                let ids =
                    arrow_array::cast::as_primitive_array::<arrow_array::types::Int32Type>(&batch.columns[0]);
                for row in 0..batch.rows() {
                    let id = ids.value(row) as usize;
                    let ty_found = &batch.table.columns[1].ty;
                    let got = text::cell(ty_found, &batch.columns[1], row);
                    let got = if matches!(ty_found, ColumnType::Bit { .. }) {
                        got.map(|g| g.trim_start_matches('0').to_owned())
                            .map(|g| if g.is_empty() { "0".into() } else { g })
                    } else {
                        got
                    };
                    assert_eq!(got, wanted[id], "{ty}: value {id}, {}", values.get(id).unwrap_or(&"NULL"));
                }
                images += batch.rows();
            }
        }
    }
}

#[tokio::test]
async fn the_schema_is_the_tables() {
    let server = forebay_kit::mysql().await;
    let database = server.database("schema").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.t", database.name())]), Start::Now).await;
    database
        .exec(
            "CREATE TABLE t (
                a VARCHAR(64) NOT NULL, `select` INT UNSIGNED, IsKgLb TINYINT(1), b CHAR(10) CHARSET latin1,
                y YEAR, u SMALLINT UNSIGNED, d DECIMAL(12,3) UNSIGNED, e ENUM('x','y') CHARSET latin1, s SET('p','q'),
                x TEXT, z VARBINARY(9), g POINT, h GEOMETRY, j JSON, v VECTOR(4), w BIT(9), t3 TIME(3), f FLOAT UNSIGNED,
                big BIGINT UNSIGNED, hidden INT INVISIBLE, gen INT AS (`select` + 1) VIRTUAL, kept INT AS (`select` + 2) STORED,
                PRIMARY KEY (`select`, a(5)), KEY f ((u + 1)), KEY m ((CAST(j AS UNSIGNED ARRAY)))
            );
            INSERT INTO t (a, `select`, u, big) VALUES ('key', 7, 65535, 18446744073709551615)",
        )
        .await
        .unwrap();
    let block = loop {
        if let Some(block) = next(&mut stream).await.unwrap().block {
            break block;
        }
    };
    check(&block);
    let table = &block.batches[0].table;
    let native: Vec<String> = table.columns.iter().map(|c| format!("{} {}", c.name, c.native)).collect();
    assert_eq!(
        native,
        [
            "a varchar(64)",
            "select int unsigned",
            "IsKgLb tinyint",
            "b char(10)",
            "y year",
            "u smallint unsigned",
            "d decimal(12,3) unsigned",
            "e enum('x','y')",
            "s set('p','q')",
            "x text",
            "z varbinary(9)",
            "g point",
            "h geometry",
            "j json",
            "v vector",
            "w bit(9)",
            "t3 time(3)",
            "f float unsigned",
            "big bigint unsigned",
            "hidden int",
            "gen int",
            "kept int",
        ]
    );
    assert_eq!(table.key, [1, 0]);
    assert_eq!(
        table.columns.iter().filter(|c| !c.nullable).map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["a", "select"]
    );
    let row = text::row(&block.batches[0], 0);
    assert!(
        row.starts_with("key,7,NULL,NULL,NULL,65535,NULL") && row.ends_with("18446744073709551615,NULL,8,9"),
        "{row}"
    );
}
