//! Plugins: a component's bytes, uploaded as they are, checked before anything is stored.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_store::{DocKind, Document as Stored};
use forebay_transform::PluginInfo;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Api;
use super::body::{Expect, Raw, etag};
use super::problem::{ProblemAnswer, Refusal};
use super::{apply, documents};
use crate::engine::UploadView;

/// A plugin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PluginView {
    /// Its name.
    name: String,
    /// How often it was changed, from 1.
    revision: u64,
    /// When it was changed last, in milliseconds since 1970.
    changed_ms: u64,
    /// The default's SHA-256, in hexadecimal: what routes run that name no version.
    sha256: String,
    /// Its length in bytes.
    bytes: u64,
    /// What the component says of itself; only where one plugin is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<AboutView>,
    /// What was uploaded of it, the last one that was pushed first; only where one plugin is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<UploadView>>,
}

/// What a component says of itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AboutView {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// One sentence.
    description: String,
    /// The contract that it was accepted under.
    world: String,
}

/// All plugins, by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PluginViews {
    /// By name.
    items: Vec<PluginView>,
}

impl PluginView {
    fn new(document: Stored, bytes: u64, about: Option<PluginInfo>) -> Self {
        let sha256 = document.value["sha256"].as_str().unwrap_or_default().to_owned();
        let about = about.map(|PluginInfo { name, version, description, world, .. }| AboutView {
            name,
            version,
            description,
            world,
        });
        let changed_ms = document.changed_us / 1000;
        PluginView {
            name: document.name,
            revision: document.revision,
            changed_ms,
            sha256,
            bytes,
            about,
            versions: None,
        }
    }
}

/// All plugins.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", operation_id = "listPlugins",
    responses((status = 200, description = "By name", body = PluginViews))
)]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<PluginViews>, Refusal> {
    let store = api.engine.store();
    let stored = store.plugins()?;
    let view = |document: Stored| {
        let component = stored.iter().find(|c| document.value["sha256"] == c.sha256.as_str());
        PluginView::new(document, component.map_or(0, |c| c.size), None)
    };
    Ok(Json(PluginViews { items: store.list(DocKind::Plugins)?.into_iter().map(view).collect() }))
}

/// One plugin, and what its component says of itself.
#[utoipa::path(
    get, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "getPlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    responses(
        (status = 200, description = "The plugin", body = PluginView, headers(("etag" = String, description = "Its revision"))),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let unknown = || Refusal::no_document(DocKind::Plugins, &name);
    let document = api.engine.store().get(DocKind::Plugins, &name)?.ok_or_else(unknown)?;
    answer(&api, document, StatusCode::OK).await
}

/// Upload a component and make it the plugin's default: routes that name no version go on with it from their next transaction. It must
/// be one of the world `forebay:transform` that imports nothing else. What was uploaded before stays.
#[utoipa::path(
    put, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "putPlugin",
    request_body(content = String, content_type = "application/wasm", description = "The component's bytes, as they are; at most 64 MiB"),
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none"),
    ),
    responses(
        (status = 200, description = "Changed, or so already", body = PluginView),
        (status = 201, description = "Made", body = PluginView),
        (status = 412, description = "It is at another revision", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 413, description = "It is too long", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "It is no component that can run here, and why", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<Response, Refusal> {
    let expect = Expect::read(&headers)?;
    let value = json!({ "wasm": BASE64.encode(&bytes) });
    let (document, is_new) = apply::put(&api, DocKind::Plugins, &name, value, expect, false).await?;
    answer(&api, document, if is_new { StatusCode::CREATED } else { StatusCode::OK }).await
}

/// Upload a component, and change nothing that runs: a route runs it once its definition names it, as `write` says. It becomes the
/// plugin's default where no route runs the default; a plugin that is not there is made.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/versions", tag = "plugins", operation_id = "pushPlugin",
    request_body(content = String, content_type = "application/wasm", description = "The component's bytes, as they are; at most 64 MiB"),
    params(("name" = String, Path, description = "The plugin's name")),
    responses(
        (status = 200, description = "It is here", body = UploadView),
        (status = 413, description = "It is too long", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 422, description = "It is no component that can run here, and why", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn push(
    State(api): State<Api>,
    Path(name): Path<String>,
    Raw(bytes): Raw,
) -> Result<Json<UploadView>, Refusal> {
    let _alone = api.changes.lock().await;
    Ok(Json(api.engine.push_plugin(&name, bytes.to_vec()).await?))
}

/// Delete a plugin. Refused while a route uses it.
#[utoipa::path(
    delete, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "deletePlugin",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change is made for"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "A route uses it", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    documents::delete(&api, DocKind::Plugins, &name, &headers).await
}

/// Delete a version of a plugin. Refused for the default, and while a route runs it.
#[utoipa::path(
    delete, path = "/v1/plugins/{name}/versions/{version}", tag = "plugins", operation_id = "deletePluginVersion",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("version" = String, Path, description = "The version, as the component says it, or `sha256:` and at least 8 digits of its hash"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "It is the default, or a route runs it", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_version(
    State(api): State<Api>,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let _alone = api.changes.lock().await;
    match api.engine.delete_plugin_version(&name, &version).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Refusal::not_found(format!("plugin {name} has no version {version}"))),
    }
}

async fn answer(api: &Api, document: Stored, status: StatusCode) -> Result<Response, Refusal> {
    let sha256 = document.value["sha256"].as_str().unwrap_or_default();
    let gone = || Refusal::not_found(format!("the bytes of plugins.{} are gone", document.name));
    let bytes = api.engine.store().plugin(sha256)?.ok_or_else(gone)?;
    let size = bytes.len() as u64;
    let host = api.engine.host().clone();
    let looking = tokio::task::spawn_blocking(move || host.inspect(&bytes));
    let about = looking.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let tag = (header::ETAG, etag(document.revision));
    let versions = api.engine.plugin_versions(&document.name)?;
    let mut view = PluginView::new(document, size, Some(about));
    view.versions = Some(versions);
    Ok((status, [tag], Json(view)).into_response())
}
