//! What was read, into the log: blocks of snapshot images, with the position and the notes that they go with.

use std::collections::VecDeque;
use std::sync::Arc;

use forebay_model::{Batch, Block, Fault, Gtid, Origin, Run, Txn};
use tokio::time::Instant;

use super::super::stream::Captured;
use super::super::transactions::Asides;
use super::Trouble;
use super::mark::Mark;
use super::read::WholePart;
use super::request::SnapshotState;
use super::run::{Snapshots, Window};
use crate::codes;

/// Where a block's rows come from.
struct From<'a> {
    mark: &'a Mark,
    read_us: u64,
    audience: Option<&'a str>,
}

impl Snapshots {
    /// Whether a position is wanted as soon as the stream has one.
    pub(crate) fn wants_position(&self) -> bool {
        let waits = |run: &super::run::Run| {
            let looks = run.looked.is_some() && !run.note.planned;
            !run.note.state.is_over() && (looks || run.tables.iter().any(|t| t.missing.is_some()))
        };
        self.windows.iter().any(|w| w.chunk.is_some())
            || self.runs.iter().any(waits)
            || self.whole.as_ref().is_some_and(|w| w.begun.is_some() && !w.giving)
    }

    /// Whether the stream must stand still, since a table without a key is being given.
    pub(crate) fn holds_stream(&self) -> bool {
        self.whole.as_ref().is_some_and(|w| w.giving)
    }

    /// Gives every chunk whose time has come.
    pub(crate) fn give(&mut self, out: &mut VecDeque<Captured>, asides: &Asides, prepared: &[Gtid]) {
        if !self.between {
            return;
        }
        self.look_at_whole(asides, prepared);
        if self.holds_stream() {
            return;
        }
        self.look_for_missing(asides, prepared);
        // chunks of a range are given in their order
        let mut behind: Vec<(u64, usize, usize)> = Vec::new();
        let mut at = 0;
        while at < self.windows.len() {
            let window = &self.windows[at];
            let due = window.chunk.as_ref().is_some_and(|c| c.mark.is_reached(&self.position, prepared));
            let doubted = window.chunk.as_ref().is_some_and(|c| due && c.mark.is_doubted(asides));
            if window.touched.void || doubted {
                let (number, table, _) = window.of;
                self.failed(number, table, Trouble::Changed);
                (at, behind) = (0, Vec::new());
            } else if due && !behind.contains(&window.of) {
                let window = self.windows.remove(at);
                self.give_chunk(window, out);
            } else {
                behind.push(window.of);
                at += 1;
            }
        }
    }

    fn give_chunk(&mut self, window: Window, out: &mut VecDeque<Captured>) {
        let Window { of: (number, at, range), shape, touched, chunk: Some(chunk), rows: wanted, .. } = window
        else {
            return;
        };
        let columns = shape.key.as_ref().map_or(&[][..], |k| &k.columns);
        let mut batches = Vec::with_capacity(chunk.batches.len());
        let mut kept = 0;
        for mut batch in chunk.batches {
            // an image belongs to a run, whoever cuts it
            batch.runs = vec![run(0, 0, 0)];
            let batch = self.hasher.untold(batch, columns, &touched);
            kept += batch.rows() as u64;
            if batch.rows() > 0 {
                batches.push(batch);
            }
        }
        let Some(run) = self.run_mut(number) else { return };
        let filtered = run.note.request.filters.contains_key(&shape.table.full_name());
        if let Some(rate) = run.note.request.rows_per_second {
            let pause = std::time::Duration::from_secs_f64(chunk.rows as f64 / f64::from(rate));
            let now = Instant::now();
            run.not_before = Some(run.not_before.filter(|t| *t > now).unwrap_or(now) + pause);
        }
        // a filter leaves few rows of many that were passed
        let passed = if filtered && chunk.next.is_some() { wanted as u64 } else { chunk.rows };
        run.speed.add(passed);
        let Some(table) = run.tables.get_mut(at) else { return };
        table.tries = 0;
        let note = &mut table.note;
        note.rows += kept;
        note.superseded += chunk.rows - kept;
        note.passed += passed;
        note.chunks += 1;
        let ended = chunk.next.is_none();
        let range = &mut note.ranges[range];
        range.done = ended;
        range.after = chunk.next.or(range.after.take());
        if note.ranges.iter().all(|r| r.done) {
            note.state = SnapshotState::Done;
        }
        let audience = run.note.request.audience.clone();
        let from = From { mark: &chunk.mark, read_us: chunk.read_us, audience: audience.as_deref() };
        let mut nth = 0;
        for batch in batches {
            let rows = batch.rows() as u32;
            let block = Some(self.block(batch, &from, nth));
            out.push_back(Captured { block, ..Captured::default() });
            nth += rows;
        }
        self.note_table(number, at);
        self.settle(number);
        self.commit(out);
    }

    /// Gives the last captured the position and the notes.
    fn commit(&mut self, out: &mut VecDeque<Captured>) {
        let (position, notes) = (Some(self.position.clone()), self.take_notes());
        match out.back_mut() {
            Some(last) if last.position.is_none() => (last.position, last.notes) = (position, notes),
            _ => out.push_back(Captured { block: None, position, notes }),
        }
    }

    /// Gives the notes alone, if there are any and the stream is between two transactions.
    pub(crate) fn give_notes(&mut self, out: &mut VecDeque<Captured>) {
        if self.between && !self.holds_stream() && self.has_notes() {
            self.commit(out);
        }
    }

    /// Whether the table without a key that was begun can be given now, or was disturbed.
    fn look_at_whole(&mut self, asides: &Asides, prepared: &[Gtid]) {
        let Some(whole) = self.whole.as_mut().filter(|w| !w.giving) else { return };
        if whole.touched.any {
            self.whole_disturbed();
        } else if let Some((mark, _)) =
            whole.begun.as_ref().filter(|(mark, _)| mark.is_reached(&self.position, prepared))
        {
            if mark.is_doubted(asides) {
                self.whole_broke(Some(Trouble::Changed));
            } else {
                whole.giving = true;
            }
        }
    }

    /// The next piece of the table without a key; call it while the stream is held.
    ///
    /// # Errors
    /// If the table breaks off after pieces of it were given: they are void, and so is the stream.
    pub(crate) async fn next_part(&mut self, out: &mut VecDeque<Captured>) -> Result<(), Fault> {
        let Some(whole) = &mut self.whole else { return Ok(()) };
        let part = whole.parts.recv().await;
        let (number, at) = whole.of;
        let (rows, given) = (whole.rows, whole.rows > 0);
        let mut piece = None;
        let over = match part {
            Some(Ok(WholePart::Rows(batch))) => {
                piece = whole.last.replace(batch);
                false
            }
            Some(Ok(WholePart::Begun(..))) => false,
            Some(Ok(WholePart::End)) => {
                piece = whole.last.take();
                true
            }
            Some(Err(Trouble::Fault(fault))) if given => return Err(fault),
            None | Some(Err(_)) if given => {
                let what = format!("{} broke off while it was given", whole.shape.table.full_name());
                return Err(Fault::new(codes::SNAPSHOT_BROKE_OFF, what));
            }
            Some(Err(trouble)) => {
                self.whole_broke(Some(trouble));
                return Ok(());
            }
            None => {
                self.whole_broke(None);
                return Ok(());
            }
        };
        let count = piece.as_ref().map_or(0, Batch::rows);
        whole.rows += count as u64;
        let begun = whole.begun.clone();
        let audience = self.run_mut(number).and_then(|r| r.note.request.audience.clone());
        if let (Some(batch), Some((mark, read_us))) = (piece, begun) {
            let from = From { mark: &mark, read_us, audience: audience.as_deref() };
            let block = Some(self.block(batch, &from, rows as u32));
            out.push_back(Captured { block, ..Captured::default() });
        }
        let Some(run) = self.run_mut(number) else { return Ok(()) };
        run.speed.add(count as u64);
        let Some(table) = run.tables.get_mut(at) else { return Ok(()) };
        if over {
            table.note.rows = rows + count as u64;
            table.note.passed = table.note.rows;
            table.note.chunks = 1;
            table.note.state = SnapshotState::Done;
            table.note.ranges.iter_mut().for_each(|r| r.done = true);
            self.whole = None;
            self.note_table(number, at);
            self.settle(number);
            self.commit(out);
        }
        Ok(())
    }

    fn block(&self, mut batch: Batch, from: &From<'_>, nth: u32) -> Block {
        let (file, pos) = from.mark.shown(&self.position);
        let seconds = u32::try_from(from.read_us / 1_000_000).unwrap_or(u32::MAX);
        batch.runs = vec![run(pos, nth, seconds)];
        let txn = Txn {
            uuid: [0; 16],
            number: 0,
            commit_us: from.read_us,
            thread: 0,
            server_id: 0,
            file: 0,
            tag: u32::from(from.audience.is_some()) * 2,
        };
        let strings = [file].into_iter().chain(from.audience.map(str::to_owned)).collect();
        let origin = Arc::new(Origin { txns: vec![txn], strings });
        Block { first: 0, events: batch.rows() as u32, origin, batches: vec![batch] }
    }
}

fn run(pos: u64, nth: u32, seconds: u32) -> Run {
    Run { pos, row: 0, event: 0, nth, txn: 0, seconds, part: 0 }
}
