//! `kill -9` at random moments, under load: nothing is lost, the file has no duplicate, a webhook's repeat carries the same id.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_kit::{Receiver, Writer, eventually};
use serde_json::{Value, json};

use crate::rig::{HOOK_SECRET, LONG, Rig, assert_told_exactly, plugin, records, versions};

/// How often it is killed: `FOREBAY_KILLS`, or few.
fn kills() -> u64 {
    std::env::var("FOREBAY_KILLS").map_or(8, |n| n.parse().expect("FOREBAY_KILLS is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments() {
    let mut rig = Rig::new().await;
    let receiver = Receiver::start(HOOK_SECRET).await.unwrap();
    let (file, path) = rig.file("changes");
    let hook = json!({ "webhook": { "url": receiver.url(), "secret": { "env": "HOOK_SECRET" } } });
    let mask = json!([{ "plugin": "mask", "config": { "columns": { "email": { "keep_domain": true } } } }]);
    let writer = Writer::new(&rig.database, 7).await.unwrap();
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "mask": plugin("mask") },
        "routes": { "file": rig.route(file, json!([])), "hook": rig.route(hook, mask) },
    }))
    .await;

    let writing = writer.start(100);
    for round in 0..kills() {
        // moments spread over start-up, catching up, and steady work
        let pause = Duration::from_millis(30 + (round * 7919) % 900);
        tokio::time::sleep(pause).await;
        rig.forebay.kill9().unwrap();
        rig.forebay.start_again().await.unwrap();
    }
    let writer = writing.stop().await.unwrap();
    let changes = writer.changes();

    eventually("the file has every change", LONG, || async {
        let told = crate::rig::lines(&path).len();
        if told >= changes.len() { Ok(()) } else { Err(format!("{told} of {}", changes.len())) }
    })
    .await;
    assert_told_exactly(changes, &records(&path));

    eventually("the webhook has every change", LONG, || async {
        let told = first_of_each_id(&receiver).len();
        if told >= changes.len() { Ok(()) } else { Err(format!("{told} of {}", changes.len())) }
    })
    .await;
    assert_told_exactly(changes, &first_of_each_id(&receiver));
    let unmasked = receiver.received().iter().any(|(_, body)| {
        let text = String::from_utf8_lossy(body);
        text.contains("\"user") && text.contains("@example.com")
    });
    assert!(!unmasked, "an address came through unmasked");
}

/// What a receiver that ignores ids it has seen would keep; a repeat must tell the same.
fn first_of_each_id(receiver: &Receiver) -> Vec<Value> {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut events = Vec::new();
    for (id, body) in receiver.received() {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let images = json!([event["before"], event["after"], event["op"], event["source"]]);
        match seen.get(&id) {
            Some(first) => assert_eq!(*first, images, "the same id, another event: {id}"),
            None => {
                seen.insert(id, images);
                events.push(event);
            }
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_does_not_take_its_namesakes_marks_for_its_own() {
    let rig = Rig::new().await;
    let (file, path) = rig.file("changes");
    let mut writer = Writer::new(&rig.database, 13).await.unwrap();
    let source = rig.source(json!({ "start": "earliest" }));
    let definitions =
        json!({ "sources": { "db": source }, "routes": { "file": rig.route(file, json!([])) } });
    rig.apply(&definitions).await;
    writer.write(20).await.unwrap();
    let first = writer.changes().len();
    rig.passed("file", first).await;

    // the route alone, then the source with its changelog, too
    let delete = async |path: &str| rig.forebay.api("DELETE", path, None).await.unwrap().status;
    assert_eq!(delete("/v1/routes/file").await, 204);
    rig.apply(&definitions).await;
    rig.passed("file", first).await;
    assert_eq!(crate::rig::lines(&path).len(), 2 * first);
    assert_eq!(delete("/v1/routes/file").await, 204);
    assert_eq!(delete("/v1/sources/db").await, 204);
    writer.write(20).await.unwrap();
    rig.apply(&definitions).await;
    let all = writer.changes().len();
    rig.passed("file", all).await;
    let lines = crate::rig::lines(&path);
    assert_eq!(lines.len(), 2 * first + all);
    let events: Vec<Value> = lines[2 * first..].iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_told_exactly(writer.changes(), &events);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_and_offsets_survive_a_restart() {
    let mut rig = Rig::new().await;
    let (file, path) = rig.file("changes");
    let mut writer = Writer::new(&rig.database, 11).await.unwrap();
    let definitions = json!({ "sources": { "db": rig.source(json!({})) }, "routes": { "file": rig.route(file, json!([])) } });
    rig.apply(&definitions).await;
    writer.write(20).await.unwrap();
    rig.passed("file", writer.changes().len()).await;
    let told = rig.forebay.api("GET", "/v1/export", None).await.unwrap().text();

    assert!(rig.forebay.stop().await.unwrap().success());
    writer.write(20).await.unwrap();
    rig.forebay.start_again().await.unwrap();
    assert_eq!(rig.forebay.api("GET", "/v1/export", None).await.unwrap().text(), told);
    let status = rig.passed("file", writer.changes().len()).await;
    assert_eq!(status["counts"]["delivered"], writer.changes().len());
    assert_told_exactly(writer.changes(), &records(&path));

    // the same definitions again change nothing
    let answer = rig.forebay.api("POST", "/v1/apply", Some(&definitions)).await.unwrap().json();
    let actions = answer["steps"].as_array().unwrap().iter().filter(|s| s["action"] != "unchanged");
    assert_eq!(actions.count(), 0, "{answer}");

    // a replay from the beginning tells everything once more, in the same order
    let answer =
        rig.forebay.api("PUT", "/v1/routes/file/offset", Some(&json!({ "to": "earliest" }))).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("the file has everything twice", LONG, || async {
        crate::rig::lines(&path).len() == 2 * writer.changes().len()
    })
    .await;
    let twice = records(&path);
    let (first, second) = twice.split_at(writer.changes().len());
    assert_eq!(versions(first), versions(second));
}
