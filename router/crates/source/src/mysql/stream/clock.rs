//! When the block at hand is closed: what a stream does by the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Stream;

/// An event older than this was not written just now: the source is catching up.
const BEHIND: Duration = Duration::from_secs(2);
/// How long a block may be filled while catching up.
const FILL: Duration = Duration::from_millis(100);
/// How often a position without events is given.
const IDLE: Duration = Duration::from_secs(1);

impl Stream {
    /// After new bytes came: is the block at hand old enough, is the source behind?
    pub(super) fn look_at_clock(&mut self) {
        let now = Instant::now();
        let last = Duration::from_micros(self.transactions.last_event_us);
        let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(last);
        self.catching_up = age > BEHIND && self.transactions.last_event_us > 0;
        let most = if self.catching_up { FILL } else { self.limits.linger };
        if self.transactions.building.is_empty() {
            self.opened = None;
        } else if now >= *self.opened.get_or_insert(now) + most {
            self.due = true;
        }
    }

    /// The server has nothing more at the moment: until when to wait for it before the block at hand is closed.
    pub(super) fn idle_until(&mut self, now: Instant) -> Option<Instant> {
        let building = &self.transactions.building;
        if building.is_empty() {
            self.catching_up = false;
            // inside a transaction the position would not cover the pieces that were given
            let moved = self.given_moves != Some(self.transactions.moves) && self.transactions.is_between();
            return moved.then(|| if self.hurry { now } else { self.given + IDLE });
        }
        let opened = *self.opened.get_or_insert(now);
        if building.is_whole() {
            // at the head, nothing more is coming; behind it, the server may only be slower than we are
            return Some(if self.catching_up { (opened + FILL).min(now + self.limits.linger) } else { now });
        }
        // the rest of the transaction is under way: only whole ones before it are worth closing for
        building.has_whole().then_some(opened + FILL)
    }
}
