//! Reads changes from a database: connects, checks that the server is fit, reads its binlog once and decodes it into
//! blocks of columns.
//!
//! The way of a row: bytes in [`mysql`]'s wire -> dump (whole, checked events) -> binlog (what an event says) ->
//! decode (columns) -> a block. The changelog assigns offsets; nothing here knows of it, nor of anything to its right.

pub mod codes;
pub mod mysql;
