//! Source -> changelog: connects, reads, appends; connects again from the changelog's own position.
//!
//! Nothing here knows routes: a route cannot stop a source (invariant 5). What stops reading is the changelog, when it is
//! full, by not accepting more (invariant 6).

use std::pin::pin;
use std::time::{Duration, Instant};

use forebay_changelog::{Entry, Log};
use forebay_model::{Class, Fault, Note, Position};
use forebay_sink::policy::{self, Directive};
use forebay_source::mysql;
use forebay_source::mysql::{
    Caution, Definition, Quarantined, SnapshotCommand, SnapshotRequest, SnapshotStatus,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::kept::Kept;
use super::quarantine::{self, Released};
use super::status::{FaultView, SourceState, now_us};

/// A fault of a source that waiting alone does not mend: somebody mends the server, and nobody tells us. Look again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A server that says nothing for so long has said everything.
const QUIET: Duration = Duration::from_secs(2);
/// How often what waits for the changelog looks whether it is full.
const LOOK: Duration = Duration::from_millis(50);
/// So many orders at most wait for room in the changelog.
const MOST_CARRIED: usize = 16;

/// What a source tells of its reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) state: SourceState,
    pub(super) fault: Option<FaultView>,
    pub(super) bytes_read: u64,
    pub(super) lag_ms: Option<u64>,
    pub(super) server_version: Option<String>,
    pub(super) tls: bool,
    pub(super) snapshots: Vec<SnapshotStatus>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) cautions: Vec<Caution>,
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
            snapshots: Vec::new(),
            quarantined: Vec::new(),
            cautions: Vec::new(),
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
    /// How snapshots are read.
    pub(super) settings: mysql::SnapshotSettings,
    /// Whether tables that are new here are read as they stand.
    pub(super) takes_snapshots: bool,
    pub(super) orders: mpsc::Receiver<Order>,
    /// Orders that the next session carries out before it reads anything.
    pub(super) carried: Vec<Order>,
}

/// Something that is to be done by the source's own task, at a place among its changes.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: What,
    /// Told when it is durable, or refused.
    pub(super) done: oneshot::Sender<Result<(), Fault>>,
}

/// See [`Order`].
#[derive(Debug)]
pub(super) enum What {
    Snapshot(SnapshotCommand),
    /// End a table's quarantine with what it looks like.
    Release(Definition),
}

/// Orders that are being carried out.
#[derive(Debug, Default)]
struct Pending {
    /// Until what the stream gives first has come.
    releases: Vec<(Definition, Done)>,
    /// Until their notes are durable.
    commands: Vec<(SnapshotCommand, Done)>,
}

/// Where the answer to an order goes.
type Done = oneshot::Sender<Result<(), Fault>>;

impl Pending {
    /// As orders again.
    fn into_orders(self) -> impl Iterator<Item = Order> {
        let releases = self.releases.into_iter().map(|(d, done)| Order { what: What::Release(d), done });
        let commands = self.commands.into_iter().map(|(c, done)| Order { what: What::Snapshot(c), done });
        releases.chain(commands)
    }
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
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let before = self.log.position();
            self.reading.send_modify(|r| r.state = SourceState::Starting);
            let Err(fault) = self.session().await else { continue };
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

    /// One connection's life. Without a fault it ends when an order waits that must not wait for room in the changelog: what
    /// waits there is read again, behind the order.
    async fn session(&mut self) -> Result<(), Fault> {
        // what the last connection left of an unfinished transaction comes again whole
        if flushed(&self.log).await? {
            self.log.discard_open().await?;
        } else if self.log.position().is_some() {
            self.log.discard_queued().await?;
        } else {
            // nothing says where to read it again
            self.log.flush().await?;
            self.log.discard_open().await?;
        }
        let start = match (self.log.position(), self.begin) {
            (Some(position), _) => mysql::Start::At(position),
            (None, Begin::Earliest) => mysql::Start::Earliest,
            (None, Begin::Now) => mysql::Start::Now,
        };
        let notes = self.notes().await?;
        let mut kept = Kept::of(&notes);
        self.reading.send_modify(|r| {
            r.quarantined = Quarantined::of_notes(&notes);
            r.cautions = Caution::of_notes(&notes);
            r.snapshots = SnapshotStatus::of_notes(&notes);
        });
        let limits = mysql::Limits::default();
        let mut capture =
            mysql::Capture::connect(&self.config, start, limits, self.settings.clone(), &notes).await?;
        self.begin_snapshot(&mut capture)?;
        tracing::info!(source = self.name, position = ?self.log.position().map(|p: Position| p.gtids.to_string()), "reading");
        let bytes_before = self.reading.borrow().bytes_read;
        let mut told = Instant::now() - Duration::from_secs(1);
        let mut pending = Pending::default();
        loop {
            for order in std::mem::take(&mut self.carried) {
                take(&mut capture, &mut pending, order);
            }
            if !self.release(&mut capture, &mut pending, &mut kept).await? {
                break;
            }
            let captured = tokio::select! {
                captured = capture.next() => captured?,
                order = self.orders.recv() => {
                    // nobody who could give another is left: the source is being stopped
                    let Some(order) = order else { return std::future::pending().await };
                    self.carried.push(order);
                    if self.log.is_full() {
                        break;
                    }
                    continue;
                }
                // the server has nothing more to say: whatever it said last, nothing is missing here
                () = tokio::time::sleep(QUIET) => {
                    self.reading.send_modify(|r| {
                        r.lag_ms = r.lag_ms.map(|_| 0);
                        // what came last may have come too soon behind the one before to be told
                        r.quarantined = capture.quarantined();
                        r.cautions = capture.cautions();
                    });
                    continue;
                }
            };
            let stats = capture.stats();
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
                    r.snapshots = capture.snapshots();
                    r.quarantined = capture.quarantined();
                    r.cautions = capture.cautions();
                });
            }
            let mut notes = captured.notes;
            kept.follow(&mut notes, self.log.head());
            // most positions tell of the last transaction alone
            let noted = notes.iter().any(|note| note.key.starts_with(mysql::SNAPSHOT_NOTES));
            let (block, position) = (captured.block, captured.position);
            if !self.append(Entry { block, position, notes, past_quota: false }).await? {
                break;
            }
            if noted {
                self.reading.send_modify(|r| r.snapshots = capture.snapshots());
            }
            if noted && !pending.commands.is_empty() {
                if !flushed(&self.log).await? {
                    break;
                }
                // whoever asked may be gone
                pending.commands.drain(..).for_each(|(_, done)| drop(done.send(Ok(()))));
            }
        }
        self.carried.extend(pending.into_orders());
        Ok(())
    }

    /// Appends. `false`: that waits for room, and an order came that must not.
    async fn append(&mut self, entry: Entry) -> Result<bool, Fault> {
        let mut append = pin!(self.log.append(entry));
        loop {
            tokio::select! {
                biased;
                done = &mut append => return done.map(|()| true),
                order = self.orders.recv(), if self.carried.len() < MOST_CARRIED => match order {
                    Some(order) => self.carried.push(order),
                    // the source is being stopped
                    None => return std::future::pending().await,
                },
                () = tokio::time::sleep(LOOK) => {}
            }
            if !self.carried.is_empty() && self.log.is_full() {
                return Ok(false);
            }
        }
    }

    /// Ends the quarantines that somebody has said how to end, as far as that can be done now. `false`: what comes before that
    /// waits for room.
    async fn release(
        &self,
        capture: &mut mysql::Capture,
        pending: &mut Pending,
        kept: &mut Kept,
    ) -> Result<bool, Fault> {
        if pending.releases.is_empty() {
            return Ok(true);
        }
        let mut has_room = true;
        for (definition, done) in std::mem::take(&mut pending.releases) {
            match quarantine::release(&self.log, capture, &definition, kept).await {
                Ok(Released::Done) => drop(done.send(Ok(()))),
                // what the stream gives next comes first
                Ok(Released::NotNow) => pending.releases.push((definition, done)),
                Ok(Released::Full) => {
                    pending.releases.push((definition, done));
                    has_room = false;
                }
                Err(fault) if fault.class() == Class::Retryable => return Err(fault),
                Err(fault) => drop(done.send(Err(fault))),
            }
        }
        self.reading.send_modify(|r| r.quarantined = capture.quarantined());
        Ok(has_room)
    }

    /// What was noted with the position, this part's own note among it.
    async fn notes(&self) -> Result<Vec<Note>, Fault> {
        let log = self.log.clone();
        let notes =
            tokio::task::spawn_blocking(move || log.notes()).await.expect("reading notes does not panic")?;
        Ok(notes.into_iter().map(|(key, value)| Note { key, value: Some(value) }).collect())
    }

    /// Asks for a snapshot of all tables if the source is new. Of tables that come later the capture knows itself which were not told.
    fn begin_snapshot(&self, capture: &mut mysql::Capture) -> Result<(), Fault> {
        if self.log.position().is_some() || !self.takes_snapshots {
            return Ok(());
        }
        tracing::info!(source = self.name, "the source is new: a snapshot of its tables begins");
        let request =
            SnapshotRequest { tables: self.config.tables.clone(), ..SnapshotRequest::all("initial") };
        capture.command(SnapshotCommand::Begin(request))
    }
}

/// Begins to carry an order out.
fn take(capture: &mut mysql::Capture, pending: &mut Pending, Order { what, done }: Order) {
    match what {
        What::Snapshot(command) => match capture.command(command.clone()) {
            Ok(()) => pending.commands.push((command, done)),
            Err(fault) => drop(done.send(Err(fault))),
        },
        What::Release(definition) => pending.releases.push((definition, done)),
    }
}

/// Waits until what was appended is durable. `false`: that waits for room.
pub(super) async fn flushed(log: &Log) -> Result<bool, Fault> {
    let mut flush = pin!(log.flush());
    loop {
        tokio::select! {
            biased;
            done = &mut flush => return done.map(|()| true),
            () = tokio::time::sleep(LOOK) => {}
        }
        if log.is_full() {
            return Ok(false);
        }
    }
}

/// A number in `0..1` for backoff's jitter; nothing depends on its quality.
pub(super) fn rand() -> f64 {
    f64::from((now_us() % 9973) as u32) / 9973.0
}
