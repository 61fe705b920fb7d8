//! Walks a document along the paths. Values stay the text that they are in the document, so that numbers keep their digits.

use std::fmt;

use forebay_plugin::{Cell, LogicalType};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::path::Tree;

/// Finds what the paths lead to; of fields with the same name the last counts.
///
/// # Errors
/// The document is no JSON.
pub(crate) fn walk<'d>(
    tree: &Tree,
    document: &'d str,
    found: &mut [Option<&'d str>],
) -> serde_json::Result<()> {
    let value: &RawValue = serde_json::from_str(document)?;
    step(tree, value.get(), found)
}

/// `json` is one value, without space around it.
fn step<'d>(tree: &Tree, json: &'d str, found: &mut [Option<&'d str>]) -> serde_json::Result<()> {
    clear(tree, found);
    for &end in &tree.ends {
        found[end] = Some(json);
    }
    if !tree.leads_on() || !json.starts_with(['{', '[']) {
        return Ok(());
    }
    serde_json::Deserializer::from_str(json).deserialize_any(Inside { tree, found })
}

/// Forgets what an earlier field of the same name gave.
fn clear(tree: &Tree, found: &mut [Option<&str>]) {
    tree.ends.iter().for_each(|&end| found[end] = None);
    tree.fields.values().chain(tree.items.values()).for_each(|tree| clear(tree, found));
}

/// An object or array whose fields or items paths lead to.
struct Inside<'t, 'f, 'd> {
    tree: &'t Tree,
    found: &'f mut [Option<&'d str>],
}

impl<'d> Visitor<'d> for Inside<'_, '_, 'd> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Field(self.tree))? {
            match field {
                Some(tree) => into(tree, map.next_value::<&RawValue>()?, self.found)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            match self.tree.items.get(&index) {
                Some(tree) => match items.next_element::<&RawValue>()? {
                    Some(value) => into(tree, value, self.found)?,
                    None => break,
                },
                None => {
                    if items.next_element::<IgnoredAny>()?.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

fn into<'d, E: serde::de::Error>(
    tree: &Tree,
    value: &'d RawValue,
    found: &mut [Option<&'d str>],
) -> Result<(), E> {
    step(tree, value.get(), found).map_err(E::custom)
}

/// Looks a field's name up without keeping it.
struct Field<'t>(&'t Tree);

impl<'d, 't> DeserializeSeed<'d> for Field<'t> {
    type Value = Option<&'t Tree>;

    fn deserialize<D: Deserializer<'d>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'_> for Field<'t> {
    type Value = Option<&'t Tree>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.get(name))
    }
}

/// A value's text, as the type takes it.
///
/// # Errors
/// It cannot be of the type.
pub(crate) fn text<'a>(json: &'a str, ty: LogicalType, scratch: &'a mut String) -> Result<Cell<&'a str>, ()> {
    if json == "null" {
        return Ok(Cell::Null);
    }
    if ty == LogicalType::Json {
        return Ok(Cell::Value(json));
    }
    let is_text = ty == LogicalType::Text;
    match json.as_bytes().first() {
        Some(b'"') if !json.contains('\\') => Ok(Cell::Value(&json[1..json.len() - 1])),
        Some(b'"') => {
            *scratch = String::deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(drop)?;
            Ok(Cell::Value(scratch))
        }
        Some(b't') if ty == LogicalType::Integer => Ok(Cell::Value("1")),
        Some(b'f') if ty == LogicalType::Integer => Ok(Cell::Value("0")),
        // an object or array is no text: whoever wants it takes it as json
        Some(b'{' | b'[') => Err(()),
        Some(b't' | b'f') if !is_text => Err(()),
        _ => Ok(Cell::Value(json)),
    }
}
