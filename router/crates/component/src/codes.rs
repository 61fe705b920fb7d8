//! Every code that this crate's faults carry.

forebay_model::codes! {
    NOT_WASM = "component.not_wasm", Fatal, "The file is not WebAssembly.";
    ALREADY = "component.already", Fatal, "The file is a component already, where a core module is expected.";
    INVALID = "component.invalid", Fatal, "The file starts like a core module but does not read as one.";
    NO_PLUGIN = "component.no_plugin", Fatal,
        "The core module does not export what a transform plugin exports.";
    FORBIDDEN_IMPORT = "component.forbidden_import", Fatal,
        "The core module imports something that plugins are not given.";
    WRONG_WORLD = "component.wrong_world", Fatal,
        "The core module was made for a contract that this version does not speak.";
    ENCODE = "component.encode", Fatal, "The core module's imports and exports do not fit the contract's types.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_ours() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.starts_with("component.")));
    }
}
