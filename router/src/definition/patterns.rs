//! What two table patterns have in common.

use forebay_model::TablePattern;

/// Whether some table is meant by both patterns.
pub(super) fn overlap(a: &TablePattern, b: &TablePattern) -> bool {
    match (a.as_str().split_once('.'), b.as_str().split_once('.')) {
        (Some((a_database, a_table)), Some((b_database, b_table))) => {
            globs_overlap(a_database, b_database) && globs_overlap(a_table, b_table)
        }
        _ => false,
    }
}

/// Whether some text matches both globs (`*` any characters, `?` one).
fn globs_overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // `row[j]`: whether a[i..] and b[j..] overlap; filled from the ends.
    let stars_only = |rest: &[char]| rest.iter().all(|&c| c == '*');
    let mut row: Vec<bool> = (0..=b.len()).map(|j| stars_only(&b[j..])).collect();
    for i in (0..a.len()).rev() {
        let mut next = vec![false; b.len() + 1];
        next[b.len()] = stars_only(&a[i..]);
        for j in (0..b.len()).rev() {
            next[j] = match (a[i], b[j]) {
                ('*', _) | (_, '*') => row[j] || next[j + 1],
                ('?', _) | (_, '?') => row[j + 1],
                (x, y) => x == y && row[j + 1],
            };
        }
        row = next;
    }
    row[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> TablePattern {
        TablePattern::new(text).unwrap()
    }

    #[test]
    fn patterns_overlap_where_a_table_is_meant_by_both() {
        for (a, b, expected) in [
            ("active.*", "active.tenants", true),
            ("active.*", "retail_db.*", false),
            ("*.*", "a.b", true),
            ("shop_*.orders", "*_eu.ord*", true),
            ("shop.order?", "shop.order", false),
            ("shop.order?", "shop.orders", true),
            ("shop.a*b", "shop.b*a", false),
            ("shop.a*", "shop.*b", true),
            ("shop.", "shop.*", false),
        ] {
            let Ok(a) = TablePattern::new(a) else { continue };
            assert_eq!(overlap(&a, &pattern(b)), expected, "{a} and {b}");
            assert_eq!(overlap(&pattern(b), &a), expected, "{b} and {a}");
        }
    }

    proptest! {
        /// Every word of two letters, up to four long, is a witness or there is none of that length.
        #[test]
        fn overlap_is_a_common_word(a in "[ab*?]{1,4}", b in "[ab*?]{1,4}") {
            let words = (0..=6u32).flat_map(|n| (0..1u32 << n).map(move |bits| {
                (0..n).map(|i| if bits >> i & 1 == 0 { 'a' } else { 'b' }).collect::<String>()
            }));
            // Two globs of four signs that overlap at all do so in a word of at most eight letters; of two letters, six
            // are enough for one that holds at most three letters of each besides the stars.
            let (pa, pb) = (pattern(&format!("d.{a}")), pattern(&format!("d.{b}")));
            let witness = words.into_iter().any(|w| pa.matches("d", &w) && pb.matches("d", &w));
            if witness {
                prop_assert!(globs_overlap(&a, &b), "{a} {b}");
            } else if a.len() + b.len() <= 6 {
                prop_assert!(!globs_overlap(&a, &b), "{a} {b}");
            }
        }
    }
}
