//! What goes wrong with the file, in an operator's words, and which of it reopening the file mends.

use std::path::Path;

use forebay_model::Fault;

use crate::codes;

/// What helps against damage.
pub(crate) const DAMAGED_FIX: &str = "check the disk; set the routes past the damaged events, or move the file away and let the source \
                           start again with a snapshot";

/// What a redb error means to an operator.
pub(crate) fn fault(path: &Path, doing: &str, e: impl Into<redb::Error>) -> Fault {
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

/// Whether the disk refused, so that the same may succeed once the file is opened again: after one such error redb refuses
/// everything.
pub(crate) fn passes(fault: &Fault) -> bool {
    [codes::DISK_FULL, codes::IO].contains(&fault.code())
}

/// Lets the kernel forget what it has of the file. After a sync that failed it may hold pages as good that the disk does not have:
/// what is read next must come from the disk.
pub(crate) fn forget_cached(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = std::fs::File::open(path) {
        // a file system without a cache has nothing to forget
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
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
            assert!(passes(&fault), "{fault}");
            assert!(fault.to_string().contains("a.redb"), "{fault}");
        }
        assert_eq!(fault(Path::new("a"), "x", redb::Error::PreviousIo).code(), codes::IO);
    }
}
