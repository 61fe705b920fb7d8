//! Default character sets of databases, as of the stream's position: statements that make tables may not say theirs.

use super::history::History;
use super::lookup::Catalog;
use super::note::{self, Key};

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
