//! What was measured, as a table for people and as JSON for programs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Part;
use crate::load::{Load, Loaded};
use crate::route::Measured;

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    loads: Vec<Value>,
    runs: Vec<(Load, Part, Vec<Measured>)>,
    latency: Option<Value>,
}

impl Report {
    pub(crate) fn new(forebay: &Path) -> Result<Self> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|l| l.strip_prefix("model name"))
            .map(|l| l.trim_start_matches([' ', '\t', ':']));
        let busy = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let machine = json!({
            "processor": model,
            "cores": std::thread::available_parallelism()?.get(),
            "load_at_start": busy.split(' ').next(),
            "forebay_bytes": std::fs::metadata(forebay)?.len(),
        });
        Ok(Self { machine, loads: Vec::new(), runs: Vec::new(), latency: None })
    }

    pub(crate) fn load(&mut self, loaded: &Loaded) {
        self.loads.push(json!({
            "name": loaded.load.name(), "changes": loaded.changes, "binlog_bytes": loaded.bytes,
        }));
    }

    pub(crate) fn run(&mut self, load: Load, part: Part, measured: Measured) {
        match self.runs.iter_mut().find(|(l, p, _)| (*l, *p) == (load, part)) {
            Some((_, _, runs)) => runs.push(measured),
            None => self.runs.push((load, part, vec![measured])),
        }
    }

    /// Takes times in order of size.
    pub(crate) fn latency(&mut self, times: &[Duration]) {
        let ms = |share: f64| {
            let at = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
            times[at - 1].as_secs_f64() * 1e3
        };
        self.latency = Some(json!({
            "changes": times.len(), "p50_ms": ms(0.5), "p90_ms": ms(0.9), "p99_ms": ms(0.99), "max_ms": ms(1.0),
        }));
    }

    fn best(&self, load: Load, part: Part) -> Option<&Measured> {
        let (_, _, runs) = self.runs.iter().find(|(l, p, _)| (*l, *p) == (load, part))?;
        runs.iter().min_by_key(|m| m.cpu)
    }

    /// How much more processor time than the plain file route it takes, as a share of that.
    fn more_than_file(&self, load: Load, part: Part) -> Option<f64> {
        if !matches!(part, Part::Mask | Part::Dead) {
            return None;
        }
        let file = self.best(load, Part::File)?.cpu.as_secs_f64();
        Some(self.best(load, part)?.cpu.as_secs_f64() / file - 1.0)
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> Result<()> {
        writeln!(out, "\n{}", self.machine)?;
        for load in &self.loads {
            writeln!(out, "{load}")?;
        }
        let head = [
            "load",
            "what",
            "rows/CPU s",
            "CPU s",
            "all CPU s",
            "wall s",
            "peak MiB",
            "log MB",
            "out MB",
            "vs file",
        ];
        row(out, &head.map(String::from))?;
        for (load, part, runs) in &self.runs {
            let Some(best) = self.best(*load, *part) else { continue };
            let all: Vec<String> = runs.iter().map(|m| format!("{:.2}", m.cpu.as_secs_f64())).collect();
            let wall = runs.iter().map(|m| m.wall).min().unwrap_or_default();
            let peak = runs.iter().map(|m| m.peak_memory).max().unwrap_or_default();
            let more = self.more_than_file(*load, *part).map(|m| format!("{:+.1} %", m * 100.0));
            let by_clock = runs.iter().map(Measured::rate_by_clock).fold(0.0, f64::max);
            row(
                out,
                &[
                    load.name().to_owned(),
                    format!("{part:?}").to_lowercase(),
                    thousands(best.rate()),
                    format!("{:.2}", best.cpu.as_secs_f64()),
                    all.join(" "),
                    format!("{:.2}", wall.as_secs_f64()),
                    unless_zero(peak >> 20),
                    unless_zero(best.log_bytes / 1_000_000),
                    (best.out_bytes / 1_000_000).to_string(),
                    match part {
                        Part::Snapshot => format!("{} rows/s", thousands(by_clock)),
                        _ => more.unwrap_or_default(),
                    },
                ],
            )?;
        }
        if let Some(latency) = &self.latency {
            writeln!(out, "commit -> webhook: {latency}")?;
        }
        Ok(())
    }

    pub(crate) fn json(&self) -> Value {
        let runs: Vec<Value> =
            self.runs.iter().map(|(load, part, runs)| self.part(*load, *part, runs)).collect();
        json!({ "machine": self.machine, "loads": self.loads, "runs": runs, "latency": self.latency })
    }

    fn part(&self, load: Load, part: Part, runs: &[Measured]) -> Value {
        let one = |m: &Measured| {
            json!({
                "cpu_s": m.cpu.as_secs_f64(), "wall_s": m.wall.as_secs_f64(), "plugin_cpu_s": m.before.as_secs_f64(),
                "peak_bytes": m.peak_memory, "log_bytes": m.log_bytes, "out_bytes": m.out_bytes,
            })
        };
        json!({
            "load": load.name(),
            "what": format!("{part:?}").to_lowercase(),
            "rows_per_cpu_s": self.best(load, part).map(|m| m.rate().round()),
            "more_cpu_than_file": self.more_than_file(load, part),
            "runs": runs.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

fn row(out: &mut impl Write, cells: &[String; 10]) -> Result<()> {
    let [load, what, rest @ ..] = cells;
    write!(out, "{load:<7} {what:<8}")?;
    for (cell, width) in rest.iter().zip([11, 6, 20, 7, 9, 7, 7, 8]) {
        write!(out, " {cell:>width$}")?;
    }
    writeln!(out)?;
    Ok(())
}

/// Nothing for what was not measured.
fn unless_zero(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// `1,234,567`.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cpu_ms: u64) -> Measured {
        let cpu = Duration::from_millis(cpu_ms);
        let before = Duration::ZERO;
        Measured {
            changes: 1_000_000,
            cpu,
            wall: cpu,
            before,
            peak_memory: 1 << 25,
            log_bytes: 0,
            out_bytes: 0,
        }
    }

    #[test]
    fn the_best_run_counts() {
        let mut report = Report::new(Path::new("/proc/self/exe")).unwrap();
        for cpu in [1_200, 1_000, 1_100] {
            report.run(Load::Narrow, Part::File, measured(cpu));
        }
        report.run(Load::Narrow, Part::Mask, measured(1_250));
        report.latency(&[1, 2, 3, 100].map(Duration::from_millis));
        let json = report.json();
        assert_eq!(json["runs"][0]["rows_per_cpu_s"], 1_000_000.0);
        assert_eq!(json["runs"][1]["more_cpu_than_file"], 0.25);
        assert_eq!((&json["latency"]["p50_ms"], &json["latency"]["p99_ms"]), (&json!(2.0), &json!(100.0)));
        let mut text = Vec::new();
        report.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("1,000,000") && text.contains("+25.0 %"), "{text}");
    }
}
