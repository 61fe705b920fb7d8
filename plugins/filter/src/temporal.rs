//! Dates and times as numbers that have their order.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// A DATE, DATETIME or TIMESTAMP as the contract writes it, zero and partial dates included; `None` = it is none.
pub(crate) fn datetime(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    let date = number(text.get(..4)?)? * 10_000 + number(text.get(5..7)?)? * 100 + number(text.get(8..10)?)?;
    let clock = match text.get(11..) {
        Some(clock) => {
            (number(clock.get(..2)?)? * 60 + number(clock.get(3..5)?)?) * 60_000_000
                + seconds(clock.get(6..)?)?
        }
        None => 0,
    };
    Some(date * DAY + clock)
}

/// A TIME as the contract writes it.
pub(crate) fn time(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (hours, rest) = text.split_once(':')?;
    let rest = rest.as_bytes();
    let minutes = number(hours.as_bytes())? * 60 + number(rest.get(..2)?)?;
    Some(sign * (minutes * 60_000_000 + seconds(rest.get(3..)?)?))
}

/// `SS[.ffffff]` in microseconds.
fn seconds(text: &[u8]) -> Option<i64> {
    let fraction = text.get(3..).unwrap_or_default();
    let micros = number(fraction)? * 10_i64.pow(6_u32.checked_sub(fraction.len() as u32)?);
    Some(number(text.get(..2)?)? * 1_000_000 + micros)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |sum, d| d.is_ascii_digit().then(|| sum * 10 + i64::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn have_their_order() {
        let rising = [
            "0000-00-00",
            "2020-00-00",
            "2020-00-15",
            "2020-01-01",
            "2020-01-01 00:00:00.000001",
            "2020-01-01 00:00:00.5",
            "2020-01-01 23:59:59.999999",
            "2020-01-02 00:00:00",
            "9999-12-31 23:59:59",
        ];
        let keys: Vec<i64> = rising.iter().map(|text| datetime(text).unwrap()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        assert_eq!(datetime("2020-01-01"), datetime("2020-01-01 00:00:00.000"));
        assert_eq!(datetime("2020-01-01 00:00:00.5"), datetime("2020-01-01 00:00:00.500"));
        let rising = ["-838:59:59", "-00:00:00.1", "00:00:00", "00:00:00.01", "01:00:00", "100:00:00"];
        let keys: Vec<i64> = rising.iter().map(|text| time(text).unwrap()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        for bad in
            ["", "2020", "2020-01-01 1", "2020-0x-01", "2020-01-01 00:00", "2020-01-01 00:00:00.1234567"]
        {
            assert_eq!(datetime(bad), None, "{bad}");
        }
        assert_eq!((time(""), time("1"), time("00:0")), (None, None, None));
    }
}
