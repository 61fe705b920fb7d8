//! Turns an outbox table into events, as Debezium's outbox event router does:
//!
//! ```json
//! {"route_by":   "aggregatetype",
//!  "key":        "aggregateid",
//!  "id":         "id",
//!  "payload":    "payload",
//!  "additional": {"type": "eventType"},
//!  "on_update":  "warn"}
//! ```
//!
//! What stands here is what holds without it, but for `additional`, which is empty. Inserted rows pass, and rows read by a
//! snapshot; deletes are dropped: they are the application's housekeeping. An update of an outbox row is a mistake of the
//! application: `warn` drops it and writes a line into the log, `drop` says nothing, `reject` puts it to the dead letters.
//!
//! An event goes to the place that `route_by` names: the sink puts it behind the name of its destination. Letters,
//! digits, `_`, `-` and `.` stay, any other character, and a `.` at the start, becomes `_`. The event's key is `key`; what is left
//! of the row is `id`, `key`, `payload`, and the columns of `additional` under the names that stand behind them.

use std::collections::BTreeMap;

use forebay_plugin::{
    Batch, Cell, Error, Level, Output, Plan, Problems, Reject, TableSchema, TextWriter, Transform, log,
};
use serde::Deserialize;

/// The route's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    route_by: String,
    key: String,
    id: String,
    payload: String,
    additional: BTreeMap<String, String>,
    on_update: OnUpdate,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            route_by: "aggregatetype".to_owned(),
            key: "aggregateid".to_owned(),
            id: "id".to_owned(),
            payload: "payload".to_owned(),
            additional: BTreeMap::new(),
            on_update: OnUpdate::default(),
        }
    }
}

/// What becomes of an update.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnUpdate {
    #[default]
    Warn,
    Drop,
    Reject,
}

// `batch.kinds`
const INSERT: u8 = 1;
const AFTER: u8 = 3;

/// The longest place that the router takes.
const PLACE: usize = 200;

struct Outbox {
    plan: Plan,
    on_update: OnUpdate,
}

impl Transform for Outbox {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let route_by = problems.at("route_by", table.text_column(&config.route_by));
        let key = problems.at("key", table.column(&config.key));
        if key.is_some_and(|key| table.def(key).nullable) {
            problems.schema("key", format!("column `{}` can be NULL, so it cannot be the key", config.key));
        }
        let mut kept: Vec<Option<&str>> = vec![None; table.columns.len()];
        let own = [("id", &config.id), ("key", &config.key), ("payload", &config.payload)];
        for (path, name) in own {
            if let Some(column) = problems.at(path, table.column(name)) {
                kept[column as usize] = Some(name);
            }
        }
        for (name, alias) in &config.additional {
            let path = format!("additional.{name}");
            let Some(column) = problems.at(&path, table.column(name)) else { continue };
            if own.iter().any(|(_, own)| *own == name) {
                problems.config(path, format!("column `{name}` is there already"));
                continue;
            }
            if alias.is_empty() || kept.iter().flatten().any(|other| other.eq_ignore_ascii_case(alias)) {
                problems.config(path, "that name is taken already, or empty");
            }
            kept[column as usize] = Some(alias);
        }
        problems.finish()?;
        let mut plan = Plan::default().with_kinds().filtering().routing().key([config.key.as_str()]);
        for (column, kept) in (0..).zip(&kept) {
            plan = match kept {
                None => plan.drop(column),
                Some(name) if *name != table.def(column).name => plan.rename(column, *name),
                Some(_) => plan,
            };
        }
        let plan = route_by.into_iter().fold(plan, Plan::read);
        Ok(Outbox { plan, on_update: config.on_update })
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn apply(&self, batch: Batch) -> Result<Output, Error> {
        let types = batch.columns[0].texts()?;
        let mut places = TextWriter::with_capacity(types.len(), 0);
        let mut keep = Vec::with_capacity(types.len());
        let mut rejects = Vec::new();
        let mut updates = 0;
        for (row, (&kind, of)) in batch.kinds.iter().zip(types.iter()).enumerate() {
            let reject = match (kind, of) {
                (AFTER, _) => {
                    updates += 1;
                    (self.on_update == OnUpdate::Reject).then_some("a row of an outbox table was updated")
                }
                (..=INSERT, Cell::Value(of)) => unfit(of),
                (..=INSERT, Cell::Null) => Some("the column that names the place is NULL"),
                (..=INSERT, Cell::Absent) => Some(
                    "the column that names the place is not in the row image: set binlog_row_image = FULL",
                ),
                _ => None,
            };
            let passes = kind <= INSERT && reject.is_none();
            rejects.extend(reject.map(|reason| Reject { row: row as u32, reason: reason.to_owned() }));
            keep.push(u8::from(passes));
            let place = if passes { of } else { Cell::Null };
            places.push(place, write_place);
        }
        if updates > 0 && self.on_update == OnUpdate::Warn {
            log(
                Level::Warn,
                &format!("{updates} updates of rows of an outbox table were dropped: rows are only inserted"),
            );
        }
        Ok(Output { keep, rejects, routing: Some(places.finish()), ..Output::default() })
    }
}

/// Why a text names no place.
fn unfit(of: &str) -> Option<&'static str> {
    if of.is_empty() {
        return Some("the column that names the place is empty");
    }
    (of.chars().count() > PLACE).then_some("the column that names the place has more than 200 characters")
}

fn write_place(of: &str, out: &mut String) {
    let start = out.len();
    for c in of.chars() {
        let fits = c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || c == '.' && out.len() > start;
        out.push(if fits { c } else { '_' });
    }
}

forebay_plugin::export!(Outbox);

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_plugin::LogicalType::{Integer, Json, Text};
    use forebay_plugin::testing::{run_kinds, table, texts};

    fn outbox() -> TableSchema {
        let mut table = table([
            ("id", Text),
            ("aggregatetype", Text),
            ("aggregateid", Text),
            ("type", Text),
            ("payload", Json),
            ("tenant", Integer),
        ]);
        table.columns[2].nullable = false;
        table
    }

    fn run(config: &str, images: &[(u8, Cell<&str>)]) -> (Plan, Output) {
        let kinds = images.iter().map(|(kind, _)| *kind).collect();
        run_kinds::<Outbox>(&outbox(), config, kinds, vec![texts(images.iter().map(|(_, of)| *of))]).unwrap()
    }

    #[test]
    fn inserts_go_to_their_place() {
        let images = [
            (0, Cell::Value("Order")),
            (1, Cell::Value("..über/Kunde 1")),
            (2, Cell::Value("Order")),
            (3, Cell::Value("Order")),
            (4, Cell::Value("Order")),
            (1, Cell::Null),
            (1, Cell::Absent),
            (1, Cell::Value("")),
            (4, Cell::Absent),
        ];
        let (plan, output) = run("{}", &images);
        let want = Plan::default().with_kinds().filtering().routing().key(["aggregateid"]);
        assert_eq!(plan, want.drop(1).drop(3).drop(5).read(1));
        assert_eq!(output.keep, [1, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(output.rejects.iter().map(|r| r.row).collect::<Vec<_>>(), [5, 6, 7]);
        let routing = output.routing.unwrap();
        let places: Vec<_> = routing.texts().unwrap().iter().map(Cell::value).collect();
        assert_eq!(places[..3], [Some("Order"), Some("_._ber_Kunde_1"), None]);
    }

    #[test]
    fn an_update_can_be_a_reject() {
        let update = [(2, Cell::Value("Order")), (3, Cell::Value("Order"))];
        assert!(run(r#"{"on_update": "drop"}"#, &update).1.rejects.is_empty());
        let (_, output) = run(r#"{"on_update": "reject"}"#, &update);
        assert_eq!((output.keep, output.rejects.len()), (vec![0, 0], 1));
    }

    #[test]
    fn names_can_be_chosen_and_are_checked() {
        let config = r#"{"route_by": "type", "key": "aggregateid", "additional": {"tenant": "tenant_id", "type": "eventType"}}"#;
        let plan = run(config, &[(1, Cell::Value("x"))]).0;
        let want = Plan::default().with_kinds().filtering().routing().key(["aggregateid"]);
        assert_eq!(plan, want.drop(1).rename(3, "eventType").rename(5, "tenant_id").read(3));
        let config = r#"{"route_by": "tenant", "key": "type", "payload": "body", "additional": {"id": "x", "tenant": "ID", "no": "y"}}"#;
        let Err(Error::Config(problems)) = run_kinds::<Outbox>(&outbox(), config, vec![1], Vec::new()) else {
            panic!("it was taken")
        };
        let said: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
        assert_eq!(
            said,
            [
                "route_by: column `tenant` is bigint, not text",
                "key: column `type` can be NULL, so it cannot be the key",
                "payload: table shop.customers has no column `body`",
                "additional.id: column `id` is there already",
                "additional.no: table shop.customers has no column `no`",
                "additional.tenant: that name is taken already, or empty",
            ]
        );
    }
}
