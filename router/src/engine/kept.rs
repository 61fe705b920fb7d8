//! From which offset on the changelog must keep what tables in quarantine need, as notes of the changelog itself.
//!
//! Owns the notes `kept/DB.TABLE`. They are stored in the commit that begins a quarantine, and go in the commit that ends it; what
//! retention may delete follows from them alone, and so holds while the server is away, and before a source has connected.

use std::collections::BTreeMap;

use forebay_changelog::Log;
use forebay_model::{Fault, Note, Offset};
use forebay_source::mysql::QUARANTINE_NOTES;

const KEPT: &str = "kept/";

/// The first offset that may hold an event of each table in quarantine, by `DB.TABLE`.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<String, Offset>);

impl Kept {
    /// As noted.
    pub(super) fn of(notes: &[Note]) -> Self {
        let noted = notes.iter().filter_map(|note| {
            let table = note.key.strip_prefix(KEPT)?;
            Some((table.to_owned(), offset(note.value.as_deref()?)))
        });
        Kept(noted.collect())
    }

    /// Adds what is to be noted beside what the source notes: quarantines that begin with the entry that comes next, and those
    /// that end. Nothing of that entry lies before the `head`.
    pub(super) fn follow(&mut self, notes: &mut Vec<Note>, head: Offset) {
        let mut more = Vec::new();
        for note in notes.iter() {
            let Some(table) = note.key.strip_prefix(QUARANTINE_NOTES) else { continue };
            let key = format!("{KEPT}{table}");
            if note.value.is_none() {
                self.0.remove(table);
                more.push(Note { key, value: None });
            } else if !self.0.contains_key(table) {
                self.0.insert(table.to_owned(), head);
                more.push(Note { key, value: Some(head.to_string().into_bytes()) });
            }
        }
        notes.extend(more);
    }
}

/// The first offset that a table in quarantine needs; `None` = there is none. Blocking.
///
/// # Errors
/// If the notes cannot be read.
pub(super) fn first_kept(log: &Log) -> Result<Option<Offset>, Fault> {
    // in this order: a quarantine that begins in between is one without an offset
    let kept = log.notes_under(KEPT)?;
    let tables = log.notes_under(QUARANTINE_NOTES)?;
    let tables = tables.keys().filter_map(|key| key.strip_prefix(QUARANTINE_NOTES));
    Ok(tables.map(|table| kept.get(&format!("{KEPT}{table}")).map_or(0, |value| offset(value))).min())
}

/// What cannot be read keeps everything.
fn offset(value: &[u8]) -> Offset {
    str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_is_noted_when_it_begins_and_when_it_ends() {
        let about = |value: Option<&str>| Note {
            key: "quarantine/d.t".into(),
            value: value.map(|v| v.as_bytes().to_vec()),
        };
        let mut kept = Kept::default();
        let mut notes = vec![about(Some("{}"))];
        kept.follow(&mut notes, 7);
        assert_eq!(notes[1..], [Note { key: "kept/d.t".into(), value: Some(b"7".to_vec()) }]);
        assert_eq!(Kept::of(&notes).0, kept.0);
        // more events of it do not move the place
        let mut notes = vec![about(Some("{}"))];
        kept.follow(&mut notes, 9);
        assert_eq!((notes.len(), kept.0["d.t"]), (1, 7));
        let mut notes = vec![about(None)];
        kept.follow(&mut notes, 12);
        assert_eq!(notes[1..], [Note { key: "kept/d.t".into(), value: None }]);
        let mut notes = vec![about(Some("{}"))];
        kept.follow(&mut notes, 15);
        assert_eq!(kept.0["d.t"], 15, "the next quarantine is another one");
    }
}
