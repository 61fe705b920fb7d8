//! What becomes of a table while it stands aside, on real servers: its release follows that, or is told what it looked like from there on.

use forebay_kit::{Database, Server};
use forebay_model::Fault;
use forebay_source::codes;
use forebay_source::mysql::{Config, Definition, Recovery, Start, Stream};

use super::schema::{Log, SWAP, minimal, named};
use super::{config, connect};

/// All tables of an empty database, read from now on.
async fn begun(server: &Server, name: &str) -> (Database, Config, Log, Stream) {
    let database = server.database(name).await.expect("the server answers");
    let config = config(server, &[format!("{}.*", database.name())]);
    let stream = connect(&config, Start::Now).await;
    (database, config, Log::default(), stream)
}

/// Only `t (id, v)` is captured, and stands aside since a hidden change has put `n` first.
async fn aside(server: &Server, before: &str) -> (Database, Config, Log, Stream) {
    let database = server.database("aside").await.expect("the server answers");
    let config = config(server, &[format!("{}.t", database.name())]);
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO t VALUES (1, 'a')")
        .await
        .expect("the server answers");
    let mut log = Log::default();
    let mut stream = connect(&config, Start::Now).await;
    log.read(&mut stream, server).await;
    database
        .exec(&format!(
            "INSERT INTO t VALUES (2, 'b'); SET sql_log_bin = 0; ALTER TABLE t ADD n INT DEFAULT 4 FIRST; SET sql_log_bin = 1; \
             {before} INSERT INTO t (id, v) VALUES (3, 'c')"
        ))
        .await
        .expect("the server answers");
    log.read(&mut stream, server).await;
    assert_eq!(stream.quarantined().len(), 1);
    (database, config, log, stream)
}

/// Everything that was kept, decoded.
fn decode(log: &Log, recovery: &mut Recovery) -> Result<Vec<String>, Fault> {
    let blocks: Result<Vec<_>, Fault> = log.blocks.iter().map(|b| recovery.decode(b)).collect();
    Ok(blocks?.iter().flat_map(named).collect())
}

const FIRST: &str = "CREATE TABLE t (n INT DEFAULT 4, id INT PRIMARY KEY, v VARCHAR(9))";

#[tokio::test]
async fn tables_beside_one_that_stands_aside_are_followed() {
    let server = minimal().await;
    let (database, _, mut log, mut stream) = aside(&server, "").await;
    database.exec(&format!("{SWAP}; INSERT INTO t (id, v) VALUES (4, 'd')")).await.unwrap();
    log.read(&mut stream, &server).await;
    let mut recovery = Recovery::new(Definition::of_statement(database.name(), "t", FIRST).unwrap()).unwrap();
    assert_eq!(decode(&log, &mut recovery).unwrap(), ["t +n=4,id=3,v=c", "t +m=6,n=4,id=4,v=d"]);
    log.take();
    log.add(stream.lift(&recovery.definition().unwrap().unwrap()).expect("nothing is under way"));
    database.exec("CREATE TABLE beside (id INT); INSERT INTO t VALUES (1, 2, 5, 'e')").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(
        log.take(),
        ["t +m=1,n=2,id=5,v=e"],
        "what is beside a table is told only while that stands aside"
    );
}

#[tokio::test]
async fn what_cannot_be_followed_is_told_from_there_on() {
    let server = minimal().await;
    // the ghost is made before anybody knows that it matters
    let (begin, end) = SWAP.split_once("RENAME").unwrap();
    let (database, _, mut log, mut stream) = aside(&server, begin).await;
    database.exec(&format!("RENAME{end}; INSERT INTO t (id, v) VALUES (4, 'd')")).await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined()[0].events, 2);
    let of = |sql: &str| Definition::of_statement(database.name(), "t", sql).unwrap();
    let second = "CREATE TABLE t (m INT DEFAULT 6, n INT DEFAULT 4, id INT PRIMARY KEY, v VARCHAR(9))";
    let mut recovery = Recovery::new(of(FIRST)).unwrap();
    let fault = decode(&log, &mut recovery).unwrap_err();
    assert_eq!(fault.code(), codes::DEFINITION);
    let (file, ..) = server.binlog_end().await.unwrap();
    assert!(fault.message().contains(&format!("at {file}:")), "{fault}");
    assert!(fault.message().contains("left unknown") && fault.remedy().contains("in turn"), "{fault}");
    // one for both, in the wrong order, and more than there are
    for wrong in [of(second), of(second).then(of(FIRST)), of(FIRST).then(of(FIRST))] {
        assert!(decode(&log, &mut Recovery::new(wrong).unwrap()).is_err());
    }
    let mut recovery = Recovery::new(of(FIRST).then(of(second)).then(of(FIRST))).unwrap();
    assert_eq!(decode(&log, &mut recovery).unwrap().len(), 2);
    assert_eq!(recovery.definition().unwrap_err().code(), codes::DEFINITION);

    let mut recovery = Recovery::new(of(FIRST).then(of(second))).unwrap();
    assert_eq!(decode(&log, &mut recovery).unwrap(), ["t +n=4,id=3,v=c", "t +m=6,n=4,id=4,v=d"]);
    log.take();
    log.add(stream.lift(&recovery.definition().unwrap().unwrap()).expect("nothing is under way"));
    database.exec("INSERT INTO t VALUES (1, 2, 5, 'e')").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +m=1,n=2,id=5,v=e"]);
}

/// Two tables that both stand aside and change places, by one statement or by way of others.
#[tokio::test]
async fn tables_in_quarantine_that_are_swapped_are_both_told() {
    let server = minimal().await;
    let (database, _, mut log, mut stream) = begun(&server, "both").await;
    database
        .exec(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT); CREATE TABLE u LIKE t; INSERT INTO t VALUES (1, 10); \
             INSERT INTO u VALUES (1, 10)",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    log.take();
    database
        .exec(
            "SET sql_log_bin = 0; ALTER TABLE t ADD h INT AFTER id; ALTER TABLE u ADD k INT AFTER id; SET sql_log_bin = 1; \
             INSERT INTO t (id, a) VALUES (2, 10); INSERT INTO u (id, a) VALUES (2, 10); \
             RENAME TABLE t TO t_x, u TO t, t_x TO u; INSERT INTO t (id, a) VALUES (3, 10); \
             INSERT INTO u (id, a) VALUES (3, 10); ALTER TABLE t ADD z INT; INSERT INTO t (id, a) VALUES (4, 10)",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined().iter().map(|q| q.events).collect::<Vec<_>>(), [3, 2]);
    let (t, u) = (
        "CREATE TABLE t (id INT PRIMARY KEY, h INT, a INT)",
        "CREATE TABLE u (id INT PRIMARY KEY, k INT, a INT)",
    );
    let of = |table: &str, sql: &str| Definition::of_statement(database.name(), table, sql).unwrap();
    let mut released = Vec::new();
    let wanted_t = ["t +id=2,h=NULL,a=10", "t +id=3,k=NULL,a=10", "t +id=4,k=NULL,a=10,z=NULL"];
    let wanted_u = ["u +id=2,k=NULL,a=10", "u +id=3,h=NULL,a=10"];
    for (table, [first, then], wanted) in [("t", [t, u], &wanted_t[..]), ("u", [u, t], &wanted_u)] {
        assert!(
            decode(&log, &mut Recovery::new(of(table, first)).unwrap()).is_err(),
            "nobody said the other"
        );
        let mut recovery = Recovery::new(of(table, first).then(of(table, then))).unwrap();
        assert_eq!(decode(&log, &mut recovery).unwrap(), wanted);
        released.push(recovery.definition().unwrap().unwrap());
    }
    log.take();
    for definition in &released {
        log.add(stream.lift(definition).expect("nothing is under way"));
    }
    database.exec("INSERT INTO t VALUES (5, 1, 2, 3); INSERT INTO u VALUES (5, 1, 2)").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +id=5,k=1,a=2,z=3", "u +id=5,h=1,a=2"]);
}

#[tokio::test]
async fn a_table_that_never_stood_aside_takes_the_place_of_one_that_does() {
    let options = ["--binlog-row-metadata=NO_LOG", "--lower-case-table-names=1"];
    let server = Server::start_mariadb(&options).await.unwrap();
    let (database, _, mut log, mut stream) = begun(&server, "place").await;
    database
        .exec(
            "CREATE TABLE w (id INT PRIMARY KEY, a INT); CREATE TABLE w_new (n INT, id INT PRIMARY KEY, a INT); \
             INSERT INTO w VALUES (1, 10); INSERT INTO w_new VALUES (7, 1, 10)",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    log.take();
    database
        .exec(
            "SET sql_log_bin = 0; ALTER TABLE w ADD h INT FIRST; SET sql_log_bin = 1; INSERT INTO w (id, a) VALUES (2, 10); \
             RENAME TABLE W TO w_old, W_new TO w; INSERT INTO W (id, a) VALUES (3, 10)",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(
        stream.quarantined().iter().map(|q| (q.table.as_str(), q.events)).collect::<Vec<_>>(),
        [("w", 2)]
    );
    let of = |sql: &str| Definition::of_statement(database.name(), "w", sql).unwrap();
    let first = of("CREATE TABLE w (h INT, id INT PRIMARY KEY, a INT)");
    let second = of("CREATE TABLE w (n INT, id INT PRIMARY KEY, a INT)");
    let mut recovery = Recovery::new(first.then(second)).unwrap();
    assert_eq!(decode(&log, &mut recovery).unwrap(), ["w +h=NULL,id=2,a=10", "w +n=NULL,id=3,a=10"]);
    log.take();
    log.add(stream.lift(&recovery.definition().unwrap().unwrap()).expect("nothing is under way"));
    database.exec("INSERT INTO w VALUES (5, 4, 3)").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["w +n=5,id=4,a=3"]);
}

/// MariaDB whose row events name neither columns nor character sets, and a database of latin1.
async fn latin() -> Server {
    let options = ["--binlog-row-metadata=NO_LOG", "--character-set-server=latin1"];
    Server::start_mariadb(&options).await.expect("a MariaDB server")
}

#[tokio::test]
async fn a_table_made_anew_has_the_character_set_of_its_database() {
    let server = latin().await;
    let (database, _, mut log, mut stream) = aside(&server, "").await;
    database
        .exec(
            "SET NAMES utf8mb4; DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY, s TEXT, v VARCHAR(20)); \
             INSERT INTO t VALUES (4, 'é', 'è')",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    let of = |sql: &str| Definition::of_statement(database.name(), "t", sql).unwrap();
    let latin = format!("{FIRST} CHARSET latin1");
    let mut recovery = Recovery::new(of(&latin)).unwrap();
    assert_eq!(decode(&log, &mut recovery).unwrap(), ["t +n=4,id=3,v=c", "t +id=4,s=é,v=è"]);
    let wrong = of(&format!("{FIRST} CHARSET utf8mb4"));
    let fault = decode(&log, &mut Recovery::new(wrong).unwrap()).unwrap_err();
    let said =
        "varchar(9) of utf8mb4, 36 bytes, in the known definition (v) and varchar of 9 bytes in the rows";
    assert!(fault.message().contains(said), "{fault}");
}

#[tokio::test]
async fn the_character_set_of_a_database_is_that_of_then() {
    let server = latin().await;
    let (database, config, mut log, mut stream) = begun(&server, "then").await;
    log.read(&mut stream, &server).await;
    drop(stream);
    // statements follow about the table, so that what the server says of it now does not count
    database
        .exec(
            "SET NAMES utf8mb4; CREATE TABLE t (id INT PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, 'Ã©'); \
             ALTER TABLE t ADD n INT",
        )
        .await
        .unwrap();
    database.exec(&format!("ALTER DATABASE {} CHARACTER SET utf8mb4", database.name())).await.unwrap();
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +id=1,s=Ã©"]);
}
