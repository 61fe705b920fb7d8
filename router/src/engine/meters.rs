//! What each route's plugins have, and have cost since the process started, over every start of the route.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_transform::{Share, Usage};

/// By route, then by plugin.
type ByRoute = BTreeMap<String, BTreeMap<String, Arc<Share>>>;

/// Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub(super) struct Meters(Arc<Mutex<ByRoute>>);

impl Meters {
    /// What a plugin has in a route; two uses in one route share it.
    pub(super) fn of(&self, route: &str, plugin: &str) -> Arc<Share> {
        self.all().entry(route.to_owned()).or_default().entry(plugin.to_owned()).or_default().clone()
    }

    /// By plugin.
    pub(super) fn read(&self, route: &str) -> Vec<(String, Usage)> {
        let all = self.all();
        let plugins = all.get(route).into_iter().flatten();
        plugins.map(|(plugin, share)| (plugin.clone(), share.usage())).collect()
    }

    /// The route is gone.
    pub(super) fn forget(&self, route: &str) {
        self.all().remove(route);
    }

    fn all(&self) -> MutexGuard<'_, ByRoute> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
