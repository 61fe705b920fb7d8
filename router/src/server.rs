//! The server: the engine and the API on one port, started and stopped in order.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::api;
use crate::engine::Engine;

/// What must be known before the store opens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// A file with the access token; needed wherever the address is not loopback.
    pub token_file: Option<PathBuf>,
}

/// A running server.
pub struct Server {
    /// The engine.
    pub engine: Engine,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Opens the data directory, starts what is defined, and listens.
///
/// # Errors
/// If the address or the data directory cannot be used, or an address beyond loopback has no token.
pub async fn start(settings: Settings) -> anyhow::Result<Server> {
    let token = match &settings.token_file {
        Some(path) => {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.with_context(|| format!("cannot read the token file {}", path.display()))?;
            let token = text.trim().to_owned();
            if token.len() < 16 {
                bail!(
                    "the token in {} has fewer than 16 characters; make one: openssl rand -hex 32",
                    path.display()
                );
            }
            Some(token)
        }
        None if settings.listen.ip().is_loopback() => None,
        None => bail!(
            "{} is reachable from other machines, so the API needs a token: make one (openssl rand -hex 32 > token) and \
             start with --token-file token, or listen on 127.0.0.1",
            settings.listen
        ),
    };
    // the port first: a second server on the same data directory should fail before it touches anything
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", settings.listen))?;
    let address = listener.local_addr()?;
    let engine = Engine::start(&settings.data_dir).await?;
    let stop = CancellationToken::new();
    let app = api::app(engine.clone(), api::Access { token, address });
    let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    #[allow(clippy::disallowed_methods, reason = "`Server::stop` waits for it")]
    let serving = tokio::spawn(async move { serve.await });
    tracing::info!(%address, data_dir = %settings.data_dir.display(), "forebay listens");
    Ok(Server { engine, address, stop, serving })
}

impl Server {
    /// Stops routes, sources and changelogs in order, then the API.
    pub async fn stop(self) {
        self.stop.cancel();
        self.engine.shutdown().await;
        // open tails end with the engine; a client that holds on must not hold us
        if tokio::time::timeout(std::time::Duration::from_secs(5), self.serving).await.is_err() {
            tracing::warn!("a client held its connection; left it");
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Logs to standard error; `FOREBAY_LOG` chooses what (as `info,forebay_source=debug`).
pub fn log_to_stderr(json: bool) {
    log(EnvFilter::try_from_env("FOREBAY_LOG").unwrap_or_else(|_| EnvFilter::new("info")), json);
}

/// Logs faults only, to standard error.
pub fn log_quietly() {
    log(EnvFilter::new("error"), false);
}

fn log(filter: EnvFilter, json: bool) {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // a second call, as in tests, keeps the first
    let _ = if json { subscriber.json().try_init() } else { subscriber.try_init() };
}
