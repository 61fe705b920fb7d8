//! What can be done to a running engine by hand: pause, resume, move an offset; and what it says of itself.

use forebay_changelog::Log;
use forebay_model::{Fault, Offset};
use forebay_source::mysql::{self, Quarantined};
use forebay_store::Checkpoint;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::{CountsView, PluginStatus, RouteStatus, SourceState, SourceStatus, Status};
use super::supervise::{RunningRoute, RunningSource};
use super::{Engine, TransformsRun, assemble, codes, history};
use crate::definition::{Guard, RouteDef, SourceDef};

/// Where a route's offset is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OffsetTarget {
    /// The oldest offset that the changelog holds: everything is delivered again.
    Earliest,
    /// One past the newest: what has not been delivered is skipped.
    Head,
    /// This one.
    Offset(u64),
    /// The first event committed at or after this time, in milliseconds since 1970.
    TimeMs(u64),
}

impl Engine {
    /// Everything at a glance.
    pub async fn status(&self) -> Status {
        let running = self.inner.running.lock().await;
        let sources = running.sources.iter().map(|(name, source)| source_status(name, source)).collect();
        let mut routes = Vec::with_capacity(running.routes.len());
        for (name, route) in &running.routes {
            let head =
                running.sources.get(&route.def.source).and_then(|s| s.log.as_ref()).map_or(0, |l| l.head());
            routes.push(self.route_status(name, route, head));
        }
        Status { version: env!("CARGO_PKG_VERSION").to_owned(), sources, routes }
    }

    /// Stops a route until it is resumed; a restart does not resume it.
    ///
    /// # Errors
    /// If there is no such route, or the store fails.
    pub async fn pause(&self, name: &str) -> Result<(), Fault> {
        self.change_route(name, async |at| Ok(Checkpoint { paused: true, ..at })).await
    }

    /// Starts a paused or failed route.
    ///
    /// # Errors
    /// If there is no such route, or the store fails.
    pub async fn resume(&self, name: &str) -> Result<(), Fault> {
        self.change_route(name, async |at| Ok(Checkpoint { paused: false, ..at })).await
    }

    /// Stops a route, changes its checkpoint durably, and starts it again.
    pub(super) async fn change_route(
        &self,
        name: &str,
        change: impl AsyncFnOnce(Checkpoint) -> Result<Checkpoint, Fault>,
    ) -> Result<(), Fault> {
        let changed = {
            let mut running = self.inner.running.lock().await;
            running.routes.remove(name).ok_or_else(|| no_route(name))?.stop().await;
            let checkpoints = &self.inner.parts.checkpoints;
            match change(checkpoints.get(name).unwrap_or_default()).await {
                Ok(checkpoint) => checkpoints.set_now(name, checkpoint).await,
                Err(fault) => Err(fault),
            }
        };
        // starts it again, changed or not
        let started = self.reconcile().await;
        changed.and(started)
    }

    /// A route with its source and that one's changelog.
    pub(super) async fn route_and_source(&self, name: &str) -> Result<(Log, RouteDef, SourceDef), Fault> {
        let running = self.inner.running.lock().await;
        let def = running.routes.get(name).ok_or_else(|| no_route(name))?.def.clone();
        let source = running.sources.get(&def.source).ok_or_else(|| no_log(&def.source))?;
        Ok((source.log.clone().ok_or_else(|| no_log(&def.source))?, def, source.def.clone()))
    }

    /// A source and its changelog.
    pub(super) async fn source_and_log(&self, name: &str) -> Result<(Log, SourceDef), Fault> {
        let log = self.log_of_source(name).await?;
        let running = self.inner.running.lock().await;
        let source = running.sources.get(name).ok_or_else(|| no_log(name))?;
        Ok((log, source.def.clone()))
    }

    /// The changelog of a source.
    pub(super) async fn log_of_source(&self, name: &str) -> Result<Log, Fault> {
        let running = self.inner.running.lock().await;
        let unknown = || Fault::new(codes::UNKNOWN, format!("there is no source {name}"));
        running.sources.get(name).ok_or_else(unknown)?.log.clone().ok_or_else(|| no_log(name))
    }

    /// Which transforms a route ran with, oldest first.
    ///
    /// # Errors
    /// If there is no such route, or the store fails.
    pub async fn transforms_of(&self, name: &str) -> Result<Vec<TransformsRun>, Fault> {
        self.inner.running.lock().await.routes.get(name).ok_or_else(|| no_route(name))?;
        history::read(&self.inner.parts.store, name)
    }

    /// Up to which offset a route runs with the transforms of then; `None` = it does not.
    ///
    /// # Errors
    /// If the store fails.
    pub fn replays_until(&self, name: &str) -> Result<Option<Offset>, Fault> {
        let at = self.inner.parts.checkpoints.get(name).unwrap_or_default();
        super::replay::until(&self.inner.parts.store, name, &at)
    }

    /// What nobody is to see of a source without asking for it.
    pub(super) async fn guard_of_source(&self, name: &str) -> Result<Guard, Fault> {
        let running = self.inner.running.lock().await;
        let unknown = || Fault::new(codes::UNKNOWN, format!("there is no source {name}"));
        Ok(Guard::of_source(&running.sources.get(name).ok_or_else(unknown)?.def))
    }

    /// Asks a source's server for everything that Forebay demands of it.
    ///
    /// # Errors
    /// If there is no such source or its server cannot be reached.
    pub async fn check_source(&self, def: &SourceDef) -> Result<Vec<mysql::Check>, Fault> {
        mysql::preflight(&assemble::mysql_config(def)?).await
    }

    fn route_status(&self, name: &str, route: &RunningRoute, head: Offset) -> RouteStatus {
        let at = self.inner.parts.checkpoints.get(name).unwrap_or_default();
        let health = route.progress.0.borrow().clone();
        let c = &at.counts;
        RouteStatus {
            name: name.to_owned(),
            source: route.def.source.clone(),
            sink: route.def.sink.kind().to_owned(),
            state: health.state,
            fault: health.fault,
            offset: at.offset,
            epoch: at.epoch,
            head,
            lag_events: head.saturating_sub(at.offset),
            counts: CountsView { read: c.read, delivered: c.delivered, filtered: c.filtered, dead: c.dead },
            dead_letters: self.inner.parts.store.count_dead_letters(name).unwrap_or_default(),
            plugins: self
                .inner
                .parts
                .meters
                .read(name)
                .into_iter()
                .map(|(plugin, usage)| PluginStatus::new(plugin, usage))
                .collect(),
        }
    }
}

fn no_route(name: &str) -> Fault {
    Fault::new(codes::UNKNOWN, format!("there is no route {name}"))
}

fn no_log(source: &str) -> Fault {
    Fault::new(codes::NO_LOG, format!("the changelog of source {source} is not open"))
        .fix("see the source's own fault")
}

fn source_status(name: &str, source: &RunningSource) -> SourceStatus {
    let reading = source.reading.borrow().clone();
    let log = source.log.as_ref().map(|log| (log.state(), log.position()));
    let mut waits_for = log.as_ref().and_then(|(state, _)| state.paused.clone());
    if let Some(first) = reading.quarantined.first()
        && source.log.as_ref().is_some_and(Log::is_full)
    {
        waits_for = Some(held_by(name, first, reading.quarantined.len() - 1));
    }
    SourceStatus {
        name: name.to_owned(),
        state: match reading.state {
            SourceState::Running if waits_for.is_some() => SourceState::Full,
            state => state,
        },
        fault: reading.fault,
        position: log.as_ref().and_then(|(_, position)| position.clone()).map(Into::into),
        first: log.as_ref().map_or(0, |(state, _)| state.first),
        head: log.as_ref().map_or(0, |(state, _)| state.head),
        log_bytes: log.as_ref().map_or(0, |(state, _)| state.bytes),
        waits_for,
        bytes_read: reading.bytes_read,
        lag_ms: reading.lag_ms,
        server_version: reading.server_version,
        tls: reading.tls,
        quarantined: reading.quarantined,
        cautions: reading.cautions,
    }
}

/// Why a full changelog cannot forget anything while a table is in quarantine.
fn held_by(source: &str, table: &Quarantined, more: usize) -> String {
    let name = format!("{}.{}", table.database, table.table);
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    format!(
        "the changelog has reached its disk limit, and table {name}{more} is in quarantine: what was read since {} is kept until \
         that is over; say what the table looked like (forebay release {source} {name}), or raise disk_limit_bytes",
        table.since
    )
}
