//! What each route's plugins have cost since the process started, over every start of the route.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_transform::{Meter, Usage};

/// By route, then by plugin.
type ByRoute = BTreeMap<String, BTreeMap<String, Arc<Meter>>>;

/// Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub(super) struct Meters(Arc<Mutex<ByRoute>>);

impl Meters {
    /// Where a route's use of a plugin is counted; two uses in one route count together.
    pub(super) fn of(&self, route: &str, plugin: &str) -> Arc<Meter> {
        self.all().entry(route.to_owned()).or_default().entry(plugin.to_owned()).or_default().clone()
    }

    /// By plugin.
    pub(super) fn read(&self, route: &str) -> Vec<(String, Usage)> {
        let all = self.all();
        let plugins = all.get(route).into_iter().flatten();
        plugins.map(|(plugin, meter)| (plugin.clone(), meter.read())).collect()
    }

    /// The route is gone.
    pub(super) fn forget(&self, route: &str) {
        self.all().remove(route);
    }

    fn all(&self) -> MutexGuard<'_, ByRoute> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
