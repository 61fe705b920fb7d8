//! MySQL 8.0 and MariaDB 10.11, and later ones of both, as a source.
//!
//! [`preflight`] and [`doctor()`] say whether a server is fit, [`catalog`] what it holds, [`Stream`] gives its changes, and [`Capture`]
//! its changes with snapshots of its tables among them. A `Stream` never
//! reconnects: it ends with a classified [`Fault`](forebay_model::Fault), and its owner connects again from the
//! position that the changelog holds.

mod binlog;
mod blocks;
mod capture;
mod catalog;
mod config;
mod cursor;
mod decode;
mod doctor;
mod dump;
mod faults;
mod grants;
mod gtids;
mod hosts;
mod identity;
mod position;
mod proof;
mod purge;
mod reach;
mod relation;
mod schema;
mod server;
mod snapshot;
mod stream;
mod transactions;
mod wire;

pub use capture::Capture;
pub use catalog::catalog;
pub use config::{Config, Limits, SnapshotSettings, Start, Tls};
pub use doctor::{CHECKS, Check, Checked, Status, demands_met, doctor, preflight};
pub use hosts::{BadHost, HostPort};
pub use position::{Gap, PositionTarget, Resolved, resolve};
pub use purge::{Outlook, outlook};
pub use schema::{
    BEFORE_NOTES, Definition, QUARANTINE_NOTES, Quarantined, Recovery, SCHEMA_NOTES, decode_quarantined,
    descendants, lineages, without_values,
};
pub use snapshot::{
    SNAPSHOT_NOTES, SnapshotCommand, SnapshotFault, SnapshotRequest, SnapshotState, SnapshotStatus,
    SnapshotTable, check_request as check_snapshot,
};
pub use stream::{Captured, Stats, Stream};
pub use transactions::Caution;

#[doc(hidden)]
pub mod bench;
#[doc(hidden)]
pub mod fuzz;
