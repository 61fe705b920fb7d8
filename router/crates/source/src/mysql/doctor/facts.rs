//! What the checks look at, as it was asked of a server.

use super::cascades::{self, Cascade};
use super::settings::Settings;
use crate::mysql::Config;
use crate::mysql::grants::Grants;
use crate::mysql::server::binlog_status;
use crate::mysql::wire::{Conn, WireError};

/// A captured table that the account may see.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) database: String,
    pub(super) name: String,
    pub(super) engine: String,
    /// A primary one.
    pub(super) has_key: bool,
    /// System-versioned, as MariaDB calls it.
    pub(super) versioned: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The server's version, as it spells it.
    pub(super) version: String,
    pub(super) settings: Settings,
    /// The account, as a statement wants it.
    pub(super) user: String,
    pub(super) grants: Grants,
    pub(super) tables: Vec<Table>,
    /// Ids of readers that are connected, as far as they may be seen.
    pub(super) replicas: Vec<String>,
    pub(super) is_replica: bool,
    /// `binlog_do_db` and `binlog_ignore_db`, if they may be seen.
    pub(super) filters: Option<(String, String)>,
    pub(super) cascades: Vec<Cascade>,
    /// Columns of captured tables that hold dates.
    pub(super) dates: usize,
    /// Those whose default is a zero date.
    pub(super) zero_defaults: Vec<String>,
}

const SETTINGS: &str = "'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata', \
    'binlog_row_value_options', 'gtid_mode', 'binlog_expire_logs_seconds', 'binlog_expire_logs_auto_purge', \
    'expire_logs_days', 'server_id', 'log_replica_updates', 'log_slave_updates', 'innodb_native_foreign_keys', 'sql_mode'";

const OURS: &str = "TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

impl Facts {
    pub(super) fn is_mariadb(&self) -> bool {
        self.version.to_ascii_lowercase().contains("mariadb")
    }

    /// What the demands need.
    pub(super) async fn ask(conn: &mut Conn, config: &Config) -> Result<Facts, WireError> {
        let version = conn.server.version.clone();
        let maria = version.to_ascii_lowercase().contains("mariadb");
        let settings = settings(conn).await?;
        let grants = if maria { "SHOW GRANTS".to_owned() } else { show_grants(conn).await? };
        let lines = conn.query(&grants).await?;
        let grants = Grants::parse(lines.firsts());
        let user = conn.query("SELECT CURRENT_USER()").await?;
        let user = account(user.firsts().next().unwrap_or(&config.user));
        // each of these is seen with a privilege only that has a check of its own
        let replicas = conn.query(if maria { "SHOW REPLICA HOSTS" } else { "SHOW REPLICAS" }).await;
        let replicas = replicas.map(|r| r.firsts().map(str::to_owned).collect()).unwrap_or_default();
        let is_replica = match conn.query("SHOW REPLICA STATUS").await {
            Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW SLAVE STATUS").await,
            other => other,
        };
        let is_replica = is_replica.is_ok_and(|r| !r.rows.is_empty());
        let filters = binlog_status(conn).await.ok().map(|rows| {
            let list = |name| rows.first(name).unwrap_or_default().to_owned();
            (list("Binlog_Do_DB"), list("Binlog_Ignore_DB"))
        });
        let tables = tables(conn, config).await?;
        Ok(Facts {
            version,
            settings,
            user,
            grants,
            tables,
            replicas,
            is_replica,
            filters,
            ..Facts::default()
        })
    }

    /// What the rest needs.
    pub(super) async fn ask_more(&mut self, conn: &mut Conn, config: &Config) -> Result<(), WireError> {
        let keys = conn
            .query(&format!(
                "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.STATISTICS \
                 WHERE INDEX_NAME = 'PRIMARY' AND {OURS}"
            ))
            .await?;
        let keyed: std::collections::HashSet<(&str, &str)> = keys
            .rows
            .iter()
            .filter_map(|row| match &row[..] {
                [Some(database), Some(table)] => Some((database.as_str(), table.as_str())),
                _ => None,
            })
            .collect();
        for table in &mut self.tables {
            table.has_key = keyed.contains(&(table.database.as_str(), table.name.as_str()));
        }
        self.cascades = cascades::ask(conn, config).await?;
        let dates = conn
            .query(&format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS \
                 WHERE DATA_TYPE IN ('date', 'datetime', 'timestamp') AND {OURS}"
            ))
            .await?;
        for row in dates.rows {
            let [Some(database), Some(table), Some(column), default] = &row[..] else { continue };
            if self.tables.iter().any(|t| t.database == *database && t.name == *table) {
                self.dates += 1;
                let default = default.as_deref().unwrap_or_default();
                if default.trim_matches('\'').starts_with("0000-") {
                    self.zero_defaults.push(format!("{database}.{table}.{column}"));
                }
            }
        }
        Ok(())
    }
}

/// The settings that matter, by name.
pub(crate) async fn settings(conn: &mut Conn) -> Result<Settings, WireError> {
    let rows = conn.query(&format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({SETTINGS})")).await?;
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().flatten();
        Some((row.next()?.to_ascii_lowercase(), row.next()?))
    };
    Ok(rows.rows.into_iter().filter_map(pair).collect())
}

async fn show_grants(conn: &mut Conn) -> Result<String, WireError> {
    let role = conn.query("SELECT CURRENT_ROLE()").await?;
    Ok(match role.firsts().next() {
        Some(roles) if roles != "NONE" => format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}"),
        _ => "SHOW GRANTS".to_owned(),
    })
}

async fn tables(conn: &mut Conn, config: &Config) -> Result<Vec<Table>, WireError> {
    let rows = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {OURS} ORDER BY 1, 2"
        ))
        .await?;
    let table = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let (database, name, engine) = (row.next()??, row.next()??, row.next()?.unwrap_or_default());
        let versioned = row.next()?.as_deref() == Some("SYSTEM VERSIONED");
        let table = Table { database, name, engine, versioned, has_key: false };
        config.captures(&table.database, &table.name).then_some(table)
    };
    Ok(rows.rows.into_iter().filter_map(table).collect())
}

/// `user@host` as a statement wants it.
fn account(current: &str) -> String {
    let (user, host) = current.rsplit_once('@').unwrap_or((current, "%"));
    format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"))
}
