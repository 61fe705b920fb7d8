//! Writes the Go SDK's bindings: `cargo run --manifest-path sdk/go/generate/Cargo.toml [-- --check]`, or `make bindings`.
//!
//! ```text
//! wit/v0.1 --wit-bindgen-go--> sdk/go/internal/bindings/{imports,exports}
//! wit-bindgen-go's own Go package ---> sdk/go/internal/bindings/wit      (what the bindings import)
//! ```
//!
//! The bindings' runtime package, `go.bytecodealliance.org/pkg`, comes with the generator's crate. The files that are
//! needed are copied and the import path is rewritten, so that a plugin's module requires the SDK and nothing else.
//!
//! `--check` writes nothing, and fails if anything would change. gofmt must be on PATH.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

const MODULE: &str = "github.com/forebay/forebay/sdk/go/internal/bindings";
/// Where the bindings find a Pinner; of `runtime` they use nothing else.
const PIN: &str = "github.com/forebay/forebay/sdk/go/internal/pin";
const RUNTIME: &str = "go.bytecodealliance.org/pkg";
/// The one file among the bindings that is written by hand, where they look for the implementation.
const BY_HAND: &str = "exports/export_forebay_transform_transformer/binding.go";
/// Of the runtime package: what bindings without futures and streams import.
const COPIED: [&str; 7] = [
    "LICENSE",
    "wit/runtime/empty.s",
    "wit/runtime/runtime.go",
    "wit/types/option.go",
    "wit/types/result.go",
    "wit/types/tuple.go",
    "wit/types/unit.go",
];

fn main() -> Result<()> {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => bail!("unknown argument {other}"),
    };
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the folder above")?;
    let mut files = bindings(&sdk.join("../../wit/v0.1"))?;
    files.extend(runtime(Path::new(env!("CARGO_MANIFEST_DIR")))?);
    for (path, text) in &mut files {
        // natively there is no host, and nothing to be vetted
        if path.extension().is_some_and(|extension| extension == "go") {
            text.splice(..0, *b"//go:build wasip1\n\n");
        }
    }
    let root = sdk.join("internal/bindings");
    let there = files_in(&root)?;
    if check {
        let mut stale: Vec<_> = there.iter().filter(|(path, text)| files.get(*path) != Some(text)).collect();
        let missing = files.iter().filter(|(path, _)| !there.contains_key(*path));
        stale.extend(missing);
        let stale: Vec<_> = stale.iter().map(|(path, _)| path.display().to_string()).collect();
        ensure!(stale.is_empty(), "not what is generated: {}; run `make bindings`", stale.join(", "));
        return Ok(());
    }
    for path in there.keys().filter(|path| !files.contains_key(*path)) {
        std::fs::remove_file(root.join(path))?;
    }
    for (path, text) in &files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(path, text)?;
    }
    Ok(())
}

type Texts = BTreeMap<PathBuf, Vec<u8>>;

/// The bindings of the contract.
fn bindings(wit: &Path) -> Result<Texts> {
    ensure!(Command::new("gofmt").arg("-h").output().is_ok(), "gofmt is not on PATH; it comes with Go");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some("transform-plugin"))?;
    let mut files = Files::default();
    let options =
        wit_bindgen_go::Opts { pkg_name: Some(MODULE.to_owned()), quiet: true, ..Default::default() };
    options.build().generate(&mut resolve, world, &mut files)?;
    Ok(files.iter().map(|(name, text)| (PathBuf::from(name), ours(text))).collect())
}

/// The files of the runtime package, from the generator's crate.
fn runtime(here: &Path) -> Result<Texts> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(here.join("Cargo.toml"))
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "wit-bindgen-go")
        .and_then(|package| package["manifest_path"].as_str())
        .context("wit-bindgen-go is a dependency")?;
    let package = Path::new(manifest).with_file_name("src").join("pkg");
    let copy = |name: &&str| -> Result<(PathBuf, Vec<u8>)> {
        let text = std::fs::read(package.join(name)).with_context(|| (*name).to_owned())?;
        let origin = format!("// Copied from {RUNTIME}, see ../../LICENSE. DO NOT EDIT!\n\n");
        let text = if name.ends_with(".go") { [origin.into_bytes(), text].concat() } else { text };
        Ok((PathBuf::from(name), ours(&text)))
    };
    COPIED.iter().map(copy).collect()
}

/// The text with the runtime package under our path, and with our Pinner, since TinyGo's runtime has none.
fn ours(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text)
        .replace(&format!("\"{RUNTIME}/wit/"), &format!("\"{MODULE}/wit/"))
        .replace("\n\t\"runtime\"\n", &format!("\n\truntime \"{PIN}\"\n"))
        .into_bytes()
}

/// The generated files that are there.
fn files_in(root: &Path) -> Result<Texts> {
    let mut found = Texts::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root)?.to_owned();
            if name != Path::new(BY_HAND) {
                found.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
