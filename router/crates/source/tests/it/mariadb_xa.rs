//! XA in two phases on a real MariaDB: rows come at XA COMMIT, never after XA ROLLBACK, across restarts too.

use std::collections::BTreeMap;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server, eventually};
use forebay_model::{Class, Fault, GtidSet, Note, Position};
use forebay_source::codes;
use forebay_source::mysql::{Config, Limits, Start, Stream, outlook};

use super::{LONG, changes, check, config, connect, next};

/// What a log keeps of a source: changes, and the position and the notes of the last commit.
#[derive(Clone, Debug, Default)]
struct Stored {
    changes: Vec<String>,
    position: Position,
    notes: BTreeMap<String, Vec<u8>>,
    /// Changes behind the position.
    pieces: Vec<String>,
}

impl Stored {
    async fn read(&mut self, stream: &mut Stream) -> Result<(), Fault> {
        let captured = next(stream).await?;
        if let Some(block) = &captured.block {
            check(block);
            self.pieces.extend(changes(block));
        }
        if let Some(position) = captured.position {
            self.position = position;
            self.changes.append(&mut self.pieces);
            for Note { key, value } in captured.notes {
                match value {
                    Some(value) => self.notes.insert(key, value),
                    None => self.notes.remove(&key),
                };
            }
        }
        Ok(())
    }

    /// Reads all that the server has.
    async fn catch_up(&mut self, stream: &mut Stream, server: &Server) {
        let executed: GtidSet =
            server.binlog_end().await.expect("the server does it").2.parse().expect("the server does it");
        while !executed.is_subset(&self.position.gtids) {
            self.read(stream).await.expect("the server does it");
        }
    }

    async fn fault(&mut self, stream: &mut Stream) -> Fault {
        loop {
            if let Err(fault) = self.read(stream).await {
                return fault;
            }
        }
    }

    fn notes(&self) -> Vec<Note> {
        let note = |(key, value): (&String, &Vec<u8>)| Note { key: key.clone(), value: Some(value.clone()) };
        self.notes.iter().map(note).collect()
    }

    fn undecided(&self) -> usize {
        self.notes.keys().filter(|key| key.starts_with("xa/")).count()
    }

    /// Begins anew from what was stored: what a killed process does.
    async fn again(&mut self, config: &Config) -> Stream {
        self.pieces.clear();
        let start = Start::At(self.position.clone());
        Stream::resume(config, start, Limits::default(), &self.notes()).await.expect("the server does it")
    }
}

/// Prepares a branch on a connection that then goes away.
async fn prepare(database: &Database, xid: &str, statements: &[&str]) {
    let mut conn = database.connect().await.expect("the server does it");
    conn.query_drop("SET SESSION max_recursive_iterations = 1000000").await.expect("the server does it");
    conn.query_drop(format!("XA START {xid}")).await.expect("the server does it");
    for sql in statements {
        conn.query_drop(*sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    conn.query_drop(format!("XA END {xid}")).await.expect("the server does it");
    conn.query_drop(format!("XA PREPARE {xid}")).await.expect("the server does it");
    conn.disconnect().await.expect("the server does it");
}

/// Decides a branch, which is its last connection's until that has gone.
async fn decide(database: &Database, sql: &str) {
    eventually(sql, LONG, || async { database.exec(sql).await }).await;
}

#[tokio::test]
async fn rows_come_at_the_commit_and_survive_a_restart() {
    rows_of_xa(&[]).await;
}

#[tokio::test]
async fn rows_without_names_in_the_binlog() {
    rows_of_xa(&["--binlog-row-metadata=NO_LOG"]).await;
}

#[tokio::test]
async fn rows_of_compressed_events() {
    rows_of_xa(&["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]).await;
}

async fn rows_of_xa(options: &[&str]) {
    let server = Server::start_mariadb(options).await.expect("the server does it");
    let database = server.database("xa").await.expect("the server does it");
    let config = config(&server, &["t", "u", "l"].map(|t| format!("{}.{t}", database.name())));
    database
        .exec(
            "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(40), k UUID); CREATE TABLE u (id INT); CREATE TABLE x (id INT);
             CREATE TABLE l (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(200))",
        )
        .await
        .expect("the server does it");
    let mut stream = connect(&config, Start::Now).await;
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    let insert = format!("INSERT INTO t VALUES (1, REPEAT('a', 30), '{uuid}')");
    prepare(&database, "'kept', 'b', 7", &[&insert, "UPDATE t SET v = 'b'"]).await;
    prepare(&database, "'dropped'", &["INSERT INTO u VALUES (2)"]).await;
    prepare(&database, "'elsewhere'", &["INSERT INTO x VALUES (2)"]).await;
    // more than may wait
    let many = "INSERT INTO l (v) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) \
                SELECT MD5(i) FROM n";
    prepare(&database, "X'6cff00'", &[many]).await;
    // another domain's transactions, and a number that jumps
    database
        .exec("SET SESSION gtid_domain_id = 5; INSERT INTO u VALUES (6); SET SESSION gtid_domain_id = 0, gtid_seq_no = 700; INSERT INTO u VALUES (7)")
        .await
        .expect("the server does it");
    let mut stored = Stored::default();
    stored.catch_up(&mut stream, &server).await;
    assert_eq!(stored.changes, ["u +6", "u +7"]);
    assert_eq!(stored.undecided(), 3, "{:?}", stored.notes.keys());
    let undecided = stored.clone();

    let decisions = [
        "XA ROLLBACK 'dropped'",
        "XA COMMIT 'elsewhere'",
        "INSERT INTO u VALUES (8)",
        "XA COMMIT 'kept', 'b', 7",
        "INSERT INTO u VALUES (9)",
    ];
    for sql in decisions {
        decide(&database, sql).await;
    }
    stored.catch_up(&mut stream, &server).await;
    let a = "a".repeat(30);
    let wanted = vec![
        "u +6".to_owned(),
        "u +7".into(),
        "u +8".into(),
        format!("t +1,{a},{uuid}"),
        format!("t 1,{a},{uuid} > 1,b,{uuid}"),
        "u +9".into(),
    ];
    assert_eq!(stored.changes, wanted);
    assert_eq!(stored.undecided(), 1);

    // decided while nobody was reading; the first reader's log has the large one's note still
    let mut later = undecided.clone();
    let mut again = later.again(&config).await;
    later.catch_up(&mut again, &server).await;
    assert_eq!((&later.changes, later.undecided()), (&wanted, 1));

    // too large to wait; read again by the one that saw it and by those that did not
    decide(&database, "XA COMMIT X'6cff00'").await;
    database.exec("INSERT INTO u VALUES (10)").await.expect("the server does it");
    let mut fresh = undecided;
    let mut anew = fresh.again(&config).await;
    for (log, stream) in [(&mut stored, &mut stream), (&mut later, &mut again), (&mut fresh, &mut anew)] {
        log.catch_up(stream, &server).await;
        assert_eq!(log.changes.len(), wanted.len() + 150_001);
        let large: Vec<_> = log.changes[wanted.len()..][..150_000].to_vec();
        assert!(large.iter().all(|c| c.starts_with("l +")), "one after the other");
        assert_eq!(large.iter().collect::<std::collections::BTreeSet<_>>().len(), 150_000);
        assert_eq!(log.changes.last().expect("the server does it"), "u +10");
        assert_eq!(log.undecided(), 0, "{:?}", log.notes.keys());
    }
}

#[tokio::test]
async fn the_server_dies_between_prepare_and_commit() {
    let server = Server::start_mariadb(&[]).await.expect("the server does it");
    let database = server.database("died").await.expect("the server does it");
    let config = config(&server, &[format!("{}.t", database.name())]);
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.expect("the server does it");
    let mut stored = Stored::default();
    let mut stream = connect(&config, Start::Now).await;
    prepare(&database, "'a'", &["INSERT INTO t VALUES (1)"]).await;
    prepare(&database, "'b'", &["INSERT INTO t VALUES (2)"]).await;
    stored.catch_up(&mut stream, &server).await;
    server.kill9().await.expect("the server does it");
    assert_eq!(stored.fault(&mut stream).await.class(), Class::Retryable);
    server.start_again().await.expect("the server does it");
    // the table can not be altered or dropped in between: the server waits for the decision
    let altered = "SET SESSION lock_wait_timeout = 1; ALTER TABLE t ADD COLUMN z INT";
    let refused = database.exec(altered).await.unwrap_err();
    assert!(format!("{refused:#}").contains("Lock wait timeout"), "{refused:#}");
    let mut stream = stored.again(&config).await;
    decide(&database, "XA COMMIT 'b'").await;
    decide(&database, "XA ROLLBACK 'a'").await;
    database
        .exec("ALTER TABLE t ADD COLUMN z INT; INSERT INTO t VALUES (3, 4)")
        .await
        .expect("the server does it");
    stored.catch_up(&mut stream, &server).await;
    assert_eq!(stored.changes, ["t +2", "t +3,4"]);
    assert_eq!(stored.undecided(), 0);
}

#[tokio::test]
async fn a_branch_of_before_the_start_is_found() {
    let server = Server::start_mariadb(&[]).await.expect("the server does it");
    let database = server.database("early").await.expect("the server does it");
    let config = config(&server, &[format!("{}.t", database.name())]);
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE x (id INT PRIMARY KEY)")
        .await
        .expect("the server does it");
    // a name that was used before, in an older file
    prepare(&database, "'a'", &["INSERT INTO t VALUES (7)"]).await;
    decide(&database, "XA ROLLBACK 'a'").await;
    prepare(&database, "'a'", &["INSERT INTO t VALUES (1)"]).await;
    prepare(&database, "'x'", &["INSERT INTO x VALUES (1)"]).await;
    database.exec("FLUSH BINARY LOGS; INSERT INTO t VALUES (3)").await.expect("the server does it");
    let mut stream = connect(&config, Start::Now).await;
    let mut stored = Stored::default();
    database.exec("INSERT INTO t VALUES (4)").await.expect("the server does it");
    decide(&database, "XA COMMIT 'x'").await;
    decide(&database, "XA COMMIT 'a'").await;
    database.exec("INSERT INTO t VALUES (5)").await.expect("the server does it");
    stored.catch_up(&mut stream, &server).await;
    assert_eq!(stored.changes, ["t +4", "t +1", "t +5"]);
    assert_eq!(stored.undecided(), 0);

    // its commit is the first that is read behind a set of GTIDs, which says no place
    prepare(&database, "'f'", &["INSERT INTO t VALUES (9)"]).await;
    let gtids: GtidSet = server.binlog_end().await.expect("the server does it").2.parse().expect("a set");
    let mut first = connect(&config, Start::At(Position { gtids, ..Position::default() })).await;
    decide(&database, "XA COMMIT 'f'").await;
    let mut anew = Stored::default();
    anew.catch_up(&mut first, &server).await;
    assert_eq!(anew.changes, ["t +9"]);
    stored.catch_up(&mut stream, &server).await;

    // purged: its rows are not known, and that is said
    prepare(&database, "'c'", &["INSERT INTO t VALUES (8)"]).await;
    database.exec("FLUSH BINARY LOGS").await.expect("the server does it");
    drop(stream);
    let mut stream = connect(&config, Start::Now).await;
    purge_all_but_the_last(&server).await;
    decide(&database, "XA COMMIT 'c'").await;
    let fault = stored.fault(&mut stream).await;
    assert_eq!((fault.code(), fault.class()), (codes::XA, Class::Fatal), "{fault}");
}

async fn purge_all_but_the_last(server: &Server) {
    let purge = || async {
        let (file, _, _) = server.binlog_end().await?;
        server.exec(&format!("PURGE BINARY LOGS TO '{file}'")).await?;
        let files: Vec<(String, u64)> = server.query("SHOW BINARY LOGS").await?;
        anyhow::ensure!(files.len() == 1, "a reader holds the file");
        Ok::<_, anyhow::Error>(())
    };
    eventually("the old files are gone", LONG, purge).await;
}

#[tokio::test]
async fn files_of_undecided_branches_are_needed() {
    let server =
        Server::start_mariadb(&["--binlog-expire-logs-seconds=7200"]).await.expect("the server does it");
    let database = server.database("needed").await.expect("the server does it");
    let config = config(&server, &[format!("{}.t", database.name())]);
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY); FLUSH BINARY LOGS")
        .await
        .expect("the server does it");
    let mut stream = connect(&config, Start::Now).await;
    let mut stored = Stored::default();
    prepare(&database, "'a'", &["INSERT INTO t VALUES (1)"]).await;
    let (held, _, _) = server.binlog_end().await.expect("the server does it");
    database
        .exec("FLUSH BINARY LOGS; INSERT INTO t VALUES (2); FLUSH BINARY LOGS; INSERT INTO t VALUES (3)")
        .await
        .expect("the server does it");
    stored.catch_up(&mut stream, &server).await;
    let told = outlook(&config, &stored.position, &stored.notes()).await.expect("the server does it");
    assert_eq!(told.oldest_file_needed, held);
    assert_ne!(server.binlog_end().await.expect("the server does it").0, held);
    assert!(told.purge_statement().is_some() && told.caution.is_none(), "{told:?}");
    // what was prepared unseen may be in any file
    prepare(&database, "'b'", &["INSERT INTO t VALUES (4)"]).await;
    let told = outlook(&config, &stored.position, &stored.notes()).await.expect("the server does it");
    assert!(told.purge_statement().is_none() && told.caution.is_some(), "{told:?}");
    decide(&database, "XA ROLLBACK 'b'").await;
    // whoever purges all the same is told at the commit, with the transaction's name
    drop(stream);
    let mut gone = stored.clone();
    purge_all_but_the_last(&server).await;
    let mut stream = gone.again(&config).await;
    decide(&database, "XA COMMIT 'a'").await;
    let fault = gone.fault(&mut stream).await;
    assert_eq!((fault.code(), fault.class()), (codes::PURGED, Class::Fatal), "{fault}");
    assert!(fault.message().contains("the XA transaction 0-"), "{fault}");
}
