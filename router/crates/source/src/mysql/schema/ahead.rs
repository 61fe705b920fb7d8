//! The binlog read ahead of the stream, by a connection of its own and for its statements alone.
//!
//! Owns what was found there: where the last statement about each table is ([`Ahead`]), and which tables the server has otherwise than
//! all statements up to now make them ([`foresee`]).

use std::collections::HashMap;
use std::time::Duration;

use forebay_model::{Fault, Gtid, GtidSet};
use tokio::time::Instant;

use super::follow::Said;
use super::history::History;
use super::lookup::Catalog;
use super::note::Key;
use super::place::Place;
use super::statement::{Clause, Statement, parse};
use crate::mysql::binlog::{GtidEvent, Header, MariaDbGtid, Meaning, Query, Rotate, inflate, kinds};
use crate::mysql::dump::{Dump, From};
use crate::mysql::wire::Conn;
use crate::mysql::{Config, identity};

/// How long reading ahead may take while the stream stands: the server waits a minute for a reader that reads nothing.
const AHEAD: Duration = Duration::from_secs(25);
/// How long it may take before the stream begins: for whoever was away for days.
const FORESEE: Duration = Duration::from_secs(3600);
/// Tables that may have statements ahead; with more, the answer is that it cannot be said.
const MOST: usize = 100_000;
/// The longest statement: max_allowed_packet ends at 1 GiB.
const LARGEST: usize = (1 << 30) + (1 << 20);

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
    /// Nothing yet, from a place on; `gtids` is the stream's position before it.
    pub(super) fn of(from: Place, gtids: GtidSet) -> Self {
        Ahead { from, gtids, ..Default::default() }
    }

    /// Whether the place lies in what was read.
    pub(super) fn covers(&self, place: &Place) -> bool {
        self.whole && self.from <= *place && *place <= self.until
    }

    /// Whether it was read up to there.
    pub(super) fn reaches(&self, place: &Place) -> bool {
        *place <= self.until
    }

    /// Whether it was read to where it should be.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether no statement about the table lies between the place and the end of what was read.
    pub(super) fn is_clear(&self, key: &Key, place: &Place) -> bool {
        let before = |key: &Key| self.last.get(key).is_none_or(|last| last <= place);
        self.whole && self.from <= *place && before(key) && before(&(String::new(), key.1.clone()))
    }
}

/// Reads the binlog's statements up to where the catalog was read, or for as long as the stream may stand.
pub(super) async fn read_ahead(
    conn: Conn,
    config: &Config,
    server_id: u32,
    ahead: &mut Ahead,
    catalog: &Catalog,
) -> Result<(), Fault> {
    let from = match u32::try_from(ahead.from.pos) {
        // a server without GTIDs; the place is of the server that is read
        Ok(pos) if ahead.gtids.is_empty() && !ahead.from.file.is_empty() => From::At(&ahead.from.file, pos),
        _ => From::Behind(&ahead.gtids),
    };
    let dump = Dump::start(conn, config, server_id, from).await?;
    ahead.whole = false;
    let deadline = Instant::now() + AHEAD;
    let (gtids, last) = (&mut ahead.gtids, &mut ahead.last);
    let whole = walk(dump, &catalog.after, deadline, |found| match found {
        // the end that is read to is that of a transaction: by then all of these are whole
        Found::Gtid(gtid) => {
            gtids.add(&gtid);
            true
        }
        Found::Statement(query, place) => {
            note_statement(last, query, catalog, place);
            last.len() <= MOST
        }
    });
    if whole.await? {
        ahead.until = catalog.after.clone();
        ahead.whole = true;
    }
    Ok(())
}

/// Before the stream reads what was written while nobody listened: finds the tables that the server has otherwise than the statements
/// up to now make them. A change that is not in the binlog was made meanwhile, nobody knows before which of the rows, and rows may fit both.
///
/// Reads all that lies ahead, once; and only if some table is another than it was and the binlog does not name columns.
///
/// # Errors
/// If the server cannot be read.
pub(crate) async fn foresee(history: &mut History, config: &Config, from: From<'_>) -> Result<(), Fault> {
    let Some((mut shadow, until)) = history.shadow() else { return Ok(()) };
    tracing::info!("tables have changed since the position: the statements ahead are looked at first");
    // an id of its own: two readers with one throw each other out
    let config = Config { server_id: None, ..config.clone() };
    let mut conn = Conn::open(&config).await?;
    let server_id = identity::server_id(&mut conn, &config).await?;
    let dump = Dump::start(conn, &config, server_id, from).await?;
    let modes = shadow.modes;
    let deadline = Instant::now() + FORESEE;
    let followed = walk(dump, &until, deadline, |found| {
        if let Found::Statement(query, _) = found {
            shadow.follow(&Said::of(query, modes));
        }
        true
    });
    if followed.await? {
        history.suspect(&shadow);
    } else {
        tracing::warn!(
            "too much lies ahead: a table that was changed without the binlog is found only behind it"
        );
    }
    Ok(())
}

/// What is met on the way.
enum Found<'a> {
    Gtid(Gtid),
    /// Starts at the place.
    Statement(&'a Query<'a>, Place),
}

/// Goes through the binlog to a place. False if it was not reached, since the time was over or `each` has had enough.
async fn walk(
    mut dump: Dump,
    until: &Place,
    deadline: Instant,
    mut each: impl FnMut(Found<'_>) -> bool,
) -> Result<bool, Fault> {
    let mut at = Place::default();
    let mut inflated = Vec::new();
    // what the transaction's statement says has not happened
    let mut undone = false;
    while at < *until {
        while at < *until && dump.peek()? {
            let event = dump.event()?;
            let gtid = match event.header.kind {
                kinds::ROTATE => {
                    let rotate = Rotate::parse(event.body).map_err(|_| garbled())?;
                    at = Place { file: rotate.file.to_owned(), pos: rotate.pos };
                    None
                }
                kinds::GTID => Some(GtidEvent::parse(event.body).map_err(|_| garbled())?.gtid),
                kinds::GTID_TAGGED => Some(GtidEvent::parse_tagged(event.body).map_err(|_| garbled())?.gtid),
                kinds::MARIADB_GTID => {
                    let begin = MariaDbGtid::parse(event.header.server_id, event.body);
                    let begin = begin.map_err(|_| garbled())?;
                    undone = begin.undone;
                    Some(begin.gtid)
                }
                _ => None,
            };
            let mut goes_on = gtid.is_none_or(|gtid| each(Found::Gtid(gtid)));
            if matches!(event.header.kind, kinds::QUERY | kinds::QUERY_COMPRESSED) && !undone {
                let mut body = event.body;
                if event.header.kind == kinds::QUERY_COMPRESSED {
                    inflate(&event.header, body, LARGEST, &mut inflated).map_err(|_| garbled())?;
                    body = &inflated;
                }
                let query = Query::parse(body).map_err(|_| garbled())?;
                if matches!(query.meaning(), Meaning::Other | Meaning::Rows) {
                    goes_on &= each(Found::Statement(&query, at.clone()));
                }
            }
            if event.header.kind != kinds::ROTATE && event.header.end != 0 {
                at.pos = end(at.pos, &event.header);
            }
            dump.done();
            if !goes_on {
                return Ok(false);
            }
        }
        if at < *until {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            dump.fill(Some(deadline)).await?;
        }
    }
    Ok(true)
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
fn note_statement(last: &mut HashMap<Key, Place>, query: &Query<'_>, catalog: &Catalog, place: Place) {
    let said = Said::of(query, catalog.modes);
    let Some(statement) = parse(&said.text, said.modes) else { return };
    let mut about = |database: Option<&str>, table: &str| {
        let key = (database.unwrap_or(&said.database).to_owned(), table.to_owned());
        let key = if catalog.fold { (key.0.to_lowercase(), key.1.to_lowercase()) } else { key };
        last.insert(key, place.clone());
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
