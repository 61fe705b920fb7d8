//! Cells as the server's text protocol prints them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{Array as _, ArrayRef};
use forebay_model::{Batch, ColumnType};

/// A row, with commas.
pub(crate) fn row(batch: &Batch, row: usize) -> String {
    cells(batch, row).join(",")
}

/// The values of a row.
pub(crate) fn cells(batch: &Batch, row: usize) -> Vec<String> {
    let cells = batch.table.columns.iter().zip(&batch.columns).enumerate().map(|(i, (column, array))| {
        if batch.is_partial(i, row) {
            "partial".into()
        } else if batch.is_absent(i, row) {
            "absent".into()
        } else {
            cell(&column.ty, array, row).unwrap_or("NULL".into())
        }
    });
    cells.collect()
}

fn scaled(digits: String, scale: usize) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |d| ("-", d));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn fraction(micros: i64, digits: u8) -> String {
    if digits == 0 { String::new() } else { format!(".{:06}", micros)[..1 + usize::from(digits)].to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// `None` = NULL. Bytes are in hexadecimal.
pub(crate) fn cell(ty: &ColumnType, array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let i32 = || array.as_primitive::<Int32Type>().value(row);
    let i64 = || array.as_primitive::<Int64Type>().value(row);
    let u64 = || array.as_primitive::<UInt64Type>().value(row);
    Some(match ty {
        ColumnType::Integer { bits: 64, unsigned: true } => u64().to_string(),
        ColumnType::Bit { bits } => {
            let bytes = usize::from(bits.div_ceil(8));
            hex(&u64().to_be_bytes()[8 - bytes..])
        }
        ColumnType::Integer { bits: 64, .. } | ColumnType::Integer { bits: 32, unsigned: true } => {
            i64().to_string()
        }
        ColumnType::Integer { .. } => i32().to_string(),
        ColumnType::Year => format!("{:04}", i32()),
        ColumnType::Float => array.as_primitive::<Float32Type>().value(row).to_string(),
        ColumnType::Double => array.as_primitive::<Float64Type>().value(row).to_string(),
        ColumnType::Decimal { precision, scale } => {
            let digits = if *precision <= 38 {
                array.as_primitive::<Decimal128Type>().value(row).to_string()
            } else {
                array.as_primitive::<Decimal256Type>().value(row).to_string()
            };
            scaled(digits, usize::from(*scale))
        }
        ColumnType::Date => {
            let packed = i32();
            format!("{:04}-{:02}-{:02}", packed >> 9, packed >> 5 & 15, packed & 31)
        }
        ColumnType::Time { fsp } => {
            let (sign, micros) = (if i64() < 0 { "-" } else { "" }, i64().abs());
            let seconds = micros / 1_000_000;
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("{sign}{h:02}:{m:02}:{s:02}{}", fraction(micros % 1_000_000, *fsp))
        }
        ColumnType::DateTime { fsp } => {
            let (packed, micros) = (i64() >> 24, i64() & 0xff_ffff);
            let (date, time) = (packed >> 17, packed & 0x1_ffff);
            let (months, day) = (date >> 5, date & 31);
            let (h, m, s) = (time >> 12, time >> 6 & 63, time & 63);
            let date = format!("{:04}-{:02}-{day:02}", months / 13, months % 13);
            format!("{date} {h:02}:{m:02}:{s:02}{}", fraction(micros, *fsp))
        }
        // compared as UNIX_TIMESTAMP prints it
        ColumnType::Timestamp { fsp } => {
            format!("{}{}", i64().div_euclid(1_000_000), fraction(i64().rem_euclid(1_000_000), *fsp))
        }
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => {
            array.as_string::<i32>().value(row).to_owned()
        }
        ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector => {
            hex(array.as_binary::<i32>().value(row))
        }
    })
}
