//! What no snapshot can read ends that snapshot, and never the stream.

use forebay_kit::Server;
use forebay_source::codes;
use forebay_source::mysql::{SnapshotRequest, SnapshotSettings, SnapshotState};

use super::super::{changes, config};
use super::{Log, begin, finish, next, one, small};

#[tokio::test]
async fn a_text_that_is_none() {
    let server = forebay_kit::mysql().await;
    let database = server.database("badtext").await.unwrap();
    database
        .exec(
            "CREATE TABLE bad (id INT PRIMARY KEY, name VARCHAR(10) CHARSET tis620); \
             INSERT INTO bad VALUES (1, 'fine'), (2, CONVERT(x'41db' USING tis620)); \
             CREATE TABLE keyless (name VARCHAR(10) CHARSET tis620); INSERT INTO keyless SELECT name FROM bad; \
             CREATE TABLE good (id INT PRIMARY KEY); INSERT INTO good VALUES (1)",
        )
        .await
        .unwrap();
    let mut log = Log::default();
    let mut capture = log.connect(&config(server, &[format!("{}.*", database.name())]), small(100)).await;
    for table in ["bad", "keyless"] {
        begin(&mut capture, one(table, &format!("{}.{table}", database.name())));
        let end = finish(&mut capture, &mut log, table).await;
        let fault = end.tables[0].fault.as_ref().expect("a fault");
        assert_eq!((end.state, fault.code.as_str()), (SnapshotState::Failed, codes::INVALID_TEXT.name));
        assert!(fault.message.contains(&format!("{}.{table}.name", database.name())), "{fault:?}");
    }
    assert_eq!(log.snapshot_rows(), 0);
    database.exec("INSERT INTO good VALUES (2)").await.unwrap();
    while log.blocks.is_empty() {
        log.add(next(&mut capture).await.unwrap());
    }
    assert_eq!(changes(&log.blocks[0]), ["good +2"]);
}

#[tokio::test]
async fn a_system_versioned_table_beside_others() {
    let server = forebay_kit::mariadb().await;
    let database = server.database("versions").await.unwrap();
    database
        .exec(
            "CREATE TABLE a (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO a VALUES (1); CREATE SEQUENCE s; \
             CREATE TABLE good (id INT PRIMARY KEY); INSERT INTO good VALUES (1)",
        )
        .await
        .unwrap();
    let mut log = Log::default();
    let mut capture = log.connect(&config(server, &[format!("{}.*", database.name())]), small(100)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    let end = finish(&mut capture, &mut log, "all").await;
    let tables: Vec<&str> = end.tables.iter().map(|t| t.table.as_str()).collect();
    assert_eq!(tables, ["a", "good"].map(|t| format!("{}.{t}", database.name())), "a sequence is no table");
    assert_eq!(end.tables[0].fault.as_ref().expect("a fault").code, codes::SYSTEM_VERSIONED.name);
    assert_eq!(log.blocks.iter().flat_map(changes).collect::<Vec<_>>(), ["good +1"]);
}

/// What ends a snapshot of everything on this server.
async fn refusal(server: &Server, settings: SnapshotSettings) -> String {
    let database = server.database("refused").await.expect("the server does it");
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
        .await
        .expect("the server does it");
    let mut log = Log::default();
    let mut capture = log.connect(&config(server, &[format!("{}.*", database.name())]), settings).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    let end = finish(&mut capture, &mut log, "all").await;
    assert_eq!(end.state, SnapshotState::Failed, "{end:?}");
    // the stream goes on
    database.exec("INSERT INTO t VALUES (2)").await.expect("the server does it");
    while log.blocks.is_empty() {
        log.add(next(&mut capture).await.expect("the server does it"));
    }
    assert_eq!(changes(&log.blocks[0]), ["t +2"]);
    end.fault.expect("a fault").code
}

#[tokio::test]
async fn a_host_of_its_own_without_gtids() {
    let off = Server::start(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await.unwrap();
    for server in [&off, forebay_kit::mariadb().await] {
        let replica = Some((server.host().to_owned(), server.port()));
        let code = refusal(server, SnapshotSettings { replica, ..small(100) }).await;
        assert_eq!(code, codes::SNAPSHOT_REPLICA.name);
    }
}

#[tokio::test]
async fn a_server_that_commits_in_no_order() {
    let server = Server::start_mariadb(&["--binlog-optimize-thread-scheduling=OFF"]).await.unwrap();
    assert_eq!(refusal(&server, small(100)).await, codes::SNAPSHOT_ORDER.name);
}
