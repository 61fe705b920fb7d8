//! What the name of a character set or a collation says.

use crate::mysql::binlog::types;

/// The character set's name as `information_schema` spells it now.
pub(super) fn charset_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name == "utf8" { "utf8mb3".to_owned() } else { name }
}

/// The character set that a collation is of; `None` for those of MariaDB that are of any.
pub(super) fn of_collation(collation: &str) -> Option<String> {
    let set = collation.split('_').next().unwrap_or_default();
    (!set.eq_ignore_ascii_case("uca1400")).then(|| charset_name(set))
}

/// The most bytes that a character takes.
pub(super) fn widest(charset: &str) -> usize {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "ujis" | "eucjpms" => 3,
        "ucs2" | "big5" | "gbk" | "gb2312" | "euckr" | "sjis" | "cp932" => 2,
        _ => 1,
    }
}

/// A collation of the character set, by its number: what a table map would have said.
pub(super) fn collation(charset: &str) -> Option<u16> {
    Some(match charset {
        "big5" => 1,
        "dec8" => 3,
        "cp850" => 4,
        "hp8" => 6,
        "koi8r" => 7,
        "latin1" => 8,
        "latin2" => 9,
        "swe7" => 10,
        "ascii" => 11,
        "ujis" => 12,
        "sjis" => 13,
        "hebrew" => 16,
        "tis620" => 18,
        "euckr" => 19,
        "koi8u" => 22,
        "gb2312" => 24,
        "greek" => 25,
        "cp1250" => 26,
        "gbk" => 28,
        "latin5" => 30,
        "armscii8" => 32,
        "utf8mb3" => 33,
        "ucs2" => 35,
        "cp866" => 36,
        "keybcs2" => 37,
        "macce" => 38,
        "macroman" => 39,
        "cp852" => 40,
        "latin7" => 41,
        "utf8mb4" => 45,
        "cp1251" => 51,
        "utf16" => 54,
        "utf16le" => 56,
        "cp1256" => 57,
        "cp1257" => 59,
        "utf32" => 60,
        "binary" => 63,
        "geostd8" => 92,
        "cp932" => 95,
        "eucjpms" => 97,
        "gb18030" => 248,
        _ => return None,
    })
}

/// The character set that a collation's number is of.
pub(super) fn of_number(number: u16) -> String {
    crate::mysql::decode::charset_of(number).to_owned()
}

/// Whether columns of this type have a character set in the table map's first list.
pub(super) fn is_text(code: u8) -> bool {
    use types::*;
    matches!(code, VARCHAR | VAR_STRING | STRING | TINY_BLOB..=BLOB | BLOB_COMPRESSED | VARCHAR_COMPRESSED)
}
