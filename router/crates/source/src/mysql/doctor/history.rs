//! Whether the hosts of a source have one history: one that has another cannot take over.

use forebay_model::GtidSet;

use super::Check;
use crate::mysql::gtids::both;
use crate::mysql::wire::Conn;

/// Who a host is, and what it has executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    pub(super) host: String,
    pub(super) uuid: String,
    pub(super) executed: GtidSet,
}

impl History {
    /// `None` where a server has no such sets.
    pub(super) async fn ask(conn: &mut Conn, host: String) -> Option<History> {
        let rows = conn
            .query("SELECT @@GLOBAL.server_uuid u, @@GLOBAL.gtid_executed e, @@GLOBAL.gtid_mode m")
            .await
            .ok()?;
        let executed = rows.first("e")?.parse().ok()?;
        (rows.first("m") == Some("ON")).then_some(())?;
        Some(History { host, uuid: rows.first("u")?.to_owned(), executed })
    }
}

/// Compares a host with those before it.
pub(super) fn check(here: Option<&History>, before: &[History]) -> Check {
    let id = "same_history";
    let Some(here) = here else { return Check::skipped(id, "there are no sets of GTIDs to compare") };
    if let Some(twin) = before.iter().find(|h| h.uuid == here.uuid) {
        let finding = format!("it is the same server as {} ({})", twin.host, here.uuid);
        return Check::advice(id, finding, "name each server once in the source's hosts");
    }
    let Some(first) = before.first() else { return Check::ok(id, "it is the first host of the source") };
    if both(&here.executed, &first.executed).is_empty() {
        let finding = format!("it has executed no transaction of {}: it could not take over", first.host);
        let fix = "make it a replica: CHANGE REPLICATION SOURCE TO SOURCE_HOST = '...', SOURCE_AUTO_POSITION = 1; \
                   START REPLICA; or take it out of the source's hosts";
        return Check::fail(id, finding, fix);
    }
    Check::ok(id, format!("it has transactions of {}", first.host))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn hosts_are_compared() {
        let history = |host: &str, uuid: &str, executed: &str| {
            let executed = executed.replace('A', "aaaaaaaa-0000-0000-0000-000000000001");
            let executed = executed.replace('B', "bbbbbbbb-0000-0000-0000-000000000002");
            History { host: host.into(), uuid: uuid.into(), executed: executed.parse().unwrap() }
        };
        let first = history("a:1", "u1", "A:1-10");
        let with = |here: &History| check(Some(here), std::slice::from_ref(&first)).status;
        assert_eq!(check(Some(&first), &[]).status, Status::Ok);
        assert_eq!(with(&history("b:1", "u2", "A:1-5,B:1")), Status::Ok);
        assert_eq!(with(&history("b:1", "u2", "B:1-5")), Status::Fail);
        assert_eq!(with(&history("b:1", "u1", "A:1-10")), Status::Advice);
        assert_eq!(check(None, &[]).status, Status::Skipped);
    }
}
