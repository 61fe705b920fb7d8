//! Compressed transactions: one event that holds others.
//!
//! Such an event may be as large as 1 GiB, and what it holds many times that. So it need not be there whole before its
//! inner events are read: it is fed in portions, and holds one portion and one inner event at a time. The last inner
//! event, which ends the transaction, is given only once everything has come and its checksum was right.
//!
//! Format: `Transaction_payload_event` of MySQL 8.0.20 and later. The inner events have no checksum.

use zstd::stream::raw::{Decoder, InBuffer, Operation as _, OutBuffer};

use super::{CHECKSUM, Event, HEADER, Header};
use crate::mysql::cursor::{Cursor, Garbled};

/// How much is decompressed at once.
const STEP: usize = 128 * 1024;

/// What comes next of the inner events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    /// One is at hand.
    Event,
    /// More of the outer event is needed.
    Hungry,
    /// There are no more.
    End,
}

/// Reads the inner events one after the other.
pub(crate) struct Payload {
    /// Of the event that holds the others: they have no place of their own in the file.
    outer: Header,
    /// `None` = they are not compressed.
    decoder: Option<Decoder<'static>>,
    /// What the decoder still expects; 0 at the end of all.
    expected: usize,
    /// What was fed, and how much of it was decompressed.
    fed: Vec<u8>,
    used: usize,
    /// Whether all was fed, and is right.
    whole: bool,
    /// Inner events: `plain[start..end]`, the one at hand first.
    plain: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the one at hand; 0 = there is none.
    at_hand: usize,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl Payload {
    /// Begins with the outer event's body, or as much of it as is there: at least the fields that it begins with.
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
        let decoder = if compressed { Some(Decoder::new().map_err(|_| Garbled)?) } else { None };
        Ok(Payload {
            outer,
            decoder,
            expected: 0,
            fed: at.rest().to_vec(),
            used: 0,
            whole: false,
            plain: Vec::new(),
            start: 0,
            end: 0,
            at_hand: 0,
        })
    }

    /// More of the outer event's body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.fed.drain(..std::mem::take(&mut self.used));
        self.fed.extend_from_slice(bytes);
    }

    /// All was fed, and is right.
    pub(crate) fn end(&mut self) {
        self.whole = true;
    }

    /// Goes to the next inner event.
    pub(crate) fn advance(&mut self, largest: usize) -> Result<Inner, Garbled> {
        self.start += std::mem::take(&mut self.at_hand);
        loop {
            let plain = &self.plain[self.start..self.end];
            if let Ok(header) = Header::parse(plain) {
                let size = header.size as usize;
                if size > largest || size < HEADER {
                    return Err(Garbled);
                }
                // one that nothing follows may be the end of the transaction
                if plain.len() > size || self.whole && plain.len() == size {
                    self.at_hand = size;
                    return Ok(Inner::Event);
                }
            }
            if !self.decompress()? {
                return match (self.whole, self.start == self.end && self.expected == 0) {
                    (false, _) => Ok(Inner::Hungry),
                    (true, true) => Ok(Inner::End),
                    (true, false) => Err(Garbled),
                };
            }
        }
    }

    /// Decompresses some more; false if there was nothing to do.
    fn decompress(&mut self) -> Result<bool, Garbled> {
        if self.start > 0 {
            self.plain.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.plain.len() - self.end < STEP {
            self.plain.resize(self.end + STEP, 0);
        }
        let (from, to) = (&self.fed[self.used..], &mut self.plain[self.end..]);
        let (read, written) = match &mut self.decoder {
            Some(decoder) => {
                let (mut from, mut to) = (InBuffer::around(from), OutBuffer::around(to));
                // at the end of a frame, asking again would begin another one
                if from.src.is_empty() && self.expected == 0 {
                    return Ok(false);
                }
                self.expected = decoder.run(&mut from, &mut to).map_err(|_| Garbled)?;
                (from.pos(), to.pos())
            }
            None => {
                let n = from.len().min(to.len());
                to[..n].copy_from_slice(&from[..n]);
                (n, n)
            }
        };
        self.used += read;
        self.end += written;
        Ok(read + written > 0)
    }

    /// The inner event at hand, as if it stood where the outer one does.
    pub(crate) fn event(&self) -> Result<Event<'_>, Garbled> {
        let event = self.plain.get(self.start..self.start + self.at_hand).ok_or(Garbled)?;
        let inner = Header::parse(event)?;
        let header = Header { size: self.outer.size, end: self.outer.end, ..inner };
        Ok(Event { header, body: event.get(HEADER..).ok_or(Garbled)? })
    }
}

/// An outer event while it comes: how much of it is missing, and its checksum.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// Bytes before the checksum that are missing.
    missing: usize,
    has_checksum: bool,
    computed: crc32fast::Hasher,
    checksum: Vec<u8>,
}

impl Arriving {
    /// Of an event with this header, whose checksum is behind it if it has one.
    pub(crate) fn new(header: &Header, has_checksum: bool) -> Result<Self, Garbled> {
        let missing =
            (header.size as usize).checked_sub(usize::from(has_checksum) * CHECKSUM).ok_or(Garbled)?;
        let (computed, checksum) = (crc32fast::Hasher::new(), Vec::with_capacity(CHECKSUM));
        Ok(Arriving { missing, has_checksum, computed, checksum })
    }

    /// Takes what came next; answers how much of it lies before the checksum.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Garbled> {
        let (event, checksum) = bytes.split_at(self.missing.min(bytes.len()));
        self.missing -= event.len();
        self.computed.update(event);
        if self.checksum.len() + checksum.len() > usize::from(self.has_checksum) * CHECKSUM {
            return Err(Garbled);
        }
        self.checksum.extend_from_slice(checksum);
        Ok(event.len())
    }

    /// All has come: whether the checksum is right.
    pub(crate) fn is_whole(&self) -> bool {
        let right = || self.checksum == self.computed.clone().finalize().to_le_bytes();
        self.missing == 0 && (!self.has_checksum || right())
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
        let all = [(2, 5), (30, 3000), (16, 0)];
        let mut payload = Payload::open(outer, &body).unwrap();
        payload.end();
        assert_eq!(read(&mut payload), (all.to_vec(), Ok(Inner::End)));

        let mut payload = Payload::open(outer, &body[..body.len() - 9]).unwrap();
        payload.end();
        assert_eq!(read(&mut payload).1, Err(Garbled), "a cut payload is an error");
        let mut payload = Payload::open(outer, &body).unwrap();
        assert_eq!(payload.advance(1 << 20), Ok(Inner::Event));
        assert_eq!(payload.advance(1000), Err(Garbled), "an event larger than allowed");

        // in portions, compressed and not
        let mut plain = vec![2, 3, 252, 255, 0, 0];
        plain.extend_from_slice(&events.concat());
        for (body, fields) in [(body, 9), (plain, 6)] {
            for portion in [1, 7, 1000] {
                let mut payload = Payload::open(outer, &body[..fields]).unwrap();
                let mut got = Vec::new();
                for bytes in body[fields..].chunks(portion) {
                    payload.feed(bytes);
                    let (some, left) = read(&mut payload);
                    got.extend(some);
                    assert_eq!(left, Ok(Inner::Hungry));
                }
                assert_eq!(got, all[..2], "the last waits for the checksum");
                payload.end();
                assert_eq!(read(&mut payload), (all[2..].to_vec(), Ok(Inner::End)));
            }
        }
    }

    fn read(payload: &mut Payload) -> (Vec<(u8, usize)>, Result<Inner, Garbled>) {
        let mut got = Vec::new();
        loop {
            match payload.advance(1 << 20) {
                Ok(Inner::Event) => {}
                other => return (got, other),
            }
            let event = payload.event().unwrap();
            assert_eq!((event.header.end, event.header.size), (900, 100));
            got.push((event.header.kind, event.body.len()));
        }
    }

    #[test]
    fn a_checksum_that_comes_in_portions() {
        let mut event = inner(40, &[5; 99]);
        let size = event.len() + CHECKSUM;
        event[9..13].copy_from_slice(&(size as u32).to_le_bytes());
        event.extend_from_slice(&crc32fast::hash(&event).to_le_bytes());
        let header = Header::parse(&event).unwrap();
        let arrived = |event: &[u8], portion| {
            let mut arriving = Arriving::new(&header, true).unwrap();
            let body: usize = event.chunks(portion).map(|bytes| arriving.take(bytes).unwrap()).sum();
            (body, arriving.is_whole())
        };
        for portion in 1..=size {
            assert_eq!(arrived(&event, portion), (size - CHECKSUM, true));
        }
        assert!(!arrived(&event[..size - 1], 10).1);
        event[50] ^= 1;
        assert!(!arrived(&event, 10).1);
        event.push(0);
        assert_eq!(Arriving::new(&header, true).unwrap().take(&event), Err(Garbled));
    }
}
