//! Whether a server is fit to be a source: a function for each check, each with the statement that mends what it finds.
//!
//! Some checks are demands: a source does not read a server that fails one. The rest is for people. What is asked of a
//! server is gathered first; every judgement is a pure function of that.

mod cascades;
mod catalog;
mod connection;
pub(crate) mod facts;
mod history;
mod privileges;
pub(crate) mod settings;
mod tables;

use forebay_model::{Code, Fault};
use serde::Serialize;

use super::wire::{Conn, WireError};
use super::{Config, faults, reach};
use crate::codes;
pub use catalog::{CHECKS, Checked};
use facts::Facts;
use history::History;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// Nothing is wrong with it that keeps a source from reading, but somebody should know.
    Advice,
    /// It did not pass.
    Fail,
    /// It could not be made, since an earlier one did not pass.
    Skipped,
}

/// What was found by one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The host that it is about, as `host:port`.
    pub host: String,
    /// The check, such as `binlog_format`: one of [`CHECKS`].
    pub id: &'static str,
    /// What it came to.
    pub status: Status,
    /// What was found, for people.
    pub finding: String,
    /// How to mend it: a statement to run where there is one.
    pub fix: Option<String>,
}

impl Check {
    fn ok(id: &'static str, finding: impl Into<String>) -> Self {
        Check { host: String::new(), id, status: Status::Ok, finding: finding.into(), fix: None }
    }

    fn advice(id: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Check { status: Status::Advice, fix: Some(fix.into()), ..Check::ok(id, finding) }
    }

    fn fail(id: &'static str, finding: impl Into<String>, fix: impl Into<String>) -> Self {
        Check { status: Status::Fail, fix: Some(fix.into()), ..Check::ok(id, finding) }
    }

    fn skipped(id: &'static str, finding: impl Into<String>) -> Self {
        Check { status: Status::Skipped, ..Check::ok(id, finding) }
    }

    /// Whether it did not pass.
    pub fn failed(&self) -> bool {
        self.status == Status::Fail
    }

    /// The code of the fault that keeps a source from reading if this did not pass; `None` = it never does.
    pub fn demand(&self) -> Option<Code> {
        catalog::find(self.id).and_then(|c| c.demand)
    }
}

/// Makes every check on every host of the source, also after one has failed. Never fails itself: that nothing answers is a
/// finding too. Checks come host by host, in the order of [`CHECKS`].
pub async fn doctor(config: &Config) -> Vec<Check> {
    let (mut all, mut histories) = (Vec::new(), Vec::new());
    for host in config.all_hosts() {
        let here = config.at(&host);
        let (mut checks, conn) = connection::connect(&here).await;
        if let Ok(mut conn) = conn {
            match examine(&mut conn, &here).await {
                Ok(found) => {
                    checks.extend(found);
                    let history = History::ask(&mut conn, host.to_string()).await;
                    checks.push(history::check(history.as_ref(), &histories));
                    histories.extend(history);
                    conn.quit().await;
                }
                Err(e) => {
                    let fault = faults::wire(e, "cannot read the server's settings");
                    checks.retain(|c| c.id != "server");
                    checks.push(Check::fail("server", fault.message(), "see the server's error log"));
                }
            }
        }
        let broken = checks.iter().find(|c| c.failed()).map_or("an earlier check", |c| c.id);
        let missing = CHECKS.iter().filter(|c| !checks.iter().any(|made| made.id == c.id));
        let missing: Vec<Check> = missing
            .map(|c| Check::skipped(c.id, format!("not looked at, since {broken} did not pass")))
            .collect();
        checks.extend(missing);
        checks.sort_by_key(|c| CHECKS.iter().position(|k| k.id == c.id));
        all.extend(checks.into_iter().map(|c| Check { host: host.to_string(), ..c }));
    }
    all
}

/// Makes every check, but those of the way to a server, on the first host that meets the demands; if none does, on the
/// first that can be asked.
///
/// # Errors
/// Only if no host could be reached or asked: name, TCP, TLS and login each have their own code.
pub async fn preflight(config: &Config) -> Result<Vec<Check>, Fault> {
    let (mut refused, mut unfit) = (Vec::new(), None);
    for host in config.all_hosts() {
        let here = config.at(&host);
        let asked = async {
            let mut conn = Conn::open(&here).await?;
            let checks = examine(&mut conn, &here).await;
            let checks = checks.map_err(|e| faults::wire(e, "cannot read the server's settings"))?;
            conn.quit().await;
            Ok(checks)
        };
        match asked.await {
            Ok(mut checks) => {
                checks.iter_mut().for_each(|c| c.host = host.to_string());
                if demands_met(&checks).is_ok() {
                    return Ok(checks);
                }
                unfit.get_or_insert(checks);
            }
            Err(fault) => refused.push((host, fault)),
        }
    }
    unfit.ok_or_else(|| reach::none_fit(refused))
}

/// The first failed demand as a fault that lists all of them.
///
/// # Errors
/// If one has failed.
pub fn demands_met(checks: &[Check]) -> Result<(), Fault> {
    let failed: Vec<&Check> = checks.iter().filter(|c| c.failed() && c.demand().is_some()).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    let findings: Vec<&str> = failed.iter().map(|c| c.finding.as_str()).collect();
    let fixes: Vec<&str> = failed.iter().filter_map(|c| c.fix.as_deref()).collect();
    let what = format!("the server is not fit to be a source: {}", findings.join("; "));
    Err(Fault::new(first.demand().unwrap_or(codes::PRIVILEGE), what).fix(fixes.join("; ")))
}

/// Only the demands.
pub(crate) async fn demands(conn: &mut Conn, config: &Config) -> Result<Vec<Check>, WireError> {
    let facts = Facts::ask(conn, config).await?;
    Ok(worded_for(&facts, demanded(&facts, config)))
}

async fn examine(conn: &mut Conn, config: &Config) -> Result<Vec<Check>, WireError> {
    let mut facts = Facts::ask(conn, config).await?;
    facts.ask_more(conn, config).await?;
    let mut checks = demanded(&facts, config);
    checks.extend(advised(&facts, config));
    Ok(worded_for(&facts, checks))
}

fn demanded(facts: &Facts, config: &Config) -> Vec<Check> {
    let s = &facts.settings;
    vec![
        settings::log_bin(s),
        settings::format(s),
        settings::row_image(s),
        settings::row_value_options(s),
        settings::filter(facts, config),
        settings::replica_updates(facts),
        settings::gtid_mode(s, config),
        privileges::everywhere(facts, "replication_slave", &["REPLICATION SLAVE"]),
        privileges::everywhere(facts, "replication_client", &["REPLICATION CLIENT", "BINLOG MONITOR"]),
        privileges::select(facts, config),
        settings::server_id(facts, config),
    ]
}

fn advised(facts: &Facts, config: &Config) -> Vec<Check> {
    let mut checks = vec![
        settings::row_metadata(&facts.settings),
        settings::expiry(&facts.settings),
        tables::captured(facts, config),
    ];
    if facts.tables.is_empty() {
        let none = |id| Check::skipped(id, "no captured table is to be seen");
        checks.extend(["keys", "engines", "system_versioning", "cascades", "zero_dates"].map(none));
    } else {
        checks.extend([
            tables::keys(facts),
            tables::engines(facts),
            tables::system_versioning(facts),
            tables::cascades(facts),
            tables::zero_dates(facts),
        ]);
    }
    checks
}

/// MariaDB keeps settings in its files only.
fn worded_for(facts: &Facts, mut checks: Vec<Check>) -> Vec<Check> {
    let fixes = checks.iter_mut().filter_map(|c| c.fix.as_mut()).filter(|f| f.contains("SET PERSIST"));
    if facts.is_mariadb() {
        fixes.for_each(|fix| *fix = fix.replace("SET PERSIST", "SET GLOBAL") + "; and the same in my.cnf");
    }
    checks
}

/// Names for a sentence, the first ten of many.
fn at_most(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 10;
    let mut text = names.iter().take(MOST).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text += &format!(" and {} more", names.len() - MOST);
    }
    text
}

/// A name as a statement wants it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests;
