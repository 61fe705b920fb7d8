//! Tables that get other names, or go, while a snapshot reads them: whatever is done, the log has all rows of each in the end.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray as _;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::{Op, TablePattern, VIRTUAL_DATABASE};
use forebay_source::mysql::{SnapshotCommand, SnapshotRequest, SnapshotState, SnapshotStatus};

use super::super::{config, text};
use super::came::{added, new_tables, rows};
use super::writer::{catch_up, fold};
use super::{Log, begin, done, finish, next, status};

/// What is done to `t` and `n`, 600 rows each, while the snapshot reads them.
struct Case {
    statements: &'static str,
    /// The tables that are captured, of the database; and that the snapshot asks for, if not all.
    captured: &'static [&'static str],
    asked: &'static [&'static str],
    filter: Option<&'static str>,
    /// The rows that the log must have of tables, by the first of each.
    complete: &'static [(&'static str, u32, usize)],
    state: SnapshotState,
}

const PLAIN: Case = Case {
    statements: "",
    captured: &["*"],
    asked: &[],
    filter: None,
    complete: &[],
    state: SnapshotState::Done,
};

const T: u32 = 1;
const N: u32 = 10_001;

const CASES: &[Case] = &[
    Case { statements: "RENAME TABLE t TO t2", complete: &[("t2", T, 600), ("n", N, 600)], ..PLAIN },
    Case { statements: "ALTER TABLE t RENAME TO t3, ADD z INT", complete: &[("t3", T, 600)], ..PLAIN },
    Case { statements: "RENAME TABLE t TO t4, n TO t", complete: &[("t4", T, 600), ("t", N, 600)], ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO t5, n TO t, t5 TO n",
        complete: &[("n", T, 600), ("t", N, 600)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO a; RENAME TABLE a TO b; RENAME TABLE b TO c",
        complete: &[("c", T, 600), ("n", N, 600)],
        ..PLAIN
    },
    Case { statements: "RENAME TABLE t TO a; RENAME TABLE a TO t", complete: &[("t", T, 600)], ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO t2",
        asked: &["t"],
        complete: &[("t2", T, 600), ("n", N, 0)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO t2",
        filter: Some("id <= 300"),
        complete: &[("t2", T, 300), ("n", N, 600)],
        ..PLAIN
    },
    // gh-ost and pt-online-schema-change, with their tables captured and not
    Case {
        statements: "RENAME TABLE t TO _t_del, n TO t",
        captured: &["t"],
        complete: &[("t", N, 600)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO _t_old, n TO t; DROP TABLE _t_old",
        complete: &[("t", N, 600)],
        ..PLAIN
    },
    Case { statements: "DROP TABLE t", complete: &[("n", N, 600)], ..PLAIN },
    Case { statements: "DROP TABLE t", asked: &["t"], state: SnapshotState::Cancelled, ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO out_t",
        captured: &["t", "n"],
        complete: &[("n", N, 600)],
        state: SnapshotState::Failed,
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO out_t; RENAME TABLE out_t TO t",
        captured: &["t", "n"],
        complete: &[("t", T, 600), ("n", N, 600)],
        ..PLAIN
    },
];

/// When the statements are run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// While the tables are read.
    Reading,
    /// While nobody is connected.
    Away,
    /// Before the snapshot has begun, and the stream tells of them later.
    Before,
}

#[tokio::test]
async fn whatever_tables_are_called_all_their_rows_are_read() {
    let server = forebay_kit::mysql().await;
    for (n, case) in CASES.iter().enumerate() {
        for when in [When::Reading, When::Away, When::Before] {
            let database = server.database(&format!("named{n}")).await.unwrap();
            run(server, &database, case, when).await;
        }
    }
}

async fn run(server: &Server, database: &Database, case: &Case, when: When) {
    let what = format!("{when:?}: {} of {:?}", case.statements, case.captured);
    let name = |table: &str| format!("{}.{table}", database.name());
    let config = config(server, &case.captured.iter().map(|t| name(t)).collect::<Vec<_>>());
    rows(database, "t", T, 600).await;
    rows(database, "n", N, 600).await;
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    let mut request = SnapshotRequest { rows_per_second: Some(3000), ..SnapshotRequest::all("s") };
    request.tables = case.asked.iter().map(|t| TablePattern::new(&name(t)).unwrap()).collect();
    request.filters.extend(case.filter.map(|filter| (name("t"), filter.to_owned())));
    if when == When::Before {
        // the first position is known, and what comes behind it is not
        while log.position.is_none() {
            log.add(next(&mut capture).await.unwrap());
        }
        database.exec(case.statements).await.unwrap();
    }
    begin(&mut capture, request);
    if when != When::Before {
        while fold(&log, "t", &[0]).len() < 100 {
            log.add(next(&mut capture).await.unwrap());
        }
    }
    if when == When::Away {
        drop(capture);
        database.exec(case.statements).await.unwrap();
        capture = log.connect(&config, new_tables(50)).await;
    } else if when == When::Reading {
        database.exec(case.statements).await.unwrap();
        // killed in the middle, too; there may be nothing left to come
        for _ in 0..3 {
            let wait = tokio::time::timeout(std::time::Duration::from_millis(200), capture.next());
            if let Ok(captured) = wait.await {
                log.add(captured.unwrap());
            }
        }
        drop(capture);
        capture = log.connect(&config, new_tables(50)).await;
    }
    catch_up(&mut capture, &mut log, server).await;
    let end = finish(&mut capture, &mut log, "s").await;
    for status in capture.snapshots() {
        finish(&mut capture, &mut log, &status.request.id).await;
    }
    for (table, first, count) in case.complete {
        let got = fold(&log, table, &[0]);
        let all = (*first..*first + 600).filter(|id| got.contains_key(&id.to_string())).count();
        assert_eq!(all, *count, "{what}: {table}: {end:#?}");
    }
    if when == When::Before {
        // a snapshot that begins behind all of it has nothing to stumble on
        return;
    }
    assert_eq!(end.state, case.state, "{what}: {end:#?}");
    says_the_truth(&end, &what);
    assert!(added(&capture).is_none(), "{what}: once is enough");
}

/// A fault of a table that went says where it went.
fn says_the_truth(end: &SnapshotStatus, what: &str) {
    for table in &end.tables {
        let Some(fault) = &table.fault else { continue };
        assert_eq!(fault.code, "mysql.snapshot_table_gone", "{what}: {end:#?}");
        let told = ["was dropped", "was renamed to"].iter().any(|t| fault.message.contains(t));
        assert!(told && !fault.fix.contains("grant"), "{what}: {end:#?}");
    }
}

#[tokio::test]
async fn a_paused_snapshot_follows_names_and_a_cancelled_one_does_not() {
    let server = forebay_kit::mysql().await;
    let database = server.database("still").await.unwrap();
    rows(&database, "t", T, 600).await;
    rows(&database, "u", N, 600).await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    let slow = |id: &str, table: &str| SnapshotRequest {
        rows_per_second: Some(1000),
        ..super::one(id, &format!("{}.{table}", database.name()))
    };
    begin(&mut capture, slow("paused", "t"));
    begin(&mut capture, slow("cancelled", "u"));
    // and one for a route alone, of the same table
    begin(&mut capture, SnapshotRequest { audience: Some("r".into()), ..slow("route", "t") });
    while fold(&log, "t", &[0]).is_empty() || fold(&log, "u", &[0]).is_empty() {
        log.add(next(&mut capture).await.unwrap());
    }
    capture.command(SnapshotCommand::Pause("paused".into())).unwrap();
    capture.command(SnapshotCommand::Cancel("cancelled".into())).unwrap();
    database.exec("RENAME TABLE t TO t2, u TO u2").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    done(&finish(&mut capture, &mut log, "route").await);
    assert_eq!(status(&capture, "route").rows, 600);
    let paused = status(&capture, "paused");
    assert_eq!((paused.state, paused.rows), (SnapshotState::Paused, 0));
    capture.command(SnapshotCommand::Resume("paused".into())).unwrap();
    done(&finish(&mut capture, &mut log, "paused").await);
    assert_eq!(status(&capture, "paused").tables[0].table, format!("{}.t2", database.name()));
    assert_eq!(status(&capture, "paused").rows, 600);
    assert!(fold(&log, "u2", &[0]).is_empty(), "nobody wants it");
}

#[tokio::test]
async fn tables_of_patterns_that_change_are_read_once() {
    let server = forebay_kit::mysql().await;
    let database = server.database("patterns").await.unwrap();
    rows(&database, "t", T, 100).await;
    rows(&database, "u", N, 100).await;
    let all = config(server, &[format!("{}.*", database.name())]);
    let one = config(server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&all, new_tables(50)).await;
    begin(&mut capture, SnapshotRequest::all("initial"));
    done(&finish(&mut capture, &mut log, "initial").await);
    // fewer: what is left was read
    let mut capture = log.connect(&one, new_tables(50)).await;
    database.exec("INSERT INTO t VALUES (5000); INSERT INTO u VALUES (5000)").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    assert!(added(&capture).is_none());
    // more: what was not told meanwhile is read, and nothing else
    let mut capture = log.connect(&all, new_tables(50)).await;
    while added(&capture).is_none() {
        log.add(next(&mut capture).await.unwrap());
    }
    let id = added(&capture).unwrap().request.id;
    let end = finish(&mut capture, &mut log, &id).await;
    done(&end);
    let tables: Vec<&str> = end.tables.iter().map(|t| t.table.as_str()).collect();
    assert_eq!(tables, [format!("{}.u", database.name())]);
    assert!(fold(&log, "u", &[0]).contains_key("5000"));
    // and not again
    let mut capture = log.connect(&all, new_tables(50)).await;
    database.exec("INSERT INTO t VALUES (5001)").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    assert_eq!(capture.snapshots().len(), 2);
}

/// Names that are captured, and two that are not.
const NAMES: [&str; 6] = ["c_a", "c_b", "c_c", "c_d", "x_a", "x_b"];

#[tokio::test]
async fn under_random_renames_the_log_folds_to_the_tables() {
    under_random_renames(forebay_kit::mysql().await).await;
}

#[tokio::test]
async fn under_random_renames_of_mariadb_the_log_folds_to_the_tables() {
    under_random_renames(forebay_kit::mariadb().await).await;
}

async fn under_random_renames(server: &Server) {
    let rounds = std::env::var("FOREBAY_RENAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    for seed in 1..=rounds {
        one_round(server, Random(seed)).await;
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

async fn one_round(server: &Server, mut random: Random) {
    let database = server.database("random").await.expect("a database");
    let config = config(server, &[format!("{}.c_*", database.name())]);
    let mut there: BTreeSet<&str> = ["c_a", "c_b", "c_c", "x_a"].into();
    for (n, table) in (0..).zip(&there) {
        create(&database, table, n * 1000 + 1, 120).await;
    }
    let mut said = vec![format!("seed {}", random.0)];
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(20)).await;
    begin(&mut capture, SnapshotRequest { rows_per_second: Some(1500), ..SnapshotRequest::all("all") });
    while log.notes.is_empty() {
        log.add(next(&mut capture).await.expect("a stream"));
    }
    for step in 0..14u32 {
        for _ in 0..random.below(6) {
            let wait = tokio::time::timeout(std::time::Duration::from_millis(30), capture.next());
            if let Ok(captured) = wait.await {
                log.add(captured.expect("a stream"));
            }
        }
        let away = random.below(3) == 0;
        if away {
            drop(capture);
            capture = log.connect(&config, new_tables(20)).await;
        }
        for statement in statements(&mut random, &mut there, step) {
            database.exec(&statement).await.unwrap_or_else(|e| panic!("{e}: {said:#?} {statement}"));
            said.push(statement);
        }
        if random.below(4) == 0 {
            drop(capture);
            capture = log.connect(&config, new_tables(20)).await;
        }
    }
    let deadline = tokio::time::Instant::now() + 4 * super::LONG;
    loop {
        catch_up(&mut capture, &mut log, server).await;
        let open = capture.snapshots().into_iter().find(|s| !s.state.is_over());
        let Some(open) = open else { break };
        assert!(tokio::time::Instant::now() < deadline, "{said:#?} {open:#?}");
        if let Ok(captured) = tokio::time::timeout(std::time::Duration::from_secs(1), capture.next()).await {
            log.add(captured.expect("a stream"));
        }
    }
    for end in capture.snapshots() {
        says_the_truth(&end, &format!("{said:#?}"));
    }
    let folded = fold_by_names(&log);
    let mut conn = database.connect().await.expect("a connection");
    for table in there.iter().filter(|t| t.starts_with("c_")) {
        let wanted: Vec<String> = conn
            .query(format!("SELECT CONCAT_WS(',', id, v) FROM {table} ORDER BY CONCAT(id)"))
            .await
            .expect("rows");
        let got: Vec<String> = folded.get(*table).into_iter().flat_map(|t| t.values().cloned()).collect();
        assert_eq!(got, wanted, "{table}: {said:#?} {:#?}", capture.snapshots());
    }
}

async fn create(database: &Database, table: &str, first: u32, count: u32) {
    let rows: Vec<String> = (first..first + count).map(|id| format!("({id},0)")).collect();
    let sql = format!(
        "CREATE TABLE {table} (id INT PRIMARY KEY, v INT); INSERT INTO {table} VALUES {}",
        rows.join(",")
    );
    database.exec(&sql).await.expect("the server does it");
}

/// Statements that do something to tables, and some to their rows.
fn statements(random: &mut Random, there: &mut BTreeSet<&'static str>, step: u32) -> Vec<String> {
    let some = |random: &mut Random, of: Vec<&'static str>| of[random.below(of.len())];
    let mut all = Vec::new();
    let free = |there: &BTreeSet<&str>| -> Vec<&'static str> {
        NAMES.into_iter().filter(|n| !there.contains(n)).collect()
    };
    match random.below(8) {
        0 if there.len() > 3 => {
            let table = some(random, there.iter().copied().collect());
            there.remove(table);
            all.push(format!("DROP TABLE {table}"));
        }
        1 if there.len() < NAMES.len() - 1 => {
            let table = some(random, free(there));
            there.insert(table);
            all.push(format!("CREATE TABLE {table} (id INT PRIMARY KEY, v INT)"));
        }
        _ => {
            let mut pairs = Vec::new();
            for _ in 0..1 + random.below(4) {
                let (from, to) = (some(random, there.iter().copied().collect()), some(random, free(there)));
                there.remove(from);
                there.insert(to);
                pairs.push((from, to));
            }
            if let [(from, to)] = pairs[..]
                && random.below(2) == 0
            {
                all.push(format!("ALTER TABLE {from} RENAME TO {to}"));
            } else {
                let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a} TO {b}")).collect();
                all.push(format!("RENAME TABLE {}", pairs.join(", ")));
            }
        }
    }
    let table = some(random, there.iter().copied().collect());
    all.push(format!("INSERT INTO {table} VALUES ({}, {step})", 20_000 + step));
    let table = some(random, there.iter().copied().collect());
    all.push(format!("UPDATE {table} SET v = {step} + 100 WHERE id % 7 = {}", random.below(7)));
    let table = some(random, there.iter().copied().collect());
    all.push(format!("DELETE FROM {table} WHERE id % 31 = {}", random.below(31)));
    all
}

type Rows = BTreeMap<String, String>;

/// What the log makes of tables for somebody who follows renames as it tells of them: name -> key -> row.
fn fold_by_names(log: &Log) -> BTreeMap<String, Rows> {
    let mut tables: BTreeMap<String, Rows> = BTreeMap::new();
    let mut statement: (u64, Vec<(String, serde_json::Value)>) = (0, Vec::new());
    for block in &log.all {
        for (b, r) in block.runs_in_order() {
            let batch = &block.batches[b as usize];
            let run = batch.runs[r as usize];
            let changes = batch.table.database == VIRTUAL_DATABASE;
            if !changes || run.pos != statement.0 {
                at_once(&mut tables, &std::mem::take(&mut statement.1));
            }
            for event in batch.events_of(r as usize..r as usize + 1) {
                if changes {
                    assert_eq!(batch.table.table, "schema_changes");
                    let row = event.after.expect("an insert") as usize;
                    let cell = |column: usize| batch.columns[column].as_string::<i32>().value(row);
                    let change = serde_json::from_str(cell(3)).expect("JSON");
                    statement.0 = run.pos;
                    statement.1.push((cell(1).to_owned(), change));
                    continue;
                }
                let rows = tables.entry(batch.table.table.clone()).or_default();
                let key = |row: u32| text::cells(batch, row as usize)[0].clone();
                if let Some(before) = event.before {
                    rows.remove(&key(before));
                }
                if let Some(after) = event.after {
                    assert!(event.op != Op::Delete);
                    rows.insert(key(after), text::row(batch, after as usize));
                }
            }
        }
    }
    at_once(&mut tables, &statement.1);
    tables
}

/// What a statement did to tables.
fn at_once(tables: &mut BTreeMap<String, Rows>, changes: &[(String, serde_json::Value)]) {
    let before = tables.clone();
    for (table, change) in changes {
        let from = change["renamed_from"].as_str().and_then(|from| from.split_once('.'));
        if let Some((_, from)) = from {
            tables.insert(table.clone(), before.get(from).cloned().unwrap_or_default());
        } else if change["renamed_to"].is_string() || change["kind"] == "drop" || change["kind"] == "create" {
            tables.remove(table);
        }
    }
}
