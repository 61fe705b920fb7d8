//! Servers whose global variables make sessions what no reader expects.

use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_model::Secret;
use forebay_source::mysql::{Config, SnapshotRequest, Status, doctor};

use super::super::{config, text};
use super::writer::catch_up;
use super::{Log, begin, done, finish, small};

const TABLES: &str = "SET NAMES utf8mb4;
    CREATE TABLE o (id INT PRIMARY KEY, `näme` INT, e ENUM('ü','x') CHARSET utf8mb4);
    CREATE TABLE `tä` (id INT PRIMARY KEY, `ö` VARCHAR(9) CHARSET utf8mb4);
    CREATE TABLE nokey (a INT, b VARCHAR(9));
    INSERT INTO o VALUES (1, 1, 'ü'), (2, 2, 'x'); INSERT INTO `tä` VALUES (1, 'é'), (2, 'b'), (3, 'c');
    INSERT INTO nokey VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g')";

const GLOBALS: [&str; 6] = [
    "sql_select_limit = 2",
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "sql_quote_show_create = 0",
    "init_connect = 'SET NAMES latin1'",
    "autocommit = 0",
    "max_join_size = 1",
];

async fn odd(server: &Server, globals: &[&str], grant: &str, hidden_key: bool) {
    let database = server.database("odd").await.expect("a database");
    let name = database.name().to_owned();
    database.exec(TABLES).await.expect("tables");
    if hidden_key {
        let sql = "SET sql_generate_invisible_primary_key = ON; CREATE TABLE gipk (a INT); INSERT INTO gipk VALUES (1), (2), (3)";
        database.exec(sql).await.expect("a table with a hidden key");
    }
    let user = server.cdc_user(&[grant, &format!("SELECT ON `{name}`.*")]).await.expect("an account");
    // a session from before, so that what is written is not meant
    let mut conn = database.connect().await.expect("a connection");
    conn.query_drop("SET NAMES utf8mb4").await.expect("our texts");
    for global in GLOBALS.iter().chain(globals) {
        server.exec(&format!("SET GLOBAL {global}")).await.unwrap_or_else(|e| panic!("{global}: {e}"));
    }
    let root = config(server, &[format!("{name}.*")]);
    let config = Config { user: user.name, password: Some(Secret::new(user.password)), ..root };
    let checks = doctor(&config).await;
    let failed: Vec<_> = checks.iter().filter(|c| c.status == Status::Fail).collect();
    assert!(failed.is_empty(), "{failed:#?}");

    let mut log = Log::default();
    let mut capture = log.connect(&config, small(2)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    done(&finish(&mut capture, &mut log, "all").await);
    for sql in [
        "INSERT INTO o VALUES (9, 9, 'ü')",
        "INSERT INTO `tä` VALUES (9, 'ñ')",
        "INSERT INTO nokey VALUES (9, 'z')",
    ] {
        conn.query_drop(sql).await.expect("an insert");
    }
    if hidden_key {
        conn.query_drop("INSERT INTO gipk VALUES (9)").await.expect("an insert");
    }
    catch_up(&mut capture, &mut log, server).await;
    assert!(capture.quarantined().is_empty(), "{:?}", capture.quarantined());
    let mut got: Vec<String> = Vec::new();
    for batch in log.blocks.iter().flat_map(|block| &block.batches) {
        let columns: Vec<&str> = batch.table.columns.iter().map(|c| c.name.as_str()).collect();
        let row = |row| format!("{}({}) {}", batch.table.table, columns.join(","), text::row(batch, row));
        got.extend((0..batch.rows()).map(row));
    }
    got.sort();
    let mut wanted: Vec<String> =
        ["1,1,ü", "2,2,x", "9,9,ü"].map(|row| format!("o(id,näme,e) {row}")).to_vec();
    wanted.extend(["1,é", "2,b", "3,c", "9,ñ"].map(|row| format!("tä(id,ö) {row}")));
    let letters = ["1,a", "2,b", "3,c", "4,d", "5,e", "6,f", "7,g", "9,z"];
    wanted.extend(letters.map(|row| format!("nokey(a,b) {row}")));
    if hidden_key {
        wanted.extend(["1,1", "2,2", "3,3", "4,9"].map(|row| format!("gipk(my_row_id,a) {row}")));
    }
    wanted.sort();
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn whatever_a_server_makes_of_sessions() {
    let server = Server::start(&["--binlog-row-metadata=MINIMAL"]).await.expect("a MySQL");
    let globals = ["show_gipk_in_create_table_and_information_schema = OFF", "max_execution_time = 1"];
    odd(&server, &globals, "REPLICATION SLAVE, REPLICATION CLIENT ON *.*", true).await;
}

#[tokio::test]
async fn whatever_mariadb_makes_of_sessions() {
    let server =
        Server::start_mariadb(&["--skip-character-set-client-handshake", "--character-set-server=latin1"])
            .await;
    let globals = ["sql_mode = 'ORACLE'", "max_statement_time = 0.001"];
    odd(&server.expect("a MariaDB"), &globals, "REPLICATION SLAVE, BINLOG MONITOR ON *.*", false).await;
}
