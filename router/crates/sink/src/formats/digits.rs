//! Decimal digits of integers, eight at a time in one machine word.
//!
//! Integers are most of what wide tables hold. The usual way (digits into a scratch buffer, then a copy of their exact
//! length) costs two calls for each; here a whole word is stored and the text goes on after its digits, which is why the
//! functions need [`SLACK`] bytes of room whatever the number's length.

/// Room that must follow `at`.
pub(crate) const SLACK: usize = 32;

/// `10^8`
const EIGHT: u64 = 100_000_000;
const ASCII: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below `10^8`, the first in the lowest byte, as values 0 to 9.
#[inline(always)]
const fn eight(n: u32) -> u64 {
    // each step splits every lane in two by a division that is a multiplication and a shift
    let n = n as u64;
    let fours = (n / 10_000) | ((n % 10_000) << 32);
    let hundreds = ((fours * 5243) >> 19) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

#[inline(always)]
fn store(buf: &mut [u8], at: usize, word: u64) {
    buf[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// A number below `10^8`, without leading zeros.
#[inline(always)]
fn short(buf: &mut [u8], at: usize, n: u32) -> usize {
    let digits = eight(n);
    // the last digit stays even if it is zero
    let zeros = (digits | 1 << 56).trailing_zeros() as usize / 8;
    store(buf, at, (digits | ASCII) >> (8 * zeros));
    at + 8 - zeros
}

/// A number below `10^8`, with leading zeros.
#[inline(always)]
fn full(buf: &mut [u8], at: usize, n: u64) -> usize {
    store(buf, at, eight(n as u32) | ASCII);
    at + 8
}

#[inline(always)]
pub(crate) fn unsigned(buf: &mut [u8], at: usize, n: u64) -> usize {
    if n < EIGHT {
        return short(buf, at, n as u32);
    }
    let (high, low) = (n / EIGHT, n % EIGHT);
    let at = if high < EIGHT {
        short(buf, at, high as u32)
    } else {
        let at = short(buf, at, (high / EIGHT) as u32);
        full(buf, at, high % EIGHT)
    };
    full(buf, at, low)
}

#[inline(always)]
pub(crate) fn signed(buf: &mut [u8], at: usize, n: i64) -> usize {
    // the sign is always written, and overwritten where there is none
    buf[at] = b'-';
    unsigned(buf, at + usize::from(n < 0), n.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_four_digits_and_every_length() {
        let mut buf = [0; SLACK];
        let mut check = |n: u64| {
            let end = unsigned(&mut buf, 0, n);
            assert_eq!(str::from_utf8(&buf[..end]).unwrap(), n.to_string());
            for n in [n as i64, (n as i64).wrapping_neg()] {
                let end = signed(&mut buf, 0, n);
                assert_eq!(str::from_utf8(&buf[..end]).unwrap(), n.to_string());
            }
        };
        // the word's two halves are worked out alike: all values of one, then of the other
        (0..100_000).for_each(&mut check);
        (0..10_000).for_each(|n| check(n * 10_000 + 7));
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            for n in [ten - 1, ten, ten + 1, ten.wrapping_mul(7), ten.wrapping_mul(18)] {
                check(n);
            }
        }
        [i64::MAX as u64, i64::MIN as u64, u64::MAX, u64::from(u32::MAX)].into_iter().for_each(check);
    }
}
