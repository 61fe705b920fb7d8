//! Block to bytes.
//!
//! The body, uncompressed (every part starts at a multiple of 16; numbers are u32 where nothing else is said):
//!
//! ```text
//! body    = transactions, strings, batches | transactions (48 bytes each, as in memory) | strings (length, UTF-8)* | batch*
//! batch   = runs, columns, absent lists?, 0 | runs (32 bytes each, as in memory) | column heads (nulls, bytes, absent?)
//!           | kinds (1 byte each) | column*
//! column  = [bitmap of cells that are not NULL] [bitmap of absent cells] cells
//! cells   = the values, each of its type's width | row images + 1 offsets of 4 bytes, then the values' bytes
//! ```
//!
//! How many row images a batch has stands in the head.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ByteArrayType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int32Type,
    Int64Type, UInt64Type,
};
use arrow_array::{Array, GenericByteArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use forebay_model::{Batch, Block, Run, Txn};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use super::{ALIGN, BatchHead, ColumnHead, Damage, Head, TableRows, rules};

/// After a block that LZ4 shrank too little, as many are stored without an attempt.
const SKIP: u32 = 15;
/// Buffers above this are given back after the block that needed them.
const KEEP: usize = 4 << 20;
/// Smaller bodies are not worth an attempt.
const SMALL: usize = 256;

/// Encodes one block after the other; keeps its buffers.
pub(crate) struct Encoder {
    raw: Vec<u8>,
    /// Kept at its full length, so that it is zeroed once and not for each block.
    packed: Vec<u8>,
    packed_len: usize,
    table: CompressTable,
    skip: u32,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Encoder { raw: Vec::new(), packed: Vec::new(), packed_len: 0, table: CompressTable::large(), skip: 0 }
    }

    /// Encodes the block; the head is returned, the body lies in [`Encoder::body`] until the next call. `schemas` are the ids
    /// of the batches' tables.
    ///
    /// # Panics
    /// If the block breaks the rules of a block (runs, kinds, names, the columns' layouts): the source is wrong, and what it
    /// says must not be stored.
    pub(crate) fn encode(&mut self, block: &Block, schemas: &[u32], last_us: u64) -> Head {
        assert_eq!(block.batches.len(), schemas.len(), "a schema id for each batch");
        if let Err(broken) = check(block) {
            panic!("the source handed over a block that breaks the rules: {broken}");
        }
        self.release();
        self.raw.clear();
        self.raw.reserve(weight(block));
        put_body(&mut self.raw, block);
        let compressed = self.compress();
        let body = self.body();
        Head {
            first: block.first,
            events: block.events,
            last_us,
            compressed,
            body_len: body.len() as u64,
            raw_len: self.raw.len() as u64,
            body_crc: crc32fast::hash(body),
            tables: (block.batches.iter().zip(schemas))
                .map(|(batch, &schema)| TableRows { schema, rows: batch.rows() as u32 })
                .collect(),
        }
    }

    /// The body of the block encoded last.
    pub(crate) fn body(&self) -> &[u8] {
        if self.packed_len > 0 { &self.packed[..self.packed_len] } else { &self.raw }
    }

    /// Tries LZ4 unless the last attempt gained less than 15 %: on wide rows of numbers it costs more than all of
    /// decoding and saves a tenth.
    fn compress(&mut self) -> bool {
        self.packed_len = 0;
        if self.skip > 0 || self.raw.len() < SMALL {
            self.skip = self.skip.saturating_sub(1);
            return false;
        }
        let room = get_maximum_output_size(self.raw.len());
        if self.packed.len() < room {
            self.packed.resize(room, 0);
        }
        let packed = compress_into_with_table(&self.raw, &mut self.packed, &mut self.table);
        match packed {
            Ok(n) if n < self.raw.len() / 100 * 85 => self.packed_len = n,
            _ => self.skip = SKIP,
        }
        self.packed_len > 0
    }

    fn release(&mut self) {
        if self.raw.capacity() > KEEP {
            self.raw = Vec::new();
        }
        if self.packed.capacity() > KEEP {
            self.packed = Vec::new();
        }
    }
}

fn check(block: &Block) -> Result<(), Damage> {
    rules::origin(&block.origin)?;
    block.batches.iter().try_for_each(|batch| {
        assert!(batch.absent.is_empty() || batch.absent.len() == batch.columns.len(), "absent: all or none");
        rules::images(&batch.kinds, &batch.runs, block.events, block.origin.txns.len())
    })
}

/// About how many bytes the block takes uncompressed. Unlike the arrays' own memory size it counts a buffer that
/// several columns share once.
pub(crate) fn weight(block: &Block) -> usize {
    let batches: usize = block.batches.iter().map(batch_weight).sum();
    let strings: usize = block.origin.strings.iter().map(|s| s.len() + 4).sum();
    64 + batches + strings + size_of_val(block.origin.txns.as_slice())
}

fn batch_weight(batch: &Batch) -> usize {
    let rows = batch.rows();
    let bitmap = rows.div_ceil(8) + ALIGN;
    let cells: usize = batch
        .columns
        .iter()
        .map(|column| {
            let nulls = if column.null_count() > 0 { bitmap } else { 0 };
            let cells = match column.data_type() {
                DataType::Utf8 => span(column.as_string::<i32>()).len() + 4 * (rows + 1),
                DataType::Binary => span(column.as_binary::<i32>()).len() + 4 * (rows + 1),
                other => other.primitive_width().unwrap_or(0) * rows,
            };
            nulls + cells + size_of::<ColumnHead>() + ALIGN
        })
        .sum();
    let absent = batch.absent.iter().flatten().count() * bitmap;
    64 + rows + size_of_val(batch.runs.as_slice()) + cells + absent
}

/// Where an array's values lie in its value buffer.
fn span<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>) -> std::ops::Range<usize> {
    let offsets = array.value_offsets();
    offsets[0] as usize..offsets[offsets.len() - 1] as usize
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGN), 0);
}

fn put_u32(out: &mut Vec<u8>, n: usize) {
    let n = u32::try_from(n).expect("a block is far smaller than 4 Gi of anything");
    out.extend_from_slice(&n.to_le_bytes());
}

fn put_body(out: &mut Vec<u8>, block: &Block) {
    put_u32(out, block.origin.txns.len());
    put_u32(out, block.origin.strings.len());
    put_u32(out, block.batches.len());
    align(out);
    out.extend_from_slice(bytemuck::cast_slice::<Txn, u8>(&block.origin.txns));
    align(out);
    for string in &block.origin.strings {
        put_u32(out, string.len());
        out.extend_from_slice(string.as_bytes());
    }
    for batch in &block.batches {
        align(out);
        put_batch(out, batch);
    }
}

fn put_batch(out: &mut Vec<u8>, batch: &Batch) {
    let head = BatchHead {
        runs: batch.runs.len() as u32,
        columns: batch.columns.len() as u32,
        absent: u32::from(!batch.absent.is_empty()),
        spare: 0,
    };
    out.extend_from_slice(bytemuck::bytes_of(&head));
    out.extend_from_slice(bytemuck::cast_slice::<Run, u8>(&batch.runs));
    align(out);
    let heads = out.len();
    out.resize(heads + batch.columns.len() * size_of::<ColumnHead>(), 0);
    align(out);
    out.extend(batch.kinds.iter().map(|&kind| kind as u8));
    for (i, (array, column)) in batch.columns.iter().zip(&batch.table.columns).enumerate() {
        let rows = array.len();
        assert_eq!(rows, batch.rows(), "{}: a cell for each row image", column.name);
        assert_eq!(*array.data_type(), column.ty.layout(), "{}: the type's layout", column.name);
        let absent = batch.absent.get(i).and_then(Option::as_ref);
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(nulls) = nulls {
            put_bits(out, nulls.inner());
        }
        if let Some(absent) = absent {
            put_bits(out, absent);
        }
        align(out);
        let bytes = put_cells(out, array.as_ref());
        let head = ColumnHead {
            nulls: nulls.map_or(0, |n| n.null_count() as u32),
            bytes: u32::try_from(bytes).expect("offsets are 31 bits"),
            absent: u32::from(absent.is_some()),
        };
        let at = heads + i * size_of::<ColumnHead>();
        out[at..at + size_of::<ColumnHead>()].copy_from_slice(bytemuck::bytes_of(&head));
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    align(out);
    let bytes = bits.len().div_ceil(8);
    if bits.offset().is_multiple_of(8) {
        let from = bits.offset() / 8;
        out.extend_from_slice(&bits.values()[from..from + bytes]);
    } else {
        out.extend_from_slice(&bits.sliced().as_slice()[..bytes]);
    }
}

/// The cells of one column; returns the bytes of text or binary values.
fn put_cells(out: &mut Vec<u8>, array: &dyn Array) -> usize {
    macro_rules! fixed {
        ($($layout:pat => $type:ty),*) => {
            match array.data_type() {
                $($layout => {
                    let values = array.as_primitive::<$type>().values();
                    let bytes = values.len() * size_of::<<$type as ArrowPrimitiveType>::Native>();
                    out.extend_from_slice(&values.inner().as_slice()[..bytes]);
                    0
                })*
                DataType::Utf8 => put_bytes(out, array.as_string::<i32>()),
                DataType::Binary => put_bytes(out, array.as_binary::<i32>()),
                other => unreachable!("no column type is laid out as {other}"),
            }
        };
    }
    fixed! {
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::UInt64 => UInt64Type,
        DataType::Float32 => Float32Type,
        DataType::Float64 => Float64Type,
        DataType::Decimal128(..) => Decimal128Type,
        DataType::Decimal256(..) => Decimal256Type
    }
}

fn put_bytes<T: ByteArrayType<Offset = i32>>(out: &mut Vec<u8>, array: &GenericByteArray<T>) -> usize {
    let offsets = array.value_offsets();
    let first = offsets[0];
    if first == 0 {
        out.extend_from_slice(bytemuck::cast_slice::<i32, u8>(offsets));
    } else {
        out.extend(offsets.iter().flat_map(|offset| (offset - first).to_le_bytes()));
    }
    let span = span(array);
    out.extend_from_slice(&array.value_data()[span.clone()]);
    span.len()
}
