//! The codes of every problem and fault of definitions.

use forebay_model::{Class, Code};

const fn fatal(name: &'static str, meaning: &'static str) -> Code {
    Code { name, class: Class::Fatal, meaning }
}

/// Not YAML.
pub const YAML: Code = fatal("definition.yaml", "the text is not YAML, or says the same thing twice");
/// A field that does not exist.
pub const UNKNOWN_FIELD: Code =
    fatal("definition.unknown_field", "a definition has a field that does not exist");
/// A field that must be there.
pub const MISSING_FIELD: Code =
    fatal("definition.missing_field", "a definition lacks a field that it must have");
/// A value of the wrong type.
pub const WRONG_TYPE: Code =
    fatal("definition.wrong_type", "a value has the wrong type, such as text where a number belongs");
/// A choice that does not exist.
pub const UNKNOWN_CHOICE: Code =
    fatal("definition.unknown_choice", "a value is none of those that can stand at its place");
/// A secret that is written out.
pub const SECRET_IN_PLAIN: Code = fatal(
    "definition.secret_in_plain",
    "a secret is written out where only a reference to it may stand; it is neither stored nor repeated",
);
/// A value that cannot be right.
pub const INVALID: Code =
    fatal("definition.invalid", "a value has the right type and is still not a possible one");
/// A name that cannot be one.
pub const BAD_NAME: Code = fatal(
    "definition.bad_name",
    "a name is not made of 1 to 63 lower-case letters, digits and hyphens, the first no hyphen",
);
/// A reference to something that is not defined.
pub const UNKNOWN_REFERENCE: Code =
    fatal("definition.unknown_reference", "a source or plugin is named that is not defined");
/// A list that must hold something.
pub const EMPTY: Code = fatal("definition.empty", "a list or text is empty that must hold something");
/// The same thing twice.
pub const DUPLICATE: Code = fatal("definition.duplicate", "the same thing is said twice where once is meant");
/// A number that is too small or too large.
pub const OUT_OF_RANGE: Code = fatal("definition.out_of_range", "a number is below or above what is allowed");
/// A pattern that can match nothing.
pub const NO_MATCH: Code =
    fatal("definition.no_match", "a table pattern can never match a table that the source captures");
/// A definition that others need.
pub const IN_USE: Code = fatal("definition.in_use", "a source or plugin cannot go while a route uses it");
/// More problems than are listed.
pub const TOO_MANY: Code =
    fatal("definition.too_many_problems", "a document has more problems than are listed");
/// A secret that is not where its reference says.
pub const SECRET_MISSING: Code = fatal(
    "definition.secret_missing",
    "a secret is not where its definition says: the variable is not set, or the file cannot be read",
);

/// Every code of this module.
pub const ALL: &[Code] = &[
    YAML,
    UNKNOWN_FIELD,
    MISSING_FIELD,
    WRONG_TYPE,
    UNKNOWN_CHOICE,
    SECRET_IN_PLAIN,
    INVALID,
    BAD_NAME,
    UNKNOWN_REFERENCE,
    EMPTY,
    DUPLICATE,
    OUT_OF_RANGE,
    NO_MATCH,
    IN_USE,
    TOO_MANY,
    SECRET_MISSING,
];
