//! Names of XA transactions, as events and statements have them.

use std::fmt;

use super::Query;
use crate::mysql::cursor::{Cursor, Garbled};

/// The name of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Xid {
    format: i64,
    global: Vec<u8>,
    branch: Vec<u8>,
}

/// What an XA statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum XaStatement {
    Start,
    Commit(Xid),
    Rollback(Xid),
}

impl Xid {
    /// Of an XA_PREPARE event: whether the branch is committed at once, and its name.
    pub(crate) fn of_prepare(body: &[u8]) -> Result<(bool, Self), Garbled> {
        let mut at = Cursor::new(body);
        let one_phase = at.u8()? != 0;
        let format = i32::from_le_bytes(at.array()?);
        let (global, branch) = (at.u32()?, at.u32()?);
        let mut name = |n: u32| Ok(at.take(usize::try_from(n).map_err(|_| Garbled)?)?.to_vec());
        Ok((one_phase, Xid { format: i64::from(format), global: name(global)?, branch: name(branch)? }))
    }

    /// As MariaDB's `XA RECOVER FORMAT = 'SQL'` has it: in hexadecimal or as plain text, and what is usual left out.
    pub(crate) fn recovered(text: &str) -> Option<Self> {
        let mut parts = text.split(',').map(str::trim);
        let bytes = |part: &str| match part.strip_prefix('\'').and_then(|p| p.strip_suffix('\'')) {
            Some(plain) => Some(plain.as_bytes().to_vec()),
            None => hexadecimal(part),
        };
        let xid = Xid {
            global: bytes(parts.next()?)?,
            branch: parts.next().map_or(Some(Vec::new()), bytes)?,
            format: parts.next().map_or(Some(1), |p| p.parse().ok())?,
        };
        parts.next().is_none().then_some(xid)
    }

    /// Of `X'6162',X'',1`, as servers write it.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(text).ok()?.trim().split(',').map(str::trim);
        let xid = Xid {
            global: hexadecimal(parts.next()?)?,
            branch: hexadecimal(parts.next()?)?,
            format: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(xid)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.global, &self.branch] {
            f.write_str("X'")?;
            part.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("',")?;
        }
        write!(f, "{}", self.format)
    }
}

/// Of `X'6162'`.
fn hexadecimal(part: &str) -> Option<Vec<u8>> {
    let digits = part.strip_prefix(['X', 'x'])?.strip_prefix('\'')?.strip_suffix('\'')?;
    let pairs = digits.as_bytes().chunks(2).map(|p| std::str::from_utf8(p).ok());
    pairs.map(|p| u8::from_str_radix(p.filter(|p| p.len() == 2)?, 16).ok()).collect()
}

impl Query<'_> {
    /// What the statement does, if it is one of XA that matters.
    ///
    /// # Errors
    /// If it does not name the transaction as servers do.
    pub(crate) fn xa(&self) -> Result<Option<XaStatement>, Garbled> {
        let Some(rest) = self.text.strip_prefix(b"XA ") else { return Ok(None) };
        let verb = rest.split(|b| *b == b' ').next().unwrap_or_default();
        let xid = || Xid::parse(&rest[verb.len()..]).ok_or(Garbled);
        Ok(match verb {
            b"START" => Some(XaStatement::Start),
            b"COMMIT" => Some(XaStatement::Commit(xid()?)),
            b"ROLLBACK" => Some(XaStatement::Rollback(xid()?)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_statements_name_a_transaction_alike() {
        let mut body = vec![0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0];
        body.extend_from_slice(b"abz");
        let (one_phase, xid) = Xid::of_prepare(&body).unwrap();
        assert!(!one_phase);
        let statement = |text: &'static [u8]| Query { thread: 0, status: b"", database: b"", text }.xa();
        assert_eq!(statement(b"XA COMMIT X'6162',X'7a',1"), Ok(Some(XaStatement::Commit(xid.clone()))));
        assert_eq!(statement(b"XA ROLLBACK X'6162',X'7A',1"), Ok(Some(XaStatement::Rollback(xid.clone()))));
        assert_eq!(statement(b"XA START X'6162',X'',1"), Ok(Some(XaStatement::Start)));
        assert_eq!((statement(b"XA END X'6162',X'',1"), statement(b"BEGIN")), (Ok(None), Ok(None)));
        for odd in [&b"XA COMMIT 'a'"[..], b"XA COMMIT X'6',X'',1", b"XA COMMIT X'\xff',X'',1", b"XA COMMIT "]
        {
            assert_eq!(statement(odd), Err(Garbled));
        }
        assert_eq!(Xid::parse(xid.to_string().as_bytes()), Some(xid));
        for (text, whole) in [
            ("'ab','z'", "X'6162',X'7a',1"),
            ("X'6162',X'7A',1", "X'6162',X'7a',1"),
            ("'a b-c'", "X'6120622d63',X'',1"),
            ("'a','',7", "X'61',X'',7"),
        ] {
            assert_eq!(Xid::recovered(text).unwrap().to_string(), whole);
        }
        assert!(Xid::recovered("a").is_none() && Xid::recovered("'a','',1,2").is_none());
        assert!((0..body.len()).all(|cut| Xid::of_prepare(&body[..cut]).is_err()));
    }
}
