//! Events that a route could not deliver: what and why, never the rows.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use forebay_store::{DeadLetter, DocKind, LetterId, Stage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::problem::{ProblemAnswer, Refusal};

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The `next` of the page before. Default: the first page.
    after: Option<String>,
    /// At most so many, 1 to 1000. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Some of a route's dead letters.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct LettersView {
    /// How many the route has in all.
    count: u64,
    /// In the order of their offsets.
    items: Vec<LetterView>,
    /// What `after` must say to get the next page; null on the last one.
    next: Option<String>,
}

/// An event that could not be delivered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct LetterView {
    /// Its id within the route.
    id: String,
    /// The event's offset.
    offset: u64,
    /// Its table, as `database.table`.
    table: String,
    /// Where it failed: `transform` or `sink`.
    stage: &'static str,
    /// The fault's code.
    code: String,
    /// What went wrong.
    reason: String,
    /// When, in milliseconds since 1970.
    at_ms: u64,
}

/// How many letters went.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeletedView {
    /// How many there were.
    deleted: u64,
}

impl From<DeadLetter> for LetterView {
    fn from(letter: DeadLetter) -> Self {
        LetterView {
            id: letter.id.to_string(),
            offset: letter.id.offset,
            table: letter.table,
            stage: match letter.stage {
                Stage::Transform => "transform",
                Stage::Sink => "sink",
            },
            code: letter.code,
            reason: letter.reason,
            at_ms: letter.at_us / 1000,
        }
    }
}

fn known(api: &Api, name: &str) -> Result<(), Refusal> {
    let unknown = || Refusal::no_document(DocKind::Routes, name);
    api.engine.store().get(DocKind::Routes, name)?.map(|_| ()).ok_or_else(unknown)
}

fn letter_id(text: &str) -> Result<LetterId, Refusal> {
    text.parse().map_err(Refusal::bad_request)
}

/// A route's dead letters.
#[utoipa::path(
    get, path = "/v1/routes/{name}/dead-letters", tag = "routes", operation_id = "listDeadLetters",
    params(("name" = String, Path, description = "The route's name"), Page),
    responses(
        (status = 200, description = "A page of them", body = LettersView),
        (status = 404, description = "There is no such route", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<LettersView>, Refusal> {
    known(&api, &name)?;
    let bad = |_| Refusal::bad_request("`after` is the `next` of a page, `limit` a number from 1 to 1000");
    let Query(page) = page.map_err(bad)?;
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let after = page.after.as_deref().map(letter_id).transpose()?;
    let store = api.engine.store();
    let mut letters = store.dead_letters(&name, after, limit + 1)?;
    let is_last = letters.len() <= limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| !is_last).map(|letter| letter.id.to_string());
    let items = letters.into_iter().map(LetterView::from).collect();
    Ok(Json(LettersView { count: store.count_dead_letters(&name)?, items, next }))
}

/// Delete all of a route's dead letters. Their events are not delivered any more; to try them again, set the offset back
/// instead.
#[utoipa::path(
    delete, path = "/v1/routes/{name}/dead-letters", tag = "routes", operation_id = "deleteDeadLetters",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 200, description = "How many went", body = DeletedView),
        (status = 404, description = "There is no such route", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_all(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<DeletedView>, Refusal> {
    known(&api, &name)?;
    let deleted = api.engine.store().clear_dead_letters(&name).await?;
    api.note("delete", &format!("routes/{name}/dead-letters")).await?;
    Ok(Json(DeletedView { deleted }))
}

/// Delete one dead letter.
#[utoipa::path(
    delete, path = "/v1/routes/{name}/dead-letters/{id}", tag = "routes", operation_id = "deleteDeadLetter",
    params(
        ("name" = String, Path, description = "The route's name"),
        ("id" = String, Path, description = "The letter's id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such letter", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_one(
    State(api): State<Api>,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    known(&api, &name)?;
    match api.engine.store().delete_dead_letters(&name, vec![letter_id(&id)?]).await? {
        0 => Err(Refusal::not_found(format!("route {name} has no dead letter {id}"))),
        _ => {
            api.note("delete", &format!("routes/{name}/dead-letters/{id}")).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}
