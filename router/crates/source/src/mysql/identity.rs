//! Who we are among the server's replicas.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use forebay_model::Fault;

use super::binlog::Special;
use super::wire::{Conn, Flavour, Rows, WireError};
use super::{Config, faults};
use crate::codes;

/// The id to read the binlog under: the one that was set, or a random high one that nobody has.
pub(crate) async fn server_id(conn: &mut Conn, config: &Config) -> Result<u32, Fault> {
    let own = conn
        .query("SELECT @@GLOBAL.server_id")
        .await
        .map_err(|e| faults::wire(e, "cannot read the server's id"))?;
    let own = own.firsts().next().and_then(|id| id.parse().ok()).unwrap_or(0);
    if let Some(id) = config.server_id {
        if id == own || id == 0 {
            let what = format!(
                "the source's server_id {id} cannot be used: 0 is none, and {own} is the server's own"
            );
            return Err(
                Fault::new(codes::SERVER_ID, what).fix("leave the source's server_id out, or choose another")
            );
        }
        return Ok(id);
    }
    // who may not see the replicas still gets an id: among 2^31 a clash is unlikely
    let replicas = match conn.server.flavour {
        Flavour::MySql => "SHOW REPLICAS",
        Flavour::MariaDb => "SHOW REPLICA HOSTS",
    };
    let taken: HashSet<u32> = match conn.query(replicas).await {
        Ok(rows) => rows.firsts().filter_map(|id| id.parse().ok()).collect(),
        Err(_) => HashSet::new(),
    };
    let random = RandomState::new();
    let id =
        (0u32..).map(|n| random.hash_one(n) as u32 | 1 << 31).find(|id| *id != own && !taken.contains(id));
    Ok(id.unwrap_or(u32::MAX))
}

/// The columns of a table of MariaDB's whose types no table map shows, as the table is now: the table map says all else, so
/// a column that has gone or changed meanwhile is met by its own bytes' length, or refused.
pub(crate) async fn specials(
    config: &Config,
    database: &str,
    table: &str,
) -> Result<Vec<(String, Special)>, Fault> {
    let mut conn = Conn::open(config).await?;
    let quoted = |name: &str| name.replace('\\', "\\\\").replace('\'', "''");
    let rows = conn
        .query(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE, DATETIME_PRECISION FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND \
             TABLE_NAME = '{}' AND DATA_TYPE IN ('inet4', 'inet6', 'uuid', 'time', 'datetime', 'timestamp')",
            quoted(database),
            quoted(table)
        ))
        .await
        .map_err(|e| faults::wire(e, "cannot read information_schema"))?;
    conn.quit().await;
    let special = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let (name, ty, digits) = (row.next()??, row.next()??, row.next()?);
        let special = match ty.as_str() {
            "inet4" => Special::Inet4,
            "inet6" => Special::Inet6,
            "uuid" => Special::Uuid,
            _ => Special::Old(digits?.parse().ok()?),
        };
        Some((name, special))
    };
    Ok(rows.rows.into_iter().filter_map(special).collect())
}

/// Where the binlog ends. The statement got its name in 8.2 and lost the old one in 8.4.
pub(crate) async fn binlog_status(conn: &mut Conn) -> Result<Rows, WireError> {
    match conn.query("SHOW BINARY LOG STATUS").await {
        Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW MASTER STATUS").await,
        other => other,
    }
}
