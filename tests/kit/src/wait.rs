//! Waiting for a condition with a deadline, and ports.
//!
//! [`eventually`] is the only way to wait in the tests: it returns as soon as the condition holds and says what it
//! waited for, where, and what it saw last when it gives up.

use std::fmt::Display;
use std::future::Future;
use std::net::TcpListener;
use std::panic::Location;
use std::time::{Duration, Instant};

/// What a check may answer: `bool`, `Option<T>` (waits for `Some`) or `Result<T, E>` (waits for `Ok`; the last error
/// is part of the message).
pub trait Condition {
    /// What [`eventually`] returns when the condition holds.
    type Met;
    /// The value, or what stands in its way.
    fn met(self) -> Result<Self::Met, String>;
}

impl Condition for bool {
    type Met = ();
    fn met(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".into()) }
    }
}

impl<T> Condition for Option<T> {
    type Met = T;
    fn met(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".into())
    }
}

impl<T, E: Display> Condition for Result<T, E> {
    type Met = T;
    fn met(self) -> Result<T, String> {
        // `{:#}`: an anyhow error shows its causes.
        self.map_err(|e| format!("{e:#}"))
    }
}

/// Checks until the condition holds, at first every 2 ms and later every 50 ms.
///
/// ```
/// # use std::time::Duration;
/// # async fn lag() -> u64 { 0 }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// forebay_kit::eventually("the route has delivered all", Duration::from_secs(10), || async { lag().await == 0 }).await;
/// # }
/// ```
///
/// # Panics
/// When `deadline` has passed, with `what`, the caller's place and what the last check said. A check that hangs is
/// cut off at the deadline too.
#[track_caller]
pub fn eventually<F, Fut, C>(what: &str, deadline: Duration, check: F) -> impl Future<Output = C::Met>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = C>,
    C: Condition,
{
    // A plain function that returns a future: in an async one, the caller's place would be the executor's.
    watch(what, deadline, check, Location::caller())
}

async fn watch<F, Fut, C>(what: &str, deadline: Duration, mut check: F, place: &Location<'_>) -> C::Met
where
    F: FnMut() -> Fut,
    Fut: Future<Output = C>,
    C: Condition,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    let mut seen = String::from("the first check never answered");
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, check()).await {
            Ok(answer) => match answer.met() {
                Ok(value) => return value,
                Err(why) => seen = why,
            },
            Err(_) => seen.push_str(" (and the check after it hung)"),
        }
        assert!(
            start.elapsed() + pause < deadline,
            "{place}: gave up after {deadline:?} waiting until {what}; last seen: {seen}"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// A TCP port of 127.0.0.1 that nobody listens on now.
///
/// # Panics
/// When the machine has no port left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn returns_what_the_check_found() {
        let calls = Cell::new(0);
        let found = eventually("three calls were made", Duration::from_secs(5), || {
            calls.set(calls.get() + 1);
            let now = calls.get();
            async move { (now >= 3).then_some(now) }
        })
        .await;
        assert_eq!(found, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waiting until the moon is blue; last seen: it is white")]
    async fn says_what_it_saw_last() {
        let blue = || async { Err::<(), _>("it is white") };
        eventually("the moon is blue", Duration::from_millis(30), blue).await;
    }

    #[tokio::test]
    #[should_panic(expected = "wait.rs")]
    async fn a_hanging_check_ends_at_the_deadline() {
        eventually("never", Duration::from_millis(30), std::future::pending::<bool>).await;
    }
}
