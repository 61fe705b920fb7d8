//! Random tables and rows, written by an encoder of the tests' own, read back; and the same bytes read by
//! mysql_common, where it is right.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use forebay_model::Kind;
use mysql_common::Value;
use mysql_common::binlog::consts::BinlogVersion;
use mysql_common::binlog::events::{EventData, RowsEventData};
use mysql_common::binlog::value::BinlogValue;
use mysql_common::binlog::{BinlogFile, row::BinlogRow};
use proptest::prelude::*;

use super::{Filling, Plan, Present, Size};
use crate::mysql::binlog::{HEADER, RowsHead, TableMap, kinds, types};

mod made;
#[path = "../../../tests/it/text.rs"]
mod text;

use made::{Made, hex, kinds_of_columns, made, rows, signed, table_map};

fn decode(map: &[u8], rows: &[u8]) -> Result<forebay_model::Batch, String> {
    let map = TableMap::parse(map, false).map_err(|e| format!("{e:?}"))?;
    let plan = Arc::new(Plan::new(&map).map_err(|e| e.to_string())?);
    let head = RowsHead::parse(kinds::WRITE_ROWS, rows).map_err(|e| format!("{e:?}"))?;
    if head.columns != plan.width() {
        return Err("another number of columns".into());
    }
    let mut filling = Filling::new(plan, &Size::default());
    let mut bytes = head.images;
    while !bytes.is_empty() {
        let before = bytes.len();
        filling
            .push(Kind::Insert, Present::of(head.present, head.columns), &mut bytes)
            .map_err(|e| format!("{e:?}"))?;
        if bytes.len() == before {
            return Err("an image of no bytes".into());
        }
    }
    let (batch, _, wrong) = filling.finish();
    if let Some(wrong) = wrong { Err(format!("{wrong:?}")) } else { Ok(batch) }
}

/// The two events as a binlog file, for mysql_common.
fn as_file(map: &[u8], rows: &[u8]) -> Vec<u8> {
    let mut description = vec![4, 0];
    description.extend_from_slice(&[0; 50]);
    description[2..7].copy_from_slice(b"9.7.4");
    description.extend_from_slice(&[0, 0, 0, 0, 19]);
    // sizes of post-headers, as 8.0 has them
    description.extend_from_slice(&[
        0, 13, 0, 8, 0, 0, 0, 0, 4, 0, 4, 0, 0, 0, 98, 0, 4, 26, 8, 0, 0, 0, 8, 8, 8, 2, 0, 0, 0, 10, 10, 10,
        42, 42, 0, 18, 52, 0, 10, 40, 0,
    ]);
    description.extend_from_slice(&[0, 0, 0, 0, 0]);
    let mut file = b"\xfebin".to_vec();
    for (kind, body) in [(15, &description[..]), (19, map), (30, rows)] {
        let mut header = [0; HEADER];
        header[4] = kind;
        header[9..13].copy_from_slice(&((HEADER + body.len()) as u32).to_le_bytes());
        file.extend_from_slice(&header);
        file.extend_from_slice(body);
    }
    file
}

/// What mysql_common reads.
fn oracle(map: &[u8], rows: &[u8]) -> Vec<BinlogRow> {
    let mut file = BinlogFile::new(BinlogVersion::Version4, Cursor::new(as_file(map, rows))).unwrap();
    let mut out = Vec::new();
    while let Some(event) = file.next() {
        if let Some(EventData::RowsEvent(RowsEventData::WriteRowsEvent(rows))) =
            event.unwrap().read_data().unwrap()
        {
            let map = file.reader().get_tme(rows.table_id()).unwrap();
            out.extend(rows.rows(map).map(|row| row.unwrap().1.unwrap()));
        }
    }
    out
}

fn tables() -> impl Strategy<Value = (Vec<Made>, Vec<Vec<Option<u64>>>)> {
    let all = kinds_of_columns();
    let columns = prop_oneof![
        prop::collection::vec(prop::sample::select(all.clone()), 1..20),
        // long runs of one type, past 32 and 64 columns
        (prop::sample::select(all), 1usize..140).prop_map(|(column, n)| vec![column; n]),
    ];
    columns.prop_flat_map(|columns| {
        let row = prop::collection::vec(prop::option::weighted(0.8, any::<u64>()), columns.len());
        (Just(columns), prop::collection::vec(row, 1..40))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_was_written_is_read((columns, values) in tables()) {
        let map = table_map(&columns);
        let (rows, shown) = rows(&columns, &values);
        let batch = decode(&map, &rows).unwrap();
        let runs = vec![forebay_model::Run { pos: 0, row: 0, event: 0, nth: 0, txn: 0, seconds: 0, part: 0 }];
        forebay_model::Batch { runs, ..batch.clone() }.check();
        prop_assert_eq!(batch.table.key.as_slice(), &[0]);
        for (row, texts) in shown.iter().enumerate() {
            for (c, text) in texts.iter().enumerate() {
                let cell = text::cell(&batch.table.columns[c].ty, &batch.columns[c], row);
                prop_assert_eq!(&cell, text, "row {} column {} {:?}", row, c, columns[c].code);
            }
        }
    }

    #[test]
    fn mysql_common_reads_the_same((columns, values) in tables()) {
        // where its values have a form to compare; it forgets the sign of MEDIUMINT and the year 0
        let plain = |c: &Made| {
            matches!(c.code, 1..=5 | 8 | 246 | 15) && c.collation == 255
                || c.code == types::BLOB
                || c.code == types::INT24 && c.unsigned
        };
        let keep: Vec<bool> = columns.iter().map(plain).collect();
        let columns: Vec<Made> = columns.into_iter().filter(plain).collect();
        prop_assume!(!columns.is_empty());
        let values: Vec<Vec<Option<u64>>> = values.into_iter().map(|row| {
            row.into_iter().zip(&keep).filter(|(_, k)| **k).map(|(v, _)| v).collect()
        }).collect();
        let map = table_map(&columns);
        let (rows, _) = rows(&columns, &values);
        let batch = decode(&map, &rows).unwrap();
        for (r, row) in oracle(&map, &rows).into_iter().enumerate() {
            for (c, value) in row.unwrap().into_iter().enumerate() {
                let cell = text::cell(&batch.table.columns[c].ty, &batch.columns[c], r);
                let BinlogValue::Value(value) = value else { panic!("{value:?}") };
                let theirs = match value {
                    Value::NULL => None,
                    Value::Int(n) => Some(n.to_string()),
                    Value::UInt(n) => Some(n.to_string()),
                    Value::Float(f) => Some(f.to_string()),
                    Value::Double(f) => Some(f.to_string()),
                    Value::Bytes(b) if columns[c].collation == 63 => Some(hex(&b)),
                    Value::Bytes(b) => Some(String::from_utf8(b).unwrap()),
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(cell, theirs, "row {} column {} {:?}", r, c, columns[c].code);
            }
        }
    }

    #[test]
    fn cut_and_changed_bytes_never_panic(
        (columns, values) in tables(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        of_map: bool,
    ) {
        let mut map = table_map(&columns);
        let (mut rows, _) = rows(&columns, &values);
        let bytes = if of_map { &mut map } else { &mut rows };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&map, &rows);
        let bytes = if of_map { &mut map } else { &mut rows };
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode(&map, &rows);
    }

    #[test]
    fn random_bytes_never_panic(map in prop::collection::vec(any::<u8>(), 0..300), rows in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&map, &rows);
    }
}

#[test]
fn absent_columns_are_neither_a_value_nor_null() {
    let columns: Vec<Made> = vec![made(types::LONG, &[], signed); 10];
    let mut body = vec![77, 0, 0, 0, 0, 0, 1, 0, 2, 0, 10, 0b0000_0101, 0b10];
    // columns 0, 2, 9 are here; 2 is NULL
    body.extend_from_slice(&[0b010, 5, 0, 0, 0, 7, 0, 0, 0]);
    body.extend_from_slice(&[0b101, 6, 0, 0, 0]);
    let batch = decode(&table_map(&columns), &body).unwrap();
    assert_eq!(text::row(&batch, 0), "5,absent,NULL,absent,absent,absent,absent,absent,absent,7");
    assert_eq!(text::row(&batch, 1), "NULL,absent,6,absent,absent,absent,absent,absent,absent,NULL");
    assert!(batch.absent[0].is_none() && batch.absent[1].is_some());
}

#[test]
fn a_null_cell_holds_nothing_of_its_neighbours() {
    for count in [1, 7, 8, 14, 33] {
        let columns: Vec<Made> = vec![made(types::LONG, &[], signed); count];
        let values: Vec<Vec<Option<u64>>> = (0..40)
            .map(|row| (0..count).map(|c| ((row + c) % 3 > 0).then_some(u64::MAX)).collect())
            .collect();
        let (body, _) = rows(&columns, &values);
        let batch = decode(&table_map(&columns), &body).unwrap();
        for (c, column) in batch.columns.iter().enumerate() {
            let cells = column.as_primitive::<Int32Type>();
            for (row, value) in cells.values().iter().enumerate() {
                assert_eq!(*value == 0, values[row][c].is_none(), "row {row} column {c}");
            }
        }
    }
}

#[test]
fn refusals_name_table_column_and_type() {
    let refused = |column: Made| {
        let map = TableMap::parse(&table_map(&[made(types::LONG, &[], signed), column]), false).unwrap();
        Plan::new(&map).unwrap_err().to_string()
    };
    let said = refused(made(22, &[], signed));
    assert!(said.contains("d.table, column column 1") && said.contains("number 22"), "{said}");
    let said = refused(made(20, &[], signed));
    assert!(said.contains("number 20") && said.contains("mysql.column_type"), "{said}");
    let said = refused(Made { collation: 100, ..made(types::VARCHAR, &[40, 0], signed) });
    assert!(said.contains("unknown") && said.contains("mysql.charset"), "{said}");
}

#[test]
fn text_that_is_none_is_told() {
    for (collation, bad) in [(255, b"a\xffb"), (19, b"\x81\xffb")] {
        let columns =
            [made(types::LONG, &[], signed), Made { collation, ..made(types::VARCHAR, &[40, 0], signed) }];
        let mut body = vec![77, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3];
        for text in [&b"ok"[..], bad, &bad[1..], b"ok"] {
            body.extend_from_slice(&[0, 1, 0, 0, 0, text.len() as u8]);
            body.extend_from_slice(text);
        }
        let said = decode(&table_map(&columns), &body).unwrap_err();
        assert_eq!(said, "WrongText { row: 1, column: 1 }", "collation {collation}");
    }
}
