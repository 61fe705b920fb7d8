//! `forebay-receiver` as a process: what it prints for a request that is signed, and for one that is not.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_kit::signature::Key;
use forebay_kit::{eventually, free_port, http};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"before":null,"after":{"id":1},"source":{"db":"d","table":"t"},"op":"c"}"#;

#[tokio::test]
async fn prints_what_arrives() {
    let port = free_port().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_forebay-receiver"))
        .args(["--port", &port, "--secret-env", "SOME_SECRET"])
        .env("SOME_SECRET", SECRET)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = timeout(Duration::from_secs(10), lines.next_line()).await.expect("a line is printed");
        line.unwrap().expect("the receiver goes on")
    };
    let url = format!("http://127.0.0.1:{port}/hook");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let signature = Key::parse(SECRET).unwrap().sign("x-1", &now, BODY.as_bytes());
    let send = async |body: &'static str| {
        let headers = [("webhook-id", "x-1"), ("webhook-timestamp", &now), ("webhook-signature", &signature)];
        http("POST", &url, &headers, body).await
    };
    let answer = eventually("the receiver answers", Duration::from_secs(10), || send(BODY)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(send("{}").await.unwrap().status, 401);

    assert_eq!(line().await, format!("listening on {url}"));
    // Each after the time of day.
    assert_eq!(line().await.split_once("  ").unwrap().1, r#"+I d.t {"id":1}  (x-1)"#);
    assert_eq!(line().await.split_once("  ").unwrap().1, "refused: no v1 signature fits");
}
