//! The REST API: axum handlers over the engine's handle, and the OpenAPI document that is made from the same handlers.
//!
//! Handlers read a request, call the engine or the store, and write the answer; what a definition means is
//! [`definition`](crate::definition)'s, what runs is [`engine`](crate::engine)'s. Everything that is refused is refused as
//! `application/problem+json` ([`ProblemAnswer`]), unknown paths and methods too.

mod access;
mod apply;
mod body;
pub mod codes;
mod control;
mod dead_letters;
mod documents;
mod metrics;
mod plugins;
mod position;
mod preview;
mod problem;
mod quarantine;
mod snapshots;
mod status;
mod tail;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::{Mutex, Semaphore};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::engine::Engine;
pub use access::Access;
pub use problem::ProblemAnswer;
use problem::Refusal;

/// The longest document, bytes.
const DOCUMENT_BYTES: usize = 1 << 20;
/// The longest component, bytes.
const PLUGIN_BYTES: usize = 64 << 20;
/// The longest apply, bytes: some components, in base64.
const APPLY_BYTES: usize = 256 << 20;
/// How many tails may be open at once.
const TAILS: usize = 16;
/// How many previews may run at once: each holds up to 64 MiB of events, what its transforms make of them, and for each transform an
/// instance with all the memory that it may have.
const PREVIEWS: usize = 4;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    engine: Engine,
    /// Held while definitions change: the revision that was compared is the one that is changed, and a component is
    /// named before unnamed ones are swept.
    changes: Arc<Mutex<()>>,
    tails: Arc<Semaphore>,
    previews: Arc<Semaphore>,
}

impl Api {
    /// Puts a change into the audit trail.
    async fn note(&self, what: &str, target: &str) -> Result<(), Refusal> {
        Ok(self.engine.store().audit("api", what, target).await?)
    }
}

/// The whole API, to be served.
pub fn app(engine: Engine, access: Access) -> Router {
    let api = Api {
        engine,
        changes: Arc::new(Mutex::new(())),
        tails: Arc::new(Semaphore::new(TAILS)),
        previews: Arc::new(Semaphore::new(PREVIEWS)),
    };
    let (router, document) = paths().split_for_parts();
    let document: Arc<str> = json(&document).into();
    let openapi = get(async move || ([(header::CONTENT_TYPE, "application/json")], document.to_string()));
    router
        .route("/v1/openapi.json", openapi)
        .fallback(async || {
            Refusal::not_found("there is nothing here; GET /v1/openapi.json says what there is")
        })
        .method_not_allowed_fallback(async || {
            let what = "the path exists, and not with this method";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD, what)
        })
        .layer(from_fn_with_state(Arc::new(access), access::guard))
        .with_state(api)
}

/// The OpenAPI document of the API, as JSON.
pub fn openapi_json() -> String {
    json(&paths().into_openapi())
}

fn json(document: &utoipa::openapi::OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("an OpenAPI document is plain data");
    text.push('\n');
    text
}

/// The document's head.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Forebay",
        description = "Routes MySQL's changes through WASM transforms to many destinations, each at its own offset.\n\n\
                       Refusals are `application/problem+json`. Times are milliseconds since 1970 (UTC)."
    ),
    tags(
        (name = "sources", description = "MySQL servers that are read, each into a changelog of its own."),
        (name = "plugins", description = "WebAssembly components that transform rows."),
        (name = "routes", description = "Ways from a source through transforms to one sink, each at its own offset."),
        (name = "definitions", description = "All of them at once, as a file."),
        (name = "status", description = "How things are."),
    )
)]
struct Head;

fn paths() -> OpenApiRouter<Api> {
    let mut head = Head::openapi();
    let components = head.components.get_or_insert_default();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("token".to_owned(), bearer.into());
    // Either the token, where the server has one, or nothing.
    head.security = Some(vec![SecurityRequirement::new("token", [""; 0]), SecurityRequirement::default()]);

    let small = OpenApiRouter::new()
        .routes(routes!(documents::list_sources))
        .routes(routes!(documents::get_source, documents::put_source, documents::delete_source))
        .routes(routes!(control::check))
        .routes(routes!(quarantine::release))
        .routes(routes!(position::put))
        .routes(routes!(position::outlook))
        .routes(routes!(snapshots::list, snapshots::begin))
        .routes(routes!(snapshots::pause))
        .routes(routes!(snapshots::resume))
        .routes(routes!(snapshots::cancel))
        .routes(routes!(tail::tail))
        .routes(routes!(documents::list_routes))
        .routes(routes!(documents::get_route, documents::put_route, documents::delete_route))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::transforms))
        .routes(routes!(preview::preview))
        .routes(routes!(preview::candidate))
        .routes(routes!(control::get_offset, control::put_offset))
        .routes(routes!(dead_letters::list, dead_letters::delete_all))
        .routes(routes!(dead_letters::delete_one))
        .routes(routes!(apply::export))
        .routes(routes!(status::status))
        .routes(routes!(status::audit))
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(metrics::metrics))
        .layer(DefaultBodyLimit::max(DOCUMENT_BYTES));
    let plugins = OpenApiRouter::new()
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::get, plugins::put, plugins::delete))
        .routes(routes!(plugins::push))
        .routes(routes!(plugins::delete_version))
        .layer(DefaultBodyLimit::max(PLUGIN_BYTES));
    let apply = OpenApiRouter::new().routes(routes!(apply::apply)).layer(DefaultBodyLimit::max(APPLY_BYTES));
    OpenApiRouter::with_openapi(head).merge(small).merge(plugins).merge(apply)
}
