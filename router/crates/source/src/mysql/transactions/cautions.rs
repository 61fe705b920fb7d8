//! What the binlog holds of writes that may concern captured tables, where nobody can tell: counted, and kept with the position.

use forebay_model::{Code, Note};
use serde::{Deserialize, Serialize};

use super::Transactions;
use crate::codes;

/// The note's key.
const NOTE: &str = "caution/statements";

/// Something that somebody should look at, since changes may be missing, and nobody can say whether.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caution {
    /// Stable; see the error reference.
    pub code: String,
    /// What may be missing, and why.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// How often, since the position was last chosen by hand.
    pub count: u64,
    /// Where in the binlog the last one is: `file:offset`.
    pub last: String,
    /// When that was, seconds since 1970.
    pub last_seconds: u32,
}

impl Caution {
    /// Those that notes tell of, for whoever must know before the source is connected.
    pub fn of_notes<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<Caution> {
        let noted = notes.into_iter().filter(|note| note.key == NOTE);
        noted.filter_map(|note| serde_json::from_slice(note.value.as_deref()?).ok()).collect()
    }
}

/// Statements that changed rows of databases that are not captured, and may have led from there to captured tables.
#[derive(Debug, Default)]
pub(super) struct Cautions {
    statements: Option<Caution>,
    /// Since it was last noted.
    changed: bool,
}

impl Cautions {
    /// Goes on with what was noted.
    pub(super) fn of(notes: &[Note]) -> Self {
        Cautions { statements: Caution::of_notes(notes).pop(), changed: false }
    }

    /// One more, by a statement of this verb, run in this database.
    pub(super) fn statement(&mut self, (verb, database): (&str, &str), at: String, seconds: u32) {
        const CODE: Code = codes::STATEMENT_EVENT;
        let count = self.statements.take().map_or(0, |before| before.count) + 1;
        let message = format!(
            "{count} statements that changed rows are in the binlog as text, and neither their texts nor their default databases say \
             whether a view, a trigger or a foreign key led from there to captured tables; the last is the {verb} at {at}, run in database \
             `{database}`"
        );
        let fix = "set binlog_format to ROW for all sessions; take a new snapshot of captured tables that such statements reach".to_owned();
        let code = CODE.name.to_owned();
        self.statements = Some(Caution { code, message, fix, count, last: at, last_seconds: seconds });
        self.changed = true;
    }

    pub(super) fn all(&self) -> Vec<Caution> {
        self.statements.iter().cloned().collect()
    }

    /// What is to be noted with the next position, whenever that is: nobody waits for it.
    pub(super) fn take_note(&mut self) -> Option<Note> {
        let caution = self.statements.as_ref().filter(|_| std::mem::take(&mut self.changed))?;
        Some(Note { key: NOTE.to_owned(), value: serde_json::to_vec(caution).ok() })
    }
}

impl Transactions {
    /// Goes on with what was counted before.
    pub(crate) fn remember_cautions(&mut self, notes: &[Note]) {
        self.cautions = Cautions::of(notes);
    }

    /// What may be missing, and nobody can tell.
    pub(crate) fn cautions(&self) -> Vec<Caution> {
        self.cautions.all()
    }
}
