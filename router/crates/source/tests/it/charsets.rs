//! Every character of every character set that is read: by stream as the server itself converts it.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_source::mysql::Start;

use super::{config, connect, next};
use forebay_model::VIRTUAL_DATABASE;

/// One byte from 0x80 on.
const ONE: &str = "WITH RECURSIVE n (i) AS (SELECT 128 UNION ALL SELECT i + 1 FROM n WHERE i < 255) SELECT i, CHAR(i) b FROM n";
/// Two bytes, the first from 0x81 on, the second from 0x40 on.
const TWO: &str = "WITH RECURSIVE a (i) AS (SELECT 129 UNION ALL SELECT i + 1 FROM a WHERE i < 254), \
     b (j) AS (SELECT 64 UNION ALL SELECT j + 1 FROM b WHERE j < 254) SELECT i * 256 + j, CHAR(i, j) FROM a, b";
/// Every unit of two bytes.
const UNITS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 65535) \
     SELECT i, CHAR(i DIV 256, i MOD 256) FROM n";

const CHARSETS: &[(&str, &[&str])] = &[
    ("latin1", &[ONE]),
    ("latin2", &[ONE]),
    ("latin5", &[ONE]),
    ("latin7", &[ONE]),
    ("cp1250", &[ONE]),
    ("cp1251", &[ONE]),
    ("cp1256", &[ONE]),
    ("cp1257", &[ONE]),
    ("cp866", &[ONE]),
    ("greek", &[ONE]),
    ("hebrew", &[ONE]),
    ("koi8r", &[ONE]),
    ("koi8u", &[ONE]),
    ("macroman", &[ONE]),
    ("tis620", &[ONE]),
    ("gbk", &[ONE, TWO]),
    ("gb2312", &[ONE, TWO]),
    ("sjis", &[ONE, TWO]),
    ("cp932", &[ONE, TWO]),
    ("euckr", &[ONE, TWO]),
    ("ucs2", &[UNITS]),
    ("utf16", &[UNITS]),
    ("utf16le", &[UNITS]),
];

#[tokio::test]
async fn every_character() {
    let server = forebay_kit::mysql().await;
    let database = server.database("charsets").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    conn.query_drop("SET SESSION sql_mode = '', cte_max_recursion_depth = 100000").await.unwrap();
    let mut wrong = Vec::new();
    for (charset, sets) in CHARSETS {
        conn.query_drop(format!("CREATE TABLE `{charset}` (id INT, v VARCHAR(8) CHARSET {charset})"))
            .await
            .unwrap();
        for set in *sets {
            // bytes that the server takes for a text of this character set, and that it can write in UTF-8
            let all: Vec<(i64, Vec<u8>)> = conn.query(*set).await.unwrap();
            for part in all.chunks(2000) {
                let values: Vec<String> = part
                    .iter()
                    .map(|(n, bytes)| {
                        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                        format!("({n}, CONVERT(x'{hex}' USING {charset}))")
                    })
                    .collect();
                conn.query_drop(format!("INSERT INTO `{charset}` VALUES {}", values.join(",")))
                    .await
                    .unwrap();
            }
        }
        let wanted: Vec<(i64, Option<String>)> =
            conn.query(format!("SELECT id, CONVERT(v USING utf8mb4) FROM `{charset}`")).await.unwrap();
        let mut got = 0;
        while got < wanted.len() {
            let Some(block) = next(&mut stream).await.unwrap().block else { continue };
            for batch in block.batches.iter().filter(|b| b.table.database != VIRTUAL_DATABASE) {
                assert_eq!(batch.table.table, *charset);
                let (ids, texts) =
                    (batch.columns[0].as_primitive::<Int32Type>(), batch.columns[1].as_string::<i32>());
                for row in 0..batch.rows() {
                    let (id, text) = &wanted[got];
                    assert_eq!(i64::from(ids.value(row)), *id);
                    got += 1;
                    let Some(text) = text else { continue };
                    // bytes with no meaning: the server shows `?`, U+FFFD or nothing
                    if !text.contains(['?', '\u{fffd}']) && !text.is_empty() && texts.value(row) != text {
                        wrong.push(format!("{charset} {id:x}: {:?}, not {text:?}", texts.value(row)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} characters:\n{}", wrong.len(), wrong.join("\n"));
}
