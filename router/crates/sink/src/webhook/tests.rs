//! The webhook sink against a real HTTP server on this machine, which checks every signature and can be told to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_model::{ColumnType, Kind, Secret, SecretRef};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::*;
use crate::codes;
use crate::conformance::{Destination, Promise, Seen, run};
use crate::formats::FormatConfig;
use crate::sample::{Cell, Change, block, table};

const KEY: [u8; 32] = [9; 32];
const DEADLINE: Duration = Duration::from_secs(20);

mod receiver;

use receiver::{Answer, Received, Receiver};

fn config(url: &str) -> WebhookConfig {
    let text = format!(r#"{{"url":"{url}","secret":{{"env":"HOOK"}},"timeout_ms":20000}}"#);
    serde_json::from_str(&text).unwrap()
}

fn try_open(config: &WebhookConfig, start: Mark) -> Result<Box<dyn Sink>, Fault> {
    assert_eq!(config.problems(), [], "the definition is sound");
    let secret = |place: &SecretRef| {
        let SecretRef::Env(name) = place else { unreachable!() };
        Ok(Secret::new(match name.as_str() {
            "TOKEN" => "Bearer s3cret".to_owned(),
            "NEW" => format!("whsec_{}", STANDARD.encode([1; 24])),
            _ => format!("whsec_{}", STANDARD.encode(KEY)),
        }))
    };
    let opening = Opening {
        route: "to.crm",
        source: "shop",
        start,
        lineage: 9,
        secret: &secret,
        data_dir: "/nowhere".as_ref(),
    };
    super::open(config, &opening).map(|sink| Box::new(sink) as Box<dyn Sink>)
}

fn open(config: &WebhookConfig) -> Box<dyn Sink> {
    try_open(config, Mark::default()).unwrap()
}

/// Events `from .. to` with so many keys.
fn delivery(from: u64, to: u64, keys: u64) -> Delivery {
    let int = || ColumnType::Integer { bits: 64, unsigned: false };
    let t = table("t", &[("id", int()), ("offset", int())]);
    let change = |offset: u64| Change {
        table: t.clone(),
        event: (offset - from) as u32,
        part: 0,
        images: vec![(Kind::Insert, vec![Cell::Int((offset % keys) as i64), Cell::Int(offset as i64)])],
    };
    let changes: Vec<Change> = (from..to).map(change).collect();
    Delivery {
        mark: Mark { epoch: 0, offset: from },
        blocks: vec![block(from, (to - from) as u32, &changes)],
    }
}

fn sorted(mut offsets: Vec<i64>) -> Vec<i64> {
    offsets.sort();
    offsets
}

struct Endpoint {
    receiver: Receiver,
    config: WebhookConfig,
}

#[async_trait]
impl Destination for Endpoint {
    fn promise(&self) -> Promise {
        Promise::AtLeastOnce
    }

    async fn open(&mut self, start: Mark) -> Result<Box<dyn Sink>, Fault> {
        try_open(&self.config, start)
    }

    async fn read(&mut self) -> Vec<Seen> {
        self.receiver.received().await.iter().flat_map(Received::events).collect()
    }
}

async fn conforms(change: fn(&mut WebhookConfig)) {
    run(async || {
        let receiver = Receiver::start(|_| Answer::Status(200)).await;
        let mut config = config(&receiver.url);
        change(&mut config);
        Endpoint { receiver, config }
    })
    .await;
}

#[tokio::test]
async fn conforms_with_single_events() {
    conforms(|_| {}).await;
}

#[tokio::test]
async fn conforms_with_batches() {
    conforms(|config| config.batch = BatchConfig { events: 4, bytes: 300_000, wait_ms: 0 }).await;
}

#[tokio::test]
async fn a_message_is_signed_and_carries_the_headers() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let mut config = config(&receiver.url);
    config.secrets = vec![SecretRef::Env("NEW".into()), SecretRef::Env("HOOK".into())];
    config.secret = None;
    config.headers.insert("X-Tenant".into(), HeaderConfig::Plain("blue".into()));
    config.headers.insert("Authorization".into(), HeaderConfig::Secret(SecretRef::Env("TOKEN".into())));
    open(&config).deliver(&delivery(7, 8, 1)).await.unwrap();
    config.gzip = true;
    open(&config).deliver(&delivery(8, 9, 1)).await.unwrap();
    let received = receiver.received().await;
    let header = |name: &str| received[0].headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("webhook-signature").split(' ').count(), 2, "by the old and the new secret");
    assert_eq!(header("x-tenant"), "blue");
    assert_eq!(header("authorization"), "Bearer s3cret");
    assert!(header("user-agent").starts_with("forebay/"));
    assert!(received[0].id.ends_with("_7") && !received[0].id.contains('.'), "{}", received[0].id);
    assert_eq!(received[0].body["after"]["offset"], 7, "a single event is the bare envelope");
    assert!(!received[0].headers.contains_key("content-encoding"));
    assert_eq!(received[1].headers["content-encoding"], "gzip");
    assert_eq!(received[1].body["after"]["offset"], 8);
}

#[tokio::test]
async fn keys_go_beside_each_other() {
    let barrier = Arc::new(Barrier::new(4));
    let receiver = Receiver::start(move |_| Answer::Together(barrier.clone())).await;
    let mut config = config(&receiver.url);
    config.in_flight = 64;
    // four keys in lanes of their own; each answer waits until all four are under way
    let (mut sink, delivery) = (open(&config), delivery(0, 40, 4));
    tokio::time::timeout(DEADLINE, sink.deliver(&delivery)).await.expect("four at once").unwrap();
    assert_eq!(receiver.shared.most.load(Ordering::Relaxed), 4);
    assert_eq!(receiver.shared.most_of_a_key.load(Ordering::Relaxed), 1);
    assert_eq!(sorted(receiver.taken().await), (0..40).collect::<Vec<_>>());
    let mut by_key: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for offset in receiver.taken().await {
        by_key.entry(offset % 4).or_default().push(offset);
    }
    assert!(by_key.values().all(|offsets| offsets.is_sorted()), "{by_key:?}");
}

#[tokio::test]
async fn what_was_acknowledged_is_not_sent_again() {
    let receiver =
        Receiver::start(|body| Answer::Status(if body["after"]["offset"] == 13 { 503 } else { 200 })).await;
    let mut config = config(&receiver.url);
    config.in_flight = 4;
    let mut sink = open(&config);
    let fault = sink.deliver(&delivery(0, 30, 10)).await.unwrap_err();
    assert_eq!(fault.code(), codes::WEBHOOK_SERVER_ERROR);
    let before: BTreeSet<i64> = receiver.taken().await.into_iter().collect();
    assert!(!before.contains(&23), "the lane stops at its fault");
    receiver.set(|_| Answer::Status(200)).await;
    sink.deliver(&delivery(0, 30, 10)).await.unwrap();
    assert_eq!(sorted(receiver.taken().await), (0..30).collect::<Vec<_>>(), "each exactly once");
}

#[tokio::test]
async fn a_poison_event_is_isolated_by_halves_and_the_rest_is_sent_once() {
    let receiver =
        Receiver::start(|body| Answer::Status(if body["after"]["offset"] == 13 { 422 } else { 200 })).await;
    let mut sink = open(&config(&receiver.url));
    let (mut halves, mut dead) = (vec![(0, 32)], Vec::new());
    while let Some((from, to)) = halves.pop() {
        match sink.deliver(&delivery(from, to, 6)).await {
            Ok(()) => {}
            Err(fault) if to - from > 1 => {
                assert_eq!(fault.code(), codes::WEBHOOK_REJECTED);
                let middle = from.midpoint(to);
                halves.extend([(middle, to), (from, middle)]);
            }
            Err(_) => dead.push(from),
        }
    }
    assert_eq!(dead, [13]);
    let wanted: Vec<i64> = (0..32).filter(|&offset| offset != 13).collect();
    assert_eq!(sorted(receiver.taken().await), wanted);
}

#[tokio::test]
async fn of_several_faults_the_gravest_is_told() {
    let answer = |by_key: [u16; 3]| {
        move |body: &Value| Answer::Status(by_key[body["after"]["id"].as_u64().unwrap() as usize])
    };
    for (statuses, expected) in [
        ([422, 503, 410], codes::WEBHOOK_GONE),
        ([422, 503, 503], codes::WEBHOOK_SERVER_ERROR),
        ([503, 422, 422], codes::WEBHOOK_SERVER_ERROR),
        ([422, 422, 422], codes::WEBHOOK_REJECTED),
    ] {
        let receiver = Receiver::start(answer(statuses)).await;
        let mut config = config(&receiver.url);
        config.in_flight = 64;
        let fault = open(&config).deliver(&delivery(0, 3, 3)).await.unwrap_err();
        assert_eq!(fault.code(), expected, "{statuses:?}");
        assert!(!fault.to_string().contains("t0p"), "no query in a fault: {fault}");
    }
}

#[tokio::test]
async fn answers_that_are_no_success() {
    let receiver = Receiver::start(|_| Answer::With(429, "retry-after", "17")).await;
    let mut sink = open(&config(&receiver.url));
    let fault = sink.deliver(&delivery(0, 1, 1)).await.unwrap_err();
    assert_eq!((fault.code(), fault.wait_asked()), (codes::WEBHOOK_BUSY, Some(Duration::from_secs(17))));
    // to a place that would answer 200
    receiver.set(|_| Answer::With(307, "location", "/elsewhere")).await;
    let fault = sink.deliver(&delivery(0, 1, 1)).await.unwrap_err();
    assert_eq!(fault.code(), codes::WEBHOOK_REDIRECT);
    assert_eq!(receiver.received().await.len(), 2, "the redirect is not followed");
}

#[tokio::test]
async fn a_receiver_that_hangs_closes_or_is_not_there() {
    let receiver = Receiver::start(|_| Answer::Hang).await;
    let mut short = config(&receiver.url);
    short.timeout_ms = 100;
    let fault = open(&short).deliver(&delivery(0, 1, 1)).await.unwrap_err();
    assert_eq!(fault.code(), codes::WEBHOOK_TIMEOUT);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut closing = JoinSet::new();
    closing.spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let fault = open(&config(&url)).deliver(&delivery(0, 1, 1)).await.unwrap_err();
    assert_eq!(fault.code(), codes::WEBHOOK_UNREACHABLE);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault =
        open(&config(&format!("http://{nobody}/?token=t0p"))).deliver(&delivery(0, 1, 1)).await.unwrap_err();
    assert_eq!(fault.code(), codes::WEBHOOK_UNREACHABLE);
    assert!(fault.message().contains("refused") && !fault.to_string().contains("t0p"), "{fault}");
}

#[tokio::test]
async fn a_dropped_delivery_remembers_what_was_acknowledged() {
    let receiver =
        Receiver::start(|body| if body["after"]["offset"] == 5 { Answer::Hang } else { Answer::Status(200) })
            .await;
    let mut config = config(&receiver.url);
    config.in_flight = 1;
    let mut sink = open(&config);
    let ten = delivery(0, 10, 10);
    tokio::select! {
        _ = sink.deliver(&ten) => unreachable!("one message hangs"),
        () = receiver.wait_for(6) => {}
    }
    receiver.set(|_| Answer::Status(200)).await;
    sink.deliver(&ten).await.unwrap();
    assert_eq!(receiver.taken().await, (0..10).collect::<Vec<_>>(), "0 to 4 came once");
}

#[test]
fn every_problem_is_told_with_its_path() {
    let paths = |config: &WebhookConfig| -> Vec<String> {
        config.problems().into_iter().map(|(path, _)| path).collect()
    };
    let of = |url: &str| {
        let mut config = config("http://127.0.0.1/");
        config.url = url.into();
        config
            .problems()
            .into_iter()
            .map(|(path, words)| format!("{path}: {words}"))
            .collect::<Vec<_>>()
            .join("; ")
    };
    for good in
        ["http://127.0.0.1:9999/hook", "http://localhost/x", "http://[::1]/", "https://example.com/hook"]
    {
        assert_eq!(of(good), "", "{good}");
    }
    assert!(of("hook").contains("is not a URL"));
    assert!(of("ftp://example.com/").contains("must be https"));
    assert!(of("http://example.com/").contains("plain http"));
    assert!(of("https://u:p@example.com/").contains("must not hold user or password"));
    assert!(of("https://169.254.169.254/latest").contains("allow_private"));
    assert!(of("https://[fe80::1]/").contains("allow_private"));
    let mut bad = config("http://127.0.0.1/");
    bad.secret = None;
    bad.batch = BatchConfig { events: 0, bytes: 0, wait_ms: 70_000 };
    bad.in_flight = 0;
    bad.timeout_ms = 0;
    for name in ["Webhook-Id", "bad name", "Authorization"] {
        bad.headers.insert(name.into(), HeaderConfig::Plain("x".into()));
    }
    let mut wanted = ["secret", "batch.events", "batch.bytes", "batch.wait_ms", "in_flight", "timeout_ms"]
        .map(String::from)
        .to_vec();
    wanted.extend(["headers.Authorization", "headers.Webhook-Id", "headers.bad name"].map(String::from));
    assert_eq!(paths(&bad), wanted);
    let unknown = serde_json::from_str::<WebhookConfig>(r#"{"url":"https://x/","retries":3}"#).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `retries`"));
    let plain =
        serde_json::from_str::<WebhookConfig>(r#"{"url":"https://x/","secret":"whsec_x"}"#).unwrap_err();
    assert!(plain.to_string().contains("plain"), "{plain}");
    assert!(!plain.to_string().contains("whsec_x"), "{plain}");
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_fatal_at_opening() {
    let mut config = config("https://10.0.0.1/hook");
    let secret = |_: &SecretRef| Ok(Secret::new(format!("whsec_{}", STANDARD.encode(KEY))));
    let opening = Opening {
        route: "r",
        source: "s",
        start: Mark::default(),
        lineage: 9,
        secret: &secret,
        data_dir: "/nowhere".as_ref(),
    };
    assert_eq!(super::open(&config, &opening).err().unwrap().code(), codes::WEBHOOK_ADDRESS);
    config.allow_private = true;
    assert!(super::open(&config, &opening).is_ok());
    assert_eq!(config.format, FormatConfig::default());
}
