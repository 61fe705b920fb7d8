//! `forebay preview`: what transforms would make of a route's latest events.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};
use crate::definition;

/// Run transforms over a route's latest events, and deliver nothing.
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The route.
    route: String,
    /// A YAML file with the transforms to try, as a list or below `transforms`. Default: the route's own.
    #[arg(long, short)]
    file: Option<PathBuf>,
    /// On so many events, at most 10000.
    #[arg(long, default_value_t = 100)]
    last: u64,
    #[command(flatten)]
    remote: Remote,
}

impl Preview {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut body = json!({ "last": self.last });
        if let Some(file) = &self.file {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let mut value = definition::from_yaml(&text)
                .with_context(|| format!("{} is not YAML that Forebay can read", file.display()))?;
            let below = value.get_mut("transforms").map(Value::take);
            body["transforms"] = below.unwrap_or(value);
        }
        let path = format!("/v1/routes/{}/preview", self.route);
        let answer = Client::new(&self.remote)?.send_json(Method::POST, &path, &body).await?;
        if self.remote.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&answer)?));
        }
        print(&told(&answer))
    }
}

fn told(answer: &Value) -> String {
    let fates = ["read", "kept", "dropped", "rejected", "failed", "rekeyed", "routed"];
    let counts: Vec<String> = fates.iter().map(|fate| format!("{fate} {}", answer[fate])).collect();
    let mut text = format!("{}\n", counts.join(", "));
    let items = |field: &str| answer[field].as_array().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for exposed in items("exposed") {
        text += &format!("pii: {}\n", word(exposed));
    }
    for table in items("tables").filter(|table| !table["fault"].is_null()) {
        text += &format!("{}: {}\n", word(&table["table"]), word(&table["fault"]));
    }
    for (reason, count) in answer["reasons"].as_object().into_iter().flatten() {
        text += &format!("{count} times: {reason}\n");
    }
    for sample in items("samples") {
        text += &format!("offset {} of {}\n", sample["offset"], word(&sample["table"]));
        for change in sample["changes"].as_array().into_iter().flatten() {
            let cell = |field: &str| change.get(field).map_or_else(|| "-".to_owned(), Value::to_string);
            let (image, column) = (word(&change["image"]), word(&change["column"]));
            text += &format!("  {image:<6} {column}: {} -> {}\n", cell("from"), cell("to"));
        }
    }
    text
}
