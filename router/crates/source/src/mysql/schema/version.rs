//! One version of a table, as the history keeps it, and how it meets a table map.

use forebay_model::Lineage;
pub(super) use forebay_model::same_column as same_name;
use serde::{Deserialize, Serialize};

use super::charsets::{collation, is_text, of_number};
use super::columns::{Defined, Elements};
use super::sqltype::SqlType;
use crate::mysql::binlog::{RawColumn, TableMap, types};

/// The form in which notes hold versions; others are not read.
const FORM: u32 = 1;

/// A column of a [`Version`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) ty: SqlType,
    pub(crate) nullable: bool,
    /// `None` where the type has none or nothing told it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charset: Option<String>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// [`FORM`].
    pub(super) form: u32,
    pub(crate) columns: Vec<ColumnDef>,
    /// Names of the primary key's columns, in key order.
    pub(crate) key: Vec<String>,
    /// The table's default character set, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) charset: Option<String>,
    /// What the table and its columns were called before.
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub(crate) lineage: Lineage,
    /// Whether a table map or the server itself has confirmed it; false while it is only what statements made of it.
    pub(crate) proved: bool,
    /// Whether it is system-versioned, as MariaDB calls it: its rows are versions of rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) versioned: bool,
    /// How many [hidden columns](TableMap::hidden) its rows have; `None` = as many as the rows say, if MariaDB wrote them.
    #[serde(default = "nothing", skip_serializing_if = "is_nothing")]
    pub(super) hidden: Option<usize>,
    /// The how manieth table that was gone; 0 for one that is there.
    #[serde(default, skip_serializing_if = "is_there")]
    pub(super) gone: u64,
}

fn nothing() -> Option<usize> {
    Some(0)
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn is_nothing(hidden: &Option<usize>) -> bool {
    *hidden == nothing()
}

fn is_there(gone: &u64) -> bool {
    *gone == 0
}

/// Why a version and a table map are not of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

impl Version {
    pub(super) fn new(columns: Vec<ColumnDef>, key: Vec<String>, charset: Option<String>) -> Self {
        Version {
            form: FORM,
            columns,
            key,
            charset,
            lineage: Lineage::default(),
            proved: false,
            versioned: false,
            hidden: nothing(),
            gone: 0,
        }
    }

    /// Whether a note of it can be read by this program.
    pub(super) fn is_known_form(&self) -> bool {
        self.form == FORM
    }

    /// From what CREATE TABLE says; `charset` is the table's default.
    pub(super) fn created(elements: &Elements, charset: Option<String>) -> Self {
        let columns: Vec<ColumnDef> =
            elements.columns.iter().map(|c| settled(c, charset.as_deref())).collect();
        let mut version = Version { hidden: None, ..Version::new(columns, elements.key.clone(), charset) };
        version.keep_key();
        version.compute_all(elements.columns.iter().map(Defined::computed).collect());
        version
    }

    /// From a table map that names its columns.
    pub(super) fn of_map(map: &TableMap) -> Self {
        let column = |raw: &RawColumn| ColumnDef {
            name: raw.name.clone(),
            ty: SqlType::of_map(raw),
            nullable: raw.nullable,
            charset: charset_of(raw),
        };
        let columns: Vec<ColumnDef> = map.columns.iter().map(column).collect();
        let name = |&i: &u32| columns.get(i as usize).map(|c| c.name.clone());
        let key = map.key.iter().filter_map(name).collect();
        Version { proved: true, hidden: Some(map.hidden), ..Version::new(columns, key, None) }
    }

    /// The index of a column; the server does not tell upper from lower case in their names.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|c| c.name == name);
        exact.or_else(|| self.columns.iter().position(|c| same_name(&c.name, name)))
    }

    /// Spells the key as the columns are spelt, drops from it what is no column, and makes its columns NOT NULL.
    pub(super) fn keep_key(&mut self) {
        let key = std::mem::take(&mut self.key);
        for name in key {
            if let Some(at) = self.find(&name) {
                self.columns[at].nullable = false;
                self.key.push(self.columns[at].name.clone());
            }
        }
    }

    /// Whether both say the same about names, types, NULL and key.
    pub(super) fn says_as(&self, other: &Version) -> bool {
        let same = |a: &ColumnDef, b: &ColumnDef| {
            a.name == b.name && a.nullable == b.nullable && same_type(&a.ty, &b.ty)
        };
        self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(|(a, b)| same(a, b))
            && self.key == other.key
    }

    /// Whether rows would be read alike by both.
    pub(super) fn reads_as(&self, other: &Version) -> bool {
        let same = |a: &ColumnDef, b: &ColumnDef| a.name == b.name && same_type(&a.ty, &b.ty);
        self.columns.len() == other.columns.len()
            && (self.hidden == other.hidden || self.hidden.is_none() || other.hidden.is_none())
            && self.columns.iter().zip(&other.columns).all(|(a, b)| same(a, b))
    }

    /// How many of a table map's columns are hidden ones behind this version's, if they can be.
    fn hides(&self, map: &TableMap) -> Option<usize> {
        let behind = map.columns.get(self.columns.len()..)?;
        let may_be = match self.hidden {
            Some(hidden) => behind.len() == hidden,
            None => behind.is_empty() || map.mariadb,
        };
        (may_be && behind.iter().all(RawColumn::may_be_hash)).then_some(behind.len())
    }

    /// Whether both give columns the same names, and the numbers of ENUM and SET the same texts.
    pub(super) fn names_as(&self, other: &Version) -> bool {
        let same = |a: &ColumnDef, b: &ColumnDef| a.name == b.name && a.ty.members == b.ty.members;
        self.columns.len() == other.columns.len()
            && self.columns.iter().zip(&other.columns).all(|(a, b)| same(a, b))
    }

    /// Whether rows under this table map were written by this version.
    pub(super) fn fits(&self, map: &TableMap) -> Result<(), Misfit> {
        if self.hides(map).is_none() {
            return Err(Misfit(format!(
                "the rows have {} columns and the known definition {}",
                map.columns.len(),
                self.columns.len() + self.hidden.unwrap_or(0)
            )));
        }
        for (i, (known, raw)) in self.columns.iter().zip(&map.columns).enumerate() {
            if !known.ty.fits(raw, known.charset.as_deref(), map.signedness) {
                return Err(Misfit(format!(
                    "column {} is {} in the known definition ({}) and {} in the rows",
                    i + 1,
                    known.ty.said(known.charset.as_deref()),
                    known.name,
                    SqlType::said_of_map(raw)
                )));
            }
            if known.nullable != raw.nullable {
                return Err(Misfit(format!(
                    "column {} ({}) may be NULL in one of rows and known definition, and not in the other",
                    i + 1,
                    known.name
                )));
            }
        }
        Ok(())
    }

    /// The first column of text whose character set neither this version nor the table map says.
    pub(super) fn lacks_charset(&self, map: &TableMap) -> Option<&str> {
        let lacks = |(known, raw): &(&ColumnDef, &RawColumn)| {
            known.ty.is_text() && known.charset.is_none() && raw.collation.is_none()
        };
        self.columns.iter().zip(&map.columns).find(lacks).map(|(known, _)| known.name.as_str())
    }

    /// Takes from a table map that fits what it knows better; true if anything was new.
    pub(super) fn learn(&mut self, map: &TableMap) -> bool {
        let hidden = self.hides(map);
        let mut new = !self.proved || self.hidden != hidden;
        (self.proved, self.hidden) = (true, hidden);
        for (known, raw) in self.columns.iter_mut().zip(&map.columns) {
            if let Some(charset) = charset_of(raw).filter(|_| known.ty.is_text())
                && known.charset.as_ref() != Some(&charset)
            {
                known.charset = Some(charset);
                new = true;
            }
        }
        new
    }

    /// The table map, with what it lacks taken from this version, which must fit.
    pub(super) fn complete(&self, map: &TableMap) -> TableMap {
        let mut whole = map.clone();
        whole.hide(self.hides(map).unwrap_or(0));
        for (known, raw) in self.columns.iter().zip(&mut whole.columns) {
            raw.name.clone_from(&known.name);
            if !map.signedness {
                raw.unsigned = known.ty.unsigned;
            }
            if matches!(raw.code, types::ENUM | types::SET) {
                // members are kept as UTF-8
                raw.collation = collation("utf8mb4");
                raw.members = known.ty.members.iter().map(|m| m.clone().into_bytes()).collect();
            } else if raw.collation.is_none() && is_text(raw.code) {
                let binary = if known.ty.is_text() { None } else { Some("binary") };
                raw.collation = binary.or(known.charset.as_deref()).and_then(collation);
            }
            if raw.special.is_none() {
                raw.special = known.ty.special().filter(|s| raw.may_be(*s));
            }
        }
        whole.key = self.key.iter().filter_map(|k| self.find(k)).map(|i| i as u32).collect();
        whole.full = true;
        whole.lineage.clone_from(&self.lineage);
        whole
    }
}

fn charset_of(raw: &RawColumn) -> Option<String> {
    raw.collation.map(of_number)
}

/// Types as two tellers spell them: a table map does not know MariaDB's own types from BINARY.
pub(super) fn same_type(a: &SqlType, b: &SqlType) -> bool {
    let bytes = |ty: &SqlType| match ty.name.as_str() {
        "inet4" => SqlType { name: "binary".into(), args: vec![4], ..Default::default() },
        "inet6" | "uuid" => SqlType { name: "binary".into(), args: vec![16], ..Default::default() },
        _ => ty.clone(),
    };
    a == b || bytes(a) == bytes(b)
}

/// A column as it is once the table's character set is known.
pub(super) fn settled(defined: &Defined, default: Option<&str>) -> ColumnDef {
    let mut ty = defined.ty.clone();
    let charset = defined.charset.clone().or_else(|| default.map(str::to_owned));
    ty.settle(charset.as_deref());
    let charset = charset.filter(|_| ty.has_charset());
    ColumnDef { name: defined.name.clone(), ty, nullable: defined.nullable, charset }
}
