//! Running things by hand: pause, resume, a route's offset, a source's preflight.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use forebay_store::DocKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition::SourceDef;
use crate::engine::{OffsetTarget, ReplayWith, TransformsRun};

/// Where a route is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OffsetView {
    /// The next offset to deliver.
    offset: u64,
    /// When the route was made or its offset set by hand, in milliseconds since 1970; it always rises.
    epoch: u64,
    /// The oldest offset that the source's changelog holds.
    first: u64,
    /// One past the newest.
    head: u64,
    /// Until this offset a replay runs with the transforms that ran then; missing if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    then_until: Option<u64>,
}

/// Which transforms a route ran with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct TransformsView {
    /// Oldest first; a hundred at most.
    items: Vec<TransformsRun>,
}

/// Which transforms a route ran with, and from which offset on. A change of a running route's transforms takes over at the first
/// transaction that begins after it.
#[utoipa::path(
    get, path = "/v1/routes/{name}/transforms", tag = "routes", operation_id = "listTransforms",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 200, description = "Its history", body = TransformsView),
        (status = 404, description = "There is no such route", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn transforms(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<TransformsView>, Refusal> {
    Ok(Json(TransformsView { items: api.engine.transforms_of(&name).await? }))
}

/// Where a route is to go.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OffsetRequest {
    /// `earliest` (everything that the changelog holds comes again), `head` (what has not been delivered is skipped), an
    /// offset, or a time.
    #[schema(value_type = OffsetTo)]
    to: Value,
    /// `now` (the route's present transforms) or `then`: each event goes through the plugins' versions, settings and limits with which it
    /// was delivered first, and what was not delivered yet through the present ones. Refused if something of then is not here any
    /// more, or let a column out that the route may not have. Default `now`.
    #[serde(default)]
    #[schema(default = "now")]
    transforms: ReplayWith,
}

/// A place in a changelog.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema of what `target` reads by hand, to say better what is wrong")]
enum OffsetTo {
    /// `earliest` or `head`.
    Named(String),
    /// This offset.
    Offset(u64),
    /// The first event at or after a time.
    Time {
        /// RFC 3339, such as `2026-11-21T10:00:00Z`.
        time: String,
    },
}

/// What a source's server offers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ChecksView {
    /// Whether every demand is met.
    ok: bool,
    /// Each demand.
    checks: Vec<CheckView>,
}

/// One demand on a source's server.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CheckView {
    /// The demand, such as `binlog_format`.
    id: String,
    /// Whether it is met.
    ok: bool,
    /// What was found.
    finding: String,
    /// How to mend it: a statement to run where there is one.
    fix: Option<String>,
}

fn target(to: &Value) -> Result<OffsetTarget, Refusal> {
    let bad = || {
        Refusal::bad_request("`to` has no meaning")
            .suggest("write \"earliest\", \"head\", an offset, or {\"time\": \"2026-11-21T10:00:00Z\"}")
    };
    match to {
        Value::String(name) if name == "earliest" => Ok(OffsetTarget::Earliest),
        Value::String(name) if name == "head" => Ok(OffsetTarget::Head),
        Value::Number(number) => number.as_u64().map(OffsetTarget::Offset).ok_or_else(bad),
        Value::Object(fields) if fields.len() == 1 => {
            let time = fields.get("time").and_then(Value::as_str).ok_or_else(bad)?;
            let time: Timestamp = time.parse().map_err(|_| bad())?;
            Ok(OffsetTarget::TimeMs(u64::try_from(time.as_millisecond()).unwrap_or(0)))
        }
        _ => Err(bad()),
    }
}

async fn place(api: &Api, name: &str) -> Result<OffsetView, Refusal> {
    let status = api.engine.status().await;
    let unknown = || Refusal::no_document(DocKind::Routes, name);
    let route = status.routes.iter().find(|route| route.name == name).ok_or_else(unknown)?;
    let first =
        status.sources.iter().find(|source| source.name == route.source).map_or(0, |source| source.first);
    let then_until = api.engine.replays_until(name)?;
    Ok(OffsetView { offset: route.offset, epoch: route.epoch, first, head: route.head, then_until })
}

/// Stop a route until it is resumed. The changelog keeps what it misses; no other route notices.
#[utoipa::path(
    post, path = "/v1/routes/{name}/pause", tag = "routes", operation_id = "pauseRoute",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 204, description = "It is paused, also after a restart"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(State(api): State<Api>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    api.engine.pause(&name).await?;
    api.note("pause", &format!("routes/{name}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a route that is paused, or that a fault has stopped.
#[utoipa::path(
    post, path = "/v1/routes/{name}/resume", tag = "routes", operation_id = "resumeRoute",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 204, description = "It starts"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    api.engine.resume(&name).await?;
    api.note("resume", &format!("routes/{name}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a route is.
#[utoipa::path(
    get, path = "/v1/routes/{name}/offset", tag = "routes", operation_id = "getOffset",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 200, description = "Its place", body = OffsetView),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_offset(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<OffsetView>, Refusal> {
    place(&api, &name).await.map(Json)
}

/// Move a route: back to have events delivered again, on to skip some. No other route notices.
#[utoipa::path(
    put, path = "/v1/routes/{name}/offset", tag = "routes", operation_id = "putOffset", request_body = OffsetRequest,
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 200, description = "Its new place", body = OffsetView),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "What ran then is not known or not here any more", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "The changelog does not hold that place, or what ran then let a column out that the route may not have", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_offset(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<Json<OffsetView>, Refusal> {
    let request: OffsetRequest = serde_json::from_value(value).map_err(|_| {
        Refusal::bad_request("the body has `to`, and may have `transforms`, which is now or then")
            .suggest("write {\"to\": \"earliest\"}")
    })?;
    let offset = api.engine.set_offset(&name, target(&request.to)?, request.transforms).await?;
    api.note("offset", &format!("routes/{name}")).await?;
    // The route may have moved on since; the answer is where it was put.
    Ok(Json(OffsetView { offset, ..place(&api, &name).await? }))
}

/// Ask a source's server for everything that Forebay demands of it.
#[utoipa::path(
    post, path = "/v1/sources/{name}/check", tag = "sources", operation_id = "checkSource",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "Each demand, and what mends it", body = ChecksView),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 502, description = "The server cannot be asked", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn check(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ChecksView>, Refusal> {
    let unknown = || Refusal::no_document(DocKind::Sources, &name);
    let stored = api.engine.store().get(DocKind::Sources, &name)?.ok_or_else(unknown)?;
    let def: SourceDef = serde_json::from_value(stored.value).map_err(|e| {
        forebay_model::Fault::new(crate::engine::codes::UNREADABLE, format!("sources.{name} cannot be read"))
            .cause(e)
    })?;
    let checks = api.engine.check_source(&def).await?.into_iter().map(|check| CheckView {
        id: check.id.to_owned(),
        ok: !check.failed(),
        finding: check.finding,
        fix: check.fix,
    });
    let checks: Vec<CheckView> = checks.collect();
    Ok(Json(ChecksView { ok: checks.iter().all(|check| check.ok), checks }))
}
