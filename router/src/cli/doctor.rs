//! `forebay doctor`: does a MySQL server offer what Forebay needs?

use anyhow::{Context, bail};
use clap::Args;
use forebay_model::{Secret, TablePattern};
use forebay_source::mysql::{self, Check};
use reqwest::Url;

use super::{Failure, print};

/// Check a MySQL server. Exit code 1 if a check does not pass.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The server, as mysql://user@host:port (the password comes from --password-env).
    #[arg(long)]
    mysql: String,
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
        let checks = mysql::preflight(&config).await?;
        let text = if self.json { serde_json::to_string_pretty(&checks)? + "\n" } else { lines(&checks) };
        print(&text)?;
        if checks.iter().all(|c| c.ok) { Ok(()) } else { Err(Failure::Told(1)) }
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
        user: if parsed.username().is_empty() { "root".to_owned() } else { parsed.username().to_owned() },
        password: parsed.password().map(Secret::new),
        tls: mysql::Tls::Preferred,
        server_id: None,
        tables: tables.collect::<anyhow::Result<_>>()?,
    })
}

fn lines(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        out += &format!("{} {:24} {}\n", if check.ok { "ok  " } else { "FAIL" }, check.id, check.finding);
        if let Some(fix) = check.fix.as_ref().filter(|_| !check.ok) {
            out += &format!("     fix: {fix}\n");
        }
    }
    out
}
