//! Statements carry the history on, and are told as changes.

use std::collections::{HashMap, HashSet};

use forebay_model::{Fault, Lineage};

use super::alter::alter;
use super::change::{Change, Session};
use super::history::History;
use super::images::{Cell, image};
use super::lex::Modes;
use super::note::{Key, full_name};
use super::reader::Unclear;
use super::special::versioning;
use super::statement::{Body, Clause, Named, Statement, parse};
use super::version::Version;
use crate::mysql::binlog::Query;
use crate::mysql::decode;

/// A statement's text and what of its session decides about its meaning.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(super) text: String,
    pub(super) database: String,
    pub(super) modes: Modes,
    /// The default character set of CREATE DATABASE.
    server_charset: Option<String>,
}

impl Said {
    /// From a query event; `server` has the modes that belong to the server.
    pub(crate) fn of(query: &Query<'_>, server: Modes) -> Self {
        let variables = query.variables();
        let text = (variables.client)
            .and_then(|collation| decode::text_of(collation, query.text))
            .unwrap_or_else(|| String::from_utf8_lossy(query.text).into_owned());
        Said {
            text,
            database: String::from_utf8_lossy(query.database).into_owned(),
            modes: Modes {
                sql_mode: variables.sql_mode.unwrap_or(server.sql_mode),
                explicit_timestamps: variables.explicit_timestamps.unwrap_or(server.explicit_timestamps),
                ..server
            },
            server_charset: variables.server.map(super::charsets::of_number),
        }
    }

    /// A statement that was told before.
    pub(super) fn again(text: &str, database: &str, modes: Modes) -> Self {
        Said { text: text.to_owned(), database: database.to_owned(), modes, server_charset: None }
    }
}

/// A change of a table, to be told.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(super) key: Key,
    pub(super) change: Change,
}

impl History {
    /// Carries the history on by a statement. Answers images of `forebay.schema_changes`, one for each captured table that
    /// it concerns, and for each that is beside one in quarantine; `at_us` is the transaction's time.
    pub(crate) fn statement(&mut self, query: &Query<'_>, at_us: u64) -> Vec<Vec<u8>> {
        let said = Said::of(query, self.modes);
        let mut told = self.follow(&said);
        told.retain(|t| self.captures(&t.key) || self.is_beside_quarantined(&t.key));
        for Told { key, change } in &mut told {
            let charset = self.databases.get(&key.0).cloned();
            change.session = Some(Session::new(&said.database, said.modes, self.fold, charset));
        }
        told.iter().map(|t| change_image(&t.key, Some(&said.text), &t.change, at_us)).collect()
    }

    /// Carries the history on; says what changed of which watched table.
    pub(super) fn follow(&mut self, said: &Said) -> Vec<Told> {
        if self.sequence(&said.text, &said.database, said.modes) {
            return Vec::new();
        }
        let Some(statement) = parse(&said.text, said.modes) else { return Vec::new() };
        let mut told = Vec::new();
        let key = |history: &Self, named: &Named| history.key_of(&said.database, named);
        match statement {
            Statement::Create { table, unless_there, body } => {
                let key = key(self, &table);
                if unless_there && self.tables.contains_key(&key) {
                    return told;
                }
                let new = body.and_then(|body| self.created(&key, body, said));
                let new = new.map(|new| self.versioned(new, said));
                let change = match &new {
                    Ok(new) => Change::of("create").between(&Version::new(vec![], vec![], None), new, &[]),
                    Err(why) => self.not_understood(&key, "create", why),
                };
                // no row of it is of a table that had the name before
                self.tables.remove(&key);
                self.forget(&key);
                self.now(&mut told, key, new.ok(), change);
            }
            Statement::Alter { table, clauses } => {
                let key = key(self, &table);
                let old = self.tables.get(&key).cloned().flatten();
                let new_name = clauses.iter().flatten().rev().find_map(|clause| match clause {
                    Clause::RenameTo(to) => Some(to.clone()),
                    _ => None,
                });
                let charset = self.databases.get(&key.0).cloned();
                // rows that come or go are told as such, of both tables
                let moved = clauses.iter().flatten().find_map(|clause| match clause {
                    Clause::Rows(kind, other) => Some((*kind, other.clone())),
                    _ => None,
                });
                let kind = moved.as_ref().map_or("alter", |(kind, _)| kind);
                if let Some((_, Some(other))) = &moved {
                    told.push(Told { key: self.key_of(&said.database, other), change: Change::of(kind) });
                }
                let altered = clauses.and_then(|clauses| match &old {
                    Some(old) => alter(old, &clauses, charset.as_deref()).map(|mut altered| {
                        altered.version = self.versioned(altered.version, said);
                        altered
                    }),
                    None => Err(Unclear("the table was not known before".into())),
                });
                match altered {
                    Err(why) => {
                        let mut change = self.not_understood(&key, kind, &why);
                        let to =
                            new_name.map(|to| self.key(to.database.as_deref().unwrap_or(&key.0), &to.table));
                        if let Some(to) = to.filter(|to| *to != key) {
                            change.renamed_to = Some(full_name(&to));
                            self.carried(&key, &to, None);
                            self.remove(&key);
                            self.spoil(&key);
                            told.push(Told { key: key.clone(), change });
                            let mut came = Change::not_understood("rename");
                            came.renamed_from = Some(full_name(&key));
                            self.now(&mut told, to, None, came);
                        } else {
                            self.now(&mut told, key, None, change);
                        }
                    }
                    Ok(mut altered) => {
                        let mut change = Change::of(kind);
                        if let Some(old) = &old {
                            change = change.between(old, &altered.version, &altered.renamed);
                            // indexes and options: what was confirmed stays so
                            let same = altered.version.says_as(old)
                                && altered.version.charset == old.charset
                                && altered.version.versioned == old.versioned;
                            altered.version.proved = same && old.proved;
                        }
                        self.rehash(&mut altered.version);
                        let to = altered.to.map(|to| match to.database {
                            Some(database) => self.key(&database, &to.table),
                            None => self.key(&key.0, &to.table),
                        });
                        if let Some(to) = to.filter(|to| *to != key) {
                            change.renamed_to = Some(full_name(&to));
                            let version = self.carried(&key, &to, Some(altered.version));
                            self.remove(&key);
                            self.spoil(&key);
                            told.push(Told { key: key.clone(), change });
                            let mut came = Change::of("rename");
                            came.renamed_from = Some(full_name(&key));
                            self.now(&mut told, to, version, came);
                        } else {
                            self.now(&mut told, key, Some(altered.version), change);
                        }
                    }
                }
            }
            Statement::Rename(pairs) => {
                let pairs: Vec<(Key, Key)> =
                    pairs.iter().map(|(a, b)| (key(self, a), key(self, b))).collect();
                self.rename(&pairs, &mut told);
            }
            Statement::Drop(tables) => {
                for table in tables {
                    let key = key(self, &table);
                    self.gone(&mut told, key);
                }
            }
            Statement::DropDatabase(name) => {
                let name = self.key(&name, "").0;
                let keys: Vec<Key> = self.tables.keys().filter(|k| k.0 == name).cloned().collect();
                for key in keys {
                    self.gone(&mut told, key);
                }
                self.set_database(name, None);
            }
            Statement::Truncate(table) => {
                let key = key(self, &table);
                told.push(Told { key, change: Change::of("truncate") });
            }
            Statement::Untouched(table) => {
                let key = key(self, &table);
                if let Some(mut version) =
                    self.tables.get(&key).cloned().flatten().filter(|_| self.modes.mariadb)
                {
                    self.rehash(&mut version);
                    self.set(key.clone(), Some(version));
                }
                told.push(Told { key, change: Change::of("alter") });
            }
            Statement::Database { name, charset, create } => {
                let name = self.key(name.as_deref().unwrap_or(&said.database), "").0;
                let charset = charset.or_else(|| said.server_charset.clone().filter(|_| create));
                if let (Some(charset), true) = (charset, self.watches(&name)) {
                    self.set_database(name, Some(charset));
                }
            }
            Statement::Unclear { names, why } => {
                let names: HashSet<String> = names.iter().map(|n| self.key("", n).1).collect();
                let keys: Vec<Key> = self.tables.keys().filter(|k| names.contains(&k.1)).cloned().collect();
                for key in keys {
                    let change = self.not_understood(&key, "alter", &why);
                    self.now(&mut told, key, None, change);
                }
            }
        }
        told
    }

    /// A table as a statement names it, run with this default database.
    fn key_of(&self, database: &str, named: &Named) -> Key {
        self.key(named.database.as_deref().unwrap_or(database), &named.table)
    }

    fn created(&self, key: &Key, body: Body, said: &Said) -> Result<Version, Unclear> {
        match body {
            Body::Like(like) => {
                let like = self.key(like.database.as_deref().unwrap_or(&said.database), &like.table);
                let known = self.tables.get(&like).cloned().flatten();
                let known = known.ok_or_else(|| Unclear("LIKE a table that is not known".into()))?;
                let past = known.lineage.clone();
                let mut made = Version { proved: false, lineage: Lineage::default(), ..known };
                made.lineage.add_like(&like.0, &like.1, &past);
                Ok(made)
            }
            Body::Columns { elements, charset } => {
                let charset = charset.or_else(|| self.databases.get(&key.0).cloned());
                Ok(self.copied(key, Version::created(&elements, charset)))
            }
        }
    }

    /// A statement may have made or dropped a UNIQUE key that is too long for an index, or one may be so now: of MariaDB, the rows
    /// or the server must say how many.
    fn rehash(&self, version: &mut Version) {
        if self.modes.mariadb {
            (version.hidden, version.proved) = (None, false);
        }
    }

    /// What a statement made of a table, with what it says of versions.
    fn versioned(&self, version: Version, said: &Said) -> Version {
        let says = if self.modes.mariadb { versioning(&said.text, said.modes) } else { None };
        Version { versioned: says.unwrap_or(version.versioned), ..version }
    }

    /// Pairs are done one after the other; what came of each name in all is told once. A name that was only used on the way had no
    /// table before and has none behind: nothing came of it.
    fn rename(&mut self, pairs: &[(Key, Key)], told: &mut Vec<Told>) {
        let mut seen = HashSet::new();
        let names: Vec<&Key> = pairs
            .iter()
            .flat_map(|(a, b)| [a, b])
            .filter(|k| seen.insert(*k) && self.watches(&k.0))
            .collect();
        // by a name now, what its table was called before the statement
        let mut came: HashMap<&Key, &Key> = HashMap::new();
        for (from, to) in pairs {
            let first = came.remove(from).unwrap_or(from);
            came.insert(to, first);
        }
        let went: HashMap<&Key, &Key> = came.iter().map(|(now, before)| (*before, *now)).collect();
        let before: Vec<Option<Version>> =
            names.iter().map(|k| self.tables.get(*k).cloned().flatten()).collect();
        for (from, to) in pairs {
            let known = self.tables.get(from).cloned().flatten();
            let version = self.carried(from, to, known);
            self.remove(from);
            self.spoil(from);
            self.spoil(to);
            if self.watches(&to.0) {
                self.set(to.clone(), version);
            }
        }
        // a sequence is no table: that it has another name is told to nobody
        let sequence = |key: &Key| matches!(self.tables.get(key), Some(Some(v)) if v.is_sequence());
        let sequences: HashSet<&Key> =
            came.iter().filter(|(now, _)| sequence(now)).flat_map(|(now, before)| [*now, *before]).collect();
        let moved =
            |key: &&Key| (went.contains_key(*key) || came.contains_key(*key)) && !sequences.contains(*key);
        for (key, old) in names.into_iter().zip(before).filter(|(key, _)| moved(key)) {
            let mut change = Change::of("rename");
            change.renamed_to = went.get(key).filter(|to| **to != key).map(|to| full_name(to));
            if let Some(from) = came.get(key) {
                change.renamed_from = Some(full_name(from)).filter(|_| *from != key);
                let new = self.tables.get(key).and_then(Option::as_ref);
                match (old, new) {
                    (Some(old), Some(new)) => change = change.between(&old, new, &[]),
                    (_, None) => change.understood = false,
                    (None, Some(_)) => {}
                }
            }
            told.push(Told { key: key.clone(), change });
        }
    }

    /// A table is this from here on.
    fn now(&mut self, told: &mut Vec<Told>, key: Key, version: Option<Version>, change: Change) {
        if !self.watches(&key.0) {
            return;
        }
        self.spoil(&key);
        self.set(key.clone(), version);
        told.push(Told { key, change });
    }

    fn gone(&mut self, told: &mut Vec<Told>, key: Key) {
        if !self.watches(&key.0) {
            return;
        }
        self.spoil(&key);
        // another one may be put in its place
        if let Some(Some(old)) = self.remove(&key) {
            self.remember(&key, old);
        }
        told.push(Told { key, change: Change::of("drop") });
    }

    fn not_understood(&self, key: &Key, kind: &'static str, why: &Unclear) -> Change {
        if self.captures(key) {
            tracing::info!(
                table = full_name(key),
                reason = why.0,
                "a statement's effect on the table is not clear: the server will be asked what the table looks like"
            );
        }
        Change::not_understood(kind)
    }
}

/// An image of `forebay.schema_changes`.
pub(crate) fn change_image(key: &Key, statement: Option<&str>, change: &Change, at_us: u64) -> Vec<u8> {
    let statement = statement.map_or(Cell::Null, |s| Cell::Bytes(s.as_bytes()));
    let json = change.json();
    image(&[
        Cell::Bytes(key.0.as_bytes()),
        Cell::Bytes(key.1.as_bytes()),
        statement,
        Cell::Bytes(json.as_bytes()),
        Cell::Time(at_us),
    ])
}

/// An image of `forebay.quarantine`.
pub(crate) fn kept_image(
    (database, table): (&str, &str),
    kind: u8,
    table_map: &[u8],
    rows: &[u8],
    seconds: u32,
) -> Vec<u8> {
    image(&[
        Cell::Bytes(database.as_bytes()),
        Cell::Bytes(table.as_bytes()),
        Cell::U8(kind),
        Cell::Bytes(table_map),
        Cell::Bytes(rows),
        Cell::U32(seconds),
    ])
}

/// For the fuzzer: a statement on a history that knows a table. Never a panic, never more than linear time.
pub(crate) fn fuzz(text: &str, sql_mode: u64) -> Result<usize, Fault> {
    let config = crate::mysql::bench::everything();
    let mut history = History::new(&config, &[], false)?;
    let say = |text: &str, sql_mode| Said::again(text, "d", Modes { sql_mode, ..Modes::default() });
    history.follow(&say("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9) CHARSET latin1, c TEXT)", 0));
    let told = history.follow(&say(text, sql_mode));
    history.end_transaction(Default::default);
    Ok(told.iter().map(|t| t.change.json().len()).sum())
}
