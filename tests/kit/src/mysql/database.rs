//! A database of one test, on a server that others use too.

use std::time::Duration;

use anyhow::Result;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};

/// A database of one test. Dropped with this value, so that a server that outlives the test is left clean.
#[derive(Debug)]
pub struct Database {
    name: String,
    opts: Opts,
}

impl Database {
    pub(super) fn new(name: String, opts: Opts) -> Self {
        Database { name, opts }
    }

    /// Its name: needs no quoting.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection as root with this database as its default.
    ///
    /// # Errors
    /// What the client reports.
    pub async fn connect(&self) -> Result<Conn> {
        Ok(Conn::new(OptsBuilder::from_opts(self.opts.clone()).db_name(Some(&self.name))).await?)
    }

    /// Runs statements, separated by `;`, in one session with this database as its default.
    ///
    /// # Errors
    /// The first statement that fails.
    pub async fn exec(&self, sql: &str) -> Result<()> {
        super::exec_on(self.connect().await?, sql).await
    }

    /// Runs one query and returns its rows.
    ///
    /// # Errors
    /// What the server reports.
    pub async fn query<T>(&self, sql: &str) -> Result<Vec<T>>
    where
        T: FromRow + Send + 'static,
    {
        super::query_on(self.connect().await?, sql).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (opts, name) = (self.opts.clone(), self.name.clone());
        // `drop` may run inside a runtime, which cannot be blocked on: a thread with its own.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            // The server may be stopped by now, and then there is nothing to clean.
            let work = async {
                if let Ok(mut conn) = Conn::new(opts).await {
                    let _ = conn.query_drop(format!("DROP DATABASE IF EXISTS `{name}`")).await;
                    let _ = conn.disconnect().await;
                }
            };
            let _ = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), work).await });
        });
        let _ = thread.join();
    }
}
