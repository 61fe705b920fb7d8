//! An HTTP server on this machine that checks every message's signature, keeps it, and answers by a script.

use std::collections::HashMap;
use std::future::pending;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Mutex};
use tokio::task::JoinSet;

use super::{DEADLINE, KEY};
use crate::conformance::Seen;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) id: String,
    pub(super) headers: HeaderMap,
    /// Decompressed.
    pub(super) body: Value,
    /// What it was answered.
    pub(super) status: StatusCode,
}

impl Received {
    /// The events that it holds, with their ids.
    pub(super) fn events(&self) -> Vec<Seen> {
        match self.body.get("data") {
            Some(list) => list
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| Seen {
                    id: entry["id"].as_str().map(str::to_owned),
                    record: entry["event"].clone(),
                })
                .collect(),
            None => vec![Seen { id: Some(self.id.clone()), record: self.body.clone() }],
        }
    }
}

/// What the receiver does with a message.
pub(super) enum Answer {
    Status(u16),
    With(u16, &'static str, &'static str),
    Hang,
    /// After everybody has come.
    Together(Arc<Barrier>),
}

type Script = Box<dyn FnMut(&Value) -> Answer + Send>;

pub(super) struct Shared {
    script: Mutex<Script>,
    received: Mutex<Vec<Received>>,
    /// Messages under way, by key.
    under_way: Mutex<HashMap<String, usize>>,
    /// How many there were at once, of all keys and of one.
    pub(super) most: AtomicUsize,
    pub(super) most_of_a_key: AtomicUsize,
}

pub(super) struct Receiver {
    pub(super) url: String,
    pub(super) shared: Arc<Shared>,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn start(script: impl FnMut(&Value) -> Answer + Send + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=t0p", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            received: Mutex::default(),
            under_way: Mutex::default(),
            most: AtomicUsize::new(0),
            most_of_a_key: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(receive).with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Receiver { url, shared, _server: server }
    }

    pub(super) async fn set(&self, script: impl FnMut(&Value) -> Answer + Send + 'static) {
        *self.shared.script.lock().await = Box::new(script);
    }

    pub(super) async fn received(&self) -> Vec<Received> {
        self.shared.received.lock().await.clone()
    }

    /// The offsets that were answered with 2xx, in order of arrival.
    pub(super) async fn taken(&self) -> Vec<i64> {
        let received = self.received().await;
        let taken = received.iter().filter(|message| message.status.is_success());
        taken
            .flat_map(Received::events)
            .map(|seen| seen.record["after"]["offset"].as_i64().unwrap())
            .collect()
    }

    pub(super) async fn wait_for(&self, count: usize) {
        let begun = Instant::now();
        while self.received().await.len() < count {
            assert!(begun.elapsed() < DEADLINE, "{count} messages in time");
            tokio::task::yield_now().await;
        }
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&bytes);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(header("webhook-signature").split(' ').any(|one| one == expected), "the signature of {id}");
    let age = clock_seconds() - timestamp.parse::<i64>().unwrap();
    assert!((0..=DEADLINE.as_secs() as i64).contains(&age), "the time of this attempt");
    let plain = match headers.get("content-encoding") {
        None => bytes.to_vec(),
        Some(_) => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            plain
        }
    };
    let body: Value = serde_json::from_slice(&plain).unwrap();
    let key = body["after"]["id"].to_string();
    {
        let mut under_way = shared.under_way.lock().await;
        let count = under_way.entry(key.clone()).or_default();
        *count += 1;
        shared.most_of_a_key.fetch_max(*count, Ordering::Relaxed);
        shared.most.fetch_max(under_way.values().sum(), Ordering::Relaxed);
    }
    let answer = (shared.script.lock().await)(&body);
    let (status, extra) = match answer {
        Answer::Status(status) => (status, None),
        Answer::With(status, name, value) => (status, Some((name, value))),
        Answer::Together(barrier) => {
            barrier.wait().await;
            (204, None)
        }
        Answer::Hang => {
            let status = StatusCode::REQUEST_TIMEOUT;
            shared.received.lock().await.push(Received { id, headers, body, status });
            *shared.under_way.lock().await.get_mut(&key).unwrap() -= 1;
            return pending().await;
        }
    };
    let status = StatusCode::from_u16(status).unwrap();
    shared.received.lock().await.push(Received { id, headers, body, status });
    *shared.under_way.lock().await.get_mut(&key).unwrap() -= 1;
    let mut response = (status, "a body that nobody needs").into_response();
    if let Some((name, value)) = extra {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn clock_seconds() -> i64 {
    (crate::clock::now_us() / 1_000_000) as i64
}
