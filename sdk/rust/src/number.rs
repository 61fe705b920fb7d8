//! Decimal numbers as text, exactly: no float is ever made of them.

use std::cmp::Ordering;

/// A decimal number, split into its digits: `[-]whole.fraction` times ten to the `exponent`.
///
/// Reads what the contract's decimals, SQL's literals and JSON's numbers look like.
///
/// ```
/// use forebay_plugin::Decimal;
///
/// let price = Decimal::parse("-0.50").unwrap();
/// assert!(price < Decimal::parse("-0.4999999999999999999999999").unwrap());
/// assert_eq!(price, Decimal::parse("-5e-1").unwrap());
/// assert_eq!(Decimal::parse("1e3").unwrap().integer(), Some(1000));
/// assert_eq!(price.integer(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'a [u8],
    /// Digits after it; zeros at the end mean nothing, and without `whole` neither do those at the start.
    fraction: &'a [u8],
    exponent: i64,
}

/// Exponents beyond are none that a value of a column could meet.
const EXPONENT: i64 = 100_000;

impl<'a> Decimal<'a> {
    /// Reads `[-+]digits[.digits][e[-+]digits]`, where the digits on one side of the point may be missing.
    pub fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let text = text.as_bytes();
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (digits, exponent) = match text.iter().position(|c| matches!(c, b'e' | b'E')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = match digits.iter().position(|&c| c == b'.') {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &[][..]),
        };
        if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = whole.iter().take_while(|&&d| d == b'0').count();
        let end = fraction.iter().rposition(|&d| d != b'0').map_or(0, |last| last + 1);
        Some(Decimal { negative, whole: &whole[zeros..], fraction: &fraction[..end], exponent })
    }

    /// Whether it is zero, of whatever sign.
    pub fn is_zero(&self) -> bool {
        self.digits().next().is_none()
    }

    /// Digits from the first that is not 0.
    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.iter().chain(self.fraction).copied().skip_while(|&d| d == b'0')
    }

    /// Where the point stands, counted from the first digit that is not 0.
    fn point(&self) -> i64 {
        let zeros = if self.whole.is_empty() {
            self.fraction.iter().take_while(|&&d| d == b'0').count() as i64
        } else {
            0
        };
        self.whole.len() as i64 - zeros + self.exponent
    }

    /// The number, if it is whole and at most 38 digits long.
    pub fn integer(&self) -> Option<i128> {
        let point = self.point();
        if self.is_zero() {
            return Some(0);
        }
        if !(1..=38).contains(&point) {
            return None;
        }
        let mut digits = self.digits();
        let mut number = 0_i128;
        for _ in 0..point {
            number = number * 10 + i128::from(digits.next().unwrap_or(b'0') - b'0');
        }
        digits.all(|d| d == b'0').then_some(if self.negative { -number } else { number })
    }

    /// The largest whole number that is not above it; of numbers with more than 38 digits, the least or the largest there is.
    pub fn floor(&self) -> i128 {
        if let Some(whole) = self.integer() {
            return whole;
        }
        let point = self.point();
        if point > 38 {
            return if self.negative { i128::MIN } else { i128::MAX };
        }
        let digits = self.digits().take(point.max(0) as usize);
        let number = digits.fold(0, |number, d| number * 10 + i128::from(d - b'0'));
        if self.negative { -number - 1 } else { number }
    }

    /// Appends the number as a decimal of so many digits, `scale` of them after the point; false, and nothing appended, if
    /// it has more.
    pub fn write(&self, precision: usize, scale: usize, out: &mut String) -> bool {
        let point = if self.is_zero() { 0 } else { self.point() };
        let whole = point.max(0) as usize;
        let count = self.digits().count();
        let significant =
            self.digits().enumerate().filter(|(_, d)| *d != b'0').map(|(at, _)| at + 1).last().unwrap_or(0);
        if significant as i64 - point > scale as i64 || whole > precision.saturating_sub(scale) {
            return false;
        }
        if self.negative && !self.is_zero() {
            out.push('-');
        }
        if whole == 0 {
            out.push('0');
        }
        let mut digits = self.digits().take(significant.min(count));
        for _ in 0..whole {
            out.push(char::from(digits.next().unwrap_or(b'0')));
        }
        if scale > 0 {
            out.push('.');
            let zeros = ((-point).max(0) as usize).min(scale);
            for _ in 0..zeros {
                out.push('0');
            }
            for _ in zeros..scale {
                out.push(char::from(digits.next().unwrap_or(b'0')));
            }
        }
        true
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent = digits.iter().fold(0, |sum: i64, d| (sum * 10 + i64::from(d - b'0')).min(EXPONENT));
    Some(if negative { -exponent } else { exponent })
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        if self.negative != other.negative {
            return if self.negative { Ordering::Less } else { Ordering::Greater };
        }
        // without zeros at the end the shorter of two equal beginnings is the smaller number
        let size = self.point().cmp(&other.point()).then_with(|| {
            let (mut a, mut b) = (self.digits(), other.digits());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        });
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal<'_> {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn orders_exactly() {
        let rising = [
            "-1e30",
            "-100",
            "-99.999",
            "-1.01",
            "-1.00",
            "-0.5",
            "-5e-3",
            "0",
            "0.0000001",
            "5e-3",
            "0.05",
            "0.5",
            "0.51",
            "1",
            "9",
            "10",
            "10.50",
            "10.500000000000000000000000000001",
            "99999999999999999999999999999",
            "1e29",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(of(a).cmp(&of(b)), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in
            [("1", "1.000"), ("-0", "0.00"), ("010", "1e1"), ("100e-2", "1"), (".5", "0.50"), ("5.", "5")]
        {
            assert_eq!(of(a), of(b));
        }
        for bad in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "--1", "1x", " 1", "Infinity", "٣"] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn integers() {
        for (text, want) in [
            ("0", Some(0)),
            ("-0.000", Some(0)),
            ("12.000", Some(12)),
            ("1.5e1", Some(15)),
            ("1200e-2", Some(12)),
            ("1201e-2", None),
            ("-7", Some(-7)),
            ("0.5", None),
            ("18446744073709551616", Some(1 << 64)),
            ("1e99999999999999999999", None),
            ("1e38", None),
        ] {
            assert_eq!(of(text).integer(), want, "{text}");
        }
        for (text, want) in [
            ("1.5", 1),
            ("-1.5", -2),
            ("0.1", 0),
            ("-0.1", -1),
            ("5", 5),
            ("-1e40", i128::MIN),
            ("12.5e1", 125),
        ] {
            assert_eq!(of(text).floor(), want, "{text}");
        }
    }

    #[test]
    fn writes_what_fits() {
        let write = |text: &str, precision, scale| {
            let mut out = String::from(">");
            of(text).write(precision, scale, &mut out).then_some(out)
        };
        for (text, precision, scale, want) in [
            ("1.5", 10, 2, Some(">1.50")),
            ("-0.5", 10, 2, Some(">-0.50")),
            ("-0", 10, 2, Some(">0.00")),
            ("0.005", 10, 3, Some(">0.005")),
            ("0.005", 10, 2, None),
            ("1.5e2", 10, 0, Some(">150")),
            ("150e-1", 3, 1, Some(">15.0")),
            ("1.10", 3, 1, Some(">1.1")),
            ("123", 4, 2, None),
            ("12.34", 4, 2, Some(">12.34")),
            ("1e-40", 65, 30, None),
            ("7", 1, 0, Some(">7")),
        ] {
            assert_eq!(write(text, precision, scale).as_deref(), want, "{text}");
        }
    }
}
