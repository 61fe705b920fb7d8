//! MariaDB's tables that are read otherwise than tables are: system-versioned ones, whose rows are versions, and sequences, which
//! are no tables though the binlog has rows of them.

use super::history::{Answer, History};
use super::lex::{Lexer, Modes, Token};
use super::note::Key;
use super::reader::Reader;
use super::sqltype::SqlType;
use super::statement::{Named, named};
use super::version::{ColumnDef, Version};
use crate::mysql::binlog::{RawColumn, TableMap, types};

/// Why a system-versioned table is not read, and what to do.
pub(crate) const VERSIONED: &str = "it is system-versioned (mysql.system_versioned), and its rows in the binlog are versions, of now and of \
                                    before, which are not read. ALTER TABLE ... DROP SYSTEM VERSIONING, then give up what was kept and \
                                    take a snapshot; or leave the table out of the source";

/// A sequence's columns, in order.
const SEQUENCE: [(&str, &str); 8] = [
    ("next_not_cached_value", "bigint"),
    ("minimum_value", "bigint"),
    ("maximum_value", "bigint"),
    ("start_value", "bigint"),
    ("increment", "bigint"),
    ("cache_size", "bigint unsigned"),
    ("cycle_option", "tinyint unsigned"),
    ("cycle_count", "bigint"),
];

/// Whether columns of these names are a sequence's.
fn names_sequence<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> bool {
    names.len() == SEQUENCE.len() && names.zip(SEQUENCE).all(|(name, (column, _))| name == column)
}

impl Version {
    /// Whether it is a sequence.
    pub(super) fn is_sequence(&self) -> bool {
        names_sequence(self.columns.iter().map(|c| c.name.as_str()))
    }
}

/// Whether rows under this table map, which names its columns, are of a sequence.
pub(crate) fn is_sequence(map: &TableMap) -> bool {
    names_sequence(map.columns.iter().map(|c| c.name.as_str()))
}

/// Whether a table of this map may be system-versioned: there are two columns for the span of a row's version, and one of them
/// is in the primary key if there is one.
pub(super) fn may_be_versioned(map: &TableMap) -> bool {
    let bound = |c: &RawColumn| {
        !c.nullable
            && (c.code == types::TIMESTAMP && c.meta[0] == 6 || c.code == types::LONGLONG && c.unsigned)
    };
    let bounds = map.columns.iter().filter(|c| bound(c)).count();
    let in_key = |i: &u32| map.columns.get(*i as usize).is_some_and(bound);
    bounds >= 2 && (map.key.is_empty() || map.key.iter().any(in_key))
}

/// What CREATE or ALTER TABLE says about versions of rows; `None` = nothing.
pub(super) fn versioning(text: &str, modes: Modes) -> Option<bool> {
    let tokens: Vec<Token<'_>> = Lexer::new(text, modes).collect();
    let mut at = Reader::new(&tokens);
    let mut said = None;
    while !at.is_end() {
        if at.eat_all(&["drop", "system", "versioning"]) {
            said = Some(false);
        } else if at.eat_all(&["with", "system", "versioning"])
            || at.eat_all(&["add", "system", "versioning"])
        {
            said = Some(true);
        } else {
            at.bump();
        }
    }
    said
}

impl History {
    /// Whether the rows under a table map are versions, and why they are not read then.
    pub(super) fn is_versioned(&self, key: &Key, answer: Option<&Answer>, map: &TableMap) -> Option<String> {
        let known = self.tables.get(key).and_then(Option::as_ref);
        let found = answer.map(|a| a.found.as_ref());
        match (known, found) {
            (Some(Version { versioned: true, .. }), _) | (_, Some(Ok(Version { versioned: true, .. }))) => {
                Some(VERSIONED.to_owned())
            }
            (None, Some(Err(why))) if map.full && may_be_versioned(map) => {
                Some(format!("whether the table is system-versioned cannot be said: {why}"))
            }
            _ => None,
        }
    }

    /// Carries the history on by a statement about a sequence, which is told to nobody. False if it is none.
    pub(super) fn sequence(&mut self, text: &str, database: &str, modes: Modes) -> bool {
        if !modes.mariadb {
            return false;
        }
        // a few words say it
        let tokens: Vec<Token<'_>> = Lexer::new(text, modes).take(16).collect();
        let mut at = Reader::new(&tokens);
        let create = at.eat("create");
        if !create && !at.eat("drop") {
            return false;
        }
        at.eat_all(&["or", "replace"]);
        if !at.eat("sequence") {
            return false;
        }
        super::statement::if_exists(&mut at);
        let Ok(Named { database: of, table }) = named(&mut at) else { return true };
        let key = self.key(of.as_deref().unwrap_or(database), &table);
        if !self.watches(&key.0) {
            return true;
        }
        self.spoil(&key);
        if create {
            let column = |(name, native): (&str, &str)| {
                let ty = SqlType::of_catalog(native, modes).unwrap_or_default();
                ColumnDef { name: name.to_owned(), ty, nullable: false, charset: None }
            };
            self.set(key, Some(Version::new(SEQUENCE.map(column).to_vec(), Vec::new(), None)));
        } else {
            self.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_statements_say_of_versions() {
        let of = |text| versioning(text, Modes { mariadb: true, ..Modes::default() });
        assert_eq!(of("CREATE TABLE t (a INT) WITH SYSTEM VERSIONING"), Some(true));
        assert_eq!(of("CREATE TABLE t (a INT WITH SYSTEM VERSIONING, b INT)"), Some(true));
        assert_eq!(of("CREATE TABLE t (a INT WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING"), Some(true));
        assert_eq!(of("ALTER TABLE t ADD SYSTEM VERSIONING"), Some(true));
        assert_eq!(of("ALTER TABLE t DROP COLUMN a, DROP SYSTEM VERSIONING"), Some(false));
        assert_eq!(of("CREATE TABLE t (a INT COMMENT 'with system versioning', `system` INT)"), None);
        assert_eq!(of("CREATE TABLE t (a INT WITHOUT SYSTEM VERSIONING)"), None);
    }
}
