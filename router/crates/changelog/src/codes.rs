//! The codes of every fault that this crate answers with; `docs/errors.md` explains each.

use forebay_model::{Class, Code};

/// Another process has the file.
pub const IN_USE: Code = Code {
    name: "changelog.in_use",
    class: Class::Retryable,
    meaning: "The changelog file is open in another process; a changelog has one owner.",
};

/// What is stored is not what was written.
pub const DAMAGED: Code = Code {
    name: "changelog.damaged",
    class: Class::Fatal,
    meaning: "The changelog file, or one block in it, does not hold what was written (a checksum or the form is wrong).",
};

/// Written by a later version.
pub const NEWER_FORMAT: Code = Code {
    name: "changelog.newer_format",
    class: Class::Fatal,
    meaning: "The changelog file was written in a format that this version does not read.",
};

/// The disk is full.
pub const DISK_FULL: Code = Code {
    name: "changelog.disk_full",
    class: Class::Retryable,
    meaning: "The file system had no room for the next commit; nothing that was committed is lost.",
};

/// Any other failure of the file.
pub const IO: Code = Code {
    name: "changelog.io",
    class: Class::Retryable,
    meaning: "Reading or writing the changelog file failed; nothing that was committed is lost.",
};

/// The offset is gone.
pub const TRIMMED: Code = Code {
    name: "changelog.trimmed",
    class: Class::Fatal,
    meaning: "The offset asked for is older than the oldest event kept; the events between are gone.",
};

/// The offset has not been reached.
pub const AHEAD: Code = Code {
    name: "changelog.ahead",
    class: Class::Fatal,
    meaning: "The offset asked for lies beyond the head: the changelog is younger than whoever remembers the offset.",
};

/// The log was closed.
pub const CLOSED: Code = Code {
    name: "changelog.closed",
    class: Class::Retryable,
    meaning: "The changelog was closed while somebody was using it (a stop, or a restart of the source).",
};

/// The writer ended without saying why.
pub const STOPPED: Code = Code {
    name: "changelog.stopped",
    class: Class::Fatal,
    meaning: "The changelog's writer ended unexpectedly: a defect in Forebay, or a file damaged beyond what is checked.",
};

/// All of them.
pub const ALL: &[Code] = &[IN_USE, DAMAGED, NEWER_FORMAT, DISK_FULL, IO, TRIMMED, AHEAD, CLOSED, STOPPED];
