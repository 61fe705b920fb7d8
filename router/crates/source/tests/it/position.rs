//! Moving a position, and what the server's binlog still holds of what is needed.

use std::time::Duration;

use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Server, eventually};
use forebay_model::{GtidSet, Position};
use forebay_source::codes;
use forebay_source::mysql::{Config, PositionTarget, Start, outlook, resolve};

use super::{LONG, config, connect, next, take};

async fn now_ms(server: &Server) -> u64 {
    server.query::<u64>("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)").await.expect("the time")[0]
}

async fn executed(server: &Server) -> GtidSet {
    server.binlog_end().await.expect("the end").2.parse().expect("a set")
}

async fn read_from(config: &Config, position: Position, rows: usize) -> Vec<String> {
    take(&mut connect(config, Start::At(position)).await, rows).await.0
}

#[tokio::test]
async fn each_target_and_its_gap() {
    let server = Server::start(&[]).await.unwrap();
    let config = config(&server, &["shop.t".into()]);
    server.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await.unwrap();
    let mut times = Vec::new();
    let mut sets = Vec::new();
    // three files, with two transactions each; a second lies between, as a file's beginning is told in seconds
    for id in 0..6 {
        let last = times.last().copied().unwrap_or(0);
        eventually("a second has gone by", LONG, || async { now_ms(&server).await > last + 1100 }).await;
        times.push(now_ms(&server).await);
        server.exec(&format!("INSERT INTO shop.t VALUES ({id})")).await.unwrap();
        sets.push(executed(&server).await);
        if id % 2 == 1 {
            server.exec("FLUSH BINARY LOGS").await.unwrap();
        }
    }
    let all = executed(&server).await;
    let at = |gtids: &GtidSet| Position { gtids: gtids.clone(), ..Default::default() };

    // time: before each transaction, and before all, and behind all
    for (id, &time) in times.iter().enumerate() {
        let found = resolve(&config, Some(&at(&all)), &PositionTarget::Time(time)).await.unwrap();
        let rows: Vec<String> = (id..6).map(|i| format!("t +{i}")).collect();
        assert_eq!(found.gap.again_count as usize, rows.len(), "{}", found.gap);
        assert!(found.gap.skipped.is_empty(), "{}", found.gap);
        assert!(found.position.file.starts_with("binlog.") && found.position.pos > 4, "{:?}", found.position);
        assert_eq!(read_from(&config, found.position, rows.len()).await, rows);
    }
    let late =
        resolve(&config, Some(&at(&sets[4])), &PositionTarget::Time(times[5] + 3_600_000)).await.unwrap();
    assert_eq!((&late.position.gtids, late.gap.skipped_count), (&all, 1), "{}", late.gap);
    let early = resolve(&config, Some(&at(&all)), &PositionTarget::Time(1000)).await.unwrap();
    assert_eq!(early.position.gtids, GtidSet::default());

    // earliest, now, a set
    let earliest = resolve(&config, Some(&at(&sets[1])), &PositionTarget::Earliest).await.unwrap();
    assert_eq!((&earliest.gap.again, earliest.gap.skipped_count), (&sets[1], 0));
    assert_eq!(read_from(&config, earliest.position, 6).await.len(), 6);
    let now = resolve(&config, Some(&at(&sets[1])), &PositionTarget::Now).await.unwrap();
    assert_eq!(
        (now.gap.skipped_count, now.gap.again_count, now.gap.lost.is_empty()),
        (4, 0, true),
        "{}",
        now.gap
    );
    assert_eq!(now.notes.len(), 1);
    let set = resolve(&config, Some(&at(&all)), &PositionTarget::Gtids(sets[3].clone())).await.unwrap();
    assert_eq!(set.gap.again_count, 2);
    assert_eq!(read_from(&config, set.position, 2).await, ["t +4", "t +5"]);
    let foreign: GtidSet = "ffffffff-0000-0000-0000-000000000001:1".parse().unwrap();
    let fault = resolve(&config, None, &PositionTarget::Gtids(foreign)).await.unwrap_err();
    assert_eq!(fault.code(), codes::POSITION_AHEAD, "{fault}");

    // purged: a set must say that it does without
    let purge = || async {
        server.exec("PURGE BINARY LOGS TO 'binlog.000003'").await?;
        let purged: Vec<String> = server.query("SELECT @@GLOBAL.gtid_purged").await?;
        let purged: GtidSet = purged[0].parse()?;
        anyhow::ensure!(purged == sets[3], "a reader holds the file");
        Ok::<_, anyhow::Error>(())
    };
    eventually("two files are gone", LONG, purge).await;
    let fault = resolve(&config, None, &PositionTarget::Gtids(sets[0].clone())).await.unwrap_err();
    assert_eq!(fault.code(), codes::PURGED, "{fault}");
    assert!(fault.remedy().contains(&sets[3].to_string()), "{fault}");
    let earliest = resolve(&config, Some(&at(&sets[0])), &PositionTarget::Earliest).await.unwrap();
    assert_eq!(
        (earliest.gap.skipped_count, &earliest.gap.lost),
        (3, &earliest.gap.skipped),
        "{}",
        earliest.gap
    );
    let early = resolve(&config, Some(&at(&sets[5])), &PositionTarget::Time(times[0])).await.unwrap();
    assert_eq!(early.position.gtids, sets[3], "the first that is left");
}

#[tokio::test]
async fn a_place_as_others_store_it() {
    let server = Server::start(&[]).await.unwrap();
    let config = config(&server, &["shop.t".into()]);
    server.exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)").await.unwrap();
    server.exec("INSERT INTO shop.t VALUES (1)").await.unwrap();
    let (file, between, _) = server.binlog_end().await.unwrap();
    server.exec("INSERT INTO shop.t VALUES (2)").await.unwrap();
    let (_, end, executed) = server.binlog_end().await.unwrap();
    let present = Position { gtids: executed.parse().unwrap(), ..Position::default() };
    let place = async |file: &str, pos: u64| {
        resolve(&config, Some(&present), &PositionTarget::File { file: file.into(), pos }).await
    };
    assert_eq!(place(&file, end).await.unwrap().gap.again_count, 0);
    let last = place(&file, between).await.unwrap();
    assert_eq!(last.gap.again_count, 1, "{}", last.gap);
    assert_eq!(place(&file, end - 1).await.unwrap().position, last.position, "inside it: it comes again");
    assert_eq!(read_from(&config, last.position, 1).await, ["t +2"]);
    assert_eq!(place(&file, end + 1).await.unwrap_err().code(), codes::FILE_POSITION);
    assert_eq!(place("binlog.999999", 4).await.unwrap_err().code(), codes::FILE_POSITION);
}

#[tokio::test]
async fn a_time_where_there_are_no_gtids() {
    let server = Server::start(&["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]).await.unwrap();
    let config = config(&server, &["shop.t".into()]);
    server
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)")
        .await
        .unwrap();
    let begun = now_ms(&server).await;
    eventually("a second has gone by", LONG, || async { now_ms(&server).await > begun + 1100 }).await;
    let time = now_ms(&server).await;
    server
        .exec("INSERT INTO shop.t VALUES (2); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (3)")
        .await
        .unwrap();
    let end = resolve(&config, None, &PositionTarget::Now).await.unwrap();
    let found = resolve(&config, Some(&end.position), &PositionTarget::Time(time)).await.unwrap();
    assert!(found.position.gtids.is_empty());
    let gap = format!("{}:{}", found.position.file, found.position.pos);
    assert_eq!(found.gap.places.as_ref().unwrap().1, gap, "{}", found.gap);
    let start = Start::At(found.position);
    let mut stream = forebay_source::mysql::Stream::resume(
        &config,
        start,
        forebay_source::mysql::Limits::default(),
        &found.notes,
    )
    .await
    .unwrap();
    assert_eq!(take(&mut stream, 2).await.0, ["t +2", "t +3"]);
}

#[tokio::test]
async fn the_outlook_of_a_file() {
    let server = Server::start(&["--binlog-expire-logs-seconds=7200"]).await.unwrap();
    let config = config(&server, &["shop.t".into()]);
    server
        .exec("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY); FLUSH BINARY LOGS")
        .await
        .unwrap();
    server.exec("INSERT INTO shop.t VALUES (1)").await.unwrap();
    let mut stream = connect(&config, Start::Now).await;
    let captured = next(&mut stream).await.unwrap();
    let (position, notes) = (captured.position.unwrap(), captured.notes);
    assert!(notes.iter().any(|note| note.key == "server"));
    drop(stream);
    let hours = |found: Option<f64>| {
        let hours = found.expect("it expires");
        assert!((1.9..=2.0).contains(&hours), "{hours}");
    };
    // in the file that is written
    let found = outlook(&config, &position, &notes).await.unwrap();
    assert_eq!(
        (found.oldest_file_needed.as_str(), found.safe_to_purge_upto.as_deref()),
        ("binlog.000002", Some("binlog.000001"))
    );
    hours(found.hours_left);
    // in one that was closed; and the same where its name is not known, as after a failover
    server.exec("INSERT INTO shop.t VALUES (2); FLUSH BINARY LOGS; FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (3)").await.unwrap();
    let nameless = Position { file: String::new(), pos: 0, ..position.clone() };
    for position in [&position, &nameless] {
        let found = outlook(&config, position, &notes).await.unwrap();
        assert_eq!(found.oldest_file_needed, "binlog.000002");
        hours(found.hours_left);
        assert_eq!(found.purge_statement().unwrap(), "PURGE BINARY LOGS TO 'binlog.000002'");
    }
    // what it says is safe is: what follows can be read
    let purge = || async { server.exec("PURGE BINARY LOGS TO 'binlog.000002'").await };
    eventually("purged", LONG, purge).await;
    assert_eq!(outlook(&config, &position, &notes).await.unwrap().safe_to_purge_upto, None);
    assert_eq!(read_from(&config, position.clone(), 2).await, ["t +2", "t +3"]);
    // nothing is deleted by itself
    server.exec("SET GLOBAL binlog_expire_logs_seconds = 0").await.unwrap();
    assert_eq!(outlook(&config, &position, &notes).await.unwrap().hours_left, None);
    // a prepared transaction of an older file is still needed, whatever was read behind it
    let mut reader = connect(&config, Start::At(position.clone())).await;
    let database = server.database("xa").await.unwrap();
    let mut branch = database.connect().await.unwrap();
    for sql in ["XA START 'a'", "INSERT INTO shop.t VALUES (50)", "XA END 'a'", "XA PREPARE 'a'"] {
        branch.query_drop(sql).await.unwrap();
    }
    let (held, _, _) = server.binlog_end().await.unwrap();
    server
        .exec("FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (51); FLUSH BINARY LOGS; INSERT INTO shop.t VALUES (52)")
        .await
        .unwrap();
    let (got, behind) = take(&mut reader, 4).await;
    assert_eq!(got[2..], ["t +51", "t +52"]);
    assert!(behind.file > held);
    let found = outlook(&config, &behind, &notes).await.unwrap();
    assert_eq!(found.oldest_file_needed, held);
    // which transaction is prepared the server does not say: it may be one of before the start
    assert!(found.caution.is_some_and(|c| c.contains("XA RECOVER")), "XA RECOVER lists it");
    branch.query_drop("XA COMMIT 'a'").await.unwrap();
    let (got, behind) = take(&mut reader, 1).await;
    assert_eq!(got, ["t +50"]);
    assert_eq!(outlook(&config, &behind, &notes).await.unwrap().oldest_file_needed, behind.file);
    drop(reader);
    // too late
    let gone = || async {
        let newest = server.binlog_end().await?.0;
        server.exec(&format!("PURGE BINARY LOGS TO '{newest}'")).await?;
        let left: Vec<(String, u64, String)> = server.query("SHOW BINARY LOGS").await?;
        anyhow::ensure!(left.len() == 1, "a reader holds the file");
        Ok::<_, anyhow::Error>(())
    };
    eventually("purged", Duration::from_secs(30), gone).await;
    let fault = outlook(&config, &position, &notes).await.unwrap_err();
    assert_eq!(fault.code(), codes::PURGED, "{fault}");
}
