//! The way out of quarantine.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::body::Document;
use super::codes;
use super::problem::{ProblemAnswer, Refusal};
use crate::definition;

/// What the table looked like when its events were written.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseRequest {
    /// The database.
    database: String,
    /// The table.
    table: String,
    /// Its CREATE TABLE statement, as SHOW CREATE TABLE prints it. Default: what the server says now.
    #[serde(default)]
    definition: Option<String>,
    /// Where it changed among the kept events in a way that cannot be followed: what it looked like from there on, each in turn. The next
    /// one counts from the first event on that the one before does not fit.
    #[serde(default)]
    later: Vec<String>,
    /// Nobody knows what it looked like: its kept events are dropped, and it goes on from now; a snapshot of the table reads what is
    /// there. How many events that were is in the audit log.
    #[serde(default)]
    give_up: bool,
}

/// Say what a table in quarantine looked like: its events are decoded and come now, in their order, before its later ones.
#[utoipa::path(
    post, path = "/v1/sources/{name}/release", tag = "sources", operation_id = "releaseTable", request_body = ReleaseRequest,
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 204, description = "They are decoded or dropped, and the quarantine is over"),
        (status = 404, description = "There is no such source", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "Not all that was kept is there any more", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "The definition does not fit", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "The source is not connected", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn release(
    State(api): State<Api>,
    Path(name): Path<String>,
    Document(value): Document,
) -> Result<StatusCode, Refusal> {
    let request: ReleaseRequest = definition::read(&value)?;
    let (database, table) = (&request.database, &request.table);
    let target = format!("sources/{name}/{database}.{table}");
    if request.give_up {
        if request.definition.is_some() || !request.later.is_empty() {
            let what = "a table is released by a definition, or its events are given up: not both";
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, codes::BAD_REQUEST, what)
                .suggest("leave out `definition` or `give_up`"));
        }
        let events = api.engine.give_up(&name, database, table).await?;
        api.note("give_up", &format!("{target}: {events} events dropped")).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    if request.definition.is_none() && !request.later.is_empty() {
        let what = "`later` says what the table looked like after `definition`, which is not there";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, codes::BAD_REQUEST, what)
            .suggest("give the first as `definition`"));
    }
    let definitions: Vec<String> = request.definition.iter().chain(&request.later).cloned().collect();
    api.engine.release(&name, database, table, &definitions).await?;
    api.note("release", &target).await?;
    Ok(StatusCode::NO_CONTENT)
}
