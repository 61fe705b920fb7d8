//! Compiled components on disk, so that a start does not compile again.
//!
//! Owns its folder: mode 0700, one file for each component and engine. Promises: a file is written whole or not at
//! all; only what this program itself wrote, unchanged, is ever run. Losing the folder loses time only.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Length of the checksum that a file starts with.
const SUM: usize = 32;
/// How many compiled plugins stay from run to run.
const FILES: usize = 64;
/// What the name of a file begins with that is being written.
const NEW: &str = ".new-";
/// How old such a file is that nobody is writing any more.
const HALF_WRITTEN: Duration = Duration::from_secs(3600);

/// The folder.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Says for which engine (version, settings, processor) a file was compiled.
    engine: u64,
}

impl Cache {
    /// Makes the folder, private to this user, if it is not there.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> io::Result<Cache> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        if !metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder"));
        }
        // a file that was just made belongs to whoever runs this; nobody else's folder is trusted
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        fs::write(&probe, [])?;
        let ours = fs::metadata(&probe)?.uid();
        fs::remove_file(&probe)?;
        if metadata.uid() != ours {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Cache { folder: folder.to_owned(), engine: hasher.finish() };
        cache.clean()?;
        Ok(cache)
    }

    /// Removes what nobody will ask for: files of other engines, what a killed run left half written, and the oldest
    /// files above [`FILES`].
    fn clean(&self) -> io::Result<()> {
        let mine = format!("-{:016x}.cwasm", self.engine);
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let modified = entry.metadata()?.modified()?;
            if name.starts_with(NEW) {
                if modified.elapsed().is_ok_and(|age| age > HALF_WRITTEN) {
                    remove(&entry.path());
                }
            } else if name.ends_with(&mine) {
                kept.push((modified, entry.path()));
            } else if name.ends_with(".cwasm") {
                remove(&entry.path());
            }
        }
        kept.sort();
        let surplus = kept.len().saturating_sub(FILES);
        kept[..surplus].iter().for_each(|(_, path)| remove(path));
        Ok(())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}-{:016x}.cwasm", self.engine))
    }

    /// The compiled form of the component with this hash, if it is here and whole.
    pub(crate) fn get(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let file = fs::read(self.path(sha256)).ok()?;
        let (sum, compiled) = file.split_at_checked(SUM)?;
        if Sha256::digest(compiled).as_slice() != sum {
            return None;
        }
        trusted::component(engine, compiled)
    }

    /// Keeps a compiled component; what goes wrong is logged, since nothing depends on it.
    pub(crate) fn put(&self, sha256: &str, component: &Component) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = self.folder.join(format!("{NEW}{sha256}-{}-{nth}", std::process::id()));
        let written = component.serialize().map_err(io::Error::other).and_then(|compiled| {
            let mut file = Vec::with_capacity(SUM + compiled.len());
            file.extend_from_slice(&Sha256::digest(&compiled));
            file.extend_from_slice(&compiled);
            fs::write(&new, file)?;
            fs::rename(&new, self.path(sha256))
        });
        if let Err(error) = written {
            remove(&new);
            tracing::warn!(%error, folder = %self.folder.display(), "a compiled plugin could not be cached");
        }
    }
}

/// Another process that cleans the same folder may have been faster.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The one place of this crate that is not checked by the compiler.
mod trusted {
    #![allow(unsafe_code, reason = "wasmtime cannot check machine code; the cache's folder and checksum do")]

    use wasmtime::Engine;
    use wasmtime::component::Component;

    /// Takes machine code that [`Component::serialize`] made. `None` if it is of another engine.
    ///
    /// The contract: `compiled` is byte for byte what `Component::serialize` gave. [`super::Cache`] upholds it: the
    /// folder is writable by our own user only, files appear there by rename and only from `put`, and the checksum
    /// that `put` wrote is verified, so that a damaged disk makes a miss. Whoever can write as our user needs no
    /// such file to run code. Engine version and settings are checked by wasmtime itself.
    pub(super) fn component(engine: &Engine, compiled: &[u8]) -> Option<Component> {
        // SAFETY: as the contract above says.
        unsafe { Component::deserialize(engine, compiled) }.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("cache");
        let engine = Engine::default();
        let cache = Cache::open(&folder, &engine).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        cache.put("abc", &component);
        assert!(cache.get(&engine, "abc").is_some());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");

        let file = cache.path("abc");
        let whole = fs::read(&file).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..SUM], &whole[..5], &[]] {
            fs::write(&file, damaged).unwrap();
            assert!(cache.get(&engine, "abc").is_none());
        }
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(&file, flipped).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
    }

    #[test]
    fn an_open_folder_is_closed() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Cache::open(home.path(), &Engine::default()).unwrap();
        assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
