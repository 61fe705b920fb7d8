//! Snapshots that read another server than the stream.

use std::time::Duration;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use forebay_source::mysql::{SnapshotRequest, SnapshotSettings, SnapshotState, SnapshotStatus};

use super::super::{LONG, config};
use super::writer::{catch_up, fold};
use super::{Log, begin, done, finish, small, status};

fn by(replica: &Server, chunk_rows: usize) -> SnapshotSettings {
    SnapshotSettings { replica: Some((replica.host().to_owned(), replica.port())), ..small(chunk_rows) }
}

#[tokio::test]
async fn from_a_replica_that_is_one() {
    let source = Server::start(&[]).await.unwrap();
    let replica = Server::start(&["--server-id=2"]).await.unwrap();
    let database = source.database("replicated").await.unwrap();
    database
        .exec(
            "CREATE TABLE t (id INT PRIMARY KEY, v INT);
             INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, 0 FROM n",
        )
        .await
        .unwrap();
    let config = config(&source, &[format!("{}.*", database.name())]);
    // it has nothing yet
    let mut log = Log::default();
    let mut capture = log.connect(&config, by(&replica, 50)).await;
    begin(&mut capture, SnapshotRequest::all("early"));
    let end = finish(&mut capture, &mut log, "early").await;
    assert_eq!(
        (end.state, end.fault.unwrap().code.as_str()),
        (SnapshotState::Failed, "mysql.snapshot_replica")
    );

    replica
        .exec(&format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{}', SOURCE_PORT = {}, SOURCE_USER = '{}', \
             SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA",
            source.host(),
            source.port(),
            source.user()
        ))
        .await
        .unwrap();
    let (_, _, executed) = source.binlog_end().await.unwrap();
    let has_all = || async {
        let sql = format!("SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)");
        replica.query::<u8>(&sql).await.is_ok_and(|has| has == [1])
    };
    eventually("the replica has what the source has", Duration::from_secs(30), has_all).await;
    drop(capture);
    let mut capture = log.connect(&config, by(&replica, 50)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(3000), ..SnapshotRequest::all("all") });
    let mut conn = database.connect().await.unwrap();
    let work = async {
        for i in 0..200 {
            conn.query_drop(format!("UPDATE t SET v = v + 1 WHERE id = {}", i * 7 % 900 + 1)).await.unwrap();
        }
    };
    let (end, ()) = tokio::join!(finish(&mut capture, &mut log, "all"), work);
    done(&end);
    assert_eq!(end.rows + end.tables[0].superseded, 900);
    catch_up(&mut capture, &mut log, &source).await;
    let rows = fold(&log, "t", &[0]);
    let wanted: Vec<String> = database.query("SELECT CONCAT(id, ',', v) FROM t").await.unwrap();
    assert_eq!(rows.into_values().collect::<std::collections::BTreeSet<_>>(), wanted.into_iter().collect());

    // a branch that is prepared holds up nothing, whatever it is of
    source.exec("CREATE DATABASE aside; CREATE TABLE aside.u (id INT PRIMARY KEY)").await.unwrap();
    let mut branch = source.connect().await.unwrap();
    for statement in ["XA START 'x'", "INSERT INTO aside.u VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"] {
        branch.query_drop(statement).await.unwrap();
    }
    let (_, _, executed) = source.binlog_end().await.unwrap();
    let has_all = || async {
        let sql = format!("SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)");
        replica.query::<u8>(&sql).await.is_ok_and(|has| has == [1])
    };
    eventually("the replica has the branch", Duration::from_secs(30), has_all).await;
    begin(&mut capture, SnapshotRequest::all("prepared"));
    let end = tokio::time::timeout(Duration::from_secs(30), finish(&mut capture, &mut log, "prepared"));
    done(&end.await.expect("a snapshot that ends"));
    branch.query_drop("XA ROLLBACK 'x'").await.unwrap();

    // it stands still: a snapshot waits for what the stream has, and says so
    replica.exec("STOP REPLICA").await.unwrap();
    database.exec("UPDATE t SET v = v + 1").await.unwrap();
    catch_up(&mut capture, &mut log, &source).await;
    begin(&mut capture, SnapshotRequest::all("late"));
    let behind = |s: SnapshotStatus| s.fault.is_some_and(|f| f.code == "mysql.snapshot_behind");
    let says_so = async {
        while !behind(status(&capture, "late")) {
            // nothing is given meanwhile: the wait is dropped and begun again
            if let Ok(captured) = tokio::time::timeout(Duration::from_millis(100), capture.next()).await {
                log.add(captured.unwrap());
            }
        }
    };
    tokio::time::timeout(LONG, says_so).await.expect("a snapshot that waits");
    replica.exec("START REPLICA").await.unwrap();
    done(&finish(&mut capture, &mut log, "late").await);

    // a transaction of its own
    replica.exec("CREATE DATABASE errant").await.unwrap();
    begin(&mut capture, SnapshotRequest::all("errant"));
    let end = finish(&mut capture, &mut log, "errant").await;
    assert_eq!(
        (end.state, end.fault.unwrap().code.as_str()),
        (SnapshotState::Failed, "mysql.snapshot_replica")
    );
}
