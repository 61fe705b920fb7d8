//! Schema through time: what each table looked like at each place of the binlog.
//!
//! With `binlog_row_metadata = FULL` a table map names its columns, and leads. With MINIMAL, which is MySQL's default, names,
//! members of ENUM and SET and the key come from a [`History`] that statements in the binlog carry on, checked against
//! every table map and against the server. What cannot be known makes one table stand aside ([`Quarantined`]), with all
//! its events kept, until somebody says what it looked like ([`Recovery`]). No statement ever stops the source.

mod ahead;
mod alter;
mod aside;
mod change;
mod charsets;
mod clauses;
mod columns;
mod databases;
mod definition;
mod follow;
mod hidden;
mod history;
mod images;
mod lex;
mod lineage;
mod literals;
mod lookup;
mod met;
mod note;
mod place;
mod reader;
mod recover;
mod special;
mod sqltype;
mod statement;
mod version;

#[cfg(test)]
mod tests;

pub(crate) use ahead::{Ahead, foresee};
pub use definition::Definition;
pub(crate) use definition::referential_actions;
pub(crate) use follow::{change_image, fuzz, kept_image};
pub(crate) use history::{History, Sight};
pub(crate) use images::insert;
pub use literals::without_values;
pub(crate) use lookup::{Lookup, catalog};
pub use note::{BEFORE_NOTES, QUARANTINE_NOTES, Quarantined, SCHEMA_NOTES, descendants, lineages};
pub(crate) use place::Place;
pub use recover::{Recovery, decode_quarantined};
pub(crate) use special::{VERSIONED, is_sequence};
pub(crate) use version::Version;
