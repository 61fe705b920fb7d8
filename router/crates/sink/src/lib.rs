//! Sinks: what brings a route's events to their destination, and the formats that they are written in.
//!
//! [`contract`] says in prose what a sink is; [`policy`] what follows from its errors; [`formats`] how events become
//! bytes; a folder for each sink how they get there. A new sink is a folder, a variant of [`SinkConfig`], and a call of
//! the conformance suite.

mod blocking;
mod clock;
pub mod codes;
mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod console;
pub mod contract;
pub mod file;
pub mod formats;
pub mod policy;
#[cfg(any(test, feature = "conformance"))]
pub mod sample;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use config::{Opening, SinkConfig, open};
pub use contract::{Appetite, Delivery, Mark, Sink};
