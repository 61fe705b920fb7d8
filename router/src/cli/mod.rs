//! The command line: each verb in a file of its own; those that speak to a server share `client`.
//!
//! Exit codes: 0 done; 1 it failed, or a check did not pass; 2 wrong usage; 3 the definitions have problems; 4 no server answers.

mod apply;
mod client;
mod demo;
mod doctor;
mod plugin;
mod position;
mod preview;
mod release;
mod routes;
mod serve;
mod snapshot;
mod status;
mod tail;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Routes MySQL's changes through WASM transforms to many destinations, each at its own offset.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server.
    Serve(serve::Serve),
    /// Make the server's definitions those of a file; what the file does not name is left alone.
    Apply(apply::Apply),
    /// Say what `apply` would do, and do nothing.
    Plan(apply::Apply),
    /// Print the server's definitions as YAML.
    Export(apply::Export),
    /// Show sources and routes.
    Status(status::ShowStatus),
    /// Print changes as they are read: +I -U +U -D.
    Tail(tail::Tail),
    /// Check that a MySQL server offers what Forebay needs.
    Doctor(doctor::Doctor),
    /// Pause, resume or look at routes.
    #[command(subcommand)]
    Routes(routes::Routes),
    /// Show where a source reads, or move it.
    Position(position::Position),
    /// End a table's quarantine: say what it looked like, or give its events up.
    Release(release::Release),
    /// Read tables as they stand: begin, list, pause, resume, cancel.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Say what transforms would make of a route's latest events, and deliver nothing.
    Preview(preview::Preview),
    /// Deliver again from an earlier offset, or skip to a later one.
    Replay(routes::Replay),
    /// Write, build, try and upload plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Print the OpenAPI document.
    Openapi,
    /// Run the main job on a MySQL server: seeds, a live writer, two consumers.
    Demo(demo::Demo),
}

/// Where the server is.
#[derive(Clone, Debug, Args)]
struct Remote {
    /// The server's address.
    #[arg(long, env = "FOREBAY_URL", default_value = "http://127.0.0.1:8088", global = true)]
    url: String,
    /// A file with the server's access token, where it demands one.
    #[arg(long, env = "FOREBAY_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// How a verb failed.
enum Failure {
    /// It was told already; this is the exit code.
    Told(u8),
    /// To be told; exit code 1.
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(error.into())
    }
}

/// Runs the verb that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb {
        Verb::Serve(serve) => block_on(serve.run()),
        Verb::Apply(apply) => block_on(apply.run(false)),
        Verb::Plan(apply) => block_on(apply.run(true)),
        Verb::Export(export) => block_on(export.run()),
        Verb::Status(status) => block_on(status.run()),
        Verb::Position(position) => block_on(position.run()),
        Verb::Release(release) => block_on(release.run()),
        Verb::Snapshot(snapshot) => block_on(snapshot.run()),
        Verb::Tail(tail) => block_on(tail.run()),
        Verb::Preview(preview) => block_on(preview.run()),
        Verb::Doctor(doctor) => block_on(doctor.run()),
        Verb::Routes(routes) => block_on(routes.run()),
        Verb::Replay(replay) => block_on(replay.run()),
        Verb::Plugin(plugin) => plugin.run(),
        Verb::Openapi => print(&crate::api::openapi_json()),
        Verb::Demo(demo) => block_on(demo.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told(code)) => ExitCode::from(code),
        Err(Failure::Error(error)) => {
            eprintln!("forebay: {}", in_a_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes. A fault says its causes itself.
fn in_a_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        line += if line.is_empty() { "" } else { ": " };
        line += &cause.to_string();
        if cause.is::<forebay_model::Fault>() {
            break;
        }
    }
    line
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Prints to standard output; a closed pipe is an end like any other.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Told(0)),
        done => Ok(done?),
    }
}
