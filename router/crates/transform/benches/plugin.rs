//! What plugins cost: this thread's processor time, the host's work from and to Arrow included, epoch interruption on.
//!
//! - `mask`: two text columns (25 and 19 bytes) of 10 or of 228 masked in batches of 1,000 images, in nanoseconds for each
//!   image: the bundled plugin (Rust), the conformance guest's mask (Go), and the same natively over the same arrays.
//! - `planned`: as many images through a plan of drops and renames only.
//! - `open`: instantiate and open, of a table of 10 columns; `open and drop`: the same, and the instance's end.
//! - `load`: take a plugin from the compile cache.
//!
//! The last lines give medians, ratios and goals. `make plugin-bench` builds the guests and runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, Int64Array, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode, Throughput};
use forebay_model::{Batch, Column, ColumnType, Kind, Origin, Run, TableSchema};
use forebay_transform::{Host, Limits, Place, Plugin};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

const IMAGES: usize = 1000;
const RUST_MASK: &str = r#"{"columns": {"c1": {"keep_first": 1}, "c2": {"keep_first": 1}}}"#;
const GO_MASK: &str = r#"{"do": "mask"}"#;
const PLANNED: &str = r#"{"exclude": ["c3", "c4"], "rename": {"c1": "email", "c2": "name"}}"#;

/// Processor time of this thread, so that a busy machine hardly matters.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("less than a second"))
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        CpuTime::now()
    }

    fn end(&self, start: Duration) -> Duration {
        CpuTime::now() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// The benches, and what they measured.
struct Bench {
    criterion: Criterion<CpuTime>,
    /// Nanoseconds for each turn, by the bench's name.
    samples: BTreeMap<String, Vec<f64>>,
}

impl Bench {
    fn measure(&mut self, group: &str, name: &str, images: usize, mut turn: impl FnMut()) {
        self.timed(group, name, images, |turns| {
            let start = CpuTime::now();
            for _ in 0..turns {
                turn();
            }
            CpuTime::now() - start
        });
    }

    /// What `make` makes is dropped where no time is counted. As many at once as a route keeps of a plugin.
    fn measure_making<T>(&mut self, group: &str, name: &str, mut make: impl FnMut() -> T) {
        const AT_ONCE: u64 = 32;
        self.timed(group, name, 1, |turns| {
            let mut spent = Duration::ZERO;
            let mut left = turns;
            while left > 0 {
                let some = left.min(AT_ONCE);
                let mut made = Vec::with_capacity(some as usize);
                let start = CpuTime::now();
                made.extend((0..some).map(|_| make()));
                spent += CpuTime::now() - start;
                left -= some;
            }
            spent
        });
    }

    fn timed(&mut self, group: &str, name: &str, images: usize, mut turns: impl FnMut(u64) -> Duration) {
        let samples = self.samples.entry(format!("{group}/{name}")).or_default();
        let mut group = self.criterion.benchmark_group(group);
        group.sample_size(30).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(3));
        group.throughput(Throughput::Elements(images as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|n| {
                let spent = turns(n);
                samples.push(spent.as_nanos() as f64 / n as f64);
                spent
            });
        });
        group.finish();
    }

    /// The median, in nanoseconds; none if a filter left the bench out.
    fn median(&self, name: &str) -> Option<f64> {
        let mut samples = self.samples.get(name).filter(|samples| !samples.is_empty())?.clone();
        samples.sort_by(f64::total_cmp);
        Some(samples[samples.len() / 2])
    }

    fn report(&self) {
        let goal = |name: &str, divisor: f64, unit: &str, most: f64| {
            let Some(ns) = self.median(name) else { return };
            eprintln!("{name:<24} {:>8.1} {unit} (goal: at most {most})", ns / divisor);
        };
        for (columns, rust) in [(10, 130.0), (228, 150.0)] {
            for (language, most, ratio) in [("rust", rust, 3.5), ("go", 500.0, 12.0)] {
                let name = format!("mask/{language}/{columns}");
                goal(&name, IMAGES as f64, "ns/image", most);
                let native = self.median(&format!("mask/native/{columns}"));
                if let (Some(plugin), Some(native)) = (self.median(&name), native) {
                    let (times, native) = (plugin / native, native / IMAGES as f64);
                    eprintln!("{:<24} {times:>8.2} times native's {native:.1} (goal: at most {ratio})", "");
                }
            }
            goal(&format!("planned/columns/{columns}"), IMAGES as f64, "ns/image", 5.0);
        }
        for (name, most) in [("open/rust", 50.0), ("open/go", 1000.0)] {
            goal(name, 1000.0, "us", most);
        }
        for name in ["open and drop/rust", "open and drop/go"] {
            let Some(ns) = self.median(name) else { continue };
            eprintln!("{name:<24} {:>8.1} us", ns / 1000.0);
        }
        for name in ["load/rust", "load/go"] {
            goal(name, 1000.0, "us", 1000.0);
        }
    }
}

fn main() {
    let mut bench = Bench {
        criterion: Criterion::default().with_measurement(CpuTime).configure_from_args(),
        samples: BTreeMap::new(),
    };
    let host = Host::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")).expect("a host");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let load = |name: &str| host.load(&guest(name)).expect("a plugin");
    let (rust, go, planned) = (load("mask"), load("conformance-go"), load("columns"));
    for columns in [10, 228] {
        let batch = batch(columns);
        assert_same(&run(&runtime, &rust, RUST_MASK, &batch), &native(&batch));
        assert_same(&run(&runtime, &go, GO_MASK, &batch), &native(&batch));
        let of = |name: &str| format!("{name}/{columns}");
        bench.measure("mask", &of("native"), IMAGES, || drop(std::hint::black_box(native(&batch))));
        for (group, name, plugin, config) in [
            ("mask", "rust", &rust, RUST_MASK),
            ("mask", "go", &go, GO_MASK),
            ("planned", "columns", &planned, PLANNED),
        ] {
            let mut binding = runtime
                .block_on(plugin.bind("bench", &batch.table, config, &Limits::default()))
                .expect("a binding");
            assert_eq!(binding.calls_plugin(), group == "mask");
            let place = Place { source: "bench", first: 0, origin: &Origin::default() };
            bench.measure(group, &of(name), IMAGES, || {
                let applied = runtime.block_on(binding.apply(&batch, &place));
                drop(std::hint::black_box(applied.expect("a batch")));
            });
        }
    }
    let table = batch(10).table;
    for (name, plugin, config) in [("rust", &rust, RUST_MASK), ("go", &go, GO_MASK)] {
        let open =
            || runtime.block_on(plugin.bind("bench", &table, config, &Limits::default())).expect("a binding");
        bench.measure_making("open", name, open);
        bench.measure("open and drop", name, 1, || drop(open()));
    }
    for (name, plugin) in [("rust", &rust), ("go", &go)] {
        let sha256 = &plugin.info().sha256;
        bench.measure("load", name, 1, || drop(std::hint::black_box(host.cached(sha256).expect("a plugin"))));
    }
    bench.criterion.final_summary();
    bench.report();
}

/// A component from the `guests` folder of the target directory.
fn guest(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; `make plugin-bench` builds it", path.display()))
}

fn run(runtime: &Runtime, plugin: &Plugin, config: &str, batch: &Batch) -> Batch {
    let applied = async {
        let mut binding = plugin.bind("bench", &batch.table, config, &Limits::default()).await?;
        let place = Place { source: "bench", first: 0, origin: &Origin::default() };
        binding.apply(batch, &place).await
    };
    runtime.block_on(applied).expect("a batch").batch
}

fn assert_same(one: &Batch, other: &Batch) {
    assert!(one.columns == other.columns, "all three mask alike");
}

/// The same mask over the same arrays, with no boundary to cross.
fn native(batch: &Batch) -> Batch {
    let mut masked = batch.clone();
    for column in &mut masked.columns[1..3] {
        let texts = column.as_string::<i32>();
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        let mut data: Vec<u8> = Vec::with_capacity(texts.value_data().len());
        offsets.push(0);
        for text in texts {
            let text = text.unwrap_or_default();
            let first = text.chars().next().map_or(0, char::len_utf8);
            data.extend_from_slice(&text.as_bytes()[..first]);
            data.resize(data.len() + text[first..].chars().count(), b'*');
            offsets.push(data.len() as i32);
        }
        let offsets = OffsetBuffer::new(offsets.into());
        let nulls = texts.nulls().cloned();
        *column = Arc::new(StringArray::try_new(offsets, Buffer::from_vec(data), nulls).expect("texts"));
    }
    masked
}

/// Two texts among numbers.
fn batch(columns: usize) -> Batch {
    let column = |n: usize| {
        let (ty, native) = match n {
            1 | 2 => (ColumnType::Text, "varchar(64)"),
            _ => (ColumnType::Integer { bits: 64, unsigned: false }, "bigint"),
        };
        Column { name: format!("c{n}"), ty, nullable: true, native: native.to_owned() }
    };
    let texts = |text: fn(usize) -> String| -> ArrayRef {
        Arc::new((0..IMAGES).map(|i| Some(text(i))).collect::<StringArray>())
    };
    let cells = |n: usize| match n {
        1 => texts(|i| format!("someone{i:06}@example.com")),
        2 => texts(|i| format!("Firstname Name {i:04}")),
        _ => Arc::new(Int64Array::from_iter_values(0..IMAGES as i64)),
    };
    let table = TableSchema {
        database: "shop".to_owned(),
        table: "customers".to_owned(),
        columns: (0..columns).map(column).collect(),
        key: vec![0],
        lineage: Default::default(),
    };
    Batch {
        table: table.shared(),
        kinds: vec![Kind::Insert; IMAGES],
        runs: vec![Run { pos: 4, row: 0, event: 0, nth: 0, txn: 0, seconds: 0, part: 0 }],
        columns: (0..columns).map(cells).collect(),
        absent: Vec::new(),
        routing: None,
    }
}
