//! Snapshots beside events that lack columns: what an update leaves out, the chunk's row must tell.

use std::collections::BTreeMap;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{CdcUser, Database, Server};
use forebay_model::{Op, Secret};
use forebay_source::mysql::{Config, SnapshotCommand, SnapshotRequest, SnapshotState};

use super::super::{config, text};
use super::random::Random;
use super::writer::catch_up;
use super::{Log, begin, done, finish, next, small};

const ABSENT: &str = "absent";

/// What the log makes of `t`, whose key is its first column, by whoever keeps what an image lacks.
fn fold(log: &Log) -> BTreeMap<String, Vec<String>> {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in &log.blocks {
        for (b, r) in block.runs_in_order() {
            let batch = &block.batches[b as usize];
            for event in batch.events_of(r as usize..r as usize + 1) {
                let cells = |row: Option<u32>| -> Option<Vec<String>> {
                    Some(text::row(batch, row? as usize).split(',').map(str::to_owned).collect())
                };
                let (before, after) = (cells(event.before), cells(event.after));
                let was = before.as_ref().map(|row| row[0].clone());
                let old = match (&was, event.op) {
                    (Some(key), _) => rows.remove(key),
                    // a row that was read does not say what it leaves out, either
                    (None, Op::Read) => after.as_ref().and_then(|row| rows.remove(&row[0])),
                    (None, _) => None,
                };
                let Some(mut new) = after else { continue };
                if new[0] == ABSENT {
                    new[0] = was.expect("an update says which row it was");
                }
                for (at, cell) in new.iter_mut().enumerate().filter(|(_, cell)| *cell == ABSENT) {
                    *cell = old.as_ref().map_or(ABSENT, |old| &old[at]).to_owned();
                }
                rows.insert(new[0].clone(), new);
            }
        }
    }
    rows
}

/// Changes of all kinds until `stop`, each of few columns.
async fn write(database: &Database, image: &str, moves: u32, stop: &tokio::sync::Notify) -> u32 {
    let mut random = Random(77);
    let mut conn = database.connect().await.expect("a connection");
    conn.query_drop(format!("SET SESSION binlog_row_image = {image}")).await.expect("the image");
    let mut n = 0;
    let mut stopped = std::pin::pin!(stop.notified());
    loop {
        n += 1;
        let id = random.below(2500);
        let moves_now = n % 200 == 0 && n / 200 <= moves;
        let sql = match if moves_now { 8 } else { random.below(8) } {
            0 | 1 => format!("UPDATE t SET a = a + 1 WHERE id = {id}"),
            2 => format!("UPDATE t SET b = 'b{n}' WHERE id = {id}"),
            3 => format!("UPDATE t SET doc = REPEAT('{}', 9) WHERE id = {id}", n % 10),
            4 => format!("UPDATE t SET a = NULL, b = 'c{n}' WHERE id BETWEEN {id} AND {}", id + 3),
            5 => format!("DELETE FROM t WHERE id = {id}"),
            6 => format!("INSERT IGNORE INTO t (id, a, b, doc) VALUES ({id}, {n}, 'new', NULL)"),
            7 => format!("REPLACE INTO t (id, a, b, doc) VALUES ({id}, {n}, 'again', 'x')"),
            _ => format!("UPDATE IGNORE t SET id = -id, a = {n} WHERE id BETWEEN {id} AND {}", id + 50),
        };
        tokio::select! {
            biased;
            () = &mut stopped => return n,
            done = conn.query_drop(&sql) => done.unwrap_or_else(|e| panic!("{sql}: {e}")),
        }
    }
}

async fn under_small_images(server: &Server, image: &str, moves: u32) {
    let database = server.database("images").await.expect("a database");
    for name in ["cte_max_recursion_depth", "max_recursive_iterations"] {
        let _ = server.exec(&format!("SET GLOBAL {name} = 1000000")).await;
    }
    database
        .exec(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20), doc TEXT);
             INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
             SELECT i, i, CONCAT('row ', i), 'doc' FROM n",
        )
        .await
        .expect("a table");
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(700)).await;
    let stop = tokio::sync::Notify::new();
    let read = async {
        let mut superseded = 0;
        begin(&mut capture, SnapshotRequest { rows_per_second: Some(3000), ..SnapshotRequest::all("s") });
        let end = finish(&mut capture, &mut log, "s").await;
        done(&end);
        assert!(moves == 0 || log.snapshot_rows() as u64 > end.rows, "rows have moved: it was begun again");
        superseded += end.tables[0].superseded;
        stop.notify_one();
        superseded
    };
    let (superseded, changes) = tokio::join!(read, write(&database, image, moves, &stop));
    catch_up(&mut capture, &mut log, server).await;
    eprintln!("{image}: {changes} changes, {superseded} superseded");
    let mut conn = database.connect().await.expect("a connection");
    let wanted: Vec<String> = conn
        .query("SELECT CONCAT_WS(',', id, COALESCE(a, 'NULL'), b, COALESCE(doc, 'NULL')) FROM t ORDER BY CAST(id AS CHAR)")
        .await
        .expect("the table");
    let got: Vec<String> = fold(&log).into_values().map(|row| row.join(",")).collect();
    let differ: Vec<_> = wanted.iter().filter(|row| !got.contains(row)).take(5).collect();
    assert!(got == wanted, "{} rows for {}, such as {differ:?}", got.len(), wanted.len());
}

#[tokio::test]
async fn rows_whose_updates_lack_columns_are_whole() {
    under_small_images(forebay_kit::mysql().await, "MINIMAL", 0).await;
}

#[tokio::test]
async fn rows_whose_updates_lack_their_texts_are_whole() {
    under_small_images(forebay_kit::mysql().await, "NOBLOB", 0).await;
}

#[tokio::test]
async fn rows_of_mariadb_whose_updates_lack_columns_are_whole() {
    under_small_images(forebay_kit::mariadb().await, "MINIMAL", 0).await;
}

#[tokio::test]
async fn rows_that_move_are_whole() {
    under_small_images(forebay_kit::mysql().await, "MINIMAL", 4).await;
}

/// Rows jump from what is to be read to what was read: once while it is read, and once while it has failed.
#[tokio::test]
async fn rows_that_jump_over_the_reader_are_whole() {
    let server = forebay_kit::mysql().await;
    for key in ["PRIMARY KEY (k)", "UNIQUE (k)", "UNIQUE (`odd [name`, k)"] {
        let database = server.database("jump").await.expect("a database");
        database
            .exec(&format!(
                "CREATE TABLE t (k INT NOT NULL, `odd [name` INT NOT NULL DEFAULT 3, a INT, b TEXT, {key});
                 INSERT INTO t (k, a, b) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i, 'b' FROM n"
            ))
            .await
            .expect("a table");
        let name = database.name();
        let select = format!("SELECT ON `{name}`.*");
        let grants = ["REPLICATION SLAVE, REPLICATION CLIENT ON *.*", &select];
        let CdcUser { name: user, password } = server.cdc_user(&grants).await.expect("an account");
        let root = config(server, &[format!("{name}.*")]);
        let config = Config { user: user.clone(), password: Some(Secret::new(password)), ..root };
        let mut log = Log::default();
        let mut capture = log.connect(&config, small(100)).await;
        let mut conn = database.connect().await.expect("a connection");
        conn.query_drop("SET SESSION binlog_row_image = MINIMAL").await.expect("the image");
        begin(&mut capture, SnapshotRequest { rows_per_second: Some(500), ..SnapshotRequest::all("s") });
        while log.snapshot_rows() < 300 {
            log.add(next(&mut capture).await.expect("a stream"));
        }
        conn.query_drop("UPDATE t SET k = -k WHERE k IN (890, 891)").await.expect("a jump");
        while log.snapshot_rows() < 600 {
            log.add(next(&mut capture).await.expect("a stream"));
        }
        server.exec(&format!("REVOKE {select} FROM `{user}`")).await.expect("a revocation");
        let end = finish(&mut capture, &mut log, "s").await;
        assert!(end.state == SnapshotState::Failed && log.snapshot_rows() < 880, "{end:#?}");
        conn.query_drop("UPDATE t SET k = -k WHERE k IN (880, 881)").await.expect("a jump");
        catch_up(&mut capture, &mut log, server).await;
        server.exec(&format!("GRANT {select} TO `{user}`")).await.expect("a grant");
        capture.command(SnapshotCommand::Resume("s".into())).expect("a snapshot that failed");
        done(&finish(&mut capture, &mut log, "s").await);
        catch_up(&mut capture, &mut log, server).await;
        let wanted: Vec<String> = conn
            .query("SELECT CONCAT_WS(',', k, `odd [name`, a, b) FROM t ORDER BY CAST(k AS CHAR)")
            .await
            .expect("the table");
        let got: Vec<String> = fold(&log).into_values().map(|row| row.join(",")).collect();
        let differ: Vec<_> = wanted.iter().filter(|row| !got.contains(row)).take(5).collect();
        assert!(got == wanted, "{key}: {} rows for {}, such as {differ:?}", got.len(), wanted.len());
    }
}

async fn moves(conn: &mut forebay_kit::mysql_async::Conn) {
    loop {
        conn.query_drop("UPDATE t SET id = 100 - id WHERE id <> 5").await.expect("an update");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn rows_that_move_all_the_time_fail_the_table() {
    let server = forebay_kit::mysql().await;
    let database = server.database("moving").await.expect("a database");
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)")
        .await
        .expect("a table");
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(1)).await;
    let mut conn = database.connect().await.expect("a connection");
    conn.query_drop("SET SESSION binlog_row_image = MINIMAL").await.expect("the image");
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(10), ..SnapshotRequest::all("s") });
    let end = tokio::select! { end = finish(&mut capture, &mut log, "s") => end, () = moves(&mut conn) => unreachable!("for ever") };
    assert_eq!(end.state, SnapshotState::Failed, "{end:#?}");
    let fault = end.tables[0].fault.as_ref().expect("a reason");
    assert_eq!(fault.code, "mysql.snapshot_rows_move", "{end:#?}");
    // and with whole images it ends
    conn.query_drop("SET SESSION binlog_row_image = FULL").await.expect("the image");
    capture.command(SnapshotCommand::Resume("s".into())).expect("a snapshot that failed");
    let end = tokio::select! { end = finish(&mut capture, &mut log, "s") => end, () = moves(&mut conn) => unreachable!("for ever") };
    done(&end);
}
