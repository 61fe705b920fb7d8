//! `forebay plugin new`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, print};
use crate::workbench::{self, Language};

/// Make a new plugin.
#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// The plugin's name, which is the folder's too: small letters, digits and `-`.
    #[arg(value_parser = name)]
    name: String,
    /// What it is written in.
    #[arg(long, value_enum)]
    lang: Language,
    /// Where the folder is made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    if workbench::is_name(text) {
        return Ok(text.to_owned());
    }
    Err("a plugin's name is 1 to 40 small letters, digits and `-`, a letter first".to_owned())
}

impl New {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = self.dir.join(&self.name);
        let files = workbench::create(self.lang, &self.name, &folder)?;
        let folder = folder.strip_prefix(".").unwrap_or(&folder).display();
        let mut out = format!("{folder} is a plugin that masks text columns; make it yours:\n");
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|e| e != "lock" && e != "toml" && e != "mod"))
        {
            out += &format!("  {folder}/{}\n", file.display());
        }
        out += &format!("  {folder}/forebay-sdk/ is the SDK; leave it as it is\n");
        let native = match self.lang {
            Language::Rust => "cargo test",
            Language::Go => "go test ./...",
        };
        out += &format!(
            "then, in {folder}: `{native}`, `forebay plugin test`, `forebay plugin build`, `forebay plugin push {}.wasm`\n",
            self.name
        );
        print(&out)
    }
}
