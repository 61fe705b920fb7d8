//! A plan, checked against its table: what the table looks like afterwards, and where each of its columns comes from.
//!
//! Promises: what passes here can be carried out; indexes are in range, edits do not contradict each other, names are
//! distinct. What a plan does is the same for every batch, so that a route can be judged before it starts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::ArrayRef;
use forebay_model::{Column, Lineage, TableSchema};
use serde::Serialize;

use crate::bindings::{self as wit, Edit, Metadata};
use crate::{stamp, types};

/// What a binding does to its table, in names, for people and for checks such as "every column tagged `pii` is
/// hidden".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Plan {
    /// Columns that the plugin is given.
    pub reads: Vec<String>,
    /// Columns that are left out.
    pub drops: Vec<String>,
    /// Columns of which every cell becomes NULL.
    pub nullifies: Vec<String>,
    /// Columns whose cells the plugin makes anew.
    pub replaces: Vec<String>,
    /// Columns with another name afterwards: the name after by the name before.
    pub renames: BTreeMap<String, String>,
    /// Columns that are added: those that the plugin computes, those that hold the same cell everywhere, and those that the
    /// router fills with what it knows of the change.
    pub appends: Vec<String>,
    /// Those of `appends` that the plugin computes: they may hold whatever it reads.
    pub computes: Vec<String>,
    /// The columns that tell the result's rows apart; empty = there are none.
    pub key: Vec<String>,
    /// Whether images can be dropped or rejected.
    pub filters: bool,
    /// Whether the plugin chooses where images go.
    pub routes: bool,
    /// Whether deleted rows are kept, as updates.
    pub keeps_deleted: bool,
    /// Whether the table had a primary key and has none afterwards, because a column of it is dropped or can be
    /// NULL, or because the plan says so.
    pub loses_key: bool,
}

impl Plan {
    /// Whether nothing of the column's own values comes through: it is dropped, nullified or made anew.
    pub fn hides(&self, column: &str) -> bool {
        [&self.drops, &self.nullifies, &self.replaces]
            .iter()
            .any(|hidden| hidden.iter().any(|name| name == column))
    }
}

/// Where an output column's cells come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// The input's column as it is.
    Input(usize),
    /// NULLs, as absent as the input's column.
    Nulls(usize),
    /// The n-th computed column.
    Computed(usize),
    /// The n-th constant.
    Constant(usize),
    /// What the router knows.
    Stamp(Metadata),
}

/// A computed edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Computed {
    /// The input column that it replaces or retypes.
    pub(crate) of: Option<usize>,
    /// What comes back.
    pub(crate) column: Column,
    /// Whether the plugin may leave the cells as they came.
    pub(crate) optional: bool,
}

/// A plan that can be carried out.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) plan: Plan,
    /// One cell each.
    pub(crate) constants: Vec<ArrayRef>,
    /// Input columns in the order that the plugin wants.
    pub(crate) reads: Vec<usize>,
    pub(crate) computed: Vec<Computed>,
    /// One for each column of `output`; stamps are the last.
    pub(crate) from: Vec<From>,
    pub(crate) needs_kinds: bool,
    pub(crate) output: Arc<TableSchema>,
}

/// What is planned for one input column.
#[derive(Default)]
struct Fate {
    drop: bool,
    nullify: bool,
    name: Option<String>,
    computed: Option<usize>,
}

/// The most columns that a table may have afterwards; MySQL's own limit.
const COLUMNS: usize = 4096;
/// The longest column name, in bytes: MySQL's 64 characters.
const NAME: usize = 256;

impl Checked {
    /// Checks a plan; the error says what is wrong with it.
    pub(crate) fn new(plan: &wit::Plan, input: &Arc<TableSchema>) -> Result<Checked, String> {
        let name = |index: u32| -> Result<(usize, &Column), String> {
            let column = input.columns.get(index as usize);
            column
                .map(|c| (index as usize, c))
                .ok_or_else(|| format!("the table has no column number {index}"))
        };
        let mut summary = Plan {
            filters: plan.filters,
            routes: plan.routes,
            keeps_deleted: plan.keeps_deleted,
            ..Plan::default()
        };
        let mut reads = Vec::with_capacity(plan.reads.len());
        for &index in &plan.reads {
            let (index, column) = name(index)?;
            if reads.contains(&index) {
                return Err(format!("column `{}` is read twice", column.name));
            }
            reads.push(index);
            summary.reads.push(column.name.clone());
        }
        let mut fates: Vec<Fate> = input.columns.iter().map(|_| Fate::default()).collect();
        let (mut computed, mut constants, mut stamps) = (Vec::new(), Vec::new(), Vec::new());
        for edit in &plan.edits {
            match edit {
                Edit::Drop(index) => {
                    let (index, column) = name(*index)?;
                    fates[index].once(column, |fate| fate.drop = true)?;
                    summary.drops.push(column.name.clone());
                }
                Edit::Nullify(index) => {
                    let (index, column) = name(*index)?;
                    fates[index].cells(column)?.nullify = true;
                    summary.nullifies.push(column.name.clone());
                }
                Edit::Rename(rename) => {
                    let (index, column) = name(rename.column)?;
                    let fate = &mut fates[index];
                    if fate.drop || fate.name.is_some() {
                        return Err(twice(column));
                    }
                    fate.name = Some(rename.name.clone());
                }
                Edit::Replace(index) => {
                    let (index, column) = name(*index)?;
                    fates[index].cells(column)?.computed = Some(computed.len());
                    let optional = reads.contains(&index);
                    computed.push(Computed { of: Some(index), column: types::replaced(column), optional });
                    summary.replaces.push(column.name.clone());
                }
                Edit::Retype(retype) => {
                    let (index, column) = name(retype.column)?;
                    let n = computed.len();
                    fates[index].once(column, |fate| {
                        fate.computed = Some(n);
                        fate.name = Some(retype.def.name.clone());
                    })?;
                    let column = types::defined(&retype.def, Some(column))?;
                    computed.push(Computed { of: Some(index), column, optional: false });
                    summary.replaces.push(input.columns[index].name.clone());
                }
                Edit::Append(def) => {
                    let column = types::defined(def, None)?;
                    computed.push(Computed { of: None, column, optional: false });
                }
                Edit::Constant(constant) => {
                    let column = types::defined(&constant.def, None)?;
                    let cell = stamp::constant(&constant.value, &column)
                        .map_err(|problem| format!("constant `{}`: {problem}", column.name))?;
                    constants.push((column, cell));
                }
                Edit::Stamp(stamp) => stamps.push((stamp.what, stamp::column(stamp.what, &stamp.name))),
            }
        }
        if plan.keeps_deleted && !stamps.iter().any(|(what, _)| *what == Metadata::Deleted) {
            return Err("deleted rows are kept, and no stamp says which they are".to_owned());
        }
        let (mut columns, mut from) = columns_after(input, &fates, &computed, &mut summary);
        let added = computed.iter().filter(|c| c.of.is_none());
        summary.computes = added.map(|c| c.column.name.clone()).collect();
        let table_columns = columns.len() - summary.computes.len();
        let cells: Vec<ArrayRef> = constants.iter().map(|(_, cell)| cell.clone()).collect();
        for (n, (column, _)) in constants.into_iter().enumerate() {
            columns.push(column);
            from.push(From::Constant(n));
        }
        for (what, column) in stamps {
            columns.push(column);
            from.push(From::Stamp(what));
        }
        summary.appends = columns[table_columns..].iter().map(|c| c.name.clone()).collect();
        check_names(&columns)?;
        let key = match &plan.key {
            Some(names) => key_named(names, &columns, &from)?,
            None => key_after(input, &columns, &from, &computed),
        };
        summary.key = key.iter().map(|&at| columns[at as usize].name.clone()).collect();
        summary.loses_key = key.is_empty() && !input.key.is_empty();
        // earlier names say nothing of what a plan makes of the columns
        let output = TableSchema { columns, key, lineage: Lineage::default(), ..(**input).clone() };
        let output = if output == **input { input.clone() } else { Arc::new(output) };
        let needs_kinds = plan.needs_kinds;
        Ok(Checked { plan: summary, constants: cells, reads, computed, from, needs_kinds, output })
    }

    /// Makes sure that the plugin answers new cells where it replaces one of these columns: it cannot say that they are fine as
    /// they came.
    pub(crate) fn insist(&mut self, input: &TableSchema, columns: &[String]) {
        for computed in &mut self.computed {
            let of = computed.of.map(|index| &input.columns[index].name);
            computed.optional &= !of.is_some_and(|name| columns.contains(name));
        }
    }

    /// Whether `apply` is called at all.
    pub(crate) fn calls_guest(&self) -> bool {
        self.plan.filters || self.plan.routes || !self.computed.is_empty()
    }

    /// Whether some column says what became of each event.
    pub(crate) fn stamps(&self) -> bool {
        matches!(self.from.last(), Some(From::Stamp(_)))
    }
}

impl Fate {
    /// An edit that goes with no other.
    fn once(&mut self, column: &Column, set: impl FnOnce(&mut Fate)) -> Result<(), String> {
        let free = !self.drop && !self.nullify && self.name.is_none() && self.computed.is_none();
        if !free {
            return Err(twice(column));
        }
        set(self);
        Ok(())
    }

    /// An edit of the cells, which a rename may go with.
    fn cells(&mut self, column: &Column) -> Result<&mut Fate, String> {
        if self.drop || self.nullify || self.computed.is_some() { Err(twice(column)) } else { Ok(self) }
    }
}

fn twice(column: &Column) -> String {
    format!("column `{}` has two edits that exclude each other", column.name)
}

fn columns_after(
    input: &TableSchema,
    fates: &[Fate],
    computed: &[Computed],
    summary: &mut Plan,
) -> (Vec<Column>, Vec<From>) {
    let mut columns = Vec::with_capacity(fates.len());
    let mut from = Vec::with_capacity(fates.len());
    for (index, (column, fate)) in input.columns.iter().zip(fates).enumerate() {
        if fate.drop {
            continue;
        }
        let (mut after, source) = match fate.computed {
            Some(n) => (computed[n].column.clone(), From::Computed(n)),
            None if fate.nullify => (Column { nullable: true, ..column.clone() }, From::Nulls(index)),
            None => (column.clone(), From::Input(index)),
        };
        if let Some(name) = &fate.name {
            after.name.clone_from(name);
        }
        if after.name != column.name {
            summary.renames.insert(column.name.clone(), after.name.clone());
        }
        columns.push(after);
        from.push(source);
    }
    for (n, appended) in computed.iter().enumerate().filter(|(_, c)| c.of.is_none()) {
        columns.push(appended.column.clone());
        from.push(From::Computed(n));
    }
    (columns, from)
}

/// Every name that a plan gives to a column, or says that one has.
pub(crate) fn names(plan: &wit::Plan) -> impl Iterator<Item = &str> {
    let given = plan.edits.iter().filter_map(|edit| match edit {
        Edit::Rename(rename) => Some(&rename.name),
        Edit::Retype(retype) => Some(&retype.def.name),
        Edit::Append(def) => Some(&def.name),
        Edit::Constant(constant) => Some(&constant.def.name),
        Edit::Stamp(stamp) => Some(&stamp.name),
        Edit::Drop(_) | Edit::Nullify(_) | Edit::Replace(_) => None,
    });
    given.chain(plan.key.iter().flatten()).map(String::as_str)
}

fn check_names(columns: &[Column]) -> Result<(), String> {
    if columns.is_empty() {
        return Err("no column is left".to_owned());
    }
    if columns.len() > COLUMNS {
        return Err(format!("there would be {} columns, {COLUMNS} are allowed", columns.len()));
    }
    let mut seen = HashSet::with_capacity(columns.len());
    for Column { name, .. } in columns {
        if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
            return Err(format!("a column cannot be called {:?}", name.chars().take(64).collect::<String>()));
        }
        // MySQL and most destinations do not tell column names apart by case
        if !seen.insert(name.to_lowercase()) {
            return Err(format!("two columns would be called `{name}`"));
        }
    }
    Ok(())
}

/// The key's columns in the output; none if one of them is gone or can be NULL.
fn key_after(input: &TableSchema, columns: &[Column], from: &[From], computed: &[Computed]) -> Vec<u32> {
    let place = |key: &u32| -> Option<u32> {
        let comes_from = |source: &From| match source {
            From::Input(index) | From::Nulls(index) => *index == *key as usize,
            From::Computed(n) => computed[*n].of == Some(*key as usize),
            From::Constant(_) | From::Stamp(_) => false,
        };
        let at = from.iter().position(comes_from)?;
        (!columns[at].nullable || input.columns[*key as usize].nullable).then_some(at as u32)
    };
    let key: Option<Vec<u32>> = input.key.iter().map(place).collect();
    key.unwrap_or_default()
}

/// The key that the plan names.
fn key_named(names: &[String], columns: &[Column], from: &[From]) -> Result<Vec<u32>, String> {
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let at = columns.iter().position(|column| column.name == *name);
        let at = at.ok_or_else(|| format!("the key names `{name}`, which the result has not"))?;
        if columns[at].nullable {
            return Err(format!("the key names `{name}`, which can be NULL"));
        }
        if !matches!(from[at], From::Input(_) | From::Computed(_)) {
            return Err(format!("the key names `{name}`, which tells no rows apart"));
        }
        if key.contains(&(at as u32)) {
            return Err(format!("the key names `{name}` twice"));
        }
        key.push(at as u32);
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
