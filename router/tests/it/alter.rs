//! Tables altered in every way, between and during writes, while Forebay runs and while it is away, with and without names in the
//! binlog: what arrives has the names and values that the server said at that moment, or its table stands aside and loses nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::mysql_async::{Conn, Row};
use forebay_kit::{Database, Server, eventually, mysql};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig, records};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), e ENUM('x','y') CHARSET latin1, u INT UNSIGNED, \
    x TEXT CHARSET latin1, s SET('p','q'), d DECIMAL(5,2) NOT NULL DEFAULT 1)";

/// Every kind of change.
const CHANGES: &[&str] = &[
    "ALTER TABLE t ADD COLUMN n1 INT DEFAULT 7 FIRST",
    "ALTER TABLE t ADD n2 CHAR(3) DEFAULT 'né' AFTER id",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t RENAME COLUMN n1 TO n2, RENAME COLUMN n2 TO n1",
    "ALTER TABLE t CHANGE u big BIGINT UNSIGNED NULL AFTER s",
    "ALTER TABLE t MODIFY e ENUM('x','new','y') CHARSET utf8mb4 FIRST",
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb3",
    "ALTER TABLE t ADD inst INT DEFAULT 3, ALGORITHM=INSTANT",
    "ALTER TABLE t DROP COLUMN inst, ALGORITHM=INSTANT",
    "ALTER TABLE t RENAME COLUMN big TO small, ALGORITHM=INSTANT",
    "ALTER TABLE t MODIFY d DECIMAL(20,4) NULL FIRST, ADD INDEX i (d)",
    "ALTER TABLE t ADD v INT AS (id * 2) VIRTUAL, ADD w INT AS (id * 3) STORED, ADD h INT INVISIBLE DEFAULT 9",
    "RENAME TABLE t TO t2; RENAME TABLE t2 TO t",
    "TRUNCATE TABLE t",
    // as gh-ost does: the rows copied, then both tables swapped at once
    "CREATE TABLE _t_gho LIKE t; ALTER TABLE _t_gho ADD ghost INT DEFAULT 5 FIRST; \
     INSERT IGNORE INTO _t_gho (id) SELECT id FROM t; RENAME TABLE t TO _t_del, _t_gho TO t; DROP TABLE _t_del",
    // as pt-online-schema-change does: triggers write to both tables
    "CREATE TABLE _t_new LIKE t; ALTER TABLE _t_new ADD osc INT DEFAULT 6 AFTER id; \
     CREATE TRIGGER osc_ins AFTER INSERT ON t FOR EACH ROW REPLACE INTO _t_new (id) VALUES (NEW.id); \
     INSERT IGNORE INTO _t_new (id) SELECT id FROM t; RENAME TABLE t TO _t_old, _t_new TO t; DROP TABLE _t_old",
    "DROP TABLE t; CREATE TABLE t (other VARCHAR(20) CHARSET koi8r, id BIGINT UNSIGNED PRIMARY KEY)",
    "DROP TABLE t; CREATE TABLE t (PRIMARY KEY (id)) AS SELECT CAST(5 AS UNSIGNED) id, 'x' y",
];

/// One change of `t`, as it must arrive: the operation, and the row as names and texts.
type Told = (String, Vec<(String, Option<String>)>);

/// What the server itself says of a row, by the names that its columns have now.
async fn row(conn: &mut Conn, id: u64) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let names: Vec<String> = conn
        .query(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' \
             ORDER BY ORDINAL_POSITION",
        )
        .await?;
    let list: Vec<String> =
        names.iter().map(|n| format!("CAST(`{n}` AS CHAR CHARACTER SET utf8mb4)")).collect();
    let row: Option<Row> =
        conn.query_first(format!("SELECT {} FROM t WHERE id = {id}", list.join(", "))).await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("no row {id}"))?;
    Ok(names.into_iter().enumerate().map(|(i, name)| (name, row.get(i).expect("as many as names"))).collect())
}

/// Writes a row and, for every third, deletes it again. In one transaction with the question what it looks like: no ALTER can come
/// between.
async fn write(conn: &mut Conn, id: u64, told: &mut Vec<Told>) -> anyhow::Result<()> {
    let written = async {
        conn.query_drop(format!("BEGIN; INSERT INTO t (id) VALUES ({id})")).await?;
        let row = row(conn, id).await?;
        if id.is_multiple_of(3) {
            conn.query_drop(format!("DELETE FROM t WHERE id = {id}")).await?;
        }
        conn.query_drop("COMMIT").await?;
        anyhow::Ok(row)
    };
    match written.await {
        Ok(row) => {
            told.push(("c".to_owned(), row.clone()));
            if id.is_multiple_of(3) {
                told.push(("d".to_owned(), row));
            }
            Ok(())
        }
        Err(error) => {
            conn.query_drop("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn run(database: &Database, statements: &str) {
    let mut conn = database.connect().await.unwrap();
    for sql in statements.split("; ") {
        conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    conn.disconnect().await.unwrap();
}

/// Makes a change between writes, and during them.
async fn change(rig: &Rig, statements: &str, next: &mut u64, told: &mut Vec<Told>) {
    let mut conn = rig.database.connect().await.unwrap();
    // before
    for _ in 0..3 {
        *next += 1;
        write(&mut conn, *next, told).await.unwrap();
    }
    let is_over = AtomicBool::new(false);
    let during = async {
        let mut written = 0;
        while !is_over.load(Ordering::Relaxed) || written == 0 {
            *next += 1;
            // the table may be away just now
            written += u32::from(write(&mut conn, *next, told).await.is_ok());
        }
    };
    let altered = async {
        run(&rig.database, statements).await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(during, altered);
    // and behind
    for _ in 0..3 {
        *next += 1;
        write(&mut conn, *next, told).await.unwrap();
    }
    conn.disconnect().await.unwrap();
}

/// What the file tells of `t`.
fn arrived(events: &[Value]) -> Vec<Told> {
    let of_t = events.iter().filter(|e| e["source"]["table"] == "t");
    let told = of_t.map(|event| {
        let image = if event["op"] == "d" { &event["before"] } else { &event["after"] };
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let row = image.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value)));
        (event["op"].as_str().unwrap().to_owned(), sorted(row.collect()))
    });
    // a table made from a SELECT has the row of that
    let made = vec![("id".to_owned(), Some("5".to_owned())), ("y".to_owned(), Some("x".to_owned()))];
    told.filter(|(_, row)| *row != made).collect()
}

/// JSON has no order of names.
fn sorted(mut row: Vec<(String, Option<String>)>) -> Vec<(String, Option<String>)> {
    row.sort();
    row
}

async fn every_change(server: &Server, is_away: bool) {
    let database = server.database(if is_away { "away" } else { "up" }).await.unwrap();
    let mut rig = Rig::on(server, database).await;
    run(&rig.database, TABLE).await;
    run(&rig.database, "CREATE TABLE other (id INT PRIMARY KEY)").await;
    let (mut file, path) = rig.file("changes");
    file["file"]["format"] = json!({ "debezium": { "decimal": "string" } });
    let route = rig.route(file, json!([]));
    rig.apply(&json!({ "sources": { "db": rig.source(json!({})) }, "routes": { "file": route } })).await;
    let (mut next, mut told) = (0, Vec::new());
    let mut conn = rig.database.connect().await.unwrap();
    next += 1;
    write(&mut conn, next, &mut told).await.unwrap();
    for (i, statements) in CHANGES.iter().enumerate() {
        if is_away && i % 2 == 0 {
            rig.forebay.kill9().unwrap();
        } else if is_away {
            rig.forebay.stop().await.unwrap();
        }
        let before = told.len();
        change(&rig, statements, &mut next, &mut told).await;
        rig.database.exec(&format!("INSERT INTO other VALUES ({i})")).await.unwrap();
        if is_away {
            rig.forebay.start_again().await.unwrap();
        }
        let got = eventually("all has arrived", LONG, || async {
            let events = records(&path);
            let others = events.iter().filter(|e| e["source"]["table"] == "other").count();
            let got = arrived(&events);
            let is_all = got.len() >= told.len() && others == i + 1;
            let quarantined = &rig.status().await["sources"][0]["quarantined"];
            if is_all {
                Ok(got)
            } else {
                Err(format!("{statements}: {} of {}; {quarantined}", got.len(), told.len()))
            }
        })
        .await;
        let wanted: Vec<Told> = told.iter().map(|(op, row)| (op.clone(), sorted(row.clone()))).collect();
        assert_eq!(got[before..], wanted[before..], "{statements}");
        assert_eq!(got.len(), wanted.len(), "{statements}");
    }
    assert_eq!(rig.status().await["sources"][0]["quarantined"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_arrives_with_its_names_where_the_binlog_has_them() {
    let server = mysql().await;
    every_change(server, false).await;
    every_change(server, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_arrives_with_its_names_where_the_binlog_has_none() {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    every_change(&server, false).await;
    every_change(&server, true).await;
}

/// Changes that the binlog does not have, of `CREATE TABLE NAME (id INT PRIMARY KEY, a INT, b INT)`, by the table's name; and
/// whether rows of before and after are told apart by their types.
const HIDDEN: &[(&str, &str, bool)] = &[
    ("added", "ADD COLUMN n INT DEFAULT 4 FIRST", true),
    ("dropped", "DROP COLUMN a", true),
    ("modified", "MODIFY a VARCHAR(20)", true),
    ("moved", "MODIFY a INT AFTER b", false),
    ("renamed", "RENAME COLUMN a TO c", false),
    ("swapped", "RENAME COLUMN a TO b, RENAME COLUMN b TO a", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_hidden_while_forebay_is_away_puts_its_table_aside() {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    let database = server.database("hidden").await.unwrap();
    let mut rig = Rig::on(&server, database).await;
    rig.database.exec("CREATE TABLE fine (id INT PRIMARY KEY, a INT)").await.unwrap();
    for (table, ..) in HIDDEN {
        let sql = format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, a INT, b INT); INSERT INTO {table} VALUES (1, 10, 20)"
        );
        rig.database.exec(&sql).await.unwrap();
    }
    let (file, path) = rig.file("changes");
    let route = rig.route(file, json!([]));
    let source = rig.source(json!({ "start": "earliest" }));
    rig.apply(&json!({ "sources": { "db": source }, "routes": { "file": route } })).await;
    rig.passed("file", HIDDEN.len()).await;

    assert!(rig.forebay.stop().await.unwrap().success());
    for (table, clause, is_told) in HIDDEN {
        // rows whose types tell that they are of before are no riddle
        if *is_told {
            rig.database.exec(&format!("INSERT INTO {table} VALUES (2, 11, 21)")).await.unwrap();
        }
        let alter = format!("SET sql_log_bin = 0; ALTER TABLE {table} {clause}; SET sql_log_bin = 1");
        rig.database.exec(&alter).await.unwrap();
        rig.database.exec(&format!("INSERT INTO {table} (id, b) VALUES (3, 22)")).await.unwrap();
    }
    // a change that is not hidden is none that matters
    rig.database.exec("ALTER TABLE fine RENAME COLUMN a TO z; INSERT INTO fine VALUES (1, 1)").await.unwrap();
    rig.forebay.start_again().await.unwrap();
    eventually("each of them stands aside", LONG, || async {
        let source = rig.status().await["sources"][0].clone();
        let aside = source["quarantined"].as_array().unwrap().len();
        if aside == HIDDEN.len() { Ok(()) } else { Err(source.to_string()) }
    })
    .await;
    let of = |table: &str| -> Vec<Value> {
        let events = records(&path);
        events.iter().filter(|e| e["source"]["table"] == table).map(|e| e["after"].clone()).collect()
    };
    eventually("the other table goes on", LONG, || async { of("fine").len() == 1 }).await;
    assert_eq!(of("fine"), [json!({ "id": 1, "z": 1 })]);
    for (table, _, is_told) in HIDDEN {
        let before = [json!({ "id": 1, "a": 10, "b": 20 }), json!({ "id": 2, "a": 11, "b": 21 })];
        assert_eq!(of(table), before[..1 + usize::from(*is_told)], "{table}: nothing is guessed");
    }

    for (table, ..) in HIDDEN {
        rig.database.exec(&format!("INSERT INTO {table} (id, b) VALUES (4, 23)")).await.unwrap();
        let release = json!({ "database": rig.database.name(), "table": table });
        let answer = rig.forebay.api("POST", "/v1/sources/db/release", Some(&release)).await.unwrap();
        assert_eq!(answer.status, 204, "{table}: {}", answer.text());
    }
    for (table, _, is_told) in HIDDEN {
        let wanted = 3 + usize::from(*is_told);
        eventually("what was kept has come", LONG, || async {
            let got = of(table);
            if got.len() == wanted { Ok(()) } else { Err(format!("{table}: {got:?}")) }
        })
        .await;
        let mut conn = rig.database.connect().await.unwrap();
        let names: Vec<String> = conn
            .query(format!("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'"))
            .await
            .unwrap();
        for row in &of(table)[wanted - 2..] {
            let row = row.as_object().unwrap();
            assert!(
                row.len() == names.len() && names.iter().all(|n| row.contains_key(n)),
                "{table}: {row:?}"
            );
            assert!(row["b"] == 22 || row["b"] == 23, "{table}: {row:?}");
        }
    }

    // aside once more: what was kept then has come already, and what was told before counts no more
    rig.database
        .exec("SET sql_log_bin = 0; ALTER TABLE added ADD COLUMN o INT FIRST; SET sql_log_bin = 1; INSERT INTO added (id, b) VALUES (5, 24)")
        .await
        .unwrap();
    eventually("it stands aside again", LONG, || async {
        rig.status().await["sources"][0]["quarantined"].as_array().unwrap().len() == 1
    })
    .await;
    // what is delivered is durable, and so is what came before it
    rig.database.exec("INSERT INTO fine VALUES (2, 2)").await.unwrap();
    eventually("the other table goes on", LONG, || async { of("fine").len() == 2 }).await;
    // known also to a Forebay that does not reach the server, so that nothing that was kept is deleted
    rig.forebay.kill9().unwrap();
    server.stop().await.unwrap();
    rig.forebay.start_again().await.unwrap();
    let source = rig.status().await["sources"][0].clone();
    assert_eq!(source["quarantined"][0]["table"], "added", "{source}");
    server.start_again().await.unwrap();
    let release = json!({ "database": rig.database.name(), "table": "added" });
    eventually("it is released again", LONG, || async {
        let answer = rig.forebay.api("POST", "/v1/sources/db/release", Some(&release)).await.unwrap();
        if answer.status == 204 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    rig.database.exec("INSERT INTO added (id, b) VALUES (6, 25)").await.unwrap();
    eventually("what came last has come", LONG, || async {
        of("added").last().is_some_and(|row| row["id"] == 6)
    })
    .await;
    let ids: Vec<u64> = of("added").iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
}
