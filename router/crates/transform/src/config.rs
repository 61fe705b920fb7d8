//! A plugin's configuration as `open` gets it, and the secrets in it, which nobody but the plugin is to see.
//!
//! Promises: what a plugin says, in errors, reasons, log lines and last words, does not show a secret as it is, nor do a table's columns.
//! What a plugin makes of one (half of it, its letters turned about) cannot be known.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::plugin_log::clean;

/// What stands in the place of a secret.
const VEIL: &str = "(secret)";
/// Shorter lines of a secret would be found in any text, and give nothing away.
const SHORTEST: usize = 4;

/// A configuration with its secrets resolved.
#[derive(Clone, Default)]
pub struct Config {
    pub(crate) json: String,
    pub(crate) secrets: Secrets,
}

/// The secrets of a configuration, line by line: as they are, and as they are quoted.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[String]>);

impl Config {
    /// JSON text, in which these secrets stand.
    pub fn new(json: String, secrets: &[String]) -> Config {
        Config { json, secrets: Secrets::new(secrets) }
    }

    /// Its secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

impl From<&str> for Config {
    /// JSON text without secrets.
    fn from(json: &str) -> Config {
        Config::new(json.to_owned(), &[])
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("lines", &self.0.len()).finish()
    }
}

impl Secrets {
    fn new(secrets: &[String]) -> Secrets {
        // line by line, as a text on one line has other marks between them
        let lines = secrets.iter().flat_map(|secret| secret.lines()).map(str::trim);
        let lines = lines.filter(|line| line.len() >= SHORTEST);
        let mut lines: Vec<String> =
            lines.flat_map(|line| [line.to_owned(), line.escape_debug().to_string()]).collect();
        // what holds another one goes first
        lines.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        lines.dedup();
        Secrets(lines.into())
    }

    /// Whether a secret stands in the text.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|line| text.contains(line))
    }

    /// What a plugin says as people may see it: without secrets, in one line of at most so many bytes.
    pub(crate) fn clean(&self, text: &str, most: usize) -> String {
        clean(&self.veil(text), most)
    }

    /// The text without secrets.
    pub fn veil<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(text), |text, line| match text.contains(line) {
            true => Cow::Owned(text.replace(line, VEIL)),
            false => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_veiled_wherever_they_stand() {
        let secrets = [
            "hunter2".to_owned(),
            "hunter2-more".to_owned(),
            "-----\nab\"c\\d\n".to_owned(),
            "abc".to_owned(),
        ];
        let config = Config::new(String::new(), &secrets);
        let veil = |text: &str| config.secrets().veil(text).into_owned();
        assert_eq!(veil("`hunter2` is no key, nor hunter2-more"), "`(secret)` is no key, nor (secret)");
        assert_eq!(veil(&format!("{:?}", "ab\"c\\d\n")), "\"(secret)\\n\"");
        assert_eq!(veil("ab\"c\\d"), "(secret)");
        assert_eq!(
            veil("abc hunter"),
            "abc hunter",
            "too short to be told from other words, and another word"
        );
        assert!(config.secrets().are_in("xhunter2x") && !config.secrets().are_in("hunter"));
        assert!(!format!("{config:?} {:?}", config.secrets()).contains("hunter"));
    }
}
