//! A bound condition over the columns of a batch, node by node.
//!
//! For every image a node says what its truth *may be*: a bit for each of true, false and unknown. Where all cells are
//! there, one bit is set. A cell that is absent from the image could be anything, so a comparison with it may be all three,
//! and AND, OR and NOT keep count: `a = 1 AND absent = 2` is false all the same where `a` is 2.

use std::cmp::Ordering;
use std::fmt::Write as _;

use forebay_plugin::{Cells, Column, Decimal, Error, Texts};

pub(crate) use crate::bind::TRUE;
use crate::bind::{FALSE, Node, Slot, UNKNOWN, With};
use crate::parse::Op;
use crate::temporal;

/// What the truth of each image may be.
type Truths = Vec<u8>;

/// Evaluates a condition over so many images.
pub(crate) fn evaluate(node: &Node, columns: &[Column], rows: usize) -> Result<Truths, Error> {
    let truths = match node {
        Node::Constant(truth) => vec![*truth; rows],
        Node::Not(of) => map(evaluate(of, columns, rows)?, not),
        Node::And(all) => fold(all, columns, rows, and)?,
        Node::Or(all) => fold(all, columns, rows, |a, b| not(and(not(a), not(b))))?,
        Node::Is { of, truth } => {
            let asked = match truth {
                Some(true) => TRUE,
                Some(false) => FALSE,
                None => UNKNOWN,
            };
            map(evaluate(of, columns, rows)?, |t| {
                (if t & asked != 0 { TRUE } else { 0 }) | (if t & !asked != 0 { FALSE } else { 0 })
            })
        }
        Node::IsNull(slot) => match columns[*slot].states.as_slice() {
            [] => vec![FALSE; rows],
            states => states.iter().map(|state| [TRUE, FALSE, TRUE | FALSE][usize::from(*state)]).collect(),
        },
        Node::Compare { op, left, with } => compare(*op, &columns[*left], with, columns, rows)?,
        Node::AmongTexts { left, sorted } => {
            let texts = columns[*left].texts()?;
            let is_there = |row| sorted.binary_search_by(|text| text.as_str().cmp(texts.text(row))).is_ok();
            test(&[&columns[*left]], rows, is_there)
        }
        Node::AmongIntegers { left, sorted } => {
            let integers = Integers::of(&columns[*left])?;
            test(&[&columns[*left]], rows, |row| sorted.binary_search(&integers.get(row)).is_ok())
        }
        Node::Like { left, pattern } => {
            let texts = columns[*left].texts()?;
            test(&[&columns[*left]], rows, |row| pattern.matches(texts.text(row)))
        }
    };
    Ok(truths)
}

fn map(mut truths: Truths, of: impl Fn(u8) -> u8) -> Truths {
    truths.iter_mut().for_each(|truth| *truth = of(*truth));
    truths
}

fn fold(all: &[Node], columns: &[Column], rows: usize, of: impl Fn(u8, u8) -> u8) -> Result<Truths, Error> {
    let mut nodes = all.iter();
    let Some(first) = nodes.next() else { return Ok(vec![UNKNOWN; rows]) };
    let mut truths = evaluate(first, columns, rows)?;
    for node in nodes {
        let others = evaluate(node, columns, rows)?;
        truths.iter_mut().zip(others).for_each(|(truth, other)| *truth = of(*truth, other));
    }
    Ok(truths)
}

/// True and false change places.
#[inline]
fn not(t: u8) -> u8 {
    ((t & TRUE) << 1) | ((t & FALSE) >> 1) | (t & UNKNOWN)
}

/// False if either is; else unknown if either is.
#[inline]
fn and(a: u8, b: u8) -> u8 {
    let unknown = u8::from(
        a & UNKNOWN != 0 && b & (TRUE | UNKNOWN) != 0 || b & UNKNOWN != 0 && a & (TRUE | UNKNOWN) != 0,
    );
    (a & b & TRUE) | ((a | b) & FALSE) | (unknown * UNKNOWN)
}

/// Tests where all cells have values; NULL makes it unknown, absence makes it anything.
fn test(columns: &[&Column], rows: usize, mut is: impl FnMut(usize) -> bool) -> Truths {
    let truth = |is: bool| if is { TRUE } else { FALSE };
    if columns.iter().all(|column| column.states.is_empty()) {
        return (0..rows).map(|row| truth(is(row))).collect();
    }
    let state = |row| {
        let states = columns.iter().map(|column| column.states.get(row).copied().unwrap_or(1));
        states.fold(1, |worst, state| match (worst, state) {
            (0, _) | (_, 0) => 0,
            (2, _) | (_, 2) => 2,
            _ => 1,
        })
    };
    let of_row = |row| match state(row) {
        0 => UNKNOWN,
        1 => truth(is(row)),
        _ => TRUE | FALSE | UNKNOWN,
    };
    (0..rows).map(of_row).collect()
}

/// Compares where both have values.
fn order(
    op: Op,
    columns: &[&Column],
    rows: usize,
    mut order: impl FnMut(usize) -> Option<Ordering>,
) -> Result<Truths, Error> {
    let mut broken = false;
    let truths = test(columns, rows, |row| {
        let Some(order) = order(row) else {
            broken = true;
            return false;
        };
        match op {
            Op::Eq | Op::Same => order.is_eq(),
            Op::Ne => order.is_ne(),
            Op::Lt => order.is_lt(),
            Op::Le => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
        }
    });
    if broken {
        return Err(Error::Data("a cell is no value of its column's type".to_owned()));
    }
    Ok(if op == Op::Same { null_safe(truths, columns) } else { truths })
}

/// `<=>` is true of two NULLs, false of one, and never unknown.
fn null_safe(mut truths: Truths, columns: &[&Column]) -> Truths {
    for (row, truth) in truths.iter_mut().enumerate() {
        let state = |column: &&Column| column.states.get(row).copied().unwrap_or(1);
        let states = columns.iter().map(state).fold((0, 0), |(nulls, absents), state| {
            (nulls + u8::from(state == 0), absents + u8::from(state == 2))
        });
        *truth = match states {
            (0, 0) => *truth,
            (_, 1..) => TRUE | FALSE,
            (2, _) => TRUE,
            _ => FALSE,
        };
    }
    truths
}

fn compare(op: Op, left: &Column, with: &With, columns: &[Column], rows: usize) -> Result<Truths, Error> {
    let one = [left];
    let both = |slot: &Slot| [left, &columns[*slot]];
    match with {
        With::Whole { floor, fraction } => {
            let cells = Integers::of(left)?;
            let above = if *fraction { Ordering::Less } else { Ordering::Equal };
            order(op, &one, rows, |row| Some(cells.get(row).cmp(floor).then(above)))
        }
        With::Decimal(number) => {
            let (cells, number) = (left.texts()?, Decimal::parse(number));
            order(op, &one, rows, |row| Some(Decimal::parse(cells.text(row))?.cmp(&number?)))
        }
        With::Double(number) => {
            let mut cells = Numbers::of(left)?;
            order(op, &one, rows, |row| cells.double(row)?.partial_cmp(number))
        }
        With::Text(text) => {
            let cells = left.texts()?;
            order(op, &one, rows, |row| Some(cells.text(row).cmp(text)))
        }
        With::Datetime(time) => {
            let cells = left.texts()?;
            order(op, &one, rows, |row| Some(temporal::datetime(cells.text(row))?.cmp(time)))
        }
        With::Time(time) => {
            let cells = left.texts()?;
            order(op, &one, rows, |row| Some(temporal::time(cells.text(row))?.cmp(time)))
        }
        With::Integers(slot) => {
            let (a, b) = (Integers::of(left)?, Integers::of(&columns[*slot])?);
            order(op, &both(slot), rows, |row| Some(a.get(row).cmp(&b.get(row))))
        }
        With::Decimals(slot) => {
            let (mut a, mut b) = (Numbers::of(left)?, Numbers::of(&columns[*slot])?);
            order(op, &both(slot), rows, |row| Some(a.decimal(row)?.cmp(&b.decimal(row)?)))
        }
        With::Doubles(slot) => {
            let (mut a, mut b) = (Numbers::of(left)?, Numbers::of(&columns[*slot])?);
            order(op, &both(slot), rows, |row| a.double(row)?.partial_cmp(&b.double(row)?))
        }
        With::Texts(slot) => {
            let (a, b) = (left.texts()?, columns[*slot].texts()?);
            order(op, &both(slot), rows, |row| Some(a.text(row).cmp(b.text(row))))
        }
        With::Datetimes(slot) => {
            let (a, b) = (left.texts()?, columns[*slot].texts()?);
            let time = |cells: &Texts<'_>, row| temporal::datetime(cells.text(row));
            order(op, &both(slot), rows, |row| Some(time(&a, row)?.cmp(&time(&b, row)?)))
        }
        With::Times(slot) => {
            let (a, b) = (left.texts()?, columns[*slot].texts()?);
            let time = |cells: &Texts<'_>, row| temporal::time(cells.text(row));
            order(op, &both(slot), rows, |row| Some(time(&a, row)?.cmp(&time(&b, row)?)))
        }
    }
}

/// Cells of an integer column, of either sign.
enum Integers<'a> {
    Signed(&'a [i64]),
    Unsigned(&'a [u64]),
}

impl<'a> Integers<'a> {
    fn of(column: &'a Column) -> Result<Self, Error> {
        match &column.cells {
            Cells::Unsigned(cells) => Ok(Integers::Unsigned(cells)),
            _ => column.signed().map(Integers::Signed),
        }
    }

    #[inline]
    fn get(&self, row: usize) -> i128 {
        match self {
            Integers::Signed(cells) => i128::from(cells[row]),
            Integers::Unsigned(cells) => i128::from(cells[row]),
        }
    }
}

/// Cells of any column of numbers. What is written for one cell is kept for the next.
enum Numbers<'a> {
    Integers(Integers<'a>, String),
    Decimals(Texts<'a>),
    Doubles(&'a [f64]),
}

impl<'a> Numbers<'a> {
    fn of(column: &'a Column) -> Result<Self, Error> {
        match &column.cells {
            Cells::Float(cells) => Ok(Numbers::Doubles(cells)),
            Cells::Text(_) => column.texts().map(Numbers::Decimals),
            _ => Integers::of(column).map(|cells| Numbers::Integers(cells, String::new())),
        }
    }

    fn double(&mut self, row: usize) -> Option<f64> {
        match self {
            Numbers::Integers(cells, _) => Some(cells.get(row) as f64),
            Numbers::Decimals(cells) => cells.text(row).parse().ok(),
            Numbers::Doubles(cells) => Some(cells[row]),
        }
    }

    fn decimal(&mut self, row: usize) -> Option<Decimal<'_>> {
        match self {
            Numbers::Integers(cells, digits) => {
                digits.clear();
                write!(digits, "{}", cells.get(row)).ok()?;
                Decimal::parse(digits)
            }
            Numbers::Decimals(cells) => Decimal::parse(cells.text(row)),
            Numbers::Doubles(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be is what is, for each pair that may be.
    #[test]
    fn sets_of_truths_follow_their_members() {
        let three = [TRUE, FALSE, UNKNOWN];
        let kleene_and = |a, b| match (a, b) {
            (FALSE, _) | (_, FALSE) => FALSE,
            (TRUE, TRUE) => TRUE,
            _ => UNKNOWN,
        };
        for a in 1..8 {
            let members = |set: u8| three.into_iter().filter(move |truth| set & truth != 0);
            let negated =
                members(a).map(|t| if t == UNKNOWN { t } else { TRUE + FALSE - t }).fold(0, |s, t| s | t);
            assert_eq!(not(a), negated, "{a}");
            for b in 1..8 {
                let pairs = members(a).flat_map(|a| members(b).map(move |b| kleene_and(a, b)));
                assert_eq!(and(a, b), pairs.fold(0, |s, t| s | t), "{a} {b}");
            }
        }
    }
}
