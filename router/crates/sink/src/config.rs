//! What a route's `sink` may be, and how it is opened.

use std::path::{Path, PathBuf};

use forebay_model::{Fault, Secret, SecretRef};
use serde::{Deserialize, Serialize};

use crate::console::ConsoleConfig;
use crate::file::FileConfig;
#[cfg(feature = "webhook")]
use crate::webhook::WebhookConfig;
use crate::{Mark, Sink};

/// Where a route's events go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SinkConfig {
    /// A file of one JSON record a line, exactly once, with rotation.
    File(FileConfig),
    /// Lines for people on the server process's standard output.
    Console(ConsoleConfig),
    /// An HTTP endpoint, with the signature of Standard Webhooks; at least once, in order by key.
    #[cfg(feature = "webhook")]
    Webhook(WebhookConfig),
}

/// What a sink gets to know when it is opened.
pub struct Opening<'a> {
    /// The route's name.
    pub route: &'a str,
    /// The source's name.
    pub source: &'a str,
    /// Where the route is going to start, if the destination holds no later mark of the same epoch.
    pub start: Mark,
    /// Within one lineage an offset is the same event for ever: with the route's name, what an event's id is made of.
    pub lineage: u64,
    /// Reads a secret.
    pub secret: &'a (dyn Fn(&SecretRef) -> Result<Secret, Fault> + Sync),
    /// The server's data directory, absolute.
    pub data_dir: &'a Path,
}

impl SinkConfig {
    /// What is wrong with it: every problem, each with its path below the sink (`webhook.url`) and words.
    pub fn problems(&self) -> Vec<(String, String)> {
        let problems = match self {
            SinkConfig::File(config) => config.problems(),
            SinkConfig::Console(_) => Vec::new(),
            #[cfg(feature = "webhook")]
            SinkConfig::Webhook(config) => config.problems(),
        };
        let below = |path: String| {
            if path.is_empty() { self.kind().to_owned() } else { format!("{}.{path}", self.kind()) }
        };
        problems.into_iter().map(|(path, words)| (below(path), words)).collect()
    }

    /// Every secret that it refers to, with its path below the sink (`webhook.secret`).
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let secrets = match self {
            SinkConfig::File(_) | SinkConfig::Console(_) => Vec::new(),
            #[cfg(feature = "webhook")]
            SinkConfig::Webhook(config) => config.secrets(),
        };
        secrets.into_iter().map(|(path, secret)| (format!("{}.{path}", self.kind()), secret)).collect()
    }

    /// The file that no two routes may write to at once, with its path below the sink: two that do would spoil it.
    pub fn place(&self, route: &str, data_dir: &Path) -> Option<(String, PathBuf)> {
        match self {
            SinkConfig::File(config) => Some(("file.path".to_owned(), config.place(route, data_dir))),
            SinkConfig::Console(_) => None,
            // an endpoint can tell deliveries apart by their ids
            #[cfg(feature = "webhook")]
            SinkConfig::Webhook(_) => None,
        }
    }

    /// Its name in definitions.
    pub fn kind(&self) -> &'static str {
        match self {
            SinkConfig::File(_) => "file",
            SinkConfig::Console(_) => "console",
            #[cfg(feature = "webhook")]
            SinkConfig::Webhook(_) => "webhook",
        }
    }
}

/// Opens a route's sink.
///
/// # Errors
/// If the destination cannot be opened as configured, classified as ever: a retryable one may be tried again.
pub async fn open(config: &SinkConfig, opening: Opening<'_>) -> Result<Box<dyn Sink>, Fault> {
    Ok(match config {
        SinkConfig::File(config) => Box::new(crate::file::open(config, &opening)?),
        SinkConfig::Console(config) => Box::new(crate::console::open(config)),
        #[cfg(feature = "webhook")]
        SinkConfig::Webhook(config) => Box::new(crate::webhook::open(config, &opening)?),
    })
}

// with every sink that there is
#[cfg(all(test, feature = "webhook"))]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<SinkConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn definitions_read_and_write_back_as_they_stand() {
        let file = r#"{"file":{"path":"out/t","format":{"debezium":{"profile":"flink","zero_dates":"string"}},"sync":false}}"#;
        let webhook = r#"{"webhook":{"url":"http://127.0.0.1:9999/hook","secret":{"env":"HOOK"},"headers":{"x-key":{"file":"/k"}}}}"#;
        for (json, kind, secrets) in
            [(file, "file", 0), (r#"{"console":{}}"#, "console", 0), (webhook, "webhook", 2)]
        {
            let config = parse(json).unwrap();
            assert_eq!((config.kind(), config.secrets().len()), (kind, secrets));
            assert_eq!(config.problems(), []);
            assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
        }
    }

    #[test]
    fn problems_have_paths_below_the_sink() {
        let config = parse(
            r#"{"file":{"path":"","rotate":{"bytes":0},"format":{"debezium":{"profile":"flink","time":"connect"}}}}"#,
        );
        let paths: Vec<String> = config.unwrap().problems().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["file.path", "file.rotate.bytes", "file.format.debezium.time"]);
        for (json, expected) in [
            (r#"{"kafka":{}}"#, "unknown variant `kafka`"),
            (r#"{"file":{"path":"x","rotat":{}}}"#, "unknown field `rotat`"),
            (r#"{"file":{"path":"x","format":{"debezium":{"schema":true}}}}"#, "unknown field `schema`"),
        ] {
            assert!(parse(json).unwrap_err().to_string().contains(expected), "{json}");
        }
    }

    #[tokio::test]
    async fn sinks_open_by_their_definition() {
        let data = tempfile::tempdir().unwrap();
        let secret = |_: &SecretRef| Ok(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        for json in [
            r#"{"file":{"path":"out/"}}"#,
            r#"{"console":{"color":"never"}}"#,
            r#"{"webhook":{"url":"https://localhost/","secret":{"env":"HOOK"}}}"#,
        ] {
            let opening = Opening {
                route: "r",
                source: "s",
                start: Mark::default(),
                lineage: 0,
                secret: &secret,
                data_dir: data.path(),
            };
            let mut sink = open(&parse(json).unwrap(), opening).await.unwrap();
            assert_eq!(sink.committed().await.unwrap(), None);
        }
        assert!(data.path().join("out/r.ndjson.mark").exists());
    }
}
