//! Words of a DDL statement.
//!
//! One pass over the text, never back: the time is linear in its length. Comments are left out; what stands in
//! `/*! ... */` counts where the server would have run it. Knows the two SQL modes that change what a quote means.

/// What the statement's session and server make of its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modes {
    /// The session's `sql_mode`, as the binlog writes it.
    pub(crate) sql_mode: u64,
    /// The server's version, such as 80_036 or 101_106.
    pub(crate) version: u32,
    pub(crate) mariadb: bool,
    /// `explicit_defaults_for_timestamp`: a TIMESTAMP may be NULL unless it says otherwise.
    pub(crate) explicit_timestamps: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Modes { sql_mode: 0, version: 90_700, mariadb: false, explicit_timestamps: true }
    }
}

impl Modes {
    pub(super) fn real_is_float(self) -> bool {
        self.sql_mode & 1 != 0
    }

    fn ansi_quotes(self) -> bool {
        self.sql_mode & 4 != 0
    }

    fn backslash_is_plain(self) -> bool {
        self.sql_mode & 1 << 20 != 0
    }
}

/// A word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a plain name or a number.
    Word(&'a str),
    /// A quoted name.
    Name(String),
    /// A quoted text.
    Text(String),
    /// Any other character.
    Mark(u8),
}

impl Token<'_> {
    /// The name that it may be.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Token::Word(word) => Some((*word).to_owned()),
            Token::Name(name) => Some(name.clone()),
            Token::Text(_) | Token::Mark(_) => None,
        }
    }
}

/// The words of a text, from its beginning; ends early at a quote or comment that does not end.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    modes: Modes,
    /// Inside `/*! ... */` that counts.
    hint: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, modes: Modes) -> Self {
        Lexer { text, at: 0, modes, hint: false }
    }

    /// The next word, and where it begins.
    pub(super) fn next_with_start(&mut self) -> Option<(Token<'a>, usize)> {
        self.skip_blanks();
        let from = self.at;
        Some((self.next()?, from))
    }

    /// Where the last word ended.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Goes to what `wanted` begins at, and behind it; false and to the end if it is nowhere.
    fn skip_past(&mut self, wanted: &str) -> bool {
        match self.text[self.at..].find(wanted) {
            Some(n) => {
                self.at += n + wanted.len();
                true
            }
            None => {
                self.at = self.text.len();
                false
            }
        }
    }

    /// Leaves out spaces and comments.
    fn skip_blanks(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c, ..] => self.at += 1,
                [b'#', ..] | [b'-', b'-', b' ' | b'\t' | b'\r' | b'\n', ..] | [b'-', b'-'] => {
                    self.skip_past("\n");
                }
                [b'*', b'/', ..] if self.hint => {
                    self.hint = false;
                    self.at += 2;
                }
                [b'/', b'*', b'!', rest @ ..] => self.open_hint(3, rest),
                [b'/', b'*', b'M', b'!', rest @ ..] if self.modes.mariadb => self.open_hint(4, rest),
                [b'/', b'*', ..] => {
                    self.at += 2;
                    self.skip_past("*/");
                }
                _ => return,
            }
        }
    }

    fn open_hint(&mut self, marks: usize, rest: &[u8]) {
        let digits = rest.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        let since = rest[..digits].iter().fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        // five or six digits are a version
        if digits >= 5 && since > self.modes.version {
            self.skip_past("*/");
        } else {
            self.at += marks + if digits >= 5 { digits } else { 0 };
            self.hint = true;
        }
    }

    /// What stands between quotes; `None` if they do not end.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Option<String> {
        let mut out = String::new();
        self.at += 1;
        let mut from = self.at;
        loop {
            match self.rest() {
                [] => return None,
                [b, next, ..] if *b == quote && *next == quote => {
                    out.push_str(&self.text[from..=self.at]);
                    self.at += 2;
                    from = self.at;
                }
                [b, ..] if *b == quote => {
                    out.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    return Some(out);
                }
                [b'\\', next, ..] if escapes => {
                    out.push_str(&self.text[from..self.at]);
                    let plain = match next {
                        b'n' => Some('\n'),
                        b't' => Some('\t'),
                        b'r' => Some('\r'),
                        b'0' => Some('\0'),
                        b'b' => Some('\x08'),
                        b'Z' => Some('\x1a'),
                        _ => None,
                    };
                    out.extend(plain);
                    // any other character stands for itself: it begins what is copied next
                    self.at += 2;
                    from = if plain.is_some() { self.at } else { self.at - 1 };
                    // it may be longer than a byte
                    while !self.text.is_char_boundary(self.at) {
                        self.at += 1;
                    }
                }
                _ => self.at += 1,
            }
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let first = *self.rest().first()?;
        let end = |lexer: &mut Self| {
            lexer.at = lexer.text.len();
        };
        let quoted = match first {
            b'`' => self.quoted(b'`', false).map(Token::Name),
            b'"' if self.modes.ansi_quotes() => self.quoted(b'"', false).map(Token::Name),
            b'\'' | b'"' => self.quoted(first, !self.modes.backslash_is_plain()).map(Token::Text),
            b if is_word(b) => {
                let n = self.rest().iter().position(|&b| !is_word(b)).unwrap_or(self.rest().len());
                let word = &self.text[self.at..self.at + n];
                self.at += n;
                return Some(Token::Word(word));
            }
            b => {
                self.at += 1;
                return Some(Token::Mark(b));
            }
        };
        if quoted.is_none() {
            end(self);
        }
        quoted
    }
}

/// Whether a byte may stand in a name without quotes; all of them beyond ASCII may.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, modes: Modes) -> Vec<String> {
        let shown = |t: Token<'_>| match t {
            Token::Word(w) => w.to_owned(),
            Token::Name(n) => format!("<{n}>"),
            Token::Text(t) => format!("'{t}'"),
            Token::Mark(m) => (m as char).to_string(),
        };
        Lexer::new(text, modes).map(shown).collect()
    }

    #[test]
    fn quotes_comments_and_hints() {
        let modes = Modes::default();
        let seen = words("a/* x */`b``c`.d -- e\n#f\n'it''s\\n\\'é\\é'--1\"q\"", modes);
        assert_eq!(seen, ["a", "<b`c>", ".", "d", "'it's\n'éé'", "-", "-", "1", "'q'"]);
        assert_eq!(words("/*!50100 a /* b */ c */ d", modes), ["a", "c", "d"]);
        assert_eq!(words("x /*!99999 a */ /*! b */ /*M! c */", modes), ["x", "b"]);
        let mariadb = Modes { mariadb: true, version: 101_106, ..modes };
        assert_eq!(words("/*M!100201 c */ /*M!110000 d */", mariadb), ["c"]);
        let ansi = Modes { sql_mode: 4 | 1 << 20, ..modes };
        assert_eq!(words("\"a\"\"b\" 'c\\'", ansi), ["<a\"b>", "'c\\'"]);
        for cut in ["'a", "`a", "/* a", "'a\\", "--", "#"] {
            assert_eq!(words(cut, modes), [""; 0], "{cut}");
        }
    }
}
