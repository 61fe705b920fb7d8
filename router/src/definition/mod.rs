//! What is to run: the documents, every problem with them, and what an apply would do.
//!
//! One path for YAML and REST: text becomes a JSON value ([`from_yaml`]), the value is checked as a whole
//! ([`check`]), and what passed is compared with what is stored ([`Plan`]). Nothing here asks a server or runs a
//! plugin; what only the world can tell (a table that is not there, a configuration that a plugin refuses) is the
//! engine's to find, in the same [`Problem`].

pub mod codes;
mod document;
mod later;
mod parse;
mod patterns;
mod pii;
mod plan;
mod problem;
mod rules;
mod secrets;
mod validate;
mod yaml;

pub use document::{
    DeadLettersDef, Definitions, LimitsDef, MysqlDef, PluginDef, ReplicaDef, RetainDef, RouteDef,
    SnapshotMode, SnapshotsDef, SourceDef, StartAt, TlsDef, TransformDef,
};
pub use later::LaterNames;
pub use parse::read;
pub use pii::{Guard, Why, allowed as allowed_pii};
pub use plan::{Action, Plan, Step};
pub use problem::{Problem, Warning, child, item};
pub use secrets::{Resolved, left_references, plain_secrets, resolve_config, resolve_secret};
pub use validate::{Checked, Existing, Mode, Wanted, check, check_delete};
pub use yaml::{from_yaml, to_yaml};

#[cfg(test)]
mod tests;
