//! Takes a snapshot of tables and says what that cost.
//!
//! `cargo run --profile fast -p forebay-source --example snapshot -- HOST PORT USER TABLES [READERS [CHUNK_ROWS]]`
//! (the password, if there is one, in `FOREBAY_PASSWORD`)

use std::time::Instant;

use forebay_model::{Secret, TablePattern};
use forebay_source::mysql::{
    Capture, Config, Limits, SnapshotCommand, SnapshotRequest, SnapshotSettings, Start, Tls,
};

/// Seconds of CPU that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let times = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    times.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that it has had, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, tables, rest @ ..] = &arguments[..] else {
        eprintln!("snapshot HOST PORT USER TABLES [READERS [CHUNK_ROWS]]");
        std::process::exit(2);
    };
    let number = |at: usize, default| rest.get(at).map_or(default, |n: &String| n.parse().expect("a number"));
    let config = Config {
        host: host.clone(),
        port: port.parse().expect("a port"),
        hosts: Vec::new(),
        user: user.clone(),
        password: std::env::var("FOREBAY_PASSWORD").ok().map(Secret::new),
        tls: Tls::Disabled,
        server_id: None,
        tables: tables.split(',').map(|t| TablePattern::new(t).expect("a pattern")).collect(),
    };
    let settings = SnapshotSettings {
        readers: number(0, 2),
        chunk_rows: number(1, 10_000),
        ..SnapshotSettings::default()
    };
    let mut capture =
        Capture::connect(&config, Start::Now, Limits::default(), settings, &[]).await.expect("a capture");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    capture.command(SnapshotCommand::Begin(SnapshotRequest::all("bench"))).expect("a snapshot");
    let (mut blocks, mut bytes) = (0u64, 0);
    while capture.snapshots().iter().any(|s| !s.state.is_over()) {
        if let Some(block) = capture.next().await.expect("a capture that goes on").block {
            blocks += 1;
            bytes += block.bytes();
        }
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    for table in &capture.snapshots()[0].tables {
        eprintln!("{table:?}");
    }
    let rows = capture.snapshots()[0].rows;
    eprintln!("{rows} rows, {blocks} blocks of {} bytes", bytes as u64 / blocks.max(1));
    eprintln!(
        "{wall:.2} s, {cpu:.2} CPU s: {:.0} rows a second, {:.0} ns of CPU a row, {} MiB",
        rows as f64 / wall,
        cpu * 1e9 / rows.max(1) as f64,
        peak() >> 20
    );
}
