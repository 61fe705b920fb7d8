//! Values as YAML in a line, as a person would write them.

use serde_json::Value;

/// The value, quoted only where it must be.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}: {}", text(name), flow(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// A text that reads back as that text.
fn text(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || "_*.@".contains(c))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@* ".contains(c));
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && !word.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::from_yaml;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn is_what_a_person_writes() {
        let value = json!({ "op": "insert", "after": { "id": 1, "mail": "j***@example.com", "at": "2020-01-31", "no": null } });
        assert_eq!(
            flow(&value),
            r#"{ op: insert, after: { id: 1, mail: j***@example.com, at: "2020-01-31", "no": null } }"#
        );
        assert_eq!(
            flow(&json!([[], {}, "", "true", "- a", "a: b", "a #b", "é"])),
            r#"[[], {}, "", "true", "- a", "a: b", "a #b", "é"]"#
        );
    }

    proptest! {
        #[test]
        fn reads_back(texts in proptest::collection::vec(any::<String>(), 0..4), word in "[a-zA-Z_0-9 .*@-]{0,8}") {
            let value = json!({ "a": texts, "b": word });
            prop_assert_eq!(from_yaml(&flow(&value)).unwrap(), value);
        }
    }
}
