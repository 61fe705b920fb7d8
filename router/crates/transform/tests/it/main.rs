//! The host with real guests: built by `scripts/wasm-rust guests` (`make plugins`) beforehand.

mod conformance;
mod contract;
mod filter;
mod limits;
mod mask;
mod normalize;
mod support;
mod types;
mod upload;
