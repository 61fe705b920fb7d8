//! The envelope around the images, event by event in offset order.

use std::sync::Arc;

use forebay_model::{Block, ChangeEvent, Events, Fault, Gtid, Offset, Op, TableSchema, Txn};

use super::cells::View;
use super::config::{DebeziumConfig, Settings};
use super::plan::{Plan, quoted};
use crate::codes;
use crate::formats::{Text, digits, json};

/// Tables whose plans are kept; when there are more, all are made anew as they come.
const PLANS: usize = 256;
/// Room for the envelope's own words and numbers, beside [`Prefix`] and the images; a routing has 200 bytes at most.
const ENVELOPE: usize = 512;

/// Writes a source's events; keeps what can be kept from block to block.
#[derive(Debug)]
pub struct Renderer {
    settings: Settings,
    /// `,"source":{...` up to the first thing that changes.
    head: String,
    plans: Vec<Plan>,
}

/// One record, as [`Records::next`] has appended it.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Where it ends in the text; it starts where the text ended before.
    pub end: usize,
    /// The event's offset.
    pub offset: Offset,
    /// See [`Run::part`](forebay_model::Run::part).
    pub part: u32,
    /// Index of its batch in the block.
    pub batch: usize,
    /// The event itself.
    pub event: ChangeEvent,
}

impl Renderer {
    /// For the events of the source of that name.
    pub fn new(config: &DebeziumConfig, source: &str) -> Self {
        let head = format!(
            r#","source":{{"version":"{}","connector":"mysql","name":{},"ts_ms":"#,
            env!("CARGO_PKG_VERSION"),
            quoted(source)
        );
        Renderer { settings: config.settings(), head, plans: Vec::new() }
    }

    /// The block's events, in offset order. `now_us` is the time of processing, in microseconds since 1970.
    pub fn records<'a>(&'a mut self, block: &'a Block, now_us: u64) -> Records<'a> {
        if self.plans.len() > PLANS {
            self.plans.clear();
        }
        let plans: Vec<usize> = block.batches.iter().map(|batch| self.plan(&batch.table)).collect();
        let views = block.batches.iter().zip(plans).map(|(batch, plan)| View::new(batch, &self.plans[plan]));
        let tail = format!(
            r#"","ts_ms":{},"ts_us":{now_us},"ts_ns":{}}}"#,
            now_us / 1000,
            u128::from(now_us) * 1000
        );
        let (order, current) = match &block.batches[..] {
            [] => (Vec::new(), None),
            [only] => (Vec::new(), Some((0, only.events()))),
            _ => (block.runs_in_order(), None),
        };
        Records {
            block,
            views: views.collect(),
            prefixes: block.batches.iter().map(|_| Prefix::default()).collect(),
            strings: block.origin.strings.iter().map(|s| quoted(s)).collect(),
            head: &self.head,
            tail,
            uuid: ([0; 16], uuid_text(&[0; 16])),
            order: order.into_iter(),
            current,
        }
    }

    fn plan(&mut self, table: &Arc<TableSchema>) -> usize {
        if let Some(known) = self.plans.iter().position(|plan| Arc::ptr_eq(&plan.table, table)) {
            return known;
        }
        // the same table, read from the changelog another time
        if let Some(equal) = self.plans.iter().position(|plan| plan.table == *table) {
            self.plans[equal].table = table.clone();
            return equal;
        }
        self.plans.push(Plan::new(table, &self.settings));
        self.plans.len() - 1
    }
}

/// The part of the envelope that events of one table and transaction share: from `,"source"` to `"pos":`.
#[derive(Default)]
struct Prefix {
    of: Option<Shared>,
    text: Text,
    thread: u32,
}

/// What the shared part depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shared {
    txn: u32,
    snapshot: bool,
    seconds: u32,
}

/// A block's events being written; see [`Renderer::records`].
pub struct Records<'a> {
    block: &'a Block,
    views: Vec<View<'a>>,
    prefixes: Vec<Prefix>,
    /// The origin's strings, as JSON.
    strings: Vec<String>,
    head: &'a str,
    /// From after the operation to the end of the record.
    tail: String,
    /// The last UUID and its text.
    uuid: ([u8; 16], [u8; 37]),
    /// Runs still to come, where there are several batches.
    order: std::vec::IntoIter<(u32, u32)>,
    current: Option<(usize, Events<'a>)>,
}

impl Records<'_> {
    /// Appends the next event's record; `None` after the last.
    ///
    /// # Errors
    /// A poison fault if the event may not be written as the format is set; nothing is appended then.
    #[inline]
    pub fn next(&mut self, out: &mut Text) -> Result<Option<Record>, Fault> {
        let (batch, event) = loop {
            if let Some((batch, events)) = &mut self.current
                && let Some(event) = events.next()
            {
                break (*batch, event);
            }
            let Some((batch, run)) = self.order.next() else { return Ok(None) };
            let (batch, run) = (batch as usize, run as usize);
            self.current = Some((batch, self.block.batches[batch].events_of(run..run + 1)));
        };
        self.share(batch, &event);
        match self.write(batch, &event, out) {
            Ok(end) => {
                let offset = self.block.first + Offset::from(event.event);
                Ok(Some(Record { end, offset, part: event.part, batch, event }))
            }
            Err(column) => Err(self.rejected(batch, column)),
        }
    }

    /// Appends the record's key as a JSON object; `false` (and nothing) if its table has none.
    pub fn key(&self, record: &Record, out: &mut Text) -> bool {
        let event = &record.event;
        let (Some(row), other) = (event.after.or(event.before), event.before) else { return false };
        let (row, other) = (row as usize, other.map(|row| row as usize));
        let view = &self.views[record.batch];
        let room = view.room(row) + other.map_or(0, |other| view.room(other));
        let at = out.len();
        match view.key(out.room(room), at, row, other) {
            Some(end) => out.set_len(end),
            None => return false,
        }
        true
    }

    /// Makes the shared part anew if this event's is another than the last one's of its table.
    #[inline]
    fn share(&mut self, batch: usize, event: &ChangeEvent) {
        let run = &self.views[batch].batch.runs[event.run as usize];
        let shared = Shared { txn: run.txn, snapshot: event.op == Op::Read, seconds: run.seconds };
        let prefix = &mut self.prefixes[batch];
        if prefix.of == Some(shared) {
            return;
        }
        prefix.of = Some(shared);
        let plan = self.views[batch].plan;
        let origin = &self.block.origin;
        let txn = &origin.txns[run.txn as usize];
        prefix.thread = txn.thread;
        // Debezium prefers the commit's own time, in microseconds, to the event's, in seconds
        let micros = if txn.commit_us > 0 { txn.commit_us } else { u64::from(run.seconds) * 1_000_000 };
        let mut digits = [0; digits::SLACK];
        // one number in three units: its text without the last three digits (so it has four), as it is, and with three more
        let end = json::unsigned(&mut digits, 0, micros.max(1000));
        let (text, micros) = (&mut prefix.text, &digits[..end]);
        text.clear();
        let mut push = |bytes: &[u8]| text.push(bytes);
        push(self.head.as_bytes());
        push(&micros[..micros.len() - 3]);
        push(if shared.snapshot { br#","snapshot":"true","db":"# } else { br#","snapshot":"false","db":"# });
        push(plan.database.as_bytes());
        push(br#","sequence":null,"ts_us":"#);
        push(micros);
        push(br#","ts_ns":"#);
        push(micros);
        push(br#"000,"table":"#);
        push(plan.name.as_bytes());
        push(br#","server_id":"#);
        push(itoa::Buffer::new().format(txn.server_id).as_bytes());
        push(br#","gtid":"#);
        if self.uuid.0 != txn.uuid {
            self.uuid = (txn.uuid, uuid_text(&txn.uuid));
        }
        gtid(txn, &self.uuid.1, &self.strings, &mut push);
        push(br#","file":"#);
        push(self.strings.get(txn.file as usize).map_or(&b"\"\""[..], |file| file.as_bytes()));
        push(br#","pos":"#);
    }

    #[inline]
    fn write(&self, batch: usize, event: &ChangeEvent, out: &mut Text) -> Result<usize, usize> {
        let view = &self.views[batch];
        let prefix = &self.prefixes[batch];
        let run = &view.batch.runs[event.run as usize];
        let rows = [event.before, event.after];
        let images = rows.into_iter().flatten().fold(0, |sum, row| sum + view.room(row as usize));
        let partial = event.after.and_then(|row| view.partial(row as usize));
        let more = partial.as_ref().map_or(0, String::len);
        let mut at = out.len();
        let buf = out.room(images + prefix.text.len() + self.tail.len() + ENVELOPE + more);
        at = json::put(buf, at, b"{\"before\":");
        at = match event.before {
            Some(row) => view.image(buf, at, row as usize)?,
            None => json::put(buf, at, b"null"),
        };
        at = json::put(buf, at, b",\"after\":");
        at = match event.after {
            Some(row) => view.image(buf, at, row as usize)?,
            None => json::put(buf, at, b"null"),
        };
        at = json::put(buf, at, prefix.text.as_bytes());
        at = json::unsigned(buf, at, run.pos);
        at = json::put(buf, at, b",\"row\":");
        at = json::integer(buf, at, i64::from(event.nth));
        at = json::put(buf, at, b",\"thread\":");
        at = match prefix.thread {
            0 => json::put(buf, at, b"null"),
            thread => json::integer(buf, at, i64::from(thread)),
        };
        at = json::put(buf, at, b",\"query\":null");
        let image = event.after.or(event.before);
        if let Some(place) = image.and_then(|row| view.batch.routing(row as usize)) {
            // letters, digits, `_`, `-` and `.`: nothing to escape
            at = json::put(buf, at, b",\"routing\":\"");
            at = json::put(buf, at, place.as_bytes());
            at = json::put(buf, at, b"\"");
        }
        if let Some(names) = partial {
            at = json::put(buf, at, b",\"partial\":");
            at = json::put(buf, at, names.as_bytes());
        }
        at = json::put(buf, at, b"},\"transaction\":null,\"op\":\"");
        buf[at] = match event.op {
            Op::Read => b'r',
            Op::Create => b'c',
            Op::Update => b'u',
            Op::Delete => b'd',
        };
        at = json::put(buf, at + 1, self.tail.as_bytes());
        out.set_len(at);
        Ok(at)
    }

    #[cold]
    fn rejected(&self, batch: usize, column: usize) -> Fault {
        let table = &self.views[batch].batch.table;
        let column = &table.columns[column].name;
        Fault::new(
            codes::ZERO_DATE_REJECTED,
            format!(
                "{}.{column} holds a date that no calendar has, and the format rejects those",
                table.full_name()
            ),
        )
        .fix("mend the row, or set zero_dates to null, epoch or string")
    }
}

/// `"` and the UUID's usual text.
fn uuid_text(uuid: &[u8; 16]) -> [u8; 37] {
    let mut text = [b'-'; 37];
    text[0] = b'"';
    for (at, bytes) in
        [(1, &uuid[..4]), (10, &uuid[4..6]), (15, &uuid[6..8]), (20, &uuid[8..10]), (25, &uuid[10..])]
    {
        json::hex(&mut text, at, bytes);
    }
    text
}

/// `"uuid:number"`, with the tag between them where there is one; MariaDB's own form; `null` without GTIDs.
fn gtid(txn: &Txn, uuid: &[u8; 37], strings: &[String], push: &mut impl FnMut(&[u8])) {
    if txn.number == 0 {
        return push(b"null");
    }
    let of_mariadb = Gtid { uuid: txn.uuid, tag: None, number: txn.number };
    if of_mariadb.domain_and_server().is_some() {
        return push(format!("\"{of_mariadb}\"").as_bytes());
    }
    push(uuid);
    push(b":");
    if let Some(tag) = txn.tag.checked_sub(1).and_then(|tag| strings.get(tag as usize)) {
        push(tag.trim_matches('"').as_bytes());
        push(b":");
    }
    push(itoa::Buffer::new().format(txn.number).as_bytes());
    push(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gtids_of_both_servers() {
        let text = |gtid_of: &Gtid| {
            let (uuid, number) = (gtid_of.uuid, gtid_of.number);
            let txn = Txn { uuid, number, commit_us: 0, thread: 0, server_id: 0, file: 0, tag: 0 };
            let mut out = Vec::new();
            gtid(&txn, &uuid_text(&txn.uuid), &[], &mut |bytes: &[u8]| out.extend_from_slice(bytes));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(&Gtid::mariadb(7, 2, 9)), "\"7-2-9\"");
        let uuid = Gtid { uuid: [0x0a; 16], tag: None, number: 5 };
        assert_eq!(text(&uuid), "\"0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a:5\"");
    }
}
