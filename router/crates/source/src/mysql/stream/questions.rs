//! What a stream asks beside its dump: a transaction again, what tables look like, and what people say of those that
//! nobody knows.

use std::pin::Pin;

use forebay_model::{Block, Fault, Gtid};

use super::{Captured, Stream};
use crate::mysql::binlog::Xid;
use crate::mysql::dump::{Dump, From};
use crate::mysql::position::scan::{Looked, prepared_before};
use crate::mysql::schema::{Definition, Lookup, Quarantined};
use crate::mysql::wire::Conn;
use crate::mysql::{Caution, Config, identity};

/// A search in the binlog under way: whoever waits for it may stop waiting, and begin again.
pub(super) struct Search(Pin<Box<dyn Future<Output = Result<Looked, Fault>> + Send>>);

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Search")
    }
}

impl Stream {
    /// Tables whose events are kept undecoded, as rows of `forebay.quarantine`.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.transactions.history.quarantined().cloned().collect()
    }

    /// Rows that were read beside the stream: see [`Capture::with_past`](crate::mysql::Capture::with_past).
    pub(crate) fn with_past(&self, block: Block) -> Block {
        self.transactions.history.block_with_past(block)
    }

    /// What may be missing of captured tables, where nobody can tell.
    pub fn cautions(&self) -> Vec<Caution> {
        self.transactions.cautions()
    }

    /// Ends a table's quarantine: its events are decoded from here on, by this definition. Gives the position and the notes
    /// to store in one commit with the events that were kept and have been decoded ([`Recovery`](crate::mysql::Recovery)).
    ///
    /// By one that [was given up](Definition::given_up), what the server says counts from here on, and the kept events are lost.
    ///
    /// `None`: not now. Events that were not given yet come first: call [`next`](Self::next), store what it gives, recover what
    /// that added, and try again. Also `None` if the table is in no quarantine (see [`quarantined`](Self::quarantined)).
    pub fn lift(&mut self, definition: &Definition) -> Option<Captured> {
        let quiet = self.ready.is_empty()
            && self.failed.is_none()
            && self.again.is_none()
            && !self.pieces
            && self.transactions.building.is_empty()
            && self.transactions.is_between();
        let (database, table) = (definition.database(), definition.table());
        if !quiet || !self.transactions.lift(database, table, definition.version.clone()) {
            return None;
        }
        self.close();
        self.ready.pop_back()
    }

    /// The dump whose events are taken now.
    pub(super) fn at_work(&mut self) -> &mut Dump {
        self.again.as_mut().unwrap_or(&mut self.dump)
    }

    /// Asks for a transaction that was passed before.
    pub(super) async fn read_again(&mut self, gtid: &Gtid) -> Result<Dump, Fault> {
        // two readers with one id throw each other out
        let config = Config { server_id: None, ..self.config.clone() };
        let mut conn = Conn::open(&config).await?;
        let server_id = identity::server_id(&mut conn, &config).await?;
        Dump::start(conn, &config, server_id, From::Behind(&self.transactions.all_but(gtid))).await
    }

    /// Looks for an XA transaction that was prepared before reading began.
    pub(super) async fn find_branch(&mut self, xid: Xid) -> Result<(), Fault> {
        let (file, pos) = self.transactions.at_hand();
        tracing::debug!(
            file,
            pos,
            "an XA transaction is committed that was prepared before reading began: it is looked for in the binlog behind"
        );
        let search = match &mut self.search {
            Some(search) => search,
            None => {
                let (config, of) = (self.config.clone(), xid.clone());
                let missed = self.transactions.missed(&xid);
                let search = async move { prepared_before(&config, &of, (&file, pos), missed).await };
                self.search.insert(Search(Box::pin(search)))
            }
        };
        let found = search.0.as_mut().await;
        self.search = None;
        let found = match found? {
            Looked::Found(gtid, before) => Some((gtid, before)),
            Looked::Missed(missed) => {
                self.transactions.note_missed(missed);
                None
            }
        };
        self.transactions.found_branch(xid, found);
        Ok(())
    }

    /// Asks the server what the history must know before the event at hand can be read.
    pub(super) async fn ask(&mut self) -> Result<(), Fault> {
        let Some(question) = self.transactions.history.question() else { return Ok(()) };
        let lookup = match &mut self.lookup {
            Some(lookup) => lookup,
            None => {
                let ahead = std::mem::take(&mut self.ahead);
                let gtids = &self.transactions.position().gtids;
                self.lookup.insert(Lookup::start(&self.config, question.clone(), gtids, ahead))
            }
        };
        let answered = lookup.answer().await;
        self.lookup = None;
        let (answer, ahead) = answered?;
        self.ahead = ahead;
        self.transactions.history.answer(answer);
        Ok(())
    }
}
