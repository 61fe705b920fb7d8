//! A value by snapshot is the value by stream, and the server's own; and so is the schema.

use std::collections::HashMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use forebay_kit::Server;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_model::{Batch, Kind};
use forebay_source::mysql::{Capture, Config, Definition, SnapshotRequest, catalog};

use super::super::differ::{OLD_TIMES, Table, as_shown, case_table, cases, fill, random_table, seed};
use super::super::{config, text};
use super::{Log, begin, done, finish, next, small};

#[tokio::test]
async fn every_type_comes_out_the_same() {
    for (at, server) in [forebay_kit::mysql().await, forebay_kit::mariadb().await].into_iter().enumerate() {
        let cases = cases(at == 1);
        let tables: Vec<Table> =
            cases.iter().enumerate().map(|(i, case)| case_table(format!("t{i}"), case)).collect();
        by_both_ways(server, "same", &tables).await;
    }
}

#[tokio::test]
async fn old_times_of_mariadb_come_out_the_same() {
    let server = Server::start_mariadb(&["--mysql56-temporal-format=OFF"]).await.expect("a MariaDB");
    let tables: Vec<Table> =
        OLD_TIMES.iter().enumerate().map(|(i, case)| case_table(format!("t{i}"), case)).collect();
    by_both_ways(&server, "oldsame", &tables).await;
}

#[tokio::test]
async fn random_tables_come_out_the_same() {
    let seed = seed();
    eprintln!("FOREBAY_SEED={seed}");
    for (at, server) in [forebay_kit::mysql().await, forebay_kit::mariadb().await].into_iter().enumerate() {
        let tables: Vec<Table> = (0..12).map(|i| random_table(seed + i, format!("t{i}"), at == 1)).collect();
        by_both_ways(server, "samerandom", &tables).await;
    }
}

/// Holds every value by snapshot against the value by stream and against the server's own words.
async fn by_both_ways(server: &Server, prefix: &str, tables: &[Table]) {
    let database = server.database(prefix).await.expect("a database");
    let utf8 = format!("ALTER DATABASE `{}` CHARACTER SET utf8mb4", database.name());
    database.exec(&utf8).await.expect("utf8mb4");
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(3)).await;
    let mut conn = database.connect().await.expect("a connection");
    conn.query_drop("SET SESSION sql_mode = '', time_zone = '+00:00'").await.expect("settings");
    let mut shown = HashMap::new();
    for table in tables {
        shown.insert(table.name.clone(), fill(&mut conn, table).await);
    }
    let rows: usize = tables.iter().map(|t| t.rows.len()).sum();
    // each was inserted, and changed once
    while log.blocks.iter().map(|b| b.rows()).sum::<usize>() < 3 * rows {
        log.add(next(&mut capture).await.expect("a stream that goes on"));
    }
    // by stream: table, id -> its batch and row; the last image is the row as it is
    let streamed: Vec<Batch> = log.blocks.drain(..).flat_map(|b| b.batches).collect();
    let ids = |batch: &Batch| batch.columns[0].as_primitive::<Int32Type>().values().to_vec();
    let mut by_stream = HashMap::new();
    for (b, batch) in streamed.iter().enumerate() {
        for (row, id) in ids(batch).into_iter().enumerate() {
            by_stream.insert((batch.table.table.clone(), id), (b, row));
        }
    }
    assert_eq!(by_stream.len(), rows);

    begin(&mut capture, SnapshotRequest::all("all"));
    done(&finish(&mut capture, &mut log, "all").await);
    let mut seen = 0;
    for batch in log.blocks.iter().flat_map(|b| &b.batches) {
        assert!(batch.kinds.iter().all(|k| *k == Kind::Snapshot));
        let name = &batch.table.table;
        let table = tables.iter().find(|t| t.name == *name).expect("a table that was made");
        for (row, id) in ids(batch).into_iter().enumerate() {
            let (b, streamed_row) = by_stream[&(name.clone(), id)];
            let stream = &streamed[b];
            assert_eq!(batch.table, stream.table);
            for (column, (ours, theirs)) in batch.columns.iter().zip(&stream.columns).enumerate() {
                let same = ours.slice(row, 1).as_ref() == theirs.slice(streamed_row, 1).as_ref();
                assert!(
                    same,
                    "{name}, {}, value {id}: {} by snapshot, {} by stream",
                    batch.table.columns[column].native,
                    text::row(batch, row),
                    text::row(stream, streamed_row)
                );
            }
            for (i, (ty, _)) in table.columns.iter().enumerate() {
                let found = &batch.table.columns[i + 2].ty;
                let want: Option<String> = shown[name][id as usize].get(i).expect("as many as asked for");
                let got = as_shown(found, text::cell(found, &batch.columns[i + 2], row), &want);
                assert_eq!(got, want, "{ty}, inserted as {}", table.rows[id as usize][i]);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, rows);
}

#[tokio::test]
async fn every_schema_comes_out_the_same() {
    let server = forebay_kit::mysql().await;
    let database = server.database("sameschema").await.unwrap();
    let config = config(server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    database
        .exec(
            "CREATE TABLE t (
                a VARCHAR(64) NOT NULL, `sel``ect` INT UNSIGNED, IsKgLb TINYINT(1), b CHAR(10) CHARSET latin1,
                y YEAR, u SMALLINT UNSIGNED ZEROFILL, d DECIMAL(12,3) UNSIGNED, e ENUM('x','ý','it''s','b\\\\s') CHARSET latin1,
                s SET('p','q'), x TEXT, z VARBINARY(9), g POINT, h GEOMETRYCOLLECTION, j JSON, v VECTOR(4), w BIT(9),
                t3 TIME(3), f FLOAT UNSIGNED, ff FLOAT(7,4), big BIGINT UNSIGNED, hidden INT INVISIBLE,
                gen INT AS (`sel``ect` + 1) VIRTUAL, kept INT AS (`sel``ect` + 2) STORED, dz DECIMAL(5,2) ZEROFILL,
                tb TINYBLOB, mt MEDIUMTEXT CHARSET utf16, lb LONGBLOB, c255 CHAR(255) CHARSET utf8mb4, bin BINARY(3),
                ts TIMESTAMP(6) NULL, dt DATETIME, da DATE,
                PRIMARY KEY (`sel``ect`, a(5)), KEY f ((u + 1)), KEY m ((CAST(j AS UNSIGNED ARRAY)))
            );
            INSERT INTO t (a, `sel``ect`, u, big, dz, hidden, e) VALUES ('key', 7, 65535, 18446744073709551615, 1.5, 3, 'ý')",
        )
        .await
        .unwrap();
    the_schema_is_the_same(&mut capture, &mut log, &config, database.name()).await;
}

/// The table `t`, of one row, as the stream, a snapshot, a definition and the catalog say it.
async fn the_schema_is_the_same(capture: &mut Capture, log: &mut Log, config: &Config, database: &str) {
    while log.blocks.is_empty() {
        log.add(next(capture).await.expect("the stream gives"));
    }
    let streamed = log.blocks.remove(0).batches.remove(0);
    begin(capture, SnapshotRequest::all("all"));
    done(&finish(capture, log, "all").await);
    let batch = &log.blocks[0].batches[0];
    assert_eq!(batch.table, streamed.table);
    assert_eq!(text::row(batch, 0), text::row(&streamed, 0));
    let defined = Definition::of_server(config, database, "t").await.expect("a definition");
    let defined = defined.table_schema().expect("a schema");
    assert_eq!(defined, *streamed.table, "a definition means the same");
    assert_eq!(catalog(config).await.expect("a catalog"), [streamed.table]);
}

#[tokio::test]
async fn every_schema_of_mariadb_comes_out_the_same() {
    let server = forebay_kit::mariadb().await;
    let database = server.database("mariaschema").await.unwrap();
    let config = config(server, &[format!("{}.t", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(100)).await;
    database
        .exec(
            "CREATE TABLE t (
                a VARCHAR(64) CHARSET utf8mb4 NOT NULL, `sel``ect` INT UNSIGNED, b CHAR(10) CHARSET latin1, y YEAR,
                u SMALLINT UNSIGNED ZEROFILL, d DECIMAL(12,3) UNSIGNED, e ENUM('x','it''s') CHARSET latin1, s SET('p','q'),
                x TEXT COMPRESSED, z VARBINARY(9) COMPRESSED, v VARCHAR(40) CHARSET latin1 COMPRESSED, g POINT, j JSON, w BIT(9),
                t3 TIME(3), f FLOAT UNSIGNED, big BIGINT UNSIGNED, hidden INT INVISIBLE, uu UUID NOT NULL, i6 INET6, i4 INET4,
                gen INT AS (`sel``ect` + 1) VIRTUAL, kept INT AS (`sel``ect` + 2) STORED, ts TIMESTAMP(6) NULL, dt DATETIME,
                c16 VARCHAR(9) CHARSET utf16 COLLATE utf16_uca1400_ai_ci,
                PRIMARY KEY (uu, `sel``ect`)
            );
            INSERT INTO t (a, `sel``ect`, u, big, hidden, e, uu, i6, x, v, c16)
            VALUES ('key', 7, 65535, 18446744073709551615, 3, 'x', UUID(), '::1', 'text', 'é', 'č😀')",
        )
        .await
        .unwrap();
    the_schema_is_the_same(&mut capture, &mut log, &config, database.name()).await;
}
