//! Pages of keys of every kind: each row once.

use std::collections::BTreeMap;

use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_source::mysql::SnapshotRequest;

use super::super::{config, text};
use super::{Log, begin, done, finish, small};

/// A key, and what it is made of; the values of a row are those of its number `i`.
const KEYS: &[(&str, &str)] = &[
    ("a INT, PRIMARY KEY (a)", "i - 40"),
    ("a BIGINT UNSIGNED, PRIMARY KEY (a)", "18446744073709551615 - i"),
    ("a MEDIUMINT, b TINYINT UNSIGNED, c INT, PRIMARY KEY (c, a, b)", "i % 3 - 1, i % 5, i % 7"),
    ("a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, PRIMARY KEY (a)", "CONCAT(IF(i % 2, 'é', 'E'), i, ' ')"),
    ("a VARCHAR(20) COLLATE utf8mb4_bin, PRIMARY KEY (a)", "CONCAT(IF(i % 2, 'a', 'A'), '''', i, '\\\\')"),
    (
        "a VARCHAR(20) CHARSET latin1, b CHAR(3) CHARSET gbk, PRIMARY KEY (a, b)",
        "CONCAT('äß', i % 9), CONCAT('你', i % 10)",
    ),
    ("a CHAR(9) CHARSET utf16 COLLATE utf16_general_ci, PRIMARY KEY (a)", "CONCAT('x', i)"),
    ("a VARCHAR(9) CHARSET sjis, PRIMARY KEY (a)", "CONCAT('日', i)"),
    ("a BINARY(4), PRIMARY KEY (a)", "CHAR(i, 0 USING binary)"),
    ("a VARBINARY(9), PRIMARY KEY (a)", "CONCAT(CHAR(i % 10), REPEAT(x'00', i DIV 10))"),
    ("a FLOAT, PRIMARY KEY (a)", "(i - 40) / 3"),
    ("a DOUBLE, b FLOAT, PRIMARY KEY (a, b)", "(i % 8) / 3, 0.1 * i"),
    ("a DECIMAL(20,5), PRIMARY KEY (a)", "(i - 40) * 12345.678"),
    (
        "a DATE, PRIMARY KEY (a)",
        "IF(i = 0, '0000-00-00', IF(i < 12, CONCAT('2020-', i, '-00'), DATE '2000-01-01' + INTERVAL i DAY))",
    ),
    ("a DATETIME(6), PRIMARY KEY (a)", "TIMESTAMP '2020-02-29 23:59:59.999999' + INTERVAL i MICROSECOND"),
    (
        "a TIMESTAMP(3), PRIMARY KEY (a)",
        "IF(i = 0, 0, TIMESTAMP '2020-03-29 01:59:59.999' + INTERVAL i * 700 SECOND)",
    ),
    ("a TIME(2), PRIMARY KEY (a)", "SEC_TO_TIME((i - 40) * 75000.25)"),
    ("a YEAR, PRIMARY KEY (a)", "IF(i = 0, '0000', 1940 + i)"),
    ("a BIT(20), PRIMARY KEY (a)", "i * 1000"),
    ("a ENUM('z','y','ü','a'), b SET('q','p','o','n','m'), PRIMARY KEY (a, b)", "1 + i % 4, i DIV 4"),
    ("a TEXT, PRIMARY KEY (a(8))", "CONCAT(i, 'x', REPEAT('tail', 20))"),
    ("a INT NOT NULL, b INT, UNIQUE KEY u (b), UNIQUE KEY v (a)", "i, NULL"),
    ("a INT NOT NULL, b VARCHAR(9) NOT NULL, UNIQUE KEY v (b, a)", "i, i % 3"),
    ("a INT", "i % 7"),
    ("a INT, UNIQUE KEY (a)", "IF(i % 2, i, NULL)"),
];

/// MariaDB's own.
const MARIADB: &[(&str, &str)] = &[
    (
        "a UUID, PRIMARY KEY (a)",
        "CONCAT('00112233-4455-', IF(i % 2, '1', '6'), HEX(256 + i), '-8899-aabbccdd', 'ee', LPAD(i, 2, '0'))",
    ),
    ("a INET6, b INET4, PRIMARY KEY (b, a)", "CONCAT('2001:db8::', HEX(i)), CONCAT('10.0.', i % 9, '.200')"),
    ("a INET6, PRIMARY KEY (a)", "CONCAT('::ffff:192.168.1.', i)"),
    ("a TEXT NOT NULL, UNIQUE KEY (a)", "CONCAT('long ', i)"),
];

#[tokio::test]
async fn every_key_pages_each_row_once() {
    page_all(forebay_kit::mysql().await, KEYS).await;
}

#[tokio::test]
async fn every_key_of_mariadb_pages_each_row_once() {
    let keys: Vec<(String, &str)> = (KEYS.iter().chain(MARIADB))
        .map(|(key, values)| (key.replace("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_ai_ci"), *values))
        .collect();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, values)| (&**key, *values)).collect();
    page_all(forebay_kit::mariadb().await, &keys).await;
}

async fn page_all(server: &Server, keys: &[(&str, &str)]) {
    let database = server.database("keys").await.expect("the server does it");
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut conn = database.connect().await.expect("the server does it");
    conn.query_drop("SET SESSION sql_mode = '', time_zone = '+00:00'").await.expect("the server does it");
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (n, (key, values)) in keys.iter().enumerate() {
        conn.query_drop(format!("CREATE TABLE k{n:02} (n INT, {key})")).await.expect("the server does it");
        conn.query_drop(format!(
            "INSERT INTO k{n:02} WITH RECURSIVE s (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 80) \
             SELECT i, {values} FROM s"
        ))
        .await
        .unwrap_or_else(|e| panic!("{key}: {e}"));
        let ids: Vec<String> =
            conn.query(format!("SELECT n FROM k{n:02} ORDER BY n")).await.expect("the server does it");
        assert_eq!(ids.len(), 81, "{key}");
        wanted.insert(format!("k{n:02}"), ids);
    }
    let mut log = Log::default();
    // many small pages: bounds lie between all kinds of neighbours
    let mut capture = log.connect(&config, small(4)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    let end = finish(&mut capture, &mut log, "all").await;
    done(&end);
    let mut got: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    for batch in log.blocks.iter().flat_map(|b| &b.batches) {
        let rows = got.entry(batch.table.table.clone()).or_default();
        for row in 0..batch.rows() {
            let n =
                text::cell(&batch.table.columns[0].ty, &batch.columns[0], row).expect("the server does it");
            rows.push((n.parse().expect("the server does it"), n));
        }
    }
    for (table, wanted) in &wanted {
        let mut rows = got.remove(table).unwrap_or_default();
        rows.sort();
        let rows: Vec<String> = rows.into_iter().map(|(_, n)| n).collect();
        let key = keys[table[1..].parse::<usize>().expect("the server does it")].0;
        assert_eq!(rows, *wanted, "{key}");
    }
    for (table, (key, _)) in end.tables.iter().zip(keys) {
        // 81 rows in chunks of 4, if there is a key
        let paged = key.contains("PRIMARY") || key.contains("INT NOT NULL");
        assert_eq!(table.chunks > 1, paged, "{key}: {table:?}");
        assert_eq!((table.rows, table.permille), (81, 1000), "{key}");
    }
}
