//! A condition's text, cut into words, literals and signs.

use forebay_plugin::Error;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword or a name.
    Word(String),
    /// A name between backticks.
    Name(String),
    /// A text, its escapes resolved; `\%` and `\_` stay as they are, for LIKE.
    Text(String),
    /// Digits, perhaps with a point and an exponent.
    Number(String),
    /// Anything else.
    Sign(&'static str),
    /// After the last.
    End,
}

/// A token, and at which character it starts, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// Longest first.
const SIGNS: [&str; 22] = [
    "<=>", "<>", "!=", "<=", ">=", "||", "&&", "->", "<", ">", "=", "(", ")", ",", "-", "+", "*", "/", "%",
    ".", "!", ";",
];

/// What is wrong at a place of the text.
pub(crate) fn wrong(at: usize, message: impl std::fmt::Display) -> Error {
    Error::config("", format!("at character {at}: {message}"))
}

/// Cuts a text; the last token is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    let mut rest = Rest { text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        rest.take_while(char::is_whitespace);
        let at = rest.at;
        let token = rest.token()?;
        let is_end = token == Token::End;
        tokens.push(Placed { token, at });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn peek(&self) -> Option<char> {
        self.text.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.text = &self.text[c.len_utf8()..];
        self.at += 1;
        Some(c)
    }

    fn take_while(&mut self, take: impl Fn(char) -> bool) -> &'a str {
        let end = self.text.find(|c| !take(c)).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        self.at += taken.chars().count();
        taken
    }

    fn token(&mut self) -> Result<Token, Error> {
        let Some(c) = self.peek() else { return Ok(Token::End) };
        let digit_follows = self.text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        match c {
            '\'' | '"' => self.quoted(c).map(Token::Text),
            '`' => self.quoted(c).map(Token::Name),
            '0'..='9' => self.number(),
            '.' if digit_follows => self.number(),
            c if is_of_word(c) => Ok(Token::Word(self.take_while(is_of_word).to_owned())),
            _ => {
                let sign = SIGNS.into_iter().find(|sign| self.text.starts_with(sign));
                let sign =
                    sign.ok_or_else(|| wrong(self.at, format!("`{c}` has no meaning in a condition")))?;
                self.text = &self.text[sign.len()..];
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
        }
    }

    fn number(&mut self) -> Result<Token, Error> {
        let at = self.at;
        let mut number = self.take_while(|c| c.is_ascii_digit()).to_owned();
        if self.peek() == Some('.') {
            number.push('.');
            self.next();
            number.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        if let Some('e' | 'E') = self.peek() {
            number.push('e');
            self.next();
            if let Some(sign @ ('-' | '+')) = self.peek() {
                number.push(sign);
                self.next();
            }
            number.push_str(self.take_while(|c| c.is_ascii_digit()));
        }
        if self.peek().is_some_and(is_of_word) || number.ends_with(['e', '-', '+']) {
            return Err(wrong(at, "a number is followed by letters"));
        }
        Ok(Token::Number(number))
    }

    /// What stands between two quotes; a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let start = self.at;
        self.next();
        let mut out = String::new();
        loop {
            let c = self
                .next()
                .ok_or_else(|| wrong(start, format!("there is no {quote} to end what starts here")))?;
            match c {
                c if c == quote => {
                    if self.peek() != Some(quote) {
                        return Ok(out);
                    }
                    self.next();
                    out.push(quote);
                }
                '\\' if quote != '`' => match self.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some('b') => out.push('\u{8}'),
                    Some('0') => out.push('\0'),
                    Some('Z') => out.push('\u{1a}'),
                    Some(c @ ('%' | '_')) => out.extend(['\\', c]),
                    Some(c) => out.push(c),
                    None => {}
                },
                c => out.push(c),
            }
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}
