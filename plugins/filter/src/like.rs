//! LIKE: `%` stands for any characters, `_` for one.

/// A pattern, its escapes resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern; an escape at its end stands for itself.
    pub(crate) fn new(pattern: &str, escape: Option<char>) -> Pattern {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(c) = characters.next() {
            parts.push(match c {
                c if Some(c) == escape => Part::Char(characters.next().unwrap_or(c)),
                '%' => Part::Any,
                '_' => Part::One,
                c => Part::Char(c),
            });
        }
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Pattern(parts)
    }

    /// Whether a text matches. Goes back to the last `%` only, so it takes no longer than the product of the lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        let mut p = 0;
        let mut star: Option<(usize, &str)> = None;
        loop {
            let c = rest.chars().next();
            let fits = match (self.0.get(p), c) {
                (Some(Part::Any), _) => {
                    star = Some((p + 1, rest));
                    p += 1;
                    continue;
                }
                (None, None) => return true,
                (Some(Part::One), Some(_)) => true,
                (Some(Part::Char(want)), Some(c)) => *want == c,
                _ => false,
            };
            match (fits, c, &mut star) {
                (true, Some(c), _) => {
                    rest = &rest[c.len_utf8()..];
                    p += 1;
                }
                (_, _, Some((after, from))) => {
                    let Some(skipped) = from.chars().next() else { return false };
                    *from = &from[skipped.len_utf8()..];
                    (p, rest) = (*after, *from);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_mysql_does() {
        for (text, pattern, want) in [
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "_b_", true),
            ("abc", "____", false),
            ("日本語", "日_語", true),
            ("aXbXc", "a%X%c", true),
            ("aaab", "%aab", true),
            ("aaaa", "%aab", false),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("a\\", "a\\", true),
            ("a_b", "a\\_b", true),
            ("abc", "%%%", true),
            ("ABC", "abc", false),
        ] {
            assert_eq!(Pattern::new(pattern, Some('\\')).matches(text), want, "{text} LIKE {pattern}");
        }
        assert!(Pattern::new("50!%", Some('!')).matches("50%"));
        assert!(Pattern::new("a\\%", None).matches("a\\b"));
        // a slow matcher would never come back
        assert!(!Pattern::new(&"%a".repeat(30), None).matches(&"a".repeat(29)));
    }
}
