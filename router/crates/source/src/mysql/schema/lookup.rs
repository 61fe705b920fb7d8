//! Asking the server what its tables look like, and for how long they have.
//!
//! What `information_schema` says is of now; a table map is of then. It may be used for the table map if no statement about
//! the table lies between: so the binlog is read ahead, by a connection of its own and for its statements alone, from
//! the table map up to where the binlog ended after `information_schema` was read. A statement before the table map was
//! finished before the rows were written, so that the answer has it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use forebay_model::{Fault, GtidSet};
use tokio::time::Instant;

use super::charsets::{charset_name, of_collation};
use super::follow::Said;
use super::history::{Answer, Question, watches};
use super::lex::Modes;
use super::note::Key;
use super::place::Place;
use super::sqltype::SqlType;
use super::statement::{Clause, Statement, parse};
use super::version::{ColumnDef, Version};
use crate::mysql::binlog::{GtidEvent, Header, MariaDbGtid, Meaning, Query, Rotate, inflate, kinds};
use crate::mysql::dump::{Dump, From};
use crate::mysql::wire::{Conn, WireError};
use crate::mysql::{Config, faults, identity};

/// How long reading ahead may take: the server waits a minute for a reader that reads nothing.
const AHEAD: Duration = Duration::from_secs(25);
/// Tables that may have statements ahead; with more, the answer is that it cannot be said.
const MOST: usize = 100_000;
/// The longest statement: max_allowed_packet ends at 1 GiB.
const LARGEST: usize = (1 << 30) + (1 << 20);

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
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COLLATION FROM information_schema.TABLES \
             WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN {system}{of_one}"
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
        if let [Some(database), Some(table), collation] = &row[..]
            && wanted(database)
        {
            let charset = collation.as_deref().and_then(of_collation);
            let key = name(&catalog, database, table);
            catalog.tables.insert(key, Version::new(Vec::new(), Vec::new(), charset));
        }
    }
    let columns = conn
        .query(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN {system}{of_one} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    for row in columns.rows {
        let [Some(database), Some(table), Some(column), Some(native), Some(nullable), charset] = &row[..]
        else {
            continue;
        };
        let key = name(&catalog, database, table);
        let Some(version) = catalog.tables.get_mut(&key) else { continue };
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

/// Statements that lie ahead of the stream.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    from: Place,
    until: Place,
    gtids: GtidSet,
    /// Where the last statement about a table is; a database of "" = of any.
    last: HashMap<Key, Place>,
    /// Read to its end.
    whole: bool,
}

impl Ahead {
    /// Whether no statement about the table lies between the place and the end of what was read.
    fn is_clear(&self, key: &Key, place: &Place) -> bool {
        let before = |key: &Key| self.last.get(key).is_none_or(|last| last <= place);
        self.whole && self.from <= *place && before(key) && before(&(String::new(), key.1.clone()))
    }
}

/// What a question comes to: the answer, and what was read ahead for it.
type Found = Result<(Answer, Ahead), Fault>;

/// A question under way.
pub(crate) struct Lookup(Pin<Box<dyn Future<Output = Found> + Send>>);

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
    pub(crate) async fn answer(&mut self) -> Found {
        self.0.as_mut().await
    }
}

async fn look(config: Config, question: Question, gtids: GtidSet, mut ahead: Ahead) -> Found {
    let mut conn = Conn::open(&config).await?;
    let mut catalog = catalog(&mut conn, &config, Some(&question.key)).await?;
    let Some(version) = catalog.tables.remove(&question.key) else {
        conn.quit().await;
        let found = Err("the server has no such table any more, or the account may not see it".to_owned());
        return Ok((Answer { question, found }, ahead));
    };
    // what was read before is gone on with, if it begins early enough
    if !(ahead.whole && ahead.from <= question.place && question.place <= ahead.until) {
        ahead = Ahead { from: question.place.clone(), until: Place::default(), gtids, ..Default::default() };
    }
    if ahead.until < catalog.after {
        let server_id = identity::server_id(&mut conn, &config).await?;
        read_ahead(conn, &config, server_id, &mut ahead, &catalog).await?;
    } else {
        conn.quit().await;
    }
    let found = if ahead.is_clear(&question.key, &question.place) {
        Ok(version)
    } else if ahead.whole {
        Err("its definition is not known here, and statements about it follow, so that the server's present one may be \
             another"
            .to_owned())
    } else {
        Err("its definition is not known here, and the binlog ahead is too long to look for statements about it"
            .to_owned())
    };
    Ok((Answer { question, found }, ahead))
}

/// Reads the binlog's statements up to where the catalog was read.
async fn read_ahead(
    conn: Conn,
    config: &Config,
    server_id: u32,
    ahead: &mut Ahead,
    catalog: &Catalog,
) -> Result<(), Fault> {
    let deadline = Instant::now() + AHEAD;
    let from = match u32::try_from(ahead.from.pos) {
        // a server without GTIDs; the place is of the server that is read
        Ok(pos) if ahead.gtids.is_empty() && !ahead.from.file.is_empty() => From::At(&ahead.from.file, pos),
        _ => From::Behind(&ahead.gtids),
    };
    let mut dump = Dump::start(conn, config, server_id, from).await?;
    let mut at = Place::default();
    let mut inflated = Vec::new();
    ahead.whole = false;
    while at < catalog.after {
        while at < catalog.after && dump.peek()? {
            let event = dump.event()?;
            match event.header.kind {
                kinds::ROTATE => {
                    let rotate = Rotate::parse(event.body).map_err(|_| garbled())?;
                    at = Place { file: rotate.file.to_owned(), pos: rotate.pos };
                }
                // the end that is read to is that of a transaction: by then all of these are whole
                kinds::GTID => {
                    ahead.gtids.add(&GtidEvent::parse(event.body).map_err(|_| garbled())?.gtid);
                }
                kinds::GTID_TAGGED => {
                    ahead.gtids.add(&GtidEvent::parse_tagged(event.body).map_err(|_| garbled())?.gtid);
                }
                kinds::MARIADB_GTID => {
                    let gtid =
                        MariaDbGtid::parse(event.header.server_id, event.body).map_err(|_| garbled())?;
                    ahead.gtids.add(&gtid.gtid);
                }
                kinds::QUERY | kinds::QUERY_COMPRESSED => {
                    let mut body = event.body;
                    if event.header.kind == kinds::QUERY_COMPRESSED {
                        inflate(&event.header, body, LARGEST, &mut inflated).map_err(|_| garbled())?;
                        body = &inflated;
                    }
                    let query = Query::parse(body).map_err(|_| garbled())?;
                    if matches!(query.meaning(), Meaning::Other | Meaning::Rows) {
                        note_statement(ahead, &query, catalog, at.clone());
                    }
                }
                _ => {}
            }
            if event.header.kind != kinds::ROTATE && event.header.end != 0 {
                at.pos = end(at.pos, &event.header);
            }
            dump.done();
        }
        if at < catalog.after && Instant::now() < deadline {
            dump.fill(Some(deadline)).await?;
        }
        if ahead.last.len() > MOST || Instant::now() >= deadline {
            return Ok(());
        }
    }
    ahead.until = catalog.after.clone();
    ahead.whole = true;
    Ok(())
}

fn end(before: u64, header: &Header) -> u64 {
    let end = before & !0xffff_ffff | u64::from(header.end);
    // only a transaction can make a file grow past 4 GiB
    if end < before && before - end > 1 << 31 { end + (1 << 32) } else { end }
}

fn garbled() -> Fault {
    Fault::new(crate::codes::GARBLED, "an event of the binlog ahead makes no sense")
}

/// Notes where a statement about tables is.
fn note_statement(ahead: &mut Ahead, query: &Query<'_>, catalog: &Catalog, place: Place) {
    let said = Said::of(query, catalog.modes);
    let Some(statement) = parse(&said.text, said.modes) else { return };
    let mut about = |database: Option<&str>, table: &str| {
        let key = (database.unwrap_or(&said.database).to_owned(), table.to_owned());
        let key = if catalog.fold { (key.0.to_lowercase(), key.1.to_lowercase()) } else { key };
        ahead.last.insert(key, place.clone());
    };
    match &statement {
        Statement::Create { table, .. } => about(table.database.as_deref(), &table.table),
        Statement::Alter { table, clauses } => {
            about(table.database.as_deref(), &table.table);
            for clause in clauses.iter().flatten() {
                if let Clause::RenameTo(to) = clause {
                    let database = to.database.as_deref().or(table.database.as_deref());
                    about(database, &to.table);
                }
            }
        }
        Statement::Rename(pairs) => {
            for named in pairs.iter().flat_map(|(a, b)| [a, b]) {
                about(named.database.as_deref(), &named.table);
            }
        }
        Statement::Drop(tables) => tables.iter().for_each(|t| about(t.database.as_deref(), &t.table)),
        Statement::Unclear { names, .. } => names.iter().for_each(|n| about(Some(""), n)),
        // the tables are gone, and the table that was asked for is there
        Statement::DropDatabase(_) => {}
        Statement::Truncate(_) | Statement::Untouched(_) | Statement::Database { .. } => {}
    }
}
