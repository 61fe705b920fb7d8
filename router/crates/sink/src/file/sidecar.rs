//! The sidecar: what of the file is confirmed, and up to which mark.
//!
//! Two slots of [`SLOT`] bytes, written in turn and in place: `<crc32 in hex> <JSON>`, spaces, a line feed. A torn write
//! damages the slot that is being written, and the other still says what was confirmed before. The open sidecar carries
//! the lock that keeps a second writer away.

use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use forebay_model::{Fault, Offset};
use serde::{Deserialize, Serialize};

use super::disk;
use crate::{Mark, codes};

/// Bytes of one slot: the longest record is a quarter of it.
const SLOT: usize = 1024;

/// What is confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confirmed {
    /// Rises with each record; the higher slot counts.
    pub(super) sequence: u64,
    /// How much of the live file.
    pub(super) length: u64,
    /// The offset at which the live file was begun.
    pub(super) first: Offset,
    /// When the live file was begun, in seconds since 1970.
    pub(super) begun: u64,
    /// What the destination holds; none before the first delivery.
    pub(super) mark: Option<Mark>,
    /// The name that the live file is about to get.
    pub(super) closing: Option<String>,
}

/// The open sidecar; holds the lock.
#[derive(Debug)]
pub(super) struct Sidecar {
    file: File,
    path: PathBuf,
}

/// What a sidecar said when it was opened.
pub(super) enum Found {
    /// It was just made.
    Nothing,
    /// No slot can be read.
    Damaged,
    /// The latest record.
    Record(Confirmed),
}

impl Sidecar {
    /// Opens or makes it, and takes the lock.
    pub(super) fn open(path: PathBuf) -> Result<Sidecar, Fault> {
        let file = disk::open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Fault::new(
                    codes::FILE_IN_USE,
                    format!("{} belongs to another writer", path.display()),
                )
                .fix("give each route a path of its own; do not run two servers on one data directory"));
            }
            Err(TryLockError::Error(e)) => return Err(disk::fault("cannot lock", &path, e)),
        }
        Ok(Sidecar { file, path })
    }

    /// What it says.
    pub(super) fn read(&self) -> Result<Found, Fault> {
        let mut bytes = [0; 2 * SLOT];
        let mut length = 0;
        while length < bytes.len() {
            match self.file.read_at(&mut bytes[length..], length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(e) => return Err(disk::fault("cannot read", &self.path, e)),
            }
        }
        if length == 0 {
            return Ok(Found::Nothing);
        }
        let latest = bytes.chunks(SLOT).filter_map(parse).max_by_key(|record| record.sequence);
        Ok(latest.map_or(Found::Damaged, Found::Record))
    }

    /// Writes the record into the older slot; with `sync`, durably.
    pub(super) fn write(&mut self, record: &mut Confirmed, sync: bool) -> Result<(), Fault> {
        record.sequence += 1;
        let json = serde_json::to_string(record).expect("a record is plain data");
        let mut slot = format!("{:08x} {json}", crc32fast::hash(json.as_bytes())).into_bytes();
        assert!(slot.len() < SLOT, "a file name has 255 bytes at most");
        slot.resize(SLOT - 1, b' ');
        slot.push(b'\n');
        disk::write_at(&self.file, &self.path, record.sequence % 2 * SLOT as u64, &slot)?;
        if sync { disk::sync(&self.file, &self.path) } else { Ok(()) }
    }
}

fn parse(slot: &[u8]) -> Option<Confirmed> {
    let (crc, json) = str::from_utf8(slot).ok()?.trim_end().split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    if crc != crc32fast::hash(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(found: Found) -> Option<Confirmed> {
        match found {
            Found::Record(record) => Some(record),
            _ => None,
        }
    }

    #[test]
    fn the_latest_record_is_read_and_a_torn_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.mark");
        let mut sidecar = Sidecar::open(path.clone()).unwrap();
        assert!(matches!(sidecar.read().unwrap(), Found::Nothing));
        let mut state = Confirmed::default();
        for offset in 1..=5 {
            state.mark = Some(Mark { epoch: 1, offset });
            sidecar.write(&mut state, true).unwrap();
        }
        assert!(matches!(Sidecar::open(path.clone()), Err(fault) if fault.code() == codes::FILE_IN_USE));
        drop(sidecar);
        let read = || Sidecar::open(path.clone()).unwrap().read().unwrap();
        assert_eq!(record(read()).unwrap(), state);
        // every way to tear the slot of the fifth record
        let whole = fs::read(&path).unwrap();
        let latest = SLOT..SLOT + whole[SLOT..].trim_ascii_end().len();
        for at in latest {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            fs::write(&path, &torn).unwrap();
            assert_eq!(record(read()).unwrap().mark.unwrap().offset, 4, "byte {at}");
        }
        fs::write(&path, b"no slot at all").unwrap();
        assert!(matches!(read(), Found::Damaged));
    }
}
