//! Paths into a document, as `$.customer.id`, `$.tags[0]`, `$."first name"`: MySQL's, without wildcards.

use std::collections::BTreeMap;

/// Paths, by their steps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// The paths that end here.
    pub(crate) ends: Vec<usize>,
    pub(crate) fields: BTreeMap<String, Tree>,
    pub(crate) items: BTreeMap<usize, Tree>,
}

/// Longer paths are nobody's.
const STEPS: usize = 32;

impl Tree {
    /// Adds a path; `number` is what it is known by. The error says what is wrong with it.
    pub(crate) fn add(&mut self, path: &str, number: usize) -> Result<(), String> {
        let mut tree = self;
        let mut rest = path.strip_prefix('$').ok_or("a path begins with `$`, as `$.customer.id`")?;
        let mut steps = 0;
        while !rest.is_empty() {
            steps += 1;
            if steps > STEPS {
                return Err(format!("a path has at most {STEPS} steps"));
            }
            (tree, rest) = if let Some(field) = rest.strip_prefix('.') {
                let (name, rest) = name(field)?;
                (tree.fields.entry(name).or_default(), rest)
            } else if let Some(index) = rest.strip_prefix('[') {
                let (index, rest) = index.split_once(']').ok_or("`[` has no `]`")?;
                let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
                let index =
                    index.parse().ok().filter(|_| digits).ok_or("`[...]` takes a number, counted from 0")?;
                (tree.items.entry(index).or_default(), rest)
            } else {
                return Err("after `$` and every step, `.name`, `.\"name\"` or `[n]` is needed".to_owned());
            };
        }
        tree.ends.push(number);
        Ok(())
    }

    /// Whether paths lead on from here.
    pub(crate) fn leads_on(&self) -> bool {
        !self.fields.is_empty() || !self.items.is_empty()
    }
}

/// A field's name, bare or in quotes as JSON writes them, and what follows.
fn name(text: &str) -> Result<(String, &str), String> {
    let bare =
        text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))).unwrap_or(text.len());
    if bare > 0 {
        return Ok((text[..bare].to_owned(), &text[bare..]));
    }
    let mut quoted = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match quoted.next() {
        Some(Ok(name)) if text.starts_with('"') => Ok((name, &text[quoted.byte_offset()..])),
        _ => Err("`.` is followed by a name, in quotes if it has other characters than letters, digits, `_`, `$` and `-`; \
                  wildcards are not supported"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_share_their_beginnings() {
        let mut tree = Tree::default();
        for (number, path) in ["$", "$.a.b", "$.a", "$.\"x y\\\"\"[0][12].é-1"].into_iter().enumerate() {
            tree.add(path, number).unwrap();
        }
        assert_eq!(tree.ends, [0]);
        let a = &tree.fields["a"];
        assert_eq!((a.ends.as_slice(), a.fields["b"].ends.as_slice()), (&[2][..], &[1][..]));
        assert_eq!(tree.fields["x y\""].items[&0].items[&12].fields["é-1"].ends, [3]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "",
            "a",
            "$a",
            "$.",
            "$..a",
            "$.*",
            "$[*]",
            "$[",
            "$[-1]",
            "$[]",
            "$.a b",
            "$.\"a",
            "$.a[last]",
            "$[+1]",
        ] {
            assert!(Tree::default().add(path, 0).is_err(), "{path}");
        }
        assert!(Tree::default().add(&format!("${}", ".a".repeat(33)), 0).is_err());
    }
}
