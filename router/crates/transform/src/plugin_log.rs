//! What a plugin says: its log lines, and what its language runtime writes to standard error.
//!
//! Promises: at most so many lines a second for a plugin in a route, each on one line and at most 8 KiB; what is left out is counted
//! and told; the last words before a trap are kept for its message. No secret of the configuration is in any of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bindings::host::Level;
use crate::config::Secrets;

/// The longest line that is logged, in bytes.
const LINE: usize = 8 << 10;
/// How much of standard error a trap's message may quote, in lines.
const LAST_LINES: usize = 4;

/// How often a plugin's failures are told, and how many lines of its own were left out.
const NOTICE: Duration = Duration::from_secs(10);

/// How much one plugin has said in one route, over all its instances.
#[derive(Debug, Default)]
pub(crate) struct LogRate(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    /// When the present second began.
    second: Option<Instant>,
    logged: u32,
    left_out: u64,
    /// Of these, the ones that a notice told.
    told: u64,
    noticed: Option<Instant>,
    complained: Option<Instant>,
    complaints: u64,
}

impl LogRate {
    /// Counts a line; whether it may be logged.
    fn may_log(&self, per_second: u32) -> bool {
        let mut said = self.said();
        if said.second.is_none_or(|second| second.elapsed() >= Duration::from_secs(1)) {
            said.second = Some(Instant::now());
            said.logged = 0;
        }
        if said.logged < per_second {
            said.logged += 1;
            return true;
        }
        said.left_out += 1;
        false
    }

    /// How many lines were left out since it was last told, if it is time to tell.
    fn notice(&self) -> Option<u64> {
        let mut said = self.said();
        let untold = said.left_out - said.told;
        if untold == 0 || said.noticed.is_some_and(|at| at.elapsed() < NOTICE) {
            return None;
        }
        said.noticed = Some(Instant::now());
        said.told = said.left_out;
        Some(untold)
    }

    /// Lines that were left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.said().left_out
    }

    /// Whether a failure may be told; with it, how many were not since the last one that was.
    pub(crate) fn may_complain(&self) -> Option<u64> {
        let mut said = self.said();
        if said.complained.is_some_and(|at| at.elapsed() < NOTICE) {
            said.complaints += 1;
            return None;
        }
        said.complained = Some(Instant::now());
        Some(std::mem::take(&mut said.complaints))
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log of one instance.
#[derive(Debug)]
pub(crate) struct PluginLog {
    plugin: Arc<str>,
    per_second: u32,
    rate: Arc<LogRate>,
    secrets: Secrets,
    /// The line of standard error that has not ended yet.
    partial: Vec<u8>,
    last: VecDeque<String>,
}

impl PluginLog {
    pub(crate) fn new(plugin: Arc<str>, per_second: u32, rate: Arc<LogRate>, secrets: Secrets) -> PluginLog {
        PluginLog { plugin, per_second, rate, secrets, partial: Vec::new(), last: VecDeque::new() }
    }

    /// One line, if the rate allows it.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        if !self.rate.may_log(self.per_second) {
            return;
        }
        let plugin = &*self.plugin;
        let message = self.secrets.clean(message, LINE);
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
    }

    /// A call is over: what it could not say is told.
    pub(crate) fn end_of_call(&self) {
        if let Some(left_out) = self.rate.notice() {
            let plugin = &*self.plugin;
            tracing::warn!(target: "plugin", plugin, left_out, "log lines were left out: too many in a second");
        }
    }

    /// Bytes of standard error, cut anywhere.
    pub(crate) fn stderr(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = self.secrets.veil(String::from_utf8_lossy(&self.partial).trim()).into_owned();
        self.partial.clear();
        if line.is_empty() {
            return;
        }
        self.line(Level::Error, &line);
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines of standard error, for the message of a trap; empty if there were none.
    pub(crate) fn take_last_words(&mut self) -> String {
        self.end_line();
        let words: Vec<String> = self.last.drain(..).collect();
        words.join(" ")
    }
}

/// The text on one line, without control characters and at most `most` bytes long.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut clean: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_the_last_ones_kept() {
        let mut log = PluginLog::new("p".into(), 0, Arc::default(), Secrets::default());
        for word in ["one\ntw", "o\nthree\n", "\n", "four\nfive", "\nsix"] {
            log.stderr(word.as_bytes());
        }
        assert_eq!(log.take_last_words(), "three four five six");
        assert_eq!(log.take_last_words(), "");
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let mut log = PluginLog::new("p".into(), 0, Arc::default(), Secrets::default());
        for _ in 0..100 {
            log.stderr(&[b'x'; 1000]);
        }
        assert_eq!(log.take_last_words().len(), LINE);
    }

    #[test]
    fn the_rate_is_held_over_all_instances_and_what_is_left_out_is_told() {
        let rate = Arc::<LogRate>::default();
        for _ in 0..5 {
            let mut log = PluginLog::new("p".into(), 3, rate.clone(), Secrets::default());
            log.line(Level::Info, "x");
            log.line(Level::Info, "x");
        }
        assert_eq!((rate.left_out(), rate.said().logged), (7, 3));
        assert_eq!((rate.notice(), rate.notice()), (Some(7), None));
        assert!(!rate.may_log(3));
        // not again within ten seconds
        assert_eq!(rate.notice(), None);
        rate.said().noticed = Some(Instant::now() - NOTICE);
        assert_eq!((rate.notice(), rate.left_out()), (Some(1), 8));
        rate.said().second = Some(Instant::now() - Duration::from_secs(2));
        assert!(rate.may_log(3));
    }

    #[test]
    fn failures_are_told_now_and_then() {
        let rate = LogRate::default();
        let told: Vec<_> = (0..4).map(|_| rate.may_complain()).collect();
        assert_eq!(told, [Some(0), None, None, None]);
        rate.said().complained = Some(Instant::now() - NOTICE);
        assert_eq!(rate.may_complain(), Some(3));
    }

    #[test]
    fn text_is_cut_between_characters_and_has_no_line_feeds() {
        assert_eq!(clean("a\nb\u{1b}[1m", 99), "a b [1m");
        assert_eq!(clean("éé", 3), "é…");
    }
}
