//! Which transaction begins, and how a set of transactions is said to the server.
//!
//! Formats: `Gtid_event` and `Gtid_set::encode` of MySQL 9; the tagged event by `libs/mysql/serialization`, whose
//! integers say their length in the low bits of the first byte.

use forebay_model::{Gtid, GtidSet};

use crate::mysql::cursor::{Cursor, Garbled};

/// The start of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GtidEvent {
    pub(crate) gtid: Gtid,
    /// When it was committed on the server that first ran it, microseconds since 1970; 0 = not said.
    pub(crate) commit_us: u64,
}

/// Says that an original commit time follows the immediate one.
const HAS_ORIGINAL: u64 = 1 << 55;

impl GtidEvent {
    /// Type 33.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Garbled> {
        let event = Self::parse_any(body)?;
        if event.gtid.number == 0 { Err(Garbled) } else { Ok(event) }
    }

    /// Type 34, which is the same without a GTID: the time.
    pub(crate) fn parse_anonymous(body: &[u8]) -> Result<u64, Garbled> {
        Ok(Self::parse_any(body)?.commit_us)
    }

    fn parse_any(body: &[u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        let _flags = at.u8()?;
        let uuid = at.array()?;
        let number = at.u64()?;
        let mut commit_us = 0;
        if !at.is_empty() && at.u8()? == 2 {
            let _last_committed = at.u64()?;
            let _sequence_number = at.u64()?;
            if at.rest().len() >= 7 {
                commit_us = at.uint(7)?;
                if commit_us & HAS_ORIGINAL != 0 {
                    commit_us = at.uint(7)?;
                }
            }
        }
        Ok(GtidEvent { gtid: Gtid { uuid, tag: None, number }, commit_us })
    }

    /// Type 42.
    pub(crate) fn parse_tagged(body: &[u8]) -> Result<Self, Garbled> {
        let mut at = Cursor::new(body);
        let _version = varlen(&mut at)?;
        let _size = varlen(&mut at)?;
        let _last_field_to_know = varlen(&mut at)?;
        let (mut uuid, mut number, mut tag) = ([0; 16], 0, None);
        let (mut immediate_us, mut original_us) = (0, None);
        while !at.is_empty() {
            match varlen(&mut at)? {
                1 => {
                    for byte in &mut uuid {
                        *byte = u8::try_from(varlen(&mut at)?).map_err(|_| Garbled)?;
                    }
                }
                // signed: the sign is the lowest bit
                2 => number = varlen(&mut at)? >> 1,
                3 => {
                    let n = usize::try_from(varlen(&mut at)?).map_err(|_| Garbled)?;
                    let text = std::str::from_utf8(at.take(n)?).map_err(|_| Garbled)?;
                    tag = (!text.is_empty()).then(|| text.to_owned());
                }
                6 => immediate_us = varlen(&mut at)?,
                7 => original_us = Some(varlen(&mut at)?),
                // flags, logical clocks, length, server versions, ticket: an integer each
                0 | 4 | 5 | 8..=11 => drop(varlen(&mut at)?),
                // a field of a later version: its length is not known, and what we need came before
                _ => break,
            }
        }
        if number == 0 {
            return Err(Garbled);
        }
        Ok(GtidEvent { gtid: Gtid { uuid, tag, number }, commit_us: original_us.unwrap_or(immediate_us) })
    }
}

/// An integer of one to nine bytes: as many low bits of the first byte are set as bytes follow it.
fn varlen(at: &mut Cursor<'_>) -> Result<u64, Garbled> {
    let first = at.u8()?;
    let more = first.trailing_ones() as usize;
    let rest = at.uint(more)?;
    Ok(match more {
        8 => rest,
        7 => rest,
        _ => u64::from(first >> (more + 1)) | rest << (7 - more),
    })
}

/// How COM_BINLOG_DUMP_GTID wants a set. The untagged form is the one that every version knows.
pub(crate) fn encode_set(set: &GtidSet) -> Vec<u8> {
    let entries: Vec<_> = set.entries().collect();
    let tagged = entries.iter().any(|(_, tag, _)| !tag.is_empty());
    let mut out = Vec::with_capacity(8 + entries.len() * 40);
    let count = entries.len() as u64;
    let head = if tagged { 1 << 56 | count << 8 | 1 } else { count };
    out.extend_from_slice(&head.to_le_bytes());
    for (uuid, tag, ranges) in entries {
        out.extend_from_slice(uuid);
        if tagged {
            // at most 32 characters: the length fits a byte
            out.push((tag.len() as u8) << 1);
            out.extend_from_slice(tag.as_bytes());
        }
        out.extend_from_slice(&(ranges.len() as u64).to_le_bytes());
        for &(first, last) in ranges {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&(last + 1).to_le_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varlen_integers() {
        let read = |bytes: &[u8]| varlen(&mut Cursor::new(bytes));
        assert_eq!(read(&[0x0a]), Ok(5));
        assert_eq!(read(&[0xfe]), Ok(127));
        // two bytes: 14 bits, the low six of them in the first byte
        assert_eq!(read(&[0x01, 0x02]), Ok(128));
        assert_eq!(read(&[0xfd, 0xff]), Ok(16_383));
        assert_eq!(read(&[0x7f, 1, 0, 0, 0, 0, 0, 0]), Ok(1));
        assert_eq!(read(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80]), Ok(1 << 63 | 1));
        assert_eq!(read(&[0xff, 1, 0]), Err(Garbled));
    }

    #[test]
    fn an_untagged_event() {
        let mut body = vec![1];
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&42u64.to_le_bytes());
        body.push(2);
        body.extend_from_slice(&[0; 16]);
        let (now, original) = (1_760_000_000_000_000u64, 1_750_000_000_000_000u64);
        let mut with_original = body.clone();
        body.extend_from_slice(&now.to_le_bytes()[..7]);
        with_original.extend_from_slice(&(now | HAS_ORIGINAL).to_le_bytes()[..7]);
        with_original.extend_from_slice(&original.to_le_bytes()[..7]);
        let read = GtidEvent::parse(&body).unwrap();
        assert_eq!(read.gtid, Gtid { uuid: [7; 16], tag: None, number: 42 });
        assert_eq!(read.commit_us, now);
        assert_eq!(GtidEvent::parse(&with_original).unwrap().commit_us, original);
        assert_eq!(GtidEvent::parse(&body[..20]), Err(Garbled));
        body[17..25].fill(0);
        assert_eq!((GtidEvent::parse(&body), GtidEvent::parse_anonymous(&body)), (Err(Garbled), Ok(now)));
    }

    #[test]
    fn sets_are_encoded_as_the_server_wants_them() {
        let set: GtidSet = "01020304-0506-0708-090a-0b0c0d0e0f10:1-5:9".parse().unwrap();
        let bytes = encode_set(&set);
        assert_eq!(bytes.len(), 8 + 16 + 8 + 2 * 16);
        assert_eq!((bytes[0], bytes[8], bytes[24]), (1, 1, 2));
        assert_eq!(bytes[32..48], [1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);

        let set: GtidSet = "01020304-0506-0708-090a-0b0c0d0e0f10:1-5:zed:1".parse().unwrap();
        let bytes = encode_set(&set);
        assert_eq!(bytes[..8], [1, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[24], 0, "the first entry has no tag");
        let second = 8 + 16 + 1 + 8 + 16;
        assert_eq!(bytes[second + 16..second + 20], *b"\x06zed");
    }
}
