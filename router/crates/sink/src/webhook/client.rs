//! One message to the receiver: signed, timed, never redirected, and every failure a fault with a class.

use std::error::Error as StdError;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use forebay_model::Fault;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Response, Url};

use super::answer::judge;
use super::config::{HeaderConfig, WebhookConfig};
use super::guard::{Guard, Refused};
use super::message::Message;
use super::sign::{Key, signature};
use crate::{Opening, clock, codes};

/// How much of an answer's body is read so that the connection can be used again.
const DRAINED: usize = 64 << 10;
/// Idle connections are closed before the receiver is likely to do it, since a message sent into that moment is lost.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    /// `POST https://host/path`, for people: without the query, which may hold a token.
    place: String,
    headers: HeaderMap,
    keys: Vec<Key>,
    gzip: bool,
}

impl Client {
    pub(super) fn new(config: &WebhookConfig, opening: &Opening<'_>) -> Result<Client, Fault> {
        let wrong = |what: String| {
            Fault::new(codes::WEBHOOK_CONFIG, what)
                .fix("correct the sink's definition, then resume the route")
        };
        let url =
            Url::parse(&config.url).map_err(|e| wrong("the webhook's url cannot be read".into()).cause(e))?;
        let guard = Guard::new(config, &url);
        guard.check_host(&url).map_err(refused)?;
        let keys = config
            .signing_secrets()
            .map(|place| Key::new(&(opening.secret)(place)?, place))
            .collect::<Result<Vec<_>, Fault>>()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if config.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in &config.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|e| wrong(format!("{name} is not a header name")).cause(e))?;
            let bad =
                |_| wrong(format!("the value of the header {name} has characters that a header cannot hold"));
            let value = match value {
                HeaderConfig::Plain(text) => HeaderValue::from_str(text).map_err(bad)?,
                HeaderConfig::Secret(place) => {
                    let mut value =
                        HeaderValue::from_str((opening.secret)(place)?.expose().trim()).map_err(bad)?;
                    value.set_sensitive(true);
                    value
                }
            };
            headers.insert(key, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("forebay/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .http1_only()
            .dns_resolver(guard)
            .pool_max_idle_per_host(config.in_flight as usize)
            .pool_idle_timeout(IDLE)
            .timeout(Duration::from_millis(config.timeout_ms))
            .build()
            .map_err(|e| wrong("the HTTP client cannot be made".into()).cause(e))?;
        let place = format!("POST {}{}", url.origin().ascii_serialization(), url.path());
        Ok(Client { http, url, place, headers, keys, gzip: config.gzip })
    }

    /// Sends the message; `Ok` is the receiver's 2xx.
    pub(super) async fn send(&self, message: Message) -> Result<(), Fault> {
        let body = if self.gzip { compressed(&message.body) } else { message.body };
        let timestamp = clock::now_us() / 1_000_000;
        let request = self
            .http
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature(&self.keys, &message.id, timestamp, &body))
            .body(body);
        let response = request.send().await.map_err(|e| self.failed(e))?;
        let verdict = judge(response.status(), response.headers(), &self.place);
        drain(response).await;
        verdict
    }

    fn failed(&self, error: reqwest::Error) -> Fault {
        if let Some(why) = find::<Refused>(&error) {
            return refused(*why);
        }
        let error = error.without_url();
        if error.is_timeout() {
            return Fault::new(codes::WEBHOOK_TIMEOUT, format!("{} did not answer in time", self.place))
                .fix("look into the receiver's log; raise timeout_ms if it needs longer");
        }
        // the outer error says only that a request failed; the innermost says why
        let mut cause: &(dyn StdError + 'static) = &error;
        while let Some(below) = cause.source() {
            cause = below;
        }
        let cause = cause.to_string();
        Fault::new(codes::WEBHOOK_UNREACHABLE, format!("{} cannot be reached", self.place))
            .cause(cause)
            .fix("start the receiver, or correct the url; the route goes on by itself")
    }
}

fn refused(why: Refused) -> Fault {
    Fault::new(codes::WEBHOOK_ADDRESS, "the webhook's address is not allowed")
        .cause(why)
        .fix("correct the url, or allow it in the sink's definition")
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Reads the rest of an answer, up to a bound. What it says is nobody's concern, nor whether it ends well.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(piece)) = response.chunk().await {
        read += piece.len();
        if read > DRAINED {
            return;
        }
    }
}

fn compressed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4 + 64), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes everything").into()
}
