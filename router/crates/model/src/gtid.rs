//! Global transaction identifiers: as MySQL writes them, `uuid:1-5:7` and, with tags, `uuid:1-5:tag:1-3`; and as MariaDB
//! does, `domain-server-number`.
//!
//! Formats: MySQL Reference Manual, "GTID Format and Storage"; MariaDB Knowledge Base, "Global Transaction ID".

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One transaction's identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gtid {
    /// The server that first committed it; of MariaDB's, domain and server ([`Gtid::mariadb`]).
    pub uuid: [u8; 16],
    /// Lower case; `None` for the usual, untagged kind.
    pub tag: Option<String>,
    /// From 1.
    pub number: u64,
}

/// What the UUID of a MariaDB transaction begins with; domain and server follow. No server's UUID looks so.
const MARIADB: [u8; 8] = *b"MariaDB\0";

impl Gtid {
    /// One of MariaDB's.
    pub fn mariadb(domain: u32, server: u32, number: u64) -> Self {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&MARIADB);
        uuid[8..12].copy_from_slice(&domain.to_be_bytes());
        uuid[12..].copy_from_slice(&server.to_be_bytes());
        Gtid { uuid, tag: None, number }
    }

    /// Domain and server, if it is one of MariaDB's.
    pub fn domain_and_server(&self) -> Option<(u32, u32)> {
        let rest = self.uuid.strip_prefix(&MARIADB)?;
        let (domain, server) = rest.split_at(4);
        Some((u32::from_be_bytes(domain.try_into().ok()?), u32::from_be_bytes(server.try_into().ok()?)))
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((domain, server)) = self.domain_and_server() {
            return write!(f, "{domain}-{server}-{}", self.number);
        }
        write_uuid(f, &self.uuid)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        write!(f, ":{}", self.number)
    }
}

/// A server's UUID and a tag ("" = untagged).
type Source = ([u8; 16], String);

/// A set of transactions: for each server and tag, rising ranges with both ends included, never touching. Of MariaDB's, for
/// each domain the newest: it stands for all before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    ranges: BTreeMap<Source, Vec<(u64, u64)>>,
    /// Server and number, by domain.
    domains: BTreeMap<u32, (u32, u64)>,
}

impl GtidSet {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.domains.is_empty()
    }

    /// Adds one transaction.
    pub fn add(&mut self, gtid: &Gtid) {
        if let Some((domain, server)) = gtid.domain_and_server() {
            let newest = self.domains.entry(domain).or_default();
            if newest.1 <= gtid.number {
                *newest = (server, gtid.number);
            }
            return;
        }
        self.add_range(gtid.uuid, gtid.tag.as_deref().unwrap_or(""), gtid.number, gtid.number);
    }

    /// Adds the transactions `first ..= last` of a server and tag ("" = untagged).
    pub fn add_range(&mut self, uuid: [u8; 16], tag: &str, first: u64, last: u64) {
        if let Some(ranges) = self.ranges.get_mut(&(uuid, tag.to_owned()) as &_) {
            // the usual case: the next number of the last range
            if let Some(end) = ranges.last_mut()
                && end.1 + 1 == first
            {
                end.1 = last;
                return;
            }
            let at = ranges.partition_point(|r| r.1 + 1 < first);
            let mut merged = (first, last);
            let mut until = at;
            while until < ranges.len() && ranges[until].0 <= merged.1.saturating_add(1) {
                merged = (merged.0.min(ranges[until].0), merged.1.max(ranges[until].1));
                until += 1;
            }
            ranges.splice(at..until, [merged]);
        } else {
            self.ranges.insert((uuid, tag.to_owned()), vec![(first, last)]);
        }
    }

    /// MariaDB's: the newest of a domain.
    pub fn newest(&self, domain: u32) -> Option<Gtid> {
        self.domains.get(&domain).map(|&(server, number)| Gtid::mariadb(domain, server, number))
    }

    /// MariaDB's: the domains that it holds anything of, sorted.
    pub fn domains(&self) -> impl Iterator<Item = u32> {
        self.domains.keys().copied()
    }

    /// MariaDB's: makes another one the newest of its domain, also an older one; `None` = the domain is empty.
    pub fn set_newest(&mut self, domain: u32, newest: Option<&Gtid>) {
        self.domains.remove(&domain);
        if let Some(gtid) = newest {
            self.add(gtid);
        }
    }

    /// Whether it holds the transaction.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        if let Some((domain, _)) = gtid.domain_and_server() {
            return self.domains.get(&domain).is_some_and(|d| d.1 >= gtid.number);
        }
        let key = (gtid.uuid, gtid.tag.clone().unwrap_or_default());
        self.ranges.get(&key).is_some_and(|r| r.iter().any(|&(a, b)| (a..=b).contains(&gtid.number)))
    }

    /// Whether every transaction of it is in `other`.
    pub fn is_subset(&self, other: &GtidSet) -> bool {
        let reaches = |domain: &u32, number| other.domains.get(domain).is_some_and(|d| d.1 >= number);
        self.domains.iter().all(|(domain, (_, number))| reaches(domain, *number))
            && self.ranges.iter().all(|(key, ranges)| {
                other.ranges.get(key).is_some_and(|theirs| {
                    ranges.iter().all(|&(a, b)| theirs.iter().any(|&(c, d)| c <= a && b <= d))
                })
            })
    }

    /// MySQL's: `(server, tag, ranges)`, sorted; the tag is "" for untagged ones, both ends of a range are included.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8; 16], &str, &[(u64, u64)])> {
        self.ranges.iter().map(|((uuid, tag), ranges)| (uuid, tag.as_str(), ranges.as_slice()))
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((uuid, tag), ranges) in &self.ranges {
            if last != Some(uuid) {
                f.write_str(if last.is_some() { "," } else { "" })?;
                write_uuid(f, uuid)?;
                last = Some(uuid);
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (first, end) in ranges {
                write!(f, ":{first}")?;
                if first != end {
                    write!(f, "-{end}")?;
                }
            }
        }
        for (i, (domain, (server, number))) in self.domains.iter().enumerate() {
            f.write_str(if i > 0 || last.is_some() { "," } else { "" })?;
            write!(f, "{domain}-{server}-{number}")?;
        }
        Ok(())
    }
}

/// Why a text is not a GTID set.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a GTID set (expected uuid:first-last, ... or domain-server-number, ...)")]
pub struct BadGtidSet(String);

impl FromStr for GtidSet {
    type Err = BadGtidSet;

    fn from_str(text: &str) -> Result<Self, BadGtidSet> {
        let bad = || BadGtidSet(text.chars().take(200).collect());
        let mut set = GtidSet::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            if !part.contains(':') {
                let mut numbers = part.split('-').map(str::trim);
                let mut next = || numbers.next().ok_or_else(bad);
                let domain = next()?.parse().map_err(|_| bad())?;
                let server = next()?.parse().map_err(|_| bad())?;
                let number = next()?.parse().map_err(|_| bad())?;
                if numbers.next().is_some() || number == 0 {
                    return Err(bad());
                }
                set.add(&Gtid::mariadb(domain, server, number));
                continue;
            }
            let mut pieces = part.split(':').map(str::trim);
            let uuid = pieces.next().and_then(parse_uuid).ok_or_else(bad)?;
            let mut tag = String::new();
            let mut any = false;
            for piece in pieces {
                if piece.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    tag = piece.to_ascii_lowercase();
                    continue;
                }
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                let first: u64 = first.trim().parse().map_err(|_| bad())?;
                let last: u64 = last.trim().parse().map_err(|_| bad())?;
                if first == 0 || last < first || last == u64::MAX {
                    return Err(bad());
                }
                set.add_range(uuid, &tag, first, last);
                any = true;
            }
            if !any {
                return Err(bad());
            }
        }
        Ok(set)
    }
}

impl Serialize for GtidSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GtidSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    for (i, byte) in uuid.iter().enumerate() {
        f.write_str(if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" })?;
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.bytes().filter(|&b| b != b'-').map(|b| (b as char).to_digit(16));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = (digits.next()?? << 4 | digits.next()??) as u8;
    }
    digits.next().is_none().then_some(uuid)
}
