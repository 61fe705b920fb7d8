//! MySQL servers: one that a test process shares, and private ones for the tests that stop, kill or retune theirs.
//!
//! A [`Server`] holds no connection, only an address, so every test's own runtime can use the shared one. Each call
//! that runs SQL opens a connection and closes it. A server and its folder are gone when its value is dropped or
//! this process ends, however it ends.

mod database;

use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};
use tokio::sync::OnceCell;

use crate::{Flavour, eventually, script};
pub use database::Database;

async fn exec_on(mut conn: Conn, sql: &str) -> Result<()> {
    conn.query_drop(sql)
        .await
        .with_context(|| format!("in: {}", sql.chars().take(200).collect::<String>()))?;
    conn.disconnect().await?;
    Ok(())
}

async fn query_on<T: FromRow + Send + 'static>(mut conn: Conn, sql: &str) -> Result<Vec<T>> {
    let rows = conn.query(sql).await.with_context(|| format!("in: {sql}"))?;
    conn.disconnect().await?;
    Ok(rows)
}

/// The MySQL of this test process: started on first use, or the one that `FOREBAY_MYSQL` names.
///
/// Tests share it, so each takes a [`Database`] of its own and none stops it.
///
/// # Panics
/// When no server can be had, with what `scripts/mysql` said.
pub async fn mysql() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let server = match std::env::var("FOREBAY_MYSQL") {
                Ok(url) if !url.is_empty() => Server::at(url),
                _ => Server::start(&[]).await,
            };
            match server {
                Ok(server) => server,
                Err(e) => panic!("no MySQL for the tests: {e:#}"),
            }
        })
        .await
}

/// The MariaDB of this test process: as [`mysql`], with `FOREBAY_MARIADB`.
///
/// # Panics
/// When no server can be had, with what `scripts/mariadb` said.
pub async fn mariadb() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let server = match std::env::var("FOREBAY_MARIADB") {
                Ok(url) if !url.is_empty() => Server::at(url),
                _ => Server::start_mariadb(&[]).await,
            };
            match server {
                Ok(server) => server,
                Err(e) => panic!("no MariaDB for the tests: {e:#}"),
            }
        })
        .await
}

/// A running MySQL and the way to reach it as root.
#[derive(Debug)]
pub struct Server {
    url: String,
    opts: Opts,
    private: Option<Private>,
}

#[derive(Debug)]
struct Private {
    flavour: Flavour,
    dir: PathBuf,
    options: Vec<String>,
    /// While this pipe is open, the server lives: at its end the script's watch kills it. `None`: it is kept.
    _lifeline: Option<ChildStdin>,
}

/// A login for change data capture, made by [`Server::cdc_user`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdcUser {
    /// The account's name, for any host.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl Server {
    /// Starts a server that is this test's alone, with these options of mysqld beside those of `scripts/mysql`.
    ///
    /// # Errors
    /// When it does not come up, with the end of its error log.
    pub async fn start(options: &[&str]) -> Result<Self> {
        Self::start_own(Flavour::MySql, options).await
    }

    /// As [`Server::start`], a MariaDB.
    ///
    /// # Errors
    /// When it does not come up, with the end of its error log.
    pub async fn start_mariadb(options: &[&str]) -> Result<Self> {
        Self::start_own(Flavour::MariaDb, options).await
    }

    async fn start_own(flavour: Flavour, options: &[&str]) -> Result<Self> {
        Self::run(flavour, options, move |options| {
            let dir = script::folder()?;
            let (url, lifeline) = script::up(flavour, &dir, "remove", options)?;
            Ok((url, dir, Some(lifeline)))
        })
        .await
    }

    /// As [`Server::start`], in a folder of the caller's that stays, with the data that are there. With `keep` the
    /// server goes on when this process ends.
    ///
    /// # Errors
    /// When it does not come up, with the end of its error log.
    pub async fn start_in(dir: &Path, options: &[&str], keep: bool) -> Result<Self> {
        let dir = dir.to_owned();
        Self::run(Flavour::MySql, options, move |options| {
            if keep {
                return Ok((script::act(Flavour::MySql, "up", &dir, options)?, dir, None));
            }
            let (url, lifeline) = script::up(Flavour::MySql, &dir, "kill", options)?;
            Ok((url, dir, Some(lifeline)))
        })
        .await
    }

    async fn run<F>(flavour: Flavour, options: &[&str], up: F) -> Result<Self>
    where
        F: FnOnce(&[String]) -> Result<(String, PathBuf, Option<ChildStdin>)> + Send + 'static,
    {
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        let run = move || {
            let (url, dir, lifeline) = up(&options)?;
            Ok(Self {
                private: Some(Private { flavour, dir, options, _lifeline: lifeline }),
                ..Self::at(url)?
            })
        };
        tokio::task::spawn_blocking(run).await?
    }

    fn at(url: String) -> Result<Self> {
        let opts = Opts::from_url(&url).context("the URL of the MySQL server")?;
        Ok(Self { url, opts, private: None })
    }

    /// `mysql://root@127.0.0.1:PORT`, or what `FOREBAY_MYSQL` says.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Name or address of the host.
    pub fn host(&self) -> &str {
        self.opts.ip_or_hostname()
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.opts.tcp_port()
    }

    /// The administrator's name.
    pub fn user(&self) -> &str {
        self.opts.user().unwrap_or("root")
    }

    /// The administrator's password; usually none.
    pub fn password(&self) -> Option<&str> {
        self.opts.pass()
    }

    /// The folder of a private server: `data/` with its binlogs, `error.log`.
    ///
    /// # Errors
    /// When the server is not ours.
    pub fn dir(&self) -> Result<&Path> {
        Ok(&self.private()?.dir)
    }

    /// A connection as root.
    ///
    /// # Errors
    /// What the client reports.
    pub async fn connect(&self) -> Result<Conn> {
        Ok(Conn::new(self.opts.clone()).await?)
    }

    /// A connection as another user.
    ///
    /// # Errors
    /// What the client reports.
    pub async fn connect_as(&self, user: &CdcUser) -> Result<Conn> {
        let opts =
            OptsBuilder::from_opts(self.opts.clone()).user(Some(&user.name)).pass(Some(&user.password));
        Ok(Conn::new(opts).await?)
    }

    /// Runs statements, separated by `;`, in one session.
    ///
    /// # Errors
    /// The first statement that fails.
    pub async fn exec(&self, sql: &str) -> Result<()> {
        exec_on(self.connect().await?, sql).await
    }

    /// Runs one query and returns its rows, each as a tuple or a single value.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn query<T>(&self, sql: &str) -> Result<Vec<T>>
    where
        T: FromRow + Send + 'static,
    {
        query_on(self.connect().await?, sql).await
    }

    /// A new database that is dropped with the value. `prefix` is kept short and shows in the name.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn database(&self, prefix: &str) -> Result<Database> {
        let name = unique(prefix);
        self.exec(&format!("CREATE DATABASE `{name}`")).await?;
        Ok(Database::new(name, self.opts.clone()))
    }

    /// A new account with exactly these grants, each like `"SELECT ON shop.*"`.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn cdc_user(&self, grants: &[&str]) -> Result<CdcUser> {
        let user = CdcUser { name: unique("cdc"), password: "a Secret: 'quoted' & long".into() };
        let mut conn = self.connect().await?;
        let password = user.password.replace('\'', "''");
        conn.query_drop(format!("CREATE USER `{}`@'%' IDENTIFIED BY '{password}'", user.name)).await?;
        for grant in grants {
            conn.query_drop(format!("GRANT {grant} TO `{}`@'%'", user.name)).await?;
        }
        conn.disconnect().await?;
        Ok(user)
    }

    /// Kills every connection that reads the binlog of this server, of other tests too. Returns how many there were.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn kill_dump_threads(&self) -> Result<usize> {
        let mut conn = self.connect().await?;
        let threads: Vec<u64> = conn
            .query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
            .await?;
        for id in &threads {
            match conn.query_drop(format!("KILL {id}")).await {
                // 1094: it has gone by itself meanwhile.
                Err(mysql_async::Error::Server(e)) if e.code == 1094 => {}
                done => done?,
            }
        }
        conn.disconnect().await?;
        Ok(threads.len())
    }

    /// Stops the server cleanly: it finishes what runs and closes every connection. Its data stay.
    ///
    /// # Errors
    /// When it is not ours, or still there after a minute.
    pub async fn stop(&self) -> Result<()> {
        self.act("down").await
    }

    /// SIGKILL: transactions that run are lost, committed ones are not.
    ///
    /// # Errors
    /// When the server is not ours.
    pub async fn kill9(&self) -> Result<()> {
        self.act("kill").await
    }

    /// Starts a stopped or killed server again, on the same port with the same data and options.
    ///
    /// # Errors
    /// When it does not come up, with the end of its error log.
    pub async fn start_again(&self) -> Result<()> {
        self.act("up").await
    }

    /// Stops the server cleanly and starts it again.
    ///
    /// # Errors
    /// As [`Server::stop`] and [`Server::start_again`].
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    fn private(&self) -> Result<&Private> {
        self.private.as_ref().context("this server is not ours to stop: use Server::start")
    }

    async fn act(&self, verb: &'static str) -> Result<()> {
        let Private { flavour, dir, options, .. } = self.private()?;
        let flavour = *flavour;
        let (dir, options) = (dir.clone(), if verb == "up" { options.clone() } else { Vec::new() });
        tokio::task::spawn_blocking(move || script::act(flavour, verb, &dir, &options)).await??;
        if verb == "up" {
            let check = || async { self.query::<u32>("SELECT 1").await };
            eventually("MySQL answers again", Duration::from_secs(30), check).await;
        }
        Ok(())
    }

    /// The end of the binlog: file name, offset in bytes, executed GTIDs.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn binlog_end(&self) -> Result<(String, u64, String)> {
        let rows: Vec<mysql_async::Row> = match self.query("SHOW BINARY LOG STATUS").await {
            Ok(rows) => rows,
            Err(_) => self.query("SHOW MASTER STATUS").await?, // before 8.2, and MariaDB
        };
        ensure!(!rows.is_empty(), "the server writes no binlog");
        let row = &rows[0];
        let (file, offset) = (row.get(0).context("a file")?, row.get(1).context("an offset")?);
        let gtids: String = match row.get(4) {
            Some(gtids) => gtids,
            None => self.query("SELECT @@GLOBAL.gtid_binlog_pos").await?.remove(0),
        };
        Ok((file, offset, gtids.replace('\n', "")))
    }
}

/// `prefix_PID_N`: unique among the processes that share a server.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let tail = format!("_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let head: String = prefix
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    // A user's name may have 32 characters.
    head[..head.len().min(32 - tail.len())].to_owned() + &tail
}

#[cfg(test)]
mod tests;
