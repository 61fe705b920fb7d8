//! `forebay serve`: the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::server;

/// What must be known before the store opens; everything else is a definition.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen. Anything but loopback needs --token-file.
    #[arg(long, env = "FOREBAY_LISTEN", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,
    /// Where the changelogs and the control state are kept.
    #[arg(long, env = "FOREBAY_DATA_DIR", default_value = "forebay-data")]
    data_dir: PathBuf,
    /// A file with the token that every API call must carry.
    #[arg(long, env = "FOREBAY_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Log as JSON lines.
    #[arg(long, env = "FOREBAY_LOG_JSON")]
    log_json: bool,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        server::log_to_stderr(self.log_json);
        let settings =
            server::Settings { listen: self.listen, data_dir: self.data_dir, token_file: self.token_file };
        let running = server::start(settings).await?;
        server::interrupted().await;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    }
}
