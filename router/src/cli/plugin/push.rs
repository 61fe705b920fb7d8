//! `forebay plugin push` and `list`: the server's plugins.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::{Failure, Remote};
use super::{print, size};
use crate::workbench;

/// Upload a component.
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

/// Show the server's plugins.
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
        let before = plugin(&client, &name).await?;
        let answer = client.put_bytes(&format!("/v1/plugins/{name}"), "application/wasm", bytes).await?;
        let routes = users(&client, &name).await?;
        if self.remote.json {
            return print(&format!("{:#}\n", json!({ "plugin": answer, "routes": routes })));
        }
        let about = &answer["about"];
        let same = before.is_some_and(|before| before["sha256"] == answer["sha256"]);
        let mut out = format!(
            "{name}: {} {}, {}, revision {}{}\n",
            about["name"].as_str().unwrap_or(&name),
            about["version"].as_str().unwrap_or_default(),
            size(answer["bytes"].as_u64().unwrap_or_default()),
            answer["revision"],
            if same { ", as it was" } else { "" }
        );
        out += &match routes.is_empty() {
            true => {
                format!("no route uses it yet: `transforms: [ {{ plugin: {name}, config: {{ ... }} }} ]`\n")
            }
            false => format!("used by {}\n", routes.join(", ")),
        };
        print(&out)
    }
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
            let routes = users(&client, name).await?;
            out += &format!(
                "{name:<20} revision {:<4} {:<12} {}  {}\n",
                plugin["revision"].to_string(),
                size(plugin["bytes"].as_u64().unwrap_or_default()),
                plugin["sha256"].as_str().and_then(|sum| sum.get(..12)).unwrap_or_default(),
                if routes.is_empty() {
                    "used by no route".to_owned()
                } else {
                    format!("used by {}", routes.join(", "))
                }
            );
        }
        print(if out.is_empty() { "no plugins\n" } else { &out })
    }
}

/// What the server's list says of a plugin.
async fn plugin(client: &Client, name: &str) -> Result<Option<Value>, Failure> {
    let all: Value = client.get("/v1/plugins").await?;
    Ok(all["items"].as_array().into_iter().flatten().find(|plugin| plugin["name"] == name).cloned())
}

/// The routes that use a plugin.
async fn users(client: &Client, name: &str) -> Result<Vec<String>, Failure> {
    let routes: Value = client.get("/v1/routes").await?;
    let uses = |route: &&Value| {
        let transforms = route.pointer("/definition/transforms");
        transforms.and_then(Value::as_array).is_some_and(|all| all.iter().any(|t| t["plugin"] == name))
    };
    let routes = routes["items"].as_array().into_iter().flatten().filter(uses);
    Ok(routes.filter_map(|route| route["name"].as_str().map(str::to_owned)).collect())
}
