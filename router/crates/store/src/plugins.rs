//! Plugins' bytes, by their SHA-256: they never change, and are checked against it each time they are read.

use forebay_model::Fault;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::db::{Done, Failure, decode, encode, now_us};
use crate::{Store, codes};

/// Hash to bytes.
const BYTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("plugin_bytes");
/// Hash to [`StoredPlugin`], so that a listing reads no bytes.
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("plugins");

/// What is known of a plugin's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlugin {
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// When it came first: microseconds since 1970.
    pub first_seen_us: u64,
}

/// SHA-256, as 64 lower-case hex digits.
fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that a plugin's definition names.
fn named_hash(value: &Value) -> Option<&str> {
    value.get("sha256").and_then(Value::as_str)
}

pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<(), Failure> {
    tx.open_table(BYTES)?;
    tx.open_table(ABOUT)?;
    Ok(())
}

/// Refuses a plugin definition whose bytes are not here.
pub(crate) fn require_bytes(tx: &WriteTransaction, name: &str, value: &Value) -> Result<(), Failure> {
    let sha256 = named_hash(value).unwrap_or_default();
    if tx.open_table(ABOUT)?.get(sha256)?.is_some() {
        return Ok(());
    }
    let what = format!("plugin {name} names the component {sha256:?}, which was not uploaded");
    Err(Fault::new(codes::PLUGIN_MISSING, what).fix("upload the component's bytes first").into())
}

impl Store {
    /// Keeps a plugin's bytes; bytes that are here already change nothing.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn put_plugin(&self, bytes: Vec<u8>) -> Result<StoredPlugin, Fault> {
        self.commit(move |tx| {
            let sha256 = hash(&bytes);
            let mut about = tx.open_table(ABOUT)?;
            if let Some(found) = about.get(sha256.as_str())? {
                return Ok(Done::Same(decode(found.value())?));
            }
            let plugin = StoredPlugin { sha256, size: bytes.len() as u64, first_seen_us: now_us() };
            about.insert(plugin.sha256.as_str(), encode(&plugin).as_slice())?;
            tx.open_table(BYTES)?.insert(plugin.sha256.as_str(), bytes.as_slice())?;
            Ok(Done::Changed(plugin))
        })
        .await
    }

    /// The bytes with this hash.
    ///
    /// # Errors
    /// `store.damaged` if they are not what was stored; `store.io`.
    pub fn plugin(&self, sha256: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.read(|tx| {
            let Some(bytes) = tx.open_table(BYTES)?.get(sha256)?.map(|found| found.value().to_vec()) else {
                return Ok(None);
            };
            if hash(&bytes) != sha256 {
                return Err(Failure::Damaged("a plugin's bytes do not match their hash"));
            }
            Ok(Some(bytes))
        })
    }

    /// All plugins' bytes that are here, by hash, whether or not a definition names them.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn plugins(&self) -> Result<Vec<StoredPlugin>, Fault> {
        self.read(|tx| {
            let about = tx.open_table(ABOUT)?;
            let mut all = Vec::with_capacity(about.len()? as usize);
            for entry in about.iter()? {
                all.push(decode(entry?.1.value())?);
            }
            Ok(all)
        })
    }

    /// Deletes bytes that no plugin definition names. Whether they were here.
    ///
    /// # Errors
    /// `store.plugin_in_use` if one does; `store.io` or `store.damaged`.
    pub async fn delete_plugin(&self, sha256: &str) -> Result<bool, Fault> {
        let sha256 = sha256.to_owned();
        self.commit(move |tx| {
            let documents = crate::documents::plugin_documents(tx)?;
            if let Some(user) = documents.iter().find(|d| named_hash(&d.value) == Some(&sha256)) {
                let what = format!("component {sha256} is named by plugin {}", user.name);
                return Err(Fault::new(codes::PLUGIN_IN_USE, what).fix("delete the plugin first").into());
            }
            Ok(if remove(tx, &sha256)? { Done::Changed(true) } else { Done::Same(false) })
        })
        .await
    }

    /// Deletes all bytes that neither a plugin's definition nor a note of one names; answers how many.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn sweep_plugins(&self) -> Result<u64, Fault> {
        self.commit(|tx| {
            let documents = crate::documents::plugin_documents(tx)?;
            let noted = crate::notes::named_components(tx)?;
            let mut unnamed = Vec::new();
            for entry in tx.open_table(ABOUT)?.iter()? {
                let sha256 = entry?.0.value().to_owned();
                let is_defined = documents.iter().any(|d| named_hash(&d.value) == Some(&sha256));
                if !is_defined && !noted.contains(&sha256) {
                    unnamed.push(sha256);
                }
            }
            for sha256 in &unnamed {
                remove(tx, sha256)?;
            }
            let count = unnamed.len() as u64;
            Ok(if count > 0 { Done::Changed(count) } else { Done::Same(0) })
        })
        .await
    }
}

fn remove(tx: &WriteTransaction, sha256: &str) -> Result<bool, Failure> {
    tx.open_table(BYTES)?.remove(sha256)?;
    Ok(tx.open_table(ABOUT)?.remove(sha256)?.is_some())
}
