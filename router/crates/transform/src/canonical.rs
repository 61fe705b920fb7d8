//! Dates and times as their canonical text, and back, exactly: zero and partial dates, negative and long times,
//! fractions of the type's digits.
//!
//! Times are MySQL's packed forms as the model keeps them (`forebay_model::ColumnType`).

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// 838:59:59, the longest TIME.
const LONGEST_TIME: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;
/// How many digits of fraction there can be.
const FRACTION: usize = 6;

fn two(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

fn date(year: i64, month: i64, day: i64, out: &mut Vec<u8>) {
    two(year / 100, out);
    two(year, out);
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

fn clock(hour: i64, minute: i64, second: i64, out: &mut Vec<u8>) {
    if hour >= 100 {
        out.push(b'0' + (hour / 100 % 10) as u8);
    }
    two(hour, out);
    out.push(b':');
    two(minute, out);
    out.push(b':');
    two(second, out);
}

fn fraction(micros: i64, fsp: u8, out: &mut Vec<u8>) {
    let fsp = usize::from(fsp).min(FRACTION);
    if fsp > 0 {
        out.push(b'.');
        let mut rest = micros;
        let mut digits = [b'0'; FRACTION];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits[..fsp]);
    }
}

/// A packed DATE.
pub(crate) fn write_date(packed: i32, out: &mut Vec<u8>) {
    let packed = i64::from(packed);
    date(packed >> 9, packed >> 5 & 15, packed & 31, out);
}

/// A TIME in microseconds.
pub(crate) fn write_time(micros: i64, fsp: u8, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    let micros = micros.saturating_abs();
    let seconds = micros / SECOND;
    clock(seconds / 3600, seconds / 60 % 60, seconds % 60, out);
    fraction(micros % SECOND, fsp, out);
}

/// A packed DATETIME.
pub(crate) fn write_datetime(packed: i64, fsp: u8, out: &mut Vec<u8>) {
    let (ymd, hms, micros) = (packed >> 41, packed >> 24 & 0x1_ffff, packed & 0xff_ffff);
    let months = ymd >> 5;
    date(months / 13, months % 13, ymd & 31, out);
    out.push(b' ');
    clock(hms >> 12, hms >> 6 & 63, hms & 63, out);
    fraction(micros, fsp, out);
}

/// A TIMESTAMP in microseconds since 1970, in UTC; 0 is the zero date.
pub(crate) fn write_timestamp(micros: i64, fsp: u8, out: &mut Vec<u8>) {
    if micros == 0 {
        return write_datetime(0, fsp, out);
    }
    let seconds = micros.div_euclid(SECOND);
    let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
    let second = seconds.rem_euclid(DAY_SECONDS);
    date(year, month, day, out);
    out.push(b' ');
    clock(second / 3600, second / 60 % 60, second % 60, out);
    fraction(micros.rem_euclid(SECOND), fsp, out);
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads a fixed count of digits.
fn number(text: &[u8], range: std::ops::Range<usize>) -> Option<i64> {
    let digits = text.get(range)?;
    digits.iter().try_fold(0, |number, c| c.is_ascii_digit().then(|| number * 10 + i64::from(c - b'0')))
}

/// `YYYY-MM-DD`, MySQL's loosest: month and day may be 0, days are not compared with their month.
fn read_date(text: &[u8]) -> Option<(i64, i64, i64)> {
    let (year, month, day) = (number(text, 0..4)?, number(text, 5..7)?, number(text, 8..10)?);
    (text[4] == b'-' && text[7] == b'-' && month <= 12 && day <= 31).then_some((year, month, day))
}

/// `HH:MM:SS` after `hour_digits` digits of hours, and a fraction of at most `fsp` digits that matter.
fn read_clock(text: &[u8], hour_digits: usize, fsp: u8) -> Option<(i64, i64, i64, i64)> {
    let at = hour_digits;
    let hour = number(text, 0..at)?;
    let (minute, second) = (number(text, at + 1..at + 3)?, number(text, at + 4..at + 6)?);
    if text[at] != b':' || text[at + 3] != b':' || minute > 59 || second > 59 {
        return None;
    }
    let micros = match &text[at + 6..] {
        [] => 0,
        [b'.', digits @ ..] if (1..=FRACTION).contains(&digits.len()) => {
            number(digits, 0..digits.len())? * 10_i64.pow((FRACTION - digits.len()) as u32)
        }
        _ => return None,
    };
    let grain = 10_i64.pow((FRACTION - usize::from(fsp).min(FRACTION)) as u32);
    (micros % grain == 0).then_some((hour, minute, second, micros))
}

/// The packed DATE.
pub(crate) fn parse_date(text: &[u8]) -> Option<i32> {
    let (year, month, day) = read_date(text)?;
    (text.len() == 10).then_some((year << 9 | month << 5 | day) as i32)
}

/// The TIME in microseconds.
pub(crate) fn parse_time(text: &[u8], fsp: u8) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let hour_digits = text.iter().position(|&c| c == b':').filter(|digits| (2..=3).contains(digits))?;
    let (hour, minute, second, micros) = read_clock(text, hour_digits, fsp)?;
    let time = (hour * 3600 + minute * 60 + second) * SECOND + micros;
    (time < LONGEST_TIME + SECOND).then_some(if negative { -time } else { time })
}

fn read_datetime(text: &[u8], fsp: u8) -> Option<([i64; 3], [i64; 4])> {
    let (year, month, day) = read_date(text)?;
    if text.get(10) != Some(&b' ') {
        return None;
    }
    let (hour, minute, second, micros) = read_clock(&text[11..], 2, fsp)?;
    (hour < 24).then_some(([year, month, day], [hour, minute, second, micros]))
}

/// The packed DATETIME.
pub(crate) fn parse_datetime(text: &[u8], fsp: u8) -> Option<i64> {
    let ([year, month, day], [hour, minute, second, micros]) = read_datetime(text, fsp)?;
    Some(((year * 13 + month) << 5 | day) << 41 | (hour << 12 | minute << 6 | second) << 24 | micros)
}

/// The TIMESTAMP in microseconds since 1970; the zero date is 0, and 1970-01-01T00:00:00 is none (MySQL has none).
pub(crate) fn parse_timestamp(text: &[u8], fsp: u8) -> Option<i64> {
    let (ymd, [hour, minute, second, micros]) = read_datetime(text, fsp)?;
    if ymd == [0; 3] && [hour, minute, second, micros] == [0; 4] {
        return Some(0);
    }
    let [year, month, day] = ymd;
    let number = days(year, month, day);
    let real = month > 0 && civil(number) == (year, month, day);
    let time = (number * DAY_SECONDS + hour * 3600 + minute * 60 + second) * SECOND + micros;
    (real && time > 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates() {
        for (year, month, day, want) in [
            (0, 0, 0, "0000-00-00"),
            (2020, 0, 15, "2020-00-15"),
            (9999, 12, 31, "9999-12-31"),
            (7, 1, 1, "0007-01-01"),
        ] {
            let packed = year << 9 | month << 5 | day;
            assert_eq!(text(|out| write_date(packed, out)), want);
            assert_eq!(parse_date(want.as_bytes()), Some(packed));
        }
        for bad in [
            "",
            "2020-13-01",
            "2020-01-32",
            "2020-1-1",
            "2020-01-01 ",
            "2020/01/01",
            "20200101",
            "2020-01-0x",
        ] {
            assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times() {
        for (micros, fsp, want) in [
            (0, 0, "00:00:00"),
            (-1, 6, "-00:00:00.000001"),
            (LONGEST_TIME, 0, "838:59:59"),
            (-LONGEST_TIME, 3, "-838:59:59.000"),
            (3_661_500_000, 1, "01:01:01.5"),
        ] {
            assert_eq!(text(|out| write_time(micros, fsp, out)), want);
            assert_eq!(parse_time(want.as_bytes(), fsp), Some(micros));
        }
        assert_eq!(parse_time(b"01:01:01.500000", 1), Some(3_661_500_000), "zeros lose nothing");
        for bad in [
            "",
            "1:00:00",
            "01:60:00",
            "01:00:60",
            "01:00",
            "839:00:00",
            "01:00:00.",
            "01:00:00.25",
            "0001:00:00",
        ] {
            assert_eq!(parse_time(bad.as_bytes(), 1), None, "{bad}");
        }
    }

    #[test]
    fn datetimes_and_timestamps() {
        let zero = "0000-00-00 00:00:00";
        assert_eq!(text(|out| write_datetime(0, 0, out)), zero);
        assert_eq!(text(|out| write_timestamp(0, 0, out)), zero);
        assert_eq!(parse_datetime(zero.as_bytes(), 0), Some(0));
        assert_eq!(parse_timestamp(zero.as_bytes(), 0), Some(0));
        let partial = "2020-00-15 23:59:59.123000";
        let packed = parse_datetime(partial.as_bytes(), 3).unwrap();
        assert_eq!(text(|out| write_datetime(packed, 6, out)), partial);
        assert_eq!(parse_timestamp(partial.as_bytes(), 3), None, "no such day");
        // date -u -d '2038-01-19 03:14:07' +%s
        let last = "2038-01-19 03:14:07.999999";
        assert_eq!(parse_timestamp(last.as_bytes(), 6), Some(2_147_483_647_999_999));
        assert_eq!(text(|out| write_timestamp(2_147_483_647_999_999, 6, out)), last);
        assert_eq!(text(|out| write_timestamp(951_782_400_000_000, 0, out)), "2000-02-29 00:00:00");
        for bad in
            ["1970-01-01 00:00:00", "1969-12-31 23:59:59", "2021-02-29 00:00:00", "2021-01-01T00:00:00", ""]
        {
            assert_eq!(parse_timestamp(bad.as_bytes(), 6), None, "{bad}");
        }
        for bad in ["2020-01-01", "2020-01-01 24:00:00", "2020-01-01 00:00:00.5", "2020-01-01 00:00:00Z"] {
            assert_eq!(parse_datetime(bad.as_bytes(), 0), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn times_survive(
            year in 0i64..=9999, month in 0i64..=12, day in 0i64..=31, second in 0i64..86_400,
            micros in 0i64..SECOND, fsp in 0u8..=6, sign in prop::sample::select(vec![-1i64, 1]),
        ) {
            let micros = micros - micros % 10_i64.pow(6 - u32::from(fsp));
            let hms = (second / 3600) << 12 | (second / 60 % 60) << 6 | (second % 60);
            let packed = ((year * 13 + month) << 5 | day) << 41 | hms << 24 | micros;
            let written = text(|out| write_datetime(packed, fsp, out));
            prop_assert_eq!(parse_datetime(written.as_bytes(), fsp), Some(packed));
            let time = sign * (second * 30 * SECOND + micros);
            let written = text(|out| write_time(time, fsp, out));
            prop_assert_eq!(parse_time(written.as_bytes(), fsp), Some(time));
        }

        #[test]
        fn timestamps_survive(seconds in 1i64..253_402_300_800, micros in 0i64..SECOND) {
            let time = seconds * SECOND + micros;
            let written = text(|out| write_timestamp(time, 6, out));
            prop_assert_eq!(parse_timestamp(written.as_bytes(), 6), Some(time), "{}", written);
        }

        #[test]
        fn no_text_panics(text in "[-0-9: .]{0,30}", fsp in 0u8..=6) {
            let text = text.as_bytes();
            let _ = (parse_date(text), parse_time(text, fsp), parse_datetime(text, fsp), parse_timestamp(text, fsp));
        }
    }
}
