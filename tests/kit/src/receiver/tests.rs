//! The receiver against a client that signs as the specification says.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::{Answer, http};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn send(receiver: &Receiver, id: &str, body: &str, signed: &str) -> Result<Answer> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
    let signature = Key::parse(SECRET)?.sign(id, &now, signed.as_bytes());
    let headers =
        [("webhook-id", id), ("webhook-timestamp", now.as_str()), ("webhook-signature", signature.as_str())];
    http("POST", &receiver.url(), &headers, body.to_owned()).await
}

#[tokio::test]
async fn keeps_what_is_signed_and_refuses_the_rest() {
    let receiver = Receiver::start(SECRET).await.unwrap();
    assert_eq!(send(&receiver, "a", "one", "one").await.unwrap().status, 204);
    assert_eq!(send(&receiver, "b", "two", "another").await.unwrap().status, 401);
    assert_eq!(receiver.received(), [("a".to_owned(), Bytes::from("one"))]);
    assert_eq!(receiver.attempts()[1].refused.as_deref(), Some("no v1 signature fits"));
}

#[tokio::test]
async fn follows_its_script() {
    let receiver = Receiver::start(SECRET).await.unwrap();
    receiver.script([
        Reply::Header(429, "retry-after", "7".into()),
        Reply::Redirect("http://127.0.0.1:1/".into()),
        Reply::Close,
        Reply::Delay(Duration::from_millis(20), Box::new(Reply::Status(500))),
    ]);
    let busy = send(&receiver, "a", "x", "x").await.unwrap();
    assert_eq!((busy.status.as_u16(), busy.headers["retry-after"].as_bytes()), (429, &b"7"[..]));
    assert_eq!(send(&receiver, "a", "x", "x").await.unwrap().status, 307);
    send(&receiver, "a", "x", "x").await.unwrap_err();
    let asked = Instant::now();
    assert_eq!(send(&receiver, "a", "x", "x").await.unwrap().status, 500);
    assert!(asked.elapsed() >= Duration::from_millis(20));
    assert_eq!(receiver.count(), 0);
    assert_eq!(send(&receiver, "a", "x", "x").await.unwrap().status, 204);
    assert_eq!((receiver.count(), receiver.attempts().len()), (1, 5));

    receiver.usually(Reply::Hang);
    let silence = tokio::time::timeout(Duration::from_millis(50), send(&receiver, "a", "x", "x")).await;
    assert!(silence.is_err(), "{silence:?}");
}

#[tokio::test]
async fn can_be_switched_off_and_on() {
    let receiver = Receiver::start(SECRET).await.unwrap();
    receiver.off().await;
    send(&receiver, "a", "x", "x").await.unwrap_err();
    receiver.on().await.unwrap();
    assert_eq!(send(&receiver, "a", "x", "x").await.unwrap().status, 204);
}
