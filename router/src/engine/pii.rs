//! The columns that a route may not have: followed through its transforms' plans, and covered where people look.
//!
//! A plan says what becomes of each column, so a route is judged before any row of a table's version reaches its sink: a column
//! that is held back must be dropped, nullified or replaced on the way, whatever it is called by then. What a plugin computes into
//! a new column while it reads one that is held back counts as that column's. What it writes into other columns that it replaces
//! cannot be judged from outside.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, StringArray};
use forebay_model::{Batch, Block, Class, Code, Column, ColumnType, Fault, TableSchema};
use forebay_transform::Plan;
use serde::{Deserialize, Serialize};

use crate::definition::Guard;

/// What stands in the place of a value that is not shown.
const COVER: &str = "(pii)";

/// A column would come out.
pub const EXPOSED: Code = Code {
    name: "pii.exposed",
    class: Class::Fatal,
    meaning: "A column tagged `pii` would reach a route that may not have it; nothing of that version of the table was delivered.",
};

/// The columns of one table that may not come out, at some place of a chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Vec<Trail>);

/// What became of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trail {
    /// The column that is tagged.
    tagged: String,
    /// The column that its values are in now.
    now: String,
    how: How,
}

/// How a column comes to be held back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// It is the tagged one.
    Tagged,
    /// It is new where the tagged one is gone: it may be that one under another name.
    Moved(String),
    /// This plugin computes it from what it reads.
    Computed(String),
}

/// What a route saw of a table last, with a column that it may not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    columns: Vec<String>,
    held: Vec<String>,
}

impl Seen {
    /// What is to be remembered of a version; `None` if nothing in it is held back.
    pub(super) fn of(guard: &Guard, table: &TableSchema) -> Option<Seen> {
        let held = guard.held(table);
        let columns = table.columns.iter().map(|column| column.name.clone()).collect();
        (!held.is_empty()).then_some(Seen { columns, held })
    }
}

/// The key of a route's note of a table ([`Seen`]).
pub(super) fn note(table: &TableSchema) -> String {
    format!("pii/{}", table.full_name())
}

impl Held {
    /// As the table comes, after the version that the route saw before.
    pub(super) fn new(guard: &Guard, before: Option<&Seen>, table: &TableSchema) -> Held {
        let trail = |name: String| Trail { tagged: name.clone(), now: name, how: How::Tagged };
        let mut trails: Vec<Trail> = guard.held(table).into_iter().map(trail).collect();
        let Some(before) = before else { return Held(trails) };
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let gone = before.held.iter().find(|held| !names.iter().any(|name| same(name, held)));
        let Some(gone) = gone else { return Held(trails) };
        for name in names {
            let is_new = !before.columns.iter().any(|column| same(column, name));
            if is_new && !guard.holds(table, name) && !guard.allows(table, name) {
                let (tagged, now) = (gone.clone(), name.to_owned());
                trails.push(Trail { how: How::Moved(now.clone()), tagged, now });
            }
        }
        Held(trails)
    }

    /// What they are called now.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|trail| trail.now.clone()).collect()
    }

    /// One step on.
    pub(super) fn pass(&mut self, plugin: &str, plan: &Plan) {
        let read = self.0.iter().find(|trail| plan.reads.contains(&trail.now)).cloned();
        self.0.retain(|trail| !plan.hides(&trail.now));
        for trail in &mut self.0 {
            if let Some(name) = plan.renames.get(&trail.now) {
                trail.now.clone_from(name);
            }
        }
        for name in plan.computes.iter().filter(|_| read.is_some()) {
            let tagged = read.as_ref().map(|trail| trail.tagged.clone()).unwrap_or_default();
            self.0.push(Trail { tagged, now: name.clone(), how: How::Computed(plugin.to_owned()) });
        }
    }

    /// What still comes out at the end, each in words.
    pub(super) fn exposed(&self, guard: &Guard, table: &TableSchema) -> Vec<String> {
        // a computed column may be allowed by its own name
        let is_allowed =
            |trail: &&Trail| matches!(trail.how, How::Computed(_)) && guard.allows(table, &trail.now);
        let out = self.0.iter().filter(|trail| !is_allowed(trail));
        out.map(|trail| {
            let of = format!("column `{}` of {}, tagged pii,", trail.tagged, table.full_name());
            match &trail.how {
                How::Computed(plugin) => {
                    format!("{of} is read by plugin `{plugin}`, which computes `{}`", trail.now)
                }
                How::Moved(name) => format!("{of} is gone, and `{name}`, which is new, may be it"),
                How::Tagged if trail.now != trail.tagged => format!("{of} comes out as `{}`", trail.now),
                How::Tagged => format!("{of} comes out as it is"),
            }
        })
        .collect()
    }
}

/// As MySQL compares columns' names.
fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// What to do about it.
pub(super) const FIX: &str = "drop, nullify or replace the column in a transform, tag the new name of a column that was renamed, or name what may come out in \
     the route's allow_pii";

/// Why a route stops at a version of a table.
pub(super) fn fault(route: &str, exposed: &[String]) -> Fault {
    Fault::new(EXPOSED, format!("route {route} stops before {}", exposed.join("; ")))
        .fix(format!("{FIX}; the route goes on by itself once the definitions are applied"))
}

/// The block as people may see it: a word in the place of each value that is held back. NULL stays NULL.
pub(super) fn cover(block: Block, guard: &Guard) -> Block {
    if guard.is_idle() {
        return block;
    }
    let batches = block.batches.into_iter().map(|batch| cover_batch(batch, guard)).collect();
    Block { batches, ..block }
}

fn cover_batch(mut batch: Batch, guard: &Guard) -> Batch {
    let held = guard.held(&batch.table);
    if held.is_empty() {
        return batch;
    }
    let mut table = TableSchema::clone(&batch.table);
    for (column, cells) in table.columns.iter_mut().zip(&mut batch.columns) {
        if held.contains(&column.name) {
            let native = "longtext".to_owned();
            *column = Column { ty: ColumnType::Text, native, ..column.clone() };
            *cells = covered(cells);
        }
    }
    batch.table = Arc::new(table);
    batch
}

fn covered(cells: &ArrayRef) -> ArrayRef {
    Arc::new((0..cells.len()).map(|row| cells.is_valid(row).then_some(COVER)).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use forebay_model::ColumnType;
    use serde_json::json;

    use super::*;
    use crate::definition::{RouteDef, SourceDef};

    fn guard(tags: &[&str], allowed: &[&str]) -> Guard {
        let tags: BTreeMap<_, _> = tags.iter().map(|tag| (*tag, ["pii"])).collect();
        let source = json!({ "mysql": { "host": "h", "user": "u" }, "tables": ["shop.*"], "tags": tags });
        let route =
            json!({ "source": "s", "tables": ["shop.*"], "allow_pii": allowed, "sink": { "console": {} } });
        let source: SourceDef = serde_json::from_value(source).unwrap();
        let route: RouteDef = serde_json::from_value(route).unwrap();
        Guard::new(&source, &route)
    }

    fn table(columns: &[&str]) -> TableSchema {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            ty: ColumnType::Text,
            nullable: true,
            native: "text".to_owned(),
        };
        let columns = columns.iter().map(column).collect();
        TableSchema { database: "shop".into(), table: "members".into(), columns, key: Vec::new() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What comes out after these steps.
    fn after(guard: &Guard, table: &TableSchema, plans: &[Plan]) -> Vec<String> {
        let mut held = Held::new(guard, None, table);
        plans.iter().for_each(|plan| held.pass("p", plan));
        held.exposed(guard, table)
    }

    #[test]
    fn a_column_is_followed_through_renames_until_it_is_hidden() {
        let guard = guard(&["shop.*.email"], &[]);
        let table = table(&["id", "Email", "phone"]);
        let renamed = Plan { renames: BTreeMap::from([("Email".into(), "mail".into())]), ..Plan::default() };
        let hides = |column: &str| Plan { replaces: names(&[column]), ..Plan::default() };
        let out = "column `Email` of shop.members, tagged pii,";
        assert_eq!(after(&guard, &table, &[]), [format!("{out} comes out as it is")]);
        assert_eq!(
            after(&guard, &table, std::slice::from_ref(&renamed)),
            [format!("{out} comes out as `mail`")]
        );
        assert!(after(&guard, &table, &[renamed.clone(), hides("mail")]).is_empty());
        assert!(after(&guard, &table, &[hides("Email"), renamed.clone()]).is_empty());
        // another column that has the old name by now is another column
        assert_eq!(after(&guard, &table, &[renamed, hides("Email")]).len(), 1);
        for plan in [
            Plan { drops: names(&["Email"]), ..Plan::default() },
            Plan { nullifies: names(&["Email"]), ..Plan::default() },
        ] {
            assert!(after(&guard, &table, &[plan]).is_empty());
        }
    }

    #[test]
    fn what_is_computed_from_a_held_column_is_held() {
        let table = table(&["id", "email"]);
        let copies = Plan {
            reads: names(&["email"]),
            appends: names(&["copy", "made_at"]),
            computes: names(&["copy"]),
            drops: names(&["email"]),
            ..Plan::default()
        };
        let plans = [copies.clone()];
        let held = guard(&["shop.members.email"], &[]);
        let out = "column `email` of shop.members, tagged pii, is read by plugin `p`, which computes `copy`";
        assert_eq!(after(&held, &table, &plans), [out]);
        assert!(
            after(&held, &table, &[copies, Plan { drops: names(&["copy"]), ..Plan::default() }]).is_empty()
        );
        assert!(after(&guard(&["shop.members.email"], &["copy"]), &table, &plans).is_empty());
        assert!(after(&guard(&["shop.members.email"], &["shop.members.email"]), &table, &plans).is_empty());
        assert!(
            after(
                &guard(&["shop.members.id"], &[]),
                &table,
                &[Plan { drops: names(&["id"]), ..plans[0].clone() }]
            )
            .is_empty()
        );
    }

    #[test]
    fn what_may_be_a_held_column_under_another_name_is_held() {
        let old = guard(&["shop.*.email"], &[]);
        let seen = Seen::of(&old, &table(&["id", "email", "note"])).unwrap();
        assert_eq!(Seen::of(&old, &table(&["id", "note"])), None);
        let exposed = |guard: &Guard, columns: &[&str]| {
            let table = table(columns);
            Held::new(guard, Some(&seen), &table).exposed(guard, &table).len()
        };
        assert_eq!(exposed(&old, &["id", "mail", "note"]), 1);
        // dropped and nothing new, nothing dropped
        assert_eq!(exposed(&old, &["id", "note"]), 0);
        assert_eq!(exposed(&old, &["id", "EMAIL", "note", "more"]), 1, "the tagged one only");
        // said what it is
        assert_eq!(exposed(&guard(&["shop.*.email"], &["shop.members.mail"]), &["id", "mail", "note"]), 0);
        let both = guard(&["shop.*.email", "shop.*.mail"], &[]);
        assert_eq!(exposed(&both, &["id", "mail", "note"]), 1, "the tagged one only");
    }

    #[test]
    fn rows_that_nobody_could_decode_are_held_where_anything_is() {
        let quarantine = forebay_model::quarantine();
        assert_eq!(guard(&["shop.*.email"], &[]).held(quarantine), ["rows"]);
        assert!(guard(&["shop.*.email"], &["forebay.quarantine.rows"]).held(quarantine).is_empty());
        assert!(guard(&[], &[]).held(quarantine).is_empty());
        assert!(guard(&["*.*.*"], &[]).held(forebay_model::schema_changes()).is_empty());
    }
}
