//! Reads a file of the binlog from its beginning, for what is to be known of it and not for its rows: when it was begun, what
//! came before it, when its transactions were committed. Does not wait at the binlog's end.
//!
//! Format: MySQL source documentation, "COM_BINLOG_DUMP", `Previous_gtids_log_event`.

use std::time::Duration;

use forebay_model::{Fault, Gtid, GtidSet};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::codes;
use crate::mysql::binlog::{
    CHECKSUM, GtidEvent, HEADER, Header, MariaDbGtid, Rotate, Xid, checksum_in_use, kinds,
};
use crate::mysql::cursor::{Cursor, Garbled};
use crate::mysql::dump::From;
use crate::mysql::schema::Place;
use crate::mysql::server::gtids_at;
use crate::mysql::wire::{Conn, server_error};
use crate::mysql::{Config, faults, identity};

const PREVIOUS_GTIDS: u8 = 35;
/// The most that is read of the binlog in search of something: a transaction of an hour ago lies within a file or two.
pub(super) const MOST: u64 = 8 << 30;
/// How long somebody who stands still may wait for it.
const LONGEST: Duration = Duration::from_secs(600);
/// Flag of a dump: it ends with the binlog.
const NON_BLOCKING: u16 = 1;

/// What a file begins with.
#[derive(Debug)]
pub(crate) struct Head {
    /// When it was begun, seconds since 1970.
    pub(crate) begun: u64,
    /// Every transaction of the files before, and what was executed without a binlog.
    pub(crate) previous: GtidSet,
}

/// Something worth knowing.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A file begins.
    File {
        name: String,
    },
    /// When it was begun, seconds since 1970.
    Begun(u64),
    Previous(GtidSet),
    /// A transaction begins.
    Transaction {
        pos: u64,
        gtid: Option<Gtid>,
        commit_us: u64,
        /// As the event itself says it; 0 = it does not.
        said_us: u64,
    },
    /// The transaction that began last is a prepared one of XA.
    Prepared(Xid),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scan {
    conn: Conn,
    checksum: bool,
    /// Bytes read.
    pub(crate) bytes: u64,
}

impl Scan {
    /// Asks for the binlog from the beginning of a file on. Under an id of its own, so that a reader of the same source is
    /// not thrown out.
    pub(crate) async fn start(config: &Config, file: &str) -> Result<Scan, Fault> {
        Scan::dump(config, From::At(file, 4)).await
    }

    /// As [`start`](Self::start), from anywhere on.
    pub(crate) async fn dump(config: &Config, from: From<'_>) -> Result<Scan, Fault> {
        let config = Config { server_id: None, ..config.clone() };
        let mut conn = Conn::open(&config).await?;
        let failed = |e| {
            let what = if let From::At(file, _) = from { file } else { "the binlog" };
            faults::wire(e, &format!("cannot read {what} of {}", config.address()))
        };
        let id = identity::server_id(&mut conn, &config).await?;
        conn.query(&from.settings(conn.server.flavour)).await.map_err(failed)?;
        conn.command(&from.command(conn.server.flavour, id, NON_BLOCKING)).await.map_err(failed)?;
        Ok(Scan { conn, checksum: false, bytes: 0 })
    }

    /// The next thing worth knowing; `None` at the binlog's end.
    pub(crate) async fn next(&mut self) -> Result<Option<Seen>, Fault> {
        loop {
            let Some(event) = event(&mut self.conn).await? else { return Ok(None) };
            self.bytes += event.len() as u64 + 1;
            let seen = look(event, &mut self.checksum).map_err(garbled)?;
            if seen.is_some() {
                return Ok(seen);
            }
        }
    }

    /// The first transaction, of MariaDB's the first of the domain, with the time that [`proof`](crate::mysql::proof) goes by; `None` if
    /// there is none.
    pub(crate) async fn first(&mut self, domain: Option<u32>) -> Result<Option<(Gtid, u64)>, Fault> {
        let mut found = None;
        loop {
            let Some(event) = event(&mut self.conn).await? else { return Ok(None) };
            if let Some(gtid) = found.take() {
                let header = Header::parse(event).map_err(garbled)?;
                return Ok(Some((gtid, u64::from(header.seconds) * 1_000_000)));
            }
            let seen = look(event, &mut self.checksum).map_err(garbled)?;
            let Some(Seen::Transaction { gtid: Some(gtid), said_us, .. }) = seen else { continue };
            if domain.is_some() && gtid.domain_and_server().map(|(domain, _)| domain) != domain {
                continue;
            }
            if said_us != 0 {
                return Ok(Some((gtid, said_us)));
            }
            found = Some(gtid);
        }
    }
}

/// The next event, as it came; `None` at the binlog's end.
async fn event(conn: &mut Conn) -> Result<Option<&[u8]>, Fault> {
    let packet = conn.packet().await.map_err(|e| faults::wire(e, "cannot read the binlog"))?;
    match packet {
        [0, event @ ..] => Ok(Some(event)),
        [0xff, ..] => Err(faults::wire(server_error(packet), "cannot read the binlog")),
        // the end, as an EOF packet
        _ => Ok(None),
    }
}

fn garbled(_: Garbled) -> Fault {
    Fault::new(codes::GARBLED, "the server sent an event that makes no sense")
        .fix("check the binlog with mysqlbinlog --verify-binlog-checksum")
}

/// Reads only how a file begins.
pub(crate) async fn head(config: &Config, file: &str) -> Result<Head, Fault> {
    let mut scan = Scan::start(config, file).await?;
    let mut begun = 0;
    while let Some(seen) = scan.next().await? {
        match seen {
            Seen::File { .. } => {}
            Seen::Begun(seconds) => begun = seconds,
            Seen::Previous(previous) => return Ok(Head { begun, previous }),
            Seen::Transaction { .. } | Seen::Prepared(_) => break,
        }
    }
    Ok(Head { begun, previous: GtidSet::default() })
}

/// What came of looking for an XA branch.
#[derive(Debug)]
pub(crate) enum Looked {
    /// The transaction that last prepared it, and MariaDB's newest of its domain before that.
    Found(Gtid, Option<Gtid>),
    /// It is not there, or further back than is read.
    Missed(Missed),
}

/// A branch that was looked for in vain: while this holds, nobody need look again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missed {
    /// As servers write it.
    pub(crate) xid: String,
    /// The server that was asked.
    host: String,
    /// Where the branch is committed.
    file: String,
    pos: u64,
    /// The oldest file that there was: what is purged since does not bring it.
    oldest: String,
}

impl Missed {
    /// Whether nothing is to be found that was not there before.
    fn holds(&self, now: &Missed) -> bool {
        let place = |missed: &Missed| Place { file: missed.oldest.clone(), pos: 0 };
        place(self) <= place(now) && *self == Missed { oldest: self.oldest.clone(), ..now.clone() }
    }
}

/// Looks for the transaction that last prepared an XA branch before the place at which that is committed; `missed` says what was
/// looked for in vain before.
pub(crate) async fn prepared_before(
    config: &Config,
    xid: &Xid,
    (file, pos): (&str, u64),
    missed: Option<Missed>,
) -> Result<Looked, Fault> {
    let mut conn = Conn::open(config).await?;
    let files = conn.query("SHOW BINARY LOGS").await;
    let files = files.map_err(|e| faults::wire(e, "cannot read the list of binlog files"))?;
    conn.quit().await;
    let mut names: Vec<String> = files.firsts().map(str::to_owned).collect();
    if let Some(at) = names.iter().position(|name| name == file) {
        names.truncate(at + 1);
    }
    let now = Missed {
        xid: xid.to_string(),
        host: config.address(),
        file: file.to_owned(),
        pos,
        oldest: names.first().cloned().unwrap_or_default(),
    };
    if missed.is_some_and(|missed| missed.holds(&now)) {
        return Ok(Looked::Missed(now));
    }
    let deadline = Instant::now() + LONGEST;
    let mut bytes = 0;
    for name in names.iter().rev() {
        let mut scan = Scan::start(config, name).await?;
        let (mut last, mut found) = (None, None);
        while let Some(seen) = scan.next().await? {
            match seen {
                Seen::File { name: next } if next != *name => break,
                Seen::Transaction { pos: begins, .. } if name == file && begins >= pos => break,
                Seen::Transaction { gtid, pos, .. } => last = gtid.map(|gtid| (gtid, pos)),
                Seen::Prepared(prepared) if prepared == *xid => found = last.take(),
                _ => {}
            }
            if bytes + scan.bytes > MOST || Instant::now() >= deadline {
                return Ok(Looked::Missed(now));
            }
        }
        if let Some((gtid, begins)) = found {
            let before = match gtid.domain_and_server() {
                Some((domain, _)) => {
                    gtids_at(&mut Conn::open(config).await?, name, begins).await?.newest(domain)
                }
                None => None,
            };
            return Ok(Looked::Found(gtid, before));
        }
        bytes += scan.bytes;
    }
    Ok(Looked::Missed(now))
}

fn look(event: &[u8], checksum: &mut bool) -> Result<Option<Seen>, Garbled> {
    let header = Header::parse(event)?;
    let body = |checksum: bool| {
        let end = event.len().checked_sub(if checksum { CHECKSUM } else { 0 }).ok_or(Garbled)?;
        event.get(HEADER..end).ok_or(Garbled)
    };
    let pos = u64::from(header.end).saturating_sub(header.size.into());
    let transaction =
        |gtid, said_us| Seen::Transaction { pos, gtid, commit_us: time(&header, said_us), said_us };
    Ok(Some(match header.kind {
        // made up for readers: before the first format description, and with the checksum that the server is set to
        kinds::ROTATE if header.end == 0 => {
            let tail = crate::mysql::binlog::is_whole(event);
            Seen::File { name: Rotate::parse(body(tail)?)?.file.to_owned() }
        }
        kinds::FORMAT_DESCRIPTION => {
            *checksum = checksum_in_use(event)?;
            Seen::Begun(header.seconds.into())
        }
        PREVIOUS_GTIDS => Seen::Previous(previous_gtids(body(*checksum)?)?),
        kinds::GTID | kinds::GTID_TAGGED => {
            let body = body(*checksum)?;
            let tagged = header.kind == kinds::GTID_TAGGED;
            let read = if tagged { GtidEvent::parse_tagged(body) } else { GtidEvent::parse(body) }?;
            transaction(Some(read.gtid), read.commit_us)
        }
        kinds::ANONYMOUS_GTID => transaction(None, GtidEvent::parse_anonymous(body(*checksum)?)?),
        kinds::XA_PREPARE => match Xid::of_prepare(body(*checksum)?)? {
            (false, xid) => Seen::Prepared(xid),
            _ => return Ok(None),
        },
        kinds::MARIADB_GTID => {
            let gtid = MariaDbGtid::parse(header.server_id, body(*checksum)?)?.gtid;
            transaction(Some(gtid), 0)
        }
        _ => return Ok(None),
    }))
}

/// Where only the second is known, its end: of two transactions of one second none is taken for older than it is.
fn time(header: &Header, commit_us: u64) -> u64 {
    if commit_us == 0 { u64::from(header.seconds) * 1_000_000 + 999_999 } else { commit_us }
}

/// Reads a set as the binlog has it: the first byte of its count says whether tags follow each server.
fn previous_gtids(body: &[u8]) -> Result<GtidSet, Garbled> {
    let mut at = Cursor::new(body);
    let head = at.u64()?;
    let tagged = head >> 56 == 1;
    let count = if tagged { head << 8 >> 16 } else { head };
    let mut set = GtidSet::default();
    for _ in 0..count {
        let uuid = at.array()?;
        let tag = if tagged {
            let length = usize::from(at.u8()? >> 1);
            std::str::from_utf8(at.take(length)?).map_err(|_| Garbled)?.to_owned()
        } else {
            String::new()
        };
        for _ in 0..at.u64()? {
            let (first, end) = (at.u64()?, at.u64()?);
            if first == 0 || end <= first {
                return Err(Garbled);
            }
            set.add_range(uuid, &tag, first, end - 1);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::binlog::encode_set;

    #[test]
    fn what_was_not_found_is_looked_for_again_only_where_there_may_be_more() {
        let text = str::to_owned;
        let missed = Missed {
            xid: text("X'61',X'',1"),
            host: text("a:3306"),
            file: text("binlog.000012"),
            pos: 7,
            oldest: text("binlog.000009"),
        };
        let with_oldest = |oldest: &str| Missed { oldest: text(oldest), ..missed.clone() };
        assert!(missed.holds(&missed) && missed.holds(&with_oldest("binlog.000010")));
        let others = [
            with_oldest("binlog.000008"),
            Missed { host: text("b:3306"), ..missed.clone() },
            Missed { file: text("binlog.000013"), ..missed.clone() },
            Missed { pos: 8, ..missed.clone() },
            Missed { xid: text("X'62',X'',1"), ..missed.clone() },
        ];
        assert!(others.iter().all(|other| !missed.holds(other)));
    }

    #[test]
    fn sets_are_read_as_they_are_written() {
        let a = "01020304-0506-0708-090a-0b0c0d0e0f10";
        for text in
            ["", &format!("{a}:1-5:9"), &format!("{a}:1-5:zed:1:7-9,ffffffff-0506-0708-090a-0b0c0d0e0f10:3")]
        {
            let set: GtidSet = text.parse().unwrap();
            let bytes = encode_set(&set);
            assert_eq!(previous_gtids(&bytes).unwrap(), set);
            for cut in 0..bytes.len() {
                assert!(previous_gtids(&bytes[..cut]).is_err(), "{text} cut to {cut}");
            }
        }
        // a count that no body can hold ends early, and not with memory
        assert_eq!(previous_gtids(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 2]), Err(Garbled));
    }
}
