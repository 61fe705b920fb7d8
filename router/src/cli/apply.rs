//! `forebay apply`, `plan` and `export`: definitions as a file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{Failure, Remote, print};
use crate::definition;

/// Definitions from a file.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// A YAML file with sources, plugins and routes; `-` for standard input.
    #[arg(long, short)]
    file: PathBuf,
    /// Also delete what the file does not name.
    #[arg(long)]
    prune: bool,
    /// Take sources also whose server lacks what a source needs; it is printed as a note.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Print the server's definitions.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    remote: Remote,
}

impl Apply {
    pub(super) async fn run(self, dry_run: bool) -> Result<(), Failure> {
        let (text, folder) = read(&self.file)?;
        let mut wanted = definition::from_yaml(&text)
            .with_context(|| format!("{} is not YAML that Forebay can read", self.file.display()))?;
        embed_plugins(&mut wanted, &folder);
        let Apply { prune, force, .. } = self;
        let path = format!("/v1/apply?dry_run={dry_run}&prune={prune}&force={force}");
        let answer = Client::new(&self.remote)?.send_json(Method::POST, &path, &wanted).await?;
        if self.remote.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&answer)?));
        }
        print(&told(&answer, dry_run))
    }
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let format = if self.remote.json { "json" } else { "yaml" };
        print(&Client::new(&self.remote)?.get_text(&format!("/v1/export?format={format}")).await?)
    }
}

fn read(file: &Path) -> anyhow::Result<(String, PathBuf)> {
    if file == Path::new("-") {
        return Ok((std::io::read_to_string(std::io::stdin())?, PathBuf::from(".")));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok((text, file.parent().unwrap_or(Path::new(".")).to_owned()))
}

/// `plugins.NAME.file` is a path beside the definitions file, on this machine: its bytes go along. One that cannot be read is told
/// and stays as it is: the server refuses it, with whatever else is wrong.
fn embed_plugins(wanted: &mut Value, folder: &Path) {
    let Some(plugins) = wanted.get_mut("plugins").and_then(Value::as_object_mut) else { return };
    for (name, plugin) in plugins {
        let Some(file) = plugin.get("file").and_then(Value::as_str) else { continue };
        let path = folder.join(file);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("forebay: plugins.{name}.file: cannot read {}: {error}", path.display());
                continue;
            }
        };
        let wasm = base64::engine::general_purpose::STANDARD.encode(bytes);
        if let Some(plugin) = plugin.as_object_mut() {
            plugin.remove("file");
            plugin.insert("wasm".to_owned(), json!(wasm));
        }
    }
}

fn told(answer: &Value, dry_run: bool) -> String {
    let mut out = String::new();
    let mut changes = 0;
    for step in answer["steps"].as_array().into_iter().flatten() {
        let (kind, name) = (step["kind"].as_str().unwrap_or(""), step["name"].as_str().unwrap_or(""));
        let action = step["action"].as_str().unwrap_or("");
        let mark = match action {
            "create" => "+",
            "update" => "~",
            "delete" => "-",
            _ => continue,
        };
        changes += 1;
        out += &format!("{mark} {kind}/{name}\n");
        for path in step["changed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            out += &format!("    {path}\n");
        }
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let part = |name: &str| warning[name].as_str().unwrap_or("");
        out += &format!("note {} {}: {}\n", part("path"), part("check"), part("message"));
        if !part("suggestion").is_empty() {
            out += &format!("     fix: {}\n", part("suggestion"));
        }
    }
    out += &match (changes, dry_run) {
        (0, _) => "nothing to change\n".to_owned(),
        (n, true) => format!("{n} to change; nothing was done\n"),
        (n, false) => format!("{n} changed\n"),
    };
    out
}
