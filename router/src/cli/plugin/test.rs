//! `forebay plugin test`: cases from files, in the real host.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{Failure, build, print};
use crate::workbench::{self, CaseFile};

/// Run cases.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The plugin's folder, which is built first, or a component.
    #[arg(default_value = ".")]
    what: PathBuf,
    /// A file of cases, or a folder of them; may be given several times. Default: `tests` in the plugin's folder, or beside the
    /// component.
    #[arg(long)]
    cases: Vec<PathBuf>,
    /// Only cases whose name has this in it.
    #[arg(long, conflicts_with = "update")]
    only: Option<String>,
    /// Write what came out into the files of cases, as what is expected.
    #[arg(long)]
    update: bool,
}

impl Test {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let is_component = self.what.is_file();
        let folder = if is_component { self.what.parent().unwrap_or(Path::new(".")) } else { &self.what };
        // what is wrong with the cases is told before a build takes its time
        let default = [folder.join("tests")];
        let files = case_files(if self.cases.is_empty() { &default } else { &self.cases })?;
        let host = workbench::host()?;
        let plugin = if is_component {
            workbench::load(&host, &self.what)?
        } else {
            build::built(&host, folder, None)?.1
        };
        let (mut ran, mut all_failed, mut out) = (0, 0, String::new());
        for mut file in files {
            if let Some(only) = &self.only {
                file.retain(only);
            }
            ran += file.len();
            let (failed, outcomes) = workbench::run(&plugin, &file).await?;
            let path = file.path.display();
            let verdict = format!("{path}: {} of {} pass", file.len() - failed.len(), file.len());
            if self.update && !failed.is_empty() {
                let text = workbench::update(&file, &outcomes)?;
                std::fs::write(&file.path, text).with_context(|| format!("cannot write {path}"))?;
                out += &format!("{verdict}; {} written as they came out: look at them\n", failed.len());
                continue;
            }
            out += &format!("{verdict}\n");
            for case in &failed {
                out += &format!("  FAIL {}\n", case.name);
                for difference in &case.differences {
                    out += &format!("       {difference}\n");
                }
            }
            all_failed += failed.len();
        }
        print(&out)?;
        if ran == 0 {
            return Err(anyhow::anyhow!("no case ran").into());
        }
        if all_failed > 0 { Err(Failure::Told(1)) } else { Ok(()) }
    }
}

fn case_files(places: &[PathBuf]) -> anyhow::Result<Vec<CaseFile>> {
    let mut files = Vec::new();
    for place in places {
        if place.is_file() {
            files.push(place.clone());
            continue;
        }
        let entries = std::fs::read_dir(place).with_context(|| {
            format!("no cases: cannot read the folder {} (see docs/plugins.md, or --cases)", place.display())
        })?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                found.push(path);
            }
        }
        if found.is_empty() {
            bail!("no cases: {} has no file .yaml", place.display());
        }
        found.sort();
        files.extend(found);
    }
    files.iter().map(|path| CaseFile::read(path)).collect()
}
