//! What documents must mean, beyond their structure. Each rule appends the problems that it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_model::{ColumnPattern, PLAIN_SECRET, SecretRef, TablePattern};
use forebay_source::mysql::HostPort;
use sha2::{Digest, Sha256};

use super::codes;
use super::document::{MysqlDef, PluginDef, RouteDef, SourceDef, TransformDef};
use super::patterns::overlap;
use super::pii::{self, PII};
use super::problem::{Problem, child, did_you_mean, item};
use super::validate::{Entry, Whole};

type Problems = Vec<Problem>;

/// The least that a changelog needs to work in.
const LEAST_DISK_BYTES: u64 = 1 << 20;

/// What in the data directory is not for sinks.
const OURS: [&str; 3] = ["sources", "plugin-cache", "control.redb"];

/// `[a-z0-9][a-z0-9-]{0,62}`: fits a path, a topic, a file and a URL.
pub(super) fn is_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| word(b) || b == b'-')
        && name.bytes().next().is_some_and(word)
}

/// A suggestion for something that is not a name.
pub(super) fn name_like(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let kept = kept.trim_matches('-');
    if is_name(kept) { format!("`{kept}` would be one") } else { String::new() }
}

pub(super) fn source(path: &str, def: &SourceDef, problems: &mut Problems) {
    let at = |field: &str| child(path, field);
    mysql(&at("mysql"), &def.mysql, problems);
    tables(&at("tables"), &def.tables, problems);
    let snapshots = at("snapshots");
    within(child(&snapshots, "chunk_rows"), def.snapshots.chunk_rows, 1..=1_000_000, problems);
    within(child(&snapshots, "readers"), def.snapshots.readers, 1..=16, problems);
    if let Some(replica) = &def.snapshots.replica {
        let replica_path = child(&snapshots, "replica");
        not_empty(child(&replica_path, "host"), &replica.host, problems);
        within(child(&replica_path, "port"), Some(replica.port), 1..=u16::MAX, problems);
    }
    let retain = at("retain");
    within(child(&retain, "hours"), def.retain.hours, 1..=87_600, problems);
    within(child(&retain, "bytes"), def.retain.bytes, 1..=u64::MAX, problems);
    within(at("disk_limit_bytes"), def.disk_limit_bytes, LEAST_DISK_BYTES..=u64::MAX, problems);
    if let (Some(kept), Some(limit)) = (def.retain.bytes, def.disk_limit_bytes)
        && kept > limit
    {
        let message = "more bytes are to be kept than the disk limit allows";
        problems.push(
            Problem::new(codes::INVALID, child(&retain, "bytes"), message)
                .suggest("make it smaller than disk_limit_bytes"),
        );
    }
    for (column, tags) in &def.tags {
        self::tags(&child(&at("tags"), column), column, tags, &def.tables, problems);
    }
}

fn mysql(path: &str, def: &MysqlDef, problems: &mut Problems) {
    not_empty(child(path, "host"), &def.host, problems);
    for (i, host) in def.hosts.iter().enumerate() {
        if let Err(bad) = host.parse::<HostPort>() {
            problems.push(Problem::new(codes::INVALID, item(&child(path, "hosts"), i), bad.to_string()));
        }
    }
    not_empty(child(path, "user"), &def.user, problems);
    within(child(path, "port"), Some(def.port), 1..=u16::MAX, problems);
    within(child(path, "server_id"), def.server_id, 1..=u32::MAX, problems);
    if let Some(reference) = &def.password {
        secret(child(path, "password"), reference, problems);
    }
}

fn tags(path: &str, column: &str, tags: &[String], captured: &[TablePattern], problems: &mut Problems) {
    match ColumnPattern::new(column).ok().and_then(|pattern| pattern.table()) {
        Some(table) => {
            if !captured.iter().any(|pattern| overlap(pattern, &table)) {
                let message = format!("`{table}` is not among the source's tables");
                problems.push(Problem::new(codes::NO_MATCH, path, message));
            }
        }
        None => {
            problems.push(Problem::new(codes::INVALID, path, "a column is named as database.table.column"))
        }
    }
    if tags.is_empty() {
        problems.push(Problem::new(codes::EMPTY, path, "at least one tag belongs here"));
    }
    for (i, tag) in tags.iter().enumerate() {
        not_empty(item(path, i), tag, problems);
        // a tag that only looks like it would guard nothing
        if tag != PII && tag.trim().eq_ignore_ascii_case(PII) {
            let problem =
                Problem::new(codes::INVALID, item(path, i), format!("`{tag}` is not the tag `{PII}`"));
            problems.push(problem.suggest(format!("write `{PII}`")));
        }
        if tags[..i].contains(tag) {
            problems.push(Problem::new(codes::DUPLICATE, item(path, i), "this tag is there already"));
        }
    }
}

/// Two replicas with one id take each other's place at a server.
pub(super) fn server_ids(whole: &Whole, problems: &mut Problems) {
    let mut taken: BTreeMap<(&str, u16, u32), &str> = BTreeMap::new();
    let mut sources: Vec<&Entry<SourceDef>> = whole.sources.iter().collect();
    sources.sort_by_key(|s| s.is_wanted);
    for source in sources {
        let Some(def) = &source.def else { continue };
        let Some(id) = def.mysql.server_id else { continue };
        let name: &str = &source.name;
        let first = *taken.entry((&def.mysql.host, def.mysql.port, id)).or_insert(name);
        if first != name {
            let path = format!("{}.mysql.server_id", child("sources", name));
            let message = format!("source {first} registers at the same server with the same id");
            problems.push(
                Problem::new(codes::DUPLICATE, path, message).suggest("leave it out, or choose another"),
            );
        }
    }
}

/// A plugin's hash, and its bytes if they came along.
pub(super) fn component(
    path: &str,
    def: &PluginDef,
    stored: &BTreeSet<String>,
) -> Result<(String, Option<Vec<u8>>), Problem> {
    let upload = "upload its bytes: PUT /v1/plugins/{name}";
    match (&def.sha256, &def.wasm, &def.file) {
        (Some(sha256), None, None) => {
            let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if sha256.len() != 64 || !sha256.bytes().all(digit) {
                let message = "a SHA-256 has 64 lower-case hexadecimal digits";
                return Err(Problem::new(codes::INVALID, child(path, "sha256"), message));
            }
            if !stored.contains(sha256) {
                let message = "no component with this hash was uploaded";
                let problem = Problem::new(codes::UNKNOWN_REFERENCE, child(path, "sha256"), message);
                return Err(problem.suggest(upload));
            }
            Ok((sha256.clone(), None))
        }
        (None, Some(wasm), None) => match BASE64.decode(wasm) {
            Ok(bytes) => {
                Ok((Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect(), Some(bytes)))
            }
            Err(_) => Err(Problem::new(codes::INVALID, child(path, "wasm"), "these are not bytes in base64")),
        },
        (None, None, Some(_)) => {
            let message = "a file's path means nothing to the server";
            let suggestion =
                "`forebay apply` reads the file and sends its bytes; over REST send them as `wasm`";
            Err(Problem::new(codes::INVALID, child(path, "file"), message).suggest(suggestion))
        }
        _ => Err(Problem::new(
            codes::INVALID,
            path,
            "exactly one of sha256, file and wasm says which component",
        )),
    }
}

pub(super) fn route(path: &str, def: &RouteDef, whole: &Whole, problems: &mut Problems) {
    let at = |field: &str| child(path, field);
    if !whole.sources.iter().any(|s| s.name == def.source) {
        let message = format!("there is no source `{}`", def.source);
        let names: Vec<&str> = whole.sources.iter().map(|s| s.name.as_str()).collect();
        let suggestion = did_you_mean(&def.source, names);
        problems.push(Problem::new(codes::UNKNOWN_REFERENCE, at("source"), message).suggest(suggestion));
    }
    tables(&at("tables"), &def.tables, problems);
    route_tables(path, def, whole, problems);
    for (i, transform) in def.transforms.iter().enumerate() {
        self::transform(&item(&at("transforms"), i), transform, whole, problems);
    }
    for (i, pattern) in def.allow_pii.iter().enumerate() {
        let here = item(&at("allow_pii"), i);
        if let Err(words) = pii::allowed(pattern) {
            problems.push(Problem::new(codes::INVALID, here, words));
        } else if def.allow_pii[..i].contains(pattern) {
            problems.push(Problem::new(codes::DUPLICATE, here, format!("`{pattern}` is there already")));
        }
    }
    for (below, words) in def.sink.problems() {
        let code = if words == PLAIN_SECRET { codes::SECRET_IN_PLAIN } else { codes::INVALID };
        problems.push(Problem::new(code, format!("{}.{below}", at("sink")), words));
    }
    let dead_letters = at("dead_letters");
    within(child(&dead_letters, "stop_after"), Some(def.dead_letters.stop_after), 0..=100_000, problems);
    within(child(&dead_letters, "window_s"), Some(def.dead_letters.window_s), 1..=86_400, problems);
}

/// Two routes that write to one place would spoil it for both.
pub(super) fn places(whole: &Whole, data_dir: &Path, problems: &mut Problems) {
    let mut taken: BTreeMap<PathBuf, &str> = BTreeMap::new();
    let mut routes: Vec<&Entry<RouteDef>> = whole.routes.iter().collect();
    routes.sort_by_key(|r| r.is_wanted);
    for route in routes {
        let Some((below, place)) = route.def.as_ref().and_then(|def| def.sink.place(&route.name, data_dir))
        else {
            continue;
        };
        if OURS.iter().any(|ours| place.starts_with(data_dir.join(ours)))
            || place.extension().is_some_and(|e| e == "mark")
        {
            let path = format!("{}.sink.{below}", child("routes", &route.name));
            let message = "Forebay keeps its own state there";
            problems
                .push(Problem::new(codes::INVALID, path, message).suggest("write to another folder or name"));
            continue;
        }
        match taken.entry(place) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(&route.name);
            }
            std::collections::btree_map::Entry::Occupied(taken) => {
                let message = format!("route {} writes to `{}` already", taken.get(), taken.key().display());
                let path = format!("{}.sink.{below}", child("routes", &route.name));
                problems.push(
                    Problem::new(codes::DUPLICATE, path, message)
                        .suggest("give each route a file of its own"),
                );
            }
        }
    }
}

/// Patterns of the route that can never match what its source captures.
pub(super) fn route_tables(path: &str, def: &RouteDef, whole: &Whole, problems: &mut Problems) {
    let source = whole.sources.iter().find(|s| s.name == def.source).and_then(|s| s.def.as_ref());
    let Some(source) = source.filter(|s| !s.tables.is_empty()) else { return };
    for (i, pattern) in def.tables.iter().enumerate() {
        let is_pattern = TablePattern::new(pattern.as_str()).is_ok();
        // every source makes these of itself
        let own = [forebay_model::schema_changes(), forebay_model::quarantine()];
        if own.iter().any(|t| pattern.matches(&t.database, &t.table)) {
            continue;
        }
        if is_pattern && !source.tables.iter().any(|captured| overlap(captured, pattern)) {
            let path = item(&child(path, "tables"), i);
            let captured: Vec<String> = source.tables.iter().take(20).map(|t| format!("`{t}`")).collect();
            let message = format!("`{pattern}` matches no table that source {} captures", def.source);
            let suggestion = format!("the source captures {}", captured.join(", "));
            problems.push(Problem::new(codes::NO_MATCH, path, message).suggest(suggestion));
        }
    }
}

fn transform(path: &str, def: &TransformDef, whole: &Whole, problems: &mut Problems) {
    if !whole.plugins.iter().any(|p| p.name == def.plugin) {
        let message = format!("there is no plugin `{}`", def.plugin);
        let names: Vec<&str> = whole.plugins.iter().map(|p| p.name.as_str()).collect();
        let problem = Problem::new(codes::UNKNOWN_REFERENCE, child(path, "plugin"), message);
        problems.push(problem.suggest(did_you_mean(&def.plugin, names)));
    }
    if let Some(version) = &def.version {
        not_empty(child(path, "version"), version, problems);
        let digits = version.strip_prefix("sha256:");
        if digits.is_some_and(|d| !(8..=64).contains(&d.len()) || !d.bytes().all(|b| b.is_ascii_hexdigit())) {
            let message = "8 to 64 lower-case hexadecimal digits follow `sha256:`";
            problems.push(Problem::new(codes::INVALID, child(path, "version"), message));
        }
    }
    let limits = child(path, "limits");
    within(child(&limits, "memory_mib"), def.limits.memory_mib, 1..=4095, problems);
    within(child(&limits, "pool_mib"), def.limits.pool_mib, 1..=65_535, problems);
    within(child(&limits, "batch_ms"), def.limits.batch_ms, 1..=600_000, problems);
    within(child(&limits, "output_mib"), def.limits.output_mib, 1..=1024, problems);
    within(child(&limits, "log_lines_per_second"), def.limits.log_lines_per_second, 0..=10_000, problems);
}

fn tables(path: &str, tables: &[TablePattern], problems: &mut Problems) {
    if tables.is_empty() {
        problems.push(
            Problem::new(codes::EMPTY, path, "at least one table pattern belongs here")
                .suggest("`database.*` is every table of a database"),
        );
    }
    for (i, pattern) in tables.iter().enumerate() {
        if let Err(words) = TablePattern::new(pattern.as_str()) {
            problems.push(Problem::new(codes::INVALID, item(path, i), words));
        }
        if tables[..i].contains(pattern) {
            problems.push(Problem::new(
                codes::DUPLICATE,
                item(path, i),
                format!("`{pattern}` is there already"),
            ));
        }
    }
}

fn secret(path: String, reference: &SecretRef, problems: &mut Problems) {
    let (key, empty) = match reference {
        SecretRef::Env(name) => ("env", name.is_empty()),
        SecretRef::File(file) => ("file", file.as_os_str().is_empty()),
    };
    if empty {
        problems.push(Problem::new(codes::EMPTY, child(&path, key), "this must not be empty"));
    }
}

fn not_empty(path: String, text: &str, problems: &mut Problems) {
    if text.trim().is_empty() {
        problems.push(Problem::new(codes::EMPTY, path, "this must not be empty"));
    }
}

fn within<N: PartialOrd + std::fmt::Display + Copy + Into<u64>>(
    path: String,
    number: Option<N>,
    range: RangeInclusive<N>,
    problems: &mut Problems,
) {
    let Some(number) = number.filter(|n| !range.contains(n)) else { return };
    let message = match (*range.end()).into() {
        u64::MAX => format!("{number} is less than {}", range.start()),
        _ => format!("{number} is not within {} to {}", range.start(), range.end()),
    };
    problems.push(Problem::new(codes::OUT_OF_RANGE, path, message));
}
