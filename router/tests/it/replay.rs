//! Delivering again: with the transforms that ran then, or with the present ones.

use std::collections::BTreeSet;
use std::path::Path;

use forebay_kit::{Receiver, Reply, eventually};
use forebay_store::Store;
use serde_json::{Value, json};

use crate::rig::{HOOK_SECRET, LONG, Rig, marker, plugin, records};

/// (id, the version of the plugin that the row went through) of the records from `skip` on.
fn told(path: &Path, skip: usize) -> Vec<(u64, String)> {
    let all = records(path);
    let row = |record: &Value| {
        let after = &record["after"];
        (after["id"].as_u64().unwrap(), after["version"].as_str().unwrap_or("-").to_owned())
    };
    all[skip..].iter().map(row).collect()
}

async fn insert(rig: &Rig, ids: std::ops::RangeInclusive<u64>) {
    let values: Vec<String> = ids.map(|id| format!("({id})")).collect();
    rig.database.exec(&format!("INSERT INTO t (id) VALUES {}", values.join(","))).await.unwrap();
}

async fn replay(rig: &Rig, to: Value, transforms: &str) -> (u16, Value) {
    let body = json!({ "to": to, "transforms": transforms });
    let answer = rig.forebay.api("PUT", "/v1/routes/file/offset", Some(&body)).await.unwrap();
    (answer.status.as_u16(), answer.json())
}

fn versions(told: &[(u64, String)]) -> Vec<(u64, &str)> {
    told.iter().map(|(id, version)| (*id, version.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_runs_with_the_transforms_that_ran_then_or_with_the_present_ones() {
    let mut rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)").await.unwrap();
    let (file, path) = rig.file("changes");
    let route = rig.route(file, json!([{ "plugin": "marker" }]));
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "plugins": { "marker": marker(1) },
        "routes": { "file": route },
    }))
    .await;
    insert(&rig, 1..=3).await;
    rig.passed("file", 3).await;
    rig.apply(&json!({ "plugins": { "marker": marker(2) } })).await;
    insert(&rig, 4..=6).await;
    rig.passed("file", 6).await;
    let both = [(1, "1"), (2, "1"), (3, "1"), (4, "2"), (5, "2"), (6, "2")];
    assert_eq!(versions(&told(&path, 0)), both);

    // what a route ran with stays, also once nobody can name it any more
    let version = "0.1.0-marker.for.the.tests.of.plugins.that.change.1";
    let delete = format!("/v1/plugins/marker/versions/{version}");
    assert_eq!(rig.forebay.api("DELETE", &delete, None).await.unwrap().status, 204);
    let (status, answer) = replay(&rig, json!("earliest"), "then").await;
    assert_eq!((status, &answer["then_until"]), (200, &json!(6)), "{answer}");
    rig.passed("file", 6).await;
    assert_eq!(versions(&told(&path, 6)), both);
    // from there on as before
    insert(&rig, 7..=7).await;
    rig.passed("file", 7).await;
    assert_eq!(versions(&told(&path, 12)), [(7, "2")]);

    let (status, answer) = replay(&rig, json!("earliest"), "now").await;
    assert_eq!((status, &answer["then_until"]), (200, &Value::Null), "{answer}");
    rig.passed("file", 7).await;
    assert!(told(&path, 13).iter().all(|(_, version)| version == "2"));
    // then is when it was delivered first, whatever was replayed since
    assert_eq!(replay(&rig, json!(2), "then").await.0, 200);
    rig.passed("file", 5).await;
    assert_eq!(versions(&told(&path, 20)), [(3, "1"), (4, "2"), (5, "2"), (6, "2"), (7, "2")]);
    let runs = rig.forebay.api("GET", "/v1/routes/file/transforms", None).await.unwrap().json();
    let runs = runs["items"].as_array().unwrap();
    let spans: Vec<_> = runs.iter().map(|run| (run["from"].as_u64().unwrap(), run["to"].as_u64())).collect();
    assert_eq!(
        spans,
        [(0, Some(3)), (3, Some(6)), (0, Some(3)), (3, Some(7)), (0, Some(7)), (2, Some(3)), (3, None)]
    );

    // a component that is not here is told before anything is delivered
    rig.forebay.stop().await.unwrap();
    let store = Store::open(&rig.forebay.data_dir().join("control.redb")).unwrap();
    let (key, mut note) = store.notes("routes/file", "transforms/").unwrap().pop_first().unwrap();
    note["transforms"][0]["sha256"] = json!("00".repeat(32));
    store.set_notes("routes/file", vec![(key, Some(note))]).await.unwrap();
    drop(store);
    rig.forebay.start_again().await.unwrap();
    let before = rig.passed("file", 5).await;
    let (status, answer) = replay(&rig, json!("earliest"), "then").await;
    assert_eq!((status, &answer["code"]), (409, &json!("engine.past_missing")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains(version), "{answer}");
    let after = rig.route_status("file").await;
    assert_eq!((&after["epoch"], &after["offset"]), (&before["epoch"], &before["offset"]));
    assert_eq!(replay(&rig, json!(4), "then").await.0, 200, "what ran there is here");
    let (status, answer) = replay(&rig, json!("earliest"), "sometimes").await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_as_then_goes_on_as_then_after_a_kill() {
    let mut rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)").await.unwrap();
    let receiver = Receiver::start(HOOK_SECRET).await.unwrap();
    let hook = json!({ "webhook": { "url": receiver.url(), "secret": { "env": "HOOK_SECRET" } } });
    let route = rig.route(hook, json!([{ "plugin": "marker" }]));
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "plugins": { "marker": marker(1) },
        "routes": { "file": route },
    }))
    .await;
    insert(&rig, 1..=10).await;
    rig.passed("file", 10).await;
    rig.apply(&json!({ "plugins": { "marker": marker(2) } })).await;
    insert(&rig, 11..=20).await;
    rig.passed("file", 20).await;

    for (present, accepts) in [(3, 4), (4, 10), (5, 15)] {
        receiver.clear();
        receiver.script(vec![Reply::Status(200); accepts]);
        receiver.usually(Reply::Status(503));
        assert_eq!(replay(&rig, json!("earliest"), "then").await.0, 200);
        // other transforms wait until the replay has come to them
        rig.apply(&json!({ "plugins": { "marker": marker(present) } })).await;
        eventually("it is in the middle", LONG, || async {
            let attempts = receiver.attempts().len();
            if attempts > accepts { Ok(()) } else { Err(format!("{attempts} attempts")) }
        })
        .await;
        rig.forebay.kill9().unwrap();
        assert_eq!(receiver.count(), accepts);
        receiver.usually(Reply::Status(200));
        rig.forebay.start_again().await.unwrap();
        eventually("everything is there once more", LONG, || async {
            let told: BTreeSet<u64> = bodies(&receiver).into_iter().map(|(id, _)| id).collect();
            if told.len() == 20 { Ok(()) } else { Err(format!("{told:?}")) }
        })
        .await;
        let mut told = bodies(&receiver);
        assert!(told.len() >= 20, "{told:?}");
        told.sort();
        // what came twice came as the same
        told.dedup();
        let expected = (1..=20).map(|id| (id, if id <= 10 { "1" } else { "2" }.to_owned()));
        assert!(told.iter().cloned().eq(expected), "{told:?}");
    }
    receiver.clear();
    insert(&rig, 21..=21).await;
    eventually("the present transforms have the next row", LONG, || async { receiver.count() > 0 }).await;
    assert_eq!(versions(&bodies(&receiver)), [(21, "5")]);
}

fn bodies(receiver: &Receiver) -> Vec<(u64, String)> {
    let told = receiver.received().into_iter();
    let rows = told.map(|(_, body)| {
        let after = serde_json::from_slice::<Value>(&body).unwrap()["after"].clone();
        (after["id"].as_u64().unwrap(), after["version"].as_str().unwrap().to_owned())
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_then_may_let_out_no_more_than_what_runs_now() {
    const EMAIL: &str = "ada@example.org";
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, email VARCHAR(40))").await.unwrap();
    let (file, path) = rig.file("changes");
    let tags = json!({ "tags": { format!("{}.t.email", rig.database.name()): ["pii"] } });
    let plain = rig.route(file.clone(), json!([]));
    let mask = json!([{ "plugin": "mask", "config": { "columns": { "email": { "text": "x" } } } }]);
    let masked = rig.route(file, mask);
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "plugins": { "mask": plugin("mask") },
        "routes": { "file": plain },
    }))
    .await;
    rig.database.exec(&format!("INSERT INTO t VALUES (1, '{EMAIL}')")).await.unwrap();
    rig.passed("file", 1).await;
    rig.apply(&json!({ "sources": { "db": rig.source(tags.clone()) }, "routes": { "file": masked } })).await;
    rig.database.exec(&format!("INSERT INTO t VALUES (2, '{EMAIL}')")).await.unwrap();
    let before = rig.passed("file", 2).await;

    let (status, answer) = replay(&rig, json!("earliest"), "then").await;
    assert_eq!((status, &answer["code"]), (422, &json!("pii.exposed")), "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("route file") && message.contains("column `email`"), "{message}");
    let after = rig.route_status("file").await;
    assert_eq!((&after["epoch"], &after["state"]), (&before["epoch"], &json!("running")));

    // tagged while it waits: judged as it comes
    rig.post("/v1/routes/file/pause").await;
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) } })).await;
    assert_eq!(replay(&rig, json!("earliest"), "then").await.0, 200);
    rig.apply(&json!({ "sources": { "db": rig.source(tags) } })).await;
    rig.post("/v1/routes/file/resume").await;
    let stopped = rig.in_state("file", "failed").await;
    assert_eq!(stopped["fault"]["code"], "pii.exposed", "{stopped}");
    let fix = stopped["fault"]["fix"].as_str().unwrap();
    assert!(fix.contains("allow_pii") && fix.contains("--transforms now") && !fix.contains("mask"), "{fix}");
    assert!(!fix.contains("drop, nullify"), "applied transforms wait until the replay is over: {fix}");
    assert_eq!(records(&path).len(), 2, "nothing was delivered");
    // allowed
    let mut allowed = masked.clone();
    allowed["allow_pii"] = json!(["email"]);
    rig.apply(&json!({ "routes": { "file": allowed } })).await;
    rig.passed("file", 2).await;
    let emails: Vec<Value> = records(&path)[2..].iter().map(|r| r["after"]["email"].clone()).collect();
    assert_eq!(emails, [EMAIL, "x"]);
}
