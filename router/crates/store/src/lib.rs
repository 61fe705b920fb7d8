//! Control state, in one redb file: definitions, checkpoints, plugins, dead letters, and the audit trail.
//!
//! Every write is one durable commit: all of it or nothing, on disk before the call returns. Reads see the last commit
//! and never wait for a writer. Writers queue; a dropped write future may or may not have written, never half. The same holds for
//! one that ended with `store.io`; the next read or write tries the disk again.
//!
//! What the store upholds itself, so that a mistake elsewhere cannot pass silently:
//! - a checkpoint never goes back within an epoch, and an epoch never goes back (invariant 3);
//! - a plugin definition names bytes that are here, and those bytes cannot be deleted under it;
//! - dead letters are bounded by refusing new ones, never by dropping old ones (invariants 4 and 9).

mod audit;
mod checkpoints;
pub mod codes;
mod db;
mod dead_letters;
mod documents;
mod notes;
mod plugins;

pub use audit::AuditEntry;
pub use checkpoints::{Checkpoint, Counts};
pub use db::{Bounds, Store};
pub use dead_letters::{DeadLetter, LetterId, NewDeadLetter, Stage};
pub use documents::{Change, DocKind, Document};
pub use plugins::StoredPlugin;
