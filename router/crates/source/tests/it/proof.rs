//! The last transaction that was read is asked for at each connect: a server that has as many again, and not the same, is
//! refused.

use forebay_kit::{Server, eventually};
use forebay_model::{Fault, GtidSet};
use forebay_source::codes;
use forebay_source::mysql::{Config, Limits, Start, Stream};

use super::failover::{Stored, follow, host, wait_for};
use super::{LONG, config, connect};

const TABLE: &str = "CREATE DATABASE shop; CREATE TABLE shop.t (id BIGINT PRIMARY KEY)";
const OFF: [&str; 2] = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];

/// A server of either kind, with the table.
async fn started(mariadb: bool) -> Server {
    let server = if mariadb { Server::start_mariadb(&[]).await } else { Server::start(&[]).await };
    let server = server.expect("a server");
    server.exec(TABLE).await.expect("the server does it");
    server
}

fn at(server: &Server) -> Config {
    config(server, &["shop.t".into()])
}

async fn resume(config: &Config, stored: &Stored) -> Result<Stream, Fault> {
    let start = Start::At(stored.position.clone().expect("a position"));
    Stream::resume(config, start, Limits::default(), &stored.notes).await
}

async fn inserts(server: &Server, ids: std::ops::Range<u64>) {
    for id in ids {
        server.exec(&format!("INSERT INTO shop.t VALUES ({id})")).await.expect("the server does it");
    }
}

/// The servers' clock goes on to another second: some times are whole ones.
async fn another_second(server: &Server) {
    let now = async || anyhow::Ok(server.query::<u64>("SELECT UNIX_TIMESTAMP()").await?[0]);
    let begun = now().await.expect("the server does it");
    eventually("a second goes by", LONG, || async {
        anyhow::ensure!(now().await? > begun, "the same second");
        Ok(())
    })
    .await;
}

/// What makes a server forget its binlog.
async fn reset(server: &Server, mariadb: bool) {
    another_second(server).await;
    server
        .exec(if mariadb { "RESET MASTER" } else { "RESET BINARY LOGS AND GTIDS" })
        .await
        .expect("the server does it");
}

/// Reads so many rows more, and to a position that tells of the file, too.
async fn read(stored: &mut Stored, stream: &mut Stream, rows: usize) {
    let wanted = stored.rows.len() + rows;
    assert!(stored.read(stream, |read| read.len() >= wanted).await.is_none());
    assert_eq!(stored.rows.len(), wanted);
}

fn is_reset(refused: Result<Stream, Fault>) {
    let fault = refused.expect_err("the server was reset");
    assert_eq!(fault.code(), codes::SERVER_RESET, "{fault}");
    assert!(fault.message().contains("was reset") && fault.remedy().contains("earliest"), "{fault}");
}

async fn a_reset_is_seen(server: Server, mariadb: bool) {
    server.exec(TABLE).await.expect("the server does it");
    let config = at(&server);
    let mut stored = Stored::default();
    let mut stream = connect(&config, Start::Now).await;
    inserts(&server, 0..5).await;
    read(&mut stored, &mut stream, 5).await;
    drop(stream);
    drop(resume(&config, &stored).await.expect("nothing has happened"));
    // away: more transactions than before, and what was read is not there any more
    reset(&server, mariadb).await;
    server.exec("DELETE FROM shop.t").await.expect("the server does it");
    inserts(&server, 100..140).await;
    is_reset(resume(&config, &stored).await);
    // connected; what the stream says to it is not the question
    let mut stored = Stored::default();
    let mut stream = connect(&config, Start::Now).await;
    inserts(&server, 200..205).await;
    read(&mut stored, &mut stream, 5).await;
    reset(&server, mariadb).await;
    inserts(&server, 300..390).await;
    let read_on = stored.read(&mut stream, |_| false);
    if let Ok(end) = tokio::time::timeout(std::time::Duration::from_secs(2), read_on).await {
        assert!(end.is_some());
    }
    drop(stream);
    assert_eq!(stored.rows, [200, 201, 202, 203, 204], "nothing of the new binlog");
    is_reset(resume(&config, &stored).await);
}

#[tokio::test]
async fn a_reset_is_seen_also_when_the_numbers_have_grown_back() {
    let (mysql, mariadb, off) =
        tokio::join!(Server::start(&[]), Server::start_mariadb(&[]), Server::start(&OFF));
    tokio::join!(
        a_reset_is_seen(mysql.unwrap(), false),
        a_reset_is_seen(mariadb.unwrap(), true),
        a_reset_is_seen(off.unwrap(), false)
    );
}

#[tokio::test]
async fn a_reset_is_seen_in_a_file_of_the_same_length() {
    let server = Server::start(&OFF).await.unwrap();
    server.exec(TABLE).await.unwrap();
    reset(&server, false).await;
    let mut stored = Stored::default();
    let mut stream = connect(&at(&server), Start::Earliest).await;
    inserts(&server, 0..5).await;
    read(&mut stored, &mut stream, 5).await;
    drop(stream);
    let end = server.binlog_end().await.unwrap();
    let again = async |and: std::ops::Range<u64>| {
        server.exec("SET sql_log_bin = 0; DELETE FROM shop.t; SET sql_log_bin = 1").await.unwrap();
        reset(&server, false).await;
        inserts(&server, 0..5).await;
        let (file, pos, _) = server.binlog_end().await.unwrap();
        assert_eq!((file, pos), (end.0.clone(), end.1), "an event's boundary");
        inserts(&server, and).await;
    };
    for and in [5..5, 5..9] {
        again(and).await;
        is_reset(resume(&at(&server), &stored).await);
    }
}

/// Before a transaction was read, the file that the position is in is all that there is.
#[tokio::test]
async fn a_reset_is_seen_before_anything_was_read() {
    for mariadb in [false, true] {
        let server = started(mariadb).await;
        let mut stored = Stored::default();
        let mut stream = connect(&at(&server), Start::Now).await;
        while !stored.notes.iter().any(|n| {
            n.key == "last" && String::from_utf8_lossy(n.value.as_ref().unwrap()).contains("\"seconds\":")
        }) {
            stored.read(&mut stream, |_| true).await;
        }
        drop(stream);
        drop(resume(&at(&server), &stored).await.expect("nothing has happened"));
        reset(&server, mariadb).await;
        inserts(&server, 0..40).await;
        is_reset(resume(&at(&server), &stored).await);
    }
}

/// The newest transactions of a set.
fn ends(set: &GtidSet) -> GtidSet {
    let mut ends = GtidSet::default();
    for domain in set.domains() {
        ends.set_newest(domain, set.newest(domain).as_ref());
    }
    for (uuid, tag, ranges) in set.entries() {
        let (_, last) = ranges[ranges.len() - 1];
        ends.add_range(*uuid, tag, last, last);
    }
    ends
}

/// After each, the server proves by it that it is the one that was read; so does its replica.
async fn each_is_proof(source: &Server, replica: &Server, mariadb: bool, last: &[&str]) {
    let there = at(replica);
    let mut stored = Stored::default();
    let mut stream = connect(&at(source), Start::Now).await;
    for (n, sql) in last.iter().enumerate() {
        source.exec(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let executed = source.binlog_end().await.expect("an end").2.replace('\n', "");
        let wanted: GtidSet = executed.parse().expect("a set");
        // a branch that is not decided yet is not among what was read
        while stored.position.as_ref().is_none_or(|p| !ends(&wanted).is_subset(&p.gtids)) {
            assert!(stored.read(&mut stream, |_| true).await.is_none(), "{sql}");
        }
        drop(stream);
        if mariadb {
            let sql = format!("SELECT MASTER_GTID_WAIT('{executed}', 20)");
            assert_eq!(replica.query::<i64>(&sql).await.expect("the server does it"), [0]);
        } else {
            wait_for(replica, &executed).await;
        }
        let other = eventually("the replica is fit", LONG, || resume(&there, &stored)).await;
        assert_eq!(other.stats().host, host(replica).to_string());
        drop(other);
        stream = resume(&at(source), &stored).await.unwrap_or_else(|e| panic!("{n}: {sql}: {e}"));
    }
}

const LONG_ONE: &str = "BEGIN; INSERT INTO shop.t VALUES (21); DO SLEEP(1.1); INSERT INTO shop.t VALUES (22); DO SLEEP(1.1); COMMIT";

#[tokio::test]
async fn every_kind_of_transaction_is_proof_on_mysql() {
    let (source, replica) =
        tokio::join!(Server::start(&["--server-id=31"]), Server::start(&["--server-id=32"]));
    let (source, replica) = (source.unwrap(), replica.unwrap());
    source.exec(TABLE).await.unwrap();
    follow(&replica, &source).await;
    each_is_proof(
        &source,
        &replica,
        false,
        &[
            "INSERT INTO shop.t VALUES (1)",
            LONG_ONE,
            "SET SESSION binlog_transaction_compression = ON; INSERT INTO shop.t VALUES (3)",
            "SET gtid_next = 'AUTOMATIC:zed'; INSERT INTO shop.t VALUES (4); SET gtid_next = 'AUTOMATIC'",
            "CREATE TABLE shop.other (id INT PRIMARY KEY)",
            "INSERT INTO shop.other VALUES (1)",
            "SET TIMESTAMP = 1000000000; INSERT INTO shop.t VALUES (5); SET TIMESTAMP = DEFAULT",
            "XA START 'a'; INSERT INTO shop.t VALUES (6); XA END 'a'; XA PREPARE 'a'; INSERT INTO shop.t VALUES (7)",
            "FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (8)",
            "XA COMMIT 'a'",
        ],
    )
    .await;
}

#[tokio::test]
async fn every_kind_of_transaction_is_proof_on_mariadb() {
    let (source, replica) = tokio::join!(
        Server::start_mariadb(&["--server-id=41"]),
        Server::start_mariadb(&["--server-id=42", "--log-slave-updates=ON"])
    );
    let (source, replica) = (source.unwrap(), replica.unwrap());
    source.exec(TABLE).await.unwrap();
    replica
        .exec(&format!(
            "CHANGE MASTER TO MASTER_HOST = '{}', MASTER_PORT = {}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos; START SLAVE",
            source.host(),
            source.port()
        ))
        .await
        .unwrap();
    each_is_proof(
        &source,
        &replica,
        true,
        &[
            "INSERT INTO shop.t VALUES (1)",
            LONG_ONE,
            "CREATE TABLE shop.other (id INT PRIMARY KEY) ENGINE = Aria",
            "INSERT INTO shop.other VALUES (1)",
            "SET SESSION gtid_domain_id = 5, server_id = 77; INSERT INTO shop.t VALUES (3)",
            "INSERT INTO shop.t VALUES (4)",
            "SET SESSION server_id = 78; INSERT INTO shop.t VALUES (5)",
            "SET TIMESTAMP = 1000000000; INSERT INTO shop.t VALUES (6); SET TIMESTAMP = DEFAULT",
            "XA START 'a'; INSERT INTO shop.t VALUES (7); XA END 'a'; XA PREPARE 'a'",
            "FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (8)",
            "XA COMMIT 'a'",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_foreign_mariadb_of_the_same_server_id_is_refused() {
    let (first, second) =
        tokio::join!(Server::start_mariadb(&["--server-id=1"]), Server::start_mariadb(&["--server-id=1"]));
    let (first, second) = (first.unwrap(), second.unwrap());
    for (server, rows) in [(&first, 5), (&second, 40)] {
        server.exec(TABLE).await.unwrap();
        another_second(server).await;
        inserts(server, 0..rows).await;
    }
    let mut stored = Stored::default();
    let mut stream = connect(&at(&first), Start::Now).await;
    another_second(&first).await;
    inserts(&first, 5..6).await;
    read(&mut stored, &mut stream, 1).await;
    drop(stream);
    let fault = resume(&at(&second), &stored).await.unwrap_err();
    assert_eq!(fault.code(), codes::SERVER_FOREIGN, "{fault}");
    assert!(fault.message().contains("another history"), "{fault}");
    // nor where nothing can be proved
    purge(&second).await;
    let fault = resume(&at(&second), &stored).await.unwrap_err();
    assert_eq!(fault.code(), codes::PURGED, "{fault}");
}

/// Leaves the newest file alone.
async fn purge(server: &Server) {
    server.exec("FLUSH BINARY LOGS").await.expect("the server does it");
    eventually("the old files are gone", LONG, || async {
        let (file, _, _) = server.binlog_end().await?;
        server.exec(&format!("PURGE BINARY LOGS TO '{file}'")).await?;
        let files = server.query::<forebay_kit::mysql_async::Row>("SHOW BINARY LOGS").await?;
        anyhow::ensure!(files.len() == 1, "a reader holds a file");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_purged_transaction_proves_nothing_and_the_same_server_is_read_on() {
    for mariadb in [false, true] {
        let server = started(mariadb).await;
        let mut stored = Stored::default();
        let mut stream = connect(&at(&server), Start::Now).await;
        inserts(&server, 0..3).await;
        read(&mut stored, &mut stream, 3).await;
        drop(stream);
        purge(&server).await;
        inserts(&server, 3..4).await;
        let mut stream = resume(&at(&server), &stored).await.expect("it is the same server");
        read(&mut stored, &mut stream, 1).await;
        drop(stream);
        purge(&server).await;
        // as if it were another: of MySQL's, the GTIDs have its name
        for note in stored.notes.iter_mut().filter(|n| n.key == "server") {
            let mut of: serde_json::Value = serde_json::from_slice(note.value.as_ref().unwrap()).unwrap();
            of["uuid"] = "another".into();
            note.value = Some(serde_json::to_vec(&of).unwrap());
        }
        match resume(&at(&server), &stored).await {
            Ok(_) => assert!(!mariadb),
            Err(fault) => {
                assert!(mariadb && fault.code() == codes::SERVER_FOREIGN, "{fault}");
                assert!(fault.message().contains("purged") && fault.remedy().contains("earliest"), "{fault}");
            }
        }
    }
}
