//! What goes wrong every day: a dead destination, a full disk, a server that goes away.

use forebay_kit::{Receiver, Reply, Server, Writer, eventually};
use serde_json::{Value, json};

use crate::rig::{HOOK_SECRET, LONG, Rig, assert_told_exactly, lines, records};

fn hook(receiver: &Receiver) -> Value {
    json!({ "webhook": { "url": receiver.url(), "secret": { "env": "HOOK_SECRET" } } })
}

fn events(receiver: &Receiver) -> Vec<Value> {
    receiver.received().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sink_is_its_own_routes_affair() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(HOOK_SECRET).await.unwrap();
    receiver.off().await;
    let (file, path) = rig.file("changes");
    let mut writer = Writer::new(&rig.database, 3).await.unwrap();
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "routes": { "file": rig.route(file, json!([])), "hook": rig.route(hook(&receiver), json!([])) },
    }))
    .await;
    writer.write(50).await.unwrap();
    let count = writer.changes().len();
    rig.passed("file", count).await;
    assert_told_exactly(writer.changes(), &records(&path));
    let dead = rig.in_state("hook", "retrying").await;
    assert_eq!(dead["counts"]["delivered"], 0);
    assert!(dead["fault"]["code"].as_str().unwrap().starts_with("webhook."), "{dead}");

    receiver.on().await.unwrap();
    let status = rig.passed("hook", count).await;
    assert_eq!(status["state"], "running");
    assert_eq!((&status["counts"]["delivered"], &status["counts"]["dead"]), (&json!(count), &json!(0)));
    assert_told_exactly(writer.changes(), &events(&receiver));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_destination_refuses_goes_to_the_dead_letters() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(HOOK_SECRET).await.unwrap();
    // the second event: with the whole delivery, in its second half, and alone
    receiver.script([200, 422, 422, 422].map(Reply::Status));
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY, v INT)").await.unwrap();
    let mut route = rig.route(hook(&receiver), json!([]));
    route["sink"]["webhook"]["in_flight"] = json!(1);
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) }, "routes": { "hook": route } })).await;
    rig.database.exec("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").await.unwrap();
    eventually("the first event failed or came", LONG, || async { receiver.count() >= 2 }).await;
    let status = rig.passed("hook", 3).await;
    let counts = &status["counts"];
    assert_eq!(
        counts["read"].as_u64().unwrap(),
        counts["delivered"].as_u64().unwrap() + counts["dead"].as_u64().unwrap(),
        "{status}"
    );
    assert_eq!((&counts["dead"], &status["dead_letters"]), (&json!(1), &json!(1)), "{status}");
    let letters = rig.forebay.api("GET", "/v1/routes/hook/dead-letters", None).await.unwrap().json();
    let text = letters.to_string();
    assert!(text.contains("422") && text.contains("\"sink\""), "{text}");
    // no letter shows a row's values
    assert!(!text.contains("\"v\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_changelog_waits_and_loses_nothing() {
    let rig = Rig::new().await;
    let (file, path) = rig.file("changes");
    let mut writer = Writer::new(&rig.database, 5).await.unwrap();
    let mut route = rig.route(file, json!([]));
    route["paused"] = json!(true);
    let source = rig.source(json!({ "disk_limit_bytes": 1 << 20 }));
    rig.apply(&json!({ "sources": { "db": source }, "routes": { "file": route } })).await;
    // more than the limit, whatever it compresses to
    writer.write(1000).await.unwrap();
    eventually("the changelog is full", LONG, || async {
        let status = rig.status().await;
        let source = &status["sources"][0];
        if source["state"] == "full" && source["waits_for"].is_string() {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let stored = rig.status().await["sources"][0]["log_bytes"].as_u64().unwrap();
    assert!(stored <= 1 << 20, "{stored} bytes stored with a limit of 1 MiB");
    writer.write(20).await.unwrap();

    rig.post("/v1/routes/file/resume").await;
    rig.passed("file", writer.changes().len()).await;
    assert_told_exactly(writer.changes(), &records(&path));
    rig.reading().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_comes_back() {
    let server = Server::start(&[]).await.unwrap();
    let rig = Rig::on(&server, server.database("it").await.unwrap()).await;
    let (file, path) = rig.file("changes");
    let writer = Writer::new(&rig.database, 9).await.unwrap();
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    let writing = writer.start(50);
    for round in 0..3 {
        let before = writing.committed();
        eventually("some changes were committed", LONG, || async { writing.committed() > before + 50 }).await;
        match round {
            0 => assert!(server.kill_dump_threads().await.unwrap() > 0),
            1 => server.restart().await.unwrap(),
            _ => {
                server.kill9().await.unwrap();
                server.start_again().await.unwrap();
            }
        }
    }
    let before = writing.committed();
    eventually("changes go on", LONG, || async { writing.committed() > before + 50 }).await;
    let writer = writing.stop().await.unwrap();
    rig.passed("file", writer.changes().len()).await;
    assert_told_exactly(writer.changes(), &records(&path));
}

/// A transaction is read whole or not at all, however large.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_restarts_in_the_middle_of_a_million_rows() {
    const ROWS: u64 = 1_000_000;
    let server = Server::start(&[]).await.unwrap();
    let rig = Rig::on(&server, server.database("it").await.unwrap()).await;
    let (file, path) = rig.file("changes");
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, pad CHAR(60) NOT NULL)")
        .await
        .unwrap();
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    let insert = format!(
        "SET SESSION cte_max_recursion_depth = {ROWS}; INSERT INTO t (pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL \
         SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT REPEAT('x', 60) FROM n"
    );
    let mut rows = 0;
    loop {
        let head = rig.status().await["sources"][0]["head"].as_u64().unwrap();
        let stored = rig.status().await["sources"][0]["log_bytes"].as_u64().unwrap();
        rig.database.exec(&insert).await.unwrap();
        rows += ROWS;
        // pieces of the open transaction are stored before its end is read
        eventually("the transaction is being read", LONG, || async {
            let source = rig.status().await["sources"][0].clone();
            if source["log_bytes"].as_u64().unwrap() > stored + 500_000 {
                Ok(())
            } else {
                Err(source.to_string())
            }
        })
        .await;
        server.kill9().await.unwrap();
        let open = rig.status().await["sources"][0]["head"].as_u64().unwrap() == head;
        server.start_again().await.unwrap();
        if open {
            break;
        }
        assert!(rows < 5 * ROWS, "the restart never hit the middle of the transaction");
    }
    rig.passed("file", rows as usize).await;
    let mut ids: Vec<u64> = lines(&path)
        .iter()
        .map(|line| {
            let at = line.find("\"after\":{\"id\":").unwrap() + 14;
            line[at..].split(',').next().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(ids.len() as u64, rows);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, rows, "an event came twice");
}
