//! The WASM host: checks plugins, binds them to tables, and runs their plans over batches.
//!
//! ```text
//! bytes --Host::load--> Plugin --bind(table, config)--> Binding --apply(batch)--> Applied
//!        upload, cache           open, plan, check         gather, call, scatter
//! ```
//!
//! Owns: the wasmtime engine, the folder of compiled components, the instances. Promises:
//!
//! - A plugin can do what its world imports and nothing else; memory, time and output are limited, and the same
//!   input gives the same output (invariant 7).
//! - Before and after images go through the same call: what is masked in one is masked in the other (invariant 8).
//! - Every event of a batch is in the answer: in its batch, counted as filtered, or rejected (invariant 4).
//! - What comes back from a plugin is checked cell by cell before anybody sees it.
//! - What a plan only drops, renames or nullifies never crosses into the plugin and costs nothing per row.

mod apply;
mod assemble;
mod bindings;
mod cache;
mod canonical;
pub mod codes;
mod config;
mod decimal;
pub mod fuzz;
mod gather;
mod host;
mod instance;
mod limits;
mod meter;
mod plan;
mod plugin_log;
mod pool;
pub mod rows;
mod scatter;
mod share;
mod stacks;
mod stamp;
mod types;
mod upload;
mod world;

pub use apply::{Applied, Binding, ConfigProblem, Place, Refusal, Reject};
pub use config::{Config, Secrets};
pub use host::{Host, Plugin, PluginInfo};
pub use limits::Limits;
pub use meter::{Failure, Usage};
pub use plan::Plan;
pub use share::Share;
