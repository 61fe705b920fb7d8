//! A constant's type and cell, from what stands in the configuration.

use forebay_plugin::{Column, ColumnDef, Error, NativeType, parse_part};
use serde::Deserialize;
use serde_json::Value;

/// A constant whose type is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    value: Value,
    r#type: String,
}

/// The column and its cell. Without a type, text is text, a whole number `bigint` (`bigint unsigned` if it must be), true
/// and false `tinyint(1)`, null text.
pub(crate) fn constant(name: &str, path: &str, value: Value) -> Result<(ColumnDef, Column), Error> {
    let (ty, type_path, value) = match value {
        Value::Object(_) => {
            let typed: Typed = parse_part(path, value)?;
            (typed.r#type, format!("{path}.type"), typed.value)
        }
        Value::String(text) => (text_type(&text), String::new(), Value::String(text)),
        Value::Bool(_) => ("boolean".to_owned(), String::new(), value),
        Value::Null => ("longtext".to_owned(), String::new(), value),
        Value::Number(ref number) if number.is_i64() => ("bigint".to_owned(), String::new(), value),
        Value::Number(ref number) if number.is_u64() => ("bigint unsigned".to_owned(), String::new(), value),
        Value::Number(_) => {
            let message = "say the type of a number with a fraction: `{ value: \"...\", type: \"decimal(10,2)\" }`, or \
                           `type: double`";
            return Err(Error::config(path, message));
        }
        Value::Array(_) => {
            let message = "text, a whole number, true, false, null or `{ value, type }` is needed";
            return Err(Error::config(path, message));
        }
    };
    let ty = NativeType::parse(&ty).map_err(|message| Error::config(type_path, message))?;
    let text = match (&value, ty.spelling()) {
        (Value::Null, _) => None,
        (value, "json") => Some(value.to_string()),
        (Value::String(text), _) => Some(text.clone()),
        (Value::Bool(truth), _) => Some(u8::from(*truth).to_string()),
        (value, _) => Some(value.to_string()),
    };
    let cell = ty
        .constant(text.as_deref())
        .map_err(|misfit| Error::config(format!("{path}.value"), format!("the value {misfit}")))?;
    Ok((ty.def(name, text.is_none()), cell))
}

fn text_type(text: &str) -> String {
    match text.chars().count() {
        characters @ 0..=16_383 => format!("varchar({})", characters.max(1)),
        _ => "longtext".to_owned(),
    }
}
