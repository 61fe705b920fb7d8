//! After images whose JSON values are differences from those before (binlog_row_value_options = PARTIAL_JSON).
//!
//! Owns the way back: the value before is found in the event's own bytes, so nothing is kept for the usual images,
//! which have no differences.
//!
//! Format: `Partial_update_rows_event` of MySQL: options, a bit for each JSON column of the table, then an image.

use forebay_model::{ColumnType, Kind};

use super::bits::Bits;
use super::filling::{Filling, Present};
use super::json;
use super::lane::{Cells, Form, Image, Var, end_row};
use crate::mysql::cursor::{Cursor, Garbled};

/// The only option: some JSON values may be differences.
const DIFFERENCES: u64 = 1;

/// What stands in the place of a value that is not known.
const UNKNOWN: &[u8] = b"null";

impl Filling {
    /// Takes the after image that `bytes` begin with; `before` are the bytes of its before image. A difference from a value that
    /// is not there is [partial](forebay_model::Batch::is_partial).
    #[cold]
    pub(crate) fn push_partial(
        &mut self,
        before: (Present<'_>, &[u8]),
        present: Present<'_>,
        bytes: &mut &[u8],
    ) -> Result<(), Garbled> {
        let json: Vec<usize> = self.json_columns();
        let mut at = Cursor::new(bytes);
        let options = at.packed()?;
        if options & !DIFFERENCES != 0 {
            return Err(Garbled);
        }
        let bits = at.take(if options == 0 { 0 } else { json.len().div_ceil(8) })?;
        *bytes = at.rest();
        let values = if options == 0 { Vec::new() } else { self.json_values(before.0, before.1)? };
        // none: it is not a difference; some: the value before, if there is one
        let mut differs = vec![None; self.plan.width()];
        for (nth, &column) in json.iter().enumerate() {
            if bits.get(nth / 8).is_some_and(|b| b >> (nth % 8) & 1 == 1) {
                differs[column] = Some(values.get(column).copied().flatten());
            }
        }

        let nulls = self.null_bits(present, bytes)?;
        let row = self.kinds.len();
        let plan = self.plan.clone();
        let some_null = nulls.iter().any(|&b| b != 0);
        let mut unknown = Vec::new();
        let mut rest = &bytes[..];
        let mut image = Image { bytes: &mut rest, nulls: Bits::new(&nulls), some_null, row };
        for (lane, cells) in plan.lanes.iter().zip(self.cells_mut()) {
            match (&lane.form, cells) {
                (Form::Json(length), Cells::Var(vars)) => {
                    let differs = &differs[lane.first..];
                    read_json(vars, *length, lane.first, &mut image, differs, &mut unknown)?;
                }
                (form, cells) => cells.read(form, lane.first, &mut image)?,
            }
        }
        let left = rest.len();
        *bytes = &bytes[bytes.len() - left..];
        unknown.into_iter().for_each(|column| self.leave_out(column));
        self.end_image(Kind::After);
        Ok(())
    }

    fn json_columns(&self) -> Vec<usize> {
        let columns = self.plan.table.columns.iter().enumerate();
        columns.filter(|(_, c)| c.ty == ColumnType::Json).map(|(i, _)| i).collect()
    }

    /// For each column of an image: the bytes of its JSON value, if it is one and is there.
    fn json_values<'a>(
        &self,
        present: Present<'_>,
        image: &'a [u8],
    ) -> Result<Vec<Option<&'a [u8]>>, Garbled> {
        let columns = self.plan.width();
        let bit = |bits: &[u8], at: usize| bits[at / 8] >> (at % 8) & 1 == 1;
        let here = |column| match present {
            Present::All => true,
            Present::Some(bits) => bit(bits, column),
        };
        let count = (0..columns).filter(|&c| here(c)).count();
        let (nulls, mut rest) = image.split_at_checked(count.div_ceil(8)).ok_or(Garbled)?;
        let mut values = vec![None; columns];
        let mut seen = 0;
        for lane in &self.plan.lanes {
            for column in (lane.first..lane.first + lane.count).filter(|&c| here(c)) {
                if !bit(nulls, seen) {
                    let value = lane.form.raw(&mut rest)?;
                    values[column] = matches!(lane.form, Form::Json(_)).then_some(value);
                }
                seen += 1;
            }
        }
        Ok(values)
    }
}

fn read_json(
    vars: &mut [Var],
    length: usize,
    first: usize,
    image: &mut Image<'_, '_>,
    differs: &[Option<Option<&[u8]>>],
    unknown: &mut Vec<usize>,
) -> Result<(), Garbled> {
    for (i, (var, differs)) in vars.iter_mut().zip(differs).enumerate() {
        if image.nulls.window(first + i, 1) == 1 {
            continue;
        }
        let value = Form::Json(length).raw(image.bytes)?;
        match differs {
            None => json::to_text(value, &mut var.data)?,
            Some(Some(before)) => json::apply(before, value, &mut var.data)?,
            Some(None) => {
                var.data.extend_from_slice(UNKNOWN);
                unknown.push(first + i);
            }
        }
    }
    end_row(vars, image.row)
}
