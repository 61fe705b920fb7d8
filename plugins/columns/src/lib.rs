//! Chooses, renames and adds columns:
//!
//! ```json
//! {"include":   ["id", "state", "pbf_*"],
//!  "exclude":   ["*_internal"],
//!  "rename":    {"pbf_rate": "body_fat_pct"},
//!  "constants": {"country": "AU", "version": 3, "active": true, "remark": null,
//!                "fee":     {"value": "1.50", "type": "decimal(10,2)"}},
//!  "metadata":  {"op": "__op", "commit_time": "__at", "gtid": "__gtid", "offset": "__offset",
//!                "source": "__source", "database": "__db", "table": "__table", "deleted": "__gone"},
//!  "deleted":   {"column": "__deleted"},
//!  "key":       ["id"],
//!  "missing":   "error"}
//! ```
//!
//! Every setting may be left out. `*` stands for any characters, `?` for one. What is included, less what is excluded,
//! keeps the table's order; constants and metadata follow. `deleted` keeps deleted rows: a delete becomes an update that
//! sets the column from 0 to 1. `key` names columns of the result. A name that the table has not is an error, unless
//! `missing` is `ignore`.
//!
//! All of it is in the plan, so nothing ever crosses into the plugin: it costs nothing for each row but the new cells.

mod config;
mod constant;
mod layout;

use forebay_plugin::{Error, Plan, Problems, TableSchema, Transform};

use config::Config;
use layout::Layout;

struct Columns {
    plan: Plan,
}

impl Transform for Columns {
    type Config = Config;

    fn open(table: &TableSchema, config: Config) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let mut layout = Layout::new(table, config.missing);
        layout.choose(config.include.as_deref(), &config.exclude, &mut problems);
        layout.rename(&config.rename, &mut problems);
        for (name, value) in config.constants {
            layout.constant(&name, value, &mut problems);
        }
        for (word, what, name) in config.metadata.wanted() {
            layout.stamp(word, what, name, &mut problems);
        }
        if let Some(deleted) = &config.deleted {
            layout.keep_deleted(&deleted.column, &mut problems);
        }
        let plan = layout.plan(config.key, &mut problems);
        problems.finish()?;
        Ok(Columns { plan })
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }
}

forebay_plugin::export!(Columns);

#[cfg(test)]
mod tests;
