//! From a start to a connection that stands where reading begins: the first of the source's hosts that can be reached, meets
//! the demands and has what the position needs.

use forebay_model::{Fault, GtidSet, Note, Position};

use super::hosts::HostPort;
use super::proof::{self, Last};
use super::relation::{self, Way};
use super::schema::Place;
use super::server::{Remembered, ServerState, gtids_at};
use super::wire::Conn;
use super::{Config, Start, doctor, faults, identity};
use crate::codes;

/// A server that is fit, and where to read it from.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) conn: Conn,
    /// Standing at the host that is read.
    pub(crate) config: Config,
    pub(crate) server_id: u32,
    pub(crate) position: Position,
    pub(crate) way: Way,
    /// Where the server's binlog ended: all that was read before lies before it.
    pub(crate) end: Place,
    /// The note `server`, if it is to be written: at first, and when what it says has changed.
    pub(crate) note: Option<Note>,
}

/// Tries the hosts in order.
///
/// # Errors
/// The host's own fault if there is one host; else one that tells each host's, retryable if any of them is.
pub(crate) async fn reach(config: &Config, start: &Start, notes: &[Note]) -> Result<Reached, Fault> {
    let (remembered, last) = (Remembered::find(notes), Last::find(notes));
    let mut refused = Vec::new();
    for host in config.all_hosts() {
        match open(config.at(&host), start, remembered.as_ref(), last.as_ref()).await {
            Ok(reached) => {
                for (host, fault) in &refused {
                    tracing::warn!(%host, "this host was passed over: {fault}");
                }
                return Ok(reached);
            }
            Err(fault) => refused.push((host, fault)),
        }
    }
    Err(none_fit(refused))
}

/// One fault of all that the hosts were refused for.
pub(crate) fn none_fit(mut refused: Vec<(HostPort, Fault)>) -> Fault {
    use forebay_model::Class;
    if refused.len() == 1
        && let Some((_, fault)) = refused.pop()
    {
        return fault;
    }
    let retryable = refused.iter().any(|(_, f)| f.class() == Class::Retryable);
    let code = if retryable { codes::NO_HOST_NOW } else { codes::NO_HOST };
    let told: Vec<String> =
        refused.iter().map(|(host, f)| format!("{host}: {} [{}]", f.message(), f.code().name)).collect();
    let fixes: Vec<String> = (refused.iter().filter(|(_, f)| !f.remedy().is_empty()))
        .map(|(host, f)| format!("{host}: {}", f.remedy()))
        .collect();
    let what = format!("none of the source's {} hosts can be read: {}", refused.len(), told.join("; "));
    Fault::new(code, what).fix(fixes.join("; "))
}

async fn open(
    config: Config,
    start: &Start,
    remembered: Option<&Remembered>,
    last: Option<&Last>,
) -> Result<Reached, Fault> {
    let mut conn = Conn::open(&config).await?;
    let demands = doctor::demands(&mut conn, &config)
        .await
        .map_err(|e| faults::wire(e, "cannot read the server's settings"))?;
    doctor::demands_met(&demands)?;
    let server_id = identity::server_id(&mut conn, &config).await?;
    let mut server = ServerState::ask(&mut conn, &config).await?;
    let (position, way) = match start {
        Start::Earliest => earliest(&server),
        Start::Now => now(&server),
        Start::At(position) => {
            if server.gtids && !position.gtids.is_subset(&server.executed) {
                // a transaction is sent to readers a moment before the server counts it as executed
                server.wait_for(&mut conn, &position.gtids).await?;
            }
            let way = relation::check(&server, position, remembered)?;
            proof::prove(&config, &server, (position, way), remembered, last).await?;
            let mut position = resumed(&server, position, remembered, way)?;
            // nothing tells one MariaDB from another: the file is this one's if the same was executed before the place in it
            if server.is_mariadb() && way == Way::Gtids {
                let there = gtids_at(&mut conn, &position.file, position.pos).await;
                if position.gtids.is_empty() || there.ok().as_ref() != Some(&position.gtids) {
                    (position.file, position.pos) = (String::new(), 0);
                }
            }
            (position, way)
        }
    };
    let present = server.remember(way == Way::Gtids);
    let note = (remembered != Some(&present)).then(|| present.note());
    let end = Place { file: server.file, pos: server.pos };
    Ok(Reached { conn, config, server_id, position, way, end, note })
}

/// The oldest place that the server has.
pub(crate) fn earliest(server: &ServerState) -> (Position, Way) {
    if server.gtids {
        return (Position { gtids: server.purged.clone(), ..Default::default() }, Way::Gtids);
    }
    let file = server.files.first().map_or(&server.file, |f| &f.name).clone();
    (Position { gtids: GtidSet::default(), file, pos: 4 }, Way::File)
}

/// Behind the newest transaction.
pub(crate) fn now(server: &ServerState) -> (Position, Way) {
    let gtids = if server.gtids { server.executed.clone() } else { GtidSet::default() };
    let way = if server.gtids { Way::Gtids } else { Way::File };
    (Position { gtids, file: server.file.clone(), pos: server.pos }, way)
}

/// The position as it is on this server.
fn resumed(
    server: &ServerState,
    position: &Position,
    remembered: Option<&Remembered>,
    way: Way,
) -> Result<Position, Fault> {
    let mut position = position.clone();
    if way == Way::File {
        position.gtids = GtidSet::default();
        let files: Vec<(&str, u64)> = server.files.iter().map(|f| (f.name.as_str(), f.size)).collect();
        (position.file, position.pos) =
            within_reach(&position.file, position.pos, &files).ok_or_else(|| {
                let what =
                    format!("{} at {} is beyond 4 GiB, which needs GTIDs", position.file, position.pos);
                Fault::new(codes::FILE_POSITION, what).fix("set gtid_mode to ON, then start from now")
            })?;
    } else if remembered.is_some_and(|r| r.uuid != server.uuid) {
        // another server's file: this one says its own at once
        (position.file, position.pos) = (String::new(), 0);
    }
    Ok(position)
}

/// A dump by file is asked for with an offset of four bytes. A file grows beyond that only by one last transaction; behind
/// that it goes on in the next.
fn within_reach(file: &str, pos: u64, files: &[(&str, u64)]) -> Option<(String, u64)> {
    if u32::try_from(pos).is_ok() {
        return Some((file.to_owned(), pos));
    }
    let at = files.iter().position(|(name, _)| *name == file)?;
    let (next, _) = files.get(at + 1)?;
    // header, offset, name, and the checksum where there is one
    let rotation = 19 + 8 + next.len() as u64;
    let left = files[at].1.checked_sub(pos)?;
    [0, rotation, rotation + 4].contains(&left).then(|| ((*next).to_owned(), 4))
}

#[cfg(test)]
mod tests {
    use forebay_model::Class;

    use super::*;

    #[test]
    fn each_refused_host_is_told() {
        let host = |name: &str| -> HostPort { name.parse().unwrap() };
        let down = || Fault::new(codes::CONNECT, "cannot connect").fix("start it");
        let foreign = || Fault::new(codes::SERVER_FOREIGN, "another server");
        let one = none_fit(vec![(host("a"), down())]);
        assert_eq!((one.code(), one.message().as_str()), (codes::CONNECT, "cannot connect"));
        let two = none_fit(vec![(host("a"), down()), (host("b:33"), foreign())]);
        assert_eq!((two.code(), two.class()), (codes::NO_HOST_NOW, Class::Retryable));
        for part in ["a:3306: cannot connect [mysql.connect]", "b:33: another server [mysql.server_foreign]"]
        {
            assert!(two.message().contains(part), "{two}");
        }
        assert_eq!(two.remedy(), "a:3306: start it");
        let fatal = none_fit(vec![(host("a"), foreign()), (host("b"), foreign())]);
        assert_eq!((fatal.code(), fatal.class()), (codes::NO_HOST, Class::Fatal));
    }

    #[test]
    fn beyond_four_gib_only_the_next_file_is_in_reach() {
        let size = (5u64 << 30) + 31 + 13;
        let files = [("binlog.000001", size), ("binlog.000002", 500)];
        let at = |pos| within_reach("binlog.000001", pos, &files);
        assert_eq!(at(1 << 20), Some(("binlog.000001".into(), 1 << 20)));
        assert_eq!(at(5 << 30), Some(("binlog.000002".into(), 4)), "only the rotation is left");
        assert_eq!(at(size), Some(("binlog.000002".into(), 4)));
        assert_eq!(at((5 << 30) - 200), None, "a transaction may be left");
        assert_eq!(within_reach("binlog.000002", 5 << 30, &files), None);
    }

    #[test]
    fn another_servers_file_is_forgotten() {
        let a = "aaaaaaaa-0000-0000-0000-000000000001";
        let server = |uuid: &str| ServerState { uuid: uuid.into(), gtids: true, ..Default::default() };
        let was = server(a).remember(true);
        let gtids: GtidSet = format!("{a}:1-5").parse().unwrap();
        let position = Position { gtids: gtids.clone(), file: "binlog.000007".into(), pos: 99 };
        let on = |uuid: &str, way| resumed(&server(uuid), &position, Some(&was), way).unwrap();
        assert_eq!(on(a, Way::Gtids), position);
        assert_eq!(on("b", Way::Gtids), Position { gtids, file: String::new(), pos: 0 });
        // from now on the file counts, and the set would grow stale
        assert_eq!(on(a, Way::File), Position { gtids: GtidSet::default(), ..position.clone() });
    }

    #[test]
    fn the_ends_of_a_binlog() {
        let a = "aaaaaaaa-0000-0000-0000-000000000001";
        let set = |text: &str| -> GtidSet { format!("{a}:{text}").parse().unwrap() };
        let file = |name: &str| crate::mysql::server::BinlogFile { name: name.into(), size: 900 };
        let mut server = ServerState {
            gtids: true,
            executed: set("1-9"),
            purged: set("1-4"),
            files: vec![file("binlog.000003"), file("binlog.000004")],
            file: "binlog.000004".into(),
            pos: 900,
            ..Default::default()
        };
        let place = |gtids, file: &str, pos| Position { gtids, file: file.into(), pos };
        assert_eq!(earliest(&server), (place(set("1-4"), "", 0), Way::Gtids));
        assert_eq!(now(&server), (place(set("1-9"), "binlog.000004", 900), Way::Gtids));
        server.gtids = false;
        assert_eq!(earliest(&server), (place(GtidSet::default(), "binlog.000003", 4), Way::File));
        assert_eq!(now(&server), (place(GtidSet::default(), "binlog.000004", 900), Way::File));
    }
}
