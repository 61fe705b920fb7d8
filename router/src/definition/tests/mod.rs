//! The whole way: text, problems, plan, store. Every problem of every document is expected literally.

mod applies;
mod problems;
mod reference;

use forebay_store::{DocKind, Document};
use serde_json::Value;

use super::*;

const SHOP: &str = r#"
sources:
  shop:
    mysql: { host: 127.0.0.1, port: 3306, user: cdc, password: { env: SHOP_PASSWORD } }
    tables: [ "active.*", "retail_db.*" ]
    tags: { "active.members.email": [ pii ] }
plugins:
  mask: { wasm: "AGFzbQ==" }
routes:
  tenants-to-crm:
    source: shop
    tables: [ "active.tenants" ]
    transforms:
      - plugin: mask
        config: { columns: { email: { keep_domain: true }, phone: { hash: { key: { env: PII_KEY } } } } }
    sink: { webhook: { url: "http://127.0.0.1:9999/hook", secret: { env: HOOK_SECRET } } }
"#;

/// SHA-256 of the four bytes above.
const MASK: &str = "cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f";

fn stored(kind: DocKind, name: &str, value: Value) -> Document {
    Document { kind, name: name.into(), revision: 1, changed_us: 0, value }
}

/// What is stored after the definitions above were applied.
fn shop() -> Existing {
    let wanted = check(&from_yaml(SHOP).unwrap(), &Existing::default(), Mode::Merge).finish().unwrap();
    let definitions = serde_json::to_value(&wanted.definitions).unwrap();
    let documents = DocKind::ALL.into_iter().flat_map(|kind| {
        let section = definitions[kind.as_str()].as_object().unwrap().clone();
        section.into_iter().map(move |(name, value)| stored(kind, &name, value))
    });
    Existing {
        documents: documents.collect(),
        components: wanted.components.into_keys().collect(),
        ..Existing::default()
    }
}

/// `code path: message (suggestion)` of every problem, without the code's `definition.`.
fn told(yaml: &str, existing: &Existing, mode: Mode) -> Vec<String> {
    let problems = check(&from_yaml(yaml).unwrap(), existing, mode).finish().err().unwrap_or_default();
    let line = |p: Problem| {
        let code = p.code.strip_prefix("definition.").unwrap().to_owned();
        let suggestion = if p.suggestion.is_empty() { String::new() } else { format!(" ({})", p.suggestion) };
        format!("{code} {}: {}{suggestion}", p.path, p.message)
    };
    problems.into_iter().map(line).collect()
}

#[track_caller]
fn expect(yaml: &str, existing: &Existing, expected: &[&str]) {
    let told = told(yaml, existing, Mode::Merge);
    assert_eq!(told, expected, "\n{yaml}\n{}", told.join("\n"));
}
