//! A block as bytes, and back.
//!
//! A block is stored in two parts. The *head* is small and never compressed: the offsets, the last commit time, which tables
//! with how many row images, and the body's length and checksum; a reader that wants none of the tables reads no more. The
//! *body* is a flat dump of the columns' buffers, aligned so that decoding makes Arrow arrays over one buffer without copying
//! a column; it is compressed as a whole with LZ4 where that pays.
//!
//! Promises: what is decoded equals what was encoded; damage anywhere is found by a checksum, and even bytes with right
//! checksums never make decoding panic. Formats are little-endian; the top of `encode.rs` draws the body.

mod decode;
mod encode;
mod head;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use decode::{decode, unpack};
pub(crate) use encode::{Encoder, weight};
pub(crate) use head::{Head, TableRows};

#[cfg(target_endian = "big")]
compile_error!("the changelog dumps column buffers as they are, in little-endian order");

/// What is wrong with stored bytes, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damage(pub(crate) &'static str);

/// The alignment of everything in a body: that of the widest cells (128 and 256 bit decimals).
const ALIGN: usize = 16;

/// How a column lies in a body.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct ColumnHead {
    /// NULL cells; 0 = no bitmap follows.
    nulls: u32,
    /// Bytes of text or binary values; 0 for cells of a fixed width.
    bytes: u32,
    /// 1 = a bitmap of absent cells follows.
    absent: u32,
}

/// How a batch starts in a body.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct BatchHead {
    runs: u32,
    columns: u32,
    /// 1 = the batch has absent bitmaps (maybe none set): tells an empty list from a list of `None`s.
    absent: u32,
    spare: u32,
}
