//! One run of Forebay over a load: from a fresh data directory until the file route has delivered everything.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use forebay_kit::{Forebay, Options, Usage, free_port};
use serde_json::{Value, json};

use crate::load::rows::{self, ROWS};
use crate::load::{DATABASE, Loaded};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(900);
/// How often the route is asked how far it is: seldom enough to cost nothing, often enough to time a second.
const PAUSE: Duration = Duration::from_millis(20);

/// How a run of whatever kind is set up.
pub(crate) struct Setup<'a> {
    pub(crate) forebay: &'a Path,
    /// For Forebay's data directory: on a disk.
    pub(crate) folder: &'a Path,
    /// For the file route: in memory.
    pub(crate) out: &'a Path,
    pub(crate) tls: bool,
    /// The mask plugin, if it is to be used.
    pub(crate) mask: Option<&'a [u8]>,
    /// Whether there is a second route whose sink refuses every connection.
    pub(crate) dead: bool,
    /// Whether the load's rows are read, and not its changes.
    pub(crate) snapshot: bool,
}

impl Setup<'_> {
    fn database(&self) -> &'static str {
        if self.snapshot { ROWS } else { DATABASE }
    }
}

/// What a run has cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Row changes that arrived.
    pub(crate) changes: u64,
    /// Processor time of the whole process, its start included, the compilation of plugins not.
    pub(crate) cpu: Duration,
    /// From the definition of the route to the last change's arrival.
    pub(crate) wall: Duration,
    /// Processor time for checking and compiling plugins, before.
    pub(crate) before: Duration,
    /// Most memory that the process held, in bytes; 0 = unknown.
    pub(crate) peak_memory: u64,
    /// Size of the data directory at the end, in bytes.
    pub(crate) log_bytes: u64,
    /// Size of the sink's file, in bytes.
    pub(crate) out_bytes: u64,
}

impl Measured {
    /// Row changes per second of processor time.
    pub(crate) fn rate(&self) -> f64 {
        // The kernel counts in steps of 10 ms; less than one of them is no measurement.
        self.changes as f64 / self.cpu.as_secs_f64().max(0.01)
    }

    /// Row changes per second of the clock: what a busy machine falsifies.
    pub(crate) fn rate_by_clock(&self) -> f64 {
        self.changes as f64 / self.wall.as_secs_f64().max(0.01)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu.as_secs_f64();
        write!(
            f,
            "{:.0} rows per CPU s ({cpu:.2} CPU s, {:.2} s wall",
            self.rate(),
            self.wall.as_secs_f64()
        )?;
        write!(f, ", {} MiB)", self.peak_memory >> 20)
    }
}

/// Runs Forebay over the load.
pub(crate) async fn measure(loaded: &Loaded, setup: &Setup<'_>) -> Result<Measured> {
    if setup.snapshot {
        rows::fill(loaded).await?;
    }
    let data = tempfile::Builder::new().prefix("run-").tempdir_in(setup.folder)?;
    let target = tempfile::Builder::new().prefix("forebay-bench-").tempdir_in(setup.out)?;
    let file = target.path().join("changes.ndjson");
    let options = Options {
        data_dir: Some(data.path().to_owned()),
        env: vec![("HOOK_SECRET".into(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into())],
        quiet: true,
        ..Options::default()
    };
    let mut forebay = Forebay::start(setup.forebay, options).await?;
    let done = deliver(&forebay, loaded, setup, &file).await;
    let mut measured = done.with_context(|| format!("forebay's log ends with:\n{}", forebay.log_end()))?;

    measured.log_bytes = size(data.path())?;
    forebay.stop().await?;
    let (lines, out_bytes) = count_lines(&file)?;
    ensure!(lines == loaded.changes, "{lines} records arrived for {} row changes", loaded.changes);
    measured.out_bytes = out_bytes;
    Ok(measured)
}

/// Defines source and route and waits until all has been delivered.
async fn deliver(forebay: &Forebay, loaded: &Loaded, setup: &Setup<'_>, file: &Path) -> Result<Measured> {
    let plugins = match setup.mask {
        Some(wasm) => json!({ "mask": { "wasm": BASE64_STANDARD.encode(wasm) } }),
        None => json!({}),
    };
    let before = if setup.mask.is_some() {
        let start = forebay.usage()?.cpu;
        apply(forebay, json!({}), &plugins, json!({})).await?;
        forebay.usage()?.cpu - start
    } else {
        Duration::ZERO
    };

    let started = Instant::now();
    apply(forebay, source(loaded, setup), &plugins, routes(loaded, setup, file)).await?;
    let usage = delivered(forebay, loaded.changes).await?;
    let wall = started.elapsed();

    let cpu = usage.cpu.saturating_sub(before);
    let changes = loaded.changes;
    Ok(Measured { changes, cpu, wall, before, peak_memory: usage.peak_memory, log_bytes: 0, out_bytes: 0 })
}

fn source(loaded: &Loaded, setup: &Setup<'_>) -> Value {
    let mut mysql = json!({ "host": loaded.server.host(), "port": loaded.server.port(), "user": "root" });
    if setup.tls {
        mysql["tls"] = json!("required");
    }
    let tables = [format!("{}.*", setup.database())];
    let (start, snapshot) = if setup.snapshot { ("now", "initial") } else { ("earliest", "never") };
    json!({ "bench": { "mysql": mysql, "tables": tables, "start": start, "snapshot": snapshot } })
}

fn routes(loaded: &Loaded, setup: &Setup<'_>, file: &Path) -> Value {
    let tables = [format!("{}.*", setup.database())];
    let route =
        |sink: Value| json!({ "source": "bench", "tables": tables, "from": "earliest", "sink": sink });
    let mut routes = json!({ "file": route(json!({ "file": { "path": file } })) });
    if setup.mask.is_some() {
        let [one, two] = loaded.load.text_columns();
        let columns = json!({ one: { "keep_first": 4 }, two: { "keep_first": 4 } });
        routes["file"]["transforms"] = json!([{ "plugin": "mask", "config": { "columns": columns } }]);
    }
    if setup.dead {
        let url = format!("http://127.0.0.1:{}/nobody", free_port());
        routes["dead"] = route(json!({ "webhook": { "url": url, "secret": { "env": "HOOK_SECRET" } } }));
    }
    routes
}

async fn apply(forebay: &Forebay, sources: Value, plugins: &Value, routes: Value) -> Result<()> {
    let document = json!({ "sources": sources, "plugins": plugins, "routes": routes });
    forebay.api("POST", "/v1/apply", Some(&document)).await?.ok().context("apply")?;
    Ok(())
}

/// Waits until the route `file` has delivered so many events; what the process has used by then.
async fn delivered(forebay: &Forebay, changes: u64) -> Result<Usage> {
    let started = Instant::now();
    loop {
        let status = forebay.api("GET", "/v1/status", None).await?.ok()?;
        let routes = status["routes"].as_array().context("the status has no routes")?;
        let route = routes.iter().find(|r| r["name"] == "file").context("the status has no route `file`")?;
        if route["counts"]["delivered"].as_u64().is_some_and(|delivered| delivered >= changes) {
            return forebay.usage();
        }
        ensure!(started.elapsed() < LIMIT, "not done after {LIMIT:?}: {status:#}");
        ensure!(route["state"] != "failed", "the route has failed: {status:#}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Bytes of the files in a folder and below.
pub(crate) fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

fn count_lines(path: &Path) -> Result<(u64, u64)> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; 1 << 20];
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((lines, bytes));
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        bytes += read as u64;
    }
}
