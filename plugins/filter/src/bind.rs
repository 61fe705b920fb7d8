//! A condition, bound to a table: columns found, types settled, literals read.
//!
//! Promises: what is bound can be evaluated on every row; what cannot be compared is refused here, with its place.

use forebay_plugin::{ColumnDef, Decimal, Error, LogicalType, NativeType, TableSchema};

use crate::like::Pattern;
use crate::parse::{Expr, Op, Operand, What};
use crate::temporal;
use crate::token::wrong;

/// A condition over columns of a batch.
#[derive(Debug)]
pub(crate) struct Condition {
    /// Indexes of the table's columns; a [`Slot`] counts in them.
    pub(crate) reads: Vec<u32>,
    pub(crate) root: Node,
}

/// A column of the batch.
pub(crate) type Slot = usize;

/// A node of it.
#[derive(Debug)]
pub(crate) enum Node {
    /// The same for every row: what its truth may be.
    Constant(u8),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Is {
        of: Box<Node>,
        truth: Option<bool>,
    },
    IsNull(Slot),
    Compare {
        op: Op,
        left: Slot,
        with: With,
    },
    AmongTexts {
        left: Slot,
        sorted: Vec<String>,
    },
    AmongIntegers {
        left: Slot,
        sorted: Vec<i128>,
    },
    Like {
        left: Slot,
        pattern: Pattern,
    },
}

/// What a column is compared with, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum With {
    /// An integer column with a number: its floor, and whether it has a fraction.
    Whole {
        floor: i128,
        fraction: bool,
    },
    Decimal(String),
    Double(f64),
    Text(String),
    Datetime(i64),
    Time(i64),
    Integers(Slot),
    /// Integers and decimals, exactly.
    Decimals(Slot),
    /// Numbers of which one is a FLOAT or DOUBLE, as doubles.
    Doubles(Slot),
    Texts(Slot),
    Datetimes(Slot),
    Times(Slot),
}

/// What can be compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Integer,
    Decimal,
    Double,
    Text,
    /// DATE and DATETIME, which have no time zone.
    Datetime,
    Time,
    /// In UTC.
    Timestamp,
    /// Not comparable.
    Other,
}

impl Family {
    fn of(def: &ColumnDef) -> Family {
        match def.logical {
            LogicalType::Integer => Family::Integer,
            LogicalType::Decimal => Family::Decimal,
            LogicalType::Float => Family::Double,
            LogicalType::Text => Family::Text,
            LogicalType::Date | LogicalType::Datetime => Family::Datetime,
            LogicalType::Time => Family::Time,
            LogicalType::Timestamp => Family::Timestamp,
            LogicalType::Json | LogicalType::Binary => Family::Other,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Family::Integer | Family::Decimal | Family::Double)
    }
}

/// What it may be: one bit for each of the three truths.
pub(crate) const TRUE: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const UNKNOWN: u8 = 4;

/// Binds a condition.
pub(crate) fn bind(table: &TableSchema, expr: &Expr) -> Result<Condition, Error> {
    let mut binder = Binder { table, reads: Vec::new() };
    let root = binder.node(expr)?;
    if binder.reads.is_empty() {
        return Err(wrong(1, "the condition names no column"));
    }
    Ok(Condition { reads: binder.reads, root })
}

struct Binder<'a> {
    table: &'a TableSchema,
    reads: Vec<u32>,
}

impl Binder<'_> {
    fn node(&mut self, expr: &Expr) -> Result<Node, Error> {
        Ok(match expr {
            Expr::Or(all) => Node::Or(all.iter().map(|expr| self.node(expr)).collect::<Result<_, _>>()?),
            Expr::And(all) => Node::And(all.iter().map(|expr| self.node(expr)).collect::<Result<_, _>>()?),
            Expr::Not(expr) => Node::Not(Box::new(self.node(expr)?)),
            Expr::Is { of, truth } => Node::Is { of: Box::new(self.node(of)?), truth: *truth },
            Expr::IsNull(operand) => match &operand.what {
                What::Column(name) => Node::IsNull(self.column(name, operand.at)?.0),
                What::Null => Node::Constant(TRUE),
                _ => Node::Constant(FALSE),
            },
            Expr::Truth(operand) => self.truth(operand)?,
            Expr::Compare { op, left, right } => self.compare(*op, left, right)?,
            Expr::In { left, list } => self.among(left, list)?,
            Expr::Like { left, pattern, escape } => self.like(left, pattern, *escape)?,
        })
    }

    /// A column's place among the reads, and its definition.
    fn column(&mut self, name: &str, at: usize) -> Result<(Slot, ColumnDef), Error> {
        let column = self.table.column(name).map_err(|error| match error {
            Error::Schema(problems) => {
                let message = problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ");
                Error::schema("", format!("at character {at}: {message}"))
            }
            other => other,
        })?;
        let slot = self.reads.iter().position(|&read| read == column).unwrap_or_else(|| {
            self.reads.push(column);
            self.reads.len() - 1
        });
        Ok((slot, self.table.def(column).clone()))
    }

    fn truth(&mut self, operand: &Operand) -> Result<Node, Error> {
        match &operand.what {
            What::Null => Ok(Node::Constant(UNKNOWN)),
            What::Number(number) => {
                let zero = Decimal::parse(number).is_none_or(|number| number.is_zero());
                Ok(Node::Constant(if zero { FALSE } else { TRUE }))
            }
            What::Column(name) => {
                let (_, def) = self.column(name, operand.at)?;
                if !Family::of(&def).is_number() {
                    let message = format!(
                        "`{name}` is {} and no condition: compare it with something",
                        def.native_type
                    );
                    return Err(schema(operand.at, message));
                }
                let zero = Operand { at: operand.at, what: What::Number("0".to_owned()) };
                self.compare(Op::Ne, operand, &zero)
            }
            _ => Err(wrong(operand.at, "a text or a time alone is no condition: compare it with a column")),
        }
    }

    fn compare(&mut self, op: Op, left: &Operand, right: &Operand) -> Result<Node, Error> {
        let (name, at, right, op) = match (&left.what, &right.what) {
            (What::Column(name), _) => (name, left.at, right, op),
            (_, What::Column(name)) => (name, right.at, left, op.turned()),
            _ => return Err(wrong(left.at, "one side of a comparison must be a column")),
        };
        let (slot, def) = self.column(name, at)?;
        let family = Family::of(&def);
        if family == Family::Other {
            let what = &def.native_type;
            return Err(schema(
                at,
                format!("`{name}` is {what}, which cannot be compared; IS NULL works on any column"),
            ));
        }
        let with = match &right.what {
            What::Null if op == Op::Same => return Ok(Node::IsNull(slot)),
            What::Null => return Ok(Node::Constant(UNKNOWN)),
            What::Column(other) => {
                let (other_slot, other_def) = self.column(other, right.at)?;
                columns(family, Family::of(&other_def), other_slot).ok_or_else(|| {
                    let (a, b) = (&def.native_type, &other_def.native_type);
                    schema(at, format!("`{name}` is {a} and `{other}` {b}, which cannot be compared"))
                })?
            }
            literal => literal_with(family, literal).ok_or_else(|| {
                let message = format!("`{name}` is {}: {}", def.native_type, wanted(family));
                schema(right.at, message)
            })?,
        };
        Ok(Node::Compare { op, left: slot, with })
    }

    /// IN: lists of texts, and of numbers for an integer column, are searched; others are many comparisons.
    fn among(&mut self, left: &Operand, list: &[Operand]) -> Result<Node, Error> {
        let mut nodes = Vec::with_capacity(list.len());
        let (mut texts, mut integers): (Vec<String>, Vec<i128>) = (Vec::new(), Vec::new());
        let mut slot = None;
        for value in list {
            let node = self.compare(Op::Eq, left, value)?;
            match node {
                Node::Compare { left, with: With::Text(text), .. }
                    if !matches!(value.what, What::Column(_)) =>
                {
                    slot = Some(left);
                    texts.push(text);
                }
                Node::Compare { left, with: With::Whole { floor, fraction }, .. }
                    if !matches!(value.what, What::Column(_)) =>
                {
                    slot = Some(left);
                    if !fraction {
                        integers.push(floor);
                    }
                }
                node => nodes.push(node),
            }
        }
        texts.sort_unstable();
        integers.sort_unstable();
        // a column is of one family, so one of the two is empty
        if let Some(left) = slot {
            nodes.push(if texts.is_empty() {
                Node::AmongIntegers { left, sorted: integers }
            } else {
                Node::AmongTexts { left, sorted: texts }
            });
        }
        Ok(Node::Or(nodes))
    }

    fn like(&mut self, left: &Operand, pattern: &Operand, escape: Option<char>) -> Result<Node, Error> {
        let What::Column(name) = &left.what else {
            return Err(wrong(left.at, "LIKE needs a column on its left"));
        };
        let (slot, def) = self.column(name, left.at)?;
        if Family::of(&def) != Family::Text {
            return Err(schema(left.at, format!("`{name}` is {}: LIKE works on text only", def.native_type)));
        }
        match &pattern.what {
            What::Text(text) => Ok(Node::Like { left: slot, pattern: Pattern::new(text, escape) }),
            What::Null => Ok(Node::Constant(UNKNOWN)),
            _ => Err(wrong(pattern.at, "LIKE needs a text as its pattern")),
        }
    }
}

impl Op {
    /// As it is with its sides swapped.
    fn turned(self) -> Op {
        match self {
            Op::Lt => Op::Gt,
            Op::Le => Op::Ge,
            Op::Gt => Op::Lt,
            Op::Ge => Op::Le,
            Op::Eq | Op::Ne | Op::Same => self,
        }
    }
}

/// What fits the text but not the table.
fn schema(at: usize, message: String) -> Error {
    Error::schema("", format!("at character {at}: {message}"))
}

fn wanted(family: Family) -> &'static str {
    match family {
        Family::Integer | Family::Decimal | Family::Double => "compare it with a number, without quotes",
        Family::Text => "compare it with a text, in quotes",
        Family::Datetime => "compare it with '2020-01-31' or '2020-01-31 23:59:59'",
        Family::Time => "compare it with a time, as '23:59:59'",
        Family::Timestamp => "compare it with '2020-01-31 23:59:59', in UTC",
        Family::Other => "it cannot be compared",
    }
}

fn columns(left: Family, right: Family, slot: Slot) -> Option<With> {
    match (left, right) {
        (Family::Integer, Family::Integer) => Some(With::Integers(slot)),
        (Family::Double, right) if right.is_number() => Some(With::Doubles(slot)),
        (left, Family::Double) if left.is_number() => Some(With::Doubles(slot)),
        (left, right) if left.is_number() && right.is_number() => Some(With::Decimals(slot)),
        (Family::Text, Family::Text) => Some(With::Texts(slot)),
        (Family::Datetime, Family::Datetime) | (Family::Timestamp, Family::Timestamp) => {
            Some(With::Datetimes(slot))
        }
        (Family::Time, Family::Time) => Some(With::Times(slot)),
        _ => None,
    }
}

fn literal_with(family: Family, literal: &What) -> Option<With> {
    let is = |ty: &str, text: &str| NativeType::parse(ty).is_ok_and(|ty| ty.constant(Some(text)).is_ok());
    match (family, literal) {
        (Family::Integer, What::Number(number)) => Some(whole(&Decimal::parse(number)?)),
        (Family::Decimal, What::Number(number)) => Some(With::Decimal(number.clone())),
        (Family::Double, What::Number(number)) => Some(With::Double(number.parse().ok()?)),
        (Family::Text, What::Text(text)) => Some(With::Text(text.clone())),
        (Family::Datetime | Family::Timestamp, What::Date(text) | What::Text(text)) if is("date", text) => {
            Some(With::Datetime(temporal::datetime(text)?))
        }
        (Family::Datetime | Family::Timestamp, What::Timestamp(text) | What::Text(text))
            if is("datetime(6)", text) =>
        {
            Some(With::Datetime(temporal::datetime(text)?))
        }
        (Family::Time, What::Time(text) | What::Text(text)) if is("time(6)", text) => {
            Some(With::Time(temporal::time(text)?))
        }
        _ => None,
    }
}

/// A number as an integer column meets it.
fn whole(number: &Decimal<'_>) -> With {
    With::Whole { floor: number.floor(), fraction: number.integer().is_none() }
}
