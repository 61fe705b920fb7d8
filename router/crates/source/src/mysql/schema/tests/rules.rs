//! When a version counts, is asked for, or puts its table aside.

use super::super::history::{Answer, Question, Sight};
use super::super::lookup::Catalog;
use super::super::place::Place;
use super::*;
use crate::mysql::binlog::{RawColumn, TableMap, types};
use forebay_model::Note;

/// A table map of INTs, without names.
fn map(columns: usize) -> TableMap {
    let column = RawColumn { code: types::LONG, nullable: true, ..Default::default() };
    let columns = vec![column; columns];
    TableMap { database: "d".into(), table: "t".into(), columns, signedness: true, ..Default::default() }
}

fn at(pos: u64) -> Place {
    Place { file: "binlog.000009".into(), pos }
}

/// What a sight says: names, or what else.
fn see(history: &mut History, columns: usize, pos: u64) -> String {
    match history.table_map(map(columns), at(pos), 7) {
        Sight::Known(map, _) => map.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(","),
        Sight::Ask => "ask".into(),
        Sight::Quarantined => "aside".into(),
    }
}

fn version(sql: &str) -> Version {
    let mut history = history();
    say(&mut history, sql);
    Version { proved: true, ..history.tables[&key("t")].clone().unwrap() }
}

fn answer(history: &mut History, found: Result<&str, &str>) {
    let question: Question = history.question().unwrap().clone();
    history.answer(Answer { question, found: found.map(version).map_err(str::to_owned) });
}

fn catalog(sql: &str, after: u64) -> Catalog {
    let mut catalog = Catalog { after: at(after), ..Default::default() };
    catalog.tables.insert(key("t"), version(sql));
    catalog
}

#[test]
fn what_statements_made_is_checked_once() {
    let mut history = history();
    say(&mut history, "CREATE TABLE t (a INT, b INT)");
    assert_eq!(see(&mut history, 2, 10), "ask");
    // the server cannot say: what fits stands, and is asked for no more
    answer(&mut history, Err("statements follow"));
    assert_eq!((see(&mut history, 2, 10), see(&mut history, 2, 20)), ("a,b".into(), "a,b".into()));
    say(&mut history, "ALTER TABLE t ADD c INT");
    assert_eq!(see(&mut history, 3, 30), "ask");
    // an answer about another place does not count
    answer(&mut history, Ok("CREATE TABLE t (a INT, b INT, z INT)"));
    assert_eq!(see(&mut history, 3, 40), "ask");
    answer(&mut history, Ok("CREATE TABLE t (a INT, b INT, z INT)"));
    assert_eq!(see(&mut history, 3, 40), "a,b,z", "the server leads");
    // an index changes nothing that was confirmed
    say(&mut history, "CREATE INDEX i ON t (a)");
    say(&mut history, "ALTER TABLE t ADD INDEX j (b), COMMENT 'x'");
    assert_eq!(see(&mut history, 3, 50), "a,b,z");
}

#[test]
fn rows_that_do_not_fit_put_the_table_aside() {
    let mut history = history();
    assert_eq!(see(&mut history, 2, 10), "ask");
    answer(&mut history, Ok("CREATE TABLE t (a INT, b INT)"));
    assert_eq!(see(&mut history, 2, 10), "a,b");
    // confirmed, and no statement since: a hidden change
    assert_eq!(see(&mut history, 3, 20), "aside");
    assert_eq!(see(&mut history, 2, 30), "aside", "until somebody lifts it");
    history.kept("d", "t");
    assert!(history.take_notes().is_empty(), "not before the transaction ends");
    history.end_transaction(|| at(40));
    let notes = history.take_notes();
    let keys: Vec<&str> = notes.iter().map(|n| n.key.as_str()).collect();
    assert_eq!(keys, ["before/d.t", "quarantine/d.t", "schema/d.t"]);
    let aside: Vec<_> = history.quarantined().cloned().collect();
    assert_eq!(
        (aside[0].events, aside[0].since.as_str(), aside[0].since_seconds),
        (1, "binlog.000009:20", 7)
    );

    let mut again = History::new(&crate::mysql::bench::everything(), &notes, true).unwrap();
    assert_eq!(see(&mut again, 3, 50), "aside");
    // the statement is carried on, and does not end it
    say(&mut again, "DROP TABLE t");
    say(&mut again, "CREATE TABLE t (a INT)");
    assert_eq!(see(&mut again, 1, 60), "aside");
    assert!(again.lift("d", "t", Some(version("CREATE TABLE t (n INT)"))));
    assert_eq!(see(&mut again, 1, 70), "n");
    assert!(again.take_notes().contains(&Note { key: "quarantine/d.t".into(), value: None }));
    assert!(!again.lift("d", "t", Some(version("CREATE TABLE t (n INT)"))));
}

#[test]
fn an_answer_that_cannot_be_used_puts_the_table_aside() {
    for found in [Err("no such table"), Ok("CREATE TABLE t (a INT)")] {
        let mut history = history();
        see(&mut history, 2, 10);
        answer(&mut history, found);
        assert_eq!(see(&mut history, 2, 10), "aside", "{found:?}");
    }
}

#[test]
fn the_catalog_counts_once_the_stream_is_there() {
    let mut history = history();
    history.learn(catalog("CREATE TABLE t (a INT, b INT)", 100));
    assert_eq!(history.take_notes().len(), 1, "the databases' character sets, as of the start");
    history.end_transaction(|| at(99));
    assert_eq!(see(&mut history, 2, 99), "ask");
    assert!(history.end_transaction(|| at(100)), "it is to be noted");
    assert_eq!(history.take_notes().len(), 1);
    assert_eq!(see(&mut history, 2, 101), "a,b");

    // not for a table that a statement was about meanwhile
    let mut history = super::history();
    history.learn(catalog("CREATE TABLE t (a INT, b INT)", 100));
    say(&mut history, "ALTER TABLE t RENAME COLUMN a TO c");
    history.end_transaction(|| at(200));
    assert_eq!(see(&mut history, 2, 201), "ask");
}

#[test]
fn a_difference_to_the_catalog_is_a_hidden_change() {
    let known = |proved| {
        let mut history = history();
        let version = Version { proved, ..version("CREATE TABLE t (a INT, b INT)") };
        history.set(key("t"), Some(version));
        history
    };
    let cases = [
        (true, "CREATE TABLE t (a INT, c INT)", false, "aside"),
        (false, "CREATE TABLE t (a INT, c INT)", false, "a,c"),
        (true, "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a))", false, "aside"),
        (true, "CREATE TABLE t (a INT, b INT) CHARSET latin1", false, "a,b"),
        (true, "CREATE TABLE t (a INT, c INT)", true, "a,b"),
    ];
    for (proved, sql, names_in_binlog, wanted) in cases {
        let mut history = known(proved);
        history.learn(Catalog { names_in_binlog, ..catalog(sql, 100) });
        history.end_transaction(|| at(100));
        assert_eq!(see(&mut history, 2, 101), wanted, "{sql}");
    }
}

#[test]
fn rows_that_may_be_of_before_or_after_a_hidden_change_are_not_read() {
    let cases = [
        (&[][..], "CREATE TABLE t (a INT, b INT)", 2, "a,b"),
        (&[], "CREATE TABLE t (a INT, c INT)", 2, "aside"),
        // of before, since only that fits
        (&[], "CREATE TABLE t (a INT, c INT, b INT)", 2, "a,b"),
        (&[], "CREATE TABLE t (a INT, c INT, b INT)", 3, "aside"),
        // not hidden
        (&["ALTER TABLE t RENAME COLUMN b TO c"], "CREATE TABLE t (a INT, c INT)", 2, "a,b"),
        (&["DROP TABLE t", "CREATE TABLE t (x INT)"], "CREATE TABLE t (x INT)", 2, "a,b"),
        // hidden before a statement that is not
        (&["ALTER TABLE t ADD n INT"], "CREATE TABLE t (a INT, c INT, n INT)", 2, "aside"),
        // a type that is only spelt otherwise
        (&["ALTER TABLE t MODIFY a FLOAT"], "CREATE TABLE t (a DOUBLE, b INT)", 2, "a,b"),
    ];
    for (ahead, now, columns, wanted) in cases {
        let mut history = history();
        history.set(key("t"), Some(version("CREATE TABLE t (a INT, b INT)")));
        history.learn(catalog(now, 100));
        if let Some((mut shadow, _)) = history.shadow() {
            for sql in ahead {
                say(&mut shadow, sql);
            }
            history.suspect(&shadow);
        }
        assert_eq!(see(&mut history, columns, 50), wanted, "{ahead:?} {now}");
    }
    // nor is anything looked for where the rows name their columns
    let mut history = history();
    history.set(key("t"), Some(version("CREATE TABLE t (a INT, b INT)")));
    history.learn(Catalog { names_in_binlog: true, ..catalog("CREATE TABLE t (a INT, c INT)", 100) });
    assert!(history.shadow().is_none());
}

#[test]
fn notes_of_another_place_are_void() {
    let mut history = history();
    say(&mut history, "CREATE TABLE t (a INT)");
    say(&mut history, "CREATE TABLE u (a INT)");
    say(&mut history, "DROP TABLE u");
    history.end_transaction(|| at(10));
    let notes = history.take_notes();
    assert_eq!(notes.iter().map(|n| n.value.is_some()).collect::<Vec<_>>(), [true, true, false]);
    let mut config = crate::mysql::bench::everything();
    let again = |config: &crate::mysql::Config, goes_on| {
        let mut history = History::new(config, &notes, goes_on).unwrap();
        (tables(&history), history.take_notes().len())
    };
    assert_eq!(again(&config, true), (vec!["t: a int".to_owned()], 0));
    // what the table was is remembered, to compare with
    assert_eq!(again(&config, false), (vec![], 2));
    // nobody follows it any more
    config.tables = vec![forebay_model::TablePattern::new("other.*").unwrap()];
    assert_eq!(again(&config, true), (vec![], 1));
    let broken = [Note { key: "schema/d.t".into(), value: Some(b"{}".to_vec()) }];
    assert!(tables(&History::new(&config, &broken, true).unwrap()).is_empty());
}

#[test]
fn a_change_is_seen_in_table_maps_that_have_names() {
    let named = |names: &[&str]| {
        let mut map = map(names.len());
        map.full = true;
        map.columns.iter_mut().zip(names).for_each(|(c, n)| c.name = (*n).into());
        map
    };
    let mut history = history();
    let mut see = |names: &[&str]| match history.table_map(named(names), at(1), 7) {
        Sight::Known(_, change) => change.map(|c| c.json()),
        other => panic!("{other:?}"),
    };
    assert_eq!(see(&["a", "b"]), None, "the first is no change");
    assert_eq!(see(&["a", "b"]), None);
    let change = see(&["b", "a", "c"]).unwrap();
    assert_eq!(
        change,
        r#"{"kind":"alter","columns":{"added":[{"name":"c","type":"int"}],"moved":["b"]},"understood":true}"#
    );
}

#[test]
fn files_are_in_order() {
    let place = |file: &str, pos| Place { file: file.into(), pos };
    assert!(place("binlog.999999", 9) < place("binlog.1000000", 4));
    assert!(place("binlog.000002", 9) < place("binlog.000010", 4));
    assert!(place("binlog.000002", 4) < place("binlog.000002", 9));
    assert!(place("", 9) < place("binlog.000001", 4));
}
