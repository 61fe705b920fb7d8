//! `forebay demo`: the main job on a real MySQL server, in front of one's eyes.
//!
//! Four databases, a live writer, and two independent consumers: a receiver that gets webhooks with personal data masked by
//! a WASM plugin, and a file that gets everything. The receiver is a process of its own, so that it can be stopped while
//! the file goes on.

mod writer;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use clap::Args;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::doctor;
use super::{Failure, print};
use crate::server;

const SEEDS: [&str; 4] = [
    include_str!("../../../../tests/kit/seeds/active.sql"),
    include_str!("../../../../tests/kit/seeds/testdb.sql"),
    include_str!("../../../../tests/kit/seeds/retail_db.sql"),
    include_str!("../../../../tests/kit/seeds/export.sql"),
];
const TABLES: [&str; 4] = ["active.*", "testdb.*", "retail_db.*", "export.*"];
/// Where the receiver looks for its secret.
const SECRET_ENV: &str = "HOOK_SECRET";
/// The least that a source needs: to read the binlog and the captured tables' definitions.
const USER: &str = "forebay_demo";

/// Run the main job on a MySQL server, which gets four small databases and a user.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// A server that may be written to, as mysql://root@127.0.0.1:3306.
    #[arg(long)]
    mysql: String,
    /// The mask plugin, as a component.
    #[arg(long)]
    plugin: PathBuf,
    /// The program that receives webhooks and verifies their signatures.
    #[arg(long)]
    receiver: PathBuf,
    /// Where the demo keeps its data.
    #[arg(long)]
    dir: PathBuf,
    /// Where Forebay listens; a free port if this one is taken.
    #[arg(long, default_value = "127.0.0.1:8088")]
    listen: SocketAddr,
    /// Stop after this many seconds, and fail unless both consumers have everything.
    #[arg(long)]
    seconds: Option<u64>,
}

/// Everything that the demo started.
struct Running {
    server: server::Server,
    receiver: Child,
    hook: SocketAddr,
    secret: PathBuf,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if std::env::var_os("FOREBAY_LOG").is_none() {
            // what arrives is the show; warnings still come through
            server::log_quietly();
        } else {
            server::log_to_stderr(false);
        }
        let pool = self.prepare().await?;
        let running = self.start().await?;
        let done = self.watch(&pool, &running).await;
        let Running { server, mut receiver, .. } = running;
        server.stop().await;
        // it may have been stopped by hand, as the demo suggests
        let _ = receiver.kill().await;
        pool.disconnect().await?;
        print("\nstopped\n")?;
        done
    }

    /// Databases, rows, and a user with the least privileges.
    async fn prepare(&self) -> anyhow::Result<mysql_async::Pool> {
        say(&format!("MySQL: {}: making {}", self.mysql, TABLES.join(", ")))?;
        let pool = mysql_async::Pool::new(mysql_async::Opts::from_url(&self.mysql)?);
        let mut conn = pool.get_conn().await.context("the demo's MySQL server does not answer")?;
        for sql in SEEDS {
            conn.query_drop(sql).await?;
        }
        let password = password(&self.dir)?;
        conn.query_drop(format!("CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{password}'")).await?;
        conn.query_drop(format!("ALTER USER {USER}@'%' IDENTIFIED BY '{password}'")).await?;
        conn.query_drop(format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {USER}@'%'")).await?;
        for database in ["active", "testdb", "retail_db", "export"] {
            conn.query_drop(format!("GRANT SELECT ON {database}.* TO {USER}@'%'")).await?;
        }
        drop(conn);
        Ok(pool)
    }

    /// The receiver, the server, and the definitions.
    async fn start(&self) -> anyhow::Result<Running> {
        let hook = free_address()?;
        let secret = self.dir.join("hook.secret");
        let value = format!("whsec_{}", random_base64(32));
        std::fs::write(&secret, &value)?;
        let receiver = receiver(&self.receiver, hook, &value)?;
        let listen = if TcpListener::bind(self.listen).is_ok() { self.listen } else { free_address()? };
        let data_dir = self.dir.join("forebay-data");
        let server = server::start(server::Settings { listen, data_dir, token_file: None }).await?;
        let definitions = self.definitions(hook, &secret)?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer =
            client.post(format!("http://{}/v1/apply", server.address)).json(&definitions).send().await?;
        if !answer.status().is_success() {
            bail!("the demo's definitions were refused: {}", answer.text().await?);
        }
        Ok(Running { server, receiver, hook, secret })
    }

    fn definitions(&self, hook: SocketAddr, secret: &Path) -> anyhow::Result<Value> {
        let config = doctor::config(&self.mysql, &[])?;
        let wasm =
            std::fs::read(&self.plugin).with_context(|| format!("cannot read {}", self.plugin.display()))?;
        let mask = json!({
            "missing": "ignore",
            "columns": {
                "email": { "keep_domain": true },
                "phone": { "keep_last": 4 },
                "last_name": { "keep_first": 1 },
                "street_number": { "text": "***" },
                "weight": { "drop": true },
            },
        });
        Ok(json!({
            "sources": { "shop": {
                "mysql": {
                    "host": config.host,
                    "port": config.port,
                    "user": USER,
                    "password": { "file": self.dir.join("mysql.password") },
                },
                "tables": TABLES,
                "start": "earliest",
            } },
            "plugins": { "mask": { "wasm": base64::engine::general_purpose::STANDARD.encode(wasm) } },
            "routes": {
                "masked-to-webhook": {
                    "source": "shop",
                    "tables": ["active.tenants", "testdb.users", "retail_db.customers", "export.member_scans"],
                    "transforms": [ { "plugin": "mask", "config": mask } ],
                    "sink": { "webhook": { "url": format!("http://{hook}/hook"), "secret": { "file": secret } } },
                    "from": "earliest",
                },
                "all-to-file": {
                    "source": "shop",
                    "tables": TABLES,
                    "sink": { "file": { "path": self.dir.join("changes") } },
                    "from": "earliest",
                },
            },
        }))
    }

    /// Writes and shows until Ctrl-C, or until the time is up.
    async fn watch(&self, pool: &mysql_async::Pool, running: &Running) -> Result<(), Failure> {
        print(&self.what_to_try(running))?;
        let writing = writer::write(pool);
        let showing = show(&running.server);
        let time_is_up = async {
            match self.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = writing => done?,
            done = showing => done?,
            () = server::interrupted() => return Ok(()),
            () = time_is_up => {}
        }
        self.settle(&running.server).await
    }

    /// Both routes at the head, with events delivered: what a demo in a test must show.
    async fn settle(&self, server: &server::Server) -> Result<(), Failure> {
        for _ in 0..300 {
            let status = server.engine.status().await;
            let through = |r: &crate::engine::RouteStatus| r.lag_events == 0 && r.counts.delivered > 0;
            if status.routes.len() == 2 && status.routes.iter().all(through) {
                for route in &status.routes {
                    say(&format!("{}: {} events delivered", route.name, route.counts.delivered))?;
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let status = serde_json::to_value(server.engine.status().await)?;
        print(&super::status::table(&status))?;
        Err(anyhow::anyhow!("the routes did not get everything within 30 s").into())
    }

    fn what_to_try(&self, running: &Running) -> String {
        let forebay = std::env::current_exe().map_or("forebay".into(), |p| p.display().to_string());
        let url = format!("http://{}", running.server.address);
        let pid = running.receiver.id().unwrap_or_default();
        format!(
            "
Forebay     {url}   (status: curl {url}/v1/status)
webhook     http://{hook}/hook   masked by a WASM plugin, signatures verified by process {pid}
file        {file}   everything, unmasked

Try, in another terminal:
  {forebay} status --url {url}
  {forebay} tail shop --url {url}
  kill {pid}                                     # stop the receiver: the file route goes on
  HOOK_SECRET=$(cat {secret}) {receiver} --port {port}   # start it: it catches up
  {forebay} replay masked-to-webhook --from earliest --url {url}   # deliver everything to it again

Ctrl-C stops everything. Changes as they arrive (webhook: masked; file: counted):

",
            hook = running.hook,
            file = self.dir.join("changes.ndjson").display(),
            receiver = self.receiver.display(),
            port = running.hook.port(),
            secret = running.secret.display(),
        )
    }
}

/// A line of counts now and then; the receiver prints what arrives by itself.
async fn show(server: &server::Server) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let status = server.engine.status().await;
        let line = status.routes.iter().map(|r| {
            let state = serde_json::to_value(r.state).unwrap_or_default();
            format!(
                "{} {} delivered, {} behind, {}",
                r.name,
                r.counts.delivered,
                r.lag_events,
                state.as_str().unwrap_or("")
            )
        });
        say(&line.collect::<Vec<_>>().join("   |   "))?;
    }
}

fn receiver(program: &Path, hook: SocketAddr, secret: &str) -> anyhow::Result<Child> {
    Command::new(program)
        .arg("--port")
        .arg(hook.port().to_string())
        .env(SECRET_ENV, secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start the receiver {}", program.display()))
}

/// Makes the source's password and leaves it where the definition refers to.
fn password(dir: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(dir)?;
    let password = format!("Aa1-{}", random_base64(18).replace(['/', '+'], "x"));
    std::fs::write(dir.join("mysql.password"), &password)?;
    Ok(password)
}

fn random_base64(bytes: usize) -> String {
    let random: Vec<u8> = (0..bytes.div_ceil(16)).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(&random[..bytes])
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn say(line: &str) -> Result<(), anyhow::Error> {
    match print(&format!("-- {line}\n")) {
        Ok(()) => Ok(()),
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Told(_)) => bail!("standard output was closed"),
    }
}
