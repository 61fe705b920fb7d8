//! `/metrics`, in Prometheus' text format (version 0.0.4). Made from the status: what an operator reads there and what
//! a graph shows cannot differ.

use std::fmt::{Display, Write as _};

use axum::extract::State;
use axum::http::{HeaderName, header};

use super::Api;
use crate::engine::{PluginStatus, RouteState, RouteStatus, SourceState, Status};

/// What monitoring reads.
#[utoipa::path(
    get, path = "/metrics", tag = "status", operation_id = "metrics",
    responses((status = 200, description = "Prometheus' text format", body = String))
)]
pub(super) async fn metrics(State(api): State<Api>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&api.engine.status().await))
}

const SOURCE_STATES: [SourceState; 5] = [
    SourceState::Starting,
    SourceState::Running,
    SourceState::Full,
    SourceState::Retrying,
    SourceState::Failed,
];
const ROUTE_STATES: [RouteState; 5] =
    [RouteState::Starting, RouteState::Running, RouteState::Paused, RouteState::Retrying, RouteState::Failed];

fn text(status: &Status) -> String {
    let mut page = Page::default();
    page.family("forebay_build_info", "gauge", "Always 1; the version is a label.");
    page.sample("forebay_build_info", &[("version", &status.version)], 1);

    let sources = &status.sources;
    page.family("forebay_source_state", "gauge", "1 for the state that the source is in.");
    for source in sources {
        for state in SOURCE_STATES {
            let labels = [("source", source.name.as_str()), ("state", &word(&state))];
            page.sample("forebay_source_state", &labels, u8::from(source.state == state));
        }
    }
    let mut each =
        |name: &str, kind: &str, help: &str, value: &dyn Fn(&crate::engine::SourceStatus) -> Option<f64>| {
            page.family(name, kind, help);
            for source in sources {
                if let Some(value) = value(source) {
                    page.sample(name, &[("source", &source.name)], value);
                }
            }
        };
    each(
        "forebay_source_read_bytes_total",
        "counter",
        "Binlog bytes read since the process started.",
        &|s| Some(s.bytes_read as f64),
    );
    each(
        "forebay_source_lag_seconds",
        "gauge",
        "How old the newest change was when it was read; 0 while the server has nothing more.",
        &|s| s.lag_ms.map(|ms| ms as f64 / 1000.0),
    );
    each("forebay_changelog_bytes", "gauge", "Bytes of changes that the changelog holds.", &|s| {
        Some(s.log_bytes as f64)
    });
    each("forebay_changelog_first_offset", "gauge", "The oldest offset that the changelog holds.", &|s| {
        Some(s.first as f64)
    });
    each("forebay_changelog_head_offset", "gauge", "One past the newest offset.", &|s| Some(s.head as f64));

    let routes = &status.routes;
    page.family("forebay_route_state", "gauge", "1 for the state that the route is in.");
    for route in routes {
        for state in ROUTE_STATES {
            let labels = [("route", route.name.as_str()), ("state", &word(&state))];
            page.sample("forebay_route_state", &labels, u8::from(route.state == state));
        }
    }
    page.family(
        "forebay_route_events",
        "gauge",
        "Events since the route was made or its offset was set: read = delivered + filtered + dead.",
    );
    for route in routes {
        let counts = route.counts;
        let fates = [
            ("read", counts.read),
            ("delivered", counts.delivered),
            ("filtered", counts.filtered),
            ("dead", counts.dead),
        ];
        for (fate, count) in fates {
            page.sample("forebay_route_events", &[("route", &route.name), ("fate", fate)], count);
        }
    }
    let mut each = |name: &str, help: &str, value: &dyn Fn(&crate::engine::RouteStatus) -> u64| {
        page.family(name, "gauge", help);
        for route in routes {
            page.sample(name, &[("route", &route.name)], value(route));
        }
    };
    each("forebay_route_offset", "The next offset to deliver.", &|r| r.offset);
    each("forebay_route_lag_events", "Offsets between the route and its source's head.", &|r| r.lag_events);
    each("forebay_route_dead_letters", "Dead letters kept.", &|r| r.dead_letters);
    plugins(&mut page, routes);
    page.0
}

/// What plugins cost, by route and plugin.
fn plugins(page: &mut Page, routes: &[RouteStatus]) {
    let each = || routes.iter().flat_map(|r| r.plugins.iter().map(|p| (r.name.as_str(), p)));
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&PluginStatus) -> f64| {
        page.family(name, kind, help);
        for (route, used) in each() {
            page.sample(name, &[("route", route), ("plugin", &used.plugin)], value(used));
        }
    };
    let counter = "counter";
    family("forebay_plugin_calls_total", counter, "Calls of the plugin in the route.", &|p| p.calls as f64);
    family("forebay_plugin_images_total", counter, "Row images that the plugin was given.", &|p| {
        p.images as f64
    });
    family("forebay_plugin_filtered_events_total", counter, "Events that the plugin dropped.", &|p| {
        p.filtered as f64
    });
    family("forebay_plugin_rejected_events_total", counter, "Events that the plugin rejected.", &|p| {
        p.rejected as f64
    });
    family("forebay_plugin_cpu_seconds_total", counter, "CPU time in the plugin's calls.", &|p| {
        p.cpu_us as f64 / 1e6
    });
    family("forebay_plugin_memory_bytes", "gauge", "Memory of the plugin's instances.", &|p| {
        p.memory_bytes as f64
    });
    family("forebay_plugin_instances", "gauge", "The plugin's instances.", &|p| p.instances as f64);
    family("forebay_plugin_instances_opened_total", counter, "Instances that were opened.", &|p| {
        p.opened as f64
    });
    family("forebay_plugin_log_lines_left_out_total", counter, "Log lines that were too many.", &|p| {
        p.log_lines_left_out as f64
    });
    let name = "forebay_plugin_failures_total";
    page.family(name, counter, "Calls that crashed, met a limit or broke the contract, by the fault's code.");
    for (route, used) in each() {
        for (code, count) in &used.failures {
            page.sample(name, &[("route", route), ("plugin", &used.plugin), ("code", code)], count);
        }
    }
}

/// A state as the API writes it.
fn word(state: &impl serde::Serialize) -> String {
    serde_json::to_value(state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Label values are names of ours, or escaped as the format wants.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| {
                format!(
                    "{label}=\"{}\"",
                    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
                )
            })
            .collect();
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.join(","));
    }
}
