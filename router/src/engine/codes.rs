//! The engine's own fault codes.

use forebay_model::{Class, Code};

pub use super::letters::{REJECTED, TOO_MANY};
pub use super::pii::EXPOSED;
pub use super::versions::{TAKEN as VERSION_TAKEN, UNKNOWN as VERSION_UNKNOWN};

/// A route or source names something that does not exist.
pub const UNKNOWN: Code = Code {
    name: "engine.unknown",
    class: Class::Fatal,
    meaning: "A source, route or plugin of that name does not exist.",
};

/// A task panicked.
pub const PANIC: Code = Code {
    name: "engine.panic",
    class: Class::Fatal,
    meaning: "A defect of Forebay stopped one route or source; the others go on. Please report it with the log.",
};

/// An offset outside the changelog.
pub const BAD_OFFSET: Code = Code {
    name: "engine.bad_offset",
    class: Class::Fatal,
    meaning: "The offset that was asked for is not in the changelog.",
};

/// A component that ran once.
pub const PAST_MISSING: Code = Code {
    name: "engine.past_missing",
    class: Class::Fatal,
    meaning: "A replay with the transforms that ran then needs a component or a secret that is not here any more; nothing was delivered with others.",
};

/// A route's history before its oldest entry.
pub const HISTORY_LOST: Code = Code {
    name: "engine.history_lost",
    class: Class::Fatal,
    meaning: "It is no longer known which transforms a route ran with then: a hundred changes are remembered.",
};

/// The data directory.
pub const DATA_DIR: Code =
    Code { name: "engine.data_dir", class: Class::Fatal, meaning: "The data directory cannot be used." };

/// A stored definition of another version.
pub const UNREADABLE: Code = Code {
    name: "engine.unreadable_definition",
    class: Class::Fatal,
    meaning: "A stored definition cannot be read by this version of Forebay.",
};

/// A route without its changelog.
pub const NO_LOG: Code = Code {
    name: "engine.no_changelog",
    class: Class::Fatal,
    meaning: "The changelog that the route reads could not be opened; the source says why.",
};

/// A table that a definition names.
pub const NO_TABLE: Code = Code {
    name: "engine.no_such_table",
    class: Class::Fatal,
    meaning: "A definition names a table that the server does not have, or that the source's user may not see.",
};

/// A route that would read another source.
pub const SOURCE_CHANGED: Code = Code {
    name: "engine.source_changed",
    class: Class::Fatal,
    meaning: "A route cannot be moved to another source: its offset means nothing there.",
};

/// A changelog that was replaced under a route.
pub const REPLACED_LOG: Code = Code {
    name: "engine.changelog_replaced",
    class: Class::Fatal,
    meaning: "The changelog is not the one that the route's offset counts in; somebody has to say where the route goes on.",
};

/// A source that cannot carry an order out.
pub const NOT_CONNECTED: Code = Code {
    name: "engine.not_connected",
    class: Class::Retryable,
    meaning: "What was asked for needs the source's server, and the source is not connected to it now.",
};

/// A table that is not in quarantine.
pub const NOT_QUARANTINED: Code = Code {
    name: "engine.not_quarantined",
    class: Class::Fatal,
    meaning: "The table is not in quarantine: its events are decoded as they come.",
};

/// Events of a table in quarantine that are gone.
pub const KEPT_MISSING: Code = Code {
    name: "engine.kept_missing",
    class: Class::Fatal,
    meaning: "Not all events that were kept of the table in quarantine are in the changelog; releasing it would lose the others unsaid.",
};

/// All of them.
pub const ALL: &[Code] = &[
    TOO_MANY,
    REJECTED,
    EXPOSED,
    VERSION_TAKEN,
    VERSION_UNKNOWN,
    UNKNOWN,
    PANIC,
    BAD_OFFSET,
    PAST_MISSING,
    HISTORY_LOST,
    DATA_DIR,
    UNREADABLE,
    NO_LOG,
    NOT_CONNECTED,
    NOT_QUARANTINED,
    KEPT_MISSING,
    NO_TABLE,
    REPLACED_LOG,
    SOURCE_CHANGED,
];
