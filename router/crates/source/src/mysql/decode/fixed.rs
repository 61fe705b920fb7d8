//! Values of fixed width.
//!
//! They are collected a few rows at a time, row after row, and then go to their columns: writing each at once to a
//! buffer of its own would touch another page of memory with every value.

use super::lane::Image;
use crate::mysql::cursor::Garbled;

/// Values of fixed width of neighbouring columns.
#[derive(Debug)]
pub(super) struct Fixed<T> {
    pub(super) columns: Vec<Vec<T>>,
    /// Rows that have not gone to the columns yet; a tile for each eight columns.
    tiles: Vec<Tile<T>>,
}

/// Rows that are staged: 16 values of four bytes are a cache line.
pub(super) const STAGED: usize = 16;
/// Columns of a tile.
const TILE: usize = 8;

type Tile<T> = [[T; TILE]; STAGED];

impl<T: Copy + Default> Fixed<T> {
    pub(super) fn new(columns: usize, room: usize) -> Self {
        Fixed {
            columns: (0..columns).map(|_| Vec::with_capacity(room)).collect(),
            tiles: vec![[[T::default(); TILE]; STAGED]; columns.div_ceil(TILE)],
        }
    }

    /// Takes the first staged rows to their columns.
    pub(super) fn settle(&mut self, rows: usize) {
        for (tile, columns) in self.tiles.iter().zip(self.columns.chunks_mut(TILE)) {
            for (c, column) in columns.iter_mut().enumerate() {
                let values = |row: &[T; TILE]| row[c % TILE];
                match rows {
                    // without a length to look at in every turn
                    STAGED => column.extend(tile.iter().map(values)),
                    rows => column.extend(tile[..rows].iter().map(values)),
                }
            }
        }
    }
}

/// Numbers that become zero without a branch. (A choice between a value and zero is compiled to a jump, which a column
/// with a NULL here and there makes the processor guess wrongly.)
pub(super) trait Maskable: Copy + Default {
    /// Itself if `keep` is 1, zero if it is 0.
    fn masked(self, keep: u64) -> Self;
}

macro_rules! maskable {
    ($($number:ty, $bits:ty;)*) => {
        $(impl Maskable for $number {
            #[inline(always)]
            fn masked(self, keep: u64) -> Self {
                <$number>::from_ne_bytes((<$bits>::from_ne_bytes(self.to_ne_bytes()) & (keep as $bits).wrapping_neg()).to_ne_bytes())
            }
        })*
    };
}

maskable! {
    i32, u32;
    i64, u64;
    u64, u64;
    f32, u32;
    f64, u64;
}

/// Reads values of `N` bytes each. NULL bits are looked at 32 at a time and values eight at a time: in an image without
/// a NULL they are one stretch of bytes; in others a place in that stretch moves on or not, without a branch on the bit.
#[inline(never)]
pub(super) fn fixed<const N: usize, T: Maskable>(
    cells: &mut Fixed<T>,
    first: usize,
    image: &mut Image<'_, '_>,
    value: impl Fn([u8; N]) -> T,
) -> Result<(), Garbled> {
    let row = image.row % STAGED;
    if let ([tile], 1) = (&mut cells.tiles[..], cells.columns.len()) {
        return single(&mut tile[row][0], first, image, value);
    }
    let (mut at, end) = (first, first + cells.columns.len());
    for tiles in cells.tiles.chunks_mut(4) {
        let here = (end - at).min(4 * TILE);
        // what lies behind the last column counts as NULL
        let mut nulls = u64::from(image.nulls.window(at, here)) | u64::MAX << here;
        at += here;
        for tile in tiles {
            let cells = &mut tile[row];
            let values = image.bytes.as_chunks::<N>().0;
            let mut used = 0;
            match values.first_chunk::<TILE>() {
                Some(values) if !image.some_null && nulls as u8 == 0 => {
                    *cells = values.map(&value);
                    used = TILE;
                }
                // a tile's only column, and the end of an event where fewer bytes are left
                _ if here == 1 || values.len() < TILE => {
                    for (c, cell) in cells.iter_mut().enumerate().take(here) {
                        *cell = T::default();
                        if nulls >> c & 1 == 0 {
                            *cell = value(*values.get(used).ok_or(Garbled)?);
                            used += 1;
                        }
                    }
                }
                Some(values) => {
                    for (c, cell) in cells.iter_mut().enumerate() {
                        let here = nulls >> c & 1 ^ 1;
                        *cell = value(values[used % TILE]).masked(here);
                        used += here as usize;
                    }
                }
                None => return Err(Garbled),
            }
            *image.bytes = image.bytes.get(N * used..).ok_or(Garbled)?;
            nulls >>= TILE;
        }
    }
    Ok(())
}

/// Reads the value of a column that has no neighbour of its type.
#[inline(always)]
fn single<const N: usize, T: Default>(
    cell: &mut T,
    column: usize,
    image: &mut Image<'_, '_>,
    value: impl Fn([u8; N]) -> T,
) -> Result<(), Garbled> {
    *cell = if image.is_null(column) {
        T::default()
    } else {
        let (bytes, rest) = image.bytes.split_first_chunk().ok_or(Garbled)?;
        *image.bytes = rest;
        value(*bytes)
    };
    Ok(())
}

/// Reads values of `n` bytes each; `value` gets the value's bytes, and all bytes from there on.
#[inline(never)]
pub(super) fn sized<T: Copy + Default>(
    cells: &mut Fixed<T>,
    first: usize,
    image: &mut Image<'_, '_>,
    n: usize,
    value: impl Fn(&[u8], &[u8]) -> Result<T, Garbled>,
) -> Result<(), Garbled> {
    for c in 0..cells.columns.len() {
        let read = if image.is_null(first + c) {
            T::default()
        } else {
            let (bytes, rest) = image.bytes.split_at_checked(n).ok_or(Garbled)?;
            let read = value(bytes, image.bytes)?;
            *image.bytes = rest;
            read
        };
        cells.tiles[c / TILE][image.row % STAGED][c % TILE] = read;
    }
    Ok(())
}
