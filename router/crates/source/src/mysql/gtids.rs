//! What one set of transactions has and another lacks.

use forebay_model::GtidSet;

/// The transactions of `all` that are not in `without`.
pub(crate) fn minus(all: &GtidSet, without: &GtidSet) -> GtidSet {
    let mut left = GtidSet::default();
    for (uuid, tag, ranges) in all.entries() {
        let holes = without.entries().find(|(u, t, _)| *u == uuid && *t == tag).map_or(&[][..], |e| e.2);
        for &(first, last) in ranges {
            let mut from = first;
            for &(a, b) in holes.iter().filter(|&&(a, b)| a <= last && b >= first) {
                if from < a {
                    left.add_range(*uuid, tag, from, a - 1);
                }
                from = from.max(b + 1);
            }
            if from <= last {
                left.add_range(*uuid, tag, from, last);
            }
        }
    }
    left
}

/// The transactions that are in both.
pub(crate) fn both(a: &GtidSet, b: &GtidSet) -> GtidSet {
    minus(a, &minus(a, b))
}

/// The transactions that are in either.
pub(crate) fn either(a: &GtidSet, b: &GtidSet) -> GtidSet {
    let mut all = a.clone();
    for (uuid, tag, ranges) in b.entries() {
        ranges.iter().for_each(|&(first, last)| all.add_range(*uuid, tag, first, last));
    }
    all
}

/// How many transactions it holds.
pub(crate) fn count(set: &GtidSet) -> u64 {
    set.entries().flat_map(|e| e.2).fold(0, |n: u64, &(first, last)| n.saturating_add(last - first + 1))
}

/// Whether it holds a transaction that this server committed first.
pub(crate) fn holds_server(set: &GtidSet, uuid: &str) -> bool {
    // the text of a UUID with any number is a set
    format!("{uuid}:1").parse::<GtidSet>().is_ok_and(|one| {
        let own = one.entries().next().map(|e| *e.0);
        set.entries().any(|e| Some(*e.0) == own)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000001";
    const B: &str = "bbbbbbbb-0000-0000-0000-000000000002";

    fn set(text: &str) -> GtidSet {
        text.replace('A', A).replace('B', B).parse().unwrap()
    }

    #[test]
    fn sets_are_compared() {
        assert_eq!(minus(&set("A:1-10,B:5"), &set("A:3-4:8")), set("A:1-2:5-7:9-10,B:5"));
        assert_eq!(minus(&set("A:1-10:tag:1-3"), &set("A:1-10")), set("A:tag:1-3"));
        assert_eq!(both(&set("A:1-10,B:5"), &set("A:8-20")), set("A:8-10"));
        assert_eq!(either(&set("A:1-3"), &set("A:4-6,B:1")), set("A:1-6,B:1"));
        assert_eq!(count(&set("A:1-10:20,B:5")), 12);
        assert!(
            holds_server(&set("A:1,B:2"), B)
                && !holds_server(&set("A:1"), B)
                && !holds_server(&set("A:1"), "")
        );
    }

    proptest! {
        #[test]
        fn as_sets_of_numbers(a in prop::collection::btree_set(1u64..40, 0..20), b in prop::collection::btree_set(1u64..40, 0..20)) {
            let of = |numbers: &mut dyn Iterator<Item = u64>| {
                let mut set = GtidSet::default();
                numbers.for_each(|n| set.add_range([7; 16], "", n, n));
                set
            };
            let (x, y) = (of(&mut a.iter().copied()), of(&mut b.iter().copied()));
            prop_assert_eq!(minus(&x, &y), of(&mut a.difference(&b).copied()));
            prop_assert_eq!(both(&x, &y), of(&mut a.intersection(&b).copied()));
            prop_assert_eq!(either(&x, &y), of(&mut a.union(&b).copied()));
            prop_assert_eq!(count(&x), a.len() as u64);
        }
    }
}
