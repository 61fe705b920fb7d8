//! Column definitions, as CREATE TABLE and ALTER TABLE have them.

use super::charsets::{charset_name, of_collation};
use super::lex::{Modes, Token};
use super::reader::{Reader, Unclear, unclear};
use super::sqltype::SqlType;

/// Where ALTER TABLE puts a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    After(String),
}

/// A column as a statement defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Defined {
    pub(crate) name: String,
    pub(super) ty: SqlType,
    pub(super) nullable: bool,
    /// Where the definition says one.
    pub(super) charset: Option<String>,
    /// PRIMARY KEY stands with the column.
    pub(super) primary: bool,
    pub(super) place: Option<Place>,
    /// Words of the expression that the server computes it, or its default, from: other columns are among them.
    pub(super) from: Vec<String>,
}

impl Defined {
    /// The column, and the words of what it is computed from.
    pub(super) fn computed(&self) -> (&str, &[String]) {
        (&self.name, &self.from)
    }
}

/// Reads `name type attributes`, up to a comma or the end.
pub(super) fn column(at: &mut Reader<'_, '_>, modes: Modes) -> Result<Defined, Unclear> {
    let name = at.name()?;
    definition(name, at, modes)
}

/// Reads `type attributes` of a column whose name was read.
pub(super) fn definition(name: String, at: &mut Reader<'_, '_>, modes: Modes) -> Result<Defined, Unclear> {
    let timestamp = at.is("timestamp");
    let (ty, aside) = SqlType::read(at, modes)?;
    let mut defined = Defined {
        name,
        ty,
        nullable: !aside.not_null,
        charset: aside.charset,
        primary: false,
        place: None,
        from: Vec::new(),
    };
    let (mut told, mut zerofill, mut has_default) = (aside.not_null, false, false);
    let mut collation = None;
    loop {
        let word = match at.peek() {
            None | Some(Token::Mark(b',')) => break,
            Some(Token::Mark(b'(')) => {
                defined.from.extend(at.brackets()?.names());
                continue;
            }
            Some(Token::Word(_)) => at.keyword(),
            Some(token) => {
                defined.from.extend(token.name().filter(|_| has_default));
                at.bump();
                continue;
            }
        };
        at.bump();
        match word.as_str() {
            "unsigned" => defined.ty.unsigned = true,
            "zerofill" => zerofill = true,
            "not" if at.eat("null") => (defined.nullable, told) = (false, true),
            "null" => (defined.nullable, told) = (true, true),
            "byte" => defined.charset = Some("binary".into()),
            "ascii" => defined.charset = Some("latin1".into()),
            "unicode" => defined.charset = Some("ucs2".into()),
            "charset" => defined.charset = Some(charset_name(&at.charset_word()?)),
            "character" | "char" if at.eat("set") => {
                defined.charset = Some(charset_name(&at.charset_word()?));
            }
            "collate" => collation = of_collation(&at.charset_word()?),
            // a sign and a value, or in MariaDB an expression without brackets: names in it are words like any other
            "default" => {
                has_default = true;
                let _ = at.eat_mark(b'-') || at.eat_mark(b'+');
                if !at.is_mark(b'(') {
                    defined.from.extend(at.bump_name());
                }
            }
            "serial" if at.eat_all(&["default", "value"]) => (defined.nullable, told) = (false, true),
            "unique" => {
                at.eat("key");
            }
            "primary" => {
                at.eat("key");
                defined.primary = true;
            }
            "key" => defined.primary = true,
            // ON DELETE SET NULL, ON UPDATE SET DEFAULT
            "set" => {
                let _ = at.eat("null") || at.eat("default");
            }
            "references" => {
                at.qualified()?;
                if at.is_mark(b'(') {
                    at.skip_brackets()?;
                }
            }
            "check" if at.is_mark(b'(') => at.skip_brackets()?,
            // values, some of which may look like keywords
            "comment" | "engine_attribute" | "secondary_engine_attribute" | "column_format" | "storage" => {
                at.eat_mark(b'=');
                at.bump();
            }
            "constraint" if !at.is("check") => {
                at.name()?;
            }
            "first" => defined.place = Some(Place::First),
            "after" => defined.place = Some(Place::After(at.name()?)),
            _ if has_default => defined.from.push(word),
            _ => {}
        }
    }
    defined.ty.unsigned |= zerofill;
    defined.charset = defined.charset.take().or(collation);
    if defined.primary || timestamp && !told && !modes.explicit_timestamps {
        defined.nullable = false;
    }
    if !defined.ty.has_charset() {
        defined.charset = None;
    }
    Ok(defined)
}

/// What CREATE TABLE has between its brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elements {
    pub(super) columns: Vec<Defined>,
    /// Of the primary key, in its order.
    pub(super) key: Vec<String>,
}

/// Reads the columns and keys of a table.
pub(super) fn elements(mut at: Reader<'_, '_>, modes: Modes) -> Result<Elements, Unclear> {
    let mut all = Elements::default();
    loop {
        // a quoted name is never a keyword
        let word = at.keyword();
        match word.as_str() {
            "primary" | "constraint" | "key" | "index" | "unique" | "fulltext" | "spatial" | "foreign"
            | "check" => {
                if let Some(key) = primary_key(&mut at)? {
                    all.key = key;
                }
            }
            "period" if at.keyword_at(1) == "for" => {}
            _ => all.columns.push(column(&mut at, modes)?),
        }
        if !at.next_part()? {
            break;
        }
    }
    if all.columns.len() > 4096 {
        return unclear("a table has more columns than MySQL allows");
    }
    if let Some(column) = all.columns.iter().find(|c| c.primary) {
        all.key = vec![column.name.clone()];
    }
    Ok(all)
}

/// Reads `[CONSTRAINT [name]] PRIMARY KEY [name] [USING ...] (columns)`; `None` if it is something else, which the caller skips.
pub(super) fn primary_key(at: &mut Reader<'_, '_>) -> Result<Option<Vec<String>>, Unclear> {
    if at.eat("constraint") && !at.is_any(&["primary", "unique", "foreign", "check"]) {
        at.name()?;
    }
    if !at.eat_all(&["primary", "key"]) {
        return Ok(None);
    }
    while !at.is_end() && !at.is_mark(b'(') && !at.is_mark(b',') {
        at.bump();
    }
    let mut inside = at.brackets()?;
    let mut key = Vec::new();
    loop {
        key.push(inside.name()?);
        if !inside.next_part()? {
            return Ok(Some(key));
        }
    }
}
