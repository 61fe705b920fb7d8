//! Character sets, into UTF-8, as the server itself converts them: a guess would be a silent change of somebody's data.
//!
//! Every character set that a column can have is known. Which character each code means, and which mean nothing, was
//! asked of a server ([`single`], [`exceptions`]); a test asks again, for every code (`tests/it/charsets.rs`).

use encoding_rs::Encoding;
use mysql_common::collations::{Collation, CollationId};

mod exceptions;
mod multi;
mod single;

pub(super) use multi::Multi;
pub(super) use single::Single;

/// How the bytes of a text become UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// They are none.
    Binary,
    /// They are it.
    Utf8,
    /// They are it, as far as they are below 128.
    Ascii,
    /// A byte for each character.
    Single(&'static Single),
    /// One to four bytes for each character.
    Multi(&'static Multi),
    /// UTF-16.
    Utf16(&'static Encoding),
    /// Big-endian, four bytes each.
    Utf32,
}

/// What a collation's number means: its character set, and the most bytes that a character takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) widest: u8,
}

/// The character set of a collation.
pub(super) fn named(collation: u16) -> Named {
    // MariaDB's: without padding, of its own languages, and of UCA 14
    match collation {
        1024..2048 => return named(collation - 1024),
        576..768 => return wide((collation - 576) / 32),
        2048..4096 => return wide((collation - 2048) / 256),
        _ => {}
    }
    let (name, widest) = match Collation::resolve(CollationId::from(collation)) {
        // collations that are newer than the list; from 255 on they are all of utf8mb4
        c if c.id() == CollationId::UNKNOWN_COLLATION_ID && collation >= 255 => ("utf8mb4", 4),
        c if c.id() == CollationId::UNKNOWN_COLLATION_ID => ("unknown", 1),
        Collation { .. } if collation == 63 => ("binary", 1),
        c => (static_name(&c), c.max_len()),
    };
    Named { name, widest }
}

/// The character sets of Unicode, in the order that MariaDB counts them in.
fn wide(nth: u16) -> Named {
    let (name, widest) = match nth {
        0 => ("utf8mb3", 3),
        1 => ("utf8mb4", 4),
        2 => ("ucs2", 2),
        3 => ("utf16", 4),
        4 | 5 => ("utf32", 4),
        _ => ("unknown", 1),
    };
    Named { name, widest }
}

/// Every character set of MySQL and MariaDB.
const NAMES: [&str; 41] = [
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866",
    "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8",
    "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7",
    "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8mb3", "utf8mb4",
];

/// The name, from a list of ours: the library gives it for the lifetime of its value only.
fn static_name(collation: &Collation<'_>) -> &'static str {
    let wanted = if collation.charset() == "utf8" { "utf8mb3" } else { collation.charset() };
    NAMES.iter().find(|name| **name == wanted).copied().unwrap_or("unknown")
}

impl Charset {
    /// The way from a character set to UTF-8; `None` if the name is not known.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "binary" => Charset::Binary,
            "utf8mb4" | "utf8mb3" => Charset::Utf8,
            "ascii" => Charset::Ascii,
            "ucs2" | "utf16" => Charset::Utf16(encoding_rs::UTF_16BE),
            "utf16le" => Charset::Utf16(encoding_rs::UTF_16LE),
            "utf32" => Charset::Utf32,
            name => match Single::of(name) {
                Some(single) => Charset::Single(single),
                None => Charset::Multi(Multi::of(name)?),
            },
        })
    }

    /// Appends the text as UTF-8. Bytes that mean nothing become U+FFFD; answers whether there were any. The bytes of
    /// [`Charset::Utf8`] are taken as they are: a whole column is checked at once.
    pub(super) fn append(self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Charset::Binary | Charset::Utf8 => {
                out.extend_from_slice(bytes);
                false
            }
            // so are these: a byte from 128 on is never the whole of a character
            Charset::Ascii => {
                out.extend_from_slice(bytes);
                !bytes.is_ascii()
            }
            Charset::Single(single) => single.append(bytes, out),
            Charset::Multi(multi) => multi.append(bytes, out),
            Charset::Utf16(encoding) => {
                let (text, wrong) = encoding.decode_without_bom_handling(bytes);
                out.extend_from_slice(text.as_bytes());
                wrong
            }
            Charset::Utf32 => {
                let (chars, rest) = bytes.as_chunks::<4>();
                let mut wrong = !rest.is_empty();
                for c in chars {
                    wrong |= push(char::from_u32(u32::from_be_bytes(*c)), out);
                }
                wrong
            }
        }
    }
}

/// Appends a character, or U+FFFD where there is none; answers whether there is none.
#[inline]
fn push(c: Option<char>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
    c.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        Charset::of(name).unwrap().append(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn collations_have_names() {
        let name = |collation| (named(collation).name, named(collation).widest);
        assert_eq!(name(255), ("utf8mb4", 4));
        assert_eq!(name(45), ("utf8mb4", 4));
        assert_eq!(name(33), ("utf8mb3", 3));
        assert_eq!(name(63), ("binary", 1));
        assert_eq!(name(8), ("latin1", 1));
        assert_eq!(name(60_000), ("utf8mb4", 4));
        assert_eq!(name(100), ("unknown", 1));
        assert_eq!((name(1056).0, name(1070).0, name(577).0), ("armscii8", "utf8mb4", "utf8mb3"));
        assert_eq!((name(736).0, name(2304).0, name(2503).0), ("utf32", "utf8mb4", "utf8mb4"));
        assert_eq!((name(2560).0, name(3015).0, name(3072).0), ("ucs2", "utf16", "utf32"));
    }

    #[test]
    fn texts_become_utf8() {
        assert_eq!(text("latin1", b"\x80 \xe4\x81"), "\u{20ac} \u{e4}\u{81}");
        assert_eq!(text("koi8r", b"\xf0"), "\u{41f}");
        assert_eq!(text("gbk", b"\xc4\xe3"), "\u{4f60}");
        assert_eq!(text("ucs2", b"\x4f\x60\0a"), "\u{4f60}a");
        assert_eq!(text("utf16le", b"\x3d\xd8\x00\xde"), "\u{1f600}");
        assert_eq!(text("utf32", b"\0\x01\xf6\x00"), "\u{1f600}");
        assert_eq!(text("utf32", b"\0\x01"), "");
        assert_eq!(text("latin5", b"a\x80\xfd"), "a\u{80}\u{131}");
        assert_eq!(text("swe7", b"a[\\]"), "a\u{c4}\u{d6}\u{c5}");
        assert_eq!(text("sjis", b"\xb1\x93\xfa\x5c"), "\u{ff71}\u{65e5}\\");
        assert_eq!(text("ujis", b"a\xc6\xfc\x8e\xb1\x8f\xb0\xa1"), "a\u{65e5}\u{ff71}\u{4e02}");
        assert_eq!(text("gb18030", b"\xc4\xe3\x90\x30\x81\x30a"), "\u{4f60}\u{10000}a");
        assert!(Charset::of("unknown").is_none());
    }

    #[test]
    fn bytes_that_mean_nothing_are_told() {
        for (name, bytes) in [
            ("ascii", &b"a\x80"[..]),
            ("tis620", b"a\xdb"),
            ("swe7", b"\x80"),
            ("gbk", b"a\x81"),
            ("ujis", b"\x8f\xb0"),
            ("gb18030", b"\x90\x30\x81"),
            ("gb18030", b"\xff"),
            ("utf16", b"\xd8\x00"),
            ("utf32", b"\x00\x11\x00\x00"),
        ] {
            assert!(Charset::of(name).unwrap().append(bytes, &mut Vec::new()), "{name}");
        }
    }

    #[test]
    fn every_name_has_a_way() {
        for name in NAMES {
            assert!(Charset::of(name).is_some(), "{name}");
        }
    }
}
