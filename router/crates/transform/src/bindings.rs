//! What wasmtime makes of `wit/v0.1`: the only shapes that cross the boundary.
//!
//! Borrowed, so that a column of a batch goes from its Arrow buffer into the plugin's memory in one copy.

#![allow(unsafe_code, missing_docs, unreachable_pub, unused_variables, clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../../wit/v0.1",
    world: "transform-plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    exports: { default: async },
    additional_derives: [PartialEq],
});

pub use forebay::transform::host;
pub use forebay::transform::types::*;
