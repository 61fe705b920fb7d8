//! Bad definitions are answered with every problem and its place, and nothing of them is applied.

use forebay_kit::{Server, free_port};
use serde_json::{Value, json};

use crate::rig::{Rig, plugin};

/// `(path, code)` of each problem of a refused apply.
async fn problems(rig: &Rig, definitions: &Value) -> Vec<(String, String)> {
    let answer = rig.forebay.api("POST", "/v1/apply", Some(definitions)).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let body = answer.json();
    let text = |p: &Value, field: &str| p[field].as_str().unwrap().to_owned();
    body["problems"].as_array().unwrap().iter().map(|p| (text(p, "path"), text(p, "code"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_told_and_nothing_is_applied() {
    let rig = Rig::new().await;
    let (file, _) = rig.file("changes");
    let mut source = rig.source(json!({ "colour": "red" }));
    source["mysql"]["password"] = json!("hunter2-in-plain");
    source["mysql"]["prot"] = json!(3306);
    let mut route = rig.route(file, json!([{ "plugin": "nowhere" }]));
    route["sourse"] = json!("db");
    let bad = json!({ "sources": { "db": source }, "routes": { "r": route, "Bad Name": {} } });
    let told = problems(&rig, &bad).await;
    let has = |path: &str, code: &str| told.iter().any(|(p, c)| p == path && c == code);
    assert!(has("sources.db.colour", "definition.unknown_field"), "{told:?}");
    assert!(has("sources.db.mysql.password", "definition.secret_in_plain"), "{told:?}");
    assert!(has("sources.db.mysql.prot", "definition.unknown_field"), "{told:?}");
    assert!(has("routes.r.sourse", "definition.unknown_field"), "{told:?}");
    assert!(told.iter().any(|(p, _)| p.contains("Bad Name")), "{told:?}");
    let answer = rig.forebay.api("POST", "/v1/apply", Some(&bad)).await.unwrap().text() + &rig.forebay.log();
    assert!(!answer.contains("hunter2"), "the secret was repeated: {answer}");
    let status = rig.status().await;
    assert_eq!((&status["sources"], &status["routes"]), (&json!([]), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_world_can_tell_is_told_too() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(100))").await.unwrap();
    let database = rig.database.name();
    let (file, _) = rig.file("changes");
    let source = rig.source(json!({ "tables": [format!("{database}.t"), format!("{database}.tt")] }));
    let definitions = |transform: Value, plugins: Value| {
        let route = rig.route(file.clone(), json!([transform]));
        json!({ "sources": { "db": rig.source(json!({})) }, "plugins": plugins, "routes": { "r": route } })
    };
    let told = problems(&rig, &json!({ "sources": { "db": source } })).await;
    assert_eq!(told, [("sources.db.tables[1]".to_owned(), "engine.no_such_table".to_owned())]);

    // a configuration that the plugin refuses, columns that are not there, secrets in plain and missing ones
    let places = |below: &[&str], word: &str| -> Vec<(String, String)> {
        below.iter().map(|b| (format!("routes.r.transforms[0].config.{b}"), word.to_owned())).collect()
    };
    for (columns, below, word) in [
        (
            json!({ "email": { "kep_first": 1 }, "id": { "keep_last": -1 } }),
            &["columns.email.kep_first", "columns.id.keep_last"][..],
            "transform.config",
        ),
        (
            json!({ "mail": { "null": true }, "e-mail": { "null": true } }),
            &["columns.e-mail", "columns.mail"],
            "transform.schema",
        ),
        (
            json!({ "email": { "hash": { "key": "hunter2" } } }),
            &["columns.email.hash.key"],
            "definition.secret_in_plain",
        ),
        (
            json!({ "email": { "hash": { "key": { "env": "NOT_SET" } } } }),
            &["columns.email.hash.key"],
            "definition.secret_missing",
        ),
    ] {
        let transform = json!({ "plugin": "mask", "config": { "columns": columns } });
        let told = problems(&rig, &definitions(transform, json!({ "mask": plugin("mask") }))).await;
        assert_eq!(told, places(below, word));
    }

    // a plugin that is replaced must suit the routes that are there
    let config = json!({ "columns": { "email": { "keep_domain": true } } });
    rig.apply(&definitions(json!({ "plugin": "mask", "config": config }), json!({ "mask": plugin("mask") })))
        .await;
    let told = problems(&rig, &json!({ "plugins": { "mask": plugin("filter") } })).await;
    let in_config = |path: &str| path.starts_with("routes.r.transforms[0].config");
    assert!(!told.is_empty() && told.iter().all(|(path, _)| in_config(path)), "{told:?}");
    let everything = json!({ "sources": {}, "plugins": {}, "routes": {} });
    let answer = rig.forebay.api("POST", "/v1/apply?prune=true", Some(&everything)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());

    // what is wrong in itself, in the world, and between two routes, in one answer
    let hook = json!({ "webhook": { "url": "http://127.0.0.1:9/", "secret": { "env": "NOT_SET" } } });
    let mut wanted = definitions(
        json!({ "plugin": "mask", "config": { "columns": { "mail": { "null": true } } } }),
        json!({ "mask": plugin("mask") }),
    );
    let mut hooked = rig.route(file.clone(), json!([]));
    hooked["sink"] = hook;
    hooked["tables"] = json!([format!("{database}.gone")]);
    hooked["form"] = json!("earliest");
    wanted["routes"]["hooked"] = hooked;
    wanted["routes"]["twin"] = rig.route(file.clone(), json!([]));
    let told = problems(&rig, &wanted).await;
    let expected = [
        ("routes.hooked.form", "definition.unknown_field"),
        ("routes.twin.sink.file.path", "definition.duplicate"),
        ("routes.hooked.sink.webhook.secret", "definition.secret_missing"),
        ("routes.hooked.tables[0]", "engine.no_such_table"),
        ("routes.r.transforms[0].config.columns.mail", "transform.schema"),
    ];
    assert_eq!(told, expected.map(|(path, code)| (path.to_owned(), code.to_owned())));

    // a web page where a component should be
    use base64::Engine as _;
    let page =
        base64::engine::general_purpose::STANDARD.encode("<!DOCTYPE html><html><body>404</body></html>");
    let wanted = definitions(json!({ "plugin": "mask" }), json!({ "mask": { "wasm": page } }));
    let answer = rig.forebay.api("POST", "/v1/apply", Some(&wanted)).await.unwrap();
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("HTML"), "{}", answer.text());

    assert_eq!(rig.status().await["routes"], json!([]));
    assert_eq!(rig.status().await["sources"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_cannot_take_its_offset_to_another_source() {
    let rig = Rig::new().await;
    let (file, _) = rig.file("changes");
    let sources = json!({ "db": rig.source(json!({})), "other": rig.source(json!({})) });
    let mut route = rig.route(file, json!([]));
    rig.apply(&json!({ "sources": sources, "routes": { "r": route.clone() } })).await;
    route["source"] = json!("other");
    let told = problems(&rig, &json!({ "routes": { "r": route } })).await;
    assert_eq!(told, [("routes.r.source".to_owned(), "engine.source_changed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_a_source_is_told_when_the_source_is_made() {
    let server =
        Server::start(&["--binlog-format=STATEMENT", "--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let database = server.database("unfit").await.unwrap();
    let rig = Rig::on(&server, database).await;
    rig.database.exec("CREATE TABLE t (a INT)").await.unwrap();
    let source = rig.source(json!({}));
    let definitions = json!({ "sources": { "db": source.clone() } });
    let put = async |path: &str, source: &Value| {
        let answer = rig.forebay.api("PUT", path, Some(source)).await.unwrap();
        (answer.status.as_u16(), answer.json())
    };
    // both ways of making one: what cannot work is a problem, with its fix
    let refused = [("sources.db.mysql".to_owned(), "mysql.binlog_format".to_owned())];
    assert_eq!(problems(&rig, &definitions).await, refused);
    let (status, told) = put("/v1/sources/db", &source).await;
    assert_eq!(status, 422, "{told}");
    assert!(told["problems"][0]["suggestion"].as_str().unwrap().contains("SET PERSIST"), "{told}");
    assert_eq!(rig.status().await["sources"], json!([]));

    // whoever knows better says so, and it is only told
    let checks = |plan: &Value| -> Vec<String> {
        let of = |w: &Value| {
            assert_eq!(w["path"], "sources.db.mysql");
            w["check"].as_str().unwrap().to_owned()
        };
        plan["warnings"].as_array().unwrap().iter().map(of).collect()
    };
    let plan =
        rig.forebay.api("POST", "/v1/apply?force=true&dry_run=true", Some(&definitions)).await.unwrap();
    let told = checks(&plan.json());
    for check in ["binlog_format", "binlog_row_metadata", "keys"] {
        assert!(told.iter().any(|c| c == check), "{check}: {told:?}");
    }
    assert_eq!(put("/v1/sources/db?force=true", &source).await.0, 201);
    // and what is changed elsewhere is no question of the server
    assert_eq!(put("/v1/sources/db", &rig.source(json!({ "retain": { "hours": 2 } }))).await.0, 200);
    let answer = rig.forebay.api("DELETE", "/v1/sources/db", None).await.unwrap();
    assert_eq!(answer.status, 204);

    // mended, there is advice
    server.exec("SET PERSIST binlog_format = 'ROW'").await.unwrap();
    let file = rig.forebay.folder().join("forebay.json");
    std::fs::write(&file, definitions.to_string()).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(["apply", "--url", &rig.forebay.url(), "-f"])
        .arg(&file)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}");
    assert!(told.contains("note sources.db.mysql binlog_row_metadata: ") && told.contains("fix: "), "{told}");
    rig.reading().await;

    // a server that does not answer is no problem of a definition, a password that it refuses is
    let mut away = source.clone();
    away["mysql"]["port"] = json!(free_port());
    let plan =
        rig.forebay.api("POST", "/v1/apply", Some(&json!({ "sources": { "away": away } }))).await.unwrap();
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert_eq!(plan.json()["warnings"][0]["check"], "tcp", "{}", plan.text());
    let mut stranger = source.clone();
    stranger["mysql"]["user"] = json!("nobody");
    let told = problems(&rig, &json!({ "sources": { "stranger": stranger } })).await;
    assert_eq!(told, [("sources.stranger.mysql".to_owned(), "mysql.auth".to_owned())]);
}
