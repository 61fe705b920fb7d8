//! Checks a whole set of definitions and answers every problem with its place: first each document's structure, then what
//! the documents mean together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use forebay_model::Fault;
use forebay_store::{DocKind, Document, Store};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{Definitions, PluginDef, RouteDef, SourceDef};
use super::parse::{kind_of, parse};
use super::problem::{Problem, child, did_you_mean, related};
use super::{codes, rules};

/// What becomes of stored documents that are not mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They stay as they are.
    Merge,
    /// They are deleted.
    Replace,
}

/// What is stored at the moment of a check.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// All documents.
    pub documents: Vec<Document>,
    /// The hashes of the components whose bytes are stored.
    pub components: BTreeSet<String>,
    /// Where relative paths start.
    pub data_dir: PathBuf,
}

impl Existing {
    /// Reads it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn read(store: &Store, data_dir: &Path) -> Result<Existing, Fault> {
        let components = store.plugins()?.into_iter().map(|p| p.sha256).collect();
        Ok(Existing { documents: store.documents()?, components, data_dir: data_dir.to_owned() })
    }

    /// A stored document.
    pub fn document(&self, kind: DocKind, name: &str) -> Option<&Document> {
        self.documents.iter().find(|d| d.kind == kind && d.name == name)
    }

    /// The routes, as far as this version can read them.
    pub fn routes(&self) -> BTreeMap<String, RouteDef> {
        self.of_kind(DocKind::Routes).into_iter().filter_map(|(name, def)| Some((name, def?))).collect()
    }

    /// The documents of one kind, as far as this version can read them.
    fn of_kind<T: DeserializeOwned>(&self, kind: DocKind) -> BTreeMap<String, Option<T>> {
        let documents = self.documents.iter().filter(|d| d.kind == kind);
        documents.map(|d| (d.name.clone(), serde_json::from_value(d.value.clone()).ok())).collect()
    }
}

/// What a check has found so far.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The definitions, as far as they could be read; what is wrong in them is mended or left out.
    pub wanted: Wanted,
    problems: Vec<Problem>,
    /// Where the structure was mended, so that meaning is not looked for there.
    mended: Vec<String>,
}

impl Checked {
    /// Adds a problem, unless it lies where something worse was told already.
    pub fn note(&mut self, problem: Problem) {
        if !self.mended.iter().any(|mended| related(mended, &problem.path)) {
            self.problems.push(problem);
        }
    }

    /// Whether nothing is wrong at the path or inside it.
    pub fn is_sound(&self, path: &str) -> bool {
        !self.problems.iter().any(|problem| related(path, &problem.path))
    }

    /// The definitions, if nothing is wrong with them.
    ///
    /// # Errors
    /// Every problem.
    pub fn finish(self) -> Result<Wanted, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.wanted) } else { Err(self.problems) }
    }
}

/// Definitions as they are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The documents; plugins by hash.
    pub definitions: Definitions,
    /// The components that came along, by hash.
    pub components: BTreeMap<String, Vec<u8>>,
    /// The versions of new and changed plugins, once somebody asked their components.
    pub versions: BTreeMap<String, String>,
    /// What becomes of the others.
    pub mode: Mode,
}

/// Checks definitions (an object with `sources`, `plugins` and `routes`) against themselves and what is stored: every
/// problem, the structural ones first, each in the order of the documents.
pub fn check(value: &Value, existing: &Existing, mode: Mode) -> Checked {
    let mut checking = Checking::default();
    let sections = checking.sections(value);
    let sources: BTreeMap<String, Option<SourceDef>> = checking.documents(DocKind::Sources, &sections);
    let plugins: BTreeMap<String, Option<PluginDef>> = checking.documents(DocKind::Plugins, &sections);
    let routes: BTreeMap<String, Option<RouteDef>> = checking.documents(DocKind::Routes, &sections);

    let components = checking.plugins(&plugins, existing);
    let whole = Whole {
        sources: merged(existing.of_kind(DocKind::Sources), sources, mode),
        plugins: merged(existing.of_kind(DocKind::Plugins), plugins, mode),
        routes: merged(existing.of_kind(DocKind::Routes), routes, mode),
    };
    checking.meaning(&whole, existing);
    let definitions = Definitions {
        sources: whole.sources.into_iter().filter_map(Entry::wanted).collect(),
        plugins: components.iter().map(|(name, (sha256, _))| (name.clone(), by_hash(sha256))).collect(),
        routes: whole.routes.into_iter().filter_map(Entry::wanted).collect(),
    };
    let components = components.into_values().filter_map(|(sha256, bytes)| Some((sha256, bytes?))).collect();
    let wanted = Wanted { definitions, components, versions: BTreeMap::new(), mode };
    let mut checked = Checked { wanted, problems: checking.problems, mended: checking.mended };
    checking.found.into_iter().for_each(|problem| checked.note(problem));
    checked
}

/// The problems with deleting a document: the routes that use it.
pub fn check_delete(kind: DocKind, name: &str, existing: &Existing) -> Vec<Problem> {
    let routes = existing.of_kind::<RouteDef>(DocKind::Routes);
    let mut problems = Vec::new();
    for (route, def) in routes.iter().filter_map(|(route, def)| Some((route, def.as_ref()?))) {
        let path = child("routes", route);
        let used = match kind {
            DocKind::Sources => (def.source == name).then(|| child(&path, "source")),
            DocKind::Plugins => {
                let at = def.transforms.iter().position(|t| t.plugin == name);
                at.map(|i| format!("{path}.transforms[{i}].plugin"))
            }
            DocKind::Routes => None,
        };
        if let Some(path) = used {
            let message = format!("route {route} uses {}", child(kind.as_str(), name));
            problems
                .push(Problem::new(codes::IN_USE, path, message).suggest("change or delete the route first"));
        }
    }
    problems
}

/// A document of the set as it will be.
pub(super) struct Entry<T> {
    pub(super) name: String,
    /// `None` if it could not be read.
    pub(super) def: Option<T>,
    /// Whether it comes from the definitions being checked.
    pub(super) is_wanted: bool,
}

impl<T> Entry<T> {
    fn wanted(self) -> Option<(String, T)> {
        self.def.filter(|_| self.is_wanted).map(|def| (self.name, def))
    }
}

/// The set as it will be, by name.
pub(super) struct Whole {
    pub(super) sources: Vec<Entry<SourceDef>>,
    pub(super) plugins: Vec<Entry<PluginDef>>,
    pub(super) routes: Vec<Entry<RouteDef>>,
}

fn merged<T>(
    stored: BTreeMap<String, Option<T>>,
    wanted: BTreeMap<String, Option<T>>,
    mode: Mode,
) -> Vec<Entry<T>> {
    let mut all: BTreeMap<String, Entry<T>> = BTreeMap::new();
    if mode == Mode::Merge {
        all.extend(
            stored.into_iter().map(|(name, def)| (name.clone(), Entry { name, def, is_wanted: false })),
        );
    }
    all.extend(wanted.into_iter().map(|(name, def)| (name.clone(), Entry { name, def, is_wanted: true })));
    all.into_values().collect()
}

fn by_hash(sha256: &str) -> PluginDef {
    PluginDef { sha256: Some(sha256.to_owned()), ..PluginDef::default() }
}

type Sections<'a> = BTreeMap<DocKind, Vec<(&'a String, &'a Value)>>;

#[derive(Default)]
struct Checking {
    /// Of structure.
    problems: Vec<Problem>,
    /// See [`Checked::mended`].
    mended: Vec<String>,
    /// Of meaning.
    found: Vec<Problem>,
}

impl Checking {
    /// The documents of each kind. A section that is left empty (null in YAML) has none.
    fn sections<'a>(&mut self, value: &'a Value) -> Sections<'a> {
        let mut sections = Sections::new();
        let Value::Object(fields) = value else {
            let message =
                format!("definitions are an object with sources, plugins and routes, not {}", kind_of(value));
            self.problems.push(Problem::new(codes::WRONG_TYPE, "", message));
            return sections;
        };
        for (key, section) in fields {
            let kind = DocKind::ALL.into_iter().find(|kind| kind.as_str() == key);
            match (kind, section) {
                (Some(kind), Value::Object(documents)) => {
                    sections.insert(kind, documents.iter().collect());
                }
                (Some(_), Value::Null) => {}
                (Some(_), other) => {
                    let message =
                        format!("an object of definitions by name belongs here, not {}", kind_of(other));
                    self.problems.push(Problem::new(codes::WRONG_TYPE, key, message));
                }
                (None, _) => self.problems.push(
                    Problem::new(codes::UNKNOWN_FIELD, child("", key), format!("there is no field `{key}`"))
                        .suggest(did_you_mean(key, DocKind::ALL.map(DocKind::as_str))),
                ),
            }
        }
        sections
    }

    fn documents<T: DeserializeOwned>(
        &mut self,
        kind: DocKind,
        sections: &Sections<'_>,
    ) -> BTreeMap<String, Option<T>> {
        let mut documents = BTreeMap::new();
        for (name, value) in sections.get(&kind).into_iter().flatten() {
            let path = child(kind.as_str(), name);
            if !rules::is_name(name) {
                let message =
                    "a name has 1 to 63 lower-case letters, digits and hyphens, the first no hyphen";
                self.problems.push(
                    Problem::new(codes::BAD_NAME, path.clone(), message).suggest(rules::name_like(name)),
                );
            }
            let parsed = parse(&path, value);
            self.problems.extend(parsed.problems);
            self.mended.extend(parsed.mended);
            documents.insert((*name).clone(), parsed.document);
        }
        documents
    }

    /// Each plugin's hash, and its bytes if they came along.
    fn plugins(
        &mut self,
        plugins: &BTreeMap<String, Option<PluginDef>>,
        existing: &Existing,
    ) -> BTreeMap<String, (String, Option<Vec<u8>>)> {
        let mut components = BTreeMap::new();
        for (name, def) in plugins {
            let Some(def) = def else { continue };
            match rules::component(&child("plugins", name), def, &existing.components) {
                Ok(component) => {
                    components.insert(name.clone(), component);
                }
                Err(problem) => self.found.push(problem),
            }
        }
        components
    }

    fn meaning(&mut self, whole: &Whole, existing: &Existing) {
        let found = &mut self.found;
        for source in whole.sources.iter().filter(|s| s.is_wanted) {
            if let Some(def) = &source.def {
                rules::source(&child("sources", &source.name), def, found);
            }
        }
        rules::server_ids(whole, found);
        rules::places(whole, &existing.data_dir, found);
        for route in &whole.routes {
            let Some(def) = &route.def else { continue };
            let path = child("routes", &route.name);
            if route.is_wanted {
                rules::route(&path, def, whole, found);
            } else if whole.sources.iter().any(|s| s.is_wanted && s.name == def.source) {
                rules::route_tables(&path, def, whole, found);
            }
        }
    }
}
