//! The server's spelling of a column's type, as far as the binlog knows it: display widths are not in it.

use super::charset::{Charset, named};
use super::plan::text_size;
use crate::mysql::binlog::{RawColumn, Special, types};

/// Such as `varchar(64)` or `int unsigned`.
pub(super) fn native(raw: &RawColumn) -> String {
    use types::*;
    let [a, b] = raw.meta;
    let unsigned = if raw.unsigned { " unsigned" } else { "" };
    let fraction = if a > 0 { format!("({a})") } else { String::new() };
    let binary = raw.collation == Some(63);
    let old = |name: &str| match raw.special {
        Some(Special::Old(0)) | None => name.to_owned(),
        Some(Special::Old(digits)) => {
            format!("{name}({digits}) (in the form of mysql56_temporal_format = OFF)")
        }
        Some(_) => format!("{name} (unknown)"),
    };
    match raw.code {
        TINY => format!("tinyint{unsigned}"),
        SHORT => format!("smallint{unsigned}"),
        INT24 => format!("mediumint{unsigned}"),
        LONG => format!("int{unsigned}"),
        LONGLONG => format!("bigint{unsigned}"),
        FLOAT => format!("float{unsigned}"),
        DOUBLE => format!("double{unsigned}"),
        DECIMAL => format!("decimal({a},{b}){unsigned}"),
        YEAR => "year".into(),
        DATE | NEWDATE => "date".into(),
        TIME => format!("time{fraction}"),
        DATETIME => format!("datetime{fraction}"),
        TIMESTAMP => format!("timestamp{fraction}"),
        BIT => format!("bit({})", u32::from(b) * 8 + u32::from(a)),
        ENUM | SET => {
            let charset = raw.collation.and_then(|c| Charset::of(named(c).name)).unwrap_or(Charset::Utf8);
            let quoted = |member: &Vec<u8>| {
                let mut text = Vec::new();
                charset.append(member, &mut text);
                format!("'{}'", String::from_utf8_lossy(&text).replace('\'', "''"))
            };
            let members: Vec<String> = raw.members.iter().map(quoted).collect();
            format!("{}({})", if raw.code == ENUM { "enum" } else { "set" }, members.join(","))
        }
        STRING if matches!(raw.special, Some(Special::Inet4)) => "inet4".into(),
        STRING if matches!(raw.special, Some(Special::Inet6)) => "inet6".into(),
        STRING if matches!(raw.special, Some(Special::Uuid)) => "uuid".into(),
        VARCHAR_COMPRESSED => {
            // a byte more, for the head of the compressed value
            let [low, high] = (u16::from_le_bytes(raw.meta).saturating_sub(1)).to_le_bytes();
            native(&RawColumn { code: VARCHAR, meta: [low, high], ..raw.clone() })
        }
        BLOB_COMPRESSED => native(&RawColumn { code: BLOB, ..raw.clone() }),
        VARCHAR | VAR_STRING | STRING => {
            let (bytes, _) = text_size(raw);
            let widest = raw.collation.map_or(1, |c| usize::from(named(c).widest).max(1));
            let name = match (raw.code == STRING, binary) {
                (true, true) => "binary",
                (true, false) => "char",
                (false, true) => "varbinary",
                (false, false) => "varchar",
            };
            format!("{name}({})", bytes / widest)
        }
        TINY_BLOB..=BLOB => {
            let size = ["tiny", "", "medium", "long"].get(usize::from(a).wrapping_sub(1)).unwrap_or(&"");
            format!("{size}{}", if binary { "blob" } else { "text" })
        }
        JSON => "json".into(),
        GEOMETRY => geometry_name(raw.geometry).into(),
        VECTOR => "vector".into(),
        TIMESTAMP_OLD => old("timestamp"),
        TIME_OLD => old("time"),
        DATETIME_OLD => old("datetime"),
        other => format!("number {other}"),
    }
}

/// GEOMETRY and its subtypes, by the numbers that table maps have for them; the last two are one.
pub(crate) const GEOMETRIES: [&str; 9] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
];

/// A subtype's name. Numbers that are not known are collections.
pub(crate) fn geometry_name<N>(number: Option<N>) -> &'static str
where
    usize: TryFrom<N>,
{
    let number = number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    GEOMETRIES[number.min(7)]
}
