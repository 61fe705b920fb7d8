//! The host with real guests: built by `scripts/wasm-rust guests` (`make plugins`) beforehand.

mod columns;
mod conformance;
mod contract;
mod filter;
mod flatten;
mod limits;
mod log;
mod mask;
mod normalize;
mod outbox;
mod pool;
mod private;
mod support;
mod types;
mod upload;
