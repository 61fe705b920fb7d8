//! The small uncompressed part of a stored block.
//!
//! ```text
//! magic 4 | crc32 of all after it 4 | first 8 | last commit us 8 | body bytes 8 | raw bytes 8 | body crc32 4 | events 4 |
//! flags 4 (1 = LZ4) | tables 4 | tables x (schema id 4 | row images 4)
//! ```

use forebay_model::Offset;

use super::Damage;

/// `FB`, block, version 1.
const MAGIC: [u8; 4] = *b"FBB\x01";
const FIXED: usize = 56;
const COMPRESSED: u32 = 1;

/// One batch of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableRows {
    /// Id in the changelog's schemas.
    pub(crate) schema: u32,
    /// Row images.
    pub(crate) rows: u32,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: Offset,
    pub(crate) events: u32,
    /// The latest commit time up to and with this block, microseconds since 1970: it never falls from block to block.
    pub(crate) last_us: u64,
    pub(crate) compressed: bool,
    /// Bytes of the body as stored.
    pub(crate) body_len: u64,
    /// Bytes of the body uncompressed.
    pub(crate) raw_len: u64,
    /// Of the body as stored.
    pub(crate) body_crc: u32,
    /// In the order of the block's batches.
    pub(crate) tables: Vec<TableRows>,
}

impl Head {
    /// One past the last offset.
    pub(crate) fn end(&self) -> Offset {
        self.first + Offset::from(self.events)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + 8 * self.tables.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        for n in [self.first, self.last_us, self.body_len, self.raw_len] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let flags = if self.compressed { COMPRESSED } else { 0 };
        for n in [self.body_crc, self.events, flags, self.tables.len() as u32] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for table in &self.tables {
            out.extend_from_slice(&table.schema.to_le_bytes());
            out.extend_from_slice(&table.rows.to_le_bytes());
        }
        let crc = crc32fast::hash(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The head, if the bytes are one and hold the block that starts at `first`.
    pub(crate) fn from_bytes(bytes: &[u8], first: Offset) -> Result<Head, Damage> {
        if bytes.len() < FIXED || bytes[..4] != MAGIC {
            return Err(Damage("a block's head is not of this format"));
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if u32_at(4) != crc32fast::hash(&bytes[8..]) {
            return Err(Damage("the checksum of a block's head is wrong"));
        }
        let (flags, tables) = (u32_at(48), u32_at(52) as usize);
        let head = Head {
            first: u64_at(8),
            last_us: u64_at(16),
            body_len: u64_at(24),
            raw_len: u64_at(32),
            body_crc: u32_at(40),
            events: u32_at(44),
            compressed: flags & COMPRESSED != 0,
            tables: bytes[FIXED..]
                .chunks_exact(8)
                .map(|t| TableRows {
                    schema: u32::from_le_bytes(t[..4].try_into().expect("four bytes")),
                    rows: u32::from_le_bytes(t[4..].try_into().expect("four bytes")),
                })
                .collect(),
        };
        if head.first != first {
            return Err(Damage("a block lies in another block's place"));
        }
        if flags & !COMPRESSED != 0 || head.tables.len() != tables || !(bytes.len() - FIXED).is_multiple_of(8)
        {
            return Err(Damage("a block's head is not of this format"));
        }
        if head.events == 0 || head.first.checked_add(Offset::from(head.events)).is_none() {
            return Err(Damage("a block's head has impossible offsets"));
        }
        // LZ4 cannot shrink below 1/255: a length beyond that would only make us allocate for nothing
        let most = if head.compressed {
            head.body_len.saturating_mul(255).saturating_add(64)
        } else {
            head.body_len
        };
        if head.raw_len > most || (!head.compressed && head.raw_len != head.body_len) {
            return Err(Damage("a block's head has impossible lengths"));
        }
        Ok(head)
    }
}
