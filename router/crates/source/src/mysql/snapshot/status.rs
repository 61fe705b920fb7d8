//! How far snapshots are, for people.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::request::{SnapshotState, SnapshotStatus, SnapshotTable};
use super::run::{Run, Snapshots, Table};

/// Over how long a rate is measured.
const SPAN: Duration = Duration::from_secs(10);
/// Rows closer together are counted as one sample.
const SAMPLE: Duration = Duration::from_millis(200);

/// Rows over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    pub(super) fn add(&mut self, rows: u64) {
        let now = Instant::now();
        match self.0.back_mut() {
            Some((at, n)) if now - *at < SAMPLE => *n += rows,
            _ => self.0.push_back((now, rows)),
        }
        while self.0.front().is_some_and(|(at, _)| now - *at > SPAN) {
            self.0.pop_front();
        }
    }

    fn rate(&self) -> f64 {
        let now = Instant::now();
        let fresh = || self.0.iter().filter(|(at, _)| now - *at <= SPAN);
        let rows: u64 = fresh().map(|(_, n)| n).sum();
        match fresh().next() {
            Some((first, _)) => rows as f64 / (now - *first).max(SAMPLE).as_secs_f64(),
            None => 0.0,
        }
    }
}

impl Snapshots {
    /// All snapshots, the oldest first.
    pub(crate) fn status(&self) -> Vec<SnapshotStatus> {
        self.runs.iter().map(|run| self.of(run)).collect()
    }

    fn of(&self, run: &Run) -> SnapshotStatus {
        let tables: Vec<SnapshotTable> =
            run.tables.iter().enumerate().map(|(at, t)| self.table_status(run, at, t)).collect();
        let running = run.note.state == SnapshotState::Running;
        let rate = if running { run.speed.rate() } else { 0.0 };
        let over = |t: &&Table| t.note.state.is_over();
        let left: u64 = run
            .tables
            .iter()
            .filter(|t| !over(t))
            .map(|t| t.note.estimate.saturating_sub(t.note.passed))
            .sum();
        SnapshotStatus {
            request: run.note.request.clone(),
            state: run.note.state,
            rows: tables.iter().map(|t| t.rows).sum(),
            estimate: tables.iter().map(|t| t.estimate).sum(),
            rows_per_second: rate,
            seconds_left: (running && rate > 0.0 && run.note.planned).then(|| left as f64 / rate),
            tables,
            begun_us: run.note.begun_us,
            ended_us: run.note.ended_us,
            fault: run.fault.clone(),
        }
    }

    fn table_status(&self, run: &Run, at: usize, table: &Table) -> SnapshotTable {
        let note = &table.note;
        // a table without a key counts while it is given
        let giving =
            self.whole.as_ref().filter(|w| w.giving && w.of == (run.number, at)).map_or(0, |w| w.rows);
        let passed = note.passed + giving;
        let whole = note.estimate.max(passed).max(1);
        SnapshotTable {
            table: note.name(),
            state: note.state,
            rows: note.rows + giving,
            superseded: note.superseded,
            estimate: note.estimate,
            permille: if note.state == SnapshotState::Done { 1000 } else { (passed * 999 / whole) as u16 },
            chunks: note.chunks,
            fault: note.fault.clone(),
        }
    }
}
