//! What columns of earlier versions came to be called, found by what they were called then.
//!
//! Gathered once from all that is known of tables, since it is asked for each column of each version. Only a table's own names count:
//! one that was made like another is another table until it is renamed over that, and then it has its name.

use std::collections::{BTreeSet, HashMap};

use forebay_model::{Lineage, Tie, same_column};

/// Database and table.
type Table = (String, String);

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaterNames {
    /// Each says something that none before it does.
    pasts: Vec<Past>,
    /// Those that speak of a table, by any name that it had; in their order.
    of_table: HashMap<Table, Vec<usize>>,
}

/// What a version of a table says of those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Past {
    /// What the table was called, its last name first.
    tables: Vec<Table>,
    columns: Vec<Names>,
    /// Those of `columns` that had a name, by that in lower case.
    of_column: HashMap<String, Vec<usize>>,
    /// What each of them was called before is not told: it may have been any.
    lost: bool,
}

/// What a column is called, and was before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    now: String,
    before: Vec<(String, Tie)>,
}

impl LaterNames {
    /// Takes what a version of a table says of those before it. The last one of a table should come first: most that others say
    /// it says, too, and that is not kept again.
    pub fn add<'a>(&mut self, own: (&str, &str), columns: impl Iterator<Item = &'a str>, past: &Lineage) {
        let past = Past::new(own, columns, past);
        let known = self.of_table.get(&past.tables[0]).into_iter().flatten();
        if known.into_iter().any(|&at| self.is_said_by(at, &past)) {
            return;
        }
        for table in &past.tables {
            self.of_table.entry(table.clone()).or_default().push(self.pasts.len());
        }
        self.pasts.push(past);
    }

    fn is_said_by(&self, at: usize, past: &Past) -> bool {
        let speaks_of = |table| self.of_table.get(table).is_some_and(|of| of.binary_search(&at).is_ok());
        past.tables.iter().all(speaks_of) && self.pasts[at].says(past)
    }

    /// What a table's column came, or may have come, to be called: table, column, and how that is known.
    pub(super) fn of(
        &self,
        (database, table): (&str, &str),
        column: &str,
    ) -> impl Iterator<Item = ((&str, &str), &str, Tie)> {
        let pasts = self.of_table.get(&(database.to_owned(), table.to_owned()));
        let was = column.to_lowercase();
        pasts.into_iter().flatten().flat_map(move |&at| self.pasts[at].later(&was))
    }
}

impl Past {
    fn new<'a>(own: (&str, &str), columns: impl Iterator<Item = &'a str>, past: &Lineage) -> Past {
        let renamed = past.renamed().filter(|name| *name != own);
        let tables = std::iter::once(own).chain(renamed);
        let tables = tables.map(|(database, table)| (database.to_owned(), table.to_owned())).collect();
        let mut of = Past { tables, lost: past.lost, ..Past::default() };
        columns.for_each(|now| of.add(now, past.of(now).collect()));
        let gone: BTreeSet<&String> = past.gone.iter().flat_map(|gone| &gone.now).collect();
        for now in gone {
            let of_it = past.gone.iter().filter(|gone| gone.now.contains(now));
            let before = of_it.flat_map(|gone| gone.before.iter().map(|name| (name.as_str(), gone.by)));
            of.add(now, before.collect());
        }
        of
    }

    fn add(&mut self, now: &str, mut before: Vec<(&str, Tie)>) {
        // what it is computed from is no earlier name of it
        before.retain(|(_, tie)| *tie != Tie::Computed);
        let before = before.into_iter().map(|(name, tie)| (name.to_owned(), tie)).collect();
        let names = Names { now: now.to_owned(), before };
        let lowered: BTreeSet<String> = names.all().map(|(name, _)| name.to_lowercase()).collect();
        for name in lowered {
            self.of_column.entry(name).or_default().push(self.columns.len());
        }
        self.columns.push(names);
    }

    fn called(&self, name: &str) -> impl Iterator<Item = &Names> {
        self.of_column.get(&name.to_lowercase()).into_iter().flatten().map(|&at| &self.columns[at])
    }

    /// Whether it says all of another one, as far as columns go.
    fn says(&self, other: &Past) -> bool {
        // what is lost is told by the last names alone
        let is_told = |known: &Names, names: &Names| !other.lost || known.now == names.now;
        let is_said =
            |names: &Names| self.called(&names.now).any(|known| is_told(known, names) && known.say(names));
        (self.lost || !other.lost) && other.columns.iter().all(is_said)
    }

    /// What a column that was called so came to be called, in all of the tables.
    fn later(&self, was: &str) -> Vec<((&str, &str), &str, Tie)> {
        let known = self.called(was).flat_map(|names| names.after(was));
        let any = self.columns.iter().filter(|_| self.lost).map(|names| (names.now.as_str(), Tie::Unknown));
        let at = |(name, tie)| self.tables.iter().map(move |(d, t)| ((d.as_str(), t.as_str()), name, tie));
        known.chain(any).flat_map(at).collect()
    }
}

impl Names {
    fn all(&self) -> impl Iterator<Item = (&str, Tie)> {
        [(self.now.as_str(), Tie::Renamed)]
            .into_iter()
            .chain(self.before.iter().map(|(name, tie)| (name.as_str(), *tie)))
    }

    /// Those that are sure.
    fn renamed(&self) -> impl Iterator<Item = &str> {
        self.all().filter(|(_, tie)| *tie == Tie::Renamed).map(|(name, _)| name)
    }

    /// Whether they say all that others do: each of those was a name before, and as sure; of one that is not, the last name is the same.
    fn say(&self, others: &Names) -> bool {
        let had = |name: &str, tie| self.before.iter().any(|(known, by)| known == name && *by <= tie);
        let is_last = self.now == others.now;
        let is_told = |(name, tie): &(String, Tie)| had(name, *tie) && (is_last || *tie == Tie::Renamed);
        (is_last || had(&others.now, Tie::Renamed)) && others.before.iter().all(is_told)
    }

    /// What it was called after it was called so.
    fn after(&self, was: &str) -> Vec<(&str, Tie)> {
        let ties = self.before.iter().filter(|(name, _)| same_column(name, was)).map(|(_, tie)| *tie);
        match ties.min() {
            // by what it was called on the way, too, also if it has the name again
            Some(Tie::Renamed) => self.renamed().map(|name| (name, Tie::Renamed)).collect(),
            _ if same_column(&self.now, was) => vec![(&self.now, Tie::Renamed)],
            Some(tie) => vec![(&self.now, tie)],
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl LaterNames {
        /// Names that are kept.
        fn len(&self) -> usize {
            let of = |past: &Past| {
                past.tables.len() + past.columns.iter().map(|names| names.all().count()).sum::<usize>()
            };
            self.pasts.iter().map(of).sum()
        }
    }

    /// `CREATE TABLE tmp_N LIKE log; RENAME TABLE log TO log_N, tmp_N TO log`, so many times.
    fn rotated(times: usize) -> LaterNames {
        let (mut log, mut later) = (Lineage::default(), LaterNames::default());
        let columns = || ["id", "email"].into_iter();
        for n in 0..times {
            let (tmp, old) = (format!("tmp_{n}"), format!("log_{n}"));
            let mut new = Lineage::default();
            new.add_like("d", "log", &log);
            later.add(("d", &tmp), columns(), &new);
            log.add_table("d", "log");
            later.add(("d", &old), columns(), &log);
            new.add_table("d", &tmp);
            later.add(("d", "log"), columns(), &new);
            log = new;
        }
        later
    }

    #[test]
    fn a_column_that_is_gone_is_known_by_what_it_was_called() {
        let (mut past, mut then, mut later) = (Lineage::default(), Lineage::default(), LaterNames::default());
        past.add(vec!["email".into()], vec!["mail".into()], Tie::Renamed);
        then.drop_column("email", &past);
        then.drop_column("note", &past);
        past.add_table("d", "old");
        then.drop_column("tel", &past);
        later.add(("d", "t"), ["id"].into_iter(), &then);
        let names = |column: &str| later.of(("d", "t"), column).map(|(_, name, _)| name).collect::<Vec<_>>();
        assert_eq!((names("mail"), names("tel")), (vec!["email", "mail"], vec!["tel"]));
        assert!(names("note").is_empty() && names("id") == ["id"]);
    }

    #[test]
    fn what_the_last_version_says_is_not_kept_again() {
        let (mut past, mut versions) = (Lineage::default(), Vec::new());
        for n in 0..50 {
            versions.push((format!("t{n}"), format!("c{n}"), past.clone()));
            past.add_table("d", &format!("t{n}"));
            past.add(vec![format!("c{}", n + 1)], vec![format!("c{n}")], Tie::Renamed);
            let before: Vec<_> = (0..n).map(|n| format!("c{n}")).collect();
            past.add(vec![format!("c{}", n + 1)], before, Tie::Renamed);
            past.columns.retain(|earlier| earlier.now == [format!("c{}", n + 1)]);
        }
        let (mut all, mut last) = (LaterNames::default(), LaterNames::default());
        for (table, column, past) in versions.iter().rev() {
            all.add(("d", table), ["id", column].into_iter(), past);
        }
        let (table, column, past) = &versions[49];
        last.add(("d", table), ["id", column].into_iter(), past);
        assert!(all == last && last.of(("d", "t7"), "C8").count() == 50 * 50, "{}", all.len());
    }

    #[test]
    fn what_only_a_version_between_says_is_kept() {
        // what a column was called last, what it or another was before, and how that is known; the same of the version between
        type Said = (&'static str, Vec<(&'static str, Tie)>);
        let kept = |last: Said, between: Said, was: &str| -> Vec<String> {
            let mut later = LaterNames::default();
            for (now, before) in [last, between] {
                let mut past = Lineage::default();
                before
                    .into_iter()
                    .for_each(|(name, tie)| past.add(vec![now.to_owned()], vec![name.to_owned()], tie));
                later.add(("d", "t"), [now].into_iter(), &past);
            }
            let names: BTreeSet<_> = later.of(("d", "t"), was).map(|(_, name, _)| name.to_owned()).collect();
            names.into_iter().collect()
        };
        // c, then d, then c again
        let again = kept(("c", vec![("d", Tie::Renamed)]), ("d", vec![("c", Tie::Renamed)]), "c");
        assert_eq!(again, ["c", "d"]);
        let told = kept(("C", vec![("c", Tie::Renamed), ("d", Tie::Renamed)]), ("x", vec![]), "c");
        assert_eq!(told, ["C", "c", "d"]);
        // nobody knows whether a became what was x, and then y
        let last = ("y", vec![("x", Tie::Renamed), ("a", Tie::Unknown)]);
        assert_eq!(kept(last, ("x", vec![("a", Tie::Unknown)]), "a"), ["x", "y"]);
        // it is known of one of them
        let sure = kept(("y", vec![("a", Tie::Unknown)]), ("y", vec![("a", Tie::Renamed)]), "a");
        assert_eq!(sure, ["a", "y"]);
    }

    #[test]
    fn tables_that_rotate_cost_as_often_as_they_do() {
        assert!(rotated(80).len() < 2 * rotated(40).len() + 100, "{}", rotated(80).len());
        let later = rotated(3);
        let names = |table: &str| -> Vec<String> {
            later.of(("d", table), "EMAIL").map(|((_, table), name, _)| format!("{table}.{name}")).collect()
        };
        assert!(names("log").contains(&"log_2.email".to_owned()), "{:?}", names("log"));
        assert!(names("log_0").iter().all(|name| !name.starts_with("log_1")), "{:?}", names("log_0"));
    }
}
