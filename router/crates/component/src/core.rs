//! What a core module is: read before anything is made of it, so that whoever brings the wrong file is told so.

use std::collections::BTreeSet;

use forebay_model::Fault;
use wasmparser::{Encoding, Parser, Payload};

use crate::codes;

const HOW: &str = "build a core module: for Rust the target wasm32-unknown-unknown with crate-type cdylib, for Go \
                   GOOS=wasip1 GOARCH=wasm with -buildmode=c-shared";

/// What matters of a core module.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Module and name of each import.
    pub(crate) imports: BTreeSet<(String, String)>,
    /// Names of exports.
    pub(crate) exports: BTreeSet<String>,
    /// Whether it says itself which world it was made for, as wit-bindgen's Rust guests do.
    pub(crate) says_its_world: bool,
}

impl Core {
    /// Reads a core module.
    ///
    /// # Errors
    /// [`codes::NOT_WASM`], [`codes::ALREADY`], [`codes::INVALID`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Core, Fault> {
        if !bytes.starts_with(b"\0asm") {
            return Err(Fault::new(codes::NOT_WASM, "this is not WebAssembly").fix(HOW));
        }
        let invalid = |error: wasmparser::BinaryReaderError| {
            Fault::new(codes::INVALID, "this is not a core module that can be read").cause(error).fix(HOW)
        };
        let mut core = Core::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(invalid)? {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    return Err(Fault::new(codes::ALREADY, "this is a component already")
                        .fix("use it as it is: nothing is left to be done to it"));
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(invalid)?;
                        core.imports.insert((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        core.exports.insert(export.map_err(invalid)?.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                    core.says_its_world = true;
                }
                _ => {}
            }
        }
        Ok(core)
    }
}
