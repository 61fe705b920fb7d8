//! DECIMAL: groups of nine digits in four bytes, the odd digits at both ends in fewer; big-endian, the sign in the top
//! bit, a negative number with all bits turned.
//!
//! Format: `decimal2bin` in `strings/decimal.cc` of MySQL.

use arrow_buffer::i256;

use crate::mysql::cursor::Garbled;

/// How many bytes 0 to 9 digits take.
const BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POWERS: [u64; 10] =
    [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// How a DECIMAL(precision, scale) lies in the binlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// Digits before and after the point.
    whole: u8,
    scale: u8,
    whole_bytes: u8,
    /// All bytes.
    pub(super) bytes: u8,
}

impl Decimal {
    pub(super) fn new(precision: u8, scale: u8) -> Option<Self> {
        // MariaDB has 38 digits behind the point, MySQL 30
        if !(1..=65).contains(&precision) || scale > 38 || scale > precision {
            return None;
        }
        let size = |digits: u8| digits / 9 * 4 + BYTES[usize::from(digits % 9)];
        let whole = precision - scale;
        Some(Decimal { whole, scale, whole_bytes: size(whole), bytes: size(whole) + size(scale) })
    }

    /// Whether it needs 256 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.whole + self.scale > 38
    }

    /// Whether [`small`](Self::small) reads it: both halves fit 64 bits.
    pub(super) fn is_small(&self) -> bool {
        self.bytes <= 8 && self.scale <= 9 && self.whole <= 18
    }

    /// The unscaled number, from its bytes in the low end of `word` (the rest zero).
    #[inline]
    pub(super) fn small(&self, word: u64) -> i64 {
        let bits = 8 * u32::from(self.bytes);
        let all = u64::MAX >> (64 - bits);
        let sign = 1 << (bits - 1);
        let negative = word & sign == 0;
        let word = if negative { word ^ sign ^ all } else { word ^ sign };
        let scale_bits = bits - 8 * u32::from(self.whole_bytes);
        let (mut whole, fraction) = match scale_bits {
            0 => (word, 0),
            64 => (0, word),
            n => (word >> n, word & ((1 << n) - 1)),
        };
        if self.whole > 9 {
            whole = (whole >> 32).wrapping_mul(POWERS[9]).wrapping_add(whole & 0xffff_ffff);
        }
        let value = whole.wrapping_mul(POWERS[usize::from(self.scale)]).wrapping_add(fraction) as i64;
        if negative { value.wrapping_neg() } else { value }
    }

    /// The unscaled number of up to 38 digits.
    pub(super) fn i128(&self, bytes: &[u8]) -> Result<i128, Garbled> {
        let mut value = 0i128;
        let negative = self.groups(bytes, |group, digits| {
            value = value.wrapping_mul(i128::from(POWERS[digits])).wrapping_add(i128::from(group));
        })?;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    /// The unscaled number of up to 65 digits.
    pub(super) fn i256(&self, bytes: &[u8]) -> Result<i256, Garbled> {
        let mut value = i256::ZERO;
        let negative = self.groups(bytes, |group, digits| {
            let power = i256::from_i128(i128::from(POWERS[digits]));
            value = value.wrapping_mul(power).wrapping_add(i256::from_i128(i128::from(group)));
        })?;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    /// Gives each group of digits, highest first, and says whether the number is negative.
    fn groups(&self, bytes: &[u8], mut each: impl FnMut(u32, usize)) -> Result<bool, Garbled> {
        let negative = bytes.first().ok_or(Garbled)? & 0x80 == 0;
        let mut rest = bytes;
        let mut first = true;
        let mut group = |digits: u8| -> Result<(), Garbled> {
            let (head, tail) =
                rest.split_at_checked(usize::from(BYTES[usize::from(digits)])).ok_or(Garbled)?;
            rest = tail;
            let mut value = 0u32;
            for &byte in head {
                let byte = if std::mem::take(&mut first) { byte ^ 0x80 } else { byte };
                value = value << 8 | u32::from(if negative { !byte } else { byte });
            }
            if u64::from(value) >= POWERS[usize::from(digits)] {
                return Err(Garbled);
            }
            each(value, usize::from(digits));
            Ok(())
        };
        for digits in [self.whole % 9].into_iter().filter(|&d| d > 0) {
            group(digits)?;
        }
        for _ in 0..self.whole / 9 + self.scale / 9 {
            group(9)?;
        }
        for digits in [self.scale % 9].into_iter().filter(|&d| d > 0) {
            group(digits)?;
        }
        if rest.is_empty() { Ok(negative) } else { Err(Garbled) }
    }
}

/// A decimal of JSON: its digits as text.
pub(super) fn to_text(precision: u8, scale: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
    let decimal = Decimal::new(precision, scale).ok_or(Garbled)?;
    let value = decimal.i256(bytes)?;
    let digits = value.wrapping_abs().to_string();
    if value.is_negative() {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

/// The bytes of a number, for tests.
#[cfg(test)]
pub(super) fn encode(precision: u8, scale: u8, value: i256) -> Vec<u8> {
    let text = format!("{:0>width$}", value.wrapping_abs().to_string(), width = usize::from(precision));
    let (whole, fraction) = text.split_at(usize::from(precision - scale));
    let mut out = Vec::new();
    let mut put = |digits: &str| {
        let n = usize::from(BYTES[digits.len()]);
        let group: u32 = if digits.is_empty() { 0 } else { digits.parse().unwrap() };
        out.extend_from_slice(&group.to_be_bytes()[4 - n..]);
    };
    put(&whole[..whole.len() % 9]);
    whole.as_bytes()[whole.len() % 9..].chunks(9).for_each(|c| put(std::str::from_utf8(c).unwrap()));
    fraction.as_bytes().chunks(9).for_each(|c| put(std::str::from_utf8(c).unwrap()));
    if value.is_negative() {
        out.iter_mut().for_each(|b| *b = !*b);
    }
    out[0] ^= 0x80;
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_manuals_example() {
        // strings/decimal.cc: 1234567890.1234 and its negative as DECIMAL(14,4)
        let decimal = Decimal::new(14, 4).unwrap();
        let plus = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        let minus = [0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d];
        assert_eq!(decimal.bytes, 7);
        assert_eq!(decimal.i128(&plus), Ok(12_345_678_901_234));
        assert_eq!(decimal.i128(&minus), Ok(-12_345_678_901_234));
        assert_eq!(decimal.i128(&plus[..6]), Err(Garbled));
        let mut text = Vec::new();
        to_text(14, 4, &minus, &mut text).unwrap();
        assert_eq!(text, b"-1234567890.1234");
    }

    proptest! {
        #[test]
        fn every_precision_and_scale(precision in 1u8..=65, scale in 0u8..=38, digits in "[0-9]{65}", negative: bool) {
            let scale = scale.min(precision);
            let decimal = Decimal::new(precision, scale).unwrap();
            let digits = &digits[..usize::from(precision)];
            let mut value = i256::from_string(digits).unwrap();
            if negative {
                value = value.wrapping_neg();
            }
            let bytes = encode(precision, scale, value);
            prop_assert_eq!(bytes.len(), usize::from(decimal.bytes));
            prop_assert_eq!(decimal.i256(&bytes), Ok(value));
            if precision <= 38 {
                prop_assert_eq!(decimal.i128(&bytes).ok(), value.to_i128());
            }
            if decimal.is_small() {
                let word = bytes.iter().fold(0, |w, &b| w << 8 | u64::from(b));
                prop_assert_eq!(Some(i128::from(decimal.small(word))), value.to_i128());
            }
        }
    }
}
