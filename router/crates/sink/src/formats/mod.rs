//! How events are written: text from columns, without a value, row or event being allocated on the way.
//!
//! A format reads a block's batches as they lie (columns) and appends one record for each event to a [`Text`]. It
//! promises the commit order of [`Block::runs_in_order`](forebay_model::Block::runs_in_order) and tells where each
//! record ends, so that a sink can cut.

pub(crate) mod calendar;
pub(crate) mod console;
pub mod debezium;
pub(crate) mod digits;
pub(crate) mod json;
mod text;

use serde::{Deserialize, Serialize};

pub use console::lines;
pub use text::Text;

/// How events are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FormatConfig {
    /// Debezium's JSON envelope: before, after, source, op and times.
    Debezium(debezium::DebeziumConfig),
}

impl Default for FormatConfig {
    fn default() -> Self {
        FormatConfig::Debezium(debezium::DebeziumConfig::default())
    }
}

impl FormatConfig {
    /// What is wrong with it: `(path below the format, words)`.
    pub fn problems(&self) -> Vec<(String, String)> {
        match self {
            FormatConfig::Debezium(config) => config
                .problems()
                .into_iter()
                .map(|(path, words)| (format!("debezium.{path}"), words))
                .collect(),
        }
    }

    /// A renderer for a source's events.
    pub fn renderer(&self, source: &str) -> debezium::Renderer {
        match self {
            FormatConfig::Debezium(config) => debezium::Renderer::new(config, source),
        }
    }
}
