//! What a preview shows, and what ends it.

use serde_json::{Value, json};

use crate::rig::{Rig, plugin};

async fn try_on(rig: &Rig, transforms: Value, last: u64) -> (u16, Value) {
    let body = json!({ "transforms": transforms, "last": last });
    let answer = rig.forebay.api("POST", "/v1/routes/file/preview", Some(&body)).await.unwrap();
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_events_of_each_fate_are_shown_and_a_runaway_ends() {
    let rig = Rig::new().await;
    rig.database
        .exec("CREATE TABLE t (id BIGINT PRIMARY KEY, word VARCHAR(40), price DECIMAL(6,2))")
        .await
        .unwrap();
    let (file, _) = rig.file("changes");
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": {
            "mask": plugin("mask"), "filter": plugin("filter"), "hostile": plugin("hostile"),
        },
        "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    // the last 41 are longer than what stays
    let word = |i: u32| if i <= 59 { "short" } else { "rather long for a word" };
    let rows: Vec<String> = (1..=100).map(|i| format!("({i}, '{}', 1.50)", word(i))).collect();
    rig.database.exec(&format!("INSERT INTO t VALUES {}", rows.join(","))).await.unwrap();
    let head = rig.passed("file", 100).await["offset"].as_u64().unwrap();
    let fates = |told: &Value, fate: &str| -> Vec<u64> {
        let of_fate = |s: &&Value| s["fate"] == fate;
        let samples = told["samples"].as_array().unwrap().iter().filter(of_fate);
        samples.map(|s| s["offset"].as_u64().unwrap()).collect()
    };
    let latest = |n: u64| (head - n..head).collect::<Vec<_>>();

    let mask = json!([{ "plugin": "mask", "config": { "columns": { "word": { "keep_first": 10 }, "price": { "drop": true } } } }]);
    let (_, told) = try_on(&rig, mask, 100).await;
    assert_eq!(fates(&told, "changed"), latest(20), "{told}");
    let gone = json!({ "image": "after", "column": "price", "from": "1.50" });
    assert!(told["samples"][19]["changes"].as_array().unwrap().contains(&gone), "{told}");
    let only_long = json!([{ "plugin": "mask", "config": { "columns": { "word": { "keep_first": 10 } } } }]);
    let (_, told) = try_on(&rig, only_long, 100).await;
    assert_eq!(fates(&told, "changed"), latest(20), "{told}");

    let (_, told) =
        try_on(&rig, json!([{ "plugin": "filter", "config": { "where": "id <= 10" } }]), 100).await;
    assert_eq!((&told["kept"], &told["dropped"]), (&json!(10), &json!(90)));
    assert_eq!(fates(&told, "dropped"), latest(10), "{told}");
    assert_eq!(told["samples"][9]["changes"][0]["from"], json!(100), "{told}");

    let hostile = |does: &str, limits: Value| json!([{ "plugin": "hostile", "config": { "do": does }, "limits": limits }]);
    let (_, told) = try_on(&rig, hostile("key_is_note", json!({})), 50).await;
    assert_eq!((&told["rekeyed"], fates(&told, "rekeyed")), (&json!(50), latest(10)), "{told}");

    let (_, told) = try_on(&rig, hostile("trap", json!({})), 5).await;
    assert_eq!((&told["failed"], fates(&told, "failed")), (&json!(5), latest(5)), "{told}");
    assert!(told["samples"][0]["reason"].as_str().unwrap().contains("apply goes wrong"), "{told}");

    // a runaway: as a route would, it stops after some timeouts, and nothing is said of what was not reached
    let (status, told) = try_on(&rig, hostile("loop", json!({ "batch_ms": 20 })), 100).await;
    let stopped = told["stopped"].as_str().unwrap();
    assert!(status == 200 && stopped.contains("transform.timeout"), "{told}");
    assert_eq!(
        (&told["read"], &told["failed"], &told["dropped"]),
        (&json!(3), &json!(3), &json!(0)),
        "{told}"
    );
    assert_eq!(fates(&told, "dropped"), [0_u64; 0], "{told}");

    // only so many at once, as each has memory of its own
    let slow = || try_on(&rig, hostile("loop_in_open", json!({ "batch_ms": 3000 })), 5);
    let (a, b, c, d, e, f) = tokio::join!(slow(), slow(), slow(), slow(), slow(), slow());
    let all = [a, b, c, d, e, f];
    let refused: Vec<_> = all.iter().filter(|(status, _)| *status == 503).collect();
    assert_eq!(refused.len(), 2, "{all:?}");
    assert_eq!(refused[0].1["code"], "api.too_many_previews", "{all:?}");

    // what is not there, and what a plugin refuses, is no preview
    let (status, told) =
        try_on(&rig, json!([{ "plugin": "mask", "version": "nope", "config": {} }]), 5).await;
    assert_eq!((status, &told["code"]), (404, &json!("plugin.version_unknown")), "{told}");
    let (status, told) = try_on(&rig, hostile("error_config", json!({})), 5).await;
    assert_eq!((status, &told["code"]), (422, &json!("transform.config")), "{told}");
}
