//! Snapshots beside a live writer: whatever is killed when, the file folded by key is the table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forebay_kit::{Writer, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

/// How often the whole is done: `FOREBAY_SNAPSHOTS`, or few.
fn runs() -> u64 {
    std::env::var("FOREBAY_SNAPSHOTS").map_or(1, |n| n.parse().expect("FOREBAY_SNAPSHOTS is a number"))
}

/// Row changes a second that the writers must make beside snapshots, where `FOREBAY_SNAPSHOTS` asks for a proof (a
/// machine that is busy otherwise is no fault of the code).
const RATE: f64 = 2_000.0;

/// What is left of a table after all its events, by the key `id`. A key's version must never go back.
fn folded<'a>(events: impl IntoIterator<Item = &'a Value>, table: &str) -> BTreeMap<u64, Value> {
    let mut rows = BTreeMap::new();
    let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
    for event in events.into_iter().filter(|e| e["source"]["table"] == table) {
        let is_delete = event["op"] == "d";
        let image = if is_delete { &event["before"] } else { &event["after"] };
        let id = image["id"].as_u64().unwrap();
        if let Some(version) = image["version"].as_u64() {
            let version = version + u64::from(is_delete);
            let before = newest.insert(id, version).unwrap_or(0);
            assert!(version >= before, "key {id} went back from version {before} to {version}: {event}");
        }
        if is_delete {
            rows.remove(&id);
        } else {
            rows.insert(id, image.clone());
        }
    }
    rows
}

async fn snapshots(rig: &Rig) -> Vec<Value> {
    let answer = rig.forebay.api("GET", "/v1/sources/db/snapshots", None).await.unwrap();
    answer.json()["items"].as_array().cloned().unwrap_or_default()
}

async fn is_done(rig: &Rig, id: &str) -> Value {
    eventually(&format!("snapshot {id} is done"), LONG, || async {
        let all = snapshots(rig).await;
        let one = all.iter().find(|s| s["request"]["id"] == id);
        one.filter(|s| s["state"] == "done").cloned().ok_or(format!("{all:?}"))
    })
    .await
}

async fn fill(rig: &Rig, rows: u32) {
    let fill = format!(
        "INSERT INTO history SELECT n, CONCAT('value ', n) FROM (WITH RECURSIVE r AS (SELECT 1 n UNION ALL \
         SELECT n + 1 FROM r WHERE n < {rows}) SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */ n FROM r) t"
    );
    rig.database.exec("CREATE TABLE history (id BIGINT PRIMARY KEY, v VARCHAR(40))").await.unwrap();
    rig.database.exec(&fill).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_resumed_under_a_writer() {
    let (mut all_changes, mut all_seconds) = (0, 0.0);
    for run in 0..runs() {
        let mut rig = Rig::new().await;
        fill(&rig, 40_000).await;
        let mut writers = Vec::new();
        for (table, seed) in [("accounts", 100), ("orders", 200)] {
            let mut writer = Writer::of(&rig.database, table, seed + run).await.unwrap();
            writer.write(1_500).await.unwrap();
            writers.push((table, writer));
        }
        let (file, path) = rig.file("changes");
        let source = rig.source(json!({
            "snapshot": "initial", "snapshots": { "chunk_rows": 300 },
        }));
        let (began, written) =
            (Instant::now(), writers.iter().map(|(_, w)| w.changes().len()).sum::<usize>());
        let writing: Vec<_> = writers.into_iter().map(|(table, w)| (table, w.start(1_000))).collect();
        rig.apply(&json!({ "sources": { "db": source }, "routes": { "file": rig.route(file, json!([])) } }))
            .await;
        for round in 0..6u64 {
            tokio::time::sleep(Duration::from_millis(60 + (run * 4801 + round * 7919) % 700)).await;
            rig.forebay.kill9().unwrap();
            rig.forebay.start_again().await.unwrap();
        }
        is_done(&rig, "initial").await;
        let changes = writing.iter().map(|(_, w)| w.committed()).sum::<usize>() - written;
        let seconds = began.elapsed().as_secs_f64();
        let rate = changes as f64 / seconds;
        eprintln!("run {run}: {changes} changes beside the snapshot in {seconds:.1} s, {rate:.0} a second");
        (all_changes, all_seconds) = (all_changes + changes, all_seconds + seconds);
        for (table, writing) in writing {
            let writer = writing.stop().await.unwrap();
            let expected = writer.expected();
            eventually("the file folded by key is the table", LONG, || async {
                let rows = folded(&records(&path), table);
                let same = rows.len() == expected.len()
                    && rows.iter().all(|(id, row)| {
                        expected.get(id).is_some_and(|e| {
                            row["version"] == e.version
                                && row["name"] == *e.name
                                && row["email"] == json!(e.email)
                        })
                    });
                if same { Ok(()) } else { Err(format!("{} rows, expected {}", rows.len(), expected.len())) }
            })
            .await;
        }
        let events = records(&path);
        let history = folded(&events, "history");
        assert_eq!(history.len(), 40_000);
        assert!(history.iter().all(|(id, row)| row["v"] == format!("value {id}")));
        // nothing of it was ever written by the stream: each row is told once, however often the server was killed
        assert_eq!(events.iter().filter(|e| e["source"]["table"] == "history").count(), 40_000);
    }
    let rate = all_changes as f64 / all_seconds;
    assert!(rate >= RATE || runs() == 1, "the writers made only {rate:.0} changes a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_route_alone_gets_its_backfill() {
    let rig = Rig::new().await;
    fill(&rig, 2_000).await;
    let (old, old_path) = rig.file("old");
    let (new, new_path) = rig.file("new");
    let routes = json!({ "old": rig.route(old, json!([])), "new": rig.route(new, json!([])) });
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) }, "routes": routes })).await;
    assert_eq!(snapshots(&rig).await, [Value::Null; 0], "`snapshot: never` begins none");

    let table = format!("{}.history", rig.database.name());
    let body = json!({ "id": "fill", "tables": [table], "filters": { table: "id > 500" }, "route": "new" });
    let post =
        async |body: &Value| rig.forebay.api("POST", "/v1/sources/db/snapshots", Some(body)).await.unwrap();
    assert_eq!(post(&body).await.status, 202);
    let done = is_done(&rig, "fill").await;
    assert_eq!((&done["rows"], &done["request"]["audience"]), (&json!(1_500), &json!("new")));
    rig.database.exec("INSERT INTO history VALUES (9000, 'for both')").await.unwrap();
    rig.passed("new", 1_501).await;
    rig.passed("old", 1).await;
    let ops = |path| records(path).iter().map(|e| e["op"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ops(&old_path), ["c"]);
    assert_eq!(ops(&new_path).iter().filter(|op| *op == "r").count(), 1_500);

    // what makes no sense is refused, with a code
    for (body, status, code) in [
        (json!({ "id": "fill" }), 409, "mysql.snapshot_exists"),
        (json!({ "id": "no spaces" }), 422, "mysql.snapshot_request"),
        (json!({ "route": "nobody" }), 404, "engine.unknown"),
        (json!({ "tabels": [] }), 422, "definition.unknown_field"),
    ] {
        let answer = post(&body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str().unwrap()),
            (status, code),
            "{}",
            answer.text()
        );
    }
    let cancel = rig.forebay.api("POST", "/v1/sources/db/snapshots/none/cancel", None).await.unwrap();
    assert_eq!(cancel.status, 404, "{}", cancel.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_added_are_read_as_they_stand() {
    let rig = Rig::new().await;
    fill(&rig, 1_000).await;
    rig.database.exec("CREATE TABLE other (id INT PRIMARY KEY)").await.unwrap();
    rig.database.exec("INSERT INTO other VALUES (1), (2)").await.unwrap();
    let (file, path) = rig.file("changes");
    let database = rig.database.name();
    let source = |tables: &[&str]| {
        let tables: Vec<String> = tables.iter().map(|t| format!("{database}.{t}")).collect();
        rig.source(json!({ "snapshot": "initial", "tables": tables }))
    };
    let route = rig.route(file, json!([]));
    rig.apply(&json!({ "sources": { "db": source(&["other"]) }, "routes": { "file": route } })).await;
    rig.passed("file", 2).await;
    rig.apply(&json!({ "sources": { "db": source(&["other", "history"]) } })).await;
    rig.passed("file", 1_002).await;
    assert!(records(&path).iter().all(|e| e["op"] == "r"));
    assert_eq!(folded(&records(&path), "history").len(), 1_000);
}
