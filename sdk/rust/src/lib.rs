//! Writes Forebay transform plugins in Rust: implement [`Transform`], say [`export!`], build with
//! `forebay plugin build`.
//!
//! ```
//! use forebay_plugin::{Batch, Error, Output, Plan, TableSchema, Transform};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     column: String,
//! }
//!
//! /// Writes one text column in capitals.
//! struct Upper {
//!     column: u32,
//! }
//!
//! impl Transform for Upper {
//!     type Config = Config;
//!
//!     fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
//!         Ok(Upper { column: table.text_column(&config.column)? })
//!     }
//!
//!     fn plan(&self) -> Plan {
//!         Plan::default().read(self.column).replace(self.column)
//!     }
//!
//!     fn apply(&self, batch: Batch) -> Result<Output, Error> {
//!         let upper = |text: &str, out: &mut String| out.extend(text.chars().flat_map(char::to_uppercase));
//!         batch.map_columns(|_, column| column.map_text(upper))
//!     }
//! }
//!
//! forebay_plugin::export!(Upper);
//! # fn main() {}
//! ```
//!
//! Owns: the bindings to `wit/v0.1`, the glue between them and a `Transform`, and helpers for columns, types, plans,
//! problems, keyed hashes and tests. Promises: columns are seen without copies; a panic's text reaches the operator; a wrong
//! configuration is answered with the path of what is wrong and never with its value.

mod columns;
mod component;
mod hash;
mod number;
mod problems;
mod schema;
pub mod testing;
mod types;

/// What `wit-bindgen` makes of `wit/v0.1/transform.wit`; everything that plugins use is exported above it.
#[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated")]
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "transform-plugin",
        pub_export_macro: true,
        default_bindings_module: "forebay_plugin::bindings",
        additional_derives: [PartialEq],
    });
}

use serde::de::DeserializeOwned;

pub use bindings::forebay::transform::host::Level;
pub use bindings::forebay::transform::types::{
    Batch, Cells, Column, ColumnDef, Constant, Edit, Error, Layout, LogicalType, Metadata, Output, Plan,
    Problem, Reject, Rename, Retype, Stamp, TableSchema, VarCells,
};
pub use columns::{Cell, TextWriter, Texts};
#[doc(hidden)]
pub use component::{Component, Describe};
pub use component::{log, parse_config, parse_part};
pub use hash::{Encoding, FastHash, KeyedHash};
pub use number::Decimal;
pub use problems::Problems;
pub use types::{ColumnWriter, Misfit, NativeType};

/// A transform, bound to one version of one table.
///
/// One value serves many batches, on one thread. It may be made anew between two batches, so nothing may depend on
/// what earlier batches held.
pub trait Transform: Sized + 'static {
    /// The route's configuration; derive `serde::Deserialize` with `deny_unknown_fields`.
    type Config: DeserializeOwned;

    /// Where in the configuration secrets stand, as `columns.*.hash.key`: only references to secrets are accepted
    /// there, so that none is written down in plain.
    const SECRETS: &'static [&'static str] = &[];

    /// Binds.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Schema`] with every problem, in words for the operator: the route does not start.
    fn open(table: &TableSchema, config: Self::Config) -> Result<Self, Error>;

    /// What is read and changed; asked once.
    fn plan(&self) -> Plan;

    /// Transforms a batch. Never called where the plan computes nothing and filters nothing.
    ///
    /// # Errors
    /// [`Error::Data`]: the host looks for the event at fault and puts it to the dead letters. To let the rest of the
    /// batch pass, give a [`Reject`] for the image instead.
    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let _ = batch;
        Ok(Output::default())
    }
}

impl Error {
    /// A problem with the configuration at `path` (empty = all of it).
    pub fn config(path: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Config(vec![Problem { path: path.into(), message: message.into() }])
    }

    /// A problem of what stands at `path` with the table.
    pub fn schema(path: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Schema(vec![Problem { path: path.into(), message: message.into() }])
    }

    /// The same problems, at `path` where they had none.
    #[must_use]
    pub fn at(self, path: &str) -> Error {
        let place = |mut problems: Vec<Problem>| {
            for problem in problems.iter_mut().filter(|p| p.path.is_empty()) {
                path.clone_into(&mut problem.path);
            }
            problems
        };
        match self {
            Error::Config(problems) => Error::Config(place(problems)),
            Error::Schema(problems) => Error::Schema(place(problems)),
            Error::Data(words) => Error::Data(words),
        }
    }
}

/// Makes the crate a plugin: exports a [`Transform`] under the name, version and description of the crate's
/// `Cargo.toml`.
#[macro_export]
macro_rules! export {
    ($transform:ty) => {
        const _: () = {
            impl $crate::Describe for $transform {
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
                const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
            }
            type Exported = $crate::Component<$transform>;
            // natively, for tests, there is nothing to export: only a component has such names
            #[cfg(target_arch = "wasm32")]
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
            #[cfg(not(target_arch = "wasm32"))]
            const _: Exported = $crate::Component::NEW;
        };
    };
}
