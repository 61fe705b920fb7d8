//! The loads: row changes of three shapes, the same on every machine, written into a real MySQL.
//!
//! | load | changes | table | statements |
//! |---|---|---|---|
//! | narrow | 1,000,000: 70 % inserts, 20 % updates, 10 % deletes | 8 columns | 100 changes a transaction, one statement per kind |
//! | wide | 100,000: 70 % inserts, 30 % updates | 228 columns, 212 of them INT | 100 changes a transaction, one statement per kind |
//! | oltp | 300,000, as narrow | as narrow | 100 a transaction, one row a statement |
//!
//! Each load has a server folder of its own whose only binlog file is the load, so that a reader that starts at the
//! earliest position reads the load and nothing else, as often as it is asked to.

mod narrow;
pub(crate) mod rows;
mod wide;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable;
use serde_json::{Value, json};

/// Grows whenever what is written changes, so that a kept binlog of an older bench is not used.
const EDITION: u32 = 1;
/// Row changes of one transaction.
const TRANSACTION: u64 = 100;
/// The database of all loads.
pub(crate) const DATABASE: &str = "bench";

/// Which load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Load {
    /// 8 columns, one statement per kind and transaction.
    Narrow,
    /// 228 columns.
    Wide,
    /// 8 columns, one row a statement.
    Oltp,
}

/// Writes the statements of one transaction after the other.
trait Shape: Send {
    /// The table.
    fn table(&self) -> String;
    /// Appends statements that make [`TRANSACTION`] row changes, each statement followed by `;`.
    fn transaction(&mut self, sql: &mut String);
}

impl Load {
    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Narrow => "narrow",
            Load::Wide => "wide",
            Load::Oltp => "oltp",
        }
    }

    /// Row changes at scale 1.
    fn full(self) -> u64 {
        match self {
            Load::Narrow => 1_000_000,
            Load::Wide => 100_000,
            Load::Oltp => 300_000,
        }
    }

    /// Row changes at this scale: whole transactions, at least one.
    pub(crate) fn changes(self, scale: f64) -> u64 {
        let transactions = self.full() as f64 * scale / TRANSACTION as f64;
        (transactions.round() as u64).max(1) * TRANSACTION
    }

    /// Two text columns of the table, for the plugin that masks.
    pub(crate) fn text_columns(self) -> [&'static str; 2] {
        match self {
            Load::Narrow | Load::Oltp => ["c", "email"],
            Load::Wide => wide::TEXT_COLUMNS,
        }
    }

    fn shape(self) -> Box<dyn Shape> {
        match self {
            Load::Narrow => Box::new(narrow::Narrow::new(false)),
            Load::Wide => Box::new(wide::Wide::new()),
            Load::Oltp => Box::new(narrow::Narrow::new(true)),
        }
    }
}

/// A server whose binlog is one load.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) load: Load,
    pub(crate) server: Server,
    /// Row changes in the binlog.
    pub(crate) changes: u64,
    /// Size of the binlog in bytes.
    pub(crate) bytes: u64,
}

/// Starts the server in `folder/NAME` and, unless an earlier run has left the same load there, writes the load.
pub(crate) async fn prepare(folder: &Path, load: Load, scale: f64, tls: bool, keep: bool) -> Result<Loaded> {
    let dir = folder.join(load.name());
    let note = dir.join("load.json");
    let changes = load.changes(scale);
    let mut options =
        vec!["--innodb-buffer-pool-size=1G", "--innodb-redo-log-capacity=1G", "--binlog-cache-size=16M"];
    if !tls {
        options.push("--tls-version=");
    }
    let written: Option<Value> = std::fs::read(&note).ok().and_then(|n| serde_json::from_slice(&n).ok());
    let same = written.filter(|w| w["edition"] == json!(EDITION) && w["changes"] == json!(changes));
    if same.is_none() && dir.exists() {
        std::fs::remove_dir_all(&dir).context("an older load")?;
    }
    let server = Server::start_in(&dir, &options, keep).await?;
    if same.is_none() {
        let started = Instant::now();
        write(&server, load, changes).await?;
        let (_, bytes, _) = server.binlog_end().await?;
        let document = json!({ "edition": EDITION, "changes": changes, "bytes": bytes });
        std::fs::write(&note, document.to_string())?;
        eprintln!(
            "{}: wrote {changes} row changes, {bytes} bytes, in {:.1?}",
            load.name(),
            started.elapsed()
        );
    }
    let written: Value = serde_json::from_slice(&std::fs::read(&note)?)?;
    let bytes = written["bytes"].as_u64().context("load.json says no size")?;
    Ok(Loaded { load, server, changes, bytes })
}

async fn write(server: &Server, load: Load, changes: u64) -> Result<()> {
    let mut shape = load.shape();
    let mut conn = server.connect().await?;
    conn.query_drop(format!("CREATE DATABASE {DATABASE}")).await?;
    conn.query_drop(shape.table()).await?;
    conn.query_drop("RESET BINARY LOGS AND GTIDS").await?;
    let mut sql = String::new();
    for _ in 0..changes / TRANSACTION {
        sql.clear();
        sql.push_str("BEGIN;");
        shape.transaction(&mut sql);
        sql.push_str("COMMIT");
        conn.query_drop(&sql).await?;
    }
    let files: Vec<(String, u64, String)> = conn.query("SHOW BINARY LOGS").await?;
    conn.disconnect().await?;
    ensure!(files.len() == 1, "the load does not fit into one binlog file: {files:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_to_whole_transactions() {
        assert_eq!(Load::Narrow.changes(1.0), 1_000_000);
        assert_eq!(Load::Oltp.changes(0.001), 300);
        assert_eq!(Load::Wide.changes(0.0), 100);
    }

    /// What the server logs is what the load promises, counted in the binlog itself.
    #[tokio::test]
    async fn the_binlog_holds_the_promised_changes() {
        let folder = tempfile::tempdir().unwrap();
        for (load, kinds) in
            [(Load::Narrow, [700, 200, 100]), (Load::Wide, [700, 300, 0]), (Load::Oltp, [700, 200, 100])]
        {
            let scale = 1_000.0 / load.full() as f64;
            let loaded = prepare(folder.path(), load, scale, false, false).await.unwrap();
            assert_eq!(loaded.changes, 1_000);
            let mut text = forebay_kit::mysql_tool("mysqlbinlog");
            let port = loaded.server.port().to_string();
            text.args([
                "--no-defaults",
                "-uroot",
                "-h127.0.0.1",
                "-P",
                &port,
                "--read-from-remote-server",
                "-v",
            ]);
            let text = text.args(["--base64-output=DECODE-ROWS", "binlog.000001"]).output().unwrap();
            let text = String::from_utf8_lossy(&text.stdout);
            let count = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
            assert_eq!([count("### INSERT"), count("### UPDATE"), count("### DELETE")], kinds, "{load:?}");
            assert_eq!(text.matches("\nCOMMIT").count(), 10);

            // The second time it is there already, byte by byte.
            let bytes = loaded.bytes;
            loaded.server.stop().await.unwrap();
            let again = prepare(folder.path(), load, scale, false, false).await.unwrap();
            assert_eq!(again.bytes, bytes);
            again.server.stop().await.unwrap();
        }
    }
}
