//! What the events of a binlog say, apart from the rows' values.
//!
//! Everything here borrows from the event's bytes and answers [`Garbled`](super::cursor::Garbled) where they end early.
//! Format: MySQL source documentation, "Replication Protocol / Binary Log Events"; `libs/mysql/binlog/event` of MySQL 9.

mod gtid;
mod header;
mod mariadb;
mod payload;
mod query;
mod rows;
mod table_map;
mod xa;

pub(crate) use gtid::{GtidEvent, encode_set};
pub(crate) use header::{CHECKSUM, Event, HEADER, Header, Rotate, checksum_in_use, is_whole, kinds};
pub(crate) use mariadb::{MariaDbGtid, inflate};
pub(crate) use payload::{Arriving, Inner, Payload};
pub(crate) use query::{Meaning, Query};
pub(crate) use rows::RowsHead;
pub(crate) use table_map::{RawColumn, Special, TableMap, table_of, types};
pub(crate) use xa::{XaStatement, Xid};
