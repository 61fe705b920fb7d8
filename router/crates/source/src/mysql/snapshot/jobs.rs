//! What is read next, and by whom: at most so many tasks at once.

use forebay_model::Fault;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::wire::Conn;
use super::read::{ChunkJob, Reading};
use super::request::SnapshotState;
use super::run::{Ahead, Finished, Snapshots, What, Whole, Window};
use super::seen::Given;
use super::window::Touched;

/// Parts of a table without a key that wait to be given.
const PARTS: usize = 2;

impl Snapshots {
    /// Begins what can be begun.
    pub(crate) fn dispatch(&mut self) {
        let now = Instant::now();
        while self.between && self.jobs.len() < self.reading.settings.readers.max(1) && self.next_job(now) {}
    }

    fn next_job(&mut self, now: Instant) -> bool {
        let most_windows = 2 * self.reading.settings.readers.max(1);
        let ready = |t: Option<Instant>| t.is_none_or(|t| t <= now);
        let mut found = None;
        'runs: for run in &self.runs {
            if run.note.state != SnapshotState::Running || !ready(run.not_before) {
                continue;
            }
            if !run.note.planned {
                if run.planning.is_none() && run.looked.is_none() {
                    found = Some((run.number, None));
                    break;
                }
                continue;
            }
            for (at, table) in run.tables.iter().enumerate() {
                if table.note.state.is_over()
                    || table.preparing.is_some()
                    || table.missing.is_some()
                    || !ready(table.not_before)
                {
                    continue;
                }
                let range = match &table.shape {
                    None => None,
                    Some(shape) if shape.key.is_none() => {
                        if self.whole.is_some() {
                            continue;
                        }
                        None
                    }
                    Some(_) => {
                        let free = |(at, a): (usize, &Ahead)| {
                            !a.reading && !a.ended && !table.note.ranges.get(at).is_none_or(|r| r.done)
                        };
                        let range = (0..).zip(&table.ranges).find(|r| free(*r)).map(|(at, _)| at);
                        if range.is_none() || self.windows.len() >= most_windows {
                            continue;
                        }
                        range
                    }
                };
                found = Some((run.number, Some((at, range))));
                break 'runs;
            }
        }
        let Some((number, table)) = found else { return false };
        self.spawn(number, table);
        true
    }

    fn spawn(&mut self, number: u64, table: Option<(usize, Option<usize>)>) {
        let look = self.number();
        let (reading, mut conn) = (self.reading.clone(), self.idle.pop());
        let given = Given::new(&self.position, &self.began, &self.decided);
        let Some(run) = self.runs.iter_mut().find(|r| r.number == number) else { return };
        let rate = run.note.request.rows_per_second.map_or(usize::MAX, |r| r as usize);
        let Some((at, range)) = table else {
            run.planning = Some(look);
            self.jobs.spawn(async move {
                let result = on(&reading, &mut conn, async |c| reading.tables(c, &given).await).await;
                Finished { conn, what: What::Tables(number, look, result) }
            });
            return;
        };
        let filter = run.note.request.filters.get(&run.tables[at].note.name()).cloned();
        let table = &mut run.tables[at];
        let Some(shape) = table.shape.clone() else {
            table.preparing = Some(look);
            let names = (table.note.database.clone(), table.note.table.clone());
            self.jobs.spawn(async move {
                let prepare = async |c: &mut Conn| {
                    reading.prepare(c, (&names.0, &names.1), filter.as_deref(), &given).await
                };
                let result = on(&reading, &mut conn, prepare).await;
                Finished { conn, what: What::Prepared((number, at), look, result) }
            });
            return;
        };
        let Some(range) = range else {
            let job = ChunkJob { shape: shape.clone(), after: None, until: None, rows: 0, filter, given };
            let (send, parts) = mpsc::channel(PARTS);
            self.whole = Some(Whole {
                of: (number, at),
                shape,
                touched: Touched::default(),
                parts,
                begun: None,
                giving: false,
                last: None,
                rows: 0,
            });
            self.jobs.spawn(async move {
                if let Err(trouble) = reading.whole(&job, &send).await {
                    // whoever let go of the table does not want to know
                    let _ = send.send(Err(trouble)).await;
                }
                Finished { conn, what: What::Whole }
            });
            return;
        };
        let rows = table.chunk_rows.min(rate).max(1);
        let ahead = &mut table.ranges[range];
        ahead.reading = true;
        let until = table.note.ranges[range].until.clone();
        let job = ChunkJob { shape: shape.clone(), after: ahead.after.clone(), until, rows, filter, given };
        let of = (number, at, range);
        self.windows.push(Window { number: look, of, shape, touched: Touched::default(), rows, chunk: None });
        self.jobs.spawn(async move {
            let result = reading.chunk(&mut conn, &job).await;
            Finished { conn, what: What::Chunk(look, result) }
        });
    }
}

/// Does something on the connection at hand, or a new one; keeps it if all went well.
async fn on<T, E: From<Fault>>(
    reading: &Reading,
    conn: &mut Option<Conn>,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    let mut taken = match conn.take() {
        Some(conn) => conn,
        None => reading.open().await?,
    };
    let result = work(&mut taken).await?;
    *conn = Some(taken);
    Ok(result)
}
