//! How far the stream must be before what a SELECT saw may be given: the high watermark.

use std::cmp::Ordering;

use forebay_model::{GtidSet, Position};

use super::super::wire::{Conn, WireError};

/// A place that includes everything that a SELECT before it could see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The end of the source's binlog.
    End { file: String, pos: u64 },
    /// Transactions of another server.
    Set(GtidSet),
}

impl Mark {
    /// Where the binlog ends: a transaction is in it before the engine commits it, so before anybody can see it.
    pub(super) async fn end(conn: &mut Conn) -> Result<Mark, WireError> {
        let status = match conn.query("SHOW BINARY LOG STATUS").await {
            Err(WireError::Server { code: 1064, .. }) => conn.query("SHOW MASTER STATUS").await?,
            other => other?,
        };
        let file = status.first("File").ok_or(WireError::Protocol("the server writes no binlog"))?;
        let pos = status.first("Position").and_then(|p| p.parse().ok()).unwrap_or(0);
        Ok(Mark::End { file: file.to_owned(), pos })
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
        all.parse().map(Mark::Set).map_err(|_| WireError::Protocol("the server's GTIDs make no sense"))
    }

    /// Whether a stream that has come to `position` is at or past it.
    pub(super) fn is_reached(&self, position: &Position) -> bool {
        match self {
            Mark::End { file, pos } => match compare_files(&position.file, file) {
                Ordering::Less => false,
                Ordering::Equal => position.pos >= *pos,
                Ordering::Greater => true,
            },
            Mark::Set(set) => set.is_subset(&position.gtids),
        }
    }

    /// File and offset, as events show them; a replica's own mean nothing to anybody.
    pub(super) fn shown(&self, position: &Position) -> (String, u64) {
        match self {
            Mark::End { file, pos } => (file.clone(), *pos),
            Mark::Set(_) => (position.file.clone(), position.pos),
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

/// Binlog files in the order in which they are written: `binlog.999999` comes before `binlog.1000000`.
fn compare_files(a: &str, b: &str) -> Ordering {
    let number = |name: &str| name.rsplit_once('.').and_then(|(_, n)| n.parse::<u64>().ok());
    number(a).cmp(&number(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_by_file_and_offset() {
        let at = |file: &str, pos| Position { file: file.into(), pos, ..Default::default() };
        let end = Mark::End { file: "binlog.1000000".into(), pos: 200 };
        assert!(!end.is_reached(&at("binlog.999999", 4000)));
        assert!(!end.is_reached(&at("binlog.1000000", 199)));
        assert!(end.is_reached(&at("binlog.1000000", 200)));
        assert!(end.is_reached(&at("binlog.1000001", 4)));
        assert!(!end.is_reached(&at("", 0)));
    }

    #[test]
    fn a_set_is_reached_when_all_of_it_was_read() {
        let set = |text: &str| text.parse::<GtidSet>().unwrap();
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mark = Mark::Set(set(&format!("{uuid}:1-7")));
        let at = |last| Position { gtids: set(&format!("{uuid}:1-{last}")), ..Default::default() };
        assert!(!mark.is_reached(&at(6)) && mark.is_reached(&at(7)));
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
