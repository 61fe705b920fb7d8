//! Which server a position may be resumed on: failover by the host list, and every server that is refused.

use std::time::Duration;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use forebay_model::{Class, Fault, Note, Position};
use forebay_source::codes;
use forebay_source::mysql::{Config, HostPort, Limits, Start, Stream, preflight};

use super::{LONG, changes, check, config, connect, next, take};

pub(super) fn host(server: &Server) -> HostPort {
    HostPort { host: server.host().to_owned(), port: server.port() }
}

/// Makes a server the replica of another.
pub(super) async fn follow(replica: &Server, source: &Server) {
    replica
        .exec(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{}', SOURCE_PORT = {}, SOURCE_USER = 'root', \
             SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA",
            source.host(),
            source.port()
        ))
        .await
        .expect("a replica");
}

pub(super) async fn wait_for(replica: &Server, gtids: &str) {
    eventually("the replica has caught up", LONG, || async {
        let sql = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', 1)");
        anyhow::Ok(replica.query::<i64>(&sql).await? == [0]).and_then(|met| {
            anyhow::ensure!(met, "not yet");
            Ok(())
        })
    })
    .await;
}

/// What a consumer has: rows by position, as the changelog would store them.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) rows: Vec<u64>,
    pub(super) position: Option<Position>,
    pub(super) notes: Vec<Note>,
    /// Of a block without a position yet.
    open: Vec<u64>,
}

impl Stored {
    /// Reads on to a position at which `until` says enough, or to the stream's end.
    pub(super) async fn read(
        &mut self,
        stream: &mut Stream,
        until: impl Fn(&[u64]) -> bool,
    ) -> Option<Fault> {
        self.open.clear();
        loop {
            let captured = match next(stream).await {
                Ok(captured) => captured,
                Err(fault) => return Some(fault),
            };
            if let Some(block) = &captured.block {
                check(block);
                let number = |row: String| row.strip_prefix("t +").and_then(|r| r.parse::<u64>().ok());
                self.open.extend(changes(block).into_iter().map(|row| number(row).expect("an insert")));
            }
            if let Some(position) = captured.position {
                self.rows.append(&mut self.open);
                self.position = Some(position);
                for note in captured.notes {
                    self.notes.retain(|n| n.key != note.key);
                    self.notes.push(note);
                }
                if until(&self.rows) {
                    return None;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_under_load_and_nothing_is_lost_or_comes_twice() {
    let first = Server::start(&["--server-id=11"]).await.unwrap();
    let second = Server::start(&["--server-id=12"]).await.unwrap();
    first.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id BIGINT PRIMARY KEY)").await.unwrap();
    follow(&second, &first).await;
    wait_for(&second, &first.binlog_end().await.unwrap().2).await;

    let mut config = config(&first, &["shop.t".into()]);
    config.hosts = vec![host(&second)];
    let mut stored = Stored::default();
    let mut stream = Stream::connect(&config, Start::Now, Limits::default()).await.unwrap();
    assert_eq!(stream.stats().host, host(&first).to_string());
    stored.read(&mut stream, |_| true).await;

    // the first is killed while it is written to; its replica has all that was read, and not all that was written
    let writer = async {
        let mut conn = first.connect().await.unwrap();
        for id in 1.. {
            if conn.query_drop(format!("INSERT INTO shop.t VALUES ({id})")).await.is_err() {
                return id;
            }
        }
        unreachable!("it is killed before")
    };
    let killer = async {
        assert!(stored.read(&mut stream, |rows| rows.len() >= 1000).await.is_none());
        wait_for(&second, &stored.position.as_ref().unwrap().gtids.to_string()).await;
        first.kill9().await.unwrap();
    };
    let (written, ()) = tokio::join!(writer, killer);
    drop(stream);
    let note = stored.notes.iter().find(|n| n.key == "server").expect("the server is noted");
    assert!(String::from_utf8_lossy(note.value.as_ref().unwrap()).contains("\"flavour\":\"mysql\""));

    second.exec("STOP REPLICA; RESET REPLICA ALL").await.unwrap();
    let replicated: Vec<u64> = second.query("SELECT id FROM shop.t ORDER BY id").await.unwrap();
    assert!((1000..=written as usize).contains(&replicated.len()), "{} of {written}", replicated.len());
    let wanted: Vec<u64> = replicated.iter().copied().chain(1_000_001..=1_000_500).collect();
    let writer = async {
        let mut conn = second.connect().await.unwrap();
        for id in 1_000_001..=1_000_500 {
            conn.query_drop(format!("INSERT INTO shop.t VALUES ({id})")).await.unwrap();
        }
    };
    let reader = async {
        let start = Start::At(stored.position.clone().unwrap());
        let mut stream = Stream::resume(&config, start, Limits::default(), &stored.notes).await.unwrap();
        assert_eq!(stream.stats().host, host(&second).to_string());
        let noted = stored.notes.clone();
        assert!(stored.read(&mut stream, |rows| rows.len() >= wanted.len()).await.is_none());
        assert_ne!(stored.notes, noted, "it is another server now");
    };
    tokio::join!(writer, reader);
    assert_eq!(stored.rows, wanted);

    // the old one comes back without what was written since, and is its replica: it is passed over until it has all
    first.start_again().await.unwrap();
    let back = Config { hosts: vec![], ..config.clone() };
    let start = || Start::At(stored.position.clone().unwrap());
    let refused = Stream::resume(&back, start(), Limits::default(), &stored.notes).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (codes::POSITION_AHEAD, Class::Fatal), "{refused}");
    let stream = Stream::resume(&config, start(), Limits::default(), &stored.notes).await.unwrap();
    assert_eq!(stream.stats().host, host(&second).to_string());
    follow(&first, &second).await;
    wait_for(&first, &second.binlog_end().await.unwrap().2).await;
    let stream = Stream::resume(&config, start(), Limits::default(), &stored.notes).await.unwrap();
    assert_eq!(stream.stats().host, host(&first).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_foreign_and_lagging_servers_are_refused() {
    let (source, replica, foreign) = tokio::join!(
        Server::start(&["--server-id=21"]),
        Server::start(&["--server-id=22"]),
        Server::start(&["--server-id=23"])
    );
    let (source, replica, foreign) = (source.unwrap(), replica.unwrap(), foreign.unwrap());
    source.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id BIGINT PRIMARY KEY)").await.unwrap();
    follow(&replica, &source).await;
    wait_for(&replica, &source.binlog_end().await.unwrap().2).await;
    replica.exec("STOP REPLICA SQL_THREAD").await.unwrap();
    let at = |server: &Server| config(server, &["shop.t".into()]);
    let mut stream = connect(&at(&source), Start::Now).await;
    let mut stored = Stored::default();
    stored.read(&mut stream, |_| true).await;
    source.exec("INSERT INTO shop.t VALUES (1)").await.unwrap();
    stored.read(&mut stream, |rows| rows == [1]).await;
    drop(stream);
    let resume = async |config: &Config| {
        let start = Start::At(stored.position.clone().unwrap());
        Stream::resume(config, start, Limits::default(), &stored.notes).await
    };

    foreign.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id BIGINT PRIMARY KEY)").await.unwrap();
    let fault = resume(&at(&foreign)).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::SERVER_FOREIGN, Class::Fatal), "{fault}");

    // nor is one that is not fit, if there is another
    foreign.exec("SET GLOBAL binlog_format = MIXED").await.unwrap();
    let unfit = Config { hosts: vec![host(&source)], ..at(&foreign) };
    for stream in [resume(&unfit).await, Stream::connect(&unfit, Start::Now, Limits::default()).await] {
        assert_eq!(stream.unwrap().stats().host, host(&source).to_string());
    }
    let checks = preflight(&unfit).await.unwrap();
    assert!(checks.iter().all(|c| c.host == host(&source).to_string()), "{checks:#?}");
    foreign.exec("SET GLOBAL binlog_format = ROW").await.unwrap();

    let fault = resume(&at(&replica)).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::REPLICA_BEHIND, Class::Retryable), "{fault}");
    let both = Config { hosts: vec![host(&replica)], ..at(&foreign) };
    let fault = resume(&both).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::NO_HOST_NOW, Class::Retryable), "{fault}");
    for part in ["mysql.server_foreign", "mysql.replica_behind", &host(&replica).to_string()] {
        assert!(fault.message().contains(part), "{fault}");
    }
    replica.exec("START REPLICA SQL_THREAD").await.unwrap();
    let mut stream = eventually("the replica is taken", LONG, || resume(&both)).await;
    source.exec("INSERT INTO shop.t VALUES (2)").await.unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +2"]);
    drop(stream);

    source.exec("RESET BINARY LOGS AND GTIDS; INSERT INTO shop.t VALUES (3)").await.unwrap();
    let fault = resume(&at(&source)).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::SERVER_RESET, Class::Fatal), "{fault}");
    assert!(fault.message().contains("is missing") && fault.remedy().contains("earliest"), "{fault}");
}

#[tokio::test]
async fn without_gtids_a_file_and_an_offset_are_resumed_on_the_same_server() {
    let options = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let server = Server::start(&options).await.unwrap();
    let other = Server::start(&options).await.unwrap();
    for s in [&server, &other] {
        s.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id BIGINT PRIMARY KEY)").await.unwrap();
    }
    server
        .exec("INSERT INTO shop.t VALUES (1); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (2)")
        .await
        .unwrap();
    let at = |server: &Server| config(server, &["shop.t".into()]);
    let mut stored = Stored::default();
    let mut stream = connect(&at(&server), Start::Earliest).await;
    stored.read(&mut stream, |rows| rows == [1, 2]).await;
    let position = stored.position.clone().unwrap();
    assert!(position.gtids.is_empty() && position.pos > 4, "{position:?}");
    drop(stream);
    server
        .exec("INSERT INTO shop.t VALUES (3); BEGIN; INSERT INTO shop.t VALUES (4); INSERT INTO shop.t VALUES (5); COMMIT")
        .await
        .unwrap();
    server.restart().await.unwrap();
    server.exec("INSERT INTO shop.t VALUES (6)").await.unwrap();
    let resume = async |config: &Config, stored: &Stored| {
        let start = Start::At(stored.position.clone().unwrap());
        Stream::resume(config, start, Limits::default(), &stored.notes).await
    };
    let mut stream = resume(&at(&server), &stored).await.unwrap();
    stored.read(&mut stream, |rows| rows.len() >= 6).await;
    assert_eq!(stored.rows, [1, 2, 3, 4, 5, 6]);
    // a branch of tables that are not captured stops nobody, across a restart either
    let prepare = "CREATE TABLE shop.other (id INT PRIMARY KEY); XA START 'a'; INSERT INTO shop.other VALUES (1); XA END 'a'; \
                   XA PREPARE 'a'";
    server.exec(prepare).await.unwrap();
    server.exec("INSERT INTO shop.t VALUES (60)").await.unwrap();
    stored.read(&mut stream, |rows| rows.len() >= 7).await;
    drop(stream);
    let commit = async || server.exec("XA COMMIT 'a'").await;
    forebay_kit::eventually("the branch is free", super::LONG, commit).await;
    server.exec("INSERT INTO shop.t VALUES (61)").await.unwrap();
    let mut stream = resume(&at(&server), &stored).await.unwrap();
    stored.read(&mut stream, |rows| rows.len() >= 8).await;
    stored.rows.truncate(6);
    let fault = resume(&at(&other), &stored).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::FILE_POSITION, Class::Fatal), "{fault}");
    // GTIDs that are switched on do not disturb it
    server
        .exec(
            "SET GLOBAL enforce_gtid_consistency = ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = ON_PERMISSIVE; \
             INSERT INTO shop.t VALUES (7); SET GLOBAL gtid_mode = ON; INSERT INTO shop.t VALUES (8)",
        )
        .await
        .unwrap();
    stored.read(&mut stream, |rows| rows.len() >= 8).await;
    server.exec("INSERT INTO shop.t VALUES (9)").await.unwrap();
    let mut stream = resume(&at(&server), &stored).await.unwrap();
    stored.read(&mut stream, |rows| rows.len() >= 9).await;
    assert_eq!(stored.rows, (1..=9).collect::<Vec<_>>());
    let pause = tokio::time::timeout(Duration::from_millis(1), stream.next()).await;
    assert!(pause.is_err() || pause.unwrap().unwrap().block.is_none());
}
