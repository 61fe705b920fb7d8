//! From a commit in MySQL to the change's arrival at a webhook, one change at a time.
//!
//! The clock runs from the moment before the statement is sent to the moment when the receiver has the whole request,
//! so it holds MySQL's own time for the commit too: an upper bound.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_kit::mysql_async::prelude::Queryable;
use forebay_kit::{Attempt, Forebay, Options, Receiver, Server};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Changes before the measured ones.
const WARM_UP: u32 = 50;
/// A change that is not there by then is lost.
const LOST: Duration = Duration::from_secs(10);

/// The times that a number of changes took, in order of size.
pub(crate) async fn measure(forebay: &Path, changes: u32) -> Result<Vec<Duration>> {
    let server = Server::start(&[]).await?;
    server.exec("CREATE DATABASE ping; CREATE TABLE ping.ping (id INT PRIMARY KEY, v VARCHAR(100))").await?;
    let (watch, mut arrived) = mpsc::channel(16);
    let receiver = Receiver::watched(SECRET, 0, watch).await?;
    let options =
        Options { env: vec![("HOOK_SECRET".into(), SECRET.into())], quiet: true, ..Options::default() };
    let mut forebay = Forebay::start(forebay, options).await?;
    let document = json!({
        "sources": { "ping": {
            "mysql": { "host": server.host(), "port": server.port(), "user": "root" },
            "tables": ["ping.*"], "start": "earliest",
        } },
        "plugins": {},
        "routes": { "ping": {
            "source": "ping", "tables": ["ping.*"], "from": "earliest",
            "sink": { "webhook": { "url": receiver.url(), "secret": { "env": "HOOK_SECRET" } } },
        } },
    });
    forebay.api("POST", "/v1/apply", Some(&document)).await?.ok().context("apply")?;

    let mut conn = server.connect().await?;
    let mut times = Vec::new();
    for id in 0..WARM_UP + changes {
        let sent = Instant::now();
        conn.query_drop(format!(
            "INSERT INTO ping.ping VALUES ({id}, 'a change of ordinary length, number {id}')"
        ))
        .await?;
        // The first one also waits for the source to connect.
        let at = arrival(&mut arrived, id).await?;
        if id >= WARM_UP {
            times.push(at.saturating_duration_since(sent));
        }
    }
    conn.disconnect().await?;
    forebay.stop().await?;
    times.sort_unstable();
    Ok(times)
}

async fn arrival(arrived: &mut mpsc::Receiver<Attempt>, id: u32) -> Result<Instant> {
    let key = format!("number {id}'").replace('\'', "\"");
    loop {
        let attempt =
            timeout(LOST, arrived.recv()).await.with_context(|| format!("change {id} did not arrive"))?;
        let attempt = attempt.context("the receiver has ended")?;
        ensure!(attempt.refused.is_none(), "the signature was refused: {:?}", attempt.refused);
        // A repeat of an earlier one is allowed: at least once.
        if memchr::memmem::find(&attempt.body, key.as_bytes()).is_some() {
            return Ok(attempt.at);
        }
    }
}
