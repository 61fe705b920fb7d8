//! Changing definitions: the engine's one way for a whole file and for a single document. Changes come one after the
//! other, so the revision that `If-Match` is compared with is the one that is changed.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forebay_store::{DocKind, Document as Stored};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::Api;
use super::body::{Document, Expect};
use super::problem::{ProblemAnswer, Refusal};
use crate::definition::{self, Definitions, Mode, Plan};
use crate::engine::{ApplyError, How};

/// How an apply goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ApplyQuery {
    /// Only say what would be done. Default false.
    dry_run: bool,
    /// Also delete what is not mentioned. Default false.
    prune: bool,
    /// Take sources also whose server lacks what a source needs, and only warn of it. Default false.
    force: bool,
}

/// How an export is written.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `json` or `yaml`. Default `json`.
    format: Option<String>,
}

/// Make the definitions those of the body: all of it or nothing. What it does not mention is left alone. Applying the
/// same again changes nothing. The servers of new and changed sources are looked at: one that cannot be a source is a problem, one
/// that does not answer now is not.
#[utoipa::path(
    post, path = "/v1/apply", tag = "definitions", operation_id = "apply", params(ApplyQuery),
    request_body(content = Definitions, description = "JSON, or YAML with `Content-Type: application/yaml`"),
    responses(
        (status = 200, description = "What was done, or would be", body = Plan),
        (status = 409, description = "Somebody changed a definition meanwhile", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "Every problem of the definitions; nothing was done", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn apply(
    State(api): State<Api>,
    query: Result<Query<ApplyQuery>, axum::extract::rejection::QueryRejection>,
    Document(value): Document,
) -> Result<Json<Plan>, Refusal> {
    let Query(query) =
        query.map_err(|_| Refusal::bad_request("dry_run, prune and force are true or false"))?;
    let mode = if query.prune { Mode::Replace } else { Mode::Merge };
    let _alone = api.changes.lock().await;
    let how = How { mode, dry_run: query.dry_run, force: query.force };
    Ok(Json(api.engine.apply(&value, how).await?))
}

/// All definitions, as `apply` takes them.
#[utoipa::path(
    get, path = "/v1/export", tag = "definitions", operation_id = "export", params(ExportQuery),
    responses((status = 200, description = "The definitions", content(
        (Definitions = "application/json"), (String = "application/yaml"),
    )))
)]
pub(super) async fn export(
    State(api): State<Api>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Refusal> {
    let mut sections: Map<String, Value> =
        DocKind::ALL.iter().map(|kind| (kind.to_string(), json!({}))).collect();
    for document in api.engine.store().documents()? {
        sections[document.kind.as_str()][&document.name] = document.value;
    }
    let value = Value::Object(sections);
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(value).into_response()),
        Some("yaml") => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
            Ok(([kind], definition::to_yaml(&value)?).into_response())
        }
        Some(_) => Err(Refusal::bad_request("format is json or yaml")),
    }
}

/// Puts one document; answers it as stored, and whether it is new.
pub(super) async fn put(
    api: &Api,
    kind: DocKind,
    name: &str,
    value: Value,
    expect: Expect,
    force: bool,
) -> Result<(Stored, bool), Refusal> {
    let _alone = api.changes.lock().await;
    let store = api.engine.store();
    let revision = store.get(kind, name)?.map_or(0, |d| d.revision);
    expect.check(&format!("{kind}.{name}"), revision)?;
    let how = How { mode: Mode::Merge, dry_run: false, force };
    api.engine.apply(&json!({ kind.as_str(): { name: value } }), how).await?;
    let gone = || Refusal::not_found(format!("{kind}.{name} is gone already"));
    Ok((store.get(kind, name)?.ok_or_else(gone)?, revision == 0))
}

/// Deletes one document that nothing needs.
pub(super) async fn delete(api: &Api, kind: DocKind, name: &str, expect: Expect) -> Result<(), Refusal> {
    let _alone = api.changes.lock().await;
    let unknown = || Refusal::no_document(kind, name);
    let revision = api.engine.store().get(kind, name)?.ok_or_else(unknown)?.revision;
    expect.check(&format!("{kind}.{name}"), revision)?;
    api.engine.delete(kind, name, Some(revision)).await.map_err(|error| match error {
        ApplyError::Problems(problems) => Refusal::of_problems(StatusCode::CONFLICT, problems),
        ApplyError::Fault(fault) => fault.into(),
    })
}
