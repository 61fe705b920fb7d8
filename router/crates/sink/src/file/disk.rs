//! The few things that the file sink asks of the operating system, each with what its failure means.
//!
//! Every change to the disk goes through here, so that tests can make the n-th one fail, or stop there for good as a
//! crash would.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use forebay_model::Fault;

use crate::codes;

/// What an error of the operating system means.
pub(super) fn fault(what: &str, path: &Path, error: io::Error) -> Fault {
    let what = format!("{what} {}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Fault::new(codes::FILE_DISK_FULL, what)
                .fix("free space or raise the quota; the route goes on by itself")
        }
        ErrorKind::PermissionDenied => Fault::new(codes::FILE_NOT_WRITABLE, what)
            .fix("give the server's user the right to write there, or choose another path"),
        ErrorKind::ReadOnlyFilesystem => Fault::new(codes::FILE_NOT_WRITABLE, what)
            .fix("mount the file system for writing, or choose another path"),
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename => {
            Fault::new(codes::FILE_NOT_WRITABLE, what).fix("choose a path whose folders are folders")
        }
        _ => Fault::new(codes::FILE_IO, what).fix("look into the system's log for the disk's errors"),
    }
    .cause(error)
}

pub(super) fn make_folder(path: &Path) -> Result<(), Fault> {
    step().and_then(|()| fs::create_dir_all(path)).map_err(|e| fault("cannot make the folder", path, e))
}

/// Opens for reading and writing; makes it if it is missing.
pub(super) fn open(path: &Path) -> Result<File, Fault> {
    step()
        .and_then(|()| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path))
        .map_err(|e| fault("cannot open", path, e))
}

/// Length, or `None` if there is no such file.
pub(super) fn length(path: &Path) -> Result<Option<u64>, Fault> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault("cannot look at", path, e)),
    }
}

/// Whether the path still leads to this open file, and the file has this length.
pub(super) fn is_in_place(file: &File, path: &Path, length: u64) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => {
            (open.dev(), open.ino(), open.len()) == (named.dev(), named.ino(), named.len())
                && open.len() == length
        }
        _ => false,
    }
}

pub(super) fn write_at(file: &File, path: &Path, at: u64, bytes: &[u8]) -> Result<(), Fault> {
    let written = match budget(bytes.len()) {
        Some(left) => file.write_all_at(&bytes[..left], at).and(Err(ErrorKind::StorageFull.into())),
        None => step().and_then(|()| file.write_all_at(bytes, at)),
    };
    written.map_err(|e| fault("cannot write to", path, e))
}

pub(super) fn cut(file: &File, path: &Path, length: u64) -> Result<(), Fault> {
    step().and_then(|()| file.set_len(length)).map_err(|e| fault("cannot cut", path, e))
}

pub(super) fn sync(file: &File, path: &Path) -> Result<(), Fault> {
    step().and_then(|()| file.sync_data()).map_err(|e| fault("cannot sync", path, e))
}

/// Makes names (a new file, a rename) durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Fault> {
    step().and_then(|()| File::open(path)?.sync_all()).map_err(|e| fault("cannot sync the folder", path, e))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Fault> {
    step().and_then(|()| fs::rename(from, to)).map_err(|e| fault("cannot rename", from, e))
}

#[cfg(not(test))]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(not(test))]
fn budget(_: usize) -> Option<usize> {
    None
}

#[cfg(test)]
pub(super) use trouble::{budget, step};

/// Trouble on demand, for the thread that asked for it.
#[cfg(test)]
pub(super) mod trouble {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static STEPS_LEFT: Cell<Option<u64>> = const { Cell::new(None) };
        static BYTES_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// After so many more changes to the disk every one fails, as if the process were gone.
    pub(in crate::file) fn crash_after(steps: Option<u64>) {
        STEPS_LEFT.set(steps);
    }

    /// After so many more bytes the disk is full.
    pub(in crate::file) fn disk_full_after(bytes: Option<usize>) {
        BYTES_LEFT.set(bytes);
    }

    pub(in crate::file) fn step() -> io::Result<()> {
        match STEPS_LEFT.get() {
            Some(0) => Err(io::Error::other("the test's crash")),
            left => {
                STEPS_LEFT.set(left.map(|n| n - 1));
                Ok(())
            }
        }
    }

    /// How much of a write fits, if not all of it.
    pub(in crate::file) fn budget(bytes: usize) -> Option<usize> {
        let left = BYTES_LEFT.get()?;
        if STEPS_LEFT.get() == Some(0) {
            return None;
        }
        BYTES_LEFT.set(Some(left.saturating_sub(bytes)));
        (left < bytes).then_some(left)
    }
}
