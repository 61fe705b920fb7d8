//! One problem of a definition, with its place.

use forebay_model::{Code, Fault};
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with a definition, and where. Never holds a value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Stable; see the error reference.
    #[schema(example = "definition.unknown_field")]
    pub code: String,
    /// Where, from the top: names with dots between, list items in brackets from 0.
    #[schema(example = "routes.tenants-to-crm.sink.webhook.urll")]
    pub path: String,
    /// What is wrong.
    #[schema(example = "there is no field `urll`")]
    pub message: String,
    /// What to do about it; empty where the message says it all.
    #[schema(example = "did you mean `url`?")]
    pub suggestion: String,
}

impl Problem {
    /// A problem without a suggestion.
    #[must_use]
    pub fn new(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            code: code.name.to_owned(),
            path: path.into(),
            message: message.into(),
            suggestion: String::new(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = suggestion.into();
        self
    }

    /// A fault that something at `path` caused.
    #[must_use]
    pub fn of_fault(path: impl Into<String>, fault: &Fault) -> Self {
        Problem::new(fault.code(), path, fault.message()).suggest(fault.remedy())
    }
}

/// What somebody should know of a definition, though it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// The check that found it; see the checks of a server.
    #[schema(example = "binlog_row_metadata")]
    pub check: String,
    /// Where, from the top.
    #[schema(example = "sources.shop.mysql")]
    pub path: String,
    /// What was found.
    pub message: String,
    /// How to mend it: a statement to run where there is one.
    pub suggestion: String,
}

/// The path of something inside `path`: `path.key`, or `path["k.e.y"]` for a key that is not a plain word.
pub fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match (path, plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", serde_json::Value::from(key)),
    }
}

/// The path of a list's item.
pub fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Whether one of the paths is the other, or lies inside it.
pub(super) fn related(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The known word that is nearest to this one, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let begins = |k: &str| word.len() >= 3 && (k.starts_with(&word) || word.starts_with(k));
    let distance =
        |k: &str| if begins(k) { 1 } else { strsim::damerau_levenshtein(&word, &k.to_lowercase()) };
    let near = known.into_iter().map(|k| (distance(k), k)).min();
    near.filter(|(distance, _)| *distance <= (word.chars().count() / 3).max(1)).map(|(_, k)| k)
}

/// ``did you mean `x`?`` if a known word is near; else what is known.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = known.into_iter().take(20).map(|k| format!("`{k}`")).collect();
    if all.is_empty() { String::new() } else { format!("there are {}", all.join(", ")) }
}
