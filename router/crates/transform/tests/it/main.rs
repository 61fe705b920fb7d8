//! The host with real guests: built by `scripts/wasm-rust guests` (`make plugins`) beforehand.

mod columns;
mod conformance;
mod contract;
mod filter;
mod flatten;
mod limits;
mod mask;
mod normalize;
mod outbox;
mod private;
mod support;
mod types;
mod upload;
