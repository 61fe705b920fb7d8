//! `forebay status`.

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::{Failure, Remote, print};

/// Show sources and routes.
#[derive(Debug, Args)]
pub(super) struct ShowStatus {
    #[command(flatten)]
    remote: Remote,
}

impl ShowStatus {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let status: Value = Client::new(&self.remote)?.get("/v1/status").await?;
        if self.remote.json {
            return print(&format!("{}\n", serde_json::to_string_pretty(&status)?));
        }
        print(&table(&status))
    }
}

/// The status as two tables and the faults below them.
pub(super) fn table(status: &Value) -> String {
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    let rows = |list: &Value, fields: &[&str]| -> Vec<Vec<String>> {
        let pick =
            |row: &Value| fields.iter().map(|f| text(row.pointer(f).unwrap_or(&Value::Null))).collect();
        list.as_array().into_iter().flatten().map(pick).collect()
    };
    let mut out = String::new();
    out += &columns(
        &["SOURCE", "STATE", "FIRST", "HEAD", "LOG BYTES", "LAG MS", "FILE", "POS"],
        rows(
            &status["sources"],
            &[
                "/name",
                "/state",
                "/first",
                "/head",
                "/log_bytes",
                "/lag_ms",
                "/position/file",
                "/position/pos",
            ],
        ),
    );
    out.push('\n');
    out += &columns(
        &["ROUTE", "SOURCE", "SINK", "STATE", "OFFSET", "LAG", "DELIVERED", "FILTERED", "DEAD"],
        rows(
            &status["routes"],
            &[
                "/name",
                "/source",
                "/sink",
                "/state",
                "/offset",
                "/lag_events",
                "/counts/delivered",
                "/counts/filtered",
                "/counts/dead",
            ],
        ),
    );
    for kind in ["sources", "routes"] {
        for row in status[kind].as_array().into_iter().flatten() {
            if let Some(fault) = row["fault"].as_object() {
                let part = |name: &str| text(&fault[name]);
                out += &format!("\n{}: {} [{}]\n", text(&row["name"]), part("message"), part("code"));
                if !part("fix").is_empty() {
                    out += &format!("  fix: {}\n", part("fix"));
                }
            }
            for aside in row["quarantined"].as_array().into_iter().flatten() {
                let part = |name: &str| text(&aside[name]);
                let (source, table) = (text(&row["name"]), format!("{}.{}", part("database"), part("table")));
                let (since, events, reason) = (part("since"), part("events"), part("reason"));
                out += &format!(
                    "\n{source}: {table} stands aside since {since}, {events} events are kept: {reason} [mysql.quarantined]\n  \
                     fix: say what it looked like: forebay release {source} {table} --definition FILE\n"
                );
            }
            for caution in row["cautions"].as_array().into_iter().flatten() {
                let part = |name: &str| text(&caution[name]);
                out +=
                    &format!("\n{}: a caution: {} [{}]\n", text(&row["name"]), part("message"), part("code"));
                out += &format!("  fix: {}\n", part("fix"));
            }
            if let Some(reason) = row["waits_for"].as_str() {
                out += &format!("\n{}: {reason}\n", text(&row["name"]));
            }
        }
    }
    out
}

fn columns(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.iter().map(|h| (*h).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(head).chain(rows) {
        let row: Vec<String> = row;
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_table_shows_rows_and_faults() {
        let status = json!({
            "sources": [{"name": "shop", "state": "failed", "first": 0, "head": 12, "log_bytes": 99, "lag_ms": null,
                "position": {"file": "binlog.000001", "pos": 4}, "waits_for": null,
                "fault": {"code": "mysql.auth", "message": "access denied", "fix": "check the password"},
                "quarantined": [{"database": "shop", "table": "orders", "since": "binlog.000001:4", "since_seconds": 1,
                    "events": 3, "reason": "the rows have 4 columns"}],
                "cautions": [{"code": "mysql.statement_event", "message": "2 statements are in the binlog as text", "fix": "look",
                    "count": 2, "last": "binlog.000001:9", "last_seconds": 5}]}],
            "routes": [{"name": "a", "source": "shop", "sink": "file", "state": "running", "offset": 3, "lag_events": 9,
                "counts": {"delivered": 3, "filtered": 0, "dead": 0}, "fault": null}],
        });
        insta::assert_snapshot!(super::table(&status));
    }
}
