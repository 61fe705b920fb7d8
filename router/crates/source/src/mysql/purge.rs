//! How long the server keeps what is still needed, and what it may delete.

use forebay_model::{Fault, Note, Position};
use serde::Serialize;

use super::binlog::Xid;
use super::doctor::facts::settings;
use super::doctor::settings::kept_for;
use super::position::scan::head;
use super::reach::none_fit;
use super::server::{Remembered, ServerState, gtids_at};
use super::transactions::Undecided;
use super::wire::{Conn, WireError};
use super::{Config, faults, relation};
use crate::codes;

/// What a source needs of its server's binlog.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// The file that holds the next transaction to be read.
    pub oldest_file_needed: String,
    /// Until the server may delete that file, if reading stands still; `None` = it deletes nothing by itself. A file that is
    /// still written counts as closed now.
    pub hours_left: Option<f64>,
    /// The newest file that this source does not need any more; `None` = it needs all of them, or nobody can say (see `caution`).
    pub safe_to_purge_upto: Option<String>,
    /// Why older files may be needed all the same, for people; `None` = they are not.
    pub caution: Option<String>,
}

impl Outlook {
    /// The statement that deletes what is not needed any more: the file that it names stays.
    pub fn purge_statement(&self) -> Option<String> {
        let file = self.oldest_file_needed.replace('\'', "''");
        self.safe_to_purge_upto.as_ref().map(|_| format!("PURGE BINARY LOGS TO '{file}'"))
    }
}

/// Asks the host that a position is of what becomes of the files behind it; where it is not known which that is, the first
/// that has what the position needs. `notes` are those that were stored with the position.
///
/// # Errors
/// If the server cannot be asked, or has purged what is needed already.
pub async fn outlook(config: &Config, position: &Position, notes: &[Note]) -> Result<Outlook, Fault> {
    let remembered = Remembered::find(notes);
    // what is undecided is read again once it is committed
    let mut needed = position.clone();
    let undecided: Vec<Undecided> = Undecided::of_notes(notes).into_iter().collect();
    for branch in &undecided {
        Undecided::take_from(&mut needed.gtids, &branch.gtid, branch.before.as_ref());
    }
    let mut refused = Vec::new();
    for host in config.all_hosts() {
        match outlook_at(&config.at(&host), position, (&needed, &undecided), remembered.as_ref()).await {
            Ok(outlook) => return Ok(outlook),
            Err(fault) => refused.push((host, fault)),
        }
    }
    Err(none_fit(refused))
}

async fn outlook_at(
    config: &Config,
    position: &Position,
    (needed, undecided): (&Position, &[Undecided]),
    remembered: Option<&Remembered>,
) -> Result<Outlook, Fault> {
    let failed = |e| faults::wire(e, "cannot read the server's settings");
    let mut conn = Conn::open(config).await?;
    let server = ServerState::ask(&mut conn, config).await?;
    relation::check(&server, position, remembered)?;
    if remembered.is_some_and(|r| r.uuid != server.uuid) {
        let what = format!("{} is not the server that is read", server.address);
        return Err(Fault::new(codes::SERVER_FOREIGN, what));
    }
    let kept = kept_for(&settings(&mut conn).await.map_err(failed)?);
    let now = conn.query("SELECT UNIX_TIMESTAMP()").await.map_err(failed)?;
    let now: u64 = now.firsts().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let prepared = prepared(&mut conn, server.is_mariadb()).await.map_err(failed)?;
    conn.quit().await;

    let known = server.files.iter().position(|f| f.name == position.file);
    let at = match known.filter(|_| remembered.is_some_and(|r| !r.uuid.is_empty())) {
        // the set may lack what stands in an older file: a prepared XA transaction
        Some(at)
            if !counts_by_gtids(&server, position) || begins_behind(config, &server, at, needed).await? =>
        {
            at
        }
        _ => last_before(config, &server, needed).await?,
    };
    // a file was written last when the next one was begun
    let closed = match server.files.get(at + 1) {
        Some(next) => head(config, &next.name).await?.begun,
        None => now,
    };
    let outlook = Outlook {
        oldest_file_needed: server.files.get(at).map_or(&server.file, |f| &f.name).clone(),
        hours_left: kept.map(|kept| left(closed, kept, now)),
        safe_to_purge_upto: at.checked_sub(1).and_then(|at| server.files.get(at)).map(|f| f.name.clone()),
        caution: None,
    };
    Ok(outlook.beside(&prepared, undecided))
}

/// The branches that XA RECOVER lists.
#[derive(Debug)]
enum Prepared {
    /// `None`: one whose name says nothing to the source.
    These(Vec<Option<Xid>>),
    /// The account may not look.
    Hidden,
}

async fn prepared(conn: &mut Conn, mariadb: bool) -> Result<Prepared, WireError> {
    // MySQL's positions know branches by their GTIDs, which it does not list
    let sql = if mariadb { "XA RECOVER FORMAT = 'SQL'" } else { "XA RECOVER" };
    let name = |row: &Vec<Option<String>>| Xid::recovered(row.get(3)?.as_deref()?).filter(|_| mariadb);
    match conn.query(sql).await {
        Ok(listed) => Ok(Prepared::These(listed.rows.iter().map(name).collect())),
        Err(WireError::Server { .. }) => Ok(Prepared::Hidden),
        Err(other) => Err(other),
    }
}

impl Outlook {
    /// Takes back what it says may be purged, where the prepare of some branch may be anywhere: `known` are those whose prepares count
    /// already.
    fn beside(mut self, prepared: &Prepared, known: &[Undecided]) -> Self {
        if self.safe_to_purge_upto.is_none() {
            return self;
        }
        match prepared {
            Prepared::These(listed) => {
                let is_known = |xid: &Option<Xid>| known.iter().any(|u| Some(&u.xid) == xid.as_ref());
                let unknown = listed.iter().filter(|xid| !is_known(xid)).count();
                if unknown > 0 {
                    self.safe_to_purge_upto = None;
                    self.caution = Some(format!(
                        "XA RECOVER lists prepared transactions ({unknown}) that may have begun in any older file, and are read there \
                         once they are committed: no file is safe to purge until they are over"
                    ));
                }
            }
            Prepared::Hidden => {
                self.caution = Some(
                    "only if XA RECOVER lists nothing: the account may not look (XA_RECOVER_ADMIN), and what is prepared is read in \
                     an older file once it is committed"
                        .to_owned(),
                );
            }
        }
        self
    }
}

fn counts_by_gtids(server: &ServerState, position: &Position) -> bool {
    server.gtids && !position.gtids.is_empty()
}

/// Whether the position has all that stands before a file.
async fn begins_behind(
    config: &Config,
    server: &ServerState,
    at: usize,
    position: &Position,
) -> Result<bool, Fault> {
    let file = &server.files[at].name;
    let previous = if server.is_mariadb() {
        gtids_at(&mut Conn::open(config).await?, file, 4).await?
    } else {
        head(config, file).await?.previous
    };
    Ok(previous.is_subset(&position.gtids))
}

/// The last file before which nothing is missing.
async fn last_before(config: &Config, server: &ServerState, position: &Position) -> Result<usize, Fault> {
    let (mut low, mut high) = (0, server.files.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if begins_behind(config, server, middle, position).await? { low = middle + 1 } else { high = middle }
    }
    Ok(low.saturating_sub(1))
}

/// Hours until `kept` seconds have gone by since a file was closed.
fn left(closed: u64, kept: u64, now: u64) -> f64 {
    (closed + kept).saturating_sub(now) as f64 / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_counted_from_the_files_end() {
        assert_eq!(left(1000, 7200, 1000), 2.0);
        assert_eq!(left(1000, 7200, 4600), 1.0);
        assert_eq!(left(1000, 7200, 90_000), 0.0, "it may go at any moment");
    }

    fn fourth() -> Outlook {
        Outlook {
            oldest_file_needed: "binlog.000004".into(),
            hours_left: None,
            safe_to_purge_upto: Some("binlog.000003".into()),
            caution: None,
        }
    }

    #[test]
    fn what_may_be_purged_is_a_statement() {
        let mut outlook = fourth();
        assert_eq!(outlook.purge_statement().unwrap(), "PURGE BINARY LOGS TO 'binlog.000004'");
        outlook.safe_to_purge_upto = None;
        assert_eq!(outlook.purge_statement(), None);
    }

    #[test]
    fn a_branch_that_is_not_known_keeps_every_file() {
        let xid = |text: &str| Xid::recovered(text);
        let known = Undecided {
            xid: xid("'a'").unwrap(),
            gtid: forebay_model::Gtid { uuid: [1; 16], tag: None, number: 7 },
            before: None,
            file: "binlog.000004".into(),
            end: 500,
        };
        let told = |listed: Vec<Option<Xid>>| {
            let outlook = fourth().beside(&Prepared::These(listed), std::slice::from_ref(&known));
            (outlook.purge_statement().is_some(), outlook.caution.is_some())
        };
        assert_eq!(told(vec![]), (true, false));
        assert_eq!(told(vec![xid("'a'")]), (true, false), "its prepare counts already");
        assert_eq!(told(vec![xid("'a'"), xid("'b'")]), (false, true));
        assert_eq!(told(vec![None]), (false, true), "MySQL does not say which it is");
        let hidden = fourth().beside(&Prepared::Hidden, &[]);
        assert!(hidden.purge_statement().is_some() && hidden.caution.unwrap().contains("XA_RECOVER_ADMIN"));
        let nothing = Outlook { safe_to_purge_upto: None, ..fourth() };
        assert_eq!(nothing.clone().beside(&Prepared::Hidden, &[]), nothing);
    }
}
