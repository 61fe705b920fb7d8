//! A library's parser as the oracle: what both understand, both read alike.

use sqlparser::ast::{AlterTableOperation as Op, Statement};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use super::*;

/// Names of columns after the statement, as the library reads it; `None` where it does not.
fn names(sql: &str, before: &[&str]) -> Option<Vec<String>> {
    let mut statements = Parser::parse_sql(&MySqlDialect {}, sql).ok()?;
    let mut names: Vec<String> = before.iter().map(|&n| n.to_owned()).collect();
    match statements.pop()? {
        Statement::CreateTable(create) => Some(create.columns.into_iter().map(|c| c.name.value).collect()),
        Statement::AlterTable(alter) => {
            for op in alter.operations {
                match op {
                    // places are checked against a server elsewhere
                    Op::AddColumn { column_def, column_position: None, if_not_exists: false, .. } => {
                        names.push(column_def.name.value);
                    }
                    Op::DropColumn { column_names, .. } => {
                        names.retain(|n| !column_names.iter().any(|c| c.value.eq_ignore_ascii_case(n)));
                    }
                    Op::RenameColumn { old_column_name, new_column_name } => {
                        let at = names.iter().position(|n| *n == old_column_name.value)?;
                        names[at] = new_column_name.value;
                    }
                    Op::ChangeColumn { old_name, new_name, column_position: None, .. } => {
                        let at = names.iter().position(|n| *n == old_name.value)?;
                        names[at] = new_name.value;
                    }
                    _ => return None,
                }
            }
            Some(names)
        }
        _ => None,
    }
}

#[test]
fn both_read_the_same_names() {
    let mut compared = 0;
    let ours = |history: &History| {
        let version = history.tables.get(&key("t")).cloned().flatten();
        version.map(|v| v.columns.into_iter().map(|c| c.name).collect::<Vec<_>>())
    };
    for (sql, _) in CREATES {
        let mut history = history();
        say(&mut history, sql);
        if let Some(names) = names(sql, &[]) {
            assert_eq!(ours(&history), Some(names), "{sql}");
            compared += 1;
        }
    }
    for (clauses, _) in ALTERS {
        let mut history = history();
        let sql = format!("ALTER TABLE t {clauses}");
        say(&mut history, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b TEXT, c INT NOT NULL)");
        say(&mut history, &sql);
        let swaps = clauses.matches("RENAME COLUMN").count() > 1;
        let same_twice = clauses.starts_with("DROP a, ADD a");
        if let (Some(names), Some(ours)) = (names(&sql, &["id", "a", "b", "c"]), ours(&history))
            && !swaps
            && !same_twice
        {
            assert_eq!(ours, names, "{sql}");
            compared += 1;
        }
    }
    // the library refuses the rest
    assert!(compared >= 20, "{compared}");
}
