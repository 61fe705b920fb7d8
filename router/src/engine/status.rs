//! What sources and routes say of themselves; the API's answer and the metrics are made from it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_model::{Fault, Position};
use forebay_source::mysql::{Caution, Quarantined};
use forebay_transform::Usage;
use serde::Serialize;
use utoipa::ToSchema;

/// Everything at a glance.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Status {
    /// Forebay's version.
    pub version: String,
    /// By name.
    pub sources: Vec<SourceStatus>,
    /// By name.
    pub routes: Vec<RouteStatus>,
}

/// A source's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Connecting, or checking what the server must offer.
    Starting,
    /// Reading changes.
    Running,
    /// The changelog is at its limit: reading waits until routes have moved on.
    Full,
    /// Something passing failed; another try follows by itself.
    Retrying,
    /// Something failed that waiting alone does not mend; looked at again once a minute.
    Failed,
}

/// A route's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteState {
    /// Opening its plugins and its sink.
    Starting,
    /// Delivering, or waiting for changes.
    Running,
    /// Stopped by hand.
    Paused,
    /// The destination failed; the same delivery comes again.
    Retrying,
    /// Stopped by a fault; `resume` starts it again.
    Failed,
}

/// A fault, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FaultView {
    /// Stable; see the error reference.
    pub code: String,
    /// What failed, and why.
    pub message: String,
    /// How to mend it; empty where nothing but waiting helps.
    pub fix: String,
    /// When it was last seen, in milliseconds since 1970.
    pub at_ms: u64,
    /// How many tries in a row have failed.
    pub attempts: u32,
    /// When the next try is, in milliseconds since 1970, if one follows by itself.
    pub next_attempt_ms: Option<u64>,
}

impl FaultView {
    /// The view of a fault that was just met.
    pub fn new(fault: &Fault, attempts: u32, next: Option<Duration>) -> Self {
        let now = now_us() / 1000;
        FaultView {
            code: fault.code().name.to_owned(),
            message: fault.message(),
            fix: fault.remedy().to_owned(),
            at_ms: now,
            attempts,
            next_attempt_ms: next.map(|after| now + after.as_millis() as u64),
        }
    }
}

/// Where a source has been read to, as the server says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PositionView {
    /// The GTID set that was read.
    pub gtids: String,
    /// The binlog file.
    pub file: String,
    /// The offset in that file.
    pub pos: u64,
}

impl From<Position> for PositionView {
    fn from(position: Position) -> Self {
        PositionView { gtids: position.gtids.to_string(), file: position.file, pos: position.pos }
    }
}

/// One source.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: SourceState,
    /// What is wrong, if anything.
    pub fault: Option<FaultView>,
    /// Where the server's binlog has been read to; durable.
    pub position: Option<PositionView>,
    /// The oldest offset that the changelog still holds.
    pub first: u64,
    /// One past the newest offset.
    pub head: u64,
    /// Bytes of changes in the changelog.
    pub log_bytes: u64,
    /// Why reading waits, if it does.
    pub waits_for: Option<String>,
    /// Binlog bytes read since the start of this process.
    pub bytes_read: u64,
    /// How old the newest change was when it was read, in milliseconds; 0 once the server has had nothing more for two seconds.
    pub lag_ms: Option<u64>,
    /// What the server calls itself.
    pub server_version: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Tables whose definition is not known: their events are kept and not decoded until somebody says what they looked like.
    #[schema(value_type = Vec<Object>)]
    pub quarantined: Vec<Quarantined>,
    /// What may be missing of captured tables, where nobody can tell: somebody should look.
    #[schema(value_type = Vec<Object>)]
    pub cautions: Vec<Caution>,
}

/// What became of the events that a route has read. `read = delivered + filtered + dead`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsView {
    /// Events of the route's tables.
    pub read: u64,
    /// Events that the destination has.
    pub delivered: u64,
    /// Events that a transform dropped.
    pub filtered: u64,
    /// Events that went to the dead letters.
    pub dead: u64,
}

/// One route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// The source it reads.
    pub source: String,
    /// The kind of its sink.
    pub sink: String,
    /// Its state.
    pub state: RouteState,
    /// What is wrong, if anything.
    pub fault: Option<FaultView>,
    /// The next offset to deliver: everything before it has been delivered, filtered or dead-lettered.
    pub offset: u64,
    /// When the route was made or its offset set by hand, in milliseconds since 1970; it always rises.
    pub epoch: u64,
    /// The source's head.
    pub head: u64,
    /// Offsets between the route and the head.
    pub lag_events: u64,
    /// Since the route was made or its offset was last set by hand.
    pub counts: CountsView,
    /// Letters kept.
    pub dead_letters: u64,
    /// What its plugins have cost since the process started.
    pub plugins: Vec<PluginStatus>,
}

/// What a plugin has cost in one route since the process started.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginStatus {
    /// Its name here.
    pub plugin: String,
    /// How often it was called.
    pub calls: u64,
    /// Row images that it was given.
    pub images: u64,
    /// Events that it dropped.
    pub filtered: u64,
    /// Events that it rejected.
    pub rejected: u64,
    /// CPU time in its calls, in microseconds.
    pub cpu_us: u64,
    /// Memory of its instances, in bytes.
    pub memory_bytes: u64,
    /// Its instances that there are.
    pub instances: u64,
    /// Instances that were opened.
    pub opened: u64,
    /// Log lines of it that were too many.
    pub log_lines_left_out: u64,
    /// Calls that crashed, met a limit or broke the contract, by the fault's code.
    #[schema(value_type = Object)]
    pub failures: BTreeMap<&'static str, u64>,
    /// The last of these. The route may go on all the same, by asking for less in one call.
    pub last_failure: Option<FailureView>,
}

/// How a call of a plugin failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// Stable; see the error reference.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl PluginStatus {
    /// What a meter says.
    pub(super) fn new(plugin: String, usage: Usage) -> PluginStatus {
        let last = usage.last_failure.map(|last| FailureView {
            code: last.code,
            message: last.message,
            at_ms: last.at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_millis() as u64),
        });
        PluginStatus {
            plugin,
            calls: usage.calls,
            images: usage.images,
            filtered: usage.filtered,
            rejected: usage.rejected,
            cpu_us: u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX),
            memory_bytes: usage.memory_bytes,
            instances: usage.instances,
            opened: usage.opened,
            log_lines_left_out: usage.log_lines_left_out,
            failures: usage.failures,
            last_failure: last,
        }
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}
