//! Every column type goes into a plugin and comes back the same.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, PrimitiveArray, StringArray,
    UInt64Array,
};
use arrow_buffer::i256;
use forebay_model::{Column, ColumnType, Kind};

use crate::support::{assert_same, batch, bind, column, place, table};

fn every_type() -> Vec<(Column, ArrayRef)> {
    let c = |name: &str, ty, native: &str| column(name, ty, true, native);
    let integer = |bits, unsigned| ColumnType::Integer { bits, unsigned };
    let i32s =
        |cells: [i32; 2]| Arc::new(Int32Array::from(vec![Some(cells[0]), None, Some(cells[1])])) as ArrayRef;
    let i64s =
        |cells: [i64; 2]| Arc::new(Int64Array::from(vec![Some(cells[0]), None, Some(cells[1])])) as ArrayRef;
    let u64s =
        |cells: [u64; 2]| Arc::new(UInt64Array::from(vec![Some(cells[0]), None, Some(cells[1])])) as ArrayRef;
    let texts = |a, b| Arc::new(StringArray::from(vec![Some(a), None, Some(b)])) as ArrayRef;
    let bytes = |a: &[u8], b: &[u8]| Arc::new(BinaryArray::from(vec![Some(a), None, Some(b)])) as ArrayRef;
    let small = ColumnType::Decimal { precision: 10, scale: 2 };
    let smalls = PrimitiveArray::<Decimal128Type>::from(vec![Some(-50), None, Some(9_999_999_999)])
        .with_data_type(small.layout());
    let large = ColumnType::Decimal { precision: 65, scale: 30 };
    let nines = i256::from_string(&"9".repeat(65)).expect("65 digits");
    let larges = PrimitiveArray::<Decimal256Type>::from(vec![Some(nines), None, Some(i256::MINUS_ONE)])
        .with_data_type(large.layout());
    vec![
        (c("tiny", integer(8, false), "tinyint"), i32s([-128, 127])),
        (c("medium_u", integer(24, true), "mediumint unsigned"), i32s([0, 0xff_ffff])),
        (c("int_u", integer(32, true), "int unsigned"), i64s([0, u32::MAX.into()])),
        (c("big", integer(64, false), "bigint"), i64s([i64::MIN, i64::MAX])),
        (c("big_u", integer(64, true), "bigint unsigned"), u64s([0, u64::MAX])),
        (c("year", ColumnType::Year, "year"), i32s([0, 2155])),
        (c("bit1", ColumnType::Bit { bits: 1 }, "bit(1)"), u64s([0, 1])),
        (c("bit64", ColumnType::Bit { bits: 64 }, "bit(64)"), u64s([1, u64::MAX])),
        (
            c("float", ColumnType::Float, "float"),
            Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::MIN)])),
        ),
        (
            c("double", ColumnType::Double, "double"),
            Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::MIN_POSITIVE)])),
        ),
        (c("small", small, "decimal(10,2)"), Arc::new(smalls)),
        (c("large", large, "decimal(65,30)"), Arc::new(larges)),
        (c("date", ColumnType::Date, "date"), i32s([0, 2020 << 9 | 15])),
        (c("time", ColumnType::Time { fsp: 6 }, "time(6)"), i64s([-1, 3_020_399_000_000])),
        (
            c("datetime", ColumnType::DateTime { fsp: 0 }, "datetime"),
            i64s([0, (9999 * 13 + 12) << 46 | 31 << 41]),
        ),
        (c("stamp", ColumnType::Timestamp { fsp: 3 }, "timestamp(3)"), i64s([0, 2_147_483_647_999_000])),
        (c("text", ColumnType::Text, "text"), texts("", "日本語\0é")),
        (c("json", ColumnType::Json, "json"), texts("null", r#"{"a": [1, "ü"]}"#)),
        (c("binary", ColumnType::Binary, "blob"), bytes(b"", b"\xff\0\xc3")),
        (c("point", ColumnType::Geometry, "point"), bytes(b"\0\0\0\0\x01", b"\x01")),
        (c("vector", ColumnType::Vector, "vector(1)"), bytes(&1f32.to_le_bytes(), b"")),
    ]
}

#[tokio::test]
async fn every_type_survives_a_plugin_that_returns_it() {
    let (columns, arrays): (Vec<_>, Vec<_>) = every_type().into_iter().unzip();
    let table = table(columns);
    let mut binding = bind("echo", &table).await.unwrap();
    assert_eq!(binding.output().columns, table.columns);
    let kinds = vec![Kind::Insert, Kind::Before, Kind::After];
    let input = batch(&table, kinds.clone(), arrays.clone());
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    for (came, column) in applied.batch.columns.iter().zip(&table.columns) {
        let input = &input.columns[table.column(&column.name).unwrap()];
        assert_eq!(came, input, "{}", column.name);
    }
    // the same from the middle of longer arrays
    let kinds = vec![Kind::Insert, Kind::Insert];
    let sliced: Vec<ArrayRef> = arrays.iter().map(|array| array.slice(1, 2)).collect();
    let input = batch(&table, kinds, sliced);
    let applied = binding.apply(&input, &place()).await.unwrap();
    for (came, input) in applied.batch.columns.iter().zip(&input.columns) {
        assert_eq!(came, input);
    }
    assert_same(&applied.batch.columns[0], &applied.batch.columns[0]);
}

#[tokio::test]
async fn a_replaced_enum_is_text() {
    let members = vec!["s".to_owned(), "m".to_owned()];
    let sizes = column("size", ColumnType::Enum { members }, true, "enum('s','m')");
    let table = table(vec![crate::support::id_column(), sizes]);
    let binding = bind("echo", &table).await.unwrap();
    assert_eq!(binding.output().columns[1].ty, ColumnType::Text);
}
