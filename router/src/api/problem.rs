//! Inside error -> outside answer: every refusal is `application/problem+json` (RFC 9457) with a stable code, a message,
//! a path and a suggestion, and all problems of a definition at once.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forebay_model::{Class, Code, Fault};
use forebay_store::DocKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::codes;
use crate::definition::{self, Problem};
use crate::engine::{self, ApplyError};

/// What is wrong with a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemAnswer {
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// Stable; see the error reference.
    #[schema(example = "definition.unknown_field")]
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where in the document, if it is one document's problem; else empty.
    pub path: String,
    /// What to do about it; empty where the message says it all.
    pub suggestion: String,
    /// Every problem of the definitions, where they are what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Refusal(Box<ProblemAnswer>);

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Refusal(Box::new(ProblemAnswer {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: code.name.to_owned(),
            message: message.into(),
            path: String::new(),
            suggestion: String::new(),
            problems: Vec::new(),
        }))
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.0.suggestion = suggestion.into();
        self
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, codes::NOT_FOUND, what)
    }

    pub(super) fn no_document(kind: DocKind, name: &str) -> Self {
        let mut refusal = Refusal::not_found(format!("there is no {kind}.{name}"));
        refusal.0.path = format!("{kind}.{name}");
        refusal.suggest(format!("GET /v1/{kind} lists what there is"))
    }

    pub(super) fn bad_request(what: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, codes::BAD_REQUEST, what)
    }

    /// Definitions that are refused; one problem stands at the top itself, several behind the first one's code.
    pub(super) fn of_problems(status: StatusCode, problems: Vec<Problem>) -> Self {
        let first = problems.first();
        Refusal(Box::new(ProblemAnswer {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: first.map_or_else(|| definition::codes::INVALID.name.to_owned(), |p| p.code.clone()),
            message: match problems.as_slice() {
                [only] => only.message.clone(),
                all => format!("the definitions have {} problems", all.len()),
            },
            path: first.filter(|_| problems.len() == 1).map(|p| p.path.clone()).unwrap_or_default(),
            suggestion: first
                .filter(|_| problems.len() == 1)
                .map(|p| p.suggestion.clone())
                .unwrap_or_default(),
            problems,
        }))
    }

    /// A conflict, where the request said which revision it was made for.
    pub(super) fn precondition(mut self) -> Self {
        if self.0.code == forebay_store::codes::CONFLICT.name {
            self.0.status = StatusCode::PRECONDITION_FAILED.as_u16();
            self.0.title = "Precondition Failed".to_owned();
        }
        self
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = status_of(&fault);
        if status.is_server_error() {
            tracing::warn!(code = fault.code().name, "a request failed: {fault}");
        }
        Refusal::new(status, fault.code(), fault.message()).suggest(fault.remedy())
    }
}

impl From<Vec<Problem>> for Refusal {
    fn from(problems: Vec<Problem>) -> Self {
        Refusal::of_problems(StatusCode::UNPROCESSABLE_ENTITY, problems)
    }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Problems(problems) => problems.into(),
            ApplyError::Fault(fault) => fault.into(),
        }
    }
}

/// Parts name their faults `part.what`: whose fault it is follows from the part, with few exceptions.
fn status_of(fault: &Fault) -> StatusCode {
    use forebay_source::codes as mysql;
    use forebay_store::codes as store;
    let code = fault.code();
    match (code.name.split_once('.').map_or("", |(part, _)| part), code) {
        (_, code) if code == store::CONFLICT || code == store::PLUGIN_IN_USE => StatusCode::CONFLICT,
        (_, code) if code == store::PLUGIN_MISSING => StatusCode::UNPROCESSABLE_ENTITY,
        (_, code) if code == engine::codes::UNKNOWN || code == engine::codes::VERSION_UNKNOWN => {
            StatusCode::NOT_FOUND
        }
        (_, code) if code == engine::codes::VERSION_TAKEN => StatusCode::CONFLICT,
        (_, code) if code == engine::codes::BAD_OFFSET => StatusCode::UNPROCESSABLE_ENTITY,
        (_, code) if code == engine::codes::PAST_MISSING || code == engine::codes::HISTORY_LOST => {
            StatusCode::CONFLICT
        }
        (_, code) if code == engine::codes::EXPOSED => StatusCode::UNPROCESSABLE_ENTITY,
        (_, code) if code == engine::codes::NO_LOG => StatusCode::CONFLICT,
        (_, code) if code == mysql::SNAPSHOT_UNKNOWN => StatusCode::NOT_FOUND,
        (_, code) if code == engine::codes::NOT_QUARANTINED || code == mysql::DEFINITION => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        (_, code) if code == engine::codes::KEPT_MISSING => StatusCode::CONFLICT,
        (_, code) if code == mysql::SNAPSHOT_EXISTS => StatusCode::CONFLICT,
        (_, code) if code == mysql::SNAPSHOT_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
        ("definition" | "transform", _) => StatusCode::UNPROCESSABLE_ENTITY,
        ("mysql", _) => StatusCode::BAD_GATEWAY,
        _ if fault.class() == Class::Retryable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("a problem is plain data");
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let mut response = (status, [kind], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
