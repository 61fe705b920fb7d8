//! Debezium's JSON envelope (payload only), as its MySQL connector writes it with `schemas.enable=false`.
//!
//! Read from debezium/debezium aad5519902 (`BinlogSourceInfoStructMaker`, `AbstractSourceInfoStructMaker`,
//! `BinlogValueConverters`, `JdbcValueConverters`, `ZonedTimestamp`, `Iso*`). Where ours differs, on purpose:
//!
//! - `BIGINT UNSIGNED` in the default mode is a JSON number up to 2^64-1; Debezium's `long` overflows.
//! - `decimal: double` writes all digits as a JSON number; the reader decides how precise it is.
//! - a `TIME` beyond a day or below zero keeps MySQL's text where a text is asked for; Debezium wraps or fails.
//! - a column that the row image lacks is left out; Debezium writes null. One that has changed to what the binlog does not hold (a
//!   difference of JSON values without the value before) is left out, too, and named in `source.partial`.
//! - `source.version` is Forebay's.

mod cells;
mod config;
mod envelope;
mod plan;
mod temporal;

pub use config::{BigintUnsigned, BinaryMode, DebeziumConfig, DecimalMode, Profile, TimeMode, ZeroDates};
pub use envelope::{Record, Records, Renderer};

#[cfg(test)]
mod tests;
