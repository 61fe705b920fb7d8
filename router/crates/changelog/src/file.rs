//! The redb file of a changelog: its tables, and what is read from them.
//!
//! ```text
//! meta     "format" -> u32 | "id" -> u64 | "counters" -> JSON | "position" -> JSON
//! heads    first offset -> a block's head
//! pieces   (first offset, piece) -> a part of the block's body
//! schemas  id -> JSON of a table schema
//! notes    what the source remembers with its position
//! ```
//!
//! Whatever one commit of the writer changes, it changes in one transaction (invariant 1). A read transaction lives for one
//! read only, so that it never keeps deleted pages from being used again.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use forebay_model::{Fault, Offset, Position, TableSchema};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::codec::{Damage, Head};
use crate::{codes, pieces};

pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const HEADS: TableDefinition<'_, Offset, &[u8]> = TableDefinition::new("heads");
pub(crate) const PIECES: TableDefinition<'_, (Offset, u32), &[u8]> = TableDefinition::new("pieces");
pub(crate) const SCHEMAS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("schemas");
pub(crate) const NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notes");

/// The format that this version writes, and the only one it reads.
const FORMAT: u32 = 1;

/// What the file says about itself, changed with every commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The oldest event kept.
    pub(crate) first: Offset,
    /// One past the last event of a whole transaction. Blocks from here on belong to an open one.
    pub(crate) head: Offset,
    /// Blocks stored.
    pub(crate) blocks: u64,
    /// Room that they take.
    pub(crate) bytes: u64,
    /// The latest commit time in any block so far.
    pub(crate) last_us: u64,
    /// The next free schema id; ids are not used twice.
    pub(crate) next_schema: u32,
}

/// What a file holds besides blocks.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) counters: Counters,
    pub(crate) position: Option<Position>,
    pub(crate) schemas: Vec<(u32, TableSchema)>,
    pub(crate) id: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// `None` once closed. Whoever reads or writes holds the read lock meanwhile, so that closing waits for them.
    db: RwLock<Option<Database>>,
}

impl File {
    /// Opens or creates.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<File, Fault> {
        let shown = path.to_owned();
        let report = move |session: &mut redb::RepairSession| {
            tracing::info!(path = %shown.display(), progress = session.progress(), "checking the changelog after a crash");
        };
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes).set_repair_callback(report);
        let db = match builder.create(path) {
            Ok(db) => db,
            Err(e) => return Err(fault(path, "opening", e)),
        };
        Ok(File { path: path.to_owned(), db: RwLock::new(Some(db)) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size in bytes.
    pub(crate) fn len(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// Waits for whoever is reading, then closes.
    pub(crate) fn close(&self) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The database, open for as long as the guard lives.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in a write transaction; it says whether to commit.
    pub(crate) fn write<R>(
        &self,
        doing: &str,
        work: impl FnOnce(&WriteTransaction) -> Result<(bool, R), Fault>,
    ) -> Result<R, Fault> {
        let guard = self.hold();
        let db = guard.as_ref().ok_or_else(|| self.closed())?;
        // Durability::Immediate is redb's default: a commit returns after the sync
        let txn = db.begin_write().map_err(|e| self.fault(doing, e))?;
        let (commit, result) = work(&txn)?;
        if commit {
            txn.commit().map_err(|e| self.fault(doing, e))?;
        } else {
            txn.abort().map_err(|e| self.fault(doing, e))?;
        }
        Ok(result)
    }

    /// Runs `work` in a read transaction.
    pub(crate) fn read<R>(
        &self,
        doing: &str,
        work: impl FnOnce(&ReadTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let guard = self.hold();
        let db = guard.as_ref().ok_or_else(|| self.closed())?;
        let txn = db.begin_read().map_err(|e| self.fault(doing, e))?;
        work(&txn)
    }

    /// Makes the tables of a new file, or checks the format of an old one; deletes the blocks of an unfinished transaction.
    pub(crate) fn load(&self) -> Result<Loaded, Fault> {
        let doing = "opening";
        self.write(doing, |txn| {
            let mut counters = Counters::default();
            let mut position = None;
            let (mut id, mut named) = (None, false);
            let known = {
                let mut meta = txn.open_table(META).map_err(|e| self.fault(doing, e))?;
                let get = |key: &str| -> Result<Option<Vec<u8>>, Fault> {
                    Ok(meta.get(key).map_err(|e| self.fault(doing, e))?.map(|v| v.value().to_vec()))
                };
                let known = get("format")?;
                if let Some(bytes) = get("id")? {
                    id = Some(u64::from_le_bytes(bytes.try_into().map_err(|_| self.bad_record("id"))?));
                }
                if let Some(format) = &known {
                    self.check_format(format)?;
                    let Some(json) = get("counters")? else { return Err(self.bad_record("counters")) };
                    counters = serde_json::from_slice(&json).map_err(|_| self.bad_record("counters"))?;
                    if let Some(json) = get("position")? {
                        position =
                            Some(serde_json::from_slice(&json).map_err(|_| self.bad_record("position"))?);
                    }
                } else {
                    meta.insert("format", FORMAT.to_le_bytes().as_slice())
                        .map_err(|e| self.fault(doing, e))?;
                }
                if id.is_none() {
                    // a random number; 0 would mean none
                    let made = RandomState::new().hash_one(0).max(1);
                    meta.insert("id", made.to_le_bytes().as_slice()).map_err(|e| self.fault(doing, e))?;
                    (id, named) = (Some(made), true);
                }
                known.is_some()
            };
            let dropped = self.delete_open(txn, &mut counters)?;
            let mut schemas = Vec::new();
            {
                let table = txn.open_table(SCHEMAS).map_err(|e| self.fault(doing, e))?;
                for record in table.iter().map_err(|e| self.fault(doing, e))? {
                    let (id, json) = record.map_err(|e| self.fault(doing, e))?;
                    let schema = serde_json::from_slice(json.value())
                        .map_err(|_| self.bad_record(&format!("schema {}", id.value())))?;
                    schemas.push((id.value(), schema));
                }
            }
            let change = !known || named || dropped > 0;
            if change {
                self.put_counters(txn, &counters)?;
            }
            Ok((change, Loaded { counters, position, schemas, id: id.unwrap_or_default() }))
        })
    }

    /// Deletes the blocks from `counters.head` on; returns how many.
    pub(crate) fn delete_open(&self, txn: &WriteTransaction, counters: &mut Counters) -> Result<u64, Fault> {
        let doing = "forgetting an unfinished transaction";
        let mut heads = txn.open_table(HEADS).map_err(|e| self.fault(doing, e))?;
        let mut pieces = txn.open_table(PIECES).map_err(|e| self.fault(doing, e))?;
        let mut open = Vec::new();
        for record in heads.range(counters.head..).map_err(|e| self.fault(doing, e))? {
            open.push(record.map_err(|e| self.fault(doing, e))?.0.value());
        }
        for &first in &open {
            let room = pieces::delete(&mut heads, &mut pieces, first).map_err(|e| self.fault(doing, e))?;
            counters.bytes = counters.bytes.saturating_sub(room);
            counters.blocks = counters.blocks.saturating_sub(1);
        }
        Ok(open.len() as u64)
    }

    pub(crate) fn put_counters(&self, txn: &WriteTransaction, counters: &Counters) -> Result<(), Fault> {
        self.put_meta(txn, "counters", counters)
    }

    /// Stores a record of meta as JSON.
    pub(crate) fn put_meta<T: Serialize>(
        &self,
        txn: &WriteTransaction,
        key: &str,
        value: &T,
    ) -> Result<(), Fault> {
        let json = serde_json::to_vec(value).expect("counters and positions have string keys only");
        let mut meta = txn.open_table(META).map_err(|e| self.fault("writing", e))?;
        meta.insert(key, json.as_slice()).map_err(|e| self.fault("writing", e))?;
        Ok(())
    }

    /// What the source noted, by key.
    pub(crate) fn notes(&self) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let doing = "reading";
        self.read(doing, |txn| {
            let table = match txn.open_table(NOTES) {
                // nothing was ever noted
                Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
                table => table.map_err(|e| self.fault(doing, e))?,
            };
            let records = table.iter().map_err(|e| self.fault(doing, e))?;
            records
                .map(|record| {
                    let (key, value) = record.map_err(|e| self.fault(doing, e))?;
                    Ok((key.value().to_owned(), value.value().to_vec()))
                })
                .collect()
        })
    }

    /// The head of the block that covers `offset`, if there is one.
    pub(crate) fn head_at(
        &self,
        heads: &impl ReadableTable<Offset, &'static [u8]>,
        offset: Offset,
    ) -> Result<Option<Head>, Fault> {
        let mut upto = heads.range(..=offset).map_err(|e| self.fault("reading", e))?;
        let Some(record) = upto.next_back() else { return Ok(None) };
        let (first, head) = record.map_err(|e| self.fault("reading", e))?;
        let head = Head::from_bytes(head.value(), first.value())
            .map_err(|damage| self.damage(first.value(), offset + 1, damage))?;
        Ok((head.end() > offset).then_some(head))
    }

    fn check_format(&self, format: &[u8]) -> Result<(), Fault> {
        match format.try_into().map(u32::from_le_bytes) {
            Ok(FORMAT) => Ok(()),
            Ok(newer) if newer > FORMAT => Err(Fault::new(
                codes::NEWER_FORMAT,
                format!("changelog {} has format {newer}; this version reads {FORMAT}", self.path.display()),
            )
            .fix("run the version of Forebay that wrote it, or a later one")),
            _ => Err(self.bad_record("format")),
        }
    }

    pub(crate) fn closed(&self) -> Fault {
        Fault::new(codes::CLOSED, format!("changelog {} is closed", self.path.display()))
    }

    pub(crate) fn fault(&self, doing: &str, e: impl Into<redb::Error>) -> Fault {
        fault(&self.path, doing, e)
    }

    /// Damage in the blocks of an offset range.
    pub(crate) fn damage(&self, from: Offset, to: Offset, damage: Damage) -> Fault {
        let what = format!("changelog {} is damaged in the events {from} to {to}", self.path.display());
        Fault::new(codes::DAMAGED, what).cause(damage).fix(DAMAGED_FIX)
    }

    fn bad_record(&self, record: &str) -> Fault {
        let what = format!("changelog {} is damaged: its record `{record}` is wrong", self.path.display());
        Fault::new(codes::DAMAGED, what).fix(DAMAGED_FIX)
    }
}

const DAMAGED_FIX: &str = "check the disk; set the routes past the damaged events, or move the file away and let the source \
                           start again with a snapshot";

/// What a redb error means to an operator.
fn fault(path: &Path, doing: &str, e: impl Into<redb::Error>) -> Fault {
    use std::io::ErrorKind;
    let e = e.into();
    let path = path.display();
    match e {
        redb::Error::DatabaseAlreadyOpen => {
            Fault::new(codes::IN_USE, format!("changelog {path} is open in another process"))
                .fix("stop the other process, or give this one a data directory of its own")
        }
        redb::Error::UpgradeRequired(_) => Fault::new(
            codes::NEWER_FORMAT,
            format!("changelog {path} has a file format that this version does not read"),
        )
        .cause(e)
        .fix("run the version of Forebay that wrote it"),
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::RepairAborted => {
            Fault::new(codes::DAMAGED, format!("changelog {path} is damaged ({doing})"))
                .cause(e)
                .fix(DAMAGED_FIX)
        }
        redb::Error::Io(e) => match e.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Fault::new(codes::DAMAGED, format!("{path} is not a whole changelog file ({doing})"))
                    .cause(e)
                    .fix(DAMAGED_FIX)
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Fault::new(codes::DISK_FULL, format!("no room for changelog {path} ({doing})"))
                    .cause(e)
                    .fix("free disk space, or set a quota below what the disk has")
            }
            _ => Fault::new(codes::IO, format!("{doing} changelog {path} failed")).cause(e),
        },
        e => Fault::new(codes::IO, format!("{doing} changelog {path} failed")).cause(e),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, StorageFull};
        for (kind, code) in [
            (StorageFull, codes::DISK_FULL),
            (QuotaExceeded, codes::DISK_FULL),
            (PermissionDenied, codes::IO),
        ] {
            let fault = fault(Path::new("a.redb"), "writing", redb::Error::Io(kind.into()));
            assert_eq!(fault.code(), code, "{fault}");
            assert!(fault.to_string().contains("a.redb"), "{fault}");
        }
        assert_eq!(fault(Path::new("a"), "x", redb::Error::PreviousIo).code(), codes::IO);
    }
}
