//! Core modules of every kind, written by hand.

use wasmparser::{Parser, Payload};

use super::*;

/// A core module that exports a transform, with these imports and without a word of its world, as Go's linker leaves it.
fn core(imports: &str) -> Vec<u8> {
    core_of("0.1.0", imports)
}

fn core_of(version: &str, imports: &str) -> Vec<u8> {
    let of = format!("forebay:transform/transformer@{version}");
    let text = format!(
        r#"(module
          {imports}
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
          (func (export "{of}#describe") (result i32) unreachable)
          (func (export "{of}#[static]binding.open")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
          (func (export "{of}#[method]binding.plan") (param i32) (result i32) unreachable)
          (func (export "{of}#[method]binding.apply")
            (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#
    );
    wat::parse_str(text).unwrap()
}

/// Every function of the adapter as an import; also what `names` leaves of them.
fn wasi(names: impl Fn(&str) -> bool) -> String {
    let adapter = ADAPTER.lines().filter(|line| line.contains("(export \""));
    let mut lines = Vec::new();
    for line in adapter {
        let name = line.split('"').nth(1).unwrap();
        if names(name) {
            let ty = match name {
                "args_sizes_get" | "environ_sizes_get" | "args_get" | "environ_get" => {
                    "(param i32 i32) (result i32)"
                }
                "poll_oneoff" | "fd_write" => "(param i32 i32 i32 i32) (result i32)",
                "clock_time_get" => "(param i32 i64 i32) (result i32)",
                "proc_exit" | "adapter_monotonic_clock_set_paused" => "(param i32)",
                "sched_yield" => "(result i32)",
                "random_get" | "clock_res_get" => "(param i32 i32) (result i32)",
                "proc_raise" => "(param i32) (result i32)",
                _ => line.split("\") ").nth(1).unwrap().split(" (i32.const").next().unwrap(),
            };
            lines.push(format!(r#"(import "wasi_snapshot_preview1" "{name}" (func {ty}))"#));
        }
    }
    lines.join("\n")
}

/// Names of the component's imports, types left out, and how many core modules it has.
fn imports(component: &[u8]) -> (Vec<String>, usize) {
    let (mut names, mut modules, mut depth) = (Vec::new(), 0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ComponentImportSection(section) if depth == 0 => {
                names.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ModuleSection { .. } => (modules, depth) = (modules + 1, depth + 1),
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    (names, modules)
}

fn said(module: &[u8]) -> String {
    let fault = componentize(module).unwrap_err();
    assert!(!fault.remedy().is_empty(), "{fault}");
    format!("{} [{}]", fault.message(), fault.code().name)
}

#[test]
fn a_module_without_wasi_gets_no_adapter() {
    let component = componentize(&core("")).unwrap();
    assert_eq!(imports(&component).1, 1);
    assert_eq!(component, componentize(&core("")).unwrap(), "the same bytes each time");
}

#[test]
fn a_module_that_says_its_world_is_believed() {
    let mut module = core("");
    embed(&mut module, &mut Resolve::default(), "transform.wit", WIT, WORLD).unwrap();
    assert_eq!(componentize(&module).unwrap(), componentize(&core("")).unwrap());
}

#[test]
fn every_function_of_wasi_is_answered_inside() {
    let all = wasi(|_| true);
    assert_eq!(all.lines().count(), 47, "46 of preview 1, and the one that Go's runtime for components adds");
    let (names, modules) = imports(&componentize(&core(&all)).unwrap());
    assert!(modules > 1);
    let types_or_host = |name: &String| name.starts_with("forebay:transform/");
    assert!(names.iter().all(types_or_host), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("host@0.1.0")), "its `stderr` is needed");
}

#[test]
fn the_host_is_not_asked_for_what_nobody_calls() {
    let (names, _) = imports(&componentize(&core(&wasi(|name| name == "clock_time_get"))).unwrap());
    assert!(!names.iter().any(|name| name.contains("/host@")), "{names:?}");
}

#[test]
fn the_wrong_file_is_named() {
    assert_eq!(said(b"package main"), "this is not WebAssembly [component.not_wasm]");
    assert_eq!(said(b""), "this is not WebAssembly [component.not_wasm]");
    let component = componentize(&core("")).unwrap();
    assert_eq!(said(&component), "this is a component already [component.already]");
    assert!(said(b"\0asm\x01\0\0\0\x01\xff").ends_with("[component.invalid]"));
    assert!(said(&core("")[..200]).ends_with("[component.invalid]"));
    let empty = wat::parse_str("(module)").unwrap();
    assert_eq!(said(&empty), "the core module exports no transform plugin [component.no_plugin]");
    let newer = "the core module was made for version 0.2.0 of the contract [component.wrong_world]";
    assert_eq!(said(&core_of("0.2.0", "")), newer);
}

#[test]
fn an_import_that_nobody_gives_is_named() {
    let gojs = r#"(import "gojs" "runtime.wasmExit" (func (param i32)))"#;
    let said_of_gojs = "the core module imports `gojs` `runtime.wasmExit`: plugins are not given that";
    assert_eq!(said(&core(gojs)), format!("{said_of_gojs} [component.forbidden_import]"));
    let wasi_of_old = r#"(import "wasi_unstable" "fd_write" (func (param i32)))"#;
    assert!(said(&core(wasi_of_old)).contains("`wasi_unstable` `fd_write`"));
    let unknown = r#"(import "wasi_snapshot_preview1" "thread_spawn" (func (param i32)))"#;
    assert!(said(&core(unknown)).contains("`wasi_snapshot_preview1` `thread_spawn`"));
    let many: String = (0..7).map(|n| format!(r#"(import "env" "f{n}" (func))"#)).collect();
    assert!(said(&core(&many)).contains("`env` `f4` and 2 more"));
}

#[test]
fn a_type_that_does_not_fit_is_told() {
    let wrong = r#"(import "forebay:transform/host@0.1.0" "log" (func (param i64)))"#;
    assert!(said(&core(wrong)).ends_with("[component.encode]"));
    let not_there = r#"(import "forebay:transform/host@0.1.0" "now" (func (result i64)))"#;
    assert!(said(&core(not_there)).contains("now"), "{}", said(&core(not_there)));
}

#[test]
fn a_world_with_more_in_it_is_refused() {
    let wit = format!(
        "{WIT}\nworld curious {{ import more; export transformer; }}\ninterface more {{ now: func() -> u64; }}\n"
    );
    let mut module = core(r#"(import "forebay:transform/more@0.1.0" "now" (func (result i64)))"#);
    embed(&mut module, &mut Resolve::default(), "transform.wit", &wit, "curious").unwrap();
    assert_eq!(
        said(&module),
        "the plugin imports `forebay:transform/more@0.1.0` [component.forbidden_import]"
    );
}
