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

/// SELECT on what is captured. A pattern with wildcards means tables that the account cannot see too: only a grant on the
/// whole of it says that there are none. Without one, what the account may read is read, and the rest is advised of.
pub(super) fn select(facts: &Facts, config: &Config) -> Check {
    let (grants, user) = (&facts.grants, &facts.user);
    let (mut lacking, mut partly) = (Vec::new(), Vec::new());
    for pattern in &config.tables {
        let (database, table) = pattern.as_str().split_once('.').unwrap_or((pattern.as_str(), "*"));
        let wild = |name: &str| name.contains(['*', '?']);
        if pattern.is_exact() {
            if !grants.on("SELECT", database, Some(table)) {
                lacking.push(format!("GRANT SELECT ON {}.{} TO {user}", quoted(database), quoted(table)));
            }
            continue;
        }
        // a database that the pattern means as well as any other
        let any = database.replace('*', "zq").replace('?', "z");
        if grants.on("SELECT", &any, None) {
            continue;
        }
        let on = if wild(database) { "*.*".to_owned() } else { format!("{}.*", quoted(database)) };
        let grant = format!("GRANT SELECT ON {on} TO {user}");
        let mut meant = facts.tables.iter().filter(|t| pattern.matches(&t.database, &t.name)).peekable();
        if meant.peek().is_none() || meant.any(|t| !grants.on("SELECT", &t.database, Some(&t.name))) {
            lacking.push(grant);
        } else {
            partly.push((pattern, grant));
        }
    }
    if !lacking.is_empty() {
        return Check::fail("select", format!("{user} lacks SELECT on captured tables"), lacking.join("; "));
    }
    if partly.is_empty() {
        return Check::ok("select", format!("{user} may read the captured tables"));
    }
    let (patterns, grants): (Vec<String>, Vec<String>) =
        partly.into_iter().map(|(pattern, grant)| (pattern.to_string(), grant)).unzip();
    let finding = format!(
        "{user} may read the tables of {} that it sees, and cannot see whether there are others: their changes would be told \
         without the rows that they have",
        patterns.join(", ")
    );
    Check::advice("select", finding, grants.join("; "))
}
