//! The floor: what it costs only to move the binlog's bytes from the server into memory.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_kit::{Usage, mysql_tool};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::load::Loaded;
use crate::route::Measured;

/// Copies the load with `mysqlbinlog --raw` into a folder below `out`.
pub(crate) async fn measure(loaded: &Loaded, out: &Path, tls: bool) -> Result<Measured> {
    let target = tempfile::Builder::new().prefix("forebay-bench-").tempdir_in(out)?;
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
    command.args(["--result-file", &result, if tls { "--ssl-mode=REQUIRED" } else { "--ssl-mode=DISABLED" }]);
    command.arg("binlog.000001").stdin(Stdio::null()).stdout(Stdio::null());
    let work = move || {
        let started = Instant::now();
        let mut child = command.spawn().context("mysqlbinlog")?;
        let pid = child.id();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id is positive")?;
        // Waits for the end but leaves the process in the table, with its times.
        waitid(WaitId::Pid(raw), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let wall = started.elapsed();
        let usage = Usage::of(pid)?;
        let status = child.wait()?;
        ensure!(status.success(), "mysqlbinlog ended with {status}");
        anyhow::Ok((wall, usage.cpu))
    };
    let (wall, cpu) = tokio::task::spawn_blocking(work).await??;
    let copied = std::fs::metadata(target.path().join("binlog.000001"))?.len();
    ensure!(copied >= loaded.bytes, "copied {copied} of {} bytes", loaded.bytes);
    Ok(Measured {
        changes: loaded.changes,
        cpu,
        wall,
        before: Duration::ZERO,
        peak_memory: 0,
        log_bytes: 0,
        out_bytes: copied,
    })
}
