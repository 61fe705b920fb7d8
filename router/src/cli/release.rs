//! `forebay release`: the way out of quarantine.

use std::io::Read as _;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::{Failure, Remote, print};

/// End a table's quarantine: its kept events are decoded by what it looked like, or given up.
#[derive(Debug, Args)]
pub(super) struct Release {
    /// The source.
    source: String,
    /// The table, as database.table.
    table: String,
    /// A file with its CREATE TABLE statement, as it was when the first kept event was written; - = standard input. Default: what the
    /// server says now. Again, where it changed among the kept events in a way that cannot be followed: what it looked like from there on.
    #[arg(long, conflicts_with = "give_up")]
    definition: Vec<String>,
    /// Drop the kept events: the table goes on from now, and a snapshot of it reads what is there. Rows that the dropped events deleted
    /// stay at the destination: empty its table before the snapshot.
    #[arg(long)]
    give_up: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Release {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Some((database, table)) = self.table.split_once('.') else {
            return Err(anyhow::anyhow!("{} is no database.table", self.table).into());
        };
        let mut body = json!({ "database": database, "table": table, "give_up": self.give_up });
        let read = |file: &String| read(file).with_context(|| format!("cannot read {file}"));
        if let Some((first, later)) = self.definition.split_first() {
            body["definition"] = json!(read(first)?);
            body["later"] = json!(later.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        let path = format!("/v1/sources/{}/release", self.source);
        Client::new(&self.remote)?.send_json(Method::POST, &path, &body).await?;
        let (source, table) = (&self.source, &self.table);
        print(&if self.give_up {
            format!(
                "{table}: its kept events are dropped, and it goes on from now; what it holds is read by\n\
                 forebay snapshot begin {source} --table {table}\n\
                 rows deleted meanwhile stay at the destination: empty its table first\n"
            )
        } else {
            format!("{table}: its kept events are decoded\n")
        })
    }
}

fn read(file: &str) -> std::io::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
