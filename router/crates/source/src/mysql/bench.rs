//! A door for bench and tests: events in, blocks out, with no server. No part of the interface.

use forebay_model::{Block, Position, TablePattern};

use super::binlog::{Event, HEADER, Header};
use super::schema::{self, History};
use super::transactions::{Taken, Transactions};
use super::{Config, Limits, Tls};

/// No server, and every table.
pub(crate) fn everything() -> Config {
    Config {
        host: String::new(),
        port: 0,
        hosts: Vec::new(),
        user: String::new(),
        password: None,
        tls: Tls::Disabled,
        server_id: None,
        tables: TablePattern::new("*.*").into_iter().collect(),
    }
}

/// Says a statement to a history that knows a table `t`: for the fuzzer. Must never panic, nor take more time than in
/// proportion to the text. Answers how much there was to tell.
pub fn statement(text: &str, sql_mode: u64) -> usize {
    schema::fuzz(text, sql_mode).unwrap_or(0)
}

/// Decodes whole events (with header, without checksum), as [`Stream`](super::Stream) does.
#[derive(Debug)]
pub struct Decoder(Transactions);

impl Decoder {
    /// Captures everything.
    #[allow(clippy::new_without_default, reason = "there is nothing default about it")]
    pub fn new() -> Self {
        let config = everything();
        let history = History::new(&config, &[], false).expect("its own tables are of known types");
        Decoder(Transactions::new(config, Limits::default(), Position::default(), history))
    }

    /// Takes an event; gives the blocks that it filled.
    ///
    /// # Errors
    /// The fault's text.
    pub fn take(&mut self, event: &[u8], mut full: impl FnMut(Block)) -> Result<(), String> {
        let header = Header::parse(event).map_err(|_| "no header")?;
        let event = Event { header, body: event.get(HEADER..).unwrap_or_default() };
        loop {
            match self.0.take(&event).map_err(|e| e.to_string())? {
                Taken::Whole => break,
                Taken::Part => full(self.0.building.finish().block),
                taken => return Err(format!("no server to ask: {taken:?}")),
            }
        }
        if self.0.building.is_full() {
            full(self.0.building.finish().block);
        }
        Ok(())
    }

    /// What is left.
    pub fn finish(&mut self) -> Block {
        self.0.building.finish().block
    }
}

/// A text as columns have it; `None` where its bytes mean nothing, or the character set is not known.
pub fn text(charset: &str, bytes: &[u8]) -> Option<String> {
    super::decode::text(charset, bytes)
}
