//! Character sets of a byte for each character.

use std::sync::LazyLock;

use super::exceptions::{LOWER, UPPER};
use super::push;

/// What each byte means.
pub(in crate::mysql::decode) struct Single {
    name: &'static str,
    chars: [Option<char>; 256],
    /// Whether the bytes below 128 are ASCII.
    ascii: bool,
}

static ALL: LazyLock<Vec<Single>> =
    LazyLock::new(|| UPPER.iter().map(|(n, upper)| Single::new(n, upper)).collect());

impl Single {
    /// A character set by its name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|s| s.name == name)
    }

    fn new(name: &'static str, upper: &str) -> Self {
        let mut chars = [None; 256];
        for (byte, c) in (0u8..128).zip(&mut chars) {
            *c = Some(char::from(byte));
        }
        let some = |c| Some(c).filter(|c| *c != char::REPLACEMENT_CHARACTER);
        for (c, slot) in upper.chars().zip(&mut chars[128..]) {
            *slot = some(c);
        }
        let lower = LOWER.iter().filter(|(n, ..)| *n == name);
        for &(_, byte, c) in lower.clone() {
            chars[usize::from(byte)] = some(c);
        }
        Single { name, chars, ascii: lower.count() == 0 }
    }

    pub(super) fn append(&self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.ascii && bytes.is_ascii() {
            out.extend_from_slice(bytes);
            return false;
        }
        bytes.iter().fold(false, |wrong, &b| push(self.chars[usize::from(b)], out) | wrong)
    }
}

impl std::fmt::Debug for Single {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Single {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Single {}
