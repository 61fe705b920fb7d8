//! From where a secret is to what it is, when a source or a route starts. The values go nowhere else (invariant 10).

use forebay_model::{Fault, Secret, SecretRef};
use serde_json::{Map, Value};

use super::codes;

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

/// A plugin's configuration with every `{"env": "NAME"}` and `{"file": "/path"}` replaced by its secret. The answer holds
/// secrets: it goes to the plugin and nowhere else.
///
/// # Errors
/// What `resolve` says of the first secret that is missing.
pub fn resolve_config(
    config: &Map<String, Value>,
    resolve: &dyn Fn(&SecretRef) -> Result<Secret, Fault>,
) -> Result<Value, Fault> {
    let mut resolved = config.clone();
    for value in resolved.values_mut() {
        resolve_value(value, resolve)?;
    }
    Ok(Value::Object(resolved))
}

fn resolve_value(
    value: &mut Value,
    resolve: &dyn Fn(&SecretRef) -> Result<Secret, Fault>,
) -> Result<(), Fault> {
    if let Some(reference) = reference(value) {
        *value = Value::from(resolve(&reference)?.expose());
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve_value(item, resolve)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| resolve_value(field, resolve)),
        _ => Ok(()),
    }
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
        assert_eq!(
            resolve_config(&config, &resolve).unwrap(),
            json!({
                "columns": {
                    "phone": { "hash": { "key": "<environment variable K>" } },
                    "env": { "keep": { "env": 5 } },
                },
                "list": ["<file /f>", { "env": "A", "more": 1 }, "env"],
            })
        );
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
