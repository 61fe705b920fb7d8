//! Every code of every character set: read as the server itself converts it, and refused where it means nothing.
//!
//! `UPDATE=1` writes anew what the decoder knows of them.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray as _;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_model::VIRTUAL_DATABASE;
use forebay_source::mysql::Start;
use forebay_source::mysql::bench::text;

use super::{config, connect, next};

/// A byte for each character.
const SINGLE: [&str; 27] = [
    "armscii8", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "geostd8",
    "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "swe7", "tis620", "ascii", "utf8mb3", "utf8mb4",
];

/// Several bytes: what encoding_rs calls it, and the codes of more than one byte.
const MULTI: [(&str, &encoding_rs::Encoding, &[&str]); 9] = [
    ("big5", encoding_rs::BIG5, &["161-249 0-255"]),
    ("cp932", encoding_rs::SHIFT_JIS, &["129-159 0-255", "224-252 0-255"]),
    ("eucjpms", encoding_rs::EUC_JP, &["142-142 0-255", "161-254 0-255", "143-143 128-255 128-255"]),
    ("euckr", encoding_rs::EUC_KR, &["129-254 0-255"]),
    ("gb18030", encoding_rs::GB18030, &["129-254 0-255", "129-254 48-57 129-254 48-57"]),
    ("gb2312", encoding_rs::GBK, &["161-247 0-255"]),
    ("gbk", encoding_rs::GBK, &["129-254 0-255"]),
    ("sjis", encoding_rs::SHIFT_JIS, &["129-159 0-255", "224-252 0-255"]),
    ("ujis", encoding_rs::EUC_JP, &["142-142 0-255", "161-254 0-255", "143-143 128-255 128-255"]),
];

const WIDE: [(&str, &[&str]); 4] = [
    ("ucs2", &["0-255 0-255"]),
    ("utf16", &["0-255 0-255", "216-219 0-255 220-220 0-255"]),
    ("utf16le", &["0-255 0-255", "0-3 216-219 0-255 220-223"]),
    ("utf32", &["0-0 0-17 0-255 0-255"]),
];

type Conn = forebay_kit::mysql_async::Conn;

/// What the server says of each code: the character, or none.
async fn codes(conn: &mut Conn, charset: &str, ranges: &str) -> BTreeMap<Vec<u8>, Option<char>> {
    let ranges: Vec<(u8, u8)> = ranges
        .split(' ')
        .map(|r| r.split_once('-').expect("a server that answers"))
        .map(|(a, b)| (a.parse().expect("a server that answers"), b.parse().expect("a server that answers")))
        .collect();
    let mut codes = vec![Vec::new()];
    for (first, last) in ranges {
        codes =
            codes.iter().flat_map(|c: &Vec<u8>| (first..=last).map(|b| [&c[..], &[b]].concat())).collect();
    }
    let mut known = BTreeMap::new();
    for codes in codes.chunks(20_000) {
        let size = codes[0].len();
        let hex: String = codes.iter().flatten().map(|b| format!("{b:02X}")).collect();
        // each on a row, with the text before and behind it: bytes that are cut or eaten show
        let all: Vec<Option<Vec<u8>>> = conn
            .query(format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
                 SELECT CAST(CONVERT(CONVERT(UNHEX(SUBSTR(x.h, i * {w} - {w} + 1, {w})) USING {charset}) USING utf8mb4) AS BINARY) \
                 FROM n, (SELECT '{hex}' h) x ORDER BY i",
                codes.len(),
                w = size * 2,
            ))
            .await
            .expect("a server that answers");
        for (code, text) in codes.iter().zip(all) {
            let text = text.and_then(|t| String::from_utf8(t).ok()).unwrap_or_default();
            let mut chars = text.chars();
            let one = chars.next().filter(|_| chars.next().is_none());
            // what a code without a meaning is shown as
            let one =
                one.filter(|c| *c != char::REPLACEMENT_CHARACTER && (*c != '?' || code.contains(&b'?')));
            known.insert(code.clone(), one);
        }
    }
    known
}

#[tokio::test]
async fn every_code_means_what_the_server_says() {
    let server = forebay_kit::mysql().await;
    let mut conn = server.connect().await.unwrap();
    conn.query_drop("SET SESSION sql_mode = '', cte_max_recursion_depth = 100000").await.unwrap();
    let mut all = Vec::new();
    for charset in SINGLE {
        all.push((charset, codes(&mut conn, charset, "0-255").await));
    }
    for (charset, _, ranges) in MULTI {
        let mut known = codes(&mut conn, charset, "0-255").await;
        for range in ranges {
            known.extend(codes(&mut conn, charset, range).await);
        }
        all.push((charset, known));
    }
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mysql/decode/charset/exceptions.rs");
        std::fs::write(path, exceptions(&all)).unwrap();
        return;
    }
    for (charset, ranges) in WIDE {
        let mut known = BTreeMap::new();
        for range in ranges {
            known.extend(codes(&mut conn, charset, range).await);
        }
        all.push((charset, known));
    }
    let mut wrong = Vec::new();
    for (charset, known) in &all {
        assert!(known.values().flatten().count() > 90, "{charset}");
        for (code, c) in known {
            let read = text(charset, code);
            // a text may have U+FFFD, which is also what the server shows for nothing
            if read != c.map(String::from) && read.as_deref() != Some("\u{fffd}") {
                wrong.push(format!("{charset} {code:02x?}: {read:?}, not {c:?}"));
            }
        }
    }
    wrong.truncate(300);
    assert!(wrong.is_empty(), "{} codes:\n{}", wrong.len(), wrong.join("\n"));
}

type Known = (&'static str, BTreeMap<Vec<u8>, Option<char>>);

/// The file that the decoder reads them from.
fn exceptions(all: &[Known]) -> String {
    let escape = |c: char| {
        if c.is_alphanumeric() && c.is_ascii() { c.to_string() } else { format!("\\u{{{:x}}}", u32::from(c)) }
    };
    let (mut upper, mut lower, mut holes, mut changed) =
        (String::new(), String::new(), String::new(), String::new());
    for (charset, known) in all {
        if let Some((_, encoding, _)) = MULTI.iter().find(|(n, ..)| n == charset) {
            let mut open: Option<(u32, u32)> = None;
            let mut next = 0;
            let mut sorted: Vec<_> = known.iter().collect();
            sorted.sort_by_key(|(code, _)| code.len());
            for (code, c) in sorted {
                let number = code.iter().fold(0, |all, b| all << 8 | u32::from(*b));
                let theirs = encoding.decode_without_bom_handling_and_without_replacement(code);
                let theirs = theirs.and_then(|t| {
                    let mut chars = t.chars();
                    chars.next().filter(|_| chars.next().is_none())
                });
                match c {
                    Some(c) => {
                        if let Some((a, b)) = open.take() {
                            holes.push_str(&format!("    (\"{charset}\", {a:#x}, {b:#x}),\n"));
                        }
                        if theirs != Some(*c) {
                            // neighbours stand in one text
                            if next == number {
                                changed.truncate(changed.len() - "\"),\n".len());
                            } else {
                                changed.push_str(&format!("    (\"{charset}\", {number:#x}, \""));
                            }
                            changed.push_str(&format!("{}\"),\n", escape(*c)));
                            next = number + 1;
                        }
                    }
                    // codes without a meaning may lie between those that only encoding_rs knows
                    None if theirs.is_some() => open = Some((open.map_or(number, |o| o.0), number)),
                    None => {}
                }
            }
            if let Some((a, b)) = open {
                holes.push_str(&format!("    (\"{charset}\", {a:#x}, {b:#x}),\n"));
            }
        } else if !matches!(*charset, "ascii" | "utf8mb3" | "utf8mb4") {
            let text: String =
                (128..=255).map(|b| escape(known[&vec![b]].unwrap_or(char::REPLACEMENT_CHARACTER))).collect();
            upper.push_str(&format!("    (\"{charset}\", \"{text}\"),\n"));
            for byte in 0..128u8 {
                let c = known[&vec![byte]].unwrap_or(char::REPLACEMENT_CHARACTER);
                if c != char::from(byte) {
                    lower.push_str(&format!("    (\"{charset}\", {byte:#x}, '{}'),\n", escape(c)));
                }
            }
        }
    }
    format!(
        "//! What codes of MySQL's character sets mean, where no library says the same. Made by a test that asks a server:\n\
         //! `UPDATE=1 cargo test -p forebay-source --test it every_code`.\n\n\
         /// Of a byte for each character: what the bytes from 128 on mean; U+FFFD = nothing.\n\
         #[rustfmt::skip]\npub(super) const UPPER: &[(&str, &str)] = &[\n{upper}];\n\n\
         /// The bytes below 128 that are not ASCII; U+FFFD = nothing.\n\
         pub(super) const LOWER: &[(&str, u8, char)] = &[\n{lower}];\n\n\
         /// Codes that mean nothing to the server, from the first to the last, sorted.\n\
         #[rustfmt::skip]\npub(super) const HOLES: &[(&str, u32, u32)] = &[\n{holes}];\n\n\
         /// Codes that mean something else: the first of neighbours, and what they mean; sorted.\n\
         #[rustfmt::skip]\npub(super) const CHANGED: &[(&str, u32, &str)] = &[\n{changed}];\n"
    )
}

/// A text for each, by way of the binlog.
#[tokio::test]
async fn a_text_of_every_character_set_by_stream() {
    const TEXTS: [(&str, &str); 12] = [
        ("armscii8", "\u{531}\u{532}"),
        ("big5", "\u{4f60}\u{597d}"),
        ("cp850", "\u{e9}\u{2592}"),
        ("cp932", "\u{65e5}\u{ff71}"),
        ("eucjpms", "\u{65e5}\u{ff71}"),
        ("gb18030", "\u{4f60}\u{1f600}"),
        ("geostd8", "\u{10d0}"),
        ("hebrew", "\u{5d0}"),
        ("swe7", "\u{e5}"),
        ("tis620", "\u{e01}"),
        ("ujis", "\u{65e5}\u{4e02}"),
        ("utf16le", "\u{1f600}a"),
    ];
    let server = forebay_kit::mysql().await;
    let database = server.database("charsets").await.unwrap();
    let mut stream = connect(&config(server, &[format!("{}.*", database.name())]), Start::Now).await;
    let mut conn = database.connect().await.unwrap();
    for (charset, text) in TEXTS {
        conn.query_drop(format!("CREATE TABLE `{charset}` (v VARCHAR(8) CHARSET {charset})")).await.unwrap();
        conn.query_drop(format!("INSERT INTO `{charset}` VALUES ('{text}')")).await.unwrap();
    }
    let mut seen = 0;
    while seen < TEXTS.len() {
        let Some(block) = next(&mut stream).await.unwrap().block else { continue };
        for batch in block.batches.iter().filter(|b| b.table.database != VIRTUAL_DATABASE) {
            let (_, text) = TEXTS.iter().find(|(n, _)| *n == batch.table.table).unwrap();
            assert_eq!(batch.columns[0].as_string::<i32>().value(0), *text, "{}", batch.table.table);
            seen += 1;
        }
    }
}
