//! Doors for fuzzing: any bytes go in, and nothing panics, grows without bound or goes on for ever. No part of the
//! interface.

use std::sync::Arc;

use forebay_model::{Kind, Position};

use super::Limits;
use super::bench::everything;
use super::binlog::{Event, Header, Query, RowsHead, TableMap, kinds};
use super::decode::{Filling, Plan, Present, Size};
use super::schema::History;
use super::transactions::{Taken, Transactions};

/// A binlog event, header first, as one of a stream: behind the start of a transaction and a table map, if they fit.
pub fn events(bytes: &[u8]) {
    let config = everything();
    let limits = Limits { block_rows: 64, ..Limits::default() };
    let history = History::new(&config, &[], true).expect("its own tables are of known types");
    let mut transactions = Transactions::new(config, limits, Position::default(), history);
    let mut rest = bytes;
    // a type, flags, two bytes of length, and a body
    while let [kind, flags, low, high, body @ ..] = rest {
        let n = usize::from(u16::from_le_bytes([*low, *high])).min(body.len());
        let (body, behind) = body.split_at(n);
        rest = behind;
        let header = Header {
            kind: *kind,
            size: 19 + n as u32,
            end: u32::from(*flags) << 24,
            flags: u16::from(*flags),
            ..Header::default()
        };
        loop {
            match transactions.take(&Event { header, body }) {
                Ok(Taken::Part) => drop(transactions.building.finish()),
                Ok(Taken::AskSpecials(_)) => transactions.told(Vec::new()),
                Ok(Taken::FindBranch(xid)) => transactions.found_branch(*xid, None),
                Ok(Taken::Whole) => break,
                Ok(Taken::Again(_) | Taken::AskVersion) | Err(_) => return,
            }
        }
    }
    for batch in transactions.building.finish().block.batches {
        batch.check();
    }
}

/// A table map's body.
pub fn table_map(bytes: &[u8]) {
    let maps = [false, true].map(|mariadb| TableMap::parse(bytes, mariadb));
    for map in maps.into_iter().flatten() {
        let _ = Plan::new(&map);
    }
}

/// A rows event's body, of the type `30 + kind % 3` (or 39), after a table map's: two bytes of the table map's length
/// come first.
pub fn rows(kind: u8, bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first_chunk::<2>() else { return };
    let size = usize::from(u16::from_le_bytes(*size)).min(rest.len());
    let (map, rows) = rest.split_at(size);
    let kind = if kind % 4 == 3 { kinds::PARTIAL_UPDATE_ROWS } else { kinds::WRITE_ROWS + kind % 4 };
    let Ok(map) = TableMap::parse(map, false) else { return };
    let (Ok(plan), Ok(head)) = (Plan::new(&map), RowsHead::parse(kind, rows)) else { return };
    if head.columns != plan.width() {
        return;
    }
    let mut filling = Filling::new(Arc::new(plan), &Size::default());
    let (before, after) =
        (Present::of(head.present, head.columns), Present::of(head.present_after, head.columns));
    let mut bytes = head.images;
    while !bytes.is_empty() && filling.rows() < 1000 {
        let image = bytes;
        if filling.push(Kind::Insert, before, &mut bytes).is_err() {
            break;
        }
        if kind == kinds::PARTIAL_UPDATE_ROWS
            && filling.push_partial((before, image), after, &mut bytes).is_err()
        {
            break;
        }
        if bytes.len() == image.len() {
            break;
        }
    }
}

/// A JSON value as the binlog has it, and differences that are applied to it.
pub fn json(value: &[u8], differences: &[u8]) {
    super::decode::json_text(value, differences);
}

/// A statement's event.
pub fn query(bytes: &[u8]) {
    for parsed in [Query::parse(bytes), Query::parse_load(bytes)].into_iter().flatten() {
        let _ = (parsed.meaning(), parsed.verb(), parsed.xa());
    }
}

/// A set of GTIDs: as text, and as it is sent to a server.
pub fn gtid_set(bytes: &[u8]) {
    if let Ok(set) = String::from_utf8_lossy(bytes).parse::<forebay_model::GtidSet>() {
        let again = set.to_string().parse::<forebay_model::GtidSet>();
        assert!(again.is_ok_and(|a| a == set), "a set that is written is read as it was");
        super::binlog::encode_set(&set);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of real events, from a MySQL and a MariaDB: a table map, rows, a GTID, statements.
    const REAL: [&[u8]; 8] = [
        b"\x16\0\0\0\0\0\x01\0\x01x\0\x01u\0\x08\x03\xfe\xfe\xfe\x8d\x8c\x8c\x8d\x0c\xfe\x10\xfe\x04\xfe\x10\x2d\x01\x02\x02\x2d\x01\xfe\x01\x01\0\x02\x05\x3f\x03\x08\x05\x08\x04\x14\x02id\x01u\x02i4\x02i6\x01c\x01b\x01t\x02vb\x08\x01\0",
        b"\x16\0\0\0\0\0\x01\0\x08\xff\0\x02\0\0\0\x0f\0\x11\x22\x33\x44\x55\x16\x77\x88\x99\xaa\xbb\xcc\xdd\xee\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\x06\0\0short\0\0\0\0\0\0",
        b"\x63\0\0\0\0\0\x01\0\x01d\0\x01t\0\x03\x03\xf5\x0f\x03\x04\x28\0\x06\x01\x01\0\x02\x01\x2d\x04\x07\x02id\x01j\x01v\x08\x01\0",
        b"\x63\0\0\0\0\0\x01\0\x02\0\x03\x07\0\x01\0\0\0\x08\0\0\0\x02\x01\0\x07\0\x05\x01\0\x03abc",
        b"\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x01\0\0\0\0\0\0\0",
        b"\x05\0\0\0\0\0\0\0\x01\0\0\0\0d\0BEGIN",
        b"\x05\0\0\0\0\0\0\0\x01\0\0\0\0d\0XA COMMIT X'61',X'',1",
        b"01020304-0506-0708-090a-0b0c0d0e0f10:1-5:tag:7,0-1-5",
    ];

    fn all(kind: u8, bytes: &[u8], more: &[u8]) {
        events(bytes);
        table_map(bytes);
        rows(kind, bytes);
        json(bytes, more);
        query(bytes);
        gtid_set(bytes);
    }

    /// Real bytes, cut and changed.
    fn changed() -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5);
        (prop::sample::select(REAL.to_vec()), changes, any::<prop::sample::Index>()).prop_map(
            |(real, changes, cut)| {
                let mut bytes = real.to_vec();
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                if cut.index(3) == 0 {
                    bytes.truncate(cut.index(bytes.len()));
                }
                bytes
            },
        )
    }

    fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 1][..], &(body.len() as u16).to_le_bytes(), body].concat()
    }

    /// FOREBAY_FUZZ_CASES makes it longer.
    fn cases() -> ProptestConfig {
        let cases = std::env::var("FOREBAY_FUZZ_CASES").ok().and_then(|n| n.parse().ok());
        ProptestConfig::with_cases(cases.unwrap_or(300))
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn any_bytes(kind: u8, bytes in prop::collection::vec(any::<u8>(), 0..300), more in prop::collection::vec(any::<u8>(), 0..60)) {
            all(kind, &bytes, &more);
        }

        #[test]
        fn real_bytes_that_were_changed(kind: u8, map in changed(), bytes in changed()) {
            all(kind, &bytes, &map);
            let pair = [&(map.len() as u16).to_le_bytes()[..], &map, &bytes].concat();
            (0..4).for_each(|kind| rows(kind, &pair));
        }

        #[test]
        fn transactions_that_were_changed(
            parts in prop::collection::vec((prop::sample::select(vec![33u8, 162, 2, 19, 23, 24, 30, 31, 32, 39, 16, 38, 166]), changed()), 0..8),
            begin: bool,
        ) {
            let mut bytes = Vec::new();
            if begin {
                bytes = [framed(33, REAL[4]), framed(2, REAL[5]), framed(19, REAL[2]), framed(30, REAL[3])].concat();
            }
            parts.iter().for_each(|(kind, body)| bytes.extend_from_slice(&framed(*kind, body)));
            events(&bytes);
        }
    }

    #[test]
    fn the_real_bytes_are_read() {
        assert!([0, 2].into_iter().all(|i| Plan::new(&TableMap::parse(REAL[i], false).unwrap()).is_ok()));
        let bytes =
            [framed(33, REAL[4]), framed(2, REAL[5]), framed(19, REAL[2]), framed(30, REAL[3])].concat();
        events(&bytes);
        assert!(
            REAL[7].len() > 40
                && std::str::from_utf8(REAL[7]).unwrap().parse::<forebay_model::GtidSet>().is_ok()
        );
    }
}
