//! What the server must be set to, and what it should be.

use std::collections::HashMap;

use super::facts::Facts;
use super::{Check, at_most};
use crate::mysql::Config;

/// Settings of the server, by name.
pub(super) type Settings = HashMap<String, String>;

pub(super) fn value<'a>(settings: &'a Settings, name: &str) -> &'a str {
    settings.get(name).map_or("unknown", String::as_str)
}

fn is(settings: &Settings, name: &str, wanted: &str) -> bool {
    value(settings, name).eq_ignore_ascii_case(wanted)
}

/// A setting that must have one value.
fn must_be(settings: &Settings, id: &'static str, wanted: &str, why: &str, fix: &str) -> Check {
    let found = value(settings, id);
    if is(settings, id, wanted) {
        Check::ok(id, format!("{id} is {found}"))
    } else {
        Check::fail(id, format!("{id} is {found}: {why}"), fix)
    }
}

pub(super) fn log_bin(settings: &Settings) -> Check {
    let fix = "start the server with --log-bin (my.cnf: log_bin = binlog)";
    must_be(settings, "log_bin", "ON", "the server writes no binlog", fix)
}

pub(super) fn format(settings: &Settings) -> Check {
    let why = "the binlog would hold statements instead of rows";
    let fix = "SET PERSIST binlog_format = 'ROW'; then let sessions reconnect";
    must_be(settings, "binlog_format", "ROW", why, fix)
}

/// Smaller images are read: what they leave out is absent, which no sink takes for NULL.
pub(super) fn row_image(settings: &Settings) -> Check {
    let id = "binlog_row_image";
    let found = value(settings, id).to_ascii_uppercase();
    let left_out = match found.as_str() {
        "FULL" => return Check::ok(id, "binlog_row_image is FULL"),
        "MINIMAL" => {
            "updates hold the key and the columns that changed, inserts what the statement named, and deletes the key: for sinks the other \
             columns are absent"
        }
        "NOBLOB" => {
            "BLOB, TEXT and JSON columns that did not change are absent for sinks, and those of deleted rows"
        }
        "FULL_NODUP" => {
            "columns that an update did not change are absent from what sinks get of the row after"
        }
        _ => {
            let why = "what rows hold is not known";
            let fix = "SET PERSIST binlog_row_image = 'FULL'; then let sessions reconnect";
            return must_be(settings, id, "FULL", why, fix);
        }
    };
    let finding = format!(
        "{id} is {found}: {left_out}; filters and transforms do not see them, and what a session with \
         binlog_row_value_options = PARTIAL_JSON makes of a JSON value is not known: `source.partial` names the column"
    );
    Check::advice(id, finding, "SET PERSIST binlog_row_image = 'FULL'; then let sessions reconnect")
}

/// Not a demand: without names in the binlog they come from a history of the tables' versions.
pub(super) fn row_metadata(settings: &Settings) -> Check {
    let id = "binlog_row_metadata";
    let found = format!("{id} is {}", value(settings, id));
    if is(settings, id, "FULL") {
        return Check::ok(id, found);
    }
    Check::advice(
        id,
        format!("{found}: names of columns are followed through the statements that change tables"),
        "SET PERSIST binlog_row_metadata = 'FULL'",
    )
}

/// Differences of JSON values are applied to the values before, which only whole row images have.
pub(super) fn row_value_options(settings: &Settings) -> Check {
    let id = "binlog_row_value_options";
    if is(settings, id, "PARTIAL_JSON") && !is(settings, "binlog_row_image", "FULL") {
        let image = value(settings, "binlog_row_image");
        let finding = format!(
            "{id} is PARTIAL_JSON and binlog_row_image {image}: an update that changes a part of a JSON value holds neither \
             the value before nor the one after: consumers are told in `source.partial` that it has changed, and not to what"
        );
        let fix = "SET PERSIST binlog_row_value_options = ''; then let sessions reconnect";
        return Check::advice(id, finding, fix);
    }
    match value(settings, id) {
        "" => Check::ok(id, format!("{id} is empty")),
        "unknown" => Check::ok(id, format!("the server has no {id}")),
        found => Check::ok(id, format!("{id} is {found}, and row images are whole")),
    }
}

/// Not a demand on a source with one host.
pub(super) fn gtid_mode(settings: &Settings, config: &Config) -> Check {
    let id = "gtid_mode";
    let Some(found) = settings.get(id) else {
        return Check::ok(id, "the server gives every transaction a GTID");
    };
    if found.eq_ignore_ascii_case("ON") {
        return Check::ok(id, "gtid_mode is ON");
    }
    let fix = "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; \
               SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON";
    let finding = format!(
        "gtid_mode is {found}: a position is a file and an offset, good on this server only, and an XA transaction of two phases that \
             changes captured tables stops the source, as does one that was prepared before reading began"
    );
    if config.hosts.is_empty() {
        Check::advice(id, finding, fix)
    } else {
        Check::fail(id, format!("{finding}, and the source has several hosts"), fix)
    }
}

/// For how long the server keeps its binlog, in seconds; `None` = until somebody purges it.
pub(crate) fn kept_for(settings: &HashMap<String, String>) -> Option<u64> {
    if is(settings, "binlog_expire_logs_auto_purge", "OFF") {
        return None;
    }
    // MariaDB counts in days, with fractions, and newer ones in seconds as well
    let days = || Some(value(settings, "expire_logs_days").parse::<f64>().ok()? * 86_400.0);
    let seconds = value(settings, "binlog_expire_logs_seconds").parse::<u64>().ok();
    seconds.or_else(|| days().map(|s| s as u64)).filter(|&s| s > 0)
}

pub(super) fn expiry(settings: &Settings) -> Check {
    const WEEK: u64 = 7 * 24 * 3600;
    let id = "binlog_expiry";
    let Some(seconds) = kept_for(settings) else {
        return Check::ok(id, "binlogs are kept until somebody purges them");
    };
    let finding = format!("binlogs are kept for {:.1} hours", seconds as f64 / 3600.0);
    if seconds >= WEEK {
        return Check::ok(id, finding);
    }
    Check::advice(id, finding, format!("SET PERSIST binlog_expire_logs_seconds = {WEEK}"))
}

/// Whether databases are left out of the binlog.
pub(super) fn filter(facts: &Facts, config: &Config) -> Check {
    let id = "binlog_filter";
    let Some((only, never)) = &facts.filters else {
        return Check::skipped(id, "the binlog's state could not be read");
    };
    let list =
        |names: &str| names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let (only, never): (Vec<String>, Vec<String>) = (list(only), list(never));
    let left_out = |database: &str| {
        let any = |names: &[String]| names.iter().any(|n| n == database);
        if only.is_empty() { any(&never) } else { !any(&only) }
    };
    let named = config.tables.iter().filter_map(|p| p.as_str().split_once('.').map(|(database, _)| database));
    let named = named.filter(|d| !d.contains(['*', '?']));
    let mut lost: Vec<&str> =
        named.chain(facts.tables.iter().map(|t| t.database.as_str())).filter(|d| left_out(d)).collect();
    lost.sort_unstable();
    lost.dedup();
    if lost.is_empty() {
        return Check::ok(id, "the binlog leaves out no captured database");
    }
    let finding = format!("binlog_do_db or binlog_ignore_db leaves out {}", at_most(&lost));
    Check::fail(id, finding, "take binlog_do_db and binlog_ignore_db out of my.cnf and restart the server")
}

/// Whether a replica's binlog has what it replicates.
pub(super) fn replica_updates(facts: &Facts) -> Check {
    let id = "log_replica_updates";
    if !facts.is_replica {
        return Check::ok(id, "the server is no replica");
    }
    let settings = &facts.settings;
    if is(settings, id, "OFF") || is(settings, "log_slave_updates", "OFF") {
        let finding = "the server is a replica, and what it replicates is not in its binlog";
        return Check::fail(
            id,
            finding,
            "start the server with --log-replica-updates (my.cnf: log_replica_updates = ON)",
        );
    }
    Check::ok(id, "the server is a replica, and what it replicates is in its binlog")
}

pub(super) fn server_id(facts: &Facts, config: &Config) -> Check {
    let id = "server_id";
    let Some(ours) = config.server_id else {
        return Check::ok(id, "a random server id is used that no replica has");
    };
    if ours == 0 || value(&facts.settings, "server_id") == ours.to_string() {
        let finding = format!("server_id {ours} is the server's own (or none)");
        return Check::fail(id, finding, "leave the source's server_id out, or choose another");
    }
    if facts.replicas.contains(&ours.to_string()) {
        return Check::advice(
            id,
            format!("a reader with server_id {ours} is connected now"),
            "if that is not this source, choose another: two with one id throw each other out",
        );
    }
    Check::ok(id, format!("no replica has server_id {ours}"))
}

/// The version as numbers, as far as it has them.
pub(super) fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
