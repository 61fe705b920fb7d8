//! The configuration, as it is written.

use std::collections::BTreeMap;

use forebay_plugin::Metadata;
use serde::Deserialize;
use serde_json::Value;

/// The route's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Patterns of the columns that stay; all, if it is left out.
    pub(crate) include: Option<Vec<String>>,
    /// Patterns of those that do not, of the included.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// New names by old ones.
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
    /// Values, or `{value, type}`, by the name of the new column.
    #[serde(default)]
    pub(crate) constants: BTreeMap<String, Value>,
    /// Names of new columns by what they say.
    #[serde(default)]
    pub(crate) metadata: Stamps,
    /// Keeps deleted rows.
    pub(crate) deleted: Option<Deleted>,
    /// The columns of the result that tell its rows apart.
    pub(crate) key: Option<Vec<String>>,
    /// What becomes of names that the table has not.
    #[serde(default)]
    pub(crate) missing: Missing,
}

/// See [`Config::deleted`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deleted {
    /// The column that says which rows are gone.
    pub(crate) column: String,
}

/// See [`Config::missing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// The route does not start.
    #[default]
    Error,
    /// Nothing: for routes over tables, or versions of a table, of which only some have the column.
    Ignore,
}

/// See [`Config::metadata`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stamps {
    op: Option<String>,
    deleted: Option<String>,
    commit_time: Option<String>,
    gtid: Option<String>,
    offset: Option<String>,
    source: Option<String>,
    database: Option<String>,
    table: Option<String>,
}

impl Stamps {
    /// Those that are wanted: the word for each, what it is, and its column's name.
    pub(crate) fn wanted(self) -> impl Iterator<Item = (&'static str, Metadata, String)> {
        [
            ("op", Metadata::Op, self.op),
            ("deleted", Metadata::Deleted, self.deleted),
            ("commit_time", Metadata::CommitTime, self.commit_time),
            ("gtid", Metadata::Gtid, self.gtid),
            ("offset", Metadata::Offset, self.offset),
            ("source", Metadata::Source, self.source),
            ("database", Metadata::Database, self.database),
            ("table", Metadata::Table, self.table),
        ]
        .into_iter()
        .filter_map(|(word, what, name)| Some((word, what, name?)))
    }
}
