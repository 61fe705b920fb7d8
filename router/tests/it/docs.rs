//! The documents are true: the error reference names every code, and the README's commands run as they stand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use forebay_kit::{Receiver, eventually, free_port, mysql};
use forebay_model::{Class, Code};

use crate::rig::{HOOK_SECRET, LONG, guest};

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
    let parts: [(&str, &[Code]); 8] = [
        ("Source", forebay_source::codes::ALL),
        ("Changelog", forebay_changelog::codes::ALL),
        ("Control store", forebay_store::codes::ALL),
        ("Transforms", forebay_transform::codes::ALL),
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

/// Fenced blocks of a page: (what stands behind the fence, the text).
pub(crate) fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
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

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_runs() {
    let server = mysql().await;
    let folder = tempfile::tempdir().unwrap();
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
    let bin = Path::new(env!("CARGO_BIN_EXE_forebay")).parent().unwrap().to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let listen = format!("127.0.0.1:{}", free_port());
    std::fs::write(folder.path().join("mask.wasm"), guest("mask")).unwrap();
    let command = |script: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("MYSQL_PORT", server.port().to_string())
            .env("MYSQL_PWD", &user.password)
            .env("SHOP_PASSWORD", &user.password)
            .env("PII_KEY", "a key for tests")
            .env("HOOK_SECRET", HOOK_SECRET)
            .env("FOREBAY_LISTEN", &listen)
            .env("FOREBAY_URL", format!("http://{listen}"))
            .stdin(Stdio::null());
        command
    };
    let here = |text: &str| {
        // the README's names and ports are those of a reader's machine
        text.replace("cdc@127", &format!("{}@127", user.name))
            .replace("user: cdc", &format!("user: {}", user.name))
            .replace("port: 3306", &format!("port: {}", server.port()))
            .replace("http://127.0.0.1:9999/hook", &receiver.url())
    };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut background = Vec::new();
    let mut ran = 0;
    for (info, text) in blocks(&readme) {
        let words: Vec<&str> = info.split_whitespace().collect();
        if let Some(name) = words.iter().find_map(|w| w.strip_prefix("file=")) {
            std::fs::write(folder.path().join(name), here(&text)).unwrap();
        } else if words.contains(&"background") {
            background.push(Background(command(&format!("exec {}", here(&text))).spawn().unwrap()));
            let url = format!("http://{listen}/healthz");
            eventually("the README's server answers", LONG, || forebay_kit::http("GET", &url, &[], "")).await;
        } else if words.contains(&"run") {
            let done = command(&here(&text)).output().unwrap();
            let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{text}\n{told}");
            ran += 1;
            if text.contains("forebay tail") {
                assert!(told.contains("+I["), "{told}");
            }
        }
    }
    assert!(ran >= 2 && background.len() == 1, "the README's commands are marked `sh run`");
    eventually("both customers arrive, masked", LONG, || async {
        let bodies: String =
            receiver.received().iter().map(|(_, b)| String::from_utf8_lossy(b).into_owned()).collect();
        bodies.contains("@example.com") && !bodies.contains("alice@") && !bodies.contains("555-")
    })
    .await;
}
