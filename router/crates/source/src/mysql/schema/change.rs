//! What a schema change says: the `change` column of [`forebay.schema_changes`](forebay_model::schema_changes).

use serde::{Deserialize, Serialize};

use super::lex::Modes;
use super::version::{ColumnDef, Version};

/// What a statement or a table map changed about one table, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// `create`, `alter`, `rename`, `drop` or `truncate`. What takes or brings rows without an event for each has kinds of its own:
    /// `truncate_partition`, `drop_partition`, `exchange_partition`, `discard_tablespace`, `import_tablespace`, and MariaDB's
    /// `convert_partition` and `convert_table`.
    pub(super) kind: &'static str,
    /// Of a rename: where the table went, or came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) renamed_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) renamed_from: Option<String>,
    #[serde(skip_serializing_if = "Columns::is_empty")]
    pub(super) columns: Columns,
    /// The primary key before and after, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<FromTo<Vec<String>>>,
    /// False where what follows from it is not known: the statement was not understood, or the table was not known.
    pub(super) understood: bool,
    /// What the statement was run with, where there was one: without it the statement cannot be followed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<Session>,
}

/// What of a statement's session and server decides about its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The default database; empty if there was none.
    pub(super) database: String,
    sql_mode: u64,
    explicit_timestamps: bool,
    version: u32,
    mariadb: bool,
    /// Whether names of tables are told apart without upper and lower case.
    pub(super) fold: bool,
    /// The default character set of the table's database, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) charset: Option<String>,
}

impl Session {
    pub(super) fn new(database: &str, modes: Modes, fold: bool, charset: Option<String>) -> Self {
        let Modes { sql_mode, version, mariadb, explicit_timestamps } = modes;
        Session {
            database: database.to_owned(),
            sql_mode,
            explicit_timestamps,
            version,
            mariadb,
            fold,
            charset,
        }
    }

    /// From the `change` column; `None` in rows of before sessions were kept.
    pub(super) fn of_change(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Kept {
            session: Option<Session>,
        }
        serde_json::from_str::<Kept>(json).ok()?.session
    }

    pub(super) fn modes(&self) -> Modes {
        let Session { sql_mode, version, mariadb, explicit_timestamps, .. } = *self;
        Modes { sql_mode, version, mariadb, explicit_timestamps }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Columns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) added: Vec<Column>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped: Vec<Column>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) renamed: Vec<FromTo<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) retyped: Vec<Retyped>,
    /// Columns that stand elsewhere among those that were there before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) moved: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Column {
    name: String,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FromTo<T> {
    from: T,
    to: T,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Retyped {
    name: String,
    from: String,
    to: String,
}

impl Columns {
    fn is_empty(&self) -> bool {
        *self == Columns::default()
    }
}

impl Change {
    pub(super) fn of(kind: &'static str) -> Self {
        Change { kind, understood: true, ..Default::default() }
    }

    /// The kind alone: what changed cannot be said.
    pub(super) fn not_understood(kind: &'static str) -> Self {
        Change { kind, ..Default::default() }
    }

    /// With what differs between two versions; `renamed` has the old and new names of columns that were renamed.
    pub(super) fn between(mut self, old: &Version, new: &Version, renamed: &[(String, String)]) -> Self {
        let mut columns = Columns::default();
        // indexes of what stayed, in the new order
        let mut stayed = Vec::new();
        for column in &new.columns {
            let was = old_name(&column.name, renamed);
            let Some(at) = old.find(was) else {
                columns.added.push(shown(column));
                continue;
            };
            stayed.push((at, &column.name));
            let before = &old.columns[at];
            if before.name != column.name {
                let (from, to) = (before.name.clone(), column.name.clone());
                columns.renamed.push(FromTo { from, to });
            }
            let (from, to) = (described(before), described(column));
            if from != to {
                columns.retyped.push(Retyped { name: column.name.clone(), from, to });
            }
        }
        let mut kept = vec![false; old.columns.len()];
        stayed.iter().for_each(|&(at, _)| kept[at] = true);
        let gone = old.columns.iter().zip(&kept).filter(|(_, kept)| !**kept);
        columns.dropped = gone.map(|(c, _)| shown(c)).collect();
        columns.moved = moved(&stayed);
        let old_key: Vec<&str> = new.key.iter().map(|k| old_name(k, renamed)).collect();
        let key_changed = old.key.len() != old_key.len() || old.key.iter().zip(&old_key).any(|(a, b)| a != b);
        if key_changed {
            self.key = Some(FromTo { from: old.key.clone(), to: new.key.clone() });
        }
        self.columns = columns;
        self
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn old_name<'a>(new: &'a str, renamed: &'a [(String, String)]) -> &'a str {
    renamed.iter().find(|(_, n)| n == new).map_or(new, |(old, _)| old)
}

fn shown(column: &ColumnDef) -> Column {
    Column { name: column.name.clone(), ty: described(column) }
}

/// The type with what else decides about values.
fn described(column: &ColumnDef) -> String {
    format!("{}{}", column.ty, if column.nullable { "" } else { " not null" })
}

/// The names that must move so that the rest stand in their old order: all but a longest rising run of old places.
fn moved(stayed: &[(usize, &String)]) -> Vec<String> {
    // patience: the smallest last place of a rising run of each length, and who came before each
    let mut tails: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; stayed.len()];
    for (i, (place, _)) in stayed.iter().enumerate() {
        let length = tails.partition_point(|&t| stayed[t].0 < *place);
        if length > 0 {
            before[i] = tails[length - 1];
        }
        if length == tails.len() {
            tails.push(i);
        } else {
            tails[length] = i;
        }
    }
    let mut still = vec![false; stayed.len()];
    let mut at = tails.last().copied().unwrap_or(usize::MAX);
    while at != usize::MAX {
        still[at] = true;
        at = before[at];
    }
    let moves = stayed.iter().zip(still).filter(|(_, still)| !still);
    moves.map(|((_, name), _)| (*name).clone()).collect()
}
