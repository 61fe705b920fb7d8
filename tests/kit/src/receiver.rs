//! A webhook receiver: a real HTTP server that checks every signature and does as it is told.
//!
//! What it answers can be scripted, request by request, down to silence and hanging up; it can be switched off, so that
//! connections are refused, and on again. It keeps every attempt in the order of arrival.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::signature::Key;

/// A body longer than this is refused with 413.
const LARGEST_BODY: usize = 64 << 20;

/// What to do with a request whose signature is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Answer with this status.
    Status(u16),
    /// Answer with this status and one header, such as `Retry-After`.
    Header(u16, &'static str, String),
    /// Wait, then do the other thing.
    Delay(Duration, Box<Reply>),
    /// 307 to another URL.
    Redirect(String),
    /// Never answer; the connection stays open.
    Hang,
    /// Close the connection without an answer.
    Close,
}

/// One request, accepted or not.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// `webhook-id`.
    pub id: String,
    /// The body as it was sent.
    pub body: Bytes,
    /// When the last byte of the body had arrived.
    pub at: Instant,
    /// Why the signature was refused; such a request gets a 401 whatever the script says.
    pub refused: Option<String>,
    /// The status that was answered; 0 if none was.
    pub status: u16,
}

impl Attempt {
    /// Whether the sender was told that all is well.
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A running receiver. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    key: Key,
    state: Mutex<State>,
    /// Where attempts go in place of `State::attempts`, so that a receiver that runs for hours keeps nothing.
    watch: Option<mpsc::Sender<Attempt>>,
}

#[derive(Debug)]
struct State {
    attempts: Vec<Attempt>,
    script: VecDeque<Reply>,
    usual: Reply,
}

impl Receiver {
    /// Listens on a free port of loopback and answers 204. `secret` is `whsec_...`.
    ///
    /// # Errors
    /// When the secret is none.
    pub async fn start(secret: &str) -> Result<Self> {
        Self::launch(secret, 0, None).await
    }

    /// Listens on `port` and sends every attempt to `watch` in place of keeping it. A full channel makes senders wait.
    ///
    /// # Errors
    /// When the secret is none or the port is taken.
    pub async fn watched(secret: &str, port: u16, watch: mpsc::Sender<Attempt>) -> Result<Self> {
        Self::launch(secret, port, Some(watch)).await
    }

    async fn launch(secret: &str, port: u16, watch: Option<mpsc::Sender<Attempt>>) -> Result<Self> {
        let state = State { attempts: Vec::new(), script: VecDeque::new(), usual: Reply::Status(204) };
        let shared = Arc::new(Shared { key: Key::parse(secret)?, state: Mutex::new(state), watch });
        let listener =
            TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
        let receiver = Self { address: listener.local_addr()?, shared, server: Mutex::default() };
        receiver.serve(listener);
        Ok(receiver)
    }

    fn serve(&self, listener: TcpListener) {
        lock(&self.server).spawn(accept(listener, Arc::clone(&self.shared)));
    }

    /// Where to send to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Does these with the next requests, one each, and the usual thing afterwards.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().script.extend(replies);
    }

    /// Does this with every request that no script covers.
    pub fn usually(&self, reply: Reply) {
        self.state().usual = reply;
    }

    /// Every attempt so far, in order of arrival.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    /// The id and body of every accepted request, in order of arrival, repeats included.
    pub fn received(&self) -> Vec<(String, Bytes)> {
        self.state()
            .attempts
            .iter()
            .filter(|a| a.accepted())
            .map(|a| (a.id.clone(), a.body.clone()))
            .collect()
    }

    /// How many requests were accepted.
    pub fn count(&self) -> usize {
        self.state().attempts.iter().filter(|a| a.accepted()).count()
    }

    /// Forgets what arrived.
    pub fn clear(&self) {
        self.state().attempts.clear();
    }

    /// Closes every connection and refuses new ones.
    pub async fn off(&self) {
        let mut server = std::mem::take(&mut *lock(&self.server));
        server.shutdown().await;
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub async fn on(&self) -> Result<()> {
        self.serve(TcpListener::bind(self.address).await?);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

/// A test that panicked with the lock held has failed already; what is behind the lock is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, &shared));
    // An error here is a sender that hung up, or our own `Reply::Close`.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error makes hyper close the connection.
async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (id, timestamp, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let body = body.to_bytes();
    let at = Instant::now();
    let refused = shared.key.verify(&id, &timestamp, &signatures, &body).err().map(|e| e.to_string());
    let (reply, slot) = {
        let mut state = lock(&shared.state);
        let reply = match &refused {
            Some(_) => Reply::Status(401),
            None => state.script.pop_front().unwrap_or_else(|| state.usual.clone()),
        };
        let attempt = Attempt { id, body, at, refused, status: status(&reply) };
        match &shared.watch {
            Some(_) => (reply, Some(attempt)),
            None => {
                state.attempts.push(attempt);
                (reply, None)
            }
        }
    };
    if let (Some(watch), Some(attempt)) = (&shared.watch, slot) {
        let _ = watch.send(attempt).await;
    }
    act(reply).await
}

fn status(reply: &Reply) -> u16 {
    match reply {
        Reply::Status(status) | Reply::Header(status, ..) => *status,
        Reply::Delay(_, next) => status(next),
        Reply::Redirect(_) => 307,
        Reply::Hang | Reply::Close => 0,
    }
}

async fn act(mut reply: Reply) -> Result<Response<Full<Bytes>>, std::io::Error> {
    while let Reply::Delay(time, next) = reply {
        tokio::time::sleep(time).await;
        reply = *next;
    }
    let code = StatusCode::from_u16(status(&reply)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(code);
    let header = match reply {
        Reply::Header(_, name, value) => Some((name, value)),
        Reply::Redirect(url) => Some(("location", url)),
        Reply::Hang => std::future::pending().await,
        Reply::Close => return Err(std::io::Error::other("told to hang up")),
        Reply::Status(_) | Reply::Delay(..) => None,
    };
    if let Some((name, value)) = header {
        let value = value.parse().map_err(std::io::Error::other)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
