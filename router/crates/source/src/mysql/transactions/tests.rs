//! Events made by hand: where the position stands after them, and what is refused.

use forebay_model::{Class, TablePattern};
use proptest::prelude::*;

use super::tables::TABLES;
use super::*;
use crate::mysql::Tls;
use crate::mysql::blocks::Finished;

fn config() -> Config {
    Config {
        host: "h".into(),
        port: 1,
        hosts: vec![],
        user: "u".into(),
        password: None,
        tls: Tls::Disabled,
        server_id: None,
        tables: vec![TablePattern::new("d.*").unwrap()],
    }
}

fn fresh(limits: Limits) -> Transactions {
    let position = Position { file: "binlog.000001".into(), pos: 4, ..Default::default() };
    let history = History::new(&config(), &[], true).unwrap();
    Transactions::new(config(), limits, position, history)
}

/// Feeds events, each of 100 bytes in the file.
struct Feed {
    transactions: Transactions,
    end: u64,
}

impl Feed {
    fn new() -> Self {
        Feed { transactions: fresh(Limits::default()), end: 100 }
    }

    fn take(&mut self, kind: u8, body: &[u8]) -> Result<Taken, Fault> {
        self.end += 100;
        let header =
            Header { seconds: 1_700_000_000, kind, server_id: 3, size: 100, end: self.end as u32, flags: 0 };
        self.transactions.take(&Event { header, body })
    }

    fn all(&mut self, events: &[(u8, &[u8])]) {
        for (kind, body) in events {
            assert_eq!(self.take(*kind, body).unwrap(), Taken::Whole, "type {kind}");
        }
    }

    fn refused(&mut self, kind: u8, body: &[u8]) -> (&'static str, Class) {
        let fault = self.take(kind, body).unwrap_err();
        (fault.code().name, fault.class())
    }
}

fn gtid(number: u64) -> Vec<u8> {
    [&[0; 1][..], &[9; 16], &number.to_le_bytes()].concat()
}

fn query(text: &str) -> Vec<u8> {
    [&[5, 0, 0, 0][..], &[0; 4], &[0; 5], &[0], text.as_bytes()].concat()
}

/// Table `database.t (id INT)`.
fn map(id: u8, database: &str) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0, database.len() as u8];
    body.extend_from_slice(database.as_bytes());
    body.extend_from_slice(b"\0\x01t\0\x01\x03\0\x01\x01\x01\0\x04\x03\x02id");
    body
}

fn rows(id: u8, values: &[i32]) -> Vec<u8> {
    let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1];
    for value in values {
        body.push(0);
        body.extend_from_slice(&value.to_le_bytes());
    }
    body
}

const GTID: u8 = kinds::GTID;
const QUERY: u8 = kinds::QUERY;
const MAP: u8 = kinds::TABLE_MAP;
const ROWS: u8 = kinds::WRITE_ROWS;
const XID: u8 = kinds::XID;

#[test]
fn the_position_is_behind_the_last_whole_transaction() {
    let mut feed = Feed::new();
    let (begin, map, rows) = (query("BEGIN"), map(1, "d"), rows(1, &[1, 2]));
    feed.all(&[(GTID, &gtid(1)), (QUERY, &begin), (MAP, &map), (ROWS, &rows)]);
    let transactions = &feed.transactions;
    assert!(!transactions.is_between() && transactions.position().gtids.is_empty());
    assert!(!transactions.building.is_whole());
    feed.all(&[(XID, &[0; 8])]);
    assert!(feed.transactions.is_between() && feed.transactions.building.is_whole());
    assert_eq!(feed.transactions.position().gtids.to_string(), "09090909-0909-0909-0909-090909090909:1");
    assert_eq!(feed.transactions.position().pos, 600);

    let Finished { block, whole, .. } = feed.transactions.building.finish();
    assert_eq!((block.events, whole), (2, 2));
    let txn = block.origin.txns[0];
    assert_eq!((txn.number, txn.thread, txn.server_id, txn.commit_us), (1, 5, 3, 1_700_000_000_000_000));
    assert_eq!(block.batches[0].runs[0].pos, 400);
    assert_eq!(block.origin.file(&txn), "binlog.000001");

    // DDL is a transaction of its own
    feed.all(&[(GTID, &gtid(2)), (QUERY, &query("CREATE TABLE x (y INT)"))]);
    assert!(feed.transactions.position().gtids.to_string().ends_with(":1-2"));
}

#[test]
fn files_follow_each_other() {
    let mut feed = Feed::new();
    let rotate = [&4u64.to_le_bytes()[..], b"binlog.000002"].concat();
    feed.all(&[(kinds::ROTATE, &rotate)]);
    feed.end = 100;
    let (begin, map, rows) = (query("BEGIN"), map(1, "d"), rows(1, &[1]));
    feed.all(&[(GTID, &gtid(1)), (QUERY, &begin), (MAP, &map), (ROWS, &rows), (XID, &[0; 8])]);
    let position = feed.transactions.position();
    assert_eq!((position.file.as_str(), position.pos), ("binlog.000002", 600));
    assert_eq!(feed.transactions.building.finish().block.batches[0].runs[0].pos, 400);
}

#[test]
fn a_heartbeat_moves_the_position_between_transactions_only() {
    let mut feed = Feed::new();
    feed.all(&[(kinds::HEARTBEAT, b"binlog.000001")]);
    assert_eq!((feed.transactions.position().pos, feed.transactions.moves), (200, 1));
    // of another file, and of a kind that says nothing here
    feed.all(&[(kinds::HEARTBEAT, b"binlog.000007"), (kinds::HEARTBEAT_V2, b"")]);
    assert_eq!(feed.transactions.position().pos, 200);
    feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (kinds::HEARTBEAT, b"binlog.000001")]);
    assert_eq!(feed.transactions.position().pos, 200);
}

#[test]
fn a_transaction_may_grow_past_four_gibibytes() {
    let mut feed = Feed::new();
    feed.end = (1 << 32) - 350;
    let (begin, map, rows) = (query("BEGIN"), map(1, "d"), rows(1, &[1]));
    feed.all(&[(GTID, &gtid(1)), (QUERY, &begin), (MAP, &map), (ROWS, &rows), (XID, &[0; 8])]);
    assert_eq!(feed.transactions.position().pos, (1 << 32) + 150);
    assert_eq!(feed.transactions.building.finish().block.batches[0].runs[0].pos, (1 << 32) - 50);
}

#[test]
fn a_block_may_be_full_in_the_middle_of_an_event() {
    let mut feed = Feed::new();
    feed.transactions = fresh(Limits { block_rows: 3, ..Limits::default() });
    feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (MAP, &map(1, "d"))]);
    let body = rows(1, &[10, 11, 12, 13, 14, 15, 16]);
    let header = Header { kind: ROWS, size: 100, end: 500, ..Default::default() };
    let event = Event { header, body: &body };
    let mut seen = Vec::new();
    loop {
        let taken = feed.transactions.take(&event).unwrap();
        let Finished { block, whole, .. } = feed.transactions.building.finish();
        assert_eq!(whole, 0);
        let run = block.batches[0].runs[0];
        seen.push((run.nth, run.event, run.pos, block.events));
        if taken == Taken::Whole {
            break;
        }
    }
    assert_eq!(seen, [(0, 0, 400, 3), (3, 0, 400, 3), (6, 0, 400, 1)]);
}

#[test]
fn a_transaction_that_breaks_off_is_retried() {
    for (kind, body) in [(GTID, gtid(2)), (kinds::STOP, vec![]), (kinds::FORMAT_DESCRIPTION, vec![])] {
        let mut feed = Feed::new();
        feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (MAP, &map(1, "d")), (ROWS, &rows(1, &[1]))]);
        assert_eq!(feed.refused(kind, &body), ("mysql.transaction_cut", Class::Retryable), "{kind}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_where_it_matters() {
    let xa: &[u8] = &[0; 13];
    for (kind, body, code) in [
        (kinds::XA_PREPARE, xa.to_vec(), "mysql.xa"),
        (QUERY, query("ROLLBACK"), "mysql.unsupported_event"),
        (kinds::INCIDENT, vec![1, 0], "mysql.incident"),
        (99, vec![], "mysql.unsupported_event"),
        (ROWS, rows(9, &[1]), "mysql.garbled"),
        (ROWS, rows(1, &[1])[..14].to_vec(), "mysql.garbled"),
    ] {
        let mut feed = Feed::new();
        feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (MAP, &map(1, "d")), (ROWS, &rows(1, &[1]))]);
        assert_eq!(feed.refused(kind, &body), (code, Class::Fatal), "type {kind}");

        // the same about a table that is not captured
        let mut feed = Feed::new();
        feed.all(&[
            (GTID, &gtid(1)),
            (QUERY, &query("BEGIN")),
            (MAP, &map(1, "other")),
            (ROWS, &rows(1, &[1])),
        ]);
        let general = matches!(kind, kinds::INCIDENT | 99) || body == rows(9, &[1]);
        assert_eq!(feed.take(kind, &body).is_err(), general, "type {kind}");
    }
    assert_eq!(Feed::new().refused(kinds::ANONYMOUS_GTID, &[0; 42]).0, "mysql.gtid_off");
}

#[test]
fn rows_behind_a_savepoint_are_never_guessed() {
    let say = |feed: &mut Feed, text: &str| feed.take(QUERY, &query(text));
    let fresh = |database: &str| {
        let mut feed = Feed::new();
        feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (MAP, &map(1, database))]);
        feed.all(&[(ROWS, &rows(1, &[1])), (QUERY, &query("SAVEPOINT `a`"))]);
        feed
    };
    // nothing of a captured table behind it
    let mut feed = fresh("d");
    assert_eq!(say(&mut feed, "ROLLBACK TO `A`").unwrap(), Taken::Whole);
    feed.all(&[(ROWS, &rows(1, &[2])), (QUERY, &query("SAVEPOINT `a`")), (QUERY, &query("ROLLBACK TO `a`"))]);
    feed.all(&[(XID, &[0; 8])]);
    assert_eq!(feed.transactions.building.finish().block.events, 2);
    let mut feed = fresh("other");
    feed.all(&[(ROWS, &rows(1, &[2])), (QUERY, &query("ROLLBACK TO `a`")), (XID, &[0; 8])]);

    let mut feed = fresh("d");
    feed.all(&[(ROWS, &rows(1, &[2]))]);
    assert_eq!(feed.refused(QUERY, &query("ROLLBACK TO `a`")), ("mysql.unsupported_event", Class::Fatal));
    // a savepoint that is not known is the beginning
    let mut feed = fresh("d");
    assert_eq!(feed.refused(QUERY, &query("ROLLBACK TO `b`")).0, "mysql.unsupported_event");
    // savepoints end with their transaction
    let mut feed = fresh("d");
    feed.all(&[(XID, &[0; 8]), (GTID, &gtid(2)), (QUERY, &query("BEGIN")), (ROWS, &rows(1, &[3]))]);
    assert_eq!(feed.refused(QUERY, &query("ROLLBACK TO `a`")).0, "mysql.unsupported_event");
}

/// XA_PREPARE of the branch `a`.
fn prepare(one_phase: bool) -> Vec<u8> {
    [&[u8::from(one_phase), 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], b"a"].concat()
}

#[test]
fn rows_of_an_xa_transaction_come_at_its_commit() {
    let branch = |feed: &mut Feed, number: u64, one_phase: bool| {
        let (start, end) = (query("XA START X'61',X'',1"), query("XA END X'61',X'',1"));
        feed.all(&[
            (GTID, &gtid(number)),
            (QUERY, &start),
            (MAP, &map(1, "d")),
            (ROWS, &rows(1, &[1, 2])),
            (QUERY, &end),
        ]);
        assert!(feed.transactions.building.is_empty());
        feed.all(&[(kinds::XA_PREPARE, &prepare(one_phase))]);
    };
    let gtids = |feed: &Feed| feed.transactions.position().gtids.to_string();
    let mut feed = Feed::new();
    branch(&mut feed, 1, true);
    assert!(feed.transactions.building.is_whole() && !feed.transactions.building.is_empty());
    assert!(gtids(&feed).ends_with(":1"));

    // prepared: the position passes it, without its GTID
    let mut feed = Feed::new();
    branch(&mut feed, 1, false);
    feed.all(&[
        (GTID, &gtid(2)),
        (QUERY, &query("BEGIN")),
        (MAP, &map(2, "d")),
        (ROWS, &rows(2, &[9])),
        (XID, &[0; 8]),
    ]);
    assert!(gtids(&feed).ends_with(":2") && feed.transactions.is_between());
    feed.all(&[(GTID, &gtid(3)), (QUERY, &query("XA COMMIT X'61',X'',1"))]);
    assert!(gtids(&feed).ends_with(":1-3"), "{}", gtids(&feed));
    let Finished { block, whole, .. } = feed.transactions.building.finish();
    assert_eq!((block.events, whole), (3, 3));
    let run = block.batches[0].runs[1];
    assert_eq!((run.pos, block.origin.txns[run.txn as usize].number), (400, 3));
    assert_eq!(feed.transactions.position().pos, 1400);

    // rolled back: nothing of it
    let mut feed = Feed::new();
    branch(&mut feed, 1, false);
    feed.all(&[(GTID, &gtid(2)), (QUERY, &query("XA ROLLBACK X'61',X'',1"))]);
    assert!(gtids(&feed).ends_with(":1-2") && feed.transactions.building.is_empty());
    // a branch that was never seen is looked for, and read again; without it the rows are not known
    feed.all(&[(GTID, &gtid(3))]);
    let commit = query("XA COMMIT X'62',X'',1");
    for (gtid, found) in [(gtid(1), true), (gtid(1), false)] {
        let Taken::FindBranch(xid) = feed.take(QUERY, &commit).unwrap() else {
            panic!("it is not looked for")
        };
        let gtid = GtidEvent::parse(&gtid).unwrap().gtid;
        feed.transactions.found_branch(*xid, found.then(|| (gtid.clone(), None)));
        if found {
            assert!(feed.transactions.position().gtids.contains(&gtid));
            assert_eq!(feed.take(QUERY, &commit).unwrap(), Taken::Again(Box::new(gtid.clone())));
            assert!(!feed.transactions.all_but(&gtid).contains(&gtid), "it is asked for");
            let again = |feed: &mut Feed, kind, body: &[u8]| {
                let header = Header { kind, size: 100, end: 500, ..Default::default() };
                feed.transactions.take_again(&Event { header, body }).unwrap()
            };
            again(&mut feed, GTID, &self::gtid(1));
            again(&mut feed, MAP, &map(1, "d"));
            again(&mut feed, ROWS, &rows(1, &[5]));
            again(&mut feed, kinds::XA_PREPARE, &prepare(false));
            feed.all(&[(QUERY, &commit)]);
            assert_eq!(feed.transactions.building.finish().block.events, 1);
            feed.all(&[(GTID, &self::gtid(4))]);
        } else {
            assert_eq!(feed.refused(QUERY, &commit), ("mysql.xa", Class::Fatal));
        }
    }
}

#[test]
fn a_branch_without_a_gtid_passes_if_it_has_nothing_captured() {
    const BEGIN: u8 = kinds::ANONYMOUS_GTID;
    let begin: &[u8] = &[0; 25];
    let by_file = || {
        let mut feed = Feed::new();
        feed.transactions.by_file = true;
        feed
    };
    let [start, commit, rollback] =
        ["XA START", "XA COMMIT", "XA ROLLBACK"].map(|verb| query(&format!("{verb} X'61',X'',1")));
    let branch = |feed: &mut Feed, database: &str| {
        feed.all(&[(BEGIN, begin), (QUERY, &start), (MAP, &map(1, database)), (ROWS, &rows(1, &[1]))]);
    };
    let noted = |feed: &mut Feed| -> Vec<Note> { feed.transactions.take_xa_notes().collect() };
    let mut feed = by_file();
    branch(&mut feed, "other");
    feed.all(&[(kinds::XA_PREPARE, &prepare(false))]);
    let notes = noted(&mut feed);
    assert_eq!(notes, [Note { key: "xa-passed/X'61',X'',1".into(), value: Some(vec![]) }]);
    // here, and in another process
    let mut later = by_file();
    later.transactions.remember_passed(&notes);
    for (mut feed, decision) in [(feed, &commit), (later, &rollback)] {
        feed.all(&[(BEGIN, begin), (QUERY, decision)]);
        assert!(feed.transactions.is_between() && feed.transactions.building.is_empty());
        assert_eq!(feed.transactions.position().pos, feed.end);
        assert_eq!(noted(&mut feed), [Note { key: notes[0].key.clone(), value: None }]);
        // once only
        feed.all(&[(BEGIN, begin)]);
        let fault = feed.take(QUERY, &commit).unwrap_err();
        assert!(fault.code() == codes::XA && fault.to_string().contains("without GTIDs"), "{fault}");
    }
    let mut feed = by_file();
    branch(&mut feed, "d");
    assert_eq!(feed.refused(kinds::XA_PREPARE, &prepare(false)), ("mysql.xa", Class::Fatal));
}

#[test]
fn a_branch_is_looked_for_before_the_transaction_at_hand() {
    let history = History::new(&config(), &[], true).unwrap();
    let nowhere = Transactions::new(config(), Limits::default(), Position::default(), history);
    let mut feed = Feed { transactions: nowhere, end: 4900 };
    // made up by the server, as a dump by GTIDs begins: the file, and not where in it
    let rotate = [&4u64.to_le_bytes()[..], b"binlog.000007"].concat();
    let header = Header { kind: kinds::ROTATE, size: 44, ..Default::default() };
    feed.transactions.take(&Event { header, body: &rotate }).unwrap();
    feed.all(&[(kinds::MARIADB_GTID, &[&8u64.to_le_bytes()[..], &[0; 5]].concat())]);
    let commit = query("XA COMMIT X'61',X'',1");
    assert!(matches!(feed.take(QUERY, &commit).unwrap(), Taken::FindBranch(_)));
    assert_eq!(feed.transactions.at_hand(), ("binlog.000007".into(), 5000));
}

#[test]
fn the_tables_of_a_statement_stand_before_its_rows() {
    let mut feed = Feed::new();
    let mut other = map(2, "d");
    other[12] = b'u';
    let rows = [rows(1, &[1]), rows(2, &[2])];
    feed.all(&[(GTID, &gtid(1)), (QUERY, &query("BEGIN")), (MAP, &map(1, "d")), (MAP, &other)]);
    feed.all(&[(ROWS, &rows[0]), (ROWS, &rows[1]), (XID, &[0; 8])]);
    let block = feed.transactions.building.finish().block;
    let tables: Vec<&str> = block.batches.iter().map(|b| b.table.table.as_str()).collect();
    assert_eq!((tables, block.events), (vec!["t", "u"], 2));
    // also where most of what was seen is forgotten between the two
    for i in 0..=TABLES {
        let mut map = map(1, "other");
        map[1..4].copy_from_slice(&(i as u32 + 9).to_le_bytes()[..3]);
        feed.all(&[(MAP, &map)]);
    }
    feed.all(&[(GTID, &gtid(2)), (QUERY, &query("BEGIN"))]);
    feed.all(&[(MAP, &map(1, "d")), (MAP, &other), (ROWS, &rows[0]), (ROWS, &rows[1]), (XID, &[0; 8])]);
    assert_eq!(feed.transactions.building.finish().block.events, 2);
}

#[test]
fn mariadbs_branch_is_noted_and_asked_for_again() {
    const BEGIN: u8 = kinds::MARIADB_GTID;
    let gtid = |domain: u32, number: u64, flags: u8| {
        // one that ends with XA PREPARE names the branch
        let xid: &[u8] = if flags == 64 { &[1, 0, 0, 0, 1, 0, b'a'] } else { &[] };
        [&number.to_le_bytes()[..], &domain.to_le_bytes(), &[flags], xid].concat()
    };
    let one = |feed: &mut Feed, gtid: &[u8]| {
        feed.all(&[(BEGIN, gtid), (MAP, &map(2, "d")), (ROWS, &rows(2, &[9])), (XID, &[0; 8])]);
    };
    let mut feed = Feed::new();
    one(&mut feed, &gtid(0, 4, 0));
    feed.all(&[(BEGIN, &gtid(0, 7, 64)), (MAP, &map(1, "d")), (ROWS, &rows(1, &[1, 2]))]);
    feed.all(&[(kinds::XA_PREPARE, &prepare(false))]);
    one(&mut feed, &gtid(5, 1, 0));
    let noted = |feed: &mut Feed| -> Vec<Note> { feed.transactions.take_xa_notes().collect() };
    let notes = noted(&mut feed);
    assert_eq!(notes.iter().map(|n| n.key.as_str()).collect::<Vec<_>>(), ["xa/0-3-7"]);
    assert_eq!(feed.transactions.position().gtids.to_string(), "0-3-7,5-3-1");

    // another process goes on behind it
    let commit = query("XA COMMIT X'61',X'',1");
    let undecided = Undecided::of_notes(&notes);
    let mut later = Feed::new();
    let history = History::new(&config(), &[], true).unwrap();
    let position = feed.transactions.position().clone();
    later.transactions = Transactions::new(config(), Limits::default(), position, history);
    later.transactions.remember_undecided(undecided);
    later.all(&[(BEGIN, &gtid(0, 8, 0))]);
    let branch = Gtid::mariadb(0, 3, 7);
    assert_eq!(later.take(QUERY, &commit).unwrap(), Taken::Again(Box::new(branch.clone())));
    assert_eq!(later.transactions.all_but(&branch).to_string(), "0-3-4,5-3-1");
    let again = |feed: &mut Feed, kind, body: &[u8]| {
        let header = Header { kind, server_id: 3, size: 100, end: 500, ..Default::default() };
        feed.transactions.take_again(&Event { header, body })
    };
    // another domain may come first, and is no part of it
    let answer = [
        (BEGIN, gtid(5, 2, 0)),
        (MAP, map(1, "d")),
        (ROWS, rows(1, &[8])),
        (BEGIN, gtid(0, 7, 64)),
        (MAP, map(1, "d")),
        (ROWS, rows(1, &[1, 2])),
    ];
    for (kind, body) in answer {
        assert_eq!(again(&mut later, kind, &body).unwrap(), TakenAgain::Whole);
    }
    assert_eq!(again(&mut later, kinds::XA_PREPARE, &prepare(false)).unwrap(), TakenAgain::Last);
    later.all(&[(QUERY, &commit)]);
    assert_eq!(later.transactions.building.finish().block.events, 2);
    assert_eq!(noted(&mut later), [Note { key: "xa/0-3-7".into(), value: None }]);

    // of its own domain nothing else may come first
    feed.all(&[(BEGIN, &gtid(0, 8, 0)), (QUERY, &commit)]);
    assert_eq!(feed.transactions.building.finish().block.events, 4, "it waited here");
    assert_eq!(feed.transactions.decided().all().len(), 1);
    feed.all(&[(BEGIN, &gtid(0, 9, 0))]);
    let Taken::FindBranch(xid) = feed.take(QUERY, &commit).unwrap() else { panic!("it is not looked for") };
    feed.transactions.found_branch(*xid, Some((branch.clone(), Some(Gtid::mariadb(0, 3, 4)))));
    assert_eq!(feed.take(QUERY, &commit).unwrap(), Taken::Again(Box::new(branch)));
    assert_eq!(again(&mut feed, BEGIN, &gtid(0, 8, 0)).unwrap_err().code().name, "mysql.purged");
}

proptest! {
    #[test]
    fn any_events_in_any_order(events in prop::collection::vec((0u8..45, prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        Just(gtid(1)), Just(gtid(2)), Just(query("BEGIN")), Just(query("COMMIT")), Just(query("XA START X'61',X'',1")),
        Just(query("XA COMMIT X'61',X'',1")), Just(prepare(false)), Just(prepare(true)), Just(map(1, "d")), Just(map(2, "x")),
        Just(map(3, "d")), Just(rows(1, &[1, 2])), Just(rows(3, &[1])), Just(vec![]),
    ], any::<u32>()), 0..40)) {
        let mut transactions = fresh(Limits { block_rows: 3, ..Limits::default() });
        for (kind, body, end) in events {
            let event = Event { header: Header { kind, size: 100, end, ..Default::default() }, body: &body };
            loop {
                match transactions.take(&event) {
                    Ok(Taken::Part) => drop(transactions.building.finish()),
                    Ok(Taken::FindBranch(xid)) => transactions.found_branch(*xid, None),
                    Ok(Taken::Whole) => break,
                    Ok(Taken::AskVersion) | Err(_) => return Ok(()),
                    Ok(taken) => panic!("{taken:?}"),
                }
            }
        }
        let Finished { block, whole, .. } = transactions.building.finish();
        prop_assert!(whole <= block.events);
        block.batches.iter().for_each(|b| b.check());
    }
}
