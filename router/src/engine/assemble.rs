//! Definition -> running parts: the one place that knows them all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_changelog::{Log, Options, Retention};
use forebay_model::Fault;
use forebay_sink::{Mark, Opening};
use forebay_source::mysql;
use forebay_store::Store;
use forebay_transform::{Config, Host, Limits, Plugin};
use tokio::sync::watch;

use super::chain::{Chain, Step};
use super::checkpoints::Checkpoints;
use super::codes;
use super::history::TransformRun;
use super::ingest::Begin;
use super::later::Later;
use super::letters::Letters;
use super::meters::Meters;
use super::replay::Past;
use super::route::{Progress, Route};
use super::select::Selection;
use super::versions;
use crate::definition::{self, Guard, RetainDef, RouteDef, SourceDef, StartAt, TlsDef, TransformDef, Wanted};

/// What every route and source of a node shares.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) host: Host,
    pub(super) checkpoints: Checkpoints,
    pub(super) meters: Meters,
    pub(super) data_dir: std::path::PathBuf,
}

/// How the source crate sees a source.
pub(super) fn mysql_config(def: &SourceDef) -> Result<mysql::Config, Fault> {
    let m = &def.mysql;
    Ok(mysql::Config {
        host: m.host.clone(),
        port: m.port,
        // their form was checked when the definition was taken
        hosts: m.hosts.iter().filter_map(|host| host.parse().ok()).collect(),
        user: m.user.clone(),
        password: m.password.as_ref().map(definition::resolve_secret).transpose()?,
        tls: match &m.tls {
            TlsDef::Disabled => mysql::Tls::Disabled,
            TlsDef::Preferred => mysql::Tls::Preferred,
            TlsDef::Required => mysql::Tls::Required,
            TlsDef::VerifyCa { ca } => mysql::Tls::VerifyCa { ca: ca.clone() },
            TlsDef::VerifyIdentity { ca } => mysql::Tls::VerifyIdentity { ca: ca.clone() },
        },
        server_id: m.server_id,
        tables: def.tables.clone(),
    })
}

/// How the source crate is to read snapshots.
pub(super) fn snapshot_settings(def: &SourceDef) -> mysql::SnapshotSettings {
    let set = &def.snapshots;
    let default = mysql::SnapshotSettings::default();
    mysql::SnapshotSettings {
        replica: set.replica.as_ref().map(|replica| (replica.host.clone(), replica.port)),
        readers: set.readers.map_or(default.readers, |n| n as usize),
        chunk_rows: set.chunk_rows.map_or(default.chunk_rows, |n| n as usize),
        new_tables: def.takes_snapshots(),
        ..default
    }
}

pub(super) fn begin(def: &SourceDef) -> Begin {
    match def.start {
        StartAt::Earliest => Begin::Earliest,
        StartAt::Now => Begin::Now,
    }
}

/// Without a word on it, a day: that is what makes a replay, and a route that is added later, worth something.
fn retention(def: &RetainDef) -> Retention {
    let hours = if *def == RetainDef::default() { Some(24) } else { def.hours };
    Retention { age: hours.map(|h| Duration::from_secs(u64::from(h) * 3600)), bytes: def.bytes }
}

/// Opens a source's changelog, making it if there is none.
pub(super) async fn open_log(data_dir: &Path, name: &str, def: &SourceDef) -> Result<Log, Fault> {
    let dir = data_dir.join("sources").join(name);
    let options =
        Options { quota_bytes: def.disk_limit_bytes, retain: retention(&def.retain), ..Options::default() };
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&dir).map_err(|error| {
            Fault::new(codes::DATA_DIR, format!("cannot create {}", dir.display()))
                .cause(error)
                .fix("give the server's user the right to write there, or choose another --data-dir")
        })?;
        Log::open(&dir.join("changelog.redb"), options)
    });
    opened.await.expect("opening a changelog does not panic")
}

/// What a route does, as far as it can change while it runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    pub(super) def: RouteDef,
    /// What it may not have.
    pub(super) guard: Guard,
    /// The components of its transforms, by hash; `None` where there is none.
    pub(super) components: Vec<Option<String>>,
}

impl Setup {
    /// Whether only the transforms are different, and the sink can stay open. What a route may not have holds at once, and not from
    /// the next transaction on: a change of that starts the route anew.
    pub(super) fn differs_in_transforms_only(&self, other: &Setup) -> bool {
        let rest = |def: &RouteDef| RouteDef { transforms: Vec::new(), ..def.clone() };
        self.guard == other.guard && rest(&self.def) == rest(&other.def)
    }
}

/// A route's transforms, to be bound.
pub(super) async fn open_chain(parts: &Parts, log: &Log, name: &str, setup: &Setup) -> Result<Chain, Fault> {
    let mut steps = Vec::with_capacity(setup.def.transforms.len());
    for transform in &setup.def.transforms {
        let mut step = open_step(parts, transform).await?;
        step.share = parts.meters.of(name, &transform.plugin);
        steps.push(step);
    }
    let source = setup.def.source.clone();
    Ok(Chain::new(name.to_owned(), source, (setup.guard.clone(), Later::new(log.clone())), steps))
}

/// Transforms as they ran once, to be bound.
pub(super) async fn open_past(parts: &Parts, name: &str, runs: &[TransformRun]) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::with_capacity(runs.len());
    for run in runs {
        let transform = TransformDef {
            plugin: run.plugin.clone(),
            version: None,
            config: run.config.clone(),
            limits: run.limits.clone(),
        };
        let opened = load(parts, &transform, run.sha256.clone(), None).await;
        let (plugin, limits) = opened.map_err(|fault| past(run, fault))?;
        let mut step = with_config(&transform, plugin, limits).map_err(|fault| past(run, fault))?;
        step.share = parts.meters.of(name, &run.plugin);
        steps.push(step);
    }
    Ok(steps)
}

/// Why what ran once cannot run now.
fn past(run: &TransformRun, fault: Fault) -> Fault {
    let what = format!("{} {} ({}), which ran then, cannot run now", run.plugin, run.version, run.sha256);
    let fix = "upload that component again (forebay plugin push), or replay with the present transforms";
    Fault::new(codes::PAST_MISSING, what).cause(fault).fix(fix)
}

/// Opens a route's plugins and sink.
pub(super) async fn open_route(
    parts: &Parts,
    log: Log,
    name: &str,
    mut setup: watch::Receiver<Setup>,
    progress: Progress,
) -> Result<Route, Fault> {
    let now = setup.borrow_and_update().clone();
    let chain = open_chain(parts, &log, name, &now).await?;
    let def = &now.def;
    let at = parts.checkpoints.get(name).unwrap_or_default();
    let opening = Opening {
        route: name,
        source: &def.source,
        start: Mark { epoch: at.epoch, offset: at.offset },
        lineage: at.lineage,
        secret: &definition::resolve_secret,
        data_dir: &parts.data_dir,
    };
    let sink = forebay_sink::open(&def.sink, opening).await?;
    Ok(Route {
        name: name.to_owned(),
        log,
        selection: Selection::new(Some(name), def.tables.clone()),
        chain,
        parts: parts.clone(),
        setup,
        next: None,
        past: Past::default(),
        last: None,
        sink,
        letters: Letters::new(parts.store.clone(), def.source.clone(), name.to_owned(), &def.dead_letters),
        checkpoints: parts.checkpoints.clone(),
        progress,
    })
}

/// One transform as it is stored, with its secrets resolved.
pub(super) async fn open_step(parts: &Parts, transform: &TransformDef) -> Result<Step, Fault> {
    let (plugin, limits) = open_plugin(parts, transform).await?;
    with_config(transform, plugin, limits)
}

fn with_config(transform: &TransformDef, plugin: Plugin, limits: Limits) -> Result<Step, Fault> {
    let places = &plugin.info().secrets;
    let resolved = definition::resolve_config(&transform.config, places, &definition::resolve_secret);
    if let Some((_, fault)) = resolved.missing.into_iter().next() {
        return Err(fault);
    }
    let config = Config::new(resolved.config.to_string(), &resolved.secrets);
    Ok(Step { told: told(transform, &plugin), share: Arc::default(), plugin, config, limits })
}

/// A transform as its route's history tells it.
pub(super) fn told(transform: &TransformDef, plugin: &Plugin) -> TransformRun {
    TransformRun {
        plugin: transform.plugin.clone(),
        version: plugin.info().version.clone(),
        sha256: plugin.info().sha256.clone(),
        config: transform.config.clone(),
        limits: transform.limits.clone(),
    }
}

async fn open_plugin(parts: &Parts, transform: &TransformDef) -> Result<(Plugin, Limits), Fault> {
    let sha256 = versions::stored(&parts.store, transform)?;
    load(parts, transform, sha256, None).await
}

/// A transform's plugin and its limits, as they would be once `wanted` is stored.
pub(super) async fn open_plugin_of(
    parts: &Parts,
    transform: &TransformDef,
    wanted: &Wanted,
) -> Result<(Plugin, Limits), Fault> {
    let sha256 = versions::wanted(&parts.store, transform, wanted)?;
    let along = wanted.components.get(&sha256).cloned();
    load(parts, transform, sha256, along).await
}

/// `along`: the component's bytes, if they need not come from the store.
async fn load(
    parts: &Parts,
    transform: &TransformDef,
    sha256: String,
    along: Option<Vec<u8>>,
) -> Result<(Plugin, Limits), Fault> {
    let missing =
        Fault::new(codes::UNKNOWN, format!("plugin {} ({sha256}) is not in the store", transform.plugin))
            .fix("upload it again: PUT /v1/plugins/{name}");
    let (host, store) = (parts.host.clone(), parts.store.clone());
    let loading = tokio::task::spawn_blocking(move || {
        if let Some(plugin) = host.cached(&sha256) {
            return Ok(plugin);
        }
        let bytes = if along.is_some() { along } else { store.plugin(&sha256)? };
        host.load(&bytes.ok_or(missing)?)
    });
    let plugin = loading.await.expect("loading a plugin does not panic")?;
    let mut limits = Limits::default();
    if let Some(mib) = transform.limits.memory_mib {
        limits.memory_bytes = (mib as usize) << 20;
    }
    if let Some(mib) = transform.limits.pool_mib {
        limits.pool_bytes = (mib as usize) << 20;
    }
    if let Some(ms) = transform.limits.batch_ms {
        limits.batch_time = Duration::from_millis(u64::from(ms));
    }
    if let Some(mib) = transform.limits.output_mib {
        limits.output_bytes = (mib as usize) << 20;
    }
    if let Some(lines) = transform.limits.log_lines_per_second {
        limits.log_lines_per_second = lines;
    }
    Ok((plugin, limits))
}
