//! A primary dies under load and its replica takes over: the file sink has every change that lives on, once. A server that was reset is
//! refused with the reason and what can be done.

use std::collections::BTreeMap;
use std::process::Command;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

const WRITERS: u64 = 2;

/// Inserts rows and updates them, until the server is gone or so many are written.
async fn write(server: &Server, database: &str, writer: u64, from: u64, most: u64) {
    let Ok(mut conn) = server.connect().await else { return };
    for n in from..from + most {
        let id = n * WRITERS + writer;
        for sql in [
            format!("INSERT INTO {database}.t VALUES ({id}, 1)"),
            format!("UPDATE {database}.t SET version = version + 1 WHERE id IN ({id}, {})", id / 2),
        ] {
            if conn.query_drop(sql).await.is_err() {
                return;
            }
        }
    }
}

async fn caught_up(replica: &Server, primary: &Server) {
    let (_, _, gtids) = primary.binlog_end().await.unwrap();
    eventually("the replica has caught up", LONG, || async {
        let sql = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', 1)");
        matches!(replica.query::<i64>(&sql).await.as_deref(), Ok([0]))
    })
    .await;
}

fn signal(rig: &Rig, name: &str) {
    let pid = rig.forebay.pid().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// The versions of each row, in the order in which they were told.
fn versions(events: &[Value]) -> BTreeMap<u64, Vec<u64>> {
    let mut rows: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for event in events {
        let after = &event["after"];
        rows.entry(after["id"].as_u64().unwrap()).or_default().push(after["version"].as_u64().unwrap());
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_under_load_and_a_reset_server_is_refused() {
    let (first, second) =
        tokio::join!(Server::start(&["--server-id=11"]), Server::start(&["--server-id=12"]));
    let (first, second) = (first.unwrap(), second.unwrap());
    second
        .exec(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{}', SOURCE_PORT = {}, SOURCE_USER = 'root', \
             SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA",
            first.host(),
            first.port()
        ))
        .await
        .unwrap();
    let database = first.database("failover").await.unwrap();
    let name = database.name().to_owned();
    database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, version INT)").await.unwrap();
    let rig = Rig::on(&first, database).await;
    caught_up(&second, &first).await;
    let (file, path) = rig.file("changes");
    let mut source = rig.source(json!({}));
    source["mysql"]["hosts"] = json!([format!("{}:{}", second.host(), second.port())]);
    let definitions =
        json!({ "sources": { "db": source.clone() }, "routes": { "file": rig.route(file, json!([])) } });
    rig.apply(&definitions).await;

    // A replica without semi-synchronous replication may lack the very last transactions, and would be refused for that: so Forebay
    // hears no more a moment before the end, while the writers go on.
    let writers = async {
        tokio::join!(write(&first, &name, 0, 1, u64::MAX / 4), write(&first, &name, 1, 1, u64::MAX / 4))
    };
    let killer = async {
        eventually("some hundred changes have arrived", LONG, || async { records(&path).len() >= 600 }).await;
        signal(&rig, "-STOP");
        first.kill_dump_threads().await.unwrap();
        caught_up(&second, &first).await;
        first.kill9().await.unwrap();
        signal(&rig, "-CONT");
    };
    tokio::join!(writers, killer);
    second.exec("STOP REPLICA; RESET REPLICA ALL").await.unwrap();
    tokio::join!(write(&second, &name, 0, 1_000_000, 300), write(&second, &name, 1, 1_000_000, 300));

    let rows: Vec<(u64, u64)> =
        second.query(&format!("SELECT id, version FROM {name}.t ORDER BY id")).await.unwrap();
    // each version of each row, once and in order
    let wanted: BTreeMap<u64, Vec<u64>> =
        rows.into_iter().map(|(id, version)| (id, (1..=version).collect())).collect();
    let all: usize = wanted.values().map(Vec::len).sum();
    eventually("all that lives on has arrived", LONG, || async {
        let told = records(&path).len();
        if told >= all { Ok(()) } else { Err(format!("{told} of {all}; {}", rig.status().await)) }
    })
    .await;
    assert!(versions(&records(&path)) == wanted, "lost, twice, or out of order");

    // the replica is reset; the primary is still down
    second.exec("RESET BINARY LOGS AND GTIDS").await.unwrap();
    second
        .exec(&format!("INSERT INTO {name}.t VALUES (1, 1) ON DUPLICATE KEY UPDATE version = 0"))
        .await
        .unwrap();
    second.kill_dump_threads().await.unwrap();
    let refused = |code: &'static str| {
        let rig = &rig;
        async move {
            eventually("the server is refused", LONG, || async {
                let status = rig.status().await["sources"][0].clone();
                let is_refused =
                    status["fault"]["message"].as_str().is_some_and(|m| m.contains("is missing"))
                        && status["fault"]["code"] == code;
                if is_refused { Ok(status) } else { Err(status.to_string()) }
            })
            .await
        }
    };
    let status = refused("mysql.no_host_now").await;
    assert!(status["fault"]["message"].as_str().unwrap().contains("mysql.server_reset"), "{status}");

    // alone, it is refused for good, and it is said what can be done
    source["mysql"]["host"] = json!(second.host());
    source["mysql"]["port"] = json!(second.port());
    source["mysql"]["hosts"] = json!([]);
    let answer = rig.forebay.api("PUT", "/v1/sources/db", Some(&source)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let status = refused("mysql.server_reset").await;
    assert_eq!(status["state"], "failed", "{status}");
    for choice in ["earliest", "now", "GTID set", "time"] {
        assert!(status["fault"]["fix"].as_str().unwrap().contains(choice), "{choice}: {status}");
    }
    let (_, told) = rig.cli(&["status"]).await;
    assert!(
        told.contains("[mysql.server_reset]") && told.contains("fix: ") && told.contains("earliest"),
        "{told}"
    );
    assert_eq!(records(&path).len(), all, "nothing is read of a server with another history");

    // one of the choices
    let (_, told) = rig.cli(&["position", "db", "--to", "now", "--yes"]).await;
    assert!(told.contains("db is moved"), "{told}");
    rig.reading().await;
    second.exec(&format!("INSERT INTO {name}.t VALUES (9000001, 1)")).await.unwrap();
    eventually("it reads on", LONG, || async { records(&path).len() == all + 1 }).await;
    assert_eq!(records(&path)[all]["after"]["id"], 9_000_001);
}
