//! A table like sysbench's, with money, an address and times.

use std::fmt::Write;

use forebay_kit::Numbers;

use super::{DATABASE, Shape, TRANSACTION};

/// Different strings in each text column.
const TEXTS: usize = 4096;
const INSERTS: u64 = 70;
const UPDATES: u64 = 20;

/// Makes inserts, updates and deletes of `sbtest`.
pub(super) struct Narrow {
    numbers: Numbers,
    /// One row a statement, the kinds mixed.
    single: bool,
    next: u64,
    alive: Vec<u64>,
    long: Vec<String>,
    short: Vec<String>,
    /// Milliseconds since the load's first row.
    clock: u64,
}

impl Narrow {
    pub(super) fn new(single: bool) -> Self {
        let mut numbers = Numbers::new(0xF0);
        let mut texts = |length| (0..TEXTS).map(|_| digits(&mut numbers, length)).collect();
        let (long, short) = (texts(119), texts(59));
        Self { numbers, single, next: 1, alive: Vec::new(), long, short, clock: 0 }
    }

    fn row(&mut self) -> String {
        self.clock += 7;
        let id = self.next;
        self.next += 1;
        self.alive.push(id);
        let n = &mut self.numbers;
        let (k, cents, user) = (n.below(1_000_000), n.below(1_000_000_000), n.below(10_000_000));
        let (c, pad) = (n.pick(&self.long), n.pick(&self.short));
        let (at, ms) = (time(self.clock / 1000), self.clock % 1000);
        format!(
            "({id},{k},'{c}','{pad}',{}.{:02},'user{user}@example.com','{at}.{ms:03}','{at}')",
            cents / 100,
            cents % 100
        )
    }

    /// Some of the rows that are there, each once.
    fn ids(&mut self, count: u64) -> Vec<u64> {
        let mut ids = Vec::new();
        while (ids.len() as u64) < count {
            let id = *self.numbers.pick(&self.alive);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    fn insert(&mut self, count: u64, sql: &mut String) {
        let rows: Vec<String> = (0..count).map(|_| self.row()).collect();
        let columns = "id,k,c,pad,amount,email,created_at,updated_at";
        let _ = write!(sql, "INSERT INTO {DATABASE}.sbtest ({columns}) VALUES {};", rows.join(","));
    }

    fn update(&mut self, count: u64, sql: &mut String) {
        self.clock += 7;
        let at = time(self.clock / 1000);
        let set = format!("k=k+1,amount=amount+0.01,updated_at='{at}'");
        let _ = write!(sql, "UPDATE {DATABASE}.sbtest SET {set} WHERE id IN ({});", list(&self.ids(count)));
    }

    fn delete(&mut self, count: u64, sql: &mut String) {
        let mut ids = Vec::new();
        for _ in 0..count {
            let at = self.numbers.below(self.alive.len() as u64) as usize;
            ids.push(self.alive.swap_remove(at));
        }
        let _ = write!(sql, "DELETE FROM {DATABASE}.sbtest WHERE id IN ({});", list(&ids));
    }
}

impl Shape for Narrow {
    fn table(&self) -> String {
        format!(
            "CREATE TABLE {DATABASE}.sbtest (id BIGINT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(120) NOT NULL, \
             pad CHAR(60) NOT NULL, amount DECIMAL(10,2) NOT NULL, email VARCHAR(100) NOT NULL, \
             created_at DATETIME(3) NOT NULL, updated_at TIMESTAMP NOT NULL)"
        )
    }

    fn transaction(&mut self, sql: &mut String) {
        if !self.single {
            self.insert(INSERTS, sql);
            self.update(UPDATES, sql);
            self.delete(TRANSACTION - INSERTS - UPDATES, sql);
            return;
        }
        let mut left = [INSERTS, UPDATES, TRANSACTION - INSERTS - UPDATES];
        for done in 0..TRANSACTION {
            let mut at = self.numbers.below(TRANSACTION - done);
            // The first statement of all has to be an insert.
            if self.alive.is_empty() {
                at = 0;
            }
            if at < left[0] {
                left[0] -= 1;
                self.insert(1, sql);
            } else if at < left[0] + left[1] {
                left[1] -= 1;
                self.update(1, sql);
            } else {
                left[2] -= 1;
                self.delete(1, sql);
            }
        }
    }
}

fn list(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// Groups of eleven digits with dashes between them, as sysbench fills its text columns.
pub(super) fn digits(numbers: &mut Numbers, length: usize) -> String {
    let at = |i: usize| if i % 12 == 11 { '-' } else { (b'0' + numbers.below(10) as u8) as char };
    (0..length).map(at).collect()
}

/// So many seconds after the load's first moment, as MySQL takes it.
pub(super) fn time(seconds: u64) -> String {
    let (day, hour, minute, second) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("2026-01-{:02} {hour:02}:{minute:02}:{second:02}", 1 + day % 31)
}
