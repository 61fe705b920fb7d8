//! What MariaDB writes otherwise: GTIDs, and compressed events.
//!
//! Formats: MariaDB Knowledge Base, "GTID_EVENT", "QUERY_COMPRESSED_EVENT"; `Gtid_log_event` and `binlog_buf_uncompress` in
//! `sql/log_event.cc` of MariaDB 10.11.

use std::io::Read as _;

use forebay_model::Gtid;

use super::{Header, kinds};
use crate::mysql::cursor::{Cursor, Garbled};

/// The start of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MariaDbGtid {
    pub(crate) gtid: Gtid,
    /// Whether it is one event, with no end of its own.
    pub(crate) standalone: bool,
    /// Whether it ends with XA PREPARE.
    pub(crate) prepared: bool,
    /// Whether its statement is an ALTER TABLE that has only begun, or has failed (`binlog_alter_two_phase`): what it says has
    /// not happened. One that is done says all of it once more, in a transaction of its own.
    pub(crate) undone: bool,
}

impl MariaDbGtid {
    pub(crate) fn parse(server_id: u32, body: &[u8]) -> Result<Self, Garbled> {
        const STANDALONE: u8 = 1;
        const GROUP_COMMIT: u8 = 2;
        const PREPARED_XA: u8 = 64;
        const COMPLETED_XA: u8 = 128;
        /// In the second byte of flags.
        const START_ALTER: u8 = 2;
        const ROLLBACK_ALTER: u8 = 8;
        let mut at = Cursor::new(body);
        let number = at.u64()?;
        let domain = at.u32()?;
        let flags = at.u8()?;
        if number == 0 {
            return Err(Garbled);
        }
        if flags & GROUP_COMMIT != 0 {
            at.u64()?;
        }
        if flags & (PREPARED_XA | COMPLETED_XA) != 0 {
            at.u32()?;
            let (global, branch) = (at.u8()?, at.u8()?);
            at.take(usize::from(global) + usize::from(branch))?;
        }
        // left away, or zeros that fill the event, where there are none
        let more = if at.rest().is_empty() { 0 } else { at.u8()? };
        Ok(MariaDbGtid {
            gtid: Gtid::mariadb(domain, server_id, number),
            standalone: flags & STANDALONE != 0,
            prepared: flags & PREPARED_XA != 0,
            undone: more & (START_ALTER | ROLLBACK_ALTER) != 0,
        })
    }
}

/// Writes a compressed event's body out; answers the type that the event then is.
///
/// # Errors
/// If the bytes make no sense, or would be more than `largest`.
pub(crate) fn inflate(
    header: &Header,
    body: &[u8],
    largest: usize,
    out: &mut Vec<u8>,
) -> Result<u8, Garbled> {
    let mut at = Cursor::new(body);
    let kind = if header.kind == kinds::QUERY_COMPRESSED {
        at.take(8)?;
        let database = usize::from(at.u8()?);
        at.u16()?;
        let status = usize::from(at.u16()?);
        at.take(status + database + 1)?;
        kinds::QUERY
    } else {
        let n = header.kind.checked_sub(kinds::WRITE_ROWS_COMPRESSED_V1).ok_or(Garbled)?;
        let kind = match n {
            0..=2 => kinds::WRITE_ROWS_V1 + n,
            3..=5 => kinds::WRITE_ROWS + n - 3,
            _ => return Err(Garbled),
        };
        at.take(8)?;
        if n > 2 {
            let extra = usize::from(at.u16()?).checked_sub(2).ok_or(Garbled)?;
            at.take(extra)?;
        }
        let bitmap = at.packed_len()?.div_ceil(8);
        at.take(bitmap)?;
        if n % 3 == 1 {
            at.take(bitmap)?;
        }
        kind
    };
    let head = body.len() - at.rest().len();
    out.clear();
    out.extend_from_slice(&body[..head]);
    // how the length is written, in three bits; how the rest is compressed: 0 = zlib
    let first = at.u8()?;
    if first & 0xf0 != 0x80 {
        return Err(Garbled);
    }
    let size = at.take(usize::from(first & 7))?.iter().fold(0usize, |all, &b| all << 8 | usize::from(b));
    if size > largest {
        return Err(Garbled);
    }
    let mut bytes = flate2::read::ZlibDecoder::new(at.rest()).take(size as u64 + 1);
    let read = bytes.read_to_end(out).map_err(|_| Garbled)?;
    if read == size { Ok(kind) } else { Err(Garbled) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0x82, (bytes.len() >> 8) as u8, bytes.len() as u8];
        let mut writer = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap();
        out
    }

    #[test]
    fn compressed_events_come_out_as_the_others_are() {
        let head = [7, 0, 0, 0, 0, 0, 1, 0, 9, 0xff, 1];
        let rows = [9; 300];
        let inflated = |kind: u8, body: &[u8]| {
            let mut out = Vec::new();
            inflate(&Header { kind, ..Default::default() }, body, 1 << 20, &mut out).map(|kind| (kind, out))
        };
        let body = [&head[..], &compressed(&rows)].concat();
        assert_eq!(inflated(166, &body), Ok((23, [&head[..], &rows].concat())));
        assert_eq!(inflated(168, &body).unwrap().0, 25);
        let update = [&head[..], &[0xff, 1], &compressed(&rows)].concat();
        assert_eq!(inflated(167, &update), Ok((24, [&head[..], &[0xff, 1], &rows].concat())));
        let second = [&head[..8], &[2, 0], &head[8..], &compressed(&rows)].concat();
        assert_eq!(inflated(169, &second), Ok((30, [&second[..13], &rows].concat())));
        let query =
            [&[5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 8, 8, b'd', 0][..], &compressed(b"INSERT")].concat();
        assert_eq!(inflated(165, &query), Ok((2, [&query[..17], b"INSERT"].concat())));
        for cut in 0..body.len() {
            assert_eq!(inflated(166, &body[..cut]), Err(Garbled), "cut to {cut}");
        }
        assert!(inflate(&Header { kind: 166, ..Default::default() }, &body, 299, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_gtid() {
        let body = [42, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
        let read = MariaDbGtid::parse(3, &body).unwrap();
        assert_eq!((read.gtid.to_string().as_str(), read.standalone, read.prepared), ("7-3-42", true, false));
        assert!(!read.undone);
        assert_eq!(MariaDbGtid::parse(3, &body[..12]), Err(Garbled));
    }

    #[test]
    fn an_alter_that_has_begun_or_failed() {
        let head = |flags: u8| [&[42, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0][..], &[flags]].concat();
        let undone = |parts: &[&[u8]]| MariaDbGtid::parse(3, &parts.concat()).unwrap().undone;
        let (plain, group, xa) = (head(1 | 32), head(1 | 2 | 32), head(128));
        let group = [&group[..], &[0xff; 8]].concat();
        let xa = [&xa[..], &[0xff, 0xff, 0xff, 0xff, 2, 1], b"abc"].concat();
        for head in [&plain, &group, &xa] {
            assert!(undone(&[head, &[2]]) && undone(&[head, &[8, 1, 0, 0, 0, 0, 0, 0, 0]]));
            // the second flag says that a byte about engines follows
            assert!(undone(&[head, &[3, 2, 0]]));
            assert!(!undone(&[head, &[4, 2, 2, 2, 2, 2, 2, 2, 2]]), "one that is done");
            assert!(!undone(&[head, &[0; 6]]) && !undone(&[head]) && !undone(&[head, &[1, 2]]));
        }
        assert_eq!(MariaDbGtid::parse(3, &xa[..xa.len() - 1]), Err(Garbled));
    }

    proptest! {
        #[test]
        fn any_bytes_end(kind in 160u8..175, body in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = inflate(&Header { kind, ..Default::default() }, &body, 1 << 16, &mut Vec::new());
        }
    }
}
