//! Snapshots of a source's tables: begun, watched, paused, resumed, cancelled.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use forebay_model::TablePattern;
use forebay_source::mysql::{SnapshotCommand, SnapshotRequest, SnapshotStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition;
use crate::engine::now_us;

/// A snapshot to take.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SnapshotBody {
    /// Its name: 1 to 64 letters, digits, `_` or `-`. Default: one that is made up.
    id: Option<String>,
    /// Which of the captured tables, as `database.table` with `*` and `?`. Default: all.
    #[schema(value_type = Vec<String>)]
    tables: Vec<TablePattern>,
    /// Which rows, by `database.table`: an expression as in a WHERE. Default: all.
    filters: BTreeMap<String, String>,
    /// The one route that the rows are for. Default: every route.
    route: Option<String>,
    /// At most so many rows a second. Default: as fast as it goes.
    #[schema(minimum = 1)]
    rows_per_second: Option<u32>,
}

/// A snapshot's name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SnapshotId {
    /// Its name.
    id: String,
}

/// A source's snapshots.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SnapshotsView {
    /// The oldest first. Those that are over stay for a while.
    items: Vec<SnapshotStatus>,
}

/// A source's snapshots, and how far they are.
#[utoipa::path(
    get, path = "/v1/sources/{name}/snapshots", tag = "sources", operation_id = "listSnapshots",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "The oldest first", body = SnapshotsView),
        (status = 404, description = "There is no such source", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<SnapshotsView>, Refusal> {
    Ok(Json(SnapshotsView { items: api.engine.snapshots(&name).await? }))
}

/// Read tables as they stand, beside the changes and without a lock. The rows come among the changes as reads (`r`), in one
/// order with them.
#[utoipa::path(
    post, path = "/v1/sources/{name}/snapshots", tag = "sources", operation_id = "beginSnapshot",
    request_body = SnapshotBody, params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 202, description = "It is noted, and begins", body = SnapshotId),
        (status = 404, description = "There is no such source or route", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "The request makes no sense", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "The source is not connected", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<(StatusCode, Json<SnapshotId>), Refusal> {
    let body: SnapshotBody = definition::read(&value)?;
    let id = body.id.unwrap_or_else(|| format!("by-hand-{}", now_us() / 1000));
    let request = SnapshotRequest {
        id: id.clone(),
        tables: body.tables,
        filters: body.filters,
        audience: body.route,
        rows_per_second: body.rows_per_second,
    };
    api.engine.order_snapshot(&name, SnapshotCommand::Begin(request)).await?;
    api.note("snapshot", &format!("sources/{name}/{id}")).await?;
    Ok((StatusCode::ACCEPTED, Json(SnapshotId { id })))
}

/// Stop reading for a snapshot until it is resumed.
#[utoipa::path(
    post, path = "/v1/sources/{name}/snapshots/{id}/pause", tag = "sources", operation_id = "pauseSnapshot",
    params(("name" = String, Path, description = "The source's name"), ("id" = String, Path, description = "The snapshot's")),
    responses(
        (status = 204, description = "It is paused, also after a restart"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(api): State<Api>,
    Path(place): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    act(&api, place, "pause", SnapshotCommand::Pause).await
}

/// Go on with a snapshot that is paused, or try again what failed in it.
#[utoipa::path(
    post, path = "/v1/sources/{name}/snapshots/{id}/resume", tag = "sources", operation_id = "resumeSnapshot",
    params(("name" = String, Path, description = "The source's name"), ("id" = String, Path, description = "The snapshot's")),
    responses(
        (status = 204, description = "It goes on"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(api): State<Api>,
    Path(place): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    act(&api, place, "resume", SnapshotCommand::Resume).await
}

/// End a snapshot where it is. What was read stays read.
#[utoipa::path(
    post, path = "/v1/sources/{name}/snapshots/{id}/cancel", tag = "sources", operation_id = "cancelSnapshot",
    params(("name" = String, Path, description = "The source's name"), ("id" = String, Path, description = "The snapshot's")),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(place): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    act(&api, place, "cancel", SnapshotCommand::Cancel).await
}

async fn act(
    api: &Api,
    (name, id): (String, String),
    what: &str,
    command: fn(String) -> SnapshotCommand,
) -> Result<StatusCode, Refusal> {
    api.engine.order_snapshot(&name, command(id.clone())).await?;
    api.note(&format!("{what} snapshot"), &format!("sources/{name}/{id}")).await?;
    Ok(StatusCode::NO_CONTENT)
}
