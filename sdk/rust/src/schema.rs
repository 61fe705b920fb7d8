//! Reading a table's schema and writing a plan.

use crate::{
    Column, ColumnDef, Constant, Edit, Error, Layout, LogicalType, Metadata, Output, Plan, Rename, Retype,
    Stamp, TableSchema,
};

impl TableSchema {
    /// The index of a column; names are compared exactly.
    ///
    /// # Errors
    /// [`Error::Schema`] that names the column and the table.
    pub fn column(&self, name: &str) -> Result<u32, Error> {
        if let Some(index) = self.columns.iter().position(|c| c.name == name) {
            return Ok(index as u32);
        }
        let alike = self.columns.iter().find(|c| c.name.to_lowercase() == name.to_lowercase());
        let hint = alike.map_or(String::new(), |c| format!("; it has `{}`: write it like that", c.name));
        let message = format!("table {}.{} has no column `{name}`{hint}", self.database, self.table);
        Err(Error::schema("", message))
    }

    /// The indexes of the columns whose names match a pattern: `*` stands for any characters, `?` for one.
    ///
    /// # Errors
    /// [`Error::Schema`] if there is none.
    pub fn columns_like(&self, pattern: &str) -> Result<Vec<u32>, Error> {
        if !pattern.contains(['*', '?']) {
            return self.column(pattern).map(|index| vec![index]);
        }
        let found = self.columns.iter().enumerate().filter(|(_, c)| is_like(&c.name, pattern));
        let found: Vec<u32> = found.map(|(index, _)| index as u32).collect();
        if found.is_empty() {
            let table = format!("{}.{}", self.database, self.table);
            return Err(Error::schema("", format!("table {table} has no column like `{pattern}`")));
        }
        Ok(found)
    }

    /// As [`column`](Self::column), of a text column (CHAR, VARCHAR, TEXT, ENUM, SET).
    ///
    /// # Errors
    /// [`Error::Schema`] if there is none of the name, or it is something else than text.
    pub fn text_column(&self, name: &str) -> Result<u32, Error> {
        let index = self.column(name)?;
        let def = self.def(index);
        if def.logical == LogicalType::Text {
            return Ok(index);
        }
        Err(Error::schema("", format!("column `{name}` is {}, not text", def.native_type)))
    }

    /// The column at an index from [`column`](Self::column).
    ///
    /// # Panics
    /// If there is none.
    pub fn def(&self, column: u32) -> &ColumnDef {
        &self.columns[column as usize]
    }
}

/// Whether a name matches a pattern of `*` and `?`. Goes back to the last `*` only, so it takes no longer than the product
/// of the lengths.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut n, mut p) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                n += 1;
                p += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl ColumnDef {
    /// A text column; `characters` = the longest text, in characters.
    pub fn text(name: &str, characters: usize, nullable: bool) -> ColumnDef {
        let native_type = if characters <= 16_383 { format!("varchar({characters})") } else { String::new() };
        ColumnDef {
            name: name.to_owned(),
            logical: LogicalType::Text,
            layout: Layout::Text,
            nullable,
            native_type,
        }
    }
}

impl Default for Plan {
    /// Changes nothing.
    fn default() -> Plan {
        Plan {
            reads: Vec::new(),
            edits: Vec::new(),
            filters: false,
            needs_kinds: false,
            routes: false,
            key: None,
            keeps_deleted: false,
        }
    }
}

impl Plan {
    /// `apply` is given this column; again for a column already read does nothing.
    #[must_use]
    pub fn read(mut self, column: u32) -> Plan {
        if !self.reads.contains(&column) {
            self.reads.push(column);
        }
        self
    }

    /// Leaves a column out of the result.
    #[must_use]
    pub fn drop(self, column: u32) -> Plan {
        self.edit(Edit::Drop(column))
    }

    /// Gives a column another name.
    #[must_use]
    pub fn rename(self, column: u32, name: impl Into<String>) -> Plan {
        self.edit(Edit::Rename(Rename { column, name: name.into() }))
    }

    /// Makes every cell of a column NULL.
    #[must_use]
    pub fn nullify(self, column: u32) -> Plan {
        self.edit(Edit::Nullify(column))
    }

    /// `apply` returns new cells for a column.
    #[must_use]
    pub fn replace(self, column: u32) -> Plan {
        self.edit(Edit::Replace(column))
    }

    /// `apply` returns new cells for a column, which becomes what `def` says.
    #[must_use]
    pub fn retype(self, column: u32, def: ColumnDef) -> Plan {
        self.edit(Edit::Retype(Retype { column, def }))
    }

    /// `apply` returns the cells of a new column.
    #[must_use]
    pub fn append(self, def: ColumnDef) -> Plan {
        self.edit(Edit::Append(def))
    }

    /// A new column with the same cell in every image: `cell` is a column of one cell, as
    /// [`Column::of_text`] makes it.
    #[must_use]
    pub fn constant(self, def: ColumnDef, cell: Column) -> Plan {
        self.edit(Edit::Constant(Constant { def, value: cell }))
    }

    /// A new column of what the router knows of each change.
    #[must_use]
    pub fn stamp(self, what: Metadata, name: impl Into<String>) -> Plan {
        self.edit(Edit::Stamp(Stamp { what, name: name.into() }))
    }

    /// The columns of the result, by name, that tell its rows apart from here on.
    #[must_use]
    pub fn key<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Plan {
        self.key = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Deleted rows are kept: the event becomes an update, in which the stamp of [`Metadata::Deleted`], added here under
    /// this name, changes from 0 to 1.
    #[must_use]
    pub fn keeping_deleted(mut self, name: impl Into<String>) -> Plan {
        self.keeps_deleted = true;
        self.stamp(Metadata::Deleted, name)
    }

    /// `apply` may choose where images go ([`Output::routing`]).
    #[must_use]
    pub fn routing(mut self) -> Plan {
        self.routes = true;
        self
    }

    /// `apply` may drop and reject images.
    #[must_use]
    pub fn filtering(mut self) -> Plan {
        self.filters = true;
        self
    }

    /// `apply` is given the images' kinds.
    #[must_use]
    pub fn with_kinds(mut self) -> Plan {
        self.needs_kinds = true;
        self
    }

    fn edit(mut self, edit: Edit) -> Plan {
        self.edits.push(edit);
        self
    }
}

impl Default for Output {
    /// No computed columns; every image kept.
    fn default() -> Output {
        Output { columns: Vec::new(), keep: Vec::new(), rejects: Vec::new(), routing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::table;

    #[test]
    fn patterns() {
        for (name, pattern, want) in [
            ("pbf_rate", "pbf_*", true),
            ("pbf", "pbf_*", false),
            ("a_b_c", "*_?", true),
            ("été", "?t?", true),
            ("abcbd", "a*b?", true),
            ("abcbd", "a*bc", false),
            ("", "*", true),
            ("a", "", false),
        ] {
            assert_eq!(is_like(name, pattern), want, "{name} {pattern}");
        }
        let table =
            table([("id", LogicalType::Integer), ("Name", LogicalType::Text), ("note", LogicalType::Text)]);
        assert_eq!(table.columns_like("*"), Ok(vec![0, 1, 2]));
        assert_eq!(table.columns_like("note"), Ok(vec![2]));
        let message = |error| match error {
            Err(Error::Schema(problems)) => problems[0].message.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(message(table.columns_like("x*")), "table shop.customers has no column like `x*`");
        assert_eq!(
            message(table.columns_like("name")),
            "table shop.customers has no column `name`; it has `Name`: write it like that"
        );
    }
}
