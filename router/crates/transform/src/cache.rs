//! Compiled components on disk, so that a start does not compile again.
//!
//! Owns its folder: mode 0700, one file for each component and engine: the machine code as wasmtime wrote it, what the plugin
//! says of itself (JSON), and the length of that (4 bytes). Promises: a file is written whole, and is on the disk, before
//! it has its name; only what this program itself wrote is ever run. Losing the folder loses time only.
//!
//! A file is mapped and not read, so that taking one costs the same however large it is. Its bytes are therefore trusted as
//! those of the program itself are: nothing looks for bits that a broken disk has flipped.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::host::PluginInfo;
use crate::world::SPOKEN;

/// What a plugin says of itself has no more bytes than this.
const ABOUT: u32 = 1 << 20;
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
        // what is said of a plugin is as this version of the router says it
        let worlds = SPOKEN.map(|version| version.name);
        (worlds, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
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

    /// The compiled form of the component with this hash, if it is here and whole, and who the plugin is.
    pub(crate) fn get(&self, engine: &Engine, sha256: &str) -> Option<(Component, PluginInfo)> {
        let path = self.path(sha256);
        let info = about(&path).ok().filter(|info| info.sha256 == sha256)?;
        Some((trusted::component(engine, &path)?, info))
    }

    /// Keeps a compiled component; what goes wrong is logged, since nothing depends on it.
    pub(crate) fn put(&self, component: &Component, info: &PluginInfo) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = self.folder.join(format!("{NEW}{}-{}-{nth}", info.sha256, std::process::id()));
        let written = component.serialize().map_err(io::Error::other).and_then(|compiled| {
            let about = serde_json::to_vec(info)?;
            let mut file = File::create(&new)?;
            file.write_all(&compiled)?;
            file.write_all(&about)?;
            file.write_all(&(about.len() as u32).to_le_bytes())?;
            file.sync_all()?;
            fs::rename(&new, self.path(&info.sha256))
        });
        if let Err(error) = written {
            remove(&new);
            tracing::warn!(%error, folder = %self.folder.display(), "a compiled plugin could not be cached");
        }
    }
}

/// What stands behind the machine code: a file that was cut has no such end.
fn about(path: &Path) -> io::Result<PluginInfo> {
    let cut = || io::Error::from(io::ErrorKind::InvalidData);
    let file = File::open(path)?;
    let end = file.metadata()?.len().checked_sub(4).ok_or_else(cut)?;
    let mut length = [0; 4];
    file.read_exact_at(&mut length, end)?;
    let length = u32::from_le_bytes(length);
    let start = end.checked_sub(length.into()).filter(|_| length <= ABOUT).ok_or_else(cut)?;
    let mut about = vec![0; length as usize];
    file.read_exact_at(&mut about, start)?;
    Ok(serde_json::from_slice(&about)?)
}

/// Another process that cleans the same folder may have been faster.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The one place of this crate that is not checked by the compiler.
mod trusted {
    #![allow(unsafe_code, reason = "wasmtime cannot check machine code; the cache's folder is our own")]

    use std::path::Path;

    use wasmtime::Engine;
    use wasmtime::component::Component;

    /// Maps machine code that [`Component::serialize`] made. `None` if it is of another engine.
    ///
    /// The contract: the file starts with what `Component::serialize` gave, and does not change while it is mapped.
    /// [`super::Cache`] upholds it: the folder is writable by our own user only, files appear there by rename, from
    /// `put` only and once they are on the disk, and are never written again. Whoever can write as our user needs no such
    /// file to run code. Engine version and settings are checked by wasmtime itself.
    pub(super) fn component(engine: &Engine, file: &Path) -> Option<Component> {
        // SAFETY: as the contract above says.
        unsafe { Component::deserialize_file(engine, file) }.ok()
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
        let info = PluginInfo {
            name: "mask".to_owned(),
            version: "1".to_owned(),
            description: String::new(),
            secrets: vec!["key".to_owned()],
            sha256: "abc".to_owned(),
            bytes: 8,
            world: SPOKEN[0].name.to_owned(),
        };
        let get = |sha256| cache.get(&engine, sha256).map(|(_, info)| info);
        assert_eq!(get("abc"), None);
        cache.put(&component, &info);
        assert_eq!(get("abc"), Some(info));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");

        let file = cache.path("abc");
        let whole = fs::read(&file).unwrap();
        for cut in [whole.len() - 1, whole.len() - 4, whole.len() / 2, 5, 0] {
            fs::write(&file, &whole[..cut]).unwrap();
            assert_eq!(get("abc"), None, "{cut}");
        }
        let other = whole[whole.len() - 200..].to_vec();
        fs::write(&file, other).unwrap();
        assert_eq!(get("abc"), None, "no machine code");
        fs::write(cache.path("abd"), &whole).unwrap();
        assert_eq!(get("abd"), None, "another's");
    }

    #[test]
    fn an_open_folder_is_closed() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Cache::open(home.path(), &Engine::default()).unwrap();
        assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
