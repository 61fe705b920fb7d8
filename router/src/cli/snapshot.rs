//! `forebay snapshot ...`: read tables as they stand.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};

/// Read tables as they stand, beside the changes and without a lock.
#[derive(Debug, Subcommand)]
pub(super) enum Snapshot {
    /// Begin one.
    Begin(Begin),
    /// Show how far a source's snapshots are.
    List(List),
    /// Stop reading until resumed.
    Pause(One),
    /// Go on with a paused one, or try again what failed in one.
    Resume(One),
    /// End one where it is; what was read stays read.
    Cancel(One),
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    /// The source.
    source: String,
    /// Which of the captured tables, as database.table with * and ?; may be given several times. Default: all.
    #[arg(long, short)]
    table: Vec<String>,
    /// Which rows of a table, as database.table=EXPRESSION; may be given several times.
    #[arg(long)]
    filter: Vec<String>,
    /// The one route that the rows are for. Default: every route.
    #[arg(long)]
    route: Option<String>,
    /// At most so many rows a second.
    #[arg(long)]
    rate: Option<u32>,
    /// Wait for its end, and show how far it is. Exit code 1 if it fails.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The source.
    source: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// The source.
    source: String,
    /// The snapshot's id.
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Snapshot {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (one, action) = match self {
            Snapshot::Begin(begin) => return begin.run().await,
            Snapshot::List(list) => return list.run().await,
            Snapshot::Pause(one) => (one, "pause"),
            Snapshot::Resume(one) => (one, "resume"),
            Snapshot::Cancel(one) => (one, "cancel"),
        };
        let path = format!("/v1/sources/{}/snapshots/{}/{action}", one.source, one.id);
        Client::new(&one.remote)?.send_json(Method::POST, &path, &Value::Null).await?;
        print(&format!("{}: {action} is noted\n", one.id))
    }
}

impl Begin {
    async fn run(self) -> Result<(), Failure> {
        let mut filters = BTreeMap::new();
        for filter in &self.filter {
            let (table, rows) =
                filter.split_once('=').context("--filter is written as database.table=EXPRESSION")?;
            filters.insert(table, rows);
        }
        let body = json!({
            "tables": self.table, "filters": filters, "route": self.route, "rows_per_second": self.rate,
        });
        let client = Client::new(&self.remote)?;
        let path = format!("/v1/sources/{}/snapshots", self.source);
        let answer = client.send_json(Method::POST, &path, &body).await?;
        let id = answer["id"].as_str().unwrap_or_default();
        if self.remote.json {
            print(&format!("{answer}\n"))?;
        } else {
            print(&format!("snapshot {id} begins\n"))?;
        }
        if self.wait { wait(&client, &path, id).await } else { Ok(()) }
    }
}

/// Follows a snapshot to its end.
async fn wait(client: &Client, path: &str, id: &str) -> Result<(), Failure> {
    let live = std::io::stderr().is_terminal();
    loop {
        let all: Value = client.get(path).await?;
        let one = all["items"].as_array().into_iter().flatten().find(|s| s["request"]["id"] == id);
        let Some(one) = one else { return Ok(()) };
        let line = progress(one);
        let state = one["state"].as_str().unwrap_or_default();
        let is_over = matches!(state, "done" | "failed" | "cancelled");
        if live && !is_over {
            eprint!("\r\x1b[K{line}");
        } else if is_over {
            eprint!("{}", if live { "\r\x1b[K" } else { "" });
            print(&format!("{line}\n"))?;
            return if state == "done" { Ok(()) } else { Err(Failure::Told(1)) };
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let path = format!("/v1/sources/{}/snapshots", self.source);
        let all: Value = Client::new(&self.remote)?.get(&path).await?;
        if self.remote.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&all)?));
        }
        let mut out = String::new();
        for one in all["items"].as_array().into_iter().flatten() {
            out += &format!("{}\n", progress(one));
            for table in one["tables"].as_array().into_iter().flatten() {
                let text = |field: &str| table[field].as_str().unwrap_or_default().to_owned();
                out += &format!("  {:40} {:9} {} rows\n", text("table"), text("state"), table["rows"]);
                out += &fault(&table["fault"], "    ");
            }
            out += &fault(&one["fault"], "  ");
        }
        print(if out.is_empty() { "none\n" } else { &out })
    }
}

/// `initial: running, 12000 of about 40000 rows, 5000 rows/s, about 6 s left`.
fn progress(one: &Value) -> String {
    let id = one["request"]["id"].as_str().unwrap_or_default();
    let mut line = format!(
        "{id}: {}, {} of about {} rows",
        one["state"].as_str().unwrap_or("-"),
        one["rows"],
        one["estimate"]
    );
    if one["state"] == "running" {
        line += &format!(", {:.0} rows/s", one["rows_per_second"].as_f64().unwrap_or(0.0));
        if let Some(left) = one["seconds_left"].as_f64() {
            line += &format!(", about {left:.0} s left");
        }
    }
    line
}

fn fault(fault: &Value, indent: &str) -> String {
    let text = |field: &str| fault[field].as_str().unwrap_or_default().to_owned();
    if fault.is_null() {
        return String::new();
    }
    let fix = if text("fix").is_empty() { String::new() } else { format!("{indent}fix: {}\n", text("fix")) };
    format!("{indent}{} [{}]\n{fix}", text("message"), text("code"))
}
