//! What a plugin says: its log lines, and what its language runtime writes to standard error.
//!
//! Promises: at most so many lines a second, each on one line and at most 8 KiB; the last words before a trap are
//! kept for its message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bindings::host::Level;

/// The longest line that is logged, in bytes.
const LINE: usize = 8 << 10;
/// How much of standard error a trap's message may quote, in lines.
const LAST_LINES: usize = 4;

/// The log of one instance.
#[derive(Debug)]
pub(crate) struct PluginLog {
    plugin: Arc<str>,
    per_second: u32,
    window: Instant,
    logged: u32,
    left_out: u64,
    /// The line of standard error that has not ended yet.
    partial: Vec<u8>,
    last: VecDeque<String>,
}

impl PluginLog {
    pub(crate) fn new(plugin: Arc<str>, per_second: u32) -> PluginLog {
        PluginLog {
            plugin,
            per_second,
            window: Instant::now(),
            logged: 0,
            left_out: 0,
            partial: Vec::new(),
            last: VecDeque::new(),
        }
    }

    /// One line, if the rate allows it.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        if !self.may_log() {
            self.left_out += 1;
            return;
        }
        let plugin = &*self.plugin;
        let message = clean(message, LINE);
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
    }

    fn may_log(&mut self) -> bool {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.logged = 0;
            let left_out = std::mem::take(&mut self.left_out);
            if left_out > 0 {
                let plugin = &*self.plugin;
                tracing::warn!(target: "plugin", plugin, left_out, "log lines were left out: too many in a second");
            }
        }
        self.logged = self.logged.saturating_add(1);
        self.logged <= self.per_second
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
        let line = String::from_utf8_lossy(&self.partial).trim().to_owned();
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
        let mut log = PluginLog::new("p".into(), 0);
        for word in ["one\ntw", "o\nthree\n", "\n", "four\nfive", "\nsix"] {
            log.stderr(word.as_bytes());
        }
        assert_eq!(log.take_last_words(), "three four five six");
        assert_eq!(log.take_last_words(), "");
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let mut log = PluginLog::new("p".into(), 0);
        for _ in 0..100 {
            log.stderr(&[b'x'; 1000]);
        }
        assert_eq!(log.take_last_words().len(), LINE);
    }

    #[test]
    fn the_rate_is_held_and_what_is_left_out_counted() {
        let mut log = PluginLog::new("p".into(), 3);
        for _ in 0..10 {
            log.line(Level::Info, "x");
        }
        assert_eq!((log.logged, log.left_out), (10, 7));
        log.window -= Duration::from_secs(2);
        log.line(Level::Info, "x");
        assert_eq!((log.logged, log.left_out), (1, 0));
    }

    #[test]
    fn text_is_cut_between_characters_and_has_no_line_feeds() {
        assert_eq!(clean("a\nb\u{1b}[1m", 99), "a b [1m");
        assert_eq!(clean("éé", 3), "é…");
    }
}
