//! Types that only MariaDB has: addresses, UUIDs and compressed columns.
//!
//! Formats: `sql_type_inet.h`, `sql_type_uuid.h` and `Field_longstr::compress` of MariaDB 10.11.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::mysql::binlog::Special;
use crate::mysql::cursor::Garbled;

/// Appends a value as MariaDB prints it. Zero bytes at its end are not written in the binlog.
pub(super) fn special(special: Special, value: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    let mut full = [0; 16];
    full.get_mut(..value.len()).ok_or(Garbled)?.copy_from_slice(value);
    let written = match special {
        Special::Inet4 => write!(out, "{}", Ipv4Addr::new(full[0], full[1], full[2], full[3])),
        Special::Inet6 => inet6(full, out),
        Special::Uuid => full.iter().enumerate().try_for_each(|(i, byte)| {
            out.extend_from_slice(if matches!(i, 4 | 6 | 8 | 10) { b"-" } else { b"" });
            write!(out, "{byte:02x}")
        }),
        Special::Old(_) => return Err(Garbled),
    };
    written.map_err(|_| Garbled)
}

/// An address of version 6. MariaDB also shortens a single zero, which others write.
fn inet6(full: [u8; 16], out: &mut Vec<u8>) -> std::io::Result<()> {
    match full {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
            return write!(out, "::ffff:{}", Ipv4Addr::new(a, b, c, d));
        }
        // an old way to write an address of version 4
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if (a, b) != (0, 0) => {
            return write!(out, "::{}", Ipv4Addr::new(a, b, c, d));
        }
        _ => {}
    }
    let words = Ipv6Addr::from(full).segments();
    // the first of the longest
    let run = |from: usize| words[from..].iter().take_while(|w| **w == 0).count();
    let gap = (0..8).rev().max_by_key(|&from| run(from)).filter(|&from| run(from) > 0);
    let mut at = 0;
    while at < 8 {
        if gap == Some(at) {
            out.extend_from_slice(b"::");
            at += run(at);
            continue;
        }
        let joined = at == 0 || gap.is_some_and(|g| at == g + run(g));
        out.extend_from_slice(if joined { b"" } else { b":" });
        write!(out, "{:x}", words[at])?;
        at += 1;
    }
    Ok(())
}

/// Writes a compressed value out, behind what `out` holds. Never a part of its caller: it needs tens of kilobytes of the
/// stack, which a function pays for whenever it is entered.
#[inline(never)]
pub(super) fn inflate(value: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    // a method in the high half, whether it lacks zlib's frame, how many bytes the size takes
    let Some((&head, rest)) = value.split_first() else { return Ok(()) };
    if head == 0 {
        out.extend_from_slice(rest);
        return Ok(());
    }
    if head >> 4 != 8 {
        return Err(Garbled);
    }
    let (size, rest) = rest.split_at_checked(usize::from(head & 7)).ok_or(Garbled)?;
    let size = size.iter().fold(0u64, |all, &b| all << 8 | u64::from(b));
    // a column holds less than 4 GiB, and what came in one event can not become more than zlib's utmost
    if size > (value.len() as u64).saturating_mul(1040) + 64 {
        return Err(Garbled);
    }
    let read = if head & 8 == 0 {
        flate2::read::ZlibDecoder::new(rest).take(size + 1).read_to_end(out)
    } else {
        flate2::read::DeflateDecoder::new(rest).take(size + 1).read_to_end(out)
    };
    if read.is_ok_and(|n| n as u64 == size) { Ok(()) } else { Err(Garbled) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_as_the_server_prints_them() {
        let shown = |s, value: &[u8]| {
            let mut out = Vec::new();
            special(s, value, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(shown(Special::Inet4, &[1, 2, 3]).unwrap(), "1.2.3.0");
        let six = |text: &str| shown(Special::Inet6, &text.parse::<Ipv6Addr>().unwrap().octets()).unwrap();
        // each as a server has printed it
        for text in [
            "2001:db8::1",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "::1",
            "::",
            "1:0:0:2::3",
            "::ffff:0.0.0.0",
            "::1:0:0",
        ] {
            assert_eq!(six(text), text);
        }
        assert_eq!(
            (six("::102:304"), six("::0.0.1.0"), six("::0.1.0.0")),
            ("::1.2.3.4".into(), "::100".into(), "::0.1.0.0".into())
        );
        let uuid = [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x16, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee];
        assert_eq!(shown(Special::Uuid, &uuid).unwrap(), "00112233-4455-1677-8899-aabbccddee00");
        assert_eq!(shown(Special::Uuid, &[0; 17]), Err(Garbled));
    }

    #[test]
    fn compressed_values() {
        let inflated = |value: &[u8]| {
            let mut out = b"x".to_vec();
            inflate(value, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        // as a server wrote them
        let long = [0x89, 0xc8, 0x4b, 0x4c, 0x1c, 0x1e, 0, 0];
        assert_eq!(inflated(&long), Ok(format!("x{}", "a".repeat(200))));
        assert_eq!((inflated(b"\0short"), inflated(b"")), (Ok("xshort".into()), Ok("x".into())));
        assert_eq!((inflated(&long[..5]), inflated(&[0x79, 1])), (Err(Garbled), Err(Garbled)));
    }

    proptest! {
        #[test]
        fn any_bytes_end(value in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = inflate(&value, &mut Vec::new());
        }
    }
}
