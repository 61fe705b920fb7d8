//! What a source is told: where the server is, what to capture, from where, in what portions.

use std::path::PathBuf;
use std::time::Duration;

use forebay_model::{Position, Secret, TablePattern, VIRTUAL_DATABASE};

use super::HostPort;

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
    /// A name or an address: the first that is tried.
    pub host: String,
    /// Usually 3306.
    pub port: u16,
    /// Where to go on if that one cannot be read, in this order: replicas of it, or it of them.
    pub hosts: Vec<HostPort>,
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

/// Schemas of the server itself, and the one of our own virtual tables.
pub(super) const SYSTEM: [&str; 5] =
    ["information_schema", "mysql", "performance_schema", "sys", VIRTUAL_DATABASE];

impl Config {
    /// Whether the table is captured.
    pub fn captures(&self, database: &str, table: &str) -> bool {
        !SYSTEM.contains(&database) && self.tables.iter().any(|p| p.matches(database, table))
    }

    /// Whether the database may have a captured table, in whatever case its name is written.
    pub(crate) fn may_capture_in(&self, database: &[u8]) -> bool {
        let database = String::from_utf8_lossy(database).to_lowercase();
        let mut patterns = self.tables.iter().map(|p| p.as_str().to_lowercase());
        !SYSTEM.contains(&database.as_str())
            && patterns.any(|pattern| {
                let databases = pattern.split_once('.').map_or("*", |(databases, _)| databases);
                TablePattern::new(&format!("{databases}.*")).map_or(true, |p| p.matches(&database, "t"))
            })
    }

    /// Whether a statement, run with this default database, can change a captured table, as far as its text tells. It can where the default
    /// database has one, and where its text has the names of one: views, triggers and foreign keys may hide the rest.
    pub(crate) fn may_change(&self, database: &[u8], statement: &[u8]) -> bool {
        let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
        let database = lower(database);
        let text = lower(statement);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
        let mut words: Vec<&str> = text.split(|c| !is_name(c)).filter(|w| !w.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        self.tables.iter().map(|p| p.as_str().to_lowercase()).any(|pattern| {
            let (databases, tables) = pattern.split_once('.').unwrap_or((&pattern, "*"));
            let of_database = TablePattern::new(&format!("{databases}.*"));
            let of_table = TablePattern::new(&format!("*.{tables}"));
            let (Ok(of_database), Ok(of_table)) = (of_database, of_table) else { return true };
            !SYSTEM.contains(&database.as_str()) && of_database.matches(&database, "t")
                || words.iter().any(|w| !SYSTEM.contains(w) && of_database.matches(w, "t"))
                    && words.iter().any(|w| of_table.matches("d", w))
        })
    }

    /// `host:port`, as faults name the server.
    pub(crate) fn address(&self) -> String {
        HostPort { host: self.host.clone(), port: self.port }.to_string()
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
    /// Whether a snapshot begins of tables that come into the capture by a RENAME, or that the account may see only now. The
    /// latter are looked for at each connect.
    pub new_tables: bool,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        SnapshotSettings {
            replica: None,
            readers: 2,
            chunk_rows: 10_000,
            chunk_bytes: 8 << 20,
            new_tables: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_can_change_a_captured_table() {
        let may = |patterns: &[&str], database: &str, statement: &str| {
            let config = Config {
                host: String::new(),
                port: 1,
                hosts: Vec::new(),
                user: String::new(),
                password: None,
                tls: Tls::Disabled,
                server_id: None,
                tables: patterns.iter().map(|p| TablePattern::new(p).unwrap()).collect(),
            };
            config.may_change(database.as_bytes(), statement.as_bytes())
        };
        assert!(may(&["shop.*"], "shop", "INSERT INTO t VALUES (1)"));
        // by a view or a trigger
        assert!(may(&["shop.users"], "shop", "DELETE FROM v"));
        assert!(may(&["shop.users"], "", "UPDATE `shop`.`users` SET a = 1"));
        assert!(may(&["Shop.Users"], "other", "UPDATE SHOP.users SET a = 1"));
        assert!(may(&["sh*.u?ers"], "x", "UPDATE shop . users SET a = 1"));
        assert!(may(&["*.*"], "", "INSERT INTO a.b VALUES (1)"));
        assert!(may(&["my-shop.a$b"], "", "INSERT INTO `my-shop`.`a$b` VALUES (1)"));
        assert!(!may(&["shop.*", "crm.a"], "other", "INSERT INTO t VALUES ('x')"));
        assert!(!may(&["shop.users"], "other", "UPDATE shop.orders SET a = 1"));
        assert!(!may(&["s*.*"], "sys", "REPLACE t"));
    }
}
