//! What a statement does to tables: parsed just as far as the history needs it.
//!
//! A parser of our own, and not one of a library: what those refuse (comments that count, partitions, INVISIBLE, VECTOR, new
//! options of every release) is refused as a whole statement, while the columns beside it were plain; and a table map
//! checks every word that is said here before a row is read by it. A library's parser is the oracle of the tests.

use super::charsets::{charset_name, of_collation};
use super::clauses::clauses;
use super::columns::{Defined, Elements, elements};
use super::lex::{Lexer, Modes, Token};
use super::reader::{Reader, Unclear, unclear};

/// Larger statements are not read: no definition of a table is.
const LARGEST: usize = 16 << 20;

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// `None` = the default database.
    pub(crate) database: Option<String>,
    pub(crate) table: String,
}

/// A statement that concerns tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    Create {
        table: Named,
        /// IF NOT EXISTS.
        unless_there: bool,
        body: Result<Body, Unclear>,
    },
    Alter {
        table: Named,
        clauses: Result<Vec<Clause>, Unclear>,
    },
    Rename(Vec<(Named, Named)>),
    Drop(Vec<Named>),
    Truncate(Named),
    /// CREATE INDEX and the like: the table's columns stay as they are.
    Untouched(Named),
    /// A database's default character set; `None` = the server's.
    Database {
        name: Option<String>,
        charset: Option<String>,
        /// CREATE, else ALTER.
        create: bool,
    },
    DropDatabase(String),
    /// It may have changed any of the tables with one of these names.
    Unclear {
        names: Vec<String>,
        why: Unclear,
    },
}

/// What CREATE TABLE makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Like(Named),
    Columns { elements: Elements, charset: Option<String> },
}

/// A part of ALTER TABLE that the history needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Add(Vec<Defined>),
    /// CHANGE and MODIFY: the old name, and the column as it shall be.
    Change(String, Defined),
    Drop(String),
    RenameColumn(String, String),
    RenameTo(Named),
    /// Columns too; `None` = to the database's.
    Convert(Option<String>),
    /// The table's default only.
    Charset(String),
    AddKey(Vec<String>),
    DropKey,
    /// SET DEFAULT of a column: the words of the expression.
    Default(String, Vec<String>),
    /// Rows come or go without an event for each: the kind of the change, and the other table that it concerns.
    Rows(&'static str, Option<Named>),
}

/// Reads a statement; `None` if no table can have been changed by it.
pub(crate) fn parse(text: &str, modes: Modes) -> Option<Statement> {
    if text.len() > LARGEST {
        return None;
    }
    let mut lexer = Lexer::new(text, modes);
    let Some(Token::Word(mut verb)) = lexer.next() else { return None };
    // MariaDB: SET STATEMENT variables FOR statement
    if verb.eq_ignore_ascii_case("set") {
        verb = behind_for(&mut lexer)?;
    }
    let verb = verb.to_ascii_lowercase();
    if !matches!(verb.as_str(), "create" | "alter" | "drop" | "rename" | "truncate") {
        return None;
    }
    let tokens: Vec<Token<'_>> = lexer.collect();
    let at = &mut Reader::new(&tokens);
    let all = *at;
    let read = match verb.as_str() {
        "create" => create(at, modes),
        "alter" => alter(at, modes),
        "drop" => drop_(at),
        "rename" => rename(at),
        _ => truncate(at),
    };
    read.unwrap_or_else(|why| {
        Some(Statement::Unclear { names: all.names_left().map(str::to_owned).collect(), why })
    })
}

/// The first word behind STATEMENT ... FOR.
fn behind_for<'a>(lexer: &mut Lexer<'a>) -> Option<&'a str> {
    if !matches!(lexer.next(), Some(Token::Word(w)) if w.eq_ignore_ascii_case("statement")) {
        return None;
    }
    let mut depth = 0u32;
    loop {
        match lexer.next()? {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => depth = depth.saturating_sub(1),
            Token::Word(w) if depth == 0 && w.eq_ignore_ascii_case("for") => break,
            _ => {}
        }
    }
    match lexer.next() {
        Some(Token::Word(verb)) => Some(verb),
        _ => None,
    }
}

type Read = Result<Option<Statement>, Unclear>;

pub(super) fn named(at: &mut Reader<'_, '_>) -> Result<Named, Unclear> {
    let (database, table) = at.qualified()?;
    Ok(Named { database, table })
}

/// IF [NOT] EXISTS.
pub(super) fn if_exists(at: &mut Reader<'_, '_>) -> bool {
    at.eat_all(&["if", "exists"]) || at.eat_all(&["if", "not", "exists"])
}

fn create(at: &mut Reader<'_, '_>, modes: Modes) -> Read {
    at.eat_all(&["or", "replace"]);
    if at.eat("temporary") {
        return Ok(None);
    }
    if at.eat("database") || at.eat("schema") {
        if_exists(at);
        let name = Some(at.name()?);
        return Ok(Some(Statement::Database { name, charset: table_charset(at)?, create: true }));
    }
    if at.is_any(&["unique", "fulltext", "spatial", "index", "online", "offline"]) {
        while !at.is_end() && !at.eat("on") {
            at.bump();
        }
        return Ok(Some(Statement::Untouched(named(at)?)));
    }
    if !at.eat("table") {
        return Ok(None);
    }
    let unless_there = if_exists(at);
    let table = named(at)?;
    let body = create_body(at, modes);
    Ok(Some(Statement::Create { table, unless_there, body }))
}

fn create_body(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Body, Unclear> {
    if at.eat("like") {
        return Ok(Body::Like(named(at)?));
    }
    if !at.is_mark(b'(') {
        return unclear("CREATE TABLE without columns");
    }
    let mut inside = at.brackets()?;
    if inside.eat("like") {
        return Ok(Body::Like(named(&mut inside)?));
    }
    if inside.is_any(&["select", "with"]) {
        return unclear("CREATE TABLE ... SELECT without columns");
    }
    let elements = elements(inside, modes)?;
    let charset = table_charset(at)?;
    // with row events the server writes what the SELECT gave as columns, and START TRANSACTION in its place
    while let Some(token) = at.bump() {
        if matches!(token, Token::Word(w) if w.eq_ignore_ascii_case("select")) {
            return unclear("CREATE TABLE ... SELECT");
        }
    }
    if elements.columns.is_empty() {
        return unclear("CREATE TABLE without columns");
    }
    Ok(Body::Columns { elements, charset })
}

/// The default character set among the options of a table or a database. Stops at PARTITION, SELECT or the end.
fn table_charset(at: &mut Reader<'_, '_>) -> Result<Option<String>, Unclear> {
    let (mut charset, mut collation) = (None, None);
    loop {
        match at.peek() {
            None | Some(Token::Mark(b',')) if at.is_end() => break,
            Some(Token::Mark(b'(')) => at.skip_brackets()?,
            Some(Token::Word(_)) if at.is_any(&["partition", "select"]) => break,
            Some(Token::Word(_)) => {
                if let Some((set, collated)) = charset_option(at)? {
                    (charset, collation) = (set.or(charset), collated.or(collation));
                } else if at.is_any(&["comment", "connection", "password"]) {
                    at.bump();
                    at.eat_mark(b'=');
                    at.bump();
                } else {
                    at.bump();
                }
            }
            _ => {
                at.bump();
            }
        }
    }
    Ok(charset.or(collation))
}

/// The character set that an option names, and the one that its collation is of.
pub(super) type CharsetOption = (Option<String>, Option<String>);

/// Reads `[DEFAULT] CHARACTER SET [=] x` or `[DEFAULT] COLLATE [=] x` if it is at hand.
pub(super) fn charset_option(at: &mut Reader<'_, '_>) -> Result<Option<CharsetOption>, Unclear> {
    let before = *at;
    at.eat("default");
    if at.eat("charset") || at.eat_all(&["character", "set"]) || at.eat_all(&["char", "set"]) {
        at.eat_mark(b'=');
        let name = at.charset_word()?;
        // CHARACTER SET DEFAULT: the database's
        return Ok(Some((Some(charset_name(&name)).filter(|n| n != "default"), None)));
    }
    if at.eat("collate") {
        at.eat_mark(b'=');
        return Ok(Some((None, of_collation(&at.charset_word()?))));
    }
    *at = before;
    Ok(None)
}

fn alter(at: &mut Reader<'_, '_>, modes: Modes) -> Read {
    let _ = at.eat("online") || at.eat("offline");
    at.eat("ignore");
    if at.eat("database") || at.eat("schema") {
        let option =
            at.is_any(&["default", "character", "charset", "collate", "read", "encryption", "upgrade"]);
        let name = if option || at.is_end() { None } else { Some(at.name()?) };
        let charset = table_charset(at)?;
        return Ok(charset.map(|c| Statement::Database { name, charset: Some(c), create: false }));
    }
    if !at.eat("table") {
        return Ok(None);
    }
    if_exists(at);
    let table = named(at)?;
    Ok(Some(Statement::Alter { table, clauses: clauses(at, modes) }))
}

fn drop_(at: &mut Reader<'_, '_>) -> Read {
    if at.eat("temporary") {
        return Ok(None);
    }
    if at.eat("database") || at.eat("schema") {
        if_exists(at);
        return Ok(Some(Statement::DropDatabase(at.name()?)));
    }
    if at.eat("index") {
        while !at.is_end() && !at.eat("on") {
            at.bump();
        }
        return Ok(Some(Statement::Untouched(named(at)?)));
    }
    if !(at.eat("table") || at.eat("tables")) {
        return Ok(None);
    }
    if_exists(at);
    let mut tables = vec![named(at)?];
    while at.eat_mark(b',') {
        tables.push(named(at)?);
    }
    Ok(Some(Statement::Drop(tables)))
}

fn rename(at: &mut Reader<'_, '_>) -> Read {
    if !(at.eat("table") || at.eat("tables")) {
        return Ok(None);
    }
    if_exists(at);
    let mut pairs = Vec::new();
    loop {
        let from = named(at)?;
        // MariaDB
        if at.eat("wait") {
            at.bump();
        }
        at.eat("nowait");
        if !at.eat("to") {
            return unclear("RENAME TABLE without TO");
        }
        pairs.push((from, named(at)?));
        if !at.eat_mark(b',') {
            return Ok(Some(Statement::Rename(pairs)));
        }
    }
}

fn truncate(at: &mut Reader<'_, '_>) -> Read {
    at.eat("table");
    Ok(Some(Statement::Truncate(named(at)?)))
}
