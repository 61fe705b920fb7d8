//! What a plugin costs: time for each row image, memory, and how long it takes to be ready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use forebay_model::{Batch, Column, ColumnType, Origin, TableSchema};
use forebay_transform::rows::{self, Event, Row, What};
use forebay_transform::{Host, Limits, Place};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::opened_config;

/// A sample of time is at least so long.
const SAMPLE: Duration = Duration::from_millis(50);
const SAMPLES: usize = 11;
const OPENINGS: usize = 51;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The component's length.
    pub component_bytes: u64,
    /// From the upload to a plugin that can be bound, the first time.
    pub compile_ms: f64,
    /// From the upload to a plugin that can be bound, if it was compiled before, median: the component's bytes are checked and
    /// hashed, then as `load_ms`.
    pub upload_again_ms: f64,
    /// From the compile cache to a plugin that can be bound, by the component's hash, median: what a start or a swap takes.
    pub load_ms: f64,
    /// Instantiating, `open` and `plan`, median.
    pub open_us: f64,
    /// Columns of the table.
    pub columns: usize,
    /// Images of a batch.
    pub rows: usize,
    /// Whether the plan needs the plugin for each batch; if not, the router does all of it.
    pub calls_plugin: bool,
    /// Nanoseconds for each image, median, the router's own work from and to its columns included.
    pub ns_per_image: f64,
    /// The same, of the best sample.
    pub best_ns_per_image: f64,
    /// Whether that is this thread's time on a processor; else it is time on the clock.
    pub is_cpu_time: bool,
    /// Linear memory of the instance after all batches; 0 where there is none.
    pub memory_bytes: usize,
}

/// Measures a component on batches of `rows` inserts into `table`, which is made `columns` wide by further numbers.
///
/// # Errors
/// If it is no plugin, refuses the table, or fails.
pub async fn measure(
    component: &[u8],
    table: &TableSchema,
    config: &Map<String, Value>,
    columns: usize,
    rows: usize,
) -> anyhow::Result<Figures> {
    let table = widened(table, columns);
    let cache = Cache::new();
    let (_, compile_ms) = timed(|| Host::new(&cache.0)?.load(component))?;
    let host = Host::new(&cache.0)?;
    let plugin = host.load(component)?;
    let config = opened_config(config, plugin.info());
    let mut again = Vec::with_capacity(OPENINGS);
    let mut loads = Vec::with_capacity(OPENINGS);
    for _ in 0..OPENINGS {
        again.push(timed(|| host.load(component))?.1);
        let start = Instant::now();
        let cached =
            host.cached(&plugin.info().sha256).context("what was just compiled is not in the cache")?;
        loads.push(start.elapsed().as_secs_f64() * 1e3);
        drop(std::hint::black_box(cached));
    }
    let limits = Limits::default();
    let mut openings = Vec::with_capacity(OPENINGS);
    for _ in 0..OPENINGS {
        let start = Instant::now();
        std::hint::black_box(plugin.bind("bench", &table, &config, &limits).await?);
        openings.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let batch = batch(&table, rows)?;
    let origin = Origin { txns: vec![txn()], strings: vec!["binlog.000001".to_owned()] };
    let place = Place { source: "bench", first: 0, origin: &origin };
    let mut binding = plugin.bind("bench", &table, &config, &limits).await?;
    let mut samples = Vec::with_capacity(SAMPLES);
    let mut rounds = 1_usize;
    let is_cpu_time = cpu_ns().is_some();
    let clock = Instant::now();
    let now = || cpu_ns().unwrap_or_else(|| clock.elapsed().as_nanos() as u64);
    while samples.len() < SAMPLES {
        let start = now();
        for _ in 0..rounds {
            std::hint::black_box(binding.apply(&batch, &place).await?);
        }
        let took = now().saturating_sub(start);
        if u128::from(took) < SAMPLE.as_nanos() {
            // too short to be told from the clock's grain; also a warm-up
            rounds *= 2;
            samples.clear();
            continue;
        }
        samples.push(took as f64 / (rounds * rows) as f64);
    }
    for figures in [&mut openings, &mut again, &mut loads] {
        figures.sort_by(f64::total_cmp);
    }
    samples.sort_by(f64::total_cmp);
    Ok(Figures {
        component_bytes: component.len() as u64,
        compile_ms,
        upload_again_ms: again[OPENINGS / 2],
        load_ms: loads[OPENINGS / 2],
        open_us: openings[OPENINGS / 2],
        columns: table.columns.len(),
        rows,
        calls_plugin: binding.calls_plugin(),
        ns_per_image: samples[SAMPLES / 2],
        best_ns_per_image: samples[0],
        is_cpu_time,
        memory_bytes: binding.memory_bytes(),
    })
}

fn txn() -> forebay_model::Txn {
    forebay_model::Txn { uuid: [1; 16], number: 1, commit_us: 1, thread: 1, server_id: 1, file: 0, tag: 0 }
}

fn timed<T>(work: impl FnOnce() -> Result<T, forebay_model::Fault>) -> anyhow::Result<(T, f64)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed().as_secs_f64() * 1e3))
}

/// A folder of compiled plugins that goes away.
struct Cache(PathBuf);

impl Cache {
    fn new() -> Cache {
        Cache(std::env::temp_dir().join(format!("forebay-plugin-bench-{}", std::process::id())))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // what cannot be removed lies in the folder for such things
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What this thread has had of a processor, where the system says so.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn widened(table: &TableSchema, columns: usize) -> Arc<TableSchema> {
    let mut wide = table.clone();
    for n in wide.columns.len()..columns {
        let ty = ColumnType::Integer { bits: 64, unsigned: false };
        wide.columns.push(Column {
            name: format!("more_{n}"),
            ty,
            nullable: true,
            native: "bigint".to_owned(),
        });
    }
    wide.shared()
}

fn batch(table: &Arc<TableSchema>, rows: usize) -> anyhow::Result<Batch> {
    let row = |n: usize| -> Row {
        table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| (column.name.clone(), cell(column, at, n)))
            .collect()
    };
    let event = |n: usize| Event { op: What::Insert, before: None, after: Some(row(n)), to: None };
    let events: Vec<Event> = (0..rows).map(event).collect();
    rows::batch(table, &events).map_err(anyhow::Error::msg).context("the table's values")
}

/// A likely value; texts are 25 and 19 bytes long by turns, if the column holds as much.
fn cell(column: &Column, at: usize, n: usize) -> Value {
    match &column.ty {
        ColumnType::Integer { bits, unsigned } => {
            json!(n as u64 % (1_u64 << (bits - u8::from(!unsigned)).min(40)))
        }
        ColumnType::Year => json!(1970 + n % 100),
        ColumnType::Bit { bits } => json!(n as u64 % (1_u64 << (*bits).min(40))),
        ColumnType::Float | ColumnType::Double => json!(n as f64 / 8.0),
        ColumnType::Decimal { precision, scale } => {
            let whole = u32::from(precision - scale).min(9);
            json!(format!("{}", n as u64 % 10_u64.pow(whole)))
        }
        ColumnType::Date => json!(format!("2026-01-{:02}", 1 + n % 28)),
        ColumnType::Time { .. } => json!(format!("{:02}:30:00", n % 24)),
        ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => {
            json!(format!("2026-01-{:02} {:02}:30:00", 1 + n % 28, n % 24))
        }
        ColumnType::Enum { members } => {
            json!(members.get(n % members.len().max(1)).cloned().unwrap_or_default())
        }
        ColumnType::Set { members } => json!(members.first().cloned().unwrap_or_default()),
        ColumnType::Json => json!(format!("{{\"n\": {n}}}")),
        ColumnType::Text => {
            let text = if at % 2 == 1 {
                format!("someone{n:06}@example.com")
            } else {
                format!("Firstname Name {n:04}")
            };
            let room =
                column.native.split(['(', ')']).nth(1).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
            json!(text.chars().take(room).collect::<String>())
        }
        ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector => json!(format!("0x{n:016x}")),
    }
}
