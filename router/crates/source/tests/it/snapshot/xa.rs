//! Snapshots of MariaDB while XA transactions of two phases are decided.

use std::time::Duration;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::TablePattern;
use forebay_source::codes;
use forebay_source::mysql::{SnapshotRequest, SnapshotSettings};

use super::super::config;
use super::writer::{catch_up, fold};
use super::{Log, begin, done, finish, small, status};

const ROWS: u32 = 3000;

/// A table `t` with rows.
async fn filled(database: &Database) {
    let sql = format!(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL); SET SESSION max_recursive_iterations = 1000000;
         INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i, 0 FROM n"
    );
    database.exec(&sql).await.expect("the server does it");
}

/// Changes rows in branches, every fifth of which is rolled back, until `branches` are decided.
async fn write(database: &Database, name: &str, branches: u32) {
    let mut conn = database.connect().await.expect("the server does it");
    for n in 0..branches {
        let id = n * 7919 % ROWS + 1;
        let decision = if n % 5 == 0 { "ROLLBACK" } else { "COMMIT" };
        for sql in [
            format!("XA START '{name}', '{n}'"),
            format!("UPDATE t SET v = v + 1 WHERE id BETWEEN {id} AND {id} + 3"),
            format!("XA END '{name}', '{n}'"),
            format!("XA PREPARE '{name}', '{n}'"),
            format!("XA {decision} '{name}', '{n}'"),
        ] {
            conn.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }
}

#[tokio::test]
async fn under_branches_that_are_decided_the_log_folds_to_the_table() {
    let server = Server::start_mariadb(&[]).await.expect("the server does it");
    let database = server.database("branches").await.expect("the server does it");
    filled(&database).await;
    let config = config(&server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, SnapshotSettings { readers: 2, ..small(200) }).await;
    let (mut superseded, mut n) = (0, 0);
    let writer = write(&database, "w", 8000);
    tokio::pin!(writer);
    let mut writing = true;
    while writing {
        let id = format!("s{n}");
        n += 1;
        begin(&mut capture, SnapshotRequest::all(&id));
        let mut end = None;
        while end.is_none() {
            tokio::select! {
                () = &mut writer, if writing => writing = false,
                status = finish(&mut capture, &mut log, &id) => end = Some(status),
            }
        }
        let end = end.expect("the server does it");
        done(&end);
        superseded += end.tables[0].superseded;
    }
    catch_up(&mut capture, &mut log, &server).await;
    eprintln!("{n} snapshots, {superseded} rows superseded");
    assert!(superseded > 0, "rows must have been changed while they were read");
    let got: Vec<String> = fold(&log, "t", &[0]).into_values().collect();
    let sql = "SELECT CONCAT_WS(',', id, v) FROM t ORDER BY CAST(id AS CHAR)";
    assert_eq!(got, database.query::<String>(sql).await.expect("the server does it"));
}

/// A branch that XA RECOVER lists may not be committed by the engines yet, whatever the binlog says. Nothing holds that state for a
/// test, so a branch without changes, which the binlog never has, takes the name of one that was committed.
#[tokio::test]
async fn nothing_is_read_while_a_decided_branch_is_listed() {
    let server = Server::start_mariadb(&[]).await.expect("the server does it");
    let database = server.database("listed").await.expect("the server does it");
    filled(&database).await;
    let config = config(&server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(200)).await;
    let mut conn = database.connect().await.expect("the server does it");
    let mut run = async |sql: &str| conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    for sql in
        ["XA START 'a'", "UPDATE t SET v = 7 WHERE id = 5", "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'a'"]
    {
        run(sql).await;
    }
    for sql in ["XA START 'a'", "SELECT * FROM t LIMIT 1", "XA END 'a'", "XA PREPARE 'a'"] {
        run(sql).await;
    }
    catch_up(&mut capture, &mut log, &server).await;
    let table = TablePattern::new(&format!("{}.t", database.name())).expect("the server does it");
    begin(&mut capture, SnapshotRequest { tables: vec![table], ..SnapshotRequest::all("s") });
    let fault = loop {
        // a fault of a snapshot's alone makes nothing come
        if let Ok(captured) = tokio::time::timeout(Duration::from_millis(200), capture.next()).await {
            log.add(captured.expect("the server does it"));
        }
        let told = status(&capture, "s");
        assert_eq!(told.rows, 0, "{told:?}");
        if let Some(fault) = told.fault.or_else(|| told.tables.first().and_then(|t| t.fault.clone())) {
            break fault;
        }
    };
    assert_eq!(fault.code, codes::SNAPSHOT_BEHIND.name, "{fault:?}");
    run("XA ROLLBACK 'a'").await;
    let end = finish(&mut capture, &mut log, "s").await;
    done(&end);
    assert_eq!(fold(&log, "t", &[0]).len(), ROWS as usize);
}
