//! Plugins that change while their route runs: each transaction goes through one version, and nothing is lost or comes twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use forebay_kit::eventually;
use forebay_kit::mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, bytes, marker, marker_bytes, plugin, records};

/// Rows of a small transaction, and of one that no block holds.
const FEW: u64 = 7;
const MANY: u64 = 30_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_changes_between_two_transactions_and_nothing_is_lost_or_comes_twice() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY AUTO_INCREMENT, txn BIGINT)").await.unwrap();
    let (file, path) = rig.file("changes");
    let route = |config: Value| rig.route(file.clone(), json!([{ "plugin": "marker", "config": config }]));
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "marker": marker(1) },
        "routes": { "file": route(json!({})) },
    }))
    .await;
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let writing = async {
        let mut conn = rig.database.connect().await.unwrap();
        let mut rows = 0;
        for txn in 1.. {
            if is_over.load(Ordering::Relaxed) {
                return rows;
            }
            let many = if txn % 40 == 0 { MANY } else { FEW };
            conn.query_drop(format!("BEGIN; INSERT INTO t (txn) VALUES {}", values(txn, many / 2)))
                .await
                .unwrap();
            conn.query_drop(format!("INSERT INTO t (txn) VALUES {}; COMMIT", values(txn, many - many / 2)))
                .await
                .unwrap();
            rows += many;
            written.store(txn, Ordering::Relaxed);
        }
        unreachable!("it counts on until it is over")
    };
    let swapping = async {
        let epoch = rig.route_status("file").await["epoch"].clone();
        for version in 2..=5 {
            let before = written.load(Ordering::Relaxed);
            // a new component, other settings, and a plugin alone by its own resource
            match version {
                3 => {
                    let both = json!({ "plugins": { "marker": marker(3) }, "routes": { "file": route(json!({ "computes": true })) } });
                    rig.apply(&both).await;
                }
                _ => rig.apply(&json!({ "plugins": { "marker": marker(version) } })).await,
            }
            eventually("the route runs with it", LONG, || async {
                let runs = history(&rig).await;
                let status = rig.route_status("file").await;
                assert_eq!(status["state"], "running", "{status}");
                assert_eq!(status["epoch"], epoch);
                let went_on = written.load(Ordering::Relaxed) > before + 45;
                if runs.len() == usize::from(version) && went_on {
                    Ok(())
                } else {
                    Err(json!(runs).to_string())
                }
            })
            .await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (rows, ()) = tokio::join!(writing, swapping);
    let status = rig.passed("file", rows as usize).await;
    assert_eq!(status["counts"]["delivered"], rows);

    let told = records(&path);
    let of = |record: &Value, field: &str| record["after"][field].as_u64().unwrap();
    assert!(told.iter().map(|r| of(r, "id")).eq(1..=rows), "each row once and in order");
    let mut seen: Vec<(u64, String)> = Vec::new();
    for record in &told {
        let version = record["after"]["version"].as_str().unwrap().to_owned();
        let now = (of(record, "txn"), version);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    assert!(seen.windows(2).all(|w| w[0].0 < w[1].0), "a transaction has one version");
    assert!(seen.windows(2).all(|w| w[0].1 <= w[1].1), "versions change once");
    let runs = history(&rig).await;
    let versions: Vec<&str> =
        runs.iter().map(|run| run["transforms"][0]["version"].as_str().unwrap()).collect();
    assert!(versions.iter().zip(1..=5).all(|(v, n)| v.ends_with(&format!(".{n}"))), "{versions:?}");
    for (run, version) in runs.iter().zip(1..=5) {
        // offsets are rows here: the first with this version is where its run begins
        let version = version.to_string();
        let first = told.iter().position(|r| r["after"]["version"] == version.as_str()).unwrap();
        assert_eq!(run["from"].as_u64().unwrap(), first as u64, "{runs:?}");
    }
    assert_eq!(runs[2]["transforms"][0]["config"], json!({ "computes": true }));
    let metrics = rig.forebay.api("GET", "/metrics", None).await.unwrap().text();
    let sample = |name: &str| {
        let line =
            metrics.lines().find(|l| l.starts_with(&format!("{name}{{route=\"file\",plugin=\"marker\"}}")));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    for name in ["calls_total", "images_total", "cpu_seconds_total", "memory_bytes"] {
        assert!(sample(&format!("forebay_plugin_{name}")) > 0.0, "{name}: {metrics}");
    }
    assert_ne!(marker_bytes(1), marker_bytes(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_runs_the_version_that_it_names() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)").await.unwrap();
    let route = |file: &str, version: Value| {
        let mut transform = json!({ "plugin": "marker" });
        if !version.is_null() {
            transform["version"] = version;
        }
        rig.route(rig.file(file).0, json!([transform]))
    };
    const ONE: &str = "0.1.0-marker.for.the.tests.of.plugins.that.change.1";
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) }, "plugins": { "marker": marker(1) },
        "routes": { "old": route("old", json!(ONE)), "new": route("new", Value::Null) },
    }))
    .await;
    rig.apply(&json!({ "plugins": { "marker": marker(2) } })).await;
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    for (route, version) in [("old", "1"), ("new", "2")] {
        rig.passed(route, 1).await;
        assert_eq!(records(&rig.file(route).1)[0]["after"]["version"], version);
    }
    // by hash, and one that is not there
    let two = rig.forebay.api("GET", "/v1/plugins/marker", None).await.unwrap().json();
    let versions = two["versions"].as_array().unwrap();
    let told: Vec<_> = versions.iter().map(|v| (&v["version"], &v["used_by"])).collect();
    let name = |n: u8| json!(format!("{}{n}", &ONE[..ONE.len() - 1]));
    assert_eq!(told, [(&name(2), &json!(["new"])), (&name(1), &json!(["old"]))]);
    let hash = format!("sha256:{}", &versions[1]["sha256"].as_str().unwrap()[..10]);
    rig.apply(&json!({ "routes": { "new": route("new", json!(hash)) } })).await;
    let unknown = json!({ "routes": { "new": route("new", json!("7")) } });
    let answer = rig.forebay.api("POST", "/v1/apply", Some(&unknown)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (422, &json!("plugin.version_unknown")));
    assert_eq!(answer.json()["path"], "routes.new.transforms[0].version");
    // what nobody runs can go, and the newest cannot
    let delete = |n: u8| {
        let path = format!("/v1/plugins/marker/versions/{}", name(n).as_str().unwrap());
        let rig = &rig;
        async move { rig.forebay.api("DELETE", &path, None).await.unwrap().status.as_u16() }
    };
    assert_eq!([delete(2).await, delete(1).await, delete(5).await], [409, 409, 404]);
    // what a version means does not change: other bytes that say the same are another component
    let mut other = marker_bytes(1);
    other.extend([0, 2, 1, b'x']);
    rig.apply(&json!({ "plugins": { "marker": bytes(&other) } })).await;
    let routes = |plugin: &Value| -> Vec<Value> {
        plugin["versions"].as_array().unwrap().iter().map(|v| v["used_by"].clone()).collect()
    };
    let all = rig.forebay.api("GET", "/v1/plugins/marker", None).await.unwrap().json();
    assert_eq!(routes(&all), [json!([]), json!([]), json!(["new", "old"])], "{all}");
    assert!(all["versions"][0]["write"].as_str().unwrap().starts_with("marker@sha256:"), "{all}");
    rig.apply(&json!({ "routes": { "new": route("new", Value::Null) } })).await;
    let all = rig.forebay.api("GET", "/v1/plugins/marker", None).await.unwrap().json();
    assert_eq!(routes(&all), [json!(["new"]), json!([]), json!(["old"])], "{all}");
    rig.database.exec("INSERT INTO t VALUES (2)").await.unwrap();
    for route in ["old", "new"] {
        rig.passed(route, 2).await;
        assert_eq!(records(&rig.file(route).1)[1]["after"]["version"], "1");
    }
    assert_eq!(delete(2).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_adds_a_version_and_a_route_that_names_it_swaps() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)").await.unwrap();
    let push = async |component: Vec<u8>| {
        let path = rig.forebay.folder().join("marker.wasm");
        std::fs::write(&path, component).unwrap();
        let file = path.to_str().unwrap().to_owned();
        said(&rig, &["plugin", "push", &file]).await
    };
    let (file, path) = rig.file("changes");
    let route = |plugin: &str| rig.route(file.clone(), json!([{ "plugin": plugin }]));
    let version = |n: u8| format!("0.1.0-marker.for.the.tests.of.plugins.that.change.{n}");
    let told = push(marker_bytes(1)).await;
    assert!(told.contains(&format!("write `plugin: marker@{}`", version(1))), "{told}");
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) }, "routes": { "file": route("marker") } }))
        .await;
    // a route that names no version goes on with what it has
    let told = push(marker_bytes(2)).await;
    assert!(told.contains(&format!("file goes on with marker@{}", version(1))), "{told}");
    assert!(told.contains(&format!("write `plugin: marker@{}`", version(2))), "{told}");
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    rig.passed("file", 1).await;
    rig.apply(&json!({ "routes": { "file": route(&format!("marker@{}", version(2))) } })).await;
    let stored = rig.forebay.api("GET", "/v1/routes/file", None).await.unwrap().json();
    assert_eq!(stored["transforms"], json!([{ "plugin": "marker", "version": version(2) }]));
    rig.database.exec("INSERT INTO t VALUES (2)").await.unwrap();
    rig.passed("file", 2).await;
    // rebuilt without another version: kept beside, and said how it is named
    let mut rebuilt = marker_bytes(2);
    rebuilt.extend([0, 2, 1, b'x']);
    let told = push(rebuilt).await;
    assert!(
        told.contains("is another component already") && told.contains("`plugin: marker@sha256:"),
        "{told}"
    );
    let write = told.split("`plugin: ").nth(1).unwrap().split('`').next().unwrap();
    rig.database.exec("INSERT INTO t VALUES (3)").await.unwrap();
    rig.passed("file", 3).await;
    rig.apply(&json!({ "routes": { "file": route(write) } })).await;
    rig.database.exec("INSERT INTO t VALUES (4)").await.unwrap();
    rig.passed("file", 4).await;
    let versions: Vec<Value> = records(&path).iter().map(|r| r["after"]["version"].clone()).collect();
    assert_eq!(versions, ["1", "2", "2", "2"]);
    let runs = history(&rig).await;
    assert!(runs.len() == 3 && write.contains(&runs[2]["transforms"][0]["sha256"].as_str().unwrap()[..16]));
    let told = said(&rig, &["plugin", "list"]).await;
    assert_eq!(told.lines().count(), 3, "{told}");
    let line = told.lines().find(|line| line.contains("used by file")).unwrap();
    assert!(line.starts_with(write), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_would_happen_and_delivers_nothing() {
    let rig = Rig::new().await;
    rig.database
        .exec("CREATE TABLE t (id BIGINT PRIMARY KEY, email VARCHAR(40), word VARCHAR(40))")
        .await
        .unwrap();
    let (file, path) = rig.file("changes");
    let tags = json!({ format!("{}.t.email", rig.database.name()): ["pii"] });
    let mask =
        |column: &str| json!([{ "plugin": "mask", "config": { "columns": { column: { "text": "x" } } } }]);
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({ "tags": tags })) },
        "plugins": { "mask": plugin("mask"), "marker": marker(1), "hostile": plugin("hostile") },
        "routes": { "file": rig.route(file.clone(), mask("email")) },
    }))
    .await;
    let rows: Vec<String> = (1..=30).map(|i| format!("({i}, 'a{i}@example.org', 'w{i}')")).collect();
    rig.database.exec(&format!("INSERT INTO t VALUES {}", rows.join(","))).await.unwrap();
    let before = rig.passed("file", 30).await;
    let preview = |body: Value| {
        let rig = &rig;
        async move {
            let answer = rig.forebay.api("POST", "/v1/routes/file/preview", Some(&body)).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(!answer.text().contains("example.org"), "{}", answer.text());
            answer.json()
        }
    };
    let counts =
        |p: &Value| ["read", "kept", "dropped", "rejected", "failed"].map(|fate| p[fate].as_u64().unwrap());
    let own = preview(json!({ "last": 10 })).await;
    assert_eq!(counts(&own), [10, 10, 0, 0, 0], "{own}");
    let change = json!([{ "image": "after", "column": "email", "from": "(pii)", "to": "x" }]);
    assert_eq!(own["samples"][0]["changes"], change, "{own}");
    assert_eq!(own["tables"][0]["plans"][0]["replaces"], json!(["email"]));
    // the same route, as one that does not exist yet
    let candidate = |name: &str, route: Value| {
        let (rig, body) = (&rig, json!({ "name": name, "route": route, "last": 10 }));
        async move { rig.forebay.api("POST", "/v1/preview", Some(&body)).await.unwrap() }
    };
    let (elsewhere, other) = rig.file("elsewhere");
    let answer = candidate("new", rig.route(elsewhere, mask("email"))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()), (200, &own), "{}", answer.text());
    assert_eq!(candidate("file", rig.route(file, mask("email"))).await.status, 200);
    let yaml = rig.forebay.folder().join("route.yaml");
    let document = json!({ "routes": { "new": rig.route(rig.file("elsewhere").0, mask("email")) } });
    std::fs::write(&yaml, document.to_string()).unwrap();
    let told = said(&rig, &["preview", "-f", yaml.to_str().unwrap(), "--last", "10", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), own);
    let mut wrong = rig.route(rig.file("elsewhere").0, mask("email"));
    wrong["source"] = json!("nowhere");
    let answer = candidate("new", wrong).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["path"]),
        (422, &json!("routes.new.source")),
        "{}",
        answer.text()
    );
    assert!(
        !other.with_extension("ndjson").exists()
            && rig.status().await["routes"].as_array().unwrap().len() == 1
    );
    // a candidate that would let the column out shows nothing
    let leaks = preview(json!({ "transforms": mask("word") })).await;
    assert!(
        leaks["exposed"][0].as_str().unwrap().contains("`email`") && leaks["samples"] == json!([]),
        "{leaks}"
    );
    std::fs::write(&yaml, mask("word").to_string()).unwrap();
    let (code, told) = rig.cli(&["preview", "file", "-f", yaml.to_str().unwrap()]).await;
    assert!(code == 1 && told.contains("\npii: column `email`"), "{told}");
    // a candidate that leaves it out and adds a column
    let marks =
        preview(json!({ "transforms": [{ "plugin": "marker", "config": { "hide": ["email"] } }] })).await;
    assert_eq!(counts(&marks), [30, 30, 0, 0, 0], "{marks}");
    let added = json!({ "image": "after", "column": "version", "to": "1" });
    assert!(marks["samples"][0]["changes"].as_array().unwrap().contains(&added), "{marks}");
    let fails =
        preview(json!({ "transforms": [{ "plugin": "hostile", "config": { "do": "trap" } }], "last": 3 }))
            .await;
    assert_eq!(counts(&fails), [3, 0, 0, 0, 3], "{fails}");
    let after = rig.route_status("file").await;
    assert_eq!((&after["counts"], &after["offset"]), (&before["counts"], &before["offset"]));
    assert_eq!(after["dead_letters"], 0);
    assert_eq!(records(&path).len(), 30);
}

/// What the command line says to an order that it carries out.
async fn said(rig: &Rig, args: &[&str]) -> String {
    let (status, told) = rig.cli(args).await;
    assert_eq!(status, 0, "{told}");
    told
}

fn values(txn: u64, rows: u64) -> String {
    vec![format!("({txn})"); rows as usize].join(",")
}

async fn history(rig: &Rig) -> Vec<Value> {
    let answer = rig.forebay.api("GET", "/v1/routes/file/transforms", None).await.unwrap();
    answer.json()["items"].as_array().unwrap().clone()
}
