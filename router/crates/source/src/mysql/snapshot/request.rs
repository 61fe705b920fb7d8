//! What a snapshot is asked to do, and what it tells of itself.

use std::collections::BTreeMap;

use forebay_model::{Fault, TablePattern};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{Config, catalog};
use crate::codes;

/// A snapshot to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRequest {
    /// Names it for ever: letters, digits, `_` and `-`, at most 64.
    pub id: String,
    /// Which of the captured tables; empty = all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub tables: Vec<TablePattern>,
    /// Conditions on rows, by `database.table`: expressions as in a WHERE.
    #[serde(default)]
    pub filters: BTreeMap<String, String>,
    /// The one route that the rows are for; `None` = everybody.
    #[serde(default)]
    pub audience: Option<String>,
    /// At most so many rows a second.
    #[serde(default)]
    pub rows_per_second: Option<u32>,
}

impl SnapshotRequest {
    /// Of all captured tables, for everybody.
    pub fn all(id: impl Into<String>) -> Self {
        SnapshotRequest {
            id: id.into(),
            tables: Vec::new(),
            filters: BTreeMap::new(),
            audience: None,
            rows_per_second: None,
        }
    }

    /// Whether the table is wanted.
    pub(super) fn wants(&self, database: &str, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|p| p.matches(database, table))
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let wrong = if self.id.is_empty() || self.id.len() > 64 || !self.id.chars().all(good) {
            "its id must be 1 to 64 letters, digits, `_` or `-`"
        } else if self.rows_per_second == Some(0) {
            "0 rows a second would never end: pause it instead"
        } else if self.filters.keys().any(|k| !k.contains('.')) {
            "a filter must name its table as database.table"
        } else {
            return Ok(());
        };
        Err(Fault::new(codes::SNAPSHOT_REQUEST, format!("the snapshot `{}` cannot be taken", self.id))
            .cause(wrong))
    }
}

/// Looks whether a request means what is there: each of its patterns a captured table that the account may see, each filter a
/// table that is read.
///
/// # Errors
/// If one means nothing, or the server cannot be reached.
pub async fn check_request(config: &Config, request: &SnapshotRequest) -> Result<(), Fault> {
    request.check()?;
    if request.tables.is_empty() && request.filters.is_empty() {
        return Ok(());
    }
    let names = catalog::names(config).await?;
    let refused = |what: String| {
        Err(Fault::new(
            codes::SNAPSHOT_REQUEST,
            format!("the snapshot `{}` cannot be taken: {what}", request.id),
        )
        .fix("name tables that are there, that the source captures, and that the account may read"))
    };
    if let Some(none) = request.tables.iter().find(|p| !names.iter().any(|(d, t)| p.matches(d, t))) {
        return refused(format!("{none} means none of the captured tables"));
    }
    let is_read =
        |table: &String| names.iter().any(|(d, t)| request.wants(d, t) && *table == format!("{d}.{t}"));
    if let Some(none) = request.filters.keys().find(|table| !is_read(table)) {
        return refused(format!("the filter's table {none} is none that it reads"));
    }
    Ok(())
}

/// What can be done about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotCommand {
    /// Takes one.
    Begin(SnapshotRequest),
    /// Reads no more of it until it is resumed.
    Pause(String),
    /// Goes on with a paused one, and tries again what failed in one.
    Resume(String),
    /// Ends it where it is. What was read stays read.
    Cancel(String),
    /// Forgets one that is over.
    Forget(String),
}

/// How a snapshot, or a table of one, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// Its turn has not come.
    Waiting,
    /// It is being read.
    Running,
    /// Somebody has paused it.
    Paused,
    /// All of it was read.
    Done,
    /// Some of it could not be read; somebody has to mend that and resume it.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
}

impl SnapshotState {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(self, SnapshotState::Done | SnapshotState::Failed | SnapshotState::Cancelled)
    }
}

/// A fault, as it is told and noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotFault {
    /// Its code's name.
    pub code: String,
    /// What failed and why.
    pub message: String,
    /// How to mend it.
    pub fix: String,
}

impl From<&Fault> for SnapshotFault {
    fn from(fault: &Fault) -> Self {
        SnapshotFault {
            code: fault.code().name.to_owned(),
            message: fault.message(),
            fix: fault.remedy().to_owned(),
        }
    }
}

/// How far a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SnapshotTable {
    /// `database.table`.
    pub table: String,
    /// How it stands.
    pub state: SnapshotState,
    /// Rows that were given.
    pub rows: u64,
    /// Rows that were read and not given, since the stream tells a newer state of them.
    pub superseded: u64,
    /// Rows in all, as the server guesses; before the filter.
    pub estimate: u64,
    /// How much of the table is behind us, in thousandths; also a guess.
    pub permille: u16,
    /// Chunks that were given.
    pub chunks: u64,
    /// What stands in its way: for good if it has failed, else until the next attempt.
    pub fault: Option<SnapshotFault>,
}

/// How far a snapshot is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SnapshotStatus {
    /// What was asked.
    pub request: SnapshotRequest,
    /// How it stands.
    pub state: SnapshotState,
    /// Its tables; empty until they are known.
    pub tables: Vec<SnapshotTable>,
    /// Rows that were given.
    pub rows: u64,
    /// Rows in all, as the server guesses.
    pub estimate: u64,
    /// Over the last ten seconds or so.
    pub rows_per_second: f64,
    /// At that rate; `None` = nobody knows.
    pub seconds_left: Option<f64>,
    /// Microseconds since 1970.
    pub begun_us: u64,
    /// Microseconds since 1970; 0 = not over.
    pub ended_us: u64,
    /// What stands in its way before its tables are known.
    pub fault: Option<SnapshotFault>,
}
