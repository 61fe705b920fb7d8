//! What columns of earlier versions came to be called, found by what they were called then.
//!
//! Folded once from all that is known of tables, since it is asked for each column of each version. Only a table's own names count:
//! one that was made like another is another table until it is renamed over that, and then it has its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use forebay_model::{Lineage, Tie};

/// Database and table.
type Table = (String, String);
/// Each with the best of the ways in which it is known.
type Names = BTreeMap<(Arc<Table>, Arc<str>), Tie>;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaterNames {
    tables: HashMap<Table, OfTable>,
}

/// By the names of one table at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfTable {
    columns: HashMap<String, Names>,
    /// What any column may have become.
    any: Names,
}

impl LaterNames {
    /// Takes what a version of a table says of those before it.
    pub fn add<'a>(&mut self, own: (&str, &str), columns: impl Iterator<Item = &'a str>, past: &Lineage) {
        let tables: Vec<Arc<Table>> = std::iter::once(own)
            .chain(past.renamed())
            .map(|(database, table)| Arc::new((database.to_owned(), table.to_owned())))
            .collect();
        for now in columns {
            self.add_column(&tables, &now.into(), past.of(now).collect());
            if past.lost {
                for at in &tables {
                    note(&mut self.of_table(at).any, &tables, &now.into(), Tie::Unknown);
                }
            }
        }
        let gone: BTreeSet<&String> = past.gone.iter().flat_map(|gone| &gone.now).collect();
        for now in gone {
            let of_it = past.gone.iter().filter(|gone| gone.now.contains(now));
            let before = of_it.flat_map(|gone| gone.before.iter().map(|name| (name.as_str(), gone.by)));
            self.add_column(&tables, &now.as_str().into(), before.collect());
        }
    }

    fn add_column(&mut self, tables: &[Arc<Table>], now: &Arc<str>, before: Vec<(&str, Tie)>) {
        for (was, later, tie) in steps(now, before) {
            for at in tables {
                note(self.of_table(at).columns.entry(was.clone()).or_default(), tables, &later, tie);
            }
        }
    }

    fn of_table(&mut self, at: &Table) -> &mut OfTable {
        self.tables.entry(at.clone()).or_default()
    }

    /// What a table's column came, or may have come, to be called: table, column, and how that is known.
    pub(super) fn of(
        &self,
        (database, table): (&str, &str),
        column: &str,
    ) -> impl Iterator<Item = ((&str, &str), &str, Tie)> {
        let of_table = self.tables.get(&(database.to_owned(), table.to_owned()));
        let known = of_table.and_then(|of_table| of_table.columns.get(&column.to_lowercase()));
        let names = known.into_iter().chain(of_table.map(|of_table| &of_table.any)).flatten();
        names.map(|((at, name), tie)| ((at.0.as_str(), at.1.as_str()), &**name, *tie))
    }
}

/// What a column was called, in lower case, with what it was called after that.
fn steps(now: &Arc<str>, mut before: Vec<(&str, Tie)>) -> Vec<(String, Arc<str>, Tie)> {
    let own = now.to_lowercase();
    let mut steps = vec![(own.clone(), now.clone(), Tie::Renamed)];
    // what it is computed from is no earlier name of it
    before.retain(|(_, tie)| *tie != Tie::Computed);
    let renamed: Vec<Arc<str>> =
        before.iter().filter(|(_, tie)| *tie == Tie::Renamed).map(|(name, _)| (*name).into()).collect();
    for (name, tie) in before {
        let was = name.to_lowercase();
        if tie == Tie::Renamed && was != own {
            // by what it was called on the way, too
            steps.extend(renamed.iter().map(|between| (was.clone(), between.clone(), tie)));
        }
        steps.push((was, now.clone(), tie));
    }
    steps
}

fn note(names: &mut Names, tables: &[Arc<Table>], column: &Arc<str>, tie: Tie) {
    for table in tables {
        let known = names.entry((table.clone(), column.clone())).or_insert(tie);
        *known = tie.min(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl LaterNames {
        fn len(&self) -> usize {
            self.tables.values().flat_map(|t| t.columns.values().chain([&t.any])).map(BTreeMap::len).sum()
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
