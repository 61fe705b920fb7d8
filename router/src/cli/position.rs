//! `forebay position`: where a source reads, and moving it.

use std::io::IsTerminal;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};

/// Show where a source reads and how long the server keeps what it needs; with --to, move it.
#[derive(Debug, Args)]
pub(super) struct Position {
    /// The source.
    source: String,
    /// earliest, now, a GTID set, a time such as 2026-11-21T10:00:00Z, a place such as binlog.000007:4, or the state file of Quix's
    /// MySQL CDC (binlog_position_SCHEMA_TABLE.json).
    #[arg(long)]
    to: Option<String>,
    /// Move it without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Position {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.remote)?;
        let Some(to) = &self.to else { return self.show(&client).await };
        let to = match to.as_str() {
            "earliest" | "now" => json!(to),
            text if text.parse::<jiff::Timestamp>().is_ok() => json!({ "time": text }),
            text => match stored(text)? {
                Some((file, pos)) => json!({ "file": { "file": file, "pos": pos } }),
                None => json!({ "gtids": text }),
            },
        };
        let path = format!("/v1/sources/{}/position", self.source);
        let plan = client.send_json(Method::POST, &path, &json!({ "to": to })).await?;
        if !self.remote.json {
            let place = place(&plan["position"]);
            print(&format!("to {place} on {}\n{}\n", text(&plan["host"]), text(&plan["says"])))?;
        }
        if !self.yes && !agreed()? {
            print("nothing was done\n")?;
            return Err(Failure::Told(1));
        }
        // what was asked about is what is done, though the server has moved on meanwhile
        let to = match text(&plan["position"]["gtids"]) {
            "" => to,
            gtids => json!({ "gtids": gtids }),
        };
        let done = client.send_json(Method::POST, &path, &json!({ "to": to, "confirm": true })).await?;
        print(&if self.remote.json { format!("{done}\n") } else { format!("{} is moved\n", self.source) })
    }

    async fn show(&self, client: &Client) -> Result<(), Failure> {
        let status: Value = client.get("/v1/status").await?;
        let source = status["sources"].as_array().into_iter().flatten().find(|s| s["name"] == *self.source);
        let position = source.map_or(Value::Null, |s| s["position"].clone());
        let outlook: Value = client.get(&format!("/v1/sources/{}/outlook", self.source)).await?;
        if self.remote.json {
            return print(&format!("{}\n", json!({ "position": position, "outlook": outlook })));
        }
        let left = outlook["hours_left"]
            .as_f64()
            .map_or("never by itself".to_owned(), |h| format!("in {h:.1} hours"));
        let mut out = format!("{}\n", place(&position));
        out += &format!("GTIDs read: {}\n", text(&position["gtids"]));
        out += &format!("the server deletes {} {left}\n", text(&outlook["oldest_file_needed"]));
        if let Some(caution) = outlook["caution"].as_str() {
            out += &format!("{caution}\n");
        }
        if let Some(statement) = outlook["purge_statement"].as_str() {
            out += &format!("not needed any more{}: {statement}\n", condition(&outlook));
        }
        print(&out)
    }
}

/// Where a position is; one by GTIDs alone is at no place yet.
fn place(position: &Value) -> String {
    match (text(&position["file"]), text(&position["gtids"])) {
        ("", "") => "before everything".to_owned(),
        ("", gtids) => format!("behind {gtids}"),
        (file, _) => format!("{file}:{}", position["pos"]),
    }
}

/// A place in the binlog: as `file:offset`, or from the state file of another reader, `{"log_file": ..., "log_pos": ...}`.
fn stored(text: &str) -> Result<Option<(String, u64)>, Failure> {
    if text.ends_with(".json") {
        let bytes = std::fs::read(text).with_context(|| format!("cannot read {text}"))?;
        let state: Value = serde_json::from_slice(&bytes).with_context(|| format!("{text} is not JSON"))?;
        let place = state["log_file"].as_str().zip(state["log_pos"].as_u64());
        let (file, pos) = place.with_context(|| format!("{text} has no log_file and log_pos"))?;
        return Ok(Some((file.to_owned(), pos)));
    }
    // a GTID set has a UUID, or numbers alone, before its first colon
    let place = text.split_once(':').filter(|(file, _)| file.contains('.'));
    Ok(place.and_then(|(file, pos)| Some((file.to_owned(), pos.parse().ok()?))))
}

/// What the statement rests on, where something is said against it.
fn condition(outlook: &Value) -> &'static str {
    if outlook["caution"].is_null() { "" } else { ", on that condition" }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Asks on a terminal; elsewhere nobody can answer, and silence is no yes.
fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(anyhow::anyhow!("moving a source needs a yes: give --yes").into());
    }
    print("move it? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
