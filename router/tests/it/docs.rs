//! The documents are true: the error reference names every code, and the commands of README and of the pages for newcomers run as they stand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use forebay_kit::{Receiver, eventually, free_port, mysql};
use forebay_model::{Class, Code};

use crate::rig::{HOOK_SECRET, LONG, guest, records};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The test below runs the README's commands with an environment of its own; a reader has to be told of all of it.
#[test]
fn the_readme_sets_every_variable_that_it_uses() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let used = text.split("env: ").skip(1).map(|rest| rest.split([' ', '}']).next().unwrap());
    let missing: Vec<&str> = used.filter(|name| !text.contains(&format!(" {name}="))).collect();
    assert!(
        text.contains(" MYSQL_PWD=") && missing.is_empty(),
        "not set anywhere in the README: {missing:?}"
    );
}

#[test]
fn the_error_reference_names_every_code() {
    let parts: [(&str, &[Code]); 9] = [
        ("Source", forebay_source::codes::ALL),
        ("Changelog", forebay_changelog::codes::ALL),
        ("Control store", forebay_store::codes::ALL),
        ("Transforms", forebay_transform::codes::ALL),
        ("Building plugins", forebay_component::codes::ALL),
        ("Sinks", forebay_sink::codes::ALL),
        ("Definitions", forebay::definition::codes::ALL),
        ("Engine", forebay::engine::codes::ALL),
        ("API", forebay::api::codes::ALL),
    ];
    let mut text = String::from(
        "# Errors\n\nEvery failure that an operator can see has a stable code. Retryable ones are tried again by themselves, poison \
         ones put the event among the dead letters, fatal ones stop the route or source (a source looks again once a minute). The \
         message names what failed, why, and the fix.\n\nThis page is made from the code by a test (`UPDATE=1 cargo test -p forebay \
         the_error_reference`).\n",
    );
    let mut names = Vec::new();
    for (part, codes) in parts {
        write!(text, "\n## {part}\n\n| code | class | meaning |\n|---|---|---|\n").unwrap();
        let mut codes = codes.to_vec();
        codes.sort_by_key(|c| c.name);
        for code in codes {
            let class = match code.class {
                Class::Retryable => "retryable",
                Class::Poison => "poison",
                Class::Fatal => "fatal",
            };
            writeln!(text, "| `{}` | {class} | {} |", code.name, code.meaning).unwrap();
            names.push(code.name);
        }
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two faults have one code");
    let path = root().join("docs/errors.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/errors.md is out of date: UPDATE=1 cargo test -p forebay the_error_reference"
    );
}

/// Fenced blocks of a page, also in lists: (what stands behind the fence, the text).
pub(crate) fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for line in markdown.lines() {
        let text = line.trim_start();
        match (&mut open, text.strip_prefix("```")) {
            (None, Some(info)) => open = Some((line.len() - text.len(), info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, info, text)| (info, text))),
            (Some((indent, _, block)), None) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Ends with the test, whatever happens.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody who follows a page, in a folder and with an environment of their own.
struct Reader {
    folder: tempfile::TempDir,
    listen: String,
    env: Vec<(&'static str, String)>,
    /// The page's names and ports are those of another machine: what stands there, and what it is here.
    here: Vec<(&'static str, String)>,
    background: Vec<Background>,
}

impl Reader {
    fn new(env: Vec<(&'static str, String)>, here: Vec<(&'static str, String)>) -> Reader {
        let listen = format!("127.0.0.1:{}", free_port());
        let folder = tempfile::tempdir().unwrap();
        Reader { folder, listen, env, here, background: Vec::new() }
    }

    fn here(&self, text: &str) -> String {
        self.here.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn command(&self, script: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_forebay")).parent().unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
            .env("FOREBAY_LISTEN", &self.listen)
            .env("FOREBAY_URL", format!("http://{}", self.listen))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Does what the page says: writes its files, starts its server, runs its commands. Answers each command's text and what it printed.
    async fn follow(&mut self, page: &str) -> Vec<(String, String)> {
        self.follow_but(page, None).await
    }

    /// As [`follow`](Self::follow), without the blocks that have this word behind their fence.
    async fn follow_but(&mut self, page: &str, not: Option<&str>) -> Vec<(String, String)> {
        let mut ran = Vec::new();
        for (info, text) in blocks(&std::fs::read_to_string(root().join(page)).unwrap()) {
            let words: Vec<&str> = info.split_whitespace().collect();
            if not.is_some_and(|not| words.contains(&not)) {
                continue;
            }
            let text = self.here(&text);
            if let Some(name) = words.iter().find_map(|w| w.strip_prefix("file=")) {
                let path = self.folder.path().join(self.here(name));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            } else if words.contains(&"background") {
                let server = self.command(&format!("exec {text}")).spawn().unwrap();
                self.background.push(Background(server));
                let url = format!("http://{}/healthz", self.listen);
                eventually("the page's server answers", LONG, || forebay_kit::http("GET", &url, &[], ""))
                    .await;
            } else if words.contains(&"run") {
                let done = self.command(&text).output().unwrap();
                let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "{page}: {text}\n{told}");
                ran.push((text, told.into_owned()));
            }
        }
        assert!(ran.len() >= 2 && self.background.len() == 1, "the commands of {page} are marked `sh run`");
        ran
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_runs() {
    let server = mysql().await;
    server
        .exec(
            "CREATE DATABASE shop; CREATE TABLE shop.customers (id INT PRIMARY KEY, email VARCHAR(100), phone VARCHAR(20)); \
             CREATE TABLE shop.orders (id INT PRIMARY KEY, total DECIMAL(10,2)); \
             INSERT INTO shop.customers VALUES (1, 'alice@example.com', '555-1'), (2, 'bob@example.com', '555-2'); \
             INSERT INTO shop.orders VALUES (1, 9.99)",
        )
        .await
        .unwrap();
    let user = server
        .cdc_user(&["REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*", "SELECT ON shop.*"])
        .await
        .unwrap();
    let receiver = Receiver::start(HOOK_SECRET).await.unwrap();
    let env = vec![
        ("MYSQL_PORT", server.port().to_string()),
        ("MYSQL_PWD", user.password.clone()),
        ("SHOP_PASSWORD", user.password.clone()),
        ("PII_KEY", "a key for tests".to_owned()),
        ("HOOK_SECRET", HOOK_SECRET.to_owned()),
    ];
    let here = vec![
        ("cdc@127", format!("{}@127", user.name)),
        ("user: cdc", format!("user: {}", user.name)),
        ("port: 3306", format!("port: {}", server.port())),
        ("http://127.0.0.1:9999/hook", receiver.url()),
    ];
    let mut reader = Reader::new(env, here);
    std::fs::write(reader.folder.path().join("mask.wasm"), guest("mask")).unwrap();
    let ran = reader.follow("README.md").await;
    let (_, told) = ran.iter().find(|(text, _)| text.contains("forebay tail")).unwrap();
    assert!(told.contains("+I["), "{told}");
    eventually("both customers arrive, masked", LONG, || async {
        let bodies: String =
            receiver.received().iter().map(|(_, b)| String::from_utf8_lossy(b).into_owned()).collect();
        bodies.contains("@example.com") && !bodies.contains("alice@") && !bodies.contains("555-")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_from_quix_goes_on_where_they_stood() {
    let server = mysql().await;
    let database = server.database("quix").await.unwrap();
    database
        .exec("CREATE TABLE your_table (id INT PRIMARY KEY); INSERT INTO your_table VALUES (1)")
        .await
        .unwrap();
    // so far it had come; what is written since is what must not be missing
    let (file, pos, _) = server.binlog_end().await.unwrap();
    database.exec("INSERT INTO your_table VALUES (2); INSERT INTO your_table VALUES (3)").await.unwrap();
    let select = format!("SELECT ON {}.*", database.name());
    let grants = ["REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*", select.as_str()];
    let user = server.cdc_user(&grants).await.unwrap();
    let here = vec![
        ("your_database", database.name().to_owned()),
        ("port: 3306", format!("port: {}", server.port())),
        ("user: cdc_user", format!("user: {}", user.name)),
        ("mysql-bin.000123", file),
        ("45678", pos.to_string()),
    ];
    let mut reader = Reader::new(vec![("MYSQL_PASSWORD", user.password.clone())], here);
    reader.follow("docs/coming-from-quix.md").await;
    // `data-dir` is the page's default
    let changes = reader.folder.path().join("forebay-data/changes");
    let told = eventually("the changes since, then the rows as they stand", LONG, || async {
        let told: Vec<(String, u64)> = records(&changes)
            .iter()
            .map(|e| (e["op"].as_str().unwrap().to_owned(), e["after"]["id"].as_u64().unwrap()))
            .collect();
        if told.len() >= 5 { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    let wanted = [("c", 2), ("c", 3), ("r", 1), ("r", 2), ("r", 3)];
    assert_eq!(told, wanted.map(|(op, id)| (op.to_owned(), id)));
}

/// Somebody with a language's toolchain, `forebay` and nothing else goes from nothing to changed rows at a sink.
async fn a_plugin_is_made(language: &str, other: &str) {
    let server = mysql().await;
    let database = server.database("plugin").await.unwrap();
    let table = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(64), phone VARCHAR(20))";
    database.exec(&format!("{table}; INSERT INTO customers VALUES (1, 'ada', '555-1')")).await.unwrap();
    let select = format!("SELECT ON {}.*", database.name());
    let grants = ["REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*", select.as_str()];
    let user = server.cdc_user(&grants).await.unwrap();
    let here = vec![
        ("shop.", format!("{}.", database.name())),
        ("user: cdc", format!("user: {}", user.name)),
        ("port: 3306", format!("port: {}", server.port())),
    ];
    // built things are kept from run to run; where the toolchains are not installed, the scripts find them
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugins");
    let toolchains = tempfile::NamedTempFile::new().unwrap();
    let scripts = root().join("scripts");
    let find = format!(
        "unset BASH_ENV\n\
         ls \"$(rustc --print target-libdir --target wasm32-unknown-unknown)\"/libstd-*.rlib >/dev/null 2>&1 || eval \"$({0}/wasm-rust)\"\n\
         PATH=$PATH:$(dirname \"$({0}/wasm-go)\")\n",
        scripts.display()
    );
    std::fs::write(toolchains.path(), find).unwrap();
    let env = vec![
        ("SHOP_PASSWORD", user.password.clone()),
        ("CARGO_TARGET_DIR", kept.display().to_string()),
        ("BASH_ENV", toolchains.path().display().to_string()),
    ];
    let mut reader = Reader::new(env, here);
    let ran = reader.follow_but("docs/plugins.md", Some(other)).await;
    database.exec("UPDATE customers SET name = 'grace' WHERE id = 1").await.unwrap();
    // `data-dir` is the page's default
    let customers = reader.folder.path().join("forebay-data/customers");
    let names = eventually("the rows, changed by the plugin", LONG, || async {
        let rows = records(&customers);
        let names: Vec<String> = rows.iter().map(|r| format!("{}", r["after"]["name"])).collect();
        if names.iter().any(|name| name.contains("GRACE")) { Ok(rows) } else { Err(format!("{names:?}")) }
    })
    .await;
    assert!(names.iter().all(|r| r["after"]["phone"] == "555-1"));
    assert!(names.iter().any(|r| r["before"]["name"] == "ADA" && r["after"]["name"] == "GRACE"), "{names:?}");
    let told = |part: &str| &ran.iter().find(|(text, _)| text.contains(part)).unwrap().1;
    assert!(told("plugin test").contains("2 of 2 pass"), "{}", told("plugin test"));
    assert!(told("plugin check").contains("makes    name (varchar(64))"), "{}", told("plugin check"));
    assert!(told("plugin push").contains("shout: 0.1.0, sha256 "), "{}", told("plugin push"));
    // the template as it is
    let native = if language == "rust" { "cargo test --quiet" } else { "go test ./..." };
    let script =
        format!("forebay plugin new --lang {language} fresh; cd fresh; {native}; forebay plugin test");
    let done = reader.command(&script).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stdout).contains("3 of 3 pass"));
    let mut transcript = String::new();
    for (text, told) in &ran {
        let typed: String = text.lines().map(|line| format!("$ {line}\n")).collect();
        transcript += &format!("{typed}{told}\n");
    }
    for row in &names {
        let _ = writeln!(transcript, "{} {} -> {}", row["op"], row["before"], row["after"]);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("plugin-{language}.txt")), &transcript).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_made_in_rust() {
    a_plugin_is_made("rust", "go").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_made_in_go() {
    a_plugin_is_made("go", "rust").await;
}
