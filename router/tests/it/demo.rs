//! `forebay demo` as `make demo` runs it, for a short time.

use std::process::Command;
use std::time::Duration;

use forebay_kit::Server;

use crate::rig::{guest, lines};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_both_consumers() {
    let server = Server::start(&[]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("mask.wasm");
    std::fs::write(&plugin, guest("mask")).unwrap();
    let me = std::env::current_exe().unwrap();
    let receiver = me.ancestors().nth(2).unwrap().join("forebay-receiver");
    assert!(receiver.exists(), "{} is not built: cargo build -p forebay-kit --bins", receiver.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    command
        .arg("demo")
        .args(["--mysql", server.url(), "--seconds", "6", "--listen", "127.0.0.1:0"])
        .arg("--plugin")
        .arg(&plugin)
        .arg("--receiver")
        .arg(receiver)
        .arg("--dir")
        .arg(folder.path().join("demo"));
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let done =
        tokio::time::timeout(Duration::from_secs(120), run).await.expect("the demo ends by itself").unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    // the receiver's lines, masked
    assert!(told.contains("retail_db.customers") && told.contains("@email.com"), "{told}");
    assert!(!told.contains("jane.smith") && !told.contains("john.doe"), "{told}");
    assert!(!told.contains("refused"), "{told}");
    // the file's lines, whole
    let file = lines(&folder.path().join("demo/changes")).join("\n");
    for name in ["john.doe@email.com", "Tech Solutions", "\"VSR_low_limit\"", "alice@example.com"] {
        assert!(file.contains(name), "{name} is not in the file");
    }
}
