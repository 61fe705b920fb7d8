//! Events as a person reads them: `+I[101, Test Company, Sydney, NSW]`, an update as its two images, `-U` and `+U`.
//!
//! Values look as the `mysql` client prints them, with control characters escaped (a value must not be able to steer a
//! terminal); bytes are hexadecimal; a column that the row image lacks is a dot.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use forebay_model::{Batch, Block, ChangeEvent, ColumnType, Op};

use super::Text;
use super::calendar::{Clock, Date, unpack_datetime};
use super::json::{self, Fraction};

/// Bytes of a binary value that are shown.
const SHOWN: usize = 64;

/// How the four kinds of line are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    /// ANSI colours: green for what is new, red for what is gone, yellow for what changes.
    Colour,
}

/// Appends an event's one or two lines; `prefix` (a table's name, say) stands before each.
pub(crate) fn event(batch: &Batch, event: &ChangeEvent, prefix: &str, paint: Paint, out: &mut Text) {
    let (before, after) = match event.op {
        Op::Read | Op::Create => ("-D", "+I"),
        Op::Update => ("-U", "+U"),
        Op::Delete => ("-D", "+I"),
    };
    for (mark, row) in [(before, event.before), (after, event.after)] {
        let Some(row) = row else { continue };
        let colour = match mark {
            "+I" => "\x1b[32m",
            "-D" => "\x1b[31m",
            _ => "\x1b[33m",
        };
        let painted = paint == Paint::Colour;
        out.push(prefix.as_bytes());
        out.push(if painted { colour.as_bytes() } else { b"" });
        out.push(mark.as_bytes());
        out.push(b"[");
        for (i, column) in batch.columns.iter().enumerate() {
            out.push(if i == 0 { b"" } else { b", " });
            if batch.is_partial(i, row as usize) {
                out.push(b"?");
            } else if batch.is_absent(i, row as usize) {
                out.push(b".");
            } else {
                value(column, &batch.table.columns[i].ty, row as usize, out);
            }
        }
        out.push(b"]");
        out.push(if painted { b"\x1b[0m" } else { b"" });
        out.push(b"\n");
    }
}

/// Appends a block's events in commit order, each with its table's name, without colour: for people, not for programs.
pub fn lines(block: &Block, out: &mut Text) {
    for (batch, run) in block.runs_in_order() {
        let (batch, run) = (&block.batches[batch as usize], run as usize);
        let prefix = format!("{} ", batch.table.full_name());
        for change in batch.events_of(run..run + 1) {
            event(batch, &change, &prefix, Paint::Plain, out);
        }
    }
}

fn value(array: &ArrayRef, ty: &ColumnType, row: usize, out: &mut Text) {
    if array.is_null(row) {
        return out.push(b"NULL");
    }
    let int64 = || array.as_primitive::<Int64Type>().value(row);
    match ty {
        ColumnType::Integer { bits: 64, unsigned: true } => {
            write(out, |buf, at| json::unsigned(buf, at, array.as_primitive::<UInt64Type>().value(row)));
        }
        ColumnType::Integer { .. } | ColumnType::Year if *array.data_type() == DataType::Int32 => {
            write(out, |buf, at| json::integer(buf, at, array.as_primitive::<Int32Type>().value(row).into()));
        }
        ColumnType::Integer { .. } | ColumnType::Year => {
            write(out, |buf, at| json::integer(buf, at, int64()))
        }
        ColumnType::Float => shown(out, array.as_primitive::<Float32Type>().value(row)),
        ColumnType::Double => shown(out, array.as_primitive::<Float64Type>().value(row)),
        ColumnType::Decimal { precision, scale } => write(out, |buf, at| {
            if *precision <= 38 {
                json::decimal_i128(buf, at, array.as_primitive::<Decimal128Type>().value(row), *scale)
            } else {
                json::decimal_i256(buf, at, array.as_primitive::<Decimal256Type>().value(row), *scale)
            }
        }),
        ColumnType::Bit { bits } => {
            let value = array.as_primitive::<UInt64Type>().value(row);
            text(out, &format!("b'{value:0width$b}'", width = usize::from(*bits)));
        }
        ColumnType::Date => {
            let day = Date::unpack(array.as_primitive::<Int32Type>().value(row));
            write(out, |buf, at| json::date(buf, at, day));
        }
        ColumnType::Time { fsp } => write(out, |buf, at| {
            let micros = int64();
            let at = if micros < 0 { json::put(buf, at, b"-") } else { at };
            json::clock(buf, at, Clock::of_micros(micros.unsigned_abs()), Fraction::Digits((*fsp).min(6)))
        }),
        ColumnType::DateTime { fsp } => {
            let (day, clock) = unpack_datetime(int64());
            datetime(out, day, clock, *fsp);
        }
        ColumnType::Timestamp { fsp } => {
            let micros = int64();
            let day = match micros {
                0 => Date { year: 0, month: 0, day: 0 },
                _ => Date::of_days(micros.div_euclid(86_400_000_000)),
            };
            datetime(out, day, Clock::of_micros(micros.rem_euclid(86_400_000_000) as u64), *fsp);
        }
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } | ColumnType::Json => {
            text(out, array.as_string::<i32>().value(row));
        }
        ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector => {
            let bytes = array.as_binary::<i32>().value(row);
            let start = &bytes[..bytes.len().min(SHOWN)];
            out.push(b"0x");
            let at = out.len();
            json::hex(out.room(2 * start.len()), at, start);
            out.set_len(at + 2 * start.len());
            if start.len() < bytes.len() {
                text(out, &format!("... ({} bytes)", bytes.len()));
            }
        }
    }
}

fn datetime(out: &mut Text, day: Date, clock: Clock, fsp: u8) {
    write(out, |buf, at| {
        let at = json::date(buf, at, day);
        buf[at] = b' ';
        json::clock(buf, at + 1, clock, Fraction::Digits(fsp.min(6)))
    });
}

/// Writes what needs no more room than the longest decimal.
fn write(out: &mut Text, put: impl FnOnce(&mut [u8], usize) -> usize) {
    let at = out.len();
    let end = put(out.room(json::DECIMAL), at);
    out.set_len(end);
}

fn shown(out: &mut Text, value: impl std::fmt::Display) {
    text(out, &value.to_string());
}

/// A text with its control characters (C0, DEL and C1) escaped.
fn text(out: &mut Text, text: &str) {
    if !text.chars().any(char::is_control) {
        return out.push(text.as_bytes());
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() {
            write!(escaped, "{}", c.escape_default()).expect("a string takes everything");
        } else {
            escaped.push(c);
        }
    }
    out.push(escaped.as_bytes());
}
