//! Runs what the definitions say: sources, their changelogs, routes. Holds no knowledge of any product; `assemble` does.
//!
//! [`Engine`] is the handle that the API and the command line use. Each source reads in a task of its own, each route delivers
//! in a task of its own; a panic or a fault of one is its own (invariant 5).

mod advice;
mod apply;
mod assemble;
mod chain;
mod checkpoints;
pub mod codes;
mod control;
mod cover;
mod deliver;
mod fitness;
mod fitting;
mod history;
mod ingest;
mod kept;
mod later;
mod letters;
mod meters;
mod pii;
mod position;
mod preview;
mod quarantine;
mod replay;
mod retention;
mod route;
mod select;
mod snapshots;
mod status;
mod supervise;
mod tail;
mod through;
mod versions;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_model::Fault;
use forebay_store::Store;
use forebay_transform::Host;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use apply::{ApplyError, How};
pub use control::OffsetTarget;
pub use history::{TransformRun, TransformsRun};
pub use preview::Preview;
pub use replay::ReplayWith;
pub use status::{
    CountsView, FailureView, FaultView, PluginStatus, PositionView, RouteState, RouteStatus, SourceState,
    SourceStatus, Status,
};
pub use tail::Tail;
pub use versions::UploadView;

pub(crate) use status::now_us;

use assemble::Parts;
use supervise::{RunningRoute, RunningSource};

/// Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    running: Mutex<Running>,
    /// Held while definitions change.
    changes: Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What runs now, by name.
#[derive(Default)]
struct Running {
    sources: BTreeMap<String, RunningSource>,
    routes: BTreeMap<String, RunningRoute>,
}

impl Engine {
    /// Opens the store in `data_dir` and starts everything that is defined there.
    ///
    /// # Errors
    /// If the data directory or the store cannot be used. A source or route that cannot start is a state of that one, not an
    /// error here.
    pub async fn start(data_dir: &Path) -> Result<Engine, Fault> {
        // files of sinks lie below it, wherever the process stands
        let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        let dir = data_dir.clone();
        let (store, host) = tokio::task::spawn_blocking(move || open(dir))
            .await
            .expect("opening the store does not panic")?;
        let checkpoints = checkpoints::Checkpoints::open(store.clone())?;
        let engine = Engine {
            inner: Arc::new(Inner {
                parts: Parts { store, host, checkpoints, meters: meters::Meters::default(), data_dir },
                running: Mutex::new(Running::default()),
                changes: Mutex::new(()),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        };
        engine.run_background();
        engine.reconcile().await?;
        Ok(engine)
    }

    /// The store; who changes definitions in it calls [`reconcile`](Self::reconcile) afterwards.
    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// The plugin host, to look at uploads.
    pub fn host(&self) -> &Host {
        &self.inner.parts.host
    }

    /// Stops everything in order: routes, sources, changelogs, checkpoints.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        let mut running = self.inner.running.lock().await;
        for (_, route) in std::mem::take(&mut running.routes) {
            route.stop().await;
        }
        for (name, source) in std::mem::take(&mut running.sources) {
            if let Err(fault) = source.stop().await {
                tracing::warn!(source = name, %fault, "the changelog was not closed cleanly");
            }
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        if let Err(fault) = self.inner.parts.checkpoints.save().await {
            tracing::warn!(%fault, "the last checkpoints were not saved; a restart repeats some deliveries");
        }
    }

    fn run_background(&self) {
        let checkpoints = self.inner.parts.checkpoints.clone();
        let saving = async move { checkpoints.keep_saving().await };
        self.inner.tasks.spawn(until(self.inner.stop.clone(), saving));
        let engine = self.clone();
        let looking = async move { engine.look_again().await };
        self.inner.tasks.spawn(until(self.inner.stop.clone(), looking));
        let engine = self.clone();
        let trimming = async move { retention::keep_trimming(&engine).await };
        self.inner.tasks.spawn(until(self.inner.stop.clone(), trimming));
    }
}

/// Runs `work` until it ends or `stop` is cancelled, whichever is first.
async fn until<T>(stop: CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        done = work => Some(done),
    }
}

fn open(data_dir: PathBuf) -> Result<(Store, Host), Fault> {
    let unusable = |what: &str| {
        let what = format!("{what} {}", data_dir.display());
        move |error: std::io::Error| {
            Fault::new(codes::DATA_DIR, what)
                .cause(error)
                .fix("give the server's user the right to write there, or choose another --data-dir")
        }
    };
    std::fs::create_dir_all(&data_dir).map_err(unusable("cannot create"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // definitions, changes and dead letters are data: for the owner only
        std::fs::set_permissions(&data_dir, std::fs::Permissions::from_mode(0o700))
            .map_err(unusable("cannot protect"))?;
    }
    let store = Store::open(&data_dir.join("control.redb"))?;
    let host = Host::new(&data_dir.join("plugin-cache"))?;
    Ok((store, host))
}
