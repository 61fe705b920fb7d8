//! `make bench`: what the whole way costs, from a real MySQL's binlog through the durable changelog to a sink.
//!
//! For each load (see [`load`]) and in turn, several times: the raw copy of the binlog by `mysqlbinlog` (the floor: what
//! moving the bytes costs), one file route, the same with the mask plugin on two text columns, the same beside a second
//! route whose sink is dead, a snapshot of the table's rows. Then the time from a commit to its arrival at a webhook. Figures are processor time of
//! the whole forebay process, so they hardly depend on what else the machine does; the best of the runs counts. Only the
//! ratios between rows of one report mean something on another machine.
//!
//! Forebay is driven as a user would: the release binary, its REST API, nothing else. Times and memory are read
//! from /proc, so this runs on Linux only.

mod latency;
mod load;
mod others;
mod report;
mod route;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use load::Load;
use report::Report;
use route::{Measured, Setup};

/// Measures Forebay against a real MySQL.
#[derive(Debug, Parser)]
#[command(name = "forebay-bench")]
struct Arguments {
    /// The binary to measure: a release build.
    #[arg(long)]
    forebay: PathBuf,
    /// The mask plugin (WebAssembly component).
    #[arg(long)]
    mask: Option<PathBuf>,
    /// Which loads.
    #[arg(long, value_delimiter = ',', default_value = "narrow,wide,oltp")]
    loads: Vec<Load>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "copy,file,mask,dead,snapshot,latency")]
    only: Vec<Part>,
    /// Size of the loads: 1 is a million, a hundred thousand and three hundred thousand row changes.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Runs of each measurement; the best counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Changes to measure the latency with.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    changes: u32,
    /// Where the servers with the loads are kept for the next time, and Forebay's data while it runs.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the file route writes to: in memory, so that no disk is measured.
    #[arg(long, default_value = "/dev/shm")]
    out: PathBuf,
    /// Connections with TLS; by default the servers offer none.
    #[arg(long)]
    tls: bool,
    /// Another reader to run in the same turns, as a shell command: `{port}` is the server's port (root, no password),
    /// `{dir}` an empty folder on the disk, `{out}` one in memory.
    #[arg(long)]
    beside: Option<String>,
    /// Leave the servers running afterwards and print their ports.
    #[arg(long)]
    keep: bool,
    /// Also write the report as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Nothing: only write the loads (for `--keep`).
    Load,
    /// mysqlbinlog copies the bytes.
    Copy,
    /// The command of `--beside`.
    Beside,
    /// One file route.
    File,
    /// One file route with the mask plugin.
    Mask,
    /// A file route beside a route whose sink is dead.
    Dead,
    /// One file route that gets a snapshot of as many rows as the load has changes; of `narrow` only.
    Snapshot,
    /// From commit to webhook, one change at a time.
    Latency,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = match &arguments.dir {
        Some(dir) => dir.clone(),
        None => default_folder()?,
    };
    std::fs::create_dir_all(&folder)?;
    let mut report = Report::new(&arguments.forebay)?;
    for &load in &arguments.loads {
        measure(&arguments, &folder, load, &mut report).await?;
    }
    if arguments.only.contains(&Part::Latency) {
        eprintln!("latency: {} changes, one at a time", arguments.changes);
        report.latency(&latency::measure(&arguments.forebay, arguments.changes).await?);
    }
    report.print(&mut std::io::stdout())?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", report.json())).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

async fn measure(arguments: &Arguments, folder: &Path, load: Load, report: &mut Report) -> Result<()> {
    let wanted = |part: &Part| match part {
        Part::Beside => arguments.beside.is_some(),
        Part::Snapshot => load == Load::Narrow && arguments.only.contains(part),
        _ => arguments.only.contains(part),
    };
    let parts = [Part::Copy, Part::Beside, Part::File, Part::Mask, Part::Dead, Part::Snapshot];
    let parts: Vec<Part> = parts.into_iter().filter(wanted).collect();
    if parts.is_empty() && !arguments.only.contains(&Part::Load) {
        return Ok(());
    }
    let loaded = load::prepare(folder, load, arguments.scale, arguments.tls, arguments.keep).await?;
    report.load(&loaded);
    let mask = match &arguments.mask {
        Some(path) => Some(std::fs::read(path).with_context(|| path.display().to_string())?),
        None => None,
    };
    ensure!(mask.is_some() || !parts.contains(&Part::Mask), "--mask is needed to measure it");
    // In turn and not one after the other, so that a busy minute of the machine falls on all of them.
    for run in 1..=arguments.runs {
        for &part in &parts {
            let setup = Setup {
                forebay: &arguments.forebay,
                folder,
                out: &arguments.out,
                tls: arguments.tls,
                mask: mask.as_deref().filter(|_| part == Part::Mask),
                dead: part == Part::Dead,
                snapshot: part == Part::Snapshot,
            };
            let measured: Measured = match (part, &arguments.beside) {
                (Part::Copy, _) => others::copy(&loaded, &setup).await?,
                (Part::Beside, Some(command)) => others::beside(&loaded, &setup, command).await?,
                _ => route::measure(&loaded, &setup).await?,
            };
            eprintln!("{} {part:?} {run}/{}: {measured}", load.name(), arguments.runs);
            report.run(load, part, measured);
        }
    }
    if arguments.keep {
        writeln!(std::io::stdout(), "{}: {} runs on", load.name(), loaded.server.url())?;
    } else {
        loaded.server.stop().await?;
    }
    Ok(())
}

fn default_folder() -> Result<PathBuf> {
    let cache = match std::env::var_os("FOREBAY_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set: say --dir")?)
            .join(".cache/forebay"),
    };
    Ok(cache.join("bench"))
}
