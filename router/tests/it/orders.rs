//! What an operator is told by the command line, and does with it: releases, cautions, snapshots of a server that is away.

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

async fn source(rig: &Rig) -> Value {
    rig.status().await["sources"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_by_several_definitions() {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let rig = Rig::on(&server, server.database("orders").await.unwrap()).await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let (file, path) = rig.file("changes");
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    rig.passed("file", 1).await;
    let mut conn = rig.database.connect().await.unwrap();
    for (hidden, seen) in [
        ("ALTER TABLE t ADD COLUMN b INT FIRST", "INSERT INTO t VALUES (7, 2)"),
        ("ALTER TABLE t ADD COLUMN c INT FIRST", "INSERT INTO t VALUES (8, 9, 3)"),
    ] {
        conn.query_drop("SET sql_log_bin = 0").await.unwrap();
        conn.query_drop(hidden).await.unwrap();
        conn.query_drop("SET sql_log_bin = 1").await.unwrap();
        conn.query_drop(seen).await.unwrap();
    }
    eventually("the events are kept", LONG, || async {
        let source = source(&rig).await;
        if source["quarantined"][0]["events"] == 2 { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
    let name = format!("{}.t", rig.database.name());
    let definition = |file: &str, columns: &str| {
        let path = rig.forebay.folder().join(file);
        std::fs::write(&path, format!("CREATE TABLE t ({columns})")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let first = definition("first.sql", "b INT, id INT NOT NULL, PRIMARY KEY (id)");
    let second = definition("second.sql", "c INT, b INT, id INT NOT NULL, PRIMARY KEY (id)");

    let (status, printed) = rig.cli(&["release", "db", &name, "--definition", &first]).await;
    assert_ne!(status, 0);
    assert!(printed.contains("the rows have 3 columns and the known definition 2"), "{printed}");
    let (status, printed) =
        rig.cli(&["release", "db", &name, "--definition", &second, "--definition", &first]).await;
    assert_ne!(status, 0, "the wrong way round: {printed}");
    let (status, printed) =
        rig.cli(&["release", "db", &name, "--definition", &first, "--definition", &second]).await;
    assert_eq!(status, 0, "{printed}");
    conn.query_drop("INSERT INTO t VALUES (10, 11, 4)").await.unwrap();
    rig.passed("file", 4).await;
    let rows: Vec<Value> = records(&path).iter().map(|e| e["after"].clone()).collect();
    let wanted = [
        json!({"id": 1}),
        json!({"b": 7, "id": 2}),
        json!({"c": 8, "b": 9, "id": 3}),
        json!({"c": 10, "b": 11, "id": 4}),
    ];
    assert_eq!(rows, wanted);
    assert_eq!(source(&rig).await["quarantined"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn cautions_are_told_and_stay() {
    let server = forebay_kit::mariadb().await;
    let mut rig = Rig::on(server, server.database("orders").await.unwrap()).await;
    let other = server.database("beside").await.unwrap();
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let beside = format!("CREATE VIEW v AS SELECT * FROM `{}`.t", rig.database.name());
    other.exec(&beside).await.unwrap();
    let (file, _) = rig.file("changes");
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    let told = || async {
        let (status, printed) = rig.cli(&["status"]).await;
        assert_eq!(status, 0, "{printed}");
        if printed.contains("mysql.statement_event") { Ok(printed) } else { Err(printed) }
    };
    assert!(told().await.is_err(), "nothing has happened yet");
    let mut conn = other.connect().await.unwrap();
    conn.query_drop("SET SESSION binlog_format = STATEMENT").await.unwrap();
    conn.query_drop("INSERT INTO v VALUES (1)").await.unwrap();
    eventually("the status has the caution", LONG, told).await;
    let cautions = source(&rig).await["cautions"].clone();
    assert_eq!(
        (&cautions[0]["code"], &cautions[0]["count"]),
        (&json!("mysql.statement_event"), &json!(1)),
        "{cautions}"
    );
    rig.forebay.kill9().unwrap();
    rig.forebay.start_again().await.unwrap();
    eventually("it is there after a restart", LONG, || async {
        let again = source(&rig).await["cautions"].clone();
        if again == cautions { Ok(()) } else { Err(again.to_string()) }
    })
    .await;
}

/// What is listed of the one snapshot, once that is done.
async fn listed(rig: &Rig) -> Result<String, String> {
    let (status, printed) = rig.cli(&["snapshot", "list", "db"]).await;
    let done = status == 0 && printed.contains("done") && printed.contains(rig.database.name());
    if done { Ok(printed) } else { Err(format!("{status}: {printed}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_listed_while_the_server_is_away() {
    let server = Server::start(&[]).await.unwrap();
    let mut rig = Rig::on(&server, server.database("orders").await.unwrap()).await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.unwrap();
    let (file, _) = rig.file("changes");
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    let (status, printed) = rig.cli(&["snapshot", "begin", "db"]).await;
    assert_eq!(status, 0, "{printed}");
    eventually("it is done", LONG, || listed(&rig)).await;
    rig.forebay.kill9().unwrap();
    server.stop().await.unwrap();
    rig.forebay.start_again().await.unwrap();
    eventually("it is told without the server", LONG, || listed(&rig)).await;
}
