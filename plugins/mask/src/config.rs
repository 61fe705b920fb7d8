//! The configuration: a rule for each column.

use std::collections::BTreeMap;

use forebay_plugin::{Encoding, KeyedHash, Problems, parse_part};
use serde::Deserialize;
use serde_json::Value;

/// The route's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Rule by column name; read one by one ([`rules`](Config::rules)), so that all mistakes are told at once.
    columns: BTreeMap<String, Value>,
    /// What becomes of a rule whose column the table has not.
    #[serde(default)]
    pub(crate) missing: Missing,
}

impl Config {
    /// Each column's rule, with its place in the configuration; those that are none go to the problems.
    pub(crate) fn rules(self, problems: &mut Problems) -> Vec<(String, String, Rule)> {
        let mut rules = Vec::with_capacity(self.columns.len());
        for (name, rule) in self.columns {
            let path = format!("columns.{name}");
            if let Some(rule) = problems.at(&path, parse_part(&path, rule)) {
                rules.push((name, path, rule));
            }
        }
        rules
    }
}

/// See [`Config::missing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// The route does not start: a mask that is not applied must not go unnoticed.
    #[default]
    Error,
    /// The rule does nothing: for routes over tables, or versions of a table, of which only some have the column.
    Ignore,
}

/// What becomes of a column's values.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Fields")]
pub(crate) enum Rule {
    /// The first n characters stay, the others become `*`.
    KeepFirst(usize),
    /// The last n characters stay, the others become `*`.
    KeepLast(usize),
    /// Of what stands before the last `@`, the first character stays; of a text without one, likewise.
    KeepDomain,
    /// This text.
    Text(String),
    /// A keyed hash, as text.
    Hash(KeyedHash),
    /// NULL.
    Null,
    /// The column is left out.
    Drop,
}

/// A rule as it is written: exactly one field is set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    keep_first: Option<usize>,
    keep_last: Option<usize>,
    #[serde(default)]
    keep_domain: bool,
    text: Option<String>,
    hash: Option<Hash>,
    #[serde(default)]
    null: bool,
    #[serde(default)]
    drop: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    key: String,
    #[serde(default)]
    encoding: Encoding,
    length: Option<usize>,
}

impl TryFrom<Fields> for Rule {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Rule, String> {
        let hash = fields.hash.map(Hash::keyed).transpose()?;
        let given = [
            fields.keep_first.map(Rule::KeepFirst),
            fields.keep_last.map(Rule::KeepLast),
            fields.keep_domain.then_some(Rule::KeepDomain),
            fields.text.map(Rule::Text),
            hash.map(Rule::Hash),
            fields.null.then_some(Rule::Null),
            fields.drop.then_some(Rule::Drop),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(rule), None) => Ok(rule),
            _ => Err("exactly one of keep_first, keep_last, keep_domain, text, hash, null, drop is needed"
                .to_owned()),
        }
    }
}

impl Hash {
    fn keyed(self) -> Result<KeyedHash, String> {
        let full = self.encoding.full_length();
        let length = self.length.unwrap_or(full);
        if self.key.is_empty() {
            return Err("hash.key is empty".to_owned());
        }
        if !(1..=full).contains(&length) {
            return Err(format!("hash.length must be 1 to {full}"));
        }
        Ok(KeyedHash::new(self.key.as_bytes(), self.encoding, length))
    }
}
