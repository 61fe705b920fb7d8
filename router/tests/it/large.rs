//! One transaction that is larger than the memory that Forebay may take: the whole way to the file, killed in between.
//!
//! `FOREBAY_LARGE_ROWS` says how many rows (5,000,000 in `make soak`), `FOREBAY_LARGE_PAD` how wide they are. Each run
//! prints the peak.

use std::time::{Duration, Instant};

use forebay_kit::{Server, eventually};
use serde_json::{Value, json};

use crate::rig::{Rig, each_line};

/// The most memory that the process may ever hold, in bytes.
const MEMORY: u64 = 200 << 20;
/// How long a step may take: five million rows are some minutes of a debug build.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// A number from the environment.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |n| n.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn rows() -> u64 {
    number("FOREBAY_LARGE_ROWS", 500_000)
}

/// Few rows are wide, so that they exceed the limit all the same.
fn pad() -> u64 {
    number("FOREBAY_LARGE_PAD", (MEMORY + MEMORY / 8).div_ceil(rows()).max(64))
}

/// A Forebay, and the most memory that any of its processes has held.
struct Watched {
    rig: Rig,
    peak: u64,
}

impl Watched {
    fn look(&mut self) {
        self.peak = self.peak.max(self.rig.forebay.usage().unwrap().peak_memory);
    }

    async fn kill(&mut self) {
        self.look();
        self.rig.forebay.kill9().unwrap();
        self.rig.forebay.start_again().await.unwrap();
    }

    /// Waits until the status of the source and of the route are as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Value, &Value) -> bool) {
        eventually(what, DEADLINE, || async {
            let status = self.rig.status().await;
            let (source, route) = (&status["sources"][0], &status["routes"][0]);
            if wanted(source, route) { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
}

fn count(status: &Value, field: &str) -> u64 {
    status[field].as_u64().unwrap_or(0)
}

/// Writes the rows 1, 2, ... in one transaction of a session with these settings, kills Forebay while it reads them and
/// while it delivers them, and looks at what arrived. Answers the transaction's bytes in the binlog.
async fn arrives_once_and_in_order(settings: &str) -> u64 {
    let (rows, pad) = (rows(), pad());
    let server = Server::start(&["--max-allowed-packet=1G"]).await.unwrap();
    let rig = Rig::on(&server, server.database("it").await.unwrap()).await;
    let (file, path) = rig.file("changes");
    let table = format!("CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR({pad}) NOT NULL)");
    rig.database.exec(&table).await.unwrap();
    rig.apply(&json!({
        "sources": { "db": rig.source(json!({})) },
        "routes": { "file": rig.route(file, json!([])) },
    }))
    .await;
    let mut forebay = Watched { rig, peak: 0 };
    let end = async || server.binlog_end().await.unwrap().1;

    let (before, stored) = (end().await, count(&forebay.rig.status().await["sources"][0], "log_bytes"));
    let insert = format!(
        "SET SESSION cte_max_recursion_depth = {rows}, unique_checks = 0{settings}; \
         INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         SELECT i, RPAD(SHA2(i, 256), {pad}, SHA2(i + 1, 256)) FROM n"
    );
    forebay.rig.database.exec(&insert).await.unwrap();
    let bytes = end().await - before;
    let began = Instant::now();

    // pieces are stored before the transaction's end is read: nobody may see them yet, and they are read again
    for part in [64, 32, 16] {
        let most = rows * pad / part;
        forebay
            .until("the transaction is being read", |source, _| {
                count(source, "head") > 0 || count(source, "log_bytes") > stored + most
            })
            .await;
        assert_eq!(
            count(&forebay.rig.status().await["sources"][0], "head"),
            0,
            "it was read too soon to kill"
        );
        forebay.kill().await;
    }
    for part in [8, 4, 2] {
        let some = 1..rows - rows / part;
        forebay
            .until("a part is delivered", |source, route| {
                count(source, "head") == rows && some.contains(&count(route, "lag_events"))
            })
            .await;
        forebay.kill().await;
    }
    forebay
        .until("all is delivered", |source, route| {
            count(source, "head") == rows && count(route, "lag_events") == 0
        })
        .await;
    forebay.look();

    let mut next = 1;
    each_line(&path, |text| {
        let wanted = format!("\"after\":{{\"id\":{next},\"pad\":");
        assert!(text.contains(&wanted), "row {next} is not next: {text}");
        next += 1;
    });
    assert_eq!(next - 1, rows, "rows that arrived");
    eprintln!(
        "{rows} rows, {bytes} bytes in the binlog{settings}: {:.1} s with six kills, peak {} MiB",
        began.elapsed().as_secs_f64(),
        forebay.peak >> 20
    );
    assert!(rows * pad > MEMORY, "so few rows would fit into memory");
    assert!(forebay.peak < MEMORY, "a transaction took {} MiB of memory", forebay.peak >> 20);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_memory() {
    let bytes = arrives_once_and_in_order("").await;
    assert!(bytes > MEMORY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_transaction_larger_than_memory() {
    let bytes = arrives_once_and_in_order(", binlog_transaction_compression = ON").await;
    assert!(bytes < rows() * pad(), "it was not compressed: {bytes} bytes");
}
