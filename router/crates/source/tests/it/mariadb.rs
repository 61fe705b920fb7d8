//! The source against a real MariaDB.

use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_model::{Class, Position};
use forebay_source::codes;
use forebay_source::mysql::{Limits, Start, Status, Stream, demands_met, preflight};

use super::{LONG, config, connect, next, take};

#[tokio::test]
async fn changes_come_in_order_and_go_on_from_a_position() {
    let server = forebay_kit::mariadb().await;
    let database = server.database("order").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut stream = connect(&config, Start::Now).await;
    assert!(stream.stats().server_version.starts_with("10.11"), "{}", stream.stats().server_version);
    let mut conn = database.connect().await.unwrap();
    let mut run = async |sql: &str| conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    run("CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(400))").await;
    run("CREATE TABLE b (id INT PRIMARY KEY, a INT) ENGINE = Aria").await;
    run("BEGIN").await;
    run("INSERT INTO a VALUES (1, 'x'), (2, NULL)").await;
    run("SAVEPOINT s").await;
    run("INSERT INTO a VALUES (9, 'no')").await;
    run("ROLLBACK TO s").await;
    run("UPDATE a SET v = 'y' WHERE id = 1").await;
    run("COMMIT").await;
    run("INSERT INTO b VALUES (7, 1)").await;
    run("DELETE FROM a WHERE id = 2").await;
    run("CREATE TABLE c SELECT id FROM a").await;
    run("TRUNCATE TABLE c").await;
    run("FLUSH BINARY LOGS").await;
    let wanted = ["a +1,x", "a +2,NULL", "a 1,x > 1,y", "b +7,1", "a -2,NULL", "c +1"];
    let (got, middle) = take(&mut stream, wanted.len()).await;
    assert_eq!(got, wanted);

    run("SET SESSION gtid_domain_id = 5, server_id = 77").await;
    run("INSERT INTO a VALUES (3, 'domain')").await;
    run("SET SESSION gtid_domain_id = 0, binlog_row_image = MINIMAL").await;
    run("UPDATE a SET v = 'z' WHERE id = 3").await;
    run("SET SESSION binlog_row_image = FULL").await;
    run("XA START 'one'").await;
    run("INSERT INTO a VALUES (4, 'xa')").await;
    run("XA END 'one'").await;
    run("XA COMMIT 'one' ONE PHASE").await;
    let wanted = ["a +3,domain", "a 3,absent > absent,z", "a +4,xa"];
    let (got, end) = take(&mut stream, wanted.len()).await;
    assert_eq!(got, wanted);
    let executed: forebay_model::GtidSet = server.binlog_end().await.unwrap().2.parse().unwrap();
    assert!(
        end.gtids.is_subset(&executed) && end.gtids.to_string().contains("5-77-1"),
        "{} {executed}",
        end.gtids
    );

    let mut again = connect(&config, Start::At(middle)).await;
    assert_eq!(take(&mut again, wanted.len()).await.0, wanted);
}

#[tokio::test]
async fn preflight_knows_its_names() {
    let server = forebay_kit::mariadb().await;
    let database = server.database("fit").await.unwrap();
    database.exec("CREATE TABLE t (id INT PRIMARY KEY, u UUID)").await.unwrap();
    let select = format!("SELECT ON `{}`.*", database.name());
    let user =
        server.cdc_user(&[&select, "REPLICATION SLAVE ON *.*", "BINLOG MONITOR ON *.*"]).await.unwrap();
    let mut config = config(server, &[format!("{}.*", database.name())]);
    (config.user, config.password) = (user.name, Some(forebay_model::Secret::new(user.password)));
    let checks = preflight(&config).await.unwrap();
    demands_met(&checks).unwrap();
    // and with these grants it can be read
    let mut stream = connect(&config, Start::Now).await;
    database.exec("INSERT INTO t VALUES (1, '00112233-4455-6677-8899-aabbccddeeff')").await.unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +1,00112233-4455-6677-8899-aabbccddeeff"]);

    let server =
        Server::start_mariadb(&["--binlog-format=MIXED", "--binlog-row-metadata=NO_LOG"]).await.unwrap();
    let checks = preflight(&super::config(&server, &["*.*".into()])).await.unwrap();
    let told: Vec<_> =
        checks.iter().filter(|c| ["binlog_format", "binlog_row_metadata"].contains(&c.id)).collect();
    assert_eq!(told.iter().map(|c| c.status).collect::<Vec<_>>(), [Status::Fail, Status::Advice]);
    assert!(told.iter().all(|c| c.fix.as_ref().unwrap().starts_with("SET GLOBAL")), "{told:?}");
}

#[tokio::test]
async fn compressed_events_and_statements() {
    let server =
        Server::start_mariadb(&["--log-bin-compress=ON", "--log-bin-compress-min-len=10"]).await.unwrap();
    let database = server.database("packed").await.unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    let mut stream = connect(&config, Start::Earliest).await;
    database
        .exec(
            "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(400)); INSERT INTO t VALUES (1, REPEAT('a', 300));
             UPDATE t SET v = REPEAT('b', 300); DELETE FROM t",
        )
        .await
        .unwrap();
    let (a, b) = ("a".repeat(300), "b".repeat(300));
    assert_eq!(
        take(&mut stream, 3).await.0,
        [format!("t +1,{a}"), format!("t 1,{a} > 1,{b}"), format!("t -1,{b}")]
    );
    database
        .exec("SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (5, 'a long enough text')")
        .await
        .unwrap();
    let fault = loop {
        if let Err(fault) = next(&mut stream).await {
            break fault;
        }
    };
    assert_eq!((fault.code(), fault.class()), (codes::STATEMENT_EVENT, Class::Fatal), "{fault}");
}

#[tokio::test]
async fn positions_that_the_server_lacks_are_fatal() {
    let server = Server::start_mariadb(&[]).await.unwrap();
    let database = server.database("gone").await.unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let old = next(&mut connect(&config, Start::Now).await).await.unwrap().position.unwrap();
    database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    server.exec("FLUSH BINARY LOGS").await.unwrap();
    let purge = || async {
        let (file, _, _) = server.binlog_end().await?;
        server.exec(&format!("PURGE BINARY LOGS TO '{file}'")).await?;
        let files: Vec<(String, u64)> = server.query("SHOW BINARY LOGS").await?;
        anyhow::ensure!(files.len() == 1, "a reader holds the file");
        Ok::<_, anyhow::Error>(())
    };
    forebay_kit::eventually("the old file is gone", LONG, purge).await;
    let refused = Stream::connect(&config, Start::At(old), Limits::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (codes::PURGED, Class::Fatal), "{refused}");
    let mut stream = connect(&config, Start::Earliest).await;
    database.exec("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +2"]);

    let ahead = Position { gtids: "0-1-1000000".parse().unwrap(), ..Default::default() };
    let refused = Stream::connect(&config, Start::At(ahead), Limits::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (codes::POSITION_AHEAD, Class::Fatal), "{refused}");
}
