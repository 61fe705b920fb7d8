//! Settings of the webhook sink.

use std::collections::BTreeMap;

use forebay_model::SecretRef;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::guard::Guard;
use crate::formats::FormatConfig;

/// Settings of the webhook sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where each message is POSTed. `https`, or `http` to this machine; without user and password.
    pub url: String,
    /// Where the signing secret is: `whsec_` and 24 to 64 bytes in base64, as Standard Webhooks has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// Several signing secrets instead of one, while they are being changed: every message carries a signature by each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
    /// How an event is written.
    #[serde(default)]
    pub format: FormatConfig,
    /// How many events go into one message.
    #[serde(default)]
    pub batch: BatchConfig,
    /// How many messages may be under way at once (8 by default). Events of one key are never under way together.
    #[serde(default = "in_flight")]
    pub in_flight: u32,
    /// How long a message may take, in milliseconds, from connecting to the answer's end (30000 by default).
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Further headers of every message: a text, or where a secret is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderConfig>,
    /// Whether bodies are compressed (`Content-Encoding: gzip`). The signature is over the bytes as sent.
    #[serde(default)]
    pub gzip: bool,
    /// Whether plain `http` may leave this machine.
    #[serde(default)]
    pub allow_insecure: bool,
    /// Whether the host may have a private or link-local address (this machine's own are always allowed).
    #[serde(default)]
    pub allow_private: bool,
}

/// How many events go into one message. With `events: 1` the body is the event; otherwise it is
/// `{"data":[{"id":"...","event":{...}}, ...]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Events of one message, at most (1 by default).
    pub events: u32,
    /// Bytes of the events of one message, at most, though always one event (1 MiB by default).
    pub bytes: u64,
    /// How long to wait for more events once there is one, in milliseconds (0 by default).
    pub wait_ms: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        BatchConfig { events: 1, bytes: 1 << 20, wait_ms: 0 }
    }
}

/// A header's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum HeaderConfig {
    /// The value itself.
    Plain(String),
    /// Where it is, for a token or password.
    Secret(SecretRef),
}

fn in_flight() -> u32 {
    8
}

fn timeout_ms() -> u64 {
    30_000
}

/// Headers that the sink or HTTP itself sets.
const RESERVED: &[&str] = &[
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "host",
    "te",
    "trailer",
    "upgrade",
];
/// Headers that carry a secret by their nature.
const SECRET: &[&str] = &["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"];

impl WebhookConfig {
    /// Every signing secret.
    pub(super) fn signing_secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.secret.iter().chain(&self.secrets)
    }

    /// Every secret that it refers to, with its path below the sink.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let one = self.secret.iter().map(|secret| ("secret".to_owned(), secret));
        let many = self.secrets.iter().enumerate().map(|(i, secret)| (format!("secrets[{i}]"), secret));
        let headers = self.headers.iter().filter_map(|(name, value)| match value {
            HeaderConfig::Secret(secret) => Some((format!("headers.{name}"), secret)),
            HeaderConfig::Plain(_) => None,
        });
        one.chain(many).chain(headers).collect()
    }

    /// What is wrong with it: `(path below the sink, words)`.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |path: &str, words: String| problems.push((path.to_owned(), words));
        match Url::parse(&self.url) {
            Ok(url) => self.url_problems(&url).into_iter().for_each(|words| problem("url", words)),
            Err(e) => problem("url", format!("is not a URL: {e}")),
        }
        match (&self.secret, self.secrets.len()) {
            (None, 0) => {
                problem("secret", "a signing secret is needed: { env: NAME } or { file: /path }".into())
            }
            (Some(_), 1..) => problem("secrets", "give secret or secrets, not both".into()),
            (_, 11..) => problem("secrets", "at most 10".into()),
            _ => {}
        }
        if !(1..=1000).contains(&self.batch.events) {
            problem("batch.events", "must be 1 to 1000".into());
        }
        if !(1..=16 << 20).contains(&self.batch.bytes) {
            problem("batch.bytes", "must be 1 to 16777216".into());
        }
        if self.batch.wait_ms > 60_000 {
            problem("batch.wait_ms", "must be 60000 at most".into());
        }
        if !(1..=256).contains(&self.in_flight) {
            problem("in_flight", "must be 1 to 256".into());
        }
        if !(1..=600_000).contains(&self.timeout_ms) {
            problem("timeout_ms", "must be 1 to 600000".into());
        }
        for (name, value) in &self.headers {
            let path = format!("headers.{name}");
            let lower = name.to_ascii_lowercase();
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                problem(&path, "is not a header name".into());
            } else if RESERVED.contains(&lower.as_str()) {
                problem(&path, "is set by the sink itself".into());
            }
            if let HeaderConfig::Plain(text) = value {
                if SECRET.contains(&lower.as_str()) {
                    problem(&path, forebay_model::PLAIN_SECRET.into());
                } else if HeaderValue::from_str(text).is_err() {
                    problem(&path, "the value has characters that a header cannot hold".into());
                }
            }
        }
        problems.extend(
            self.format.problems().into_iter().map(|(path, words)| (format!("format.{path}"), words)),
        );
        problems
    }

    fn url_problems(&self, url: &Url) -> Vec<String> {
        let mut problems = Vec::new();
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            problems.push("must be https://host/... (or http:// to this machine)".to_owned());
            return problems;
        }
        if !url.username().is_empty() || url.password().is_some() {
            problems.push(
                "must not hold user or password; use headers: { authorization: { env: NAME } }".to_owned(),
            );
        }
        if let Err(refused) = Guard::new(self, url).check_host(url) {
            problems.push(refused.to_string());
        }
        problems
    }
}
