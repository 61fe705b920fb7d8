//! Both servers: random tables with random rows come out of the stream as the server's own SELECT prints them; and the
//! table of types in the docs is what came out.

mod random;

use std::collections::BTreeMap;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::{ColumnType, VIRTUAL_DATABASE};
use forebay_source::mysql::{Start, Stream};

use super::types::{CASES, Case, HEX, PLAIN, UNIX};
use super::{check, config, connect, next, text};
use random::{Random, RandomColumn, random_column};

/// What only MariaDB has.
const MARIADB: &[Case] = &[
    ("uuid", PLAIN, &["'00112233-4455-6677-8899-aabbccddeeff'", "'00112233-4455-1677-8899-aabbccddee00'"]),
    ("inet4", PLAIN, &["'0.0.0.0'", "'192.168.1.0'", "'255.255.255.255'"]),
    (
        "inet6",
        PLAIN,
        &["'::'", "'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'1:0:0:2::3'"],
    ),
    ("varchar(300) compressed", PLAIN, &["''", "'short'", "REPEAT('é', 250)"]),
    ("varchar(50) charset latin1 compressed", PLAIN, &["'short'", "REPEAT('é', 50)"]),
    ("varbinary(300) compressed", HEX, &["''", "x'00ff'", "REPEAT(x'00', 300)"]),
    ("text compressed", PLAIN, &["''", "REPEAT('日本', 5000)"]),
    ("longblob compressed", HEX, &["REPEAT(x'00ff', 70000)"]),
    ("decimal(65,38)", PLAIN, &["-99999999999999999999999999.99999999999999999999999999999999999999", "0.5"]),
    ("decimal(38,38)", PLAIN, &["0.00000000000000000000000000000000000001"]),
    ("json", PLAIN, &["'{\"b\": 1,   \"a\": [1, 2.50]}'"]),
    ("varchar(9) charset utf8mb4 collate utf8mb4_uca1400_ai_ci", PLAIN, &["'😀'"]),
    ("varchar(9) charset latin1 collate latin1_nopad_bin", PLAIN, &["'ÿ'"]),
    ("varchar(9) charset utf16 collate utf16_croatian_ci", PLAIN, &["'č😀'"]),
];

/// What MariaDB does not have, or has otherwise.
const NOT_MARIADB: [&str; 3] = ["json", "vector(3)", "varchar(10) charset gb18030"];

pub(crate) fn cases(maria: bool) -> Vec<Case> {
    if !maria {
        return CASES.to_vec();
    }
    let common = CASES.iter().filter(|c| !NOT_MARIADB.contains(&c.0));
    common.chain(MARIADB).copied().collect()
}

/// A table whose columns are of these types, and what of them is compared.
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) rows: Vec<Vec<String>>,
}

async fn prepare(server: &Server, prefix: &str) -> (Database, Stream, forebay_kit::mysql_async::Conn) {
    let database = server.database(prefix).await.expect("a database");
    database
        .exec(&format!("ALTER DATABASE `{}` CHARACTER SET utf8mb4", database.name()))
        .await
        .expect("utf8mb4");
    let stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.expect("a connection");
    conn.query_drop("SET SESSION sql_mode = '', time_zone = '+00:00'").await.expect("settings");
    (database, stream, conn)
}

/// Writes a table, changes and deletes its rows, and holds every image against the server's own words. Gives for each
/// column its type, and its values as they came.
async fn differ(
    conn: &mut forebay_kit::mysql_async::Conn,
    stream: &mut Stream,
    table: &Table,
) -> Vec<(ColumnType, Vec<String>)> {
    let Table { name, columns, rows } = table;
    let wanted = fill(conn, table).await;
    conn.query_drop(format!("DELETE FROM {name}")).await.expect("a delete");
    let mut values = vec![(ColumnType::Json, vec![String::new(); rows.len()]); columns.len()];
    let mut images = 0;
    while images < 4 * rows.len() {
        let Some(block) = next(stream).await.expect("a stream that goes on").block else { continue };
        check(&block);
        for batch in block.batches.iter().filter(|b| b.table.database != VIRTUAL_DATABASE) {
            assert_eq!(batch.table.table, *name);
            for row in 0..batch.rows() {
                let id = text::cell(&batch.table.columns[0].ty, &batch.columns[0], row).expect("an id");
                let id: usize = id.parse().expect("a number");
                for (i, (ty, _)) in columns.iter().enumerate() {
                    let found = &batch.table.columns[i + 2].ty;
                    let want: Option<String> = wanted[id].get(i).expect("as many as asked for");
                    let got = as_shown(found, text::cell(found, &batch.columns[i + 2], row), &want);
                    assert_eq!(got, want, "{ty}, inserted as {}", rows[id][i]);
                    values[i].0 = found.clone();
                    values[i].1[id] = got.unwrap_or_else(|| "NULL".into());
                }
            }
            images += batch.rows();
        }
    }
    values
}

/// Writes a table, and changes each row once. Gives what the server shows of the rows.
pub(crate) async fn fill(
    conn: &mut forebay_kit::mysql_async::Conn,
    table: &Table,
) -> Vec<forebay_kit::mysql_async::Row> {
    let Table { name, columns, rows } = table;
    let defined: Vec<String> = columns.iter().enumerate().map(|(i, (ty, _))| format!("c{i} {ty}")).collect();
    let sql = format!("CREATE TABLE {name} (id INT PRIMARY KEY, n INT, {})", defined.join(", "));
    conn.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    for (id, row) in rows.iter().enumerate() {
        let sql = format!("INSERT INTO {name} VALUES ({id}, 0, {})", row.join(", "));
        conn.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    conn.query_drop(format!("UPDATE {name} SET n = 1")).await.expect("an update");
    let shown: Vec<String> =
        columns.iter().enumerate().map(|(i, (_, shown))| shown.replace("{}", &format!("c{i}"))).collect();
    conn.query(format!("SELECT {} FROM {name} ORDER BY id", shown.join(", "))).await.expect("rows")
}

/// A value as the server shows it, if it is the one that it shows: bits without zeros before them, and any spelling of a
/// float.
pub(crate) fn as_shown(ty: &ColumnType, got: Option<String>, want: &Option<String>) -> Option<String> {
    if matches!(ty, ColumnType::Bit { .. }) {
        return got.map(|g| match g.trim_start_matches('0') {
            "" => "0".to_owned(),
            bits => bits.to_owned(),
        });
    }
    let same = number(ty, got.as_deref()).is_some_and(|n| want.as_ref().is_some_and(|w| w.parse() == Ok(n)));
    if same { want.clone() } else { got }
}

/// The number that a float is, however it is printed.
fn number(ty: &ColumnType, shown: Option<&str>) -> Option<f64> {
    match ty {
        ColumnType::Double => shown?.parse().ok(),
        ColumnType::Float => shown?.parse::<f32>().ok().map(f64::from),
        _ => None,
    }
}

pub(crate) fn case_table(name: String, case: &Case) -> Table {
    let (ty, shown, values) = *case;
    let rows = values.iter().chain(&["NULL"]).map(|v| vec![(*v).to_owned()]).collect();
    Table { name, columns: vec![(ty.to_owned(), shown.to_owned())], rows }
}

/// A type as it came from a server, with an example.
type Found = Option<(ColumnType, String)>;

#[tokio::test]
async fn every_type_of_both_servers_and_the_docs() {
    let mut found: BTreeMap<usize, (String, [Found; 2])> = BTreeMap::new();
    let order: Vec<&str> = CASES.iter().chain(MARIADB).map(|c| c.0).collect();
    for (at, server) in [forebay_kit::mysql().await, forebay_kit::mariadb().await].into_iter().enumerate() {
        let (_database, mut stream, mut conn) = prepare(server, "every").await;
        for (i, case) in cases(at == 1).iter().enumerate() {
            let values = differ(&mut conn, &mut stream, &case_table(format!("t{i}"), case)).await;
            let (ty, values) = values.into_iter().next().expect("one column");
            let example =
                values.iter().rev().find(|v| *v != "NULL" && !v.is_empty()).cloned().unwrap_or_default();
            let nth = order.iter().position(|t| *t == case.0).expect("a known type");
            found.entry(nth).or_insert_with(|| (case.0.to_owned(), [None, None])).1[at] = Some((ty, example));
        }
    }
    let mut lines = String::new();
    for (ty, [mysql, mariadb]) in found.values() {
        let whose = match (mysql, mariadb) {
            (Some(a), Some(b)) if a.0 == b.0 => "both",
            (Some(_), Some(_)) => "MySQL; MariaDB: text, as it was written",
            (Some(_), None) => "MySQL",
            _ => "MariaDB",
        };
        let (column, example) = mysql.as_ref().or(mariadb.as_ref()).expect("one of them");
        let mut short: String = example.chars().take(40).collect();
        if short.len() < example.len() {
            short.push('…');
        }
        let short = short.replace('|', "\\|");
        lines.push_str(&format!("| `{ty}` | {whose} | {} | `{short}` |\n", words(column)));
    }
    let page = format!(
        "# Types\n\nWhat a column's value is in a change event. Every row of this table was written to a real server and came back through\n\
         the binlog, and by a snapshot, as the server's own SELECT prints it; the test that does so writes this page\n\
         (`UPDATE=1 cargo test -p forebay-source --test it the_docs`). How a format writes each kind is said on the format's page.\n\n\
         - NULL, a value, and *absent* (a row image that lacks the column: `binlog_row_image` MINIMAL, NOBLOB) are three things for every\n  \
         type. Absent in an update means that the statement did not set it; in an insert, that the statement did not name the column, whose\n  \
         default the binlog does not hold; in a row that a snapshot read, that the events beside it have told it. MariaDB's minimal images\n  \
         also lack VIRTUAL columns that changed because others did (unless they are indexed), and columns that REPLACE set to their default.\n\
         - With `PARTIAL_JSON`, a JSON value that is logged as a difference becomes the value, by the value before. Where the image before lacks\n  \
         it, the value is absent from the event, and `source.partial` lists the column: it has changed, and to what is not known.\n\
         - Texts are UTF-8, whatever the column's character set. Bytes that mean nothing in it stop the source\n  (`mysql.invalid_text`).\n\
         - Bytes are shown in hexadecimal here.\n\n\
         | type | server | kind of value | example |\n|---|---|---|---|\n{lines}"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/types.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).expect("docs/types.md can be written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page,
        "docs/types.md is out of date: UPDATE=1 cargo test -p forebay-source --test it the_docs"
    );
}

fn words(ty: &ColumnType) -> String {
    let digits = |fsp: &u8| if *fsp > 0 { format!(", {fsp} digits of a fraction") } else { String::new() };
    match ty {
        ColumnType::Integer { bits, unsigned } => {
            format!("integer of {bits} bits{}", if *unsigned { ", unsigned" } else { "" })
        }
        ColumnType::Year => "year; 0 = `0000`".into(),
        ColumnType::Float => "float of 32 bits".into(),
        ColumnType::Double => "float of 64 bits".into(),
        ColumnType::Decimal { precision, scale } => {
            format!("decimal, {precision} digits, {scale} behind the point")
        }
        ColumnType::Bit { bits } => format!("{bits} bits"),
        ColumnType::Date => "date; zero and partial dates are kept".into(),
        ColumnType::Time { fsp } => format!("signed time{}", digits(fsp)),
        ColumnType::DateTime { fsp } => {
            format!("date and time without a zone{}; zero dates are kept", digits(fsp))
        }
        ColumnType::Timestamp { fsp } => format!("moment, since 1970 in UTC{}; 0 = zero date", digits(fsp)),
        ColumnType::Text => "text".into(),
        ColumnType::Enum { .. } => "text of the member; empty for what is none".into(),
        ColumnType::Set { .. } => "text of the members, with commas".into(),
        ColumnType::Json => "JSON text, as the server prints it".into(),
        ColumnType::Binary => "bytes".into(),
        ColumnType::Geometry => "SRID and WKB".into(),
        ColumnType::Vector => "floats of 32 bits, little-endian".into(),
    }
}

/// `FOREBAY_SEED`, or another one in each process.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("FOREBAY_SEED").ok().and_then(|s| s.parse().ok());
    seed.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed_0000)
}

/// A table of random columns with random rows.
pub(crate) fn random_table(seed: u64, name: String, maria: bool) -> Table {
    let mut r = Random(seed);
    let columns: Vec<_> = (0..1 + r.below(14)).map(|_| random_column(&mut r, maria)).collect();
    let rows = (0..1 + r.below(30)).map(|_| {
        let cell = |(_, _, value): &RandomColumn| {
            if r.below(6) == 0 { "NULL".to_owned() } else { value(&mut r) }
        };
        columns.iter().map(cell).collect()
    });
    let rows = rows.collect();
    let columns = columns.iter().map(|(ty, shown, _)| (ty.clone(), shown.clone())).collect();
    Table { name, columns, rows }
}

#[tokio::test]
async fn random_tables_of_both_servers() {
    let seed = seed();
    for (at, server) in [forebay_kit::mysql().await, forebay_kit::mariadb().await].into_iter().enumerate() {
        let (_database, mut stream, mut conn) = prepare(server, "random").await;
        for table in 0..12 {
            eprintln!("FOREBAY_SEED={seed}, server {at}, table {table}");
            differ(&mut conn, &mut stream, &random_table(seed + table, format!("t{table}"), at == 1)).await;
        }
    }
}

#[tokio::test]
async fn every_type_of_mariadb_without_names() {
    let server = Server::start_mariadb(&["--binlog-row-metadata=NO_LOG"]).await.expect("a MariaDB");
    let (_database, mut stream, mut conn) = prepare(&server, "nameless").await;
    for (i, case) in cases(true).iter().enumerate() {
        differ(&mut conn, &mut stream, &case_table(format!("t{i}"), case)).await;
    }
}

/// In the form that MariaDB had before 10.1, and has still in tables of that time.
pub(crate) const OLD_TIMES: [Case; 3] = [
    ("datetime", PLAIN, &["'0000-00-00 00:00:00'", "'2020-00-15 01:02:03'", "'9999-12-31 23:59:59'"]),
    ("timestamp null", UNIX, &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    ("time", PLAIN, &["'-838:59:59'", "'-00:00:01'", "'00:00:00'", "'838:59:59'"]),
];

#[tokio::test]
async fn old_times_of_mariadb() {
    let server = Server::start_mariadb(&["--mysql56-temporal-format=OFF"]).await.expect("a MariaDB");
    let (database, mut stream, mut conn) = prepare(&server, "old").await;
    for (i, case) in OLD_TIMES.iter().enumerate() {
        differ(&mut conn, &mut stream, &case_table(format!("t{i}"), case)).await;
    }
    database
        .exec("CREATE TABLE fine (id INT, at DATETIME(3)); INSERT INTO fine VALUES (1, NOW(3))")
        .await
        .expect("rows");
    let fault = loop {
        if let Err(fault) = next(&mut stream).await {
            break fault;
        }
    };
    let said = fault.to_string();
    assert!(said.contains(".fine, column at: the type datetime(3) (in the form of"), "{said}");
}
