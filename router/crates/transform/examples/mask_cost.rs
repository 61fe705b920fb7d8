//! What the mask plugin costs: CPU nanoseconds per row image, host work included (Linux).
//!
//! `cargo run --release -p forebay-transform --example mask_cost -- target/guests/mask.wasm`
//!
//! Batches of 1,000 images; two text columns (25 and 19 bytes) of 10 or 228 are masked with each of mask's rules, or with
//! what the second argument says, as `'{"do": "mask"}'` for the guests `conformance` and `conformance-go`. Then: what it
//! costs to instantiate and open.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use forebay_model::{Batch, Column, ColumnType, Kind, Origin, Run, TableSchema};
use forebay_transform::{Host, Limits, Place};

const IMAGES: usize = 1000;
const ROUNDS: usize = 300;
const SAMPLES: usize = 15;
const OPENED: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of mask.wasm")?;
    let cache = std::env::temp_dir().join(format!("forebay-mask-cost-{}", std::process::id()));
    let plugin = Host::new(&cache)?.load(&std::fs::read(path)?)?;
    let rules = [
        r#"{"keep_first": 1}"#,
        r#"{"keep_domain": true}"#,
        r#"{"hash": {"key": "k"}}"#,
        r#"{"null": true}"#,
    ];
    let of_mask = |rule| format!(r#"{{"columns": {{"c1": {rule}, "c2": {rule}}}}}"#);
    let configs = std::env::args().nth(2).map_or_else(|| rules.map(of_mask).to_vec(), |config| vec![config]);
    for columns in [10, 228] {
        for config in &configs {
            let batch = batch(columns);
            let mut binding = plugin.bind("bench", &batch.table, config, &Limits::default()).await?;
            let mut samples = Vec::with_capacity(SAMPLES);
            for _ in 0..SAMPLES {
                let start = cpu_ns()?;
                for _ in 0..ROUNDS {
                    std::hint::black_box(
                        binding
                            .apply(&batch, &Place { source: "bench", first: 0, origin: &Origin::default() })
                            .await?,
                    );
                }
                samples.push((cpu_ns()? - start) as f64 / (ROUNDS * IMAGES) as f64);
            }
            samples.sort_by(f64::total_cmp);
            let (best, median) = (samples[0], samples[SAMPLES / 2]);
            eprintln!("{columns:>4} columns, {config:<60} best {best:>7.1}, median {median:>7.1} ns/image");
        }
        let (start, table) = (cpu_ns()?, batch(columns).table);
        for _ in 0..OPENED {
            std::hint::black_box(plugin.bind("bench", &table, &configs[0], &Limits::default()).await?);
        }
        eprintln!(
            "{columns:>4} columns, instantiate and open {:.0} us",
            (cpu_ns()? - start) as f64 / (OPENED * 1000) as f64
        );
    }
    std::fs::remove_dir_all(cache)?;
    Ok(())
}

/// What this thread has had of a processor.
fn cpu_ns() -> Result<u64, Box<dyn std::error::Error>> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().unwrap_or_default().parse()?)
}

fn batch(columns: usize) -> Batch {
    let column = |n: usize| {
        let ty = if n == 1 || n == 2 {
            ColumnType::Text
        } else {
            ColumnType::Integer { bits: 64, unsigned: false }
        };
        Column { name: format!("c{n}"), ty, nullable: true, native: "bigint".to_owned() }
    };
    let cells = |n: usize| -> ArrayRef {
        match n {
            1 => Arc::new(
                (0..IMAGES).map(|i| Some(format!("someone{i:06}@example.com"))).collect::<StringArray>(),
            ),
            2 => {
                Arc::new((0..IMAGES).map(|i| Some(format!("Firstname Name {i:04}"))).collect::<StringArray>())
            }
            _ => Arc::new(Int64Array::from_iter_values(0..IMAGES as i64)),
        }
    };
    let table = TableSchema {
        database: "shop".to_owned(),
        table: "customers".to_owned(),
        columns: (0..columns).map(column).collect(),
        key: vec![0],
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
