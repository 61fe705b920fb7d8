//! What is captured: whether it is there, and what about it is worth knowing before the first row.

use super::facts::{Facts, Table};
use super::settings::{value, version};
use super::{Check, at_most, quoted};
use crate::mysql::Config;

/// No demand on a source that runs, since tables come and go; but who asks wants to know of a name that nothing has.
pub(super) fn captured(facts: &Facts, config: &Config) -> Check {
    let id = "tables";
    let absent: Vec<&str> = (config.tables.iter().filter(|p| p.is_exact()))
        .filter(|p| !facts.tables.iter().any(|t| p.matches(&t.database, &t.name)))
        .map(|p| p.as_str())
        .collect();
    let spelling = "check the spelling: upper and lower case differ; GRANT SELECT on it";
    if !absent.is_empty() {
        let finding = format!("there is no table {}, or the account may not see it", absent.join(", "));
        return Check::fail(id, finding, spelling);
    }
    let patterns: Vec<&str> = config.tables.iter().map(|p| p.as_str()).collect();
    let finding = format!("{} tables are captured by {}", facts.tables.len(), patterns.join(", "));
    if facts.tables.is_empty() { Check::advice(id, finding, spelling) } else { Check::ok(id, finding) }
}

fn names<'a>(tables: impl Iterator<Item = &'a Table>) -> Vec<String> {
    tables.map(|t| format!("{}.{}", t.database, t.name)).collect()
}

pub(super) fn keys(facts: &Facts) -> Check {
    let without: Vec<&Table> = facts.tables.iter().filter(|t| !t.has_key).collect();
    let Some(first) = without.first() else {
        return Check::ok("keys", "every captured table has a primary key");
    };
    let finding = format!("{} have no primary key", at_most(&names(without.iter().copied())));
    let fix = format!(
        "ALTER TABLE {}.{} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY; or make a PRIMARY KEY of columns \
         that it has",
        quoted(&first.database),
        quoted(&first.name)
    );
    Check::advice("keys", finding, fix)
}

pub(super) fn engines(facts: &Facts) -> Check {
    let other: Vec<&Table> =
        facts.tables.iter().filter(|t| !t.engine.eq_ignore_ascii_case("InnoDB")).collect();
    let Some(first) = other.first() else { return Check::ok("engines", "every captured table is InnoDB's") };
    let named: Vec<String> =
        other.iter().map(|t| format!("{}.{} ({})", t.database, t.name, t.engine)).collect();
    let finding = format!("{} are not transactional", at_most(&named));
    let fix = format!("ALTER TABLE {}.{} ENGINE = InnoDB", quoted(&first.database), quoted(&first.name));
    Check::advice("engines", finding, fix)
}

pub(super) fn system_versioning(facts: &Facts) -> Check {
    let id = "system_versioning";
    let versioned: Vec<&Table> = facts.tables.iter().filter(|t| t.versioned).collect();
    let Some(first) = versioned.first() else {
        return Check::ok(id, "no captured table is system-versioned");
    };
    let named = names(versioned.iter().copied());
    let finding = format!("{} are system-versioned: they are not read, and stand aside", at_most(&named));
    let (database, table) = (quoted(&first.database), quoted(&first.name));
    Check::advice(id, finding, format!("ALTER TABLE {database}.{table} DROP SYSTEM VERSIONING"))
}

/// Whether what foreign keys change is in the binlog: since MySQL 9.6 it is, unless it is switched back.
fn cascades_are_logged(facts: &Facts) -> bool {
    !facts.is_mariadb()
        && version(&facts.version) >= (9, 6)
        && value(&facts.settings, "innodb_native_foreign_keys").eq_ignore_ascii_case("OFF")
}

pub(super) fn cascades(facts: &Facts) -> Check {
    let id = "cascades";
    if facts.cascades.is_empty() {
        return Check::ok(id, "no foreign key changes rows of a captured table by itself");
    }
    if cascades_are_logged(facts) {
        return Check::ok(
            id,
            format!(
                "{} foreign keys change rows of captured tables, and the binlog has it",
                facts.cascades.len()
            ),
        );
    }
    let named: Vec<String> =
        facts.cascades.iter().map(|c| format!("{}.{} ({})", c.database, c.table, c.rules)).collect();
    let switched = version(&facts.version) >= (9, 6) && !facts.is_mariadb();
    let fix = if switched {
        "restart the server with --innodb-native-foreign-keys=OFF"
    } else {
        "upgrade to MySQL 9.6 or later, or let the application change the child rows, with the foreign key ON DELETE RESTRICT"
    };
    let finding = format!("changes that foreign keys make are not in the binlog: {}", at_most(&named));
    Check::advice(id, finding, fix)
}

pub(super) fn zero_dates(facts: &Facts) -> Check {
    let id = "zero_dates";
    let mode = value(&facts.settings, "sql_mode").to_ascii_uppercase();
    let has = |name: &str| mode.split(',').any(|m| m.trim() == name);
    let strict = has("STRICT_TRANS_TABLES") || has("STRICT_ALL_TABLES") || has("TRADITIONAL");
    let refused = strict && has("NO_ZERO_DATE") && has("NO_ZERO_IN_DATE");
    if facts.dates == 0 {
        return Check::ok(id, "no captured table has a column of dates");
    }
    let fix = "say in each sink what becomes of zero dates; and against new ones: SET PERSIST sql_mode = \
               CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE')";
    if !facts.zero_defaults.is_empty() {
        return Check::advice(id, format!("zero is the default of {}", at_most(&facts.zero_defaults)), fix);
    }
    if !refused {
        let finding = format!("sql_mode lets zero dates into {} columns of captured tables", facts.dates);
        return Check::advice(id, finding, fix);
    }
    Check::ok(id, "sql_mode lets no zero date in")
}
