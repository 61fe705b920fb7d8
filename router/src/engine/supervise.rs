//! Starts, stops and restarts sources and routes until what runs is what is defined.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use forebay_changelog::Log;
use forebay_model::Fault;
use forebay_sink::policy::{self, Directive};
use forebay_store::{DocKind, Store};
use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::assemble::{self, Parts, Setup};
use super::ingest::{Ingest, LOOK_AGAIN, Order, Reading, rand};
use super::route::{self, Progress};
use super::status::{FaultView, RouteState, SourceState};
use super::{Engine, codes, until, versions};
use crate::definition::{Action, Guard, Plan, RouteDef, SourceDef, StartAt};

/// Orders that wait for a source; more are refused.
const ORDERS: usize = 16;

/// A source with its changelog. The changelog stays open while the reading restarts, so that routes go on.
pub(super) struct RunningSource {
    pub(super) def: SourceDef,
    /// `None` if the changelog could not be opened; `reading` says why.
    pub(super) log: Option<Log>,
    pub(super) reading: watch::Receiver<Reading>,
    pub(super) orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    task: Option<JoinHandle<Option<()>>>,
}

impl RunningSource {
    pub(super) async fn stop(self) -> Result<(), Fault> {
        self.stop.cancel();
        if let Some(task) = self.task {
            // a panic was already told as the source's fault
            let _ = task.await;
        }
        match self.log {
            Some(log) => log.close().await,
            None => Ok(()),
        }
    }
}

/// A route that should run, or is paused.
pub(super) struct RunningRoute {
    pub(super) def: RouteDef,
    /// What its task is to do.
    setup: watch::Sender<Setup>,
    pub(super) progress: Progress,
    stop: CancellationToken,
    task: Option<JoinHandle<Option<()>>>,
}

impl RunningRoute {
    /// Gives a running route what it is to do from now on. False if it has to be started anew for that.
    fn take(&self, setup: Setup) -> bool {
        let (is_same, is_alike) = {
            let now = self.setup.borrow();
            (*now == setup, now.differs_in_transforms_only(&setup))
        };
        if is_same {
            return true;
        }
        if !is_alike || self.task.is_none() {
            return false;
        }
        self.setup.send_replace(setup);
        // one that has stopped takes nothing any more; the order matters: it tells first and goes then
        self.progress.0.borrow().state != RouteState::Failed
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

impl Engine {
    /// Makes what runs the same as what is defined. What is unchanged is not touched.
    ///
    /// # Errors
    /// If the definitions cannot be read.
    pub async fn reconcile(&self) -> Result<(), Fault> {
        let sources: BTreeMap<String, SourceDef> = self.defined(DocKind::Sources)?;
        let routes: BTreeMap<String, RouteDef> = self.defined(DocKind::Routes)?;
        let mut running = self.inner.running.lock().await;

        // routes first: those that go, those whose definition, plugins or changelog change
        let old_sources: Vec<String> = running.sources.keys().cloned().collect();
        let reopened: Vec<String> = old_sources
            .into_iter()
            // one that could not start is started again: what was wrong may have been mended
            .filter(|name| {
                let old = &running.sources[name];
                old.task.is_none() || sources.get(name).is_none_or(|def| !reads_the_same(def, &old.def))
            })
            .collect();
        for (name, source) in &mut running.sources {
            if let Some(def) = sources.get(name).filter(|_| !reopened.contains(name)) {
                source.def = def.clone();
            }
        }
        let stale: Vec<String> = running
            .routes
            .iter()
            .filter(|(name, route)| {
                let setup = routes.get(*name).map(|def| setup(self.store(), def, &sources));
                reopened.contains(&route.def.source) || !setup.is_some_and(|setup| route.take(setup))
            })
            .map(|(name, _)| name.clone())
            .collect();
        for (name, route) in running.routes.iter_mut().filter(|(name, _)| !stale.contains(name)) {
            if let Some(def) = routes.get(name) {
                route.def = def.clone();
            }
        }
        for name in stale {
            if let Some(route) = running.routes.remove(&name) {
                route.stop().await;
            }
            if !routes.contains_key(&name) {
                self.inner.parts.meters.forget(&name);
                match self.inner.parts.checkpoints.forget(&name).await {
                    Ok(()) => tracing::info!(route = name, "route removed"),
                    Err(fault) => tracing::error!(route = name, "its checkpoint was not removed: {fault}"),
                }
            }
        }
        for name in reopened {
            if let Some(source) = running.sources.remove(&name)
                && let Err(fault) = source.stop().await
            {
                tracing::warn!(source = name, %fault, "the changelog was not closed cleanly");
            }
            if !sources.contains_key(&name) {
                self.remove_log(&name).await;
            }
        }
        let defined = sources.clone();
        for (name, def) in sources {
            if let Entry::Vacant(place) = running.sources.entry(name) {
                let source = self.start_source(place.key(), def).await;
                place.insert(source);
            }
        }
        for (name, def) in routes {
            if !running.routes.contains_key(&name) {
                let log = running.sources.get(&def.source).and_then(|s| s.log.clone());
                let setup = setup(self.store(), &def, &defined);
                let route = self.start_route(&name, def, setup, log).await;
                running.routes.insert(name, route);
            }
        }
        Ok(())
    }

    /// Starts again, now and then, what could not start: a secret's file may be there by now, a disk may have room.
    pub(super) async fn look_again(&self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let any = self.inner.running.lock().await.sources.values().any(|source| source.task.is_none());
            if any && let Err(fault) = self.reconcile().await {
                tracing::error!(code = fault.code().name, "{fault}");
            }
        }
    }

    /// All documents of a kind, by name.
    pub(super) fn defined<T: serde::de::DeserializeOwned>(
        &self,
        kind: DocKind,
    ) -> Result<BTreeMap<String, T>, Fault> {
        let documents = self.inner.parts.store.list(kind)?;
        let read = documents.into_iter().map(|d| {
            let value = serde_json::from_value(d.value).map_err(|error| {
                Fault::new(codes::UNREADABLE, format!("the stored definition of {kind} {} cannot be read", d.name))
                    .cause(error)
                    .fix("it was written by another version of Forebay: run that version, or delete and define it again")
            })?;
            Ok((d.name, value))
        });
        read.collect()
    }

    async fn start_source(&self, name: &str, def: SourceDef) -> RunningSource {
        let (tell, reading) = watch::channel(Reading::default());
        let (orders, taken) = mpsc::channel(ORDERS);
        let stop = self.inner.stop.child_token();
        let parts = &self.inner.parts;
        let opened = assemble::open_log(&parts.data_dir, name, &def).await;
        let config = assemble::mysql_config(&def);
        let (log, task) = match (opened, config) {
            (Ok(log), Ok(config)) => {
                let ingest = Ingest {
                    name: name.to_owned(),
                    config,
                    begin: assemble::begin(&def),
                    log: log.clone(),
                    reading: tell.clone(),
                    settings: assemble::snapshot_settings(&def),
                    takes_snapshots: def.takes_snapshots(),
                    orders: taken,
                    carried: Vec::new(),
                };
                let name = name.to_owned();
                let work = async move {
                    if AssertUnwindSafe(ingest.run()).catch_unwind().await.is_err() {
                        fail(&tell, &panicked(&format!("source {name}")));
                    }
                };
                (Some(log), Some(self.inner.tasks.spawn(until(stop.clone(), work))))
            }
            (log, config) => {
                if let Some(fault) = log.as_ref().err().or(config.as_ref().err()) {
                    tracing::error!(source = name, code = fault.code().name, "{fault}");
                    fail(&tell, fault);
                }
                (log.ok(), None)
            }
        };
        RunningSource { def, log, reading, orders, stop, task }
    }

    async fn start_route(&self, name: &str, def: RouteDef, setup: Setup, log: Option<Log>) -> RunningRoute {
        let parts = &self.inner.parts;
        let progress = Progress::new();
        let mut route = RunningRoute {
            def,
            setup: watch::Sender::new(setup),
            progress: progress.clone(),
            stop: self.inner.stop.child_token(),
            task: None,
        };
        let Some(log) = log else {
            let fault = Fault::new(
                codes::NO_LOG,
                format!("the changelog of source {} is not open", route.def.source),
            )
            .fix("see the source's own fault");
            progress.trouble(RouteState::Failed, &fault, 1, None);
            return route;
        };
        let at = match parts.checkpoints.get(name) {
            Some(at) => at,
            None => {
                let offset = match route.def.from {
                    StartAt::Earliest => log.first(),
                    StartAt::Now => log.head(),
                };
                let at = forebay_store::Checkpoint {
                    paused: route.def.paused,
                    ..route::begin(offset, None, &log)
                };
                if let Err(fault) = parts.checkpoints.set_now(name, at).await {
                    progress.trouble(RouteState::Failed, &fault, 1, None);
                    return route;
                }
                at
            }
        };
        if at.paused {
            progress.set(RouteState::Paused);
            return route;
        }
        let work = run_route(parts.clone(), log, name.to_owned(), route.setup.subscribe(), progress);
        route.task = Some(self.inner.tasks.spawn(until(route.stop.clone(), work)));
        route
    }

    /// A crash between the deletion of a definition and that of what belonged to it leaves a changelog or a checkpoint behind: a
    /// new source or route of that name must not take it for its own.
    pub(super) async fn clear_leftovers(&self, plan: &Plan) -> Result<(), Fault> {
        for step in plan.steps.iter().filter(|s| s.action == Action::Create) {
            match step.kind {
                DocKind::Sources if self.log_dir(&step.name).exists() => {
                    tracing::warn!(
                        source = step.name,
                        "the changelog of an earlier source of this name is deleted"
                    );
                    self.remove_log(&step.name).await;
                }
                DocKind::Routes => self.inner.parts.checkpoints.forget(&step.name).await?,
                _ => {}
            }
        }
        Ok(())
    }

    fn log_dir(&self, source: &str) -> PathBuf {
        self.inner.parts.data_dir.join("sources").join(source)
    }

    async fn remove_log(&self, source: &str) {
        let dir = self.log_dir(source);
        match tokio::fs::remove_dir_all(&dir).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(source, %error, "the changelog of the removed source could not be deleted: {}", dir.display());
            }
            _ => tracing::info!(source, "source removed"),
        }
    }
}

/// A route's life: opened, run, opened again after what passes, until something stops it.
async fn run_route(
    parts: Parts,
    log: Log,
    name: String,
    mut setup: watch::Receiver<Setup>,
    progress: Progress,
) {
    let mut attempt = 0;
    loop {
        setup.mark_unchanged();
        let life = async {
            let opened = assemble::open_route(&parts, log.clone(), &name, setup.clone(), progress.clone());
            let route = opened.await?;
            Err::<std::convert::Infallible, Fault>(route.run().await)
        };
        let before = parts.checkpoints.get(&name).map(|at| at.offset);
        let fault = match AssertUnwindSafe(life).catch_unwind().await {
            Ok(Err(fault)) => fault,
            Err(_) => panicked(&format!("route {name}")),
        };
        attempt = if parts.checkpoints.get(&name).map(|at| at.offset) == before { attempt + 1 } else { 1 };
        match policy::decide(fault.class(), attempt, fault.wait_asked(), rand()) {
            Directive::Retry { after } => {
                tracing::warn!(route = name, code = fault.code().name, ?after, "{fault}");
                progress.trouble(RouteState::Retrying, &fault, attempt, Some(after));
                // what is wrong may be what changes
                tokio::select! {
                    () = tokio::time::sleep(after) => {}
                    Ok(()) = setup.changed() => {}
                }
            }
            Directive::Isolate | Directive::Stop => {
                tracing::error!(route = name, code = fault.code().name, "the route stopped: {fault}");
                progress.trouble(RouteState::Failed, &fault, attempt, None);
                // who changed the route just now may have seen it running still
                if !setup.has_changed().unwrap_or(false) {
                    return;
                }
            }
        }
    }
}

/// What a route is to do.
fn setup(store: &Store, def: &RouteDef, sources: &BTreeMap<String, SourceDef>) -> Setup {
    let components = def.transforms.iter().map(|t| versions::stored(store, t).ok()).collect();
    let guard = sources.get(&def.source).map(|source| Guard::new(source, def)).unwrap_or_default();
    Setup { components, guard, def: def.clone() }
}

/// Whether a source with this definition reads what one with the other reads: its tags are for routes.
fn reads_the_same(a: &SourceDef, b: &SourceDef) -> bool {
    let untagged = |def: &SourceDef| SourceDef { tags: BTreeMap::new(), ..def.clone() };
    untagged(a) == untagged(b)
}

fn panicked(who: &str) -> Fault {
    Fault::new(codes::PANIC, format!("{who} met a defect of Forebay"))
        .fix("see the log, report it, then resume")
}

fn fail(reading: &watch::Sender<Reading>, fault: &Fault) {
    reading.send_modify(|r| {
        r.state = SourceState::Failed;
        r.fault = Some(FaultView::new(fault, 1, Some(LOOK_AGAIN)));
    });
}
