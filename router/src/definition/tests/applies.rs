//! Good definitions: as text, as a plan, in the store.

use forebay_store::Store;
use serde_json::json;

use super::*;

#[test]
fn good_definitions_are_read_with_their_defaults() {
    let wanted = check(&from_yaml(SHOP).unwrap(), &Existing::default(), Mode::Merge).finish().unwrap();
    assert_eq!(wanted.components.get(MASK).map(Vec::as_slice), Some(b"\0asm".as_slice()));
    let source = &wanted.definitions.sources["shop"];
    assert_eq!(
        (source.mysql.port, &source.mysql.tls, source.start),
        (3306, &TlsDef::Preferred, StartAt::Now)
    );
    let route = &wanted.definitions.routes["tenants-to-crm"];
    assert_eq!((route.paused, route.dead_letters.stop_after, route.dead_letters.window_s), (false, 100, 60));
    assert_eq!(wanted.definitions.plugins["mask"].sha256.as_deref(), Some(MASK));
}

#[test]
fn a_default_that_is_written_is_the_same_as_one_left_out() {
    let long = SHOP
        .replace("    tags:", "    start: now\n    retain: {}\n    tags:")
        .replace("port: 3306, ", "tls: preferred, ")
        .replace(
            "    sink:",
            "    from: now\n    paused: false\n    dead_letters: { stop_after: 100 }\n    sink:",
        );
    let wanted =
        |yaml: &str| check(&from_yaml(yaml).unwrap(), &Existing::default(), Mode::Merge).finish().unwrap();
    let value = |yaml| serde_json::to_value(wanted(yaml).definitions).unwrap();
    assert_eq!(value(&long), value(SHOP));
    assert_eq!(value(SHOP)["sources"]["shop"].get("start"), None);
}

#[test]
fn yaml_is_read_strictly() {
    assert_eq!(
        from_yaml("a: &x [no, off, 1e3, 0x10]\nb: *x").unwrap(),
        json!({
            "a": ["no", "off", 1000.0, 16], "b": ["no", "off", 1000.0, 16],
        })
    );
    for (text, words) in [("a: 1\na: 2", "duplicate"), ("a: [", "line 1"), ("a: 1\n---\nb: 2", "multiple")] {
        let fault = from_yaml(text).unwrap_err();
        assert_eq!(fault.code().name, "definition.yaml");
        assert!(fault.to_string().contains(words), "{fault}");
    }
    let laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &"bcdefghij"
            .chars()
            .scan('a', |last, c| {
                let line = format!("{c}: &{c} [{}]\n", vec![format!("*{last}"); 10].join(", "));
                *last = c;
                Some(line)
            })
            .collect::<String>();
    assert!(from_yaml(&laughs).is_err(), "ten to the tenth is refused, not built");
}

#[test]
fn what_is_written_as_yaml_is_read_back() {
    let value = from_yaml(SHOP).unwrap();
    assert_eq!(from_yaml(&to_yaml(&value).unwrap()).unwrap(), value);
    let tricky = json!({ "no": "yes", "n": "012", "t": "2026-11-21", "e": "", "s": " a: b # c", "l": "x\ny\n", "z": null });
    assert_eq!(from_yaml(&to_yaml(&tricky).unwrap()).unwrap(), tricky);
}

#[test]
fn a_plan_says_what_changes() {
    let yaml = SHOP
        .replace("user: cdc", "user: other")
        .replace("keep_domain: true", "keep_domain: false")
        .replace("PII_KEY } } } } }", "PII_KEY } } } } }\n      - plugin: mask")
        .replace("    source: shop", "    source: shop\n    from: earliest")
        + "  new:\n    source: shop\n    tables: [ \"*.*\" ]\n    sink: { console: {} }\n";
    let plan = |yaml: &str, mode| {
        let wanted = check(&from_yaml(yaml).unwrap(), &shop(), mode).finish().unwrap();
        let steps = Plan::new(&shop(), &wanted).steps;
        let step = |s: Step| format!("{:?} {}.{} {}", s.action, s.kind, s.name, s.changed.join(" "));
        steps.into_iter().map(step).collect::<Vec<_>>()
    };
    assert_eq!(
        plan(&yaml, Mode::Merge),
        [
            "Update sources.shop mysql.user",
            "Unchanged plugins.mask ",
            "Create routes.new ",
            "Update routes.tenants-to-crm transforms from",
        ]
    );
    let one = SHOP.replace("keep_domain: true", "keep_domain: false");
    assert_eq!(
        plan(&one, Mode::Merge)[2],
        "Update routes.tenants-to-crm transforms[0].config.columns.email.keep_domain"
    );
    let sources = SHOP.split_once("plugins:").unwrap().0;
    assert_eq!(plan(sources, Mode::Merge), ["Unchanged sources.shop "]);
    assert_eq!(
        plan(sources, Mode::Replace),
        ["Unchanged sources.shop ", "Delete routes.tenants-to-crm ", "Delete plugins.mask "]
    );
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.redb")).unwrap();
    let apply = async |yaml: &str, mode| {
        let existing = Existing::read(&store, std::path::Path::new("/data")).unwrap();
        let wanted = check(&from_yaml(yaml).unwrap(), &existing, mode).finish().unwrap();
        let plan = Plan::new(&existing, &wanted);
        for bytes in wanted.components.into_values() {
            store.put_plugin(bytes).await.unwrap();
        }
        store.write(plan.changes()).await.unwrap();
        plan
    };
    assert!(!apply(SHOP, Mode::Merge).await.is_empty());
    let before = store.documents().unwrap();
    assert!(apply(SHOP, Mode::Merge).await.is_empty());
    assert!(apply(SHOP, Mode::Replace).await.is_empty());
    let exported = json!({
        "sources": { "shop": store.get(DocKind::Sources, "shop").unwrap().unwrap().value },
        "plugins": { "mask": { "sha256": MASK } },
        "routes": { "tenants-to-crm": store.get(DocKind::Routes, "tenants-to-crm").unwrap().unwrap().value },
    });
    assert!(
        apply(&to_yaml(&exported).unwrap(), Mode::Replace).await.is_empty(),
        "an export is applied as nothing"
    );
    assert_eq!(store.documents().unwrap(), before);
    assert!(!apply("{}", Mode::Replace).await.is_empty());
    assert_eq!(store.documents().unwrap(), []);
}

#[tokio::test]
async fn a_plan_that_somebody_overtook_is_not_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("control.redb")).unwrap();
    let yaml = SHOP.split_once("plugins:").unwrap().0;
    let existing = Existing::read(&store, std::path::Path::new("/data")).unwrap();
    let wanted = check(&from_yaml(yaml).unwrap(), &existing, Mode::Merge).finish().unwrap();
    let plan = Plan::new(&existing, &wanted);
    store.write(plan.changes()).await.unwrap();
    assert_eq!(store.write(plan.changes()).await.unwrap_err().code().name, "store.conflict");
}
