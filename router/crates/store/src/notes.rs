//! What must be remembered of a document and is no part of its definition, such as the transforms that a route ran with: small
//! JSON values by key.
//!
//! Their owner is written `kind/name`; they go with it.

use std::collections::BTreeMap;

use forebay_model::Fault;
use redb::{ReadableTable, TableDefinition, TableHandle as _, WriteTransaction};
use serde_json::Value;

use crate::Store;
use crate::db::{Done, Failure, decode, encode};

/// (owner, key) to a JSON value.
const NOTES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("notes");

/// Whether the table was missing: files from before there were notes have none.
pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<bool, Failure> {
    let is_there = tx.list_tables()?.any(|table| table.name() == NOTES.name());
    tx.open_table(NOTES)?;
    Ok(!is_there)
}

pub(crate) fn forget(tx: &WriteTransaction, owner: &str) -> Result<(), Failure> {
    let mut table = tx.open_table(NOTES)?;
    let keys = keys(&table, owner)?;
    for key in keys {
        table.remove((owner, key.as_str()))?;
    }
    Ok(())
}

/// The hashes of components that notes name (as `sha256`, wherever it stands): uploads of plugins, and what routes ran with. A note
/// that says it is `gone` needs none.
pub(crate) fn named_components(tx: &WriteTransaction) -> Result<Vec<String>, Failure> {
    let mut named = Vec::new();
    for entry in tx.open_table(NOTES)?.iter()? {
        let note: Value = decode(entry?.1.value())?;
        if note["gone"] != true {
            hashes(&note, &mut named);
        }
    }
    Ok(named)
}

fn hashes(value: &Value, named: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            named.extend(fields.get("sha256").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| hashes(value, named));
        }
        Value::Array(items) => items.iter().for_each(|item| hashes(item, named)),
        _ => {}
    }
}

fn keys(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    owner: &str,
) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for entry in table.range((owner, "")..)? {
        let (key, _) = entry?;
        let (of, key) = key.value();
        if of != owner {
            break;
        }
        keys.push(key.to_owned());
    }
    Ok(keys)
}

impl Store {
    /// The owner's notes whose keys start with `prefix`.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn notes(&self, owner: &str, prefix: &str) -> Result<BTreeMap<String, Value>, Fault> {
        self.read(|tx| {
            let table = tx.open_table(NOTES)?;
            let mut notes = BTreeMap::new();
            for entry in table.range((owner, prefix)..)? {
                let (key, value) = entry?;
                let (of, key) = key.value();
                if of != owner || !key.starts_with(prefix) {
                    break;
                }
                notes.insert(key.to_owned(), decode(value.value())?);
            }
            Ok(notes)
        })
    }

    /// Writes some of an owner's notes, or removes them (`None`).
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn set_notes(&self, owner: &str, notes: Vec<(String, Option<Value>)>) -> Result<(), Fault> {
        let owner = owner.to_owned();
        self.commit(move |tx| {
            let mut table = tx.open_table(NOTES)?;
            for (key, value) in &notes {
                let key = (owner.as_str(), key.as_str());
                match value {
                    Some(value) => table.insert(key, encode(value).as_slice())?,
                    None => table.remove(key)?,
                };
            }
            Ok(Done::Changed(()))
        })
        .await
    }
}
