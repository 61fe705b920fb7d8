//! Bad definitions, and literally every problem that is told of them.

use serde_json::json;

use super::*;

#[test]
fn every_structural_problem_of_every_document_is_told() {
    expect(
        r#"
sources:
  shop:
    msql: {}
    mysql: { host: [x], port: 70000, usr: cdc, password: hunter2, tls: prefered, server_id: "hunter2" }
    tables: [ "active.*", 5, { a: b } ]
    snapshot: initially
    retain: { hours: -1, bytes: 1.5, day: 3 }
    start: { now: x }
  other: 5
  third:
    mysql: { host: h, user: u, password: { vault: hunter2 }, tls: { verify_ca: { cs: x } } }
    tables: "active.*"
plugins:
  mask: { sha: x }
routes:
  a:
    source: shop
    tables: [ "active.*" ]
    transforms: [ { plug: mask, config: hunter2 }, mask, { plugin: mask, limits: { memory: 5 } } ]
    sink: { webhok: { url: x } }
  b:
    sink: { webhook: { url: 5, secret: hunter2 } }
    paused: yes
  c:
    source: shop
    tables: [ "active.*" ]
    sink: { file: { path: x }, console: {} }
  d:
    source: shop
    tables: [ "active.*" ]
    sink: file
  e: {}
extra: {}
"#,
        &shop(),
        &[
            "unknown_field extra: there is no field `extra` (there are `sources`, `plugins`, `routes`)",
            "unknown_field sources.shop.msql: there is no field `msql` (did you mean `mysql`?)",
            "wrong_type sources.shop.mysql.host: text belongs here, not a list",
            "wrong_type sources.shop.mysql.port: a whole number from 0 to 65535 belongs here, not 70000",
            "unknown_field sources.shop.mysql.usr: there is no field `usr` (did you mean `user`?)",
            "secret_in_plain sources.shop.mysql.password: a secret stands here in plain (write where it is instead: { env: NAME } or { file: /path })",
            "unknown_choice sources.shop.mysql.tls: this is none of the choices (did you mean `preferred`?)",
            "wrong_type sources.shop.mysql.server_id: a whole number from 0 to 4294967295 belongs here, not text",
            "wrong_type sources.shop.tables[1]: text belongs here, not a number",
            "wrong_type sources.shop.tables[2]: text belongs here, not an object",
            "unknown_choice sources.shop.snapshot: this is none of the choices (did you mean `initial`?)",
            "wrong_type sources.shop.retain.hours: a whole number from 0 to 4294967295 belongs here, not -1",
            "wrong_type sources.shop.retain.bytes: a whole number from 0 belongs here, not 1.5",
            "unknown_field sources.shop.retain.day: there is no field `day` (there are `hours`, `bytes`)",
            "wrong_type sources.shop.start.now: nothing more belongs here, not text",
            "wrong_type sources.other: an object belongs here, not a number",
            "unknown_field sources.third.mysql.password.vault: there is no field `vault` (there are `env`, `file`)",
            "unknown_field sources.third.mysql.tls.verify_ca.cs: there is no field `cs` (did you mean `ca`?)",
            "wrong_type sources.third.tables: a list belongs here, not text",
            "unknown_field plugins.mask.sha: there is no field `sha` (did you mean `sha256`?)",
            "unknown_field routes.a.transforms[0].plug: there is no field `plug` (did you mean `plugin`?)",
            "wrong_type routes.a.transforms[0].config: an object belongs here, not text",
            "wrong_type routes.a.transforms[1]: an object belongs here, not text",
            "unknown_field routes.a.transforms[2].limits.memory: there is no field `memory` (did you mean `memory_mib`?)",
            "unknown_choice routes.a.sink.webhok: this is none of the choices (did you mean `webhook`?)",
            "wrong_type routes.b.sink.webhook.url: text belongs here, not a number",
            "secret_in_plain routes.b.sink.webhook.secret: a secret stands here in plain (write where it is instead: { env: NAME } or { file: /path })",
            "wrong_type routes.b.paused: true or false belongs here, not text",
            "missing_field routes.b.source: `source` is missing",
            "missing_field routes.b.tables: `tables` is missing",
            "wrong_type routes.c.sink: exactly one kind belongs here, as an object with one field",
            "wrong_type routes.d.sink: `file` stands here without its settings (write { file: { ... } })",
            "missing_field routes.e.source: `source` is missing",
            "missing_field routes.e.tables: `tables` is missing",
            "missing_field routes.e.sink: `sink` is missing",
        ],
    );
}

#[test]
fn what_is_no_set_of_definitions_is_told() {
    let none = Existing::default();
    expect(
        "5",
        &none,
        &["wrong_type : definitions are an object with sources, plugins and routes, not a number"],
    );
    expect(
        "",
        &none,
        &["wrong_type : definitions are an object with sources, plugins and routes, not nothing"],
    );
    expect(
        "sources: []",
        &none,
        &["wrong_type sources: an object of definitions by name belongs here, not a list"],
    );
    expect(
        "source: {}",
        &none,
        &["unknown_field source: there is no field `source` (did you mean `sources`?)"],
    );
    expect("sources:\nroutes: {}", &none, &[]);
}

#[test]
fn what_documents_mean_together_is_checked() {
    let twin = stored(
        DocKind::Sources,
        "twin",
        json!({
            "mysql": { "host": "db", "user": "u", "server_id": 7 }, "tables": ["a.*"],
        }),
    );
    let mut existing = shop();
    existing.documents.push(twin);
    expect(
        r#"
sources:
  Shop_EU:
    mysql: { host: " ", port: 0, user: "", password: { env: "" }, server_id: 0 }
    tables: [ active, "shop.*", "shop.*" ]
    retain: { hours: 0, bytes: 5000000 }
    disk_limit_bytes: 2000000
    tags: { "shop.members": [ pii ], "crm.members.email": [ pii, pii ], "shop.members.phone": [] }
  tiny:
    mysql: { host: db, user: u, server_id: 7 }
    tables: []
    disk_limit_bytes: 1000
plugins:
  a: { sha256: "ABC" }
  b: { sha256: "0000000000000000000000000000000000000000000000000000000000000000" }
  c: { wasm: "no base64" }
  d: { file: mask.wasm }
  e: {}
  f: { file: mask.wasm, wasm: "AGFzbQ==" }
routes:
  -x-:
    source: shpo
    tables: []
    transforms: [ { plugin: msk }, { plugin: mask, limits: { memory_mib: 0, batch_ms: 600001 } } ]
    sink: { file: { path: ../x } }
    dead_letters: { stop_after: 100001, window_s: 0 }
  y:
    source: shop
    tables: [ "active.tenants", "crm.*", "active.tenants", "x." ]
    sink: { file: { path: out/ } }
"#,
        &existing,
        &[
            "bad_name sources.Shop_EU: a name has 1 to 63 lower-case letters, digits and hyphens, the first no hyphen (`shop-eu` would be one)",
            "bad_name routes.-x-: a name has 1 to 63 lower-case letters, digits and hyphens, the first no hyphen (`x` would be one)",
            "invalid plugins.a.sha256: a SHA-256 has 64 lower-case hexadecimal digits",
            "unknown_reference plugins.b.sha256: no component with this hash was uploaded (upload its bytes: PUT /v1/plugins/{name})",
            "invalid plugins.c.wasm: these are not bytes in base64",
            "invalid plugins.d.file: a file's path means nothing to the server (`forebay apply` reads the file and sends its bytes; over REST send them as `wasm`)",
            "invalid plugins.e: exactly one of sha256, file and wasm says which component",
            "invalid plugins.f: exactly one of sha256, file and wasm says which component",
            "empty sources.Shop_EU.mysql.host: this must not be empty",
            "empty sources.Shop_EU.mysql.user: this must not be empty",
            "out_of_range sources.Shop_EU.mysql.port: 0 is not within 1 to 65535",
            "out_of_range sources.Shop_EU.mysql.server_id: 0 is not within 1 to 4294967295",
            "empty sources.Shop_EU.mysql.password.env: this must not be empty",
            "invalid sources.Shop_EU.tables[0]: `active` is not of the form database.table (with * and ? as wildcards)",
            "duplicate sources.Shop_EU.tables[2]: `shop.*` is there already",
            "out_of_range sources.Shop_EU.retain.hours: 0 is not within 1 to 87600",
            "invalid sources.Shop_EU.retain.bytes: more bytes are to be kept than the disk limit allows (make it smaller than disk_limit_bytes)",
            "no_match sources.Shop_EU.tags[\"crm.members.email\"]: `crm.members` is not among the source's tables",
            "duplicate sources.Shop_EU.tags[\"crm.members.email\"][1]: this tag is there already",
            "invalid sources.Shop_EU.tags[\"shop.members\"]: a column is named as database.table.column",
            "empty sources.Shop_EU.tags[\"shop.members.phone\"]: at least one tag belongs here",
            "empty sources.tiny.tables: at least one table pattern belongs here (`database.*` is every table of a database)",
            "out_of_range sources.tiny.disk_limit_bytes: 1000 is less than 1048576",
            "duplicate sources.tiny.mysql.server_id: source twin registers at the same server with the same id (leave it out, or choose another)",
            "unknown_reference routes.-x-.source: there is no source `shpo` (did you mean `shop`?)",
            "empty routes.-x-.tables: at least one table pattern belongs here (`database.*` is every table of a database)",
            "unknown_reference routes.-x-.transforms[0].plugin: there is no plugin `msk` (did you mean `mask`?)",
            "out_of_range routes.-x-.transforms[1].limits.memory_mib: 0 is not within 1 to 4095",
            "out_of_range routes.-x-.transforms[1].limits.batch_ms: 600001 is not within 1 to 600000",
            "invalid routes.-x-.sink.file.path: a path must not hold `..`",
            "out_of_range routes.-x-.dead_letters.stop_after: 100001 is not within 0 to 100000",
            "out_of_range routes.-x-.dead_letters.window_s: 0 is not within 1 to 86400",
            "duplicate routes.y.tables[2]: `active.tenants` is there already",
            "invalid routes.y.tables[3]: `x.` is not of the form database.table (with * and ? as wildcards)",
            "no_match routes.y.tables[1]: `crm.*` matches no table that source shop captures (the source captures `active.*`, `retail_db.*`)",
        ],
    );
}

#[test]
fn a_changed_source_is_checked_against_the_routes_that_stay() {
    let narrower = r#"
sources:
  shop:
    mysql: { host: 127.0.0.1, user: cdc }
    tables: [ "retail_db.*" ]
"#;
    let expected = "no_match routes.tenants-to-crm.tables[0]: `active.tenants` matches no table that source shop captures \
                    (the source captures `retail_db.*`)";
    expect(narrower, &shop(), &[expected]);
    assert_eq!(told(narrower, &shop(), Mode::Replace), [""; 0], "the route goes as well");
}

#[test]
fn in_a_replacing_apply_nothing_refers_to_what_goes() {
    let only_route = SHOP.split_once("routes:").unwrap().1;
    let told = told(&format!("routes:{only_route}"), &shop(), Mode::Replace);
    assert_eq!(
        told,
        [
            "unknown_reference routes.tenants-to-crm.source: there is no source `shop`",
            "unknown_reference routes.tenants-to-crm.transforms[0].plugin: there is no plugin `mask`",
        ]
    );
}

#[test]
fn what_a_route_uses_cannot_be_deleted() {
    let paths = |kind, name| {
        check_delete(kind, name, &shop()).into_iter().map(|p| (p.code, p.path)).collect::<Vec<_>>()
    };
    let in_use = |path: &str| vec![("definition.in_use".to_owned(), path.to_owned())];
    assert_eq!(paths(DocKind::Sources, "shop"), in_use("routes.tenants-to-crm.source"));
    assert_eq!(paths(DocKind::Plugins, "mask"), in_use("routes.tenants-to-crm.transforms[0].plugin"));
    assert_eq!(paths(DocKind::Routes, "tenants-to-crm"), []);
    assert_eq!(paths(DocKind::Sources, "other"), []);
}

#[test]
fn no_problem_repeats_a_value_that_could_be_secret() {
    let yaml =
        SHOP.replace("{ env: SHOP_PASSWORD }", "hunter2").replace("{ env: HOOK_SECRET }", "[ hunter2 ]");
    let yaml =
        yaml.replace("user: cdc", "user: { name: hunter2 }").replace("source: shop", "source: [ hunter2 ]");
    let told = told(&yaml.replace("from: now", "from: hunter2"), &Existing::default(), Mode::Merge);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(!told.concat().contains("hunter2"), "{told:?}");
    let broken =
        from_yaml("sources: { shop: { mysql: { password: hunter2, password: hunter2 } } }").unwrap_err();
    assert!(!broken.to_string().contains("hunter2"), "{broken}");
}

#[test]
fn a_sink_that_finds_a_plain_secret_says_so_with_the_same_code() {
    let yaml = SHOP
        .replace("secret: { env: HOOK_SECRET }", "secret: { env: S }, headers: { Authorization: hunter2 }");
    let told = told(&yaml, &Existing::default(), Mode::Merge);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("secret_in_plain routes.tenants-to-crm.sink.webhook.headers.Authorization: "),
        "{told:?}"
    );
    assert!(!told[0].contains("hunter2"));
}

#[test]
fn a_document_of_problems_ends() {
    let fields: String = (0..500).map(|i| format!("    x{i}: 5\n")).collect();
    let told = told(&format!("sources:\n  a:\n{fields}"), &Existing::default(), Mode::Merge);
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "too_many_problems sources.a: there are more than 100 problems");
}
