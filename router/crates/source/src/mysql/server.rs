//! What a server says of itself: who it is, what it has executed, what its binlog still holds. And what is remembered
//! of it, so that another server, or the same one after a reset, is not taken for it.
//!
//! Owns the note `server`. Asks the server; judges nothing: that is `relation`'s.

use forebay_model::{Fault, GtidSet, Note};
use serde::{Deserialize, Serialize};

use super::wire::{Conn, Rows, WireError};
use super::{Config, faults};
use crate::codes;

/// The key of the note.
const NOTE: &str = "server";

/// The server that a position was read from, as it is stored beside the position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// `mysql` or `mariadb`.
    pub(crate) flavour: String,
    /// Its `server_uuid`.
    pub(crate) uuid: String,
    /// As the server spells it.
    pub(crate) version: String,
    /// Whether the position counts by GTIDs; if not, by file and offset.
    pub(crate) gtids: bool,
}

impl Remembered {
    /// What the notes say, if they say anything that can be read.
    pub(crate) fn find(notes: &[Note]) -> Option<Self> {
        let note = notes.iter().find(|n| n.key == NOTE)?;
        serde_json::from_slice(note.value.as_deref()?).ok()
    }

    pub(crate) fn note(&self) -> Note {
        let value = serde_json::to_vec(self).expect("texts and a truth value can be written as JSON");
        Note { key: NOTE.to_owned(), value: Some(value) }
    }
}

/// A file of the binlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BinlogFile {
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// A server, as it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerState {
    /// `host:port`, for people.
    pub(crate) address: String,
    pub(crate) version: String,
    pub(crate) uuid: String,
    /// Whether every transaction has a GTID (`gtid_mode = ON`).
    pub(crate) gtids: bool,
    pub(crate) executed: GtidSet,
    /// What it has executed and its binlog does not hold any more.
    pub(crate) purged: GtidSet,
    /// Oldest first.
    pub(crate) files: Vec<BinlogFile>,
    /// Where the binlog ends.
    pub(crate) file: String,
    pub(crate) pos: u64,
    /// The UUID of the server that it replicates from; empty where it is not known, `None` if it is no replica.
    pub(crate) follows: Option<String>,
}

impl ServerState {
    /// Asks.
    ///
    /// # Errors
    /// If the server writes no binlog, or does not answer.
    pub(crate) async fn ask(conn: &mut Conn, config: &Config) -> Result<Self, Fault> {
        let status =
            binlog_status(conn).await.map_err(|e| faults::wire(e, "cannot read where the binlog ends"))?;
        let Some(file) = status.first("File") else {
            let what = format!("{} writes no binlog", config.address());
            return Err(Fault::new(codes::LOG_BIN_OFF, what).fix("start the server with --log-bin"));
        };
        let files = conn
            .query("SHOW BINARY LOGS")
            .await
            .map_err(|e| faults::wire(e, "cannot read the list of binlog files"))?;
        let mut server = ServerState {
            address: config.address(),
            version: conn.server.version.clone(),
            files: files.rows.iter().filter_map(|row| binlog_file(row)).collect(),
            file: file.to_owned(),
            pos: status.first("Position").and_then(|p| p.parse().ok()).unwrap_or(4),
            follows: follows(conn).await,
            ..ServerState::default()
        };
        if server.is_mariadb() {
            server.ask_mariadb(conn).await?;
        } else {
            server.ask_mysql(conn).await?;
        }
        Ok(server)
    }

    async fn ask_mysql(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        // one statement: what is purged is never newer than what is executed
        let sets = conn
            .query(
                "SELECT @@GLOBAL.server_uuid u, @@GLOBAL.gtid_mode m, @@GLOBAL.gtid_purged p, @@GLOBAL.gtid_executed e",
            )
            .await
            .map_err(|e| faults::wire(e, "cannot read what the server has executed"))?;
        self.uuid = sets.first("u").unwrap_or_default().to_ascii_lowercase();
        self.gtids = sets.first("m") == Some("ON");
        (self.executed, self.purged) = (set(sets.first("e"))?, set(sets.first("p"))?);
        Ok(())
    }

    /// A set is the newest transaction of each domain: where the binlog ends is what was executed, where it begins is what
    /// was purged.
    async fn ask_mariadb(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let failed = |e| faults::wire(e, "cannot read what the server has executed");
        // newer releases only; without it a server is known by nothing
        let uid = conn.query("SHOW GLOBAL VARIABLES LIKE 'server_uid'").await.map_err(failed)?;
        self.uuid = uid.first("Value").unwrap_or_default().to_owned();
        self.gtids = true;
        self.executed = gtids_at(conn, &self.file, self.pos).await?;
        let oldest = self.files.first().map_or(&self.file, |f| &f.name);
        self.purged = gtids_at(conn, oldest, 4).await?;
        Ok(())
    }

    /// Which of the two kinds of GTIDs it has.
    pub(crate) fn is_mariadb(&self) -> bool {
        self.version.to_ascii_lowercase().contains("mariadb")
    }

    /// Asks again what it has executed, after waiting a little for it to have executed `wanted`.
    pub(crate) async fn wait_for(&mut self, conn: &mut Conn, wanted: &GtidSet) -> Result<(), Fault> {
        if self.is_mariadb() {
            // it sends to readers only what it has executed
            return Ok(());
        }
        conn.query(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{wanted}', 3)"))
            .await
            .map_err(|e| faults::wire(e, "cannot wait for the server"))?;
        self.ask_mysql(conn).await
    }

    /// What to remember of it.
    pub(crate) fn remember(&self, gtids: bool) -> Remembered {
        Remembered {
            flavour: if self.is_mariadb() { "mariadb" } else { "mysql" }.to_owned(),
            uuid: self.uuid.clone(),
            version: self.version.clone(),
            gtids,
        }
    }
}

/// MariaDB's: what was executed before a place in its binlog.
pub(crate) async fn gtids_at(conn: &mut Conn, file: &str, pos: u64) -> Result<GtidSet, Fault> {
    let sql = format!("SELECT BINLOG_GTID_POS('{}', {pos})", file.replace('\'', "''"));
    let rows = conn.query(&sql).await.map_err(|e| faults::wire(e, "cannot read the server's GTIDs"))?;
    set(rows.firsts().next())
}

fn binlog_file(row: &[Option<String>]) -> Option<BinlogFile> {
    match row {
        [Some(name), Some(size), ..] => Some(BinlogFile { name: name.clone(), size: size.parse().ok()? }),
        _ => None,
    }
}

/// Whom it replicates from. The statement got its name in 8.0.22; who may not run it is told apart by nothing else.
async fn follows(conn: &mut Conn) -> Option<String> {
    let rows = match conn.query("SHOW REPLICA STATUS").await {
        Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW SLAVE STATUS").await,
        other => other,
    };
    let rows = rows.ok().filter(|rows| !rows.rows.is_empty())?;
    let uuid = rows.first("Source_UUID").or_else(|| rows.first("Master_UUID"));
    Some(uuid.unwrap_or_default().to_ascii_lowercase())
}

/// Where the binlog ends. The statement got its name in 8.2 and lost the old one in 8.4.
pub(crate) async fn binlog_status(conn: &mut Conn) -> Result<Rows, WireError> {
    match conn.query("SHOW BINARY LOG STATUS").await {
        Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW MASTER STATUS").await,
        other => other,
    }
}

fn set(text: Option<&str>) -> Result<GtidSet, Fault> {
    text.unwrap_or_default().parse().map_err(|e: <GtidSet as std::str::FromStr>::Err| {
        Fault::new(codes::PROTOCOL, "the server's GTIDs").cause(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_survives() {
        let remembered =
            ServerState { uuid: "u".into(), version: "9.7.4".into(), ..Default::default() }.remember(true);
        let other = Note { key: "schema/a.b".into(), value: Some(b"{}".to_vec()) };
        assert_eq!(Remembered::find(&[other.clone(), remembered.note()]), Some(remembered));
        assert_eq!(Remembered::find(&[other]), None);
        assert_eq!(Remembered::find(&[Note { key: "server".into(), value: Some(b"no".to_vec()) }]), None);
        assert_eq!(Remembered::find(&[Note { key: "server".into(), value: None }]), None);
    }
}
