//! Dates and times in the envelope, in each of Debezium's modes, and what becomes of dates that no calendar has.

use super::config::{Settings, TimeMode, ZeroDates};
use crate::formats::calendar::{Clock, Date, unpack_datetime};
use crate::formats::json::{Fraction, clock, date, integer, put};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What a time of any kind is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Days,
    Millis,
    Micros,
    Nanos,
    Iso,
    Sql,
}

/// What stands in for a date that no calendar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zero {
    Null,
    Epoch,
    Text,
    Reject,
}

/// The event cannot be written as the settings demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected;

/// How one column of dates or times is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Temporal {
    form: Form,
    zero: Zero,
    fsp: u8,
}

impl Temporal {
    fn new(form: Form, fsp: u8, settings: &Settings, nullable: bool) -> Self {
        let zero = match settings.zero_dates {
            ZeroDates::Null if nullable => Zero::Null,
            ZeroDates::Null | ZeroDates::Epoch => Zero::Epoch,
            ZeroDates::String => Zero::Text,
            ZeroDates::Reject => Zero::Reject,
        };
        Temporal { form, zero, fsp }
    }

    pub(super) fn date(settings: &Settings, nullable: bool) -> Self {
        let form = match settings.time {
            TimeMode::Isostring => Form::Iso,
            TimeMode::Sql => Form::Sql,
            _ => Form::Days,
        };
        Temporal::new(form, 0, settings, nullable)
    }

    pub(super) fn time(settings: &Settings, fsp: u8) -> Self {
        let form = match settings.time {
            TimeMode::AdaptiveTimeMicroseconds | TimeMode::Microseconds => Form::Micros,
            TimeMode::Adaptive if fsp > 3 => Form::Micros,
            TimeMode::Adaptive | TimeMode::Connect => Form::Millis,
            TimeMode::Nanoseconds => Form::Nanos,
            TimeMode::Isostring => Form::Iso,
            TimeMode::Sql => Form::Sql,
        };
        Temporal::new(form, fsp, settings, true)
    }

    pub(super) fn datetime(settings: &Settings, fsp: u8, nullable: bool) -> Self {
        let form = match settings.time {
            TimeMode::AdaptiveTimeMicroseconds | TimeMode::Adaptive if fsp > 3 => Form::Micros,
            TimeMode::AdaptiveTimeMicroseconds | TimeMode::Adaptive | TimeMode::Connect => Form::Millis,
            TimeMode::Microseconds => Form::Micros,
            TimeMode::Nanoseconds => Form::Nanos,
            TimeMode::Isostring => Form::Iso,
            TimeMode::Sql => Form::Sql,
        };
        Temporal::new(form, fsp, settings, nullable)
    }

    pub(super) fn timestamp(settings: &Settings, fsp: u8, nullable: bool) -> Self {
        let form = if settings.time == TimeMode::Sql { Form::Sql } else { Form::Iso };
        Temporal::new(form, fsp, settings, nullable)
    }

    /// A DATE.
    pub(super) fn put_date(self, buf: &mut [u8], at: usize, packed: i32) -> Result<usize, Rejected> {
        let day = Date::unpack(packed);
        let day = match self.zero {
            _ if day.exists() => day,
            Zero::Null => return Ok(put(buf, at, b"null")),
            Zero::Reject => return Err(Rejected),
            Zero::Epoch => Date::of_days(0),
            Zero::Text => return Ok(quoted(buf, at, b"", |buf, at| date(buf, at, day))),
        };
        Ok(match self.form {
            Form::Iso => quoted(buf, at, b"Z", |buf, at| date(buf, at, day)),
            Form::Sql => quoted(buf, at, b"", |buf, at| date(buf, at, day)),
            _ => integer(buf, at, day.days()),
        })
    }

    /// A TIME, in microseconds.
    pub(super) fn put_time(self, buf: &mut [u8], at: usize, micros: i64) -> usize {
        let (end, fraction): (&[u8], _) = match self.form {
            Form::Iso => (b"Z", Fraction::Shortest),
            Form::Sql => (b"", Fraction::Digits(self.fsp)),
            _ => return self.number(buf, at, micros),
        };
        quoted(buf, at, end, |buf, at| {
            let at = if micros < 0 { put(buf, at, b"-") } else { at };
            clock(buf, at, Clock::of_micros(micros.unsigned_abs()), fraction)
        })
    }

    /// A DATETIME, in MySQL's packed form.
    pub(super) fn put_datetime(self, buf: &mut [u8], at: usize, packed: i64) -> Result<usize, Rejected> {
        let (day, time) = unpack_datetime(packed);
        let (day, time) = match self.zero {
            _ if day.exists() => (day, time),
            Zero::Null => return Ok(put(buf, at, b"null")),
            Zero::Reject => return Err(Rejected),
            Zero::Epoch => (Date::of_days(0), Clock::of_micros(0)),
            Zero::Text => {
                return Ok(quoted(buf, at, b"", |buf, at| {
                    let at = date(buf, at, day);
                    buf[at] = b' ';
                    clock(buf, at + 1, time, Fraction::Digits(self.fsp))
                }));
            }
        };
        Ok(match self.form {
            Form::Iso | Form::Sql => {
                self.put_instant(buf, at, day, time, self.form == Form::Iso, Fraction::Shortest)
            }
            _ => self.number(buf, at, day.days() * MICROS_PER_DAY + time.micros_of_day()),
        })
    }

    /// A TIMESTAMP, in microseconds since 1970; 0 is the zero date.
    pub(super) fn put_timestamp(self, buf: &mut [u8], at: usize, micros: i64) -> Result<usize, Rejected> {
        if micros == 0 {
            return match self.zero {
                Zero::Null => Ok(put(buf, at, b"null")),
                Zero::Reject => Err(Rejected),
                // Debezium's own fallback, which has no fraction whatever the column's
                Zero::Epoch if self.form == Form::Iso => Ok(put(buf, at, b"\"1970-01-01T00:00:00Z\"")),
                Zero::Epoch => Ok(self.put_instant(
                    buf,
                    at,
                    Date::of_days(0),
                    Clock::of_micros(0),
                    true,
                    Fraction::Shortest,
                )),
                Zero::Text => Ok(quoted(buf, at, b"", |buf, at| {
                    let at = put(buf, at, b"0000-00-00 ");
                    clock(buf, at, Clock::of_micros(0), Fraction::Digits(self.fsp))
                })),
            };
        }
        let day = Date::of_days(micros.div_euclid(MICROS_PER_DAY));
        let time = Clock::of_micros(micros.rem_euclid(MICROS_PER_DAY) as u64);
        Ok(self.put_instant(buf, at, day, time, true, Fraction::Digits(self.fsp)))
    }

    /// A date and time in quotes. SQL's form always has the column's digits of fraction.
    fn put_instant(
        self,
        buf: &mut [u8],
        at: usize,
        day: Date,
        time: Clock,
        zoned: bool,
        iso_fraction: Fraction,
    ) -> usize {
        let (separator, fraction) = match self.form {
            Form::Sql => (b' ', Fraction::Digits(self.fsp)),
            _ => (b'T', iso_fraction),
        };
        quoted(buf, at, if zoned { b"Z" } else { b"" }, |buf, at| {
            let at = date(buf, at, day);
            buf[at] = separator;
            clock(buf, at + 1, time, fraction)
        })
    }

    fn number(self, buf: &mut [u8], at: usize, micros: i64) -> usize {
        match self.form {
            Form::Millis => integer(buf, at, micros.div_euclid(1000)),
            Form::Nanos if micros != 0 => {
                let at = integer(buf, at, micros);
                put(buf, at, b"000")
            }
            _ => integer(buf, at, micros),
        }
    }
}

#[inline(always)]
fn quoted(buf: &mut [u8], at: usize, end: &[u8], write: impl FnOnce(&mut [u8], usize) -> usize) -> usize {
    buf[at] = b'"';
    let at = write(buf, at + 1);
    let at = put(buf, at, end);
    put(buf, at, b"\"")
}
