//! The common header of events, their checksum, and the two events that say where the binlog goes on.

use crate::mysql::cursor::{Cursor, Garbled};

/// Bytes of the common header.
pub(crate) const HEADER: usize = 19;
/// Bytes of the checksum behind an event.
pub(crate) const CHECKSUM: usize = 4;

/// Numbers of event types.
pub(crate) mod kinds {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const STOP: u8 = 3;
    pub(crate) const ROTATE: u8 = 4;
    /// The file of a LOAD DATA that is logged as a statement: in pieces, or dropped.
    pub(crate) const APPEND_BLOCK: u8 = 9;
    pub(crate) const DELETE_FILE: u8 = 11;
    pub(crate) const BEGIN_LOAD_QUERY: u8 = 17;
    pub(crate) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const TABLE_MAP: u8 = 19;
    /// What MariaDB writes, and old releases of MySQL.
    pub(crate) const WRITE_ROWS_V1: u8 = 23;
    pub(crate) const UPDATE_ROWS_V1: u8 = 24;
    pub(crate) const DELETE_ROWS_V1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const WRITE_ROWS: u8 = 30;
    pub(crate) const UPDATE_ROWS: u8 = 31;
    pub(crate) const DELETE_ROWS: u8 = 32;
    pub(crate) const GTID: u8 = 33;
    pub(crate) const ANONYMOUS_GTID: u8 = 34;
    pub(crate) const PREVIOUS_GTIDS: u8 = 35;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(crate) const HEARTBEAT_V2: u8 = 41;
    pub(crate) const GTID_TAGGED: u8 = 42;

    // MariaDB's own
    pub(crate) const BINLOG_CHECKPOINT: u8 = 161;
    pub(crate) const MARIADB_GTID: u8 = 162;
    pub(crate) const GTID_LIST: u8 = 163;
    pub(crate) const START_ENCRYPTION: u8 = 164;
    pub(crate) const QUERY_COMPRESSED: u8 = 165;
    /// Rows with a compressed body: as 23 to 25, then as 30 to 32.
    pub(crate) const WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub(crate) const DELETE_ROWS_COMPRESSED: u8 = 171;

    /// Whether it is an event of rows, of whatever form.
    pub(crate) fn is_rows(kind: u8) -> bool {
        matches!(kind, WRITE_ROWS..=DELETE_ROWS | PARTIAL_UPDATE_ROWS | WRITE_ROWS_V1..=DELETE_ROWS_V1)
    }

    /// Whether it is a table map or rows.
    #[inline]
    pub(crate) fn is_of_table(kind: u8) -> bool {
        kind == TABLE_MAP || is_rows(kind)
    }

    /// INTVAR, RAND, USER_VAR: what a statement in the binlog needs; IGNORABLE, ROWS_QUERY: for people;
    /// TRANSACTION_CONTEXT, VIEW_CHANGE: for servers. Of MariaDB: ANNOTATE_ROWS. None changes a row by itself.
    pub(crate) const WITHOUT_ROWS: [u8; 11] =
        [5, APPEND_BLOCK, DELETE_FILE, 13, 14, BEGIN_LOAD_QUERY, 28, 29, 36, 37, 160];
}

/// Events with this flag are in no file: the server makes them for its reader.
const ARTIFICIAL: u16 = 0x20;
/// Events with this flag may be skipped by who does not know them.
const IGNORABLE: u16 = 0x80;

/// What every event begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Since 1970.
    pub(crate) seconds: u32,
    /// One of [`kinds`].
    pub(crate) kind: u8,
    pub(crate) server_id: u32,
    /// Of the whole event, checksum included.
    pub(crate) size: u32,
    /// Where it ends in its file, modulo 2^32; 0 for events that are in no file.
    pub(crate) end: u32,
    pub(crate) flags: u16,
}

impl Header {
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Garbled> {
        let b: &[u8; HEADER] = bytes.first_chunk().ok_or(Garbled)?;
        Ok(Header {
            seconds: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            kind: b[4],
            server_id: u32::from_le_bytes([b[5], b[6], b[7], b[8]]),
            size: u32::from_le_bytes([b[9], b[10], b[11], b[12]]),
            end: u32::from_le_bytes([b[13], b[14], b[15], b[16]]),
            flags: u16::from_le_bytes([b[17], b[18]]),
        })
    }

    pub(crate) fn is_artificial(&self) -> bool {
        self.end == 0 || self.flags & ARTIFICIAL != 0
    }

    pub(crate) fn is_ignorable(&self) -> bool {
        self.flags & IGNORABLE != 0
    }
}

/// An event whose checksum was right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) header: Header,
    /// Between header and checksum.
    pub(crate) body: &'a [u8],
}

/// Whether the last four bytes are the CRC-32 of the rest.
#[inline]
pub(crate) fn is_whole(event: &[u8]) -> bool {
    event
        .split_last_chunk::<CHECKSUM>()
        .is_some_and(|(bytes, crc)| crc32fast::hash(bytes) == u32::from_le_bytes(*crc))
}

/// Whether the events behind this format description carry checksums. Its own last four bytes always are one.
pub(crate) fn checksum_in_use(format_description: &[u8]) -> Result<bool, Garbled> {
    let at = format_description.len().checked_sub(CHECKSUM + 1).ok_or(Garbled)?;
    match format_description.get(at) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Garbled),
    }
}

/// The binlog goes on in another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotate<'a> {
    pub(crate) pos: u64,
    pub(crate) file: &'a str,
}

impl<'a> Rotate<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        Ok(Rotate { pos: at.u64()?, file: std::str::from_utf8(at.rest()).map_err(|_| Garbled)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut event = b"some event".to_vec();
        event.extend_from_slice(&crc32fast::hash(b"some event").to_le_bytes());
        assert!(is_whole(&event));
        for bit in 0..event.len() * 8 {
            event[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole(&event), "bit {bit}");
            event[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(!is_whole(b"abc"));
    }

    #[test]
    fn a_header_is_read() {
        // from mysqlbinlog --hexdump of a Rotate event
        let bytes = [1, 2, 0, 0, 4, 9, 0, 0, 0, 47, 0, 0, 0, 100, 1, 0, 0, 0x80, 0];
        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.seconds, header.kind, header.server_id), (513, kinds::ROTATE, 9));
        assert_eq!((header.size, header.end, header.is_ignorable()), (47, 356, true));
        assert_eq!(Header::parse(&bytes[..18]), Err(Garbled));
    }
}
