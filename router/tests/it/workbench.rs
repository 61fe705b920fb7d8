//! `forebay plugin`, as an author uses it: what it says when something is wrong. The way that works is the page docs/plugins.md, which
//! `docs.rs` follows.

use std::path::Path;
use std::process::{Command, Output};

use crate::rig::guest;

const TABLE: &str = "table: { name: shop.t, columns: { id: int not null, word: varchar(40) }, key: [id] }\n";

/// Runs `forebay plugin` in a folder.
fn plugin(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    told(
        Command::new(env!("CARGO_BIN_EXE_forebay"))
            .arg("plugin")
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap(),
    )
}

fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn filter() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("filter.wasm"), guest("filter")).unwrap();
    home
}

#[test]
fn a_case_that_fails_says_which_cell_and_update_writes_what_came() {
    let home = filter();
    let cases = format!(
        "# a comment that stays\n{TABLE}config: {{ where: word = 'fine' }}\ncases:\n  - name: filtered\n    in:\n      \
         - {{ op: insert, after: {{ id: 1, word: fine }} }}\n      - {{ op: insert, after: {{ id: 2, word: poison }} }}\n    out:\n      \
         - {{ op: insert, after: {{ id: 1, word: other }} }}\n\n  # this one passes\n  - name: leaves the filter\n    \
         in: [{{ op: update, before: {{ id: 1, word: fine }}, after: {{ id: 1, word: poison }} }}]\n    \
         out: [{{ op: delete, before: {{ id: 1, word: fine }} }}]\n  - name: refused\n    config: {{}}\n    error: missing field\n"
    );
    let file = home.path().join("tests/cases.yaml");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, &cases).unwrap();
    let (code, out, err) = plugin(home.path(), &["test", "filter.wasm"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("2 of 3 pass") && out.contains("FAIL filtered"), "{out}");
    assert!(out.contains(r#"out[0] (insert), after.word: "other" was expected, "fine" came"#), "{out}");
    let (code, out, err) = plugin(home.path(), &["test", "filter.wasm", "--update"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let updated = std::fs::read_to_string(&file).unwrap();
    assert!(updated.contains("# a comment that stays") && updated.contains("# this one passes"), "{updated}");
    assert!(updated.contains("- { op: insert, after: { id: 1, word: fine } }\n"), "{updated}");
    assert!(!updated.contains("other"), "{updated}");
    let (code, out, err) = plugin(home.path(), &["test", "filter.wasm"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, _) = plugin(home.path(), &["test", "filter.wasm", "--only", "leaves"]);
    assert!(code == Some(0) && out.contains("1 of 1 pass"), "{out}");
}

#[test]
fn check_tells_the_plan() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mask.wasm"), guest("mask")).unwrap();
    std::fs::write(
        home.path().join("t.sql"),
        "CREATE TABLE t (id INT PRIMARY KEY, mail VARCHAR(64), card INT, note TEXT, plain TEXT)",
    )
    .unwrap();
    let config =
        "{ columns: { mail: { keep_first: 1 }, card: { hash: { key: in-plain } }, note: { drop: true } } }";
    let (code, out, err) =
        plugin(home.path(), &["check", "mask.wasm", "--table", "t.sql", "--config", config]);
    assert_eq!(code, Some(0), "{out}{err}");
    for line in [
        "mask.wasm: mask 0.1.0, ",
        "  imports  forebay:transform/host@0.1.0",
        "  limits   64.0 MiB of memory, 1000 ms a call",
        "on shop.t, 5 columns:",
        "  reads    card, mail",
        "  drops    note",
        "  makes    card (varchar(64)), mail (varchar(64))",
        "  key      id",
    ] {
        assert!(out.contains(line), "{line} is not in:\n{out}");
    }
    assert!(err.contains("config.columns.card.hash.key: a server takes no secret in plain here"), "{err}");
    let (_, out, _) =
        plugin(home.path(), &["check", "mask.wasm", "--table", "t.sql", "--config", config, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["plan"]["drops"], serde_json::json!(["note"]));
}

#[test]
fn bench_measures() {
    let home = filter();
    std::fs::write(home.path().join("t.yaml"), TABLE).unwrap();
    let args = [
        "bench",
        "filter.wasm",
        "--table",
        "t.yaml",
        "--config",
        "{ where: word = 'a' }",
        "--columns",
        "12",
        "--json",
    ];
    let (code, out, err) = plugin(home.path(), &args);
    assert_eq!(code, Some(0), "{out}{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["columns"], &json["rows"]), (&12.into(), &1000.into()), "{json}");
    for figure in ["ns_per_image", "open_us", "compile_ms", "load_ms", "memory_bytes"] {
        assert!(json[figure].as_f64().unwrap() > 0.0, "{figure}: {json}");
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let home = filter();
    let write = |name: &str, bytes: &[u8]| std::fs::write(home.path().join(name), bytes).unwrap();
    let failing = |args: &[&str], wanted: &str| {
        let (code, out, err) = plugin(home.path(), args);
        assert!(code == Some(1) && err.contains(wanted), "{args:?}: {code:?}\n{out}{err}");
    };
    write("page.wasm", b"<html>");
    write("core.wasm", b"\0asm\x01\0\0\0");
    write("t.yaml", TABLE.as_bytes());
    failing(&["check", "page.wasm"], "page.wasm: the file is an HTML page");
    failing(&["check", "core.wasm"], "`forebay plugin build` makes a component of it");
    failing(&["check", "none.wasm"], "cannot read none.wasm");
    failing(&["check", "filter.wasm", "--table", "shop.t"], "with --mysql");
    failing(&["check", "filter.wasm", "--table", "t.yaml"], "missing field `where`");
    failing(&["check", "filter.wasm", "--config", "gone.yaml"], "cannot read the configuration gone.yaml");
    failing(&["test", "filter.wasm"], "no cases: cannot read the folder");
    failing(&["build", "."], "`forebay plugin new` makes one");
    failing(&["bench", "filter.wasm"], "a table is needed: --table FILE");
    let (code, _, err) = plugin(home.path(), &["new", "--lang", "rust", "No_Name"]);
    assert!(code == Some(2) && err.contains("small letters"), "{err}");
    let (code, _, err) = plugin(home.path(), &["push", "filter.wasm", "--url", "http://127.0.0.1:9"]);
    assert!(code == Some(4) && err.contains("no server answers"), "{err}");
}

/// Neither cargo nor go is on PATH; then a Rust that lacks the target.
#[test]
fn a_missing_toolchain_is_told_with_what_to_install() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let tools = home.path().join("bin");
    std::fs::create_dir(&tools).unwrap();
    let build = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(["plugin", "build", name]).current_dir(home.path()).env("PATH", &tools);
        told(command.env_remove("WASM_CARGO").env_remove("WASM_RUSTC").output().unwrap())
    };
    for (lang, name) in [("rust", "in-rust"), ("go", "in-go")] {
        let (code, out, err) = plugin(home.path(), &["new", "--lang", lang, name]);
        assert!(code == Some(0) && out.contains("forebay plugin test"), "{out}{err}");
        let (code, _, err) = plugin(home.path(), &["new", "--lang", lang, name]);
        assert!(code == Some(1) && err.contains("is there already"), "{err}");
    }
    let (code, _, err) = build("in-rust");
    assert!(code == Some(1) && err.contains("https://rustup.rs"), "{err}");
    let (code, _, err) = build("in-go");
    assert!(code == Some(1) && err.contains("https://go.dev/dl"), "{err}");
    let tool = |name: &str, script: &str| {
        let path = tools.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("rustc", "echo /nowhere");
    tool("go", "echo go1.21.0");
    let (code, _, err) = build("in-rust");
    assert!(code == Some(1) && err.contains("rustup target add wasm32-unknown-unknown"), "{err}");
    let (code, _, err) = build("in-go");
    assert!(code == Some(1) && err.contains("this is go1.21.0"), "{err}");
    // another compiler, which must not tell a panic's text
    tool("go", "echo go1.26.0");
    let tinygo = |tinygo: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(["plugin", "build", "in-go"]).current_dir(home.path()).env("PATH", &tools);
        told(command.env("WASM_TINYGO", tinygo).output().unwrap())
    };
    let (code, _, err) = tinygo("tinygo");
    assert!(code == Some(1) && err.contains("https://tinygo.org"), "{err}");
    tool("small", "echo $* >&2; exit 7");
    let (code, _, err) = tinygo("small");
    assert!(code == Some(1) && err.contains("-panic=trap") && err.contains("small could not build"), "{err}");
}
