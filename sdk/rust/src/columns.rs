//! Columns of a batch: seen without copies, written without an allocation for each cell.

use crate::{Batch, Cells, Column, Error, Output, VarCells};

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<T> {
    /// SQL NULL.
    Null,
    /// A value.
    Value(T),
    /// Not in the row image; must stay so.
    Absent,
}

impl<T> Cell<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Cell::Value(value) => Some(value),
            Cell::Null | Cell::Absent => None,
        }
    }
}

const NULL: u8 = 0;
const VALUE: u8 = 1;
const ABSENT: u8 = 2;

fn wrong_layout(wanted: &str) -> Error {
    Error::Data(format!("a column of {wanted} was expected, and another came"))
}

impl Batch {
    /// Makes one computed column of each column read: for plans whose computed edits follow the order of their
    /// reads. `map` gets the index among the reads.
    ///
    /// # Errors
    /// The first that `map` gives.
    pub fn map_columns(
        self,
        mut map: impl FnMut(usize, Column) -> Result<Column, Error>,
    ) -> Result<Output, Error> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.into_iter().enumerate() {
            columns.push(Some(map(index, column)?));
        }
        Ok(Output { columns, ..Output::default() })
    }
}

impl Column {
    /// A column of one text, for a constant.
    pub fn of_text(text: &str) -> Column {
        let cells = VarCells { offsets: vec![0, text.len() as u32], data: text.as_bytes().to_vec() };
        Column { states: Vec::new(), cells: Cells::Text(cells) }
    }

    /// Whether the cell has a value: neither NULL nor absent.
    #[inline]
    pub fn is_value(&self, row: usize) -> bool {
        self.states.get(row).is_none_or(|&state| state == VALUE)
    }

    /// A cell, whose value is looked up only where there is one.
    #[inline]
    pub fn cell<T>(&self, row: usize, value: impl FnOnce() -> T) -> Cell<T> {
        match self.states.get(row) {
            None | Some(&VALUE) => Cell::Value(value()),
            Some(&NULL) => Cell::Null,
            Some(_) => Cell::Absent,
        }
    }

    /// The column's texts.
    ///
    /// # Errors
    /// [`Error::Data`] if it has another layout.
    pub fn texts(&self) -> Result<Texts<'_>, Error> {
        let Cells::Text(cells) = &self.cells else { return Err(wrong_layout("text")) };
        let text = std::str::from_utf8(&cells.data).map_err(|_| wrong_layout("UTF-8 text"))?;
        Ok(Texts { column: self, offsets: &cells.offsets, all: text })
    }

    /// The column's byte strings, or the bytes of its texts, one for each image.
    ///
    /// # Errors
    /// [`Error::Data`] if it has another layout.
    pub fn byte_cells(&self) -> Result<impl ExactSizeIterator<Item = &[u8]>, Error> {
        let (Cells::Bytes(cells) | Cells::Text(cells)) = &self.cells else {
            return Err(wrong_layout("bytes"));
        };
        Ok(cells.offsets.windows(2).map(|w| &cells.data[w[0] as usize..w[1] as usize]))
    }

    /// The column's signed integers.
    ///
    /// # Errors
    /// [`Error::Data`] if it has another layout.
    pub fn signed(&self) -> Result<&[i64], Error> {
        if let Cells::Signed(cells) = &self.cells { Ok(cells) } else { Err(wrong_layout("signed integers")) }
    }

    /// The column's unsigned integers.
    ///
    /// # Errors
    /// [`Error::Data`] if it has another layout.
    pub fn unsigned(&self) -> Result<&[u64], Error> {
        if let Cells::Unsigned(cells) = &self.cells {
            Ok(cells)
        } else {
            Err(wrong_layout("unsigned integers"))
        }
    }

    /// The column's numbers.
    ///
    /// # Errors
    /// [`Error::Data`] if it has another layout.
    pub fn floats(&self) -> Result<&[f64], Error> {
        if let Cells::Float(cells) = &self.cells { Ok(cells) } else { Err(wrong_layout("floats")) }
    }

    /// Another text column, made value by value: `map` appends what the text becomes. NULL stays NULL, absent stays
    /// absent.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not a column of texts.
    pub fn map_text(self, mut map: impl FnMut(&str, &mut String)) -> Result<Column, Error> {
        let texts = self.texts()?;
        let mut out = String::with_capacity(texts.all.len());
        let mut offsets = Vec::with_capacity(texts.offsets.len());
        offsets.push(0);
        for row in 0..texts.len() {
            if self.is_value(row) {
                map(texts.text(row), &mut out);
            }
            offsets.push(out.len() as u32);
        }
        Ok(Column { states: self.states, cells: Cells::Text(VarCells { offsets, data: out.into_bytes() }) })
    }

    /// As [`map_text`](Self::map_text), of any column and with the same text for each value.
    #[must_use]
    pub fn fixed_text(self, rows: usize, text: &str) -> Column {
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut data = Vec::with_capacity(rows * text.len());
        offsets.push(0);
        for row in 0..rows {
            if self.is_value(row) {
                data.extend_from_slice(text.as_bytes());
            }
            offsets.push(data.len() as u32);
        }
        Column { states: self.states, cells: Cells::Text(VarCells { offsets, data }) }
    }
}

/// The texts of a column; see [`Column::texts`].
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    column: &'a Column,
    offsets: &'a [u32],
    all: &'a str,
}

impl<'a> Texts<'a> {
    /// How many cells.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no cell; a batch from the host has at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One cell.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> Cell<&'a str> {
        self.column.cell(row, || self.text(row))
    }

    /// All cells.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cell<&'a str>> {
        let texts = *self;
        (0..self.len()).map(move |row| texts.get(row))
    }

    /// The text of a cell that has a value; of others it means nothing. For loops that look at the states apart.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn text(&self, row: usize) -> &'a str {
        &self.all[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Writes a text column, cell by cell.
#[derive(Debug)]
pub struct TextWriter {
    states: Vec<u8>,
    offsets: Vec<u32>,
    text: String,
    all_values: bool,
}

impl TextWriter {
    /// An empty column with room for so many rows and bytes of text.
    pub fn with_capacity(rows: usize, bytes: usize) -> TextWriter {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        TextWriter {
            states: Vec::with_capacity(rows),
            offsets,
            text: String::with_capacity(bytes),
            all_values: true,
        }
    }

    /// Ends a cell; `write` appends the text of a value.
    pub fn push<T>(&mut self, cell: Cell<T>, write: impl FnOnce(T, &mut String)) {
        let state = match cell {
            Cell::Null => NULL,
            Cell::Absent => ABSENT,
            Cell::Value(value) => {
                write(value, &mut self.text);
                VALUE
            }
        };
        self.all_values &= state == VALUE;
        self.states.push(state);
        self.offsets.push(self.text.len() as u32);
    }

    /// The column.
    pub fn finish(self) -> Column {
        let states = if self.all_values { Vec::new() } else { self.states };
        Column {
            states,
            cells: Cells::Text(VarCells { offsets: self.offsets, data: self.text.into_bytes() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::texts;

    #[test]
    fn cells_keep_their_state() {
        let column = texts([Cell::Value("é1"), Cell::Null, Cell::Absent, Cell::Value("")]);
        let seen: Vec<_> = column.texts().unwrap().iter().collect();
        assert_eq!(seen, [Cell::Value("é1"), Cell::Null, Cell::Absent, Cell::Value("")]);
        let doubled = column.map_text(|text, out| out.extend([text, text])).unwrap();
        let seen: Vec<_> = doubled.texts().unwrap().iter().collect();
        assert_eq!(seen, [Cell::Value("é1é1"), Cell::Null, Cell::Absent, Cell::Value("")]);
        let fixed = doubled.fixed_text(4, "x");
        let seen: Vec<_> = fixed.texts().unwrap().iter().collect();
        assert_eq!(seen, [Cell::Value("x"), Cell::Null, Cell::Absent, Cell::Value("x")]);
    }

    #[test]
    fn a_column_without_nulls_has_no_states() {
        let column = texts([Cell::Value("a"), Cell::Value("b")]);
        assert!(column.states.is_empty());
        assert!(column.is_value(1));
        assert_eq!(column.byte_cells().unwrap().collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn another_layout_is_an_error_not_a_panic() {
        let column = Column { states: Vec::new(), cells: Cells::Signed(vec![1]) };
        assert_eq!(column.signed(), Ok(&[1][..]));
        assert!(matches!(column.texts(), Err(Error::Data(_))));
        assert!(matches!(column.floats(), Err(Error::Data(_))));
        assert!(matches!(column.unsigned(), Err(Error::Data(_))));
        assert!(column.byte_cells().is_err());
        assert!(matches!(column.map_text(|_, _| {}), Err(Error::Data(_))));
    }
}
