//! `forebay routes ...` and `forebay replay`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};

/// Pause, resume or look at routes.
#[derive(Debug, Subcommand)]
pub(super) enum Routes {
    /// Stop delivering until resumed; the changelog keeps what is missed.
    Pause(One),
    /// Deliver again.
    Resume(One),
    /// Show the events that could not pass.
    DeadLetters(One),
}

/// One route.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The route.
    route: String,
    #[command(flatten)]
    remote: Remote,
}

/// Deliver again from an earlier offset, or skip to a later one. Only this route notices.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The route.
    route: String,
    /// earliest, head, an offset, or a time such as 2026-11-21T10:00:00Z.
    #[arg(long)]
    from: String,
    /// now: the route's present transforms. then: those that each event was delivered with first.
    #[arg(long, default_value = "now", value_parser = ["now", "then"])]
    transforms: String,
    #[command(flatten)]
    remote: Remote,
}

impl Routes {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (one, action) = match self {
            Routes::Pause(one) => (one, "pause"),
            Routes::Resume(one) => (one, "resume"),
            Routes::DeadLetters(one) => {
                let path = format!("/v1/routes/{}/dead-letters", one.route);
                let letters: Value = Client::new(&one.remote)?.get(&path).await?;
                return print(&format!("{}\n", serde_json::to_string_pretty(&letters)?));
            }
        };
        let path = format!("/v1/routes/{}/{action}", one.route);
        Client::new(&one.remote)?.send_json(Method::POST, &path, &Value::Null).await?;
        print(&format!("{}: {action}d\n", one.route))
    }
}

impl Replay {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let to = match self.from.parse::<u64>() {
            Ok(offset) => json!(offset),
            Err(_) if matches!(self.from.as_str(), "earliest" | "head") => json!(self.from),
            Err(_) if self.from.parse::<jiff::Timestamp>().is_ok() => json!({ "time": self.from }),
            Err(_) => {
                let what = "is none of earliest, head, an offset, and a time such as 2026-11-21T10:00:00Z";
                return Err(anyhow::anyhow!("--from {} {what}", self.from).into());
            }
        };
        let path = format!("/v1/routes/{}/offset", self.route);
        let body = json!({ "to": to, "transforms": self.transforms });
        let answer = Client::new(&self.remote)?.send_json(Method::PUT, &path, &body).await?;
        if self.remote.json {
            return print(&format!("{answer}\n"));
        }
        let then = match &answer["then_until"] {
            Value::Null => String::new(),
            end => format!(", until offset {end} with the transforms that ran then"),
        };
        print(&format!("{}: delivers from offset {}{then}\n", self.route, answer["offset"]))
    }
}
