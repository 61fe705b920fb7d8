//! `forebay plugin ...`: from an idea to a plugin on a server. All but `push` and `list` happen on this machine; what they do
//! is in `workbench`.

mod bench;
mod build;
mod check;
mod new;
mod push;
mod test;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use forebay_model::TableSchema;

use super::{Failure, block_on, print};
use crate::workbench;

/// Write, build, try and upload plugins.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Make a new plugin from a template: a folder that needs its language's toolchain and nothing else.
    New(new::New),
    /// Build a plugin's folder into a component, and check it.
    Build(build::Build),
    /// Say what a component is, and what it would do to a table.
    Check(check::Check),
    /// Run cases: rows in, rows out. Exit code 1 if one fails.
    Test(test::Test),
    /// Measure: time for each row image, memory, and how long it takes to be ready.
    Bench(bench::Bench),
    /// Upload a component to the server.
    Push(push::Push),
    /// Show the server's plugins, and which routes use them.
    List(push::List),
}

impl Plugin {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Plugin::New(new) => new.run(),
            Plugin::Build(build) => build.run(),
            Plugin::Check(check) => block_on(check.run()),
            Plugin::Test(test) => block_on(test.run()),
            Plugin::Bench(bench) => block_on(bench.run()),
            Plugin::Push(push) => block_on(push.run()),
            Plugin::List(list) => block_on(list.run()),
        }
    }
}

/// A table to look at a plugin with, and the plugin's configuration.
#[derive(Debug, Args)]
pub(in crate::cli) struct About {
    /// The table: a file of YAML (`columns` and `key`; a file of cases will do) or .sql (CREATE TABLE), or with --mysql a
    /// table as database.table.
    #[arg(long)]
    table: Option<String>,
    /// Ask this server what the table is, as mysql://user@host:port (the password comes from MYSQL_PWD).
    #[arg(long, requires = "table")]
    mysql: Option<String>,
    /// The plugin's configuration: a file of YAML or JSON, or text that begins with a brace. A reference to a secret stands for its own
    /// name.
    #[arg(long)]
    config: Option<String>,
}

impl About {
    async fn table(&self) -> anyhow::Result<Option<std::sync::Arc<TableSchema>>> {
        let Some(name) = &self.table else { return Ok(None) };
        let Some(server) = &self.mysql else {
            if !Path::new(name).exists() && name.split('.').count() == 2 && !name.contains(['/', '\\']) {
                anyhow::bail!(
                    "there is no file {name}: --table takes a file, or with --mysql mysql://user@host:port a table of that server"
                );
            }
            return Ok(Some(workbench::table(&PathBuf::from(name))?));
        };
        let mut config = super::doctor::config(server, std::slice::from_ref(name))?;
        config.password = config.password.or(std::env::var("MYSQL_PWD").ok().map(forebay_model::Secret::new));
        let found = forebay_source::mysql::catalog(&config).await?;
        match found.into_iter().find(|table| table.full_name() == *name) {
            Some(table) => Ok(Some(table)),
            None => anyhow::bail!("the server has no table {name}, or this user may not see it"),
        }
    }
}

/// Lengths in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(super::size(900), "900 bytes");
        assert_eq!(super::size(61_440), "60 KiB");
        assert_eq!(super::size(64 << 20), "64.0 MiB");
    }
}
