//! What the source keeps with its position about schemas: keys and forms of the notes.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_model::{Descendant, Note, TableSchema};
use serde::{Deserialize, Serialize};

use super::version::Version;

/// A table: database and name.
pub(crate) type Key = (String, String);

/// As notes and people name a table.
pub(super) fn full_name(key: &Key) -> String {
    format!("{}.{}", key.0, key.1)
}

/// A table's version, under `schema/DB.TABLE`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TableNote {
    database: String,
    table: String,
    /// `None`: there is such a table, and what it looks like is not known.
    version: Option<Version>,
}

/// A table whose events are kept undecoded, under `quarantine/DB.TABLE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Why.
    pub reason: String,
    /// Where in the binlog it began: `file:offset`.
    pub since: String,
    /// The first event's time, seconds since 1970.
    pub since_seconds: u32,
    /// Rows events that were kept: as many rows of `forebay.quarantine`.
    pub events: u64,
}

impl Quarantined {
    /// The quarantines that notes tell of, for whoever must know before the source is connected.
    pub fn of_notes<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<Quarantined> {
        let quarantined = |note| match read(note) {
            Read::Quarantined(_, quarantined) => Some(quarantined),
            _ => None,
        };
        notes.into_iter().filter_map(quarantined).collect()
    }
}

/// Tables as the server has them now, with what the source's notes know of their columns' earlier names. What has changed since the
/// notes were written is not in them.
pub fn lineages<'a>(tables: &mut [Arc<TableSchema>], notes: impl IntoIterator<Item = &'a Note>) {
    let known = notes.into_iter().filter_map(|note| match read(note) {
        Read::Table(key, Some(version)) if !version.lineage.is_empty() => Some((key, version.lineage)),
        _ => None,
    });
    let known: BTreeMap<Key, _> = known.collect();
    for table in tables {
        let lowered = || (table.database.to_lowercase(), table.table.to_lowercase());
        let found = known.get(&(table.database.clone(), table.table.clone()));
        if let Some(known) = found.or_else(|| known.get(&lowered())) {
            let mut table_now = TableSchema::clone(table);
            table_now.lineage.merge(known.clone());
            *table = table_now.shared();
        }
    }
}

/// What tables were known to be last, as the source's notes have it, where that had another past: also tables that are gone.
pub fn descendants<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<Descendant> {
    let versions = notes.into_iter().filter_map(|note| match read(note) {
        Read::Table(key, Some(version)) | Read::Before(key, version) => Some((key, version)),
        _ => None,
    });
    let had_others = versions.filter(|(_, version)| !version.lineage.is_empty());
    had_others
        .map(|((database, table), Version { columns, lineage, .. })| Descendant {
            database,
            table,
            columns: columns.into_iter().map(|column| column.name).collect(),
            lineage,
        })
        .collect()
}

/// How the keys of notes about tables' versions begin; what follows is `DB.TABLE`.
pub const SCHEMA_NOTES: &str = "schema/";
/// How the keys of notes about what tables were that are gone, or not known now, begin; what follows is `DB.TABLE`.
pub const BEFORE_NOTES: &str = "before/";
/// The note of databases' default character sets.
pub(super) const DATABASES: &str = "databases";
/// How the keys of notes about tables in quarantine begin; what follows is `DB.TABLE`.
pub const QUARANTINE_NOTES: &str = "quarantine/";

pub(super) fn schema_key(key: &Key) -> String {
    format!("{SCHEMA_NOTES}{}", full_name(key))
}

/// Of what a table was last that is gone, or not known now.
pub(super) fn before_key(key: &Key) -> String {
    format!("{BEFORE_NOTES}{}", full_name(key))
}

pub(super) fn quarantine_key(key: &Key) -> String {
    format!("{QUARANTINE_NOTES}{}", full_name(key))
}

pub(super) fn table_note(key: &Key, version: Option<&Version>) -> Vec<u8> {
    let (database, table) = key.clone();
    serde_json::to_vec(&TableNote { database, table, version: version.cloned() }).unwrap_or_default()
}

/// A note of ours that could be read.
pub(super) enum Read {
    Table(Key, Option<Version>),
    /// What a table was that is gone, or not known now.
    Before(Key, Version),
    Quarantined(Key, Quarantined),
    /// Default character sets.
    Databases(BTreeMap<String, String>),
    /// It is about something else.
    Other,
    /// It is ours, and not in a form that is known.
    Unknown,
}

pub(super) fn read(note: &Note) -> Read {
    let Some(value) = &note.value else { return Read::Other };
    if note.key == DATABASES {
        return serde_json::from_slice(value).map_or(Read::Unknown, Read::Databases);
    }
    if note.key.starts_with(SCHEMA_NOTES) {
        return match serde_json::from_slice::<TableNote>(value) {
            Ok(t) => Read::Table((t.database, t.table), t.version.filter(Version::is_known_form)),
            Err(_) => Read::Unknown,
        };
    }
    if note.key.starts_with(BEFORE_NOTES) {
        return match serde_json::from_slice::<TableNote>(value) {
            Ok(TableNote { database, table, version: Some(version) }) if version.is_known_form() => {
                Read::Before((database, table), version)
            }
            _ => Read::Unknown,
        };
    }
    if note.key.starts_with(QUARANTINE_NOTES) {
        return match serde_json::from_slice::<Quarantined>(value) {
            Ok(q) => Read::Quarantined((q.database.clone(), q.table.clone()), q),
            Err(_) => Read::Unknown,
        };
    }
    Read::Other
}
