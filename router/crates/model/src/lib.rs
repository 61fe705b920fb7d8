//! The words that every part of Forebay speaks: schemas, row images, batches, blocks, positions, offsets and
//! faults. No I/O and no async live here; every other crate depends on this one and on no other part.
//!
//! Left of the changelog there are positions ([`Position`], the server's); right of it there are offsets
//! ([`Offset`], ours: dense, one per change event and source).

mod batch;
mod block;
mod fault;
mod gtid;
mod images;
mod lineage;
mod position;
mod schema;
mod secret;
mod tables;
#[cfg(test)]
mod tests;
mod virtual_tables;

pub use batch::{Batch, ChangeEvent, Events, Kind, Op, Run};
pub use block::{Block, Origin, Txn};
pub use fault::{Class, Code, Fault};
pub use gtid::{Gtid, GtidSet};
pub use images::{Kept, keep_images, leave_out, moves_in_part, split_key_changes};
pub use lineage::{Descendant, Earlier, Lineage, Tie, same_column};
pub use position::{Note, Position};
pub use schema::{Column, ColumnType, TableSchema};
pub use secret::{PLAIN_SECRET, Secret, SecretRef};
pub use tables::{ColumnPattern, TablePattern};
pub use virtual_tables::{VIRTUAL_DATABASE, quarantine, schema_changes};

/// The number of a change event in a source's changelog: dense, from 0. An update (two row images) has one.
pub type Offset = u64;
