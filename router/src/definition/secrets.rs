//! From where a secret is to what it is, when a source or a route starts. The values go nowhere else (invariant 10).

use forebay_model::{Fault, Secret, SecretRef};
use serde_json::{Map, Value};

use super::codes;
use super::problem::{child, item};

/// A longer file is no secret, bytes.
const FILE_BYTES: u64 = 64 << 10;

/// The secret that the reference means.
///
/// # Errors
/// `definition.secret_missing` if the variable is not set or the file cannot be read, is empty, or is no text.
pub fn resolve_secret(reference: &SecretRef) -> Result<Secret, Fault> {
    let missing = |why: &str| Fault::new(codes::SECRET_MISSING, format!("the secret in {reference} {why}"));
    match reference {
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(value) if value.is_empty() => Err(missing("is empty")
                .fix(format!("set {name} in the environment of `forebay serve`, then restart it"))),
            Ok(value) => Ok(Secret::new(value)),
            Err(std::env::VarError::NotPresent) => Err(missing("is not there: the variable is not set")
                .fix(format!("set {name} in the environment of `forebay serve`, then restart it"))),
            Err(std::env::VarError::NotUnicode(_)) => Err(missing("is not text (UTF-8)")),
        },
        SecretRef::File(path) => {
            let fix = format!("make {} a file that the server's user may read", path.display());
            let length =
                std::fs::metadata(path).map_err(|e| missing("cannot be read").cause(e).fix(&fix))?.len();
            if length > FILE_BYTES {
                return Err(missing("is longer than 64 KiB, so the file is not a secret").fix(fix));
            }
            let text =
                std::fs::read_to_string(path).map_err(|e| missing("cannot be read").cause(e).fix(&fix))?;
            let value = text.strip_suffix('\n').unwrap_or(&text);
            let value = value.strip_suffix('\r').unwrap_or(value);
            if value.is_empty() {
                return Err(missing("is empty").fix(fix));
            }
            Ok(Secret::new(value))
        }
    }
}

/// A plugin's configuration with its secrets; it goes to the plugin and nowhere else.
pub struct Resolved {
    /// With secrets in the place of references, and some text in the place of those that are missing.
    pub config: Value,
    /// The secrets that stand in it.
    pub secrets: Vec<String>,
    /// Why others are missing, with their paths.
    pub missing: Vec<(String, Fault)>,
}

/// Replaces each `{"env": "NAME"}` and `{"file": "/path"}` at one of the `places` where the plugin takes secrets, with `*` for any key
/// or index. Elsewhere such an object is a setting like any other: a plugin does not keep to itself what it does not know to be a
/// secret.
pub fn resolve_config(
    config: &Map<String, Value>,
    places: &[String],
    resolve: &dyn Fn(&SecretRef) -> Result<Secret, Fault>,
) -> Resolved {
    let mut resolved = Value::Object(config.clone());
    let (mut secrets, mut missing) = (Vec::new(), Vec::new());
    each_value("", &mut resolved, &mut |path, value| {
        let Some(reference) = reference(value).filter(|_| lies_at_one(places, path)) else { return true };
        *value = match resolve(&reference) {
            Ok(secret) => {
                secrets.push(secret.expose().to_owned());
                Value::from(secret.expose())
            }
            Err(fault) => {
                missing.push((path.to_owned(), fault));
                Value::from("a secret that is missing")
            }
        };
        false
    });
    Resolved { config: resolved, secrets, missing }
}

/// Where references stand at which the plugin takes no secret: they are left as they are, which may not be meant.
pub fn left_references(config: &Map<String, Value>, places: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    each_value("", &mut Value::Object(config.clone()), &mut |path, value| {
        if reference(value).is_some() && !lies_at_one(places, path) {
            left.push(path.to_owned());
        }
        true
    });
    left
}

/// Where secrets stand in plain in a plugin's configuration. `places` are the paths at which the plugin takes secrets, with
/// `*` for any key or index.
pub fn plain_secrets(config: &Map<String, Value>, places: &[String]) -> Vec<String> {
    let mut plain = Vec::new();
    each_value("", &mut Value::Object(config.clone()), &mut |path, value| {
        let is_reference = reference(value).is_some();
        if !is_reference && !value.is_null() && lies_at_one(places, path) {
            plain.push(path.to_owned());
        }
        !is_reference
    });
    plain
}

/// Visits a value and what is inside it, as long as `visit` says so.
fn each_value(path: &str, value: &mut Value, visit: &mut dyn FnMut(&str, &mut Value) -> bool) {
    if !visit(path, value) {
        return;
    }
    match value {
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(i, below)| each_value(&item(path, i), below, visit));
        }
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, below)| each_value(&child(path, key), below, visit));
        }
        _ => {}
    }
}

fn lies_at_one(places: &[String], path: &str) -> bool {
    places.iter().any(|place| lies_at(place, path))
}

/// Whether a path such as `columns.phone.hash.key` or `columns["a.b"].hash.key` is one that `columns.*.hash.key` means.
fn lies_at(place: &str, path: &str) -> bool {
    let mut rest = path;
    for step in place.split('.') {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let quoted = rest.starts_with("[\"");
        let end = match rest.strip_prefix('[') {
            Some(_) if quoted => rest.find("\"]").map(|at| at + 2),
            Some(_) => rest.find(']').map(|at| at + 1),
            None => Some(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        let Some((at, left)) = end.filter(|&end| end > 0).and_then(|end| rest.split_at_checked(end)) else {
            return false;
        };
        if step != "*" && step != at {
            return false;
        }
        rest = left;
    }
    rest.is_empty()
}

/// The reference that a value of exactly that form is.
fn reference(value: &Value) -> Option<SecretRef> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (key, place) = fields.iter().next()?;
    match (key.as_str(), place.as_str()?) {
        ("env", name) => Some(SecretRef::Env(name.to_owned())),
        ("file", path) => Some(SecretRef::File(path.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_of_exactly_that_form_are_references() {
        let config = json!({
            "columns": { "phone": { "hash": { "key": { "env": "K" } } }, "env": { "keep": { "env": 5 } } },
            "list": [{ "file": "/f" }, { "env": "A", "more": 1 }, "env"],
        });
        let config = config.as_object().unwrap().clone();
        let resolve = |r: &SecretRef| Ok(Secret::new(format!("<{r}>")));
        let at = |places: &[&str]| {
            let places: Vec<String> = places.iter().map(|place| (*place).to_owned()).collect();
            let resolved = resolve_config(&config, &places, &resolve);
            (resolved.config, resolved.secrets, left_references(&config, &places))
        };
        let (resolved, secrets, left) = at(&["columns.*.*.*", "columns.env.*", "list.*"]);
        assert_eq!(
            resolved,
            json!({
                "columns": {
                    "phone": { "hash": { "key": "<environment variable K>" } },
                    "env": { "keep": { "env": 5 } },
                },
                "list": ["<file /f>", { "env": "A", "more": 1 }, "env"],
            })
        );
        assert_eq!(
            (secrets, left),
            (vec!["<environment variable K>".to_owned(), "<file /f>".to_owned()], vec![])
        );
        // a setting that looks like one: where the plugin takes no secret it is what it says
        let (resolved, secrets, left) = at(&["columns.*.hash"]);
        assert_eq!((resolved, secrets), (Value::Object(config.clone()), Vec::new()));
        assert_eq!(left, ["columns.phone.hash.key", "list[0]"]);
    }

    #[test]
    fn a_secret_in_plain_is_seen_where_the_plugin_takes_one() {
        let config = json!({ "columns": {
            "phone": { "hash": { "key": "hunter2" } },
            "a.b": { "hash": { "key": "hunter2" } },
            "card": { "hash": { "key": { "env": "K" } } },
            "name": { "text": "hunter2" },
            "list": [{ "key": 5 }],
        }});
        let config = config.as_object().unwrap();
        let at = |places: &[&str]| {
            plain_secrets(config, &places.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(at(&["columns.*.hash.key"]), ["columns.phone.hash.key", "columns[\"a.b\"].hash.key"]);
        assert_eq!(at(&["columns.list.*.key"]), ["columns.list[0].key"]);
        assert_eq!(
            at(&["columns.*.hash", "key", ""]),
            ["columns.phone.hash", "columns[\"a.b\"].hash", "columns.card.hash"]
        );
        assert_eq!(at(&[]), [""; 0]);
    }

    #[test]
    fn a_missing_secret_says_where_it_should_be() {
        let fault = resolve_secret(&SecretRef::Env("FOREBAY_NO_SUCH_VARIABLE".into())).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the secret in environment variable FOREBAY_NO_SUCH_VARIABLE is not there: the variable is not set (set \
             FOREBAY_NO_SUCH_VARIABLE in the environment of `forebay serve`, then restart it) [definition.secret_missing]"
        );
        let dir = tempfile::tempdir().unwrap();
        let file = SecretRef::File(dir.path().join("secret"));
        assert!(resolve_secret(&file).unwrap_err().message().contains("cannot be read"));
        for (text, expected) in [("s3cret\r\n", Some("s3cret")), (" a b\n\n", Some(" a b\n")), ("\n", None)] {
            std::fs::write(dir.path().join("secret"), text).unwrap();
            assert_eq!(resolve_secret(&file).ok().as_ref().map(Secret::expose), expected);
        }
    }
}
