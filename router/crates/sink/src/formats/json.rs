//! Values as JSON text (RFC 8259), written by index into room that the caller has made.
//!
//! Every function writes at `at` and answers where the text goes on. A caller that has made too little room meets a
//! panic of the slice's bounds, never a wrong byte: the room for each kind of value is a constant or function beside it.

use arrow_buffer::i256;
use base64::Engine as _;
use base64::engine::GeneralPurpose;

use super::calendar::{Clock, Date};
use super::digits;

/// The room of any integer up to 64 bits, and of any float.
pub(crate) const NUMBER: usize = digits::SLACK;
/// The room of a 65-digit decimal with sign, zero and point, or of its bytes in base64, quoted.
pub(crate) const DECIMAL: usize = 80;
/// The room of a date with a time and a fraction, quoted.
pub(crate) const DATETIME: usize = 48;

/// Bytes as they are.
#[inline(always)]
pub(crate) fn put(buf: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    buf[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

/// An integer.
#[inline(always)]
pub(crate) fn integer(buf: &mut [u8], at: usize, value: i64) -> usize {
    digits::signed(buf, at, value)
}

/// An integer without a sign.
#[inline(always)]
pub(crate) fn unsigned(buf: &mut [u8], at: usize, value: u64) -> usize {
    digits::unsigned(buf, at, value)
}

/// A float, as the shortest text that reads back as the same float; `null` where JSON has no word for it.
pub(crate) fn float<F: ryu::Float>(buf: &mut [u8], at: usize, value: F, finite: bool) -> usize {
    if !finite {
        return put(buf, at, b"null");
    }
    put(buf, at, ryu::Buffer::new().format_finite(value).as_bytes())
}

/// Whether no byte needs an escape inside a JSON string.
pub(crate) fn is_clean(bytes: &[u8]) -> bool {
    // no early exit inside a piece, so that the loop becomes vector instructions
    bytes.chunks(1024).all(|piece| {
        let needs_escape = |&b: &u8| b < 0x20 || b == b'"' || b == b'\\';
        !piece.iter().fold(false, |bad, b| bad | needs_escape(b))
    })
}

/// Texts up to this length are copied in one piece of this length.
pub(crate) const OVERRUN: usize = 32;

/// A string of which [`is_clean`] holds: the bytes `from .. to` of `all`. Needs [`OVERRUN`] bytes of room more than it writes.
#[inline(always)]
pub(crate) fn clean_string(buf: &mut [u8], at: usize, all: &[u8], from: usize, to: usize) -> usize {
    buf[at] = b'"';
    let len = to - from;
    match all.get(from..from + OVERRUN) {
        // a copy of known length is an instruction or two, and what it copies too much is overwritten
        Some(piece) if len <= OVERRUN => buf[at + 1..at + 1 + OVERRUN].copy_from_slice(piece),
        _ => buf[at + 1..at + 1 + len].copy_from_slice(&all[from..to]),
    }
    buf[at + 1 + len] = b'"';
    at + len + 2
}

/// A string.
pub(crate) fn string(buf: &mut [u8], at: usize, text: &[u8]) -> usize {
    buf[at] = b'"';
    let mut at = at + 1;
    for &byte in text {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            0..0x20 => {
                at = put(buf, at, b"\\u00");
                at = hex(buf, at, &[byte]);
                continue;
            }
            _ => {
                buf[at] = byte;
                at += 1;
                continue;
            }
        };
        at = put(buf, at, &[b'\\', short]);
    }
    buf[at] = b'"';
    at + 1
}

/// Lower-case hexadecimal digits, two for each byte, without quotes.
pub(crate) fn hex(buf: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in buf[at..at + 2 * bytes.len()].chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    at + 2 * bytes.len()
}

/// The room of bytes in base64 (or hexadecimal), quoted.
pub(crate) const fn bytes_room(len: usize) -> usize {
    2 * len + 8
}

/// Base64 in quotes.
pub(crate) fn base64(buf: &mut [u8], at: usize, engine: &GeneralPurpose, bytes: &[u8]) -> usize {
    buf[at] = b'"';
    let written = engine.encode_slice(bytes, &mut buf[at + 1..]).expect("room for base64");
    buf[at + 1 + written] = b'"';
    at + written + 2
}

/// The fewest big-endian two's complement bytes of a number, in base64, quoted: Kafka Connect's `Decimal`.
#[inline]
pub(crate) fn decimal_bytes<const N: usize>(buf: &mut [u8], at: usize, big_endian: [u8; N]) -> usize {
    let sign = if big_endian[0] & 0x80 == 0 { 0 } else { 0xff };
    let mut skip = big_endian.iter().take_while(|&&b| b == sign).count().min(N - 1);
    if skip > 0 && (big_endian[skip] ^ sign) & 0x80 != 0 {
        skip -= 1;
    }
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextet = |word: u32, shift: u32| ALPHABET[(word >> shift & 63) as usize];
    buf[at] = b'"';
    let mut at = at + 1;
    for three in big_endian[skip..].chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let third = if three.len() > 1 { sextet(word, 6) } else { b'=' };
        let fourth = if three.len() > 2 { sextet(word, 0) } else { b'=' };
        at = put(buf, at, &[sextet(word, 18), sextet(word, 12), third, fourth]);
    }
    buf[at] = b'"';
    at + 1
}

/// A decimal in plain digits, without quotes: all `scale` digits after the point, at least one before it.
pub(crate) fn decimal_i128(buf: &mut [u8], at: usize, value: i128, scale: u8) -> usize {
    let mut digits = itoa::Buffer::new();
    point(buf, at, value < 0, digits.format(value.unsigned_abs()).as_bytes(), scale)
}

/// As [`decimal_i128`], for what does not fit there.
pub(crate) fn decimal_i256(buf: &mut [u8], at: usize, value: i256, scale: u8) -> usize {
    const CHUNK: u64 = 10_u64.pow(19);
    let (low, high) = value.wrapping_abs().to_parts();
    let high = high as u128;
    let mut limbs = [(high >> 64) as u64, high as u64, (low >> 64) as u64, low as u64];
    // 78 digits at most, filled from the end, 19 at a time
    let mut digits = [b'0'; 95];
    let mut start = digits.len();
    let mut next_chunk = digits.len();
    loop {
        let mut rest = 0_u128;
        for limb in &mut limbs {
            let current = rest << 64 | u128::from(*limb);
            *limb = (current / u128::from(CHUNK)) as u64;
            rest = current % u128::from(CHUNK);
        }
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(rest as u64).as_bytes();
        start = start.min(next_chunk - text.len());
        digits[next_chunk - text.len()..next_chunk].copy_from_slice(text);
        if limbs == [0; 4] {
            break;
        }
        next_chunk -= 19;
        start = next_chunk;
    }
    point(buf, at, value.is_negative(), &digits[start..], scale)
}

fn point(buf: &mut [u8], at: usize, negative: bool, digits: &[u8], scale: u8) -> usize {
    let scale = usize::from(scale);
    let mut at = if negative { put(buf, at, b"-") } else { at };
    if scale == 0 {
        return put(buf, at, digits);
    }
    let whole = digits.len().saturating_sub(scale);
    at = if whole == 0 { put(buf, at, b"0") } else { put(buf, at, &digits[..whole]) };
    buf[at] = b'.';
    at += 1;
    let zeros = scale.saturating_sub(digits.len());
    buf[at..at + zeros].fill(b'0');
    put(buf, at + zeros, &digits[whole..])
}

const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// Two digits of a number below 100.
#[inline(always)]
fn two(value: u32) -> [u8; 2] {
    let at = 2 * value as usize;
    [PAIRS[at], PAIRS[at + 1]]
}

/// `yyyy-MM-dd`
#[inline]
pub(crate) fn date(buf: &mut [u8], at: usize, date: Date) -> usize {
    let ([a, b], [c, d]) = (two(date.year / 100), two(date.year % 100));
    let ([e, f], [g, h]) = (two(date.month), two(date.day));
    put(buf, at, &[a, b, c, d, b'-', e, f, b'-', g, h])
}

/// How the fraction of a second is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// Exactly so many digits.
    Digits(u8),
    /// As few as it takes; none (and no point) for a whole second.
    Shortest,
}

/// `HH:MM:SS[.f]`, more digits of hours where there are as many.
#[inline]
pub(crate) fn clock(buf: &mut [u8], at: usize, clock: Clock, fraction: Fraction) -> usize {
    let mut at = at;
    if clock.hour > 99 {
        buf[at] = b'0' + (clock.hour / 100) as u8;
        at += 1;
    }
    let ([a, b], [c, d], [e, f]) = (two(clock.hour % 100), two(clock.minute), two(clock.second));
    at = put(buf, at, &[a, b, b':', c, d, b':', e, f]);
    let ([u, v], [w, x], [y, z]) =
        (two(clock.micros / 10_000), two(clock.micros / 100 % 100), two(clock.micros % 100));
    // always all six, so that the copy has a known length; the text goes on after those that are wanted
    let six = [u, v, w, x, y, z];
    put(buf, at, &[b'.', u, v, w, x, y, z]);
    match fraction {
        Fraction::Digits(0) => at,
        Fraction::Digits(n) => at + 1 + usize::from(n),
        Fraction::Shortest if clock.micros == 0 => at,
        Fraction::Shortest => at + 7 - six.iter().rev().take_while(|&&d| d == b'0').count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut [u8]) -> usize) -> String {
        let mut buf = [b'!'; 512];
        let end = write(&mut buf);
        assert!(buf[end + digits::SLACK..].iter().all(|&b| b == b'!'), "nothing far beyond the end");
        String::from_utf8(buf[..end].to_vec()).unwrap()
    }

    #[test]
    fn strings_with_every_control_character() {
        let text: String = (0..0x80).map(char::from).chain("äß€😀\u{2028}".chars()).collect();
        let json = written(|buf| string(buf, 0, text.as_bytes()));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(json, serde_json::to_string(&text).unwrap());
        for n in 0..=255_u8 {
            assert_eq!(is_clean(&[n]), n >= 0x20 && n != b'"' && n != b'\\', "{n}");
        }
        assert!(!is_clean(&[&[b'a'; 5000][..], b"\n"].concat()));
    }

    #[test]
    fn decimals_in_plain_digits() {
        let small = |value, scale| written(|buf| decimal_i128(buf, 0, value, scale));
        assert_eq!(small(0, 0), "0");
        assert_eq!(small(0, 2), "0.00");
        assert_eq!(small(-5, 2), "-0.05");
        assert_eq!(small(12345, 2), "123.45");
        assert_eq!(small(i128::MIN, 0), i128::MIN.to_string());
        let big = |value: &str, scale| {
            written(|buf| decimal_i256(buf, 0, i256::from_string(value).unwrap(), scale))
        };
        assert_eq!(big("0", 30), format!("0.{}", "0".repeat(30)));
        assert_eq!(big("-1", 30), format!("-0.{}1", "0".repeat(29)));
        for text in
            ["9".repeat(65), "1".to_owned() + &"0".repeat(64), "10000000000000000000".into(), "7".into()]
        {
            assert_eq!(big(&text, 0), text);
            assert_eq!(big(&format!("-{text}"), 0), format!("-{text}"));
        }
        assert_eq!(big(&"9".repeat(65), 30), format!("{}.{}", "9".repeat(35), "9".repeat(30)));
    }

    #[test]
    fn decimals_as_bytes() {
        use base64::engine::general_purpose::STANDARD;
        for value in (-70_000..70_000).chain([i128::from(i64::MAX), i128::MIN, i128::MAX]) {
            let json = written(|buf| decimal_bytes(buf, 0, value.to_be_bytes()));
            let bytes = STANDARD.decode(json.trim_matches('"')).unwrap();
            // read back with the sign extended
            let mut full = [if bytes[0] & 0x80 == 0 { 0 } else { 0xff }; 16];
            full[16 - bytes.len()..].copy_from_slice(&bytes);
            assert_eq!(i128::from_be_bytes(full), value);
            let needed = (1..=16).find(|&n| n == 16 || (value >> (8 * n - 1)) == (value >> 127)).unwrap();
            assert_eq!(bytes.len(), needed, "{value}: the fewest bytes");
        }
    }

    #[test]
    fn times() {
        let at = |hour, micros| Clock { hour, minute: 5, second: 9, micros };
        assert_eq!(written(|b| clock(b, 0, at(838, 999_999), Fraction::Digits(6))), "838:05:09.999999");
        assert_eq!(written(|b| clock(b, 0, at(1, 120_000), Fraction::Shortest)), "01:05:09.12");
        assert_eq!(written(|b| clock(b, 0, at(1, 120_000), Fraction::Digits(3))), "01:05:09.120");
        assert_eq!(written(|b| clock(b, 0, at(1, 0), Fraction::Shortest)), "01:05:09");
        assert_eq!(written(|b| date(b, 0, Date { year: 7, month: 12, day: 31 })), "0007-12-31");
    }
}
