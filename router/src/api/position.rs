//! Where a source reads: moved by hand, and how long the server keeps what is still needed.

use axum::Json;
use axum::extract::{Path, State};
use forebay_model::GtidSet;
use forebay_source::mysql::{Gap, Outlook, PositionTarget};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition;
use crate::engine::PositionView;

/// Where to move a source.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PositionRequest {
    /// `"earliest"` (the oldest that the server has), `"now"`, `{"gtids": "uuid:1-5"}` (behind these transactions),
    /// `{"file": {"file": "binlog.000007", "pos": 4}}` (a place in the binlog) or `{"time": "2026-11-21T10:00:00Z"}` (before the first transaction of that time or later).
    to: PositionTo,
    /// Whether to do it. Without it, the answer says what would be skipped or come again, and nothing is done.
    #[serde(default)]
    confirm: bool,
}

/// A place in a server's binlog.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PositionTo {
    /// The oldest transaction that the server has.
    Earliest,
    /// Behind the newest.
    Now,
    /// Behind exactly these.
    Gtids(String),
    /// Before the first transaction that was committed then or later.
    Time(String),
    /// A file and an offset, as other readers of the binlog store their place.
    File(FilePlace),
}

/// A file of the binlog and an offset in it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePlace {
    /// The file's name.
    file: String,
    /// The offset.
    pos: u64,
}

/// What moving a source means.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PositionMove {
    /// Whether it was done.
    moved: bool,
    /// The host that was asked.
    host: String,
    /// The new place.
    position: PositionView,
    /// What is skipped and what comes again, in words.
    says: String,
    /// The same as data.
    #[schema(value_type = Object)]
    gap: Gap,
}

/// How long the server keeps what the source still needs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OutlookView {
    /// The oldest binlog file that is still needed.
    oldest_file_needed: String,
    /// Hours until the server deletes it by itself; null = never.
    hours_left: Option<f64>,
    /// The newest file that is not needed any more.
    safe_to_purge_upto: Option<String>,
    /// The statement that deletes what is not needed.
    purge_statement: Option<String>,
    /// Why older files may be needed all the same: prepared XA transactions.
    caution: Option<String>,
}

/// Move a source by hand: to read again, or to skip what cannot be read. Two steps: without `confirm` it says what would be skipped
/// or come again.
#[utoipa::path(
    post, path = "/v1/sources/{name}/position", tag = "sources", operation_id = "moveSource", request_body = PositionRequest,
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "What it means, and whether it was done", body = PositionMove),
        (status = 404, description = "There is no such source", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 502, description = "The server does not have what the place needs", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<Json<PositionMove>, Refusal> {
    let request: PositionRequest = definition::read(&value)?;
    let target = target(request.to)?;
    let resolved = if request.confirm {
        let resolved = api.engine.move_source(&name, &target).await?;
        api.note("position", &format!("sources/{name}: {}", resolved.gap)).await?;
        resolved
    } else {
        api.engine.resolve_position(&name, &target).await?
    };
    Ok(Json(PositionMove {
        moved: request.confirm,
        host: resolved.host,
        position: resolved.position.into(),
        says: resolved.gap.to_string(),
        gap: resolved.gap,
    }))
}

fn target(to: PositionTo) -> Result<PositionTarget, Refusal> {
    Ok(match to {
        PositionTo::Earliest => PositionTarget::Earliest,
        PositionTo::Now => PositionTarget::Now,
        PositionTo::File(FilePlace { file, pos }) => PositionTarget::File { file, pos },
        PositionTo::Gtids(text) => {
            let bad = |e: <GtidSet as std::str::FromStr>::Err| Refusal::bad_request(e.to_string());
            PositionTarget::Gtids(text.parse().map_err(bad)?)
        }
        PositionTo::Time(text) => {
            let time: Timestamp = text.parse().map_err(|_| {
                Refusal::bad_request(format!("`{text}` is no time"))
                    .suggest("write it as 2026-11-21T10:00:00Z")
            })?;
            PositionTarget::Time(u64::try_from(time.as_millisecond()).unwrap_or(0))
        }
    })
}

/// How long the server keeps what the source has not read, and what it may delete.
#[utoipa::path(
    get, path = "/v1/sources/{name}/outlook", tag = "sources", operation_id = "outlook",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "As the server says now", body = OutlookView),
        (status = 404, description = "There is no such source", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 502, description = "The server cannot be asked", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn outlook(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<OutlookView>, Refusal> {
    let outlook: Outlook = api.engine.outlook(&name).await?;
    let purge_statement = outlook.purge_statement();
    Ok(Json(OutlookView {
        oldest_file_needed: outlook.oldest_file_needed,
        hours_left: outlook.hours_left,
        safe_to_purge_upto: outlook.safe_to_purge_upto,
        purge_statement,
        caution: outlook.caution,
    }))
}
