//! A place in the words of a statement.

use super::lex::Token;

/// Why a statement is not understood. It names words of the grammar, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unclear(pub(crate) String);

pub(super) fn unclear<T>(why: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear(why.into()))
}

/// See the module. Everything goes forward only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'t, 'a> Reader<'t, 'a> {
    pub(super) fn new(tokens: &'t [Token<'a>]) -> Self {
        Reader { tokens, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at)
    }

    pub(super) fn bump(&mut self) -> Option<&'t Token<'a>> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The keyword at hand, in lower case; "" if it is none.
    pub(super) fn keyword(&self) -> String {
        self.keyword_at(0)
    }

    /// The keyword so many words on.
    pub(super) fn keyword_at(&self, n: usize) -> String {
        match self.tokens.get(self.at + n) {
            Some(Token::Word(w)) => w.to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|k| self.is(k))
    }

    pub(super) fn is_mark(&self, mark: u8) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    /// Takes the keyword if it is at hand.
    pub(super) fn eat(&mut self, keyword: &str) -> bool {
        let is = self.is(keyword);
        self.at += usize::from(is);
        is
    }

    /// Takes all of these if they follow each other.
    pub(super) fn eat_all(&mut self, keywords: &[&str]) -> bool {
        let before = self.at;
        let all = keywords.iter().all(|k| self.eat(k));
        if !all {
            self.at = before;
        }
        all
    }

    pub(super) fn eat_mark(&mut self, mark: u8) -> bool {
        let is = self.is_mark(mark);
        self.at += usize::from(is);
        is
    }

    /// A name, quoted or not.
    pub(super) fn name(&mut self) -> Result<String, Unclear> {
        match self.bump() {
            Some(Token::Word(w)) => Ok((*w).to_owned()),
            Some(Token::Name(n)) => Ok(n.clone()),
            _ => unclear("a name is missing"),
        }
    }

    /// `name` or `database.name`.
    pub(super) fn qualified(&mut self) -> Result<(Option<String>, String), Unclear> {
        if self.eat_mark(b'.') {
            return Ok((None, self.name()?));
        }
        let first = self.name()?;
        if self.eat_mark(b'.') {
            return Ok((Some(first), self.name()?));
        }
        Ok((None, first))
    }

    /// A character set or collation: a name or a text.
    pub(super) fn charset_word(&mut self) -> Result<String, Unclear> {
        match self.bump() {
            Some(Token::Text(t)) => Ok(t.clone()),
            Some(Token::Word(w)) => Ok((*w).to_owned()),
            Some(Token::Name(n)) => Ok(n.clone()),
            _ => unclear("the name of a character set is missing"),
        }
    }

    /// Every word from here on that may be a name.
    pub(super) fn names(mut self) -> impl Iterator<Item = String> {
        std::iter::from_fn(move || (!self.is_end()).then(|| self.bump_name())).flatten()
    }

    /// Goes behind a word of an expression; it, if it may be a name. One before a text, as in `b'1'`, says what that is.
    pub(super) fn bump_name(&mut self) -> Option<String> {
        let name = self.bump()?.name();
        name.filter(|_| !matches!(self.peek(), Some(Token::Text(_))))
    }

    /// Goes behind the bracket that closes the one at hand.
    pub(super) fn skip_brackets(&mut self) -> Result<(), Unclear> {
        self.brackets().map(|_| ())
    }

    /// What stands between the bracket at hand and the one that closes it; goes behind it.
    pub(super) fn brackets(&mut self) -> Result<Reader<'t, 'a>, Unclear> {
        if !self.eat_mark(b'(') {
            return unclear("a bracket is missing");
        }
        let from = self.at;
        let mut depth = 1;
        while let Some(token) = self.bump() {
            match token {
                Token::Mark(b'(') => depth += 1,
                Token::Mark(b')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(Reader { tokens: &self.tokens[from..self.at - 1], at: 0 });
            }
        }
        unclear("a bracket is not closed")
    }

    /// Goes to the next comma outside of brackets, and behind it; false if there is none.
    pub(super) fn next_part(&mut self) -> Result<bool, Unclear> {
        loop {
            match self.peek() {
                None => return Ok(false),
                Some(Token::Mark(b',')) => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(Token::Mark(b'(')) => self.skip_brackets()?,
                Some(_) => self.at += 1,
            }
        }
    }

    /// Every name in what is left.
    pub(super) fn names_left(&self) -> impl Iterator<Item = &str> {
        self.tokens[self.at.min(self.tokens.len())..].iter().filter_map(|t| match t {
            Token::Word(w) => Some(*w),
            Token::Name(n) => Some(n.as_str()),
            _ => None,
        })
    }
}
