//! A plugin's secrets: found where the plugin takes them and nowhere else, and shown by nobody.

use serde_json::{Value, json};

use crate::rig::{Rig, plugin, records};

/// What `{ env: PII_KEY }` means in these tests.
const KEY: &str = "a key for tests";

async fn rig() -> Rig {
    let rig = Rig::new().await;
    rig.database
        .exec("CREATE TABLE t (id BIGINT PRIMARY KEY, note VARCHAR(80), file VARCHAR(80))")
        .await
        .unwrap();
    let plugins = ["filter", "mask", "columns", "hostile"].map(|name| (name.to_owned(), plugin(name)));
    let (file, _) = rig.file("plain");
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "plugins": serde_json::Map::from_iter(plugins),
        "routes": { "plain": rig.route(file, json!([])) },
    }))
    .await;
    rig.database.exec("INSERT INTO t VALUES (1, 'fine', 'f'), (2, 'poison', 'f')").await.unwrap();
    rig.passed("plain", 2).await;
    rig
}

fn uses(plugin: &str, config: Value) -> Value {
    json!([{ "plugin": plugin, "config": config }])
}

/// What an apply and a preview of these transforms say, neither with the secret.
async fn told(rig: &Rig, transforms: &Value) -> (Value, Value) {
    let apply = json!({ "routes": { "new": rig.route(rig.file("new").0, transforms.clone()) } });
    let applied = rig.forebay.api("POST", "/v1/apply?dry_run=true", Some(&apply)).await.unwrap();
    let preview = json!({ "transforms": transforms, "last": 10 });
    let previewed = rig.forebay.api("POST", "/v1/routes/plain/preview", Some(&preview)).await.unwrap();
    for answer in [&applied, &previewed] {
        assert!(!answer.text().contains(KEY), "{transforms}: {}", answer.text());
    }
    (applied.json(), previewed.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_where_a_plugin_takes_no_secret_is_no_reference() {
    let rig = rig().await;
    let key = json!({ "env": "PII_KEY" });
    let wrong = [
        ("filter", json!({ "where": key }), "where"),
        ("mask", json!({ "columns": { "note": { "text": key } } }), "columns.note.text"),
        ("columns", json!({ "include": [key] }), "include[0]"),
        ("columns", json!({ "constants": { "x": { "file": "/etc/hostname" } } }), "constants.x"),
    ];
    for (name, config, place) in wrong {
        let (applied, previewed) = told(&rig, &uses(name, config)).await;
        let problem = &applied["problems"][0];
        assert_eq!(problem["code"], "transform.config", "{applied}");
        let suggestion = problem["suggestion"].as_str().unwrap();
        assert!(suggestion.contains(&format!("takes no secret at `{place}`")), "{applied}");
        assert_eq!(previewed["code"], "transform.config", "{previewed}");
    }
    // a setting that looks like one
    let rename = uses("columns", json!({ "rename": { "file": "path" } }));
    let (applied, previewed) = told(&rig, &rename).await;
    assert_eq!(applied["problems"], json!(null), "{applied}");
    assert_eq!(previewed["tables"][0]["plans"][0]["renames"], json!({ "file": "path" }), "{previewed}");
    // and one where the plugin takes a secret
    let hash = uses("mask", json!({ "columns": { "note": { "hash": { "key": key } } } }));
    let (applied, previewed) = told(&rig, &hash).await;
    assert_eq!(
        (&applied["problems"], &previewed["kept"]),
        (&json!(null), &json!(2)),
        "{applied} {previewed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_tells_its_secret_is_not_quoted() {
    let rig = rig().await;
    let tells = |does: &str| uses("hostile", json!({ "do": does, "key": { "env": "PII_KEY" } }));
    let (applied, previewed) = told(&rig, &tells("tell_key_in_open")).await;
    assert_eq!(applied["problems"][0]["message"], "`(secret)` is no key", "{applied}");
    assert!(previewed.to_string().contains("`(secret)` is no key"), "{previewed}");
    let (applied, previewed) = told(&rig, &tells("tell_key_in_plan")).await;
    assert_eq!(applied["problems"][0]["code"], "transform.bad_plan", "{applied}");
    assert!(previewed["stopped"].as_str().unwrap().contains("would stand in a column's name"), "{previewed}");
    // one that makes a name too long, of which only the beginning could be told
    let long = rig.file("long").1;
    std::fs::write(&long, KEY.repeat(30)).unwrap();
    let long = uses("hostile", json!({ "do": "tell_key_in_plan", "key": { "file": long } }));
    let (_, previewed) = told(&rig, &long).await;
    assert!(previewed["stopped"].as_str().unwrap().contains("would stand in a column's name"), "{previewed}");
    let (_, previewed) = told(&rig, &tells("tell_key_in_error")).await;
    assert!(previewed["reasons"].to_string().contains("not with (secret)"), "{previewed}");
    let (_, previewed) = told(&rig, &tells("tell_key")).await;
    assert_eq!(previewed["reasons"], json!({ "(secret)": 1 }), "{previewed}");
    let cell = json!({ "image": "after", "column": "note", "from": "fine", "to": "(secret)" });
    assert_eq!(previewed["samples"][0]["changes"], json!([cell]), "{previewed}");

    // the same while routes run
    let (file, path) = rig.file("told");
    let routes = json!({
        "told": rig.route(file, tells("tell_key")),
        "failed": rig.route(rig.file("failed").0, tells("tell_key_in_error")),
    });
    rig.apply(&json!({ "routes": routes })).await;
    rig.passed("told", 2).await;
    rig.passed("failed", 2).await;
    for place in
        ["/v1/status", "/v1/routes/told/dead-letters", "/v1/routes/failed/dead-letters", "/v1/export"]
    {
        let answer = rig.forebay.api("GET", place, None).await.unwrap();
        assert!(answer.status == 200 && !answer.text().contains(KEY), "{place}: {}", answer.text());
    }
    let log = rig.forebay.log();
    assert!(log.contains("the key is (secret)") && !log.contains(KEY), "{log}");
    // what it writes into cells is the destination's
    assert_eq!(records(&path)[0]["after"]["note"], KEY);
}
