//! From an error's class to what is done about it: one pure function, so that the whole policy fits on a page and can be
//! tested as a table. Faults are classified where they are understood; nothing but this decides what follows.

use std::time::Duration;

use forebay_model::Class;

/// The ceiling of the first wait; it doubles with each failed attempt.
const FIRST: Duration = Duration::from_millis(200);
/// No wait of our own is longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// No wait that the other side asks for is honoured beyond this.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// What to do after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// The same delivery again, after the wait; for ever.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// Find the event that does not pass (by halves), put it into the dead letters, go on.
    Isolate,
    /// Stop the route with the fault's words.
    Stop,
}

/// What to do about a fault of this class.
///
/// `attempt` counts the failures of this delivery in a row, from 1. `asked` is how long the other side wants to be left
/// alone: at least that is waited, up to an hour. `jitter` is a random number in `0.0 ..= 1.0` from the caller: our own
/// wait is that share of a ceiling that doubles up to five minutes (full jitter: routes that failed together do not come
/// back together).
pub fn decide(class: Class, attempt: u32, asked: Option<Duration>, jitter: f64) -> Directive {
    match class {
        Class::Poison => Directive::Isolate,
        Class::Fatal => Directive::Stop,
        Class::Retryable => {
            let doublings = attempt.saturating_sub(1).min(31);
            let ceiling = FIRST.saturating_mul(1 << doublings).min(LONGEST);
            let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
            let own = ceiling.mul_f64(share);
            Directive::Retry { after: own.max(asked.unwrap_or_default().min(LONGEST_ASKED)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn table() {
        let retry = |after| Directive::Retry { after };
        let cases = [
            (Class::Poison, 1, None, 0.5, Directive::Isolate),
            (Class::Poison, 9, Some(ms(5)), 0.5, Directive::Isolate),
            (Class::Fatal, 1, None, 0.5, Directive::Stop),
            (Class::Retryable, 0, None, 1.0, retry(ms(200))),
            (Class::Retryable, 1, None, 1.0, retry(ms(200))),
            (Class::Retryable, 1, None, 0.0, retry(ms(0))),
            (Class::Retryable, 2, None, 1.0, retry(ms(400))),
            (Class::Retryable, 5, None, 0.5, retry(ms(1600))),
            (Class::Retryable, 11, None, 1.0, retry(ms(204_800))),
            (Class::Retryable, 12, None, 1.0, retry(ms(300_000))),
            (Class::Retryable, u32::MAX, None, 1.0, retry(ms(300_000))),
            (Class::Retryable, 1, Some(ms(7_000)), 0.3, retry(ms(7_000))),
            (Class::Retryable, 12, Some(ms(7_000)), 1.0, retry(ms(300_000))),
            (Class::Retryable, 1, Some(ms(10_000_000)), 0.0, retry(ms(3_600_000))),
            (Class::Retryable, 1, None, f64::NAN, retry(ms(200))),
            (Class::Retryable, 1, None, 7.0, retry(ms(200))),
            (Class::Retryable, 1, None, -7.0, retry(ms(0))),
        ];
        for (class, attempt, asked, jitter, expected) in cases {
            assert_eq!(
                decide(class, attempt, asked, jitter),
                expected,
                "{class:?} {attempt} {asked:?} {jitter}"
            );
        }
    }
}
