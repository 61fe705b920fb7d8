//! `forebay doctor`: does a MySQL server offer what Forebay needs?

use anyhow::{Context, bail};
use clap::Args;
use forebay_model::{Secret, TablePattern};
use forebay_source::mysql::{self, Check, HostPort, Status};
use reqwest::Url;

use super::{Failure, print};

/// Check a MySQL server, and print what mends it. Exit code 1 if a check fails.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The server, as mysql://user@host:port (the password comes from --password-env).
    #[arg(long)]
    mysql: String,
    /// Another host of the source, as host:port, which takes over when the first cannot be read; may be given several times.
    #[arg(long)]
    host: Vec<HostPort>,
    /// The environment variable that holds the password.
    #[arg(long, default_value = "MYSQL_PWD")]
    password_env: String,
    /// The tables that are to be captured, as database.table with * and ?; may be given several times.
    #[arg(long, short, default_value = "*.*")]
    table: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut config = config(&self.mysql, &self.table)?;
        config.password = config.password.or(std::env::var(&self.password_env).ok().map(Secret::new));
        config.hosts = self.host;
        let checks = mysql::doctor(&config).await;
        let text = if self.json { serde_json::to_string_pretty(&checks)? + "\n" } else { lines(&checks) };
        print(&text)?;
        if checks.iter().any(Check::failed) { Err(Failure::Told(1)) } else { Ok(()) }
    }
}

/// The source crate's view of `mysql://user[:password]@host[:port]`.
pub(super) fn config(url: &str, tables: &[String]) -> anyhow::Result<mysql::Config> {
    let parsed = Url::parse(url).context("the server must be written as mysql://user@host:port")?;
    if parsed.scheme() != "mysql" {
        bail!("the server must be written as mysql://user@host:port");
    }
    let tables = tables.iter().map(|t| TablePattern::new(t).map_err(anyhow::Error::msg));
    Ok(mysql::Config {
        host: parsed.host_str().unwrap_or("127.0.0.1").to_owned(),
        port: parsed.port().unwrap_or(3306),
        hosts: Vec::new(),
        user: if parsed.username().is_empty() { "root".to_owned() } else { parsed.username().to_owned() },
        password: parsed.password().map(Secret::new),
        tls: mysql::Tls::Preferred,
        server_id: None,
        tables: tables.collect::<anyhow::Result<_>>()?,
    })
}

/// A line for each check and one for each fix; what was skipped is told in one line.
fn lines(checks: &[Check]) -> String {
    let mut out = String::new();
    let several = checks.iter().any(|c| c.host != checks[0].host);
    for of_host in checks.chunk_by(|a, b| a.host == b.host) {
        if several {
            out += &format!("{}\n", of_host[0].host);
        }
        for check in of_host.iter().filter(|c| c.status != Status::Skipped) {
            let mark = match check.status {
                Status::Ok => "ok  ",
                Status::Advice => "note",
                Status::Fail | Status::Skipped => "FAIL",
            };
            out += &format!("{mark} {:24} {}\n", check.id, check.finding);
            if let Some(fix) = &check.fix {
                out += &format!("     fix: {fix}\n");
            }
        }
        let skipped: Vec<&str> =
            of_host.iter().filter(|c| c.status == Status::Skipped).map(|c| c.id).collect();
        if !skipped.is_empty() {
            out += &format!("skip {}\n", skipped.join(", "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, id: &'static str, status: Status, fix: Option<&str>) -> Check {
        Check { host: host.into(), id, status, finding: "found".into(), fix: fix.map(str::to_owned) }
    }

    #[test]
    fn each_check_has_a_line_and_skipped_ones_share_one() {
        let list = |host| {
            [
                check(host, "dns", Status::Ok, None),
                check(host, "tls", Status::Advice, Some("a certificate")),
                check(host, "login", Status::Fail, Some("the password")),
                check(host, "log_bin", Status::Skipped, None),
                check(host, "keys", Status::Skipped, None),
            ]
        };
        let one = "ok   dns                      found\nnote tls                      found\n     fix: a certificate\n\
                   FAIL login                    found\n     fix: the password\nskip log_bin, keys\n";
        assert_eq!(lines(&list("a:1")), one);
        assert_eq!(lines(&[list("a:1"), list("b:2")].concat()), format!("a:1\n{one}b:2\n{one}"));
        assert_eq!(lines(&[]), "");
    }
}
