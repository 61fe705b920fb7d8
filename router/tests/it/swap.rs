//! Plugins that change while their route runs: each transaction goes through one version, and nothing is lost or comes twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use forebay_kit::eventually;
use forebay_kit::mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, marker, marker_bytes, records};

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
        let first = told.iter().position(|r| r["after"]["version"] == version.to_string()).unwrap();
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

fn values(txn: u64, rows: u64) -> String {
    vec![format!("({txn})"); rows as usize].join(",")
}

async fn history(rig: &Rig) -> Vec<Value> {
    let answer = rig.forebay.api("GET", "/v1/routes/file/transforms", None).await.unwrap();
    answer.json()["items"].as_array().unwrap().clone()
}
