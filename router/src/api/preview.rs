//! What transforms would make of a route's latest events.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::codes;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition::{self, TransformDef};
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
        (status = 503, description = "As many tails and previews run as are allowed", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn preview(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<Json<Preview>, Refusal> {
    let body: PreviewBody = definition::read(&value)?;
    let last = body.last.unwrap_or(100);
    if !(1..=MOST).contains(&last) {
        return Err(Refusal::bad_request(format!("`last` is a number from 1 to {MOST}")));
    }
    let _permit = api.tails.clone().try_acquire_owned().map_err(|_| {
        let what = "as many tails and previews run as the server allows";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, codes::TOO_MANY_TAILS, what)
            .suggest("try again in a moment")
    })?;
    Ok(Json(api.engine.preview(&name, body.transforms, last).await?))
}
