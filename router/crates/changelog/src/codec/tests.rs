//! The codec by properties: what comes back is what went in, and no damage passes.

use std::sync::Arc;

use arrow_array::Array;
use forebay_model::{Block, TableSchema};
use proptest::prelude::*;

use super::*;
use crate::tests::blocks::{Rng, arbitrary, assert_same, numbered};

fn tables(block: &Block) -> Vec<Arc<TableSchema>> {
    block.batches.iter().map(|batch| batch.table.clone()).collect()
}

/// Head and body as they would be stored.
fn encoded(encoder: &mut Encoder, block: &Block) -> (Vec<u8>, Vec<u8>) {
    let ids: Vec<u32> = (0..block.batches.len() as u32).collect();
    let head = encoder.encode(block, &ids, 5);
    (head.to_bytes(), encoder.body().to_vec())
}

fn decoded(head: &[u8], body: &[u8], like: &Block) -> Result<Block, Damage> {
    let head = Head::from_bytes(head, like.first)?;
    // in uneven pieces, as the file may give them
    let (a, b) = body.split_at(body.len() / 3);
    decode(&head, unpack(&head, &[a, b])?, &tables(like))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_comes_back_is_what_went_in(seed: u64, most in 1usize..40) {
        let block = arbitrary(&mut Rng(seed), most);
        let mut encoder = Encoder::new();
        for _ in 0..2 {
            // the second time buffers are used again
            let (head, body) = encoded(&mut encoder, &block);
            assert_same(&block, &decoded(&head, &body, &block).unwrap());
            prop_assert!(weight(&block) >= body.len(), "the estimate holds the body");
        }
    }

    #[test]
    fn no_damage_passes(seed: u64, at: prop::sample::Index, bit in 0u8..8, cut: bool) {
        let block = arbitrary(&mut Rng(seed), 10);
        let (mut head, mut body) = encoded(&mut Encoder::new(), &block);
        let at = at.index(head.len() + body.len());
        let (part, at) = if at < head.len() { (&mut head, at) } else { let at = at - head.len(); (&mut body, at) };
        if cut { part.truncate(at) } else { part[at] ^= 1 << bit }
        prop_assert!(decoded(&head, &body, &block).is_err());
    }

    /// As if somebody had made the checksums right again.
    #[test]
    fn bytes_with_right_checksums_never_panic(seed: u64, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: Option<prop::sample::Index>) {
        let block = arbitrary(&mut Rng(seed), 6);
        let ids: Vec<u32> = (0..block.batches.len() as u32).collect();
        let mut encoder = Encoder::new();
        let mut head = encoder.encode(&block, &ids, 5);
        let mut body = encoder.body().to_vec();
        for (at, byte) in flips {
            // most of what can go wrong stands at the start
            let len = if byte % 2 == 0 { body.len() } else { body.len().min(400) };
            body[at.index(len)] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
            head.raw_len = head.raw_len.min(if head.compressed { u64::MAX } else { body.len() as u64 });
        }
        head.body_len = body.len() as u64;
        head.body_crc = crc32fast::hash(&body);
        if let Ok(block) = unpack(&head, &[&body]).and_then(|raw| decode(&head, raw, &tables(&block))) {
            // what passes can be used
            block.batches.iter().for_each(|batch| { batch.events().count(); });
            block.runs_in_order();
            block.origin.txns.iter().for_each(|txn| { block.origin.gtid(txn); block.origin.file(txn); });
            let _ = block.slice(block.first + 1, block.end());
        }
    }

    #[test]
    fn any_bytes_are_no_head(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Head::from_bytes(&bytes, 0).is_err());
    }
}

#[test]
fn columns_are_not_copied_when_decoded() {
    let block = numbered("t", 0..1000, 100, 0);
    let (head, body) = encoded(&mut Encoder::new(), &block);
    let head = Head::from_bytes(&head, 0).unwrap();
    let raw = unpack(&head, &[&body]).unwrap();
    let span = raw.as_ptr_range();
    let back = decode(&head, raw, &tables(&block)).unwrap();
    for column in &back.batches[0].columns {
        for buffer in column.to_data().buffers() {
            assert!(span.contains(&buffer.as_ptr()), "within the one buffer");
        }
    }
}

#[test]
fn compression_is_used_where_it_pays_and_tried_again() {
    let mut rng = Rng(1);
    let (stiff, soft) = (numbered("t", 0..500, 200, 0), {
        let mut block = numbered("t", 0..500, 200, 0);
        let text = rng.text(200, false);
        block.batches[0].columns[1] = Arc::new(arrow_array::StringArray::from(vec![text.as_str(); 500]));
        block
    });
    let mut encoder = Encoder::new();
    let mut packs = |block: &Block| encoder.encode(block, &[0], 0).compressed;
    assert!(packs(&soft));
    assert!(!packs(&stiff), "it does not shrink");
    let tries: Vec<bool> = (0..40).map(|_| packs(&soft)).collect();
    assert!(!tries[0], "not at once after a failure");
    assert_eq!(tries.iter().position(|&t| t), Some(15), "but now and then");
    assert!(tries[15..].iter().all(|&t| t), "and on from there");
}

#[test]
#[should_panic(expected = "the type's layout")]
fn a_column_of_another_layout_is_not_stored() {
    let mut block = numbered("t", 0..3, 1, 0);
    block.batches[0].columns[0] = Arc::new(arrow_array::Int32Array::from(vec![1, 2, 3]));
    Encoder::new().encode(&block, &[0], 0);
}

#[test]
#[should_panic(expected = "outside of its batch")]
fn a_block_that_could_not_be_read_is_not_stored() {
    let mut block = numbered("t", 0..3, 1, 0);
    Arc::make_mut(&mut block.origin).txns.clear();
    Encoder::new().encode(&block, &[0], 0);
}
