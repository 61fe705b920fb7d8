//! A table of 228 columns, nearly all of them numbers, a tenth of which are NULL.

use std::fmt::Write;

use forebay_kit::Numbers;

use super::narrow::{digits, time};
use super::{DATABASE, Shape, TRANSACTION};

/// Two of its text columns.
pub(super) const TEXT_COLUMNS: [&str; 2] = ["text_1", "text_5"];
const INSERTS: u64 = 70;
const COLUMNS: usize = 228;
const TEXTS: usize = 4096;

#[derive(Clone, Copy)]
enum Kind {
    Int,
    Varchar,
    Char,
    Decimal,
    Timestamp,
    Datetime,
}

/// Every 15th column is not an INT: seven VARCHAR, a CHAR, three DECIMAL, three TIMESTAMP and a DATETIME.
const OTHERS: [(&str, Kind); 15] = [
    ("text_1", Kind::Varchar),
    ("text_2", Kind::Varchar),
    ("text_3", Kind::Varchar),
    ("code", Kind::Char),
    ("value_1", Kind::Decimal),
    ("text_4", Kind::Varchar),
    ("text_5", Kind::Varchar),
    ("created_at", Kind::Timestamp),
    ("value_2", Kind::Decimal),
    ("text_6", Kind::Varchar),
    ("measured_at", Kind::Timestamp),
    ("text_7", Kind::Varchar),
    ("value_3", Kind::Decimal),
    ("local_time", Kind::Datetime),
    ("updated_at", Kind::Timestamp),
];

/// Makes inserts and updates of `member_scans`.
pub(super) struct Wide {
    numbers: Numbers,
    columns: Vec<(String, Kind)>,
    texts: Vec<String>,
    rows: u64,
}

impl Wide {
    pub(super) fn new() -> Self {
        let mut numbers = Numbers::new(0x17);
        // Column 0 is the id.
        let column = |at: usize| match at % 15 {
            0 => (OTHERS[at / 15 - 1].0.to_owned(), OTHERS[at / 15 - 1].1),
            _ => (format!("reading_{at:03}"), Kind::Int),
        };
        let columns = (1..COLUMNS).map(column).collect();
        let texts = (0..TEXTS).map(|_| digits(&mut numbers, 15)).collect();
        Self { numbers, columns, texts, rows: 0 }
    }

    fn row(&mut self, sql: &mut String) {
        self.rows += 1;
        let at = time(self.rows / 10);
        let _ = write!(sql, "({}", self.rows);
        for (_, kind) in &self.columns {
            let n = &mut self.numbers;
            let _ = match kind {
                Kind::Int if n.below(10) == 0 => write!(sql, ",NULL"),
                Kind::Int => write!(sql, ",{}", n.below(5_000)),
                Kind::Varchar => write!(sql, ",'{}'", n.pick(&self.texts)),
                Kind::Char => write!(sql, ",'{}'", &n.pick(&self.texts)[..8]),
                Kind::Decimal => write!(sql, ",{}.{:02}", n.below(1_000_000), n.below(100)),
                Kind::Timestamp | Kind::Datetime => write!(sql, ",'{at}'"),
            };
        }
        sql.push(')');
    }
}

impl Shape for Wide {
    fn table(&self) -> String {
        let mut sql = format!("CREATE TABLE {DATABASE}.member_scans (id BIGINT PRIMARY KEY");
        for (name, kind) in &self.columns {
            let kind = match kind {
                Kind::Int => "INT",
                Kind::Varchar => "VARCHAR(64)",
                Kind::Char => "CHAR(36)",
                Kind::Decimal => "DECIMAL(10,2)",
                Kind::Timestamp => "TIMESTAMP NULL",
                Kind::Datetime => "DATETIME",
            };
            let _ = write!(sql, ", `{name}` {kind}");
        }
        sql + ")"
    }

    fn transaction(&mut self, sql: &mut String) {
        let _ = write!(sql, "INSERT INTO {DATABASE}.member_scans VALUES ");
        for i in 0..INSERTS {
            if i > 0 {
                sql.push(',');
            }
            self.row(sql);
        }
        let mut ids = std::collections::BTreeSet::new();
        while (ids.len() as u64) < TRANSACTION - INSERTS {
            ids.insert(self.numbers.below(self.rows) + 1);
        }
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let at = time(self.rows / 10);
        // A counter that is never NULL, so that every update changes its row, even within the same second.
        let set = format!("value_1=value_1+0.01,updated_at='{at}'");
        let _ = write!(sql, ";UPDATE {DATABASE}.member_scans SET {set} WHERE id IN ({});", ids.join(","));
    }
}
