//! The versions of tables as of the stream's position, and the tables that nobody knows enough of.
//!
//! Owns what the source must remember besides its position: each table's version and each quarantine, as notes. What
//! changes inside a transaction is noted when the transaction ends, so that notes are always as of the stored position.
//!
//! Rules, for binlogs that do not name their columns:
//!
//! - A version that was confirmed (by a table map, or by the server at the stream's place) holds until a statement in the
//!   binlog changes it. Rows that do not fit it mean a change that is not in the binlog: the table is quarantined.
//! - A version that statements made is checked at the next table map: the server is asked, and what it says leads if no
//!   statement about the table is in the binlog between that table map and the answer. Otherwise the version stands if it
//!   fits the table map.
//! - A table that nothing is known of is asked for in the same way, and quarantined if the answer cannot be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_model::{Fault, Lineage, Note};

use super::change::Change;
use super::hidden;
use super::images::Plans;
use super::lex::Modes;
use super::lookup::Catalog;
use super::note::{self, Key, Quarantined, Read, full_name};
use super::place::Place;
use super::special::may_be_versioned;
use super::version::{Misfit, Version};
use crate::mysql::Config;
use crate::mysql::binlog::TableMap;
use crate::mysql::decode::Plan;

/// Tables that are remembered beside the captured ones: those that may be swapped with them.
const OTHERS: usize = 50_000;

/// What the history must ask the server, to go on at a table map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) key: Key,
    /// Where the table map starts.
    pub(crate) place: Place,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) question: Question,
    /// The table as it is now, which it has been since the question's place; or why that cannot be said.
    pub(crate) found: Result<Version, String>,
}

/// What a table map means.
#[derive(Debug)]
pub(crate) enum Sight {
    /// How its rows are read, and what of the table has changed without a statement.
    Known(Box<TableMap>, Option<Box<Change>>),
    /// Its rows are kept undecoded.
    Quarantined,
    /// The server must be asked first; the table map is to be offered again.
    Ask,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct History {
    pub(super) config: Config,
    pub(super) modes: Modes,
    /// Whether names of tables are told apart without upper and lower case (`lower_case_table_names`).
    pub(super) fold: bool,
    /// `None`: there is such a table, and what it looks like is not known.
    pub(super) tables: BTreeMap<Key, Option<Version>>,
    /// Of names whose table is gone, or not known now: what it was last.
    pub(super) before: BTreeMap<Key, Version>,
    /// Default character sets of databases.
    pub(super) databases: BTreeMap<String, String>,
    /// Whether a note has them.
    pub(super) noted_databases: bool,
    pub(super) quarantined: BTreeMap<Key, Quarantined>,
    /// What the server has said of its tables when the stream connected, until the stream is there.
    pub(super) catalog: Option<Catalog>,
    /// What the server computed from what when the stream connected.
    pub(super) computed: BTreeMap<Key, Lineage>,
    /// Until then: tables that were changed by a statement that is not in the binlog. Their rows may be of before or after it if they
    /// fit this version, or at all.
    pub(super) suspects: BTreeMap<Key, Option<Version>>,
    question: Option<Question>,
    answer: Option<Answer>,
    /// Changed in the transaction at hand: tables, and quarantines.
    pub(super) staged: BTreeMap<String, Key>,
    ready: BTreeMap<String, Option<Vec<u8>>>,
    /// Table maps that were seen before may mean something else now.
    changed: bool,
    plans: Plans,
}

impl History {
    /// Goes on from notes; those about the place of another start are void.
    pub(crate) fn new(config: &Config, notes: &[Note], goes_on: bool) -> Result<Self, Fault> {
        let mut history = History {
            config: config.clone(),
            modes: Modes::default(),
            fold: false,
            tables: BTreeMap::new(),
            before: BTreeMap::new(),
            databases: BTreeMap::new(),
            noted_databases: false,
            quarantined: BTreeMap::new(),
            catalog: None,
            computed: BTreeMap::new(),
            suspects: BTreeMap::new(),
            question: None,
            answer: None,
            staged: BTreeMap::new(),
            ready: BTreeMap::new(),
            changed: false,
            plans: Plans::new()?,
        };
        for note in notes {
            match note::read(note) {
                // whoever did not watch a table has missed its changes
                Read::Table(key, version) if goes_on && history.watches(&key.0) => {
                    history.tables.insert(key, version);
                }
                Read::Databases(databases) if goes_on => {
                    (history.databases, history.noted_databases) = (databases, true);
                }
                Read::Table(key, version) => {
                    history.ready.insert(note.key.clone(), None);
                    if let Some(version) = version {
                        history.remember(&key, version);
                    }
                }
                Read::Databases(_) => {
                    history.ready.insert(note.key.clone(), None);
                }
                Read::Before(key, version) => {
                    history.before.insert(key, version);
                }
                Read::Quarantined(key, quarantined) => {
                    history.quarantined.insert(key, quarantined);
                }
                Read::Unknown => {
                    tracing::warn!(key = note.key, "a note about a table cannot be read, and counts as none");
                }
                Read::Other => {}
            }
        }
        history.settle();
        Ok(history)
    }

    /// What the server said when the stream connected.
    pub(crate) fn learn(&mut self, catalog: Catalog) {
        self.modes = Modes { sql_mode: 0, ..catalog.modes };
        self.fold = catalog.fold;
        self.learn_databases(&catalog);
        let computed = catalog.tables.iter().filter(|(_, version)| !version.lineage.is_empty());
        self.computed = computed.map(|(key, version)| (key.clone(), version.lineage.clone())).collect();
        self.catalog = Some(catalog);
    }

    /// Whether some table of the database may be captured.
    pub(crate) fn watches(&self, database: &str) -> bool {
        super::databases::watches(&self.config, database)
    }

    /// Captured tables that are known, beside what the server says of them.
    pub(super) fn captured<'a>(
        &'a self,
        catalog: &'a Catalog,
    ) -> impl Iterator<Item = (&'a Key, &'a Version, &'a Version)> {
        let known = self.tables.iter().filter_map(|(key, known)| Some((key, known.as_ref()?)));
        let both = known.filter_map(|(key, known)| Some((key, known, catalog.tables.get(key)?)));
        both.filter(|(key, ..)| self.captures(key))
    }

    pub(super) fn captures(&self, key: &Key) -> bool {
        self.config.captures(&key.0, &key.1)
    }

    /// A table as the history names it.
    pub(super) fn key(&self, database: &str, table: &str) -> Key {
        if self.fold {
            (database.to_lowercase(), table.to_lowercase())
        } else {
            (database.to_owned(), table.to_owned())
        }
    }

    /// From here on, names of tables are told apart without upper and lower case.
    pub(super) fn fold_names(&mut self) {
        if !std::mem::replace(&mut self.fold, true) {
            let tables = std::mem::take(&mut self.tables);
            self.tables = tables.into_iter().map(|(k, v)| (self.key(&k.0, &k.1), v)).collect();
        }
    }

    /// What a captured table's table map means; `place` is where it starts, `seconds` its time.
    pub(crate) fn table_map(&mut self, map: TableMap, place: Place, seconds: u32) -> Sight {
        let key = self.key(&map.database, &map.table);
        if self.quarantined.contains_key(&key) {
            return Sight::Quarantined;
        }
        let answer = self.answer.take_if(|a| a.question.key == key && a.question.place == place);
        if let Some(why) = self.is_versioned(&key, answer.as_ref(), &map) {
            return self.quarantine(key, why, &place, seconds);
        }
        let unsure = map.full && self.modes.mariadb && !matches!(self.tables.get(&key), Some(Some(_)));
        if unsure && answer.is_none() && may_be_versioned(&map) {
            self.question = Some(Question { key, place });
            return Sight::Ask;
        }
        if map.full || map.columns.is_empty() {
            let change = self.saw(&key, Version::of_map(&map));
            let lineage = self.tables.get(&key).and_then(Option::as_ref).map(|known| known.lineage.clone());
            let map = TableMap { lineage: lineage.unwrap_or_default(), ..map };
            return Sight::Known(Box::new(map), change);
        }
        if self.is_suspect(&key, &map) {
            return self.quarantine(key, hidden::WHY.to_owned(), &place, seconds);
        }
        let known = self.tables.get(&key).cloned().flatten();
        match (known, answer) {
            (Some(mut known), _) if known.proved => match known.fits(&map) {
                Ok(()) => {
                    if known.learn(&map) {
                        self.set(key, Some(known.clone()));
                    }
                    Sight::Known(Box::new(known.complete(&map)), None)
                }
                Err(Misfit(why)) => {
                    let why =
                        format!("{why}: the table was changed by a statement that is not in the binlog");
                    self.quarantine(key, why, &place, seconds)
                }
            },
            (_, None) => {
                self.question = Some(Question { key, place });
                Sight::Ask
            }
            (known, Some(answer)) => {
                let found = answer.found.and_then(|v| match v.fits(&map) {
                    Ok(()) => Ok(v),
                    Err(Misfit(why)) => {
                        Err(format!("the server's present definition is not of these rows: {why}"))
                    }
                });
                let fitting = known.filter(|k| k.fits(&map).is_ok());
                let mut version = match (found, fitting) {
                    (Ok(found), Some(known)) if !found.says_as(&known) => {
                        tracing::warn!(
                            table = full_name(&key),
                            "what statements made of the table's definition is not what the server says: the server's counts"
                        );
                        self.traced(&key, found)
                    }
                    (Ok(found), _) => self.traced(&key, found),
                    (Err(_), Some(known)) => known,
                    (Err(why), None) => return self.quarantine(key, why, &place, seconds),
                };
                version.learn(&map);
                let whole = Box::new(version.complete(&map));
                self.set(key, Some(version));
                Sight::Known(whole, None)
            }
        }
    }

    /// A table map that names its columns: what of the table it shows to have changed.
    fn saw(&mut self, key: &Key, seen: Version) -> Option<Box<Change>> {
        let known = self.tables.get(key).and_then(Option::as_ref);
        let same = known.is_some_and(|k| k.says_as(&seen));
        if same && known.is_some_and(|k| k.proved) {
            return None;
        }
        let change = known.filter(|_| !same).map(|k| Box::new(Change::of("alter").between(k, &seen, &[])));
        let charset = known.and_then(|k| k.charset.clone());
        let seen = self.traced(key, seen);
        self.set(key.clone(), Some(Version { charset, ..seen }));
        change
    }

    /// The plan of `forebay.schema_changes`.
    pub(crate) fn changes_plan(&self) -> Arc<Plan> {
        self.plans.changes.clone()
    }

    /// The plan of `forebay.quarantine`.
    pub(crate) fn quarantine_plan(&self) -> Arc<Plan> {
        self.plans.quarantine.clone()
    }

    /// What must be asked, after [`Sight::Ask`].
    pub(crate) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        self.question = None;
        self.answer = Some(answer);
    }

    /// Sets a table's version; `None` = not known.
    pub(super) fn set(&mut self, key: Key, version: Option<Version>) {
        let others = self.tables.len() >= OTHERS && !self.captures(&key) && !self.tables.contains_key(&key);
        if others {
            tracing::warn!(
                table = full_name(&key),
                "too many tables beside the captured ones: not remembered"
            );
            return;
        }
        self.stage(&key);
        match (&version, self.tables.get(&key).cloned().flatten()) {
            (Some(_), _) => self.forget(&key),
            (None, Some(old)) => self.remember(&key, old),
            (None, None) => {}
        }
        self.tables.insert(key, version);
    }

    /// Forgets a table; gives what it was.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Option<Version>> {
        self.stage(key);
        self.tables.remove(key)
    }

    pub(super) fn stage(&mut self, key: &Key) {
        self.changed = true;
        self.staged.insert(note::schema_key(key), key.clone());
    }

    /// A statement about the table: what the server said of it when the stream connected is of another time.
    pub(super) fn spoil(&mut self, key: &Key) {
        self.answer = None;
        if let Some(catalog) = &mut self.catalog {
            catalog.tables.remove(key);
        }
    }

    /// Whether what table maps meant may have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A transaction ended, or the stream stands between two: `place` gives where. True if there is something to note
    /// though nothing happened.
    #[inline]
    pub(crate) fn end_transaction(&mut self, place: impl FnOnce() -> Place) -> bool {
        if !self.staged.is_empty() {
            self.settle();
        }
        match &self.catalog {
            None => false,
            Some(catalog) if place() < catalog.after => false,
            Some(_) => self.arrive(),
        }
    }

    /// Turns what was staged into notes.
    pub(super) fn settle(&mut self) {
        for (name, key) in std::mem::take(&mut self.staged) {
            let value = if name == note::DATABASES {
                serde_json::to_vec(&self.databases).ok()
            } else if name == note::schema_key(&key) {
                self.tables.get(&key).map(|v| note::table_note(&key, v.as_ref()))
            } else if name == note::before_key(&key) {
                self.before.get(&key).map(|v| note::table_note(&key, Some(v)))
            } else {
                self.quarantined.get(&key).and_then(|q| serde_json::to_vec(q).ok())
            };
            self.ready.insert(name, value);
        }
    }

    /// The stream has come to where the server's catalog was read: what it says holds here, for tables that no statement
    /// was about since.
    fn arrive(&mut self) -> bool {
        let Some(catalog) = self.catalog.take() else { return false };
        self.suspects.clear();
        for (database, charset) in catalog.databases {
            self.set_database(database, Some(charset));
        }
        for (key, found) in catalog.tables {
            self.learn_computed(&key, &found.lineage);
            if let Some(Some(known)) = self.tables.get_mut(&key)
                && known.versioned != found.versioned
            {
                known.versioned = found.versioned;
                self.stage(&key);
            }
            let known = self.tables.get(&key);
            match known {
                Some(Some(known)) if known.says_as(&found) => {
                    if !known.proved {
                        let found = self.traced(&key, found);
                        self.set(key, Some(found));
                    }
                }
                // the rows' own table maps will say it, and it will be told as a change
                Some(Some(_)) if catalog.names_in_binlog => {}
                Some(Some(known)) if known.proved && self.captures(&key) && !known.reads_as(&found) => {
                    let reason = "the server's definition is another than the one that its statements in the binlog made: \
                                  the table was changed by a statement that is not in the binlog";
                    if !self.quarantined.contains_key(&key) {
                        self.quarantine(key, reason.into(), &catalog.after, catalog.seconds);
                    }
                }
                _ if self.quarantined.contains_key(&key) => {}
                _ => {
                    let found = self.traced(&key, found);
                    self.set(key, Some(found));
                }
            }
        }
        self.settle();
        !self.ready.is_empty()
    }

    /// Whether anything is to be noted with the next position.
    pub(crate) fn has_notes(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What is to be noted with the next position.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.ready).into_iter().map(|(key, value)| Note { key, value }).collect()
    }
}
