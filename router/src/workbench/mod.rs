//! What a plugin's author needs: a new project, a build, a look at a component, cases that run in the real host, and
//! figures. `forebay plugin` is its command line.
//!
//! Owns: the templates and the SDKs' sources that this binary carries, the form of case files. Promises: a component is
//! judged by the host that routes run it in, under the limits that they have by default; nothing of a route, a source or
//! a server is touched.

mod build;
mod cases;
mod flow;
mod golden;
mod measure;
mod project;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use forebay_model::{Secret, SecretRef};
use forebay_transform::{Host, Plugin, PluginInfo};
use serde_json::{Map, Value};

pub use build::{Language, build};
pub use cases::{CaseFile, Failed, run};
pub use golden::update;
pub use measure::{Figures, measure};
pub use project::{create, is_name};
pub use table::table;

use crate::definition;

/// The longest component that is read; the server takes no more either.
const LONGEST: u64 = 64 << 20;

/// The host, with compiled plugins kept from run to run in the user's cache.
///
/// # Errors
/// `transform.host`.
pub fn host() -> anyhow::Result<Host> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("FOREBAY_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("forebay")))
        .or_else(|| Some(set("HOME")?.join(".cache/forebay")))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("forebay-{}", std::process::id())));
    Ok(Host::new(&cache.join("compiled"))?)
}

/// A component's bytes.
///
/// # Errors
/// If the file cannot be read, or is longer than any that a server takes.
pub fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || format!("cannot read {}", file.display());
    let length = std::fs::metadata(file).with_context(about)?.len();
    if length > LONGEST {
        bail!("{} has {length} bytes, and a plugin may have {LONGEST}", file.display());
    }
    std::fs::read(file).with_context(about)
}

/// A component from a file, ready to be bound.
///
/// # Errors
/// If it cannot be read, or is no plugin.
pub fn load(host: &Host, file: &Path) -> anyhow::Result<Plugin> {
    let bytes = read_component(file)?;
    host.load(&bytes).map_err(|fault| match fault.code() {
        code if code == forebay_transform::codes::CORE_MODULE => {
            anyhow::anyhow!(
                "{} is a core module: `forebay plugin build` makes a component of it",
                file.display()
            )
        }
        _ => anyhow::Error::new(fault).context(file.display().to_string()),
    })
}

/// A configuration, given as text or as the name of a file of YAML or JSON.
///
/// # Errors
/// If it cannot be read, or is no map.
pub fn config(given: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    let Some(given) = given else { return Ok(Map::new()) };
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        std::fs::read_to_string(given).with_context(|| {
            format!("cannot read the configuration {given} (--config takes a file, or text that begins with a brace)")
        })?
    };
    match definition::from_yaml(&text)? {
        Value::Object(config) => Ok(config),
        Value::Null => Ok(Map::new()),
        _ => bail!("the configuration is no map of settings"),
    }
}

/// A configuration as `open` of this plugin gets it, as JSON text. A reference to a secret stands for its own name, whatever the environment holds,
/// so that a case has one result everywhere.
pub fn opened_config(config: &Map<String, Value>, plugin: &PluginInfo) -> String {
    let named = |reference: &SecretRef| {
        Ok(Secret::new(match reference {
            SecretRef::Env(name) => name.clone(),
            SecretRef::File(path) => path.display().to_string(),
        }))
    };
    definition::resolve_config(config, &plugin.secrets, &named).config.to_string()
}
