//! What an apply would do. A plan is made for the revisions that it saw: if somebody changes one of those documents
//! before it is carried out, nothing of it is.

use forebay_store::{Change, DocKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::{Warning, child, item};
use super::validate::{Existing, Mode, Wanted};

/// What becomes of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It is so already.
    Unchanged,
    /// It goes.
    Delete,
}

/// What becomes of one document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Step {
    /// `sources`, `plugins` or `routes`.
    #[schema(value_type = String)]
    pub kind: DocKind,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub action: Action,
    /// The fields that an update changes, as paths within the document.
    pub changed: Vec<String>,
    #[serde(skip)]
    revision: u64,
    #[serde(skip)]
    value: Value,
}

/// What an apply would do, document by document. Documents that are not mentioned and not deleted are not in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Plan {
    /// Sources first, then plugins, then routes, each by name; deletions last.
    pub steps: Vec<Step>,
    /// What the servers of new and changed sources were found to lack, that does not keep the definitions from being taken.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// Compares what is wanted with what is stored.
    pub fn new(existing: &Existing, wanted: &Wanted) -> Plan {
        let definitions = serde_json::to_value(&wanted.definitions).expect("definitions are plain data");
        let documents = |kind: DocKind| definitions[kind.as_str()].as_object().into_iter().flatten();
        let mut steps = Vec::new();
        for kind in DocKind::ALL {
            for (name, value) in documents(kind) {
                let stored = existing.document(kind, name);
                let mut changed = Vec::new();
                if let Some(stored) = stored {
                    differences("", &stored.value, value, &mut changed);
                }
                let action = match stored {
                    None => Action::Create,
                    Some(_) if changed.is_empty() => Action::Unchanged,
                    Some(_) => Action::Update,
                };
                let revision = stored.map_or(0, |d| d.revision);
                steps.push(Step {
                    kind,
                    name: name.clone(),
                    action,
                    changed,
                    revision,
                    value: value.clone(),
                });
            }
        }
        if wanted.mode == Mode::Replace {
            for stored in existing.documents.iter().rev() {
                if definitions[stored.kind.as_str()].get(&stored.name).is_none() {
                    steps.push(Step {
                        kind: stored.kind,
                        name: stored.name.clone(),
                        action: Action::Delete,
                        changed: Vec::new(),
                        revision: stored.revision,
                        value: Value::Null,
                    });
                }
            }
        }
        Plan { steps, warnings: Vec::new() }
    }

    /// Whether carrying it out does nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Unchanged)
    }

    /// The store's changes that carry it out.
    pub fn changes(&self) -> Vec<Change> {
        let change = |step: &Step| {
            let (kind, name, if_revision) = (step.kind, step.name.clone(), Some(step.revision));
            match step.action {
                Action::Unchanged => None,
                Action::Delete => Some(Change::Delete { kind, name, if_revision }),
                Action::Create | Action::Update => {
                    Some(Change::Put { kind, name, value: step.value.clone(), if_revision })
                }
            }
        };
        self.steps.iter().filter_map(change).collect()
    }
}

/// The paths at which two values differ: as deep as both have fields, or lists of one length.
fn differences(path: &str, old: &Value, new: &Value, changed: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let added = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(added) {
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => differences(&child(path, key), x, y, changed),
                    _ => changed.push(child(path, key)),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                differences(&item(path, i), x, y, changed);
            }
        }
        _ if old != new => changed.push(path.to_owned()),
        _ => {}
    }
}
