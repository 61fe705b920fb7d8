//! The source against a real MySQL server.

mod charsets;
mod differ;
mod doctor;
mod failover;
mod hashes;
mod mariadb;
mod mariadb_xa;
mod position;
mod preflight;
mod proof;
mod release;
mod schema;
mod snapshot;
mod statements;
mod stream;
mod text;
mod two_phase;
mod types;
mod versioned;
mod xa_search;

use std::time::Duration;

use forebay_kit::Server;
use forebay_model::{Block, ChangeEvent, Fault, Op, Position, Secret, TablePattern, VIRTUAL_DATABASE};
use forebay_source::mysql::{Captured, Config, Limits, Start, Stream, Tls};

/// How long anything may take.
const LONG: Duration = Duration::from_secs(30);

/// The server's administrator, capturing these tables.
fn config(server: &Server, tables: &[String]) -> Config {
    Config {
        host: server.host().to_owned(),
        port: server.port(),
        hosts: Vec::new(),
        user: server.user().to_owned(),
        password: server.password().map(Secret::new),
        tls: Tls::Preferred,
        server_id: None,
        tables: tables.iter().map(|t| TablePattern::new(t).expect("a pattern")).collect(),
    }
}

async fn connect(config: &Config, start: Start) -> Stream {
    Stream::connect(config, start, Limits::default()).await.expect("a stream")
}

async fn next(stream: &mut Stream) -> Result<Captured, Fault> {
    tokio::time::timeout(LONG, stream.next()).await.expect("the stream stands still")
}

/// A change, as text: `table +1,a` for an insert, `-` for a delete, `before > after` for an update.
fn changes(block: &Block) -> Vec<String> {
    let mut out = Vec::new();
    let order = block.runs_in_order();
    for (b, r) in order {
        let batch = &block.batches[b as usize];
        // what the source tells of itself has tests of its own
        if batch.table.database == VIRTUAL_DATABASE {
            continue;
        }
        let rows = |row: Option<u32>| text::row(batch, row.expect("an image") as usize);
        for event in batch.events_of(r as usize..r as usize + 1) {
            let ChangeEvent { op, before, after, .. } = event;
            let text = match op {
                Op::Read | Op::Create => format!("+{}", rows(after)),
                Op::Delete => format!("-{}", rows(before)),
                Op::Update => format!("{} > {}", rows(before), rows(after)),
            };
            out.push(format!("{} {text}", batch.table.table));
        }
    }
    out
}

/// Checks a block as every consumer may rely on it.
fn check(block: &Block) {
    assert_eq!(block.first, 0);
    let mut next = 0;
    for batch in &block.batches {
        batch.check();
    }
    for (b, r) in block.runs_in_order() {
        for event in block.batches[b as usize].events_of(r as usize..r as usize + 1) {
            assert_eq!(event.event, next, "offsets are dense");
            next += 1;
        }
    }
    assert_eq!(next, block.events);
}

/// Reads until so many changes have come; gives them and the last position.
async fn take(stream: &mut Stream, wanted: usize) -> (Vec<String>, Position) {
    let (mut got, mut last) = (Vec::new(), None);
    while got.len() < wanted || last.is_none() {
        let captured = next(stream).await.expect("a stream that goes on");
        if let Some(block) = &captured.block {
            check(block);
            got.extend(changes(block));
        }
        last = captured.position;
    }
    assert_eq!(got.len(), wanted, "{got:#?}");
    (got, last.expect("just checked"))
}
