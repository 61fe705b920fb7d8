//! Writes what came into a file of cases, and leaves everything else in it as it stands, comments too.

use anyhow::{Context, bail};
use serde_json::Value;

use super::cases::{CaseFile, Outcomes, cases};
use super::flow::flow;
use crate::definition;

/// What a case expects stands in these.
const FIELDS: [&str; 5] = ["columns", "key", "out", "rejects", "error"];

/// The file's text with each case that failed expecting what it came to.
///
/// # Errors
/// If the cases are not written one field a line.
pub fn update(file: &CaseFile, outcomes: &Outcomes) -> anyhow::Result<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let form = "write `cases:` as a list with a line for each field";
    let spans = spans(&lines);
    if spans.len() != file.cases.len() {
        bail!("{}: {} cases cannot be told apart: {form}", file.path.display(), file.cases.len());
    }
    let mut text = String::new();
    let mut from = 0;
    for ((span, case), came) in spans.iter().zip(&file.cases).zip(&outcomes.0) {
        let Some(came) = came else {
            push(&mut text, &lines[from..span.end]);
            from = span.end;
            continue;
        };
        push(&mut text, &lines[from..span.start]);
        let indent = " ".repeat(span.indent);
        let mut kept = without_fields(&lines[span.start..span.end], span.indent);
        // blank lines and comments behind the last field belong to what follows
        let end = kept.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
        let behind = kept.split_off(end);
        push(&mut text, &kept);
        for (name, value) in came.written(case) {
            match value {
                Value::Array(items) if !items.is_empty() && name != "key" => {
                    text += &format!("{indent}{name}:\n");
                    for item in &items {
                        text += &format!("{indent}  - {}\n", flow(item));
                    }
                }
                value => text += &format!("{indent}{name}: {}\n", flow(&value)),
            }
        }
        push(&mut text, &behind);
        from = span.end;
    }
    push(&mut text, &lines[from..]);
    // what was not to change has not, and what came reads back
    let again = cases(&text).with_context(|| format!("{}: {form}", file.path.display()))?;
    if again.len() != file.cases.len() || bare(&text)? != bare(&file.text)? {
        bail!("{}: {form}", file.path.display());
    }
    Ok(text)
}

/// The file's value without what cases expect.
fn bare(text: &str) -> anyhow::Result<Value> {
    let mut value = definition::from_yaml(text)?;
    for case in value["cases"].as_array_mut().into_iter().flatten() {
        if let Some(case) = case.as_object_mut() {
            case.retain(|name, _| !FIELDS.contains(&name.as_str()));
        }
    }
    Ok(value)
}

fn push(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// A case's lines.
struct Span {
    start: usize,
    end: usize,
    /// The column of its fields.
    indent: usize,
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn spans(lines: &[&str]) -> Vec<Span> {
    let Some(head) = lines.iter().position(|line| line.trim_end() == "cases:") else { return Vec::new() };
    let mut spans: Vec<Span> = Vec::new();
    let mut dash = None;
    for (n, line) in lines.iter().enumerate().skip(head + 1).filter(|(_, line)| !is_blank(line)) {
        let at = indent(line);
        let is_item = line.trim_start().starts_with("- ");
        let first = *dash.get_or_insert(at);
        if at < first || (at == first && !is_item) {
            if let Some(last) = spans.last_mut() {
                last.end = n;
            }
            return spans;
        }
        if at == first {
            if let Some(last) = spans.last_mut() {
                last.end = n;
            }
            let behind = &line[at + 1..];
            spans.push(Span { start: n, end: lines.len(), indent: at + 1 + indent(behind) });
        }
    }
    spans
}

/// The lines of a case without the fields that say what is expected.
fn without_fields<'a>(lines: &[&'a str], at: usize) -> Vec<&'a str> {
    let mut kept = Vec::with_capacity(lines.len());
    let mut skips = false;
    for line in lines {
        let is_field = indent(line) == at && !is_blank(line) && !line.trim_start().starts_with("- ");
        if is_field || is_blank(line) {
            skips =
                is_field && FIELDS.iter().any(|field| line.trim_start().starts_with(&format!("{field}:")));
        }
        if !skips {
            kept.push(*line);
        }
    }
    kept
}
