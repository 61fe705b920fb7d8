//! Tables as people write them: columns with MySQL's types, or a CREATE TABLE statement.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use forebay_model::TableSchema;
use forebay_source::mysql::Definition;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::definition;

/// A table, as a case file and a schema file write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// `database.table`.
    #[serde(default)]
    name: Option<String>,
    /// What stands behind the column's name in CREATE TABLE, by column: `bigint unsigned not null`.
    #[serde(default)]
    columns: Map<String, Value>,
    /// The primary key's columns.
    #[serde(default)]
    key: Vec<String>,
    /// Instead of columns and key: the statement, as SHOW CREATE TABLE prints it.
    #[serde(default)]
    create: Option<String>,
}

impl Table {
    /// What it means to the router.
    pub(super) fn schema(&self) -> anyhow::Result<Arc<TableSchema>> {
        let name = self.name.as_deref().unwrap_or("shop.t");
        let Some((database, table)) = name.split_once('.') else {
            bail!("table.name: `{name}` is not written as database.table");
        };
        let statement = match (&self.create, self.columns.is_empty()) {
            (Some(create), true) if self.key.is_empty() => create.clone(),
            (None, false) => self.statement()?,
            (Some(_), _) => bail!("table: `create` stands instead of `columns` and `key`"),
            (None, true) => bail!("table: it has no `columns`, and no `create` either"),
        };
        let schema = Definition::of_statement(database, table, &statement)?
            .table_schema()
            .expect("a statement defines a table");
        if self.create.is_none() && schema.columns.len() != self.columns.len() {
            bail!("table.columns: not everything that stands there is a column's type");
        }
        Ok(schema.shared())
    }

    /// The statement that makes it.
    fn statement(&self) -> anyhow::Result<String> {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let mut parts = Vec::with_capacity(self.columns.len() + 1);
        for (name, ty) in &self.columns {
            let Some(ty) = ty.as_str() else {
                bail!("table.columns.{name}: a type such as `varchar(64) not null` is missing");
            };
            // each alone, so that a mistake has a name
            let alone = format!("CREATE TABLE t ({} {ty})", quoted(name));
            Definition::of_statement("d", "t", &alone).map_err(|fault| {
                anyhow::anyhow!("table.columns.{name}: `{ty}` is no type: {}", fault.message())
            })?;
            parts.push(format!("{} {ty}", quoted(name)));
        }
        if let Some(unknown) = self.key.iter().find(|name| !self.columns.contains_key(*name)) {
            bail!("table.key: there is no column `{unknown}`");
        }
        if !self.key.is_empty() {
            let key: Vec<String> = self.key.iter().map(|name| quoted(name)).collect();
            parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        Ok(format!("CREATE TABLE t ({})", parts.join(", ")))
    }
}

/// The table that a file describes: YAML (a case file will do) or, in a file `.sql`, a CREATE TABLE statement.
///
/// # Errors
/// If the file cannot be read or understood, with the place.
pub fn table(file: &Path) -> anyhow::Result<Arc<TableSchema>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the table in {}", file.display()))?;
    let table = if file.extension().is_some_and(|e| e == "sql") {
        let name = file.file_stem().map(|stem| format!("shop.{}", stem.to_string_lossy()));
        Table { name, columns: Map::new(), key: Vec::new(), create: Some(text) }
    } else {
        let mut value = definition::from_yaml(&text)?;
        if let Some(inner @ Value::Object(_)) = value.get_mut("table") {
            value = inner.take();
        }
        read(value)?
    };
    table.schema().with_context(|| file.display().to_string())
}

/// Reads a value, with the path of what is wrong.
pub(super) fn read<T: for<'de> Deserialize<'de>>(value: Value) -> anyhow::Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string() {
        path if path == "." => anyhow::anyhow!("{}", error.inner()),
        path => anyhow::anyhow!("{path}: {}", error.inner()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(value: Value) -> anyhow::Result<Arc<TableSchema>> {
        read::<Table>(value)?.schema()
    }

    #[test]
    fn types_are_those_of_the_server() {
        let table = schema(json!({
            "name": "shop.customers",
            "columns": {
                "id": "bigint unsigned not null", "name": "varchar(64)", "size": "enum('s','it''s')",
                "price": "decimal(10,2) default 0", "raw": "blob", "bytes": "char(4) character set binary",
            },
            "key": ["id"],
        }))
        .unwrap();
        let told: Vec<_> =
            table.columns.iter().map(|c| (c.name.as_str(), c.native.as_str(), c.nullable)).collect();
        let want = [
            ("id", "bigint unsigned", false),
            ("name", "varchar(64)", true),
            ("size", "enum('s','it''s')", true),
            ("price", "decimal(10,2)", true),
            ("raw", "blob", true),
            ("bytes", "binary(4)", true),
        ];
        assert_eq!(told, want);
        assert_eq!((table.full_name().as_str(), &table.key[..]), ("shop.customers", &[0][..]));
        let create =
            "CREATE TABLE `c` (`id` int NOT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        assert_eq!(schema(json!({ "create": create })).unwrap().columns[0].native, "int");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let said = |value: Value| schema(value).unwrap_err().to_string();
        assert!(
            said(json!({ "columns": { "a": "varchr(3)" } }))
                .starts_with("table.columns.a: `varchr(3)` is no type")
        );
        assert!(said(json!({ "columns": { "a": 3 } })).starts_with("table.columns.a: a type"));
        assert_eq!(
            said(json!({ "columns": { "a": "int" }, "key": ["b"] })),
            "table.key: there is no column `b`"
        );
        assert!(said(json!({ "columns": { "a": "int, b int" } })).contains("not everything"));
        assert!(said(json!({})).contains("no `columns`"));
        assert!(said(json!({ "name": "t", "columns": { "a": "int" } })).contains("database.table"));
        assert!(said(json!({ "nam": "t" })).contains("unknown field `nam`"));
    }
}
