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
        let mut words = words(self.text);
        let first = words.next().unwrap_or_default().to_ascii_uppercase();
        match first.as_slice() {
            b"XA" if words.next().is_some_and(|w| w.eq_ignore_ascii_case(b"START")) => Meaning::Begin,
            b"INSERT" | b"UPDATE" | b"DELETE" | b"REPLACE" | b"LOAD" | b"WITH" | b"CALL" => Meaning::Rows,
            // a function that writes
            b"SELECT" | b"DO" | b"SET" | b"VALUES" | b"TABLE" => Meaning::Rows,
            _ => Meaning::Other,
        }
    }

    /// The statement's first word, for people: it holds no value.
    pub(crate) fn verb(&self) -> String {
        String::from_utf8_lossy(words(self.text).next().unwrap_or_default()).to_ascii_uppercase()
    }
}

/// The words of a statement's head, comments left out.
fn words(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            text = text.trim_ascii_start();
            if text.starts_with(b"/*") {
                let end = text.windows(2).skip(2).position(|w| w == b"*/").map_or(text.len(), |p| p + 4);
                text = &text[end..];
            } else if text.starts_with(b"-- ") || text.starts_with(b"#") {
                let end = text.iter().position(|&b| b == b'\n').unwrap_or(text.len());
                text = &text[end..];
            } else {
                break;
            }
        }
        let end = text.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        text = rest;
        (!word.is_empty()).then_some(word)
    })
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
        ] {
            assert_eq!(meaning(text), Meaning::Rows, "{text}");
        }
        for odd in ["", "/*", "/**/", "/* a", "#", "-- "] {
            assert_eq!(meaning(odd), Meaning::Other, "{odd}");
        }
    }
}
