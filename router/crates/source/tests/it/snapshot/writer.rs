//! A snapshot under a writer, folded by key, is the table.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server, Writer};
use forebay_model::{Op, Position};
use forebay_source::mysql::{SnapshotRequest, SnapshotSettings};

use super::super::{config, text};
use super::{Log, begin, done, finish, next, small, status};

/// What the log makes of a table: key -> row.
pub(super) fn fold(log: &Log, table: &str, key: &[usize]) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for block in &log.blocks {
        for (b, r) in block.runs_in_order() {
            let batch = &block.batches[b as usize];
            if batch.table.table != table {
                continue;
            }
            let name = |row: u32| {
                let cells = key.iter().map(|&k| {
                    text::cell(&batch.table.columns[k].ty, &batch.columns[k], row as usize)
                        .unwrap_or_default()
                });
                cells.collect::<Vec<_>>().join("|")
            };
            for event in batch.events_of(r as usize..r as usize + 1) {
                if let Some(before) = event.before {
                    rows.remove(&name(before));
                }
                if let Some(after) = event.after {
                    let new = rows.insert(name(after), text::row(batch, after as usize));
                    assert!(event.op == Op::Read || new.is_none(), "{} twice", name(after));
                }
            }
        }
    }
    rows
}

/// Rows of `accounts` that are there before anything is read.
async fn fill(database: &Database, rows: u32) {
    let mut conn = database.connect().await.expect("the server does it");
    // each server has its own name for it
    for name in ["cte_max_recursion_depth", "max_recursive_iterations"] {
        let _ = conn.query_drop(format!("SET SESSION {name} = 1000000")).await;
    }
    conn.query_drop(format!(
        "INSERT INTO accounts WITH RECURSIVE n (i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         SELECT i * 7, 1, CONCAT('name ', i), NULL, '0', 'NSW', i, NULL, TRUE FROM n",
        10_000 + rows
    ))
    .await
    .expect("the server does it");
}

async fn expected(database: &Database, sql: &str) -> Vec<String> {
    let mut conn = database.connect().await.expect("the server does it");
    conn.query_drop("SET SESSION time_zone = '+00:00'").await.expect("the server does it");
    conn.query(sql).await.expect("the server does it")
}

const ACCOUNTS: &str = "SELECT CONCAT_WS(',', id, version, name, COALESCE(email, 'NULL'), phone, state, balance, \
    COALESCE(note, 'NULL'), enabled) FROM accounts ORDER BY CAST(id AS CHAR) COLLATE utf8mb4_bin";

/// Reads on until the log has all that the server has.
pub(super) async fn catch_up(capture: &mut forebay_source::mysql::Capture, log: &mut Log, server: &Server) {
    let (file, pos, executed) = server.binlog_end().await.expect("the server does it");
    let executed: forebay_model::GtidSet = executed.parse().expect("the server does it");
    let there = |p: &Position| match executed.is_empty() {
        true => (&p.file, p.pos) >= (&file, pos),
        false => executed.is_subset(&p.gtids),
    };
    while !log.position.as_ref().is_some_and(there) {
        log.add(next(capture).await.expect("the server does it"));
    }
}

/// A server that gives no GTIDs.
async fn without_gtids() -> Server {
    Server::start(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await.expect("a MySQL")
}

#[tokio::test]
async fn under_a_writer_the_log_folds_to_the_table() {
    under_a_writer(forebay_kit::mysql().await).await;
}

#[tokio::test]
async fn under_a_writer_of_mariadb_the_log_folds_to_the_table() {
    under_a_writer(forebay_kit::mariadb().await).await;
}

#[tokio::test]
async fn under_a_writer_without_gtids_the_log_folds_to_the_table() {
    under_a_writer(&without_gtids().await).await;
}

/// A database whose texts may be any.
async fn database(server: &Server, prefix: &str) -> Database {
    let database = server.database(prefix).await.expect("a database");
    let utf8 = format!("ALTER DATABASE `{}` CHARACTER SET utf8mb4", database.name());
    database.exec(&utf8).await.expect("utf8mb4");
    database
}

async fn under_a_writer(server: &Server) {
    let database = database(server, "under").await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut writer = Writer::new(&database, 21).await.expect("the server does it");
    fill(&database, 3_000).await;
    writer.write(1000).await.expect("the server does it");
    let mut capture = log.connect(&config, small(1500)).await;
    let running = writer.start(200);
    // one after the other: each must leave the log right, and how often the writer meets a chunk is chance
    let (mut superseded, mut rows) = (0, 0);
    for n in 0..100 {
        if n >= 15 && superseded > 20 {
            break;
        }
        let id = format!("s{n}");
        begin(&mut capture, SnapshotRequest::all(&id));
        let end = finish(&mut capture, &mut log, &id).await;
        done(&end);
        assert!(end.tables[0].chunks >= 4, "{end:?}");
        rows += end.rows;
        superseded += end.tables[0].superseded;
    }
    let writer = running.stop().await.expect("the server does it");
    catch_up(&mut capture, &mut log, server).await;
    eprintln!("{rows} rows, {superseded} superseded, {} changes", writer.changes().len());
    assert_eq!(rows, log.snapshot_rows() as u64);
    assert!(superseded > 20, "rows must have been changed while they were read");
    let got: Vec<String> = fold(&log, "accounts", &[0]).into_values().collect();
    assert_eq!(got, expected(&database, ACCOUNTS).await);
}

#[tokio::test]
async fn dropped_anywhere_it_goes_on_where_it_was() {
    drop_anywhere(forebay_kit::mysql().await).await;
}

#[tokio::test]
async fn dropped_anywhere_on_mariadb_it_goes_on_where_it_was() {
    drop_anywhere(forebay_kit::mariadb().await).await;
}

#[tokio::test]
async fn dropped_anywhere_without_gtids_it_goes_on_where_it_was() {
    drop_anywhere(&without_gtids().await).await;
}

async fn drop_anywhere(server: &Server) {
    let database = database(server, "resume").await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut writer = Writer::new(&database, 22).await.expect("the server does it");
    fill(&database, 4_000).await;
    writer.write(1000).await.expect("the server does it");
    let running = writer.start(200);
    let random = RandomState::new();
    let mut capture = log.connect(&config, small(400)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(4000), ..SnapshotRequest::all("all") });
    // the request must be durable before anything is dropped
    while !log.has_snapshots() {
        log.add(next(&mut capture).await.expect("the server does it"));
    }
    let (mut drops, mut rows) = (0, 0);
    while drops < 20 && !status(&capture, "all").state.is_over() {
        for _ in 0..1 + random.hash_one(drops) % 12 {
            log.add(next(&mut capture).await.expect("the server does it"));
        }
        drop(capture);
        let settings = SnapshotSettings { readers: 1 + drops % 3, ..small(400) };
        capture = log.connect(&config, settings).await;
        let now = status(&capture, "all").rows;
        assert!(now >= rows, "what was committed is not read again");
        (rows, drops) = (now, drops + 1);
    }
    let end = finish(&mut capture, &mut log, "all").await;
    done(&end);
    let _writer = running.stop().await.expect("the server does it");
    catch_up(&mut capture, &mut log, server).await;
    eprintln!("{drops} drops, {} rows, {} superseded", end.rows, end.tables[0].superseded);
    // how many rows were superseded is chance here: `under_a_writer` counts them
    assert!(drops > 5, "the snapshot must have been cut");
    assert_eq!(log.snapshot_rows() as u64, end.rows, "each chunk once");
    let got: Vec<String> = fold(&log, "accounts", &[0]).into_values().collect();
    assert_eq!(got, expected(&database, ACCOUNTS).await);
}

#[tokio::test]
async fn keys_that_change_and_differ_in_case_alone() {
    let server = forebay_kit::mysql().await;
    let database = server.database("case").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    database
        .exec(
            "CREATE TABLE t (a VARCHAR(40) COLLATE utf8mb4_0900_ai_ci, b INT, v INT, PRIMARY KEY (a, b));
             SET SESSION cte_max_recursion_depth = 100000;
             INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             SELECT CONCAT(IF(i % 2, 'Key é ', 'kEY e '), i DIV 3), i, 0 FROM n",
        )
        .await
        .unwrap();
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(1000)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(4000), ..SnapshotRequest::all("all") });
    let mut conn = database.connect().await.unwrap();
    let work = async {
        for i in 0..400u32 {
            let at = i * 7919 % 6000 + 1;
            for sql in [
                format!("UPDATE t SET a = UPPER(a), v = v + 1 WHERE b = {at}"),
                format!("UPDATE t SET a = CONCAT('moved ', a), v = v + 1 WHERE b = {}", at % 6000 + 1),
                format!("UPDATE t SET b = b + 10000 WHERE b = {}", (at + 1) % 6000 + 1),
                format!("DELETE FROM t WHERE b = {}", (at + 2) % 6000 + 1),
                format!("INSERT INTO t VALUES ('{i} NEW', {i}, 0)"),
            ] {
                conn.query_drop(sql).await.unwrap();
            }
        }
    };
    let (end, ()) = tokio::join!(finish(&mut capture, &mut log, "all"), work);
    done(&end);
    catch_up(&mut capture, &mut log, server).await;
    eprintln!("{} rows, {} superseded", end.rows, end.tables[0].superseded);
    let mut wanted = expected(&database, "SELECT CONCAT_WS(',', a, b, v) FROM t").await;
    wanted.sort();
    let mut got: Vec<String> = fold(&log, "t", &[0, 1]).into_values().collect();
    got.sort();
    assert_eq!(got, wanted);
}
