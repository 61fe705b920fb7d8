//! Days and civil dates, and MySQL's packed DATE and DATETIME taken apart.
//!
//! Dates are those of the proleptic Gregorian calendar. The conversions work on 400-year eras that start on 1 March: to
//! days as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"; from days as in C. Neri and L. Schneider,
//! "Euclidean affine functions and their application to calendar algorithms" (2022), figure 12.

/// 400 years.
const DAYS_OF_ERA: u32 = 146_097;

/// A date as MySQL keeps it: possibly one that no calendar has (`0000-00-00`, `2020-00-15`, `2020-02-31`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

/// A time of day, and the microseconds of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) micros: u32,
}

impl Date {
    /// From `year << 9 | month << 5 | day`.
    pub(crate) fn unpack(packed: i32) -> Date {
        let packed = packed as u32;
        Date { year: packed >> 9, month: packed >> 5 & 15, day: packed & 31 }
    }

    /// Whether the calendar has it.
    pub(crate) fn exists(self) -> bool {
        self.day != 0
            && match self.month {
                1 | 3 | 5 | 7 | 8 | 10 | 12 => true,
                4 | 6 | 9 | 11 => self.day <= 30,
                2 => self.day <= 28 || self.day == 29 && is_leap(self.year),
                _ => false,
            }
    }

    /// Days since 1970-01-01, of a date that exists.
    pub(crate) fn days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The date so many days after 1970-01-01, in MySQL's years 0 to 9999.
    pub(crate) fn of_days(days: i64) -> Date {
        // counted from 1 March of the year -400, so that nothing is negative
        let days = (days + 719_468 + i64::from(DAYS_OF_ERA)) as u32;
        let quarters = 4 * days + 3;
        let century = quarters / DAYS_OF_ERA;
        let quarters = 4 * (quarters % DAYS_OF_ERA / 4) + 3;
        // division by 1461 as a multiplication: the high half is the year, the low half the rest
        let product = 2_939_745 * u64::from(quarters);
        let year = 100 * century + (product >> 32) as u32;
        let day_of_year = (product as u32) / 2_939_745 / 4;
        let months = 2141 * day_of_year + 197_913;
        let (month, day) = (months >> 16, (months & 0xffff) / 2141 + 1);
        let next_year = day_of_year >= 306;
        Date {
            year: year + u32::from(next_year) - 400,
            month: if next_year { month - 12 } else { month },
            day,
        }
    }
}

impl Clock {
    /// From microseconds since midnight.
    pub(crate) fn of_micros(micros: u64) -> Clock {
        let seconds = (micros / 1_000_000) as u32;
        Clock {
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: (micros % 1_000_000) as u32,
        }
    }

    /// Microseconds since midnight.
    pub(crate) fn micros_of_day(self) -> i64 {
        i64::from(self.hour * 3600 + self.minute * 60 + self.second) * 1_000_000 + i64::from(self.micros)
    }
}

/// MySQL's packed DATETIME, taken apart.
pub(crate) fn unpack_datetime(packed: i64) -> (Date, Clock) {
    let packed = packed as u64;
    let time = (packed >> 24 & 0x1_ffff) as u32;
    let days = packed >> 41;
    let months = (days >> 5) as u32;
    let date = Date { year: months / 13, month: months % 13, day: (days & 31) as u32 };
    let clock = Clock {
        hour: time >> 12,
        minute: time >> 6 & 63,
        second: time & 63,
        micros: (packed & 0xff_ffff) as u32,
    };
    (date, clock)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_mysqls_range_is_its_own_inverse() {
        let mut days = Date { year: 0, month: 1, day: 1 }.days();
        assert_eq!(days, -719_528);
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let date = Date { year, month, day };
                    if date.exists() {
                        assert_eq!((date.days(), Date::of_days(days)), (days, date));
                        days += 1;
                    }
                }
            }
        }
        assert_eq!(days, 2_932_897, "one past 9999-12-31");
        assert_eq!(Date::of_days(0), Date { year: 1970, month: 1, day: 1 });
    }

    #[test]
    fn dates_that_no_calendar_has() {
        for (year, month, day) in
            [(0, 0, 0), (2020, 0, 15), (2020, 5, 0), (2021, 2, 29), (1900, 2, 29), (2020, 4, 31)]
        {
            assert!(!Date { year, month, day }.exists(), "{year}-{month}-{day}");
        }
        assert!(Date { year: 2000, month: 2, day: 29 }.exists());
    }

    #[test]
    fn packed_forms() {
        assert_eq!(Date::unpack(2026 << 9 | 11 << 5 | 21), Date { year: 2026, month: 11, day: 21 });
        let packed = (((2026_i64 * 13 + 11) << 5 | 21) << 17 | 23 << 12 | 59 << 6 | 58) << 24 | 999_999;
        let (date, clock) = unpack_datetime(packed);
        assert_eq!(date, Date { year: 2026, month: 11, day: 21 });
        assert_eq!(clock, Clock { hour: 23, minute: 59, second: 58, micros: 999_999 });
        assert_eq!(Clock::of_micros(clock.micros_of_day() as u64), clock);
    }
}
