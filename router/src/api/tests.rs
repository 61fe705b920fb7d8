//! The API as a client meets it: a real engine and a real store behind it, requests handed to the router.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

struct Server {
    app: Router,
    engine: Engine,
    _dir: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: u16,
    kind: String,
    etag: Option<String>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

impl Server {
    async fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::start(dir.path()).await.unwrap();
        let access = Access { token: None, address: "127.0.0.1:8088".parse().unwrap() };
        Server { app: app(engine.clone(), access), engine, _dir: dir }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8088");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.app.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let header = |name| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let (status, kind, etag) = (response.status().as_u16(), header("content-type"), header("etag"));
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            kind: kind.unwrap_or_default(),
            etag,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], body.to_string()).await
    }
}

/// A source that needs no server to be defined: nothing listens on port 1.
fn shop() -> Value {
    json!({ "mysql": { "host": "127.0.0.1", "port": 1, "user": "cdc" }, "tables": ["active.*"] })
}

fn route() -> Value {
    json!({ "source": "shop", "tables": ["active.tenants"], "sink": { "file": { "path": "out/" } }, "paused": true })
}

#[tokio::test]
async fn a_document_is_put_read_changed_and_deleted() {
    let server = Server::start().await;
    let made = server.put("/v1/sources/shop", &shop()).await;
    assert_eq!((made.status, made.etag.as_deref()), (201, Some("\"1\"")), "{}", made.text);
    let same = server.put("/v1/sources/shop", &shop()).await;
    assert_eq!((same.status, same.etag.as_deref()), (200, Some("\"1\"")));
    let read = server.get("/v1/sources/shop").await;
    assert_eq!((read.status, read.etag.as_deref(), read.json()), (200, Some("\"1\""), shop()));

    let mut changed = shop();
    changed["tables"] = json!(["active.*", "crm.*"]);
    let stale = server.send("PUT", "/v1/sources/shop", &[("if-match", "\"7\"")], changed.to_string()).await;
    assert_eq!((stale.status, &stale.json()["code"]), (412, &json!("store.conflict")), "{}", stale.text);
    let exists = server.send("PUT", "/v1/sources/shop", &[("if-none-match", "*")], changed.to_string()).await;
    assert_eq!(exists.status, 412);
    let now = server.send("PUT", "/v1/sources/shop", &[("if-match", "\"1\"")], changed.to_string()).await;
    assert_eq!((now.status, now.etag.as_deref()), (200, Some("\"2\"")));
    let list = server.get("/v1/sources").await.json();
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["revision"]), (&json!("shop"), &json!(2)));
    assert_eq!(list["items"][0]["definition"], changed);

    assert_eq!(server.send("DELETE", "/v1/sources/shop", &[("if-match", "\"1\"")], "").await.status, 412);
    assert_eq!(server.send("DELETE", "/v1/sources/shop", &[("if-match", "\"2\"")], "").await.status, 204);
    assert_eq!(server.get("/v1/sources/shop").await.status, 404);
    assert_eq!(server.send("DELETE", "/v1/sources/shop", &[], "").await.status, 404);
    server.engine.shutdown().await;
}

#[tokio::test]
async fn every_problem_comes_back_as_problem_json() {
    let server = Server::start().await;
    let bad = json!({ "mysql": { "host": 5, "user": "u", "password": "hunter2" }, "tabels": [] });
    let answer = server.put("/v1/sources/shop", &bad).await;
    assert_eq!((answer.status, answer.kind.as_str()), (422, "application/problem+json"));
    assert!(!answer.text.contains("hunter2"));
    assert_eq!(
        answer.json(),
        json!({
            "title": "Unprocessable Entity", "status": 422, "code": "definition.wrong_type",
            "message": "the definitions have 3 problems", "path": "", "suggestion": "",
            "problems": [
                {
                    "code": "definition.wrong_type", "path": "sources.shop.mysql.host",
                    "message": "text belongs here, not a number", "suggestion": "",
                },
                {
                    "code": "definition.secret_in_plain", "path": "sources.shop.mysql.password",
                    "message": "a secret stands here in plain",
                    "suggestion": "write where it is instead: { env: NAME } or { file: /path }",
                },
                {
                    "code": "definition.unknown_field", "path": "sources.shop.tabels",
                    "message": "there is no field `tabels`", "suggestion": "did you mean `tables`?",
                },
            ],
        })
    );
    let one = server.put("/v1/routes/r", &route()).await.json();
    assert_eq!(
        (&one["code"], &one["path"]),
        (&json!("definition.unknown_reference"), &json!("routes.r.source"))
    );
    assert_eq!(server.get("/v1/sources").await.json(), json!({ "items": [] }), "nothing was stored");
    server.engine.shutdown().await;
}

#[tokio::test]
async fn what_is_no_request_of_this_api_is_refused_in_its_own_words() {
    let server = Server::start().await;
    for (method, path, headers, body, status, code) in [
        ("GET", "/", &[][..], "", 404, "api.not_found"),
        ("GET", "/v1/source", &[], "", 404, "api.not_found"),
        ("GET", "/v1/sources/none", &[], "", 404, "api.not_found"),
        ("PATCH", "/v1/sources/shop", &[], "", 405, "api.method_not_allowed"),
        ("POST", "/v1/status", &[], "", 405, "api.method_not_allowed"),
        ("PUT", "/v1/sources/shop", &[], "{\"a\": hunter2}", 400, "api.bad_body"),
        ("PUT", "/v1/sources/shop", &[("content-type", "application/yaml")], "a: [", 422, "definition.yaml"),
        ("PUT", "/v1/sources/shop", &[("if-match", "soon")], "{}", 400, "api.bad_request"),
        ("PUT", "/v1/sources/Shop", &[], "{}", 422, "definition.bad_name"),
        ("POST", "/v1/apply?dry_run=perhaps", &[], "{}", 400, "api.bad_request"),
        ("GET", "/v1/export?format=xml", &[], "", 400, "api.bad_request"),
        ("POST", "/v1/routes/none/pause", &[], "", 404, "engine.unknown"),
        ("GET", "/v1/routes/none/offset", &[], "", 404, "api.not_found"),
        ("GET", "/v1/routes/none/dead-letters", &[], "", 404, "api.not_found"),
        ("POST", "/v1/sources/none/check", &[], "", 404, "api.not_found"),
        ("GET", "/v1/sources/none/tail", &[], "", 404, "engine.unknown"),
        ("GET", "/v1/sources/none/tail?table=x.y", &[], "", 400, "api.bad_request"),
        ("GET", "/v1/status", &[("origin", "https://evil.example")], "", 403, "api.foreign_origin"),
    ] {
        let answer = server.send(method, path, headers, body).await;
        let what = format!("{method} {path}: {}", answer.text);
        assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{what}");
        assert_eq!(answer.json()["code"], code, "{what}");
        assert_eq!(answer.json()["status"], status, "{what}");
        assert!(!answer.text.contains("hunter2"), "{what}");
    }
    let long = server.send("PUT", "/v1/sources/shop", &[], vec![b' '; DOCUMENT_BYTES + 1]).await;
    assert_eq!((long.status, &long.json()["code"]), (413, &json!("api.too_large")));
    server.engine.shutdown().await;
}

#[tokio::test]
async fn an_apply_is_all_or_nothing_and_twice_is_nothing() {
    let server = Server::start().await;
    let all = json!({ "sources": { "shop": shop() }, "routes": { "r": route() } });
    let apply = async |query: &str, body: &Value| {
        server.send("POST", &format!("/v1/apply{query}"), &[], body.to_string()).await
    };
    let actions = |answer: &Answer| {
        let steps = answer.json()["steps"].as_array().unwrap().clone();
        let step = |s: &Value| format!("{} {}.{}", s["action"], s["kind"], s["name"]).replace('"', "");
        steps.iter().map(step).collect::<Vec<_>>()
    };
    let dry = apply("?dry_run=true", &all).await;
    assert_eq!(actions(&dry), ["create sources.shop", "create routes.r"]);
    assert_eq!(server.get("/v1/sources").await.json(), json!({ "items": [] }));
    let bad = json!({ "sources": { "shop": shop() }, "routes": { "r": { "source": "shpo" } } });
    assert_eq!(apply("", &bad).await.status, 422);
    assert_eq!(server.get("/v1/sources").await.json(), json!({ "items": [] }), "nothing half applied");
    let upload = json!({ "plugins": { "mask": { "wasm": "PGh0bWw+" } } });
    let refused = apply("", &upload).await.json();
    assert_eq!(refused["path"], "plugins.mask", "{refused}");

    assert_eq!(apply("", &all).await.status, 200);
    assert_eq!(actions(&apply("", &all).await), ["unchanged sources.shop", "unchanged routes.r"]);
    let yaml = server.get("/v1/export?format=yaml").await;
    assert_eq!((yaml.status, yaml.kind.as_str()), (200, "application/yaml"));
    let kind = [("content-type", "application/yaml")];
    let again = server.send("POST", "/v1/apply?prune=true", &kind, yaml.text).await;
    assert_eq!(actions(&again), ["unchanged sources.shop", "unchanged routes.r"]);
    assert_eq!(server.get("/v1/export").await.json()["routes"]["r"]["source"], "shop");

    let in_use = server.send("DELETE", "/v1/sources/shop", &[], "").await;
    assert_eq!((in_use.status, &in_use.json()["path"]), (409, &json!("routes.r.source")));
    assert_eq!(actions(&apply("?prune=true", &json!({})).await), ["delete routes.r", "delete sources.shop"]);
    let audit = server.get("/v1/audit").await.json();
    assert_eq!(
        (&audit["items"][0]["what"], &audit["items"][0]["target"]),
        (&json!("delete"), &json!("sources/shop"))
    );
    server.engine.shutdown().await;
}

#[tokio::test]
async fn a_route_is_paused_resumed_and_moved() {
    let server = Server::start().await;
    let all = json!({ "sources": { "shop": shop() }, "routes": { "r": route() } });
    assert_eq!(server.send("POST", "/v1/apply", &[], all.to_string()).await.status, 200);
    for action in ["pause", "resume", "pause"] {
        assert_eq!(server.send("POST", &format!("/v1/routes/r/{action}"), &[], "").await.status, 204);
    }
    assert_eq!(server.get("/v1/status").await.json()["routes"][0]["state"], "paused");
    let moved = server.put("/v1/routes/r/offset", &json!({ "to": "earliest" })).await;
    let mut place = moved.json();
    assert!(place["epoch"].take().as_u64().unwrap() > 1_000_000_000_000);
    assert_eq!((moved.status, place), (200, json!({ "offset": 0, "epoch": null, "first": 0, "head": 0 })));
    for (to, status, code) in [
        (json!(5), 422, "engine.bad_offset"),
        (json!("later"), 400, "api.bad_request"),
        (json!({ "time": "yesterday" }), 400, "api.bad_request"),
        (json!(-1), 400, "api.bad_request"),
    ] {
        let answer = server.put("/v1/routes/r/offset", &json!({ "to": to })).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{}", answer.text);
    }
    assert_eq!(server.put("/v1/routes/r/offset", &json!({ "too": 1 })).await.status, 400);
    server.engine.shutdown().await;
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_without_their_rows() {
    use forebay_store::{LetterId, NewDeadLetter, Stage};
    let server = Server::start().await;
    let all = json!({ "sources": { "shop": shop() }, "routes": { "r": route() } });
    assert_eq!(server.send("POST", "/v1/apply", &[], all.to_string()).await.status, 200);
    let letter = |offset| NewDeadLetter {
        id: LetterId { offset, part: 0 },
        table: "active.tenants".into(),
        stage: Stage::Sink,
        code: "webhook.refused".into(),
        reason: "the receiver answered 422".into(),
        at_us: 1_800_000_000_000_000,
        event: b"row values".to_vec(),
    };
    server.engine.store().add_dead_letters("r", (1..=3).map(letter).collect()).await.unwrap();
    let page = server.get("/v1/routes/r/dead-letters?limit=2").await;
    assert!(!page.text.contains("row values"));
    assert_eq!(
        page.json()["items"][0],
        json!({
            "id": "1-0", "offset": 1, "table": "active.tenants", "stage": "sink", "code": "webhook.refused",
            "reason": "the receiver answered 422", "at_ms": 1_800_000_000_000_u64,
        })
    );
    assert_eq!((&page.json()["count"], &page.json()["next"]), (&json!(3), &json!("2-0")));
    let rest = server.get("/v1/routes/r/dead-letters?limit=2&after=2-0").await.json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!("3-0"), &Value::Null));
    assert_eq!(server.get("/v1/routes/r/dead-letters?after=x").await.status, 400);
    assert_eq!(server.send("DELETE", "/v1/routes/r/dead-letters/2-0", &[], "").await.status, 204);
    assert_eq!(server.send("DELETE", "/v1/routes/r/dead-letters/2-0", &[], "").await.status, 404);
    assert_eq!(
        server.send("DELETE", "/v1/routes/r/dead-letters", &[], "").await.json(),
        json!({ "deleted": 2 })
    );
    server.engine.shutdown().await;
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let server = Server::start().await;
    assert_eq!((server.get("/healthz").await.status, server.get("/readyz").await.status), (200, 200));
    let all = json!({ "sources": { "shop": shop() }, "routes": { "r": route() } });
    assert_eq!(server.send("POST", "/v1/apply", &[], all.to_string()).await.status, 200);
    let metrics = server.get("/metrics").await;
    assert!(metrics.kind.starts_with("text/plain; version=0.0.4"), "{}", metrics.kind);
    for line in [
        "forebay_route_state{route=\"r\",state=\"paused\"}",
        "forebay_route_events{route=\"r\",fate=\"delivered\"} 0",
        "# TYPE forebay_changelog_bytes gauge",
    ] {
        assert!(metrics.text.contains(line), "{line} in\n{}", metrics.text);
    }
    for line in metrics.text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("forebay_") && value.parse::<f64>().is_ok(), "{line}");
    }
    server.engine.shutdown().await;
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let server = Server::start().await;
    let served = server.get("/v1/openapi.json").await;
    assert_eq!((served.status, served.text), (200, openapi_json()));
    server.engine.shutdown().await;
}

/// The document as committed. `UPDATE=1 cargo test -p forebay` writes it anew.
#[test]
fn the_committed_openapi_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, openapi_json()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == openapi_json(),
        "router/openapi.json is not current; run: UPDATE=1 cargo test -p forebay openapi"
    );
}

/// Whatever is referred to is there, every operation has an id of its own, and every field says what it is.
#[test]
fn the_openapi_document_holds_together() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut unsaid = Vec::new();
    for (name, schema) in schemas {
        for (field, about) in schema["properties"].as_object().into_iter().flatten() {
            // Of something that may be null, the text stands at what it is otherwise.
            let said =
                [&about["description"], &about["oneOf"][0]["description"], &about["oneOf"][1]["description"]];
            if said.iter().all(|text| text.as_str().is_none_or(str::is_empty)) {
                unsaid.push(format!("{name}.{field}"));
            }
        }
    }
    assert_eq!(unsaid, [""; 0]);
    let mut ids = Vec::new();
    for operations in document["paths"].as_object().unwrap().values() {
        ids.extend(operations.as_object().unwrap().values().filter_map(|o| o["operationId"].as_str()));
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        if let Some(name) = value["$ref"].as_str() {
            let name = name.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(fields) => waiting.extend(fields.values()),
            _ => {}
        }
    }
}
