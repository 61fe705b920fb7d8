//! Lists the sources of the SDKs, their templates and the contract, so that the binary carries them: `forebay plugin new`
//! writes them beside a new plugin. Writes `sdk.rs`: `FILES`, path in this repository and text of each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is taken; `target` folders and the like are not.
const KINDS: [&str; 10] = ["rs", "go", "s", "toml", "lock", "mod", "sum", "md", "yaml", "wit"];
const NAMES: [&str; 2] = ["LICENSE", ".gitignore"];
/// Folders that no plugin needs.
const LEFT_OUT: [&str; 2] = ["target", "generate"];

fn main() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("router/ lies in the repository").to_owned();
    let mut files = vec![root.join("plugins/Cargo.lock")];
    for folder in ["sdk/rust", "sdk/go", "wit"] {
        walk(&root.join(folder), &mut files);
    }
    files.sort();
    let mut list = String::from("const FILES: &[(&str, &str)] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&root).expect("found below it").display().to_string();
        writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string())
            .expect("a String takes any text");
        println!("cargo::rerun-if-changed={}", file.display());
    }
    list += "];\n";
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("sdk.rs");
    std::fs::write(&out, list).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    // new files are noticed by their folder
    println!("cargo::rerun-if-changed={}", folder.display());
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            walk(&path, files);
        } else if NAMES.contains(&name.as_str())
            || path.extension().is_some_and(|e| KINDS.iter().any(|kind| e == *kind))
        {
            files.push(path);
        }
    }
}
