//! Calls to `scripts/mysql`, which knows how a server of either kind is had on this machine.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL 9.7, or what this machine has.
    MySql,
    /// MariaDB 10.11.
    MariaDb,
}

impl Flavour {
    fn script(self) -> Command {
        let mut command = Command::new(root().join("scripts/mysql"));
        // A server of one's own is asked for here; these name one that is not.
        command.env_remove("FOREBAY_MYSQL").env_remove("FOREBAY_MARIADB");
        command.env("FOREBAY_FLAVOUR", if self == Flavour::MySql { "mysql" } else { "mariadb" });
        command
    }
}

/// A new folder for a server.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix("forebay-mysql-").tempdir()?.keep())
}

/// Starts a server in `dir` and returns its URL, and the pipe that keeps the server alive. At the pipe's end the
/// script does `end`: `kill` or `remove`.
pub(crate) fn up(
    flavour: Flavour,
    dir: &Path,
    end: &str,
    options: &[String],
) -> Result<(String, ChildStdin)> {
    let mut command = flavour.script();
    command.arg("up").arg(dir).args(["--lifeline", end]).args(options);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // `wait` would close standard input, and with it the server's life.
    let lifeline = child.stdin.take().context("standard input is a pipe")?;
    let output = child.stdout.take().map(std::io::read_to_string).transpose()?.unwrap_or_default();
    let status = child.wait()?;
    if !status.success() {
        let said = child.stderr.take().map(std::io::read_to_string).transpose()?.unwrap_or_default();
        bail!("scripts/mysql up failed ({status}):\n{said}");
    }
    Ok((output.trim().to_owned(), lifeline))
}

/// `down`, `kill`, or `up` without a lifeline, in `dir`. Returns what was printed.
pub(crate) fn act(flavour: Flavour, verb: &str, dir: &Path, options: &[String]) -> Result<String> {
    let mut command = flavour.script();
    let out = command
        .arg(verb)
        .arg(dir)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("scripts/mysql {verb}"))?;
    if !out.status.success() {
        bail!("scripts/mysql {verb} failed ({}):\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// The words that run a program of the server's release, such as `mysqlbinlog`.
pub fn mysql_tool(name: &str) -> Command {
    let mut command = Flavour::MySql.script();
    command.args(["tool", name]);
    command
}

/// The checkout: looked for when it is needed, since two checkouts may share one target folder and its binaries.
fn root() -> PathBuf {
    let start =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(std::env::current_dir, |dir| Ok(dir.into()));
    let start = start.expect("there is a current folder");
    let root = start.ancestors().find(|dir| dir.join("scripts/mysql").is_file());
    root.unwrap_or_else(|| panic!("no checkout of Forebay above {}", start.display())).to_owned()
}
