//! Whether a server holds what was read, and not only as many transactions: the last one that was read is proof.
//!
//! Owns the note `last`: that transaction, with the time of its own, and when the binlog file of the position was begun. At
//! each connect the server is asked for that one transaction again. GTIDs alone tell nothing where a server was reset and
//! has counted as far again, nor, of MariaDB, where another server counts under the same domain and server id. Where there are no
//! GTIDs, the beginning of the file tells it.
//!
//! What time a transaction has that its replicas give it, too: MySQL writes when it was committed at first into the GTID event
//! (`original_commit_timestamp`, microseconds). MariaDB keeps the times of the events inside, in seconds, and not of the GTID
//! event nor of the end: there it is the first event behind the GTID's.

use forebay_model::{Fault, Gtid, GtidSet, Note, Position};
use serde::{Deserialize, Serialize};

use super::Config;
use super::binlog::Header;
use super::dump::From;
use super::gtids::minus;
use super::position::scan::{Scan, head};
use super::relation::{CHOICES, Way};
use super::server::{Remembered, ServerState};
use crate::codes;

/// The key of the note.
const NOTE: &str = "last";

/// A transaction that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    gtid: Gtid,
    /// Microseconds since 1970; see the module.
    us: u64,
    /// MariaDB's: the newest of its domain before it.
    before: Option<Gtid>,
}

/// A file of the binlog, and when it was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    name: String,
    /// Since 1970.
    seconds: u32,
}

/// What is noted; see the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    read: Option<Read>,
    file: Option<Begun>,
}

/// A [`Last`], as the note has it.
#[derive(Serialize, Deserialize)]
struct Form {
    /// A set of the one.
    gtid: GtidSet,
    us: u64,
    before: GtidSet,
    file: Option<Begun>,
}

/// A set of one.
fn one(gtid: &Gtid) -> GtidSet {
    let mut set = GtidSet::default();
    set.add(gtid);
    set
}

/// The only one of a set.
fn only(set: &GtidSet) -> Option<Gtid> {
    if let Some((uuid, tag, [(first, _), ..])) = set.entries().next() {
        return Some(Gtid { uuid: *uuid, tag: (!tag.is_empty()).then(|| tag.to_owned()), number: *first });
    }
    set.newest(set.domains().next()?)
}

impl Last {
    /// What the notes say, if they say anything that can be read.
    pub(crate) fn find(notes: &[Note]) -> Option<Self> {
        let note = notes.iter().find(|n| n.key == NOTE)?;
        let form: Form = serde_json::from_slice(note.value.as_deref()?).ok()?;
        let read = only(&form.gtid).map(|gtid| Read { gtid, us: form.us, before: only(&form.before) });
        Some(Last { read, file: form.file })
    }

    fn note(&self) -> Note {
        let set = |gtid: Option<&Gtid>| gtid.map(one).unwrap_or_default();
        let read = self.read.as_ref();
        let form = Form {
            gtid: set(read.map(|r| &r.gtid)),
            us: read.map_or(0, |r| r.us),
            before: set(read.and_then(|r| r.before.as_ref())),
            file: self.file.clone(),
        };
        let value = serde_json::to_vec(&form).expect("texts and numbers can be written as JSON");
        Note { key: NOTE.to_owned(), value: Some(value) }
    }
}

/// A stream's last transaction, as it reads on.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    last: Last,
    /// Since it was last noted.
    changed: bool,
    /// The next event is the first behind a GTID's.
    pub(crate) at_first: bool,
    /// When that was written, microseconds since 1970.
    first_us: u64,
    /// As the GTID event says; 0 = it does not.
    commit_us: u64,
}

impl Tracked {
    /// Goes on with what was noted; `None`: whatever was is not of this position.
    pub(crate) fn of(last: Option<Last>) -> Self {
        Tracked { changed: last.is_none(), last: last.unwrap_or_default(), ..Tracked::default() }
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self, gtid: Option<&Gtid>, commit_us: u64) {
        let mariadb = gtid.is_some_and(|gtid| gtid.domain_and_server().is_some());
        (self.at_first, self.commit_us) = (true, if mariadb { 0 } else { commit_us });
    }

    /// Its first event.
    #[cold]
    pub(crate) fn first(&mut self, header: &Header) {
        (self.at_first, self.first_us) = (false, u64::from(header.seconds) * 1_000_000);
    }

    /// It has ended.
    pub(crate) fn end(&mut self, gtid: Gtid, before: Option<Gtid>) {
        // one that went back in its domain's numbers cannot be asked for by them
        if before.as_ref().is_some_and(|before| before.number >= gtid.number) {
            return;
        }
        let us = if self.commit_us == 0 { self.first_us } else { self.commit_us };
        self.last.read = Some(Read { gtid, us, before });
        self.changed = true;
    }

    /// A file is read that was begun then.
    pub(crate) fn file(&mut self, name: &str, header: &Header) -> bool {
        let file = Begun { name: name.to_owned(), seconds: header.seconds };
        let new = self.last.file.as_ref() != Some(&file);
        if new {
            self.last.file = Some(file);
            self.changed = true;
        }
        new
    }

    /// What is to be noted with the next position.
    pub(crate) fn take_note(&mut self) -> Option<Note> {
        std::mem::take(&mut self.changed).then(|| self.last.note())
    }

    /// What was read last is not in the position that is given: what was noted before goes on to hold.
    pub(crate) fn withhold(&mut self) {
        self.changed = false;
    }
}

/// Asks a server that seems fit for the last transaction of the position, where it is known.
///
/// # Errors
/// If the server has another in its place; if nobody can tell, and nothing else says whose server it is.
pub(crate) async fn prove(
    config: &Config,
    server: &ServerState,
    (position, way): (&Position, Way),
    remembered: Option<&Remembered>,
    last: Option<&Last>,
) -> Result<(), Fault> {
    let Some(last) = last else { return Ok(()) };
    let known = |r: &&Remembered| !r.uuid.is_empty() && !server.uuid.is_empty();
    let same = remembered.filter(known).map(|r| r.uuid == server.uuid);
    let read = last.read.as_ref().filter(|r| way == Way::Gtids && position.gtids.contains(&r.gtid));
    if let Some(read) = read.filter(|r| !server.purged.contains(&r.gtid))
        && let Some(found) = ask(config, server, read).await?
    {
        return judge(server, read, &found, same == Some(true));
    }
    let there =
        |file: &&Begun| file.name == position.file && server.files.iter().any(|f| f.name == file.name);
    if let Some(file) = last.file.as_ref().filter(there).filter(|_| same == Some(true)) {
        let begun = head(config, &file.name).await?.begun;
        if begun != u64::from(file.seconds) {
            let what = format!(
                "{} was reset or restored: {}, which was read to {}, was begun at {}, and the one there now at {} (seconds \
                 since 1970)",
                server.address, file.name, position.pos, file.seconds, begun
            );
            return Err(refusal(codes::SERVER_RESET, what));
        }
        return Ok(());
    }
    let Some(read) = read else { return Ok(()) };
    if server.is_mariadb() && same == Some(false) {
        let what = format!(
            "{} has purged {}, the last transaction that was read, and is another server (by its server_uid): nobody can \
             say whether it has the same history",
            server.address, read.gtid
        );
        return Err(refusal(codes::SERVER_FOREIGN, what));
    }
    tracing::info!(
        server = server.address,
        gtid = %read.gtid,
        "the last transaction that was read is purged there: that the server has the history that was read is taken \
         from its name and its GTIDs"
    );
    Ok(())
}

/// What a server has where the last transaction should be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// This one, with its time.
    This(Gtid, u64),
    Nothing,
}

/// Asks for the transaction; `None` = it has been purged meanwhile.
async fn ask(config: &Config, server: &ServerState, read: &Read) -> Result<Option<Found>, Fault> {
    let first = async {
        let behind = all_but(server, read);
        let domain = read.gtid.domain_and_server().map(|(domain, _)| domain);
        Scan::dump(config, From::Behind(&behind)).await?.first(domain).await
    };
    match first.await {
        Ok(Some((gtid, us))) => Ok(Some(Found::This(gtid, us))),
        Ok(None) => Ok(Some(Found::Nothing)),
        Err(fault) if fault.code() == codes::PURGED => Ok(None),
        // MariaDB says that it never had what comes before
        Err(fault) if fault.code() == codes::POSITION_AHEAD => Ok(Some(Found::Nothing)),
        Err(fault) => Err(fault),
    }
}

/// All that the server has executed, without the transaction: it is then the first that the server sends. MariaDB's is the
/// first of its domain.
fn all_but(server: &ServerState, read: &Read) -> GtidSet {
    let Some((domain, _)) = read.gtid.domain_and_server() else {
        return minus(&server.executed, &one(&read.gtid));
    };
    let mut set = server.executed.clone();
    let purged = server.purged.newest(domain);
    let before = read.before.clone().into_iter().chain(purged).max_by_key(|gtid| gtid.number);
    set.set_newest(domain, before.as_ref());
    set
}

fn judge(server: &ServerState, read: &Read, found: &Found, same: bool) -> Result<(), Fault> {
    let (ours, us) = (&read.gtid, seconds(read.us));
    let has = match found {
        Found::This(gtid, at) if gtid == ours && *at == read.us => return Ok(()),
        Found::This(gtid, at) if gtid == ours => {
            format!("its {ours} is of {}, and the one that was read of {us}", seconds(*at))
        }
        Found::This(gtid, at) => format!("where {ours} of {us} was read, it has {gtid} of {}", seconds(*at)),
        Found::Nothing => format!("its binlog does not hold {ours}, which was read last, with the time {us}"),
    };
    let (code, what) = if same {
        let what = "was reset or restored, and has written others since under the numbers of what was read";
        (codes::SERVER_RESET, what)
    } else {
        (codes::SERVER_FOREIGN, "has another history under the same GTIDs")
    };
    Err(refusal(code, format!("{} {what}: {has} (seconds since 1970)", server.address)))
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn refusal(code: forebay_model::Code, what: String) -> Fault {
    Fault::new(code, what)
        .fix(format!("point the source at the right server, {CHOICES}, and take a new snapshot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000001";

    fn set(text: &str) -> GtidSet {
        text.replace('A', A).parse().unwrap()
    }

    fn gtid(text: &str) -> Gtid {
        only(&set(text)).unwrap()
    }

    fn header(seconds: u32) -> Header {
        Header { seconds, ..Header::default() }
    }

    #[test]
    fn what_is_noted_survives() {
        for (text, before) in [("A:7", None), ("A:tag:9", None), ("3-1-20", Some("3-2-19")), ("3-1-20", None)]
        {
            let mut tracked = Tracked::of(Some(Last::default()));
            assert_eq!(tracked.take_note(), None, "nothing is new");
            let read = gtid(text);
            assert_eq!(read.to_string(), text.replace('A', A));
            tracked.begin(Some(&read), 5_000_001);
            assert!(tracked.at_first);
            tracked.first(&header(4));
            tracked.end(read.clone(), before.map(gtid));
            assert!(tracked.file("binlog.000007", &header(3)) && !tracked.file("binlog.000007", &header(3)));
            let note = tracked.take_note().unwrap();
            let last = Last::find(&[Note { key: "server".into(), value: None }, note]).unwrap();
            assert_eq!(last, tracked.last);
            // MariaDB's GTID event has a time of its own on each server
            let us = if text.starts_with('A') { 5_000_001 } else { 4_000_000 };
            assert_eq!(last.read, Some(Read { gtid: read, us, before: before.map(gtid) }));
            assert_eq!(tracked.take_note(), None);
        }
        // numbers that go back
        let mut tracked = Tracked::of(Some(Last::default()));
        tracked.begin(Some(&gtid("3-1-20")), 0);
        tracked.end(gtid("3-1-20"), Some(gtid("3-2-20")));
        assert_eq!(tracked.take_note(), None);
        assert_eq!(Last::find(&[Note { key: NOTE.into(), value: Some(b"{}".to_vec()) }]), None);
        // a position that begins anew is not the noted one
        let note = Tracked::of(None).take_note().unwrap();
        assert_eq!(Last::find(&[note]), Some(Last::default()));
    }

    #[test]
    fn the_last_one_is_the_first_that_is_asked_for() {
        let ask = |executed: &str, purged: &str, last: &str, before: Option<&str>| {
            let server = ServerState { executed: set(executed), purged: set(purged), ..Default::default() };
            all_but(&server, &Read { gtid: gtid(last), us: 1, before: before.map(gtid) })
        };
        assert_eq!(ask("A:1-9:tag:1-3", "A:1-2", "A:7", None), set("A:1-6:8-9:tag:1-3"));
        assert_eq!(ask("A:1-9:tag:1-3", "", "A:tag:3", None), set("A:1-9:tag:1-2"));
        assert_eq!(ask("0-1-9,5-1-3", "", "0-1-7", Some("0-2-6")), set("0-2-6,5-1-3"));
        assert_eq!(ask("0-1-9,5-1-3", "", "5-1-1", None), set("0-1-9"));
        // the numbers have a hole, and what was before it is purged
        assert_eq!(ask("0-1-9", "0-3-5", "0-1-7", Some("0-1-2")), set("0-3-5"));
    }

    #[test]
    fn only_the_same_transaction_of_the_same_time_will_do() {
        let server = ServerState { address: "db:3306".into(), ..Default::default() };
        let read = Read { gtid: gtid("A:7"), us: 5_000_001, before: None };
        let judge = |found: Found, same| judge(&server, &read, &found, same).map_err(|fault| fault.code());
        for same in [true, false] {
            let other = if same { codes::SERVER_RESET } else { codes::SERVER_FOREIGN };
            assert_eq!(judge(Found::This(gtid("A:7"), 5_000_001), same), Ok(()));
            assert_eq!(judge(Found::This(gtid("A:7"), 5_000_002), same), Err(other));
            assert_eq!(judge(Found::This(gtid("A:8"), 5_000_001), same), Err(other));
            assert_eq!(judge(Found::Nothing, same), Err(other));
        }
    }
}
