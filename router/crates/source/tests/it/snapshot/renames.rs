//! Tables that get other names, or go, while a snapshot reads them: whatever is done, the log has all rows of each in the end.

use forebay_kit::{Database, Server};
use forebay_model::TablePattern;
use forebay_source::mysql::{SnapshotCommand, SnapshotRequest, SnapshotState, SnapshotStatus};

use super::super::config;
use super::came::{added, new_tables, rows};
use super::writer::{catch_up, fold};
use super::{Log, begin, done, finish, next, status};

/// What is done to `t` and `n`, 600 rows each, while the snapshot reads them.
struct Case {
    statements: &'static str,
    /// The tables that are captured, of the database; and that the snapshot asks for, if not all.
    captured: &'static [&'static str],
    asked: &'static [&'static str],
    filter: Option<&'static str>,
    /// The rows that the log must have of tables, by the first of each.
    complete: &'static [(&'static str, u32, usize)],
    state: SnapshotState,
}

const PLAIN: Case = Case {
    statements: "",
    captured: &["*"],
    asked: &[],
    filter: None,
    complete: &[],
    state: SnapshotState::Done,
};

const T: u32 = 1;
const N: u32 = 10_001;

const CASES: &[Case] = &[
    Case { statements: "RENAME TABLE t TO t2", complete: &[("t2", T, 600), ("n", N, 600)], ..PLAIN },
    Case { statements: "ALTER TABLE t RENAME TO t3, ADD z INT", complete: &[("t3", T, 600)], ..PLAIN },
    Case { statements: "RENAME TABLE t TO t4, n TO t", complete: &[("t4", T, 600), ("t", N, 600)], ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO t5, n TO t, t5 TO n",
        complete: &[("n", T, 600), ("t", N, 600)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO a; RENAME TABLE a TO b; RENAME TABLE b TO c",
        complete: &[("c", T, 600), ("n", N, 600)],
        ..PLAIN
    },
    Case { statements: "RENAME TABLE t TO a; RENAME TABLE a TO t", complete: &[("t", T, 600)], ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO t2",
        asked: &["t"],
        complete: &[("t2", T, 600), ("n", N, 0)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO t2",
        filter: Some("id <= 300"),
        complete: &[("t2", T, 300), ("n", N, 600)],
        ..PLAIN
    },
    // gh-ost and pt-online-schema-change, with their tables captured and not
    Case {
        statements: "RENAME TABLE t TO _t_del, n TO t",
        captured: &["t"],
        complete: &[("t", N, 600)],
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO _t_old, n TO t; DROP TABLE _t_old",
        complete: &[("t", N, 600)],
        ..PLAIN
    },
    Case { statements: "DROP TABLE t", complete: &[("n", N, 600)], ..PLAIN },
    Case { statements: "DROP TABLE t", asked: &["t"], state: SnapshotState::Cancelled, ..PLAIN },
    Case {
        statements: "RENAME TABLE t TO out_t",
        captured: &["t", "n"],
        complete: &[("n", N, 600)],
        state: SnapshotState::Failed,
        ..PLAIN
    },
    Case {
        statements: "RENAME TABLE t TO out_t; RENAME TABLE out_t TO t",
        captured: &["t", "n"],
        complete: &[("t", T, 600), ("n", N, 600)],
        ..PLAIN
    },
];

/// When the statements are run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// While the tables are read.
    Reading,
    /// While nobody is connected.
    Away,
    /// Before the snapshot has begun, and the stream tells of them later.
    Before,
}

#[tokio::test]
async fn whatever_tables_are_called_all_their_rows_are_read() {
    let server = forebay_kit::mysql().await;
    for (n, case) in CASES.iter().enumerate() {
        for when in [When::Reading, When::Away, When::Before] {
            let database = server.database(&format!("named{n}")).await.unwrap();
            run(server, &database, case, when).await;
        }
    }
}

async fn run(server: &Server, database: &Database, case: &Case, when: When) {
    let what = format!("{when:?}: {} of {:?}", case.statements, case.captured);
    let name = |table: &str| format!("{}.{table}", database.name());
    let config = config(server, &case.captured.iter().map(|t| name(t)).collect::<Vec<_>>());
    rows(database, "t", T, 600).await;
    rows(database, "n", N, 600).await;
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    let mut request = SnapshotRequest { rows_per_second: Some(3000), ..SnapshotRequest::all("s") };
    request.tables =
        case.asked.iter().map(|t| TablePattern::new(&name(t)).expect("the server does it")).collect();
    request.filters.extend(case.filter.map(|filter| (name("t"), filter.to_owned())));
    if when == When::Before {
        // the first position is known, and what comes behind it is not
        while log.position.is_none() {
            log.add(next(&mut capture).await.expect("the server does it"));
        }
        database.exec(case.statements).await.expect("the server does it");
    }
    begin(&mut capture, request);
    if when != When::Before {
        while fold(&log, "t", &[0]).len() < 100 {
            log.add(next(&mut capture).await.expect("the server does it"));
        }
    }
    if when == When::Away {
        drop(capture);
        database.exec(case.statements).await.expect("the server does it");
        capture = log.connect(&config, new_tables(50)).await;
    } else if when == When::Reading {
        database.exec(case.statements).await.expect("the server does it");
        // killed in the middle, too; there may be nothing left to come
        for _ in 0..3 {
            let wait = tokio::time::timeout(std::time::Duration::from_millis(200), capture.next());
            if let Ok(captured) = wait.await {
                log.add(captured.expect("the server does it"));
            }
        }
        drop(capture);
        capture = log.connect(&config, new_tables(50)).await;
    }
    catch_up(&mut capture, &mut log, server).await;
    let end = finish(&mut capture, &mut log, "s").await;
    for status in capture.snapshots() {
        finish(&mut capture, &mut log, &status.request.id).await;
    }
    for (table, first, count) in case.complete {
        let got = fold(&log, table, &[0]);
        let all = (*first..*first + 600).filter(|id| got.contains_key(&id.to_string())).count();
        assert_eq!(all, *count, "{what}: {table}: {end:#?}");
    }
    if when == When::Before {
        // a snapshot that begins behind all of it has nothing to stumble on
        return;
    }
    assert_eq!(end.state, case.state, "{what}: {end:#?}");
    says_the_truth(&end, &what);
    assert!(added(&capture).is_none(), "{what}: once is enough");
}

/// A fault of a table that went says where it went.
pub(super) fn says_the_truth(end: &SnapshotStatus, what: &str) {
    for table in &end.tables {
        let Some(fault) = &table.fault else { continue };
        assert_eq!(fault.code, "mysql.snapshot_table_gone", "{what}: {end:#?}");
        let told = ["was dropped", "was renamed to"].iter().any(|t| fault.message.contains(t));
        assert!(told && !fault.fix.contains("grant"), "{what}: {end:#?}");
    }
}

#[tokio::test]
async fn a_paused_snapshot_follows_names_and_a_cancelled_one_does_not() {
    let server = forebay_kit::mysql().await;
    let database = server.database("still").await.unwrap();
    rows(&database, "t", T, 600).await;
    rows(&database, "u", N, 600).await;
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, new_tables(50)).await;
    let slow = |id: &str, table: &str| SnapshotRequest {
        rows_per_second: Some(1000),
        ..super::one(id, &format!("{}.{table}", database.name()))
    };
    begin(&mut capture, slow("paused", "t"));
    begin(&mut capture, slow("cancelled", "u"));
    // and one for a route alone, of the same table
    begin(&mut capture, SnapshotRequest { audience: Some("r".into()), ..slow("route", "t") });
    while fold(&log, "t", &[0]).is_empty() || fold(&log, "u", &[0]).is_empty() {
        log.add(next(&mut capture).await.unwrap());
    }
    capture.command(SnapshotCommand::Pause("paused".into())).unwrap();
    capture.command(SnapshotCommand::Cancel("cancelled".into())).unwrap();
    database.exec("RENAME TABLE t TO t2, u TO u2").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    done(&finish(&mut capture, &mut log, "route").await);
    assert_eq!(status(&capture, "route").rows, 600);
    let paused = status(&capture, "paused");
    assert_eq!((paused.state, paused.rows), (SnapshotState::Paused, 0));
    capture.command(SnapshotCommand::Resume("paused".into())).unwrap();
    done(&finish(&mut capture, &mut log, "paused").await);
    assert_eq!(status(&capture, "paused").tables[0].table, format!("{}.t2", database.name()));
    assert_eq!(status(&capture, "paused").rows, 600);
    assert!(fold(&log, "u2", &[0]).is_empty(), "nobody wants it");
}

#[tokio::test]
async fn tables_of_patterns_that_change_are_read_once() {
    let server = forebay_kit::mysql().await;
    let database = server.database("patterns").await.unwrap();
    rows(&database, "t", T, 100).await;
    rows(&database, "u", N, 100).await;
    let all = config(server, &[format!("{}.*", database.name())]);
    let one = config(server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&all, new_tables(50)).await;
    begin(&mut capture, SnapshotRequest::all("initial"));
    done(&finish(&mut capture, &mut log, "initial").await);
    // fewer: what is left was read
    let mut capture = log.connect(&one, new_tables(50)).await;
    database.exec("INSERT INTO t VALUES (5000); INSERT INTO u VALUES (5000)").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    assert!(added(&capture).is_none());
    // more: what was not told meanwhile is read, and nothing else
    let mut capture = log.connect(&all, new_tables(50)).await;
    while added(&capture).is_none() {
        log.add(next(&mut capture).await.unwrap());
    }
    let id = added(&capture).unwrap().request.id;
    let end = finish(&mut capture, &mut log, &id).await;
    done(&end);
    let tables: Vec<&str> = end.tables.iter().map(|t| t.table.as_str()).collect();
    assert_eq!(tables, [format!("{}.u", database.name())]);
    assert!(fold(&log, "u", &[0]).contains_key("5000"));
    // and not again
    let mut capture = log.connect(&all, new_tables(50)).await;
    database.exec("INSERT INTO t VALUES (5001)").await.unwrap();
    catch_up(&mut capture, &mut log, server).await;
    assert_eq!(capture.snapshots().len(), 2);
}
