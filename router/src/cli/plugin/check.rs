//! `forebay plugin check`: what a component is, and its plan for a table, in words.

use std::path::{Path, PathBuf};

use clap::Args;
use forebay_model::TableSchema;
use forebay_transform::{Binding, Limits, Plugin};
use serde_json::json;

use super::{About, Failure, print, size};
use crate::definition;
use crate::workbench;

/// Look at a component.
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    about: About,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let host = workbench::host()?;
        let plugin = workbench::load(&host, &self.file)?;
        let config = workbench::config(self.about.config.as_deref())?;
        let table = self.about.table().await?;
        let mut out = about(&self.file, &plugin);
        for path in definition::plain_secrets(&config, &plugin.info().secrets) {
            eprintln!(
                "forebay: config.{path}: a server takes no secret in plain here (write {{ env: NAME }} or {{ file: /path }})"
            );
        }
        for path in definition::left_references(&config, &plugin.info().secrets) {
            eprintln!(
                "forebay: config.{path}: the plugin takes no secret here, so this is no reference to one and is left as it is"
            );
        }
        let mut plan = json!(null);
        if let Some(table) = &table {
            let config = workbench::opened_config(&config, plugin.info());
            let binding = match plugin.bind("check", table, &config, &Limits::default()).await {
                Ok(binding) => binding,
                Err(refusal) => return Err(anyhow::Error::new(refusal.fault).into()),
            };
            out += &plan_in_words(table, &binding);
            plan = json!(binding.plan());
        }
        if self.json {
            let whole = json!({ "about": plugin.info(), "imports": plugin.imports(), "plan": plan });
            return print(&format!("{whole:#}\n"));
        }
        print(&out)
    }
}

/// Who a plugin is, and what it may use.
pub(super) fn about(file: &Path, plugin: &Plugin) -> String {
    let info = plugin.info();
    let limits = Limits::default();
    let mut out = format!("{}: {} {}, {}\n", file.display(), info.name, info.version, size(info.bytes));
    if !info.description.is_empty() {
        out += &format!("  about    {}\n", info.description);
    }
    out += &format!("  world    {}\n", info.world);
    out += &format!("  imports  {}\n", plugin.imports().join(", "));
    if !info.secrets.is_empty() {
        out += &format!("  secrets  {}\n", info.secrets.join(", "));
    }
    out += &format!("  sha256   {}\n", info.sha256);
    out += &format!(
        "  limits   {} of memory, {} ms a call, {} returned, {} log lines a second\n",
        size(limits.memory_bytes as u64),
        limits.batch_time.as_millis(),
        size(limits.output_bytes as u64),
        limits.log_lines_per_second
    );
    out
}

/// The plan for a table, a line for each thing.
fn plan_in_words(table: &TableSchema, binding: &Binding) -> String {
    let plan = binding.plan();
    let mut out = format!("on {}, {} columns:\n", table.full_name(), table.columns.len());
    let mut line = |word: &str, text: String| {
        if !text.is_empty() {
            out += &format!("  {word:<8} {text}\n");
        }
    };
    let typed = |name: &String| {
        let column = binding.output().columns.iter().find(|c| c.name == *name);
        column.map_or(name.clone(), |c| {
            format!("{name} ({}{})", c.native, if c.nullable { "" } else { " not null" })
        })
    };
    line("reads", plan.reads.join(", "));
    line("drops", plan.drops.join(", "));
    line("nulls", plan.nullifies.join(", "));
    let made = plan.replaces.iter().map(|name| typed(plan.renames.get(name).unwrap_or(name)));
    line("makes", made.collect::<Vec<_>>().join(", "));
    line(
        "renames",
        plan.renames.iter().map(|(from, to)| format!("{from} to {to}")).collect::<Vec<_>>().join(", "),
    );
    line("adds", plan.appends.iter().map(typed).collect::<Vec<_>>().join(", "));
    line("key", if plan.key.is_empty() { "none".to_owned() } else { plan.key.join(", ") });
    let mut more = Vec::new();
    for (is, what) in [
        (plan.loses_key, "the table loses its key: destinations cannot tell its rows apart"),
        (plan.filters, "rows may be dropped or rejected"),
        (plan.routes, "rows may go to places chosen by their content"),
        (plan.keeps_deleted, "deleted rows are kept, as updates"),
        (!binding.calls_plugin(), "the router does all of it: the plugin is never called for rows"),
    ] {
        if is {
            more.push(what);
        }
    }
    for what in more {
        line("note", what.to_owned());
    }
    out
}
