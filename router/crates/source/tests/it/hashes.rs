//! MariaDB's hidden columns: a hash for each UNIQUE key that is too long for an index, which no SELECT shows.

use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_source::mysql::{Capture, Definition, Limits, SnapshotRequest, SnapshotSettings, Start};

use super::{changes, check, config};

async fn written(server: &Server) {
    let database = server.database("hashes").await.expect("the server does it");
    database
        .exec(
            "CREATE TABLE old (id INT PRIMARY KEY, b TEXT UNIQUE, c INT) CHARSET utf8mb4;
             CREATE TABLE real_one (id INT PRIMARY KEY, u INT UNIQUE, n BIGINT UNSIGNED);
             INSERT INTO old VALUES (1, 'x', 1)",
        )
        .await
        .expect("the server does it");
    let config = config(server, &[format!("{}.*", database.name())]);
    let limits = Limits::default();
    let mut capture = Capture::connect(&config, Start::Now, limits, SnapshotSettings::default(), &[])
        .await
        .expect("the server does it");
    let mut conn = database.connect().await.expect("the server does it");
    let statements = [
        ("INSERT INTO old VALUES (2, 'y', NULL)", "old +2,y,NULL"),
        ("UPDATE old SET c = 7 WHERE id = 2", "old 2,y,NULL > 2,y,7"),
        ("INSERT INTO real_one VALUES (1, 1, 1)", "real_one +1,1,1"),
        (
            "CREATE TABLE two (a BLOB, UNIQUE (a), b VARCHAR(3000) CHARSET utf8mb4 UNIQUE, id BIGINT PRIMARY KEY, n BIGINT UNSIGNED)",
            "",
        ),
        ("INSERT INTO two VALUES (x'00', 'b', 1, 5)", "two +00,b,1,5"),
        ("INSERT INTO two VALUES (NULL, NULL, 2, NULL)", "two +NULL,NULL,2,NULL"),
        ("ALTER TABLE two DROP INDEX a", ""),
        ("INSERT INTO two VALUES (x'01', 'c', 3, 6)", "two +01,c,3,6"),
        ("ALTER TABLE two ADD COLUMN e VARCHAR(9) CHARSET utf8mb4 DEFAULT 'e' FIRST", ""),
        ("DELETE FROM two WHERE id = 3", "two -e,01,c,3,6"),
        ("DROP INDEX b ON two", ""),
        ("INSERT INTO two VALUES ('f', x'02', 'd', 4, 7)", "two +f,02,d,4,7"),
        ("CREATE UNIQUE INDEX h ON two (id, n) USING HASH", ""),
        ("INSERT INTO two VALUES ('g', x'03', 'd', 5, 8)", "two +g,03,d,5,8"),
        ("CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(50) CHARSET utf8mb4, UNIQUE (v))", ""),
        ("INSERT INTO plain VALUES (1, 'a')", "plain +1,a"),
        ("ALTER TABLE plain MODIFY v TEXT CHARSET utf8mb4", ""),
        ("INSERT INTO plain VALUES (2, 'b')", "plain +2,b"),
        ("CREATE TABLE strict (id INT PRIMARY KEY, v TEXT CHARSET utf8mb4 NOT NULL UNIQUE)", ""),
        ("INSERT INTO strict VALUES (1, 'v')", "strict +1,v"),
        ("ALTER TABLE strict ADD n BIGINT NOT NULL", ""),
        ("UPDATE strict SET n = 5", "strict 1,v,0 > 1,v,5"),
        ("CREATE TABLE copy LIKE plain", ""),
        ("INSERT INTO copy VALUES (2, 'b')", "copy +2,b"),
        ("SET SESSION binlog_row_image = MINIMAL", ""),
        ("UPDATE plain SET v = 'c' WHERE id = 2", "plain 2,absent > absent,c"),
        ("SET SESSION binlog_row_image = NOBLOB", ""),
        ("UPDATE plain SET v = 'd' WHERE id = 2", "plain 2,absent > 2,d"),
        ("SET SESSION binlog_row_image = FULL", ""),
    ];
    for (sql, _) in statements {
        conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    let wanted: Vec<&str> =
        statements.iter().map(|(_, change)| *change).filter(|change| !change.is_empty()).collect();
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        let captured =
            tokio::time::timeout(super::LONG, capture.next()).await.expect("a change").expect("no fault");
        let Some(block) = captured.block else { continue };
        check(&block);
        got.extend(
            changes(&block)
                .into_iter()
                .filter(|change| !change.starts_with("forebay.") && !change.starts_with("schema_changes")),
        );
        assert!(capture.quarantined().is_empty(), "{:?}", capture.quarantined());
    }
    assert_eq!(got, wanted);
    drop(capture);

    // and the schema is the one that a snapshot has
    let mut capture = Capture::connect(&config, Start::Now, limits, SnapshotSettings::default(), &[])
        .await
        .expect("the server does it");
    capture
        .command(forebay_source::mysql::SnapshotCommand::Begin(SnapshotRequest::all("s")))
        .expect("the server does it");
    let mut read = Vec::new();
    while read.len() < 8 {
        let captured =
            tokio::time::timeout(super::LONG, capture.next()).await.expect("a row").expect("no fault");
        for batch in captured.block.iter().flat_map(|block| &block.batches) {
            read.extend(
                (0..batch.rows())
                    .map(|row| format!("{} {}", batch.table.table, super::text::row(batch, row))),
            );
        }
    }
    assert!(read.contains(&"old 2,y,7".to_owned()), "{read:?}");
    let definition =
        Definition::of_server(&config, database.name(), "plain").await.expect("the server does it");
    assert_eq!(definition.table_schema().expect("the server does it").columns.len(), 2);
}

#[tokio::test]
async fn they_are_no_columns_where_the_binlog_names_none() {
    written(forebay_kit::mariadb().await).await;
}

#[tokio::test]
async fn they_are_no_columns_where_the_binlog_names_them() {
    written(&Server::start_mariadb(&["--binlog-row-metadata=FULL"]).await.expect("a MariaDB")).await;
}
