//! What transforms would make of a route's latest events.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::codes;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition::{self, RouteDef, TransformDef};
use crate::engine::Preview;

/// The most events of a preview.
const MOST: u64 = 10_000;

/// What is to be tried.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PreviewBody {
    /// The transforms to try; their plugins were uploaded before. Default: the route's own.
    transforms: Option<Vec<TransformDef>>,
    /// On how many events, the route's latest, 1 to 10000. Default 100.
    #[schema(minimum = 1, maximum = 10_000, default = 100)]
    last: Option<u64>,
}

/// A route to be tried.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CandidateBody {
    /// The route, as an apply takes it. It need not exist, and is not made. Its plugins were uploaded before.
    #[schema(value_type = RouteDef)]
    route: Value,
    /// What it would be called: a route of that name is left out of account, and what was backfilled for it alone is looked at. Default
    /// `preview`.
    name: Option<String>,
    /// On how many events, the latest that it would read, 1 to 10000. Default 100.
    #[schema(minimum = 1, maximum = 10_000, default = 100)]
    last: Option<u64>,
}

/// Run the transforms of a route that does not exist yet over the latest events that it would read, without delivering anything; the
/// answer is that of a route's preview.
#[utoipa::path(
    post, path = "/v1/preview", tag = "routes", operation_id = "preview",
    request_body(content = CandidateBody, description = "The route, in full"),
    responses(
        (status = 200, description = "What it would do", body = Preview),
        (status = 404, description = "There is no such plugin", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "Something is wrong with the route", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "As many previews run as are allowed", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn candidate(
    State(api): State<Api>,
    Document(value): Document,
) -> Result<Json<Preview>, Refusal> {
    let body: CandidateBody = definition::read(&value)?;
    let last = wanted(body.last)?;
    let _permit = permit(&api)?;
    let name = body.name.as_deref().unwrap_or("preview");
    Ok(Json(api.engine.preview_of(name, &body.route, last).await?))
}

fn wanted(last: Option<u64>) -> Result<u64, Refusal> {
    let last = last.unwrap_or(100);
    let bad = || Refusal::bad_request(format!("`last` is a number from 1 to {MOST}"));
    (1..=MOST).contains(&last).then_some(last).ok_or_else(bad)
}

fn permit(api: &Api) -> Result<OwnedSemaphorePermit, Refusal> {
    api.previews.clone().try_acquire_owned().map_err(|_| {
        let what = "as many previews run as the server allows";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, codes::TOO_MANY_PREVIEWS, what)
            .suggest("try again in a moment")
    })
}

/// Run transforms over a route's latest events without delivering anything: how many would be kept, dropped, rejected, re-keyed and
/// sent elsewhere, what is done to each table, and some events field by field. Values that the route may not have are covered.
#[utoipa::path(
    post, path = "/v1/routes/{name}/preview", tag = "routes", operation_id = "previewRoute",
    params(("name" = String, Path, description = "The route's name")),
    request_body(content = PreviewBody, description = "`{}` for the route as it is"),
    responses(
        (status = 200, description = "What they would do", body = Preview),
        (status = 404, description = "There is no such route or plugin", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "Something is wrong with the transforms", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "As many previews run as are allowed", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn preview(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<Json<Preview>, Refusal> {
    let body: PreviewBody = definition::read(&value)?;
    let last = wanted(body.last)?;
    let _permit = permit(&api)?;
    Ok(Json(api.engine.preview(&name, body.transforms, last).await?))
}
