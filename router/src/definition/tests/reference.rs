//! `docs/definitions.md` says of every field what the structs say: its second half is written from their schema.
//! `UPDATE=1 cargo test -p forebay reference` writes it anew.

use serde_json::Value;
use utoipa::OpenApi;

use super::*;

#[derive(OpenApi)]
#[openapi(components(schemas(Definitions)))]
struct Schema;

const BEGIN: &str =
    "<!-- From here on written from the schema: UPDATE=1 cargo test -p forebay reference -->\n";

#[test]
fn the_reference_names_every_field() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/definitions.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (words, tables) = page.split_once(BEGIN).expect("the page says where the written part begins");
    let current = Reference::write();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{words}{BEGIN}{current}")).unwrap();
        return;
    }
    assert!(
        tables == current,
        "docs/definitions.md is not current; run: UPDATE=1 cargo test -p forebay reference"
    );
}

#[test]
fn the_examples_on_the_page_are_definitions_without_a_problem() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/definitions.md"));
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let value = from_yaml(&example.replace("file: mask.wasm", "wasm: AGFzbQ==")).unwrap();
        let problems = check(&value, &Existing::default(), Mode::Merge).finish().err().unwrap_or_default();
        assert_eq!(problems, [], "{example}");
    }
}

struct Reference {
    schemas: Value,
    page: String,
    done: Vec<String>,
}

impl Reference {
    fn write() -> String {
        let document = serde_json::to_value(Schema::openapi()).unwrap();
        let schemas = document["components"]["schemas"].clone();
        let mut reference = Reference { schemas, page: String::new(), done: vec!["Definitions".into()] };
        for kind in DocKind::ALL {
            let section = reference.schemas["Definitions"]["properties"][kind.as_str()].clone();
            reference.object(&format!("{kind}.NAME"), target(&section["additionalProperties"]).unwrap());
        }
        reference.page
    }

    /// A section for the schema of this name, and one for each that it refers to.
    fn object(&mut self, path: &str, name: &str) {
        if self.done.iter().any(|done| done == name) {
            return;
        }
        self.done.push(name.to_owned());
        let schema = self.schemas[name].clone();
        self.page += &format!("\n### `{path}`\n\n{}\n\n", text(&schema));
        let mut below = Vec::new();
        if let Some(choices) = choices(&schema) {
            self.page += "| choice | |\n|---|---|\n";
            for (choice, inside) in choices {
                self.page += &format!("| `{choice}` | {} |\n", text(&inside));
                let settings = &inside["properties"][&choice];
                if let Some(settings) = target(settings) {
                    below.push((format!("{path}.{choice}"), settings.to_owned()));
                }
                for (field, about) in settings["properties"].as_object().into_iter().flatten() {
                    let required =
                        settings["required"].as_array().is_some_and(|r| r.contains(&Value::from(&**field)));
                    self.row(&format!("{choice}.{field}"), about, required, path, &mut below);
                }
            }
        } else {
            self.page += "| field | value | |\n|---|---|---|\n";
            for (field, about) in schema["properties"].as_object().unwrap() {
                let required =
                    schema["required"].as_array().is_some_and(|r| r.contains(&Value::from(&**field)));
                self.row(field, about, required, path, &mut below);
            }
        }
        for (path, name) in below {
            self.object(&path, &name);
        }
    }

    fn row(
        &mut self,
        field: &str,
        about: &Value,
        required: bool,
        path: &str,
        below: &mut Vec<(String, String)>,
    ) {
        let mut path = format!("{path}.{field}");
        let mut inner = about;
        if about["items"].is_object() {
            inner = &about["items"];
            path += "[]";
        }
        if let Some(name) =
            target(inner).filter(|name| choices(&self.schemas[*name]).is_none_or(|all| !all.is_empty()))
            && !self.is_words(name)
        {
            below.push((path, name.to_owned()));
        }
        let kind = self.kind(about) + if required { ", required" } else { "" };
        // A choice's settings have no column for the value.
        let columns = if field.contains('.') { format!("{kind}: ") } else { format!("{kind} | ") };
        self.page += &format!("| `{field}` | {columns}{} |\n", text(about));
    }

    fn kind(&self, about: &Value) -> String {
        if let Some(name) = target(about) {
            if choices(&self.schemas[name]).is_some_and(|all| all.is_empty()) {
                // One of several types, without a name for each.
                let kinds =
                    self.schemas[name]["oneOf"].as_array().into_iter().flatten().map(|one| self.kind(one));
                return kinds.collect::<Vec<_>>().join(" or ").replace(", see below", "");
            }
            return match self.schemas[name]["properties"].is_object() || !self.is_words(name) {
                true => "object, see below".into(),
                false => {
                    let words = choices(&self.schemas[name]).unwrap_or_default();
                    words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
                }
            };
        }
        if let Some(items) = about.get("items") {
            return format!(
                "list of {}",
                self.kind(items).replace("object, see below", "objects, see below")
            );
        }
        if let Some(values) = about["additionalProperties"].as_object() {
            return format!("object of {} by name", self.kind(&Value::from(values.clone())));
        }
        let kind = about["type"]
            .as_str()
            .or_else(|| about["type"].as_array()?.iter().filter_map(Value::as_str).find(|k| *k != "null"));
        match kind {
            Some("integer") => "whole number".into(),
            Some("string") => "text".into(),
            Some("boolean") => "true or false".into(),
            Some("number") => "number".into(),
            _ => "object".into(),
        }
    }

    /// Whether a schema is a choice of plain words.
    fn is_words(&self, name: &str) -> bool {
        choices(&self.schemas[name])
            .is_some_and(|all| all.iter().all(|(_, about)| about["properties"].is_null()))
    }
}

/// The schema that is referred to, also where null may stand instead.
fn target(about: &Value) -> Option<&str> {
    let reference =
        about["$ref"].as_str().or_else(|| about["oneOf"].as_array()?.iter().find_map(|a| a["$ref"].as_str()));
    reference?.strip_prefix("#/components/schemas/")
}

/// The choices that a schema is of, by name.
fn choices(schema: &Value) -> Option<Vec<(String, Value)>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().map(|w| (w.as_str().unwrap().to_owned(), Value::Null)).collect());
    }
    let choices = schema["oneOf"].as_array()?.iter();
    Some(
        choices
            .filter_map(|choice| {
                let name = match choice["enum"][0].as_str() {
                    Some(word) => word.to_owned(),
                    None => choice["properties"].as_object()?.keys().next()?.clone(),
                };
                Some((name, choice.clone()))
            })
            .collect(),
    )
}

/// A description as a table takes it.
fn text(about: &Value) -> String {
    let said = [&about["description"], &about["oneOf"][0]["description"], &about["oneOf"][1]["description"]];
    let said = said.iter().find_map(|text| text.as_str()).unwrap_or_default();
    said.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
