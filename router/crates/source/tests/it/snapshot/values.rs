//! A value by snapshot is the value by stream, and so is the schema.

use std::collections::HashMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use forebay_kit::mysql_async::prelude::Queryable as _;
use forebay_model::{Batch, Kind};
use forebay_source::mysql::{SnapshotRequest, catalog};

use super::super::types::CASES;
use super::super::{config, text};
use super::{Log, begin, done, finish, next, small};

#[tokio::test]
async fn every_type_comes_out_the_same() {
    let server = forebay_kit::mysql().await;
    let database = server.database("same").await.unwrap();
    let config = config(server, &[format!("{}.*", database.name())]);
    let mut log = Log::default();
    let mut capture = log.connect(&config, small(3)).await;
    let mut conn = database.connect().await.unwrap();
    conn.query_drop("SET SESSION sql_mode = '', time_zone = '+00:00'").await.unwrap();
    let mut rows = 0;
    for (i, (ty, _, values)) in CASES.iter().enumerate() {
        conn.query_drop(format!("CREATE TABLE t{i} (id INT PRIMARY KEY, v {ty}, after_it INT)"))
            .await
            .unwrap();
        for (id, value) in values.iter().chain(&["NULL"]).enumerate() {
            conn.query_drop(format!("INSERT INTO t{i} VALUES ({id}, {value}, {id})")).await.unwrap();
            rows += 1;
        }
    }
    while log.blocks.iter().map(|b| b.rows()).sum::<usize>() < rows {
        log.add(next(&mut capture).await.unwrap());
    }
    // by stream: table, id -> its batch and row
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
        for (row, id) in ids(batch).into_iter().enumerate() {
            let (b, streamed_row) = by_stream[&(batch.table.table.clone(), id)];
            let stream = &streamed[b];
            assert_eq!(batch.table, stream.table);
            for (column, (ours, theirs)) in batch.columns.iter().zip(&stream.columns).enumerate() {
                let same = ours.slice(row, 1).as_ref() == theirs.slice(streamed_row, 1).as_ref();
                let case = &CASES[batch.table.table[1..].parse::<usize>().unwrap()];
                assert!(
                    same,
                    "{} value {id}, column {column}: {} by snapshot, {} by stream",
                    case.0,
                    text::row(batch, row),
                    text::row(stream, streamed_row)
                );
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
    while log.blocks.is_empty() {
        log.add(next(&mut capture).await.unwrap());
    }
    let streamed = log.blocks.remove(0).batches.remove(0);
    begin(&mut capture, SnapshotRequest::all("all"));
    done(&finish(&mut capture, &mut log, "all").await);
    let batch = &log.blocks[0].batches[0];
    assert_eq!(batch.table, streamed.table);
    assert_eq!(text::row(batch, 0), text::row(&streamed, 0));
    assert_eq!(catalog(&config).await.unwrap(), [streamed.table]);
}
