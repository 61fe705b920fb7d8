//! Makes a component of our world out of a core WebAssembly module: the last step of a plugin's build.
//!
//! ```text
//! cargo build --target wasm32-unknown-unknown ─┐
//!                                              ├─> core module --componentize--> component
//! GOOS=wasip1 GOARCH=wasm go build ────────────┘
//! ```
//!
//! Owns: the adapter that answers WASI inside the component ([`adapter.wat`](../adapter.wat)), for languages whose runtime
//! must import it, and the text of the contract. Promises: the component imports nothing but
//! `forebay:transform/host`; the same core module gives the same bytes; what is wrong is said in words for
//! the plugin's author. Does no I/O, and knows no part but the model.

pub mod codes;
mod core;

use forebay_model::Fault;
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{Resolve, WorldKey};

use crate::core::Core;

/// The contract, as the SDKs' bindings are made from it.
pub const WIT: &str = include_str!("../../../../wit/v0.1/transform.wit");

const WORLD: &str = "transform-plugin";
const PACKAGE: &str = "forebay:transform/";
const TRANSFORMER: &str = "forebay:transform/transformer@0.1.0";
/// What the adapter needs of the host.
const ADAPTER_WIT: &str =
    "package forebay:adapter;\nworld adapter { import forebay:transform/host@0.1.0; }\n";
const ADAPTER: &str = include_str!("adapter.wat");
const WASI: &str = "wasi_snapshot_preview1";

/// Makes a component of a core module that was built against `wit/v0.1`.
///
/// # Errors
/// `component.*`, in words for the plugin's author.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, Fault> {
    let core = Core::read(module)?;
    let adapter = adapter()?;
    check(&core, &adapter)?;
    let mut module = module.to_vec();
    if !core.says_its_world {
        embed(&mut module, &mut Resolve::default(), "transform.wit", WIT, WORLD)?;
    }
    let mut encoder = ComponentEncoder::default().module(&module).map_err(|error| {
        Fault::new(codes::WRONG_WORLD, "what the core module says of its world cannot be read")
            .cause(format!("{error:#}"))
            .fix(REBUILD)
    })?;
    if core.imports.iter().any(|(module, _)| module == WASI) {
        encoder = encoder.adapter(WASI, &adapter).map_err(encoding)?;
    }
    let component = encoder.validate(true).encode().map_err(encoding)?;
    check_world(&component)?;
    Ok(component)
}

const REBUILD: &str = "build it with the SDK of this version";

fn encoding(error: impl std::fmt::Display) -> Fault {
    Fault::new(codes::ENCODE, "the core module does not fit the contract")
        .cause(format!("{error:#}"))
        .fix(REBUILD)
}

/// The adapter as a core module that says what it needs.
fn adapter() -> Result<Vec<u8>, Fault> {
    let mut adapter = wat::parse_str(ADAPTER).map_err(encoding)?;
    let mut resolve = Resolve::default();
    resolve.push_str("transform.wit", WIT).map_err(encoding)?;
    embed(&mut adapter, &mut resolve, "adapter.wit", ADAPTER_WIT, "adapter")?;
    Ok(adapter)
}

fn embed(
    module: &mut Vec<u8>,
    resolve: &mut Resolve,
    name: &str,
    wit: &str,
    world: &str,
) -> Result<(), Fault> {
    let package = resolve.push_str(name, wit).map_err(encoding)?;
    let world = resolve.select_world(&[package], Some(world)).map_err(encoding)?;
    wit_component::embed_component_metadata(module, resolve, world, StringEncoding::UTF8).map_err(encoding)
}

/// Refuses what cannot become a plugin, by name.
fn check(core: &Core, adapter: &[u8]) -> Result<(), Fault> {
    let given = Core::read(adapter)?.exports;
    let is_given = |module: &str, name: &str| match module {
        WASI => given.contains(name),
        _ => module.starts_with(PACKAGE) || module.starts_with("[export]forebay:transform/"),
    };
    let forbidden: Vec<String> = core
        .imports
        .iter()
        .filter(|(module, name)| !is_given(module, name))
        .map(|(module, name)| format!("`{module}` `{name}`"))
        .collect();
    if !forbidden.is_empty() {
        let (some, more) = forbidden.split_at(forbidden.len().min(5));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        return Err(Fault::new(
            codes::FORBIDDEN_IMPORT,
            format!("the core module imports {}{more}: plugins are not given that", some.join(", ")),
        )
        .fix("leave out what needs it: a plugin has no files, no network, no processes and no JavaScript around it"));
    }
    let of_a_transformer = "forebay:transform/transformer@";
    if core.exports.iter().any(|name| name.starts_with(TRANSFORMER)) {
        return Ok(());
    }
    if let Some(other) = core.exports.iter().find_map(|name| name.strip_prefix(of_a_transformer)) {
        let version = other.split('#').next().unwrap_or_default();
        return Err(Fault::new(
            codes::WRONG_WORLD,
            format!("the core module was made for version {version} of the contract"),
        )
        .fix(REBUILD));
    }
    Err(Fault::new(codes::NO_PLUGIN, "the core module exports no transform plugin").fix(
        "export a transform: in Rust `forebay_plugin::export!(...)` in a crate of type cdylib, in Go \
         `forebay.Export(...)` in an `init` of package main, built with -buildmode=c-shared",
    ))
}

/// Whatever the module said of itself: the component is of our world and asks for nothing else.
fn check_world(component: &[u8]) -> Result<(), Fault> {
    let Ok(DecodedWasm::Component(resolve, world)) = wit_component::decode(component) else {
        return Err(encoding("what was made of it is no component"));
    };
    let world = &resolve.worlds[world];
    let names = |keys: &mut dyn Iterator<Item = &WorldKey>| -> Vec<String> {
        keys.map(|key| resolve.name_world_key(key)).collect()
    };
    let allowed = ["forebay:transform/host@0.1.0", "forebay:transform/types@0.1.0"];
    let imports = names(&mut world.imports.keys());
    if let Some(other) = imports.iter().find(|import| !allowed.contains(&import.as_str())) {
        return Err(Fault::new(codes::FORBIDDEN_IMPORT, format!("the plugin imports `{other}`")).fix(REBUILD));
    }
    if names(&mut world.exports.keys()) != [TRANSFORMER] {
        return Err(
            Fault::new(codes::WRONG_WORLD, format!("the plugin's world is not `{WORLD}`")).fix(REBUILD)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
