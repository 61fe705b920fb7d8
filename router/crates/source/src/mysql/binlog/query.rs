//! Query events: what begins and ends transactions, DDL, and statements that should have been rows.

use crate::mysql::cursor::{Cursor, Garbled};

/// A statement in the binlog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) thread: u32,
    /// What of its session decides about the statement's meaning.
    pub(crate) status: &'a [u8],
    /// The default database.
    pub(crate) database: &'a [u8],
    pub(crate) text: &'a [u8],
}

/// What a statement means for the transaction that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A transaction begins (also one of XA).
    Begin,
    /// It ends and counts.
    Commit,
    /// It ends and does not count.
    Rollback,
    /// It changes rows as a statement: its rows are not in the binlog.
    Rows,
    /// Nothing for rows: DDL, savepoints, accounts.
    Other,
}

impl<'a> Query<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        let thread = at.u32()?;
        let _seconds = at.u32()?;
        let database = at.u8()?;
        let _error = at.u16()?;
        let status = at.u16()?;
        let status = at.take(usize::from(status))?;
        let database = at.take(usize::from(database))?;
        at.take(1)?;
        Ok(Query { thread, status, database, text: at.rest() })
    }

    /// LOAD DATA as a statement: a query event with a few more fields before its variables.
    pub(crate) fn parse_load(body: &'a [u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        let thread = at.u32()?;
        let _seconds = at.u32()?;
        let database = at.u8()?;
        let _error = at.u16()?;
        let status = at.u16()?;
        // the file's number, where its name stands in the text, what becomes of duplicates
        at.take(4 + 4 + 4 + 1)?;
        let status = at.take(usize::from(status))?;
        let database = at.take(usize::from(database))?;
        at.take(1)?;
        Ok(Query { thread, status, database, text: at.rest() })
    }

    pub(crate) fn meaning(&self) -> Meaning {
        match self.text {
            b"BEGIN" => return Meaning::Begin,
            b"COMMIT" => return Meaning::Commit,
            b"ROLLBACK" => return Meaning::Rollback,
            _ => {}
        }
        judge(&mut self.words())
    }

    /// What the statement does with a savepoint; its name is as servers write it.
    pub(crate) fn savepoint(&self) -> Option<Savepoint<'a>> {
        let mut words = self.words();
        let mut next = || words.next().unwrap_or_default().to_ascii_uppercase();
        match next().as_slice() {
            b"SAVEPOINT" => return Some(Savepoint::Set(words.text.trim_ascii())),
            b"ROLLBACK" => {}
            _ => return None,
        }
        let mut word = next();
        if word == b"WORK" {
            word = next();
        }
        if word != b"TO" {
            return None;
        }
        let mut behind = words.clone();
        if behind.next().is_some_and(|w| w.eq_ignore_ascii_case(b"SAVEPOINT")) && !behind.text.is_empty() {
            words = behind;
        }
        Some(Savepoint::BackTo(words.text.trim_ascii()))
    }

    /// The statement's first word, for people: it holds no value.
    pub(crate) fn verb(&self) -> String {
        String::from_utf8_lossy(self.words().next().unwrap_or_default()).to_ascii_uppercase()
    }

    /// What its status variables say. What comes behind one that is not known cannot be read, and is not needed.
    pub(crate) fn variables(&self) -> Variables<'a> {
        let mut variables = Variables::default();
        let _ = variables.read(&mut Cursor::new(self.status));
        variables
    }

    fn words(&self) -> Words<'a> {
        Words { text: self.text, sql_mode: self.variables().sql_mode.unwrap_or(0), hint: false, depth: 0 }
    }
}

/// A statement about a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Savepoint<'a> {
    Set(&'a [u8]),
    /// What was written since is taken back.
    BackTo(&'a [u8]),
}

/// The databases whose tables a statement used, views, triggers and routines looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Used<'a> {
    /// The server does not say: MariaDB never does.
    #[default]
    Unsaid,
    /// It says that it cannot tell: foreign keys may lead further, or there are more than it lists.
    Any,
    /// These and no others.
    These(Vec<&'a [u8]>),
}

/// What of its session stands beside a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables<'a> {
    pub(crate) sql_mode: Option<u64>,
    /// The client's collation and the server's, by number.
    pub(crate) client: Option<u16>,
    pub(crate) server: Option<u16>,
    pub(crate) explicit_timestamps: Option<bool>,
    pub(crate) used: Used<'a>,
}

impl<'a> Variables<'a> {
    fn read(&mut self, at: &mut Cursor<'a>) -> Result<(), Garbled> {
        while !at.is_empty() {
            match at.u8()? {
                0 => drop(at.take(4)?),
                1 => self.sql_mode = Some(at.u64()?),
                3 => drop(at.take(4)?),
                4 => {
                    self.client = Some(at.u16()?);
                    let _connection = at.u16()?;
                    self.server = Some(at.u16()?);
                }
                5 => {
                    let n = at.u8()?;
                    at.take(n.into())?;
                }
                // the catalog's name, and in an old form with a zero behind it
                code @ (2 | 6) => {
                    let n = usize::from(at.u8()?) + usize::from(code == 2);
                    at.take(n)?;
                }
                7 | 8 => drop(at.take(2)?),
                9 => drop(at.take(8)?),
                10 => drop(at.take(4)?),
                11 => {
                    for _ in ["user", "host"] {
                        let n = at.u8()?;
                        at.take(n.into())?;
                    }
                }
                12 => {
                    let n = at.u8()?;
                    // more than are listed
                    if n == 254 {
                        self.used = Used::Any;
                        continue;
                    }
                    let names = (0..n).map(|_| at.zero_ended()).collect::<Result<Vec<_>, _>>()?;
                    self.used = if names.contains(&&b""[..]) { Used::Any } else { Used::These(names) };
                }
                13 => drop(at.take(3)?),
                16 => self.explicit_timestamps = Some(at.u8()? != 0),
                17 => drop(at.take(8)?),
                18 => drop(at.take(2)?),
                19 | 20 => drop(at.u8()?),
                _ => break,
            }
        }
        Ok(())
    }
}

fn judge(words: &mut Words<'_>) -> Meaning {
    let mut next = || words.next().unwrap_or_default().to_ascii_uppercase();
    match next().as_slice() {
        b"XA" if next() == b"START" => Meaning::Begin,
        b"INSERT" | b"UPDATE" | b"DELETE" | b"REPLACE" | b"LOAD" | b"WITH" | b"CALL" => Meaning::Rows,
        // a function that writes
        b"SELECT" | b"DO" | b"VALUES" | b"TABLE" => Meaning::Rows,
        // MariaDB runs what it is to explain
        b"ANALYZE" => match next().as_slice() {
            b"TABLE" | b"LOCAL" | b"NO_WRITE_TO_BINLOG" => Meaning::Other,
            _ => Meaning::Rows,
        },
        b"SET" => match next().as_slice() {
            b"PASSWORD" | b"DEFAULT" | b"ROLE" | b"RESOURCE" => Meaning::Other,
            b"STATEMENT" if words.skip_to_for() => judge(words),
            _ => Meaning::Rows,
        },
        b"CREATE" => {
            let mut kind = next();
            if kind == b"OR" {
                next();
                kind = next();
            }
            if kind == b"TABLE" && words.fill_a_table() { Meaning::Rows } else { Meaning::Other }
        }
        _ => Meaning::Other,
    }
}

/// The words of a statement: no comments, no quoted names and texts, no marks. What stands in `/*! ... */` is code: what the
/// server has not run of it, it writes as a plain comment.
#[derive(Clone, Debug)]
struct Words<'a> {
    text: &'a [u8],
    sql_mode: u64,
    /// Inside `/*! ... */`.
    hint: bool,
    /// Brackets that are open.
    depth: u32,
}

impl Words<'_> {
    /// Goes behind the FOR of SET STATEMENT ... FOR; false if there is none.
    fn skip_to_for(&mut self) -> bool {
        while let Some(word) = self.next() {
            if word.eq_ignore_ascii_case(b"FOR") && self.depth == 0 {
                return true;
            }
        }
        false
    }

    /// Behind CREATE TABLE: whether what follows also gives it rows. Where these are in the binlog, the server has put the
    /// columns in the place of the query.
    fn fill_a_table(&mut self) -> bool {
        while let Some(word) = self.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"SELECT" | b"TABLE" => return true,
                // else of a partition
                b"VALUES" => {
                    let behind = self.next().unwrap_or_default().to_ascii_uppercase();
                    if !matches!(behind.as_slice(), b"LESS" | b"IN") {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Goes behind what `wanted` ends, so many bytes on at least.
    fn skip_past(&mut self, from: usize, wanted: &[u8]) {
        let rest = self.text.get(from..).unwrap_or_default();
        let at = rest.windows(wanted.len()).position(|w| w == wanted);
        self.text = at.map_or(&[][..], |at| &rest[at + wanted.len()..]);
    }

    fn skip_quoted(&mut self, quote: u8) {
        let ansi = self.sql_mode & 4 != 0;
        let escapes = quote != b'`' && self.sql_mode & 1 << 20 == 0 && !(quote == b'"' && ansi);
        let mut at = 1;
        while let Some(&b) = self.text.get(at) {
            at += 1;
            match b {
                b'\\' if escapes => at += 1,
                // one that is doubled begins the rest anew
                _ if b == quote => break,
                _ => {}
            }
        }
        self.text = self.text.get(at..).unwrap_or_default();
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || *b >= 0x80;
            match self.text {
                [] => return None,
                [b'/', b'*', b'!', rest @ ..] | [b'/', b'*', b'M', b'!', rest @ ..] => {
                    self.hint = true;
                    let digits = rest.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
                    self.text = &rest[if digits >= 5 { digits } else { 0 }..];
                }
                [b'*', b'/', rest @ ..] if self.hint => (self.text, self.hint) = (rest, false),
                [b'/', b'*', ..] => self.skip_past(2, b"*/"),
                [b'#', ..] | [b'-', b'-', b' ' | b'\t' | b'\r' | b'\n', ..] | [b'-', b'-'] => {
                    self.skip_past(1, b"\n");
                }
                [quote @ (b'`' | b'\'' | b'"'), ..] => self.skip_quoted(*quote),
                [b, ..] if is_word(b) => {
                    let n = self.text.iter().position(|b| !is_word(b)).unwrap_or(self.text.len());
                    let (word, rest) = self.text.split_at(n);
                    self.text = rest;
                    return Some(word);
                }
                [mark, rest @ ..] => {
                    match mark {
                        b'(' => self.depth += 1,
                        b')' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    self.text = rest;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Meaning {
        Query { thread: 1, status: b"", database: b"d", text: text.as_bytes() }.meaning()
    }

    #[test]
    fn statements_are_told_apart() {
        assert_eq!(meaning("BEGIN"), Meaning::Begin);
        assert_eq!(meaning("XA START X'31',X'',1"), Meaning::Begin);
        assert_eq!(meaning("XA END X'31',X'',1"), Meaning::Other);
        assert_eq!(meaning("COMMIT"), Meaning::Commit);
        assert_eq!(meaning("ROLLBACK"), Meaning::Rollback);
        assert_eq!(meaning("ROLLBACK TO `a`"), Meaning::Other);
        assert_eq!(meaning("SAVEPOINT `a`"), Meaning::Other);
        assert_eq!(meaning("CREATE TABLE t (id INT)"), Meaning::Other);
        for text in [
            "insert into t values (1)",
            " /* app */ UPDATE t SET a=1",
            "# x\nreplace t",
            "-- y\nDELETE FROM t",
            "SELECT `d`.`f`(1)",
            "(SELECT f())",
            "/*!50000 INSERT INTO t VALUES (1) */",
            "/*M!100100 insert */ into t values (1)",
            "ANALYZE UPDATE t SET a=1",
            "ANALYZE FORMAT=JSON DELETE FROM t",
            "SET @a = f()",
            "SET STATEMENT max_statement_time = (1 + 2) FOR DELETE FROM t",
            "CREATE TABLE u (id INT PRIMARY KEY) SELECT id FROM t",
            "create or replace table u as (select 1)",
            "CREATE TABLE IF NOT EXISTS `select` TABLE t",
            "CREATE TABLE u (c TEXT DEFAULT 'it\\'s') AS VALUES (1)",
        ] {
            assert_eq!(meaning(text), Meaning::Rows, "{text}");
        }
        for text in [
            "SET DEFAULT ROLE r TO u",
            "SET PASSWORD FOR `u`@`%`='*1'",
            "SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD x INT",
            "ANALYZE TABLE t",
            "ANALYZE LOCAL TABLE t",
            "CREATE TABLE u (`id` INT, s TEXT COMMENT 'x SELECT') START TRANSACTION",
            "CREATE TABLE u (id INT) /* SELECT */ PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (5))",
            "CREATE TABLE u (id INT) PARTITION BY LIST (id) (PARTITION p VALUES IN (5))",
            "CREATE TABLE u LIKE t",
            "CREATE TEMPORARY TABLE u SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1 */",
        ] {
            assert_eq!(meaning(text), Meaning::Other, "{text}");
        }
        for odd in ["", "/*", "/**/", "/* a", "#", "-- "] {
            assert_eq!(meaning(odd), Meaning::Other, "{odd}");
        }
    }
    #[test]
    fn savepoints_are_named() {
        let savepoint = |text: &'static str| {
            Query { thread: 1, status: b"", database: b"d", text: text.as_bytes() }.savepoint()
        };
        assert_eq!(savepoint("SAVEPOINT `a b`"), Some(Savepoint::Set(b"`a b`")));
        assert_eq!(savepoint("ROLLBACK TO `a b`"), Some(Savepoint::BackTo(b"`a b`")));
        assert_eq!(savepoint("rollback work to savepoint `a`"), Some(Savepoint::BackTo(b"`a`")));
        for other in ["ROLLBACK", "RELEASE SAVEPOINT `a`", "CREATE TABLE savepoint (a INT)", "COMMIT"] {
            assert_eq!(savepoint(other), None, "{other}");
        }
    }

    #[test]
    fn the_databases_of_a_statements_tables() {
        let used = |list: &[u8]| {
            let status = [&[0, 1, 2, 3, 4, 1, 4, 0, 0, 0, 0, 0, 0, 0][..], list, &[13, 1, 2, 3]].concat();
            let query = Query { thread: 1, status: &status, database: b"d", text: b"" };
            let variables = query.variables();
            assert_eq!(variables.sql_mode, Some(4));
            match variables.used {
                Used::These(names) => {
                    names.iter().map(|n| String::from_utf8_lossy(n)).collect::<Vec<_>>().join(",")
                }
                other => format!("{other:?}"),
            }
        };
        assert_eq!(used(b"\x0c\x02oth\0shp\0"), "oth,shp");
        assert_eq!(used(b""), "Unsaid");
        assert_eq!(used(b"\x0c\xfe"), "Any", "more than are listed");
        assert_eq!(used(b"\x0c\x01\0"), "Any", "foreign keys");
        assert_eq!(used(b"\x0c\x05a\0"), "Unsaid", "cut short");
    }
}
