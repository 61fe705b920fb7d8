//! Moving a source's position: to the earliest, to now, to a GTID set, to a time. Each says what gap it makes before anything
//! is moved; moving itself is the changelog's.

mod gap;
pub(super) mod scan;

use forebay_model::{Fault, GtidSet, Note, Position};

pub use gap::Gap;
use scan::{MOST, Scan, Seen, head};

use super::Config;
use super::gtids::either;
use super::reach::{earliest, none_fit, now};
use super::relation;
use super::server::{ServerState, gtids_at};
use super::wire::Conn;
use crate::codes;

/// Where a position is to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionTarget {
    /// Before the oldest transaction that the server still has.
    Earliest,
    /// Behind the newest one.
    Now,
    /// Behind exactly these.
    Gtids(GtidSet),
    /// Before the first transaction that was committed then or later, milliseconds since 1970.
    Time(u64),
    /// At a file and an offset, as other readers of the binlog store their place. One inside a transaction means before it: a part
    /// of it may come again, and none is lost.
    File {
        /// The file's name.
        file: String,
        /// The offset in it.
        pos: u64,
    },
}

/// A position, with what it is of and what moving there does.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The host that was asked, as `host:port`.
    pub host: String,
    /// The new position.
    pub position: Position,
    /// To be stored with it: which server it is of.
    pub notes: Vec<Note>,
    /// What is skipped and what comes again.
    pub gap: Gap,
}

/// What a target means now on the first of the source's hosts that can be asked. Changes nothing.
///
/// # Errors
/// If no host can be asked, or the server does not have what the target needs.
pub async fn resolve(
    config: &Config,
    present: Option<&Position>,
    target: &PositionTarget,
) -> Result<Resolved, Fault> {
    let mut refused = Vec::new();
    for host in config.all_hosts() {
        match resolve_at(&config.at(&host), present, target).await {
            Ok(resolved) => return Ok(resolved),
            Err(fault) => refused.push((host, fault)),
        }
    }
    Err(none_fit(refused))
}

async fn resolve_at(
    config: &Config,
    present: Option<&Position>,
    target: &PositionTarget,
) -> Result<Resolved, Fault> {
    let mut conn = Conn::open(config).await?;
    let server = ServerState::ask(&mut conn, config).await?;
    conn.quit().await;
    let position = match target {
        PositionTarget::Earliest => earliest(&server).0,
        PositionTarget::Now => now(&server).0,
        PositionTarget::Gtids(gtids) => behind(&server, gtids)?,
        PositionTarget::Time(ms) => at_time(config, &server, *ms).await?,
        PositionTarget::File { file, pos } => at_file(config, &server, file, *pos).await?,
    };
    let gap = Gap::between(present, &position, &server);
    let notes = vec![server.remember(server.gtids).note()];
    Ok(Resolved { host: server.address, position, notes, gap })
}

fn behind(server: &ServerState, gtids: &GtidSet) -> Result<Position, Fault> {
    let position = Position { gtids: gtids.clone(), ..Default::default() };
    match relation::check(server, &position, Some(&server.remember(true))) {
        Ok(_) => Ok(position),
        Err(fault) if fault.code() == codes::PURGED => {
            let what =
                format!("{} has purged transactions that this set lacks: {}", server.address, server.purged);
            let least = either(gtids, &server.purged);
            Err(Fault::new(codes::PURGED, what).fix(format!("to skip them, say so with the set {least}")))
        }
        Err(fault) if fault.code() == codes::GTID_OFF => Err(fault),
        Err(_) => {
            let what = format!("{} has executed {}, and not all of {gtids}", server.address, server.executed);
            Err(Fault::new(codes::POSITION_AHEAD, what)
                .fix("choose a set that the server has executed, or now"))
        }
    }
}

/// Before the transaction that begins at the place, or has it inside.
async fn at_file(config: &Config, server: &ServerState, file: &str, pos: u64) -> Result<Position, Fault> {
    let known = server.files.iter().find(|f| f.name == file).filter(|f| pos <= f.size);
    if known.is_none() {
        let what = format!("the binlog of {} has no place {file}:{pos}", server.address);
        return Err(Fault::new(codes::FILE_POSITION, what).fix(
            "the file was purged, or is another server's: choose a time, or earliest and a new snapshot",
        ));
    }
    if (file, pos) == (server.file.as_str(), server.pos) {
        return Ok(now(server).0);
    }
    let mut scan = Scan::start(config, file).await?;
    let mut gtids: Option<GtidSet> = None;
    // where the transaction begins that the place may lie in, and what is read before it
    let mut found = Position { file: file.to_owned(), pos: 4, ..Default::default() };
    while let Some(seen) = scan.next().await? {
        match seen {
            Seen::File { name } if name != file => break,
            Seen::File { .. } | Seen::Begun(_) | Seen::Prepared(_) => {}
            Seen::Previous(previous) => {
                let all = either(&previous, &server.purged);
                found.gtids = all.clone();
                gtids = Some(all);
            }
            Seen::Transaction { pos: begins, .. } if begins > pos => break,
            Seen::Transaction { pos: begins, gtid, .. } => {
                (found.pos, found.gtids) = (begins, gtids.clone().unwrap_or_default());
                if begins == pos {
                    break;
                }
                if let Some(gtid) = gtid {
                    gtids.get_or_insert_default().add(&gtid);
                }
            }
        }
    }
    match (server.gtids, server.is_mariadb()) {
        (true, true) => {
            found.gtids = gtids_at(&mut Conn::open(config).await?, &found.file, found.pos).await?
        }
        (true, false) => {}
        (false, _) => found.gtids = GtidSet::default(),
    }
    Ok(found)
}

/// The files are in order of their beginnings, which are told in whole seconds: the last that was surely begun before the
/// time holds the first transaction, or ends before it.
async fn at_time(config: &Config, server: &ServerState, ms: u64) -> Result<Position, Fault> {
    let (mut low, mut high) = (0, server.files.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let begun = head(config, &server.files[middle].name).await?.begun;
        if begun.saturating_add(1).saturating_mul(1000) <= ms { low = middle + 1 } else { high = middle }
    }
    let Some(first) = server.files.get(low.saturating_sub(1)) else {
        return Ok(earliest(server).0);
    };
    let mut scan = Scan::start(config, &first.name).await?;
    let (mut file, mut gtids) = (first.name.clone(), None);
    while let Some(seen) = scan.next().await? {
        match seen {
            Seen::File { name } => file = name,
            Seen::Begun(_) | Seen::Prepared(_) => {}
            Seen::Previous(previous) => gtids = gtids.or(Some(previous)),
            Seen::Transaction { pos, commit_us, .. } if commit_us >= ms.saturating_mul(1000) => {
                let gtids = match (server.gtids, server.is_mariadb()) {
                    (true, true) => gtids_at(&mut Conn::open(config).await?, &file, pos).await?,
                    // what was executed without the binlog counts as read everywhere
                    (true, false) => either(&gtids.unwrap_or_default(), &server.purged),
                    (false, _) => GtidSet::default(),
                };
                return Ok(Position { gtids, file, pos });
            }
            Seen::Transaction { gtid, .. } => {
                if let Some(gtid) = gtid {
                    gtids.get_or_insert_default().add(&gtid);
                }
            }
        }
        if scan.bytes > MOST {
            let what =
                format!("no transaction at that time or later in {} GiB from {} on", MOST >> 30, first.name);
            return Err(Fault::new(codes::TIME_NOT_FOUND, what).fix("choose a later time, or a GTID set"));
        }
    }
    // nothing was committed since
    Ok(now(server).0)
}
