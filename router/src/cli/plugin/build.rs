//! `forebay plugin build`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use forebay_transform::{Host, Plugin};

use super::{Failure, check, print};
use crate::workbench;

/// Build a plugin's folder.
#[derive(Debug, Args)]
pub(in crate::cli) struct Build {
    /// The plugin's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The component. Default: NAME.wasm in the plugin's folder, by the plugin's own name.
    #[arg(long, short)]
    out: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> Result<(), Failure> {
        let host = workbench::host()?;
        let (file, plugin) = built(&host, &self.dir, self.out.as_deref())?;
        print(&check::about(&file, &plugin))
    }
}

/// Builds, checks and writes. Answers where it was written, and the plugin.
pub(super) fn built(host: &Host, dir: &Path, out: Option<&Path>) -> anyhow::Result<(PathBuf, Plugin)> {
    let component = workbench::build(dir)?;
    let plugin = host.load(&component)?;
    let file = match out {
        Some(out) => out.to_owned(),
        None => {
            let name = &plugin.info().name;
            anyhow::ensure!(
                workbench::is_name(name),
                "the plugin calls itself `{name}`: say with -o where it goes"
            );
            dir.join(format!("{name}.wasm"))
        }
    };
    let file = file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
    std::fs::write(&file, component).with_context(|| format!("cannot write {}", file.display()))?;
    Ok((file, plugin))
}
