//! A tag follows its column: whatever is altered, with and without names in the binlog, while Forebay runs and while it is away.

use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, plugin, records};

const MARK: &str = "ada@secret";

/// Statements on a table, and the column that holds what was `email` behind each; none where it is gone.
type Story = Vec<(String, Option<String>)>;

/// What people do.
fn known() -> Vec<Story> {
    let story = |steps: &[(&str, &str)]| {
        let column = |c: &str| (!c.is_empty()).then(|| c.to_owned());
        steps.iter().map(|(sql, c)| ((*sql).to_owned(), column(c))).collect()
    };
    vec![
        story(&[("ALTER TABLE {t} DROP COLUMN note, RENAME COLUMN email TO note", "note")]),
        story(&[("ALTER TABLE {t} RENAME COLUMN email TO note, RENAME COLUMN note TO email", "note")]),
        story(&[("ALTER TABLE {t} RENAME COLUMN email TO contact, ADD COLUMN email VARCHAR(80)", "contact")]),
        story(&[("ALTER TABLE {t} CHANGE email mail VARCHAR(90) FIRST, ADD email INT", "mail")]),
        story(&[
            ("ALTER TABLE {t} ADD COLUMN x VARCHAR(80)", "email"),
            ("ALTER TABLE {t} DROP COLUMN x", "email"),
            ("ALTER TABLE {t} RENAME COLUMN email TO x", "x"),
        ]),
        story(&[(
            "ALTER TABLE {t} RENAME COLUMN email TO x; ALTER TABLE {t} DROP note; ALTER TABLE {t} RENAME COLUMN x TO note",
            "note",
        )]),
        story(&[(
            "RENAME TABLE {t} TO {t}_b; RENAME TABLE {t}_b TO {t}; ALTER TABLE {t} RENAME COLUMN email TO x",
            "x",
        )]),
        story(&[(
            "CREATE TABLE _{t}_gho LIKE {t}; ALTER TABLE _{t}_gho DROP note, RENAME COLUMN email TO note; \
             INSERT INTO _{t}_gho (id, note) SELECT id, email FROM {t}; RENAME TABLE {t} TO _{t}_del, _{t}_gho TO {t}; \
             DROP TABLE _{t}_del",
            "note",
        )]),
        story(&[(
            "CREATE TABLE {t}_new (id INT PRIMARY KEY, mail VARCHAR(80), note VARCHAR(80), n VARCHAR(80)); \
             INSERT INTO {t}_new SELECT * FROM {t}; DROP TABLE {t}; RENAME TABLE {t}_new TO {t}",
            "mail",
        )]),
        story(&[("ALTER TABLE {t} ADD e2 VARCHAR(80) AS (LOWER(email)) STORED", "email")]),
        story(&[(
            "ALTER TABLE {t} ADD e2 VARCHAR(80) AS (LOWER(email)), ADD e3 VARCHAR(80) AS (e2)",
            "email",
        )]),
        story(&[
            ("ALTER TABLE {t} RENAME COLUMN email TO x", "x"),
            ("ALTER TABLE {t} DROP COLUMN note, ADD COLUMN note VARCHAR(80) DEFAULT (x)", "x"),
        ]),
        story(&[(
            "SET sql_log_bin = 0; ALTER TABLE {t} RENAME COLUMN email TO mail; SET sql_log_bin = 1",
            "mail",
        )]),
        story(&[(
            "SET sql_log_bin = 0; ALTER TABLE {t} DROP note, RENAME COLUMN email TO note; SET sql_log_bin = 1",
            "note",
        )]),
    ]
}

/// Statements at random; the same ones each time.
fn random(seed: u64) -> Story {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut pick = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut columns: Vec<String> = ["email", "note", "n"].map(str::to_owned).into();
    let mut marked = Some("email".to_owned());
    let mut story = Story::new();
    for step in 0..5 {
        let (at, other) = (pick(columns.len()), pick(columns.len()));
        let (column, second) = (columns[at].clone(), columns[other].clone());
        let place = ["", " FIRST", " AFTER id"][pick(3)];
        let name = format!("c{step}");
        let mut moved = Vec::new();
        let clauses = match pick(6) {
            0 if columns.len() > 1 => {
                columns.remove(at);
                moved.push((column.clone(), None));
                format!("DROP COLUMN {column}")
            }
            1 if column != second => {
                columns.remove(at);
                moved.extend([(column.clone(), None), (second.clone(), Some(column.clone()))]);
                columns.iter_mut().filter(|c| **c == second).for_each(|c| c.clone_from(&column));
                format!("DROP COLUMN {column}, RENAME COLUMN {second} TO {column}")
            }
            2 if column != second => {
                let pair = [(column.clone(), Some(second.clone())), (second.clone(), Some(column.clone()))];
                moved.extend(pair);
                format!("RENAME COLUMN {column} TO {second}, RENAME COLUMN {second} TO {column}")
            }
            3 => {
                moved.push((column.clone(), Some(name.clone())));
                columns.push(name.clone());
                format!("RENAME COLUMN {column} TO {name}, ADD COLUMN {column} VARCHAR(80){place}")
            }
            4 => {
                moved.push((column.clone(), Some(name.clone())));
                columns[at] = name.clone();
                format!("CHANGE COLUMN {column} {name} VARCHAR(99){place}")
            }
            _ => format!("MODIFY COLUMN {column} VARCHAR(100){place}"),
        };
        let now = |was: String| match moved.iter().find(|(from, _)| *from == was) {
            Some((_, to)) => to.clone(),
            None => Some(was),
        };
        marked = marked.and_then(now);
        story.push((format!("ALTER TABLE {{t}} {clauses}"), marked.clone()));
    }
    story
}

async fn nothing_comes_out(metadata: &str, away: bool) {
    let server = Server::start(&[&format!("--binlog-row-metadata={metadata}")]).await.unwrap();
    let mut rig = Rig::on(&server, server.database("it").await.unwrap()).await;
    let stories: Vec<Story> = known().into_iter().chain((0..16).map(random)).collect();
    let mask = json!({ "plugin": "mask", "config": { "columns": { "email": { "text": "x" } }, "missing": "ignore" } });
    let (mut routes, mut tags, mut paths) = (json!({}), json!({}), Vec::new());
    for t in 0..stories.len() {
        let table = "(id INT PRIMARY KEY, email VARCHAR(80), note VARCHAR(80), n VARCHAR(80))";
        rig.database.exec(&format!("CREATE TABLE t{t} {table}")).await.unwrap();
        let (file, path) = rig.file(&format!("r{t}"));
        let mut route = rig.route(file, json!([mask]));
        route["tables"] = json!([format!("{}.t{t}", rig.database.name())]);
        routes[format!("r{t}")] = route;
        tags[format!("{}.t{t}.email", rig.database.name())] = json!(["pii"]);
        paths.push(path);
    }
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({ "tags": tags })) }, "plugins": { "mask": plugin("mask") }, "routes": routes,
    }))
    .await;
    for t in 0..stories.len() {
        rig.database.exec(&format!("INSERT INTO t{t} (id, email) VALUES (0, '{MARK}')")).await.unwrap();
    }
    for t in 0..stories.len() {
        rig.passed(&format!("r{t}"), 1).await;
    }
    if away {
        rig.forebay.kill9().unwrap();
    }
    for (t, story) in stories.iter().enumerate() {
        for (i, (sql, column)) in story.iter().enumerate() {
            let sql = sql.replace("{t}", &format!("t{t}"));
            let row = match column {
                Some(column) => format!("INSERT INTO t{t} (id, {column}) VALUES ({}, '{MARK}')", i + 1),
                None => format!("INSERT INTO t{t} (id) VALUES ({})", i + 1),
            };
            rig.database.exec(&format!("{sql}; {row}")).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }
    rig.database.exec("CREATE TABLE last (id INT PRIMARY KEY); INSERT INTO last VALUES (1)").await.unwrap();
    if away {
        rig.forebay.start_again().await.unwrap();
    }
    // all is read, and each route has passed it or stopped
    let tail = format!("/v1/sources/db/tail?from=earliest&count=1&tables={}.last", rig.database.name());
    rig.forebay.api("GET", &tail, None).await.unwrap();
    eventually("routes settle", LONG, || async {
        let status = rig.status().await;
        let busy = |r: &&Value| r["state"] != "failed" && r["lag_events"] != 0;
        let busy: Vec<String> =
            status["routes"].as_array().unwrap().iter().filter(busy).map(Value::to_string).collect();
        if busy.is_empty() { Ok(()) } else { Err(busy.join("\n")) }
    })
    .await;
    let mut stopped = 0;
    for (t, path) in paths.iter().enumerate() {
        let status = rig.route_status(&format!("r{t}")).await;
        if status["state"] == "failed" {
            assert_eq!(status["fault"]["code"], "pii.exposed", "{status}");
            stopped += 1;
        }
        let told = json!(records(path)).to_string();
        assert!(!told.contains(MARK), "{metadata} {away} {:?}: {told}", stories[t]);
        let preview = format!("/v1/routes/r{t}/preview");
        let shown = rig.forebay.api("POST", &preview, Some(&json!({ "last": 50 }))).await.unwrap();
        assert!(shown.status == 200 && !shown.text().contains(MARK), "{:?}: {}", stories[t], shown.text());
    }
    assert!(stopped >= 8, "{stopped} stopped");
    let head = rig.status().await["sources"][0]["head"].as_u64().unwrap();
    let tail = format!("/v1/sources/db/tail?from=earliest&count={}", head.min(100));
    let shown = rig.forebay.api("GET", &tail, None).await.unwrap().text();
    // a statement copied values into a table that nothing ties to the tagged one, until it takes its name
    let tied = |line: &&str| !line.contains("_new ");
    assert!(
        shown.contains("(pii)") && !shown.lines().filter(tied).any(|line| line.contains(MARK)),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_follows_its_column_through_statements() {
    nothing_comes_out("FULL", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_follows_its_column_without_names_in_the_binlog_while_forebay_is_away() {
    nothing_comes_out("MINIMAL", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_follows_its_column_while_forebay_is_away() {
    nothing_comes_out("FULL", true).await;
}
