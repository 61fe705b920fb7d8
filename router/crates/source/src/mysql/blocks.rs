//! A block while it is filled.
//!
//! Owns one [`Filling`] for each version of a table that the block has rows of, and the transactions that they belong
//! to. Knows where the last whole transaction ends, because a block holds whole transactions or a piece of one, never
//! both.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use forebay_model::{Batch, Block, Fault, Gtid, Origin, Run, TableSchema, Txn};

use super::Limits;
use super::binlog::{Header, RowsHead, kinds};
use super::cursor::Garbled;
use super::decode::{Filling, Plan, Present, Size, WrongText};
use crate::codes;

/// Tables whose last size is remembered.
const SIZES: usize = 1024;

/// A transaction, as it opens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opened {
    pub(crate) gtid: Option<Gtid>,
    pub(crate) commit_us: u64,
    pub(crate) thread: u32,
    pub(crate) server_id: u32,
}

/// Where in an event decoding goes on, when a block became full in the middle of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resume {
    /// Bytes of images that were read.
    pub(crate) at: usize,
    /// Events (rows) that were read.
    pub(crate) nth: u32,
}

/// A block that is closed.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) block: Block,
    /// How many of its events belong to whole transactions.
    pub(crate) whole: u32,
    /// Why the block ends before what was read: the transaction that follows holds what must not go on. The block has
    /// whole transactions only.
    pub(crate) fault: Option<Fault>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Building {
    limits: Limits,
    fillings: Vec<Filling>,
    events: u32,
    rows: usize,
    bytes: usize,
    /// Events up to the end of the last whole transaction.
    whole: u32,
    txns: Vec<Txn>,
    strings: Vec<String>,
    /// The open transaction's index in `txns`, and the file's in `strings`, once they are there.
    txn: Option<u32>,
    file: Option<u32>,
    /// How large the batches of a table were last time.
    sizes: HashMap<u64, Size>,
    /// Rises with every block, so that others can remember a filling's index safely.
    pub(crate) number: u64,
}

impl Building {
    pub(crate) fn new(limits: Limits) -> Self {
        Building {
            limits,
            fillings: Vec::new(),
            events: 0,
            rows: 0,
            bytes: 0,
            whole: 0,
            txns: Vec::new(),
            strings: Vec::new(),
            txn: None,
            file: None,
            sizes: HashMap::new(),
            number: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.limits.block_rows || self.bytes >= self.limits.block_bytes
    }

    /// Whether it is so nearly full that the next end of a transaction is a good place to close it: a block that
    /// becomes full inside a transaction must be copied to split it.
    #[inline]
    pub(crate) fn is_nearly_full(&self) -> bool {
        let nearly = |n: usize| n - n / 8;
        self.rows >= nearly(self.limits.block_rows) || self.bytes >= nearly(self.limits.block_bytes)
    }

    /// Whether it holds whole transactions and no piece.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole == self.events
    }

    /// Whether it holds whole transactions (and maybe a piece).
    pub(crate) fn has_whole(&self) -> bool {
        self.whole > 0
    }

    /// The open transaction ended.
    pub(crate) fn end_transaction(&mut self) {
        self.whole = self.events;
        self.txn = None;
    }

    /// The binlog went on in another file.
    pub(crate) fn end_file(&mut self) {
        self.file = None;
    }

    /// The index of the filling for a plan.
    pub(crate) fn filling(&mut self, plan: &Arc<Plan>) -> usize {
        if let Some(at) = self.fillings.iter().position(|f| Arc::ptr_eq(&f.plan, plan) || f.plan == *plan) {
            return at;
        }
        let size = self.sizes.get(&size_key(&plan.table)).cloned().unwrap_or_default();
        self.fillings.push(Filling::new(plan.clone(), &size));
        self.fillings.len() - 1
    }

    /// Takes a rows event into a filling, from `resume` on, until its end or until the block is full: then it answers
    /// where to go on.
    #[inline]
    pub(crate) fn rows(
        &mut self,
        filling: usize,
        header: &Header,
        head: &RowsHead<'_>,
        (pos, file, open): (u64, &str, &Opened),
        resume: Resume,
    ) -> Result<Option<Resume>, Garbled> {
        let Some((before, after)) = RowsHead::kind_of(header.kind) else { return Err(Garbled) };
        let partial = header.kind == kinds::PARTIAL_UPDATE_ROWS;
        let mut bytes = head.images.get(resume.at..).ok_or(Garbled)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let txn = match self.txn {
            Some(txn) => txn,
            None => self.open_transaction(file, open),
        };
        let filling = self.fillings.get_mut(filling).ok_or(Garbled)?;
        filling.runs.push(Run {
            pos,
            row: filling.rows() as u32,
            event: self.events,
            nth: resume.nth,
            txn,
            seconds: header.seconds,
            part: 0,
        });
        let present = Present::of(head.present, head.columns);
        let present_after = Present::of(head.present_after, head.columns);
        let start = bytes.len();
        let mut left = start;
        let mut nth = resume.nth;
        while left > 0 {
            let image = bytes;
            filling.push(before, present, &mut bytes)?;
            self.rows += 1;
            if let Some(after) = after {
                if partial {
                    filling.push_partial((present, image), present_after, &mut bytes)?;
                } else {
                    filling.push(after, present_after, &mut bytes)?;
                }
                self.rows += 1;
            }
            // an image of no bytes would never end
            if bytes.len() == left {
                return Err(Garbled);
            }
            self.bytes += left - bytes.len();
            left = bytes.len();
            self.events += 1;
            nth += 1;
            if left > 0 && (self.rows >= self.limits.block_rows || self.bytes >= self.limits.block_bytes) {
                return Ok(Some(Resume { at: head.images.len() - left, nth }));
            }
        }
        Ok(None)
    }

    #[cold]
    fn open_transaction(&mut self, file: &str, open: &Opened) -> u32 {
        let file = match self.file {
            Some(file) => file,
            None => *self.file.insert(string(&mut self.strings, file)),
        };
        let tag = open.gtid.as_ref().and_then(|g| g.tag.as_deref());
        let tag = tag.map_or(0, |tag| string(&mut self.strings, tag) + 1);
        self.txns.push(Txn {
            uuid: open.gtid.as_ref().map_or([0; 16], |g| g.uuid),
            number: open.gtid.as_ref().map_or(0, |g| g.number),
            commit_us: open.commit_us,
            thread: open.thread,
            server_id: open.server_id,
            file,
            tag,
        });
        *self.txn.insert(self.txns.len() as u32 - 1)
    }

    /// Closes the block and begins the next one.
    pub(crate) fn finish(&mut self) -> Finished {
        let mut batches = Vec::with_capacity(self.fillings.len());
        let mut wrong: Option<(usize, WrongText)> = None;
        for filling in self.fillings.drain(..).filter(|f| f.rows() > 0) {
            let key = size_key(&filling.plan.table);
            let (batch, size, wrong_text) = filling.finish();
            if self.sizes.len() >= SIZES {
                self.sizes.clear();
            }
            self.sizes.insert(key, size);
            if let Some(text) = wrong_text
                && wrong.is_none_or(|(b, w)| run_of(&batch, text).event < run_of(&batches[b], w).event)
            {
                wrong = Some((batches.len(), text));
            }
            batches.push(batch);
        }
        let txns = std::mem::take(&mut self.txns);
        let origin = Arc::new(Origin { txns, strings: std::mem::take(&mut self.strings) });
        let block = Block { first: 0, events: self.events, origin, batches };
        let finished = match wrong {
            None => Finished { block, whole: self.whole, fault: None },
            Some((batch, text)) => cut_before(&block, batch, text),
        };
        (self.events, self.whole, self.rows, self.bytes) = (0, 0, 0, 0);
        (self.txn, self.file) = (None, None);
        self.number += 1;
        finished
    }
}

fn run_of(batch: &Batch, text: WrongText) -> Run {
    batch.runs[batch.runs.partition_point(|r| r.row as usize <= text.row) - 1]
}

/// The block up to the transaction that has a text that is none.
#[cold]
fn cut_before(block: &Block, batch: usize, text: WrongText) -> Finished {
    let batch = &block.batches[batch];
    let run = run_of(batch, text);
    let first =
        block.batches.iter().flat_map(|b| &b.runs).filter(|r| r.txn == run.txn).map(|r| r.event).min();
    let (table, column) = (&batch.table, &batch.table.columns[text.column].name);
    let what = format!(
        "a text in {}.{column} at {}:{} has bytes that mean nothing in the column's character set",
        table.full_name(),
        block.origin.file(&block.origin.txns[run.txn as usize]),
        run.pos
    );
    let fault = Fault::new(codes::INVALID_TEXT, what).fix(format!(
        "mend the value at the server (or convert the column to VARBINARY), then start from a later position; \
         or leave {} out of the source's tables",
        table.full_name()
    ));
    let block = block.slice(0, u64::from(first.unwrap_or(0)));
    Finished { whole: block.events, block, fault: Some(fault) }
}

/// The index of a string, added if it is not there; there are few.
fn string(strings: &mut Vec<String>, wanted: &str) -> u32 {
    let at = strings.iter().position(|s| s == wanted).unwrap_or_else(|| {
        strings.push(wanted.to_owned());
        strings.len() - 1
    });
    at as u32
}

fn size_key(table: &TableSchema) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&table.database, &table.table, table.columns.len()).hash(&mut hasher);
    hasher.finish()
}
