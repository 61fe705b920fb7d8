//! Bytes to block. Every length and index is checked, so that no bytes make it panic; [`encode`](super::encode) draws
//! the form.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type, Int64Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use bytemuck::Pod;
use forebay_model::{Batch, Block, Kind, Origin, Run, TableSchema, Txn};

use super::{ALIGN, BatchHead, ColumnHead, Damage, Head, rules};

const SHORT: Damage = Damage("a block's body is shorter than it says");
const BITS: Damage = Damage("a bitmap in a block's body does not agree with its count");

/// The body uncompressed, in one buffer aligned for every kind of cell. `pieces` are the stored body in order.
pub(crate) fn unpack(head: &Head, pieces: &[&[u8]]) -> Result<Buffer, Damage> {
    let mut crc = crc32fast::Hasher::new();
    pieces.iter().for_each(|piece| crc.update(piece));
    if pieces.iter().map(|piece| piece.len() as u64).sum::<u64>() != head.body_len {
        return Err(Damage("a piece of a block's body is missing"));
    }
    if crc.finalize() != head.body_crc {
        return Err(Damage("the checksum of a block's body is wrong"));
    }
    let raw_len = usize::try_from(head.raw_len).map_err(|_| SHORT)?;
    if !head.compressed {
        let mut raw = MutableBuffer::with_capacity(raw_len);
        pieces.iter().for_each(|piece| raw.extend_from_slice(piece));
        return Ok(raw.into());
    }
    let mut raw = MutableBuffer::from_len_zeroed(raw_len);
    let whole;
    let packed = match pieces {
        [one] => *one,
        several => {
            whole = several.concat();
            &whole
        }
    };
    match lz4_flex::block::decompress_into(packed, &mut raw) {
        Ok(n) if n == raw_len => Ok(raw.into()),
        _ => Err(Damage("a block's body does not decompress")),
    }
}

/// The block of an unpacked body; `tables` in the head's order.
pub(crate) fn decode(head: &Head, body: Buffer, tables: &[Arc<TableSchema>]) -> Result<Block, Damage> {
    let mut body = Body { bytes: body, at: 0 };
    let [txns, strings, batches] = [body.number()?, body.number()?, body.number()?];
    if batches != head.tables.len() || batches != tables.len() {
        return Err(Damage("a block's head and body disagree on its tables"));
    }
    body.align();
    let txns: Vec<Txn> = body.list(txns)?;
    body.align();
    let mut names = Vec::new();
    for _ in 0..strings {
        let len = body.number()?;
        let text = std::str::from_utf8(body.take(len)?).map_err(|_| Damage("a name is not UTF-8"))?;
        names.push(text.to_owned());
    }
    let origin = Origin { txns, strings: names };
    rules::origin(&origin)?;
    let mut decoded = Vec::with_capacity(batches);
    for (rows, table) in head.tables.iter().zip(tables) {
        decoded.push(batch(&mut body, rows.rows as usize, table, head.events, origin.txns.len())?);
    }
    if body.at != body.bytes.len() {
        return Err(Damage("a block's body is longer than it says"));
    }
    Ok(Block { first: head.first, events: head.events, origin: Arc::new(origin), batches: decoded })
}

fn batch(
    body: &mut Body,
    rows: usize,
    table: &Arc<TableSchema>,
    events: u32,
    txns: usize,
) -> Result<Batch, Damage> {
    body.align();
    let [head] = body.list::<BatchHead>(1)?[..] else { return Err(SHORT) };
    if head.columns as usize != table.columns.len() {
        return Err(Damage("a batch has not as many columns as its table"));
    }
    let runs: Vec<Run> = body.list(head.runs as usize)?;
    body.align();
    let heads: Vec<ColumnHead> = body.list(table.columns.len())?;
    body.align();
    let kinds: Option<Vec<Kind>> = body.take(rows)?.iter().map(|&kind| Kind::from_u8(kind)).collect();
    let kinds = kinds.ok_or(Damage("a row image has an unknown kind"))?;
    rules::images(&kinds, &runs, events, txns)?;
    let mut columns = Vec::with_capacity(heads.len());
    let mut absent = Vec::with_capacity(if head.absent == 1 { heads.len() } else { 0 });
    for (column, lies) in table.columns.iter().zip(&heads) {
        let nulls = (lies.nulls > 0).then(|| body.bits(rows)).transpose()?.map(NullBuffer::new);
        if nulls.as_ref().is_some_and(|nulls| nulls.null_count() != lies.nulls as usize) {
            return Err(BITS);
        }
        let missing = (lies.absent > 0).then(|| body.bits(rows)).transpose()?;
        match (head.absent, missing) {
            (1, missing) => absent.push(missing),
            (_, None) => {}
            (_, Some(_)) => return Err(BITS),
        }
        columns.push(cells(body, &column.ty.layout(), rows, lies.bytes as usize, nulls)?);
    }
    Ok(Batch { table: table.clone(), kinds, runs, columns, absent, routing: None })
}

fn cells(
    body: &mut Body,
    layout: &DataType,
    rows: usize,
    bytes: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Damage> {
    const FORM: Damage = Damage("a column does not have the form of its type");
    body.align();
    Ok(match *layout {
        DataType::Int32 => Arc::new(fixed::<Int32Type>(body, rows, nulls)?),
        DataType::Int64 => Arc::new(fixed::<Int64Type>(body, rows, nulls)?),
        DataType::UInt64 => Arc::new(fixed::<UInt64Type>(body, rows, nulls)?),
        DataType::Float32 => Arc::new(fixed::<Float32Type>(body, rows, nulls)?),
        DataType::Float64 => Arc::new(fixed::<Float64Type>(body, rows, nulls)?),
        DataType::Decimal128(precision, scale) => {
            let array = fixed::<Decimal128Type>(body, rows, nulls)?;
            Arc::new(array.with_precision_and_scale(precision, scale).map_err(|_| FORM)?)
        }
        DataType::Decimal256(precision, scale) => {
            let array = fixed::<Decimal256Type>(body, rows, nulls)?;
            Arc::new(array.with_precision_and_scale(precision, scale).map_err(|_| FORM)?)
        }
        DataType::Utf8 => {
            let (offsets, values) = body.values(rows, bytes)?;
            let array = StringArray::try_new(offsets, values, nulls);
            Arc::new(array.map_err(|_| Damage("a text column is not UTF-8"))?)
        }
        DataType::Binary => {
            let (offsets, values) = body.values(rows, bytes)?;
            Arc::new(BinaryArray::try_new(offsets, values, nulls).map_err(|_| FORM)?)
        }
        _ => return Err(FORM),
    })
}

fn fixed<T: ArrowPrimitiveType>(
    body: &mut Body,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<PrimitiveArray<T>, Damage> {
    let bytes = rows.checked_mul(size_of::<T::Native>()).ok_or(SHORT)?;
    let values = ScalarBuffer::from(body.share(bytes)?);
    PrimitiveArray::try_new(values, nulls).map_err(|_| BITS)
}

/// A body and how far it has been read.
struct Body {
    bytes: Buffer,
    at: usize,
}

impl Body {
    fn align(&mut self) {
        // past the end only if the body is short, and then the next take says so
        self.at = self.at.next_multiple_of(ALIGN);
    }

    fn span(&mut self, len: usize) -> Result<std::ops::Range<usize>, Damage> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len()).ok_or(SHORT)?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    fn take(&mut self, len: usize) -> Result<&[u8], Damage> {
        let span = self.span(len)?;
        Ok(&self.bytes[span])
    }

    /// The next bytes, without copying them.
    fn share(&mut self, len: usize) -> Result<Buffer, Damage> {
        let span = self.span(len)?;
        Ok(self.bytes.slice_with_length(span.start, len))
    }

    fn number(&mut self) -> Result<usize, Damage> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize)
    }

    fn list<T: Pod>(&mut self, len: usize) -> Result<Vec<T>, Damage> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(SHORT)?;
        Ok(bytemuck::pod_collect_to_vec(self.take(bytes)?))
    }

    fn bits(&mut self, len: usize) -> Result<BooleanBuffer, Damage> {
        self.align();
        Ok(BooleanBuffer::new(self.share(len.div_ceil(8))?, 0, len))
    }

    /// The offsets and bytes of text or binary values.
    fn values(&mut self, rows: usize, bytes: usize) -> Result<(OffsetBuffer<i32>, Buffer), Damage> {
        let len = rows.checked_add(1).and_then(|n| n.checked_mul(4)).ok_or(SHORT)?;
        let offsets = ScalarBuffer::<i32>::from(self.share(len)?);
        let rise = offsets.windows(2).fold(true, |rise, pair| rise & (pair[0] <= pair[1]));
        if !rise || offsets[0] != 0 || usize::try_from(offsets[rows]) != Ok(bytes) {
            return Err(Damage("the offsets of a column are out of order"));
        }
        Ok((OffsetBuffer::new(offsets), self.share(bytes)?))
    }
}
