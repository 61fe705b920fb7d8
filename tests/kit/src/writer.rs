//! A live writer: a realistic mix of changes on one table of its own, the same for the same seed, with a record of what was
//! committed.
//!
//! Every key carries a version that grows by one with each change, over deletes and new inserts of the key too, so a
//! reader of the change stream can tell order, loss and repeats per key. The writer lives through restarts of the
//! server: when a connection breaks in the middle of a transaction it finds out whether that was committed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Database, Numbers};

const COLUMNS: &str = "(
  id BIGINT UNSIGNED PRIMARY KEY,
  version INT UNSIGNED NOT NULL,
  name VARCHAR(100) NOT NULL,
  email VARCHAR(100),
  phone VARCHAR(20) NOT NULL,
  state VARCHAR(3) NOT NULL,
  balance DECIMAL(12,2) NOT NULL,
  note TEXT,
  enabled BOOLEAN NOT NULL
)";

const NAMES: [&str; 8] = [
    "Alice O'Hara",
    "Bob",
    "Карл",
    "Dörte Müßig",
    "李雷",
    "Eve \\ Backslash",
    "Zoë 🏋",
    "an ordinary, somewhat longer name",
];
const STATES: [&str; 6] = ["NSW", "VIC", "QLD", "WA", "SA", "TAS"];
/// Keys come from this range, so that updates, deletes and second inserts of a key all happen.
const KEYS: u64 = 5_000;
/// How long a server may be away before the writer gives up.
const AWAY: Duration = Duration::from_secs(60);

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The key had no row.
    Inserted,
    /// The key had a row, with the version before this one.
    Updated,
    /// The row is gone; the change's version is one more than the row's, which the deleted image still shows.
    Deleted,
}

/// One committed change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub id: u64,
    /// The key's version after the change.
    pub version: u32,
    /// What happened.
    pub outcome: Outcome,
}

/// A row of `accounts` as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Grows with every change of the key.
    pub version: u32,
    /// Text with quotes, backslashes and all planes of Unicode.
    pub name: String,
    /// A third of the rows have none.
    pub email: Option<String>,
    /// Digits.
    pub phone: String,
    /// A state of Australia.
    pub state: String,
    /// DECIMAL(12,2) as MySQL prints it.
    pub balance: String,
    /// Up to some 2,000 characters, or none.
    pub note: Option<String>,
    /// A BOOLEAN.
    pub enabled: bool,
}

/// Writes to a table of one database, `accounts` unless it is told another name.
#[derive(Debug)]
pub struct Writer {
    opts: mysql_async::Opts,
    database: String,
    table: &'static str,
    numbers: Numbers,
    conn: Option<Conn>,
    rows: BTreeMap<u64, Row>,
    versions: BTreeMap<u64, u32>,
    changes: Vec<Change>,
    committed: Arc<AtomicUsize>,
}

/// A writer at work in the background.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    work: JoinSet<Result<Writer>>,
    committed: Arc<AtomicUsize>,
}

impl Running {
    /// How many changes have been committed so far.
    pub fn committed(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    /// Lets the writer finish its transaction and returns it.
    ///
    /// # Errors
    /// Why it had stopped by itself.
    pub async fn stop(mut self) -> Result<Writer> {
        self.stop.send_replace(true);
        self.work.join_next().await.context("the writer is one task")??
    }
}

impl Writer {
    /// Makes the table `accounts`.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn new(database: &Database, seed: u64) -> Result<Self> {
        Self::of(database, "accounts", seed).await
    }

    /// Makes a table of this name: two writers beside each other do more than one.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn of(database: &Database, table: &'static str, seed: u64) -> Result<Self> {
        let mut conn = database.connect().await?;
        conn.query_drop(format!("CREATE TABLE {table} {COLUMNS}")).await?;
        Ok(Self {
            opts: conn.opts().clone(),
            database: database.name().to_owned(),
            table,
            numbers: Numbers::new(seed),
            conn: Some(conn),
            rows: BTreeMap::new(),
            versions: BTreeMap::new(),
            changes: Vec::new(),
            committed: Arc::default(),
        })
    }

    /// `DATABASE.accounts`, as it may be.
    pub fn table(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// The rows as they should be, by key.
    pub fn expected(&self) -> &BTreeMap<u64, Row> {
        &self.rows
    }

    /// Every committed change, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The rows as the server has them, by key.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn actual(&mut self) -> Result<BTreeMap<u64, Row>> {
        type Columns = (u64, u32, String, Option<String>, String, String, String, Option<String>, bool);
        let columns = "id, version, name, email, phone, state, CAST(balance AS CHAR), note, enabled";
        let sql = format!("SELECT {columns} FROM {}", self.table);
        let rows: Vec<Columns> = self.conn().await?.query(sql).await?;
        let row = |(id, version, name, email, phone, state, balance, note, enabled): Columns| {
            (id, Row { version, name, email, phone, state, balance, note, enabled })
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Commits `count` transactions, as fast as the server takes them.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn write(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.transaction().await?;
        }
        Ok(())
    }

    /// Goes on in the background with `rate` transactions a second until it is stopped.
    ///
    /// # Panics
    /// When `rate` is 0.
    pub fn start(mut self, rate: u32) -> Running {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
        let (stop, mut stopped) = watch::channel(false);
        let committed = Arc::clone(&self.committed);
        let mut work = JoinSet::new();
        work.spawn(async move {
            loop {
                tokio::select! {
                    // Also when the other end has been dropped.
                    _ = stopped.changed() => return Ok(self),
                    _ = pace.tick() => {}
                }
                self.transaction().await?;
            }
        });
        Running { stop, work, committed }
    }

    async fn transaction(&mut self) -> Result<()> {
        // Mostly one row, now and then some, seldom many; each key once.
        let size = match self.numbers.below(100) {
            0..60 => 1,
            60..90 => 2 + self.numbers.below(9),
            _ => 50 + self.numbers.below(150),
        };
        let mut after: BTreeMap<u64, Option<Row>> = BTreeMap::new();
        let mut changes = Vec::new();
        let mut sql = String::from("BEGIN");
        for _ in 0..size {
            let id = self.numbers.below(KEYS) + 1;
            if after.contains_key(&id) {
                continue;
            }
            let change = self.change(id);
            let row = (change.outcome != Outcome::Deleted).then(|| self.row(change.version));
            statement(&mut sql, self.table, &change, row.as_ref());
            after.insert(id, row);
            changes.push(change);
        }
        sql.push_str("; COMMIT");

        if let Err(e) = self.conn().await?.query_drop(&sql).await {
            let lost = matches!(e, mysql_async::Error::Io(_) | mysql_async::Error::Driver(_))
                || matches!(&e, mysql_async::Error::Server(s) if [1053, 1927, 3169].contains(&s.code));
            anyhow::ensure!(lost, "the writer's transaction failed: {e}");
            self.conn = None;
            let (&id, row) = after.first_key_value().context("a transaction has a change")?;
            if self.version_now(id).await? != row.as_ref().map(|r| r.version) {
                return Ok(()); // rolled back: as if it had never been
            }
        }
        for (id, row) in after {
            match row {
                Some(row) => self.rows.insert(id, row),
                None => self.rows.remove(&id),
            };
        }
        self.versions.extend(changes.iter().map(|c| (c.id, c.version)));
        self.changes.append(&mut changes);
        self.committed.store(self.changes.len(), Ordering::Release);
        Ok(())
    }

    fn change(&mut self, id: u64) -> Change {
        let version = self.versions.get(&id).map_or(1, |v| v + 1);
        let outcome = match (self.rows.contains_key(&id), self.numbers.below(100)) {
            (false, _) => Outcome::Inserted,
            (true, 0..75) => Outcome::Updated,
            (true, _) => Outcome::Deleted,
        };
        Change { id, version, outcome }
    }

    fn row(&mut self, version: u32) -> Row {
        let n = &mut self.numbers;
        let name = (*n.pick(&NAMES)).to_owned();
        let email = (n.below(3) > 0).then(|| format!("user{}@example.com", n.below(1_000_000)));
        let phone = format!("555-{:04}", n.below(10_000));
        let state = (*n.pick(&STATES)).to_owned();
        let cents = n.below(20_000_000) as i64 - 10_000_000;
        let sign = if cents < 0 { "-" } else { "" };
        let balance = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
        let note = (n.below(2) > 0).then(|| NAMES[n.below(8) as usize].repeat(n.below(64) as usize));
        Row { version, name, email, phone, state, balance, note, enabled: n.below(2) > 0 }
    }

    /// The version of a key after a broken connection: waits for whatever still holds the row.
    async fn version_now(&mut self, id: u64) -> Result<Option<u32>> {
        let sql = format!("SELECT version FROM {} WHERE id = {id} FOR UPDATE", self.table);
        Ok(self.conn().await?.query_first(sql).await?)
    }

    /// The connection, made anew if it broke; waits for a server that is away.
    async fn conn(&mut self) -> Result<&mut Conn> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let connect = || Conn::new(self.opts.clone());
                crate::eventually("the writer has its server back", AWAY, connect).await
            }
        };
        Ok(self.conn.insert(conn))
    }
}

/// `'...'`, as MySQL reads it with its usual sql_mode.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn statement(sql: &mut String, table: &str, change: &Change, row: Option<&Row>) {
    let id = change.id;
    let Some(r) = row else {
        let _ = write!(sql, "; DELETE FROM {table} WHERE id = {id}");
        return;
    };
    let optional = |text: &Option<String>| text.as_deref().map_or("NULL".into(), quoted);
    let _ = write!(
        sql,
        "; {} {table} SET version = {}, name = {}, email = {}, phone = {}, state = {}, balance = {}, note = {}, enabled = {}",
        if change.outcome == Outcome::Inserted { "INSERT INTO" } else { "UPDATE" },
        r.version,
        quoted(&r.name),
        optional(&r.email),
        quoted(&r.phone),
        quoted(&r.state),
        r.balance,
        optional(&r.note),
        r.enabled
    );
    let _ = match change.outcome {
        Outcome::Inserted => write!(sql, ", id = {id}"),
        _ => write!(sql, " WHERE id = {id}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Server, eventually, mysql};

    #[tokio::test]
    async fn knows_what_it_wrote() {
        let database = mysql().await.database("writer").await.unwrap();
        let mut writer = Writer::new(&database, 7).await.unwrap();
        writer.write(200).await.unwrap();
        assert_eq!(&writer.actual().await.unwrap(), writer.expected());
        let of = |outcome| writer.changes().iter().filter(|c| c.outcome == outcome).count();
        assert!(of(Outcome::Inserted) > 100 && of(Outcome::Updated) > 100 && of(Outcome::Deleted) > 10);
    }

    #[tokio::test]
    async fn writes_the_same_for_the_same_seed() {
        let (one, two) =
            (mysql().await.database("one").await.unwrap(), mysql().await.database("two").await.unwrap());
        let (mut one, mut two) = (Writer::new(&one, 3).await.unwrap(), Writer::new(&two, 3).await.unwrap());
        one.write(50).await.unwrap();
        two.write(50).await.unwrap();
        assert_eq!(one.changes(), two.changes());
        assert_eq!(one.expected(), two.expected());
    }

    #[tokio::test]
    async fn survives_a_crash_of_the_server() {
        let server = Server::start(&[]).await.unwrap();
        let database = server.database("writer").await.unwrap();
        let running = Writer::new(&database, 11).await.unwrap().start(1_000);
        for _ in 0..3 {
            let target = running.committed() + 500;
            let more = || async { running.committed() >= target };
            eventually("the writer gets on", Duration::from_secs(60), more).await;
            server.kill9().await.unwrap();
            server.start_again().await.unwrap();
        }
        let mut writer = running.stop().await.unwrap();
        assert_eq!(&writer.actual().await.unwrap(), writer.expected());
    }
}
