//! Decoding alone: a binlog file's bytes to columns, framing and checksums included, no server and no network.
//!
//! Counts row changes per second of this thread's processor time, the kernel's part of reading the file included, over
//! the binlogs of `make bench`'s three loads as a real server wrote them. `make decode` records
//! them (`forebay-bench --only load`) and runs this; they lie in `FOREBAY_BENCH`, else where `make bench` keeps them.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode, Throughput};
use forebay_source::mysql::bench::Decoder;
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread, so that a busy machine hardly matters.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("less than a second"))
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
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

/// Where the loads were recorded.
fn folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = || variable("FOREBAY_CACHE").or_else(|| Some(variable("HOME")?.join(".cache/forebay")));
    variable("FOREBAY_BENCH").or_else(|| Some(cache()?.join("bench"))).expect("HOME or FOREBAY_BENCH is set")
}

/// Decodes the whole file; answers how many row changes it holds.
fn decode(path: &PathBuf) -> u64 {
    let file =
        File::open(path).unwrap_or_else(|e| panic!("{}: {e}; `make decode` records it", path.display()));
    let (mut decoder, mut changes) = (Decoder::new(), 0);
    decoder.file(file, |block| changes += u64::from(block.events)).expect("a binlog as servers write it");
    changes + u64::from(decoder.finish().events)
}

fn main() {
    // as the router does: else each block's memory is given back to the kernel and faulted in again
    drop(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20)));
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for load in ["narrow", "wide", "oltp"] {
        let path = folder().join(load).join("data/binlog.000001");
        group.throughput(Throughput::Elements(decode(&path)));
        group.bench_function(load, |bencher| bencher.iter(|| decode(&path)));
    }
    group.finish();
    criterion.final_summary();
}
