//! What a statement does to tables: parsed just as far as the history needs it.
//!
//! A parser of our own, and not one of a library: what those refuse (comments that count, partitions, INVISIBLE, VECTOR, new
//! options of every release) is refused as a whole statement, while the columns beside it were plain; and a table map
//! checks every word that is said here before a row is read by it. A library's parser is the oracle of the tests.

use super::charsets::{charset_name, of_collation};
use super::columns::{Defined, Elements, column, definition, elements, primary_key};
use super::lex::{Lexer, Modes, Token};
use super::reader::{Reader, Unclear, unclear};

/// Larger statements are not read: no definition of a table is.
const LARGEST: usize = 16 << 20;

/// Each column of a table dropped, and as many added.
const MOST_CLAUSES: usize = 2 * 4096;

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
}

/// Reads a statement; `None` if no table can have been changed by it.
pub(crate) fn parse(text: &str, modes: Modes) -> Option<Statement> {
    if text.len() > LARGEST {
        return None;
    }
    let mut lexer = Lexer::new(text, modes);
    let Some(Token::Word(verb)) = lexer.next() else { return None };
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

type Read = Result<Option<Statement>, Unclear>;

fn named(at: &mut Reader<'_, '_>) -> Result<Named, Unclear> {
    let (database, table) = at.qualified()?;
    Ok(Named { database, table })
}

/// IF [NOT] EXISTS.
fn if_exists(at: &mut Reader<'_, '_>) -> bool {
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
type CharsetOption = (Option<String>, Option<String>);

/// Reads `[DEFAULT] CHARACTER SET [=] x` or `[DEFAULT] COLLATE [=] x` if it is at hand.
fn charset_option(at: &mut Reader<'_, '_>) -> Result<Option<CharsetOption>, Unclear> {
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

fn clauses(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Vec<Clause>, Unclear> {
    let mut all = Vec::new();
    // MariaDB
    if at.eat("wait") {
        at.bump();
    }
    at.eat("nowait");
    while !at.is_end() {
        match clause(at, modes)? {
            Next::Taken(clause) => all.extend(clause),
            Next::Last => return Ok(all),
            Next::Listed => skip_list(at)?,
        }
        if all.len() > MOST_CLAUSES {
            return unclear("more clauses than a table has columns");
        }
        // options may follow each other without commas
        if at.eat_mark(b',') || !at.is_end() {
            continue;
        }
    }
    Ok(all)
}

/// What came of a clause.
enum Next {
    Taken(Option<Clause>),
    /// Nothing that matters can follow: partitions come last.
    Last,
    /// A list of names with commas of its own follows.
    Listed,
}

/// Goes behind the rest of a clause, to its comma.
fn skip_clause(at: &mut Reader<'_, '_>) -> Result<(), Unclear> {
    while !at.is_end() && !at.is_mark(b',') {
        if at.is_mark(b'(') {
            at.skip_brackets()?;
        } else {
            at.bump();
        }
    }
    Ok(())
}

/// Goes behind `a, b DESC, c`, to the comma before what is no such thing.
fn skip_list(at: &mut Reader<'_, '_>) -> Result<(), Unclear> {
    loop {
        at.qualified()?;
        let _ = at.eat("asc") || at.eat("desc");
        let mut ahead = *at;
        if !ahead.eat_mark(b',') || ahead.qualified().is_err() {
            return Ok(());
        }
        let _ = ahead.eat("asc") || ahead.eat("desc");
        if !(ahead.is_end() || ahead.is_mark(b',')) {
            return Ok(());
        }
        at.bump();
    }
}

fn clause(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Next, Unclear> {
    let word = at.keyword();
    let option = charset_option(at)?;
    if let Some((charset, collation)) = option {
        // both may stand, in either order
        let more = if let Some((c, k)) = charset_option(at)? { c.or(k) } else { None };
        return Ok(Next::Taken(charset.or(collation).or(more).map(Clause::Charset)));
    }
    at.bump();
    let taken = match word.as_str() {
        "add" => return add(at, modes),
        "drop" => return drop_clause(at),
        "change" | "modify" => {
            at.eat("column");
            if_exists(at);
            let old = at.name()?;
            let column =
                if word == "change" { column(at, modes)? } else { definition(old.clone(), at, modes)? };
            Some(Clause::Change(old, column))
        }
        "rename" if at.is_any(&["index", "key"]) => {
            skip_clause(at)?;
            None
        }
        "rename" if at.eat("column") => {
            if_exists(at);
            let old = at.name()?;
            if !at.eat("to") {
                return unclear("RENAME COLUMN without TO");
            }
            Some(Clause::RenameColumn(old, at.name()?))
        }
        "rename" => {
            let _ = at.eat("to") || at.eat("as") || at.eat_mark(b'=');
            Some(Clause::RenameTo(named(at)?))
        }
        "convert" if at.is("partition") => return Ok(Next::Last),
        "convert" => {
            let to = at.eat_all(&["to", "charset"]) || at.eat_all(&["to", "character", "set"]);
            if !(to || at.eat_all(&["to", "char", "set"])) {
                return unclear("CONVERT without a character set");
            }
            let charset = Some(charset_name(&at.charset_word()?)).filter(|n| n != "default");
            if at.eat("collate") {
                at.charset_word()?;
            }
            Some(Clause::Convert(charset))
        }
        "order" if at.eat("by") => return Ok(Next::Listed),
        "partition" | "remove" | "reorganize" | "coalesce" | "exchange" | "truncate" | "analyze"
        | "check" | "optimize" | "rebuild" | "repair" | "discard" | "import" | "secondary_load"
        | "secondary_unload" => {
            return Ok(Next::Last);
        }
        // defaults, visibility and indexes
        "alter" => {
            skip_clause(at)?;
            None
        }
        "enable" | "disable" if at.eat("keys") => None,
        "force" | "upgrade" => {
            at.eat("partitioning");
            None
        }
        "with" | "without" if at.eat("validation") => None,
        // table options: name [=] value
        "algorithm"
        | "lock"
        | "engine"
        | "type"
        | "auto_increment"
        | "avg_row_length"
        | "autoextend_size"
        | "checksum"
        | "table_checksum"
        | "comment"
        | "compression"
        | "connection"
        | "delay_key_write"
        | "encryption"
        | "engine_attribute"
        | "secondary_engine_attribute"
        | "secondary_engine"
        | "insert_method"
        | "key_block_size"
        | "max_rows"
        | "min_rows"
        | "pack_keys"
        | "password"
        | "row_format"
        | "stats_auto_recalc"
        | "stats_persistent"
        | "stats_sample_pages"
        | "tablespace"
        | "storage"
        | "page_checksum"
        | "transactional"
        | "page_compressed"
        | "page_compression_level"
        | "encrypted"
        | "encryption_key_id"
        | "start" => {
            at.eat_mark(b'=');
            at.bump();
            None
        }
        "data" | "index" if at.eat("directory") => {
            at.eat_mark(b'=');
            at.bump();
            None
        }
        "union" => {
            at.eat_mark(b'=');
            at.skip_brackets()?;
            None
        }
        _ => return unclear("a clause of ALTER TABLE is not known"),
    };
    Ok(Next::Taken(taken))
}

fn add(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Next, Unclear> {
    if at.is("partition") {
        return Ok(Next::Last);
    }
    let keys = ["primary", "constraint", "key", "index", "unique", "fulltext", "spatial", "foreign", "check"];
    if at.is_any(&keys) {
        let key = primary_key(at)?;
        skip_clause(at)?;
        return Ok(Next::Taken(key.map(Clause::AddKey)));
    }
    if at.is_any(&["period", "system"]) && matches!(at.keyword_at(1).as_str(), "for" | "versioning") {
        return unclear("system versioning");
    }
    at.eat("column");
    if_exists(at);
    if !at.is_mark(b'(') {
        return Ok(Next::Taken(Some(Clause::Add(vec![column(at, modes)?]))));
    }
    let elements = elements(at.brackets()?, modes)?;
    if !elements.key.is_empty() && !elements.columns.iter().any(|c| c.primary) {
        return unclear("a key among added columns");
    }
    Ok(Next::Taken(Some(Clause::Add(elements.columns))))
}

fn drop_clause(at: &mut Reader<'_, '_>) -> Result<Next, Unclear> {
    if at.eat_all(&["primary", "key"]) {
        return Ok(Next::Taken(Some(Clause::DropKey)));
    }
    if at.is("partition") {
        return Ok(Next::Last);
    }
    if at.is_any(&["period", "system"]) && matches!(at.keyword_at(1).as_str(), "for" | "versioning") {
        return unclear("system versioning");
    }
    if at.is_any(&["index", "key", "foreign", "check", "constraint"]) {
        skip_clause(at)?;
        return Ok(Next::Taken(None));
    }
    at.eat("column");
    if_exists(at);
    let name = at.name()?;
    let _ = at.eat("restrict") || at.eat("cascade");
    Ok(Next::Taken(Some(Clause::Drop(name))))
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
