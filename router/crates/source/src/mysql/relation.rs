//! Whether a server is the one that a position is of, or stands in for it: nothing that was read is missing there, and
//! nothing that is wanted is gone. Pure: what is compared was asked for by [`ServerState`].

use std::cmp::Ordering;

use forebay_model::{Fault, GtidSet, Position};

use super::gtids::{both, holds_server, minus};
use super::server::{BinlogFile, Remembered, ServerState};
use crate::codes;

/// What every refusal offers at last.
pub(crate) const CHOICES: &str =
    "or move the source's position: to the earliest, to now, to a GTID set or to a time";

/// How a position is to be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Every transaction that is not in the position's set.
    Gtids,
    /// From its file and offset on.
    File,
}

/// Whether a position can be resumed on this server, and how.
///
/// # Errors
/// A reset or restored server, one that lags, one that has nothing to do with the position, one that has purged what was
/// not read: each by its own code, with what was read, what the server has, and the choices.
pub(crate) fn check(
    server: &ServerState,
    position: &Position,
    remembered: Option<&Remembered>,
) -> Result<Way, Fault> {
    let same = remembered.is_some_and(|r| r.uuid == server.uuid && !r.uuid.is_empty());
    if counts_by_file(position, remembered) {
        return by_file(server, position, remembered, same);
    }
    if !server.gtids {
        // they were switched off since: on the same server, file and offset are as good
        if same && !position.file.is_empty() {
            return by_file(server, position, remembered, same);
        }
        let what =
            format!("{} gives its transactions no GTIDs, and the position counts by them", server.address);
        return Err(Fault::new(codes::GTID_OFF, what)
            .fix(format!("set gtid_mode and enforce_gtid_consistency to ON; {CHOICES}")));
    }
    has_what_was_read(server, position, same)?;
    if same {
        file_is_there(server, position)?;
    }
    if !server.purged.is_subset(&position.gtids) {
        let gone = lacking(&server.purged, &position.gtids);
        let what = format!(
            "{} has purged transactions that were not read: {gone} ({} was read)",
            server.address,
            or_nothing(position)
        );
        let set = if server.is_mariadb() { "SET GLOBAL" } else { "SET PERSIST" };
        return Err(Fault::new(codes::PURGED, what).fix(format!(
            "restore the binlog files, read from a replica that still has them, {CHOICES}; then take a new snapshot. And keep \
             binlogs longer: {set} binlog_expire_logs_seconds = 604800"
        )));
    }
    Ok(Way::Gtids)
}

/// Whether it is by file and offset that the position was counted.
fn counts_by_file(position: &Position, remembered: Option<&Remembered>) -> bool {
    position.gtids.is_empty() && remembered.is_some_and(|r| !r.gtids)
}

fn by_file(
    server: &ServerState,
    position: &Position,
    remembered: Option<&Remembered>,
    same: bool,
) -> Result<Way, Fault> {
    if !same {
        let what = format!(
            "{} is the server {}, and the position ({} at {}) is of {}: without GTIDs a position is good on its own server only",
            server.address,
            server.uuid,
            position.file,
            position.pos,
            remembered.map_or("another", |r| r.uuid.as_str()),
        );
        return Err(Fault::new(codes::FILE_POSITION, what).fix(format!(
            "point the source at its old server, set gtid_mode to ON on all of them, {CHOICES}"
        )));
    }
    file_is_there(server, position)?;
    if !server.files.iter().any(|f| f.name == position.file) {
        let oldest = server.files.first().map_or("none", |f| f.name.as_str());
        let what = format!(
            "{} has deleted {}, which was not read to its end; its oldest file is {oldest}",
            server.address, position.file
        );
        return Err(Fault::new(codes::PURGED, what).fix(format!(
            "{CHOICES}; then take a new snapshot. And keep binlogs longer: SET PERSIST binlog_expire_logs_seconds = 604800"
        )
        .trim_start_matches("or ")));
    }
    Ok(Way::File)
}

fn has_what_was_read(server: &ServerState, position: &Position, same: bool) -> Result<(), Fault> {
    if position.gtids.is_subset(&server.executed) {
        return Ok(());
    }
    // nothing of one kind is comparable to anything of the other
    let (kind, other) = if server.is_mariadb() { ("MariaDB", "MySQL") } else { ("MySQL", "MariaDB") };
    if server.is_mariadb() == position.gtids.entries().next().is_some() {
        let what = format!(
            "{} is another server: it is a {kind}, and the position is one of a {other} ({} was read)",
            server.address, position.gtids
        );
        return Err(Fault::new(codes::SERVER_FOREIGN, what)
            .fix(format!("point the source at the right server, {CHOICES}, and take a new snapshot")));
    }
    let missing = lacking(&position.gtids, &server.executed);
    let address = &server.address;
    let has = if server.executed.is_empty() { "nothing".to_owned() } else { server.executed.to_string() };
    let told = format!("{} was read; it has executed {has}; {missing} is missing", position.gtids);
    // of MariaDB's sets, all that is known is that one is ahead
    let common = !both(&position.gtids, &server.executed).is_empty() || server.is_mariadb();
    let source_is_known = server.follows.as_ref().is_some_and(|uuid| holds_server(&position.gtids, uuid));
    let (code, what, fix) = if holds_server(&missing, &server.uuid) || same && server.follows.is_none() {
        (
            codes::SERVER_RESET,
            format!(
                "{address} lacks transactions of its own that were read: it was reset or restored ({told})"
            ),
            format!("point the source at the right server, {CHOICES}, and take a new snapshot"),
        )
    } else if server.follows.is_some() && (common || source_is_known) {
        (
            codes::REPLICA_BEHIND,
            format!("{address} is a replica that lags behind what was read ({told})"),
            "wait for the replica; if it stands still, SHOW REPLICA STATUS says why".to_owned(),
        )
    } else if common {
        (
            codes::POSITION_AHEAD,
            format!("{address} lacks transactions that were read, and replicates from nobody ({told})"),
            format!(
                "it was promoted before it had all of them: point the source at a server that has, {CHOICES}, and take a new \
                 snapshot"
            ),
        )
    } else {
        (
            codes::SERVER_FOREIGN,
            format!("{address} is another server: it has none of the transactions that were read ({told})"),
            format!("point the source at the right server, {CHOICES}, and take a new snapshot"),
        )
    };
    Err(Fault::new(code, what).fix(fix))
}

/// What a set has and the other lacks; of MariaDB's, all of it.
fn lacking(set: &GtidSet, other: &GtidSet) -> GtidSet {
    let lacking = minus(set, other);
    if lacking.is_empty() { set.clone() } else { lacking }
}

/// The file of a position that was read from this server is there, was purged, or tells of a reset: GTIDs alone do not if
/// the server has executed as many again.
fn file_is_there(server: &ServerState, position: &Position) -> Result<(), Fault> {
    let begun_anew = |what: String| {
        let fix = format!("point the source at the right server, {CHOICES}, and take a new snapshot");
        Err(Fault::new(codes::SERVER_RESET, what).fix(fix))
    };
    let (Some(newest), false) = (server.files.last(), position.file.is_empty()) else { return Ok(()) };
    if let Some(file) = server.files.iter().find(|f| f.name == position.file) {
        if position.pos > file.size {
            return begun_anew(format!(
                "{} was reset or restored: {} was read to {}, and has {} bytes",
                server.address, file.name, position.pos, file.size
            ));
        }
        return Ok(());
    }
    if order(&position.file, newest) == Some(Ordering::Greater) {
        return begun_anew(format!(
            "{} was reset or restored: {} was read, and its newest file is {}",
            server.address, position.file, newest.name
        ));
    }
    Ok(())
}

/// How a file's number compares to another's; `None` if they are not of one series.
fn order(name: &str, other: &BinlogFile) -> Option<Ordering> {
    let (base, number) = name.rsplit_once('.')?;
    let (other_base, other_number) = other.name.rsplit_once('.')?;
    (base == other_base).then_some(())?;
    Some(number.parse::<u64>().ok()?.cmp(&other_number.parse().ok()?))
}

fn or_nothing(position: &Position) -> String {
    if position.gtids.is_empty() { "nothing".to_owned() } else { position.gtids.to_string() }
}

#[cfg(test)]
mod tests {
    use forebay_model::{Class, Code};

    use super::*;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000001";
    const B: &str = "bbbbbbbb-0000-0000-0000-000000000002";

    fn set(text: &str) -> GtidSet {
        text.replace('A', A).replace('B', B).parse().unwrap()
    }

    fn server(uuid: &str, executed: &str, purged: &str) -> ServerState {
        let file = |name: &str, size| BinlogFile { name: name.into(), size };
        ServerState {
            address: "db:3306".into(),
            uuid: uuid.into(),
            gtids: true,
            executed: set(executed),
            purged: set(purged),
            files: vec![file("binlog.000003", 1000), file("binlog.000004", 500)],
            ..Default::default()
        }
    }

    fn replica(executed: &str, of: &str) -> ServerState {
        ServerState { follows: Some(of.into()), ..server(B, executed, "") }
    }

    fn read(gtids: &str) -> Position {
        Position { gtids: set(gtids), file: String::new(), pos: 0 }
    }

    fn from(uuid: &str, gtids: bool) -> Remembered {
        Remembered { flavour: "mysql".into(), uuid: uuid.into(), version: "9".into(), gtids }
    }

    fn refused(server: &ServerState, position: &Position, remembered: Option<&Remembered>) -> Fault {
        check(server, position, remembered).unwrap_err()
    }

    #[test]
    fn a_server_that_has_all_of_it_is_fit() {
        let was = from(A, true);
        for (s, gtids) in [
            (server(A, "A:1-10", ""), "A:1-10"),
            (server(A, "A:1-10", "A:1-4"), "A:1-7"),
            (server(A, "A:1-10", ""), ""),
            // a replica, promoted or not, with transactions of its own
            (server(B, "A:1-10,B:1-3", "A:1-2"), "A:1-10"),
            (replica("A:1-10", A), "A:1-9"),
        ] {
            for remembered in [Some(&was), None] {
                assert_eq!(check(&s, &read(gtids), remembered).unwrap(), Way::Gtids, "{gtids}");
            }
        }
    }

    #[test]
    fn each_other_server_is_refused_by_its_own_code() {
        let was = from(A, true);
        let case = |s: ServerState, gtids: &str, code: Code| {
            let fault = refused(&s, &read(gtids), Some(&was));
            assert_eq!(fault.code(), code, "{fault}");
            assert!(fault.message().contains("db:3306") && !fault.remedy().is_empty(), "{fault}");
            fault
        };
        // reset: the same server, with less
        let fault = case(server(A, "A:1-3", ""), "A:1-10", codes::SERVER_RESET);
        for part in ["A:1-10 was read", "executed A:1-3", "A:4-10 is missing"] {
            assert!(fault.message().contains(&part.replace('A', A)), "{fault}");
        }
        assert!(fault.remedy().contains("earliest") && fault.remedy().contains("GTID set"), "{fault}");
        case(server(A, "", ""), "A:1-10", codes::SERVER_RESET);
        // another than we read last, that has lost its own
        case(server(B, "A:1-10,B:1", ""), "A:1-10,B:1-2", codes::SERVER_RESET);
        // lagging, also one that has nothing yet, and one that we read before
        assert_eq!(case(replica("A:1-9", A), "A:1-10", codes::REPLICA_BEHIND).class(), Class::Retryable);
        case(replica("", A), "A:1-10", codes::REPLICA_BEHIND);
        let fault = refused(&replica("A:1-9", A), &read("A:1-10"), Some(&from(B, true)));
        assert_eq!(fault.code(), codes::REPLICA_BEHIND);
        // promoted without the newest
        assert_eq!(case(server(B, "A:1-9", ""), "A:1-10", codes::POSITION_AHEAD).class(), Class::Fatal);
        // foreign: a stranger, a stranger's replica, an empty one
        case(server(B, "B:1-900", ""), "A:1-10", codes::SERVER_FOREIGN);
        case(
            ServerState { follows: Some(B.into()), ..server("c", "B:1-5", "") },
            "A:1-10",
            codes::SERVER_FOREIGN,
        );
        case(server(B, "", ""), "A:1-10", codes::SERVER_FOREIGN);
        // purged
        let fault = case(server(A, "A:1-10", "A:1-8"), "A:1-5", codes::PURGED);
        assert!(fault.message().contains(&format!("{A}:6-8 ")), "{fault}");
        case(server(B, "A:1-10", "A:1-8"), "", codes::PURGED);
    }

    #[test]
    fn a_position_of_the_other_kind_is_foreign() {
        let mariadb = |executed: &str, follows: Option<&str>| ServerState {
            version: "10.11.18-MariaDB".into(),
            follows: follows.map(str::to_owned),
            ..server("", executed, "")
        };
        let refusal = |s: &ServerState, gtids: &str, r: Option<&Remembered>| {
            let fault = refused(s, &read(gtids), r);
            (fault.code(), fault.message().clone())
        };
        let was = from(A, true);
        for follows in [None, Some("")] {
            let (code, what) = refusal(&mariadb("0-1-50", follows), "A:1-10", Some(&was));
            assert_eq!(code, codes::SERVER_FOREIGN, "{what}");
            assert!(what.contains("it is a MariaDB") && what.contains("one of a MySQL"), "{what}");
        }
        let (code, what) = refusal(&server(A, "A:1-10", ""), "0-1-50", None);
        assert_eq!(code, codes::SERVER_FOREIGN, "{what}");
        assert!(what.contains("it is a MySQL"), "{what}");
        // of its own kind it may well be one that was promoted too early
        assert_eq!(refusal(&mariadb("0-1-40", None), "0-1-50", None).0, codes::POSITION_AHEAD);
    }

    #[test]
    fn a_reset_shows_in_the_files_when_the_numbers_do_not_tell() {
        let was = from(A, true);
        let at = |file: &str, pos| Position { gtids: set("A:1-10"), file: file.into(), pos };
        let s = server(A, "A:1-20", "");
        for (file, pos, fit) in [
            ("binlog.000004", 500, true),
            ("binlog.000004", 501, false),
            ("binlog.000003", 2000, false),
            ("binlog.000005", 4, false),
            // purged, or of another series
            ("binlog.000002", 9999, true),
            ("mysql-bin.000009", 4, true),
        ] {
            match check(&s, &at(file, pos), Some(&was)) {
                Ok(way) => assert!(fit && way == Way::Gtids, "{file} {pos}"),
                Err(fault) => assert!(!fit && fault.code() == codes::SERVER_RESET, "{file} {pos}: {fault}"),
            }
            // another server's files say nothing
            assert!(check(&server(B, "A:1-20", ""), &at(file, pos), Some(&was)).is_ok());
        }
    }

    #[test]
    fn without_gtids_a_position_is_good_on_its_own_server_only() {
        let off = |uuid: &str| ServerState { gtids: false, ..server(uuid, "", "") };
        let at = |file: &str, pos| Position { gtids: GtidSet::default(), file: file.into(), pos };
        let was = from(A, false);
        assert_eq!(check(&off(A), &at("binlog.000003", 700), Some(&was)).unwrap(), Way::File);
        // also if the server has them now
        assert_eq!(check(&server(A, "A:1-5", ""), &at("binlog.000003", 700), Some(&was)).unwrap(), Way::File);
        let refusal = |s: &ServerState, p: &Position, r: Option<&Remembered>| refused(s, p, r).code();
        assert_eq!(refusal(&off(B), &at("binlog.000003", 700), Some(&was)), codes::FILE_POSITION);
        assert_eq!(
            refusal(&server(B, "A:1", ""), &at("binlog.000003", 700), Some(&was)),
            codes::FILE_POSITION
        );
        assert_eq!(refusal(&off(A), &at("binlog.000001", 700), Some(&was)), codes::PURGED);
        assert_eq!(refusal(&off(A), &at("binlog.000009", 4), Some(&was)), codes::SERVER_RESET);
        assert_eq!(refusal(&off(A), &at("binlog.000004", 501), Some(&was)), codes::SERVER_RESET);
        // a position by GTIDs, where they were switched off since
        let position = Position { gtids: set("A:1-5"), ..at("binlog.000004", 100) };
        let was = from(A, true);
        assert_eq!(check(&off(A), &position, Some(&was)).unwrap(), Way::File);
        assert_eq!(refusal(&off(B), &position, Some(&was)), codes::GTID_OFF);
        assert_eq!(refusal(&off(A), &position, None), codes::GTID_OFF);
    }
}
