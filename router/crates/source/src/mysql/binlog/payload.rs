//! Compressed transactions: one event that holds others.
//!
//! Format: `Transaction_payload_event` of MySQL 8.0.20 and later. The inner events have no checksum.

use std::io::{Cursor as IoCursor, Read};

use super::{Event, HEADER, Header};
use crate::mysql::cursor::{Cursor, Garbled};

/// Reads the inner events one after the other; holds one of them at a time.
pub(crate) struct Payload {
    /// Of the event that holds the others: they have no place of their own in the file.
    pub(crate) outer: Header,
    bytes: Box<dyn Read + Send + Sync>,
    event: Vec<u8>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl Payload {
    pub(crate) fn open(outer: Header, body: &[u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        // what an event without this field means
        let mut compressed = true;
        loop {
            match at.packed()? {
                0 => break,
                field => {
                    let mut value = Cursor::new(at.packed_bytes()?);
                    if field == 2 {
                        compressed = match value.packed()? {
                            0 => true,
                            255 => false,
                            _ => return Err(Garbled),
                        };
                    }
                }
            }
        }
        let bytes = IoCursor::new(at.rest().to_vec());
        let bytes: Box<dyn Read + Send + Sync> = if compressed {
            Box::new(zstd::stream::read::Decoder::new(bytes).map_err(|_| Garbled)?)
        } else {
            Box::new(bytes)
        };
        Ok(Payload { outer, bytes, event: Vec::new() })
    }

    /// Goes to the next inner event; false at the end.
    pub(crate) fn advance(&mut self, largest: usize) -> Result<bool, Garbled> {
        self.event.clear();
        let mut read = |event: &mut Vec<u8>, n: usize| -> Result<usize, Garbled> {
            (&mut self.bytes).take(n as u64).read_to_end(event).map_err(|_| Garbled)
        };
        match read(&mut self.event, HEADER)? {
            0 => return Ok(false),
            HEADER => {}
            _ => return Err(Garbled),
        }
        let size = Header::parse(&self.event)?.size as usize;
        if size > largest || size < HEADER || read(&mut self.event, size - HEADER)? < size - HEADER {
            return Err(Garbled);
        }
        Ok(true)
    }

    /// The inner event at hand, as if it stood where the outer one does.
    pub(crate) fn event(&self) -> Result<Event<'_>, Garbled> {
        let inner = Header::parse(&self.event)?;
        let header = Header { size: self.outer.size, end: self.outer.end, ..inner };
        Ok(Event { header, body: self.event.get(HEADER..).ok_or(Garbled)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut event = vec![0; HEADER];
        event[4] = kind;
        event[9..13].copy_from_slice(&((HEADER + body.len()) as u32).to_le_bytes());
        event.extend_from_slice(body);
        event
    }

    #[test]
    fn inner_events_come_out_in_order() {
        let events = [inner(2, b"BEGIN"), inner(30, &[7; 3000]), inner(16, b"")];
        let compressed = zstd::bulk::compress(&events.concat(), 3).unwrap();
        let mut body = vec![2, 1, 0, 3, 3, 252, 0, 12, 0];
        body.extend_from_slice(&compressed);
        let outer = Header { end: 900, size: 100, ..Default::default() };
        let mut payload = Payload::open(outer, &body).unwrap();
        let mut got = Vec::new();
        while payload.advance(1 << 20).unwrap() {
            let event = payload.event().unwrap();
            assert_eq!((event.header.end, event.header.size), (900, 100));
            got.push((event.header.kind, event.body.len()));
        }
        assert_eq!(got, [(2, 5), (30, 3000), (16, 0)]);

        let mut payload = Payload::open(outer, &body[..body.len() - 9]).unwrap();
        let all = std::iter::from_fn(|| Some(payload.advance(1 << 20))).take_while(|r| *r != Ok(false));
        assert!(all.take(9).any(|r| r.is_err()), "a cut payload is an error");
        let mut payload = Payload::open(outer, &body).unwrap();
        assert!(payload.advance(1 << 20).unwrap());
        assert_eq!(payload.advance(1000), Err(Garbled), "an event larger than allowed");
    }
}
