//! Source -> changelog: connects, reads, appends; connects again from the changelog's own position.
//!
//! Nothing here knows routes: a route cannot stop a source (invariant 5). What stops reading is the changelog, when it is
//! full, by not accepting more (invariant 6).

use std::convert::Infallible;
use std::time::{Duration, Instant};

use forebay_changelog::{Entry, Log};
use forebay_model::{Class, Fault, Position};
use forebay_sink::policy::{self, Directive};
use forebay_source::mysql;
use tokio::sync::watch;

use super::status::{FaultView, SourceState, now_us};

/// A fault of a source that waiting alone does not mend: somebody mends the server, and nobody tells us. Look again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A server that says nothing for so long has said everything.
const QUIET: Duration = Duration::from_secs(2);

/// What a source tells of its reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) state: SourceState,
    pub(super) fault: Option<FaultView>,
    pub(super) bytes_read: u64,
    pub(super) lag_ms: Option<u64>,
    pub(super) server_version: Option<String>,
    pub(super) tls: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Reading {
            state: SourceState::Starting,
            fault: None,
            bytes_read: 0,
            lag_ms: None,
            server_version: None,
            tls: false,
        }
    }
}

/// One source's reading. Dropping [`run`](Self::run) stops it at any point without loss.
pub(super) struct Ingest {
    pub(super) name: String,
    pub(super) config: mysql::Config,
    /// Where to begin while the changelog has no position.
    pub(super) begin: Begin,
    pub(super) log: Log,
    pub(super) reading: watch::Sender<Reading>,
}

/// Where a source begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// At the oldest binlog that the server has.
    Earliest,
    /// At the server's present position.
    Now,
}

impl Ingest {
    /// Reads for ever.
    pub(super) async fn run(self) {
        let mut attempt = 0;
        loop {
            let before = self.log.position();
            self.reading.send_modify(|r| r.state = SourceState::Starting);
            let Err(fault) = self.session().await;
            // progress since the last failure means that this is a new one
            attempt = if self.log.position() == before { attempt + 1 } else { 1 };
            let after = match policy::decide(fault.class(), attempt, fault.wait_asked(), rand()) {
                Directive::Retry { after } => after.min(LOOK_AGAIN),
                Directive::Isolate | Directive::Stop => LOOK_AGAIN,
            };
            let state =
                if fault.class() == Class::Retryable { SourceState::Retrying } else { SourceState::Failed };
            if state == SourceState::Failed {
                tracing::error!(source = self.name, code = fault.code().name, "{fault}");
            } else {
                tracing::warn!(source = self.name, code = fault.code().name, ?after, "{fault}");
            }
            self.reading.send_modify(|r| {
                r.state = state;
                r.fault = Some(FaultView::new(&fault, attempt, Some(after)));
            });
            tokio::time::sleep(after).await;
        }
    }

    /// One connection's life.
    async fn session(&self) -> Result<Infallible, Fault> {
        // what the last connection left of an unfinished transaction comes again whole
        self.log.flush().await?;
        self.log.discard_open().await?;
        let checks = mysql::preflight(&self.config).await?;
        mysql::demands_met(&checks)?;
        let start = match (self.log.position(), self.begin) {
            (Some(position), _) => mysql::Start::At(position),
            (None, Begin::Earliest) => mysql::Start::Earliest,
            (None, Begin::Now) => mysql::Start::Now,
        };
        let mut stream = mysql::Stream::connect(&self.config, start, mysql::Limits::default()).await?;
        tracing::info!(source = self.name, position = ?self.log.position().map(|p: Position| p.gtids.to_string()), "reading");
        let bytes_before = self.reading.borrow().bytes_read;
        let mut told = Instant::now() - Duration::from_secs(1);
        loop {
            let Ok(captured) = tokio::time::timeout(QUIET, stream.next()).await else {
                // the server has nothing more to say: whatever it said last, nothing is missing here
                self.reading.send_modify(|r| r.lag_ms = r.lag_ms.map(|_| 0));
                continue;
            };
            let captured = captured?;
            let stats = stream.stats();
            // at the head every block may be the last for a while
            if !stats.catching_up || told.elapsed() >= Duration::from_millis(200) {
                told = Instant::now();
                self.reading.send_modify(|r| {
                    r.state = SourceState::Running;
                    r.fault = None;
                    r.bytes_read = bytes_before + stats.bytes;
                    r.lag_ms = (stats.last_event_us > 0)
                        .then(|| now_us().saturating_sub(stats.last_event_us) / 1000);
                    r.server_version = Some(stats.server_version.clone());
                    r.tls = stats.tls;
                });
            }
            self.log
                .append(Entry { block: captured.block, position: captured.position, notes: captured.notes })
                .await?;
        }
    }
}

/// A number in `0..1` for backoff's jitter; nothing depends on its quality.
pub(super) fn rand() -> f64 {
    f64::from((now_us() % 9973) as u32) / 9973.0
}
