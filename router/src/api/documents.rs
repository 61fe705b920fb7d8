//! Sources and routes, one document each: read, put whole, deleted. `ETag` is the revision; `If-Match` makes a change
//! depend on it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forebay_store::{DocKind, Document as Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::apply;
use super::body::{Document, Expect, etag};
use super::problem::{ProblemAnswer, Refusal};
use crate::definition::{RouteDef, SourceDef};

/// How a source is put.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ForceQuery {
    /// Take it also if its server lacks what a source needs. Default false.
    force: bool,
}

/// A definition in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Item<T> {
    /// Its name.
    name: String,
    /// How often it was changed, from 1.
    revision: u64,
    /// When it was changed last, in milliseconds since 1970.
    changed_ms: u64,
    /// The definition.
    definition: T,
}

/// All definitions of a kind, by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Items<T> {
    /// By name.
    items: Vec<Item<T>>,
}

fn list(api: &Api, kind: DocKind) -> Result<Response, Refusal> {
    let item = |d: Stored| Item {
        name: d.name,
        revision: d.revision,
        changed_ms: d.changed_us / 1000,
        definition: d.value,
    };
    let items: Vec<Item<Value>> = api.engine.store().list(kind)?.into_iter().map(item).collect();
    Ok(Json(Items { items }).into_response())
}

fn get(api: &Api, kind: DocKind, name: &str) -> Result<Response, Refusal> {
    let unknown = || Refusal::no_document(kind, name);
    let stored = api.engine.store().get(kind, name)?.ok_or_else(unknown)?;
    Ok(([(header::ETAG, etag(stored.revision))], Json(stored.value)).into_response())
}

async fn put(
    api: &Api,
    kind: DocKind,
    name: &str,
    headers: &HeaderMap,
    value: Value,
    force: bool,
) -> Result<Response, Refusal> {
    let expect = Expect::read(headers)?;
    let (stored, is_new) =
        apply::put(api, kind, name, value, expect, force).await.map_err(|refusal| match expect {
            Expect::Nothing => refusal,
            _ => refusal.precondition(),
        })?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::ETAG, etag(stored.revision))], Json(stored.value)).into_response())
}

pub(super) async fn delete(
    api: &Api,
    kind: DocKind,
    name: &str,
    headers: &HeaderMap,
) -> Result<StatusCode, Refusal> {
    apply::delete(api, kind, name, Expect::read(headers)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All sources.
#[utoipa::path(
    get, path = "/v1/sources", tag = "sources", operation_id = "listSources",
    responses((status = 200, description = "By name", body = Items<SourceDef>))
)]
pub(super) async fn list_sources(State(api): State<Api>) -> Result<Response, Refusal> {
    list(&api, DocKind::Sources)
}

/// One source.
#[utoipa::path(
    get, path = "/v1/sources/{name}", tag = "sources", operation_id = "getSource",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "Its definition", body = SourceDef, headers(("etag" = String, description = "Its revision"))),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_source(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    get(&api, DocKind::Sources, &name)
}

/// Make or change a source. What it has read stays; the tables it captures change from here on. Its server is looked at: one that cannot be
/// a source is a problem, unless `force` is given; one that does not answer now is none.
#[utoipa::path(
    put, path = "/v1/sources/{name}", tag = "sources", operation_id = "putSource", request_body = SourceDef,
    params(
        ("name" = String, Path, description = "The source's name"),
        ForceQuery,
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    responses(
        (status = 200, description = "Changed, or so already", body = SourceDef),
        (status = 201, description = "Made", body = SourceDef),
        (status = 412, description = "It is at another revision", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "Every problem of the definition", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_source(
    State(api): State<Api>,
    Path(name): Path<String>,
    query: Result<Query<ForceQuery>, QueryRejection>,
    headers: HeaderMap,
    Document(value): Document,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::bad_request("force is true or false"))?;
    put(&api, DocKind::Sources, &name, &headers, value, query.force).await
}

/// Delete a source and its changelog. Refused while a route reads it.
#[utoipa::path(
    delete, path = "/v1/sources/{name}", tag = "sources", operation_id = "deleteSource",
    params(
        ("name" = String, Path, description = "The source's name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "A route reads it", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_source(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    delete(&api, DocKind::Sources, &name, &headers).await
}

/// All routes.
#[utoipa::path(
    get, path = "/v1/routes", tag = "routes", operation_id = "listRoutes",
    responses((status = 200, description = "By name", body = Items<RouteDef>))
)]
pub(super) async fn list_routes(State(api): State<Api>) -> Result<Response, Refusal> {
    list(&api, DocKind::Routes)
}

/// One route.
#[utoipa::path(
    get, path = "/v1/routes/{name}", tag = "routes", operation_id = "getRoute",
    params(("name" = String, Path, description = "The route's name")),
    responses(
        (status = 200, description = "Its definition", body = RouteDef, headers(("etag" = String, description = "Its revision"))),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_route(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, Refusal> {
    get(&api, DocKind::Routes, &name)
}

/// Make or change a route. It goes on at its offset; a new one starts where `from` says.
#[utoipa::path(
    put, path = "/v1/routes/{name}", tag = "routes", operation_id = "putRoute", request_body = RouteDef,
    params(
        ("name" = String, Path, description = "The route's name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    responses(
        (status = 200, description = "Changed, or so already", body = RouteDef),
        (status = 201, description = "Made", body = RouteDef),
        (status = 412, description = "It is at another revision", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "Every problem of the definition", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_route(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Document(value): Document,
) -> Result<Response, Refusal> {
    put(&api, DocKind::Routes, &name, &headers, value, false).await
}

/// Delete a route, its offset and its dead letters.
#[utoipa::path(
    delete, path = "/v1/routes/{name}", tag = "routes", operation_id = "deleteRoute",
    params(
        ("name" = String, Path, description = "The route's name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_route(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    delete(&api, DocKind::Routes, &name, &headers).await
}
