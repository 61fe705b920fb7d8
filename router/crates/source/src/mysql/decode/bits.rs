//! Bitmaps of columns, as images have them, and their turn into bitmaps of rows.

/// A bit for each column of an image, in any number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// All of them, where there are at most eight.
    word: u64,
}

impl<'a> Bits<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut word = 0;
        if bytes.len() <= 8 {
            for &byte in bytes.iter().rev() {
                word = word << 8 | u64::from(byte);
            }
        }
        Bits { bytes, word }
    }

    /// The bits `at .. at + n`, lowest first; `n` is at most 32 and the bits exist.
    #[inline]
    pub(super) fn window(&self, at: usize, n: usize) -> u32 {
        let word = match self.bytes.len().checked_sub(8) {
            None | Some(0) => self.word >> at,
            Some(last) => {
                let from = (at / 8).min(last);
                let chunk = self.bytes.get(from..).and_then(|b| b.first_chunk::<8>());
                chunk.map_or(0, |c| u64::from_le_bytes(*c)) >> (at - from * 8)
            }
        };
        (word & ((1 << n) - 1)) as u32
    }
}

/// Whether the first `n` bits are all set.
pub(super) fn all_set(bytes: &[u8], n: usize) -> bool {
    let (whole, rest) = (n / 8, n % 8);
    bytes[..whole].iter().all(|&b| b == 0xff) && (rest == 0 || bytes[whole] | !((1 << rest) - 1) == 0xff)
}

/// Turns `rows` bitmaps of `width` bytes each into a bitmap over the rows for each of the `width * 8` columns, each
/// of `rows.div_ceil(8)` bytes.
pub(super) fn transpose(by_row: &[u8], width: usize, rows: usize) -> Vec<u8> {
    let height = rows.div_ceil(8);
    let mut by_column = vec![0; width * 8 * height];
    for (group, images) in by_row.chunks(8 * width).enumerate() {
        for byte in 0..width {
            let mut square = 0;
            for (i, &b) in images.iter().skip(byte).step_by(width).enumerate() {
                square |= u64::from(b) << (8 * i);
            }
            if square == 0 {
                continue;
            }
            for (i, b) in transpose8(square).to_le_bytes().into_iter().enumerate() {
                by_column[(byte * 8 + i) * height + group] = b;
            }
        }
    }
    by_column
}

/// Transposes an 8 x 8 matrix of bits (Hacker's Delight, 7-3).
fn transpose8(mut x: u64) -> u64 {
    let t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= t ^ (t << 7);
    let t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= t ^ (t << 14);
    let t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^ t ^ (t << 28)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bit(bytes: &[u8], at: usize) -> bool {
        bytes[at / 8] >> (at % 8) & 1 == 1
    }

    proptest! {
        #[test]
        fn windows_are_bits(bytes in prop::collection::vec(any::<u8>(), 1..40), at in 0usize..320, n in 1usize..=32) {
            let columns = bytes.len() * 8;
            let at = at % columns;
            let n = n.min(columns - at);
            let window = Bits::new(&bytes).window(at, n);
            for i in 0..32 {
                prop_assert_eq!(window >> i & 1 == 1, i < n && bit(&bytes, at + i));
            }
        }

        #[test]
        fn columns_and_rows_change_places(width in 1usize..6, rows in 0usize..50, seed in any::<u64>()) {
            let by_row: Vec<u8> = (0..width * rows).map(|i| (seed.wrapping_mul(i as u64 * 2 + 1) >> 32) as u8).collect();
            let by_column = transpose(&by_row, width, rows);
            for row in 0..rows {
                for column in 0..width * 8 {
                    let at = &by_column[column * rows.div_ceil(8)..];
                    prop_assert_eq!(bit(at, row), bit(&by_row[row * width..], column));
                }
            }
        }
    }

    #[test]
    fn whole_bitmaps_are_known() {
        assert!(
            all_set(&[0xff, 0x03], 10)
                && all_set(&[0xff, 0xff], 10)
                && all_set(&[0xff], 8)
                && all_set(&[], 0)
        );
        assert!(!all_set(&[0xff, 0x01], 10) && !all_set(&[0xfe, 0x03], 10));
    }
}
