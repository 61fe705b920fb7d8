//! What an answer means: only 2xx is success; everything else is a fault with a class.

use std::time::{Duration, SystemTime};

use forebay_model::{Code, Fault};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::codes;

/// `place` says where the message went, for people.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, place: &str) -> Result<(), Fault> {
    if status.is_success() {
        return Ok(());
    }
    let (code, fix) = meaning(status);
    let fault = Fault::new(code, format!("{place} answered {status}")).fix(fix);
    Err(match retry_after(headers) {
        Some(wait) if code.class == forebay_model::Class::Retryable => fault.retry_after(wait),
        _ => fault,
    })
}

fn meaning(status: StatusCode) -> (Code, &'static str) {
    match status.as_u16() {
        408 | 425 | 429 => (
            codes::WEBHOOK_BUSY,
            "nothing, unless it lasts: then give the receiver more room or lower in_flight",
        ),
        500.. => (codes::WEBHOOK_SERVER_ERROR, "look into the receiver's log"),
        400 | 413 | 415 | 422 => {
            (codes::WEBHOOK_REJECTED, "look into the receiver's log for why it does not take this message")
        }
        410 => (codes::WEBHOOK_GONE, "set the url to the endpoint's new place, or delete the route"),
        300..=399 => (codes::WEBHOOK_REDIRECT, "set the url to the place that it redirects to"),
        401 | 403 => (codes::WEBHOOK_REFUSED, "check the secret and the headers that the receiver expects"),
        404 | 405 => (codes::WEBHOOK_REFUSED, "check the url: the receiver takes no POST there"),
        _ => (codes::WEBHOOK_REFUSED, "look into the receiver's log, then resume the route"),
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use forebay_model::Class;

    use super::*;

    fn fault(status: u16, retry_after: Option<&str>) -> Option<Fault> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &headers, "http://x/").err()
    }

    #[test]
    fn every_status_has_a_class() {
        for status in 200..300 {
            assert!(fault(status, None).is_none());
        }
        let class = |status| fault(status, None).unwrap().class();
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 599] {
            assert_eq!(class(status), Class::Retryable, "{status}");
        }
        for status in [400, 413, 415, 422] {
            assert_eq!(class(status), Class::Poison, "{status}");
        }
        for status in
            [300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 418, 451]
        {
            assert_eq!(class(status), Class::Fatal, "{status}");
            assert!(!fault(status, None).unwrap().remedy().is_empty());
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let asked = |value| fault(503, Some(value)).unwrap().wait_asked();
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = asked(&soon).unwrap();
        assert!((95..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(asked("soon"), None);
        assert_eq!(fault(410, Some("7")).unwrap().wait_asked(), None);
    }
}
