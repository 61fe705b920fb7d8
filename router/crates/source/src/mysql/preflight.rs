//! Whether a server is fit to be a source: a function for each demand, each with the statement that mends it.

use std::collections::HashMap;

use forebay_model::{Code, Fault};
use serde::Serialize;

use super::grants::Grants;
use super::wire::{Conn, Flavour, WireError};
use super::{Config, catalog, faults};
use crate::codes;

/// What was found about one demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The demand, such as `binlog_format`.
    pub id: &'static str,
    /// Whether it is met.
    pub ok: bool,
    /// What was found, for people.
    pub finding: String,
    /// How to mend it: a statement to run where there is one. May stand with a demand that is met, as advice.
    pub fix: Option<String>,
}

impl Check {
    fn met(id: &'static str, finding: impl Into<String>) -> Self {
        Check { id, ok: true, finding: finding.into(), fix: None }
    }

    fn failed(id: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Check { id, ok: false, finding: finding.into(), fix: Some(fix.into()) }
    }
}

/// The check that is no demand.
const TABLES: &str = "tables";

/// Settings of the server, by name.
type Settings = HashMap<String, String>;

/// Checks every demand, also after one has failed.
///
/// # Errors
/// Only if the server could not be reached or asked: name, TCP, TLS and login each have their own code.
pub async fn preflight(config: &Config) -> Result<Vec<Check>, Fault> {
    let mut conn = Conn::open(config).await?;
    let checks =
        checks(&mut conn, config).await.map_err(|e| faults::wire(e, "cannot read the server's settings"))?;
    conn.quit().await;
    Ok(checks)
}

/// The first failed check as a fatal fault that lists all of them.
///
/// # Errors
/// If one has failed.
pub fn demands_met(checks: &[Check]) -> Result<(), Fault> {
    let failed: Vec<&Check> = checks.iter().filter(|c| !c.ok && c.id != TABLES).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    let findings: Vec<&str> = failed.iter().map(|c| c.finding.as_str()).collect();
    let fixes: Vec<&str> = failed.iter().filter_map(|c| c.fix.as_deref()).collect();
    let what = format!("the server is not fit to be a source: {}", findings.join("; "));
    Err(Fault::new(code(first.id), what).fix(fixes.join("; ")))
}

fn code(id: &str) -> Code {
    match id {
        "log_bin" => codes::LOG_BIN_OFF,
        "binlog_format" => codes::BINLOG_FORMAT,
        "binlog_row_image" => codes::ROW_IMAGE,
        "binlog_row_value_options" => codes::PARTIAL_JSON,
        "gtid_mode" => codes::GTID_OFF,
        "server_id" => codes::SERVER_ID,
        _ => codes::PRIVILEGE,
    }
}

async fn checks(conn: &mut Conn, config: &Config) -> Result<Vec<Check>, WireError> {
    let rows = conn
        .query(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', \
             'binlog_row_metadata', 'binlog_row_value_options', 'gtid_mode', 'binlog_expire_logs_seconds', 'server_id')",
        )
        .await?;
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().flatten();
        Some((row.next()?.to_ascii_lowercase(), row.next()?))
    };
    let settings: Settings = rows.rows.into_iter().filter_map(pair).collect();

    let role = conn.query("SELECT CURRENT_ROLE()").await?;
    let sql = match role.firsts().next() {
        Some(roles) if roles != "NONE" && conn.server.flavour == Flavour::MySql => {
            format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}")
        }
        _ => "SHOW GRANTS".to_owned(),
    };
    let lines = conn.query(&sql).await?;
    let grants = Grants::parse(lines.firsts());
    let user = conn.query("SELECT CURRENT_USER()").await?;
    let user = account(user.firsts().next().unwrap_or(&config.user));

    let mut checks = vec![
        log_bin(&settings),
        format(&settings),
        row_image(&settings),
        row_metadata(&settings),
        row_value_options(&settings),
        everywhere(&grants, "replication_slave", "REPLICATION SLAVE", &user),
    ];
    // MariaDB's transactions always have a GTID, and its name for the other privilege is its own
    match conn.server.flavour {
        Flavour::MySql => {
            checks.push(gtid_mode(&settings));
            checks.push(everywhere(&grants, "replication_client", "REPLICATION CLIENT", &user));
        }
        Flavour::MariaDb => {
            checks.push(everywhere(&grants, "replication_client", "BINLOG MONITOR", &user));
        }
    }
    let tables = catalog::read(conn, config).await?;
    let visible: Vec<(&str, &str)> = tables.iter().map(|t| (t.database.as_str(), t.table.as_str())).collect();
    checks.push(select(&grants, config, &visible, &user));
    checks.push(captured(&visible, config));
    // seen with REPLICATION SLAVE only, which has its own check
    let sql = match conn.server.flavour {
        Flavour::MySql => "SHOW REPLICAS",
        Flavour::MariaDb => "SHOW REPLICA HOSTS",
    };
    let replicas = conn.query(sql).await.map(|r| r.firsts().map(str::to_owned).collect::<Vec<_>>());
    checks.push(server_id(&settings, config, &replicas.unwrap_or_default()));
    checks.push(expiry(&settings));
    if conn.server.flavour == Flavour::MariaDb {
        // it keeps no setting by itself
        for check in &mut checks {
            check.fix = check.fix.take().map(|fix| fix.replace("SET PERSIST", "SET GLOBAL"));
        }
    }
    Ok(checks)
}

/// `user@host` as a statement wants it.
fn account(current: &str) -> String {
    let (user, host) = current.rsplit_once('@').unwrap_or((current, "%"));
    format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''"))
}

fn value<'a>(settings: &'a Settings, name: &str) -> &'a str {
    settings.get(name).map_or("unknown", String::as_str)
}

/// A setting that must have one value.
fn must_be(settings: &Settings, id: &'static str, wanted: &str, why: &str, fix: &str) -> Check {
    let found = value(settings, id);
    let shown = if found.is_empty() { "empty" } else { found };
    if found.eq_ignore_ascii_case(wanted) {
        Check::met(id, format!("{id} is {shown}"))
    } else {
        Check::failed(id, format!("{id} is {shown}: {why}"), fix)
    }
}

fn log_bin(settings: &Settings) -> Check {
    must_be(
        settings,
        "log_bin",
        "ON",
        "the server writes no binlog",
        "start the server with --log-bin (my.cnf: log_bin = binlog)",
    )
}

fn format(settings: &Settings) -> Check {
    let why = "the binlog would hold statements instead of rows";
    must_be(
        settings,
        "binlog_format",
        "ROW",
        why,
        "SET PERSIST binlog_format = 'ROW'; then let sessions reconnect",
    )
}

fn row_image(settings: &Settings) -> Check {
    let why = "updates and deletes would not say what the row was";
    let fix = "SET PERSIST binlog_row_image = 'FULL'; then let sessions reconnect";
    must_be(settings, "binlog_row_image", "FULL", why, fix)
}

/// Not a demand: without names in the binlog they come from a history of the tables' versions.
fn row_metadata(settings: &Settings) -> Check {
    let found = value(settings, "binlog_row_metadata");
    let mut check = Check::met("binlog_row_metadata", format!("binlog_row_metadata is {found}"));
    if !found.eq_ignore_ascii_case("FULL") {
        check.finding += ": names of columns are followed through the statements that change tables";
        let fix = "so that no change of a table can be missed: SET PERSIST binlog_row_metadata = 'FULL'";
        check.fix = Some(fix.into());
    }
    check
}

/// Differences of JSON values are applied to the values before, which only whole row images have.
fn row_value_options(settings: &Settings) -> Check {
    let id = "binlog_row_value_options";
    let found = value(settings, id);
    if found.eq_ignore_ascii_case("PARTIAL_JSON")
        && !value(settings, "binlog_row_image").eq_ignore_ascii_case("FULL")
    {
        let finding = format!("{id} is {found}: updates would not say what JSON values were before");
        return Check::failed(
            id,
            finding,
            "SET PERSIST binlog_row_value_options = ''; then let sessions reconnect",
        );
    }
    Check::met(id, format!("{id} is {}", if found.is_empty() { "empty" } else { found }))
}

fn gtid_mode(settings: &Settings) -> Check {
    let why = "a position would not survive a failover";
    let fix = "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; \
               SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON";
    must_be(settings, "gtid_mode", "ON", why, fix)
}

fn everywhere(grants: &Grants, id: &'static str, privilege: &str, user: &str) -> Check {
    if grants.everywhere(privilege) {
        Check::met(id, format!("{user} has {privilege}"))
    } else {
        Check::failed(id, format!("{user} lacks {privilege}"), format!("GRANT {privilege} ON *.* TO {user}"))
    }
}

/// SELECT on what is captured. A pattern with wildcards is met by what it means now: the account sees only tables that
/// it may read, so a pattern that means none of them is not.
fn select(grants: &Grants, config: &Config, visible: &[(&str, &str)], user: &str) -> Check {
    let mut fixes = Vec::new();
    for pattern in &config.tables {
        let (database, table) = pattern.as_str().split_once('.').unwrap_or((pattern.as_str(), "*"));
        let wild = |name: &str| name.contains(['*', '?']);
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        if pattern.is_exact() {
            if !grants.on("SELECT", database, Some(table)) {
                fixes.push(format!("GRANT SELECT ON {}.{} TO {user}", quoted(database), quoted(table)));
            }
            continue;
        }
        if !wild(database) && grants.on("SELECT", database, None) || grants.everywhere("SELECT") {
            continue;
        }
        let mut meant = visible.iter().filter(|(d, t)| pattern.matches(d, t)).peekable();
        if meant.peek().is_none() || meant.any(|(d, t)| !grants.on("SELECT", d, Some(t))) {
            let on = if wild(database) { "*.*".to_owned() } else { format!("{}.*", quoted(database)) };
            fixes.push(format!("GRANT SELECT ON {on} TO {user}"));
        }
    }
    if fixes.is_empty() {
        return Check::met("select", format!("{user} may read the captured tables"));
    }
    Check::failed("select", format!("{user} lacks SELECT on captured tables"), fixes.join("; "))
}

/// No demand on a source that runs, since tables come and go; but who asks wants to know of a name that nothing has.
fn captured(visible: &[(&str, &str)], config: &Config) -> Check {
    let absent: Vec<&str> = (config.tables.iter().filter(|p| p.is_exact()))
        .filter(|p| !visible.iter().any(|(database, table)| p.matches(database, table)))
        .map(|p| p.as_str())
        .collect();
    if !absent.is_empty() {
        let finding = format!("there is no table {}, or the account may not see it", absent.join(", "));
        return Check::failed(
            TABLES,
            finding,
            "check the spelling: upper and lower case differ; GRANT SELECT on it",
        );
    }
    let patterns: Vec<&str> = config.tables.iter().map(|p| p.as_str()).collect();
    let mut check =
        Check::met(TABLES, format!("{} tables are captured by {}", visible.len(), patterns.join(", ")));
    if visible.is_empty() {
        check.fix =
            Some("check the source's tables: names are compared exactly, upper and lower case differ".into());
    }
    check
}

fn server_id(settings: &Settings, config: &Config, replicas: &[String]) -> Check {
    let Some(id) = config.server_id else {
        return Check::met("server_id", "a random server id is used that no replica has");
    };
    if id == 0 || value(settings, "server_id") == id.to_string() {
        let finding = format!("server_id {id} is the server's own (or none)");
        return Check::failed("server_id", finding, "leave the source's server_id out, or choose another");
    }
    if replicas.contains(&id.to_string()) {
        let mut check = Check::met("server_id", format!("a reader with server_id {id} is connected now"));
        check.fix =
            Some("if that is not this source, choose another: two with one id throw each other out".into());
        return check;
    }
    Check::met("server_id", format!("no replica has server_id {id}"))
}

/// Not a demand: how long the source may be down before the server deletes what it has not read.
fn expiry(settings: &Settings) -> Check {
    const WEEK: u64 = 7 * 24 * 3600;
    let seconds: u64 = value(settings, "binlog_expire_logs_seconds").parse().unwrap_or(0);
    let mut check = match seconds {
        0 => Check::met("binlog_expiry", "binlogs are kept until somebody purges them"),
        s => Check::met("binlog_expiry", format!("binlogs are kept for {:.1} days", s as f64 / 86_400.0)),
    };
    if (1..WEEK).contains(&seconds) {
        check.fix =
            Some(format!("to survive a longer pause: SET PERSIST binlog_expire_logs_seconds = {WEEK}"));
    }
    check
}

#[cfg(test)]
mod tests {
    use forebay_model::TablePattern;

    use super::super::Tls;
    use super::*;

    fn config(patterns: &[&str], server_id: Option<u32>) -> Config {
        Config {
            host: "h".into(),
            port: 1,
            user: "u".into(),
            password: None,
            tls: Tls::Preferred,
            server_id,
            tables: patterns.iter().map(|p| TablePattern::new(p).unwrap()).collect(),
        }
    }

    #[test]
    fn settings_are_compared() {
        let settings = |value: &str| Settings::from([("binlog_format".to_owned(), value.to_owned())]);
        assert!(format(&settings("ROW")).ok && format(&settings("row")).ok);
        let bad = format(&settings("MIXED"));
        assert!(!bad.ok && bad.finding.contains("MIXED") && bad.fix.unwrap().contains("SET PERSIST"));
        let options = |image: &str| {
            let set = [("binlog_row_value_options", "PARTIAL_JSON"), ("binlog_row_image", image)];
            row_value_options(&set.map(|(n, v)| (n.to_owned(), v.to_owned())).into()).ok
        };
        assert!(row_value_options(&Settings::from([("binlog_row_value_options".into(), String::new())])).ok);
        assert!(options("FULL") && !options("MINIMAL"));
    }

    #[test]
    fn a_fault_lists_every_failed_demand() {
        let settings = Settings::from([("log_bin".to_owned(), "OFF".to_owned())]);
        let checks = [log_bin(&settings), format(&settings), Check::met("x", "fine")];
        let fault = demands_met(&checks).unwrap_err();
        assert_eq!(fault.code(), codes::LOG_BIN_OFF);
        assert!(fault.message().contains("log_bin") && fault.message().contains("binlog_format"), "{fault}");
        assert!(fault.remedy().contains("--log-bin") && fault.remedy().contains("SET PERSIST binlog_format"));
        assert!(demands_met(&checks[2..]).is_ok());
    }

    #[test]
    fn select_is_needed_on_what_is_captured() {
        let grants = Grants::parse(
            ["GRANT SELECT ON `a`.* TO `u`@`%`", "GRANT SELECT ON `b`.`t` TO `u`@`%`"].into_iter(),
        );
        let ok = |patterns: &[&str], visible: &[(&str, &str)]| {
            select(&grants, &config(patterns, None), visible, "u").ok
        };
        assert!(ok(&["a.*", "b.t"], &[]));
        assert!(ok(&["b.*"], &[("b", "t")]));
        assert!(!ok(&["b.x"], &[]) && !ok(&["b.*"], &[]) && !ok(&["c.*"], &[]) && !ok(&["*.*"], &[]));
        let check = select(&grants, &config(&["c.`d"], None), &[], "'u'@'%'");
        assert_eq!(check.fix.unwrap(), "GRANT SELECT ON `c`.```d` TO 'u'@'%'");
    }

    #[test]
    fn server_ids_clash() {
        let settings = Settings::from([("server_id".to_owned(), "7".to_owned())]);
        assert!(!server_id(&settings, &config(&[], Some(7)), &[]).ok);
        assert!(server_id(&settings, &config(&[], Some(8)), &["8".into()]).fix.is_some());
        assert!(server_id(&settings, &config(&[], Some(8)), &["9".into()]).fix.is_none());
        assert!(server_id(&settings, &config(&[], None), &[]).ok);
    }
}
