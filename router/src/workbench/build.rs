//! From a plugin's folder to its component: the language's own toolchain makes a core module, and the step from there is
//! inside this binary.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

/// What a plugin can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// cargo, for wasm32-unknown-unknown.
    Rust,
    /// go 1.24 or newer, for wasip1.
    Go,
}

const TARGET: &str = "wasm32-unknown-unknown";
/// The oldest Go that makes such libraries.
const GO: (u32, u32) = (1, 24);

impl Language {
    /// By the files in the folder.
    ///
    /// # Errors
    /// If it is none of ours, or both.
    pub fn of(folder: &Path) -> anyhow::Result<Language> {
        let has = |name: &str| folder.join(name).is_file();
        match (has("Cargo.toml"), has("go.mod")) {
            (true, false) => Ok(Language::Rust),
            (false, true) => Ok(Language::Go),
            (true, true) => {
                bail!("{} has a Cargo.toml and a go.mod: a plugin is one of both", folder.display())
            }
            (false, false) => bail!(
                "{} has no Cargo.toml and no go.mod, so there is no plugin to build (`forebay plugin new` makes one)",
                folder.display()
            ),
        }
    }
}

/// Builds the plugin in a folder. What its toolchain says goes to standard error.
///
/// # Errors
/// If the toolchain is missing (the message says what to install) or fails, or what it made is no plugin.
pub fn build(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let module = match Language::of(folder)? {
        Language::Rust => rust(folder)?,
        Language::Go => go(folder)?,
    };
    // a linker that makes components itself leaves nothing to do
    if module.starts_with(b"\0asm\x0d\0\x01\0") {
        return Ok(module);
    }
    Ok(forebay_component::componentize(&module)?)
}

fn rust(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let named =
        |name: &str, or: &str| std::env::var(name).ok().filter(|s| !s.is_empty()).unwrap_or(or.to_owned());
    let cargo = named("WASM_CARGO", "cargo");
    has_target(&named("WASM_RUSTC", "rustc"), folder)?;
    let folder = std::fs::canonicalize(folder)?;
    let manifest = folder.join("Cargo.toml");
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(&manifest)
        .current_dir(&folder)
        // meant for this machine's programs
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if std::env::var_os("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS").is_none() {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags(&folder));
    }
    let mut child = command.spawn().map_err(|error| missing(&cargo, RUST, &error))?;
    let mut module = None;
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        module = module_of(&line?, &manifest).or(module);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo could not build {} ({status}): see above", folder.display());
    }
    let Some(module) = module else {
        bail!(
            "{} made no WebAssembly library: it needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
            manifest.display()
        );
    };
    std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))
}

const RUST: &str = "install Rust from https://rustup.rs, then run `rustup target add wasm32-unknown-unknown`";
const TINYGO: &str = "install TinyGo from https://tinygo.org, or leave WASM_TINYGO empty to build with Go";
const GOLANG: &str = "install Go 1.24 or newer from https://go.dev/dl";

/// Why a program does not start; that it is not there is said by what to do.
fn missing(program: &str, fix: &str, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("there is no `{program}` on the PATH: {fix}"),
        _ => anyhow::anyhow!("`{program}` cannot be run ({error}): {fix}"),
    }
}

/// Whether the compiler has the target's standard library.
fn has_target(rustc: &str, folder: &Path) -> anyhow::Result<()> {
    let asked = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| missing(rustc, RUST, &error))?;
    let told = String::from_utf8_lossy(&asked.stdout);
    let has_std = std::fs::read_dir(told.trim()).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    });
    if asked.status.success() && has_std {
        return Ok(());
    }
    bail!(
        "this Rust has no standard library for WebAssembly: run `rustup target add {TARGET}` \
         (without rustup: install Rust from https://rustup.rs, or in Forebay's repository `eval \"$(scripts/wasm-rust)\"`)"
    )
}

/// SIMD makes hashes a fifth faster, and the host has it. This machine's own paths stay out, so that the same source gives the
/// same bytes.
fn flags(folder: &Path) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = format!("-Ctarget-feature=+simd128 --remap-path-prefix={}=.", folder.display());
    if let Some(home) = home {
        flags += &format!(" --remap-path-prefix={}=registry", home.join("registry/src").display());
    }
    flags
}

/// The library that this line of cargo's tells of, if it is the manifest's own.
fn module_of(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_ours = message["reason"] == "compiler-artifact"
        && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
    let files = message["filenames"].as_array().filter(|_| is_ours)?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

fn go(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let asked = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| missing("go", GOLANG, &error))?;
    let told = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if !asked.status.success() {
        bail!("go cannot be asked for its version: {}", String::from_utf8_lossy(&asked.stderr).trim());
    }
    if version(&told).is_some_and(|version| version < GO) {
        bail!("this is {told}, and a plugin needs more: {GOLANG}");
    }
    let named = std::env::var("WASM_TINYGO").ok().filter(|named| !named.is_empty());
    let (mut command, compiler, fix) = match named {
        Some(tinygo) => (tinygo_build(&tinygo), tinygo, TINYGO),
        None => (go_build(), "go".to_owned(), GOLANG),
    };
    let out = std::env::temp_dir().join(format!("forebay-plugin-{}.wasm", std::process::id()));
    let status = command
        .arg("-o")
        .arg(&out)
        .arg(".")
        .current_dir(folder)
        .env_remove("GOFLAGS")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| missing(&compiler, fix, &error))?;
    let module = std::fs::read(&out);
    // it may not be there
    let _ = std::fs::remove_file(&out);
    if !status.success() {
        bail!("{compiler} could not build {} ({status}): see above", folder.display());
    }
    module.with_context(|| format!("{compiler} made nothing of {}", folder.display()))
}

fn go_build() -> Command {
    let mut command = Command::new("go");
    command.args(["build", "-buildmode=c-shared", "-ldflags=-checklinkname=0", "-trimpath"]);
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0")]);
    command
}

/// A panic traps: its text, which may hold a row's value, would go to the log. Without a scheduler there is no asyncify, with
/// which each call takes several times as long. The stack would have 64 KiB.
fn tinygo_build(tinygo: &str) -> Command {
    let mut command = Command::new(tinygo);
    command.args(["build", "-target=wasip1", "-buildmode=c-shared", "-panic=trap", "-scheduler=none"]);
    command.args(["-opt=2", "-no-debug", "-ldflags=-extldflags '-z stack-size=1048576'"]);
    command.env_remove("GOOS").env_remove("GOARCH");
    command
}

/// `go1.26.3` is (1, 26); a development version says nothing.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.strip_prefix("go")?.split(['.', '-', ' ', 'r', 'b']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_says_its_version() {
        assert_eq!(version("go1.26.3"), Some((1, 26)));
        assert_eq!(version("go1.27rc1"), Some((1, 27)));
        assert_eq!(version("go1.25 X:nodwarf5"), Some((1, 25)));
        assert_eq!(version("devel go1.28-abc"), None);
    }

    #[test]
    fn the_library_is_the_manifests_own() {
        let line = |manifest: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["/t/{file}"]}}"#
            )
        };
        let of = |line: &str| module_of(line, Path::new("/p/Cargo.toml"));
        assert_eq!(of(&line("/p/Cargo.toml", "p.wasm")), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(of(&line("/p/Cargo.toml", "libp.rlib")), None);
        assert_eq!(of(&line("/q/Cargo.toml", "q.wasm")), None);
        assert_eq!(of("not JSON"), None);
    }

    #[test]
    fn a_folder_without_a_plugin_is_told() {
        let home = tempfile::tempdir().unwrap();
        let said = || Language::of(home.path()).unwrap_err().to_string();
        assert!(said().contains("forebay plugin new"));
        std::fs::write(home.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(Language::of(home.path()).unwrap(), Language::Rust);
        std::fs::write(home.path().join("go.mod"), "").unwrap();
        assert!(said().contains("one of both"));
    }
}
