//! How things are: for people, for load balancers, and who changed what.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::problem::{ProblemAnswer, Refusal};
use crate::engine::Status;

/// How much of the audit trail.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// At most so many entries, 1 to 1000. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The newest changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AuditView {
    /// Newest first.
    items: Vec<AuditEntryView>,
}

/// One thing that somebody did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AuditEntryView {
    /// When, in milliseconds since 1970.
    at_ms: u64,
    /// Who, such as `api`.
    who: String,
    /// What, such as `update` or `pause`.
    what: String,
    /// To what, such as `routes/tenants-to-crm`.
    target: String,
}

/// Everything at a glance.
#[utoipa::path(
    get, path = "/v1/status", tag = "status", operation_id = "status",
    responses((status = 200, description = "Every source and route", body = Status))
)]
pub(super) async fn status(State(api): State<Api>) -> Json<Status> {
    Json(api.engine.status().await)
}

/// Who changed what.
#[utoipa::path(
    get, path = "/v1/audit", tag = "status", operation_id = "audit", params(AuditQuery),
    responses((status = 200, description = "The newest changes", body = AuditView))
)]
pub(super) async fn audit(
    State(api): State<Api>,
    query: Result<Query<AuditQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<AuditView>, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::bad_request("`limit` is a number from 1 to 1000"))?;
    let entries = api.engine.store().audit_entries(query.limit.unwrap_or(100).clamp(1, 1000))?;
    let view = |e: forebay_store::AuditEntry| AuditEntryView {
        at_ms: e.at_us / 1000,
        who: e.who,
        what: e.what,
        target: e.target,
    };
    Ok(Json(AuditView { items: entries.into_iter().map(view).collect() }))
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/healthz", tag = "status", operation_id = "healthz",
    responses((status = 200, description = "It lives", body = String))
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server can work: its control file can be read. A failing source or route is not the server's failure; see
/// the status.
#[utoipa::path(
    get, path = "/readyz", tag = "status", operation_id = "readyz",
    responses(
        (status = 200, description = "It can", body = String),
        (status = 503, description = "It cannot, and why", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(api): State<Api>) -> Result<&'static str, Refusal> {
    api.engine.store().documents()?;
    Ok("ready\n")
}
