//! Where columns come from: carried on by statements where they say it, suspected where nobody does.
//!
//! A rule that names a column (it holds personal data) is to hold for the column whatever it is called later, so each version carries
//! earlier names ([`Lineage`]). A statement says exactly which column is which. Where a version follows another one and no statement
//! tells how (a change that is not in the binlog, a statement that was not understood, a table that took another's name), a column that is
//! new, stands elsewhere or has another type may be any of those that went, stood elsewhere or had another type. It stays so until the
//! column is dropped.

use std::sync::Arc;

use forebay_model::{Block, Lineage, TableSchema, Tie};

use super::history::History;
use super::note::{self, Key, full_name};
use super::sqltype::SqlType;
use super::version::{ColumnDef, Version, same_name, same_type};

/// Names whose last known version is remembered though no table has it now, or nobody knows what that looks like.
const BEFORE: usize = 1000;

impl Version {
    /// After a statement on `old` that renamed these columns, each given by its old and its new name.
    pub(super) fn descend(&mut self, old: &Version, renamed: &[(String, String)]) {
        let origin = |name: &str| match renamed.iter().find(|(_, new)| same_name(new, name)) {
            Some((was, _)) => Some(was.as_str()),
            // a column that got another name has left its own to another one
            None if renamed.iter().any(|(was, _)| same_name(was, name)) => None,
            None => old.find(name).map(|at| old.columns[at].name.as_str()),
        };
        let now = |was: &str| {
            let is = |c: &&ColumnDef| origin(&c.name).is_some_and(|from| same_name(from, was));
            self.columns.iter().find(is).map(|c| c.name.clone())
        };
        let names = |columns: &[ColumnDef], wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
            columns.iter().filter(|c| wanted(&c.name)).map(|c| c.name.clone()).collect()
        };
        let added = names(&self.columns, &|name| origin(name).is_none());
        let dropped = names(&old.columns, &|name| now(name).is_none());
        let mut lineage = Lineage { columns: Vec::new(), ..old.lineage.clone() };
        dropped.iter().for_each(|column| lineage.drop_column(column, &old.lineage));
        for (was, _) in renamed {
            let new = now(was).filter(|new| !same_name(new, was));
            lineage.add(new.into_iter().collect(), vec![was.clone()], Tie::Renamed);
        }
        for earlier in &old.lineage.columns {
            let kept = earlier.now.iter().filter_map(|was| now(was)).collect();
            lineage.add(kept, earlier.before.clone(), earlier.by);
            if earlier.now.iter().any(|was| dropped.contains(was)) {
                lineage.add(added.clone(), earlier.before.clone(), Tie::Replaced);
            }
        }
        lineage.add(added, dropped, Tie::Replaced);
        // where the server lets a column be renamed that others are computed from, they are computed from its new name
        for earlier in old.lineage.columns.iter().filter(|earlier| earlier.by == Tie::Computed) {
            let is_from =
                |(was, _): &&(String, String)| earlier.before.iter().any(|name| same_name(name, was));
            let from: Vec<String> = renamed.iter().filter(is_from).map(|(_, new)| new.clone()).collect();
            let kept = earlier.now.iter().filter_map(|was| now(was)).filter(|_| !from.is_empty());
            kept.for_each(|column| lineage.compute(&column, &from));
        }
        self.lineage = lineage;
    }

    /// The server computes these columns from columns that are among these words. They may stand in any order: one that is computed from
    /// another gets all that this one is computed from.
    pub(super) fn compute_all(&mut self, mut computed: Vec<(&str, &[String])>) {
        computed.retain(|(_, words)| !words.is_empty());
        loop {
            let before = self.lineage.clone();
            computed.iter().for_each(|(column, words)| self.compute(column, words));
            if self.lineage == before {
                return;
            }
        }
    }

    /// The server computes a column from those that are among these words.
    pub(super) fn compute(&mut self, column: &str, words: &[String]) {
        let is_other =
            |c: &&ColumnDef| !same_name(&c.name, column) && words.iter().any(|word| same_name(word, &c.name));
        let from: Vec<String> = self.columns.iter().filter(is_other).map(|c| c.name.clone()).collect();
        self.lineage.compute(column, &from);
    }

    /// After `before`, and nobody says how.
    pub(super) fn follow(&mut self, before: &Version) {
        // as statements spell types, they cannot be compared
        let typed = self.proved && before.proved;
        let differs = |a: &ColumnDef, b: &ColumnDef| typed && !same_type(&a.ty, &b.ty);
        let mut lineage = std::mem::take(&mut self.lineage);
        let here = |was: &str| self.find(was).map(|at| &self.columns[at]);
        let mut stays = 0;
        for column in &before.columns {
            let place = self.find(&column.name).filter(|&at| !differs(column, &self.columns[at]));
            match place {
                Some(at) if at >= stays => stays = at + 1,
                _ => stays = usize::MAX,
            }
        }
        // all are there, in their order: what is between them is new
        let is_whole = stays < usize::MAX;
        let moved = |from: &[ColumnDef], to: &Version| -> Vec<String> {
            let moved = from.iter().enumerate().filter(|(i, column)| {
                to.find(&column.name).is_none_or(|at| at != *i || differs(column, &to.columns[at]))
            });
            moved.map(|(_, column)| column.name.clone()).collect()
        };
        let (gone, came) = match is_whole {
            true => Default::default(),
            false => (moved(&before.columns, self), moved(&self.columns, before)),
        };
        let earlier = &before.lineage;
        lineage.merge(Lineage { columns: Vec::new(), ..earlier.clone() });
        let dropped = before.columns.iter().filter(|column| here(&column.name).is_none());
        dropped.for_each(|column| lineage.drop_column(&column.name, earlier));
        for earlier in &earlier.columns {
            let kept = earlier.now.iter().filter_map(|was| here(was)).map(|c| c.name.clone()).collect();
            lineage.add(kept, earlier.before.clone(), earlier.by);
            if earlier.now.iter().any(|was| gone.contains(was)) {
                lineage.add(came.clone(), earlier.before.clone(), Tie::Unknown);
            }
        }
        lineage.add(came, gone, Tie::Unknown);
        self.lineage = lineage;
    }
}

impl History {
    /// What a name's table was known to be last.
    fn last_known(&self, key: &Key) -> Option<&Version> {
        self.tables.get(key).and_then(Option::as_ref).or_else(|| self.before.get(key))
    }

    /// A version that somebody says without saying what became of the one before.
    pub(super) fn traced(&self, key: &Key, mut version: Version) -> Version {
        if let Some(computed) = self.computed.get(key) {
            version.lineage.merge(computed.clone());
        }
        if let Some(before) = self.last_known(key) {
            version.follow(before);
        }
        version
    }

    /// The server says what of a known table it computes from what: statements may not have.
    pub(super) fn learn_computed(&mut self, key: &Key, said: &Lineage) {
        let Some(Some(known)) = self.tables.get_mut(key) else { return };
        let before = known.lineage.clone();
        known.lineage.merge(said.clone());
        if known.lineage != before {
            self.stage(key);
        }
    }

    /// A name's table is gone, or not known any more.
    pub(super) fn remember(&mut self, key: &Key, version: Version) {
        if !self.captures(key) {
            return;
        }
        self.forget(key);
        if self.before.len() >= BEFORE
            && let Some(first) = self.before.iter().min_by_key(|(_, v)| v.gone).map(|(key, _)| key.clone())
        {
            tracing::warn!(table = full_name(&first), "too many tables that are gone: not remembered");
            self.forget(&first);
        }
        let gone = self.before.values().map(|v| v.gone).max().unwrap_or(0) + 1;
        self.staged.insert(note::before_key(key), key.clone());
        self.before.insert(key.clone(), Version { gone, ..version });
    }

    /// A name's table is known.
    pub(super) fn forget(&mut self, key: &Key) {
        if self.before.remove(key).is_some() {
            self.staged.insert(note::before_key(key), key.clone());
        }
    }

    /// A table that is made column for column like one whose name its own has in it: the copy of an online schema change. What becomes of
    /// its columns before it takes the other's place is told, as if it had been made LIKE that.
    pub(super) fn copied(&self, key: &Key, mut made: Version) -> Version {
        let names =
            |version: &Version| version.columns.iter().map(|c| c.name.to_lowercase()).collect::<Vec<_>>();
        let columns = names(&made);
        for (other, known) in &self.tables {
            if let Some(known) = known
                && (other.0 == key.0 && other != key && key.1.contains(&other.1))
                && names(known) == columns
            {
                made.lineage.add_like(&other.0, &other.1, &known.lineage);
            }
        }
        made
    }

    /// What takes the name `to` when the table `from`, which is this, gets it. To be asked before it does.
    pub(super) fn carried(&mut self, from: &Key, to: &Key, version: Option<Version>) -> Option<Version> {
        let old = self.last_known(from).cloned();
        if let Some(old) = &old {
            self.remember(from, old.clone());
        }
        let took = |history: &Self, mut version: Version| {
            // one that was made like it, or had the name before, says by itself what became of each column
            let is_told = version.lineage.tables.contains(to);
            version.lineage.add_table(&from.0, &from.1);
            if is_told { version } else { history.traced(to, version) }
        };
        match (version, old) {
            (Some(version), _) => Some(took(self, version)),
            (None, Some(old)) => {
                let old = took(self, old);
                self.remember(to, old);
                None
            }
            (None, None) => None,
        }
    }

    /// A table that was read otherwise than by the stream, with what is known of its past.
    pub(super) fn with_past(&self, table: &Arc<TableSchema>) -> Arc<TableSchema> {
        let Some(before) = self.last_known(&self.key(&table.database, &table.table)) else {
            return table.clone();
        };
        let column = |name: &str| ColumnDef {
            name: name.to_owned(),
            ty: SqlType::default(),
            nullable: true,
            charset: None,
        };
        let columns = table.columns.iter().map(|c| column(&c.name)).collect();
        let mut version = Version::new(columns, Vec::new(), None);
        version.lineage.clone_from(&table.lineage);
        version.follow(before);
        if version.lineage == table.lineage {
            return table.clone();
        }
        TableSchema { lineage: version.lineage, ..TableSchema::clone(table) }.shared()
    }

    /// Rows that were read otherwise than by the stream, with what is known of their tables' past.
    pub(crate) fn block_with_past(&self, mut block: Block) -> Block {
        for batch in &mut block.batches {
            batch.table = self.with_past(&batch.table);
        }
        block
    }
}
