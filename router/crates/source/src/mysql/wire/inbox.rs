//! Cuts the bytes of a connection into packets, in one buffer that is used again and again.
//!
//! Owns the receive buffer. A packet is given as a slice of it, so an event of the binlog is not copied between
//! the socket and its decoder. Only a packet that the server had to send in pieces (16 MiB and more) is joined in a
//! buffer of its own.
//!
//! Format: MySQL source documentation, "MySQL Packets".

use std::ops::Range;

/// What the buffer has room for while packets are small.
const ROOM: usize = 256 * 1024;
/// A piece of this length is followed by another one.
const FULL_PIECE: usize = 0xff_ffff;
/// The server's own limit of `max_allowed_packet`, with room for headers.
pub(crate) const MAX_PACKET: usize = (1 << 30) + 1024;

#[derive(Debug)]
enum Current {
    None,
    Here(Range<usize>),
    Joined,
}

/// Bytes from the server, and the packet at hand.
#[derive(Debug)]
pub(crate) struct Inbox {
    buf: Vec<u8>,
    /// `buf[start..end]` has been received and not been given.
    start: usize,
    end: usize,
    current: Current,
    joined: Vec<u8>,
    /// Some while pieces are joined: bytes that the piece at hand still lacks, and whether it is the last.
    piece: Option<(usize, bool)>,
    /// The number of the last piece seen.
    pub(crate) seq: u8,
}

/// A packet that is larger than any server may send.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl Inbox {
    pub(crate) fn new() -> Self {
        let buf = vec![0; ROOM];
        Inbox { buf, start: 0, end: 0, current: Current::None, joined: Vec::new(), piece: None, seq: 0 }
    }

    /// Room for received bytes; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert!(matches!(self.current, Current::None), "the packet at hand would move");
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buf.len() > 4 * ROOM {
                self.buf.truncate(ROOM);
                self.buf.shrink_to_fit();
            }
        }
        let wanted = match self.buf.get(self.start..self.end) {
            Some([a, b, c, ..]) if self.piece.is_none() => 4 + length(*a, *b, *c).min(FULL_PIECE),
            _ => 0,
        };
        if self.start > 0 && (self.buf.len() - self.end < ROOM / 4 || self.buf.len() - self.start < wanted) {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buf.len() < wanted {
            self.buf.resize(wanted, 0);
        }
        if self.end == self.buf.len() {
            self.buf.resize(self.end + ROOM, 0);
        }
        &mut self.buf[self.end..]
    }

    /// Says how many bytes were put into [`room`](Self::room).
    pub(crate) fn received(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buf.len());
    }

    /// Whether a whole packet is at hand, which [`packet`](Self::packet) gives until [`done`](Self::done).
    pub(crate) fn frame(&mut self) -> Result<bool, TooLarge> {
        if !matches!(self.current, Current::None) {
            return Ok(true);
        }
        loop {
            if let Some((missing, last)) = self.piece {
                let n = missing.min(self.end - self.start);
                if self.joined.len() + n > MAX_PACKET {
                    return Err(TooLarge);
                }
                self.joined.extend_from_slice(&self.buf[self.start..self.start + n]);
                self.start += n;
                self.piece = Some((missing - n, last));
                if n < missing {
                    return Ok(false);
                }
                if last {
                    (self.piece, self.current) = (None, Current::Joined);
                    return Ok(true);
                }
            }
            let Some(&[a, b, c, seq]) = self.buf[self.start..self.end].first_chunk() else {
                return Ok(false);
            };
            let n = length(a, b, c);
            if n == FULL_PIECE || self.piece.is_some() {
                self.piece = Some((n, n < FULL_PIECE));
                self.start += 4;
                self.seq = seq;
                continue;
            }
            if self.end - self.start < 4 + n {
                return Ok(false);
            }
            self.seq = seq;
            self.current = Current::Here(self.start + 4..self.start + 4 + n);
            self.start += 4 + n;
            return Ok(true);
        }
    }

    /// What has come of a packet that comes in pieces, since [`forget_begun`](Self::forget_begun); empty if none does.
    pub(crate) fn begun(&self) -> &[u8] {
        if self.piece.is_some() { &self.joined } else { &[] }
    }

    /// What has come of it need not be held any more.
    pub(crate) fn forget_begun(&mut self) {
        self.joined.clear();
    }

    /// The packet at hand; empty if there is none.
    #[inline]
    pub(crate) fn packet(&self) -> &[u8] {
        match &self.current {
            Current::None => &[],
            Current::Here(range) => &self.buf[range.clone()],
            Current::Joined => &self.joined,
        }
    }

    /// The packet at hand is not needed any more.
    #[inline]
    pub(crate) fn done(&mut self) {
        if matches!(self.current, Current::Joined) {
            self.joined = Vec::new();
        }
        self.current = Current::None;
    }
}

fn length(a: u8, b: u8, c: u8) -> usize {
    u32::from_le_bytes([a, b, c, 0]) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in packets {
            let mut pieces: Vec<&[u8]> = packet.chunks(FULL_PIECE).collect();
            if packet.len().is_multiple_of(FULL_PIECE) {
                pieces.push(&[]);
            }
            for (seq, piece) in pieces.into_iter().enumerate() {
                let mut head = (piece.len() as u32).to_le_bytes();
                head[3] = seq as u8;
                out.extend_from_slice(&head);
                out.extend_from_slice(piece);
            }
        }
        out
    }

    fn read(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let (mut inbox, mut got, mut at) = (Inbox::new(), Vec::new(), 0);
        loop {
            while inbox.frame().unwrap() {
                got.push(inbox.packet().to_vec());
                inbox.done();
            }
            if at == bytes.len() {
                return got;
            }
            let room = inbox.room();
            let n = room.len().min(step).min(bytes.len() - at);
            assert!(n > 0);
            room[..n].copy_from_slice(&bytes[at..at + n]);
            inbox.received(n);
            at += n;
        }
    }

    proptest! {
        #[test]
        fn any_packets_in_any_portions(
            sizes in prop::collection::vec(prop_oneof![0usize..40, 0usize..400_000], 0..12),
            step in prop_oneof![1usize..64, 1000usize..600_000],
        ) {
            let packets: Vec<Vec<u8>> = sizes.iter().map(|&n| (0..n).map(|i| (i * 7 + n) as u8).collect()).collect();
            let step = if sizes.iter().sum::<usize>() > 10_000 { step.max(997) } else { step };
            prop_assert_eq!(read(&wire(&packets), step), packets);
        }
    }

    #[test]
    fn packets_of_sixteen_mebibytes_and_more_are_joined() {
        let packets: Vec<Vec<u8>> = [3, FULL_PIECE - 1, FULL_PIECE, FULL_PIECE + 5, 2 * FULL_PIECE, 9]
            .map(|n| vec![n as u8; n])
            .to_vec();
        assert!(read(&wire(&packets), 300_000) == packets);
    }
}
