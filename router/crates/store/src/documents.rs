//! Definitions as versioned documents: a kind, a name, a JSON value, and a revision.
//!
//! A document's revision rises by one with each change of it, its deletion included, and survives the deletion: a name
//! that is used again goes on counting, so an old `If-Match` never fits a new document.

use std::fmt;

use forebay_model::Fault;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::db::{Done, Failure, decode, encode, now_us};
use crate::{Store, codes};

/// (kind, name) to a [`Record`].
const DOCUMENTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("documents");

/// What a document defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocKind {
    /// A MySQL server to read.
    Sources,
    /// A component and its hash.
    Plugins,
    /// A way from a source to a sink.
    Routes,
}

impl DocKind {
    /// All, in the order in which a definitions file has them.
    pub const ALL: [DocKind; 3] = [DocKind::Sources, DocKind::Plugins, DocKind::Routes];

    /// `sources`, `plugins` or `routes`.
    pub fn as_str(self) -> &'static str {
        match self {
            DocKind::Sources => "sources",
            DocKind::Plugins => "plugins",
            DocKind::Routes => "routes",
        }
    }
}

impl fmt::Display for DocKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A definition as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it defines.
    pub kind: DocKind,
    /// Its name, unique within the kind.
    pub name: String,
    /// How often it was changed, from 1.
    pub revision: u64,
    /// When it was changed last: microseconds since 1970.
    pub changed_us: u64,
    /// The definition.
    pub value: Value,
}

/// A change of one document. `if_revision` is the revision that the change was made for: 0 means that there must be no
/// such document.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Writes a document; one that is equal to what is stored changes nothing.
    Put {
        /// What it defines.
        kind: DocKind,
        /// Its name.
        name: String,
        /// The definition.
        value: Value,
        /// The revision that must be current; `None` for any.
        if_revision: Option<u64>,
    },
    /// Removes a document; one that is not there stays so. With a route go its checkpoint and its dead letters.
    Delete {
        /// What it defines.
        kind: DocKind,
        /// Its name.
        name: String,
        /// The revision that must be current; `None` for any.
        if_revision: Option<u64>,
    },
}

/// `value` is `None` once deleted.
#[derive(Serialize, Deserialize)]
struct Record {
    revision: u64,
    changed_us: u64,
    value: Option<Value>,
}

impl Record {
    fn document(self, kind: DocKind, name: &str) -> Option<Document> {
        let Record { revision, changed_us, value } = self;
        value.map(|value| Document { kind, name: name.to_owned(), revision, changed_us, value })
    }
}

pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<(), Failure> {
    tx.open_table(DOCUMENTS)?;
    Ok(())
}

impl Store {
    /// One document.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn get(&self, kind: DocKind, name: &str) -> Result<Option<Document>, Fault> {
        self.read(|tx| read_document(&tx.open_table(DOCUMENTS)?, kind, name))
    }

    /// The documents of one kind, by name.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn list(&self, kind: DocKind) -> Result<Vec<Document>, Fault> {
        self.read(|tx| read_documents(&tx.open_table(DOCUMENTS)?, kind))
    }

    /// All documents of one moment, sources first, then plugins, then routes, each by name.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn documents(&self) -> Result<Vec<Document>, Fault> {
        self.read(|tx| {
            let table = tx.open_table(DOCUMENTS)?;
            let mut all = Vec::new();
            for kind in DocKind::ALL {
                all.extend(read_documents(&table, kind)?);
            }
            Ok(all)
        })
    }

    /// Makes all the changes, in order, or none of them. Answers each document that was put, in the order of the puts.
    ///
    /// # Errors
    /// `store.conflict` if a revision is not current, `store.plugin_missing` if a plugin names bytes that are not here,
    /// `store.io` or `store.damaged`.
    pub async fn write(&self, changes: Vec<Change>) -> Result<Vec<Document>, Fault> {
        self.commit(move |tx| {
            let mut written = Vec::new();
            let mut changed = false;
            for change in changes {
                changed |= apply(tx, change, &mut written)?;
            }
            Ok(if changed { Done::Changed(written) } else { Done::Same(written) })
        })
        .await
    }
}

/// Whether it changed anything.
fn apply(tx: &WriteTransaction, change: Change, written: &mut Vec<Document>) -> Result<bool, Failure> {
    let (kind, name, wanted, if_revision) = match change {
        Change::Put { kind, name, value, if_revision } => (kind, name, Some(value), if_revision),
        Change::Delete { kind, name, if_revision } => (kind, name, None, if_revision),
    };
    let mut table = tx.open_table(DOCUMENTS)?;
    let old: Option<Record> = match table.get((kind.as_str(), name.as_str()))? {
        Some(bytes) => Some(decode(bytes.value())?),
        None => None,
    };
    let current = old.as_ref().filter(|r| r.value.is_some()).map_or(0, |r| r.revision);
    if let Some(expected) = if_revision.filter(|&r| r != current) {
        return Err(conflict(kind, &name, expected, current).into());
    }
    if let (DocKind::Plugins, Some(value)) = (kind, &wanted) {
        crate::plugins::require_bytes(tx, &name, value)?;
    }
    if old.as_ref().and_then(|r| r.value.as_ref()) == wanted.as_ref() {
        written.extend(old.and_then(|r| r.document(kind, &name)));
        return Ok(false);
    }
    if kind == DocKind::Routes && wanted.is_none() {
        crate::checkpoints::forget_route(tx, &name)?;
        crate::dead_letters::forget_route(tx, &name)?;
    }
    if wanted.is_none() {
        crate::notes::forget(tx, &format!("{kind}/{name}"))?;
    }
    let revision = old.map_or(0, |r| r.revision) + 1;
    let new = Record { revision, changed_us: now_us(), value: wanted };
    table.insert((kind.as_str(), name.as_str()), encode(&new).as_slice())?;
    written.extend(new.document(kind, &name));
    Ok(true)
}

fn conflict(kind: DocKind, name: &str, expected: u64, current: u64) -> Fault {
    let what = match (expected, current) {
        (0, _) => format!("{kind}.{name} exists already, at revision {current}"),
        (_, 0) => format!("{kind}.{name} does not exist (any more); revision {expected} was expected"),
        _ => format!("{kind}.{name} is at revision {current}; revision {expected} was expected"),
    };
    Fault::new(codes::CONFLICT, what).fix("read it again and make the change for what is there now")
}

fn read_document(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    kind: DocKind,
    name: &str,
) -> Result<Option<Document>, Failure> {
    match table.get((kind.as_str(), name))? {
        Some(bytes) => Ok(decode::<Record>(bytes.value())?.document(kind, name)),
        None => Ok(None),
    }
}

/// The documents of one kind, by name; also what a write transaction sees.
pub(crate) fn read_documents(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    kind: DocKind,
) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for entry in table.range((kind.as_str(), "")..)? {
        let (key, bytes) = entry?;
        let (found, name) = key.value();
        if found != kind.as_str() {
            break;
        }
        documents.extend(decode::<Record>(bytes.value())?.document(kind, name));
    }
    Ok(documents)
}

/// The plugin definitions, as a write transaction sees them.
pub(crate) fn plugin_documents(tx: &WriteTransaction) -> Result<Vec<Document>, Failure> {
    read_documents(&tx.open_table(DOCUMENTS)?, DocKind::Plugins)
}
