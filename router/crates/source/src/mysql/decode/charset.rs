//! Character sets, into UTF-8.
//!
//! Only character sets of which every character comes out as the server itself would convert it are read; a guess
//! would be a silent change of somebody's data. The list is held against a server by a test that tries every
//! character (`tests/it/charsets.rs`).

use encoding_rs::Encoding;
use mysql_common::collations::{Collation, CollationId};

/// How the bytes of a text become UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// They are none.
    Binary,
    /// They are it.
    Utf8,
    Other(&'static Encoding),
    /// As the other, but some characters come out as others.
    Changed(&'static Encoding, &'static [(char, char)]),
    /// Big-endian, four bytes each.
    Utf32,
}

/// What Windows has between 0x80 and 0x9f, and the controls that ISO has there.
const CONTROLS: &[(char, char)] = &[
    ('\u{20ac}', '\u{80}'),
    ('\u{201a}', '\u{82}'),
    ('\u{192}', '\u{83}'),
    ('\u{201e}', '\u{84}'),
    ('\u{2026}', '\u{85}'),
    ('\u{2020}', '\u{86}'),
    ('\u{2021}', '\u{87}'),
    ('\u{2c6}', '\u{88}'),
    ('\u{2030}', '\u{89}'),
    ('\u{160}', '\u{8a}'),
    ('\u{2039}', '\u{8b}'),
    ('\u{152}', '\u{8c}'),
    ('\u{2018}', '\u{91}'),
    ('\u{2019}', '\u{92}'),
    ('\u{201c}', '\u{93}'),
    ('\u{201d}', '\u{94}'),
    ('\u{2022}', '\u{95}'),
    ('\u{2013}', '\u{96}'),
    ('\u{2014}', '\u{97}'),
    ('\u{2dc}', '\u{98}'),
    ('\u{2122}', '\u{99}'),
    ('\u{161}', '\u{9a}'),
    ('\u{203a}', '\u{9b}'),
    ('\u{153}', '\u{9c}'),
    ('\u{178}', '\u{9f}'),
];

/// What a collation's number means: its character set, and the most bytes that a character takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) widest: u8,
}

/// The character set of a collation.
pub(super) fn named(collation: u16) -> Named {
    let (name, widest) = match Collation::resolve(CollationId::from(collation)) {
        // collations that are newer than the list; from 255 on they are all of utf8mb4
        c if c.id() == CollationId::UNKNOWN_COLLATION_ID && collation >= 255 => ("utf8mb4", 4),
        c if c.id() == CollationId::UNKNOWN_COLLATION_ID => ("unknown", 1),
        Collation { .. } if collation == 63 => ("binary", 1),
        c => (static_name(&c), c.max_len()),
    };
    Named { name, widest }
}

/// The name, from a list of ours: the library gives it for the lifetime of its value only.
fn static_name(collation: &Collation<'_>) -> &'static str {
    const NAMES: [&str; 41] = [
        "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852",
        "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek",
        "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
        "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8mb3",
        "utf8mb4",
    ];
    let wanted = if collation.charset() == "utf8" { "utf8mb3" } else { collation.charset() };
    NAMES.iter().find(|name| **name == wanted).copied().unwrap_or("unknown")
}

impl Charset {
    /// The way from a character set to UTF-8; `None` if there is no exact one.
    pub(super) fn of(name: &str) -> Option<Self> {
        use encoding_rs as e;
        Some(match name {
            "binary" => Charset::Binary,
            "utf8mb4" | "utf8mb3" | "ascii" => Charset::Utf8,
            // MySQL's latin1 is cp1252
            "latin1" => Charset::Other(e::WINDOWS_1252),
            "latin2" => Charset::Other(e::ISO_8859_2),
            "latin7" => Charset::Other(e::ISO_8859_13),
            "cp1250" => Charset::Other(e::WINDOWS_1250),
            "cp1251" => Charset::Other(e::WINDOWS_1251),
            "cp1256" => Charset::Other(e::WINDOWS_1256),
            "cp1257" => Charset::Other(e::WINDOWS_1257),
            "koi8r" => Charset::Other(e::KOI8_R),
            "macroman" => Charset::Other(e::MACINTOSH),
            "gbk" => Charset::Other(e::GBK),
            "cp932" => Charset::Other(e::SHIFT_JIS),
            "euckr" => Charset::Other(e::EUC_KR),
            "ucs2" | "utf16" => Charset::Other(e::UTF_16BE),
            "utf16le" => Charset::Other(e::UTF_16LE),
            "cp866" => Charset::Changed(e::IBM866, &[('\u{2116}', '\u{207f}'), ('\u{a4}', '\u{b2}')]),
            "greek" => Charset::Changed(e::ISO_8859_7, &[('\u{2018}', '\u{2bd}'), ('\u{2019}', '\u{2bc}')]),
            "hebrew" => Charset::Changed(e::ISO_8859_8, &[('\u{af}', '\u{203e}')]),
            "koi8u" => Charset::Changed(
                e::KOI8_U,
                &[('\u{2219}', '\u{2022}'), ('\u{45e}', '\u{255d}'), ('\u{40e}', '\u{256c}')],
            ),
            // ISO 8859-9 and TIS-620 have controls where the encodings of Windows have punctuation
            "latin5" => Charset::Changed(e::WINDOWS_1254, CONTROLS),
            "tis620" => Charset::Changed(e::WINDOWS_874, CONTROLS),
            "gb2312" => Charset::Changed(e::GBK, &[('\u{b7}', '\u{30fb}'), ('\u{2014}', '\u{2015}')]),
            "sjis" => Charset::Changed(
                e::SHIFT_JIS,
                &[
                    ('\u{ff3c}', '\\'),
                    ('\u{ff5e}', '\u{301c}'),
                    ('\u{2225}', '\u{2016}'),
                    ('\u{ff0d}', '\u{2212}'),
                    ('\u{ffe0}', '\u{a2}'),
                    ('\u{ffe1}', '\u{a3}'),
                    ('\u{ffe2}', '\u{ac}'),
                ],
            ),
            "utf32" => Charset::Utf32,
            _ => return None,
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
            Charset::Other(encoding) => {
                let (text, wrong) = encoding.decode_without_bom_handling(bytes);
                out.extend_from_slice(text.as_bytes());
                wrong
            }
            Charset::Changed(encoding, changes) => {
                let (text, wrong) = encoding.decode_without_bom_handling(bytes);
                for c in text.chars() {
                    let c = changes.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to);
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                wrong
            }
            Charset::Utf32 => {
                let (chars, rest) = bytes.as_chunks::<4>();
                let mut wrong = !rest.is_empty();
                for c in chars {
                    let c = char::from_u32(u32::from_be_bytes(*c)).unwrap_or_else(|| {
                        wrong = true;
                        char::REPLACEMENT_CHARACTER
                    });
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                wrong
            }
        }
    }
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
        for other in ["armscii8", "big5", "gb18030", "ujis", "eucjpms", "cp850", "unknown"] {
            assert!(Charset::of(other).is_none(), "{other}");
        }
    }
}
