//! `forebay plugin bench`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{About, Failure, print, size};
use crate::workbench::{self, Figures};

/// Measure a component.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    about: About,
    /// Widen the table with numbers to so many columns.
    #[arg(long, default_value_t = 0)]
    columns: usize,
    /// Row images of a batch.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=8192))]
    rows: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let table = self.about.table().await?.context("a table is needed: --table FILE")?;
        let config = workbench::config(self.about.config.as_deref())?;
        let component = workbench::read_component(&self.file)?;
        let figures =
            workbench::measure(&component, &table, &config, self.columns, self.rows as usize).await?;
        if self.json {
            return print(&format!("{:#}\n", serde_json::to_value(&figures)?));
        }
        print(&in_words(&figures))
    }
}

fn in_words(figures: &Figures) -> String {
    let Figures { columns, rows, ns_per_image, best_ns_per_image, .. } = figures;
    let time = if figures.is_cpu_time { "CPU time of one thread" } else { "time on the clock" };
    let memory = match figures.memory_bytes {
        0 => "none: the router does all of it".to_owned(),
        bytes => format!("{} of an instance", size(bytes as u64)),
    };
    format!(
        "row image    {ns_per_image:.1} ns, at best {best_ns_per_image:.1} ns ({time}; batches of {rows} inserts, {columns} columns; an update has two)\n\
         memory       {memory}\n\
         open         {:.0} us to instantiate and bind\n\
         compile      {:.1} ms, the first time\n\
         load         {:.2} ms from the compile cache, by hash; {:.2} ms from the component's bytes, which are hashed first\n\
         component    {}\n",
        figures.open_us,
        figures.compile_ms,
        figures.load_ms,
        figures.upload_again_ms,
        size(figures.component_bytes)
    )
}
