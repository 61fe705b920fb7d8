//! How far each route has got.

use forebay_model::{Fault, Offset};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::db::{Done, Failure, decode, encode, now_us};
use crate::{Store, codes};

/// Route to [`Checkpoint`].
const CHECKPOINTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("checkpoints");

/// What became of a route's events. `read = delivered + filtered + dead` (invariant 4) at every checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events of the route's tables that were read.
    pub read: u64,
    /// Events that the destination has.
    pub delivered: u64,
    /// Events that a transform left out.
    pub filtered: u64,
    /// Events among the dead letters.
    pub dead: u64,
}

/// Where a route goes on, and what it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Rises whenever the offset is set by hand: the time, milliseconds since 1970. A route that is made anew begins a later one
    /// than its namesake ever had, so that a destination's mark of that one is not taken for its own.
    pub epoch: u64,
    /// The epoch in which the route was made, or got another changelog: within one lineage an offset is the same event for ever.
    #[serde(default)]
    pub lineage: u64,
    /// The changelog that the offset counts in (its random number); 0 = not known.
    #[serde(default)]
    pub log: u64,
    /// The next offset to read.
    pub offset: Offset,
    /// Whether somebody paused the route.
    pub paused: bool,
    /// What became of its events in this epoch.
    pub counts: Counts,
    /// When it was saved: microseconds since 1970. Set by the store.
    pub updated_us: u64,
}

pub(crate) fn create_tables(tx: &WriteTransaction) -> Result<(), Failure> {
    tx.open_table(CHECKPOINTS)?;
    Ok(())
}

/// With the route's document.
pub(crate) fn forget_route(tx: &WriteTransaction, route: &str) -> Result<bool, Failure> {
    Ok(tx.open_table(CHECKPOINTS)?.remove(route)?.is_some())
}

impl Store {
    /// A route's checkpoint; `None` for a route that never had one.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn checkpoint(&self, route: &str) -> Result<Option<Checkpoint>, Fault> {
        self.read(|tx| match tx.open_table(CHECKPOINTS)?.get(route)? {
            Some(bytes) => decode(bytes.value()).map(Some),
            None => Ok(None),
        })
    }

    /// All checkpoints of one moment, by route.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub fn checkpoints(&self) -> Result<Vec<(String, Checkpoint)>, Fault> {
        self.read(|tx| {
            let mut all = Vec::new();
            for entry in tx.open_table(CHECKPOINTS)?.iter()? {
                let (route, bytes) = entry?;
                all.push((route.value().to_owned(), decode(bytes.value())?));
            }
            Ok(all)
        })
    }

    /// Saves checkpoints of any number of routes in one commit. Dead letters that a checkpoint counts are added before.
    ///
    /// # Errors
    /// `store.checkpoint_back` if one would move back: an offset within its epoch, or an epoch (invariant 3). That one is
    /// not saved; the others are, since one route's failure is its own (invariant 5). `store.io` or `store.damaged`, and
    /// nothing is saved.
    pub async fn save_checkpoints(&self, checkpoints: Vec<(String, Checkpoint)>) -> Result<(), Fault> {
        if checkpoints.is_empty() {
            return Ok(());
        }
        let refused = self.commit(move |tx| {
            let mut table = tx.open_table(CHECKPOINTS)?;
            let mut refused = None;
            for (route, new) in &checkpoints {
                let old: Option<Checkpoint> = match table.get(route.as_str())? {
                    Some(bytes) => Some(decode(bytes.value())?),
                    None => None,
                };
                if let Some(old) = old
                    && (new.epoch, new.offset) < (old.epoch, old.offset)
                {
                    refused.get_or_insert_with(|| moved_back(route, &old, new));
                    continue;
                }
                let saved = Checkpoint { updated_us: now_us(), ..*new };
                table.insert(route.as_str(), encode(&saved).as_slice())?;
            }
            Ok(Done::Changed(refused))
        });
        refused.await?.map_or(Ok(()), Err)
    }

    /// Forgets where a route was; it starts as a new one does. Whether there was a checkpoint.
    ///
    /// # Errors
    /// `store.io` or `store.damaged`.
    pub async fn delete_checkpoint(&self, route: &str) -> Result<bool, Fault> {
        let route = route.to_owned();
        self.commit(move |tx| {
            Ok(if forget_route(tx, &route)? { Done::Changed(true) } else { Done::Same(false) })
        })
        .await
    }
}

fn moved_back(route: &str, old: &Checkpoint, new: &Checkpoint) -> Fault {
    Fault::new(
        codes::CHECKPOINT_BACK,
        format!(
            "the checkpoint of route {route} would move back from offset {} of epoch {} to offset {} of epoch {}",
            old.offset, old.epoch, new.offset, new.epoch
        ),
    )
    .fix("this is a defect of Forebay: please report it; to replay on purpose, set the route's offset")
}
