//! The columns that a route may not have, followed through its transforms' plans.
//!
//! A plan says what becomes of each column, so a route is judged before any row of a table's version reaches its sink: a column
//! that is held back must be dropped, nullified or replaced on the way, whatever it is called by then. What a plugin computes into
//! a new column while it reads one that is held back counts as that column's, and so do the places that it chooses. What it writes
//! into other columns that it replaces cannot be judged from outside.
//!
//! Which columns of a version are held, and why, is one question ([`Guard::why`]): the version itself carries what its columns were
//! called before, so that apply, route, replay, preview, dead letters and tail have the same answer, without a memory of their own.

use forebay_model::{Class, Code, Fault, TableSchema, Tie};
use forebay_transform::Plan;

use crate::definition::{Guard, Why};

/// A column would come out.
pub const EXPOSED: Code = Code {
    name: "pii.exposed",
    class: Class::Fatal,
    meaning: "A column tagged `pii` would reach a route that may not have it; nothing of that version of the table was delivered.",
};

/// The columns of one table that may not come out, at some place of a chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    columns: Vec<Trail>,
    /// Plugins that choose places while they read one of them, with that one as they read it.
    places: Vec<(String, Trail)>,
}

/// What became of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trail {
    /// The column that is held back, as the table has it.
    held: String,
    why: Why,
    /// The column that its values are in now.
    now: String,
    /// The plugin that computed it from what it reads.
    computed: Option<String>,
}

impl Held {
    /// As the table comes.
    pub(super) fn new(guard: &Guard, table: &TableSchema) -> Held {
        let names = table.columns.iter().map(|column| &column.name);
        let trail = |name: &String| {
            let why = guard.why(table, name)?;
            Some(Trail { held: name.clone(), why, now: name.clone(), computed: None })
        };
        Held { columns: names.filter_map(trail).collect(), places: Vec::new() }
    }

    /// What they are called now.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|trail| trail.now.clone()).collect()
    }

    /// One step on.
    pub(super) fn pass(&mut self, plugin: &str, plan: &Plan) {
        let read = |trail: &&Trail| plan.reads.contains(&trail.now);
        let read: Vec<Trail> = self.columns.iter().filter(read).cloned().collect();
        self.columns.retain(|trail| !plan.hides(&trail.now));
        for trail in &mut self.columns {
            if let Some(name) = plan.renames.get(&trail.now) {
                trail.now.clone_from(name);
            }
        }
        for name in &plan.computes {
            let computed = Some(plugin.to_owned());
            self.columns.extend(read.first().map(|read| Trail {
                now: name.clone(),
                computed,
                ..read.clone()
            }));
        }
        if plan.routes {
            self.places.extend(read.into_iter().map(|read| (plugin.to_owned(), read)));
        }
    }

    /// What still comes out at the end, each in words.
    pub(super) fn exposed(&self, guard: &Guard, table: &TableSchema) -> Vec<String> {
        // a computed column may be allowed by its own name
        let is_held = |trail: &Trail| trail.computed.is_none() || !guard.allows(table, &trail.now);
        let columns = self.columns.iter().filter(|trail| is_held(trail)).map(|trail| {
            let comes = match &trail.computed {
                Some(plugin) => format!("is read by plugin `{plugin}`, which computes `{}`", trail.now),
                None if trail.now != trail.held => format!("comes out as `{}`", trail.now),
                None => "comes out as it is".to_owned(),
            };
            format!("{} {comes}", trail.origin(table))
        });
        let places = self.places.iter().filter(|(_, trail)| is_held(trail)).map(|(plugin, trail)| {
            let origin = trail.origin(table);
            format!("{origin} is read by plugin `{plugin}`, which chooses where rows go (the sink shows it as their routing)")
        });
        columns.chain(places).collect()
    }
}

impl Trail {
    /// The column, and why it is held back.
    fn origin(&self, table: &TableSchema) -> String {
        let name = &self.why.name;
        let (was, may_be) = match self.why.later {
            true => ("which became", "which may have become"),
            false => ("which was", "which may be"),
        };
        let of = match self.why.tie {
            None => ", tagged pii,".to_owned(),
            Some(Tie::Renamed) => format!(", {was} {name}, tagged pii,"),
            Some(Tie::Copied) => format!(", made like {name}, tagged pii,"),
            Some(Tie::Computed) => format!(", which the server computes from {name}, tagged pii,"),
            Some(Tie::Replaced) => {
                format!(", {may_be} {name}, tagged pii (one statement dropped the one and added the other),")
            }
            Some(Tie::Unknown) => format!(
                ", {may_be} {name}, tagged pii (the table changed, nothing says how, and the column is on one side of that alone, or \
                 has another place or type),"
            ),
        };
        format!("column `{}` of {}{of}", self.held, table.full_name())
    }
}

/// What to do about it.
pub(super) const FIX: &str = "drop, nullify or replace the column in a transform, or name what may come out in the route's allow_pii; where a column was \
     renamed, hide it by both names, and tag both: earlier rows have the old one";

/// What to do while a replay runs with the transforms of then, which nothing that is applied replaces before it is over.
const FIX_IN_PAST: &str = "the transforms of then do not change while the replay runs: name what may come out in the route's allow_pii, or \
     replay the route with the present transforms (forebay replay --transforms now)";

/// The fault of a route that stopped in a replay with the transforms of then, with what helps there.
pub(super) fn in_past(fault: Fault) -> Fault {
    if fault.code() == EXPOSED { fault.fix(FIX_IN_PAST) } else { fault }
}

/// Why a route stops at a version of a table.
pub(super) fn fault(route: &str, exposed: &[String]) -> Fault {
    Fault::new(EXPOSED, format!("route {route} stops before {}", exposed.join("; ")))
        .fix(format!("{FIX}; the route goes on by itself once the definitions are applied"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use forebay_model::{Column, ColumnType};
    use serde_json::json;

    use super::*;
    use crate::definition::{LaterNames, RouteDef, SourceDef};

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
        TableSchema {
            database: "shop".into(),
            table: "members".into(),
            columns,
            key: Vec::new(),
            lineage: Default::default(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What comes out after these steps.
    fn after(guard: &Guard, table: &TableSchema, plans: &[Plan]) -> Vec<String> {
        let mut held = Held::new(guard, table);
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
    fn places_chosen_by_a_held_column_are_held() {
        let table = table(&["id", "email", "note"]);
        let by = |column: &str| Plan { reads: names(&["id", column]), routes: true, ..Plan::default() };
        let hides = |column: &str| Plan { replaces: names(&[column]), ..Plan::default() };
        let guard = |allowed: &[&str]| guard(&["shop.members.email"], allowed);
        let out = "column `email` of shop.members, tagged pii, is read by plugin `p`, which chooses where rows go (the sink \
                   shows it as their routing)";
        assert_eq!(after(&guard(&[]), &table, &[by("email"), hides("email")]), [out]);
        // once more does not undo it, nor does a column of that name
        let undone = [by("email"), hides("email"), by("note"), hides("routing")];
        assert_eq!(after(&guard(&["routing"]), &table, &undone), [out]);
        assert!(after(&guard(&[]), &table, &[hides("email"), by("email")]).is_empty(), "hidden before");
        assert!(after(&guard(&[]), &table, &[by("note"), hides("email")]).is_empty());
        assert!(after(&guard(&["email"]), &table, &[by("email"), hides("email")]).is_empty());
        // by a column that is computed from it: as that one
        let copies = Plan {
            reads: names(&["email"]),
            computes: names(&["copy"]),
            drops: names(&["email"]),
            ..Plan::default()
        };
        let copied = [copies, by("copy"), hides("copy")];
        assert_eq!(after(&guard(&[]), &table, &copied), [out]);
        assert!(after(&guard(&["copy"]), &table, &copied).is_empty());
    }

    #[test]
    fn a_key_is_of_columns_that_come_out() {
        let table = table(&["id", "email"]);
        let key = |plan: Plan| Plan { key: names(&["new"]), ..plan };
        let guard = guard(&["shop.members.email"], &[]);
        let read = Plan { reads: names(&["email"]), ..Plan::default() };
        let renames = BTreeMap::from([("email".to_owned(), "new".to_owned())]);
        let renamed = key(Plan { renames: renames.clone(), ..read.clone() });
        assert!(after(&guard, &table, &[renamed])[0].ends_with("comes out as `new`"));
        let computed = key(Plan { computes: names(&["new"]), drops: names(&["email"]), ..read.clone() });
        assert!(after(&guard, &table, &[computed])[0].ends_with("which computes `new`"));
        let replaced = key(Plan { replaces: names(&["email"]), renames, ..read });
        assert!(after(&guard, &table, &[replaced]).is_empty());
    }

    #[test]
    fn a_tag_follows_its_column() {
        let exposed = |guard: &Guard, table: &TableSchema| Held::new(guard, table).exposed(guard, table);
        let tagged = |allowed: &[&str]| guard(&["shop.members.email", "shop.members.ssn"], allowed);
        let mut renamed = table(&["id", "mail", "note"]);
        renamed.lineage.add(names(&["mail"]), names(&["email"]), Tie::Renamed);
        let told = exposed(&tagged(&[]), &renamed);
        assert_eq!(
            told,
            ["column `mail` of shop.members, which was shop.members.email, tagged pii, comes out as it is"]
        );
        // by the name that it has, and by the one that is tagged
        for allowed in ["mail", "shop.members.mail", "email"] {
            assert_eq!(exposed(&tagged(&[allowed]), &renamed), [""; 0], "{allowed}");
        }
        assert_eq!(exposed(&tagged(&["note", "ssn"]), &renamed).len(), 1);
        // the name that is allowed was another column's
        let mut swapped = table(&["id", "email"]);
        swapped.lineage.add(names(&["email"]), names(&["ssn"]), Tie::Renamed);
        assert_eq!(exposed(&tagged(&["email"]), &swapped).len(), 1);
        // the table has another name, or was made like one
        let mut moved = TableSchema { table: "people".into(), ..table(&["id", "email"]) };
        assert_eq!(exposed(&tagged(&[]), &moved), [""; 0]);
        moved.lineage.add_table("shop", "members");
        assert!(
            exposed(&tagged(&[]), &moved)[0].contains("`email` of shop.people, which was shop.members.email")
        );
        // one suspicion is told, and all of it must be met
        let mut suspect = table(&["id", "note", "x"]);
        suspect.lineage.add(names(&["note", "x"]), names(&["email", "note"]), Tie::Unknown);
        assert_eq!(exposed(&tagged(&["x"]), &suspect).len(), 1);
        assert!(exposed(&tagged(&["x"]), &suspect)[0].contains("may be shop.members.email"));
        // too much to tell
        suspect.lineage.lost = true;
        let whole = guard(&["shop.members.note"], &["note", "id", "shop.members.x"]);
        assert_eq!(exposed(&whole, &suspect), [""; 0], "each can be allowed, one that is tagged too");
        assert_eq!(exposed(&guard(&["other.t.c"], &[]), &suspect).len(), 3);
        assert_eq!(exposed(&guard(&[], &[]), &suspect), [""; 0]);
    }

    #[test]
    fn a_tag_holds_for_what_its_column_was_called_before() {
        let mut later = table(&["id", "email", "note"]);
        later.lineage.add(names(&["email"]), names(&["mail", "m0"]), Tie::Renamed);
        later.lineage.add(names(&["sum"]), names(&["note"]), Tie::Computed);
        later.lineage.add_table("shop", "staging");
        later.lineage.add_like("shop", "origin", &Default::default());
        let known = |lineage: &forebay_model::Lineage| {
            let mut known = LaterNames::default();
            known.add(("shop", "members"), ["id", "email", "note", "sum"].into_iter(), lineage);
            Arc::new(known)
        };
        let exposed = |tags: &[&str], allowed: &[&str], at: &str, columns: &[&str]| {
            let mut guard = guard(tags, allowed);
            assert!(guard.learn(&known(&later.lineage)) && !guard.learn(&known(&later.lineage)));
            let table = TableSchema { table: at.into(), ..table(columns) };
            Held::new(&guard, &table).exposed(&guard, &table)
        };
        let told = [
            "column `mail` of shop.staging, which became shop.members.email, tagged pii, comes out as it is",
        ];
        assert_eq!(exposed(&["shop.members.email"], &[], "staging", &["id", "mail", "note"]), told);
        // by a name on the way, and the name that stayed while the table got another
        assert_eq!(exposed(&["shop.members.mail"], &[], "staging", &["id", "M0"]).len(), 1);
        assert_eq!(exposed(&["shop.members.note"], &[], "staging", &["id", "note"]).len(), 1);
        for allowed in ["mail", "shop.members.email", "shop.staging.mail"] {
            assert_eq!(
                exposed(&["shop.members.email"], &[allowed], "staging", &["mail"]),
                [""; 0],
                "{allowed}"
            );
        }
        // a copy is held as what it was made like is, and says so
        let mut copy = table(&["id", "name"]);
        copy.lineage.add_like("shop", "people", &Default::default());
        let aware = guard(&["shop.people.name"], &[]);
        let told =
            ["column `name` of shop.members, made like shop.people.name, tagged pii, comes out as it is"];
        assert_eq!(Held::new(&aware, &copy).exposed(&aware, &copy), told);
        // a table that it was made like is another one until it gets that name
        assert_eq!(exposed(&["shop.members.email"], &[], "origin", &["mail", "email"]), [""; 0]);
        // other tables, other columns, and what something was computed from
        assert_eq!(exposed(&["shop.members.email"], &[], "others", &["mail"]), [""; 0]);
        assert_eq!(exposed(&["shop.members.email"], &[], "staging", &["id", "note"]), [""; 0]);
        assert_eq!(exposed(&["shop.members.sum"], &[], "members", &["note"]), [""; 0]);
        // what the server computed then from a column that got its name later
        let mut early = TableSchema { table: "staging".into(), ..table(&["id", "mail", "low", "up"]) };
        early.lineage.compute("low", &names(&["mail"]));
        let mut aware = guard(&["shop.members.email"], &[]);
        aware.learn(&known(&later.lineage));
        assert_eq!(aware.held(&early), ["mail", "low"]);
        let why = aware.why(&early, "low").unwrap();
        assert_eq!((why.name.as_str(), why.tie), ("shop.members.email", Some(Tie::Computed)));
        let lost = forebay_model::Lineage { lost: true, ..later.lineage.clone() };
        let mut guard = guard(&["shop.members.email"], &[]);
        guard.learn(&known(&lost));
        assert!(guard.holds(&TableSchema { table: "staging".into(), ..table(&["any"]) }, "any"));
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
