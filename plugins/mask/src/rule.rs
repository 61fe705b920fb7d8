//! What the rules do to a value.

use forebay_plugin::{Cells, Column, Error, KeyedHash, TextWriter};

/// The first `n` characters of `text` stay, each of the others becomes `*`.
pub(crate) fn keep_first(text: &str, n: usize, out: &mut String) {
    let (kept, masked) = text.split_at(start_of(text, n));
    out.push_str(kept);
    stars(masked.chars().count(), out);
}

/// The last `n` characters of `text` stay, each of the others becomes `*`.
pub(crate) fn keep_last(text: &str, n: usize, out: &mut String) {
    let masked = text.chars().count().saturating_sub(n);
    stars(masked, out);
    out.push_str(&text[start_of(text, masked)..]);
}

/// Of what stands before the last `@`, the first character stays and the others become `*`; the rest stays.
pub(crate) fn keep_domain(text: &str, out: &mut String) {
    let (local, domain) = text.split_at(text.rfind('@').unwrap_or(text.len()));
    keep_first(local, 1, out);
    out.push_str(domain);
}

/// Where character `n` starts; the end of the text if it has no more.
fn start_of(text: &str, n: usize) -> usize {
    text.char_indices().nth(n).map_or(text.len(), |(start, _)| start)
}

fn stars(mut n: usize, out: &mut String) {
    const STARS: &str = "****************************************************************";
    while n > 0 {
        let some = n.min(STARS.len());
        out.push_str(&STARS[..some]);
        n -= some;
    }
}

/// Hashing a column of any layout but floats.
pub(crate) trait HashedCells {
    /// A text column of hashes: of texts and bytes as they are, of integers as decimal text.
    fn hashed(self, hash: &KeyedHash) -> Result<Column, Error>;
}

impl HashedCells for Column {
    fn hashed(self, hash: &KeyedHash) -> Result<Column, Error> {
        let mut out = TextWriter::with_capacity(self.states.len(), 0);
        let mut digits = String::new();
        match &self.cells {
            Cells::Text(_) | Cells::Bytes(_) => {
                for (row, bytes) in self.byte_cells()?.enumerate() {
                    out.push(self.cell(row, || bytes), |bytes, out| hash.write(bytes, out));
                }
            }
            Cells::Signed(numbers) => {
                for (row, number) in numbers.iter().enumerate() {
                    out.push(self.cell(row, || decimal(number, &mut digits)), |text, out| {
                        hash.write(text.as_bytes(), out);
                    });
                }
            }
            Cells::Unsigned(numbers) => {
                for (row, number) in numbers.iter().enumerate() {
                    out.push(self.cell(row, || decimal(number, &mut digits)), |text, out| {
                        hash.write(text.as_bytes(), out);
                    });
                }
            }
            Cells::Float(_) => {
                return Err(Error::Data("hash does not work on floating-point numbers".to_owned()));
            }
        }
        Ok(out.finish())
    }
}

fn decimal(number: impl std::fmt::Display, digits: &mut String) -> &str {
    use std::fmt::Write as _;
    digits.clear();
    write!(digits, "{number}").expect("a String takes any text");
    digits
}
