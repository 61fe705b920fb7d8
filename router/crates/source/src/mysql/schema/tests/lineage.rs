//! Where columns come from, held against what really becomes of one.

use forebay_model::{Column, ColumnType, Lineage, TableSchema};
use proptest::prelude::*;

use super::super::lookup::Catalog;
use super::super::note;
use super::*;
use crate::mysql::binlog::{RawColumn, TableMap, types};
use crate::mysql::schema::{Place, Sight};

/// Every name that a column may have had, with its table.
fn names(history: &History, table: &str, column: &str) -> Vec<String> {
    let version = history.tables[&key(table)].clone().unwrap();
    let own = [("d".to_owned(), table.to_owned())];
    let tables = own.iter().chain(&version.lineage.tables);
    let columns: Vec<&str> = version.lineage.of(column).map(|(name, _)| name).chain([column]).collect();
    tables.flat_map(|(_, table)| columns.iter().map(move |c| format!("{table}.{c}"))).collect()
}

fn had(history: &History, table: &str, column: &str, name: &str) -> bool {
    names(history, table, column).contains(&name.to_owned())
}

const TABLE: &str = "CREATE TABLE t (id INT, email VARCHAR(80), note VARCHAR(80), n INT)";

/// After these statements.
fn after(statements: &[&str]) -> History {
    let mut history = history();
    say(&mut history, TABLE);
    for statement in statements {
        say(&mut history, statement);
    }
    history
}

#[test]
fn statements_say_which_column_is_which() {
    let email = |statements: &[&str], column: &str| had(&after(statements), "t", column, "t.email");
    let drops = ["ALTER TABLE t DROP COLUMN note, RENAME COLUMN email TO note"];
    assert!(email(&drops, "note") && !email(&drops, "id"));
    let swaps = ["ALTER TABLE t RENAME COLUMN email TO note, RENAME COLUMN note TO email"];
    assert!(email(&swaps, "note"));
    let again = ["ALTER TABLE t RENAME COLUMN email TO contact, ADD COLUMN email VARCHAR(80)"];
    assert!(email(&again, "contact") && !email(&again, "note"));
    let changed = [
        "ALTER TABLE t CHANGE email mail TEXT FIRST",
        "ALTER TABLE t RENAME COLUMN mail TO m2",
        "ALTER TABLE t MODIFY m2 BLOB AFTER n",
    ];
    assert!(email(&changed, "m2") && !email(&changed, "note"));
    // one that is put in its place may be it
    assert!(email(&["ALTER TABLE t DROP COLUMN email, ADD COLUMN mail TEXT"], "mail"));
    assert!(!email(&["ALTER TABLE t DROP COLUMN email", "ALTER TABLE t ADD COLUMN mail TEXT"], "mail"));
    let renamed = ["ALTER TABLE t RENAME COLUMN email TO x", "ALTER TABLE t DROP COLUMN x, ADD COLUMN y INT"];
    assert!(email(&renamed, "y"), "what it was called before, too");
    // gone, and come again
    let gone = ["ALTER TABLE t RENAME COLUMN email TO x", "ALTER TABLE t DROP x", "ALTER TABLE t ADD x INT"];
    assert!(!email(&gone, "x"));
}

#[test]
fn what_the_server_computes_from_a_column_is_tied_to_it() {
    let email = |statements: &[&str], column: &str| had(&after(statements), "t", column, "t.email");
    for kind in
        ["AS (LOWER(email)) STORED", "GENERATED ALWAYS AS (CONCAT('-', `Email`))", "DEFAULT (LOWER(email))"]
    {
        let added = format!("ALTER TABLE t ADD COLUMN e2 VARCHAR(80) {kind}");
        assert!(email(&[&added], "e2") && !email(&[&added], "note"), "{kind}");
        assert!(
            email(
                &[
                    "ALTER TABLE t RENAME COLUMN email TO mail",
                    &added.replace("email", "mail").replace("Email", "mail")
                ],
                "e2"
            ),
            "{kind}"
        );
        assert!(email(&[&format!("ALTER TABLE t MODIFY note TEXT {kind}")], "note"), "{kind}");
    }
    let made = "CREATE TABLE g (id INT, email TEXT, a TEXT AS (upper(email)), b TEXT AS (lower(a)), k INT CHECK (email <> ''), \
                r INT DEFAULT 1 REFERENCES o (email))";
    let made = after(&[made]);
    assert!(had(&made, "g", "a", "g.email") && had(&made, "g", "b", "g.email"));
    assert!(!had(&made, "g", "k", "g.email") && !had(&made, "g", "r", "g.email"));
}

#[test]
fn what_is_computed_is_tied_in_whatever_order_it_is_told() {
    let email = |statements: &[&str], column: &str| had(&after(statements), "t", column, "t.email");
    let (upper, lower) = ("a TEXT AS (UPPER(b)) STORED", "b TEXT AS (LOWER(email)) STORED");
    let added = format!("ALTER TABLE t ADD {upper}, ADD {lower} AFTER email");
    assert!(email(&[&added], "a") && email(&[&added], "b") && !email(&[&added], "note"));
    let made = after(&[&format!("CREATE TABLE g (id INT, {upper}, {lower}, email TEXT)")]);
    assert!(had(&made, "g", "a", "g.email"));
    // MariaDB takes an expression as a default without brackets
    for default in
        ["email", "`Email`", "t.email", "BINARY email", "CASE email WHEN 'x' THEN NULL END", "- email"]
    {
        let added = format!("ALTER TABLE t ADD e2 VARCHAR(80) INVISIBLE DEFAULT {default} AFTER note");
        assert!(email(&[&added], "e2") && !had(&after(&[&added]), "t", "e2", "t.note"), "{default}");
        assert!(email(&[&format!("ALTER TABLE t MODIFY note TEXT DEFAULT {default}")], "note"), "{default}");
        let set =
            format!("ALTER TABLE t ALTER COLUMN note SET DEFAULT {default}, RENAME COLUMN note TO text");
        assert!(email(&[&set], "text") && !email(&[&set], "id"), "{default}");
    }
    let plain = "ALTER TABLE t ADD e2 TEXT DEFAULT 'email' NOT NULL COMMENT 'email' REFERENCES o (email), ADD e3 INT AFTER email, \
                 ADD e4 INT DEFAULT 1 AFTER email, ADD e5 INT DEFAULT -1 CHECK (email > 1)";
    assert!(["e2", "e3", "e4", "e5"].iter().all(|column| !email(&[plain], column)));
    let typed = [
        "ADD b INT",
        "ALTER note SET DEFAULT b'1'",
        "ADD c BIT DEFAULT b'1'",
        "ALTER n SET DEFAULT (DATE'2020-01-01' + b'1')",
    ]
    .map(|clause| format!("ALTER TABLE t {clause}"));
    let typed = after(&typed.each_ref().map(String::as_str));
    assert!(["note", "c", "n"].iter().all(|column| !had(&typed, "t", column, "t.b")));
    for plain in [
        "SET DEFAULT 'email', ADD email2 INT",
        "SET DEFAULT (LOWER('email'))",
        "DROP DEFAULT, DROP email",
        "SET INVISIBLE",
    ] {
        assert!(!email(&[&format!("ALTER TABLE t ALTER note {plain}")], "note"), "{plain}");
    }
    assert!(email(
        &["ALTER TABLE t ALTER note SET DEFAULT (UPPER(`email`)), ALTER INDEX i INVISIBLE"],
        "note"
    ));
    // and lets a column be renamed that another is computed from
    let mail = |statements: &[&str], column: &str| had(&after(statements), "t", column, "t.mail");
    for kind in ["AS (LOWER(email)) STORED", "DEFAULT (LOWER(email))"] {
        let added = format!("ALTER TABLE t ADD COLUMN e2 VARCHAR(80) {kind}");
        for rename in ["CHANGE email mail VARCHAR(80)", "RENAME COLUMN email TO mail"] {
            let renamed = [added.as_str(), &format!("ALTER TABLE t {rename}, ADD x INT")];
            assert!(mail(&renamed, "e2") && email(&renamed, "e2"), "{kind} {rename}");
            assert!(!mail(&renamed, "note") && !mail(&renamed, "x"), "{kind} {rename}");
        }
        let twice = [
            &added,
            "ALTER TABLE t RENAME COLUMN email TO x",
            "ALTER TABLE t RENAME COLUMN x TO mail, RENAME COLUMN e2 TO e3",
        ];
        assert!(mail(&twice, "e3"), "{kind}");
    }
}

#[test]
fn a_table_that_is_made_like_another_is_another_until_it_gets_the_name() {
    let renamed = |history: &History, table: &str| -> Vec<String> {
        let version = history.tables[&key(table)].clone().unwrap();
        version.lineage.renamed().map(|(_, table)| table.to_owned()).collect()
    };
    let past = ["RENAME TABLE t TO u", "RENAME TABLE u TO t"];
    for made in
        ["CREATE TABLE t_b LIKE t", "CREATE TABLE t_b (id INT, email VARCHAR(80), note VARCHAR(80), n INT)"]
    {
        let copied = after(&[&past[..], &[made]].concat());
        assert!(had(&copied, "t_b", "email", "u.email") && renamed(&copied, "t_b").is_empty(), "{made}");
        assert_eq!(renamed(&copied, "t"), ["t", "u"]);
        let swap = ["RENAME TABLE t TO t_a, t_b TO t", "RENAME TABLE t TO v"];
        let swapped = after(&[&past[..], &[made], &swap].concat());
        assert_eq!(renamed(&swapped, "v"), ["t", "t_b"], "{made}");
        assert!(had(&swapped, "v", "email", "u.email"), "{made}");
    }
}

#[test]
fn a_table_that_is_archived_again_and_again_is_not_lost() {
    for swapped in [false, true] {
        let mut history = after(&["RENAME TABLE t TO first", "RENAME TABLE first TO log"]);
        for n in 0..2100 {
            let new = match swapped {
                false => format!("RENAME TABLE log TO log_{n}; CREATE TABLE log LIKE log_{n}"),
                true => format!("CREATE TABLE tmp_{n} LIKE log; RENAME TABLE log TO log_{n}, tmp_{n} TO log"),
            };
            for statement in new.split("; ") {
                say(&mut history, statement);
            }
            say(&mut history, &format!("DROP TABLE log_{n}"));
        }
        assert!(had(&history, "log", "email", "t.email") && !had(&history, "log", "note", "t.email"));
        let lineage = &history.tables[&key("log")].as_ref().unwrap().lineage;
        assert!(!lineage.lost && lineage.tables.len() < 200, "{}", lineage.tables.len());
    }
}

#[test]
fn what_the_server_says_that_it_computes_is_known_without_a_statement() {
    let mut catalog = Catalog::default();
    let mut found =
        after(&["ALTER TABLE t ADD COLUMN e2 TEXT AS (LOWER(email))"]).tables[&key("t")].clone().unwrap();
    found.proved = true;
    catalog.tables.insert(key("t"), found);
    let mut history = history();
    history.learn(catalog);
    seen(&mut history, &["id", "email", "note", "n", "e2"]);
    assert!(had(&history, "t", "e2", "t.email"), "before the stream has come to where it was said");
}

#[test]
fn a_table_takes_its_names_along() {
    let renamed = after(&["RENAME TABLE t TO u", "ALTER TABLE u RENAME COLUMN email TO mail, RENAME TO v"]);
    assert!(had(&renamed, "v", "mail", "t.email") && had(&renamed, "v", "note", "t.note"));
    assert!(!had(&renamed, "v", "note", "t.email"));
    // a copy that takes its place
    let ghost = after(&[
        "CREATE TABLE _t_gho LIKE t",
        "ALTER TABLE _t_gho DROP COLUMN note, RENAME COLUMN email TO note",
        "RENAME TABLE t TO _t_del, _t_gho TO t",
        "DROP TABLE _t_del",
    ]);
    assert!(had(&ghost, "t", "note", "t.email") && !had(&ghost, "t", "n", "t.email"));
    // and one that is made with the same columns
    let copied = after(&[
        "CREATE TABLE _t_new (id INT, email VARCHAR(80), Note VARCHAR(80), n INT)",
        "ALTER TABLE _t_new DROP COLUMN id, RENAME COLUMN email TO mail",
        "RENAME TABLE t TO _t_old, _t_new TO t",
    ]);
    assert!(had(&copied, "t", "mail", "t.email"));
    assert!(!had(&copied, "t", "note", "t.email") && !had(&copied, "t", "n", "t.email"));
    for swap in [
        &["RENAME TABLE t TO old, new TO t"][..],
        &["RENAME TABLE t TO old", "RENAME TABLE new TO t"],
        &["DROP TABLE t", "RENAME TABLE new TO t"],
    ] {
        let made = "CREATE TABLE new (id INT, mail VARCHAR(80), note VARCHAR(80), n INT)";
        let swapped = after(&[&[made], swap].concat());
        assert!(had(&swapped, "t", "mail", "t.email"), "{swap:?}");
        assert!(!had(&swapped, "t", "note", "t.email"), "{swap:?}");
    }
    // a new table is a new one
    let anew = after(&["DROP TABLE t", "CREATE TABLE t (id INT, mail VARCHAR(80))"]);
    assert!(!had(&anew, "t", "mail", "t.email"));
}

/// A table map with these names, as FULL has it.
fn seen(history: &mut History, columns: &[&str]) {
    let column = |name: &&str| RawColumn {
        code: types::VARCHAR,
        meta: [64, 1],
        collation: Some(45),
        nullable: true,
        name: (*name).to_owned(),
        ..Default::default()
    };
    let columns = columns.iter().map(column).collect();
    let map = TableMap { database: "d".into(), table: "t".into(), columns, full: true, ..Default::default() };
    let Sight::Known(map, _) = history.table_map(map, Place::default(), 7) else { panic!() };
    let lineage = &history.tables[&key("t")].as_ref().unwrap().lineage;
    assert_eq!(map.lineage, *lineage, "rows are read with it");
}

#[test]
fn what_nobody_tells_is_suspected() {
    let email = |columns: &[&str], column: &str| {
        let mut history = history();
        seen(&mut history, &["id", "email", "note", "n"]);
        seen(&mut history, columns);
        had(&history, "t", column, "t.email")
    };
    assert!(email(&["id", "mail", "note", "n"], "mail") && !email(&["id", "mail", "note", "n"], "note"));
    assert!(email(&["id", "note", "email", "n"], "note"), "swapped");
    assert!(email(&["id", "note", "n"], "note"), "dropped, and the other took its name");
    assert!(email(&["id", "contact", "note", "n", "email"], "contact"));
    // nothing went, so that nothing is in its place
    assert!(
        !email(&["id", "email", "x", "note", "n"], "x") && !email(&["id", "email", "x", "note", "n"], "n")
    );
    // what was known stays known
    let mut renamed = after(&["ALTER TABLE t RENAME COLUMN email TO mail"]);
    seen(&mut renamed, &["id", "mail", "other", "n"]);
    assert!(had(&renamed, "t", "mail", "t.email"));
    // also of a column that went unseen: earlier rows have its earlier name
    let mut hidden = after(&["ALTER TABLE t RENAME COLUMN email TO mail"]);
    seen(&mut hidden, &["id", "note", "n"]);
    let gone = &hidden.tables[&key("t")].as_ref().unwrap().lineage.gone;
    assert!(gone.iter().any(|column| column.now == ["mail"] && column.before == ["email"]), "{gone:?}");
    // a statement that was not understood leaves what was known
    let mut unclear = history();
    say(&mut unclear, TABLE);
    unclear.set(key("t"), None);
    seen(&mut unclear, &["id", "mail", "note", "n"]);
    assert!(had(&unclear, "t", "mail", "t.email"));
}

#[test]
fn rows_of_a_snapshot_have_their_tables_past() {
    let history = after(&["ALTER TABLE t RENAME COLUMN email TO mail"]);
    let read = |columns: &[&str]| {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            ty: ColumnType::Text,
            nullable: true,
            native: "text".into(),
        };
        let columns = columns.iter().map(column).collect();
        let (database, table) = ("d".into(), "t".into());
        let table = TableSchema { database, table, columns, key: vec![], lineage: Lineage::default() };
        history.with_past(&table.shared()).lineage.clone()
    };
    assert!(read(&["id", "mail", "note", "n"]).of("mail").any(|(name, _)| name == "email"));
    assert!(
        read(&["id", "m2", "note", "n"]).of("m2").any(|(name, _)| name == "email"),
        "and what nobody tells"
    );
}

#[test]
fn it_is_noted_with_the_position() {
    let mut history = after(&["ALTER TABLE t RENAME COLUMN email TO mail"]);
    say(&mut history, "CREATE TABLE gone (id INT, ssn INT)");
    say(&mut history, "RENAME TABLE gone TO other");
    history.end_transaction(Default::default);
    let notes = history.take_notes();
    assert!(notes.iter().any(|n| n.key == note::before_key(&key("gone")) && n.value.is_some()));
    let again = |goes_on| History::new(&history.config, &notes, goes_on).unwrap();
    assert!(had(&again(true), "t", "mail", "t.email"));
    // another start: what it was is still compared with
    let mut anew = again(false);
    assert!(!anew.tables.contains_key(&key("t")));
    seen(&mut anew, &["id", "m3", "note", "n"]);
    assert!(had(&anew, "t", "m3", "t.email"));
}

#[test]
fn of_tables_that_are_gone_the_oldest_is_forgotten_first() {
    let mut history = after(&["DROP TABLE t"]);
    for n in 0..1000 {
        say(&mut history, &format!("CREATE TABLE a{n} (id INT)"));
        say(&mut history, &format!("DROP TABLE a{n}"));
        if n == 500 {
            history.end_transaction(Default::default);
            let notes = history.take_notes();
            history = History::new(&history.config, &notes, true).unwrap();
        }
    }
    let known = |name: &str| history.before.contains_key(&key(name));
    assert!(!known("t") && known("a0") && known("a999"));
}

/// A statement on the columns that there are, and what becomes of the marked one.
fn alter(columns: &mut Vec<String>, marked: &mut Option<String>, steps: &[(u8, usize, usize)]) -> String {
    let old = columns.clone();
    let mut clauses = Vec::new();
    let mut touched: Vec<String> = Vec::new();
    let pool = ["email", "note", "mail", "x", "y", "z"];
    for (kind, a, b) in steps {
        // the first one stays, so that no table is left without columns
        let column = old[1 + a % (old.len() - 1).max(1)..].first().cloned();
        let Some(column) = column.filter(|c| !touched.contains(c)) else { continue };
        let name = pool[b % pool.len()].to_owned();
        let is_free = !columns.contains(&name);
        match kind {
            0 if old.len() > 2 && columns.len() > 2 => {
                columns.retain(|c| *c != column);
                *marked = marked.take().filter(|m| *m != column);
                clauses.push(format!("DROP COLUMN {column}"));
                touched.push(column);
            }
            1 if is_free && !touched.contains(&name) => {
                clauses.push(format!("ADD COLUMN {name} VARCHAR(80)"));
                columns.push(name.clone());
                touched.push(name);
            }
            2 | 3 if is_free && (!old.contains(&name) || touched.contains(&name)) => {
                let place = if *kind == 3 { " FIRST" } else { "" };
                let change = format!("CHANGE COLUMN {column} {name} VARCHAR(80){place}");
                let rename = format!("RENAME COLUMN {column} TO {name}");
                clauses.push(if *kind == 3 || a % 2 == 0 { change } else { rename });
                columns.iter_mut().filter(|c| **c == column).for_each(|c| c.clone_from(&name));
                if *marked == Some(column.clone()) {
                    *marked = Some(name.clone());
                }
                touched.extend([column, name]);
            }
            4 => {
                let other = old[b % old.len()].clone();
                if other == column || touched.contains(&other) || other == old[0] {
                    continue;
                }
                clauses.push(format!("RENAME COLUMN {column} TO {other}, RENAME COLUMN {other} TO {column}"));
                *marked = marked.take().map(|m| match m {
                    m if m == column => other.clone(),
                    m if m == other => column.clone(),
                    m => m,
                });
                touched.extend([column, other]);
            }
            5 => {
                let place = ["", " FIRST", " AFTER id"][b % 3];
                clauses.push(format!("MODIFY COLUMN {column} TEXT{place}"));
                touched.push(column);
            }
            _ => {}
        }
    }
    format!("ALTER TABLE t {}", if clauses.is_empty() { "COMMENT = ''".into() } else { clauses.join(", ") })
}

proptest! {
    /// However a table is altered, the column that was `email` says so; in what statements tell, and where the next table map
    /// comes without them.
    #[test]
    fn no_statement_loses_a_column(
        statements in prop::collection::vec(prop::collection::vec((0u8..6, 0usize..9, 0usize..9), 1..4), 1..8),
    ) {
        let mut history = history();
        say(&mut history, "CREATE TABLE t (id INT, email VARCHAR(80), note VARCHAR(80), n VARCHAR(80))");
        let mut columns: Vec<String> = ["id", "email", "note", "n"].map(str::to_owned).into();
        let mut marked = Some("email".to_owned());
        for steps in &statements {
            let sql = alter(&mut columns, &mut marked, steps);
            say(&mut history, &sql);
            let version = history.tables[&key("t")].clone();
            prop_assert!(version.is_some(), "not understood: {sql}");
            columns = version.unwrap().columns.iter().map(|c| c.name.clone()).collect();
            columns.sort_by_key(|c| c != "id");
            if let Some(marked) = &marked {
                prop_assert!(columns.contains(marked), "{sql} {columns:?} {marked}");
                prop_assert!(had(&history, "t", marked, "t.email"), "{sql}: {marked}");
            }
        }
    }
}
