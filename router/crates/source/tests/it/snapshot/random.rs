//! Random renames during a snapshot: whatever happens, the log folds to the tables.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray as _;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::{Op, VIRTUAL_DATABASE};
use forebay_source::mysql::SnapshotRequest;

use super::super::{config, text};
use super::came::new_tables;
use super::renames::says_the_truth;
use super::writer::catch_up;
use super::{Log, begin, next};

/// Names that are captured, and two that are not.
const NAMES: [&str; 6] = ["c_a", "c_b", "c_c", "c_d", "x_a", "x_b"];

#[tokio::test]
async fn under_random_renames_the_log_folds_to_the_tables() {
    under_random_renames(forebay_kit::mysql().await).await;
}

#[tokio::test]
async fn under_random_renames_of_mariadb_the_log_folds_to_the_tables() {
    // MariaDB may die of a look at information_schema beside such statements: not with other tests' server
    under_random_renames(&Server::start_mariadb(&[]).await.expect("a MariaDB")).await;
}

async fn under_random_renames(server: &Server) {
    let rounds = std::env::var("FOREBAY_RENAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    for seed in 1..=rounds {
        one_round(server, Random(seed)).await;
    }
}

/// Numbers that are the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: usize) -> usize {
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
    while !log.has_snapshots() {
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
