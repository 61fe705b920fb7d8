//! Statements that the binlog holds as text: those that changed rows are a fault and never a loss, and no other stops anybody.

use forebay_kit::{Database, Server};
use forebay_model::Fault;
use forebay_source::codes;
use forebay_source::mysql::{Caution, Config, Start, Stream};

use super::schema::Log;
use super::{config, connect, next, take};

const STATEMENT: &str = "SET SESSION binlog_format = STATEMENT";

/// A database `name` with `t (id)`, which is captured, and one beside it with a view of `t`, a trigger that writes to it, and a
/// table that has nothing to do with it.
async fn two_databases(server: &Server, name: &str) -> (Database, Database, Config) {
    let (shop, beside) = (
        server.database(name).await.expect("the server answers"),
        server.database("beside").await.expect("the server answers"),
    );
    let captured = config(server, &[format!("{}.*", shop.name())]);
    shop.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.expect("the server answers");
    let t = format!("{}.t", shop.name());
    beside
        .exec(&format!(
            "CREATE VIEW vw AS SELECT * FROM {t}; CREATE TABLE x (id INT PRIMARY KEY);
             CREATE TABLE alone (id INT PRIMARY KEY);
             CREATE TRIGGER tr AFTER INSERT ON x FOR EACH ROW INSERT INTO {t} VALUES (NEW.id + 100)"
        ))
        .await
        .expect("the server answers");
    (shop, beside, captured)
}

async fn fault(stream: &mut Stream, what: &str) -> Fault {
    loop {
        match tokio::time::timeout(super::LONG, next(stream)).await {
            Ok(Err(fault)) => break fault,
            Ok(Ok(_)) => {}
            Err(_) => panic!("nothing is said of: {what}"),
        }
    }
}

#[tokio::test]
async fn rows_that_a_statement_changed_are_a_fault_and_not_a_loss() {
    let server = forebay_kit::mysql().await;
    let (shop, beside, captured) = two_databases(server, "text").await;
    for (database, sql) in [
        (&shop, "CREATE TABLE t3 (id INT PRIMARY KEY) SELECT 7 AS id"),
        (&shop, "/*!50000 INSERT INTO t VALUES (1) */"),
        (&beside, "UPDATE vw SET id = id + 1000"),
        (&beside, "INSERT INTO x VALUES (5)"),
    ] {
        let mut stream = connect(&captured, Start::Now).await;
        database.exec(&format!("{STATEMENT}; {sql}")).await.unwrap();
        let fault = fault(&mut stream, sql).await;
        assert_eq!(fault.code(), codes::STATEMENT_EVENT, "{sql}: {fault}");
    }
    // the server says which databases a statement used, also where it runs in a captured one
    let mut stream = connect(&captured, Start::Now).await;
    let alone = format!("{}.alone", beside.name());
    shop.exec(&format!("{STATEMENT}; INSERT INTO {alone} VALUES (1); SET SESSION binlog_format = ROW; INSERT INTO t VALUES (2)"))
        .await
        .unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +2"]);
}

#[tokio::test]
async fn rows_that_a_statement_changed_on_mariadb() {
    let server = forebay_kit::mariadb().await;
    let (shop, _, captured) = two_databases(server, "text").await;
    shop.exec("INSERT INTO t VALUES (1)").await.unwrap();
    for sql in [
        "CREATE TABLE t3 (id INT PRIMARY KEY) SELECT 7 AS id",
        "/*M!100100 INSERT INTO t VALUES (2) */",
        "ANALYZE UPDATE t SET id = id + 5",
        "SET STATEMENT max_statement_time = 100 FOR DELETE FROM t",
    ] {
        let mut stream = connect(&captured, Start::Now).await;
        shop.exec(&format!("{STATEMENT}; {sql}")).await.unwrap();
        let fault = fault(&mut stream, sql).await;
        assert_eq!(fault.code(), codes::STATEMENT_EVENT, "{sql}: {fault}");
    }
}

#[tokio::test]
async fn what_nobody_can_tell_on_mariadb_is_a_caution_that_stays() {
    let server = forebay_kit::mariadb().await;
    let (shop, beside, captured) = two_databases(server, "told").await;
    let mut log = Log::default();
    let mut stream = connect(&captured, Start::Now).await;
    log.read(&mut stream, server).await;
    assert_eq!(stream.cautions(), []);
    shop.exec("INSERT INTO t VALUES (1)").await.unwrap();
    for (count, sql) in ["UPDATE vw SET id = id + 1000", "INSERT INTO x VALUES (5)"].into_iter().enumerate() {
        beside.exec(&format!("{STATEMENT}; {sql}")).await.unwrap();
        log.read(&mut stream, server).await;
        for told in [stream.cautions(), Caution::of_notes(&log.notes())] {
            let [caution] = &told[..] else { panic!("{sql}: {told:?}") };
            let verb = sql.split(' ').next().unwrap();
            assert_eq!(
                (caution.code.as_str(), caution.count),
                (codes::STATEMENT_EVENT.name, count as u64 + 1)
            );
            assert!(caution.message.contains(&format!("{verb} at {}", caution.last)), "{caution:?}");
        }
        // in another process
        stream = log.resume(&captured).await;
    }
    assert_eq!(stream.cautions()[0].count, 2);
    assert_eq!(log.rows(), ["t +id=1"]);
}

/// Statements that change no rows, each with one behind it that does.
async fn none_stops(server: &Server, statements: &[&str]) {
    let (shop, _, captured) = two_databases(server, "none").await;
    let user = format!("u{}", &shop.name()[shop.name().len() - 4..]);
    shop.exec(&format!("CREATE ROLE r{user}; CREATE USER {user}; GRANT r{user} TO {user}"))
        .await
        .expect("the server answers");
    for (id, sql) in statements.iter().enumerate() {
        let mut stream = connect(&captured, Start::Now).await;
        let sql = sql.replace("USER", &user);
        shop.exec(&format!("{sql}; INSERT INTO t (id) VALUES ({id})"))
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        let (got, _) = take(&mut stream, 1).await;
        assert!(got[0].starts_with(&format!("t +{id}")), "{sql}: {got:?}");
    }
    shop.exec(&format!("DROP USER {user}; DROP ROLE r{user}")).await.expect("the server answers");
}

#[tokio::test]
async fn statements_without_rows_stop_nobody() {
    none_stops(
        forebay_kit::mysql().await,
        &["SET DEFAULT ROLE rUSER TO USER", "SET PASSWORD FOR USER = 'Forebay#1'"],
    )
    .await;
}

#[tokio::test]
async fn statements_without_rows_stop_nobody_on_mariadb() {
    // names come from the history: it must have followed the last one
    let server = Server::start_mariadb(&["--binlog-row-metadata=MINIMAL"]).await.unwrap();
    none_stops(
        &server,
        &[
            "SET DEFAULT ROLE rUSER FOR USER",
            "SET PASSWORD FOR USER = PASSWORD('Forebay#1')",
            "SET STATEMENT max_statement_time = 100 FOR ALTER TABLE t ADD COLUMN x INT",
        ],
    )
    .await;
}

#[tokio::test]
async fn rows_that_were_taken_back_are_refused_on_mariadb() {
    let server = forebay_kit::mariadb().await;
    let (shop, _, captured) = two_databases(server, "back").await;
    shop.exec("CREATE TABLE m (id INT) ENGINE = MyISAM").await.unwrap();
    for (id, keeps) in ["CREATE TEMPORARY TABLE tmp (a INT)", "INSERT INTO m VALUES (1)"].iter().enumerate() {
        let mut stream = connect(&captured, Start::Now).await;
        let id = id * 10;
        shop.exec(&format!(
            "BEGIN; INSERT INTO t VALUES ({}); SAVEPOINT a; INSERT INTO t VALUES ({}); {keeps}; ROLLBACK TO a; COMMIT",
            id + 1,
            id + 2
        ))
        .await
        .unwrap();
        let fault = fault(&mut stream, keeps).await;
        assert_eq!(fault.code(), codes::UNSUPPORTED_EVENT, "{keeps}: {fault}");
    }
}
