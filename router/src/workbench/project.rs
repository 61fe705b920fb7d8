//! New plugins, from the templates that this binary carries, with the SDK of its own version beside them: a new project
//! needs its language's toolchain and nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::Language;

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// The name that stands in the templates for the plugin's own, as it is and as an identifier.
const NAME: [&str; 2] = ["plugin-template", "plugin_template"];
/// The folder beside the plugin's own sources.
const SDK: &str = "forebay-sdk";
const NOTE: &str = "\
# The Forebay SDK

The sources that this plugin is built with: those of Forebay VERSION, written by `forebay plugin new`. They are not in a
registry, so keep them with your plugin, and do not edit them. To move to another version of Forebay, make a new
project with it and take this folder from there.
";

/// Whether a plugin, its folder and its package can be called so.
pub fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Makes the project in a folder that is not there yet. Answers the files that are the author's own.
///
/// # Errors
/// If something stands there already, or a file cannot be written.
pub fn create(language: Language, name: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if folder.exists() {
        bail!("{} is there already: take another name, or another place with --dir", folder.display());
    }
    let files = files(language, name);
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| PathBuf::from(path)).filter(|path| !path.starts_with(SDK)).collect())
}

/// Path in the project and text of each file.
fn files(language: Language, name: &str) -> Vec<(String, String)> {
    let (sdk, template) = match language {
        Language::Rust => ("sdk/rust/", "sdk/rust/template/"),
        Language::Go => ("sdk/go/", "sdk/go/template/"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let mut files = vec![(format!("{SDK}/README.md"), NOTE.replace("VERSION", version))];
    for (path, text) in FILES {
        if let Some(path) = path.strip_prefix(template) {
            let [plain, identifier] = NAME;
            let named = text.replace(plain, name).replace(identifier, &name.replace('-', "_"));
            // in this repository a template lies inside its SDK
            let beside = match path {
                "Cargo.toml" => named.replace("path = \"..\"", &format!("path = {SDK:?}")),
                "go.mod" => named.replace("=> ..", &format!("=> ./{SDK}")),
                _ => named,
            };
            files.push((path.to_owned(), beside));
        } else if let Some(path) = path.strip_prefix(sdk) {
            files.push((format!("{SDK}/{path}"), alone(path, text, version)));
        }
    }
    if language == Language::Rust {
        let wit = FILES.iter().filter(|(path, _)| path.starts_with("wit/"));
        files.extend(wit.map(|(path, text)| (format!("{SDK}/{path}"), (*text).to_owned())));
        // the versions that the SDK was tested with; cargo leaves out of it what this project does not need
        let lock = FILES.iter().filter(|(path, _)| *path == "plugins/Cargo.lock");
        files.extend(lock.map(|(_, text)| ("Cargo.lock".to_owned(), (*text).to_owned())));
    }
    files.sort();
    files
}

/// A file of the SDK as it stands outside of this repository: the Rust SDK is a member of a workspace here.
fn alone(path: &str, text: &str, version: &str) -> String {
    match path {
        "Cargo.toml" => {
            let inherited = [
                ("rust-version.workspace = true", "rust-version = \"1.95\"".to_owned()),
                ("\nversion.workspace = true", format!("\nversion = {version:?}")),
                ("edition.workspace = true", "edition = \"2024\"".to_owned()),
                ("license.workspace = true", "license = \"Apache-2.0\"".to_owned()),
                ("publish.workspace = true", "publish = false".to_owned()),
                ("workspace = \"../../plugins\"\n", String::new()),
                ("[lints]\nworkspace = true\n\n", String::new()),
                ("serde.workspace = true", "serde = { version = \"1\", features = [\"derive\"] }".to_owned()),
            ];
            inherited.iter().fold(text.to_owned(), |text, (here, there)| text.replace(here, there))
        }
        "src/lib.rs" => text.replace("\"../../wit/v0.1\"", "\"wit/v0.1\""),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_packages_and_folders() {
        assert!(is_name("mask") && is_name("mask-2") && is_name("a"));
        for bad in ["", "Mask", "2mask", "-mask", "a_b", "a/b", "a b", "ä", &"a".repeat(41)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_new_project_stands_alone() {
        for language in [Language::Rust, Language::Go] {
            let files = files(language, "my-mask");
            let text =
                |path: &str| &files.iter().find(|(p, _)| p == path).unwrap_or_else(|| panic!("no {path}")).1;
            for path in ["README.md", ".gitignore", "tests/cases.yaml", "forebay-sdk/README.md"] {
                assert!(!text(path).is_empty());
            }
            for (path, text) in &files {
                assert!(!NAME.iter().any(|name| text.contains(name)), "{path} has the template's name");
                assert!(!path.contains("template") && !path.contains("target/"), "{path}");
            }
            match language {
                Language::Rust => {
                    let manifest = text("Cargo.toml");
                    assert!(
                        manifest.contains("name = \"my-mask\"")
                            && manifest.contains("path = \"forebay-sdk\"")
                    );
                    assert!(text("forebay-sdk/src/lib.rs").contains("path: \"wit/v0.1\""));
                    assert!(text("forebay-sdk/wit/v0.1/transform.wit").contains("world transform-plugin"));
                    let sdk = text("forebay-sdk/Cargo.toml");
                    assert!(!sdk.contains("workspace"), "{sdk}");
                }
                Language::Go => {
                    assert!(text("go.mod").contains("=> ./forebay-sdk"));
                    assert!(text("forebay-sdk/go.mod").starts_with("module "));
                }
            }
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mask");
        let mine = create(Language::Rust, "mask", &folder).unwrap();
        assert!(mine.contains(&PathBuf::from("src/lib.rs")) && !mine.iter().any(|p| p.starts_with(SDK)));
        assert!(folder.join("forebay-sdk/src/lib.rs").is_file());
        assert!(
            create(Language::Rust, "mask", &folder).unwrap_err().to_string().contains("is there already")
        );
    }
}
