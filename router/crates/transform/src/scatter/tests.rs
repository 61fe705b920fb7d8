//! Every check on what comes back.

use arrow_array::cast::AsArray as _;
use arrow_array::{Int32Array, StringArray};

use super::*;

const ROWS: usize = 3;

fn column(ty: ColumnType, nullable: bool) -> Column {
    Column { name: "c".to_owned(), ty, nullable, native: String::new() }
}

fn var(offsets: &[u32], data: &[u8]) -> VarCellsResult {
    VarCellsResult { offsets: offsets.to_vec(), data: data.to_vec() }
}

fn texts(cells: [&str; ROWS]) -> CellsResult {
    let ends = [cells[0].len(), cells[0].len() + cells[1].len(), cells.concat().len()];
    CellsResult::Text(var(&[0, ends[0] as u32, ends[1] as u32, ends[2] as u32], cells.concat().as_bytes()))
}

/// An appended column.
fn appended(states: &[u8], cells: CellsResult, ty: ColumnType) -> Result<Scattered, String> {
    let before = Before { rows: ROWS, cells: None, nullable: true, absent: None, read: false };
    scatter(ColumnResult { states: states.to_vec(), cells }, &column(ty, true), &before)
}

/// A column that takes the place of `[1, NULL, absent]`.
fn retyped(states: &[u8], was_nullable: bool, nullable: bool, read: bool) -> Result<Scattered, String> {
    let was: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, None]));
    let absent = BooleanBuffer::from(vec![false, false, true]);
    let before =
        Before { rows: ROWS, cells: Some(&was), nullable: was_nullable, absent: Some(&absent), read };
    let came = ColumnResult { states: states.to_vec(), cells: texts(["a", "b", "c"]) };
    scatter(came, &column(ColumnType::Text, nullable), &before)
}

fn replaced(states: &[u8], nullable: bool, read: bool) -> Result<Scattered, String> {
    retyped(states, nullable, nullable, read)
}

fn valid(scattered: &Scattered) -> Vec<bool> {
    (0..ROWS).map(|row| scattered.array.is_valid(row)).collect()
}

#[test]
fn states_of_a_column_that_was_read() {
    let good = replaced(&[1, 0, 2], true, true).unwrap();
    assert_eq!(valid(&good), [true, false, false]);
    assert_eq!(good.absent.as_ref().map(|bits| bits.value(2)), Some(true));
    assert!(replaced(&[0, 1, 2], true, true).is_ok(), "a plugin may make NULLs and values");
    assert!(replaced(&[1, 0, 2], false, true).is_ok(), "what the table holds against its own word may stay");
    for read in [true, false] {
        let absent = if read { 2 } else { 0 };
        let refused = retyped(&[1, 0, absent], true, false, read).err();
        assert!(refused.is_some_and(|why| why.contains("the plan says that the column cannot be NULL")));
        assert!(retyped(&[1, 1, absent], true, false, read).is_ok(), "each NULL was given a value");
        assert!(retyped(&[1, 0, absent], false, true, read).is_ok());
    }
    for (states, nullable) in [
        (&[0, 0, 2][..], false),
        (&[1, 0, 1], true),
        (&[1, 0, 0], true),
        (&[1, 2, 2], true),
        (&[1, 0, 3], true),
        (&[1, 0], true),
        (&[], true),
    ] {
        // NULL at an absent cell of a nullable column is a change, too
        assert!(replaced(states, nullable, true).is_err(), "{states:?} {nullable}");
    }
}

#[test]
fn absence_of_a_column_that_was_not_read_is_kept_by_the_host() {
    for states in [&[1, 1, 1][..], &[], &[1, 1, 0], &[1, 1, 2]] {
        let kept = replaced(states, false, false).unwrap();
        assert_eq!(valid(&kept), [true, true, false], "{states:?}");
        assert!(kept.absent.as_ref().is_some_and(|bits| bits.value(2)), "{states:?}");
    }
    assert!(replaced(&[1, 2, 2], true, false).is_err());
    assert!(replaced(&[0, 1, 1], false, false).is_err());
}

#[test]
fn numbers_are_held_to_their_type() {
    let integer = |bits, unsigned| ColumnType::Integer { bits, unsigned };
    let signed = |n: i64, ty| appended(&[], CellsResult::Signed(vec![0, n, 0]), ty).is_ok();
    let unsigned = |n: u64, ty| appended(&[], CellsResult::Unsigned(vec![0, n, 0]), ty).is_ok();
    let float = |n: f64, ty| appended(&[], CellsResult::Float(vec![0.0, n, 0.0]), ty).is_ok();
    for bits in [8, 16, 24, 32, 64] {
        let (least, most) = (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits));
        assert!(signed(least, integer(bits, false)) && signed(most, integer(bits, false)));
        assert!(unsigned(u64::MAX >> (64 - bits), integer(bits, true)));
        if bits < 64 {
            assert!(!signed(least - 1, integer(bits, false)) && !signed(most + 1, integer(bits, false)));
            assert!(!unsigned((u64::MAX >> (64 - bits)) + 1, integer(bits, true)));
        }
    }
    assert!(unsigned(2155, ColumnType::Year) && unsigned(1901, ColumnType::Year));
    assert!(!unsigned(1900, ColumnType::Year) && !unsigned(2156, ColumnType::Year));
    assert!(unsigned(7, ColumnType::Bit { bits: 3 }) && !unsigned(8, ColumnType::Bit { bits: 3 }));
    assert!(float(1e39, ColumnType::Double) && !float(1e39, ColumnType::Float));
    assert!(!float(f64::NAN, ColumnType::Double) && !float(f64::INFINITY, ColumnType::Double));
    // of a NULL's number nobody asks
    let cells = CellsResult::Signed(vec![1, 999, 1]);
    let nulled = appended(&[1, 0, 1], cells, integer(8, false)).unwrap();
    assert_eq!(valid(&nulled), [true, false, true]);
    assert!(appended(&[], CellsResult::Signed(vec![1, 2]), integer(8, false)).is_err());
}

#[test]
fn texts_are_held_to_their_type() {
    let decimal = ColumnType::Decimal { precision: 5, scale: 2 };
    let wide = ColumnType::Decimal { precision: 65, scale: 2 };
    for (ty, good, bad) in [
        (decimal, "-1.50", "1000"),
        (wide, "99999999999999999999999999999999999999999999.1", "1e3"),
        (ColumnType::Date, "2020-00-15", "15.1.2020"),
        (ColumnType::Time { fsp: 0 }, "-838:59:59", "839:00:00"),
        (ColumnType::DateTime { fsp: 0 }, "2020-01-01 00:00:00", "2020-01-01 00:00:00.5"),
        (ColumnType::Timestamp { fsp: 0 }, "2020-01-01 00:00:00", "2020-00-01 00:00:00"),
        (ColumnType::Json, "[1]", "[1"),
    ] {
        assert!(appended(&[], texts([good, good, good]), ty.clone()).is_ok(), "{ty:?} {good}");
        assert!(appended(&[], texts([good, good, bad]), ty.clone()).is_err(), "{ty:?} {bad}");
        assert!(appended(&[1, 1, 0], texts([good, good, bad]), ty.clone()).is_ok(), "{ty:?}: a NULL's text");
        assert!(appended(&[], CellsResult::Signed(vec![0; ROWS]), ty).is_err());
    }
    let sum =
        appended(&[], texts(["1", "-0.01", "0"]), ColumnType::Decimal { precision: 5, scale: 2 }).unwrap();
    assert_eq!(sum.array.as_primitive::<Decimal128Type>().values(), &[100, -1, 0]);
    assert_eq!(*sum.array.data_type(), DataType::Decimal128(5, 2));
}

#[test]
fn offsets_and_characters_are_checked() {
    let came = |offsets: &[u32], data: &[u8]| {
        appended(&[], CellsResult::Text(var(offsets, data)), ColumnType::Text).map(|s| s.array)
    };
    let good = came(&[0, 2, 2, 3], "éa".as_bytes()).unwrap();
    assert_eq!(*good.as_string::<i32>(), StringArray::from(vec!["é", "", "a"]));
    for (offsets, data) in [
        (&[0, 1, 2, 3][..], "éa".as_bytes()),
        (&[0, 3, 2, 3], b"abc"),
        (&[0, 1, 2], b"ab"),
        (&[], b""),
        (&[1, 1, 2, 3], b"abc"),
        (&[0, 1, 2, 2], b"abc"),
        (&[0, 1, 2, u32::MAX], b"abc"),
        (&[0, u32::MAX, 2, 3], b"abc"),
        (&[0, 1, 2, 3], b"\xff\xfe\xfd"),
    ] {
        assert!(came(offsets, data).is_err(), "{offsets:?}");
    }
    let bytes = appended(&[], CellsResult::Bytes(var(&[0, 1, 2, 3], b"\xff\xfe\xfd")), ColumnType::Binary);
    assert!(bytes.is_ok());
    let other = appended(&[], CellsResult::Bytes(var(&[0, 1, 2, 3], b"abc")), ColumnType::Text);
    assert!(other.is_err(), "bytes are no text");
}
