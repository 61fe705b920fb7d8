//! Statements as they may be shown where a table holds personal data: without the values that stand in them.
//!
//! What stays is what is known to be no value: keywords, names and marks. A DEFAULT, a COMMENT, a member of an ENUM, a partition's bound
//! become `?`, as all numbers do; comments are left out.

use serde_json::Value;

use super::change::Session;
use super::lex::{Lexer, Modes, Token};

const VALUE: &str = "?";

/// The columns `statement` and `change` of a row of `forebay.schema_changes`, without values. A statement of whose session nothing is
/// known comes out as a mere `?`: what its quotes mean cannot be said.
pub fn without_values(statement: &str, change: &str) -> (String, String) {
    let statement = match Session::of_change(change) {
        Some(session) => bare(statement, session.modes()),
        None => VALUE.to_owned(),
    };
    let Ok(mut change) = serde_json::from_str::<Value>(change) else { return (statement, "{}".to_owned()) };
    // by index it would be made where it is not
    change.get_mut("columns").map(hide_members);
    (statement, change.to_string())
}

fn bare(statement: &str, modes: Modes) -> String {
    let mut lexer = Lexer::new(statement, modes);
    let (mut out, mut end) = (String::new(), 0);
    while let Some((token, from)) = lexer.next_with_start() {
        if from > end && !out.is_empty() {
            out.push(' ');
        }
        match token {
            Token::Word(word) if !word.starts_with(|c: char| c.is_ascii_digit()) => out.push_str(word),
            Token::Name(name) => out.push_str(&format!("`{}`", name.replace('`', "``"))),
            Token::Mark(mark) if mark.is_ascii() => out.push(char::from(mark)),
            Token::Word(_) | Token::Text(_) | Token::Mark(_) => out.push_str(VALUE),
        }
        end = lexer.place();
    }
    out
}

/// Types spell the members of ENUM and SET.
fn hide_members(value: &mut Value) {
    match value {
        Value::String(text) => {
            for kind in ["enum(", "set("] {
                if text.starts_with(kind) {
                    let end = if text.ends_with(" not null") { " not null" } else { "" };
                    *text = format!("{kind}{VALUE}){end}");
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide_members),
        Value::Object(fields) => fields.values_mut().for_each(hide_members),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = r#"{"kind":"alter","columns":{"added":[{"name":"e","type":"enum('a1','b2') not null"}]},"understood":true,
        "session":{"database":"d","sql_mode":0,"explicit_timestamps":true,"version":90700,"mariadb":false,"fold":false}}"#;

    #[test]
    fn names_and_keywords_stay_and_values_go() {
        let (statement, change) = without_values(
            "ALTER TABLE d.`g h` /* don't: 's1' */ ADD c VARCHAR(40) DEFAULT '99''9-s\\'2', -- 's3'\n MODIFY \
             n INT DEFAULT -1234 COMMENT \"s4\", ADD e ENUM('a1','b2'), ADD h BLOB DEFAULT (x'5335')",
            KNOWN,
        );
        assert_eq!(
            statement,
            "ALTER TABLE d.`g h` ADD c VARCHAR(?) DEFAULT ?, MODIFY n INT DEFAULT -? COMMENT ?, ADD e ENUM(?,?), ADD h BLOB \
             DEFAULT (x?)"
        );
        assert!(change.contains("enum(?) not null") && !change.contains("a1"), "{change}");
        assert_eq!(without_values("ALTER TABLE t ADD c INT", "{}").0, "?", "what quotes mean is not known");
        assert_eq!(
            without_values("DROP TABLE t", r#"{"kind":"drop"}"#).1,
            r#"{"kind":"drop"}"#,
            "nothing is added"
        );
    }
}
