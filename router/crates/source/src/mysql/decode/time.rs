//! Dates and times, into the packed integers of the schema.
//!
//! Formats: `my_time.cc` of MySQL ("On disk we store ..."); all big-endian, the fraction in as many bytes as its digits
//! need.

/// How many bytes a fraction of `digits` takes.
pub(super) const fn fraction_bytes(digits: u8) -> usize {
    digits.div_ceil(2) as usize
}

/// Microseconds of one unit of a fraction of `bytes` bytes: two digits a byte.
const fn unit(bytes: usize) -> i64 {
    match bytes {
        1 => 10_000,
        2 => 100,
        _ => 1,
    }
}

#[inline]
fn big_endian<const N: usize>(bytes: [u8; N]) -> i64 {
    let mut all = [0; 8];
    all[8 - N..].copy_from_slice(&bytes);
    i64::from_be_bytes(all)
}

/// DATETIME: five bytes and a fraction, as MySQL packs it in memory.
#[inline]
pub(super) fn datetime<const N: usize>(bytes: [u8; N]) -> i64 {
    let fraction = N - 5;
    let all = big_endian(bytes);
    let whole = (all >> (8 * fraction)) - 0x80_0000_0000;
    let part = all & ((1 << (8 * fraction)) - 1);
    (whole << 24) + part * unit(fraction)
}

/// TIMESTAMP: seconds in four bytes, and a fraction, as microseconds.
#[inline]
pub(super) fn timestamp<const N: usize>(bytes: [u8; N]) -> i64 {
    let fraction = N - 4;
    let all = big_endian(bytes);
    let part = all & ((1 << (8 * fraction)) - 1);
    (all >> (8 * fraction)) * 1_000_000 + part * unit(fraction)
}

/// TIME: three bytes and a fraction, as signed microseconds. The whole is one number: its sign is the number's.
#[inline]
pub(super) fn time<const N: usize>(bytes: [u8; N]) -> i64 {
    let fraction = N - 3;
    let all = big_endian(bytes) - (0x80_0000 << (8 * fraction));
    let (size, part) = (all.abs() >> (8 * fraction), all.abs() & ((1 << (8 * fraction)) - 1));
    let seconds = (size >> 12 & 0x3ff) * 3600 + (size >> 6 & 0x3f) * 60 + (size & 0x3f);
    (seconds * 1_000_000 + part * unit(fraction)) * all.signum()
}

/// DATETIME of before MySQL 5.6.4: the number YYYYMMDDhhmmss.
#[inline]
pub(super) fn old_datetime(bytes: [u8; 8]) -> i64 {
    let all = i64::from_le_bytes(bytes);
    let (date, time) = (all / 1_000_000, all % 1_000_000);
    let (months, day) = (date / 10_000 * 13 + date / 100 % 100, date % 100);
    let (hour, minute, second) = (time / 10_000, time / 100 % 100, time % 100);
    ((months << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 24
}

/// TIME of before MySQL 5.6.4: the number hhmmss, signed.
#[inline]
pub(super) fn old_time([a, b, c]: [u8; 3]) -> i64 {
    let all = i64::from(i32::from_le_bytes([0, a, b, c]) >> 8);
    let size = all.abs();
    (size / 10_000 * 3600 + size / 100 % 100 * 60 + size % 100) * 1_000_000 * all.signum()
}

/// What a packed DATETIME says: year, month, day, hour, minute, second, microseconds.
pub(super) fn unpack(packed: i64) -> (i64, i64, i64, i64, i64, i64, i64) {
    let (date_time, micros) = (packed >> 24, packed & 0xff_ffff);
    let (date, time) = (date_time >> 17, date_time & 0x1_ffff);
    let months = date >> 5;
    (months / 13, months % 13, date & 31, time >> 12, time >> 6 & 63, time & 63, micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn hms(h: i64, m: i64, s: i64) -> i64 {
        h << 12 | m << 6 | s
    }

    #[test]
    fn times_of_both_signs_and_all_fractions() {
        assert_eq!(time([0x80, 0, 0]), 0);
        let at = |h: i64, m: i64, s: i64| ((h * 60 + m) * 60 + s) * 1_000_000;
        assert_eq!(time([0xb4, 0x6e, 0xfb]), at(838, 59, 59));
        assert_eq!(time([0x4b, 0x91, 0x05]), -at(838, 59, 59));
        // from the comment on TIME in my_time.cc: -00:00:00.01 and its neighbours
        assert_eq!(time([0x7f, 0xff, 0xff, 0xff]), -10_000);
        assert_eq!(time([0x7f, 0xff, 0xff, 0x9d]), -990_000);
        assert_eq!(time([0x7f, 0xff, 0xff, 0x00]), -1_000_000);
        assert_eq!(time([0x7f, 0xff, 0xfe, 0xff]), -1_010_000);
        for n in [1, 123_456, at(838, 59, 58) + 999_999] {
            let s = n / 1_000_000;
            let stored = hms(s / 3600, s / 60 % 60, s % 60) << 24 | (n % 1_000_000);
            let bytes = |v: i64| -> [u8; 6] { (v + 0x8000_0000_0000).to_be_bytes()[2..].try_into().unwrap() };
            assert_eq!((time(bytes(stored)), time(bytes(-stored))), (n, -n));
        }
    }

    #[test]
    fn old_forms() {
        // 2020-02-29 01:02:03 and -12:34:56, as MariaDB writes them
        let packed = old_datetime([0x1b, 0x7b, 0x79, 0x3b, 0x5f, 0x12, 0, 0]);
        assert_eq!(unpack(packed), (2020, 2, 29, 1, 2, 3, 0));
        assert_eq!(old_time([0xc0, 0x1d, 0xfe]), -((12 * 60 + 34) * 60 + 56) * 1_000_000);
        assert_eq!((old_datetime([0; 8]), old_time([0; 3])), (0, 0));
    }

    #[test]
    fn zero_and_partial_dates_survive() {
        assert_eq!(datetime([0x80, 0, 0, 0, 0]), 0);
        let packed = (((2020 * 13) << 5 | 15) << 17 | hms(23, 59, 59)) << 24;
        let stored = ((packed >> 24) + 0x80_0000_0000i64).to_be_bytes();
        assert_eq!(datetime([stored[3], stored[4], stored[5], stored[6], stored[7]]), packed);
        assert_eq!(
            datetime([stored[3], stored[4], stored[5], stored[6], stored[7], 0x30, 0x34]),
            packed + 1_234_000
        );
        assert_eq!(unpack(packed + 7), (2020, 0, 15, 23, 59, 59, 7));
        assert_eq!(timestamp([0, 0, 0, 0]), 0);
        assert_eq!(timestamp([0x7f, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f]), 2_147_483_647_999_999);
    }
}
