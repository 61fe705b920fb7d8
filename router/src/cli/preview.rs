//! `forebay preview`: what transforms would make of a route's latest events.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};
use crate::definition;

/// Run transforms over a route's latest events, and deliver nothing. Exits with 1 where a route would stop: it would let out what it may
/// not have, or too many events fail.
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The route. Not needed for a file that holds one.
    route: Option<String>,
    /// A YAML file with what to try: a whole route, which need not exist (alone, or below `routes` as in definitions), or transforms for
    /// the route, as a list or below `transforms`. Default: the route as it is.
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
        let mut candidate = None;
        if let Some(file) = &self.file {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let mut value = definition::from_yaml(&text)
                .with_context(|| format!("{} is not YAML that Forebay can read", file.display()))?;
            candidate = whole_route(&mut value, self.route.as_deref())?;
            if candidate.is_none() {
                let below = value.get_mut("transforms").map(Value::take);
                body["transforms"] = below.unwrap_or(value);
            }
        }
        let path = match (candidate, &self.route) {
            (Some((name, route)), _) => {
                body["route"] = route;
                if let Some(name) = name {
                    body["name"] = json!(name);
                }
                "/v1/preview".to_owned()
            }
            (None, Some(route)) => format!("/v1/routes/{route}/preview"),
            (None, None) => {
                let what =
                    "say which route: forebay preview ROUTE, or -f with a file that holds a whole route";
                return Err(anyhow::anyhow!(what).into());
            }
        };
        let answer = Client::new(&self.remote)?.send_json(Method::POST, &path, &body).await?;
        match self.remote.json {
            true => print(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?,
            false => print(&told(&answer))?,
        }
        if would_stop(&answer) { Err(Failure::Told(1)) } else { Ok(()) }
    }
}

/// Whether a route with these transforms would stop, or the preview ended before its last event.
fn would_stop(answer: &Value) -> bool {
    answer["exposed"].as_array().is_some_and(|exposed| !exposed.is_empty()) || !answer["stopped"].is_null()
}

/// The route that a file holds, with its name if it has one; `None` if the file holds transforms.
fn whole_route(file: &mut Value, wanted: Option<&str>) -> anyhow::Result<Option<(Option<String>, Value)>> {
    if file.get("source").is_some() {
        return Ok(Some((wanted.map(str::to_owned), file.take())));
    }
    let Some(routes) = file.get_mut("routes").and_then(Value::as_object_mut) else { return Ok(None) };
    let names: Vec<String> = routes.keys().cloned().collect();
    let name = match (wanted, names.as_slice()) {
        (Some(wanted), _) => wanted.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => anyhow::bail!("the file has the routes {}: say which", names.join(", ")),
    };
    match routes.get_mut(&name) {
        Some(route) => Ok(Some((Some(name), route.take()))),
        None => anyhow::bail!("the file has no route {name}; it has {}", names.join(", ")),
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
    if let Some(stopped) = answer["stopped"].as_str() {
        text += &format!("stopped: {stopped}\n");
    }
    for (reason, count) in answer["reasons"].as_object().into_iter().flatten() {
        text += &format!("{count} times: {reason}\n");
    }
    for sample in items("samples") {
        let (table, fate) = (word(&sample["table"]), word(&sample["fate"]));
        let reason = sample["reason"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
        text += &format!("offset {} of {table}, {fate}{reason}\n", sample["offset"]);
        for change in sample["changes"].as_array().into_iter().flatten() {
            let cell = |field: &str| change.get(field).map_or_else(|| "-".to_owned(), Value::to_string);
            let (image, column) = (word(&change["image"]), word(&change["column"]));
            text += &format!("  {image:<6} {column}: {} -> {}\n", cell("from"), cell("to"));
        }
    }
    text
}
