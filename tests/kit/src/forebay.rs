//! The real `forebay` binary as a child process, with a data directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::lifeline::Lifeline;
use crate::{Answer, Usage, eventually, free_port, http};

/// How many lines of the log are shown with a failed test.
const SHOWN_LINES: usize = 100;

/// How to start `forebay serve`, beside its data directory and its address.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// More arguments.
    pub args: Vec<String>,
    /// More of an environment, such as the secrets that definitions refer to.
    pub env: Vec<(String, String)>,
    /// A data directory that is there already and stays. By default a new one that is deleted in the end.
    pub data_dir: Option<PathBuf>,
    /// Do not print the end of the log when it is over: for programs that are no tests.
    pub quiet: bool,
}

/// A running `forebay serve`. When dropped it is killed, and the end of its log printed, which cargo shows for a test
/// that fails.
#[derive(Debug)]
pub struct Forebay {
    binary: PathBuf,
    options: Options,
    port: u16,
    /// Holds the log, and the data directory unless that was given.
    dir: TempDir,
    child: Option<(Child, Lifeline)>,
}

impl Forebay {
    /// The binary that cargo built for this test, else `FOREBAY_BIN`. A test of the package `forebay` may as well say
    /// `env!("CARGO_BIN_EXE_forebay")`.
    ///
    /// # Errors
    /// When neither is set.
    pub fn binary() -> Result<PathBuf> {
        let set = ["CARGO_BIN_EXE_forebay", "FOREBAY_BIN"].into_iter().find_map(std::env::var_os);
        Ok(set.context("set FOREBAY_BIN to the path of the forebay binary")?.into())
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it ends before, or does not answer within 30 seconds; with its log.
    pub async fn start(binary: impl Into<PathBuf>, options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("forebay-").tempdir()?;
        let mut forebay = Self { binary: binary.into(), options, port: free_port(), dir, child: None };
        forebay.start_again().await?;
        Ok(forebay)
    }

    /// Starts it after [`Forebay::kill9`] or [`Forebay::stop`], with the same data, address and options.
    ///
    /// # Errors
    /// As [`Forebay::start`]; when it runs already.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "forebay runs already");
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let child = Command::new(&self.binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.options.args)
            .env("NO_COLOR", "1")
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        let lifeline = Lifeline::hold(child.id())?;
        self.child = Some((child, lifeline));
        let url = format!("{}/healthz", self.url());
        eventually("forebay answers", Duration::from_secs(30), || {
            let ended = self.child.as_mut().and_then(|(child, _)| child.try_wait().ok().flatten());
            let url = &url;
            // An early end is an answer too: only silence is waited on.
            async move {
                match ended {
                    Some(status) => Ok(Err(status)),
                    None => http("GET", url, &[], "").await.and_then(|a| a.ok()).map(|_| Ok(())),
                }
            }
        })
        .await
        .or_else(|status: ExitStatus| {
            let log = self.log();
            self.ended();
            anyhow::bail!("forebay ended at start with {status}:\n{log}")
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("forebay does not run")?.0.id())
    }

    /// What it has used so far of processor and memory.
    ///
    /// # Errors
    /// When it does not run.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()?)
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.dir.path().join("data"))
    }

    /// A folder for the test's own files, deleted in the end.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Calls the REST API: `api("PUT", "/v1/routes/a", Some(&document))`.
    ///
    /// # Errors
    /// When no answer arrives. Any status is an answer; see [`Answer::ok`].
    pub async fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let headers: &[_] = if body.is_some() { &[("content-type", "application/json")] } else { &[] };
        let body = body.map(Value::to_string).unwrap_or_default();
        http(method, &format!("{}{path}", self.url()), headers, body).await
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        let (child, _) = self.child.as_mut().context("forebay does not run")?;
        child.kill()?;
        child.wait()?;
        self.ended();
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not run.
    ///
    /// # Panics
    /// When it has not ended within 30 seconds.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let (child, _) = self.child.as_mut().context("forebay does not run")?;
        let pid =
            i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id is positive")?;
        kill_process(pid, Signal::TERM)?;
        let status = eventually("forebay has ended after SIGTERM", Duration::from_secs(30), || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await;
        self.ended();
        Ok(status)
    }

    fn ended(&mut self) {
        if let Some((_, lifeline)) = self.child.take() {
            lifeline.release();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("forebay.log")
    }

    /// The last lines that it has printed.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(SHOWN_LINES);
        log.lines().skip(skipped).map(|line| format!("{line}\n")).collect()
    }

    /// All that it has printed so far, over restarts.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }
}

impl Drop for Forebay {
    fn drop(&mut self) {
        let _ = self.kill9();
        if !self.options.quiet {
            // The test harness shows this for a failed test only.
            eprintln!("--- the end of the log of {}\n{}", self.binary.display(), self.log_end());
        }
    }
}
