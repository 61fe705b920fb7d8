//! Whatever a statement is: no panic, and time in proportion to its length.

use std::time::Instant;

use proptest::prelude::*;

const WORDS: &[&str] = &[
    "CREATE",
    "ALTER",
    "DROP",
    "RENAME",
    "TRUNCATE",
    "TABLE",
    "DATABASE",
    "t",
    "d",
    "a",
    "b",
    "`c`",
    "'x'",
    "(",
    ")",
    ",",
    ".",
    "INT",
    "VARCHAR",
    "TEXT",
    "ENUM",
    "9",
    "ADD",
    "COLUMN",
    "CHANGE",
    "MODIFY",
    "FIRST",
    "AFTER",
    "TO",
    "LIKE",
    "PRIMARY",
    "KEY",
    "NOT",
    "NULL",
    "DEFAULT",
    "CHARSET",
    "latin1",
    "COLLATE",
    "/*!",
    "*/",
    "/*",
    "-- ",
    "\n",
    "#",
    "=",
    "CONVERT",
    "CHARACTER",
    "SET",
    "ORDER",
    "BY",
    "PARTITION",
    "IF",
    "EXISTS",
    "\\",
    "'",
    "`",
    "\"",
    "é",
    "IN",
    "ON",
    "CONSTRAINT",
    "SELECT",
    "-",
];

proptest! {
    #[test]
    fn any_words(picked in prop::collection::vec(0..WORDS.len(), 0..40), spaces in any::<bool>(), mode in 0u64..8) {
        let words: Vec<&str> = picked.iter().map(|&i| WORDS[i]).collect();
        let text = words.join(if spaces { " " } else { "" });
        crate::mysql::schema::fuzz(&text, mode | 1 << 20).unwrap();
        for head in ["ALTER TABLE t ", "CREATE TABLE u (", "RENAME TABLE ", "ALTER TABLE t ADD a2 INT, "] {
            crate::mysql::schema::fuzz(&format!("{head}{text}"), mode).unwrap();
        }
    }

    #[test]
    fn any_text(text in "\\PC{0,60}", mode in any::<u64>()) {
        crate::mysql::schema::fuzz(&text, mode).unwrap();
        crate::mysql::schema::fuzz(&format!("ALTER TABLE t {text}"), mode).unwrap();
    }
}

/// Twice as much takes about twice as long; where time is quadratic, these take minutes.
#[test]
fn time_is_linear() {
    let big = 200_000;
    let columns: String = (0..5000).map(|i| format!("c{i} INT,")).collect();
    for text in [
        format!("CREATE TABLE u ({}", "(".repeat(big)),
        format!("CREATE TABLE u (a INT {})", "(".repeat(big)),
        format!("CREATE TABLE u (a INT DEFAULT {}1{})", "(".repeat(big), ")".repeat(big)),
        format!("ALTER TABLE t {}", "ADD x INT,".repeat(big)),
        format!("ALTER TABLE t {}", "DROP IF EXISTS x,".repeat(big)),
        format!("ALTER TABLE t ORDER BY {}a", "a,".repeat(big)),
        format!("RENAME TABLE {}t TO u", "t TO u, u TO t,".repeat(big / 10)),
        format!("RENAME TABLE {}t TO u", (0..20_000).map(|i| format!("a{i} TO b{i},")).collect::<String>()),
        format!("DROP TABLE {}t", "u,".repeat(big)),
        format!("CREATE TABLE u ({columns} a INT)"),
        format!("CREATE TABLE u (a ENUM({}'x'))", "'y',".repeat(big)),
        "/*".repeat(big),
        "/*!".repeat(big),
        format!("ALTER TABLE t COMMENT '{}", "''".repeat(big)),
        format!("ALTER TABLE t {}", "DEFAULT ".repeat(big)),
    ] {
        let began = Instant::now();
        crate::mysql::schema::fuzz(&text, 0).unwrap();
        let took = began.elapsed();
        assert!(took.as_secs() < 10, "{took:?}: {}", &text[..40]);
    }
}
