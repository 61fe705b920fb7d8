//! The clauses of ALTER TABLE: those that the history needs are taken, those that are known to be of no concern are left
//! out, and one that is not known makes the whole statement unclear.

use super::charsets::charset_name;
use super::columns::{column, definition, elements, primary_key};
use super::lex::Modes;
use super::reader::{Reader, Unclear, unclear};
use super::statement::{Clause, charset_option, if_exists, named};

/// Each column of a table dropped, and as many added.
const MOST_CLAUSES: usize = 2 * 4096;

pub(super) fn clauses(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Vec<Clause>, Unclear> {
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
            Next::Rows(clause) => {
                all.push(clause);
                return Ok(all);
            }
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
    /// As `Last`, of those that take or bring rows.
    Rows(Clause),
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

/// `[COLUMN] name SET DEFAULT ...`, if it is that and names anything.
fn default(mut at: Reader<'_, '_>) -> Result<Option<Clause>, Unclear> {
    at.eat("column");
    if_exists(&mut at);
    let Ok(column) = at.name() else { return Ok(None) };
    if !at.eat_all(&["set", "default"]) {
        return Ok(None);
    }
    let mut from = Vec::new();
    while !at.is_end() && !at.is_mark(b',') {
        match at.is_mark(b'(') {
            true => from.extend(at.brackets()?.names()),
            false => from.extend(at.bump_name()),
        }
    }
    Ok((!from.is_empty()).then_some(Clause::Default(column, from)))
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
        "convert" if at.is("partition") => {
            return rows_moved(at, "convert_partition");
        }
        "convert" if at.eat("table") => {
            return Ok(Next::Rows(Clause::Rows("convert_table", Some(named(at)?))));
        }
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
        "exchange" => return rows_moved(at, "exchange_partition"),
        "truncate" => return Ok(Next::Rows(Clause::Rows("truncate_partition", None))),
        "discard" => return Ok(Next::Rows(Clause::Rows("discard_tablespace", None))),
        "import" => return Ok(Next::Rows(Clause::Rows("import_tablespace", None))),
        "partition" | "remove" | "reorganize" | "coalesce" | "analyze" | "check" | "optimize" | "rebuild"
        | "repair" | "secondary_load" | "secondary_unload" => {
            return Ok(Next::Last);
        }
        "alter" => {
            let default = default(*at)?;
            // visibility and indexes, too
            skip_clause(at)?;
            default
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

/// EXCHANGE PARTITION p WITH TABLE t, or CONVERT PARTITION p TO TABLE t.
fn rows_moved(at: &mut Reader<'_, '_>, kind: &'static str) -> Result<Next, Unclear> {
    at.eat("partition");
    at.name()?;
    let _ = at.eat("with") || at.eat("to");
    if !at.eat("table") {
        return unclear("a partition is moved to no table");
    }
    Ok(Next::Rows(Clause::Rows(kind, Some(named(at)?))))
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
        return Ok(Next::Rows(Clause::Rows("drop_partition", None)));
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
