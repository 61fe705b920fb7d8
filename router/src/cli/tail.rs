//! `forebay tail`: changes as they are read.

use clap::Args;

use super::client::Client;
use super::{Failure, Remote, print};

/// Print changes as they are read.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// The source.
    source: String,
    /// Only these tables, as database.table with * and ?; may be given several times.
    #[arg(long, short)]
    table: Vec<String>,
    /// Begin at this offset rather than now; `earliest` for the oldest that is kept.
    #[arg(long)]
    from: Option<String>,
    /// Stop after this many changes.
    #[arg(long, short = 'n')]
    count: Option<u64>,
    /// Show columns tagged `pii`, too; the audit trail says so.
    #[arg(long)]
    show_pii: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Tail {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut query = vec![("format", if self.remote.json { "debezium" } else { "lines" }.to_owned())];
        query.extend(self.table.iter().map(|t| ("tables", t.clone())));
        query.extend(self.from.map(|from| ("from", from)));
        query.extend(self.count.map(|count| ("count", count.to_string())));
        if self.show_pii {
            query.push(("pii", "shown".to_owned()));
        }
        let query = serde_urlencoded::to_string(query)?;
        let path = format!("/v1/sources/{}/tail?{query}", self.source);
        let mut response = Client::new(&self.remote)?.stream(&path).await?;
        while let Some(chunk) = response.chunk().await? {
            print(&String::from_utf8_lossy(&chunk))?;
        }
        Ok(())
    }
}
