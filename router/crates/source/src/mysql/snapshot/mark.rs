//! Between which places of the stream's order a SELECT has read: the low watermark as it was found, and the high one, up to
//! which the stream must come before what was read may be given.

use forebay_model::{Gtid, GtidSet, Position};

use super::super::schema::Place;
use super::super::server::binlog_status;
use super::super::transactions::Asides;
use super::super::wire::{Conn, WireError};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// A place that the server called committed before the SELECT, where it must be believed.
    low: Option<Place>,
    high: High,
}

/// What includes everything that the SELECT could see.
#[derive(Clone, Debug, PartialEq, Eq)]
enum High {
    /// The end of the source's binlog.
    End(Place),
    /// Transactions of another server.
    Set(GtidSet),
}

impl Mark {
    /// A place in the source's binlog.
    pub(super) fn at(place: Place) -> Mark {
        Mark { low: None, high: High::End(place) }
    }

    /// Where the binlog ends: a transaction is in it before the engine commits it, so before anybody can see it.
    pub(super) async fn end(conn: &mut Conn, low: Option<Place>) -> Result<Mark, WireError> {
        let status = binlog_status(conn).await?;
        let file = status.first("File").ok_or(WireError::Protocol("the server writes no binlog"))?;
        let pos = status.first("Position").and_then(|p| p.parse().ok()).unwrap_or(0);
        Ok(Mark { low, high: High::End(Place { file: file.to_owned(), pos }) })
    }

    /// Everything that a replica has or is just committing.
    ///
    /// A transaction can be seen a moment before it is in `gtid_executed`; until it is there it is owned by the thread
    /// that commits it, and it goes from one set to the other in one step. Owned read first, then executed: whatever was
    /// visible is in one of them.
    pub(super) async fn set(conn: &mut Conn) -> Result<Mark, WireError> {
        let owned = conn.query("SELECT @@GLOBAL.gtid_owned").await?;
        let executed = conn.query("SELECT @@GLOBAL.gtid_executed").await?;
        let all = format!(
            "{},{}",
            without_owners(owned.firsts().next().unwrap_or_default()),
            executed.firsts().next().unwrap_or_default()
        );
        let set = all.parse().map_err(|_| WireError::Protocol("the server's GTIDs make no sense"))?;
        Ok(Mark { low: None, high: High::Set(set) })
    }

    /// Whether a stream that has come to `position`, and holds `prepared` back, is at or past it. What is only prepared nobody
    /// can see; it counts as executed all the same.
    pub(super) fn is_reached(&self, position: &Position, prepared: &[Gtid]) -> bool {
        match &self.high {
            High::End(end) => Place { file: position.file.clone(), pos: position.pos } >= *end,
            High::Set(set) if prepared.is_empty() => set.is_subset(&position.gtids),
            High::Set(set) => {
                let mut read = position.gtids.clone();
                prepared.iter().for_each(|gtid| read.add(gtid));
                set.is_subset(&read)
            }
        }
    }

    /// Whether the place that was called committed turned out to say nothing. Certain once the mark is reached.
    pub(super) fn is_doubted(&self, asides: &Asides) -> bool {
        self.low.as_ref().is_some_and(|low| asides.end_at(low))
    }

    /// File and offset, as events show them; a replica's own mean nothing to anybody.
    pub(super) fn shown(&self, position: &Position) -> (String, u64) {
        match &self.high {
            High::End(end) => (end.file.clone(), end.pos),
            High::Set(_) => (position.file.clone(), position.pos),
        }
    }
}

/// `uuid:5#12:7#13` without the threads; the server ends each line with `,` and a line feed.
fn without_owners(owned: &str) -> String {
    let mut out = String::with_capacity(owned.len());
    let mut thread = false;
    for c in owned.chars() {
        match c {
            '#' => thread = true,
            '0'..='9' if thread => {}
            c => {
                thread = false;
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_by_file_and_offset() {
        let at = |file: &str, pos| Position { file: file.into(), pos, ..Default::default() };
        let place = Place { file: "binlog.1000000".into(), pos: 200 };
        let end = Mark { low: None, high: High::End(place) };
        assert!(!end.is_reached(&at("binlog.999999", 4000), &[]));
        assert!(!end.is_reached(&at("binlog.1000000", 199), &[]));
        assert!(end.is_reached(&at("binlog.1000000", 200), &[]));
        assert!(end.is_reached(&at("binlog.1000001", 4), &[]));
        assert!(!end.is_reached(&at("", 0), &[]));
    }

    #[test]
    fn a_set_is_reached_when_all_of_it_was_read() {
        let set = |text: &str| text.parse::<GtidSet>().unwrap();
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mark = Mark { low: None, high: High::Set(set(&format!("{uuid}:1-7"))) };
        let at = |last| Position { gtids: set(&format!("{uuid}:1-{last}")), ..Default::default() };
        assert!(!mark.is_reached(&at(6), &[]) && mark.is_reached(&at(7), &[]));
        let bytes = *set(&format!("{uuid}:1")).entries().next().unwrap().0;
        let seventh = [Gtid { uuid: bytes, tag: None, number: 7 }];
        assert!(mark.is_reached(&at(6), &seventh), "nobody sees a branch that is only prepared");
        assert!(!mark.is_reached(&at(5), &seventh));
    }

    #[test]
    fn owners_are_cut() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let cut = without_owners(&format!("{uuid}:23#7:24#18,\n{uuid}:tag:5#9"));
        assert_eq!(cut, format!("{uuid}:23:24,\n{uuid}:tag:5"));
        assert!(cut.parse::<GtidSet>().is_ok());
        assert_eq!(without_owners(""), "");
    }
}
