//! What ALTER TABLE makes of a version, in the order in which the server does it.
//!
//! The server does not take the clauses one after the other (`mysql_prepare_alter_table`): it first goes through the old
//! columns and drops, renames and changes them where they stand; then it puts what is added or moved, in the order of the
//! clauses, where FIRST and AFTER say, by the names of that moment.

use super::columns::{Defined, Place};
use super::reader::{Unclear, unclear};
use super::statement::{Clause, Named};
use super::version::{ColumnDef, Version, same_name, settled};

/// A version after ALTER TABLE.
#[derive(Debug, PartialEq)]
pub(super) struct Altered {
    pub(super) version: Version,
    /// Old and new names of columns that were renamed.
    pub(super) renamed: Vec<(String, String)>,
    /// The table's new name.
    pub(super) to: Option<Named>,
}

/// Applies clauses; `database` is the default character set of the table's database.
pub(super) fn alter(old: &Version, clauses: &[Clause], database: Option<&str>) -> Result<Altered, Unclear> {
    let (mut charset, mut convert, mut to) = (old.charset.clone(), None, None);
    for clause in clauses {
        match clause {
            Clause::Charset(name) => charset = Some(name.clone()),
            Clause::Convert(name) => {
                let Some(name) = name.clone().or_else(|| database.map(str::to_owned)) else {
                    return unclear("CONVERT to a character set that is not known");
                };
                charset = Some(name.clone());
                convert = Some(name);
            }
            Clause::RenameTo(name) => to = Some(name.clone()),
            _ => {}
        }
    }
    let settled = |c: &Defined| match &convert {
        // also what says a character set of its own is converted
        Some(to) if c.charset.as_deref() != Some("binary") => {
            settled(&Defined { charset: Some(to.clone()), ..c.clone() }, None)
        }
        _ => settled(c, charset.as_deref()),
    };
    // the server makes a changed TEXT column as large as what the column held before may become
    let changed = |was: &ColumnDef, new: &Defined| -> Result<ColumnDef, Unclear> {
        let mut column = settled(new);
        if let Some(to) = convert.as_deref().filter(|_| column.ty.is_large_text()) {
            let Some(chars) = was.ty.most_chars(was.charset.as_deref()) else {
                return unclear("CONVERT of a column that becomes TEXT");
            };
            column.ty.grow(chars, to);
        }
        Ok(column)
    };
    let mut columns: Vec<ColumnDef> = Vec::with_capacity(old.columns.len());
    let mut renamed: Vec<(String, String)> = Vec::new();
    let mut key = old.key.clone();
    let known = |name: &str| match old.find(name) {
        Some(at) => Ok(at),
        None => unclear("ALTER TABLE of a column that is not known"),
    };
    // each old column's fate
    let mut fates: Vec<Option<&Clause>> = vec![None; old.columns.len()];
    for clause in clauses {
        let name = match clause {
            Clause::Drop(name) => match old.find(name) {
                Some(_) => name,
                // IF EXISTS
                None => continue,
            },
            Clause::Change(name, _) | Clause::RenameColumn(name, _) => name,
            _ => continue,
        };
        let at = known(name)?;
        if fates[at].replace(clause).is_some() {
            return unclear("ALTER TABLE changes a column twice");
        }
    }
    for (column, fate) in old.columns.iter().zip(&fates) {
        let mut rename = |to: &str| {
            if column.name != to {
                renamed.push((column.name.clone(), to.to_owned()));
            }
        };
        match fate {
            Some(Clause::Drop(_)) => key.retain(|k| *k != column.name),
            Some(Clause::Change(_, new)) => {
                rename(&new.name);
                if new.place.is_none() {
                    columns.push(changed(column, new)?);
                }
            }
            Some(Clause::RenameColumn(_, new)) => {
                rename(new);
                columns.push(ColumnDef { name: new.clone(), ..column.clone() });
            }
            _ => {
                let mut column = column.clone();
                if let Some(to) = convert.as_deref().filter(|_| column.ty.has_charset()) {
                    column.ty.convert(column.charset.as_deref(), to);
                    column.charset = column.ty.has_charset().then(|| to.to_owned());
                }
                columns.push(column);
            }
        }
    }
    for part in &mut key {
        if let Some((_, new)) = renamed.iter().find(|(old, _)| old == part) {
            part.clone_from(new);
        }
    }
    for clause in clauses {
        match clause {
            Clause::Add(added) => {
                for new in added {
                    // IF NOT EXISTS
                    if !columns.iter().any(|c| same_name(&c.name, &new.name)) {
                        put(&mut columns, settled(new), new.place.as_ref())?;
                    }
                }
            }
            Clause::Change(was, new) if new.place.is_some() => {
                let column = changed(&old.columns[known(was)?], new)?;
                put(&mut columns, column, new.place.as_ref())?;
            }
            _ => {}
        }
    }
    if clauses.contains(&Clause::DropKey) {
        key.clear();
    }
    for clause in clauses {
        match clause {
            Clause::AddKey(names) => key.clone_from(names),
            Clause::Add(added) => key.extend(added.iter().filter(|c| c.primary).map(|c| c.name.clone())),
            // a column that has become the key; one that was stays it
            Clause::Change(_, new) if new.primary && !key.iter().any(|k| same_name(k, &new.name)) => {
                key.push(new.name.clone());
            }
            _ => {}
        }
    }
    if columns.is_empty() {
        return unclear("ALTER TABLE leaves no columns");
    }
    let mut version = Version { hidden: old.hidden, ..Version::new(columns, key, charset) };
    version.keep_key();
    version.descend(old, &renamed);
    let mut computed: Vec<(&str, &[String])> = Vec::new();
    for clause in clauses {
        match clause {
            Clause::Add(added) => computed.extend(added.iter().map(Defined::computed)),
            Clause::Change(_, new) => computed.push(new.computed()),
            Clause::Default(column, from) => {
                let new = renamed.iter().find(|(was, _)| same_name(was, column)).map(|(_, new)| new);
                computed.push((new.unwrap_or(column), from));
            }
            _ => {}
        }
    }
    version.compute_all(computed);
    Ok(Altered { version, renamed, to })
}

fn put(columns: &mut Vec<ColumnDef>, column: ColumnDef, place: Option<&Place>) -> Result<(), Unclear> {
    let at = match place {
        None => columns.len(),
        Some(Place::First) => 0,
        Some(Place::After(name)) => match columns.iter().position(|c| same_name(&c.name, name)) {
            Some(at) => at + 1,
            None => return unclear("AFTER a column that is not known"),
        },
    };
    if columns.len() >= 4096 {
        return unclear("a table has more columns than MySQL allows");
    }
    columns.insert(at, column);
    Ok(())
}
