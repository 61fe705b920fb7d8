//! What a request brings: a body as a value, and the revision that it was made for.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::codes;
use super::problem::Refusal;
use crate::definition;

/// The whole body, at most as long as the path's limit.
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Bytes::from_request(request, state).await.map(Raw).map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                codes::TOO_LARGE,
                "the body is longer than is read here",
            ),
            _ => Refusal::new(StatusCode::BAD_REQUEST, codes::BAD_BODY, "the body did not arrive whole"),
        })
    }
}

/// The body as a value: JSON, or YAML if `Content-Type` says so.
pub(super) struct Document(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_yaml = kind.is_some_and(|kind| kind.contains("yaml"));
        let Raw(bytes) = Raw::from_request(request, state).await?;
        let bad = |what: String| Refusal::new(StatusCode::BAD_REQUEST, codes::BAD_BODY, what);
        if is_yaml {
            let text = std::str::from_utf8(&bytes).map_err(|_| bad("the body is not UTF-8".into()))?;
            return Ok(Document(definition::from_yaml(text)?));
        }
        // serde_json's own words may repeat the body; the place is enough.
        serde_json::from_slice(&bytes).map(Document).map_err(|e| {
            bad(format!("the body is not JSON from line {}, column {}", e.line(), e.column()))
                .suggest("send JSON, or YAML with `Content-Type: application/yaml`")
        })
    }
}

/// What the request says of the revision that must be current: nothing, a revision (0 for none), or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Nothing,
    Revision(u64),
    Any,
}

impl Expect {
    /// Reads `If-Match: "5"`, `If-Match: *` and `If-None-Match: *`.
    pub(super) fn read(headers: &HeaderMap) -> Result<Expect, Refusal> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (None, None) => Ok(Expect::Nothing),
            (Some("*"), None) => Ok(Expect::Any),
            (None, Some("*")) => Ok(Expect::Revision(0)),
            (Some(tag), None) => {
                let revision = tag.trim_matches('"').parse().ok().filter(|&revision| revision > 0);
                let bad =
                    || Refusal::bad_request("If-Match takes one ETag, as an earlier answer gave it, or *");
                revision.map(Expect::Revision).ok_or_else(bad)
            }
            _ => Err(Refusal::bad_request("If-None-Match takes *, and not together with If-Match")),
        }
    }

    /// Refuses (412) a document whose revision is `current`, 0 if there is none.
    pub(super) fn check(self, path: &str, current: u64) -> Result<(), Refusal> {
        let message = match self {
            Expect::Nothing => return Ok(()),
            Expect::Any if current > 0 => return Ok(()),
            Expect::Revision(wanted) if wanted == current => return Ok(()),
            _ if current == 0 => format!("{path} does not exist"),
            _ => format!("{path} is at revision {current}"),
        };
        let code = forebay_store::codes::CONFLICT;
        Err(Refusal::new(StatusCode::PRECONDITION_FAILED, code, message)
            .suggest("read it again and make the change for what is there now"))
    }
}

/// A revision as an ETag.
pub(super) fn etag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits in quotes")
}
