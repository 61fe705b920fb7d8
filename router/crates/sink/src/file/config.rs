//! Settings of the file sink, and where its files lie.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::formats::FormatConfig;

/// Settings of the file sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file that is written to, such as `out/tenants.ndjson` (`.ndjson` is added where there is no ending), or a
    /// folder (`out/`, or one that exists), in which the file has the route's name. A relative path lies below the
    /// server's data directory. Beside it lies a small file `<name>.mark` that belongs to it.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// How events are written: one a line.
    #[serde(default)]
    pub format: FormatConfig,
    /// When the file is closed and the next one begun. A closed file is named after the first offset it may hold:
    /// `tenants-00000000000000001234.ndjson`. Without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate: Option<RotateConfig>,
    /// Whether a delivery counts only when the disk has it (true by default). With false a crash of the machine, though not
    /// of the server process, may lose what was confirmed; the route then stops and says so.
    #[serde(default = "yes")]
    pub sync: bool,
}

/// When a file is closed, between two deliveries: at whichever bound is met first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateConfig {
    /// When it has at least so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was begun at least so many seconds ago; looked at when there is something to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

fn yes() -> bool {
    true
}

impl FileConfig {
    /// The live file: one path, however it is spelt.
    pub fn place(&self, route: &str, data_dir: &Path) -> PathBuf {
        let live = Layout::new(self, route, data_dir).live();
        let folder = live.parent().unwrap_or(data_dir);
        // a folder that is not there yet has no links in it
        let folder = std::fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
        let folder = folder.unwrap_or_else(|_| data_dir.to_owned());
        folder.join(live.file_name().unwrap_or_default())
    }

    /// What is wrong with it: `(path below the sink, words)`.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |path: &str, words: &str| problems.push((path.to_owned(), words.to_owned()));
        let text = self.path.to_string_lossy();
        if text.is_empty() {
            problem("path", "a file or a folder is needed");
        } else if text.chars().any(char::is_control) {
            problem("path", "a path must not hold control characters");
        } else if self.path.components().any(|c| c == std::path::Component::ParentDir) {
            problem("path", "a path must not hold `..`");
        }
        if let Some(rotate) = &self.rotate {
            if rotate.bytes == Some(0) {
                problem("rotate.bytes", "must be at least 1");
            }
            if rotate.seconds == Some(0) {
                problem("rotate.seconds", "must be at least 1");
            }
            if *rotate == RotateConfig::default() {
                problem("rotate", "says neither bytes nor seconds; give one, or leave rotate out");
            }
        }
        problems.extend(
            self.format.problems().into_iter().map(|(path, words)| (format!("format.{path}"), words)),
        );
        problems
    }
}

/// Where the files of one sink lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    stem: String,
    ending: String,
}

impl Layout {
    pub(super) fn new(config: &FileConfig, route: &str, data_dir: &Path) -> Layout {
        let path = data_dir.join(&config.path);
        let ends_in_slash = config.path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let (folder, name) = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if !ends_in_slash && !path.is_dir() => {
                (folder.to_owned(), PathBuf::from(name))
            }
            _ => (path.clone(), PathBuf::from(format!("{}.ndjson", route.replace(['/', '\\'], "_")))),
        };
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        Layout {
            folder,
            stem: text(name.file_stem()).unwrap_or_default(),
            ending: text(name.extension()).unwrap_or_else(|| "ndjson".into()),
        }
    }

    /// The file that is written to.
    pub(super) fn live(&self) -> PathBuf {
        self.folder.join(format!("{}.{}", self.stem, self.ending))
    }

    /// What belongs to it.
    pub(super) fn sidecar(&self) -> PathBuf {
        self.folder.join(format!("{}.{}.mark", self.stem, self.ending))
    }

    /// The name for a file that is closed; `again` counts those of the same offset (after a replay).
    pub(super) fn closed_name(&self, first: u64, again: u32) -> String {
        match again {
            0 => format!("{}-{first:020}.{}", self.stem, self.ending),
            n => format!("{}-{first:020}-{n}.{}", self.stem, self.ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml_path: &str) -> FileConfig {
        FileConfig { path: yaml_path.into(), format: FormatConfig::default(), rotate: None, sync: true }
    }

    #[test]
    fn files_lie_where_the_path_says() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("there")).unwrap();
        let live = |path: &str| {
            let live = Layout::new(&config(path), "to-crm", data.path()).live();
            live.strip_prefix(data.path()).unwrap_or(&live).to_str().unwrap().to_owned()
        };
        assert_eq!(live("out/tenants"), "out/tenants.ndjson");
        assert_eq!(live("out/tenants.jsonl"), "out/tenants.jsonl");
        assert_eq!(live("tenants"), "tenants.ndjson");
        assert_eq!(live("out/"), "out/to-crm.ndjson");
        assert_eq!(live("there"), "there/to-crm.ndjson");
        assert_eq!(live("/var/spool/x"), "/var/spool/x.ndjson");
        let layout = Layout::new(&config("out/t"), "r", data.path());
        assert_eq!(layout.closed_name(12, 0), "t-00000000000000000012.ndjson");
        assert_eq!(layout.closed_name(12, 1), "t-00000000000000000012-1.ndjson");
        assert!(layout.sidecar().ends_with("out/t.ndjson.mark"));
    }

    #[test]
    fn every_problem_is_told() {
        let mut bad = config("../x");
        bad.rotate = Some(RotateConfig { bytes: Some(0), seconds: Some(0) });
        let paths: Vec<String> = bad.problems().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["path", "rotate.bytes", "rotate.seconds"]);
        bad.rotate = Some(RotateConfig::default());
        assert!(bad.problems().iter().any(|(path, _)| path == "rotate"));
        assert!(config("out/x").problems().is_empty());
    }
}
