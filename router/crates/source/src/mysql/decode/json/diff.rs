//! Differences between two JSON values, as binlog_row_value_options = PARTIAL_JSON writes them, and what they make of
//! the value before.
//!
//! Format: `Json_diff::write_binary` and `apply_json_diffs` of MySQL (`sql-common/json_diff.cc`, `sql/json_dom.cc`).

use super::{Writer, members};
use crate::mysql::cursor::{Cursor, Garbled};

/// A JSON value that can be changed. Scalars stay as the binlog has them.
#[derive(Debug)]
enum Value<'a> {
    /// Members by length of key, then by its bytes.
    Object(Vec<(Vec<u8>, Value<'a>)>),
    Array(Vec<Value<'a>>),
    /// The type, and the bytes that begin with the value.
    Scalar(u8, &'a [u8]),
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Leg {
    Member(Vec<u8>),
    Cell(usize),
}

/// Appends the text of the value that `diffs` make of `before`.
///
/// # Errors
/// If the bytes make no sense, or the differences do not fit the value; then something may have been appended.
pub(in crate::mysql::decode) fn apply(before: &[u8], diffs: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    let most = out.len() + (before.len() + diffs.len()).saturating_mul(16) + 1024;
    // an honest value has fewer parts than bytes
    let mut room = before.len() + diffs.len() + 1;
    let mut value = parse(before, &mut room)?;
    let mut at = Cursor::new(diffs);
    while !at.is_empty() {
        let operation = at.u8()?;
        let mut legs = path(at.packed_bytes()?)?;
        let new = if operation == 2 { None } else { Some(parse(at.packed_bytes()?, &mut room)?) };
        match (operation, new) {
            (0, Some(new)) => *seek(&mut value, &legs)? = new,
            (1, Some(new)) => {
                let last = legs.pop().ok_or(Garbled)?;
                match (seek(&mut value, &legs)?, last) {
                    (Value::Object(members), Leg::Member(key)) => match find(members, &key) {
                        Ok(_) => return Err(Garbled),
                        Err(place) => members.insert(place, (key, new)),
                    },
                    // past the end means at the end
                    (Value::Array(cells), Leg::Cell(n)) => cells.insert(n.min(cells.len()), new),
                    _ => return Err(Garbled),
                }
            }
            (2, None) => {
                let last = legs.pop().ok_or(Garbled)?;
                match (seek(&mut value, &legs)?, last) {
                    (Value::Object(members), Leg::Member(key)) => {
                        let place = find(members, &key).map_err(|_| Garbled)?;
                        members.remove(place);
                    }
                    (Value::Array(cells), Leg::Cell(n)) if n < cells.len() => drop(cells.remove(n)),
                    _ => return Err(Garbled),
                }
            }
            _ => return Err(Garbled),
        }
    }
    write(&mut Writer { out, most, depth: 0 }, &value)
}

fn find(members: &[(Vec<u8>, Value<'_>)], key: &[u8]) -> Result<usize, usize> {
    members.binary_search_by(|(k, _)| (k.len(), &k[..]).cmp(&(key.len(), key)))
}

fn seek<'v, 'a>(mut value: &'v mut Value<'a>, legs: &[Leg]) -> Result<&'v mut Value<'a>, Garbled> {
    for leg in legs {
        value = match (value, leg) {
            (Value::Object(members), Leg::Member(key)) => {
                let place = find(members, key).map_err(|_| Garbled)?;
                &mut members[place].1
            }
            (Value::Array(cells), Leg::Cell(n)) => cells.get_mut(*n).ok_or(Garbled)?,
            // what is no array is the first cell of itself
            (Value::Array(_), _) | (_, Leg::Member(_)) => return Err(Garbled),
            (value, Leg::Cell(0)) => value,
            _ => return Err(Garbled),
        };
    }
    Ok(value)
}

fn parse<'a>(bytes: &'a [u8], room: &mut usize) -> Result<Value<'a>, Garbled> {
    match bytes.split_first() {
        Some((&kind, value)) => parse_value(kind, value, room, 0),
        // as `to_text` reads it
        None => Ok(Value::Scalar(4, &[0])),
    }
}

fn parse_value<'a>(kind: u8, at: &'a [u8], room: &mut usize, depth: u32) -> Result<Value<'a>, Garbled> {
    *room = room.checked_sub(1).ok_or(Garbled)?;
    if depth > super::DEEPEST {
        return Err(Garbled);
    }
    if kind > 3 {
        return Ok(Value::Scalar(kind, at));
    }
    let (object, large) = (kind < 2, kind & 1 == 1);
    let (mut named, mut cells) = (Vec::new(), Vec::new());
    members(object, large, at, |key, kind, value| {
        let value = parse_value(kind, value, room, depth + 1)?;
        match key {
            Some(key) => named.push((key.to_vec(), value)),
            None => cells.push(value),
        }
        Ok(())
    })?;
    Ok(if object { Value::Object(named) } else { Value::Array(cells) })
}

fn write(writer: &mut Writer<'_>, value: &Value<'_>) -> Result<(), Garbled> {
    match value {
        Value::Scalar(kind, at) => writer.value(*kind, at)?,
        Value::Array(cells) => {
            writer.out.push(b'[');
            for (i, cell) in cells.iter().enumerate() {
                writer.out.extend_from_slice(if i > 0 { b", " } else { b"" });
                write(writer, cell)?;
            }
            writer.out.push(b']');
        }
        Value::Object(members) => {
            writer.out.push(b'{');
            for (i, (key, value)) in members.iter().enumerate() {
                writer.out.extend_from_slice(if i > 0 { b", " } else { b"" });
                writer.string(key)?;
                writer.out.extend_from_slice(b": ");
                write(writer, value)?;
            }
            writer.out.push(b'}');
        }
    }
    Ok(())
}

/// A path such as `$.a[3]."b c"`.
fn path(bytes: &[u8]) -> Result<Vec<Leg>, Garbled> {
    let mut rest = std::str::from_utf8(bytes).map_err(|_| Garbled)?.strip_prefix('$').ok_or(Garbled)?;
    let mut legs = Vec::new();
    while !rest.is_empty() {
        if let Some(cell) = rest.strip_prefix('[') {
            let (n, behind) = cell.split_once(']').ok_or(Garbled)?;
            legs.push(Leg::Cell(n.parse().map_err(|_| Garbled)?));
            rest = behind;
        } else if let Some(quoted) = rest.strip_prefix(".\"") {
            let (key, behind) = unquote(quoted)?;
            legs.push(Leg::Member(key.into_bytes()));
            rest = behind;
        } else {
            let name = rest.strip_prefix('.').ok_or(Garbled)?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            legs.push(Leg::Member(name.as_bytes()[..end].to_vec()));
            rest = &name[end..];
        }
    }
    Ok(legs)
}

/// A JSON string behind its opening quote, and what follows its closing one.
fn unquote(text: &str) -> Result<(String, &str), Garbled> {
    let mut key = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or(Garbled)? {
            '"' => return Ok((key, chars.as_str())),
            '\\' => key.push(match chars.next().ok_or(Garbled)? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let (digits, behind) = chars.as_str().split_at_checked(4).ok_or(Garbled)?;
                    chars = behind.chars();
                    // the server writes only controls so
                    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or(Garbled)?
                }
                c => c,
            }),
            c => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `{"a": 1, "bc": [true, "x"]}`
    fn object() -> Vec<u8> {
        let array = [2, 0, 12, 0, 4, 1, 0, 12, 10, 0, 1, b'x'];
        let mut object = vec![0, 2, 0, 33, 0, 18, 0, 1, 0, 19, 0, 2, 0, 5, 1, 0, 2, 21, 0, b'a', b'b', b'c'];
        object.extend_from_slice(&array);
        object
    }

    fn diff(operation: u8, path: &str, value: &[u8]) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend_from_slice(path.as_bytes());
        if operation < 2 {
            out.push(value.len() as u8);
            out.extend_from_slice(value);
        }
        out
    }

    fn applied(diffs: &[Vec<u8>]) -> Result<String, Garbled> {
        let mut out = Vec::new();
        apply(&object(), &diffs.concat(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_operation() {
        let two = [5, 2, 0];
        let said = |diffs: &[Vec<u8>]| applied(diffs).unwrap();
        assert_eq!(said(&[]), r#"{"a": 1, "bc": [true, "x"]}"#);
        assert_eq!(said(&[diff(0, "$.a", &two)]), r#"{"a": 2, "bc": [true, "x"]}"#);
        assert_eq!(said(&[diff(0, "$", &two)]), "2");
        assert_eq!(said(&[diff(0, "$.bc[1]", &two)]), r#"{"a": 1, "bc": [true, 2]}"#);
        assert_eq!(said(&[diff(1, "$.b", &two)]), r#"{"a": 1, "b": 2, "bc": [true, "x"]}"#);
        assert_eq!(
            said(&[diff(1, "$.\"\\\" \\u0001\"", &two)]),
            r#"{"a": 1, "bc": [true, "x"], "\" \u0001": 2}"#
        );
        assert_eq!(said(&[diff(1, "$.bc[0]", &two)]), r#"{"a": 1, "bc": [2, true, "x"]}"#);
        assert_eq!(said(&[diff(1, "$.bc[9]", &two)]), r#"{"a": 1, "bc": [true, "x", 2]}"#);
        assert_eq!(said(&[diff(2, "$.bc[0]", &[]), diff(2, "$.a", &[])]), r#"{"bc": ["x"]}"#);
        for bad in [
            diff(0, "$.x", &two),
            diff(0, "$.bc[2]", &two),
            diff(1, "$.a", &two),
            diff(1, "$", &two),
            diff(2, "$", &[]),
            diff(2, "$.x", &[]),
            diff(3, "$", &[]),
            diff(0, "a", &two),
            diff(0, "$.\"a", &two),
            diff(0, "$[x]", &two),
        ] {
            assert!(applied(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_that_point_at_one_another_end() {
        // forty arrays, each of which holds the next one twice
        let mut bytes = vec![2];
        for _ in 0..40 {
            bytes.extend_from_slice(&[2, 0, 255, 0, 2, 10, 0, 2, 10, 0]);
        }
        bytes.resize(1000, 0);
        assert!(apply(&bytes, &[], &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(before in prop::collection::vec(any::<u8>(), 0..100), diffs in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = apply(&before, &diffs, &mut Vec::new());
            let _ = apply(&object(), &diffs, &mut Vec::new());
        }

        #[test]
        fn no_difference_is_the_value(before in prop::collection::vec(any::<u8>(), 0..100)) {
            let (mut plain, mut through) = (Vec::new(), Vec::new());
            let read = super::super::to_text(&before, &mut plain).is_ok();
            if apply(&before, &[], &mut through).is_ok() && read {
                prop_assert_eq!(plain, through);
            }
        }
    }
}
