//! Puts events together to transactions: begin, table maps, rows, end.
//!
//! Owns the position: what has been read, as of the last whole transaction. Decides which tables are captured, and
//! keeps the plans of their versions. Rows go into the block at hand; what can not be read and concerns a captured
//! table is a fatal fault, never a guess.

use std::collections::HashMap;
use std::sync::Arc;

use forebay_model::{Fault, Position};

use super::binlog::{Event, GtidEvent, Header, Meaning, Query, Rotate, RowsHead, TableMap, kinds, table_of};
use super::blocks::{Building, Opened, Resume};
use super::cursor::Garbled;
use super::decode::Plan;
use super::{Config, Limits};
use crate::codes;

/// Table maps that are kept; they are made anew where they are missed.
const TABLES: usize = 4096;
/// A table map's number that stands for none (the last event of a statement with no rows).
const NO_TABLE: u64 = 0xff_ffff;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was read to its end.
    Whole,
    /// The block became full in the middle of it: it must be offered again.
    Part,
}

/// A table map that was seen, and what came of it.
#[derive(Debug)]
struct Table {
    /// The table map's bytes: as long as they are the same, so is all else here.
    raw: Vec<u8>,
    /// `None` = not captured.
    plan: Option<Arc<Plan>>,
    /// The number of a block, and the index of the table's filling in it.
    filling: (u64, usize),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Transactions {
    config: Config,
    pub(crate) building: Building,
    position: Position,
    tables: Vec<Table>,
    by_id: HashMap<u64, usize>,
    /// The number and the index of the last table map.
    last: (u64, usize),
    /// The transaction at hand; `None` between two.
    open: Option<Opened>,
    /// Whether the transaction at hand has begun (a GTID alone may be followed by DDL).
    begun: bool,
    /// Whether it holds rows of captured tables.
    rows: bool,
    /// Where the event before ends, in full (the header has 32 bits of it).
    end: u64,
    resume: Resume,
    /// How often the position moved.
    pub(crate) moves: u64,
    /// The newest event's time, microseconds since 1970; 0 = none yet.
    pub(crate) last_event_us: u64,
}

impl Transactions {
    pub(crate) fn new(config: Config, limits: Limits, position: Position) -> Self {
        Transactions {
            config,
            building: Building::new(limits),
            end: position.pos,
            position,
            tables: Vec::new(),
            by_id: HashMap::new(),
            last: (u64::MAX, usize::MAX),
            open: None,
            begun: false,
            rows: false,
            resume: Resume::default(),
            moves: 0,
            last_event_us: 0,
        }
    }

    /// Everything up to here was given or is not wanted.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Whether no transaction is open.
    pub(crate) fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Takes an event.
    #[inline]
    pub(crate) fn take(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let taken = match event.header.kind {
            kinds::TABLE_MAP => self.table_map(event).map(|()| Taken::Whole),
            kinds::WRITE_ROWS | kinds::UPDATE_ROWS | kinds::DELETE_ROWS => self.rows(event),
            _ => self.other(event).map(|()| Taken::Whole),
        }?;
        // a rotation's own end lies in the file before
        if taken == Taken::Whole && event.header.end != 0 && event.header.kind != kinds::ROTATE {
            self.end = self.full_end(&event.header);
        }
        Ok(taken)
    }

    fn table_map(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        let garbled = |Garbled| self.garbled(event);
        let id = RowsHead::table_id(event.body).map_err(garbled)?;
        if self.last.0 == id && self.tables.get(self.last.1).is_some_and(|t| t.raw == event.body) {
            return Ok(());
        }
        if let Some(&at) = self.by_id.get(&id)
            && self.tables[at].raw == event.body
        {
            self.last = (id, at);
            return Ok(());
        }
        let (database, table) = table_of(event.body).map_err(garbled)?;
        let plan = if self.config.captures(database, table) { Some(self.plan(event)?) } else { None };
        if self.tables.len() >= TABLES {
            self.tables.clear();
            self.by_id.clear();
        }
        self.tables.push(Table { raw: event.body.to_vec(), plan, filling: (u64::MAX, 0) });
        self.last = (id, self.tables.len() - 1);
        self.by_id.insert(id, self.last.1);
        Ok(())
    }

    /// The plan for a table map; the same one for maps that mean the same.
    fn plan(&self, event: &Event<'_>) -> Result<Arc<Plan>, Fault> {
        let plans = || self.tables.iter().rev().filter_map(|t| Some((t, t.plan.as_ref()?)));
        // the first six bytes are the number, which changes with every FLUSH TABLES
        if let Some((_, plan)) = plans().find(|(t, _)| t.raw.get(6..) == event.body.get(6..)) {
            return Ok(plan.clone());
        }
        let map = TableMap::parse(event.body).map_err(|Garbled| self.garbled(event))?;
        let plan = Plan::new(&map)?;
        let same = plans().find(|(_, p)| ***p == plan).map(|(_, p)| p.clone());
        Ok(same.unwrap_or_else(|| Arc::new(plan)))
    }

    fn rows(&mut self, event: &Event<'_>) -> Result<Taken, Fault> {
        let head = RowsHead::parse(event.header.kind, event.body).map_err(|Garbled| self.garbled(event))?;
        if head.table_id != self.last.0 {
            match self.by_id.get(&head.table_id) {
                Some(&at) => self.last = (head.table_id, at),
                None if head.table_id == NO_TABLE => return Ok(Taken::Whole),
                None => return Err(self.garbled(event)),
            }
        }
        let pos = self.start(&event.header);
        let Some(table) = self.tables.get_mut(self.last.1) else { return Err(self.garbled(event)) };
        let Some(plan) = &table.plan else { return Ok(Taken::Whole) };
        let (Some(open), true) = (&mut self.open, self.begun && head.columns == plan.table.columns.len())
        else {
            return Err(self.garbled(event));
        };
        if table.filling.0 != self.building.number {
            table.filling = (self.building.number, self.building.filling(plan));
        }
        open.server_id = event.header.server_id;
        self.rows = true;
        let from = (pos, self.position.file.as_str(), &*open);
        let resume = std::mem::take(&mut self.resume);
        match self.building.rows(table.filling.1, &event.header, &head, from, resume) {
            Ok(None) => Ok(Taken::Whole),
            Ok(Some(resume)) => {
                self.resume = resume;
                Ok(Taken::Part)
            }
            Err(Garbled) => {
                let table = plan.table.full_name();
                Err(self.garbled(event).cause(format!("in a row of {table}")))
            }
        }
    }

    fn other(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        let body = event.body;
        let garbled = |Garbled| self.garbled(event);
        match event.header.kind {
            kinds::GTID => {
                let gtid = GtidEvent::parse(body).map_err(garbled)?;
                self.open(gtid)?;
            }
            kinds::GTID_TAGGED => {
                let gtid = GtidEvent::parse_tagged(body).map_err(garbled)?;
                self.open(gtid)?;
            }
            kinds::ANONYMOUS_GTID => {
                let what = format!("the transaction at {} has no GTID", self.at(event));
                return Err(Fault::new(codes::GTID_OFF, what)
                    .fix("set gtid_mode to ON, then start from now: transactions without one have no safe position"));
            }
            kinds::QUERY => {
                let query = Query::parse(body).map_err(garbled)?;
                self.query(event, &query)?;
            }
            kinds::XID => self.commit(event),
            kinds::XA_PREPARE => {
                // the first byte says whether this is XA COMMIT ... ONE PHASE
                if self.rows && body.first() != Some(&1) {
                    let what = format!("an XA transaction at {} changed captured tables", self.at(event));
                    return Err(Fault::new(codes::XA, what).fix(
                        "write captured tables without XA, or with XA COMMIT ... ONE PHASE; then start from now",
                    ));
                }
                self.commit(event);
            }
            kinds::ROTATE => {
                self.must_be_between(event)?;
                let rotate = Rotate::parse(body).map_err(garbled)?;
                if rotate.file != self.position.file || event.header.end != 0 {
                    self.position.file = rotate.file.to_owned();
                    self.position.pos = rotate.pos;
                    self.end = rotate.pos;
                    self.moves += 1;
                    self.building.end_file();
                }
            }
            kinds::FORMAT_DESCRIPTION | kinds::STOP => self.must_be_between(event)?,
            // where a new file's transactions begin: an idle server writes no more, and its end of the binlog is here
            kinds::PREVIOUS_GTIDS => {
                let end = self.full_end(&event.header);
                if self.open.is_none() && event.header.end != 0 && end > self.position.pos {
                    self.position.pos = end;
                    self.moves += 1;
                }
            }
            // says where the server stands, past what it has skipped
            kinds::HEARTBEAT if self.open.is_none() => {
                let end = self.full_end(&event.header);
                if end > self.position.pos && body == self.position.file.as_bytes() {
                    self.position.pos = end;
                    self.moves += 1;
                }
            }
            kinds::HEARTBEAT | kinds::HEARTBEAT_V2 => {}
            kinds::INCIDENT => {
                let what = format!("the server reports at {} that its binlog lacks changes", self.at(event));
                return Err(Fault::new(codes::INCIDENT, what)
                    .fix("read the server's error log, then start from now and take a new snapshot"));
            }
            kinds::PARTIAL_UPDATE_ROWS if self.captured(event)? => {
                let what = format!("the update at {} holds differences of JSON values", self.at(event));
                return Err(Fault::new(codes::PARTIAL_JSON, what)
                    .fix("SET PERSIST binlog_row_value_options = '', then start from now"));
            }
            kinds::WRITE_ROWS_V1..=kinds::DELETE_ROWS_V1 if self.captured(event)? => {
                let what = format!("the rows at {} are written in the form of MySQL 5.5", self.at(event));
                return Err(Fault::new(codes::UNSUPPORTED_EVENT, what)
                    .fix("SET PERSIST log_bin_use_v1_row_events = OFF, then start from now"));
            }
            kinds::PARTIAL_UPDATE_ROWS | kinds::WRITE_ROWS_V1..=kinds::DELETE_ROWS_V1 => {}
            kind if kinds::WITHOUT_ROWS.contains(&kind) || event.header.is_ignorable() => {}
            kind => {
                let what = format!("the event at {} is of type {kind}, which is not known", self.at(event));
                return Err(Fault::new(codes::UNSUPPORTED_EVENT, what).fix("use a later version of Forebay"));
            }
        }
        Ok(())
    }

    fn open(&mut self, event: GtidEvent) -> Result<(), Fault> {
        if self.open.is_some() {
            return Err(self.cut());
        }
        self.last_event_us = event.commit_us;
        self.open = Some(Opened { gtid: Some(event.gtid), commit_us: event.commit_us, ..Default::default() });
        Ok(())
    }

    fn query(&mut self, event: &Event<'_>, query: &Query<'_>) -> Result<(), Fault> {
        match (query.meaning(), self.begun) {
            (Meaning::Begin, false) => {
                self.begun = true;
                let Some(open) = &mut self.open else { return Err(self.garbled(event)) };
                open.thread = query.thread;
                open.server_id = event.header.server_id;
                if open.commit_us == 0 {
                    open.commit_us = u64::from(event.header.seconds) * 1_000_000;
                    self.last_event_us = open.commit_us;
                }
            }
            (Meaning::Commit, true) => self.commit(event),
            (Meaning::Rollback, true) => {
                // row events of a transaction that is rolled back are not written; this one is of a mixed kind
                if self.rows {
                    let what =
                        format!("the transaction that ends at {} is rolled back in part", self.at(event));
                    return Err(Fault::new(codes::UNSUPPORTED_EVENT, what)
                        .fix("use one storage engine in a transaction; then start from now"));
                }
                self.commit(event);
            }
            (meaning, begun) => {
                if meaning == Meaning::Rows {
                    tracing::warn!(
                        code = codes::STATEMENT_EVENT.name,
                        database = %String::from_utf8_lossy(query.database),
                        statement = query.verb(),
                        at = self.at(event),
                        "rows were changed by a statement that the binlog holds as text: if the table is captured, \
                         its changes are missing (a session has binlog_format = STATEMENT)"
                    );
                }
                // DDL and the like are transactions of their own
                if !begun {
                    self.commit(event);
                }
            }
        }
        Ok(())
    }

    /// The transaction at hand ends with this event.
    fn commit(&mut self, event: &Event<'_>) {
        if let Some(open) = self.open.take()
            && let Some(gtid) = open.gtid
        {
            self.position.gtids.add(&gtid);
        }
        self.position.pos = self.full_end(&event.header);
        self.moves += 1;
        (self.begun, self.rows) = (false, false);
        self.building.end_transaction();
    }

    /// Whether an event with a table's number is about a captured table.
    fn captured(&self, event: &Event<'_>) -> Result<bool, Fault> {
        let id = RowsHead::table_id(event.body).map_err(|Garbled| self.garbled(event))?;
        Ok(self.by_id.get(&id).and_then(|&at| self.tables.get(at)).is_some_and(|t| t.plan.is_some()))
    }

    fn must_be_between(&self, event: &Event<'_>) -> Result<(), Fault> {
        // sent again whenever the server opens a file, also in the middle of nothing
        let artificial = event.header.end == 0;
        if self.open.is_some() && !artificial { Err(self.cut()) } else { Ok(()) }
    }

    fn cut(&self) -> Fault {
        Fault::new(
            codes::TRANSACTION_CUT,
            format!("the binlog breaks off inside a transaction in {}", self.position.file),
        )
    }

    /// Where an event ends, with the high half that the header lacks.
    fn full_end(&self, header: &Header) -> u64 {
        if header.end == 0 {
            return self.end;
        }
        let end = self.end & !0xffff_ffff | u64::from(header.end);
        // only a transaction can make a file grow past 4 GiB
        if self.begun && end < self.end && self.end - end > 1 << 31 { end + (1 << 32) } else { end }
    }

    /// Where an event starts: so many bytes before its end, or behind the one before.
    fn start(&self, header: &Header) -> u64 {
        if header.end == 0 { self.end } else { self.full_end(header).saturating_sub(header.size.into()) }
    }

    fn at(&self, event: &Event<'_>) -> String {
        format!("{}:{}", self.position.file, self.start(&event.header))
    }

    fn garbled(&self, event: &Event<'_>) -> Fault {
        let what = format!("the event at {}, of type {}, makes no sense", self.at(event), event.header.kind);
        Fault::new(codes::GARBLED, what)
            .fix("check the file with mysqlbinlog -vv, and report this with its output")
    }
}

#[cfg(test)]
mod tests;
