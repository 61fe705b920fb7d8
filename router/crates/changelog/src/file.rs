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
//!
//! After an I/O error redb refuses everything, and whether a commit that failed is in the file is not known. So the file is then
//! `broken`: everybody is told the fault that broke it until the writer has [reopened](File::reopen) it and compared.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use forebay_model::{Fault, Offset, Position, TableSchema};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::codec::{Damage, Head};
use crate::inbox::Told;
use crate::trouble::{self, DAMAGED_FIX};
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
    /// One past the last stored event.
    pub(crate) next: Offset,
    pub(crate) schemas: Vec<(u32, TableSchema)>,
    pub(crate) id: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    cache_bytes: usize,
    /// What broke it, until it is reopened.
    broken: Mutex<Option<Told>>,
    /// `None` once closed, or broken and not yet reopened. Whoever reads or writes holds the read lock meanwhile, so that closing waits for them.
    db: RwLock<Option<Database>>,
}

impl File {
    /// Opens or creates; deletes the blocks of an unfinished transaction.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<(File, Loaded), Fault> {
        let (path, broken, db) = (path.to_owned(), Mutex::new(None), RwLock::new(None));
        let mut file = File { path, cache_bytes, broken, db };
        let loaded = file.guarded(|| {
            let db = file.database(true)?;
            let loaded = file.load(&db, true)?;
            Ok((db, loaded))
        });
        let (db, loaded) = loaded?;
        file.db = RwLock::new(Some(db));
        Ok((file, loaded))
    }

    /// Drops the database, which waits for whoever is reading, and opens it again. Nobody sees it before `settle` has compared
    /// what is there with what is remembered.
    pub(crate) fn reopen(&self, settle: impl FnOnce(Loaded) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let opened = self.guarded(|| {
            *db = None;
            trouble::forget_cached(&self.path);
            let opened = self.database(false)?;
            let loaded = self.load(&opened, false)?;
            Ok((opened, loaded))
        });
        let opened = opened.and_then(|(opened, loaded)| settle(loaded).map(|()| opened));
        match opened {
            Ok(opened) => {
                *db = Some(opened);
                *self.broken() = None;
                Ok(())
            }
            Err(fault) => {
                *self.broken() = Some(Told::new(&fault));
                Err(fault)
            }
        }
    }

    /// redb checks checksums only after a crash: a file damaged at rest can make it panic.
    fn guarded<R>(&self, open: impl FnOnce() -> Result<R, Fault>) -> Result<R, Fault> {
        catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
            let what = format!("changelog {} is damaged (opening)", self.path.display());
            Err(Fault::new(codes::DAMAGED, what).cause(Damage("the file's own structure is wrong")))
        })
    }

    fn database(&self, create: bool) -> Result<Database, Fault> {
        let shown = self.path.clone();
        let report = move |session: &mut redb::RepairSession| {
            tracing::info!(path = %shown.display(), progress = session.progress(), "checking the changelog after a crash");
        };
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes).set_repair_callback(report);
        #[cfg(test)]
        if let Some(disk) = crate::tests::disk::of(&self.path) {
            return builder.create_with_backend(disk).map_err(|e| self.fault("opening", e));
        }
        let opened = if create { builder.create(&self.path) } else { builder.open(&self.path) };
        opened.map_err(|e| self.fault("opening", e))
    }

    /// Why it must be reopened, if it must.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken().is_some()
    }

    fn broken(&self) -> MutexGuard<'_, Option<Told>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        *self.broken() = None;
        *db = None;
    }

    /// Runs `work` in a write transaction; it says whether to commit. After a fault that breaks the file a commit may be in it or
    /// not.
    pub(crate) fn write<R>(
        &self,
        doing: &str,
        work: impl FnOnce(&WriteTransaction) -> Result<(bool, R), Fault>,
    ) -> Result<R, Fault> {
        self.with(|db| self.write_to(db, doing, work))
    }

    /// Runs `work` in a read transaction.
    pub(crate) fn read<R>(
        &self,
        doing: &str,
        work: impl FnOnce(&ReadTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.with(|db| work(&db.begin_read().map_err(|e| self.fault(doing, e))?))
    }

    /// Runs `work` on the open database; what the disk refuses breaks the file.
    fn with<R>(&self, work: impl FnOnce(&Database) -> Result<R, Fault>) -> Result<R, Fault> {
        let guard: RwLockReadGuard<'_, _> = self.db.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &*self.broken() {
            return Err(told.fault());
        }
        let db = guard.as_ref().ok_or_else(|| self.closed())?;
        work(db).map_err(|fault| {
            if !trouble::passes(&fault) {
                return fault;
            }
            // while the guard is held nobody reopens; the first fault says more than redb's refusals after it
            self.broken().get_or_insert_with(|| Told::new(&fault)).fault()
        })
    }

    fn write_to<R>(
        &self,
        db: &Database,
        doing: &str,
        work: impl FnOnce(&WriteTransaction) -> Result<(bool, R), Fault>,
    ) -> Result<R, Fault> {
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

    /// Makes the tables of a new file, or checks the format of an old one; if told so deletes the blocks of an unfinished
    /// transaction.
    fn load(&self, db: &Database, forget_open: bool) -> Result<Loaded, Fault> {
        let doing = "opening";
        self.write_to(db, doing, |txn| {
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
            let dropped = if forget_open { self.delete_open(txn, &mut counters)? } else { 0 };
            let next = self.end(txn)?.max(counters.head);
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
            Ok((change, Loaded { counters, position, next, schemas, id: id.unwrap_or_default() }))
        })
    }

    /// One past the last stored event; 0 if there is none.
    fn end(&self, txn: &WriteTransaction) -> Result<Offset, Fault> {
        let heads = txn.open_table(HEADS).map_err(|e| self.fault("opening", e))?;
        let last = heads.last().map_err(|e| self.fault("opening", e))?;
        last.map_or(Ok(0), |(first, head)| {
            let head = Head::from_bytes(head.value(), first.value());
            head.map(|head| head.end()).map_err(|d| self.damage(first.value(), first.value() + 1, d))
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
    pub(crate) fn notes(
        &self,
        txn: &ReadTransaction,
        prefix: &str,
    ) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let doing = "reading";
        let table = match txn.open_table(NOTES) {
            // nothing was ever noted
            Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            table => table.map_err(|e| self.fault(doing, e))?,
        };
        let mut notes = BTreeMap::new();
        for record in table.range(prefix..).map_err(|e| self.fault(doing, e))? {
            let (key, value) = record.map_err(|e| self.fault(doing, e))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            notes.insert(key.value().to_owned(), value.value().to_vec());
        }
        Ok(notes)
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
        trouble::fault(&self.path, doing, e)
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
