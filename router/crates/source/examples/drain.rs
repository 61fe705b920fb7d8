//! Reads a server's whole binlog from its beginning and says what that cost.
//!
//! `cargo run --profile fast -p forebay-source --example drain -- HOST PORT USER TABLES [tls]`
//! (the password, if there is one, in `FOREBAY_PASSWORD`)

use std::time::Instant;

use forebay_model::{Secret, TablePattern};
use forebay_source::mysql::{Config, Limits, Start, Stream, Tls};

/// Seconds that this thread has run, in the kernel too.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, tables, rest @ ..] = &arguments[..] else {
        eprintln!("drain HOST PORT USER TABLES [tls]");
        std::process::exit(2);
    };
    // glibc gives freed memory back to the kernel above a size that grows with the largest piece ever freed: without one
    // such piece, every block's memory is given back and faulted in again
    drop(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20)));
    let config = Config {
        host: host.clone(),
        port: port.parse().expect("a port"),
        hosts: Vec::new(),
        user: user.clone(),
        password: std::env::var("FOREBAY_PASSWORD").ok().map(Secret::new),
        tls: if rest.is_empty() { Tls::Disabled } else { Tls::Required },
        server_id: None,
        tables: tables.split(',').map(|t| TablePattern::new(t).expect("a pattern")).collect(),
    };
    let now = Stream::connect(&config, Start::Now, Limits::default()).await.expect("the end of the binlog");
    let end = { now }.next().await.expect("a position").position.expect("a position").gtids;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut stream = Stream::connect(&config, Start::Earliest, Limits::default()).await.expect("the binlog");
    let (mut blocks, mut changes, mut images, mut bytes) = (0u64, 0u64, 0, 0);
    loop {
        let captured = stream.next().await.expect("a binlog that can be read");
        if let Some(block) = captured.block {
            blocks += 1;
            changes += u64::from(block.events);
            images += block.rows();
            bytes += block.bytes();
        }
        if captured.position.is_some_and(|p| end.is_subset(&p.gtids)) {
            break;
        }
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let stats = stream.stats();
    eprintln!(
        "{changes} changes, {images} images, {blocks} blocks of {} bytes",
        bytes as u64 / blocks.max(1)
    );
    eprintln!("{} bytes and {} events received", stats.bytes, stats.events);
    eprintln!("{wall:.2} s, {cpu:.2} CPU s: {:.0} ns a change", cpu * 1e9 / changes.max(1) as f64);
}
