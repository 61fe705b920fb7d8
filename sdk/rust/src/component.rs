//! The glue between the component's exports and a [`Transform`]: the typed configuration, the panic hook, log lines.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::bindings::exports::forebay::transform::transformer::{Binding, Guest, GuestBinding, PluginInfo};
use crate::bindings::forebay::transform::host;
use crate::{Batch, Error, Level, Output, Plan, Problem, TableSchema, Transform};

/// More fields that are not known than this are not told.
const UNKNOWN_FIELDS: usize = 50;

/// Who a plugin is; [`export!`](crate::export) fills it from the crate's `Cargo.toml`.
pub trait Describe {
    /// The crate's name.
    const NAME: &'static str;
    /// The crate's version.
    const VERSION: &'static str;
    /// The crate's description.
    const DESCRIPTION: &'static str;
}

/// What [`export!`](crate::export) exports.
#[derive(Debug)]
pub struct Component<T>(PhantomData<T>);

/// The resource that the host holds.
#[derive(Debug)]
pub struct Bound<T>(T);

impl<T> Component<T> {
    /// The one value there is.
    pub const NEW: Self = Component(PhantomData);
}

impl<T: Transform + Describe> Guest for Component<T> {
    type Binding = Bound<T>;

    fn describe() -> PluginInfo {
        PluginInfo {
            name: T::NAME.to_owned(),
            version: T::VERSION.to_owned(),
            description: T::DESCRIPTION.to_owned(),
            secrets: T::SECRETS.iter().map(|path| (*path).to_owned()).collect(),
        }
    }
}

impl<T: Transform> GuestBinding for Bound<T> {
    fn open(schema: TableSchema, config: String) -> Result<Binding, Error> {
        // wasm32-unknown-unknown has no standard error: without this a panic's text is lost
        std::panic::set_hook(Box::new(|panic| host::stderr(without_values(panic).as_bytes())));
        Ok(Binding::new(Bound(T::open(&schema, parse_config(&config)?)?)))
    }

    fn plan(&self) -> Plan {
        self.0.plan()
    }

    fn apply(&self, input: Batch) -> Result<Output, Error> {
        self.0.apply(input)
    }
}

/// A panic's place, and its text where that is the same for every row. What was formatted may hold a row's value, as the
/// standard library's own words on a slice of a string do, and must not reach a log.
fn without_values(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    match panic.payload().downcast_ref::<&'static str>() {
        Some(text) => format!("panicked at {place}: {text}\n"),
        None => format!("panicked at {place} (its text is left out: it may hold a row's value)\n"),
    }
}

/// Reads a configuration.
///
/// # Errors
/// [`Error::Config`] with the path of what is wrong. The value that stands there is left out: it may be a secret.
pub fn parse_config<C: DeserializeOwned>(json: &str) -> Result<C, Error> {
    let config = serde_json::from_str(json).map_err(|error| Error::config("", error.to_string()))?;
    parse_part("", config)
}

/// Reads a part of a configuration that was kept as a JSON value, so that a mistake in one part does not hide those in
/// the others. `path` is where the part stands.
///
/// # Errors
/// As [`parse_config`].
pub fn parse_part<C: DeserializeOwned>(path: &str, mut part: Value) -> Result<C, Error> {
    let mut problems = Vec::new();
    let mut mended: Vec<Vec<String>> = Vec::new();
    for _ in 0..UNKNOWN_FIELDS {
        match serde_path_to_error::deserialize(&part) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => break,
            Err(error) => {
                let place: Vec<_> = error.path().iter().cloned().collect();
                let is_unknown = error.inner().to_string().starts_with("unknown field");
                let words: Vec<String> = place.iter().map(ToString::to_string).collect();
                // what lacks something now may have had it under the wrong name
                if is_unknown || !mended.contains(&words) {
                    problems.push(located(path, &error));
                }
                // a field too many hides nothing: without it, the rest is looked at
                if !is_unknown || !take_out(&mut part, &place) {
                    break;
                }
                mended.push(words[..words.len() - 1].to_vec());
            }
        }
    }
    Err(Error::Config(problems))
}

/// Takes out what stands at a place; false if nothing does.
fn take_out(from: &mut Value, place: &[Segment]) -> bool {
    match (place, from) {
        ([Segment::Map { key }], Value::Object(fields)) => fields.remove(key).is_some(),
        ([Segment::Map { key }, rest @ ..], Value::Object(fields)) => {
            fields.get_mut(key).is_some_and(|inner| take_out(inner, rest))
        }
        ([Segment::Seq { index }, rest @ ..], Value::Array(items)) => {
            items.get_mut(*index).is_some_and(|inner| take_out(inner, rest))
        }
        _ => false,
    }
}

fn located(path: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let below = error.path().to_string();
    let problem = without_value(&error.inner().to_string());
    let path = match (path, below.as_str()) {
        (path, ".") => path.to_owned(),
        ("", below) => below.to_owned(),
        (path, below) if below.starts_with('[') => format!("{path}{below}"),
        (path, below) => format!("{path}.{below}"),
    };
    Problem { path, message: problem }
}

/// serde's sentence without the value that it quotes, and without the line and column in a text that nobody sees.
fn without_value(problem: &str) -> String {
    let problem = problem.rsplit_once(" at line ").map_or(problem, |(sentence, _)| sentence);
    let Some((found, expected)) = problem.rsplit_once(", expected ") else { return problem.to_owned() };
    if !["invalid type", "invalid value", "unknown variant"].iter().any(|kind| found.starts_with(kind)) {
        return problem.to_owned();
    }
    let found = found.split(['"', '`']).next().unwrap_or_default().trim_end();
    format!("{found}, expected {}", in_words(expected))
}

/// What serde expected, for people who do not know Rust's types.
fn in_words(expected: &str) -> String {
    let bits = |bits: &str| if bits == "size" { String::new() } else { format!(" of {bits} bits") };
    let (kind, rest) = expected.split_at_checked(1).unwrap_or_default();
    match (kind, rest) {
        ("u", "8" | "16" | "32" | "64" | "size") => format!("a whole number{}, not below 0", bits(rest)),
        ("i", "8" | "16" | "32" | "64" | "size") => format!("a whole number{}", bits(rest)),
        ("f", "32" | "64") => "a number".to_owned(),
        _ => expected.to_owned(),
    }
}

/// Writes a log line; the host cuts it at 8 KiB and limits the rate. Never put a row value into one. Natively, in
/// tests, it goes to standard error.
pub fn log(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        host::log(level, message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read through Debug")]
    struct Config {
        columns: std::collections::BTreeMap<String, Rule>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read through Debug")]
    struct Rule {
        keep: Option<u32>,
        encoding: Option<Encoding>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(rename_all = "lowercase")]
    enum Encoding {
        Hex,
    }

    fn problem(json: &str) -> String {
        match parse_config::<Config>(json) {
            Err(Error::Config(problems)) => format!("{}: {}", problems[0].path, problems[0].message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn types_are_told_in_words() {
        let of = |error: Result<(), Error>| match error {
            Err(Error::Config(problems)) => problems[0].message.clone(),
            other => panic!("{other:?}"),
        };
        let not_below = of(parse_config::<usize>("-1").map(drop));
        assert_eq!(not_below, "invalid value: integer, expected a whole number, not below 0");
        assert_eq!(
            of(parse_config::<i64>("\"s\"").map(drop)),
            "invalid type: string, expected a whole number of 64 bits"
        );
        assert_eq!(of(parse_config::<f64>("\"s\"").map(drop)), "invalid type: string, expected a number");
        assert_eq!(of(parse_config::<bool>("5").map(drop)), "invalid type: integer, expected a boolean");
    }

    #[test]
    fn a_problem_names_its_path_and_not_its_value() {
        assert!(parse_config::<Config>(r#"{"columns":{"a":{"keep":1,"encoding":"hex"}}}"#).is_ok());
        assert_eq!(
            problem(r#"{"columns":{"phone":{"keep":"s3cret, expected or not"}}}"#),
            "columns.phone.keep: invalid type: string, expected a whole number of 32 bits, not below 0"
        );
        assert_eq!(
            problem(r#"{"columns":{"phone":{"keep":-5}}}"#),
            "columns.phone.keep: invalid value: integer, expected a whole number of 32 bits, not below 0"
        );
        let unknown = problem(r#"{"columns":{"phone":{"encoding":"s3cret"}}}"#);
        assert_eq!(unknown, "columns.phone.encoding: unknown variant, expected `hex`");
        assert_eq!(
            problem(r#"{"columns":{"phone":{"kepp":1}}}"#),
            "columns.phone.kepp: unknown field `kepp`, expected `keep` or `encoding`"
        );
        let part = parse_part::<Rule>("columns.phone", serde_json::json!({ "keep": "s3cret" })).unwrap_err();
        assert_eq!(
            part,
            Error::config(
                "columns.phone.keep",
                "invalid type: string, expected a whole number of 32 bits, not below 0"
            )
        );
        assert_eq!(problem("{}"), ": missing field `columns`");
        assert_eq!(problem(r#"{"columns":{}} x"#), ": trailing characters at line 1 column 16");
    }
}
