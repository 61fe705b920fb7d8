//! All that is captured of a server: its changes as they come, and snapshots of its tables among them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use forebay_model::{Block, Fault, Kind, Note, schema_changes};

use super::schema::{Definition, Quarantined};

use super::catalog;
use super::snapshot::{SnapshotCommand, SnapshotStatus, Snapshots, Told};
use super::stream::{Captured, Stats, Stream};
use super::{Caution, Config, Limits, SnapshotSettings, Start};

/// A server's changes from a position on, with the snapshots that are asked for.
///
/// Gives everything in the order in which it must be stored. Never reconnects: after a fault, connect anew with the
/// position and the notes that were stored.
#[derive(Debug)]
pub struct Capture {
    stream: Stream,
    snapshots: Snapshots,
    /// To be given before anything else.
    ready: VecDeque<Captured>,
}

impl Capture {
    /// Connects, and goes on with the tables' versions and the snapshots that `notes` tell of.
    ///
    /// # Errors
    /// As [`Stream::resume`]; and if a note cannot be read.
    pub async fn connect(
        config: &Config,
        start: Start,
        limits: Limits,
        settings: SnapshotSettings,
        notes: &[Note],
    ) -> Result<Capture, Fault> {
        let stream = Stream::resume(config, start, limits, notes).await?;
        let position = stream.position().clone();
        // of the hosts, the one that the stream reads: a chunk's place is one in that server's binlog
        let place = (stream.began().clone(), stream.is_by_file(), stream.decided().clone());
        let mut snapshots = Snapshots::new(stream.config(), settings, limits, position, place, notes)?;
        snapshots.there_are(catalog::names(stream.config()).await?);
        Ok(Capture { stream, snapshots, ready: VecDeque::new() })
    }

    /// The next block, position or note. May be dropped while it waits; nothing is lost.
    ///
    /// # Errors
    /// Whatever ends the stream; call it no more after that. What befalls a snapshot alone is told by its
    /// [status](Self::snapshots), unless pieces of a table without a key were given already.
    pub async fn next(&mut self) -> Result<Captured, Fault> {
        loop {
            if let Some(mut captured) = self.ready.pop_front() {
                if captured.position.is_some() {
                    captured.notes.append(&mut self.stream.take_first_notes());
                }
                let is_snapshot =
                    |b: &Block| b.batches.iter().all(|b| b.kinds.first() == Some(&Kind::Snapshot));
                if let Some(block) = captured.block.take_if(|block| is_snapshot(block)) {
                    captured.block = Some(self.with_past(block));
                }
                return Ok(captured);
            }
            // the first position of all comes with what the tables look like there: without that a table that is changed while nobody
            // listens would be a riddle
            if !self.stream.is_placed() {
                let captured = self.stream.next().await?;
                return Ok(self.passed(captured));
            }
            let prepared = self.stream.prepared();
            self.snapshots.give(&mut self.ready, self.stream.asides(), &prepared);
            self.snapshots.begin_unseen();
            self.snapshots.dispatch();
            if !self.ready.is_empty() {
                continue;
            }
            if self.snapshots.holds_stream() {
                self.snapshots.next_part(&mut self.ready).await?;
                continue;
            }
            self.snapshots.give_notes(&mut self.ready);
            if !self.ready.is_empty() {
                continue;
            }
            self.stream.hurry(self.snapshots.wants_position());
            tokio::select! {
                captured = self.stream.next() => return Ok(self.passed(captured?)),
                step = self.snapshots.progress() => self.snapshots.handle(step),
            }
        }
    }

    /// What the stream gives, once snapshots have seen it.
    fn passed(&mut self, mut captured: Captured) -> Captured {
        self.look_for_changes(&captured);
        self.snapshots.observe(&captured);
        // what follows from a change is durable with it, or a crash in between would forget it
        if captured.position.is_some() {
            captured.notes.extend(self.snapshots.take_notes());
        }
        captured
    }

    /// Does something about a snapshot. It is durable when a note that [`next`](Self::next) gives is.
    ///
    /// # Errors
    /// If there is no such snapshot, or already one with that id, or the request makes no sense.
    pub fn command(&mut self, command: SnapshotCommand) -> Result<(), Fault> {
        self.snapshots.command(command)
    }

    /// How far snapshots are, the oldest first. Those that are over stay for a while.
    pub fn snapshots(&self) -> Vec<SnapshotStatus> {
        self.snapshots.status()
    }

    /// Tables whose events are kept undecoded: see [`Stream::quarantined`].
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.stream.quarantined()
    }

    /// What may be missing: see [`Stream::cautions`].
    pub fn cautions(&self) -> Vec<Caution> {
        self.stream.cautions()
    }

    /// Rows that were read otherwise than by the stream, with what is known of their tables' earlier names.
    pub fn with_past(&self, block: Block) -> Block {
        self.stream.with_past(block)
    }

    /// Ends a table's quarantine: see [`Stream::lift`]. What was read of the table by a snapshot and not given is void.
    pub fn lift(&mut self, definition: &Definition) -> Option<Captured> {
        if !self.ready.is_empty() || self.snapshots.holds_stream() {
            return None;
        }
        let captured = self.stream.lift(definition)?;
        self.snapshots.table_changed(definition.database(), definition.table());
        self.snapshots.observe(&captured);
        Some(captured)
    }

    /// The stream has passed a change of a table itself (a DDL statement, a TRUNCATE): what snapshots have read of it and not
    /// given is void, and must be before the change is given to anybody.
    fn look_for_changes(&mut self, captured: &Captured) {
        let batches = captured.block.iter().flat_map(|b| &b.batches);
        for batch in batches.filter(|b| Arc::ptr_eq(&b.table, schema_changes())) {
            let [databases, tables, changes] =
                [0, 1, 3].map(|column| batch.columns[column].as_string::<i32>());
            // what one statement did to several tables, it did at once
            let place =
                |row: usize| batch.runs[batch.runs.partition_point(|r| r.row as usize <= row) - 1].pos;
            let rows: Vec<usize> = (0..batch.rows()).collect();
            for rows in rows.chunk_by(|a, b| place(*a) == place(*b)) {
                let mut told = Vec::with_capacity(rows.len());
                for &row in rows {
                    let (database, table) = (databases.value(row), tables.value(row));
                    // one beside a table in quarantine
                    if !self.stream.config().captures(database, table) {
                        continue;
                    }
                    match serde_json::from_str::<Told<'_>>(changes.value(row)) {
                        Ok(change) => told.push((database, table, change)),
                        Err(_) => self.snapshots.table_changed(database, table),
                    }
                }
                self.snapshots.happened(&told);
            }
        }
    }

    /// What the stream has done so far.
    pub fn stats(&self) -> Stats {
        self.stream.stats()
    }
}
