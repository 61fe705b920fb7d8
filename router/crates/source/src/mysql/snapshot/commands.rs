//! What can be done about snapshots.

use forebay_model::Fault;

use super::notes::RunNote;
use super::read::now_us;
use super::request::{SnapshotCommand, SnapshotRequest, SnapshotState};
use super::run::{Run, Snapshots};
use crate::codes;

/// Snapshots that are over and still shown.
const REMEMBERED: usize = 20;

impl Snapshots {
    /// Does what is asked; the note of it goes with the next position.
    ///
    /// # Errors
    /// If there is no such snapshot, or one with that id, or the request makes no sense.
    pub(crate) fn command(&mut self, command: SnapshotCommand) -> Result<(), Fault> {
        use SnapshotState::*;
        match command {
            SnapshotCommand::Begin(request) => self.begin(request)?,
            SnapshotCommand::Pause(id) => {
                let run = self.run_to("paused", &id, |state| !state.is_over())?;
                if run.note.state == Running {
                    run.note.state = Paused;
                }
                let number = run.number;
                self.let_go(number, None);
                self.note_run(number);
            }
            SnapshotCommand::Resume(id) => {
                let run = self.run_to("resumed", &id, |state| !matches!(state, Done | Cancelled))?;
                if matches!(run.note.state, Paused | Failed) {
                    (run.note.state, run.note.ended_us) = (Running, 0);
                    (run.not_before, run.tries) = (None, 0);
                    for table in run.tables.iter_mut().filter(|t| t.note.state == Failed) {
                        (table.note.state, table.note.fault) = (Waiting, None);
                        (table.not_before, table.tries, table.shape, table.missing) = (None, 0, None, None);
                    }
                }
                let (number, tables) = (run.number, run.tables.len());
                (0..tables).for_each(|table| self.note_table(number, table));
                self.note_run(number);
            }
            SnapshotCommand::Cancel(id) => {
                let run = self.run_to("cancelled", &id, |state| !matches!(state, Done | Cancelled))?;
                (run.note.state, run.note.ended_us) = (Cancelled, now_us());
                let number = run.number;
                self.let_go(number, None);
                self.note_run(number);
            }
            SnapshotCommand::Forget(id) => {
                let run = self.run(&id)?;
                if !run.note.state.is_over() {
                    return Err(Fault::new(
                        codes::SNAPSHOT_REQUEST,
                        format!("the snapshot `{id}` is not over"),
                    )
                    .fix("cancel it first"));
                }
                self.forget(&id);
            }
        }
        Ok(())
    }

    pub(super) fn begin(&mut self, request: SnapshotRequest) -> Result<(), Fault> {
        request.check()?;
        if self.runs.iter().any(|r| r.note.request.id == request.id) {
            let what = format!("there is a snapshot `{}` already", request.id);
            return Err(Fault::new(codes::SNAPSHOT_EXISTS, what).fix("choose another id, or forget that one"));
        }
        let over = self.runs.iter().filter(|r| r.note.state.is_over());
        if over.clone().count() >= REMEMBERED
            && let Some(id) = over.map(|r| r.note.request.id.clone()).next()
        {
            self.forget(&id);
        }
        let number = self.number();
        self.runs.push(Run::new(number, RunNote::new(request, now_us()), Vec::new()));
        self.note_run(number);
        Ok(())
    }

    fn forget(&mut self, id: &str) {
        if let Some(at) = self.runs.iter().position(|r| r.note.request.id == id) {
            let run = self.runs.remove(at);
            self.dirty.extend(run.tables.iter().map(|t| (t.note.key(id), None)));
            self.dirty.insert(run.note.key(), None);
        }
    }

    fn run(&mut self, id: &str) -> Result<&mut Run, Fault> {
        self.runs.iter_mut().find(|r| r.note.request.id == id).ok_or_else(|| {
            Fault::new(codes::SNAPSHOT_UNKNOWN, format!("there is no snapshot `{id}`"))
                .fix("look at the list of snapshots")
        })
    }

    /// The snapshot, if it is in a state in which this can be done to it.
    fn run_to(&mut self, what: &str, id: &str, can: fn(SnapshotState) -> bool) -> Result<&mut Run, Fault> {
        let run = self.run(id)?;
        let state = match run.note.state {
            state if can(state) => return Ok(run),
            SnapshotState::Done => "done",
            SnapshotState::Cancelled => "cancelled",
            _ => "over",
        };
        let what = format!("the snapshot `{id}` is {state} and cannot be {what}");
        Err(Fault::new(codes::SNAPSHOT_REQUEST, what).fix("begin another one"))
    }
}
