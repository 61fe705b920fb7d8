//! The street as a whole: the real binary between a real MySQL and real destinations.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too, and a panic is how they fail")]

mod alter;
mod crash;
mod definitions;
mod demo;
mod docs;
mod examples;
mod failover;
mod faults;
mod filter;
mod hostile;
mod large;
mod lineage;
mod orders;
mod pii;
mod plugins;
mod preview;
mod quarantine;
mod replay;
mod rig;
mod secrets;
mod snapshots;
mod source;
mod swap;
mod tagged;
mod workbench;
