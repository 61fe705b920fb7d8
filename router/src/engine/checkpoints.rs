//! Keeps the routes' checkpoints: in memory at once, on disk soon, many in one commit.
//!
//! A checkpoint on disk may lag behind what was delivered, never lead (invariant 3): after a crash the sink's own mark or a
//! repeat with the same event ids covers the difference.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_model::Fault;
use forebay_store::{Checkpoint, Store};
use tokio::sync::Notify;

/// How long changes are gathered before one commit writes them.
const GATHER: Duration = Duration::from_millis(50);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Checkpoints {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// name -> (checkpoint, whether the disk lags)
    routes: Mutex<BTreeMap<String, (Checkpoint, bool)>>,
    changed: Notify,
}

impl Checkpoints {
    pub(super) fn open(store: Store) -> Result<Self, Fault> {
        let routes = store.checkpoints()?.into_iter().map(|(name, at)| (name, (at, false))).collect();
        Ok(Checkpoints {
            inner: Arc::new(Inner { store, routes: Mutex::new(routes), changed: Notify::new() }),
        })
    }

    pub(super) fn get(&self, route: &str) -> Option<Checkpoint> {
        self.routes().get(route).map(|(checkpoint, _)| *checkpoint)
    }

    /// Moves a route's checkpoint; the disk follows. One that lies before the present one changes nothing: a repeat from a
    /// destination's older mark moves the checkpoint again only once it has caught up (invariant 3).
    pub(super) fn set(&self, route: &str, checkpoint: Checkpoint) {
        let mut routes = self.routes();
        let place = |at: &Checkpoint| (at.epoch, at.offset);
        if routes.get(route).is_some_and(|(at, _)| place(&checkpoint) < place(at)) {
            return;
        }
        routes.insert(route.to_owned(), (checkpoint, true));
        drop(routes);
        self.inner.changed.notify_one();
    }

    /// As [`set`](Self::set), durable on return.
    pub(super) async fn set_now(&self, route: &str, checkpoint: Checkpoint) -> Result<(), Fault> {
        self.set(route, checkpoint);
        self.save().await
    }

    pub(super) async fn forget(&self, route: &str) -> Result<(), Fault> {
        self.routes().remove(route);
        self.inner.store.delete_checkpoint(route).await.map(|_| ())
    }

    /// Writes what the disk lacks, in one commit.
    pub(super) async fn save(&self) -> Result<(), Fault> {
        let late: Vec<_> = {
            let mut routes = self.routes();
            let late = routes.iter_mut().filter(|(_, (_, late))| *late);
            late.map(|(name, entry)| {
                entry.1 = false;
                (name.clone(), entry.0)
            })
            .collect()
        };
        if late.is_empty() {
            return Ok(());
        }
        let result = self.inner.store.save_checkpoints(late.clone()).await;
        if result.is_err() {
            let mut routes = self.routes();
            for (name, _) in late {
                if let Some(entry) = routes.get_mut(&name) {
                    entry.1 = true;
                }
            }
        }
        result
    }

    /// Saves in the background until dropped.
    pub(super) async fn keep_saving(&self) {
        loop {
            self.inner.changed.notified().await;
            tokio::time::sleep(GATHER).await;
            if let Err(fault) = self.save().await {
                tracing::error!(%fault, "checkpoints could not be saved; deliveries go on, a restart would repeat them");
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.inner.changed.notify_one();
            }
        }
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<String, (Checkpoint, bool)>> {
        self.inner.routes.lock().expect("nothing panics while the lock is held")
    }
}
