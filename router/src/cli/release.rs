//! `forebay release`: the way out of quarantine.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::{Failure, Remote, print};

/// End a table's quarantine: say what it looked like, and the events kept of it are decoded.
#[derive(Debug, Args)]
pub(super) struct Release {
    /// The source.
    source: String,
    /// The table, as database.table.
    table: String,
    /// A file with its CREATE TABLE statement, as it was when the first event was kept. Default: what the server says now.
    #[arg(long)]
    definition: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl Release {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (database, table) = self.table.split_once('.').context("a table is named database.table")?;
        let definition = match &self.definition {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?,
            ),
            None => None,
        };
        let path = format!("/v1/sources/{}/release", self.source);
        let body = json!({ "database": database, "table": table, "definition": definition });
        Client::new(&self.remote)?.send_json(Method::POST, &path, &body).await?;
        print(&format!("{}: its kept events are decoded, and its quarantine is over\n", self.table))
    }
}
