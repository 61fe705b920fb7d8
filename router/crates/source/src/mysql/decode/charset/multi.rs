//! Character sets of several bytes for a character: those of China, Japan and Korea.
//!
//! encoding_rs knows nearly all that their codes mean, and [`exceptions`](super::exceptions) the rest. Its answers are
//! kept in a table for each character set in use, made when it is first met.

use std::sync::LazyLock;

use encoding_rs::Encoding;

use super::exceptions::{CHANGED, HOLES};
use super::push;

/// Where a code stands in a table: those of two bytes as they are, those of three (`8F xx xx`) after them.
const THREE: usize = 0x1_0000;

/// How the first bytes say how long a code is.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Two bytes, where the first lies in one of these ranges.
    Two(&'static [(u8, u8)]),
    /// EUC: two bytes, three behind 8F.
    Euc,
    /// Two bytes, or four where the second is a digit.
    Gb18030,
}

/// See the module.
pub(in crate::mysql::decode) struct Multi {
    name: &'static str,
    encoding: &'static Encoding,
    shape: Shape,
    /// The character of each code of one to three bytes; 0xffff_ffff = none.
    table: Box<[u32]>,
}

const NONE: u32 = u32::MAX;

macro_rules! all {
    ($($name:literal $encoding:ident $shape:expr;)*) => {
        impl Multi {
            /// A character set by its name.
            pub(super) fn of(name: &str) -> Option<&'static Self> {
                match name {
                    $($name => {
                        static IT: LazyLock<Multi> =
                            LazyLock::new(|| Multi::new($name, encoding_rs::$encoding, $shape));
                        Some(&IT)
                    })*
                    _ => None,
                }
            }
        }
    };
}

all! {
    "big5" BIG5 Shape::Two(&[(0xa1, 0xf9)]);
    "gbk" GBK Shape::Two(&[(0x81, 0xfe)]);
    "gb2312" GBK Shape::Two(&[(0xa1, 0xf7)]);
    "euckr" EUC_KR Shape::Two(&[(0x81, 0xfe)]);
    "sjis" SHIFT_JIS Shape::Two(&[(0x81, 0x9f), (0xe0, 0xfc)]);
    "cp932" SHIFT_JIS Shape::Two(&[(0x81, 0x9f), (0xe0, 0xfc)]);
    "ujis" EUC_JP Shape::Euc;
    "eucjpms" EUC_JP Shape::Euc;
    "gb18030" GB18030 Shape::Gb18030;
}

impl Multi {
    fn new(name: &'static str, encoding: &'static Encoding, shape: Shape) -> Self {
        let size = if matches!(shape, Shape::Euc) { 2 * THREE } else { THREE };
        let mut multi = Multi { name, encoding, shape, table: vec![NONE; size].into() };
        let mut fill = |code: &[u8]| {
            if multi.length(code) == code.len() {
                let c = multi.look_up(code).map_or(NONE, u32::from);
                multi.table[place(code)] = c;
            }
        };
        for a in 0..=255 {
            fill(&[a]);
            (0..=255).for_each(|b| fill(&[a, b]));
        }
        if size > THREE {
            for a in 0..=255 {
                (0..=255).for_each(|b| fill(&[0x8f, a, b]));
            }
        }
        multi
    }

    /// What a code means.
    fn look_up(&self, code: &[u8]) -> Option<char> {
        let number = code.iter().fold(0, |all, &b| all << 8 | u32::from(b));
        let behind = CHANGED.partition_point(|&(n, first, _)| (n, first) <= (self.name, number));
        if let Some(&(name, first, text)) = behind.checked_sub(1).and_then(|at| CHANGED.get(at))
            && name == self.name
            && let Some(c) = text.chars().nth((number - first) as usize)
        {
            return Some(c);
        }
        let at = HOLES.partition_point(|&(n, _, last)| (n, last) < (self.name, number));
        if HOLES.get(at).is_some_and(|&(n, first, _)| n == self.name && first <= number) {
            return None;
        }
        let text = self.encoding.decode_without_bom_handling_and_without_replacement(code)?;
        let mut chars = text.chars();
        chars.next().filter(|_| chars.next().is_none())
    }

    /// How many bytes the first character takes.
    #[inline]
    fn length(&self, bytes: &[u8]) -> usize {
        let (first, second) = (bytes[0], bytes.get(1).copied().unwrap_or(0));
        match self.shape {
            _ if first < 0x80 => 1,
            Shape::Two(leads) => 1 + usize::from(leads.iter().any(|&(a, b)| (a..=b).contains(&first))),
            Shape::Euc if first == 0x8f => 3,
            Shape::Euc => 1 + usize::from(first == 0x8e || (0xa1..=0xfe).contains(&first)),
            Shape::Gb18030 if matches!(first, 0x80 | 0xff) => 1,
            Shape::Gb18030 if second.is_ascii_digit() => 4,
            Shape::Gb18030 => 2,
        }
    }

    pub(super) fn append(&self, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut wrong = false;
        while !bytes.is_empty() {
            let plain = bytes.iter().position(|b| *b >= 0x80).unwrap_or(bytes.len());
            let (ascii, rest) = bytes.split_at(plain);
            out.extend_from_slice(ascii);
            if rest.is_empty() {
                break;
            }
            let (code, rest) = rest.split_at_checked(self.length(rest)).unwrap_or((rest, &[]));
            bytes = rest;
            wrong |= push(self.character(code), out);
        }
        wrong
    }

    #[inline]
    fn character(&self, code: &[u8]) -> Option<char> {
        match code.len() {
            n if n < self.length(code) => None,
            4 => self.look_up(code),
            _ => self.table.get(place(code)).and_then(|&c| char::from_u32(c)),
        }
    }
}

#[inline]
fn place(code: &[u8]) -> usize {
    match *code {
        [a] => usize::from(a),
        [a, b] => usize::from(a) << 8 | usize::from(b),
        [_, b, c, ..] => THREE + (usize::from(b) << 8 | usize::from(c)),
        [] => 0,
    }
}

impl std::fmt::Debug for Multi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Multi {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Multi {}
