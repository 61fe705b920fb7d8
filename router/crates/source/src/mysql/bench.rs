//! A door for bench and tests: events in, blocks out, with no server. No part of the interface.

use std::io::Read;

use forebay_model::{Block, Position, TablePattern};

use super::binlog::{CHECKSUM, Event, HEADER, Header, is_whole};
use super::schema::{self, History};
use super::transactions::{Taken, Transactions};
use super::{Config, Limits, Tls};

/// What a binlog file begins with.
const MAGIC: [u8; 4] = *b"\xfebin";
/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

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

    /// Reads a binlog file of MySQL's: frames its events, checks their checksums, and takes them.
    ///
    /// # Errors
    /// The fault's text, or what is wrong with the file.
    pub fn file(&mut self, mut file: impl Read, mut full: impl FnMut(Block)) -> Result<(), String> {
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(|e| e.to_string())?;
        if magic != MAGIC {
            return Err("no binlog file".into());
        }
        let mut buffer = vec![0; CHUNK];
        // what was read and not taken yet
        let (mut start, mut end) = (0, 0);
        loop {
            while let Ok(header) = Header::parse(&buffer[start..end])
                && let Some(event) = buffer[start..end].get(..header.size as usize)
            {
                let (bytes, _) = event.split_last_chunk::<CHECKSUM>().ok_or("an event without a checksum")?;
                if !is_whole(event) {
                    return Err(format!("the checksum of the event before {} is wrong", header.end));
                }
                self.take(bytes, &mut full)?;
                start += event.len();
            }
            buffer.copy_within(start..end, 0);
            (start, end) = (0, end - start);
            if end == buffer.len() {
                buffer.resize(2 * end, 0);
            }
            match file.read(&mut buffer[end..]).map_err(|e| e.to_string())? {
                0 if end == 0 => return Ok(()),
                0 => return Err("the file ends inside an event".into()),
                n => end += n,
            }
        }
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
