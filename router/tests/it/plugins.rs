//! Plugins in a route, well- and ill-behaved: what they do is their own route's affair, and nothing leaves in silence.

use forebay_kit::Writer;
use serde_json::{Value, json};

use crate::rig::{Rig, assert_told_exactly, plugin, records};

/// A table that the hostile plugin takes, with some poison in it.
async fn table(rig: &Rig) {
    rig.database.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, word VARCHAR(40))").await.unwrap();
}

async fn rows(rig: &Rig) {
    let values: Vec<String> =
        (1..=40).map(|i| format!("({i}, '{}')", if i % 20 == 7 { "poison" } else { "fine" })).collect();
    rig.database.exec(&format!("INSERT INTO t VALUES {}", values.join(", "))).await.unwrap();
}

/// One route through the hostile plugin, one beside it.
async fn with(rig: &Rig, does: &str, limits: Value) {
    table(rig).await;
    let (bad, _) = rig.file("bad");
    let (good, _) = rig.file("good");
    let hostile = json!([{ "plugin": "hostile", "config": { "do": does }, "limits": limits }]);
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "hostile": plugin("hostile") },
        "routes": { "bad": rig.route(bad, hostile), "good": rig.route(good, json!([])) },
    }))
    .await;
    rows(rig).await;
    let good = rig.passed("good", 40).await;
    assert_eq!(good["counts"]["delivered"], 40);
}

fn ids(records: &[Value]) -> Vec<u64> {
    records.iter().map(|r| r["after"]["id"].as_u64().unwrap()).collect()
}

async fn letters_and_the_rest_arrive(does: &str, code: &str, dead: &[u64]) {
    let rig = Rig::new().await;
    with(&rig, does, json!({ "memory_mib": 16, "batch_ms": 500 })).await;
    let bad = rig.passed("bad", 40).await;
    assert_eq!(
        bad["counts"],
        json!({ "read": 40, "delivered": 40 - dead.len(), "filtered": 0, "dead": dead.len() }),
        "{bad}"
    );
    let (_, path) = rig.file("bad");
    assert_eq!(ids(&records(&path)), (1..=40).filter(|i| !dead.contains(i)).collect::<Vec<_>>());
    let letters = rig.forebay.api("GET", "/v1/routes/bad/dead-letters", None).await.unwrap().text();
    assert!(letters.contains(code), "{letters}");
    assert_eq!(letters.matches("\"transform\"").count(), dead.len(), "{letters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_costs_the_event_that_causes_it() {
    letters_and_the_rest_arrive("trap_on_poison", "transform.trap", &[7, 27]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn growing_without_end_costs_the_event_that_causes_it() {
    letters_and_the_rest_arrive("grow_on_poison", "transform.memory", &[7, 27]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_event_is_kept_with_its_reason() {
    // the guest rejects the first one of a batch
    letters_and_the_rest_arrive("reject_poison", "route.rejected", &[7]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_always_stops_its_route() {
    let rig = Rig::new().await;
    table(&rig).await;
    let (bad, path) = rig.file("bad");
    let mut route = rig.route(bad, json!([{ "plugin": "hostile", "config": { "do": "trap" } }]));
    route["dead_letters"] = json!({ "stop_after": 5, "window_s": 600 });
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "hostile": plugin("hostile") },
        "routes": { "bad": route },
    }))
    .await;
    rows(&rig).await;
    let failed = rig.in_state("bad", "failed").await;
    assert_eq!(failed["fault"]["code"], "route.too_many_dead_letters", "{failed}");
    assert_eq!(failed["counts"]["delivered"], 0);
    assert!(records(&path).is_empty());
    // the source goes on
    assert_eq!(rig.status().await["sources"][0]["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_loops_is_stopped_and_others_go_on() {
    let rig = Rig::new().await;
    with(&rig, "loop", json!({ "batch_ms": 100 })).await;
    let failed = rig.in_state("bad", "failed").await;
    assert_eq!(failed["fault"]["code"], "route.too_many_dead_letters", "{failed}");
    assert!(failed["fault"]["message"].as_str().unwrap().contains("transform.timeout"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_leaves_a_filter_is_a_delete_downstream() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY, state VARCHAR(3))").await.unwrap();
    let (file, path) = rig.file("changes");
    let states = json!({ "where": "state IN ('NSW', 'VIC', 'QLD')" });
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "filter": plugin("filter") },
        "routes": { "file": rig.route(file, json!([{ "plugin": "filter", "config": states }])) },
    }))
    .await;
    for sql in [
        "INSERT INTO t VALUES (1, 'NSW'), (2, 'WA')",
        "UPDATE t SET state = 'VIC' WHERE id = 1",
        "UPDATE t SET state = 'WA' WHERE id = 1",
        "UPDATE t SET state = 'SA' WHERE id = 1",
        "UPDATE t SET state = 'QLD' WHERE id = 2",
        "DELETE FROM t",
    ] {
        rig.database.exec(sql).await.unwrap();
    }
    let status = rig.passed("file", 8).await;
    let told: Vec<Value> =
        records(&path).iter().map(|r| json!([r["op"], r["before"]["state"], r["after"]["state"]])).collect();
    let want = json!([
        ["c", null, "NSW"],
        ["u", "NSW", "VIC"],
        // it left the filter
        ["d", "VIC", null],
        // it entered
        ["c", null, "QLD"],
        ["d", "QLD", null],
    ]);
    assert_eq!(json!(told), want);
    assert_eq!(status["counts"], json!({ "read": 8, "delivered": 5, "filtered": 3, "dead": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_appears_nowhere() {
    let rig = Rig::new().await;
    let (file, path) = rig.file("changes");
    let mut writer = Writer::new(&rig.database, 21).await.unwrap();
    let mask = json!({ "columns": {
        "email": { "keep_domain": true },
        "phone": { "hash": { "key": { "env": "PII_KEY" } } },
        "note": { "drop": true },
    } });
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "mask": plugin("mask") },
        "routes": { "file": rig.route(file, json!([{ "plugin": "mask", "config": mask }])) },
    }))
    .await;
    writer.write(60).await.unwrap();
    rig.passed("file", writer.changes().len()).await;
    let records = records(&path);
    assert_told_exactly(writer.changes(), &records);
    for image in records.iter().flat_map(|r| [&r["before"], &r["after"]]).filter(|i| !i.is_null()) {
        let text = image.to_string();
        assert!(!text.contains("555-") && !text.contains("\"user") && image.get("note").is_none(), "{text}");
        assert!(image["email"].is_null() || image["email"].as_str().unwrap().starts_with("u*"), "{text}");
    }
    // no secret in any answer
    let told = rig.forebay.api("GET", "/v1/export", None).await.unwrap().text() + &rig.forebay.log();
    assert!(told.contains("PII_KEY") && !told.contains("a key for tests"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_table_becomes_events_with_their_place() {
    let rig = Rig::new().await;
    let columns = "id CHAR(2) PRIMARY KEY, aggregatetype VARCHAR(40) NOT NULL, aggregateid VARCHAR(40) NOT NULL, \
                   type VARCHAR(40) NOT NULL, payload JSON";
    rig.database.exec(&format!("CREATE TABLE outbox ({columns})")).await.unwrap();
    let (file, path) = rig.file("events");
    let additional = json!({ "additional": { "type": "event_type" }, "on_update": "reject" });
    let paths = json!({ "total": { "path": "$.total", "type": "decimal(10,2)" } });
    let transforms = json!([
        { "plugin": "outbox", "config": additional },
        { "plugin": "flatten", "config": { "column": "payload", "paths": paths, "drop": true } },
    ]);
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "outbox": plugin("outbox"), "flatten": plugin("flatten") },
        "routes": { "file": rig.route(file, transforms) },
    }))
    .await;
    for sql in [
        r#"INSERT INTO outbox VALUES ('e1', 'Order', '7', 'Placed', '{"total": 12.5}'),
            ('e2', 'Über-Kunde', '8', 'Moved', '{"total": null}'), ('e3', 'Order', '7', 'Paid', '{"total": "much"}')"#,
        "UPDATE outbox SET type = 'Sent' WHERE id = 'e2'",
        "DELETE FROM outbox",
    ] {
        rig.database.exec(sql).await.unwrap();
    }
    let status = rig.passed("file", 7).await;
    let told: Vec<Value> = records(&path)
        .iter()
        .map(|r| json!([r["op"], r["source"]["routing"], r["before"], r["after"]]))
        .collect();
    let after =
        |id, key, event, total| json!({ "id": id, "aggregateid": key, "event_type": event, "total": total });
    // 1250 hundredths, as Debezium writes decimals
    let want = json!([
        ["c", "Order", null, after("e1", "7", "Placed", json!("BOI="))],
        ["c", "_ber-Kunde", null, after("e2", "8", "Moved", Value::Null)],
    ]);
    assert_eq!(json!(told), want);
    assert_eq!(status["counts"], json!({ "read": 7, "delivered": 2, "filtered": 3, "dead": 2 }));
    let letters = rig.forebay.api("GET", "/v1/routes/file/dead-letters", None).await.unwrap().text();
    assert!(letters.contains("what stands at $.total is no decimal(10,2)"), "{letters}");
    assert!(letters.contains("a row of an outbox table was updated"), "{letters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_can_stay_downstream() {
    let rig = Rig::new().await;
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9), secret VARCHAR(9))")
        .await
        .unwrap();
    let (file, path) = rig.file("rows");
    let columns = json!({
        "exclude": ["sec*"], "rename": { "name": "title" }, "constants": { "origin": "shop" },
        "metadata": { "op": "__op", "table": "__table" }, "deleted": { "column": "__deleted" },
    });
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": { "columns": plugin("columns") },
        "routes": { "file": rig.route(file, json!([{ "plugin": "columns", "config": columns }])) },
    }))
    .await;
    for sql in ["INSERT INTO t VALUES (1, 'a', 's')", "UPDATE t SET name = 'b'", "DELETE FROM t"] {
        rig.database.exec(sql).await.unwrap();
    }
    rig.passed("file", 3).await;
    let row = |title, op, deleted| json!({ "id": 1, "title": title, "origin": "shop", "__op": op, "__table": "t", "__deleted": deleted });
    let told: Vec<Value> = records(&path).iter().map(|r| json!([r["op"], r["before"], r["after"]])).collect();
    let want = json!([
        ["c", null, row("a", "c", 0)],
        ["u", row("a", "u", 0), row("b", "u", 0)],
        ["u", row("b", "u", 0), row("b", "u", 1)],
    ]);
    assert_eq!(json!(told), want);
}
