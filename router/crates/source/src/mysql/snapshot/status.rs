//! How far snapshots are, for people.

use std::collections::VecDeque;
use std::time::Duration;

use forebay_model::Note;
use tokio::time::Instant;

use super::notes::{self, RunNote, TableNote};
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
        // a table without a key counts while it is given
        let giving = |at: usize| {
            self.whole.as_ref().filter(|w| w.giving && w.of == (run.number, at)).map_or(0, |w| w.rows)
        };
        let tables = run.tables.iter().enumerate().map(|(at, t)| table(&t.note, giving(at))).collect();
        let mut status = status(&run.note, tables);
        if run.note.state == SnapshotState::Running {
            let rate = run.speed.rate();
            let left = |t: &&Table| !t.note.state.is_over();
            let left = run.tables.iter().filter(left).map(|t| t.note.estimate.saturating_sub(t.note.passed));
            status.rows_per_second = rate;
            status.seconds_left = (rate > 0.0 && run.note.planned).then(|| left.sum::<u64>() as f64 / rate);
        }
        status.fault.clone_from(&run.fault);
        status
    }
}

impl SnapshotStatus {
    /// How far snapshots were when the notes were stored, for whoever must know before the source is connected. What cannot be
    /// read is told by the connect.
    pub fn of_notes(notes: &[Note]) -> Vec<SnapshotStatus> {
        let runs = notes::read(notes).unwrap_or_default();
        let of = |(run, tables): (RunNote, Vec<TableNote>)| {
            status(&run, tables.iter().map(|note| table(note, 0)).collect())
        };
        runs.into_iter().map(of).collect()
    }
}

fn status(run: &RunNote, tables: Vec<SnapshotTable>) -> SnapshotStatus {
    SnapshotStatus {
        request: run.request.clone(),
        state: run.state,
        rows: tables.iter().map(|t| t.rows).sum(),
        estimate: tables.iter().map(|t| t.estimate).sum(),
        rows_per_second: 0.0,
        seconds_left: None,
        tables,
        begun_us: run.begun_us,
        ended_us: run.ended_us,
        fault: None,
    }
}

/// `giving`: rows that are on their way, and not noted yet.
fn table(note: &TableNote, giving: u64) -> SnapshotTable {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::snapshot::SnapshotRequest;

    #[test]
    fn what_was_noted_is_told_before_anything_is_connected() {
        let run = RunNote::new(SnapshotRequest::all("first"), 7);
        let mut note = TableNote::new(0, ("d".into(), "t".into()));
        (note.rows, note.passed, note.estimate) = (5, 5, 20);
        let told = SnapshotStatus::of_notes(&[note.note("first"), run.note()]);
        let [one] = &told[..] else { panic!("{told:?}") };
        assert_eq!((one.request.id.as_str(), one.state, one.begun_us), ("first", run.state, 7));
        assert_eq!((one.rows, one.estimate, one.tables[0].permille), (5, 20, 249));
        assert!(SnapshotStatus::of_notes(&[]).is_empty());
    }
}
