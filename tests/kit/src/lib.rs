//! Real servers for the tests, the demo and the bench: MySQL, the `forebay` binary and a webhook receiver.
//!
//! Nothing here imitates a server. [`mysql`] is a MySQL of this process's own, [`Forebay`] is a child process of the
//! built binary, [`Receiver`] is an HTTP server that checks signatures. Whatever this crate starts ends with the test
//! process, even if that is killed ([`lifeline`]). Waiting is done by [`eventually`], never by a sleep.

mod forebay;
mod http;
pub mod lifeline;
mod mysql;
mod numbers;
mod receiver;
mod script;
pub mod seeds;
pub mod signature;
mod usage;
mod wait;
mod writer;

pub use forebay::{Forebay, Options};
pub use http::{Answer, http};
pub use mysql::{CdcUser, Database, Server, mariadb, mysql};
pub use numbers::Numbers;
pub use receiver::{Attempt, Receiver, Reply};
pub use script::{Flavour, mysql_tool};
pub use usage::Usage;
pub use wait::{Condition, eventually, free_port};
pub use writer::{Change, Outcome, Row, Writer};

/// The MySQL client that [`Server::connect`] hands out, so that a test needs no dependency of its own.
pub use mysql_async;
