//! Cases: what goes into a plugin, and what must come out. Each runs in the real host, on an instance of its own.
//!
//! What comes out is what a sink would get: an update of which one image is left is an insert or a delete, one that
//! changes the key or goes elsewhere is a delete and an insert. Each case runs twice, all events together and each
//! alone, since the router may cut batches anywhere.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, bail};
use forebay_model::{Offset, Origin, TableSchema, Txn, split_key_changes};
use forebay_transform::rows::{self, Event, What};
use forebay_transform::{Limits, Place, Plugin, Refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::flow::flow;
use super::opened_config;
use super::table::{Table, read};
use crate::definition;

/// A file of cases.
#[derive(Debug)]
pub struct CaseFile {
    /// Where it lies.
    pub path: PathBuf,
    pub(super) text: String,
    pub(super) cases: Vec<Case>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    table: Option<Table>,
    #[serde(default)]
    config: Map<String, Value>,
    cases: Vec<WrittenCase>,
}

#[derive(Deserialize)]
struct WrittenCase {
    name: String,
    #[serde(default)]
    table: Option<Table>,
    #[serde(default)]
    config: Option<Map<String, Value>>,
    #[serde(default, rename = "in")]
    input: Vec<Event>,
    #[serde(flatten)]
    wanted: Map<String, Value>,
}

/// What a case expects; what it does not name, it does not look at, but that nothing may be rejected.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    out: Option<Vec<Event>>,
    #[serde(default)]
    rejects: Option<Vec<Rejected>>,
    /// Type by column, of the table afterwards.
    #[serde(default)]
    columns: Option<Map<String, Value>>,
    /// The key's columns afterwards.
    #[serde(default)]
    key: Option<Vec<String>>,
    /// A part of what the error says.
    #[serde(default)]
    error: Option<String>,
}

/// An event that the plugin will not let through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejected {
    /// Its place in `in`, from 0.
    event: u32,
    /// Of what is expected: a part of the reason.
    #[serde(default)]
    reason: String,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    table: Arc<TableSchema>,
    config: Map<String, Value>,
    input: Vec<Event>,
    wanted: Wanted,
}

/// What a case came to.
#[derive(Debug)]
pub(super) enum Came {
    Rows { table: Arc<TableSchema>, out: Vec<Event>, rejects: Vec<Rejected> },
    Error(String),
}

/// A case that did not come out as it says.
#[derive(Debug)]
pub struct Failed {
    /// Its name.
    pub name: String,
    /// What differs, a line for each.
    pub differences: Vec<String>,
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// If it cannot be read or understood, with the place in it.
    pub fn read(path: &Path) -> anyhow::Result<CaseFile> {
        let about = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(about)?;
        let cases = cases(&text).with_context(about)?;
        Ok(CaseFile { path: path.to_owned(), text, cases })
    }

    /// Leaves those whose name has this in it.
    pub fn retain(&mut self, part: &str) {
        self.cases.retain(|case| case.name.contains(part));
    }

    /// How many cases it has.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

pub(super) fn cases(text: &str) -> anyhow::Result<Vec<Case>> {
    let written: Written = read(definition::from_yaml(text)?)?;
    let schema = written.table.as_ref().map(Table::schema).transpose()?;
    let mut cases = Vec::with_capacity(written.cases.len());
    for (n, case) in written.cases.into_iter().enumerate() {
        let WrittenCase { name, table, config, input, wanted } = case;
        let at = || format!("cases[{n}] ({name})");
        let own = table.as_ref().map(Table::schema).transpose().with_context(at)?;
        let Some(table) = own.or_else(|| schema.clone()) else {
            bail!("{}: no table: give one, here or at the top", at())
        };
        let wanted = read(Value::Object(wanted)).with_context(at)?;
        let config = config.unwrap_or_else(|| written.config.clone());
        cases.push(Case { name, table, config, input, wanted });
    }
    Ok(cases)
}

/// Runs the cases of a file. Answers those that failed, and for [`update`](super::update) what all of them came to.
///
/// # Errors
/// If the events of a case do not fit its table.
pub async fn run(plugin: &Plugin, file: &CaseFile) -> anyhow::Result<(Vec<Failed>, Outcomes)> {
    let (mut failed, mut outcomes) = (Vec::new(), Vec::with_capacity(file.cases.len()));
    for case in &file.cases {
        let came =
            case.run(plugin).await.with_context(|| format!("{}: {}", file.path.display(), case.name))?;
        let mut differences = case.wanted.differences(&came);
        if let (true, Came::Rows { .. }) = (case.input.len() > 1, &came) {
            differences.extend(case.alone(plugin, &came).await?);
        }
        let differs = !differences.is_empty();
        if differs {
            failed.push(Failed { name: case.name.clone(), differences });
        }
        outcomes.push(differs.then_some(came));
    }
    Ok((failed, Outcomes(outcomes)))
}

/// What the failed ones among the cases of a file came to.
#[derive(Debug)]
pub struct Outcomes(pub(super) Vec<Option<Came>>);

/// Where the events of all cases come from.
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| {
    let mut uuid = [0; 16];
    uuid[15] = 1;
    // 2026-01-01T00:00:00Z
    let commit_us = 1_767_225_600_000_000;
    let txn = Txn { uuid, number: 1, commit_us, thread: 1, server_id: 1, file: 0, tag: 0 };
    Origin { txns: vec![txn], strings: vec!["binlog.000001".to_owned()] }
});

impl Case {
    async fn run(&self, plugin: &Plugin) -> anyhow::Result<Came> {
        self.part(plugin, &self.input, 0).await
    }

    /// Runs some of the events, the first of which has this offset.
    async fn part(&self, plugin: &Plugin, events: &[Event], first: Offset) -> anyhow::Result<Came> {
        let batch = rows::batch(&self.table, events).map_err(anyhow::Error::msg).context("in")?;
        let config = opened_config(&self.config, plugin.info());
        let mut binding = match plugin.bind("test", &self.table, &config, &Limits::default()).await {
            Ok(binding) => binding,
            Err(refusal) => return Ok(Came::Error(words(&refusal))),
        };
        let table = binding.output().clone();
        if events.is_empty() {
            return Ok(Came::Rows { table, out: Vec::new(), rejects: Vec::new() });
        }
        let mut applied = match binding.apply(&batch, &Place { source: "test", first, origin: &ORIGIN }).await
        {
            Ok(applied) => applied,
            Err(fault) => return Ok(Came::Error(format!("{}: {}", fault.code().name, fault.message()))),
        };
        split_key_changes(&mut applied.batch);
        let rejected = |reject: forebay_transform::Reject| Rejected {
            event: reject.event + first as u32,
            reason: reject.reason,
        };
        let rejects = applied.rejects.into_iter().map(rejected).collect();
        Ok(Came::Rows { table, out: rows::events(&applied.batch), rejects })
    }

    /// Whether each event alone gives what all gave together.
    async fn alone(&self, plugin: &Plugin, together: &Came) -> anyhow::Result<Option<String>> {
        let Came::Rows { out: all, rejects: all_rejects, .. } = together else { return Ok(None) };
        let (mut events, mut rejected) = (Vec::new(), Vec::new());
        for (n, event) in self.input.iter().enumerate() {
            match self.part(plugin, std::slice::from_ref(event), n as Offset).await? {
                Came::Rows { out, rejects, .. } => {
                    events.extend(out);
                    rejected.extend(rejects);
                }
                Came::Error(words) => {
                    return Ok(Some(format!("event {n} fails when it is a batch of its own: {words}")));
                }
            }
        }
        let same = events == *all && rejected == *all_rejects;
        Ok((!same).then(|| {
            "events come out differently when each is a batch of its own: `apply` must depend on nothing but the image"
                .to_owned()
        }))
    }
}

/// `code: path: message; path: message`.
fn words(refusal: &Refusal) -> String {
    let code = refusal.fault.code().name;
    if refusal.problems.is_empty() {
        return format!("{code}: {}", refusal.fault.message());
    }
    let line = |path: &str, message: &str| {
        if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") }
    };
    let lines: Vec<String> = refusal.problems.iter().map(|p| line(&p.path, &p.message)).collect();
    format!("{code}: {}", lines.join("; "))
}

impl Came {
    /// The fields that a case has for it. `columns` and `key` only where the case looks at them.
    pub(super) fn written(&self, case: &Case) -> Vec<(&'static str, Value)> {
        match self {
            Came::Error(words) => vec![("error", json!(words))],
            Came::Rows { table, out, rejects } => {
                let mut fields = Vec::new();
                if case.wanted.columns.is_some() {
                    fields.push(("columns", Value::Object(columns(table))));
                }
                if case.wanted.key.is_some() {
                    fields.push(("key", json!(key(table))));
                }
                fields.push(("out", json!(out)));
                if !rejects.is_empty() {
                    let reject = |r: &Rejected| json!({ "event": r.event, "reason": r.reason });
                    fields.push(("rejects", rejects.iter().map(reject).collect()));
                }
                fields
            }
        }
    }
}

fn columns(table: &TableSchema) -> Map<String, Value> {
    let null = |nullable| if nullable { "" } else { " not null" };
    table
        .columns
        .iter()
        .map(|c| (c.name.clone(), json!(format!("{}{}", c.native, null(c.nullable)))))
        .collect()
}

fn key(table: &TableSchema) -> Vec<&str> {
    table.key.iter().map(|&at| table.columns[at as usize].name.as_str()).collect()
}

impl Wanted {
    /// A line for each thing that came out otherwise.
    fn differences(&self, came: &Came) -> Vec<String> {
        let (table, out, rejects) = match (&self.error, came) {
            (Some(part), Came::Error(words)) if words.contains(part.as_str()) => return Vec::new(),
            (Some(part), Came::Error(words)) => {
                return vec![format!("error: {part:?} was expected"), format!("       {words:?} came")];
            }
            (Some(part), Came::Rows { out, .. }) => {
                return vec![format!("error: {part:?} was expected, and {} events came", out.len())];
            }
            (None, Came::Error(words)) => return vec![format!("it failed: {words}")],
            (None, Came::Rows { table, out, rejects }) => (table, out, rejects),
        };
        let mut lines = Vec::new();
        if let Some(wanted) = &self.columns {
            let came = columns(table);
            if !same_columns(wanted, &came) {
                lines.push(format!("columns: {} was expected", flow(&json!(wanted))));
                lines.push(format!("         {} came", flow(&json!(came))));
            }
        }
        if let Some(wanted) = &self.key
            && *wanted != key(table)
        {
            lines.push(format!(
                "key: {} was expected, {} came",
                flow(&json!(wanted)),
                flow(&json!(key(table)))
            ));
        }
        match &self.out {
            Some(wanted) => match as_told(table, wanted) {
                Ok(wanted) => lines.extend(events_differ(&wanted, out)),
                Err(problem) => lines.push(format!("out: {problem}")),
            },
            None if self.rejects.is_none() && self.columns.is_none() && self.key.is_none() => {
                lines.push(
                    "the case says nothing of what must come: give it an `out`, or run with --update"
                        .to_owned(),
                );
            }
            None => {}
        }
        lines.extend(self.rejects_differ(rejects));
        lines
    }

    fn rejects_differ(&self, came: &[Rejected]) -> Vec<String> {
        let wanted = self.rejects.as_deref().unwrap_or_default();
        let mut lines = Vec::new();
        for Rejected { event, reason } in wanted {
            match came.iter().find(|r| r.event == *event) {
                None => lines.push(format!("event {event} was to be rejected, and was not")),
                Some(other) if !other.reason.contains(reason.as_str()) => {
                    lines.push(format!(
                        "event {event} was rejected with {:?}, and {reason:?} was expected",
                        other.reason
                    ));
                }
                Some(_) => {}
            }
        }
        for Rejected { event, reason } in came.iter().filter(|r| !wanted.iter().any(|w| w.event == r.event)) {
            lines.push(format!("event {event} was rejected: {reason:?}"));
        }
        lines
    }
}

/// Whether both tables have these columns in this order. How types are written does not matter.
fn same_columns(wanted: &Map<String, Value>, came: &Map<String, Value>) -> bool {
    let plain = |ty: &Value| {
        ty.as_str().map(|ty| ty.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    wanted.len() == came.len() && wanted.iter().zip(came).all(|(w, c)| w.0 == c.0 && plain(w.1) == plain(c.1))
}

/// Events as the host would tell them: `9.9` of a decimal(4,2) is `9.90`.
fn as_told(table: &Arc<TableSchema>, events: &[Event]) -> Result<Vec<Event>, String> {
    let mut told = rows::events(&rows::batch(table, events)?);
    for (told, event) in told.iter_mut().zip(events) {
        told.to.clone_from(&event.to);
    }
    Ok(told)
}

/// What must be added to and taken from the one to get the other: (from both) by the longest common sequence, then event
/// by event where the same thing happened.
fn events_differ(wanted: &[Event], came: &[Event]) -> Vec<String> {
    let mut lengths = vec![vec![0_u32; came.len() + 1]; wanted.len() + 1];
    for w in (0..wanted.len()).rev() {
        for c in (0..came.len()).rev() {
            lengths[w][c] = match wanted[w] == came[c] {
                true => lengths[w + 1][c + 1] + 1,
                false => lengths[w + 1][c].max(lengths[w][c + 1]),
            };
        }
    }
    let (mut w, mut c) = (0, 0);
    let (mut missing, mut more) = (Vec::new(), Vec::new());
    let mut lines = Vec::new();
    loop {
        if w < wanted.len() && c < came.len() && wanted[w] == came[c] {
            lines.extend(gap(wanted, came, &mut missing, &mut more));
            (w, c) = (w + 1, c + 1);
        } else if w < wanted.len() && (c == came.len() || lengths[w + 1][c] >= lengths[w][c + 1]) {
            missing.push(w);
            w += 1;
        } else if c < came.len() {
            more.push(c);
            c += 1;
        } else {
            break;
        }
    }
    lines.extend(gap(wanted, came, &mut missing, &mut more));
    lines
}

/// The lines for events between two that are the same in both.
fn gap(wanted: &[Event], came: &[Event], missing: &mut Vec<usize>, more: &mut Vec<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let (missing, mut more) = (std::mem::take(missing), std::mem::take(more).into_iter().peekable());
    for at in missing {
        match more.next_if(|&other| came[other].op == wanted[at].op) {
            Some(other) => lines.extend(cells_differ(at, &wanted[at], &came[other])),
            None => lines.push(format!("out[{at}] did not come: {}", flow(&json!(wanted[at])))),
        }
    }
    lines.extend(more.map(|at| format!("this came, and is not in `out`: {}", flow(&json!(came[at])))));
    lines
}

fn cells_differ(at: usize, wanted: &Event, came: &Event) -> Vec<String> {
    let op = match wanted.op {
        What::Snapshot => "snapshot",
        What::Insert => "insert",
        What::Update => "update",
        What::Delete => "delete",
    };
    let cell = |value: Option<&Value>| value.map_or("absent".to_owned(), ToString::to_string);
    let mut lines = Vec::new();
    for (image, wanted, came) in
        [("before", &wanted.before, &came.before), ("after", &wanted.after, &came.after)]
    {
        let (Some(wanted), Some(came)) = (wanted, came) else { continue };
        let more = came.keys().filter(|name| !wanted.contains_key(*name));
        for name in wanted.keys().chain(more).filter(|name| wanted.get(*name) != came.get(*name)) {
            let (wanted, came) = (cell(wanted.get(name)), cell(came.get(name)));
            lines.push(format!("out[{at}] ({op}), {image}.{name}: {wanted} was expected, {came} came"));
        }
    }
    if wanted.to != came.to {
        let place = |to: &Option<String>| to.clone().unwrap_or_else(|| "the destination itself".to_owned());
        lines.push(format!(
            "out[{at}] ({op}), to: {} was expected, {} came",
            place(&wanted.to),
            place(&came.to)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rest: &str) -> Case {
        let text = format!(
            "table: {{ name: shop.t, columns: {{ id: int not null, d: \"decimal(4,2)\" }}, key: [id] }}\n\
             cases:\n  - name: one\n{rest}"
        );
        cases(&text).unwrap().remove(0)
    }

    fn came(case: &Case, out: &str) -> Came {
        let events: Vec<Event> = serde_json::from_value(definition::from_yaml(out).unwrap()).unwrap();
        let out = as_told(&case.table, &events).unwrap();
        Came::Rows { table: case.table.clone(), out, rejects: Vec::new() }
    }

    fn differences(wanted: &str, out: &str) -> Vec<String> {
        let case = file(wanted);
        case.wanted.differences(&came(&case, out))
    }

    #[test]
    fn says_which_cell_differs() {
        let wanted = "    out:\n    - { op: insert, after: { id: 1, d: 9.9 } }\n    - { op: delete, before: { id: 2, d: null } }\n";
        assert_eq!(
            differences(
                wanted,
                "[{ op: insert, after: { id: 1, d: '9.90' } }, { op: delete, before: { id: 2, d: null } }]"
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            differences(
                wanted,
                "[{ op: insert, after: { id: 1, d: '9.91' } }, { op: delete, before: { id: 2 } }]"
            ),
            [
                "out[0] (insert), after.d: \"9.90\" was expected, \"9.91\" came",
                "out[1] (delete), before.d: null was expected, absent came"
            ]
        );
        assert_eq!(
            differences(
                wanted,
                "[{ op: delete, before: { id: 2, d: null } }, { op: insert, after: { id: 3 } }]"
            ),
            [
                "out[0] did not come: { op: insert, after: { id: 1, d: \"9.90\" } }",
                "this came, and is not in `out`: { op: insert, after: { id: 3 } }"
            ]
        );
        assert_eq!(
            differences(
                "    out:\n    - { op: insert, after: { id: 1 }, to: eu }\n",
                "[{ op: insert, after: { id: 1 } }]"
            ),
            ["out[0] (insert), to: eu was expected, the destination itself came"]
        );
    }

    #[test]
    fn columns_key_errors_and_rejects_are_compared() {
        let none = Vec::<String>::new();
        assert_eq!(
            differences("    columns: { id: INT NOT NULL, d: 'decimal(4,2)' }\n    key: [id]\n", "[]"),
            none
        );
        assert_eq!(differences("    columns: { id: int, d: 'decimal(4,2)' }\n", "[]").len(), 2);
        assert_eq!(differences("    key: [d]\n    out: []\n", "[]"), ["key: [d] was expected, [id] came"]);
        assert!(differences("    in: []\n", "[]")[0].starts_with("the case says nothing"));
        assert!(differences("    error: nope\n", "[]")[0].starts_with("error: \"nope\" was expected, and 0"));
        assert!(differences("    rejects: [{ event: 1 }]\n", "[]")[0].contains("was not"));
        let case = file("    error: 'x: y'\n");
        assert_eq!(case.wanted.differences(&Came::Error("transform.config: x: yes".into())), none);
        assert_eq!(case.wanted.differences(&Came::Error("transform.config: z".into())).len(), 2);
        let rejected = |event, reason: &str| Rejected { event, reason: reason.to_owned() };
        let rejecting = |wanted: &str| {
            let case = file(wanted);
            let rejects = vec![rejected(0, "too long")];
            case.wanted.differences(&Came::Rows { table: case.table.clone(), out: Vec::new(), rejects })
        };
        assert_eq!(rejecting("    out: []\n    rejects: [{ event: 0, reason: long }]\n"), none);
        assert!(
            rejecting("    out: []\n    rejects: [{ event: 0, reason: short }]\n")[0]
                .contains("\"short\" was")
        );
        assert_eq!(rejecting("    out: []\n"), ["event 0 was rejected: \"too long\""]);
    }

    #[test]
    fn a_mistake_in_a_file_has_its_place() {
        let said = |text: &str| format!("{:#}", cases(text).unwrap_err());
        assert!(said("cases: [{ name: a, in: [], out: [] }]").contains("cases[0] (a): no table"));
        assert!(
            said("table: { columns: { a: int } }\ncases: [{ name: a, inn: [] }]")
                .contains("unknown field `inn`")
        );
        assert!(
            said("table: { columns: { a: int } }\ncases: [{ name: a, in: [{ op: upsert }] }]")
                .contains("upsert")
        );
        assert!(said("table: { columns: { a: nt } }\ncases: []").contains("table.columns.a"));
    }
}
