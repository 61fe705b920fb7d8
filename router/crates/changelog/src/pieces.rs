//! How a stored block lies in redb: a head, and a body cut into pieces.
//!
//! redb gives a value a power of two of 4 KiB pages and writes all of them, so a body of 1.1 MB would take and write 2 MiB.
//! Cut into pieces that just fill such runs it takes little more than its size.

use forebay_model::Offset;
use redb::{AccessGuard, ReadableTable, StorageError, Table};

/// redb's page.
const PAGE: usize = 4096;
/// What redb itself needs in the pages of a large value: header, key and lengths, generously.
const OVER: usize = 128;
/// The longest run of pages that a piece may take: longer ones are hard to find room for again.
const LONGEST: usize = 4 << 20;
/// A rest below this is one piece.
const REST: usize = 32 << 10;

/// redb's table of heads, writable.
pub(crate) type Heads<'t> = Table<'t, Offset, &'static [u8]>;
/// redb's table of pieces, writable.
pub(crate) type Pieces<'t> = Table<'t, (Offset, u32), &'static [u8]>;

/// The length of the next piece of a body of which `rest` bytes are left.
fn piece(rest: usize) -> usize {
    if rest < REST {
        return rest;
    }
    let pages = ((rest + OVER).min(LONGEST) + 1).next_power_of_two() / 2;
    pages - OVER
}

/// Room that a value takes in the file.
fn room(len: usize) -> u64 {
    let with = len + OVER;
    // small ones share a page
    (if with <= PAGE { with } else { with.div_ceil(PAGE).next_power_of_two() * PAGE }) as u64
}

/// Room that a block takes in the file.
pub(crate) fn room_of(head: usize, body: usize) -> u64 {
    let mut all = room(head);
    let mut rest = body;
    while rest > 0 {
        let len = piece(rest);
        all += room(len);
        rest -= len;
    }
    all
}

/// Stores a block.
pub(crate) fn insert(
    heads: &mut Heads<'_>,
    pieces: &mut Pieces<'_>,
    first: Offset,
    head: &[u8],
    body: &[u8],
) -> Result<(), StorageError> {
    heads.insert(first, head)?;
    let mut rest = body;
    for n in 0.. {
        if rest.is_empty() {
            break;
        }
        let (part, left) = rest.split_at(piece(rest.len()));
        pieces.insert((first, n), part)?;
        rest = left;
    }
    Ok(())
}

/// Deletes a block; returns the room that it took.
pub(crate) fn delete(
    heads: &mut Heads<'_>,
    pieces: &mut Pieces<'_>,
    first: Offset,
) -> Result<u64, StorageError> {
    let mut gone = heads.remove(first)?.map_or(0, |head| room(head.value().len()));
    pieces.retain_in((first, 0)..=(first, u32::MAX), |_, part| {
        gone += room(part.len());
        false
    })?;
    Ok(gone)
}

/// The pieces of a block's body, in order.
pub(crate) fn body<'t>(
    pieces: &'t impl ReadableTable<(Offset, u32), &'static [u8]>,
    first: Offset,
) -> Result<Vec<AccessGuard<'t, &'static [u8]>>, StorageError> {
    pieces.range((first, 0)..=(first, u32::MAX))?.map(|record| record.map(|(_, part)| part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_runs_of_pages() {
        for len in [1, PAGE, REST - 1, REST, 300_000, 1 << 20, (1 << 20) + 1, 20 << 20, (20 << 20) - 1] {
            let (mut rest, mut room_all) = (len, 0);
            while rest > 0 {
                let part = piece(rest);
                assert!(part > 0 && part <= rest && part <= LONGEST, "{part} of {rest}");
                assert!(part == rest || (part + OVER).is_power_of_two(), "{part} fills its pages");
                room_all += room(part);
                rest -= part;
            }
            assert_eq!(room_of(0, len), room(0) + room_all);
            assert!(
                len < 100_000 || room_all < len as u64 * 11 / 10 + 2 * REST as u64,
                "{len} takes {room_all}"
            );
        }
    }
}
