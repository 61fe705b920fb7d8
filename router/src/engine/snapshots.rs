//! What a source's own task is ordered to do: snapshots by hand, and the end of a quarantine.
//!
//! The task carries an order out itself, since what comes of it has its place among the changes; an order is answered when it
//! is durable.

use std::time::Duration;

use forebay_model::Fault;
use forebay_source::mysql::{self, Definition, SnapshotCommand, SnapshotStatus};
use forebay_store::DocKind;
use tokio::sync::oneshot;

use super::ingest::{Order, What};
use super::{Engine, assemble, codes};

/// How long a source may take to carry an order out. One that is not connected cannot.
const PATIENCE: Duration = Duration::from_secs(20);

impl Engine {
    /// How far a source's snapshots are, the oldest first.
    ///
    /// # Errors
    /// If there is no such source.
    pub async fn snapshots(&self, source: &str) -> Result<Vec<SnapshotStatus>, Fault> {
        let running = self.inner.running.lock().await;
        let source = running.sources.get(source).ok_or_else(|| no_source(source))?;
        Ok(source.reading.borrow().snapshots.clone())
    }

    /// Carries an order out; durable on return.
    ///
    /// # Errors
    /// If there is no such source, or no such route to take the snapshot for, if the source is not connected, or as
    /// [`mysql::Capture::command`](forebay_source::mysql::Capture::command).
    pub async fn order_snapshot(&self, source: &str, command: SnapshotCommand) -> Result<(), Fault> {
        if let SnapshotCommand::Begin(request) = &command
            && let Some(route) = &request.audience
            && self.store().get(DocKind::Routes, route)?.is_none_or(|d| d.value["source"] != source)
        {
            return Err(Fault::new(codes::UNKNOWN, format!("source {source} has no route {route}"))
                .fix("make the route first: its offset is then the place at which the snapshot reaches it"));
        }
        if let SnapshotCommand::Begin(request) = &command {
            let config = assemble::mysql_config(&self.source_def(source)?)?;
            mysql::check_snapshot(&config, request).await?;
        }
        self.order(source, What::Snapshot(command)).await
    }

    /// Ends a table's quarantine: `statements` are the CREATE TABLEs that were true when its events were written, in their
    /// order; none = what the server says now. Durable on return.
    ///
    /// # Errors
    /// If the table is not in quarantine, the definition cannot be read or does not fit the events, or the source is not connected.
    pub async fn release(
        &self,
        source: &str,
        database: &str,
        table: &str,
        statements: &[String],
    ) -> Result<(), Fault> {
        let mut given = statements.iter().map(|sql| Definition::of_statement(database, table, sql));
        let definition = match given.next() {
            Some(first) => given.try_fold(first?, |all, later| later.map(|later| all.then(later)))?,
            None => {
                let config = assemble::mysql_config(&self.source_def(source)?)?;
                Definition::of_server(&config, database, table).await?
            }
        };
        self.order(source, What::Release(definition)).await
    }

    /// Ends a table's quarantine without its events: they are dropped, and the table goes on from now. Answers how many those are.
    ///
    /// # Errors
    /// If the table is not in quarantine, or the source is not connected.
    pub async fn give_up(&self, source: &str, database: &str, table: &str) -> Result<u64, Fault> {
        let events = {
            let running = self.inner.running.lock().await;
            let reading = running.sources.get(source).ok_or_else(|| no_source(source))?.reading.borrow();
            let kept = reading.quarantined.iter().find(|q| q.database == database && q.table == table);
            kept.map_or(0, |q| q.events)
        };
        self.order(source, What::Release(Definition::given_up(database, table))).await?;
        Ok(events)
    }

    async fn order(&self, source: &str, what: What) -> Result<(), Fault> {
        let orders = {
            let running = self.inner.running.lock().await;
            running.sources.get(source).ok_or_else(|| no_source(source))?.orders.clone()
        };
        let absent = || {
            Fault::new(codes::NOT_CONNECTED, format!("source {source} is not connected to its server"))
                .fix("see the source's own fault; try again once it reads")
        };
        let (done, answer) = oneshot::channel();
        orders.try_send(Order { what, done }).map_err(|_| absent())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            // its session ended, or has not begun: whether it was carried out is seen in the list
            Ok(Err(_)) | Err(_) => Err(absent()),
        }
    }
}

fn no_source(name: &str) -> Fault {
    Fault::new(codes::UNKNOWN, format!("there is no source {name}"))
}
