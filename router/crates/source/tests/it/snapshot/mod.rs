//! Snapshots beside the stream.

mod came;
mod images;
mod keys;
mod random;
mod refused;
mod renames;
mod replica;
mod session;
mod tables;
mod values;
mod writer;
mod xa;

use std::time::Duration;

use forebay_model::{Block, Fault, Note, Position, TablePattern, VIRTUAL_DATABASE};
use forebay_source::mysql::{
    Capture, Captured, Config, Limits, SnapshotCommand, SnapshotRequest, SnapshotSettings, SnapshotState,
    SnapshotStatus, Start,
};

use super::{LONG, check};

/// What a changelog would hold of a capture: whole commits only.
#[derive(Default)]
struct Log {
    blocks: Vec<Block>,
    position: Option<Position>,
    notes: Vec<Note>,
    /// Pieces without a position yet.
    open: Vec<Block>,
    /// The blocks with what the source tells of itself.
    all: Vec<Block>,
    all_open: Vec<Block>,
}

impl Log {
    fn add(&mut self, captured: Captured) {
        if let Some(mut block) = captured.block {
            check(&block);
            self.all_open.push(block.clone());
            // what the source tells of itself has tests of its own
            block.batches.retain(|b| b.table.database != VIRTUAL_DATABASE);
            if !block.batches.is_empty() {
                self.open.push(block);
            }
        }
        assert!(captured.notes.is_empty() || captured.position.is_some(), "notes only with a position");
        if captured.position.is_some() {
            self.position = captured.position;
            self.blocks.append(&mut self.open);
            self.all.append(&mut self.all_open);
        }
        for note in captured.notes {
            self.notes.retain(|n| n.key != note.key);
            if note.value.is_some() {
                self.notes.push(note);
            }
        }
    }

    /// Connects where the log ends.
    async fn connect(&mut self, config: &Config, settings: SnapshotSettings) -> Capture {
        self.open.clear();
        self.all_open.clear();
        let start = self.position.clone().map_or(Start::Now, Start::At);
        let limits = Limits { block_rows: 700, ..Limits::default() };
        Capture::connect(config, start, limits, settings, &self.notes).await.expect("a capture")
    }

    /// Whether a snapshot is durable.
    fn has_snapshots(&self) -> bool {
        self.notes.iter().any(|n| n.key.starts_with("snapshot/"))
    }

    /// Rows of snapshots.
    fn snapshot_rows(&self) -> usize {
        let kinds = |b: &Block| {
            b.batches.iter().map(|b| b.kinds.iter().filter(|k| **k as u8 == 0).count()).sum::<usize>()
        };
        self.blocks.iter().map(kinds).sum()
    }
}

fn small(chunk_rows: usize) -> SnapshotSettings {
    SnapshotSettings { chunk_rows, ..SnapshotSettings::default() }
}

fn one(id: &str, table: &str) -> SnapshotRequest {
    SnapshotRequest { tables: vec![TablePattern::new(table).expect("a pattern")], ..SnapshotRequest::all(id) }
}

fn begin(capture: &mut Capture, request: SnapshotRequest) {
    capture.command(SnapshotCommand::Begin(request)).expect("a snapshot that can begin");
}

fn status(capture: &Capture, id: &str) -> SnapshotStatus {
    capture.snapshots().into_iter().find(|s| s.request.id == id).expect("the snapshot")
}

async fn next(capture: &mut Capture) -> Result<Captured, Fault> {
    tokio::time::timeout(LONG, capture.next()).await.expect("the capture stands still")
}

/// Reads until the snapshot is over, and what it noted was given.
async fn finish(capture: &mut Capture, log: &mut Log, id: &str) -> SnapshotStatus {
    let deadline = tokio::time::Instant::now() + 4 * LONG;
    loop {
        let status = status(capture, id);
        if status.state.is_over() && log.notes.iter().any(|n| ended(n, id)) {
            return status;
        }
        assert!(tokio::time::Instant::now() < deadline, "{status:#?}");
        match tokio::time::timeout(Duration::from_secs(5), capture.next()).await {
            Ok(captured) => log.add(captured.expect("a stream that goes on")),
            Err(_) => assert!(!status.state.is_over(), "the last note does not come"),
        }
    }
}

/// Whether the note says that the snapshot is over.
fn ended(note: &Note, id: &str) -> bool {
    note.key == format!("snapshot/{id}")
        && !String::from_utf8_lossy(note.value.as_deref().unwrap_or_default()).contains(r#""ended_us":0"#)
}

fn done(status: &SnapshotStatus) {
    assert_eq!(status.state, SnapshotState::Done, "{status:#?}");
}
