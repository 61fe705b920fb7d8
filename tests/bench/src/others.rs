//! Other readers of the same binlog, measured in the same turns: the raw copy, and whatever `--beside` names.
//!
//! The copy is the floor: what it costs only to move the binlog's bytes from the server into memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_kit::{Usage, mysql_tool};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;

use crate::load::Loaded;
use crate::route::{Measured, Setup, size};

/// Copies the load with `mysqlbinlog --raw` into memory.
pub(crate) async fn copy(loaded: &Loaded, setup: &Setup<'_>) -> Result<Measured> {
    let target = folder(setup.out)?;
    let port = loaded.server.port().to_string();
    let result = format!("{}/", target.path().display());
    let mut command = mysql_tool("mysqlbinlog");
    command.args([
        "--no-defaults",
        "-uroot",
        "-h127.0.0.1",
        "-P",
        &port,
        "--read-from-remote-server",
        "--raw",
    ]);
    command.args([
        "--result-file",
        &result,
        if setup.tls { "--ssl-mode=REQUIRED" } else { "--ssl-mode=DISABLED" },
    ]);
    command.arg("binlog.000001");
    let measured = run(command, loaded.changes).await?;
    let copied = size(target.path())?;
    ensure!(copied >= loaded.bytes, "copied {copied} of {} bytes", loaded.bytes);
    Ok(Measured { out_bytes: copied, ..measured })
}

/// Runs a shell command in which `{port}` stands for the server's port, `{dir}` for an empty folder on the disk and
/// `{out}` for one in memory. It is taken at its word that it reads all changes.
pub(crate) async fn beside(loaded: &Loaded, setup: &Setup<'_>, command: &str) -> Result<Measured> {
    let (dir, out) = (folder(setup.folder)?, folder(setup.out)?);
    let path = |folder: &TempDir| folder.path().display().to_string();
    let line = command
        .replace("{port}", &loaded.server.port().to_string())
        .replace("{dir}", &path(&dir))
        .replace("{out}", &path(&out));
    let mut shell = Command::new("sh");
    // In the shell's place, so that its process is the command's.
    shell.args(["-c", &format!("exec {line}")]);
    let measured = run(shell, loaded.changes).await?;
    Ok(Measured { log_bytes: size(dir.path())?, out_bytes: size(out.path())?, ..measured })
}

fn folder(inside: &Path) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("forebay-bench-").tempdir_in(inside)?)
}

/// Runs a command to its end.
async fn run(mut command: Command, changes: u64) -> Result<Measured> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let pid = child.id();
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id is positive")?;
    // Sees the end but leaves the process in the table, with its times; its memory is gone by then.
    let ended =
        || waitid(WaitId::Pid(raw), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG);
    let mut peak_memory = 0;
    while ended()?.is_none() {
        peak_memory = Usage::of(pid)?.peak_memory.max(peak_memory);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let wall = started.elapsed();
    let cpu = Usage::of(pid)?.cpu;
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Measured { changes, cpu, wall, before: Duration::ZERO, peak_memory, log_bytes: 0, out_bytes: 0 })
}
