//! Statements between kept events, followed again as they were run.

use super::*;
use crate::mysql::binlog::Query;

/// What `forebay.schema_changes` holds of a statement: database, table, statement and change of each captured table.
fn rows(history: &mut History, database: &str, sql_mode: u64, text: &str) -> Vec<[String; 4]> {
    let status = [&[1], &sql_mode.to_le_bytes()[..]].concat();
    let query = Query { thread: 1, status: &status, database: database.as_bytes(), text: text.as_bytes() };
    let cells = |image: Vec<u8>| {
        let mut rest = &image[1..];
        [(); 4].map(|()| {
            let (length, behind) = rest.split_first_chunk::<4>().unwrap();
            let (cell, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
            rest = behind;
            String::from_utf8(cell.to_vec()).unwrap()
        })
    };
    history.statement(&query, 0).into_iter().map(cells).collect()
}

fn again(recovery: &mut Recovery, rows: &[[String; 4]], pos: u64) {
    for [database, _, statement, change] in rows {
        recovery.follow(database, statement, Session::of_change(change), ("binlog.000001", pos));
    }
}

/// A source's history, and a recovery of `database.table` behind its first kept event.
fn pair(database: &str, table: &str, definition: &str) -> (History, Recovery) {
    let history = History::new(&crate::mysql::bench::everything(), &[], true).unwrap();
    let definition = Definition::of_statement(database, table, definition).unwrap();
    let recovery = Recovery { first: None, ..Recovery::new(definition).unwrap() };
    (history, recovery)
}

fn columns(recovery: &Recovery) -> Vec<&str> {
    recovery.known().map_or(vec![], |v| v.columns.iter().map(|c| c.name.as_str()).collect())
}

#[test]
fn a_statement_about_several_databases_runs_under_its_own() {
    let (mut history, mut recovery) = pair("w", "s", "CREATE TABLE s (id INT, h INT, a INT, c INT)");
    let swap = "RENAME TABLE wb.x TO wb.y, s TO s_old, s_new TO s";
    let statements = [
        ("wb", "CREATE TABLE x (id INT)"),
        ("w", "CREATE TABLE s_new (id INT, h INT, c INT, a INT)"),
        ("w", swap),
    ];
    for (pos, (database, text)) in statements.into_iter().enumerate() {
        let rows = rows(&mut history, database, 0, text);
        assert!(!rows.is_empty(), "{text}");
        again(&mut recovery, &rows, pos as u64);
    }
    assert_eq!(columns(&recovery), ["id", "h", "c", "a"]);
}

#[test]
fn a_statement_keeps_its_sessions_modes() {
    let (mut history, mut recovery) = pair("w", "s", "CREATE TABLE s (id INT, a INT)");
    let rows = rows(&mut history, "w", 4, r#"ALTER TABLE "s" RENAME COLUMN "a" TO "b""#);
    again(&mut recovery, &rows, 1);
    assert_eq!(columns(&recovery), ["id", "b"]);
}

#[test]
fn a_statement_keeps_how_its_server_tells_names_apart() {
    for table in ["t", "T"] {
        let (mut history, mut recovery) = pair("q", table, "CREATE TABLE t (id INT, a INT, c INT)");
        history.fold = true;
        let renames = ["a TO tmp", "c TO a", "tmp TO c"];
        for (pos, rename) in renames.into_iter().enumerate() {
            let rows = rows(&mut history, "q", 0, &format!("ALTER TABLE T RENAME COLUMN {rename}"));
            again(&mut recovery, &rows, pos as u64);
        }
        assert_eq!(columns(&recovery), ["id", "c", "a"]);
    }
}

#[test]
fn rows_of_before_sessions_were_kept_are_followed_as_before() {
    assert_eq!(Session::of_change(r#"{"kind":"alter","understood":true}"#), None);
    let (_, mut recovery) = pair("w", "s", "CREATE TABLE s (id INT)");
    recovery.follow("w", "ALTER TABLE s ADD b INT", None, ("binlog.000001", 1));
    assert_eq!(columns(&recovery), ["id", "b"]);
}

#[test]
fn text_of_an_unknown_character_set_is_refused() {
    use crate::mysql::binlog::{RawColumn, types};
    let text = |collation| RawColumn {
        code: types::BLOB,
        meta: [2, 0],
        nullable: true,
        collation,
        ..Default::default()
    };
    let map = |collation| TableMap { columns: vec![text(collation)], ..Default::default() };
    let known = |end: &str| {
        Definition::of_statement("d", "t", &format!("CREATE TABLE t (s TEXT) {end}"))
            .unwrap()
            .version
            .unwrap()
    };
    // latin1_swedish_ci
    assert_eq!(known("").lacks_charset(&map(None)), Some("s"));
    assert_eq!(known("").lacks_charset(&map(Some(8))), None, "the rows say it");
    assert_eq!(known("").complete(&map(Some(8))).columns[0].collation, Some(8));
    assert_eq!(known("CHARSET latin1").lacks_charset(&map(None)), None);
    assert_eq!(known("CHARSET latin1").complete(&map(None)).columns[0].collation, Some(8));
}
