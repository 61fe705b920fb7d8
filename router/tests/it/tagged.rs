//! Tags and what becomes of their columns, case by case: later versions, earlier ones, copies, and what the server computes.

use forebay_kit::Server;
use serde_json::{Value, json};

use crate::rig::{Rig, plugin, records};

const MARK: &str = "ada@secret";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_renamed_stays_held_until_somebody_says_what_it_is() {
    let server = forebay_kit::mysql().await;
    let rig = Rig::on(server, server.database("it").await.unwrap()).await;
    let name = rig.database.name().to_owned();
    rig.database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(80), note VARCHAR(80))")
        .await
        .unwrap();
    rig.database.exec("CREATE TABLE u (id INT PRIMARY KEY, x INT)").await.unwrap();
    let source = |columns: &[&str]| {
        let tags: serde_json::Map<_, _> =
            columns.iter().map(|c| (format!("{name}.{c}"), json!(["pii"]))).collect();
        rig.source(json!({ "tags": tags }))
    };
    let mask = |columns: &[&str]| {
        let columns: serde_json::Map<_, _> =
            columns.iter().map(|c| ((*c).to_owned(), json!({ "text": "x" }))).collect();
        json!([{ "plugin": "mask", "config": { "columns": columns, "missing": "ignore" } }])
    };
    let route = |file: &str, transforms: Value| {
        let mut route = rig.route(rig.file(file).0, transforms);
        route["tables"] = json!([format!("{name}.t")]);
        route
    };
    let mut changes = route("changes", json!([]));
    changes["tables"] = json!(["forebay.schema_changes"]);
    rig.apply(&json!({
        "sources": { "db": source(&["t.email"]) }, "plugins": { "mask": plugin("mask") },
        "routes": {
            "both": route("both", mask(&["email", "mail"])), "one": route("one", mask(&["email"])), "changes": changes,
        },
    }))
    .await;
    rig.database.exec("ALTER TABLE t RENAME COLUMN email TO mail").await.unwrap();
    rig.database.exec(&format!("INSERT INTO t VALUES (1, '{MARK}', 'n')")).await.unwrap();
    rig.database.exec(&format!("ALTER TABLE t MODIFY mail VARCHAR(90) DEFAULT '{MARK}'")).await.unwrap();
    rig.passed("both", 1).await;
    let stopped = rig.in_state("one", "failed").await;
    let why = format!("column `mail` of {name}.t, which was {name}.t.email, tagged pii, comes out as it is");
    assert!(stopped["fault"]["message"].as_str().unwrap().contains(&why), "{stopped}");

    // the mask that met it cannot be taken away
    let put = async |path: &str, body: Value| rig.forebay.api("PUT", path, Some(&body)).await.unwrap();
    let answer = put("/v1/routes/both", route("both", mask(&["email"]))).await;
    assert!(answer.status == 422 && answer.text().contains("which was"), "{}", answer.text());
    // what is stopped already is no problem of another tag; a tag that stops more is
    assert_eq!(put("/v1/sources/db", source(&["t.email", "u.x"])).await.status, 200);
    assert_eq!(put("/v1/sources/db", source(&["t.email", "t.note"])).await.status, 422);
    // nobody sees it
    let shown = [
        rig.forebay.api("POST", "/v1/routes/one/preview", Some(&json!({ "last": 5 }))).await.unwrap().text(),
        rig.forebay.api("GET", "/v1/sources/db/tail?from=earliest&count=1", None).await.unwrap().text(),
    ];
    assert!(shown.iter().all(|text| !text.contains(MARK)), "{shown:?}");

    // nor in a statement
    rig.passed("changes", 2).await;
    let told = json!(records(&rig.file("changes").1)).to_string();
    assert!(told.contains("DEFAULT ?") && !told.contains(MARK), "{told}");

    // what is allowed and names nothing is told
    let mut misspelt = route("one", mask(&["email", "mail"]));
    misspelt["allow_pii"] = json!(["emial", "*"]);
    let answer = rig
        .forebay
        .api("POST", "/v1/apply?dry_run=true", Some(&json!({ "routes": { "one": misspelt } })))
        .await
        .unwrap();
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("*.*.emial") && warnings.contains("every column"), "{}", answer.text());

    let mut allowed = route("one", mask(&["email"]));
    allowed["allow_pii"] = json!(["mail"]);
    rig.apply(&json!({ "routes": { "one": allowed } })).await;
    rig.passed("one", 1).await;
    assert_eq!(records(&rig.file("one").1)[0]["after"]["mail"], MARK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_computes_from_a_tagged_column_is_held_without_a_statement() {
    let minimal = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let full = Server::start(&["--binlog-row-metadata=FULL"]).await.unwrap();
    let mariadb = forebay_kit::mariadb().await;
    for server in [&minimal, &full, mariadb] {
        let rig = Rig::on(server, server.database("it").await.unwrap()).await;
        let table = "CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(80), a VARCHAR(80) AS (LOWER(email)) STORED, \
                     b VARCHAR(80) AS (UPPER(a)) VIRTUAL, c VARCHAR(80) DEFAULT '{\"email\": true}')";
        rig.database.exec(table).await.unwrap();
        let tag = format!("{}.t.email", rig.database.name());
        rig.apply(&json!({
            "sources": { "db": rig.source(json!({ "tags": { tag: ["pii"] } })) }, "plugins": { "mask": plugin("mask") },
        }))
        .await;
        rig.reading().await;
        rig.database.exec(&format!("INSERT INTO t (id, email) VALUES (1, '{MARK}')")).await.unwrap();
        let tail = "/v1/sources/db/tail?from=earliest&count=1";
        let shown = rig.forebay.api("GET", tail, None).await.unwrap().text();
        assert!(shown.contains("(pii)") && !shown.to_lowercase().contains(MARK), "{shown}");
        let mask = json!([{ "plugin": "mask", "config": { "columns": { "email": { "text": "x" } } } }]);
        let route = json!({ "routes": { "file": rig.route(rig.file("file").0, mask) } });
        let answer = rig.forebay.api("POST", "/v1/apply", Some(&route)).await.unwrap();
        let told = answer.text();
        let [a, b, c] = ["a", "b", "c"].map(|c| told.contains(&format!("column `{c}` of")));
        assert!(
            answer.status == 422 && a && b && !c && told.contains("which the server computes from"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_from_before_a_column_got_its_tagged_name_are_held() {
    let server = forebay_kit::mysql().await;
    let rig = Rig::on(server, server.database("it").await.unwrap()).await;
    let name = rig.database.name().to_owned();
    for table in [
        "back (id INT, mail TEXT)",
        "staging (id INT, tel TEXT)",
        "old (id INT, mail TEXT)",
        "gone (id INT, mail TEXT)",
    ] {
        rig.database.exec(&format!("CREATE TABLE {table}")).await.unwrap();
    }
    rig.database.exec("CREATE TABLE lagging (id INT, mail TEXT)").await.unwrap();
    let source = |columns: &[&str]| {
        let tags = columns.iter().map(|c| (format!("{name}.{c}"), json!(["pii"])));
        rig.source(json!({ "tags": tags.collect::<serde_json::Map<_, _>>() }))
    };
    let route = |file: &str, tables: &str, masked: &str| {
        let columns = json!({ masked: { "text": "x" } });
        let mask = json!({ "plugin": "mask", "config": { "columns": columns, "missing": "ignore" } });
        let mut route = rig.route(rig.file(file).0, json!([mask]));
        route["tables"] = json!([format!("{name}.{tables}")]);
        route
    };
    let before = ["old.mail", "lagging.email"];
    rig.apply(&json!({
        "sources": { "db": source(&before) }, "plugins": { "mask": plugin("mask") },
        "routes": {
            "old": route("old", "old", "mail"), "lag": route("lag", "lagging", "email"),
            // nobody has tagged it yet
            "open": route("open", "gone", "id"),
        },
    }))
    .await;
    rig.reading().await;
    rig.post("/v1/routes/lag/pause").await;
    for table in ["back", "staging", "old", "gone", "lagging"] {
        rig.database.exec(&format!("INSERT INTO {table} VALUES (1, '{MARK}')")).await.unwrap();
    }
    rig.passed("old", 1).await;
    rig.passed("open", 1).await;
    // of two of them no row comes under the new name
    for sql in [
        "ALTER TABLE back RENAME COLUMN mail TO email",
        "INSERT INTO back VALUES (2, 'later')",
        "ALTER TABLE back DROP COLUMN email",
        "ALTER TABLE gone RENAME COLUMN mail TO email",
        "ALTER TABLE gone RENAME COLUMN email TO mail",
        "ALTER TABLE gone DROP COLUMN mail",
        "INSERT INTO gone VALUES (2)",
        "RENAME TABLE staging TO people",
        "ALTER TABLE old RENAME COLUMN mail TO email",
        "ALTER TABLE lagging RENAME COLUMN mail TO email",
        "CREATE TABLE last (id INT)",
        "INSERT INTO last VALUES (1)",
    ] {
        rig.database.exec(sql).await.unwrap();
    }
    let tail = format!("/v1/sources/db/tail?from=earliest&count=1&tables={name}.last");
    rig.forebay.api("GET", &tail, None).await.unwrap();

    let stops = async |file: &str, why: &str| {
        let stopped = rig.in_state(file, "failed").await;
        assert!(stopped["fault"]["message"].as_str().unwrap().contains(why), "{stopped}");
        let told = json!(records(&rig.file(file).1)).to_string();
        assert!(!told.contains(MARK), "{told}");
        let (path, body) = (format!("/v1/routes/{file}/preview"), json!({ "last": 9 }));
        let shown = rig.forebay.api("POST", &path, Some(&body)).await.unwrap();
        let text = shown.text();
        assert!(shown.status == 200 && text.contains(why) && !text.contains(MARK), "{text}");
    };
    rig.post("/v1/routes/lag/resume").await;
    stops("lag", &format!("column `mail` of {name}.lagging, which became {name}.lagging.email, tagged pii,"))
        .await;

    // a tag that goes leaves a column open that had the name
    let bare = json!({ "sources": { "db": source(&["lagging.email"]) } });
    let answer = rig.forebay.api("POST", "/v1/apply?dry_run=true", Some(&bare)).await.unwrap();
    assert!(answer.json()["warnings"].to_string().contains("a tag is taken away"), "{}", answer.text());

    // tags that come after the renames, one in the place of the old name's
    let after = ["back.email", "gone.email", "people.tel", "old.email", "lagging.email"];
    let answer = rig
        .forebay
        .api(
            "POST",
            "/v1/apply",
            Some(&json!({
                "sources": { "db": source(&after) },
                "routes": {
                    "old": route("old", "old", "email"), "back": route("back", "back", "email"),
                    "gone": route("gone", "gone", "email"), "staging": route("staging", "stag*", "x"),
                },
            })),
        )
        .await
        .unwrap();
    assert!(answer.status == 200 && !answer.text().contains("taken away"), "{}", answer.text());
    stops("back", &format!("column `mail` of {name}.back, which became {name}.back.email, tagged pii,"))
        .await;
    stops("gone", &format!("column `mail` of {name}.gone, which became {name}.gone.email, tagged pii,"))
        .await;
    stops("staging", &format!("column `tel` of {name}.staging, which became {name}.people.tel, tagged pii,"))
        .await;
    let put = json!({ "to": "earliest" });
    assert_eq!(rig.forebay.api("PUT", "/v1/routes/old/offset", Some(&put)).await.unwrap().status, 200);
    stops("old", &format!("column `mail` of {name}.old, which became {name}.old.email, tagged pii,")).await;
    // a replay with the transforms of then is refused before it begins
    let then = json!({ "to": "earliest", "transforms": "then" });
    let answer = rig.forebay.api("PUT", "/v1/routes/open/offset", Some(&then)).await.unwrap();
    let why = format!("column `mail` of {name}.gone, which became {name}.gone.email, tagged pii,");
    assert!(!answer.status.is_success() && answer.text().contains(&why), "{}", answer.text());
    let shown =
        rig.forebay.api("GET", "/v1/sources/db/tail?from=earliest&count=5", None).await.unwrap().text();
    assert!(shown.contains("(pii)") && !shown.contains(MARK), "{shown}");

    // an apply knows it, too, of a table that has the earlier name now
    rig.database.exec("CREATE TABLE staging (id INT, tel TEXT)").await.unwrap();
    let dry = json!({ "routes": { "new": route("new", "staging", "x") } });
    let answer = rig.forebay.api("POST", "/v1/apply?dry_run=true", Some(&dry)).await.unwrap();
    let why = format!("column `tel` of {name}.staging, which became {name}.people.tel, tagged pii,");
    assert!(answer.status == 422 && answer.text().contains(&why), "{}", answer.text());

    // what is allowed goes, by either name
    let mut allowed = route("old", "old", "x");
    allowed["allow_pii"] = json!(["old.email"].map(|c| format!("{name}.{c}")));
    rig.apply(&json!({ "routes": { "old": allowed } })).await;
    rig.passed("old", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_made_like_another_says_nothing_of_that() {
    let server = forebay_kit::mysql().await;
    let rig = Rig::on(server, server.database("it").await.unwrap()).await;
    let name = rig.database.name().to_owned();
    rig.database.exec("CREATE TABLE orders (id INT PRIMARY KEY, name TEXT)").await.unwrap();
    let tags =
        json!({ format!("{name}.orders_eu.name"): ["pii"], format!("{name}.orders_us.name"): ["pii"] });
    let mut route = rig.route(rig.file("orders").0, json!([]));
    route["tables"] = json!([format!("{name}.orders")]);
    rig.apply(
        &json!({ "sources": { "db": rig.source(json!({ "tags": tags })) }, "routes": { "orders": route } }),
    )
    .await;
    rig.reading().await;
    for sql in [
        "INSERT INTO orders VALUES (1, 'a')",
        "CREATE TABLE orders_eu (id INT PRIMARY KEY, name TEXT)",
        "CREATE TABLE orders_us LIKE orders",
        "INSERT INTO orders_us VALUES (1, 'b')",
        "INSERT INTO orders VALUES (2, 'c')",
    ] {
        rig.database.exec(sql).await.unwrap();
    }
    rig.passed("orders", 2).await;
    // it becomes one of them
    for sql in
        ["RENAME TABLE orders TO orders_old, orders_us TO orders", "INSERT INTO orders VALUES (3, 'secret')"]
    {
        rig.database.exec(sql).await.unwrap();
    }
    let stopped = rig.in_state("orders", "failed").await;
    let why = format!("column `name` of {name}.orders, which was {name}.orders_us.name, tagged pii,");
    assert!(stopped["fault"]["message"].as_str().unwrap().contains(&why), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_s_renames_and_defaults_are_followed() {
    let server = forebay_kit::mariadb().await;
    let rig = Rig::on(server, server.database("it").await.unwrap()).await;
    let name = rig.database.name().to_owned();
    let columns = json!({ "email": { "text": "x" }, "mail": { "text": "x" } });
    let mask = json!([{ "plugin": "mask", "config": { "columns": columns, "missing": "ignore" } }]);
    let (mut routes, tag) = (json!({}), format!("{name}.*.email"));
    rig.database
        .exec("CREATE TABLE t0 (id INT PRIMARY KEY, mail TEXT, e2 TEXT AS (LOWER(mail)) STORED)")
        .await
        .unwrap();
    rig.database.exec("CREATE TABLE t1 (id INT PRIMARY KEY, email TEXT, note TEXT)").await.unwrap();
    for t in ["t0", "t1"] {
        routes[t] = rig.route(rig.file(t).0, mask.clone());
        routes[t]["tables"] = json!([format!("{name}.{t}")]);
    }
    let source = rig.source(json!({ "tags": { tag: ["pii"] } }));
    rig.apply(
        &json!({ "sources": { "db": source }, "plugins": { "mask": plugin("mask") }, "routes": routes }),
    )
    .await;
    rig.reading().await;
    for sql in
        ["ALTER TABLE t0 CHANGE mail email TEXT", "ALTER TABLE t1 MODIFY note VARCHAR(80) DEFAULT email"]
    {
        rig.database.exec(sql).await.unwrap();
    }
    for (t, column) in [("t0", "e2"), ("t1", "note")] {
        rig.database.exec(&format!("INSERT INTO {t} (id, email) VALUES (1, '{MARK}')")).await.unwrap();
        let stopped = rig.in_state(t, "failed").await;
        let why = format!("column `{column}` of {name}.{t}, which the server computes from {name}.{t}.email");
        assert!(stopped["fault"]["message"].as_str().unwrap().contains(&why), "{stopped}");
    }
}
