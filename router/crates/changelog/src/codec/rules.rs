//! What must hold in every block, checked on both ways: what may not come out is not let in.

use forebay_model::{Kind, Origin, Run};

use super::Damage;

/// Every transaction's names are there.
pub(super) fn origin(origin: &Origin) -> Result<(), Damage> {
    let names = origin.strings.len();
    if origin.txns.iter().any(|txn| txn.file as usize >= names || txn.tag as usize > names) {
        return Err(Damage("a transaction names a file that is not there"));
    }
    Ok(())
}

/// The runs cover the row images, and an update has both of its images.
pub(super) fn images(kinds: &[Kind], runs: &[Run], events: u32, txns: usize) -> Result<(), Damage> {
    let rows = kinds.len();
    let starts = runs.first().map(|run| run.row) == (rows > 0).then_some(0);
    let rise = runs.windows(2).all(|pair| pair[0].row < pair[1].row);
    let inside = |run: &Run| (run.row as usize) < rows && run.event < events && (run.txn as usize) < txns;
    if !starts || !rise || !runs.iter().all(inside) {
        return Err(Damage("a run lies outside of its batch"));
    }
    // who reads events steps over both images of an update
    let alone = |i: usize| match kinds[i] {
        Kind::Before => kinds.get(i + 1) != Some(&Kind::After),
        Kind::After => i == 0 || kinds[i - 1] != Kind::Before,
        _ => false,
    };
    if (0..rows).any(alone) {
        return Err(Damage("an update lacks one of its images"));
    }
    Ok(())
}
