//! Asking the server what its tables look like, and for how long they have.
//!
//! What `information_schema` says is of now; a table map is of then. It may be used for the table map if no statement about
//! the table lies between: so the binlog is read ahead, by a connection of its own and for its statements alone, from
//! the table map up to where the binlog ended after `information_schema` was read. A statement before the table map was
//! finished before the rows were written, so that the answer has it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use forebay_model::{Fault, GtidSet};

use super::ahead::{Ahead, read_ahead};
use super::charsets::{charset_name, of_collation};
use super::databases::watches;
use super::history::{Answer, Question};
use super::lex::Modes;
use super::note::Key;
use super::place::Place;
use super::sqltype::SqlType;
use super::version::{ColumnDef, Version};
use crate::mysql::catalog::{EXPRESSION, named_in};
use crate::mysql::wire::{Conn, WireError};
use crate::mysql::{Config, faults, identity};

/// What the server says of its tables at some moment.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(super) tables: BTreeMap<Key, Version>,
    /// Default character sets.
    pub(super) databases: HashMap<String, String>,
    /// Where the binlog ended afterwards.
    pub(super) after: Place,
    pub(super) modes: Modes,
    pub(super) fold: bool,
    /// Whether new table maps name their columns.
    pub(super) names_in_binlog: bool,
    /// When, since 1970.
    pub(super) seconds: u32,
}

impl Catalog {
    /// A table of it.
    pub(super) fn take(&mut self, key: &Key) -> Option<Version> {
        self.tables.remove(key)
    }
}

/// Reads what the server says of tables that may be captured, and of those beside them; or of one table.
pub(crate) async fn catalog(conn: &mut Conn, config: &Config, one: Option<&Key>) -> Result<Catalog, Fault> {
    read(conn, config, one).await.map_err(|e| faults::wire(e, "cannot read information_schema"))
}

async fn read(conn: &mut Conn, config: &Config, one: Option<&Key>) -> Result<Catalog, WireError> {
    let mut catalog = Catalog { modes: Modes::default(), ..Default::default() };
    let facts =
        conn.query("SELECT VERSION() v, @@GLOBAL.lower_case_table_names l, UNIX_TIMESTAMP() s").await?;
    let version = facts.first("v").unwrap_or_default();
    catalog.modes.mariadb = version.contains("MariaDB");
    catalog.modes.version = version_number(version).unwrap_or(catalog.modes.version);
    catalog.fold = facts.first("l").is_some_and(|l| l != "0");
    catalog.seconds = facts.first("s").and_then(|s| s.parse().ok()).unwrap_or(0);
    let metadata = conn.query("SHOW GLOBAL VARIABLES LIKE 'binlog_row_metadata'").await?;
    catalog.names_in_binlog = metadata.first("Value").is_some_and(|v| v.eq_ignore_ascii_case("FULL"));

    // names are compared here, byte by byte: the server's comparison may be a looser one
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let (of_one, of_database) = match one {
        Some((database, table)) => (
            format!(" AND TABLE_SCHEMA = {} AND TABLE_NAME = {}", quoted(database), quoted(table)),
            format!(" AND SCHEMA_NAME = {}", quoted(database)),
        ),
        None => (String::new(), String::new()),
    };
    let system = "('information_schema', 'mysql', 'performance_schema', 'sys')";
    let wanted = |database: &str| watches(config, database);
    let databases = conn
        .query(&format!(
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA \
             WHERE SCHEMA_NAME NOT IN {system}{of_database}"
        ))
        .await?;
    for row in databases.rows {
        if let [Some(database), Some(charset)] = &row[..]
            && wanted(database)
        {
            catalog.databases.insert(database.clone(), charset_name(charset));
        }
    }
    let tables = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COLLATION, TABLE_TYPE FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND TABLE_SCHEMA NOT IN {system}{of_one}"
        ))
        .await?;
    let name = |catalog: &Catalog, database: &str, table: &str| -> Key {
        if catalog.fold {
            (database.to_lowercase(), table.to_lowercase())
        } else {
            (database.to_owned(), table.to_owned())
        }
    };
    for row in tables.rows {
        if let [Some(database), Some(table), collation, Some(kind)] = &row[..]
            && wanted(database)
        {
            let charset = collation.as_deref().and_then(of_collation);
            let key = name(&catalog, database, table);
            let versioned = kind == "SYSTEM VERSIONED";
            let version = Version { versioned, ..Version::new(Vec::new(), Vec::new(), charset) };
            catalog.tables.insert(key, version);
        }
    }
    let columns = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, \
             {EXPRESSION} \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN {system}{of_one} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    let mut computed = Vec::new();
    for row in &columns.rows {
        let [Some(database), Some(table), Some(column), Some(native), Some(nullable), charset, expression] =
            &row[..]
        else {
            continue;
        };
        let key = name(&catalog, database, table);
        let Some(version) = catalog.tables.get_mut(&key) else { continue };
        if let Some(expression) = expression.as_deref().filter(|expression| !expression.is_empty()) {
            computed.push((key, column, expression));
        }
        match SqlType::of_catalog(native, catalog.modes) {
            Ok(ty) => {
                let charset = charset.as_deref().map(charset_name).filter(|_| ty.has_charset());
                let nullable = nullable == "YES";
                version.columns.push(ColumnDef { name: column.clone(), ty, nullable, charset });
            }
            // fits no table map
            Err(_) => {
                let ty = SqlType { name: native.clone(), ..Default::default() };
                version.columns.push(ColumnDef { name: column.clone(), ty, nullable: true, charset: None });
            }
        }
    }
    for (key, column, expression) in computed {
        if let Some(version) = catalog.tables.get_mut(&key) {
            let from = named_in(expression, version.columns.iter().map(|c| c.name.as_str()));
            version.compute(column, &from);
        }
    }
    let keys = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE INDEX_NAME = 'PRIMARY' AND TABLE_SCHEMA NOT IN {system}{of_one} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, SEQ_IN_INDEX"
        ))
        .await?;
    for row in keys.rows {
        let [Some(database), Some(table), Some(column)] = &row[..] else { continue };
        let key = name(&catalog, database, table);
        if let Some(version) = catalog.tables.get_mut(&key) {
            version.key.push(column.clone());
        }
    }
    if catalog.modes.mariadb {
        let hashes = conn
            .query(&format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, COUNT(DISTINCT INDEX_NAME) \
                 FROM information_schema.STATISTICS JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) \
                 WHERE INDEX_TYPE = 'HASH' AND NON_UNIQUE = 0 AND ENGINE <> 'MEMORY' \
                 AND TABLE_SCHEMA NOT IN {system}{of_one} GROUP BY TABLE_SCHEMA, TABLE_NAME"
            ))
            .await?;
        for row in hashes.rows {
            let [Some(database), Some(table), Some(count)] = &row[..] else { continue };
            let key = name(&catalog, database, table);
            if let Some(version) = catalog.tables.get_mut(&key) {
                version.hidden = count.parse().ok();
            }
        }
    }
    catalog.tables.values_mut().for_each(|v| v.proved = true);
    // who may not see the columns sees no table
    catalog.tables.retain(|_, v| !v.columns.is_empty());
    let end = identity::binlog_status(conn).await?;
    catalog.after = Place {
        file: end.first("File").unwrap_or_default().to_owned(),
        pos: end.first("Position").and_then(|p| p.parse().ok()).unwrap_or(0),
    };
    Ok(catalog)
}

/// `8.0.36-x` as 80_036.
fn version_number(version: &str) -> Option<u32> {
    // MariaDB may pretend to be 5.5.5 first
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse::<u32>().ok());
    Some(parts.next()?? * 10_000 + parts.next()?? * 100 + parts.next().flatten().unwrap_or(0))
}

/// What a question comes to: the answer, and what was read ahead for it.
type Answered = Result<(Answer, Ahead), Fault>;

/// A question under way.
pub(crate) struct Lookup(Pin<Box<dyn Future<Output = Answered> + Send>>);

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

impl Lookup {
    /// Asks; `gtids` is the stream's position before the question's place, `ahead` what an earlier question has read.
    pub(crate) fn start(config: &Config, question: Question, gtids: &GtidSet, ahead: Ahead) -> Self {
        // an id of its own: two readers with one throw each other out
        let config = Config { server_id: None, ..config.clone() };
        Lookup(Box::pin(look(config, question, gtids.clone(), ahead)))
    }

    /// The answer, and what was read ahead for it. May be dropped while it waits, and called again.
    pub(crate) async fn answer(&mut self) -> Answered {
        self.0.as_mut().await
    }
}

async fn look(config: Config, question: Question, gtids: GtidSet, mut ahead: Ahead) -> Answered {
    let mut conn = Conn::open(&config).await?;
    let mut catalog = catalog(&mut conn, &config, Some(&question.key)).await?;
    let Some(version) = catalog.tables.remove(&question.key) else {
        conn.quit().await;
        let found = Err("the server has no such table any more, or the account may not see it".to_owned());
        return Ok((Answer { question, found }, ahead));
    };
    // what was read before is gone on with, if it begins early enough
    if !ahead.covers(&question.place) {
        ahead = Ahead::of(question.place.clone(), gtids);
    }
    if !ahead.reaches(&catalog.after) {
        let server_id = identity::server_id(&mut conn, &config).await?;
        read_ahead(conn, &config, server_id, &mut ahead, &catalog).await?;
    } else {
        conn.quit().await;
    }
    let found = if ahead.is_clear(&question.key, &question.place) {
        Ok(version)
    } else if ahead.is_whole() {
        Err("its definition is not known here, and statements about it follow, so that the server's present one may be \
             another"
            .to_owned())
    } else {
        Err("its definition is not known here, and the binlog ahead is too long to look for statements about it"
            .to_owned())
    };
    Ok((Answer { question, found }, ahead))
}
