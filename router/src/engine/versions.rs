//! The uploads of a plugin: each version, as the component says it, is one component, by its hash.
//!
//! The newest upload is the plugin's definition; older ones stay for the routes that name them, and can be named again.

use std::collections::BTreeMap;

use forebay_model::{Class, Code, Fault};
use forebay_store::{DocKind, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::status::now_us;
use super::{Engine, codes};
use crate::definition::{Existing, Problem, RouteDef, TransformDef, Wanted, child};

/// Versions of one plugin that are kept; of those that no route uses the oldest go.
const VERSIONS: usize = 20;
const PREFIX: &str = "version/";
/// What a hash begins with where a version can stand.
const HASH: &str = "sha256:";

/// Other bytes under a version that is in use.
pub const TAKEN: Code = Code {
    name: "plugin.version_taken",
    class: Class::Fatal,
    meaning: "Another component of this version was uploaded before, and routes use it.",
};

/// A version that is not here.
pub const UNKNOWN: Code = Code {
    name: "plugin.version_unknown",
    class: Class::Fatal,
    meaning: "A route names a version of a plugin that was never uploaded, or that was deleted.",
};

/// An upload of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginVersion {
    /// As the component says it.
    pub version: String,
    /// The component's SHA-256, in hexadecimal.
    pub sha256: String,
    /// When it was uploaded first, in milliseconds since 1970.
    pub uploaded_ms: u64,
}

fn owner(plugin: &str) -> String {
    format!("plugins/{plugin}")
}

/// A plugin's uploads, newest first.
pub(super) fn known(store: &Store, plugin: &str) -> Result<Vec<PluginVersion>, Fault> {
    let notes = store.notes(&owner(plugin), PREFIX)?.into_values();
    let mut known: Vec<PluginVersion> = notes.filter_map(|note| serde_json::from_value(note).ok()).collect();
    known.sort_by(|a, b| (b.uploaded_ms, &b.version).cmp(&(a.uploaded_ms, &a.version)));
    Ok(known)
}

/// The hash of the component that a transform means, as things are stored.
pub(super) fn stored(store: &Store, transform: &TransformDef) -> Result<String, Fault> {
    let name = &transform.plugin;
    let unknown = || {
        Fault::new(codes::UNKNOWN, format!("there is no plugin {name}"))
            .fix("upload it: PUT /v1/plugins/{name}")
    };
    let document = store.get(DocKind::Plugins, name)?.ok_or_else(unknown)?;
    let newest = document.value.get("sha256").and_then(Value::as_str).ok_or_else(unknown)?;
    match &transform.version {
        None => Ok(newest.to_owned()),
        Some(wanted) => pick(name, wanted, &known(store, name)?),
    }
}

/// The hash of the component that a transform means once `wanted` is stored.
pub(super) fn wanted(store: &Store, transform: &TransformDef, wanted: &Wanted) -> Result<String, Fault> {
    let name = &transform.plugin;
    let Some(sha256) = wanted.definitions.plugins.get(name).and_then(|plugin| plugin.sha256.clone()) else {
        return stored(store, transform);
    };
    let Some(version) = &transform.version else { return Ok(sha256) };
    let mut all = known(store, name)?;
    if let Some(along) = wanted.versions.get(name) {
        all.retain(|known| known.version != *along);
        all.insert(0, PluginVersion { version: along.clone(), sha256, uploaded_ms: u64::MAX });
    }
    pick(name, version, &all)
}

fn pick(plugin: &str, wanted: &str, known: &[PluginVersion]) -> Result<String, Fault> {
    let is_it = |v: &&PluginVersion| match wanted.strip_prefix(HASH) {
        Some(prefix) => v.sha256.starts_with(prefix),
        None => v.version == wanted,
    };
    let found: Vec<&PluginVersion> = known.iter().filter(is_it).collect();
    let fault = |what: String| {
        let all: Vec<&str> = known.iter().map(|v| v.version.as_str()).collect();
        Fault::new(UNKNOWN, what).fix(format!("it has {}", all.join(", ")))
    };
    match found.as_slice() {
        [one] => Ok(one.sha256.clone()),
        [] => Err(fault(format!("plugin {plugin} has no version {wanted}"))),
        _ => Err(fault(format!("plugin {plugin} has several versions that begin with {wanted}"))),
    }
}

/// The stored routes that run a component of a plugin.
fn users(store: &Store, routes: &BTreeMap<String, RouteDef>, plugin: &str, sha256: &str) -> Vec<String> {
    let uses = |t: &TransformDef| t.plugin == plugin && stored(store, t).is_ok_and(|used| used == sha256);
    let users = routes.iter().filter(|(_, route)| route.transforms.iter().any(uses));
    users.map(|(name, _)| name.clone()).collect()
}

/// The problem with other bytes under a version that routes use.
pub(super) fn taken(store: &Store, existing: &Existing, wanted: &Wanted) -> Vec<Problem> {
    let routes = existing.routes();
    let mut problems = Vec::new();
    for (plugin, version) in &wanted.versions {
        let sha256 = wanted.definitions.plugins.get(plugin).and_then(|p| p.sha256.as_deref());
        let known = known(store, plugin).unwrap_or_default();
        let old = known.iter().find(|old| old.version == *version && Some(old.sha256.as_str()) != sha256);
        let Some(old) = old else { continue };
        let users = users(store, &routes, plugin, &old.sha256);
        if !users.is_empty() {
            let message = format!(
                "version {version} of {plugin} is another component, {}, which runs in {}",
                &old.sha256[..12.min(old.sha256.len())],
                users.join(", ")
            );
            problems.push(
                Problem::new(TAKEN, child("plugins", plugin), message)
                    .suggest("give the new one another version, or apply it with `replace`"),
            );
        }
    }
    problems
}

impl Engine {
    /// Remembers the versions that were just applied.
    pub(super) async fn remember_versions(
        &self,
        wanted: &BTreeMap<String, (String, String)>,
    ) -> Result<(), Fault> {
        let store = self.store();
        for (plugin, (version, sha256)) in wanted {
            let known = known(store, plugin)?;
            let now = PluginVersion {
                version: version.clone(),
                sha256: sha256.clone(),
                uploaded_ms: now_us() / 1000,
            };
            if known.iter().any(|old| old.version == now.version && old.sha256 == now.sha256) {
                continue;
            }
            let mut notes =
                vec![(format!("{PREFIX}{version}"), Some(serde_json::to_value(&now).expect("plain data")))];
            let routes = self.defined(DocKind::Routes)?;
            let others: Vec<_> = known.iter().filter(|old| old.version != now.version).collect();
            let unused = others.iter().rev().filter(|v| users(store, &routes, plugin, &v.sha256).is_empty());
            let surplus = unused.take((others.len() + 1).saturating_sub(VERSIONS));
            notes.extend(surplus.map(|old| (format!("{PREFIX}{}", old.version), None)));
            store.set_notes(&owner(plugin), notes).await?;
        }
        Ok(())
    }

    /// A plugin's uploads, newest first, each with the routes that run it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn plugin_versions(&self, plugin: &str) -> Result<Vec<(PluginVersion, Vec<String>)>, Fault> {
        let routes = self.defined(DocKind::Routes)?;
        let with_users = |v: PluginVersion| {
            let users = users(self.store(), &routes, plugin, &v.sha256);
            (v, users)
        };
        Ok(known(self.store(), plugin)?.into_iter().map(with_users).collect())
    }

    /// Deletes an upload that is neither the newest nor used. Whether it was there.
    ///
    /// # Errors
    /// [`TAKEN`] if it is the newest or a route runs it; if the store fails.
    pub async fn delete_plugin_version(&self, plugin: &str, version: &str) -> Result<bool, Fault> {
        let _alone = self.inner.changes.lock().await;
        let Some((old, users)) =
            self.plugin_versions(plugin)?.into_iter().find(|(known, _)| known.version == version)
        else {
            return Ok(false);
        };
        let document = self.store().get(DocKind::Plugins, plugin)?;
        let is_newest = document.is_some_and(|d| d.value["sha256"] == old.sha256.as_str());
        if is_newest || !users.is_empty() {
            let why = if is_newest {
                "it is the newest".to_owned()
            } else {
                format!("{} runs it", users.join(", "))
            };
            let what = format!("version {version} of {plugin} cannot go: {why}");
            return Err(Fault::new(TAKEN, what).fix("upload a newer one, or change the routes first"));
        }
        self.store().set_notes(&owner(plugin), vec![(format!("{PREFIX}{version}"), None)]).await?;
        self.store().sweep_plugins().await?;
        self.store().audit("api", "delete", &format!("plugins/{plugin}/versions/{version}")).await?;
        Ok(true)
    }
}
