//! The changelog: one source's changes, in order, durable before anybody reads them.
//!
//! The source appends blocks with its position ([`Log::append`]); routes read them from any offset ([`Log::reader`]), near the head from
//! memory, further back from one redb file. Left of it there are positions, right of it offsets.
//!
//! What it promises:
//! - the position is stored only here, in the same commit as the events that it covers (invariant 1);
//! - nobody sees an event before it is durable, nor a part of a transaction (invariant 2);
//! - a block is deleted only when retention allows and every claim is past it; at the quota, and on a full disk, the
//!   source waits (invariant 6), and goes on by itself when there is room;
//! - the queue, the recent blocks, the read-ahead and the buffers are bounded (invariant 9);
//! - damage is found by checksums and is an error that names the events, never a wrong event.
//!
//! One file, from the inside: [`Log`] is the handle; a writer thread takes what is queued and commits it in groups; `file` knows
//! redb's tables, `pieces` how a block lies in them, `codec` what its bytes are, `recent` what all readers look at.

mod codec;
pub mod codes;
mod file;
mod inbox;
mod log;
mod options;
mod pieces;
mod reader;
mod recent;
mod retention;
mod schemas;
mod shared;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

pub use log::Log;
pub use options::{Entry, Options, Retention, State, Trimmed};
pub use reader::{Reader, Want};
