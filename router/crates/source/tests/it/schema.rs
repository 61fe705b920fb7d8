//! Schema through time, against a real server: what a stream calls its columns is what they were called.

use std::collections::BTreeMap;

use forebay_kit::mysql_async::Conn;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_kit::{Database, Server};
use forebay_model::{Batch, Block, Note, Op, Position, VIRTUAL_DATABASE};
use forebay_source::mysql::{
    Captured, Config, Definition, Limits, Recovery, Start, Stream, decode_quarantined,
};

use super::{check, config, connect, next, text};

/// The server without names in its binlog.
pub(super) async fn minimal() -> Server {
    Server::start(&["--binlog-row-metadata=MINIMAL"]).await.expect("a MySQL server")
}

/// What a changelog would hold.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) blocks: Vec<Block>,
    position: Option<Position>,
    notes: BTreeMap<String, Vec<u8>>,
}

impl Log {
    pub(super) fn add(&mut self, captured: Captured) {
        if let Some(block) = captured.block {
            check(&block);
            self.blocks.push(block);
        }
        if let Some(position) = captured.position {
            self.position = Some(position);
        }
        for Note { key, value } in captured.notes {
            match value {
                Some(value) => self.notes.insert(key, value),
                None => self.notes.remove(&key),
            };
        }
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        self.notes.iter().map(|(k, v)| Note { key: k.clone(), value: Some(v.clone()) }).collect()
    }

    pub(super) async fn resume(&self, config: &Config) -> Stream {
        let start = Start::At(self.position.clone().expect("a position"));
        Stream::resume(config, start, Limits::default(), &self.notes()).await.expect("a stream")
    }

    /// Reads until the stream has everything that the server has now.
    pub(super) async fn read(&mut self, stream: &mut Stream, server: &Server) {
        let (_, _, executed) = server.binlog_end().await.expect("the server answers");
        let executed = executed.parse().expect("the server answers");
        let is_behind = |log: &Log| match &log.position {
            Some(p) => !forebay_model::GtidSet::is_subset(&executed, &p.gtids),
            None => true,
        };
        while is_behind(self) {
            self.add(next(stream).await.expect("the server answers"));
        }
    }

    /// Every change since the last call, in order; of the virtual tables what matters.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.blocks).iter().flat_map(named).collect()
    }

    pub(super) fn rows(&mut self) -> Vec<String> {
        self.take().into_iter().filter(|r| !r.starts_with("# ") && !r.starts_with("kept ")).collect()
    }
}

/// Changes with the names of their columns: `t +id=1,v=a`.
pub(super) fn named(block: &Block) -> Vec<String> {
    let mut out = Vec::new();
    for (b, r) in block.runs_in_order() {
        let batch = &block.batches[b as usize];
        let row = |row: Option<u32>| {
            let values = text::cells(batch, row.expect("an image") as usize);
            let names = batch.table.columns.iter().map(|c| c.name.as_str());
            names.zip(values).map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(",")
        };
        for event in batch.events_of(r as usize..r as usize + 1) {
            out.push(match (batch.table.database.as_str(), batch.table.table.as_str(), event.op) {
                (VIRTUAL_DATABASE, "schema_changes", _) => {
                    change(batch, event.after.expect("an image") as usize)
                }
                (VIRTUAL_DATABASE, ..) => {
                    format!("kept {}", text::cells(batch, event.after.expect("an image") as usize)[1])
                }
                (_, table, Op::Create | Op::Read) => format!("{table} +{}", row(event.after)),
                (_, table, Op::Delete) => format!("{table} -{}", row(event.before)),
                (_, table, Op::Update) => format!("{table} {} > {}", row(event.before), row(event.after)),
            });
        }
    }
    out
}

/// `# t: statement: change`
fn change(batch: &Batch, row: usize) -> String {
    let cells = text::cells(batch, row);
    format!("# {}: {}: {}", cells[1], cells[2], cells[3])
}

/// `CREATE DATABASE` with a table of many kinds of columns.
const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), e ENUM('x','y') CHARSET latin1, u INT UNSIGNED, \
    x TEXT CHARSET latin1, s SET('p','q'), d DECIMAL(5,2) NOT NULL DEFAULT 1)";

/// Every kind of change, each followed by a write; and the columns that the row must have.
const CHANGES: &[&str] = &[
    "ALTER TABLE t ADD COLUMN n1 INT DEFAULT 7 FIRST",
    "ALTER TABLE t ADD n2 CHAR(3) DEFAULT 'né' AFTER id",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t RENAME COLUMN n1 TO n2, RENAME COLUMN n2 TO n1",
    "ALTER TABLE t CHANGE u big BIGINT UNSIGNED NULL AFTER s",
    "ALTER TABLE t MODIFY e ENUM('x','new','y') CHARSET utf8mb4 FIRST",
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb3",
    "ALTER TABLE t ADD inst INT DEFAULT 3, ALGORITHM=INSTANT",
    "ALTER TABLE t DROP COLUMN inst, ALGORITHM=INSTANT",
    "ALTER TABLE t RENAME COLUMN big TO small, ALGORITHM=INSTANT",
    "ALTER TABLE t MODIFY d DECIMAL(20,4) NULL, ADD INDEX i (d)",
    "ALTER TABLE t ADD v INT AS (id * 2) VIRTUAL, ADD w INT AS (id * 3) STORED, ADD h INT INVISIBLE DEFAULT 9",
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, n1(2))",
    "CREATE INDEX j ON t (id)",
    "TRUNCATE TABLE t",
    "RENAME TABLE t TO t2, t2 TO t",
    "CREATE TABLE g LIKE t; ALTER TABLE g ADD ghost INT DEFAULT 5 FIRST; RENAME TABLE t TO o, g TO t; DROP TABLE o",
    "DROP TABLE t; CREATE TABLE t (other VARCHAR(20) CHARSET koi8r, id BIGINT UNSIGNED PRIMARY KEY)",
    "DROP TABLE t; CREATE TABLE t AS SELECT CAST(5 AS UNSIGNED) id, 'x' y",
    "SET SESSION sql_mode = 'ANSI_QUOTES'; ALTER TABLE \"t\" ADD \"q\"\"uoted\" INT; SET SESSION sql_mode = DEFAULT",
    "SET NAMES latin1; ALTER TABLE t ADD `na\u{c3}\u{af}ve` INT; SET NAMES utf8mb4",
];

/// Inserts a row with this id, and says how it must come: by the server's own names and values.
async fn write(conn: &mut Conn, id: u32) -> String {
    conn.query_drop(format!("INSERT INTO t (id) VALUES ({id})")).await.expect("the server answers");
    let names: Vec<String> = conn
        .query(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' \
             ORDER BY ORDINAL_POSITION",
        )
        .await
        .expect("the server answers");
    let list: Vec<String> =
        names.iter().map(|n| format!("CAST(`{n}` AS CHAR CHARACTER SET utf8mb4)")).collect();
    let row: forebay_kit::mysql_async::Row = conn
        .query_first(format!("SELECT {} FROM t WHERE id = {id}", list.join(", ")))
        .await
        .expect("the server answers")
        .expect("the row");
    let values = (0..names.len())
        .map(|i| row.get::<Option<String>, _>(i).expect("the server answers").unwrap_or("NULL".into()));
    let cells: Vec<String> = names.iter().zip(values).map(|(n, v)| format!("{n}={v}")).collect();
    format!("t +{}", cells.join(","))
}

pub(super) async fn run(conn: &mut Conn, statements: &str) {
    for sql in statements.split("; ") {
        conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// Makes every kind of change; `away` from the stream, `behind` it (all at once), or with it connected all the time.
async fn every_change(server: &Server, how: &str) {
    let database = server.database(how).await.expect("the server answers");
    let config = config(server, &[format!("{}.t", database.name())]);
    let mut conn = database.connect().await.expect("the server answers");
    let mut log = Log::default();
    let mut stream = connect(&config, Start::Now).await;
    log.read(&mut stream, server).await;
    run(&mut conn, TABLE).await;
    let mut wanted = vec![write(&mut conn, 1).await];
    log.read(&mut stream, server).await;
    let mut stream = Some(stream);
    for (i, change) in CHANGES.iter().enumerate() {
        if how != "connected" {
            stream = None;
        }
        run(&mut conn, change).await;
        wanted.push(write(&mut conn, 100 + i as u32).await);
        if how == "behind" {
            continue;
        }
        let stream = match &mut stream {
            Some(stream) => stream,
            None => stream.insert(log.resume(&config).await),
        };
        log.read(stream, server).await;
        assert_eq!(stream.quarantined(), [], "{change}");
    }
    let mut stream = match stream {
        Some(stream) => stream,
        None => log.resume(&config).await,
    };
    log.read(&mut stream, server).await;
    assert_eq!(stream.quarantined(), []);
    let got = log.take();
    // a table made from a SELECT has the row of that
    let rows: Vec<&String> = got.iter().filter(|r| !r.starts_with("# ") && *r != "t +id=5,y=x").collect();
    assert_eq!(rows, wanted.iter().collect::<Vec<_>>());
    let told = got.iter().filter(|r| r.starts_with("# t: ")).count();
    assert_eq!(told, 1 + CHANGES.len() + 2, "{got:#?}");
    assert!(!got.iter().any(|r| r.contains("\"understood\":false")), "{got:#?}");
    // those that were only seen in table maps have no statement
    assert!(!got.iter().any(|r| r.starts_with("# t: NULL")), "{got:#?}");
}

#[tokio::test]
async fn every_change_with_names_in_the_binlog() {
    let server = forebay_kit::mysql().await;
    for how in ["connected", "away", "behind"] {
        every_change(server, how).await;
    }
}

#[tokio::test]
async fn every_change_without_names_in_the_binlog() {
    let server = minimal().await;
    for how in ["connected", "away", "behind"] {
        every_change(&server, how).await;
    }
}

async fn two_tables(server: &Server, name: &str) -> (Database, Config, Log, Stream) {
    let database = server.database(name).await.expect("the server answers");
    let config = config(server, &[format!("{}.*", database.name())]);
    database
        .exec("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)); CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (1)")
        .await
        .expect("the server answers");
    let mut log = Log::default();
    let mut stream = connect(&config, Start::Now).await;
    log.read(&mut stream, server).await;
    database.exec("INSERT INTO t VALUES (2, 'b')").await.expect("the server answers");
    log.read(&mut stream, server).await;
    assert_eq!(log.rows(), ["t +id=2,v=b"]);
    (database, config, log, stream)
}

#[tokio::test]
async fn a_hidden_change_puts_one_table_aside_and_nothing_is_lost() {
    let server = minimal().await;
    let (database, config, mut log, mut stream) = two_tables(&server, "hidden").await;
    let name = database.name();
    database
        .exec(
            "SET sql_log_bin = 0; ALTER TABLE t ADD n INT DEFAULT 4 FIRST; SET sql_log_bin = 1;
             INSERT INTO t (id, v) VALUES (3, 'c'), (4, 'd'); INSERT INTO u VALUES (2);
             UPDATE t SET v = 'e' WHERE id = 3; DELETE FROM t WHERE id = 2",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    let aside = stream.quarantined();
    assert_eq!((aside.len(), aside[0].table.as_str(), aside[0].events), (1, "t", 3), "{aside:?}");
    assert!(aside[0].reason.contains("3 columns") && aside[0].since.contains("binlog."), "{aside:?}");
    let definition = Definition::of_server(&config, name, "t").await.unwrap();
    let kept = std::mem::take(&mut log.blocks);
    let seen: Vec<String> = kept.iter().flat_map(named).collect();
    assert_eq!(seen, ["kept t", "u +id=2", "kept t", "kept t"]);

    // it stays so over a new connection, and a statement in the binlog is carried on when the events are decoded
    drop(stream);
    let mut stream = log.resume(&config).await;
    database
        .exec(
            "ALTER TABLE t CHANGE v w VARCHAR(9); INSERT INTO t VALUES (7, 5, 'f'); INSERT INTO u VALUES (3)",
        )
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined()[0].events, 4);
    let mut blocks = kept;
    blocks.append(&mut log.blocks);
    let mut recovery = Recovery::new(definition).unwrap();
    let mut decoded = Vec::new();
    for block in &blocks {
        let block = recovery.decode(block).unwrap();
        check(&block);
        assert!(block.origin.txns.iter().all(|t| t.number > 0 && t.commit_us > 0));
        decoded.extend(named(&block));
    }
    assert_eq!(
        decoded,
        [
            "t +n=4,id=3,v=c",
            "t +n=4,id=4,v=d",
            "t n=4,id=3,v=c > n=4,id=3,v=e",
            "t -n=4,id=2,v=b",
            "t +n=7,id=5,w=f"
        ]
    );
    assert_eq!(recovery.events(), 5);

    let lifted = stream.lift(&recovery.definition().unwrap().unwrap()).expect("nothing is under way");
    assert!(lifted.block.is_none() && lifted.position.is_some());
    log.add(lifted);
    assert!(stream.quarantined().is_empty() && !log.notes.keys().any(|k| k.starts_with("quarantine/")));
    database.exec("INSERT INTO t VALUES (8, 6, 'g')").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +n=8,id=6,w=g"]);
    // and over a new connection
    let mut stream = log.resume(&config).await;
    database.exec("INSERT INTO t VALUES (9, 7, 'h')").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +n=9,id=7,w=h"]);
}

/// As gh-ost and others do it.
pub(super) const SWAP: &str = "CREATE TABLE _t_gho LIKE t; ALTER TABLE _t_gho ADD COLUMN m INT DEFAULT 6 FIRST; \
                    RENAME TABLE t TO _t_del, _t_gho TO t";

#[tokio::test]
async fn a_table_that_is_swapped_while_it_stands_aside() {
    let server = minimal().await;
    let (database, config, mut log, mut stream) = two_tables(&server, "swapped").await;
    // of before the quarantine: the definition has it
    database.exec("ALTER TABLE t CHANGE v w VARCHAR(9); INSERT INTO t VALUES (8, 'z')").await.unwrap();
    log.read(&mut stream, &server).await;
    database
        .exec("SET sql_log_bin = 0; ALTER TABLE t ADD n INT DEFAULT 4 FIRST; SET sql_log_bin = 1; INSERT INTO t (id, w) VALUES (3, 'c')")
        .await
        .unwrap();
    let definition = Definition::of_server(&config, database.name(), "t").await.unwrap();
    database.exec(&format!("{SWAP}; INSERT INTO t (id, w) VALUES (4, 'd')")).await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined()[0].events, 2);
    let mut recovery = Recovery::new(definition).unwrap();
    let decoded: Vec<String> = log.blocks.iter().flat_map(|b| named(&recovery.decode(b).unwrap())).collect();
    assert_eq!(decoded, ["t +n=4,id=3,w=c", "t +m=6,n=4,id=4,w=d"]);
    log.add(stream.lift(&recovery.definition().unwrap().unwrap()).expect("nothing is under way"));
    log.take();
    database.exec("INSERT INTO t VALUES (1, 2, 5, 'e')").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +m=1,n=2,id=5,w=e"]);
}

#[tokio::test]
async fn what_nobody_knows_is_given_up_and_the_table_goes_on() {
    let server = minimal().await;
    let (database, _, mut log, mut stream) = two_tables(&server, "given_up").await;
    database
        .exec("SET sql_log_bin = 0; ALTER TABLE t ADD n INT DEFAULT 4 FIRST; SET sql_log_bin = 1; INSERT INTO t (id, v) VALUES (3, 'c')")
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(stream.quarantined().len(), 1);
    let nothing = Definition::given_up(database.name(), "t");
    assert!(nothing.is_given_up());
    log.add(stream.lift(&nothing).expect("nothing is under way"));
    assert!(stream.quarantined().is_empty() && !log.notes.keys().any(|k| k.starts_with("quarantine/")));
    log.take();
    database.exec("INSERT INTO t (id, v) VALUES (4, 'd'); INSERT INTO u VALUES (9)").await.unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +n=4,id=4,v=d", "u +id=9"]);
}

#[tokio::test]
async fn a_hidden_change_is_found_while_nobody_writes() {
    let server = minimal().await;
    let (database, config, mut log, stream) = two_tables(&server, "found").await;
    drop(stream);
    // the types do not tell
    database
        .exec("SET sql_log_bin = 0; ALTER TABLE t RENAME COLUMN v TO w; SET sql_log_bin = 1")
        .await
        .unwrap();
    database.exec("INSERT INTO u VALUES (5)").await.unwrap();
    let mut stream = log.resume(&config).await;
    log.read(&mut stream, &server).await;
    let aside = stream.quarantined();
    assert_eq!((aside.len(), aside[0].table.as_str(), aside[0].events), (1, "t", 0), "{aside:?}");
    database.exec("INSERT INTO t VALUES (6, 'x'); INSERT INTO u VALUES (6)").await.unwrap();
    log.read(&mut stream, &server).await;
    let blocks = std::mem::take(&mut log.blocks);
    assert_eq!(blocks.iter().flat_map(named).collect::<Vec<_>>(), ["u +id=5", "kept t", "u +id=6"]);
    // the same with a table schema as the rest of the program has it
    let schemas = forebay_source::mysql::catalog(&config).await.unwrap();
    let schema = schemas.iter().find(|s| s.table == "t").unwrap();
    let decoded: Vec<String> =
        blocks.iter().flat_map(|b| named(&decode_quarantined(b, schema).unwrap())).collect();
    assert_eq!(decoded, ["t +id=6,w=x"]);
}

#[tokio::test]
async fn a_hidden_change_among_writes_that_nobody_heard_is_found_before_they_are_read() {
    let server = minimal().await;
    // a statement that is in the binlog does not lead away from it
    for (more, kept) in [("", 2), ("ALTER TABLE t ADD n INT; INSERT INTO t (id) VALUES (5);", 3)] {
        let (database, config, mut log, stream) = two_tables(&server, "unheard").await;
        drop(stream);
        database
            .exec(&format!(
                "INSERT INTO t VALUES (3, 'c'); SET sql_log_bin = 0; ALTER TABLE t RENAME COLUMN v TO w; SET sql_log_bin = 1; \
                 INSERT INTO t VALUES (4, 'd'); {more} ALTER TABLE u ADD COLUMN x INT; INSERT INTO u VALUES (2, 3)"
            ))
            .await
            .unwrap();
        let mut stream = log.resume(&config).await;
        log.read(&mut stream, &server).await;
        let aside = stream.quarantined();
        assert_eq!((aside.len(), aside[0].table.as_str(), aside[0].events), (1, "t", kept), "{aside:?}");
        assert!(aside[0].reason.contains("not in the binlog"), "{aside:?}");
        let seen: Vec<String> = log.take().into_iter().filter(|r| !r.starts_with("# ")).collect();
        let mut wanted = vec!["kept t"; kept as usize];
        wanted.push("u +id=2,x=3");
        assert_eq!(seen, wanted);
    }
}

#[tokio::test]
async fn a_table_that_nothing_is_known_of() {
    let server = minimal().await;
    let database = server.database("unknown").await.unwrap();
    database
        .exec(
            "CREATE TABLE early (id INT PRIMARY KEY, old INT); INSERT INTO early VALUES (1, 1);
             CREATE TABLE hid (id INT PRIMARY KEY, a INT); CREATE TABLE u (id INT PRIMARY KEY)",
        )
        .await
        .unwrap();
    // the statements that made the tables are gone
    server.exec("FLUSH BINARY LOGS").await.unwrap();
    let (file, _, _) = server.binlog_end().await.unwrap();
    server.exec(&format!("PURGE BINARY LOGS TO '{file}'")).await.unwrap();
    database
        .exec(
            "INSERT INTO early VALUES (2, 2); INSERT INTO hid VALUES (1, 1); INSERT INTO u VALUES (1);
             ALTER TABLE hid RENAME COLUMN a TO b; INSERT INTO hid VALUES (2, 2); INSERT INTO u VALUES (2)",
        )
        .await
        .unwrap();
    let config = config(&server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut stream = connect(&config, Start::Earliest).await;
    log.read(&mut stream, &server).await;
    // no statement follows for two of them; for the third the present definition is another than that of its rows
    assert_eq!(stream.quarantined().len(), 1);
    let blocks = std::mem::take(&mut log.blocks);
    let definition =
        Definition::of_statement(database.name(), "hid", "CREATE TABLE hid (id INT PRIMARY KEY, a INT)")
            .unwrap();
    let mut recovery = Recovery::new(definition).unwrap();
    let got: Vec<String> = blocks.iter().flat_map(named).filter(|r| !r.starts_with("# ")).collect();
    assert_eq!(got, ["early +id=2,old=2", "kept hid", "u +id=1", "kept hid", "u +id=2"]);
    let decoded: Vec<String> = blocks.iter().flat_map(|b| named(&recovery.decode(b).unwrap())).collect();
    assert_eq!(decoded, ["hid +id=1,a=1", "hid +id=2,b=2"]);
    let wrong =
        Definition::of_statement(database.name(), "hid", "CREATE TABLE hid (id INT PRIMARY KEY)").unwrap();
    let mut wrong = Recovery::new(wrong).unwrap();
    assert!(blocks.iter().any(|b| wrong.decode(b).is_err_and(|e| e.code().name == "mysql.definition")));
}

#[tokio::test]
async fn a_statement_that_is_not_understood_stops_nobody() {
    let server = minimal().await;
    let (database, _, mut log, mut stream) = two_tables(&server, "unclear").await;
    // our parser knows no such columns, the server does
    database
        .exec("ALTER TABLE t COMMENT = 'x' STATS_PERSISTENT = 1, ADD n INT FIRST; INSERT INTO t VALUES (1, 3, 'c')")
        .await
        .unwrap();
    log.read(&mut stream, &server).await;
    assert_eq!(log.rows(), ["t +n=1,id=3,v=c"]);
    assert!(stream.quarantined().is_empty());
}

/// Small numbers that look random; the same ones for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }

    fn definition(&mut self) -> String {
        let ty = self.pick(&[
            "INT",
            "INT(5) UNSIGNED",
            "BIGINT",
            "TINYINT(1)",
            "DECIMAL(9,3)",
            "FLOAT",
            "DOUBLE",
            "VARCHAR(20)",
            "CHAR(7)",
            "VARCHAR(9) CHARSET latin1",
            "TEXT",
            "TEXT CHARSET latin1",
            "TINYTEXT",
            "TEXT(300)",
            "ENUM('a','b''c')",
            "SET('x','y','z')",
            "DATETIME(3)",
            "TIMESTAMP",
            "TIME",
            "DATE",
            "YEAR",
            "BIT(3)",
            "VARBINARY(5)",
            "BLOB",
            "JSON",
            "NATIONAL CHAR(4)",
            "BOOL",
            "MEDIUMINT ZEROFILL",
            "POINT",
            "VECTOR(2)",
            "BINARY(3)",
            "LONG VARCHAR",
            "REAL",
            "NUMERIC",
        ]);
        let null = self.pick(&["", "", "NULL"]);
        let rest = self.pick(&["", "COMMENT 'a, DROP b'", "/* c int */", "INVISIBLE", "-- x\n"]);
        format!("{ty} {null} {rest}")
    }

    fn place(&mut self, columns: &[String]) -> String {
        match self.roll(4) {
            0 => "FIRST".into(),
            1 => format!("AFTER `{}`", columns[self.roll(columns.len())]),
            _ => String::new(),
        }
    }

    fn clause(&mut self, columns: &[String], fresh: &str) -> String {
        let column = columns[self.roll(columns.len())].clone();
        let (definition, place) = (self.definition(), self.place(columns));
        let word = self.pick(&["COLUMN ", ""]);
        match self.roll(12) {
            0..=3 => format!("ADD {word}`{fresh}` {definition} {place}"),
            4 => format!("DROP {word}`{column}`"),
            5 => format!("RENAME COLUMN `{column}` TO {fresh}"),
            6 => format!("CHANGE {word}`{column}` `{fresh}` {definition} {place}"),
            7 | 8 => format!("MODIFY {word}`{column}` {definition} {place}"),
            9 => self
                .pick(&[
                    "CONVERT TO CHARSET latin1",
                    "CONVERT TO CHARACTER SET utf8mb4",
                    "CHARSET utf8mb3",
                    "COMMENT 'x'",
                ])
                .into(),
            10 => format!("DROP PRIMARY KEY, ADD PRIMARY KEY (id, `{column}`)"),
            _ => format!("ADD INDEX (`{column}`)"),
        }
    }
}

/// A column as the server describes it: name, type, whether it may be NULL.
type Described = (String, String, bool);

async fn described(conn: &mut Conn) -> Vec<Described> {
    let rows: Vec<(String, String, String)> = conn
        .query(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' ORDER BY ORDINAL_POSITION",
        )
        .await
        .expect("the server answers");
    rows.into_iter().map(|(name, ty, null)| (name, ty, null == "YES")).collect()
}

/// The same as a note has it; `None` = the table is to be asked for.
fn noted(note: &[u8]) -> Option<Vec<Described>> {
    let note: serde_json::Value = serde_json::from_slice(note).expect("a note");
    let columns = note["version"]["columns"].as_array()?;
    let text = |v: &serde_json::Value| v.as_str().expect("a note").to_owned();
    let column = |c: &serde_json::Value| {
        (text(&c["name"]), text(&c["type"]["name"]), c["nullable"].as_bool().expect("a note"))
    };
    Some(columns.iter().map(column).collect())
}

#[tokio::test]
async fn whatever_is_altered_in_whatever_order() {
    let server = minimal().await;
    let seed = std::env::var("FOREBAY_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let (mut done, mut refused, mut unclear) = (0, 0, 0);
    for seed in seed..seed + 4 {
        let mut dice = Dice(seed);
        let database = server.database("random").await.unwrap();
        let config = config(&server, &[format!("{}.t", database.name())]);
        let mut conn = database.connect().await.unwrap();
        conn.query_drop("SET SESSION sql_mode = ''").await.unwrap();
        let mut log = Log::default();
        let mut stream = connect(&config, Start::Now).await;
        log.read(&mut stream, &server).await;
        run(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b INT)").await;
        let mut made: Vec<String> = Vec::new();
        for step in 0..60u32 {
            let columns: Vec<String> =
                described(&mut conn).await.into_iter().map(|c| c.0).filter(|c| c != "id").collect();
            if columns.is_empty() {
                break;
            }
            let clauses: Vec<String> =
                (0..=dice.roll(3)).map(|i| dice.clause(&columns, &format!("c{step}_{i}"))).collect();
            let sql =
                format!("ALTER TABLE {} {}", dice.pick(&["t", "`t`", "/* x */ t\n"]), clauses.join(" ,"));
            // the server says what is possible
            if conn.query_drop(&sql).await.is_err() {
                refused += 1;
                continue;
            }
            done += 1;
            made.push(sql);
            if dice.roll(4) == 0 {
                drop(stream);
                stream = log.resume(&config).await;
            }
            if dice.roll(3) > 0 {
                log.read(&mut stream, &server).await;
                let note = &log.notes[&format!("schema/{}.t", database.name())];
                match noted(note) {
                    Some(noted) => assert_eq!(noted, described(&mut conn).await, "seed {seed}: {made:#?}"),
                    None => unclear += 1,
                }
            }
            let names: Vec<String> = described(&mut conn).await.into_iter().map(|c| c.0).collect();
            if conn.query_drop(format!("REPLACE INTO t (id) VALUES ({step})")).await.is_ok() {
                log.take();
                log.read(&mut stream, &server).await;
                let got = log.rows();
                let [row] = &got[..] else { panic!("seed {seed}: {got:?} {made:#?}") };
                let seen: Vec<&str> = row
                    .trim_start_matches("t +")
                    .split(',')
                    .filter_map(|c| Some(c.split_once('=')?.0))
                    .collect();
                assert_eq!(seen, names, "seed {seed}: {made:#?}");
            }
            assert_eq!(stream.quarantined(), [], "seed {seed}: {made:#?}");
        }
    }
    assert!(done > refused && done > 60 && unclear < done / 20, "{done} {refused} {unclear}");
}
