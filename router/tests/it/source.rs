//! A source's own life, over REST: moved by hand, tables whose definition is lost, and the timeline of schema changes.

use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

async fn post(rig: &Rig, path: &str, body: &Value) -> (u16, Value) {
    let answer = rig.forebay.api("POST", path, Some(body)).await.unwrap();
    let text = answer.text();
    (answer.status.as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().map(|e| e["after"]["id"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_moved_only_with_a_yes_and_says_the_gap() {
    let rig = Rig::new().await;
    rig.database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let (file, path) = rig.file("changes");
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) }, "routes": { "file": rig.route(file, json!([])) } }))
        .await;
    rig.database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    rig.passed("file", 1).await;
    let begun = rig.status().await["sources"][0]["position"]["gtids"].as_str().unwrap().to_owned();
    rig.database.exec("INSERT INTO t VALUES (2)").await.unwrap();
    rig.passed("file", 2).await;

    let back = json!({ "to": { "gtids": begun } });
    let (status, plan) = post(&rig, "/v1/sources/db/position", &back).await;
    assert_eq!((status, &plan["moved"]), (200, &json!(false)), "{plan}");
    assert!(plan["gap"]["again_count"].as_u64() >= Some(1), "{plan}");
    assert_eq!(ids(&records(&path)), [1, 2], "asking does nothing");
    let (status, done) =
        post(&rig, "/v1/sources/db/position", &json!({ "to": back["to"], "confirm": true })).await;
    assert_eq!((status, &done["moved"]), (200, &json!(true)), "{done}");
    rig.passed("file", 3).await;
    assert_eq!(ids(&records(&path)), [1, 2, 2], "what was read since comes again, and nothing else");
    let audit = rig.forebay.api("GET", "/v1/audit", None).await.unwrap().text();
    assert!(audit.contains("\"position\""), "{audit}");

    // what cannot be is refused and changes nothing
    for to in [json!({ "gtids": "nonsense" }), json!({ "time": "yesterday" }), json!("sideways")] {
        let (status, refused) =
            post(&rig, "/v1/sources/db/position", &json!({ "to": to, "confirm": true })).await;
        assert!((400..500).contains(&status), "{status} {refused}");
    }
    let outlook = rig.forebay.api("GET", "/v1/sources/db/outlook", None).await.unwrap();
    assert!(outlook.json()["oldest_file_needed"].is_string(), "{}", outlook.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_definition_is_lost_stands_aside_until_somebody_says_it() {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let database = server.database("lost").await.unwrap();
    let rig = Rig::on(&server, database).await;
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20)); CREATE TABLE fine (id INT PRIMARY KEY)")
        .await
        .unwrap();
    let (file, path) = rig.file("changes");
    let mut timeline = rig.route(rig.file("timeline").0, json!([]));
    timeline["tables"] = json!(["forebay.schema_changes"]);
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({ "tables": [format!("{}.*", rig.database.name())] })) },
        "routes": { "file": rig.route(file, json!([])), "timeline": timeline },
    }))
    .await;
    rig.database.exec("INSERT INTO t VALUES (1, 'one')").await.unwrap();
    rig.passed("file", 1).await;

    // a change that the binlog does not have
    let mut conn = rig.database.connect().await.unwrap();
    use forebay_kit::mysql_async::prelude::Queryable as _;
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    conn.query_drop("ALTER TABLE t ADD COLUMN b INT FIRST").await.unwrap();
    conn.query_drop("SET sql_log_bin = 1").await.unwrap();
    rig.database.exec("INSERT INTO t (b, id, a) VALUES (7, 2, 'two'); INSERT INTO fine VALUES (1); UPDATE t SET a = 'zwei' WHERE id = 2").await.unwrap();
    let quarantined = eventually("the table stands aside", LONG, || async {
        let source = rig.status().await["sources"][0].clone();
        let aside = source["quarantined"].as_array().unwrap().len();
        if aside == 1 { Ok(source["quarantined"][0].clone()) } else { Err(source.to_string()) }
    })
    .await;
    assert_eq!((&quarantined["database"], &quarantined["table"]), (&json!(rig.database.name()), &json!("t")));
    eventually("other tables go on", LONG, || async { records(&path).len() == 2 }).await;

    let name = rig.database.name();
    let release = json!({ "database": name, "table": "t" });
    assert_eq!(
        post(&rig, "/v1/sources/db/release", &json!({ "database": name, "table": "fine" })).await.0,
        422
    );
    let wrong = json!({ "database": name, "table": "t", "definition": "CREATE TABLE t (id INT)" });
    let (status, refused) = post(&rig, "/v1/sources/db/release", &wrong).await;
    assert_eq!(status, 422, "{refused}");
    let (status, told) = post(&rig, "/v1/sources/db/release", &release).await;
    assert_eq!(status, 204, "{told}");
    rig.database.exec("DELETE FROM t WHERE id = 2").await.unwrap();
    eventually("what was kept has come, and what came since", LONG, || async { records(&path).len() == 5 })
        .await;
    let events = records(&path);
    let of_t: Vec<&Value> = events.iter().filter(|e| e["source"]["table"] == "t").collect();
    assert_eq!(of_t[1]["after"], json!({ "b": 7, "id": 2, "a": "two" }));
    assert_eq!((&of_t[2]["op"], &of_t[2]["after"]["a"]), (&json!("u"), &json!("zwei")));
    assert_eq!(of_t[3]["op"], "d");
    assert_eq!(rig.status().await["sources"][0]["quarantined"], json!([]));

    // what nobody knows is given up, and the table goes on
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    conn.query_drop("ALTER TABLE t DROP COLUMN b").await.unwrap();
    conn.query_drop("SET sql_log_bin = 1").await.unwrap();
    rig.database.exec("INSERT INTO t VALUES (5, 'lost'); INSERT INTO fine VALUES (2)").await.unwrap();
    eventually("the table stands aside again", LONG, || async {
        rig.status().await["sources"][0]["quarantined"].as_array().unwrap().len() == 1
    })
    .await;
    let both =
        json!({ "database": name, "table": "t", "give_up": true, "definition": "CREATE TABLE t (id INT)" });
    assert_eq!(post(&rig, "/v1/sources/db/release", &both).await.0, 422);
    let give_up = json!({ "database": name, "table": "t", "give_up": true });
    let (status, told) = post(&rig, "/v1/sources/db/release", &give_up).await;
    assert_eq!(status, 204, "{told}");
    assert_eq!(post(&rig, "/v1/sources/db/release", &give_up).await.0, 422, "it is over");
    rig.database.exec("INSERT INTO t VALUES (6, 'six')").await.unwrap();
    eventually("it goes on", LONG, || async { records(&path).len() == 7 }).await;
    assert_eq!(records(&path)[6]["after"], json!({ "id": 6, "a": "six" }));
    let audit = rig.forebay.api("GET", "/v1/audit", None).await.unwrap().text();
    assert!(audit.contains(&format!("sources/db/{name}.t: 1 events dropped")), "{audit}");

    // statements travel like rows, to whoever names their table
    rig.database.exec("ALTER TABLE fine ADD COLUMN more INT").await.unwrap();
    let timeline = rig.file("timeline").1;
    eventually("the timeline has the ALTER", LONG, || async {
        let told = records(&timeline);
        let alter =
            |e: &Value| e["after"]["statement"].as_str().is_some_and(|s| s.contains("ADD COLUMN more"));
        if told.iter().any(alter) { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}
