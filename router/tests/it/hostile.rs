//! Plugins that break every promise, each in a route of its own, all at once beside a good one: the route's policy holds, what went
//! wrong is said, and nobody else notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Rig, plugin, records};

/// What becomes of a route.
enum Then {
    /// It stops, as its events fail with this code.
    Stops(&'static str),
    /// It delivers everything. What failed on the way, if anything.
    Delivers(Option<&'static str>),
}
use Then::{Delivers, Stops};

/// What the plugin does, under which limits, and what becomes of the route.
fn cases() -> Vec<(&'static str, Value, Then)> {
    let none = || json!({});
    vec![
        ("recurse", none(), Stops("transform.trap")),
        ("giant_output", json!({ "memory_mib": 256 }), Stops("transform.output_too_large")),
        ("grow", json!({ "memory_mib": 8, "pool_mib": 8 }), Stops("transform.memory")),
        ("loop", json!({ "batch_ms": 50 }), Stops("transform.timeout")),
        ("offsets_fall", none(), Stops("transform.bad_output")),
        ("not_utf8", none(), Stops("transform.bad_output")),
        ("cut_character", none(), Stops("transform.bad_output")),
        ("wrong_count", none(), Stops("transform.bad_output")),
        // wrong for several images, right for one: it goes on, slowly, and it is said
        ("offsets_beyond", none(), Delivers(Some("transform.bad_output"))),
        ("log_flood", json!({ "log_lines_per_second": 3 }), Delivers(None)),
        ("lose_memory", json!({ "memory_mib": 8 }), Delivers(None)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_costs_its_own_route_only() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, word VARCHAR(40))").await.unwrap();
    let name = |does: &str| does.replace('_', "-");
    let hostile = |does: &str, limits: &Value| {
        let (sink, _) = rig.file(does);
        let transform = json!([{ "plugin": "hostile", "config": { "do": does }, "limits": limits }]);
        let mut route = rig.route(sink, transform);
        route["dead_letters"] = json!({ "stop_after": 5, "window_s": 600 });
        route
    };
    let mut routes = json!({ "good": rig.route(rig.file("good").0, json!([])) });
    for (does, limits, _) in cases() {
        routes[name(does)] = hostile(does, &limits);
    }
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "hostile": plugin("hostile") },
        "routes": routes,
    }))
    .await;
    // one that fails before there is any row is not taken at all
    for (does, says) in
        [("trap_in_plan", "plan goes wrong"), ("plan_twice", "two edits"), ("loop_in_open", "without an end")]
    {
        let wrong = json!({ "routes": { "wrong": hostile(does, &json!({ "batch_ms": 50 })) } });
        let answer = rig.forebay.api("POST", "/v1/apply", Some(&wrong)).await.unwrap();
        assert!(answer.status == 422 && answer.text().contains(says), "{does}: {}", answer.text());
    }
    let values: Vec<String> = (1..=40).map(|i| format!("({i}, 'fine')")).collect();
    rig.database.exec(&format!("INSERT INTO t VALUES {}", values.join(", "))).await.unwrap();
    assert_eq!(rig.passed("good", 40).await["counts"]["delivered"], 40);
    for (does, _, then) in cases() {
        match then {
            Stops(code) => {
                let failed = rig.in_state(&name(does), "failed").await;
                assert_eq!(failed["fault"]["code"], "route.too_many_dead_letters", "{does}: {failed}");
                let message = failed["fault"]["message"].as_str().unwrap();
                assert!(message.contains(code) && message.contains("plugin `hostile`"), "{does}: {message}");
                assert_eq!(failed["plugins"][0]["last_failure"]["code"], code, "{does}: {failed}");
                assert_eq!(failed["counts"]["delivered"], 0, "{does}");
            }
            Delivers(failure) => {
                let passed = rig.passed(&name(does), 40).await;
                assert_eq!(
                    passed["counts"],
                    json!({ "read": 40, "delivered": 40, "filtered": 0, "dead": 0 }),
                    "{does}: {passed}"
                );
                let (_, path) = rig.file(does);
                assert_eq!(records(&path).len(), 40, "{does}");
                let last = &passed["plugins"][0]["last_failure"]["code"];
                assert_eq!(last.as_str(), failure, "{does}: {passed}");
            }
        }
    }
    let flood = rig.route_status("log-flood").await;
    assert!(flood["plugins"][0]["log_lines_left_out"].as_u64().unwrap() > 9000, "{flood}");
    let log = rig.forebay.log();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert!(lines("log lines were left out") >= 1 && lines("line 9999") == 0, "{log}");
    assert_eq!(lines("none of their events"), 1, "{log}");
    // and the good one goes on
    rig.database.exec("INSERT INTO t VALUES (41, 'fine')").await.unwrap();
    rig.passed("good", 41).await;
    assert_eq!(rig.status().await["sources"][0]["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_where_it_is_bound_does_not_hold_other_changes_up() {
    let rig = Rig::new().await;
    for n in 0..20 {
        rig.database
            .exec(&format!("CREATE TABLE t{n} (id BIGINT PRIMARY KEY, word VARCHAR(40))"))
            .await
            .unwrap();
    }
    let plain = |name: &str| json!({ "routes": { name: rig.route(rig.file(name).0, json!([])) } });
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "hostile": plugin("hostile") },
    }))
    .await;
    let apply = async |definitions: Value| {
        let start = Instant::now();
        let answer = rig.forebay.api("POST", "/v1/apply", Some(&definitions)).await.unwrap();
        (answer.status.as_u16(), answer.json(), start.elapsed())
    };
    let hangs = |batch_ms: u64| {
        let transform = json!([{ "plugin": "hostile", "config": { "do": "loop_in_open" }, "limits": { "batch_ms": batch_ms } }]);
        json!({ "routes": { "hangs": rig.route(rig.file("hangs").0, transform) } })
    };
    // one table is enough to know
    let (status, told, took) = apply(hangs(1000)).await;
    assert!(status == 422 && told["message"].as_str().unwrap().contains("without an end"), "{told}");
    assert_eq!(told["problems"].as_array().unwrap().len(), 1, "{told}");
    assert!(took < Duration::from_secs(15), "{took:?} for 20 tables");
    // and no plugin may take as long as its limits say
    let (slow, beside) = tokio::join!(apply(hangs(600_000)), apply(plain("beside")));
    let (status, told, took) = slow;
    let message = told["message"].as_str().unwrap();
    assert!(status == 422 && message.contains("the plugins of an apply have 30 s together"), "{told}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(beside.0 == 200 && beside.2 < Duration::from_secs(60), "{beside:?}");
}
