//! What an account may do, read from SHOW GRANTS.
//!
//! Format: MySQL Reference Manual, "SHOW GRANTS Statement" and "Privilege Restriction Using Partial Revokes".

/// Privileges of an account, its active roles included.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    granted: Vec<Grant>,
    /// Partial revokes: on whole databases only.
    revoked: Vec<Grant>,
}

#[derive(Debug, PartialEq)]
struct Grant {
    /// Upper case; privileges on single columns are left out.
    privileges: Vec<String>,
    /// `None` = everywhere.
    database: Option<String>,
    /// `None` = every table.
    table: Option<String>,
}

impl Grants {
    /// Reads the lines of SHOW GRANTS; lines about roles and proxies say nothing by themselves.
    pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut grants = Grants::default();
        for line in lines {
            if let Some(rest) = line.strip_prefix("GRANT ") {
                grants.granted.extend(Grant::parse(rest, " TO "));
            } else if let Some(rest) = line.strip_prefix("REVOKE ") {
                grants.revoked.extend(Grant::parse(rest, " FROM "));
            }
        }
        grants
    }

    /// Whether a privilege is held everywhere.
    pub(crate) fn everywhere(&self, privilege: &str) -> bool {
        self.granted.iter().any(|g| g.database.is_none() && g.has(privilege))
    }

    /// Whether a privilege is held on a table; `None` = on every table of the database.
    pub(crate) fn on(&self, privilege: &str, database: &str, table: Option<&str>) -> bool {
        let revoked = self
            .revoked
            .iter()
            .any(|g| g.has(privilege) && g.database.as_deref().is_some_and(|d| like(d, database)));
        self.granted.iter().any(|g| {
            let here = match (&g.database, &g.table) {
                (None, _) => !revoked,
                (Some(d), None) => like(d, database),
                (Some(d), Some(t)) => d == database && Some(t.as_str()) == table,
            };
            here && g.has(privilege)
        })
    }
}

impl Grant {
    /// Reads `SELECT, INSERT ON `db`.* TO ...` behind its first word.
    fn parse(text: &str, before_account: &str) -> Option<Grant> {
        let (privileges, rest) = text.split_once(" ON ")?;
        let (object, _) = rest.rsplit_once(before_account)?;
        let object = object.strip_prefix("TABLE ").unwrap_or(object);
        let (database, rest) = name(object)?;
        let (table, _) = name(rest.strip_prefix('.')?)?;
        let mut depth = 0;
        let split = privileges.split(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        });
        let privileges = split.map(|p| p.trim().to_ascii_uppercase()).filter(|p| !p.contains('(')).collect();
        Some(Grant { privileges, database, table })
    }

    fn has(&self, privilege: &str) -> bool {
        self.privileges.iter().any(|p| p == privilege || p == "ALL PRIVILEGES" || p == "ALL")
    }
}

/// A name in backquotes, or `*`; and what follows.
fn name(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((None, rest));
    }
    let body = text.strip_prefix('`')?;
    let mut name = String::new();
    let mut chars = body.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '`' {
            name.push(c);
        } else if chars.next_if(|(_, next)| *next == '`').is_some() {
            name.push('`');
        } else {
            return Some((Some(name), &body[at + 1..]));
        }
    }
    None
}

/// Whether a grant's database, in which `%` and `_` are wildcards unless escaped, means this one.
fn like(pattern: &str, database: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return database.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let mut name = database.chars();
    match first {
        '%' => database
            .char_indices()
            .map(|(i, _)| i)
            .chain([database.len()])
            .any(|i| like(rest, &database[i..])),
        '_' => name.next().is_some() && like(rest, name.as_str()),
        '\\' if rest.starts_with(['%', '_', '\\']) => {
            let escaped = rest.chars().next();
            name.next() == escaped && like(&rest[1..], name.as_str())
        }
        c => name.next() == Some(c) && like(rest, name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        Grants::parse(lines.iter().copied())
    }

    #[test]
    fn as_a_server_prints_them() {
        let g = grants(&[
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`",
            "GRANT SELECT ON `active`.* TO `cdc`@`%`",
            "GRANT SELECT (`a`, `b`), INSERT ON `other`.`t` TO `cdc`@`%`",
            "GRANT SELECT, UPDATE ON `other`.`we``ird. ON x` TO `cdc`@`%`",
            "GRANT `reader`@`%` TO `cdc`@`%`",
            "GRANT USAGE ON *.* TO `cdc`@`%`",
        ]);
        assert!(g.everywhere("REPLICATION SLAVE") && g.everywhere("REPLICATION CLIENT"));
        assert!(!g.everywhere("SELECT"));
        assert!(g.on("SELECT", "active", None) && g.on("SELECT", "active", Some("t")));
        assert!(!g.on("SELECT", "other", Some("t")), "single columns are not enough");
        assert!(!g.on("SELECT", "other", None) && !g.on("SELECT", "activ", None));
        assert!(g.on("SELECT", "other", Some("we`ird. ON x")));
    }

    #[test]
    fn all_privileges_and_partial_revokes() {
        let g = grants(&[
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            "REVOKE SELECT ON `secret`.* FROM `root`@`localhost`",
        ]);
        assert!(g.everywhere("REPLICATION SLAVE") && g.on("SELECT", "any", None));
        assert!(!g.on("SELECT", "secret", Some("t")));
    }

    #[test]
    fn databases_with_wildcards() {
        assert!(like("my\\_db", "my_db") && !like("my\\_db", "myxdb"));
        assert!(like("my_db", "myxdb") && like("shop%", "shop") && like("%_a", "bca") && !like("%_a", "a"));
    }
}
