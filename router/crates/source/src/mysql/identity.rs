//! Who we are among the server's replicas, and from which transactions on we read.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use forebay_model::{Fault, GtidSet, Position};

use super::binlog::Special;
use super::wire::{Conn, Flavour, Rows, WireError};
use super::{Config, Start, faults};
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

/// The position that a start means on this server now.
///
/// # Errors
/// If the server gives no GTIDs, has purged what was not read, or lacks what was read.
pub(crate) async fn resolve(conn: &mut Conn, config: &Config, start: Start) -> Result<Position, Fault> {
    if conn.server.flavour == Flavour::MariaDb {
        return mariadb(conn, config, start).await;
    }
    let failed = |e| faults::wire(e, "cannot read the server's GTIDs");
    let rows = conn
        .query("SELECT @@GLOBAL.gtid_mode m, @@GLOBAL.gtid_purged p, @@GLOBAL.gtid_executed e")
        .await
        .map_err(failed)?;
    if rows.first("m") != Some("ON") {
        let what = format!("gtid_mode of {} is {}", config.address(), rows.first("m").unwrap_or("unknown"));
        return Err(Fault::new(codes::GTID_OFF, what).fix("set gtid_mode and enforce_gtid_consistency to ON"));
    }
    let purged = set(rows.first("p"))?;
    match start {
        Start::Earliest => Ok(Position { gtids: purged, ..Default::default() }),
        Start::Now => {
            let status = binlog_status(conn)
                .await
                .map_err(|e| faults::wire(e, "cannot read where the binlog ends"))?;
            let Some(file) = status.first("File") else {
                return Err(Fault::new(codes::LOG_BIN_OFF, format!("{} writes no binlog", config.address()))
                    .fix("start the server with --log-bin"));
            };
            let pos = status.first("Position").and_then(|p| p.parse().ok()).unwrap_or(4);
            Ok(Position { gtids: set(status.first("Executed_Gtid_Set"))?, file: file.to_owned(), pos })
        }
        Start::At(position) => {
            let mut executed = set(rows.first("e"))?;
            if !position.gtids.is_subset(&executed) {
                // a transaction is sent to readers a moment before the server counts it as executed
                executed = catch_up(conn, &position).await?;
            }
            if !position.gtids.is_subset(&executed) {
                let what = format!(
                    "{} has executed {executed} and lacks some of {}, which was read already",
                    config.address(),
                    position.gtids
                );
                return Err(Fault::new(codes::POSITION_AHEAD, what)
                    .fix("the server was restored, reset or replaced: point the source at the right server, or begin anew"));
            }
            if !purged.is_subset(&position.gtids) {
                let what =
                    format!("{} has purged {purged}, and only {} was read", config.address(), position.gtids);
                return Err(Fault::new(codes::PURGED, what).fix(
                    "begin anew; and keep binlogs longer: SET PERSIST binlog_expire_logs_seconds = 604800",
                ));
            }
            Ok(position)
        }
    }
}

/// As [`resolve`], where a position is the newest transaction of each domain.
async fn mariadb(conn: &mut Conn, config: &Config, start: Start) -> Result<Position, Fault> {
    let failed = |e| faults::wire(e, "cannot read where the binlog begins and ends");
    let no_binlog = || {
        Fault::new(codes::LOG_BIN_OFF, format!("{} writes no binlog", config.address()))
            .fix("start the server with --log-bin")
    };
    let logs = conn.query("SHOW BINARY LOGS").await.map_err(failed)?;
    let oldest = logs.firsts().next().ok_or_else(no_binlog)?.to_owned();
    let status = conn.query("SHOW MASTER STATUS").await.map_err(failed)?;
    let file = status.first("File").ok_or_else(no_binlog)?.to_owned();
    let pos: u64 = status.first("Position").and_then(|p| p.parse().ok()).unwrap_or(4);
    let quoted = |file: &str| file.replace('\'', "''");
    let gtids = conn
        .query(&format!(
            "SELECT BINLOG_GTID_POS('{}', 4) b, BINLOG_GTID_POS('{}', {pos}) e",
            quoted(&oldest),
            quoted(&file)
        ))
        .await
        .map_err(failed)?;
    let (begin, end) = (set(gtids.first("b"))?, set(gtids.first("e"))?);
    match start {
        Start::Earliest => Ok(Position { gtids: begin, ..Default::default() }),
        Start::Now => Ok(Position { gtids: end, file, pos }),
        Start::At(position) if !position.gtids.is_subset(&end) => {
            let what = format!(
                "the binlog of {} ends with {end}, and {} was read already",
                config.address(),
                position.gtids
            );
            Err(Fault::new(codes::POSITION_AHEAD, what).fix(
                "the server was restored, reset or replaced: point the source at the right server, or begin anew",
            ))
        }
        Start::At(position) if !begin.is_subset(&position.gtids) => {
            let what = format!(
                "the binlog of {} begins behind {begin}, and only {} was read",
                config.address(),
                position.gtids
            );
            Err(Fault::new(codes::PURGED, what)
                .fix("begin anew; and keep binlogs longer: SET GLOBAL binlog_expire_logs_seconds = 604800"))
        }
        Start::At(position) => Ok(position),
    }
}

/// Waits a little for the server to have executed what was read from it; answers what it has executed then.
async fn catch_up(conn: &mut Conn, position: &Position) -> Result<GtidSet, Fault> {
    let failed = |e| faults::wire(e, "cannot read the server's GTIDs");
    conn.query(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', 3)", position.gtids))
        .await
        .map_err(failed)?;
    let rows = conn.query("SELECT @@GLOBAL.gtid_executed").await.map_err(failed)?;
    set(rows.firsts().next())
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

fn set(text: Option<&str>) -> Result<GtidSet, Fault> {
    text.unwrap_or_default().parse().map_err(|e: <GtidSet as std::str::FromStr>::Err| {
        Fault::new(codes::PROTOCOL, "the server's GTIDs").cause(e)
    })
}

/// Where the binlog ends. The statement got its name in 8.2 and lost the old one in 8.4.
pub(crate) async fn binlog_status(conn: &mut Conn) -> Result<Rows, WireError> {
    match conn.query("SHOW BINARY LOG STATUS").await {
        Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW MASTER STATUS").await,
        other => other,
    }
}
