//! What the table looks like afterwards, and the plan that makes it so.
//!
//! Promises: a plan without problems is one that the router carries out; what is wrong is said at its path.

use std::collections::{BTreeMap, HashMap, HashSet};

use forebay_plugin::{Column, ColumnDef, Metadata, Plan, Problems, TableSchema};
use serde_json::Value;

use crate::config::Missing;
use crate::constant::constant;

/// The longest name of a column, bytes: MySQL's 64 characters.
const NAME: usize = 256;

/// The result's columns, step by step.
pub(crate) struct Layout<'a> {
    table: &'a TableSchema,
    missing: Missing,
    /// For each column of the table, its name in the result; none = left out.
    names: Vec<Option<String>>,
    constants: Vec<(ColumnDef, Column)>,
    stamps: Vec<(Metadata, String)>,
    deleted: Option<String>,
    /// Where the names of new columns and new names stand, by the name.
    paths: HashMap<String, String>,
}

impl<'a> Layout<'a> {
    /// The table as it is.
    pub(crate) fn new(table: &'a TableSchema, missing: Missing) -> Self {
        Layout {
            table,
            missing,
            names: table.columns.iter().map(|column| Some(column.name.clone())).collect(),
            constants: Vec::new(),
            stamps: Vec::new(),
            deleted: None,
            paths: HashMap::new(),
        }
    }

    /// Leaves out what is not included, or is excluded.
    pub(crate) fn choose(&mut self, include: Option<&[String]>, exclude: &[String], problems: &mut Problems) {
        if let Some(include) = include {
            let chosen = self.matching("include", include, problems);
            for (name, chosen) in self.names.iter_mut().zip(chosen) {
                *name = name.take().filter(|_| chosen);
            }
        }
        let chosen = self.matching("exclude", exclude, problems);
        for (name, chosen) in self.names.iter_mut().zip(chosen) {
            *name = name.take().filter(|_| !chosen);
        }
    }

    /// Which columns the patterns mean.
    fn matching(&self, setting: &str, patterns: &[String], problems: &mut Problems) -> Vec<bool> {
        let mut chosen = vec![false; self.names.len()];
        for (n, pattern) in patterns.iter().enumerate() {
            match self.table.columns_like(pattern) {
                Ok(columns) => columns.into_iter().for_each(|column| chosen[column as usize] = true),
                Err(_) if self.missing == Missing::Ignore => {}
                Err(error) => problems.add(error.at(&format!("{setting}[{n}]"))),
            }
        }
        chosen
    }

    /// Gives columns other names.
    pub(crate) fn rename(&mut self, rename: &BTreeMap<String, String>, problems: &mut Problems) {
        for (old, new) in rename {
            let path = format!("rename.{old}");
            let column = match self.table.column(old) {
                Ok(column) => column as usize,
                Err(_) if self.missing == Missing::Ignore => continue,
                Err(error) => {
                    problems.add(error.at(&path));
                    continue;
                }
            };
            match &mut self.names[column] {
                Some(name) => name.clone_from(new),
                None => problems.schema(&path, format!("column `{old}` is left out by include or exclude")),
            }
            self.named(new, path, problems);
        }
    }

    /// Adds a column that is the same everywhere.
    pub(crate) fn constant(&mut self, name: &str, value: Value, problems: &mut Problems) {
        let path = format!("constants.{name}");
        self.named(name, path.clone(), problems);
        if let Some(constant) = problems.at(&path, constant(name, &path, value)) {
            self.constants.push(constant);
        }
    }

    /// Adds a column of metadata.
    pub(crate) fn stamp(&mut self, word: &str, what: Metadata, name: String, problems: &mut Problems) {
        self.named(&name, format!("metadata.{word}"), problems);
        self.stamps.push((what, name));
    }

    /// Keeps deleted rows.
    pub(crate) fn keep_deleted(&mut self, name: &str, problems: &mut Problems) {
        self.named(name, "deleted.column".to_owned(), problems);
        self.deleted = Some(name.to_owned());
    }

    /// Notes where a name stands, for the problems that it may make.
    fn named(&mut self, name: &str, path: String, problems: &mut Problems) {
        if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
            problems.config(&path, "a column cannot be called that");
        }
        self.paths.insert(name.to_lowercase(), path);
    }

    /// The plan.
    pub(crate) fn plan(self, key: Option<Vec<String>>, problems: &mut Problems) -> Plan {
        self.check_names(problems);
        if let Some(key) = &key {
            self.check_key(key, problems);
        }
        let mut plan = Plan::default();
        for (index, (name, column)) in self.names.into_iter().zip(&self.table.columns).enumerate() {
            plan = match name {
                None => plan.drop(index as u32),
                Some(name) if name != column.name => plan.rename(index as u32, name),
                Some(_) => plan,
            };
        }
        for (def, cell) in self.constants {
            plan = plan.constant(def, cell);
        }
        for (what, name) in self.stamps {
            plan = plan.stamp(what, name);
        }
        if let Some(deleted) = self.deleted {
            plan = plan.keeping_deleted(deleted);
        }
        if let Some(key) = key {
            plan = plan.key(key);
        }
        plan
    }

    fn check_names(&self, problems: &mut Problems) {
        let added = self.constants.iter().map(|(def, _)| &def.name);
        let added = added.chain(self.stamps.iter().map(|(_, name)| name)).chain(&self.deleted);
        let mut seen: HashSet<String> = HashSet::new();
        for name in self.names.iter().flatten().chain(added) {
            let lower = name.to_lowercase();
            if !seen.insert(lower.clone()) {
                let path = self.paths.get(&lower).cloned().unwrap_or_default();
                problems.schema(
                    path,
                    format!("two columns would be called `{name}` (case does not tell them apart)"),
                );
            }
        }
        if seen.is_empty() {
            problems.schema("", "no column is left");
        }
    }

    fn check_key(&self, key: &[String], problems: &mut Problems) {
        for (n, name) in key.iter().enumerate() {
            let column = self.names.iter().position(|of| of.as_ref() == Some(name));
            let message = match column.map(|index| &self.table.columns[index]) {
                Some(column) if column.nullable => "can be NULL, so it cannot be of the key",
                Some(_) if key[..n].contains(name) => "stands in the key twice",
                Some(_) => continue,
                None if self.paths.contains_key(&name.to_lowercase()) => {
                    "is the same for many rows, so it cannot be of the key"
                }
                None => "is no column of the result",
            };
            problems.schema(format!("key[{n}]"), format!("`{name}` {message}"));
        }
    }
}
