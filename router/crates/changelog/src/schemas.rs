//! The table schemas that stored blocks refer to, by id. Equal ids give the same `Arc`, in blocks from memory and
//! from the disk alike, so that who works by table can compare pointers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_model::{Offset, TableSchema};

/// Sources that handed over a schema before are recognised by pointer; more than this many are hashed again.
const RECENT: usize = 64;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<u32, Known>,
    ids: HashMap<Arc<TableSchema>, u32>,
    /// The source's own `Arc`s, latest last.
    recent: Vec<(Arc<TableSchema>, u32)>,
    next: u32,
}

#[derive(Debug)]
struct Known {
    table: Arc<TableSchema>,
    /// The first offset of the last block that uses it.
    used: Offset,
}

/// A schema as a block refers to it.
pub(crate) struct Named {
    pub(crate) id: u32,
    pub(crate) table: Arc<TableSchema>,
    /// It has no record in the file yet.
    pub(crate) new: bool,
}

impl Schemas {
    /// With what the file holds; `next` is the next free id, `head` the offset up to which any may be in use.
    pub(crate) fn load(stored: Vec<(u32, TableSchema)>, next: u32, head: Offset) -> Self {
        let mut inner = Inner { next, ..Inner::default() };
        for (id, table) in stored {
            let table = Arc::new(table);
            inner.ids.insert(table.clone(), id);
            inner.by_id.insert(id, Known { table, used: head });
            inner.next = inner.next.max(id + 1);
        }
        Schemas { inner: Mutex::new(inner) }
    }

    /// The id of a schema that the block at `first` uses; a new one if it has none.
    pub(crate) fn name(&self, table: &Arc<TableSchema>, first: Offset) -> Named {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let recent = inner.recent.iter().find(|(known, _)| Arc::ptr_eq(known, table)).map(|(_, id)| *id);
        let old = recent.or_else(|| inner.ids.get(table).copied());
        let id = old.unwrap_or_else(|| {
            inner.ids.insert(table.clone(), inner.next);
            inner.next += 1;
            inner.next - 1
        });
        let known = inner.by_id.entry(id).or_insert_with(|| Known { table: table.clone(), used: first });
        known.used = first;
        if recent.is_none() {
            if inner.recent.len() == RECENT {
                inner.recent.remove(0);
            }
            inner.recent.push((table.clone(), id));
        }
        Named { id, table: known.table.clone(), new: old.is_none() }
    }

    pub(crate) fn get(&self, id: u32) -> Option<Arc<TableSchema>> {
        self.lock().by_id.get(&id).map(|known| known.table.clone())
    }

    pub(crate) fn all(&self) -> Vec<Arc<TableSchema>> {
        self.lock().by_id.values().map(|known| known.table.clone()).collect()
    }

    /// The id that the next new schema gets.
    pub(crate) fn next(&self) -> u32 {
        self.lock().next
    }

    /// Ids that only blocks before `first` use.
    pub(crate) fn unused(&self, first: Offset) -> Vec<u32> {
        let used = |(id, known): (&u32, &Known)| (known.used < first).then_some(*id);
        self.lock().by_id.iter().filter_map(used).collect()
    }

    /// Forgets schemas whose records were deleted.
    pub(crate) fn forget(&self, ids: &[u32]) {
        let mut inner = self.lock();
        inner.recent.retain(|(_, id)| !ids.contains(id));
        for id in ids {
            if let Some(known) = inner.by_id.remove(id) {
                inner.ids.remove(&known.table);
            }
        }
    }

    /// Forgets schemas that have no record in the file: `stored` are the ids that do.
    pub(crate) fn retain(&self, stored: &[u32]) {
        let missing = |id: &u32| !stored.contains(id);
        let gone: Vec<u32> = self.lock().by_id.keys().copied().filter(missing).collect();
        self.forget(&gone);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // every change above is whole before anything can panic
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
