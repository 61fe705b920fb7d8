//! What a table looks like, as somebody says it who ends its quarantine.

use forebay_model::{Column, Fault, TableSchema};

use super::lex::{Lexer, Modes, Token};
use super::note::Key;
use super::reader::Reader;
use super::special::{VERSIONED, versioning};
use super::sqltype::SqlType;
use super::statement::{Body, Statement, parse};
use super::version::{ColumnDef, Version};
use crate::codes;
use crate::mysql::Config;
use crate::mysql::wire::Conn;

/// What a table looks like, by somebody who knows: its CREATE TABLE statement, or the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub(super) key: Key,
    /// `None`: nobody knows.
    pub(crate) version: Option<Version>,
    /// What it looked like later: see [`then`](Self::then).
    pub(super) later: Vec<Version>,
}

impl Definition {
    /// Nobody knows what the table looked like: the events that were kept of it are given up.
    pub fn given_up(database: &str, table: &str) -> Self {
        Definition { key: (database.into(), table.into()), version: None, later: Vec::new() }
    }

    /// Whether it is none: see [`given_up`](Self::given_up).
    pub fn is_given_up(&self) -> bool {
        self.version.is_none()
    }

    /// From a CREATE TABLE statement, such as SHOW CREATE TABLE prints.
    ///
    /// # Errors
    /// If it is none, or holds something that is not understood.
    pub fn of_statement(database: &str, table: &str, sql: &str) -> Result<Self, Fault> {
        let body = match parse(sql, Modes::default()) {
            Some(Statement::Create { body, .. }) => body.map_err(|why| unusable(database, table, &why.0))?,
            _ => return Err(unusable(database, table, "the statement is no CREATE TABLE")),
        };
        let Body::Columns { elements, charset } = body else {
            return Err(unusable(database, table, "CREATE TABLE ... LIKE does not say the columns"));
        };
        // without one it is the rows that must say it: the database's default is not known here
        let versioned = versioning(sql, Modes::default()) == Some(true);
        let version = Version { versioned, ..Version::created(&elements, charset) };
        Ok(Definition::of((database.into(), table.into()), version))
    }

    /// From a table schema.
    ///
    /// # Errors
    /// If the type of a column is not understood.
    pub fn of_schema(schema: &TableSchema) -> Result<Self, Fault> {
        let mut columns = Vec::with_capacity(schema.columns.len());
        for column in &schema.columns {
            let ty = SqlType::of_catalog(&column.native, Modes::default())
                .map_err(|why| unusable(&schema.database, &schema.table, &why.0))?;
            let (name, nullable) = (column.name.clone(), column.nullable);
            columns.push(ColumnDef { name, ty, nullable, charset: None });
        }
        let name = |&i: &u32| schema.columns.get(i as usize).map(|c| c.name.clone());
        let key = schema.key.iter().filter_map(name).collect();
        let version = Version { hidden: None, ..Version::new(columns, key, None) };
        Ok(Definition::of((schema.database.clone(), schema.table.clone()), version))
    }

    /// What the server says now.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not know the table.
    pub async fn of_server(config: &Config, database: &str, table: &str) -> Result<Self, Fault> {
        let mut conn = Conn::open(config).await?;
        let key: Key = (database.into(), table.into());
        let mut catalog = super::lookup::catalog(&mut conn, config, Some(&key)).await?;
        conn.quit().await;
        let version = catalog.take(&key);
        let version = version.ok_or_else(|| {
            unusable(database, table, "the server has no such table, or the account may not see it")
        })?;
        Ok(Definition::of(key, version))
    }

    /// As it is, and later like the other: from the first event on that this one does not fit any more, or before which a statement
    /// leaves unknown what the table looks like.
    #[must_use]
    pub fn then(mut self, other: Definition) -> Self {
        self.later.extend(other.version);
        self.later.extend(other.later);
        self
    }

    /// # Errors
    /// If rows of such a table are not read.
    pub(super) fn must_be_readable(&self) -> Result<(), Fault> {
        let versions = self.version.iter().chain(&self.later);
        if !versions.into_iter().any(|v| v.versioned) {
            return Ok(());
        }
        let what = format!("what was kept of {}.{} cannot be decoded: {VERSIONED}", self.key.0, self.key.1);
        Err(Fault::new(codes::SYSTEM_VERSIONED, what)
            .fix("release it with --give-up once it is not system-versioned any more"))
    }

    pub(super) fn of(key: Key, version: Version) -> Self {
        Definition { key, version: Some(version), later: Vec::new() }
    }

    /// The table schema that rows written with it have; none where the table is given up.
    pub fn table_schema(&self) -> Option<TableSchema> {
        let Version { columns, key, .. } = self.version.as_ref()?;
        let column = |def: &ColumnDef| Column {
            name: def.name.clone(),
            ty: def.ty.column_type(),
            nullable: def.nullable,
            native: def.ty.to_string(),
        };
        let at = |name: &String| columns.iter().position(|c| c.name == *name).map(|at| at as u32);
        Some(TableSchema {
            database: self.key.0.clone(),
            table: self.key.1.clone(),
            columns: columns.iter().map(column).collect(),
            key: key.iter().filter_map(at).collect(),
            lineage: self.version.as_ref()?.lineage.clone(),
        })
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.key.0
    }

    /// The table.
    pub fn table(&self) -> &str {
        &self.key.1
    }
}

/// What a foreign key does to rows when those that they refer to go or change.
const ACTIONS: &[&[&str]] = &[
    &["ON", "DELETE", "CASCADE"],
    &["ON", "DELETE", "SET", "NULL"],
    &["ON", "UPDATE", "CASCADE"],
    &["ON", "UPDATE", "SET", "NULL"],
];

/// What each foreign key of a table changes by itself, such as `ON DELETE CASCADE ON UPDATE SET NULL`, from what SHOW CREATE TABLE prints.
pub(crate) fn referential_actions(statement: &str) -> Vec<String> {
    let tokens: Vec<Token<'_>> = Lexer::new(statement, Modes::default()).collect();
    let mut at = Reader::new(&tokens);
    let mut keys: Vec<String> = Vec::new();
    while !at.is_end() {
        if at.eat("references") {
            keys.push(String::new());
            continue;
        }
        let of_reference = keys.last_mut().filter(|_| at.is("on"));
        match (of_reference, ACTIONS.iter().find(|words| at.eat_all(words))) {
            (Some(key), Some(words)) => {
                *key += if key.is_empty() { "" } else { " " };
                *key += &words.join(" ");
            }
            _ => {
                at.bump();
            }
        }
    }
    keys.retain(|key| !key.is_empty());
    keys
}

pub(super) fn unusable(database: &str, table: &str, why: &str) -> Fault {
    Fault::new(codes::DEFINITION, format!("the definition of {database}.{table} cannot be used: {why}"))
        .fix("give what SHOW CREATE TABLE printed when the rows were written")
}
