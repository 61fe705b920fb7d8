//! A door for the bench: events in, blocks out, with no server. No part of the interface.

use forebay_model::{Block, Position, TablePattern};

use super::binlog::{Event, HEADER, Header};
use super::transactions::{Taken, Transactions};
use super::{Config, Limits, Tls};

/// Decodes whole events (with header, without checksum), as [`Stream`](super::Stream) does.
#[derive(Debug)]
pub struct Decoder(Transactions);

impl Decoder {
    /// Captures everything.
    #[allow(clippy::new_without_default, reason = "there is nothing default about it")]
    pub fn new() -> Self {
        let config = Config {
            host: String::new(),
            port: 0,
            hosts: Vec::new(),
            user: String::new(),
            password: None,
            tls: Tls::Disabled,
            server_id: None,
            tables: TablePattern::new("*.*").into_iter().collect(),
        };
        Decoder(Transactions::new(config, Limits::default(), Position::default()))
    }

    /// Takes an event; gives the blocks that it filled.
    ///
    /// # Errors
    /// The fault's text.
    pub fn take(&mut self, event: &[u8], mut full: impl FnMut(Block)) -> Result<(), String> {
        let header = Header::parse(event).map_err(|_| "no header")?;
        let event = Event { header, body: event.get(HEADER..).unwrap_or_default() };
        while self.0.take(&event).map_err(|e| e.to_string())? == Taken::Part {
            full(self.0.building.finish().block);
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
