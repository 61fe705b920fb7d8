//! What most tests need: a database, a server process, definitions, and what arrived.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use forebay_kit::{CdcUser, Change, Database, Forebay, Options, Outcome, Server, eventually, mysql};
use serde_json::{Value, json};

pub(crate) const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
/// How long anything may take before a test gives up; a busy machine of two cores is slow.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A database of its own on the shared server, and a Forebay of its own.
pub(crate) struct Rig {
    pub(crate) database: Database,
    pub(crate) forebay: Forebay,
    source: Value,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let server = mysql().await;
        let database = server.database("it").await.unwrap();
        Self::on(server, database).await
    }

    /// On a server that the test may stop.
    pub(crate) async fn on(server: &Server, database: Database) -> Self {
        let select = format!("SELECT ON {}.*", database.name());
        let user = server
            .cdc_user(&["REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*", &select])
            .await
            .unwrap();
        let CdcUser { name, password } = user;
        let env = [
            ("DB_PASSWORD", password.as_str()),
            ("HOOK_SECRET", HOOK_SECRET),
            ("PII_KEY", "a key for tests"),
        ];
        let env = env.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let binary = std::env::var("FOREBAY_BIN").unwrap_or(env!("CARGO_BIN_EXE_forebay").into());
        let forebay = Forebay::start(binary, Options { env, ..Options::default() }).await.unwrap();
        let source = json!({
            "mysql": { "host": server.host(), "port": server.port(), "user": name, "password": { "env": "DB_PASSWORD" } },
            "tables": [format!("{}.*", database.name())],
            "snapshot": "never",
        });
        Rig { database, forebay, source }
    }

    /// Runs a command of the binary against this Forebay: its status, and all that it printed.
    pub(crate) async fn cli(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(args).args(["--url", &self.forebay.url()]);
        let out = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let printed = [out.stdout, out.stderr].concat();
        (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&printed).into_owned())
    }

    /// The source's definition, with these fields added or replaced.
    pub(crate) fn source(&self, more: Value) -> Value {
        let mut source = self.source.clone();
        for (field, value) in more.as_object().unwrap() {
            source[field] = value.clone();
        }
        source
    }

    /// A route over all tables, from the beginning.
    pub(crate) fn route(&self, sink: Value, transforms: Value) -> Value {
        json!({
            "source": "db",
            "tables": [format!("{}.*", self.database.name())],
            "transforms": transforms,
            "sink": sink,
            "from": "earliest",
        })
    }

    pub(crate) fn file(&self, name: &str) -> (Value, PathBuf) {
        let path = self.forebay.folder().join(name);
        (json!({ "file": { "path": path } }), path)
    }

    /// Applies definitions and waits until the source reads.
    pub(crate) async fn apply(&self, definitions: &Value) {
        let answer = self.forebay.api("POST", "/v1/apply", Some(definitions)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.reading().await;
    }

    pub(crate) async fn reading(&self) {
        eventually("the source reads", LONG, || async {
            let source = self.status().await["sources"][0].clone();
            if source["state"] == "running" { Ok(()) } else { Err(source.to_string()) }
        })
        .await;
    }

    pub(crate) async fn status(&self) -> Value {
        self.forebay.api("GET", "/v1/status", None).await.unwrap().json()
    }

    pub(crate) async fn route_status(&self, name: &str) -> Value {
        let status = self.status().await;
        let routes = status["routes"].as_array().unwrap();
        routes
            .iter()
            .find(|r| r["name"] == name)
            .unwrap_or_else(|| panic!("no route {name}: {status}"))
            .clone()
    }

    /// Waits until the route has passed everything that the source has read, and that is at least `events`.
    pub(crate) async fn passed(&self, route: &str, events: usize) -> Value {
        eventually(&format!("{route} has passed {events} events"), LONG, || async {
            let status = self.route_status(route).await;
            let through =
                status["counts"]["read"].as_u64() >= Some(events as u64) && status["lag_events"] == 0;
            if through { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    /// Waits until a route is in this state.
    pub(crate) async fn in_state(&self, route: &str, state: &str) -> Value {
        eventually(&format!("{route} is {state}"), LONG, || async {
            let status = self.route_status(route).await;
            if status["state"] == state { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    pub(crate) async fn post(&self, path: &str) {
        let answer = self.forebay.api("POST", path, None).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
    }
}

/// A plugin that `scripts/wasm-rust guests` built, as an apply takes it.
pub(crate) fn plugin(name: &str) -> Value {
    use base64::Engine as _;
    json!({ "wasm": base64::engine::general_purpose::STANDARD.encode(guest(name)) })
}

/// The version of the test plugin `marker` that ends with this digit, as an apply takes it.
pub(crate) fn marker(digit: u8) -> Value {
    bytes(&marker_bytes(digit))
}

/// A component, as an apply takes it.
pub(crate) fn bytes(component: &[u8]) -> Value {
    use base64::Engine as _;
    json!({ "wasm": base64::engine::general_purpose::STANDARD.encode(component) })
}

pub(crate) fn marker_bytes(digit: u8) -> Vec<u8> {
    const VERSION: &[u8] = b"tests.of.plugins.that.change.1";
    let mut bytes = guest("marker");
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(VERSION)).collect();
    assert!(!places.is_empty(), "the component holds its version");
    places.into_iter().for_each(|at| bytes[at + VERSION.len() - 1] = b'0' + digit);
    bytes
}

pub(crate) fn guest(name: &str) -> Vec<u8> {
    // .../<target>/<profile>/deps/<this test>
    let me = std::env::current_exe().unwrap();
    let target = me.ancestors().nth(3).unwrap();
    let path = target.join("guests").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; build the guests: make plugins", path.display()))
}

/// The records of a file sink, oldest first.
pub(crate) fn records(path: &Path) -> Vec<Value> {
    lines(path)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

pub(crate) fn lines(path: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    each_line(path, |line| lines.push(line.to_owned()));
    lines
}

/// Goes through the whole lines of a file sink, oldest first, and holds one of them at a time.
pub(crate) fn each_line(path: &Path, mut each: impl FnMut(&str)) {
    let prefix = format!("{}.", path.file_name().unwrap().to_str().unwrap());
    let ours = |f: &PathBuf| {
        let name = f.file_name().unwrap().to_str().unwrap();
        name.starts_with(&prefix) && name.ends_with(".ndjson")
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).filter(ours).collect();
    // closed files carry their first offset, which sorts before the current file's name
    files.sort();
    for file in files {
        let mut file = BufReader::with_capacity(1 << 20, File::open(file).unwrap());
        let mut line = String::new();
        while file.read_line(&mut line).unwrap() > 0 {
            if let Some(whole) = line.strip_suffix('\n') {
                each(whole.trim_end());
            }
            line.clear();
        }
    }
}

/// The versions of each key of `accounts`, in the order in which these events tell them.
pub(crate) fn versions<'a>(events: impl IntoIterator<Item = &'a Value>) -> BTreeMap<u64, Vec<u32>> {
    let mut keys: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for event in events {
        let image = if event["op"] == "d" { &event["before"] } else { &event["after"] };
        let version = image["version"].as_u64().unwrap() as u32 + u32::from(event["op"] == "d");
        keys.entry(image["id"].as_u64().unwrap()).or_default().push(version);
    }
    keys
}

/// The versions of each key that a writer committed.
pub(crate) fn committed(changes: &[Change]) -> BTreeMap<u64, Vec<u32>> {
    let mut keys: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for change in changes {
        keys.entry(change.id).or_default().push(change.version);
    }
    keys
}

/// Compares event by event what was committed with what was told, kind by kind.
pub(crate) fn assert_told_exactly(changes: &[Change], events: &[Value]) {
    assert_eq!(versions(events), committed(changes));
    let count = |op: &str| events.iter().filter(|e| e["op"] == op).count();
    let made = |outcome| changes.iter().filter(|c| c.outcome == outcome).count();
    assert_eq!(count("c"), made(Outcome::Inserted));
    assert_eq!(count("u"), made(Outcome::Updated));
    assert_eq!(count("d"), made(Outcome::Deleted));
}
