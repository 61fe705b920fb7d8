//! What is asked of the server for a snapshot: each function is a job that is given a connection and a task of its own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use forebay_model::{Batch, Fault, GtidSet};
use tokio::sync::mpsc::Sender;

use super::super::catalog::{self, quoted};
use super::super::schema::Place;
use super::super::wire::{Conn, Flavour, Rows, WireError};
use super::super::{Config, Limits, SnapshotSettings, faults};
use super::answer::{Answer, More, select};
use super::bound::{Bound, after, up_to};
use super::mark::Mark;
use super::rows::{Taking, key_values};
use super::seen::{Given, in_order};
use super::shape::{Key, Shape};
use super::wire::Wire;
use super::{Trouble, filter, trouble};
use crate::codes;

/// Where and how to read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The stream's server.
    pub(super) source: Config,
    /// The server to read from, if it is another one.
    pub(super) replica: Option<Config>,
    /// Whether the stream counts by file and offset.
    pub(super) by_file: bool,
    pub(super) settings: SnapshotSettings,
    pub(super) limits: Limits,
}

/// A chunk to read.
#[derive(Clone, Debug)]
pub(super) struct ChunkJob {
    pub(super) shape: Arc<Shape>,
    pub(super) after: Option<Bound>,
    pub(super) until: Option<Bound>,
    pub(super) rows: usize,
    pub(super) filter: Option<String>,
    /// What the stream had given when its window was opened.
    pub(super) given: Given,
}

/// A chunk that was read.
#[derive(Debug)]
pub(super) struct ReadChunk {
    /// Without runs.
    pub(super) batches: Vec<Batch>,
    pub(super) rows: u64,
    pub(super) bytes: usize,
    /// Where the next one begins; `None` = there is no next one.
    pub(super) next: Option<Bound>,
    pub(super) mark: Mark,
    /// Microseconds since 1970.
    pub(super) read_us: u64,
}

/// The captured tables that there are.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) tables: Vec<(String, String)>,
    /// What the stream has told up to here may have changed that since.
    pub(super) mark: Mark,
}

/// A table that is ready to be read.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) shape: Arc<Shape>,
    /// Where it is best cut: between these bounds.
    pub(super) cuts: Vec<Bound>,
}

/// What comes of a table that is read whole.
#[derive(Debug)]
pub(super) enum WholePart {
    /// The transaction has begun: it sees no more than this.
    Begun(Mark, u64),
    Rows(Batch),
    End,
}

impl Reading {
    /// A connection that reads as the stream does: in UTC, texts as they are stored, zero dates and all.
    pub(super) async fn open(&self) -> Result<Conn, Fault> {
        let config = self.replica.as_ref().unwrap_or(&self.source);
        let mut conn = Conn::open(config).await?;
        if self.replica.is_some() && (self.by_file || conn.server.flavour == Flavour::MariaDb) {
            conn.quit().await;
            let what = "a snapshot's host is joined to the stream by MySQL's GTIDs, and the source has none";
            return Err(Fault::new(codes::SNAPSHOT_REPLICA, what).fix(
                "leave the snapshot's host out: the source itself is read then; or set gtid_mode to ON",
            ));
        }
        in_order(&mut conn).await?;
        conn.query(
            "SET SESSION time_zone = '+00:00', character_set_results = NULL, net_write_timeout = 3600",
        )
        .await
        .map_err(|e| faults::wire(e, "cannot set up a connection for a snapshot"))?;
        conn.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .map_err(|e| faults::wire(e, "cannot set up a connection for a snapshot"))?;
        // best effort: not every server has it, and a snapshot is right without it
        let _ = conn.query("SET SESSION information_schema_stats_expiry = 0").await;
        Ok(conn)
    }

    /// The captured tables that there are, as of some place between all that was given and the mark; a replica is checked to be one.
    pub(super) async fn tables(&self, conn: &mut Conn, given: &Given) -> Result<Catalog, Trouble> {
        if self.replica.is_some() {
            self.related(conn).await?;
        }
        let low = given.seen(conn, self.by_file).await?;
        let tables = catalog::read(conn, &self.source)
            .await
            .map_err(|e| faults::wire(e, "cannot read information_schema"))?;
        let mark = self.mark(conn, low).await?;
        Ok(Catalog { tables: tables.into_iter().map(|t| (t.database, t.table)).collect(), mark })
    }

    /// A replica whose transactions are not all the source's own would give rows that the stream never tells of.
    async fn related(&self, conn: &mut Conn) -> Result<(), Fault> {
        let failed = |e| faults::wire(e, "cannot compare the GTIDs of the source and of the snapshot's host");
        let executed = async |conn: &mut Conn| -> Result<GtidSet, Fault> {
            let rows = conn.query("SELECT @@GLOBAL.gtid_executed").await.map_err(failed)?;
            let set = rows.firsts().next().unwrap_or_default().parse();
            set.map_err(|_| failed(WireError::Protocol("the server's GTIDs make no sense")))
        };
        let theirs = executed(conn).await?;
        let mut source = Conn::open(&self.source).await?;
        let ours = executed(&mut source).await?;
        source.quit().await;
        if theirs.is_subset(&ours) && !theirs.is_empty() {
            return Ok(());
        }
        let what = match theirs.is_empty() {
            true => "the snapshot's host has executed no transaction of the source".to_owned(),
            false => format!("the snapshot's host has executed {theirs}, and the source only {ours}"),
        };
        Err(Fault::new(codes::SNAPSHOT_REPLICA, what)
            .fix("name a replica of the source with GTIDs and no transactions of its own"))
    }

    async fn mark(&self, conn: &mut Conn, low: Option<Place>) -> Result<Mark, Fault> {
        let mark = if self.replica.is_some() { Mark::set(conn).await } else { Mark::end(conn, low).await };
        mark.map_err(|e| faults::wire(e, "cannot read where the binlog ends"))
    }

    /// Looks at a table, and checks the filter. A table that is not there is looked for again by a look that sees all that the stream
    /// has given: the statement that brought it is in the binlog a moment before it can be seen.
    pub(super) async fn prepare(
        &self,
        conn: &mut Conn,
        names: (&str, &str),
        filter: Option<&str>,
        given: &Given,
    ) -> Result<Prepared, Trouble> {
        match self.look_at(conn, names, filter).await {
            Err(Trouble::Gone) => {}
            seen => return seen,
        }
        let low = given.seen(conn, self.by_file).await?;
        match self.look_at(conn, names, filter).await {
            Err(Trouble::Gone) => Err(Trouble::Missing(self.mark(conn, low).await?)),
            seen => seen,
        }
    }

    async fn look_at(
        &self,
        conn: &mut Conn,
        (database, table): (&str, &str),
        filter: Option<&str>,
    ) -> Result<Prepared, Trouble> {
        let shape = Shape::read(conn, database, table).await?;
        let name = shape.table.full_name();
        if let Some(filter) = filter {
            filter::check(conn, &shape, filter).await?;
        }
        let failed = |e| trouble(e, &name, "cannot read the table");
        // columns that the account may not read are hidden from it: only a statement that wants all of them says so
        for columns in ["*", &shape.select] {
            let probe = format!("SELECT {columns} FROM {} LIMIT 0", shape.from);
            let statement = conn.prepare(&probe).await.map_err(failed)?;
            conn.close(statement).await.map_err(failed)?;
        }
        let mut cuts = Vec::new();
        if let Some(key) = shape.key.as_ref().filter(|k| k.is_integer(&shape)) {
            let column = quoted(&key.names[0]);
            let ends = conn
                .query(&format!("SELECT MIN({column}), MAX({column}) FROM {}", shape.from))
                .await
                .map_err(failed)?;
            cuts = cut(&ends, self.settings.readers, self.settings.chunk_rows);
        }
        Ok(Prepared { shape: Arc::new(shape), cuts })
    }

    /// Reads a chunk.
    pub(super) async fn chunk(&self, conn: &mut Option<Conn>, job: &ChunkJob) -> Result<ReadChunk, Trouble> {
        let shape = &*job.shape;
        let name = shape.table.full_name();
        let Some(key) = &shape.key else { return Err(Trouble::Changed) };
        let mut taken = conn.take();
        let c = match &mut taken {
            Some(c) => c,
            None => taken.insert(self.open().await?),
        };
        let low = job.given.seen(c, self.by_file).await?;
        let mut bounds = Vec::new();
        bounds.extend(job.after.as_ref().map(|bound| after(&key.names, bound)));
        let mut until = job.until.clone();
        let order: Vec<String> = key.names.iter().map(|n| quoted(n)).collect();
        let (from, order) =
            (format!("{} FORCE INDEX ({})", shape.from, quoted(&key.index)), order.join(", "));
        // what a filter leaves may be little or nothing: the chunk is so many rows of the table, whatever is left of them
        let mut high = None;
        if job.filter.is_some() {
            let limits = conditions(&bounds, until.as_ref().map(|b| up_to(&key.names, b)));
            let sql = format!(
                "SELECT {} FROM {from}{limits} ORDER BY {order} LIMIT 1 OFFSET {}",
                key.select,
                job.rows - 1
            );
            high = self.bound(c, shape, key, &sql).await?;
            until = high.clone().or(until);
        }
        bounds.extend(until.as_ref().map(|bound| up_to(&key.names, bound)));
        let limits = conditions(&bounds, job.filter.as_ref().map(|f| format!("(\n{f}\n)")));
        let limit = if job.filter.is_some() { String::new() } else { format!(" LIMIT {}", job.rows) };
        let sql = format!("SELECT {} FROM {from}{limits} ORDER BY {order}{limit}", shape.select);

        let mut taking = Taking::new(shape, self.limits);
        let wires: Vec<&Wire> = shape.wires.iter().collect();
        let whole = select(c, &wires, &sql, |row| {
            taking.row(row)?;
            Ok(taking.bytes < self.settings.chunk_bytes)
        })
        .await
        .map_err(|e| e.of(&name))?;
        taking.close();
        taking.check()?;
        let next = match (whole, job.filter.is_some()) {
            (false, _) => Some(shape.bound(key, &taking.key)?),
            (true, true) => high,
            (true, false) if taking.rows < job.rows as u64 => None,
            (true, false) => Some(shape.bound(key, &taking.key)?),
        };
        if next.is_some() && next == job.after {
            return Err(super::shape::no_bound(&name).into());
        }
        // a connection with rows that nobody wants is closed; what it saw is as old as before
        if !whole {
            *c = self.open().await?;
        }
        let mark = self.mark(c, low).await?;
        if !shape.is_current(c).await? {
            *conn = taken;
            return Err(Trouble::Changed);
        }
        *conn = taken;
        let Taking { batches, rows, bytes, .. } = taking;
        Ok(ReadChunk { batches, rows, bytes, next, mark, read_us: now_us() })
    }

    /// The key of the one row that `sql` gives.
    async fn bound(
        &self,
        conn: &mut Conn,
        shape: &Shape,
        key: &Key,
        sql: &str,
    ) -> Result<Option<Bound>, Trouble> {
        let wires: Vec<&Wire> = key.columns.iter().map(|&c| &shape.wires[c]).collect();
        let mut values = None;
        select(conn, &wires, sql, |row| {
            values = Some(key_values(row, &wires)?);
            Ok(true)
        })
        .await
        .map_err(|e| e.of(&shape.table.full_name()))?;
        values.map(|v| shape.bound(key, &v)).transpose()
    }

    /// Reads a table in one consistent read.
    pub(super) async fn whole(
        &self,
        job: &ChunkJob,
        parts: &Sender<Result<WholePart, Trouble>>,
    ) -> Result<(), Trouble> {
        let shape = &*job.shape;
        let name = shape.table.full_name();
        let mut conn = self.open().await?;
        if !shape.is_current(&mut conn).await? {
            return Err(Trouble::Changed);
        }
        let low = job.given.seen(&mut conn, self.by_file).await?;
        let failed = |e| trouble(e, &name, "cannot begin a consistent read");
        conn.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await.map_err(failed)?;
        let mark = self.mark(&mut conn, low).await?;
        // nobody waits for it any more: there is nobody to tell
        let send = async |part| parts.send(Ok(part)).await.map_err(|_| Trouble::Changed);
        send(WholePart::Begun(mark, now_us())).await?;
        let limits = conditions(&[], job.filter.as_ref().map(|f| format!("(\n{f}\n)")));
        let sql = format!("SELECT {} FROM {}{limits}", shape.select, shape.from);
        let mut taking = Taking::new(shape, self.limits);
        let wires: Vec<&Wire> = shape.wires.iter().collect();
        let mut rows = Answer::begin(&mut conn, &wires, &sql).await.map_err(|e| e.of(&name))?;
        loop {
            let more = rows
                .take(|row| {
                    taking.row(row)?;
                    Ok(taking.batches.is_empty())
                })
                .await
                .map_err(|e| e.of(&name))?;
            if more == More::End {
                taking.close();
            }
            taking.check()?;
            for batch in taking.batches.drain(..) {
                send(WholePart::Rows(batch)).await?;
            }
            if more == More::End {
                return send(WholePart::End).await;
            }
        }
    }
}

fn conditions(bounds: &[String], more: Option<String>) -> String {
    let all: Vec<String> = bounds.iter().map(|b| format!("({b})")).chain(more).collect();
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// Bounds that cut the numbers between a table's least and largest key into equal parts; none if they are too few.
fn cut(ends: &Rows, parts: usize, chunk: usize) -> Vec<Bound> {
    let end = |at: usize| ends.rows.first()?.get(at)?.as_ref()?.parse::<i128>().ok();
    let (Some(least), Some(largest), Ok(parts)) = (end(0), end(1), i128::try_from(parts)) else {
        return Vec::new();
    };
    if largest - least < parts * 2 * chunk as i128 {
        return Vec::new();
    }
    (1..parts).map(|i| vec![(least + (largest - least) * i / parts).to_string()]).collect()
}

pub(super) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_cut_into_equal_parts() {
        let ends = |least: &str, largest: &str| Rows {
            names: vec![],
            rows: vec![vec![Some(least.to_owned()), Some(largest.to_owned())]],
        };
        assert_eq!(cut(&ends("1", "400001"), 4, 1000), [["100001"], ["200001"], ["300001"]]);
        assert!(cut(&ends("1", "1000"), 2, 1000).is_empty());
        assert!(cut(&Rows { names: vec![], rows: vec![vec![None, None]] }, 2, 10).is_empty());
        let far = cut(&ends("-9223372036854775808", "18446744073709551615"), 2, 10);
        assert_eq!(far, [["4611686018427387903"]]);
    }

    #[test]
    fn conditions_are_put_together() {
        assert_eq!(conditions(&[], None), "");
        assert_eq!(conditions(&["a > 1".into()], Some("(\nx\n)".into())), " WHERE (a > 1) AND (\nx\n)");
    }
}
