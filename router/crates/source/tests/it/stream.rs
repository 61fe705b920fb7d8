//! What a stream gives, and how it ends.

use std::time::Duration;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use forebay_model::{Class, Fault, Position};
use forebay_source::codes;
use forebay_source::mysql::{Limits, Start, Stream};

use super::{LONG, changes, check, config, connect, next, take};

/// The fault that ends the stream.
async fn fault(stream: &mut Stream) -> Fault {
    loop {
        if let Err(fault) = next(stream).await {
            return fault;
        }
    }
}

#[tokio::test]
async fn changes_come_in_order_and_go_on_from_a_position() {
    let server = forebay_kit::mysql().await;
    let database = server.database("order").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut stream = connect(&config, Start::Now).await;
    database
        .exec(
            "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20)); CREATE TABLE b (id INT PRIMARY KEY, a INT, n INT);
             BEGIN; INSERT INTO a VALUES (1, 'x'), (2, NULL); INSERT INTO b VALUES (7, 1, 0);
             UPDATE a SET v = 'y' WHERE id = 1; INSERT INTO b VALUES (8, 2, 0); DELETE FROM a WHERE id = 2; COMMIT;
             UPDATE b SET n = n + 1",
        )
        .await
        .unwrap();
    let (got, middle) = take(&mut stream, 8).await;
    assert_eq!(
        got,
        [
            "a +1,x",
            "a +2,NULL",
            "b +7,1,0",
            "a 1,x > 1,y",
            "b +8,2,0",
            "a -2,NULL",
            "b 7,1,0 > 7,1,1",
            "b 8,2,0 > 8,2,1",
        ]
    );

    database
        .exec("ALTER TABLE a ADD COLUMN extra INT DEFAULT 5 FIRST; INSERT INTO a VALUES (3, 4, 'z')")
        .await
        .unwrap();
    let (later, _) = take(&mut stream, 1).await;
    assert_eq!(later, ["a +3,4,z"]);
    let stats = stream.stats();
    assert!(stats.bytes > 1000 && stats.events > 20 && stats.last_event_us > 0 && stats.tls, "{stats:?}");

    let mut again = connect(&config, Start::At(middle)).await;
    assert_eq!(take(&mut again, 1).await.0, later);
}

#[tokio::test]
async fn a_block_says_which_transactions_its_events_are_of() {
    let server = forebay_kit::mysql().await;
    let database = server.database("txn").await.unwrap();
    let mut conn = database.connect().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    conn.query_drop("SET gtid_next = 'AUTOMATIC:sometag'").await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    let block = loop {
        if let Some(block) = next(&mut stream).await.unwrap().block {
            break block;
        }
    };
    check(&block);
    let (file, end, executed) = server.binlog_end().await.unwrap();
    let origin = &block.origin;
    let gtid = origin.gtid(&origin.txns[0]).unwrap();
    assert_eq!(gtid.tag.as_deref(), Some("sometag"));
    assert!(executed.contains(":sometag:"), "{executed}");
    assert!(executed.parse::<forebay_model::GtidSet>().unwrap().contains(&gtid));
    assert_eq!(origin.file(&origin.txns[0]), file);
    assert!(block.batches[0].runs[0].pos < end && block.batches[0].runs[0].pos > 4);
    let thread: u32 = conn.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    assert_eq!(origin.txns[0].thread, thread);
    let now: u64 =
        conn.query_first("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)").await.unwrap().unwrap();
    assert!(now.abs_diff(origin.txns[0].commit_us) < 10_000_000, "{} {now}", origin.txns[0].commit_us);

    // a tagged transaction that was read does not come again
    let position = next(&mut stream).await;
    let at = match position {
        Ok(captured) => captured.position.unwrap(),
        Err(e) => panic!("{e}"),
    };
    assert!(at.gtids.contains(&gtid));
    let mut again = connect(&config(server, &[format!("{}.*", database.name())]), Start::At(at)).await;
    conn.query_drop("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(take(&mut again, 1).await.0, ["t +2"]);
}

#[tokio::test]
async fn a_large_transaction_comes_in_pieces_and_never_with_whole_ones() {
    let server = forebay_kit::mysql().await;
    let database = server.database("large").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    let start = next(&mut connect(&config, Start::Now).await).await.unwrap().position.unwrap();
    let mut conn = database.connect().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(100))").await.unwrap();
    conn.query_drop("INSERT INTO t (v) VALUES ('one'), ('two')").await.unwrap();
    conn.query_drop("SET SESSION cte_max_recursion_depth = 100000").await.unwrap();
    conn.query_drop(
        "INSERT INTO t (v) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n",
    )
    .await
    .unwrap();
    conn.query_drop("INSERT INTO t (v) VALUES ('last')").await.unwrap();

    let limits = Limits { block_rows: 300, ..Limits::default() };
    let mut stream = Stream::connect(&config, Start::At(start.clone()), limits).await.unwrap();
    let (mut events, mut pieces, mut wholes) = (0, 0, Vec::new());
    // one more: the table's creation is told
    while events < 5004 {
        let captured = next(&mut stream).await.unwrap();
        let Some(block) = captured.block else { continue };
        check(&block);
        assert!(block.rows() <= 301, "{} rows", block.rows());
        let txns: std::collections::BTreeSet<u32> =
            block.batches.iter().flat_map(|b| b.runs.iter().map(|r| r.txn)).collect();
        match captured.position {
            None => {
                assert_eq!(txns.len(), 1, "a piece is of one transaction");
                pieces += 1;
            }
            Some(position) => wholes.push((events, block.events, position)),
        }
        events += block.events;
    }
    assert!(pieces >= 15, "{pieces}");
    // what is noted of the creation goes with it
    assert_eq!((wholes[0].0, wholes[0].1), (0, 1), "the table's creation");
    assert_eq!((wholes[1].0, wholes[1].1), (1, 2), "the whole transaction before the large one");

    // from the position before the large one, all of it comes again
    let mut stream = connect(&config, Start::At(wholes.swap_remove(1).2)).await;
    let (got, _) = take(&mut stream, 5001).await;
    assert!(
        got[0] == "t +3,1" && got[4999] == "t +5002,5000" && got[5000].ends_with(",last"),
        "{}",
        got[5000]
    );
}

#[tokio::test]
async fn what_is_not_captured_moves_the_position() {
    let server = forebay_kit::mysql().await;
    let database = server.database("idle").await.unwrap();
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let mut stream = connect(&config(server, &["nothing.here".into()]), Start::Now).await;
    database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    let (_, _, executed) = server.binlog_end().await.unwrap();
    let executed = executed.parse().unwrap();
    loop {
        let captured = next(&mut stream).await.unwrap();
        assert!(captured.block.is_none());
        if captured.position.is_some_and(|p: Position| forebay_model::GtidSet::is_subset(&executed, &p.gtids))
        {
            break;
        }
    }
}

#[tokio::test]
async fn odd_events_are_read() {
    let server = forebay_kit::mysql().await;
    let database = server.database("odd").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    let mut run = async |sql: &str| conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    run("CREATE TABLE p (id INT PRIMARY KEY); ").await;
    run("CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)")
        .await;
    run("INSERT INTO p VALUES (1), (2)").await;
    run("INSERT INTO c VALUES (10, 1)").await;
    let mut wanted = vec!["p +1", "p +2", "c +10,1"];

    run("SET SESSION binlog_transaction_compression = ON").await;
    run("BEGIN").await;
    run("INSERT INTO p VALUES (3)").await;
    run("INSERT INTO c VALUES (11, 3)").await;
    run("COMMIT").await;
    run("SET SESSION binlog_transaction_compression = OFF").await;
    wanted.extend(["p +3", "c +11,3"]);

    run("DELETE FROM p WHERE id = 1").await;
    wanted.extend(["c -10,1", "p -1"]);

    run("BEGIN").await;
    run("INSERT INTO p VALUES (4)").await;
    run("SAVEPOINT s").await;
    run("INSERT INTO p VALUES (5)").await;
    run("ROLLBACK TO s").await;
    run("INSERT INTO p VALUES (6)").await;
    run("COMMIT").await;
    wanted.extend(["p +4", "p +6"]);

    run("XA START 'one'").await;
    run("INSERT INTO p VALUES (7)").await;
    run("XA END 'one'").await;
    run("XA COMMIT 'one' ONE PHASE").await;
    wanted.push("p +7");

    run("CREATE TABLE copy SELECT id FROM p WHERE id < 4").await;
    wanted.extend(["copy +2", "copy +3"]);
    run("TRUNCATE TABLE copy").await;

    run("SET SESSION binlog_rows_query_log_events = ON").await;
    run("INSERT INTO copy VALUES (9)").await;
    wanted.push("copy +9");

    run("SET SESSION binlog_row_image = MINIMAL").await;
    run("UPDATE c SET p = 2 WHERE id = 11").await;
    run("DELETE FROM c WHERE id = 11").await;
    run("INSERT INTO c (id) VALUES (12)").await;
    run("DELETE FROM c WHERE id = 12").await;
    run("SET SESSION binlog_row_image = NOBLOB").await;
    run("CREATE TABLE blobs (id INT PRIMARY KEY, n INT, b BLOB)").await;
    run("INSERT INTO blobs VALUES (1, 1, x'00')").await;
    run("UPDATE blobs SET n = 2").await;
    run("UPDATE blobs SET b = NULL").await;
    run("SET SESSION binlog_row_image = FULL").await;
    wanted.extend(["c 11,absent > absent,2", "c -11,absent", "c +12,absent", "c -12,absent"]);
    wanted.extend(["blobs +1,1,00", "blobs 1,1,absent > 1,2,absent", "blobs 1,2,absent > 1,2,NULL"]);

    run("FLUSH BINARY LOGS").await;
    run("INSERT INTO p VALUES (101)").await;
    wanted.push("p +101");

    let (got, _) = take(&mut stream, wanted.len()).await;
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fatal_fault() {
    let server = forebay_kit::mysql().await;
    let database = server.database("fatal").await.unwrap();
    let name = database.name();
    let captured = config(server, &[format!("{name}.*")]);
    let other = config(server, &[format!("{name}.other")]);
    database.exec("CREATE TABLE t (id INT PRIMARY KEY, j JSON); CREATE TABLE other (id INT)").await.unwrap();
    let cases = [
        (codes::STATEMENT_EVENT, "SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (100, NULL)"),
        (
            codes::INVALID_TEXT,
            "CREATE TABLE bad (id INT, name VARCHAR(10) CHARSET tis620); INSERT INTO bad VALUES (1, CONVERT(x'41db' USING tis620))",
        ),
    ];
    for (code, sql) in cases {
        let (mut stream, mut unmoved) =
            (connect(&captured, Start::Now).await, connect(&other, Start::Now).await);
        database.exec(sql).await.unwrap();
        let fault = fault(&mut stream).await;
        assert_eq!((fault.code(), fault.class()), (code, Class::Fatal), "{fault}");
        if code == codes::STATEMENT_EVENT {
            assert!(fault.to_string().contains("the INSERT at binlog."), "{fault}");
            continue; // in the default database of a captured table
        }
        if code == codes::INVALID_TEXT {
            assert!(fault.to_string().contains(&format!("{name}.bad.name at binlog.")), "{fault}");
        }
        // what does not concern a captured table stops nobody
        database.exec("INSERT INTO other VALUES (1)").await.unwrap();
        assert_eq!(take(&mut unmoved, 1).await.0, ["other +1"]);
    }
}

#[tokio::test]
async fn whole_transactions_before_a_fault_are_given() {
    let server = forebay_kit::mysql().await;
    let database = server.database("before").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    for (code, bad) in [
        (codes::INVALID_TEXT, "INSERT INTO t VALUES (4, CONVERT(x'41db' USING tis620))"),
        (codes::STATEMENT_EVENT, "SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (4, 'x')"),
    ] {
        let start = next(&mut connect(&config, Start::Now).await).await.unwrap().position.unwrap();
        database
            .exec(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) CHARSET tis620);
                 INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'), (3, 'c'); {bad}"
            ))
            .await
            .unwrap();
        // all of it is there before it is read, so it is one block
        let mut stream = connect(&config, Start::At(start)).await;
        let (got, position) = take(&mut stream, 3).await;
        assert_eq!(got, ["t +1,a", "t +2,b", "t +3,c"]);
        assert_eq!(fault(&mut stream).await.code(), code);
        // and behind them nothing but the fault comes again
        let mut again = connect(&config, Start::At(position)).await;
        let fault = loop {
            match next(&mut again).await {
                Ok(captured) => assert!(captured.block.is_none()),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.code(), code);
    }
}

#[tokio::test]
async fn differences_of_json_values_become_the_values() {
    let server = forebay_kit::mysql().await;
    let database = server.database("partial").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    let mut run = async |sql: &str| conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), j JSON, d DECIMAL(9,2), k JSON, n INT)").await;
    run("CREATE TABLE seen (id INT PRIMARY KEY AUTO_INCREMENT, j LONGTEXT, k LONGTEXT)").await;
    let long = "REPEAT('x', 300)";
    run(&format!(
        r#"INSERT INTO t VALUES (1, 'a', JSON_OBJECT('pad', {long}, 'a', 1, 'list', JSON_ARRAY(1, 2, 3), 'deep',
             JSON_OBJECT('odd "key"', 1.5, 'é', CAST('1.50' AS DECIMAL(5,2))), 'when', CAST('2020-02-29' AS DATE)),
           1.5, JSON_ARRAY({long}, 1, 2), 0)"#
    ))
    .await;
    run("SET SESSION binlog_row_value_options = PARTIAL_JSON").await;
    let changes = [
        "j = JSON_SET(j, '$.a', 2)",
        "j = JSON_SET(j, '$.a', 'longer than before', '$.new', JSON_OBJECT('x', TRUE))",
        "j = JSON_REMOVE(j, '$.list[1]')",
        r#"j = JSON_REPLACE(j, '$.deep."odd \\"key\\""', NULL)"#,
        "j = JSON_REMOVE(j, '$.deep.é'), k = JSON_SET(k, '$[1]', CAST('2020-02-29 01:02:03' AS DATETIME))",
        "j = JSON_SET(j, '$.list[7]', 7), v = 'b'",
        "j = JSON_SET(j, '$.a', JSON_ARRAY(1, 2, 70000, 3000000000, 1e300)), n = 5",
        "j = JSON_SET(j, '$.list[1]', JSON_ARRAY()), k = NULL",
        "j = JSON_SET(JSON_REMOVE(j, '$.deep'), '$.list', JSON_OBJECT())",
        "n = 6",
        "j = NULL",
        "j = '[1]', k = '{}'",
    ];
    for change in changes {
        run(&format!("UPDATE t SET {change}")).await;
        run("INSERT INTO seen (j, k) SELECT j, k FROM t").await;
    }
    run("SET SESSION binlog_row_image = MINIMAL").await;
    run("UPDATE t SET v = 'c'").await;
    run("UPDATE t SET j = '[2]'").await;
    // differences, and no value before
    run(&format!("UPDATE t SET j = JSON_OBJECT('pad', {long}, 'a', 1), k = JSON_ARRAY({long}, 1)")).await;
    run("UPDATE t SET j = JSON_SET(j, '$.a', 2), v = 'd'").await;
    run("UPDATE t SET j = JSON_SET(j, '$.a', 3), k = NULL, n = 7").await;
    let (got, _) = take(&mut stream, 1 + 2 * changes.len() + 5).await;
    for (i, pair) in got[1..1 + 2 * changes.len()].chunks(2).enumerate() {
        let (_, after) = pair[0].split_once(" > ").unwrap();
        let json = |row: &str| row.split_once(',').unwrap().1.to_owned();
        // id,v,j,d,k,n and id,j,k
        let after = json(&json(after));
        let (after, _) = after.rsplit_once(',').unwrap();
        assert_eq!(
            after.replacen(",1.50,", ",", 1),
            json(pair[1].split_once('+').unwrap().1),
            "{}",
            changes[i]
        );
    }
    let last = &got[1 + 2 * changes.len()..];
    assert_eq!(last[0], "t 1,absent,absent,absent,absent,absent > absent,c,absent,absent,absent,absent");
    assert_eq!(last[1], "t 1,absent,absent,absent,absent,absent > absent,absent,[2],absent,absent,absent");
    assert_eq!(last[3], "t 1,absent,absent,absent,absent,absent > absent,d,partial,absent,absent,absent");
    assert_eq!(last[4], "t 1,absent,absent,absent,absent,absent > absent,absent,partial,absent,NULL,7");
}

#[tokio::test]
async fn rows_of_an_xa_transaction_come_at_its_commit_and_survive_a_restart() {
    rows_of_xa("FULL").await;
}

#[tokio::test]
async fn rows_of_an_xa_transaction_without_names_in_the_binlog() {
    rows_of_xa("MINIMAL").await;
}

async fn rows_of_xa(metadata: &str) {
    let server = private(&[&format!("--binlog-row-metadata={metadata}")]).await;
    let database = server.database("xa").await.expect("a server and a stream that go on");
    let config = config(&server, &[format!("{}.*", database.name())]);
    let mut stream = connect(&config, Start::Now).await;
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, v CHAR(9)); CREATE TABLE u (id INT); CREATE TABLE x (id INT);
             CREATE TABLE l (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(200))")
        .await
        .expect("a server and a stream that go on");
    let branch = async |name: &str, sql: &str| {
        let sql = format!(
            "SET SESSION cte_max_recursion_depth = 1000000; XA START '{name}'; {sql}; XA END '{name}'; XA PREPARE '{name}'"
        );
        database.exec(&sql).await.expect("a server and a stream that go on");
    };
    branch("kept", "INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'").await;
    branch("dropped", "INSERT INTO x VALUES (2)").await;
    // more than may wait
    let many = "INSERT INTO l (v) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) \
                SELECT REPEAT('x', 200) FROM n";
    branch("large", many).await;
    database.exec("INSERT INTO u VALUES (7)").await.expect("a server and a stream that go on");
    let (got, position) = take(&mut stream, 1).await;
    assert_eq!(got, ["u +7"]);

    database
        .exec("XA ROLLBACK 'dropped'; XA COMMIT 'kept'; INSERT INTO u VALUES (8)")
        .await
        .expect("a server and a stream that go on");
    let wanted = ["t +1,a", "t 1,a > 1,b", "u +8"];
    assert_eq!(take(&mut stream, 3).await.0, wanted);
    // decided while nobody was reading
    let mut again = connect(&config, Start::At(position)).await;
    assert_eq!(take(&mut again, 3).await.0, wanted);

    database
        .exec("XA COMMIT 'large'; INSERT INTO u VALUES (9)")
        .await
        .expect("a server and a stream that go on");
    let executed = server.binlog_end().await.expect("a server and a stream that go on").2;
    for stream in [&mut stream, &mut again] {
        let (mut rows, mut last) = (0, None);
        while last.is_none() {
            let captured = next(stream).await.expect("a server and a stream that go on");
            let Some(block) = captured.block else { continue };
            check(&block);
            rows += block.rows();
            last = captured.position.filter(|_| changes(&block).iter().any(|c| c == "u +9"));
        }
        assert_eq!(rows, 150_001);
        // nothing is left out for ever
        assert_eq!(last.expect("a server and a stream that go on").gtids.to_string(), executed);
    }
}

#[tokio::test]
async fn an_event_of_twenty_mebibytes() {
    let server = forebay_kit::mysql().await;
    let database = server.database("huge").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    database
        .exec("CREATE TABLE t (id INT, v LONGBLOB); INSERT INTO t VALUES (1, REPEAT('0123456789', 2 << 20)), (2, 'small')")
        .await
        .unwrap();
    let mut sizes = Vec::new();
    while sizes.len() < 2 {
        if let Some(block) = next(&mut stream).await.unwrap().block {
            check(&block);
            sizes.extend(changes(&block).iter().map(String::len));
        }
    }
    // in hexadecimal, behind `t +1,`
    assert_eq!(sizes, [(20 << 20) * 2 + 5, 10 + 5]);
}

/// A server of one's own, for tests that hurt it.
async fn private(options: &[&str]) -> Server {
    Server::start(options).await.expect("a MySQL server")
}

#[tokio::test]
async fn broken_connections_are_retryable_and_nothing_is_lost() {
    let server = private(&[]).await;
    let database = server.database("cut").await.unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let mut stream = connect(&config, Start::Now).await;
    database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    let (_, mut position) = take(&mut stream, 1).await;
    for (id, how) in [(2, "kill"), (3, "stop"), (4, "kill9")] {
        match how {
            "kill" => drop(server.kill_dump_threads().await.unwrap()),
            "stop" => server.stop().await.unwrap(),
            _ => server.kill9().await.unwrap(),
        }
        let ended = fault(&mut stream).await;
        assert_eq!(ended.class(), Class::Retryable, "{how}: {ended}");
        if how != "kill" {
            let refused = Stream::connect(&config, Start::Now, Limits::default()).await.unwrap_err();
            assert_eq!(refused.class(), Class::Retryable, "{refused}");
            server.start_again().await.unwrap();
        }
        database.exec(&format!("INSERT INTO t VALUES ({id})")).await.unwrap();
        stream = connect(&config, Start::At(position)).await;
        let (got, at) = take(&mut stream, 1).await;
        assert_eq!(got, [format!("t +{id}")]);
        position = at;
    }
}

#[tokio::test]
async fn positions_that_the_server_lacks_are_fatal() {
    let server = private(&[]).await;
    let database = server.database("gone").await.unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    database.exec("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let mut stream = connect(&config, Start::Now).await;
    let old = next(&mut stream).await.unwrap().position.unwrap();
    drop(stream);
    database.exec("INSERT INTO t VALUES (1)").await.unwrap();
    let (_, _, executed) = server.binlog_end().await.unwrap();
    let ahead = Position { gtids: executed.parse().unwrap(), ..Default::default() };
    server
        .exec("FLUSH BINARY LOGS; INSERT INTO `mysql`.`time_zone_leap_second` VALUES (1, 1)")
        .await
        .unwrap();
    let purge = || async {
        let (file, _, _) = server.binlog_end().await?;
        server.exec(&format!("PURGE BINARY LOGS TO '{file}'")).await?;
        let purged: Vec<String> = server.query("SELECT @@GLOBAL.gtid_purged").await?;
        anyhow::ensure!(!purged[0].is_empty(), "a reader holds the file");
        Ok::<_, anyhow::Error>(())
    };
    eventually("the old file is gone", LONG, purge).await;
    let refused = Stream::connect(&config, Start::At(old), Limits::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (codes::PURGED, Class::Fatal), "{refused}");
    // the oldest that there is can be read
    let mut stream = connect(&config, Start::Earliest).await;
    database.exec("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +2"]);

    server.exec("RESET BINARY LOGS AND GTIDS").await.unwrap();
    let refused = Stream::connect(&config, Start::At(ahead), Limits::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), (codes::SERVER_RESET, Class::Fatal), "{refused}");
}

#[tokio::test]
async fn two_readers_with_one_server_id() {
    let server = private(&[]).await;
    let mut config = config(&server, &["a.*".into()]);
    config.server_id = Some(4711);
    let mut first = connect(&config, Start::Now).await;
    next(&mut first).await.unwrap();
    let second = connect(&config, Start::Now).await;
    assert_eq!(second.stats().server_id, 4711);
    let ended = fault(&mut first).await;
    assert_eq!(ended.code(), codes::SERVER_ID_CLASH, "{ended}");
}

#[tokio::test]
async fn a_change_arrives_at_once() {
    let server = forebay_kit::mysql().await;
    let database = server.database("latency").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let mut best = Duration::MAX;
    for id in 0..20 {
        let began = std::time::Instant::now();
        conn.query_drop(format!("INSERT INTO t VALUES ({id})")).await.unwrap();
        take(&mut stream, 1).await;
        best = best.min(began.elapsed());
    }
    // the best of many: the rest is the machine's business
    assert!(best < Duration::from_millis(50), "{best:?}");
}

#[tokio::test]
async fn an_xa_transaction_of_before_the_start() {
    let server = Server::start(&[]).await.unwrap();
    let database = server.database("early").await.unwrap();
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE other (id INT PRIMARY KEY)")
        .await
        .unwrap();
    let name = database.name();
    let prepare = async |xid: &str, table: &str, id: u32| {
        let sql = [
            format!("XA START '{xid}'"),
            format!("INSERT INTO {table} VALUES ({id})"),
            format!("XA END '{xid}'"),
            format!("XA PREPARE '{xid}'"),
        ];
        let mut conn = database.connect().await.unwrap();
        for sql in sql {
            conn.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    };
    // the name was used before, and the branch lies in an older file
    prepare("a", "t", 7).await;
    database.exec("XA ROLLBACK 'a'").await.unwrap();
    prepare("a", "t", 1).await;
    prepare("b", "other", 2).await;
    database.exec("FLUSH BINARY LOGS; INSERT INTO t VALUES (3)").await.unwrap();
    let mut stream = connect(&config(&server, &[format!("{name}.t")]), Start::Now).await;
    database
        .exec("XA COMMIT 'b'; INSERT INTO t VALUES (4); XA COMMIT 'a'; INSERT INTO t VALUES (5)")
        .await
        .unwrap();
    let (got, end) = take(&mut stream, 3).await;
    assert_eq!(got, ["t +4", "t +1", "t +5"]);
    assert_eq!(end.gtids, server.binlog_end().await.unwrap().2.parse().unwrap());

    // purged: its rows are not known, and that is said
    prepare("c", "t", 8).await;
    database.exec("FLUSH BINARY LOGS").await.unwrap();
    let mut stream = connect(&config(&server, &[format!("{name}.t")]), Start::Now).await;
    let newest = server.binlog_end().await.unwrap().0;
    database.exec(&format!("PURGE BINARY LOGS TO '{newest}'; XA COMMIT 'c'")).await.unwrap();
    let fault = fault(&mut stream).await;
    assert_eq!(fault.code(), codes::XA, "{fault}");
}

#[tokio::test]
async fn a_server_with_smaller_row_images_is_read() {
    for image in ["MINIMAL", "NOBLOB"] {
        let server = Server::start(&[&format!("--binlog-row-image={image}")]).await.unwrap();
        let database = server.database("small").await.unwrap();
        database.exec("CREATE TABLE t (id INT PRIMARY KEY, v INT, b TEXT)").await.unwrap();
        let mut stream = connect(&config(&server, &[format!("{}.*", database.name())]), Start::Now).await;
        database
            .exec("INSERT INTO t VALUES (1, 2, 'x'); UPDATE t SET v = NULL; DELETE FROM t")
            .await
            .unwrap();
        let wanted = match image {
            "MINIMAL" => ["t +1,2,x", "t 1,absent,absent > absent,NULL,absent", "t -1,absent,absent"],
            _ => ["t +1,2,x", "t 1,2,absent > 1,NULL,absent", "t -1,NULL,absent"],
        };
        assert_eq!(take(&mut stream, 3).await.0, wanted, "{image}");
    }
}
