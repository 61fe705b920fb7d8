//! The grammar: from tokens to a tree, with MySQL's precedence (OR, AND, NOT, then comparisons).
//!
//! Written by hand: a component with nothing but the parser of the `sqlparser` crate in it has 2.4 MB, this one as a whole 0.34. A
//! parser for all of SQL also accepts far more than can be carried out, and cannot say at which character that stands.

use forebay_plugin::Error;

use crate::token::{Placed, Token, tokens, wrong};

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        op: Op,
        left: Operand,
        right: Operand,
    },
    In {
        left: Operand,
        list: Vec<Operand>,
    },
    Like {
        left: Operand,
        pattern: Operand,
        escape: Option<char>,
    },
    IsNull(Operand),
    /// IS TRUE, IS FALSE, IS UNKNOWN (which IS NULL of a condition is, too).
    Is {
        of: Box<Expr>,
        truth: Option<bool>,
    },
    /// A column or a literal alone: whether it is not zero.
    Truth(Operand),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// `<=>`
    Same,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    /// At which character it stands.
    pub(crate) at: usize,
    pub(crate) what: What,
}

/// See [`Operand`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Column(String),
    Text(String),
    /// Also TRUE and FALSE, which are 1 and 0.
    Number(String),
    Date(String),
    Time(String),
    Timestamp(String),
    Null,
}

/// Deeper conditions than this are nobody's.
const DEPTH: usize = 64;

const SUPPORTED: &str = "supported are =, <>, !=, <, <=, >, >=, <=>, IN, LIKE, BETWEEN, IS NULL, IS TRUE, IS FALSE, AND, OR, NOT \
                         and parentheses, over columns, texts, numbers, TRUE, FALSE, NULL, DATE '...', TIME '...' and \
                         TIMESTAMP '...'";

/// Words that are no column unless they stand between backticks.
const RESERVED: [&str; 32] = [
    "AND", "OR", "NOT", "XOR", "IN", "LIKE", "RLIKE", "REGEXP", "BETWEEN", "IS", "NULL", "TRUE", "FALSE",
    "DIV", "MOD", "CASE", "WHEN", "THEN", "ELSE", "EXISTS", "SELECT", "FROM", "WHERE", "BINARY", "INTERVAL",
    "COLLATE", "CAST", "CONVERT", "LIMIT", "ORDER", "GROUP", "ALL",
];

/// Reads a condition.
pub(crate) fn parse(text: &str) -> Result<Expr, Error> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("AND, OR or the end")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

/// What stands on the left of an operator.
enum Primary {
    Operand(Operand),
    Expr(Expr),
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.next + ahead).map(|placed| &placed.token);
        matches!(token, Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.next += usize::from(found);
        found
    }

    /// Says what stands here instead of what is wanted; a literal is not quoted.
    fn unexpected(&self, wanted: &str) -> Error {
        let found = match self.peek() {
            Token::End => "the condition ends".to_owned(),
            Token::Text(_) => "a text stands here".to_owned(),
            Token::Number(_) => "a number stands here".to_owned(),
            Token::Word(word) | Token::Name(word) => format!("`{word}` stands here"),
            Token::Sign(sign) => format!("`{sign}` stands here"),
        };
        wrong(self.at(), format!("{found}, where {wanted} is needed; {SUPPORTED}"))
    }

    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH {
            return Err(wrong(self.at(), format!("the condition is nested more than {DEPTH} deep")));
        }
        self.depth += 1;
        let made = step(self);
        self.depth -= 1;
        made
    }

    fn or(&mut self) -> Result<Expr, Error> {
        let mut all = vec![self.and()?];
        while self.take_word("OR") {
            all.push(self.and()?);
        }
        Ok(one_or(all, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let mut all = vec![self.not()?];
        while self.take_word("AND") {
            all.push(self.not()?);
        }
        Ok(one_or(all, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, Error> {
        if self.take_word("NOT") {
            return self.deeper(|parser| Ok(Expr::Not(Box::new(parser.not()?))));
        }
        let mut left = self.predicate()?;
        while self.take_word("IS") {
            let negated = self.take_word("NOT");
            let is = if self.take_word("NULL") {
                match left {
                    Primary::Operand(operand) => Expr::IsNull(operand),
                    Primary::Expr(of) => Expr::Is { of: Box::new(of), truth: None },
                }
            } else {
                let truth = match () {
                    () if self.take_word("TRUE") => Some(true),
                    () if self.take_word("FALSE") => Some(false),
                    () if self.take_word("UNKNOWN") => None,
                    () => return Err(self.unexpected("NULL, TRUE, FALSE or UNKNOWN")),
                };
                Expr::Is { of: Box::new(left.condition()), truth }
            };
            left = Primary::Expr(negate(is, negated));
        }
        Ok(left.condition())
    }

    /// A comparison, or what stands alone.
    fn predicate(&mut self) -> Result<Primary, Error> {
        let left = self.primary()?;
        let at = self.at();
        let op = match self.peek() {
            Token::Sign("=") => Some(Op::Eq),
            Token::Sign("<>" | "!=") => Some(Op::Ne),
            Token::Sign("<") => Some(Op::Lt),
            Token::Sign("<=") => Some(Op::Le),
            Token::Sign(">") => Some(Op::Gt),
            Token::Sign(">=") => Some(Op::Ge),
            Token::Sign("<=>") => Some(Op::Same),
            _ => None,
        };
        let negated = op.is_none() && self.is_word(0, "NOT");
        let word = |parser: &Parser, word| op.is_none() && parser.is_word(usize::from(negated), word);
        let kinds = ["IN", "LIKE", "BETWEEN"];
        let kind = kinds.into_iter().find(|kind| word(self, kind));
        if op.is_none() && kind.is_none() {
            return Ok(left);
        }
        let Primary::Operand(left) = left else {
            return Err(wrong(at, "a condition cannot be compared; IS TRUE and IS FALSE ask for its truth"));
        };
        self.next += if op.is_some() { 1 } else { 1 + usize::from(negated) };
        let expr = match (op, kind) {
            (Some(op), _) => Expr::Compare { op, left, right: self.operand()? },
            (_, Some("IN")) => Expr::In { left, list: self.list()? },
            (_, Some("LIKE")) => self.like(left)?,
            _ => {
                let low = self.operand()?;
                if !self.take_word("AND") {
                    return Err(self.unexpected("the AND of BETWEEN"));
                }
                let high = self.operand()?;
                Expr::And(vec![
                    Expr::Compare { op: Op::Ge, left: left.clone(), right: low },
                    Expr::Compare { op: Op::Le, left, right: high },
                ])
            }
        };
        Ok(Primary::Expr(negate(expr, negated)))
    }

    fn list(&mut self) -> Result<Vec<Operand>, Error> {
        if !self.take_sign("(") {
            return Err(self.unexpected("the list of IN, in parentheses,"));
        }
        let mut list = vec![self.operand()?];
        while self.take_sign(",") {
            list.push(self.operand()?);
        }
        if self.take_sign(")") { Ok(list) } else { Err(self.unexpected("`,` or `)`")) }
    }

    fn like(&mut self, left: Operand) -> Result<Expr, Error> {
        let pattern = self.operand()?;
        let mut escape = Some('\\');
        if self.take_word("ESCAPE") {
            let at = self.at();
            let Token::Text(text) = self.advance() else { return Err(wrong(at, "ESCAPE needs a text")) };
            let mut characters = text.chars();
            escape = characters.next();
            if characters.next().is_some() {
                return Err(wrong(at, "ESCAPE needs one character"));
            }
        }
        Ok(Expr::Like { left, pattern, escape })
    }

    fn primary(&mut self) -> Result<Primary, Error> {
        if !self.take_sign("(") {
            return self.operand().map(Primary::Operand);
        }
        let expr = self.deeper(Parser::or)?;
        if !self.take_sign(")") {
            return Err(self.unexpected("`)`"));
        }
        Ok(match expr {
            Expr::Truth(operand) => Primary::Operand(operand),
            expr => Primary::Expr(expr),
        })
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        const WANTED: &str = "a column or a literal";
        let at = self.at();
        let sign = match self.peek() {
            Token::Sign(sign @ ("-" | "+")) => *sign,
            _ => "",
        };
        let what = match self.tokens[self.next + usize::from(!sign.is_empty())].token.clone() {
            Token::Number(number) => {
                self.next += usize::from(!sign.is_empty());
                What::Number(format!("{}{number}", sign.trim_start_matches('+')))
            }
            _ if !sign.is_empty() => return Err(self.unexpected(WANTED)),
            Token::Text(text) => What::Text(text),
            Token::Name(name) => What::Column(name),
            Token::Word(word) => self.word(word)?,
            Token::Sign(_) | Token::End => return Err(self.unexpected(WANTED)),
        };
        self.advance();
        match self.peek() {
            Token::Sign("(") if matches!(what, What::Column(_)) => {
                Err(wrong(at, format!("functions are not supported; {SUPPORTED}")))
            }
            Token::Sign(".") => Err(wrong(self.at(), "the name of a column stands alone, without its table")),
            _ => Ok(Operand { at, what }),
        }
    }

    /// What a word means; the token itself is not passed yet.
    fn word(&mut self, word: String) -> Result<What, Error> {
        let upper = word.to_ascii_uppercase();
        let literal = match &self.tokens[self.next + 1].token {
            Token::Text(text) => Some(text.clone()),
            _ => None,
        };
        let what = match (upper.as_str(), literal) {
            ("NULL", _) => What::Null,
            ("TRUE", _) => What::Number("1".to_owned()),
            ("FALSE", _) => What::Number("0".to_owned()),
            ("DATE", Some(text)) => What::Date(text),
            ("TIME", Some(text)) => What::Time(text),
            ("TIMESTAMP", Some(text)) => What::Timestamp(text),
            (upper, _) if RESERVED.contains(&upper) => return Err(self.unexpected("a column or a literal")),
            _ => return Ok(What::Column(word)),
        };
        if matches!(what, What::Date(_) | What::Time(_) | What::Timestamp(_)) {
            self.next += 1;
        }
        Ok(what)
    }
}

impl Primary {
    fn condition(self) -> Expr {
        match self {
            Primary::Operand(operand) => Expr::Truth(operand),
            Primary::Expr(expr) => expr,
        }
    }
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn one_or(mut all: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.pop() {
        Some(one) if all.is_empty() => one,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => many(all),
    }
}
