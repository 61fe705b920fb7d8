//! Definitions as YAML text.
//!
//! Read by serde-saphyr: maintained, without unsafe code, refuses duplicate keys, bounds what anchors may expand to, and
//! reads YAML 1.2's booleans only, so `no` and `off` stay text. (serde_yaml is archived; its forks translate C.)

use forebay_model::Fault;
use serde_json::Value;

use super::codes;

/// The value that the text says; the same as the API takes as JSON.
///
/// # Errors
/// `definition.yaml`, with the line.
pub fn from_yaml(text: &str) -> Result<Value, Fault> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        // A snippet would show what stands around the mistake, secrets too.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| Fault::new(codes::YAML, "the definitions are not valid YAML").cause(e.to_string()))
}

/// The text that [`from_yaml`] reads as this value.
///
/// # Errors
/// `definition.yaml` if the value cannot be written, which no definition causes.
pub fn to_yaml(value: &Value) -> Result<String, Fault> {
    serde_saphyr::to_string(value).map_err(|e| {
        Fault::new(codes::YAML, "the definitions cannot be written as YAML").cause(e.to_string())
    })
}
