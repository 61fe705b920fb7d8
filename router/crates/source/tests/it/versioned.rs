//! MariaDB's system-versioned tables stand aside and say why; its sequences are no tables.

use forebay_kit::Server;
use forebay_source::codes;
use forebay_source::mysql::{Definition, Quarantined, Recovery, Start, Status, doctor};

use super::schema::{Log, run};
use super::{config, connect};

const TABLES: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING; \
    CREATE TABLE keyless (a INT) WITH SYSTEM VERSIONING; CREATE TABLE likewise LIKE t; \
    CREATE TABLE e (id INT PRIMARY KEY, a INT, f TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
        u TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (f, u)) WITH SYSTEM VERSIONING; \
    CREATE TABLE w (id INT PRIMARY KEY, a INT WITH SYSTEM VERSIONING); CREATE TABLE late (id INT PRIMARY KEY, a INT); \
    CREATE TABLE plain (a TIMESTAMP(6) DEFAULT 0, b TIMESTAMP(6) DEFAULT 0, id INT, PRIMARY KEY (id, a)); \
    CREATE SEQUENCE s; CREATE SEQUENCE gone";

const WRITES: &str = "INSERT INTO t VALUES (1, 1), (2, 2); UPDATE t SET a = 3 WHERE id = 1; DELETE FROM t WHERE id = 2; \
    INSERT INTO keyless VALUES (1); INSERT INTO likewise VALUES (1, 1); INSERT INTO e (id, a) VALUES (1, 1); \
    INSERT INTO w VALUES (1, 1); INSERT INTO late VALUES (1, 1); INSERT INTO plain (id) VALUES (1); DO NEXTVAL(s); \
    DO NEXTVAL(gone); DROP SEQUENCE gone; RENAME TABLE s TO s2; DO SETVAL(s2, 90)";

/// Tables in quarantine, all with the true reason.
fn aside(of: Vec<Quarantined>) -> Vec<String> {
    let of = of.into_iter().inspect(|q| assert!(q.reason.contains(codes::SYSTEM_VERSIONED.name), "{q:?}"));
    of.map(|q| q.table).collect()
}

const ASIDE: [&str; 5] = ["e", "keyless", "likewise", "t", "w"];
const ROWS: [&str; 2] = ["late +id=1,a=1", "plain +a=0.000000,b=0.000000,id=1"];

async fn all(server: &Server, how: &str) {
    let database = server.database(how).await.expect("the server answers");
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut conn = database.connect().await.expect("the server answers");
    let mut log = Log::default();
    // known from the server, or from statements
    if how == "server" {
        run(&mut conn, TABLES).await;
    }
    let mut stream = connect(&config, Start::Now).await;
    log.read(&mut stream, server).await;
    if how == "statements" {
        run(&mut conn, TABLES).await;
    }
    run(&mut conn, WRITES).await;
    log.read(&mut stream, server).await;
    assert_eq!(aside(stream.quarantined()), ASIDE, "{how}");
    assert_eq!(log.rows(), ROWS, "{how}");

    // the same behind a restart, and with what is changed while nobody listens
    drop(stream);
    run(&mut conn, "ALTER TABLE late ADD SYSTEM VERSIONING; UPDATE late SET a = 5; DO NEXTVAL(s2)").await;
    run(&mut conn, "CREATE SEQUENCE s3; DO NEXTVAL(s3); INSERT INTO plain (id) VALUES (2)").await;
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, server).await;
    assert_eq!(aside(stream.quarantined()), ["e", "keyless", "late", "likewise", "t", "w"], "{how}");
    assert_eq!(log.rows(), [ROWS[1].replace("id=1", "id=2")], "{how}");

    // there is no way to read them, and one to go on
    let definition = Definition::of_server(&config, database.name(), "t").await.expect("the server answers");
    assert_eq!(Recovery::new(definition).expect_err("it is refused").code(), codes::SYSTEM_VERSIONED);
    run(&mut conn, "ALTER TABLE t DROP SYSTEM VERSIONING").await;
    log.read(&mut stream, server).await;
    log.add(stream.lift(&Definition::given_up(database.name(), "t")).expect("nothing is under way"));
    log.take();
    run(&mut conn, "UPDATE t SET a = 7").await;
    log.read(&mut stream, server).await;
    assert_eq!(log.rows(), ["t id=1,a=3 > id=1,a=7"], "{how}");

    let checks = doctor(&config).await;
    let check = checks.iter().find(|c| c.id == "system_versioning").expect("the server answers");
    assert_eq!(check.status, Status::Advice);
    assert!(check.finding.contains(".late, "), "{check:?}");
}

#[tokio::test]
async fn a_system_versioned_table_stands_aside_and_a_sequence_is_none() {
    let server = Server::start_mariadb(&["--binlog-row-metadata=NO_LOG"]).await.expect("the server answers");
    for how in ["statements", "server"] {
        all(&server, how).await;
    }
}

#[tokio::test]
async fn with_names_in_the_binlog_too() {
    let server = Server::start_mariadb(&["--binlog-row-metadata=FULL"]).await.expect("the server answers");
    for how in ["statements", "server"] {
        all(&server, how).await;
    }
}
