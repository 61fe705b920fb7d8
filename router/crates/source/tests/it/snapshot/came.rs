//! Tables that come into the capture, or go out of it, while a source reads.

use std::collections::BTreeSet;

use forebay_kit::{CdcUser, Database, Server};
use forebay_model::Secret;
use forebay_source::codes;
use forebay_source::mysql::{
    Capture, Config, SnapshotRequest, SnapshotSettings, SnapshotState, SnapshotStatus, check_snapshot,
};

use super::super::config;
use super::writer::{catch_up, fold};
use super::{Log, begin, done, finish, next, one, small};

pub(super) fn new_tables(chunk_rows: usize) -> SnapshotSettings {
    SnapshotSettings { new_tables: true, ..small(chunk_rows) }
}

pub(super) async fn rows(database: &Database, table: &str, from: u32, rows: u32) {
    database
        .exec(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY);
             INSERT INTO {table} WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {from} + {rows} - 1)
             SELECT i FROM n"
        ))
        .await
        .expect("the server does it");
}

/// The snapshot that began by itself.
pub(super) fn added(capture: &Capture) -> Option<SnapshotStatus> {
    capture.snapshots().into_iter().find(|s| s.request.id.starts_with("added-"))
}

/// Reads until a snapshot has begun by itself, and to its end.
async fn added_to_its_end(capture: &mut Capture, log: &mut Log) -> SnapshotStatus {
    while added(capture).is_none() {
        log.add(next(capture).await.expect("a stream"));
    }
    let id = added(capture).expect("one").request.id;
    finish(capture, log, &id).await
}

#[tokio::test]
async fn a_table_renamed_into_the_capture_is_read() {
    let server = forebay_kit::mysql().await;
    let database = server.database("came").await.unwrap();
    let name = database.name();
    let config = config(server, &[format!("{name}.shop_*")]);
    for (n, statement) in
        [(1, "RENAME TABLE stage TO shop_1"), (2, "ALTER TABLE stage RENAME TO shop_2")].into_iter()
    {
        let mut log = Log::default();
        let mut capture = log.connect(&config, new_tables(50)).await;
        rows(&database, "stage", 1, 120).await;
        database.exec(statement).await.unwrap();
        // what follows from the statement is durable with it: a crash right behind it forgets nothing
        let id = loop {
            log.add(next(&mut capture).await.unwrap());
            if let Some(status) = added(&capture) {
                break status.request.id;
            }
        };
        assert!(log.notes.iter().any(|note| note.key == format!("snapshot/{id}")), "{:?}", log.notes);
        drop(capture);
        let mut capture = log.connect(&config, new_tables(50)).await;
        done(&finish(&mut capture, &mut log, &id).await);
        assert_eq!(fold(&log, &format!("shop_{n}"), &[0]).len(), 120, "{statement}");
        // one that comes from a name that was captured has told its rows
        database.exec(&format!("RENAME TABLE shop_{n} TO shop_{n}_b")).await.unwrap();
        catch_up(&mut capture, &mut log, server).await;
        assert_eq!(capture.snapshots().len(), 1);
    }
}

#[tokio::test]
async fn a_table_exchanged_during_its_snapshot_is_read_anew() {
    let server = forebay_kit::mysql().await;
    let database = server.database("swap").await.unwrap();
    rows(&database, "t", 1, 600).await;
    rows(&database, "t_new", 10_001, 600).await;
    let table = format!("{}.t", database.name());
    let config = config(server, std::slice::from_ref(&table));
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(2000), ..one("s", &table) });
    while log.snapshot_rows() < 200 {
        log.add(next(&mut capture).await.unwrap());
    }
    database.exec("RENAME TABLE t TO t_old, t_new TO t").await.unwrap();
    done(&finish(&mut capture, &mut log, "s").await);
    let ids: BTreeSet<u32> = fold(&log, "t", &[0]).into_keys().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.range(10_001..).count(), 600, "each of the new rows came");
    assert!(added(&capture).is_none(), "once is enough");
    // and one that is exchanged later, with none under way
    rows(&database, "t_newer", 20_001, 100).await;
    database.exec("RENAME TABLE t TO t_older, t_newer TO t").await.unwrap();
    done(&added_to_its_end(&mut capture, &mut log).await);
    assert!(fold(&log, "t", &[0]).contains_key("20100"));
}

fn as_user(root: &Config, user: &CdcUser) -> Config {
    Config { user: user.name.clone(), password: Some(Secret::new(&user.password)), ..root.clone() }
}

#[tokio::test]
async fn a_table_that_may_be_seen_later_is_read_at_the_next_connect() {
    let server = forebay_kit::mysql().await;
    let database = server.database("seen").await.unwrap();
    rows(&database, "a", 1, 10).await;
    rows(&database, "b", 1, 20).await;
    let name = database.name();
    let select = format!("SELECT ON {name}.a");
    let user = server.cdc_user(&["REPLICATION SLAVE, REPLICATION CLIENT ON *.*", &select]).await.unwrap();
    let config = as_user(&config(server, &[format!("{name}.*")]), &user);
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    begin(&mut capture, SnapshotRequest::all("initial"));
    done(&finish(&mut capture, &mut log, "initial").await);
    assert_eq!(log.snapshot_rows(), 10);
    drop(capture);
    server.exec(&format!("GRANT SELECT ON {name}.* TO {}@'%'", user.name)).await.unwrap();
    // made while nobody reads: the stream tells all of it
    rows(&database, "c", 1, 5).await;
    let mut capture = log.connect(&config, new_tables(50)).await;
    let status = added_to_its_end(&mut capture, &mut log).await;
    done(&status);
    assert_eq!(status.tables.iter().map(|t| t.table.clone()).collect::<Vec<_>>(), [format!("{name}.b")]);
    assert_eq!((log.snapshot_rows(), fold(&log, "b", &[0]).len(), fold(&log, "c", &[0]).len()), (30, 20, 5));
    // and not again
    drop(capture);
    let mut capture = log.connect(&config, new_tables(50)).await;
    database.exec("INSERT INTO c VALUES (100)").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    assert_eq!(capture.snapshots().len(), 2);
}

#[tokio::test]
async fn a_table_that_is_not_captured_any_more_is_cancelled() {
    let server = forebay_kit::mysql().await;
    let database = server.database("went").await.unwrap();
    rows(&database, "a", 1, 300).await;
    rows(&database, "b", 1, 300).await;
    let name = database.name();
    let both = config(server, &[format!("{name}.*")]);
    let only = config(server, &[format!("{name}.b")]);
    let mut log = Log::default();
    let mut capture = log.connect(&both, small(50)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(1000), ..SnapshotRequest::all("all") });
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(100), ..one("one", &format!("{name}.a")) });
    while log.snapshot_rows() < 100 {
        log.add(next(&mut capture).await.unwrap());
    }
    drop(capture);
    log.blocks.clear();
    let mut capture = log.connect(&only, small(50)).await;
    let end = finish(&mut capture, &mut log, "all").await;
    done(&end);
    let states: Vec<SnapshotState> = end.tables.iter().map(|t| t.state).collect();
    assert_eq!(states, [SnapshotState::Cancelled, SnapshotState::Done]);
    assert_eq!(finish(&mut capture, &mut log, "one").await.state, SnapshotState::Cancelled);
    assert_eq!(fold(&log, "a", &[0]).len(), 0, "nothing is read of it");
}

#[tokio::test]
async fn a_request_that_means_nothing_is_refused() {
    let server: &Server = forebay_kit::mysql().await;
    let database = server.database("means").await.unwrap();
    rows(&database, "a", 1, 1).await;
    let name = database.name();
    let config = config(server, &[format!("{name}.*")]);
    let filtered = |table: &str| {
        let mut request = SnapshotRequest::all("s");
        request.filters.insert(format!("{name}.{table}"), "id = 1".into());
        request
    };
    for good in [SnapshotRequest::all("s"), one("s", &format!("{name}.a*")), filtered("a")] {
        check_snapshot(&config, &good).await.unwrap();
    }
    for none in [one("s", "zz.*"), one("s", &format!("{name}.b")), filtered("nope")] {
        let fault = check_snapshot(&config, &none).await.unwrap_err();
        assert_eq!(fault.code(), codes::SNAPSHOT_REQUEST, "{fault}");
    }
}

/// Where the binlog does not name columns, a table that nobody has written to is known by what it looked like at the start alone.
#[tokio::test]
async fn what_tables_look_like_is_durable_with_the_first_position() {
    let server = super::super::schema::minimal().await;
    let database = server.database("first").await.unwrap();
    database.exec("CREATE TABLE t (a INT, b INT)").await.unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    while log.position.is_none() {
        log.add(next(&mut capture).await.unwrap());
    }
    drop(capture);
    database
        .exec(
            "INSERT INTO t VALUES (1, 2);
             ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a;
             INSERT INTO t VALUES (3, 4)",
        )
        .await
        .unwrap();
    let mut capture = log.connect(&config, new_tables(50)).await;
    catch_up(&mut capture, &mut log, &server).await;
    assert_eq!(capture.quarantined(), []);
    let names = |block: &forebay_model::Block| {
        let columns = block.batches.iter().flat_map(|b| &b.table.columns);
        columns.map(|c| c.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(log.blocks.iter().flat_map(names).collect::<Vec<_>>(), ["a", "b", "b", "a"]);
}
