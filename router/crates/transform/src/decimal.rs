//! Decimals as their canonical text, and back, exactly.

use arrow_buffer::i256;

/// 10^38, the most that a half of a 256-bit decimal holds.
const HALF: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;
const HALF_DIGITS: usize = 38;
/// MySQL's widest decimal has 65 digits.
const DIGITS: usize = 2 * HALF_DIGITS;

/// Appends an unscaled number with `scale` digits after the point.
pub(crate) fn write_128(unscaled: i128, scale: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    place_point(unscaled < 0, buffer.format(unscaled.unsigned_abs()).as_bytes(), scale, out);
}

/// As [`write_128`].
pub(crate) fn write_256(unscaled: i256, scale: usize, out: &mut Vec<u8>) {
    let negative = unscaled < i256::ZERO;
    let half = i256::from_i128(HALF);
    // both halves are below 10^38: a decimal has at most 65 digits
    let high = unscaled.wrapping_div(half).as_i128().unsigned_abs();
    let low = unscaled.wrapping_rem(half).as_i128().unsigned_abs();
    let mut digits = [b'0'; DIGITS];
    for (number, end) in [(high, HALF_DIGITS), (low, DIGITS)] {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        digits[end - text.len()..end].copy_from_slice(text);
    }
    let first = digits.iter().position(|&d| d != b'0').unwrap_or(DIGITS - 1);
    place_point(negative, &digits[first..], scale, out);
}

fn place_point(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let whole = digits.len().saturating_sub(scale);
    if whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits[..whole]);
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// Reads `[-]digits[.digits]`; `None` if it is something else, or has more digits than the type.
pub(crate) fn parse_256(text: &[u8], precision: usize, scale: usize) -> Option<i256> {
    let (negative, digits) = digits(text, precision, scale)?;
    let (high, low) = digits.split_at(HALF_DIGITS);
    let number = i256::from_i128(number(high)).wrapping_mul(i256::from_i128(HALF));
    let number = number.wrapping_add(i256::from_i128(self::number(low)));
    Some(if negative { number.wrapping_neg() } else { number })
}

/// As [`parse_256`], of at most 38 digits.
pub(crate) fn parse_128(text: &[u8], precision: usize, scale: usize) -> Option<i128> {
    let (negative, digits) = digits(text, precision.min(HALF_DIGITS), scale)?;
    let number = number(&digits[HALF_DIGITS..]);
    Some(if negative { -number } else { number })
}

fn number(digits: &[u8]) -> i128 {
    digits.iter().fold(0, |number, digit| number * 10 + i128::from(digit - b'0'))
}

/// Sign and all digits of the unscaled number, right-aligned.
fn digits(text: &[u8], precision: usize, scale: usize) -> Option<(bool, [u8; DIGITS])> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|&c| c == b'.');
    let (whole, fraction) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    let lonely_point = point.is_some() && fraction.is_empty();
    if whole.is_empty() || lonely_point || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = whole.iter().position(|&d| d != b'0').unwrap_or(whole.len());
    let whole = &whole[zeros..];
    if fraction.len() > scale || whole.len() > precision - scale {
        return None;
    }
    let mut digits = [b'0'; DIGITS];
    let end = DIGITS - scale;
    digits[end - whole.len()..end].copy_from_slice(whole);
    digits[end..end + fraction.len()].copy_from_slice(fraction);
    Some((negative, digits))
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
    fn is_canonical() {
        for (unscaled, scale, want) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (-50, 2, "-0.50"),
            (7, 0, "7"),
            (1, 5, "0.00001"),
            (12345, 2, "123.45"),
        ] {
            assert_eq!(text(|out| write_128(unscaled, scale, out)), want);
            assert_eq!(text(|out| write_256(i256::from_i128(unscaled), scale, out)), want);
            assert_eq!(parse_128(want.as_bytes(), 38, scale), Some(unscaled));
            assert_eq!(parse_256(want.as_bytes(), 65, scale), Some(i256::from_i128(unscaled)));
        }
        assert_eq!(parse_128(b"1.5", 5, 2), Some(150), "digits may be left out");
        assert_eq!(parse_128(b"-0", 5, 2), Some(0));
        assert_eq!(parse_128(b"000001", 3, 2), Some(100));
        for bad in
            ["", "-", ".5", "1.", "+1", "1e3", "1.005", "1000", " 1", "1,0", "--1", "1.2.3", "NaN", "٣"]
        {
            assert_eq!(parse_128(bad.as_bytes(), 5, 2), None, "{bad}");
            assert_eq!(parse_256(bad.as_bytes(), 5, 2), None, "{bad}");
        }
        let widest = "9".repeat(65);
        let number = parse_256(widest.as_bytes(), 65, 0).unwrap();
        assert_eq!(number.to_string(), widest);
        assert_eq!(text(|out| write_256(number.wrapping_neg(), 30, out)).len(), 65 + 2);
    }

    proptest! {
        #[test]
        fn numbers_survive(high in 0i128..10i128.pow(27), low in 0i128..HALF, negative: bool, scale in 0usize..=30) {
            let unscaled = i256::from_i128(high).wrapping_mul(i256::from_i128(HALF)).wrapping_add(i256::from_i128(low));
            let unscaled = if negative { unscaled.wrapping_neg() } else { unscaled };
            let written = text(|out| write_256(unscaled, scale, out));
            prop_assert_eq!(parse_256(written.as_bytes(), 65, scale), Some(unscaled));
            let small = if negative { -low } else { low };
            let written = text(|out| write_128(small, scale, out));
            prop_assert_eq!(parse_128(written.as_bytes(), 38, scale), Some(small));
            prop_assert_eq!(written, text(|out| write_256(i256::from_i128(small), scale, out)));
        }

        #[test]
        fn no_text_panics(text in "[-0-9.e]{0,80}", scale in 0usize..=30) {
            let _ = parse_256(text.as_bytes(), 65, scale);
            let _ = parse_128(text.as_bytes(), 38, scale);
        }
    }
}
