//! Who may speak to the API.
//!
//! With a token, whoever has it. Without one the server listens on loopback only, and what is kept out are web pages: a
//! page may make a browser send requests to 127.0.0.1, but not under one of this server's names (DNS rebinding) and not
//! without an `Origin`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::codes;
use super::problem::Refusal;

/// Who may speak to the API.
#[derive(Clone, Debug)]
pub struct Access {
    /// The token that every request must carry; `None` only on a loopback address.
    pub token: Option<String>,
    /// Where the server listens.
    pub address: SocketAddr,
}

impl Access {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = host(uri, headers);
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin =
                origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, authority)| authority);
            if origin.is_none() || origin != host {
                let what = "the request comes from a web page of another origin";
                return Err(Refusal::new(StatusCode::FORBIDDEN, codes::FOREIGN_ORIGIN, what));
            }
        }
        match &self.token {
            // Whoever asks whether the process lives need not be trusted with more.
            Some(_) if matches!(uri.path(), "/healthz" | "/readyz") => Ok(()),
            Some(token) if carries(headers, token) => Ok(()),
            Some(_) => {
                Err(Refusal::new(StatusCode::UNAUTHORIZED, codes::UNAUTHORIZED, "an access token is needed")
                    .suggest("send it as `Authorization: Bearer TOKEN`; the command line takes --token-file"))
            }
            None if host.is_some_and(|host| self.is_ours(host)) => Ok(()),
            None => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                codes::FOREIGN_HOST,
                "the request was sent to a name that is not this server's",
            )
            .suggest(
                "use 127.0.0.1 or localhost; to reach the server from elsewhere, start it with a token",
            )),
        }
    }

    /// Whether a `Host` header names this machine's loopback, or the address itself.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let is_loopback = |ip: IpAddr| ip.is_loopback() || ip == self.address.ip();
        name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
    }
}

fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Whether the request carries the token. Hashes are compared, whole, so the time tells nothing of the token.
fn carries(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let Some((_, given)) = given else { return false };
    let (a, b) = (Sha256::digest(given.trim()), Sha256::digest(token));
    a.iter().zip(b.iter()).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap());
        }
        match access.check(&path.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(refusal) => refusal.into_response().status().as_u16(),
        }
    }

    #[test]
    fn without_a_token_only_this_machines_names_are_taken() {
        let access = Access { token: None, address: "127.0.0.1:8088".parse().unwrap() };
        for (host, expected) in [
            ("127.0.0.1:8088", 200),
            ("127.8.0.1", 200),
            ("localhost:1", 200),
            ("LOCALHOST", 200),
            ("[::1]:8088", 200),
            ("evil.example:8088", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("10.0.0.7:8088", 403),
            ("", 403),
        ] {
            assert_eq!(status(&access, "/v1/status", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&access, "/v1/status", &[]), 403, "no host at all");
        assert_eq!(status(&access, "http://localhost/v1/status", &[]), 200, "HTTP/2 has it in the target");
    }

    #[test]
    fn a_foreign_page_is_refused() {
        for token in [None, Some("0123456789abcdef".to_owned())] {
            let access = Access { token, address: "127.0.0.1:8088".parse().unwrap() };
            let ask = |origin: &str| {
                let bearer = ("authorization", "bearer 0123456789abcdef");
                status(&access, "/v1/status", &[("host", "localhost:8088"), ("origin", origin), bearer])
            };
            assert_eq!(ask("http://localhost:8088"), 200);
            assert_eq!(ask("https://evil.example"), 403);
            assert_eq!(ask("http://localhost:9"), 403);
            assert_eq!(ask("null"), 403);
        }
    }

    #[test]
    fn with_a_token_everything_but_health_needs_it() {
        let access =
            Access { token: Some("0123456789abcdef".into()), address: "10.0.0.7:8088".parse().unwrap() };
        let ask = |path: &str, authorization: &str| {
            status(&access, path, &[("host", "any.example"), ("authorization", authorization)])
        };
        assert_eq!(ask("/v1/status", "Bearer 0123456789abcdef"), 200);
        for wrong in
            ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer", "Basic 0123456789abcdef", ""]
        {
            assert_eq!(ask("/v1/status", wrong), 401, "{wrong}");
            assert_eq!(ask("/metrics", wrong), 401, "{wrong}");
            assert_eq!((ask("/healthz", wrong), ask("/readyz", wrong)), (200, 200));
        }
    }
}
