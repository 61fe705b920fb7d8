//! Every code that this crate's faults carry.

forebay_model::codes! {
    HOST = "transform.host", Fatal, "The WebAssembly engine or its cache folder could not be set up.";
    NOT_WASM = "transform.not_wasm", Fatal, "The upload is not WebAssembly at all.";
    CORE_MODULE = "transform.core_module", Fatal,
        "The upload is a WebAssembly core module where a component is needed.";
    INVALID = "transform.invalid", Fatal, "The upload starts like a component but does not validate or compile.";
    WRONG_WORLD = "transform.wrong_world", Fatal,
        "The component does not export forebay:transform/transformer in a version that this router speaks.";
    FORBIDDEN_IMPORT = "transform.forbidden_import", Fatal,
        "The component imports something that plugins are not given, such as WASI.";
    DESCRIBE = "transform.describe", Fatal, "The plugin failed when it was asked who it is.";
    CONFIG = "transform.config", Fatal, "The plugin refused its configuration.";
    SCHEMA = "transform.schema", Fatal, "The plugin cannot serve this table.";
    BIND = "transform.bind", Fatal, "The plugin crashed or ran out of a limit while it was bound to a table.";
    BAD_PLAN = "transform.bad_plan", Fatal, "The plugin's plan contradicts the table or itself.";
    WRONG_TABLE = "transform.wrong_table", Fatal,
        "A batch of another table, or another version of it, came to a binding.";
    TRAP = "transform.trap", Poison, "The plugin crashed on a batch, twice.";
    TIMEOUT = "transform.timeout", Poison, "The plugin ran longer than a batch may take, twice.";
    MEMORY = "transform.memory", Poison, "The plugin wanted more memory than it may have, twice.";
    OUTPUT_TOO_LARGE = "transform.output_too_large", Poison,
        "The plugin returned more bytes for a batch than it may, twice.";
    BAD_OUTPUT = "transform.bad_output", Poison, "What the plugin returned does not fit its plan or the contract.";
    DATA = "transform.data", Poison, "The plugin said that it cannot do a batch.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_ours() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.starts_with("transform.")));
    }
}
