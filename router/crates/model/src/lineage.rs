//! Where columns come from: what a table and its columns were called in earlier versions.
//!
//! A rule about a column (that it holds personal data) is made by name, and is to hold for the column, whatever it is called later. What
//! is said here errs on one side: a name may be told that a column never had, and none is left out that it had, as far as the source
//! could see.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// Names in all; beyond, a lineage says only that each column may be any.
const MOST: usize = 2000;

/// Tables that a table was made like: beyond, those in the middle are forgotten, so that the first names and the last stay.
const LIKE: usize = 100;

/// Names of one table's columns that are gone; beyond, the first are forgotten.
const GONE: usize = 500;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// What the table was called before, or the tables that it was made like, as database and table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<(String, String)>,
    /// Those of `tables` that it was only made like: other tables, which did not become this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<(String, String)>,
    /// What its columns were called before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Earlier>,
    /// Columns that are gone, and what they were called before: rows from then are still there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Earlier>,
    /// There were so many names that they are not told: each column may be any of any table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// Earlier names of columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Earlier {
    /// What the columns are called now.
    pub now: Vec<String>,
    /// Names, each of which each of the columns had or may have had.
    pub before: Vec<String>,
    /// How that is known.
    pub by: Tie,
}

/// How a column's earlier name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tie {
    /// A statement renamed it.
    Renamed,
    /// Its table was made like the other's. So only with a table's name: see [`Lineage::like`].
    Copied,
    /// The server computes it from the other.
    Computed,
    /// One statement dropped the one and added the other.
    Replaced,
    /// The table changed, and nothing told how: the column is new, or stands elsewhere, or has another type.
    Unknown,
}

/// A version of a table whose columns had, or may have had, other names in versions before it: looked at from those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descendant {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// What its columns are called.
    pub columns: Vec<String>,
    /// What it and they were called before.
    pub lineage: Lineage,
}

impl Lineage {
    /// Whether nothing had another name.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.columns.is_empty() && self.gone.is_empty() && !self.lost
    }

    /// Earlier names of a column, and how each is known.
    pub fn of<'a>(&'a self, column: &'a str) -> impl Iterator<Item = (&'a str, Tie)> {
        let meant = self.columns.iter().filter(|e| e.now.iter().any(|now| same_column(now, column)));
        meant.flat_map(|e| e.before.iter().map(|name| (name.as_str(), e.by)))
    }

    /// The table had this name, too.
    pub fn add_table(&mut self, database: &str, table: &str) {
        self.like.retain(|(d, t)| d != database || t != table);
        if !self.tables.iter().any(|(d, t)| d == database && t == table) {
            self.tables.push((database.to_owned(), table.to_owned()));
            self.bound();
        }
    }

    /// The table was made like the one of this name, which has this past.
    pub fn add_like(&mut self, database: &str, table: &str, past: &Lineage) {
        let own = (database.to_owned(), table.to_owned());
        past.tables.iter().chain([&own]).for_each(|name| self.resemble(name));
        self.merge(Lineage { tables: Vec::new(), like: Vec::new(), ..past.clone() });
    }

    fn resemble(&mut self, name: &(String, String)) {
        if !self.tables.contains(name) {
            self.tables.push(name.clone());
            self.like.push(name.clone());
            if self.like.len() > LIKE {
                let forgotten = self.like.remove(LIKE / 2);
                self.tables.retain(|name| *name != forgotten);
            }
            self.bound();
        }
    }

    /// Names of tables whose columns are, or are as, the columns of this one.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, Tie)> {
        let renamed = self.renamed().map(|(database, table)| (database, table, Tie::Renamed));
        let like = self.like.iter().map(|(database, table)| (database.as_str(), table.as_str(), Tie::Copied));
        renamed.chain(like)
    }

    /// The names that the table itself had, without those of tables that it was made like.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        let like: HashSet<_> = self.like.iter().collect();
        let renamed = self.tables.iter().filter(move |name| !like.contains(name));
        renamed.map(|(database, table)| (database.as_str(), table.as_str()))
    }

    /// Each of the columns `now` had, or may have had, each of the names `before`.
    pub fn add(&mut self, now: Vec<String>, before: Vec<String>, by: Tie) {
        if now.is_empty() || before.is_empty() {
            return;
        }
        match self.columns.iter_mut().find(|e| e.by == by && (e.now == now || e.before == before)) {
            Some(known) if known.now == now => {
                before.into_iter().for_each(|name| push_new(&mut known.before, name));
            }
            Some(known) => now.into_iter().for_each(|name| push_new(&mut known.now, name)),
            None => self.columns.push(Earlier { now, before, by }),
        }
        self.bound();
    }

    /// Takes everything that another one says.
    pub fn merge(&mut self, other: Lineage) {
        self.lost |= other.lost;
        other.renamed().for_each(|(database, table)| self.add_table(database, table));
        other.like.iter().for_each(|name| self.resemble(name));
        other.columns.into_iter().for_each(|e| self.add(e.now, e.before, e.by));
        other.gone.into_iter().for_each(|gone| self.add_gone(gone));
    }

    /// A column is dropped of which `past` says that it, or its table, had another name.
    pub fn drop_column(&mut self, column: &str, past: &Lineage) {
        let gone = |before, by| Earlier { now: vec![column.to_owned()], before, by };
        if past.renamed().next().is_some() {
            self.add_gone(gone(Vec::new(), Tie::Renamed));
        }
        for (name, tie) in past.of(column).filter(|(_, tie)| *tie != Tie::Computed) {
            self.add_gone(gone(vec![name.to_owned()], tie));
        }
    }

    fn add_gone(&mut self, gone: Earlier) {
        if !self.gone.contains(&gone) {
            self.gone.push(gone);
            self.gone.drain(..self.gone.len().saturating_sub(GONE));
        }
    }

    /// What `column` gets because the server computes it from these columns, which may themselves have been others.
    pub fn compute(&mut self, column: &str, from: &[String]) {
        let earlier = from.iter().flat_map(|source| self.of(source)).map(|(name, _)| name.to_owned());
        let mut names = from.to_vec();
        earlier.for_each(|name| push_new(&mut names, name));
        self.add(vec![column.to_owned()], names, Tie::Computed);
    }

    fn bound(&mut self) {
        let names =
            self.columns.iter().map(|e| e.now.len() + e.before.len()).sum::<usize>() + self.tables.len();
        if self.lost || names > MOST {
            // few tables have many names: these are worth most
            self.tables.truncate(MOST);
            self.like.retain(|name| self.tables.contains(name));
            (self.columns, self.lost) = (Vec::new(), true);
        }
    }
}

/// As MySQL compares columns' names.
pub fn same_column(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        a.to_lowercase() == b.to_lowercase()
    }
}

fn push_new(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}
