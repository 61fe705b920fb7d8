//! MariaDB's ALTER TABLE in two phases: it counts once, where it is done, and not where it begins or fails.

use std::time::Duration;

use forebay_kit::mysql_async::Conn;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_source::mysql::Start;
use tokio::task::JoinSet;

use super::schema::{Log, run};
use super::{LONG, config, connect};

const SWAPPED: &str =
    "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a, FORCE, ALGORITHM = INPLACE, LOCK = NONE";

/// How many binlog events hold an ALTER of this phase.
async fn phases(conn: &mut Conn, phase: &str) -> usize {
    let (file, ..): (String, u64, String, String) =
        conn.query_first("SHOW MASTER STATUS").await.expect("the server answers").expect("a binlog");
    let events: Vec<(String, u64, String, u32, u64, String)> =
        conn.query(format!("SHOW BINLOG EVENTS IN '{file}'")).await.expect("the server answers");
    events.iter().filter(|e| e.2 == "Gtid" && e.5.contains(phase)).count()
}

/// An ALTER that is under way, with a writer in the middle of it that holds it up. Gives what ends both.
async fn under_way(database: &Database, id: u32) -> (Conn, JoinSet<()>) {
    let (mut writer, mut other) = (
        database.connect().await.expect("the server answers"),
        database.connect().await.expect("the server answers"),
    );
    let before = phases(&mut writer, "START ALTER").await;
    let mut alter = JoinSet::new();
    alter.spawn(async move { other.query_drop(SWAPPED).await.expect("the server answers") });
    tokio::time::timeout(LONG, async {
        while phases(&mut writer, "START ALTER").await == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the ALTER begins");
    run(&mut writer, &format!("BEGIN; INSERT INTO t (id, a, b) VALUES ({id}, 10, 20)")).await;
    (writer, alter)
}

async fn read_all(options: &[&str]) {
    let server = Server::start_mariadb(&[&["--binlog-alter-two-phase=ON"], options].concat())
        .await
        .expect("the server answers");
    let database = server.database("phases").await.expect("the server answers");
    let config = config(&server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut stream = connect(&config, Start::Now).await;
    let mut conn = database.connect().await.expect("the server answers");
    run(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 10, 20)")
        .await;
    run(&mut conn, "INSERT INTO t SELECT seq, 10, 20 FROM seq_100_to_40000").await;
    log.read(&mut stream, &server).await;
    log.take();

    // rows in the middle of it, read while they come
    let (mut writer, alter) = under_way(&database, 2).await;
    run(&mut writer, "COMMIT").await;
    alter.join_all().await;
    run(&mut conn, "INSERT INTO t (id, a, b) VALUES (3, 10, 20)").await;
    log.read(&mut stream, &server).await;
    let got = log.take();
    let (told, rows): (Vec<_>, Vec<_>) = got.into_iter().partition(|r| r.starts_with("# "));
    assert_eq!(rows, ["t +id=2,a=10,b=20", "t +id=3,b=20,a=10"]);
    assert!(told.len() == 1 && told[0].starts_with("# t: ALTER TABLE"), "{told:?}");

    // one that fails, read later
    drop(stream);
    let failing =
        "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO c, ADD UNIQUE (c), ALGORITHM = COPY";
    conn.query_drop(failing).await.expect_err("it is refused");
    assert_eq!(phases(&mut conn, "ROLLBACK ALTER").await, 1);
    run(&mut conn, "INSERT INTO t (id, a, b) VALUES (4, 10, 20)").await;
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    assert_eq!(log.take(), ["t +id=4,b=20,a=10"]);

    // one that is under way when the stream begins anew, and again when its rows were read
    drop(stream);
    let (mut writer, alter) = under_way(&database, 5).await;
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    assert_eq!(log.take(), Vec::<String>::new());
    drop(stream);
    run(&mut writer, "COMMIT").await;
    alter.join_all().await;
    run(&mut conn, "INSERT INTO t (id, a, b) VALUES (6, 10, 20)").await;
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined(), []);
    assert_eq!(log.rows(), ["t +id=5,b=20,a=10", "t +id=6,a=10,b=20"]);

    // all of it, by somebody who was away
    drop(stream);
    let (mut writer, alter) = under_way(&database, 7).await;
    run(&mut writer, "COMMIT").await;
    alter.join_all().await;
    conn.query_drop(failing).await.expect_err("it is refused");
    run(&mut conn, "INSERT INTO t (id, a, b) VALUES (8, 10, 20)").await;
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined(), []);
    assert_eq!(log.rows(), ["t +id=7,a=10,b=20", "t +id=8,b=20,a=10"]);
}

#[tokio::test]
async fn an_alter_in_two_phases_counts_where_it_is_done() {
    read_all(&["--binlog-row-metadata=NO_LOG", "--log-bin-compress=ON", "--log-bin-compress-min-len=10"])
        .await;
}

#[tokio::test]
async fn an_alter_in_two_phases_is_told_once() {
    read_all(&["--binlog-row-metadata=FULL"]).await;
}
