//! What is kept of a table in quarantine: as long as it is needed, and never so that nobody can end it.

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

/// A server whose row events do not name their columns.
async fn rig() -> (Server, Rig) {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let database = server.database("lost").await.unwrap();
    let rig = Rig::on(&server, database).await;
    (server, rig)
}

/// Changes a table behind the binlog's back.
async fn alter_unseen(rig: &Rig, statement: &str) {
    let mut conn = rig.database.connect().await.unwrap();
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    conn.query_drop(statement).await.unwrap();
    conn.query_drop("SET sql_log_bin = 1").await.unwrap();
}

async fn source(rig: &Rig, name: &str) -> Value {
    let status = rig.status().await;
    let all = status["sources"].as_array().unwrap();
    all.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no source {name}: {status}")).clone()
}

/// Waits until so many events are kept of a table.
async fn kept(rig: &Rig, table: &str, events: u64) {
    eventually("the events are kept", LONG, || async {
        let source = source(rig, "db").await;
        let aside = source["quarantined"].as_array().unwrap().iter().find(|q| q["table"] == table);
        if aside.is_some_and(|q| q["events"] == events) { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
}

async fn release(rig: &Rig, table: &str) -> (u16, String) {
    let body = json!({ "database": rig.database.name(), "table": table });
    let answer = rig.forebay.api("POST", "/v1/sources/db/release", Some(&body)).await.unwrap();
    (answer.status.as_u16(), answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_stays_while_the_server_is_away() {
    let (server, mut rig) = rig().await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let (file, path) = rig.file("changes");
    let later = rig.source(json!({}));
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({ "retain": { "bytes": 1 } })), "later": later },
        "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    rig.passed("file", 1).await;
    alter_unseen(&rig, "ALTER TABLE t ADD COLUMN b INT FIRST").await;
    rig.database
        .exec("INSERT INTO t (b, id) VALUES (7, 2); INSERT INTO t (b, id) VALUES (8, 3)")
        .await
        .unwrap();
    kept(&rig, "t", 2).await;
    eventually("the other source has it too", LONG, || async {
        let source = source(&rig, "later").await;
        if source["quarantined"][0]["events"] == 2 { Ok(()) } else { Err(source.to_string()) }
    })
    .await;

    rig.forebay.kill9().unwrap();
    server.stop().await.unwrap();
    rig.forebay.start_again().await.unwrap();
    let names = |source: &Value| source["quarantined"][0]["table"].clone();
    eventually("the status names the table, server or not", LONG, || async {
        let source = source(&rig, "db").await;
        if names(&source) == "t" { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
    // a round of trims, known by what another changelog may then forget: sources come in the order of their names
    let third = json!({ "sources": { "later": rig.source(json!({ "retain": { "bytes": 1 } })) } });
    let answer = rig.forebay.api("POST", "/v1/apply", Some(&third)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("changelogs are trimmed", LONG, || async {
        let source = source(&rig, "later").await;
        if source["first"].as_u64() > Some(0) { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
    let trimmed = source(&rig, "db").await;
    server.start_again().await.unwrap();
    rig.reading().await;
    let (status, told) = eventually("the source can be told", LONG, || async {
        let (status, told) = release(&rig, "t").await;
        if status == 503 { Err(told) } else { Ok((status, told)) }
    })
    .await;
    assert_eq!(status, 204, "{told}; {trimmed}");
    eventually("what was kept has come", LONG, || async {
        let events = records(&path);
        let ids: Vec<u64> = events.iter().map(|e| e["after"]["id"].as_u64().unwrap()).collect();
        if ids == [1, 2, 3] { Ok(()) } else { Err(format!("{ids:?}; {trimmed}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_changelog_names_the_quarantine_and_hears_how_to_end_it() {
    let (server, mut rig) = rig().await;
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE bulk (id INT PRIMARY KEY AUTO_INCREMENT, v VARBINARY(2000))")
        .await
        .unwrap();
    let (file, path) = rig.file("changes");
    let source_def = rig.source(json!({ "disk_limit_bytes": 1 << 20, "retain": { "bytes": 1 } }));
    let mut route = rig.route(file, json!([]));
    route["tables"] = json!([format!("{}.t", rig.database.name())]);
    rig.apply(&json!({ "sources": { "db": source_def }, "routes": { "file": route } })).await;
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    rig.passed("file", 1).await;
    let mut expected = vec![1];
    for (column, restarted) in [("b", false), ("c", true)] {
        alter_unseen(&rig, &format!("ALTER TABLE t ADD COLUMN {column} INT FIRST")).await;
        let id = expected.len() as u64 + 1;
        rig.database.exec(&format!("INSERT INTO t ({column}, id) VALUES (7, {id})")).await.unwrap();
        expected.push(id);
        kept(&rig, "t", 1).await;
        // more than the changelog and its queue take
        for _ in 0..9 {
            rig.database
                .exec("INSERT INTO bulk (v) SELECT RANDOM_BYTES(1000) FROM information_schema.columns LIMIT 1000")
                .await
                .unwrap();
        }
        let full = || async {
            let source = source(&rig, "db").await;
            if source["state"] == "full" { Ok(source) } else { Err(source.to_string()) }
        };
        eventually("the changelog is full", LONG, full).await;
        if restarted {
            rig.forebay.kill9().unwrap();
            rig.forebay.start_again().await.unwrap();
        }
        let full = || async {
            let source = source(&rig, "db").await;
            if source["state"] == "full" { Ok(source) } else { Err(source.to_string()) }
        };
        let source_then = eventually("the changelog is still full", LONG, full).await;
        let why = source_then["waits_for"].as_str().unwrap();
        let name = format!("{}.t", rig.database.name());
        assert!(why.contains(&name) && why.contains("forebay release db"), "{why}");
        // other orders are heard too
        let answer = rig
            .forebay
            .api(
                "POST",
                "/v1/sources/db/snapshots",
                Some(&json!({ "id": format!("s{column}"), "tables": [name] })),
            )
            .await
            .unwrap();
        assert!(answer.status.is_success(), "{}", answer.text());
        let (status, told) = release(&rig, "t").await;
        assert_eq!(status, 204, "{told}");
        eventually("what was kept has come", LONG, || async {
            let ids: Vec<u64> = records(&path)
                .iter()
                .filter(|e| e["op"] == "c")
                .map(|e| e["after"]["id"].as_u64().unwrap())
                .collect();
            if ids == expected { Ok(()) } else { Err(format!("{ids:?}")) }
        })
        .await;
        eventually("the source goes on to the end", LONG, || async {
            let (file, pos, _) = server.binlog_end().await.unwrap();
            let source = source(&rig, "db").await;
            let at = (
                source["position"]["file"].as_str().unwrap_or_default(),
                source["position"]["pos"].as_u64().unwrap_or(0),
            );
            if at == (file.as_str(), pos) && source["quarantined"] == json!([]) {
                Ok(())
            } else {
                Err(source.to_string())
            }
        })
        .await;
    }
}
