//! What the account may do.

use super::facts::Facts;
use super::{Check, quoted};
use crate::mysql::Config;

/// A privilege that is needed everywhere, under one of its names.
pub(super) fn everywhere(facts: &Facts, id: &'static str, names: &[&str]) -> Check {
    let (user, name) = (&facts.user, names[0]);
    if names.iter().any(|name| facts.grants.everywhere(name)) {
        Check::ok(id, format!("{user} has {name}"))
    } else {
        Check::fail(id, format!("{user} lacks {name}"), format!("GRANT {name} ON *.* TO {user}"))
    }
}

/// SELECT on what is captured. A pattern with wildcards is met by what it means now: the account sees only tables that
/// it may read, so a pattern that means none of them is not.
pub(super) fn select(facts: &Facts, config: &Config) -> Check {
    let (grants, user) = (&facts.grants, &facts.user);
    let mut fixes = Vec::new();
    for pattern in &config.tables {
        let (database, table) = pattern.as_str().split_once('.').unwrap_or((pattern.as_str(), "*"));
        let wild = |name: &str| name.contains(['*', '?']);
        if pattern.is_exact() {
            if !grants.on("SELECT", database, Some(table)) {
                fixes.push(format!("GRANT SELECT ON {}.{} TO {user}", quoted(database), quoted(table)));
            }
            continue;
        }
        if !wild(database) && grants.on("SELECT", database, None) || grants.everywhere("SELECT") {
            continue;
        }
        let mut meant = facts.tables.iter().filter(|t| pattern.matches(&t.database, &t.name)).peekable();
        if meant.peek().is_none() || meant.any(|t| !grants.on("SELECT", &t.database, Some(&t.name))) {
            let on = if wild(database) { "*.*".to_owned() } else { format!("{}.*", quoted(database)) };
            fixes.push(format!("GRANT SELECT ON {on} TO {user}"));
        }
    }
    if fixes.is_empty() {
        return Check::ok("select", format!("{user} may read the captured tables"));
    }
    Check::fail("select", format!("{user} lacks SELECT on captured tables"), fixes.join("; "))
}
