//! Which versions of the contract are spoken, and whether a component is of one of them.
//!
//! A version is a folder of `wit/`, which never changes once it is released. Another one is a line of [`SPOKEN`] and its own
//! `bindgen!` beside [`crate::bindings`]; what differs is settled in `host` and `instance`, where a component's version is known.

use forebay_model::Fault;
use wasmtime::Engine;
use wasmtime::component::types::Component;

use crate::codes;
use crate::plugin_log::clean;

/// A version of the contract.
pub(crate) struct Version {
    /// The world, in full.
    pub(crate) name: &'static str,
    /// What the versions begin with that differ from it in nothing that matters.
    series: &'static str,
    folder: &'static str,
}

/// Those that this host speaks.
pub(crate) const SPOKEN: [Version; 1] =
    [Version { name: "forebay:transform/transform-plugin@0.1.0", series: "0.1.", folder: "wit/v0.1" }];

const PACKAGE: &str = "forebay:transform/";
/// Imports that plugins are given; `types` has no functions and needs nothing.
const IMPORTS: [&str; 2] = ["host", "types"];

impl Version {
    /// Whether `name` is this interface, in this version.
    fn has(&self, interface: &str, name: &str) -> bool {
        let rest = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix(interface));
        rest.and_then(|rest| rest.strip_prefix('@')).is_some_and(|version| version.starts_with(self.series))
    }
}

/// What somebody does whose component is of another version.
pub(crate) fn fix() -> String {
    let folders: Vec<&str> = SPOKEN.iter().map(|version| version.folder).collect();
    format!("build it against this router's {}", folders.join(" or "))
}

/// The version that a component is of; it imports nothing but that version's host.
pub(crate) fn check_world(ty: &Component, engine: &Engine) -> Result<&'static Version, Fault> {
    let exports = || ty.exports(engine).map(|(name, _)| name);
    let Some(version) = SPOKEN.iter().find(|v| exports().any(|name| v.has("transformer", name))) else {
        let what = match exports().find(|name| name.starts_with(PACKAGE)) {
            Some(other) => {
                let spoken: Vec<&str> = SPOKEN.iter().map(|version| version.name).collect();
                format!("the component exports {other}, and this router speaks {}", spoken.join(", "))
            }
            None => "the component is no transform plugin: it does not export forebay:transform/transformer"
                .to_owned(),
        };
        return Err(Fault::new(codes::WRONG_WORLD, clean(&what, 500)).fix(fix()));
    };
    let is_given = |name: &&str| IMPORTS.iter().any(|interface| version.has(interface, name));
    let foreign: Vec<&str> =
        ty.imports(engine).map(|(name, _)| name).filter(|name| !is_given(name)).collect();
    if foreign.is_empty() {
        return Ok(version);
    }
    let wasi = foreign.iter().any(|name| name.starts_with("wasi:"));
    let listed = clean(&foreign.join(", "), 500);
    Err(Fault::new(
        codes::FORBIDDEN_IMPORT,
        format!("the component imports what plugins are not given: {listed}"),
    )
    .fix(if wasi {
        "build it without WASI: `forebay plugin build` does so"
    } else {
        "a plugin may import forebay:transform/host only"
    }))
}
