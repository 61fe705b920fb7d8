//! The documents, as they stand in a definitions file, in the API and in the store.
//!
//! A document is stored as these structs write it, not as it was spelt: leaving a field out and writing its default are the
//! same definition, and here what equals its default is left out. The comments on the fields are the reference's and the API's text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use forebay_model::{SecretRef, TablePattern};
use forebay_sink::SinkConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Everything that is to run, by name. Names are 1 to 63 lower-case letters, digits and hyphens, the first no hyphen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Definitions {
    /// The MySQL servers to read.
    pub sources: BTreeMap<String, SourceDef>,
    /// The transforms' components.
    pub plugins: BTreeMap<String, PluginDef>,
    /// The ways from a source to a destination.
    pub routes: BTreeMap<String, RouteDef>,
}

/// A MySQL server to read, and what of it to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDef {
    /// How to reach the server.
    pub mysql: MysqlDef,
    /// The tables to capture, as `database.table` with `*` (any characters) and `?` (one).
    #[schema(value_type = Vec<String>, min_items = 1, example = json!(["shop.*"]))]
    pub tables: Vec<TablePattern>,
    /// Where a new source starts: `now` (changes from now on) or `earliest` (the oldest that the server's binlog holds).
    /// Without meaning once it has started. Default `now`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(default = "now")]
    pub start: StartAt,
    /// Whether the rows that tables have already are read: when the source is new, and when tables are added to it. Default
    /// `initial`, or `never` where the source starts at `earliest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotMode>,
    /// How snapshots are read. Default: as the fields say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub snapshots: SnapshotsDef,
    /// How long changes are kept that every route has passed, as far as the disk limit allows. Default: 24 hours.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retain: RetainDef,
    /// The most disk that this source's changes may take, in bytes, at least 1 MiB (1048576). When it is reached, changes
    /// that every route has passed go first; then reading waits until routes have moved on. Nothing is dropped that a route
    /// has not passed, or that a table in quarantine needs; to release one may take more. Default: no limit but the disk's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1_048_576)]
    pub disk_limit_bytes: Option<u64>,
    /// Tags of columns, by `database.table.column` with `*` and `?`. A column tagged `pii` reaches no route whose transforms do not
    /// drop, nullify or replace it, unless the route's `allow_pii` names it. Other tags mean nothing yet. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"shop.members.email": ["pii"]}))]
    pub tags: BTreeMap<String, Vec<String>>,
}

impl SourceDef {
    /// Whether rows that tables have already are read.
    pub fn takes_snapshots(&self) -> bool {
        let default =
            if self.start == StartAt::Earliest { SnapshotMode::Never } else { SnapshotMode::Initial };
        self.snapshot.unwrap_or(default) == SnapshotMode::Initial
    }
}

/// How to reach a MySQL server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlDef {
    /// Host name or address.
    #[schema(example = "127.0.0.1")]
    pub host: String,
    /// TCP port. Default 3306.
    #[serde(default = "mysql_port", skip_serializing_if = "is_mysql_port")]
    #[schema(default = 3306, minimum = 1)]
    pub port: u16,
    /// Other servers with the same data, as `host` or `host:port`: the first that is fit is read when the one before cannot be.
    /// With GTIDs on. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["replica-1:3306"]))]
    pub hosts: Vec<String>,
    /// The account; it needs REPLICATION SLAVE, REPLICATION CLIENT, and SELECT on the captured tables.
    #[schema(example = "forebay")]
    pub user: String,
    /// Where its password is. Default: no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Whether the connection is encrypted, and how the server is recognised. Default `preferred`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsDef,
    /// The replica id that Forebay registers with, unique among the server's replicas, from 1. Default: a random one
    /// that no replica has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub server_id: Option<u32>,
}

/// Encryption of the connection to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TlsDef {
    /// Never encrypted.
    Disabled,
    /// Encrypted if the server can; anybody's certificate is taken.
    #[default]
    Preferred,
    /// Encrypted or not at all; anybody's certificate is taken.
    Required,
    /// Encrypted, and the server's certificate is signed by this authority.
    VerifyCa {
        /// The authority's certificate: a PEM file that the server process can read.
        #[schema(value_type = String)]
        ca: PathBuf,
    },
    /// As `verify_ca`, and the certificate is for this host name.
    VerifyIdentity {
        /// The authority's certificate: a PEM file that the server process can read. Default: the well-known
        /// authorities.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        ca: Option<PathBuf>,
    },
}

/// Whether the rows that tables have already are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotMode {
    /// Yes, beside the changes and without a lock.
    Initial,
    /// No: only changes.
    Never,
}

/// How snapshots are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotsDef {
    /// The most rows that are read at once, 1 to 1000000. Fewer where rows are long. Default 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 10_000)]
    pub chunk_rows: Option<u32>,
    /// Connections that read at the same time, 1 to 16. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16, default = 2)]
    pub readers: Option<u32>,
    /// A replica of the server that snapshots are read from, with the source's account. Default: the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaDef>,
}

/// A replica of a source's server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaDef {
    /// Host name or address.
    #[schema(example = "127.0.0.1")]
    pub host: String,
    /// TCP port. Default 3306.
    #[serde(default = "mysql_port", skip_serializing_if = "is_mysql_port")]
    #[schema(default = 3306, minimum = 1)]
    pub port: u16,
}

/// Where something new starts to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// At the oldest change that there is.
    Earliest,
    /// At the first change to come.
    #[default]
    Now,
}

/// How long changes are kept that every route has passed: as long as one of the two wants it. What a route has not passed is
/// always kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetainDef {
    /// Kept for this many hours, 1 to 87600. Default: no such time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 87_600)]
    pub hours: Option<u32>,
    /// Kept while they take no more than this many bytes. Default: no such size.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub bytes: Option<u64>,
}

/// A transform's component. One of the three says which; it is stored as `sha256`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginDef {
    /// The component's SHA-256, 64 lower-case hexadecimal digits; its bytes were uploaded before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
    /// In a definitions file: the component's path, from the file's own folder. The command line reads it and sends the
    /// bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// In an apply over REST: the component's bytes, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Byte)]
    pub wasm: Option<String>,
}

/// A way from a source's tables through transforms to one destination, at an offset of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteDef {
    /// The source to read.
    #[schema(example = "shop")]
    pub source: String,
    /// The tables to deliver, of those that the source captures, as `database.table` with `*` (any characters) and `?`
    /// (one).
    #[schema(value_type = Vec<String>, min_items = 1, example = json!(["shop.orders"]))]
    pub tables: Vec<TablePattern>,
    /// What the rows go through, in this order. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<TransformDef>,
    /// Columns tagged `pii` that this route may deliver as they are: a column's name, or `database.table.column`, with `*` and `?`.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["shop.members.email"]))]
    pub allow_pii: Vec<String>,
    /// Where they go: one kind of sink, with its settings.
    pub sink: SinkConfig,
    /// Where a new route starts: `now` (what the source reads from now on, which for a new source is everything that it reads) or
    /// `earliest` (the oldest that is kept). Without meaning once it has started; then its offset is set instead. Default `now`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(default = "now")]
    pub from: StartAt,
    /// Whether a new route waits to be resumed. Without meaning once it exists; then it is paused and resumed instead.
    /// Default false.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(default = false)]
    pub paused: bool,
    /// When failing events stop the route. Default: more than 100 in 60 s.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dead_letters: DeadLettersDef,
}

/// A use of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(from = "WrittenTransform", deny_unknown_fields)]
pub struct TransformDef {
    /// The plugin; `mask@0.1.0` says the `version`, too.
    #[schema(example = "mask")]
    pub plugin: String,
    /// Which upload of the plugin: its version, as the component says it, or `sha256:` and at least 8 digits of its hash. Default: the
    /// plugin's default, which is what its definition names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.1.0")]
    pub version: Option<String>,
    /// The plugin's own settings. Wherever it wants a secret, `{ env: NAME }` or `{ file: /path }` stands in its place.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// What it may use. Default: as the fields say.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: LimitsDef,
}

/// A use of a plugin as it may be spelt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTransform {
    plugin: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    limits: LimitsDef,
}

impl From<WrittenTransform> for TransformDef {
    fn from(written: WrittenTransform) -> Self {
        let WrittenTransform { plugin, version, config, limits } = written;
        let (plugin, version) = match (version, plugin.split_once('@')) {
            (None, Some((plugin, version))) => (plugin.to_owned(), Some(version.to_owned())),
            (version, _) => (plugin, version),
        };
        TransformDef { plugin, version, config, limits }
    }
}

/// What a use of a plugin may use at once. More ends the call; the event that caused it goes to the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsDef {
    /// Memory, in MiB, 1 to 4095. Default 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4095, default = 64)]
    pub memory_mib: Option<u32>,
    /// Memory of all instances of the plugin in the route together, in MiB, 1 to 65535, and never less than `memory_mib`: those of
    /// tables without changes go, and come again. Default 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 65_535, default = 256)]
    pub pool_mib: Option<u32>,
    /// Time for one batch in which the plugin runs, in milliseconds, 1 to 600000. Default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 600_000, default = 1000)]
    pub batch_ms: Option<u32>,
    /// What it may return for one batch, in MiB, 1 to 1024. Default 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1024, default = 64)]
    pub output_mib: Option<u32>,
    /// Log lines a second, 0 to 10000; more are left out and counted. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_000, default = 20)]
    pub log_lines_per_second: Option<u32>,
}

/// When failing events stop a route: it is then the route that is wrong, and not the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLettersDef {
    /// More dead letters than this within the window stop the route, 0 to 100000. Default 100.
    #[schema(default = 100, maximum = 100_000)]
    pub stop_after: u32,
    /// The window, in seconds, 1 to 86400. Default 60.
    #[schema(default = 60, minimum = 1, maximum = 86_400)]
    pub window_s: u32,
}

impl Default for DeadLettersDef {
    fn default() -> Self {
        DeadLettersDef { stop_after: 100, window_s: 60 }
    }
}

fn mysql_port() -> u16 {
    3306
}

fn is_mysql_port(port: &u16) -> bool {
    *port == mysql_port()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
