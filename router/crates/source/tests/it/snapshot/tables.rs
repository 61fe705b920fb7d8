//! What a snapshot is asked for, and what befalls its tables.

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::{Secret, TablePattern, VIRTUAL_DATABASE};
use forebay_source::codes;
use forebay_source::mysql::{
    Capture, Captured, Config, Limits, SnapshotCommand, SnapshotRequest, SnapshotState, SnapshotStatus, Start,
};

use super::super::{config, text};
use super::{Log, begin, done, finish, next, one, small, status};

async fn numbers(database: &Database, table: &str, rows: u32) {
    database
        .exec(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, v INT);
             INSERT INTO {table} WITH d (i) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL
             SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)
             SELECT n, n % 10 FROM (SELECT 1 + a.i + 10 * b.i + 100 * c.i + 1000 * d.i n FROM d a, d b, d c, d) s
             WHERE n <= {rows}"
        ))
        .await
        .expect("the server does it");
}

#[tokio::test]
async fn some_tables_some_rows_for_one_route() {
    let server = forebay_kit::mysql().await;
    let database = server.database("asked").await.unwrap();
    let name = database.name();
    for table in ["a", "b", "c"] {
        numbers(&database, table, 1000).await;
    }
    let config = config(server, &[format!("{name}.a"), format!("{name}.b")]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(90)).await;
    let mut request = SnapshotRequest { audience: Some("new-route".into()), ..SnapshotRequest::all("some") };
    request.tables = ["a", "c"].map(|t| TablePattern::new(&format!("{name}.{t}")).unwrap()).to_vec();
    request.filters.insert(format!("{name}.a"), "v IN (3, 4) -- or so".into());
    begin(&mut capture, request.clone());
    assert_eq!(capture.command(SnapshotCommand::Begin(request)).unwrap_err().code(), codes::SNAPSHOT_EXISTS);
    let end = finish(&mut capture, &mut log, "some").await;
    done(&end);
    // c is not captured
    assert_eq!(end.tables.iter().map(|t| t.table.as_str()).collect::<Vec<_>>(), [format!("{name}.a")]);
    assert_eq!((end.rows, log.snapshot_rows()), (200, 200));
    assert!(end.tables[0].chunks >= 11, "{end:?}");
    for block in &log.blocks {
        let txn = block.origin.txns[0];
        assert_eq!(txn.number, 0);
        assert_eq!(block.origin.strings[txn.tag as usize - 1], "new-route");
        assert!(
            txn.commit_us > 0 && block.origin.file(&txn).contains('.') && block.batches[0].runs[0].pos > 4
        );
    }
    capture.command(SnapshotCommand::Forget("some".into())).unwrap();
    while log.notes.iter().any(|n| n.key.starts_with("snapshot/")) {
        log.add(next(&mut capture).await.unwrap());
    }
    assert!(capture.snapshots().is_empty());
}

#[tokio::test]
async fn paused_resumed_slowed_cancelled() {
    let server = forebay_kit::mysql().await;
    let database = server.database("paused").await.unwrap();
    numbers(&database, "a", 3000).await;
    let config = config(server, &[format!("{}.a", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(2000), ..SnapshotRequest::all("p") });
    let began = std::time::Instant::now();
    while log.snapshot_rows() < 500 {
        log.add(next(&mut capture).await.unwrap());
    }
    capture.command(SnapshotCommand::Pause("p".into())).unwrap();
    let rows = status(&capture, "p").rows;
    // paused it stays, over a new connection too
    log.add(next(&mut capture).await.unwrap());
    drop(capture);
    let mut capture = log.connect(&config, small(100)).await;
    assert_eq!(status(&capture, "p").state, SnapshotState::Paused);
    let more = tokio::time::timeout(std::time::Duration::from_secs(2), async {
        loop {
            log.add(capture.next().await.unwrap());
        }
    });
    assert!(more.await.is_err());
    assert_eq!(status(&capture, "p").rows, rows);
    capture.command(SnapshotCommand::Resume("p".into())).unwrap();
    done(&finish(&mut capture, &mut log, "p").await);
    assert_eq!(log.snapshot_rows(), 3000);
    assert!(began.elapsed().as_secs_f64() > 1.0, "the rate is a limit");

    begin(&mut capture, SnapshotRequest { rows_per_second: Some(500), ..SnapshotRequest::all("c") });
    while log.snapshot_rows() < 3200 {
        log.add(next(&mut capture).await.unwrap());
    }
    capture.command(SnapshotCommand::Cancel("c".into())).unwrap();
    let end = finish(&mut capture, &mut log, "c").await;
    assert_eq!(end.state, SnapshotState::Cancelled);
    assert!(end.rows < 3000);
    for (over, id) in [("done", "p"), ("cancelled", "c")] {
        for command in [SnapshotCommand::Pause, SnapshotCommand::Resume, SnapshotCommand::Cancel] {
            let refused = capture.command(command(id.into())).unwrap_err();
            assert_eq!(refused.code(), codes::SNAPSHOT_REQUEST);
            assert!(refused.message().contains(&format!("`{id}` is {over}")), "{refused}");
        }
    }
    let unknown = capture.command(SnapshotCommand::Pause("x".into())).unwrap_err();
    assert_eq!(unknown.code(), codes::SNAPSHOT_UNKNOWN);
    let bad = capture.command(SnapshotCommand::Begin(SnapshotRequest::all("a/b"))).unwrap_err();
    assert_eq!(bad.code(), codes::SNAPSHOT_REQUEST);
}

fn fault(status: &SnapshotStatus) -> &str {
    &status.tables[0].fault.as_ref().expect("a fault").code
}

#[tokio::test]
async fn filters_that_are_none_are_refused() {
    let server = forebay_kit::mysql().await;
    let database = server.database("filters").await.unwrap();
    numbers(&database, "a", 10).await;
    let table = format!("{}.a", database.name());
    let config = config(server, std::slice::from_ref(&table));
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    for (n, filter) in [
        "no_such = 1",
        "v = ",
        "v = 1) OR (v = 2",
        "1 UNION SELECT 1",
        "v = ?",
        "1 LIMIT 1",
        "no_such(v)",
        "v = 1 /*",
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("f{n}");
        let mut request = SnapshotRequest::all(&id);
        request.filters.insert(table.clone(), filter.into());
        begin(&mut capture, request);
        let end = finish(&mut capture, &mut log, &id).await;
        assert_eq!((end.state, fault(&end)), (SnapshotState::Failed, "mysql.snapshot_filter"), "{filter}");
    }
    assert_eq!(log.snapshot_rows(), 0);
}

#[tokio::test]
async fn tables_that_change_or_vanish_while_they_are_read() {
    let server = forebay_kit::mysql().await;
    let database = server.database("changes").await.unwrap();
    numbers(&database, "a", 2000).await;
    let table = format!("{}.a", database.name());
    let config = config(server, std::slice::from_ref(&table));
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    let slow = |id: &str| SnapshotRequest { rows_per_second: Some(4000), ..one(id, &table) };
    begin(&mut capture, slow("add"));
    while log.snapshot_rows() < 500 {
        log.add(next(&mut capture).await.unwrap());
    }
    // the key stays: it goes on, with the new column
    database.exec("ALTER TABLE a ADD COLUMN w INT NOT NULL DEFAULT 7 FIRST").await.unwrap();
    done(&finish(&mut capture, &mut log, "add").await);
    assert_eq!(log.snapshot_rows(), 2000);
    let columns = |at: usize| log.blocks[at].batches[0].columns.len();
    assert_eq!((columns(0), columns(log.blocks.len() - 1)), (2, 3));

    // another key: it begins anew
    log.blocks.clear();
    begin(&mut capture, slow("key"));
    while log.snapshot_rows() < 500 {
        log.add(next(&mut capture).await.unwrap());
    }
    database.exec("ALTER TABLE a DROP PRIMARY KEY, ADD PRIMARY KEY (v, id)").await.unwrap();
    done(&finish(&mut capture, &mut log, "key").await);
    assert!(log.snapshot_rows() >= 2500, "{}", log.snapshot_rows());

    begin(&mut capture, slow("gone"));
    log.blocks.clear();
    while log.snapshot_rows() < 300 {
        log.add(next(&mut capture).await.unwrap());
    }
    database.exec("RENAME TABLE a TO elsewhere").await.unwrap();
    let end = finish(&mut capture, &mut log, "gone").await;
    assert_eq!((end.state, fault(&end)), (SnapshotState::Failed, "mysql.snapshot_table_gone"));
    // mended and resumed, it is read anew: nobody knows what was done to it under the other name
    database.exec("RENAME TABLE elsewhere TO a").await.unwrap();
    capture.command(SnapshotCommand::Resume("gone".into())).unwrap();
    while status(&capture, "gone").state.is_over() || !log.has_snapshots() {
        log.add(next(&mut capture).await.unwrap());
    }
    loop {
        let now = status(&capture, "gone");
        if now.state.is_over() {
            done(&now);
            break;
        }
        log.add(next(&mut capture).await.unwrap());
    }
    assert!(log.snapshot_rows() >= 2300, "{}", log.snapshot_rows());
}

#[tokio::test]
async fn an_account_that_may_only_read() {
    may_only_read(forebay_kit::mysql().await, "REPLICATION SLAVE, REPLICATION CLIENT ON *.*").await;
}

#[tokio::test]
async fn an_account_of_mariadb_that_may_only_read() {
    may_only_read(forebay_kit::mariadb().await, "REPLICATION SLAVE, BINLOG MONITOR ON *.*").await;
}

#[tokio::test]
async fn an_account_without_gtids_that_may_only_read() {
    let server = Server::start(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await.unwrap();
    may_only_read(&server, "REPLICATION SLAVE, REPLICATION CLIENT ON *.*").await;
}

async fn may_only_read(server: &Server, grant: &str) {
    let database = server.database("least").await.expect("the server does it");
    numbers(&database, "a", 500).await;
    database.exec("CREATE TABLE b (v INT); INSERT INTO b VALUES (1), (1)").await.expect("the server does it");
    let name = database.name();
    let select = format!("SELECT ON `{name}`.*");
    let user = server.cdc_user(&[grant, &select]).await.expect("the server does it");
    let root = config(server, &[format!("{name}.*")]);
    let least = |user: &forebay_kit::CdcUser| Config {
        user: user.name.clone(),
        password: Some(Secret::new(&user.password)),
        ..root.clone()
    };
    let mut log = Log::default();
    let mut capture = log.connect(&least(&user), small(50)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    done(&finish(&mut capture, &mut log, "all").await);
    assert_eq!(log.snapshot_rows(), 502);

    // one that sees a column of a table, and not all of it
    let part = format!("SELECT (id) ON `{name}`.`a`");
    let user = server.cdc_user(&[grant, &part]).await.expect("the server does it");
    let start = Start::At(log.position.clone().expect("the server does it"));
    let refused = Capture::connect(&least(&user), start, Limits::default(), small(50), &log.notes).await;
    // what it may not see is hidden from it, and not taken for nothing
    assert_eq!(refused.err().map(|fault| fault.code().name), Some("mysql.privilege"));
}

#[tokio::test]
async fn a_table_without_a_key_comes_whole_or_not_at_all() {
    let server = forebay_kit::mysql().await;
    let database = server.database("keyless").await.unwrap();
    database
        .exec(
            "CREATE TABLE t (v INT, w VARCHAR(50)); SET SESSION cte_max_recursion_depth = 1000000;
             INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             SELECT i % 100, 'same' FROM n",
        )
        .await
        .unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    // dropped in the middle of it: nothing of it counts
    while log.open.len() < 5 {
        log.add(next(&mut capture).await.unwrap());
    }
    drop(capture);
    assert_eq!(log.snapshot_rows(), 0);
    let mut capture = log.connect(&config, small(100)).await;
    // written now and then
    let mut conn = database.connect().await.unwrap();
    let work = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(10));
        for i in 0..60 {
            pace.tick().await;
            conn.query_drop(format!("INSERT INTO t VALUES ({i}, 'new')")).await.unwrap();
        }
    };
    let (end, ()) = tokio::join!(finish(&mut capture, &mut log, "all"), work);
    done(&end);
    let total = |log: &Log| log.blocks.iter().map(|b| b.rows()).sum::<usize>();
    while total(&log) < log.snapshot_rows() + 60 {
        log.add(next(&mut capture).await.unwrap());
    }
    // what the snapshot has of the new rows, the stream told before it or after it, never both
    let snapshot = log.snapshot_rows();
    let before: usize = log
        .blocks
        .iter()
        .take_while(|b| b.batches.iter().all(|b| b.kinds.iter().all(|k| *k as u8 != 0)))
        .map(|b| b.rows())
        .sum();
    eprintln!("{snapshot} rows, {before} events before them, {} in all", total(&log));
    assert_eq!(snapshot, 20_000 + before);
    assert_eq!(total(&log), snapshot + 60);
}

#[tokio::test]
async fn an_idle_server_whose_binlog_went_on_in_another_file() {
    goes_on_in_another_file(&Server::start(&[]).await.unwrap()).await;
}

#[tokio::test]
async fn an_idle_mariadb_whose_binlog_went_on_in_another_file() {
    goes_on_in_another_file(&Server::start_mariadb(&[]).await.unwrap()).await;
}

async fn goes_on_in_another_file(server: &Server) {
    let database = server.database("rotated").await.expect("the server does it");
    numbers(&database, "a", 100).await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(30)).await;
    server.exec("FLUSH BINARY LOGS").await.expect("the server does it");
    begin(&mut capture, SnapshotRequest::all("all"));
    let began = std::time::Instant::now();
    done(&finish(&mut capture, &mut log, "all").await);
    // no heartbeat had to come first
    assert!(began.elapsed().as_secs_f64() < 4.0, "{:?}", began.elapsed());
    assert_eq!(log.snapshot_rows(), 100);
}

#[tokio::test]
async fn a_table_that_the_stream_says_has_changed_is_looked_at_again() {
    let server = forebay_kit::mysql().await;
    let database = server.database("told").await.unwrap();
    numbers(&database, "a", 1000).await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(50)).await;
    begin(&mut capture, SnapshotRequest::all("all"));
    for rows in [100, 200, 300] {
        while log.snapshot_rows() < rows {
            log.add(next(&mut capture).await.unwrap());
        }
        // what a source says of itself is told to the snapshot, too
        database.exec("ALTER TABLE a ENGINE = InnoDB").await.unwrap();
    }
    done(&finish(&mut capture, &mut log, "all").await);
    assert_eq!(log.snapshot_rows(), 1000, "what was void is read again, what was given is not");
}

#[tokio::test]
async fn what_was_read_before_a_truncate_is_not_given_behind_it() {
    let server = forebay_kit::mysql().await;
    let database = server.database("emptied").await.unwrap();
    let mut log = Log::default();
    let mut capture = log.connect(&config(server, &[format!("{}.*", database.name())]), small(20)).await;
    let mut conn = database.connect().await.unwrap();
    // whether the read or the TRUNCATE is heard of first is up to chance
    for round in 0..16 {
        let table = format!("t{round}");
        numbers(&database, &table, 100).await;
        begin(&mut capture, one(&table, &format!("{}.{table}", database.name())));
        let of_table = |captured: &Captured| -> usize {
            let batches = captured.block.iter().flat_map(|b| &b.batches);
            batches.filter(|b| b.table.table == table).map(|b| b.rows()).sum()
        };
        while status(&capture, &table).rows == 0 {
            log.add(next(&mut capture).await.unwrap());
        }
        // the next chunk is read meanwhile
        for _ in 0..30 {
            conn.query_drop("DO 1").await.unwrap();
        }
        conn.query_drop(format!("TRUNCATE TABLE {table}")).await.unwrap();
        let mut emptied = false;
        while !status(&capture, &table).state.is_over() || !emptied {
            let captured = next(&mut capture).await.unwrap();
            assert!(!emptied || of_table(&captured) == 0, "round {round}: rows that are not there any more");
            let batches = captured.block.iter().flat_map(|b| &b.batches);
            emptied |= batches
                .filter(|b| b.table.database == VIRTUAL_DATABASE)
                .any(|b| (0..b.rows()).any(|r| text::row(b, r).contains(r#""truncate""#)));
            log.add(captured);
        }
        done(&status(&capture, &table));
    }
}

#[tokio::test]
async fn the_first_position_says_which_server_it_is_of() {
    let server = forebay_kit::mysql().await;
    let database = server.database("first").await.unwrap();
    numbers(&database, "t", 10).await;
    let table = format!("{}.t", database.name());
    let config = config(server, std::slice::from_ref(&table));
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(50)).await;
    begin(&mut capture, one("s", &table));
    while log.position.is_none() {
        log.add(next(&mut capture).await.unwrap());
    }
    let keys: Vec<&str> = log.notes.iter().map(|n| n.key.as_str()).collect();
    assert!(keys.contains(&"server") && keys.contains(&"snapshot/s"), "{keys:?}");
}
