//! One HTTP request at a time, for the REST API and the receiver's own tests.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);

/// An HTTP answer, body and all.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: hyper::HeaderMap,
    /// The body's bytes.
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON; a body that is not JSON becomes a string.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| Value::String(self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The JSON body of a 2xx answer.
    ///
    /// # Errors
    /// Any other status, with the body.
    pub fn ok(&self) -> Result<Value> {
        ensure!(self.status.is_success(), "{}: {}", self.status, self.text());
        Ok(self.json())
    }
}

/// Sends one request to `http://HOST:PORT/PATH` on a connection of its own; follows no redirect.
///
/// # Errors
/// When no whole answer arrives within a minute.
pub async fn http(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer> {
    let exchange = exchange(method, url, headers, body.into());
    tokio::time::timeout(LIMIT, exchange)
        .await
        .context("no answer within a minute")?
        .with_context(|| format!("{method} {url}"))
}

async fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer> {
    let rest = url.strip_prefix("http://").context("only http:// here")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut request = Request::builder().method(method).uri(format!("/{path}")).header("host", authority);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    let answer = sender.send_request(request.body(Full::new(body))?).await?;
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, bytes })
}
