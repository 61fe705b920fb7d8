//! An XA branch that nothing is known of: it is looked for, and not again and again.

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server, eventually};
use forebay_model::Fault;
use forebay_source::codes;
use forebay_source::mysql::{Start, Stream};

use super::schema::Log;
use super::{LONG, config, connect, next};

/// Prepares a branch on a connection that then goes away.
async fn prepare(database: &Database, xid: &str, sql: &str) {
    let mut conn = database.connect().await.expect("the server does it");
    for sql in [&format!("XA START '{xid}'"), sql, &format!("XA END '{xid}'"), &format!("XA PREPARE '{xid}'")]
    {
        conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    conn.disconnect().await.expect("the server does it");
}

/// Reads until it cannot go on.
async fn fault(log: &mut Log, stream: &mut Stream) -> Fault {
    loop {
        match next(stream).await {
            Ok(captured) => log.add(captured),
            Err(fault) => return fault,
        }
    }
}

/// How often a file of the binlog was read: the stream itself asks by GTIDs, which is counted elsewhere.
async fn scans(server: &Server) -> u64 {
    let sql = "SELECT COUNT_STAR FROM performance_schema.events_statements_summary_global_by_event_name \
               WHERE EVENT_NAME = 'statement/com/Binlog Dump'";
    let rows: Vec<u64> = server.query(sql).await.expect("the server answers");
    rows[0]
}

#[tokio::test]
async fn a_branch_that_is_not_there_is_looked_for_once() {
    let server = Server::start(&["--performance-schema=ON"]).await.unwrap();
    let database = server.database("once").await.unwrap();
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    prepare(&database, "a", "INSERT INTO t VALUES (1)").await;
    database.exec("FLUSH BINARY LOGS").await.unwrap();
    let newest = server.binlog_end().await.unwrap().0;
    server.exec(&format!("PURGE BINARY LOGS TO '{newest}'")).await.unwrap();
    let captured = config(&server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut stream = connect(&captured, Start::Now).await;
    database.exec("INSERT INTO t VALUES (7); XA COMMIT 'a'").await.unwrap();
    let told = fault(&mut log, &mut stream).await;
    assert_eq!(told.code(), codes::XA, "{told}");
    assert_eq!(log.rows(), ["t +id=7"]);
    let first = eventually("the search is counted", LONG, || async {
        let n = scans(&server).await;
        if n > 0 { Ok(n) } else { Err("not yet") }
    })
    .await;
    // as often as somebody looks whether it is mended, also from another process
    for _ in 0..2 {
        let mut stream = log.resume(&captured).await;
        let told = fault(&mut log, &mut stream).await;
        assert_eq!(told.code(), codes::XA, "{told}");
    }
    assert_eq!(scans(&server).await, first);
}

#[tokio::test]
async fn the_server_bears_a_connection_that_waits_for_what_lies_ahead() {
    let server = Server::start(&["--wait-timeout=2", "--performance-schema=ON"]).await.unwrap();
    let stream = connect(&config(&server, &["a.*".to_owned()]), Start::Now).await;
    let sql = "SELECT VARIABLE_VALUE FROM performance_schema.variables_by_thread JOIN performance_schema.threads USING (THREAD_ID) \
               WHERE VARIABLE_NAME = 'wait_timeout' AND PROCESSLIST_COMMAND LIKE 'Binlog Dump%'";
    let waits: Vec<String> = server.query(sql).await.unwrap();
    assert_eq!(waits, ["7200"]);
    drop(stream);
}
