//! Databases: which are watched, and their default character sets as of the stream's position: statements that make tables may not say theirs.

use forebay_model::TablePattern;

use super::history::History;
use super::lookup::Catalog;
use super::note::{self, Key};
use crate::mysql::Config;

impl History {
    /// What the server says, of databases that nothing was noted of: that would be of the stream's place, and this is of a later one.
    pub(super) fn learn_databases(&mut self, catalog: &Catalog) {
        for (database, charset) in &catalog.databases {
            self.databases.entry(database.clone()).or_insert_with(|| charset.clone());
        }
    }

    /// Sets a database's default character set; `None` = there is no such database.
    pub(super) fn set_database(&mut self, name: String, charset: Option<String>) {
        if let Some(catalog) = &mut self.catalog {
            catalog.databases.remove(&name);
        }
        let same = self.noted_databases && self.databases.get(&name) == charset.as_ref();
        if !same {
            self.noted_databases = true;
            self.staged.insert(note::DATABASES.to_owned(), Key::default());
        }
        match charset {
            Some(charset) => self.databases.insert(name, charset),
            None => self.databases.remove(&name),
        };
    }
}

/// Whether some table of the database may be captured.
pub(super) fn watches(config: &Config, database: &str) -> bool {
    let of_database = |pattern: &TablePattern| {
        let wanted = pattern.as_str().split_once('.').map_or("*", |(database, _)| database);
        TablePattern::new(&format!("{wanted}.*")).is_ok_and(|p| p.matches(database, "any"))
    };
    !crate::mysql::config::SYSTEM.contains(&database) && config.tables.iter().any(of_database)
}
