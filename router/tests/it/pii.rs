//! Columns tagged `pii` reach no route that may not have them: refused where definitions are applied, stopped where tables change.

use forebay_kit::eventually;
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, marker, plugin, records};

const EMAIL: &str = "ada@example.org";

/// A table with a column that is tagged, and the source with its tags.
async fn rig() -> (Rig, Value) {
    let rig = Rig::new().await;
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(80), note VARCHAR(80))")
        .await
        .unwrap();
    let source = tagged(&rig, &["email"]);
    (rig, source)
}

fn tagged(rig: &Rig, columns: &[&str]) -> Value {
    let name = |column: &&str| (format!("{}.t.{column}", rig.database.name()), json!(["pii"]));
    let tags: serde_json::Map<String, Value> = columns.iter().map(name).collect();
    rig.source(json!({ "tags": tags }))
}

async fn insert(rig: &Rig, columns: &str, values: &str) {
    rig.database.exec(&format!("INSERT INTO t ({columns}) VALUES {values}")).await.unwrap();
}

/// The problems of definitions that are refused, as `code path: message`.
async fn refused(rig: &Rig, method: &str, path: &str, body: &Value) -> Vec<String> {
    let answer = rig.forebay.api(method, path, Some(body)).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text());
    let problems = answer.json()["problems"].as_array().unwrap().clone();
    let text = |p: &Value, field: &str| p[field].as_str().unwrap().to_owned();
    assert!(problems.iter().all(|p| text(p, "suggestion").contains("allow_pii")), "{problems:?}");
    problems
        .iter()
        .map(|p| format!("{} {}: {}", text(p, "code"), text(p, "path"), text(p, "message")))
        .collect()
}

fn exposed(rig: &Rig, what: &str) -> Vec<String> {
    let table = format!("{}.t", rig.database.name());
    let why = format!("the route may not have what it would deliver: column `email` of {table}, tagged pii,");
    vec![format!("pii.exposed routes.file.allow_pii: {why} {what}")]
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_would_deliver_a_tagged_column_are_refused() {
    let (rig, source) = rig().await;
    let (file, path) = rig.file("changes");
    let plugins = json!({ "mask": plugin("mask"), "hostile": plugin("hostile"), "marker": marker(1) });
    let all = |route: &Value| json!({ "sources": { "db": source }, "plugins": plugins, "routes": { "file": route } });
    let plain = rig.route(file.clone(), json!([]));
    // no transforms at all
    assert_eq!(refused(&rig, "POST", "/v1/apply", &all(&plain)).await, exposed(&rig, "comes out as it is"));
    // another column is masked
    let mask =
        |column: &str| json!({ "plugin": "mask", "config": { "columns": { column: { "text": "x" } } } });
    let other = rig.route(file.clone(), json!([mask("note")]));
    assert_eq!(refused(&rig, "POST", "/v1/apply", &all(&other)).await, exposed(&rig, "comes out as it is"));
    // copied before it is masked
    let hostile = |does: &str| json!({ "plugin": "hostile", "config": { "do": does } });
    let copied = rig.route(file.clone(), json!([hostile("append"), mask("email")]));
    let copies = "is read by plugin `hostile`, which computes `copy`";
    assert_eq!(refused(&rig, "POST", "/v1/apply", &all(&copied)).await, exposed(&rig, copies));
    // the places of rows are chosen by it
    let routed = rig.route(file.clone(), json!([hostile("route_by_note"), mask("email")]));
    let chooses =
        "is read by plugin `hostile`, which chooses where rows go (the sink shows it as their routing)";
    assert_eq!(refused(&rig, "POST", "/v1/apply", &all(&routed)).await, exposed(&rig, chooses));
    let stored = rig.forebay.api("GET", "/v1/export", None).await.unwrap().json();
    assert_eq!(stored["routes"], json!({}), "nothing was stored");

    // masked, and the same with what is allowed
    rig.apply(&all(&rig.route(file.clone(), json!([mask("email")])))).await;
    let mut places = routed;
    places["allow_pii"] = json!(["email"]);
    rig.apply(&json!({ "routes": { "file": places } })).await;
    let mut allowed = plain.clone();
    allowed["allow_pii"] = json!(["email"]);
    rig.apply(&json!({ "routes": { "file": allowed } })).await;
    assert_eq!(
        refused(&rig, "PUT", "/v1/routes/file", &plain).await,
        exposed(&rig, "comes out as it is"),
        "a document alone is judged as well"
    );

    // a plugin that no longer hides it
    let marked = rig.route(file, json!([{ "plugin": "marker", "config": { "hide": ["email"] } }]));
    rig.apply(&json!({ "routes": { "file": marked } })).await;
    let forgets = json!({ "plugins": { "marker": marker(9) } });
    assert_eq!(refused(&rig, "POST", "/v1/apply", &forgets).await, exposed(&rig, "comes out as it is"));

    // another tag, of a column that is delivered already
    insert(&rig, "id, email, note", &format!("(1, '{EMAIL}', 'n')")).await;
    rig.passed("file", 1).await;
    let tags = tagged(&rig, &["email", "note"]);
    let problems = refused(&rig, "PUT", "/v1/sources/db", &tags).await;
    assert!(problems.len() == 1 && problems[0].contains("column `note`"), "{problems:?}");
    let after = json!({ "id": 1, "note": "n", "version": "1" });
    assert_eq!(records(&path)[0]["after"], after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_a_table_that_would_expose_a_column_stops_its_route_before_its_first_row() {
    let (rig, _) = rig().await;
    let source = tagged(&rig, &["email", "phone"]);
    let (file, path) = rig.file("changes");
    let (other, _) = rig.file("other");
    let hide = |columns: Value| json!([{ "plugin": "marker", "config": { "hide": columns } }]);
    let route = rig.route(file.clone(), hide(json!(["email"])));
    let beside = rig.route(other, hide(json!(["email", "phone", "mail", "mobile"])));
    let answer = rig
        .forebay
        .api(
            "POST",
            "/v1/apply",
            Some(&json!({ "sources": { "db": source }, "plugins": { "marker": marker(1) },
            "routes": { "file": route, "other": beside } })),
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // a tag that means nothing yet is told
    assert!(answer.json()["warnings"].to_string().contains("phone"), "{}", answer.text());
    rig.reading().await;
    insert(&rig, "id, email", &format!("(1, '{EMAIL}')")).await;
    rig.passed("file", 1).await;

    // a new column of a tagged name
    rig.database.exec("ALTER TABLE t ADD phone VARCHAR(20)").await.unwrap();
    insert(&rig, "id, email, phone", &format!("(2, '{EMAIL}', '555-1')")).await;
    let stopped = rig.in_state("file", "failed").await;
    assert_eq!(stopped["fault"]["code"], "pii.exposed", "{stopped}");
    let message = stopped["fault"]["message"].as_str().unwrap();
    assert!(message.contains("route file") && message.contains("column `phone`"), "{message}");
    assert_eq!(rig.passed("other", 2).await["state"], "running", "other routes go on");
    // as often as it is resumed
    rig.post("/v1/routes/file/resume").await;
    rig.in_state("file", "failed").await;
    assert_eq!(records(&path).len(), 1);
    // it goes on by itself once that is mended
    rig.apply(&json!({ "routes": { "file": rig.route(file.clone(), hide(json!(["email", "phone"]))) } }))
        .await;
    rig.passed("file", 2).await;

    // a column that is renamed to a tagged name
    rig.database.exec("ALTER TABLE t DROP COLUMN phone").await.unwrap();
    insert(&rig, "id, email, note", &format!("(3, '{EMAIL}', 'fine')")).await;
    rig.passed("file", 3).await;
    rig.apply(&json!({ "routes": { "file": rig.route(file.clone(), hide(json!(["email"]))) } })).await;
    rig.database.exec("ALTER TABLE t RENAME COLUMN note TO phone").await.unwrap();
    insert(&rig, "id, email, phone", &format!("(4, '{EMAIL}', '555-2')")).await;
    assert_eq!(rig.in_state("file", "failed").await["fault"]["code"], "pii.exposed");
    let mut allows = rig.route(file.clone(), hide(json!(["email"])));
    allows["allow_pii"] = json!(["phone"]);
    rig.apply(&json!({ "routes": { "file": allows } })).await;
    rig.passed("file", 4).await;

    // a tagged column that is renamed to one that is not, with a restart between
    rig.database.exec("ALTER TABLE t RENAME COLUMN email TO mail").await.unwrap();
    insert(&rig, "id, mail", &format!("(5, '{EMAIL}')")).await;
    assert_eq!(rig.in_state("file", "failed").await["fault"]["code"], "pii.exposed");
    let mut rig = rig;
    rig.forebay.kill9().unwrap();
    rig.forebay.start_again().await.unwrap();
    let stopped = rig.in_state("file", "failed").await;
    assert!(stopped["fault"]["message"].as_str().unwrap().contains("`mail`"), "{stopped}");
    let tags = tagged(&rig, &["email", "mail", "phone"]);
    let mut hides = rig.route(file, hide(json!(["email", "mail"])));
    hides["allow_pii"] = json!(["phone"]);
    rig.apply(&json!({ "sources": { "db": tags }, "routes": { "file": hides } })).await;
    rig.passed("file", 5).await;

    let told = records(&path);
    assert_eq!(told.iter().map(|r| r["after"]["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(!json!(told).to_string().contains(EMAIL));
    assert_eq!(told[3]["after"]["phone"], "555-2", "what is allowed arrives");
    // not in the whole record: a time may hold these digits
    assert!(told[..3].iter().all(|r| !json!([r["before"], r["after"]]).to_string().contains("555")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_cannot_say_that_a_tagged_column_is_fine_as_it_came() {
    let (rig, source) = rig().await;
    let (file, path) = rig.file("changes");
    // its plan replaces the column, and it answers that nothing changes
    let transforms = json!([{ "plugin": "hostile", "config": { "do": "unchanged" } }]);
    let mut route = rig.route(file, transforms);
    rig.apply(&json!({
        "sources": { "db": source }, "plugins": { "hostile": plugin("hostile") }, "routes": { "file": route },
    }))
    .await;
    insert(&rig, "id, email", &format!("(1, '{EMAIL}')")).await;
    assert_eq!(rig.passed("file", 1).await["counts"]["dead"], 1);
    assert!(records(&path).is_empty());
    let letters = rig.forebay.api("GET", "/v1/routes/file/dead-letters", None).await.unwrap().text();
    assert!(letters.contains("transform.bad_output") && !letters.contains(EMAIL), "{letters}");
    assert!(!rig.forebay.log().contains(EMAIL));
    // nor does what is kept of the event hold the value
    let mut rig = rig;
    rig.forebay.stop().await.unwrap();
    let kept = std::fs::read(rig.forebay.data_dir().join("control.redb")).unwrap();
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("(pii)") && !holds(EMAIL));
    rig.forebay.start_again().await.unwrap();
    // where it is allowed, it may
    route["allow_pii"] = json!([format!("{}.t.email", rig.database.name())]);
    rig.apply(&json!({ "routes": { "file": route } })).await;
    insert(&rig, "id, email", &format!("(2, '{EMAIL}')")).await;
    rig.passed("file", 2).await;
    assert_eq!(records(&path)[0]["after"]["email"], EMAIL);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_changes_sees_no_tagged_value_unless_it_is_asked_for() {
    let (rig, source) = rig().await;
    rig.apply(&json!({ "sources": { "db": source } })).await;
    insert(&rig, "id, email", &format!("(1, '{EMAIL}'), (2, NULL)")).await;
    let head = || async {
        let source = rig.status().await["sources"][0].clone();
        if source["head"].as_u64() >= Some(2) { Ok(()) } else { Err(source.to_string()) }
    };
    eventually("it is read", LONG, head).await;
    for format in ["lines", "debezium"] {
        let path = format!("/v1/sources/db/tail?from=earliest&count=2&format={format}");
        let masked = rig.forebay.api("GET", &path, None).await.unwrap().text();
        assert!(masked.contains("(pii)") && !masked.contains(EMAIL), "{masked}");
        let shown = rig.forebay.api("GET", &format!("{path}&pii=shown"), None).await.unwrap().text();
        assert!(shown.contains(EMAIL), "{shown}");
    }
    let audit = rig.forebay.api("GET", "/v1/audit", None).await.unwrap().text();
    assert!(audit.contains("show pii"), "{audit}");
}
