//! `forebay plugin push` and `list`: the server's plugins.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::{Failure, Remote};
use super::print;
use crate::workbench;

/// Upload a component. What routes run stays as it is: a route runs it once its definition names it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Push {
    /// The component.
    file: PathBuf,
    /// What routes call it. Default: the file's name without `.wasm`.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Show the server's plugins: each version, what a route writes to run it, and which routes do.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    remote: Remote,
}

impl Push {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let bytes = workbench::read_component(&self.file)?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let stem = self.file.file_stem().and_then(|stem| stem.to_str());
                stem.context("the file has no name that a plugin could have: give --name")?.to_owned()
            }
        };
        let client = Client::new(&self.remote)?;
        let path = format!("/v1/plugins/{name}/versions");
        let pushed = client.post_bytes(&path, "application/wasm", bytes).await?;
        let plugin: Value = client.get(&format!("/v1/plugins/{name}")).await?;
        if self.remote.json {
            return print(&format!("{:#}\n", json!({ "pushed": pushed, "plugin": plugin })));
        }
        print(&told(&name, &pushed, &plugin))
    }
}

/// What was pushed, who runs it, and what to write so that others do.
fn told(name: &str, pushed: &Value, plugin: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (write, version) = (text(&pushed["write"]), text(&pushed["version"]));
    let mut out = format!("{name}: {version}, {}\n", short(&pushed["sha256"]));
    if write != format!("{name}@{version}") {
        out +=
            &format!("version {version} is another component already, and stays that: this one is {write}\n");
    }
    for other in plugin["versions"].as_array().into_iter().flatten() {
        if other["sha256"] != pushed["sha256"] && !routes(other).is_empty() {
            out += &format!("{} goes on with {}\n", routes(other).join(", "), text(&other["write"]));
        }
    }
    out += &match routes(pushed).as_slice() {
        [] => format!("no route runs it yet: write `plugin: {write}` in a route's transforms, and apply\n"),
        users => format!("{} runs it\n", users.join(", ")),
    };
    out
}

fn routes(version: &Value) -> Vec<&str> {
    version["used_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn short(sha256: &Value) -> String {
    format!("sha256 {}", sha256.as_str().and_then(|sum| sum.get(..12)).unwrap_or_default())
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.remote)?;
        let plugins: Value = client.get("/v1/plugins").await?;
        if self.remote.json {
            return print(&format!("{plugins:#}\n"));
        }
        let mut out = String::new();
        for plugin in plugins["items"].as_array().into_iter().flatten() {
            let name = plugin["name"].as_str().unwrap_or_default();
            let about: Value = client.get(&format!("/v1/plugins/{name}")).await?;
            for version in about["versions"].as_array().into_iter().flatten() {
                let users = match routes(version).as_slice() {
                    [] => "used by no route".to_owned(),
                    users => format!("used by {}", users.join(", ")),
                };
                let default = if version["default"] == true { "default" } else { "" };
                let write = version["write"].as_str().unwrap_or_default();
                out += &format!("{write:<32} {} {default:<8} {users}\n", short(&version["sha256"]));
            }
        }
        print(if out.is_empty() { "no plugins\n" } else { &out })
    }
}
