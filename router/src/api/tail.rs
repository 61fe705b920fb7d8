//! A source's changes as they come, for people and for a quick look; it is no way to consume them (a route is).

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forebay_model::{Block, Fault, Offset, TablePattern};
use forebay_sink::formats::debezium::Renderer;
use forebay_sink::formats::{FormatConfig, Text};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::problem::{ProblemAnswer, Refusal};
use super::{Api, codes};
use crate::engine::{Tail, now_us};

/// What is asked for.
struct Wish {
    tables: Vec<TablePattern>,
    from: Option<Offset>,
    is_debezium: bool,
    shows_pii: bool,
    count: u64,
}

/// Changes as they are read, as text, until the client goes or `count` is reached.
#[utoipa::path(
    get, path = "/v1/sources/{name}/tail", tag = "sources", operation_id = "tailSource",
    params(
        ("name" = String, Path, description = "The source's name"),
        ("tables" = Option<Vec<String>>, Query, description = "Only these, as database.table with * and ?. Default: all"),
        ("from" = Option<String>, Query, description = "`earliest` or an offset. Default: changes from now on"),
        ("format" = Option<String>, Query, description = "`lines` (+I -U +U -D) or `debezium` (JSON, one a line). Default `lines`"),
        ("count" = Option<u64>, Query, description = "End after so many changes. Default: never"),
        ("pii" = Option<String>, Query, description = "`masked` or `shown`: what becomes of columns tagged `pii`; that they were shown is noted in the audit trail. Default `masked`"),
    ),
    responses(
        (status = 200, description = "Changes, one a line (an update is two in `lines`)", content((String = "text/plain"), (String = "application/x-ndjson"))),
        (status = 404, description = "There is no such source", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "As many tails are open as are allowed", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tail(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let wish = wish(&api, &name, query).await?;
    let permit = api.tails.clone().try_acquire_owned().map_err(|_| {
        let what = "as many tails are open as the server allows";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, codes::TOO_MANY_TAILS, what)
            .suggest("close one of them")
    })?;
    let tail = api.engine.tail(&name, wish.tables, wish.from, wish.shows_pii).await?;
    if wish.shows_pii {
        api.note("show pii", &format!("sources/{name}/tail")).await?;
    }
    let kind = if wish.is_debezium { "application/x-ndjson" } else { "text/plain; charset=utf-8" };
    let renderer = wish.is_debezium.then(|| FormatConfig::default().renderer(&name));
    let showing = Showing { tail, renderer, left: wish.count, _permit: permit };
    let lines = stream::try_unfold(showing, |mut showing| async move {
        let text = showing.next().await?;
        Ok::<_, Ended>(text.map(|text| (text, showing)))
    });
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(([kind], Body::from_stream(lines)).into_response())
}

async fn wish(api: &Api, name: &str, query: Vec<(String, String)>) -> Result<Wish, Refusal> {
    let mut wish =
        Wish { tables: Vec::new(), from: None, is_debezium: false, shows_pii: false, count: u64::MAX };
    for (key, value) in query {
        match (key.as_str(), value.as_str()) {
            ("tables", patterns) => {
                for pattern in patterns.split(',') {
                    wish.tables.push(TablePattern::new(pattern).map_err(Refusal::bad_request)?);
                }
            }
            ("from", "earliest") => {
                let status = api.engine.status().await;
                wish.from =
                    status.sources.iter().find(|source| source.name == name).map(|source| source.first);
            }
            ("from", "now") => {}
            ("from", offset) => {
                let bad = |_| Refusal::bad_request("`from` is earliest, now, or an offset");
                wish.from = Some(offset.parse().map_err(bad)?);
            }
            ("pii", "masked") => wish.shows_pii = false,
            ("pii", "shown") => wish.shows_pii = true,
            ("pii", _) => return Err(Refusal::bad_request("`pii` is masked or shown")),
            ("format", "lines") => {}
            ("format", "debezium") => wish.is_debezium = true,
            ("format", _) => return Err(Refusal::bad_request("`format` is lines or debezium")),
            ("count", count) => {
                wish.count = count.parse().map_err(|_| Refusal::bad_request("`count` is a number"))?;
            }
            (other, _) => return Err(Refusal::bad_request(format!("there is no parameter `{other}`"))),
        }
    }
    if wish.tables.is_empty() {
        wish.tables.extend(TablePattern::new("*.*"));
    }
    Ok(wish)
}

/// An open tail.
struct Showing {
    tail: Tail,
    /// `None` for lines.
    renderer: Option<Renderer>,
    /// Changes that may still be shown.
    left: u64,
    _permit: OwnedSemaphorePermit,
}

/// Why a tail broke off; the connection then ends without its last chunk, and the log says why.
#[derive(Debug)]
struct Ended(Fault);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Ended {}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        tracing::info!(code = fault.code().name, "a tail ended: {fault}");
        Ended(fault)
    }
}

impl Showing {
    /// The text of the next block; `None` once there is no more to show.
    async fn next(&mut self) -> Result<Option<Bytes>, Ended> {
        if self.left == 0 {
            return Ok(None);
        }
        let block = self.tail.next().await?;
        let block = self.first_events(block);
        let mut text = Text::new();
        match &mut self.renderer {
            Some(renderer) => {
                let mut records = renderer.records(&block, now_us());
                while records.next(&mut text)?.is_some() {
                    text.push(b"\n");
                }
            }
            None => forebay_sink::formats::lines(&block, &mut text),
        }
        Ok(Some(Bytes::from(text.take())))
    }

    /// As much of the block as may still be shown.
    fn first_events(&mut self, block: Block) -> Block {
        let mut offsets: Vec<u32> = block.batches.iter().flat_map(|b| b.events().map(|e| e.event)).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let shown = offsets.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= shown as u64;
        match offsets.get(shown) {
            Some(&next) => block.slice(block.first, block.first + Offset::from(next)),
            None => block,
        }
    }
}
