//! The codes of every fault that the store gives.

use forebay_model::{Class, Code};

const fn fatal(name: &'static str, meaning: &'static str) -> Code {
    Code { name, class: Class::Fatal, meaning }
}

/// Somebody else changed the document first.
pub const CONFLICT: Code =
    fatal("store.conflict", "a document was changed by somebody else since it was read; nothing was written");
/// Another process has the file open.
pub const IN_USE: Code = fatal("store.in_use", "another process has the control file open");
/// The file is not what was written.
pub const DAMAGED: Code =
    fatal("store.damaged", "the control file is damaged, or is not a control file; it is never guessed at");
/// The file was written by a newer version.
pub const NEWER_FORMAT: Code =
    fatal("store.newer_format", "the control file was written by a newer version of Forebay");
/// The disk refused.
pub const IO: Code = Code {
    name: "store.io",
    class: Class::Retryable,
    meaning: "the control file could not be read or written: a full disk, a missing right, a failing device",
};
/// A checkpoint would have moved back.
pub const CHECKPOINT_BACK: Code = fatal(
    "store.checkpoint_back",
    "a checkpoint would have moved back within its epoch, which only setting the offset by hand may do",
);
/// A plugin definition names bytes that are not here.
pub const PLUGIN_MISSING: Code =
    fatal("store.plugin_missing", "a plugin definition names a component that was not uploaded");
/// A plugin's bytes are still named by a definition.
pub const PLUGIN_IN_USE: Code =
    fatal("store.plugin_in_use", "a component cannot be deleted while a plugin definition names it");
/// A route's dead letters are at their bound.
pub const DEAD_LETTERS_FULL: Code = fatal(
    "store.dead_letters_full",
    "a route has as many dead letters as are kept; it stops, because none is ever dropped",
);
/// The process is stopping.
pub const STOPPING: Code = Code {
    name: "store.stopping",
    class: Class::Retryable,
    meaning: "the process is shutting down and writes no more",
};

/// Every code of this crate.
pub const ALL: &[Code] = &[
    CONFLICT,
    IN_USE,
    DAMAGED,
    NEWER_FORMAT,
    IO,
    CHECKPOINT_BACK,
    PLUGIN_MISSING,
    PLUGIN_IN_USE,
    DEAD_LETTERS_FULL,
    STOPPING,
];
