//! Against real servers.

use std::path::Path;

use futures_util::StreamExt;

use super::*;

#[tokio::test]
async fn a_database_is_gone_after_its_test() {
    let server = mysql().await;
    let database = server.database("Kit-DB").await.unwrap();
    let name = database.name().to_owned();
    database.exec("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.unwrap();
    assert_eq!(database.query::<(i32,)>("SELECT id FROM t ORDER BY id").await.unwrap(), [(1,), (2,)]);
    drop(database);
    let left: Vec<String> = server.query("SHOW DATABASES").await.unwrap();
    assert!(name.starts_with("kit_db_") && !left.contains(&name), "{left:?}");
}

#[tokio::test]
async fn a_failing_statement_names_itself() {
    let error = mysql().await.exec("SELECT 1; SELECT nonsense FROM nowhere.at_all").await.unwrap_err();
    assert!(format!("{error:#}").contains("nowhere"), "{error:#}");
}

#[tokio::test]
async fn a_user_has_its_grants_and_no_more() {
    let server = mysql().await;
    let database = server.database("grants").await.unwrap();
    database.exec("CREATE TABLE t (id INT)").await.unwrap();
    let select = format!("SELECT ON {}.*", database.name());
    let user = server.cdc_user(&["REPLICATION SLAVE, REPLICATION CLIENT ON *.*", &select]).await.unwrap();
    let mut conn = server.connect_as(&user).await.unwrap();
    conn.query_drop(format!("SELECT * FROM {}.t", database.name())).await.unwrap();
    let refused = conn.query_drop(format!("DELETE FROM {}.t", database.name())).await.unwrap_err();
    assert!(matches!(&refused, mysql_async::Error::Server(e) if e.code == 1142), "{refused}");
    conn.disconnect().await.unwrap();
}

#[tokio::test]
async fn what_is_committed_survives_stop_and_kill() {
    let server = Server::start(&["--server-id=77"]).await.unwrap();
    server.exec("CREATE DATABASE d; CREATE TABLE d.t (id INT); INSERT INTO d.t VALUES (1)").await.unwrap();
    server.restart().await.unwrap();
    server.exec("INSERT INTO d.t VALUES (2)").await.unwrap();
    server.kill9().await.unwrap();
    assert!(server.connect().await.is_err(), "a killed server does not answer");
    server.start_again().await.unwrap();
    assert_eq!(server.query::<i32>("SELECT id FROM d.t").await.unwrap(), [1, 2]);
    assert_eq!(server.query::<u32>("SELECT @@server_id").await.unwrap(), [77], "options hold over restarts");
    let (file, offset, gtids) = server.binlog_end().await.unwrap();
    assert!(file.starts_with("binlog.") && offset > 4 && gtids.ends_with(":1-4"), "{file} {offset} {gtids}");

    let dir = server.dir().unwrap().to_owned();
    drop(server);
    eventually("the folder is gone", Duration::from_secs(20), || async { !Path::exists(&dir) }).await;
}

#[tokio::test]
async fn dump_threads_are_found_and_killed() {
    let server = Server::start(&[]).await.unwrap();
    let request = mysql_async::BinlogStreamRequest::new(9);
    let mut stream = server.connect().await.unwrap().get_binlog_stream(request).await.unwrap();
    let kill = || async { server.kill_dump_threads().await.unwrap() == 1 };
    eventually("the dump thread is there", Duration::from_secs(10), kill).await;
    // The events so far, and then the end or an error, but no hang.
    let end = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.expect("a killed dump ends");
}

#[tokio::test]
async fn mariadb_is_as_mysql() {
    let server = mariadb().await;
    let database = server.database("maria").await.unwrap();
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, u UUID); INSERT INTO t VALUES (1, NULL)")
        .await
        .unwrap();
    let (file, end, gtids) = server.binlog_end().await.unwrap();
    assert!(file.starts_with("binlog.") && end > 4 && gtids.starts_with("0-1-"), "{file} {end} {gtids}");
    let version: Vec<String> = server.query("SELECT VERSION()").await.unwrap();
    assert!(version[0].starts_with("10.11"), "{version:?}");
}
