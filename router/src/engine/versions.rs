//! The uploads of a plugin: components by their hash, which never change.
//!
//! One of them is the plugin's default, its definition; routes that name no version run it. A push adds an upload and changes nothing
//! that runs. What a version means never changes either: it is the component that was first uploaded with it, and another
//! one that says the same of itself is named by its hash.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_model::{Class, Code, Fault};
use forebay_store::{DocKind, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::status::now_us;
use super::{ApplyError, Engine, How, codes};
use crate::definition::{Mode, Problem, RouteDef, TransformDef, Wanted, child};

/// Versions of one plugin that are kept; of those that no route uses the oldest go.
const VERSIONS: usize = 20;
const PREFIX: &str = "version/";
/// What a hash begins with where a version can stand.
const HASH: &str = "sha256:";

/// An upload that has to stay.
pub const TAKEN: Code = Code {
    name: "plugin.version_in_use",
    class: Class::Fatal,
    meaning: "A version of a plugin cannot be deleted: it is the plugin's default, or a route runs it.",
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
    /// When it was uploaded last.
    #[serde(default)]
    pub pushed_ms: u64,
}

impl PluginVersion {
    /// The last upload is the newest; what was stored before there was a time of it counts from the first.
    fn age(&self) -> (u64, &str) {
        (self.pushed_ms.max(self.uploaded_ms), &self.version)
    }
}

fn owner(plugin: &str) -> String {
    format!("plugins/{plugin}")
}

fn key(upload: &PluginVersion) -> String {
    format!("{PREFIX}{}", upload.sha256)
}

/// The hash of a plugin's default.
fn default(store: &Store, plugin: &str) -> Result<Option<String>, Fault> {
    let document = store.get(DocKind::Plugins, plugin)?;
    Ok(document.and_then(|d| d.value["sha256"].as_str().map(str::to_owned)))
}

/// A plugin's uploads, the last one that was pushed first.
pub(super) fn known(store: &Store, plugin: &str) -> Result<Vec<PluginVersion>, Fault> {
    let notes = store.notes(&owner(plugin), PREFIX)?.into_values();
    let mut known: Vec<PluginVersion> = notes.filter_map(|note| serde_json::from_value(note).ok()).collect();
    known.sort_by(|a, b| b.age().cmp(&a.age()));
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
    if let Some(along) = wanted.versions.get(name)
        && !all.iter().any(|known| known.sha256 == sha256)
    {
        all.insert(
            0,
            PluginVersion { version: along.clone(), sha256, uploaded_ms: u64::MAX, pushed_ms: u64::MAX },
        );
    }
    pick(name, version, &all)
}

fn pick(plugin: &str, wanted: &str, known: &[PluginVersion]) -> Result<String, Fault> {
    let found: Vec<&PluginVersion> = match wanted.strip_prefix(HASH) {
        Some(prefix) => known.iter().filter(|v| v.sha256.starts_with(prefix)).collect(),
        // the first upload that said so
        None => known
            .iter()
            .rev()
            .filter(|v| v.version == wanted)
            .min_by_key(|v| v.uploaded_ms)
            .into_iter()
            .collect(),
    };
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

/// What a route writes as `plugin` to run an upload.
fn written(plugin: &str, upload: &PluginVersion, known: &[PluginVersion]) -> String {
    match pick(plugin, &upload.version, known) {
        Ok(sha256) if sha256 == upload.sha256 => format!("{plugin}@{}", upload.version),
        _ => format!("{plugin}@{HASH}{}", &upload.sha256[..16.min(upload.sha256.len())]),
    }
}

/// An upload and what it is in use for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UploadView {
    /// The upload.
    #[serde(flatten)]
    pub upload: PluginVersion,
    /// What a route writes as `plugin` to run it: with its version, or with its hash where the version is another component's.
    pub write: String,
    /// Whether routes that name no version run it.
    pub default: bool,
    /// The routes that run it.
    pub used_by: Vec<String>,
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
            let pushed_ms = now_us() / 1000;
            if let Some(old) = known.iter().find(|old| &old.sha256 == sha256) {
                // again: what its version means stays, and it is the newest
                let now = PluginVersion { pushed_ms, ..old.clone() };
                let note = serde_json::to_value(&now).expect("plain data");
                store.set_notes(&owner(plugin), vec![(key(&now), Some(note))]).await?;
                continue;
            }
            let now = PluginVersion {
                version: version.clone(),
                sha256: sha256.clone(),
                uploaded_ms: pushed_ms,
                pushed_ms,
            };
            let mut notes = vec![(key(&now), Some(serde_json::to_value(&now).expect("plain data")))];
            let routes = self.defined(DocKind::Routes)?;
            let default = default(store, plugin)?;
            let is_unused = |v: &&PluginVersion| {
                default.as_deref() != Some(&v.sha256) && users(store, &routes, plugin, &v.sha256).is_empty()
            };
            let surplus = (known.len() + 1).saturating_sub(VERSIONS);
            notes.extend(known.iter().rev().filter(is_unused).take(surplus).map(|old| (key(old), None)));
            store.set_notes(&owner(plugin), notes).await?;
        }
        Ok(())
    }

    /// A plugin's uploads, the last one that was pushed first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn plugin_versions(&self, plugin: &str) -> Result<Vec<UploadView>, Fault> {
        let routes = self.defined(DocKind::Routes)?;
        let (known, default) = (known(self.store(), plugin)?, default(self.store(), plugin)?);
        let view = |upload: &PluginVersion| UploadView {
            write: written(plugin, upload, &known),
            default: default.as_deref() == Some(&upload.sha256),
            used_by: users(self.store(), &routes, plugin, &upload.sha256),
            upload: upload.clone(),
        };
        Ok(known.iter().map(view).collect())
    }

    /// Adds an upload to a plugin, and makes the plugin if there is none. What routes run stays as it is: the upload becomes the default
    /// only where no route runs the default.
    ///
    /// # Errors
    /// What is wrong with the component; if the store fails.
    pub async fn push_plugin(&self, plugin: &str, bytes: Vec<u8>) -> Result<UploadView, ApplyError> {
        let routes: BTreeMap<String, RouteDef> = self.defined(DocKind::Routes)?;
        let names_none = |t: &TransformDef| t.plugin == plugin && t.version.is_none();
        let sha256 = if routes.values().any(|route| route.transforms.iter().any(names_none)) {
            let (host, component) = (self.host().clone(), bytes.clone());
            let inspected = tokio::task::spawn_blocking(move || host.inspect(&component)).await;
            let problem = |fault| vec![Problem::of_fault(child("plugins", plugin), &fault)];
            let info = inspected
                .expect("inspecting a plugin does not panic")
                .map_err(|fault| ApplyError::Problems(problem(fault)))?;
            let _alone = self.inner.changes.lock().await;
            let sha256 = self.store().put_plugin(bytes).await?.sha256;
            let upload = (info.version, sha256.clone());
            self.remember_versions(&BTreeMap::from([(plugin.to_owned(), upload)])).await?;
            self.store().sweep_plugins().await?;
            self.store().audit("api", "push", &format!("plugins/{plugin}")).await?;
            Some(sha256)
        } else {
            let value = json!({ "plugins": { plugin: { "wasm": BASE64.encode(&bytes) } } });
            self.apply(&value, How { mode: Mode::Merge, dry_run: false, force: false }).await?;
            default(self.store(), plugin)?
        };
        let mut uploads = self.plugin_versions(plugin)?.into_iter();
        let pushed = uploads.find(|view| Some(&view.upload.sha256) == sha256.as_ref());
        Ok(pushed.ok_or_else(|| Fault::new(UNKNOWN, format!("plugin {plugin} was deleted meanwhile")))?)
    }

    /// Deletes an upload that is neither the default nor used. Whether it was there.
    ///
    /// # Errors
    /// [`TAKEN`] if it is the default or a route runs it; if the store fails.
    pub async fn delete_plugin_version(&self, plugin: &str, version: &str) -> Result<bool, Fault> {
        let _alone = self.inner.changes.lock().await;
        let Ok(sha256) = pick(plugin, version, &known(self.store(), plugin)?) else { return Ok(false) };
        let mut uploads = self.plugin_versions(plugin)?.into_iter();
        let Some(old) = uploads.find(|view| view.upload.sha256 == sha256) else { return Ok(false) };
        if old.default || !old.used_by.is_empty() {
            let why = match old.used_by.is_empty() {
                true => "it is the default".to_owned(),
                false => format!("{} runs it", old.used_by.join(", ")),
            };
            let what = format!("version {version} of {plugin} cannot go: {why}");
            return Err(Fault::new(TAKEN, what).fix("make another the default, or change the routes first"));
        }
        self.store().set_notes(&owner(plugin), vec![(key(&old.upload), None)]).await?;
        self.store().sweep_plugins().await?;
        self.store().audit("api", "delete", &format!("plugins/{plugin}/versions/{version}")).await?;
        Ok(true)
    }
}
