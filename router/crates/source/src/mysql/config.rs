//! What a source is told: where the server is, what to capture, from where, in what portions.

use std::path::PathBuf;
use std::time::Duration;

use forebay_model::{Position, Secret, TablePattern};

/// How the connection is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Never.
    Disabled,
    /// If the server offers it, without checking its certificate, as MySQL's own clients do.
    #[default]
    Preferred,
    /// Always, without checking the server's certificate.
    Required,
    /// Always; the certificate must come from this authority, for whatever host.
    VerifyCa {
        /// A PEM file.
        ca: PathBuf,
    },
    /// Always; the certificate must come from this authority and name the host.
    VerifyIdentity {
        /// A PEM file; `None` = the public authorities.
        ca: Option<PathBuf>,
    },
}

/// A server and what is captured of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// A name or an address.
    pub host: String,
    /// Usually 3306.
    pub port: u16,
    /// The account.
    pub user: String,
    /// Its password, if it has one.
    pub password: Option<Secret>,
    /// How the connection is protected.
    pub tls: Tls,
    /// What this reader calls itself among the server's replicas; `None` = a random number of its own.
    pub server_id: Option<u32>,
    /// What is captured: tables that one of these means. System schemas never are.
    pub tables: Vec<TablePattern>,
}

/// Schemas of the server itself.
const SYSTEM: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

impl Config {
    /// Whether the table is captured.
    pub fn captures(&self, database: &str, table: &str) -> bool {
        !SYSTEM.contains(&database) && self.tables.iter().any(|p| p.matches(database, table))
    }

    /// `host:port`, as faults name the server.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Where to begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// At the oldest transaction that the server still has.
    Earliest,
    /// After the newest one.
    Now,
    /// Behind a position that the changelog holds.
    At(Position),
}

/// When a block is closed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// As many bytes of row images, as the binlog has them.
    pub block_bytes: usize,
    /// As many row images.
    pub block_rows: usize,
    /// So long after its first event, if the source has caught up. A block is closed earlier where the server has
    /// nothing more to say.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { block_bytes: 1 << 20, block_rows: 8192, linger: Duration::from_millis(5) }
    }
}

/// How snapshots are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// Host and port of a replica to read from, with the source's account; `None` = from the source itself.
    pub replica: Option<(String, u16)>,
    /// How many connections read at once.
    pub readers: usize,
    /// The most rows of a chunk.
    pub chunk_rows: usize,
    /// The most bytes of one, about; a chunk ends with the row that passes it.
    pub chunk_bytes: usize,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        SnapshotSettings { replica: None, readers: 2, chunk_rows: 10_000, chunk_bytes: 8 << 20 }
    }
}
